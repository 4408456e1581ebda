"""Racing: which trials end early, what they leave, and that going on decides the same again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.folds import Fold
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import SilentObserver
from hpsearch.scoring.stages import Stage, stages_of
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.racing import Racing
from hpsearch.space.space import Candidate
from hpsearch.stats import corrected_t_test

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 7, "folds": 3, "repeats": 3, "epochs": 1, "batch_size": 12, "jobs": 1,
          "baselines": False, "race": "off", "rungs": 1}  # fmt: skip
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "run.json", "best.json")
SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.0, 0.003, 0.03, 0.1, 0.2, 0.4, 0.8, 0.9, 1.0])  # the last one fails


def build(hp, problem):
    raise NotImplementedError
"""


def visits(n=45):
    rng = np.random.default_rng(0)
    age, size = rng.normal(50, 10, n).round(1), rng.normal(0, 1, n).round(2)
    ill = np.where(age + 8 * size + rng.normal(0, 3, n) > 50, "yes", "no")
    return pd.DataFrame({"age": age, "size": size, "ill": ill})


class Notes(SilentObserver):
    def __init__(self, n_units=0):
        self.texts, self.n_left = [], n_units

    def note(self, text):
        self.texts.append(text)

    def folds_done(self, trial, n):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


NETWORKS = """
def build(hp, problem):
    import keras

    rate = hp.Choice("rate", [0.0, 0.03, 0.3, 1.0])
    model = keras.Sequential([
        keras.Input(problem.input_shape),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ])
    model.compile(keras.optimizers.SGD(rate, momentum=0.5), problem.loss, run_eagerly=True)
    return model
"""


@pytest.fixture
def folder(tmp_path):
    visits().to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "networks.py").write_text(NETWORKS)
    return tmp_path


@pytest.fixture
def search(folder, pretend_here):
    def search(name, training=pretend_here, space="space.py", **options):
        data = hpsearch.load(folder / "visits.csv", target="ill")
        with training() as engine:
            options = BUDGET | {"engine": engine, "oracle": "grid", "out": folder / name} | options
            return hpsearch.Search(folder / space, **options).run(data)

    return search


@pytest.fixture
def resume(folder, pretend_here):
    def resume(name, training=pretend_here, **options):
        with training():
            return hpsearch.resume(folder / name, **options)

    return resume


def tables_of(run):
    return {name: (run.path / name).read_bytes() for name in TABLES}


def scores_of(run):
    """Each trial's losses, fold by fold."""
    folds = run.folds.sort_values(["trial", "repeat", "fold"])
    return {trial: part["val_log_loss"].to_numpy() for trial, part in folds.groupby("trial")}


def expected_ends(scores, beaten, n_folds=5, n_repeats=2):
    """How many folds each trial is scored on, by a rule: ``beaten(losses, leader's losses)``."""
    running, ends = sorted(scores), {}
    for repeats in range(1, n_repeats):
        so_far = {trial: scores[trial][: repeats * n_folds] for trial in running}
        leader = min(so_far, key=lambda trial: so_far[trial].mean())
        for trial in list(running):
            if trial != leader and beaten(so_far[trial], so_far[leader]):
                ends[trial] = repeats * n_folds
                running.remove(trial)
    return ends | dict.fromkeys(running, n_repeats * n_folds)


def is_beaten_clearly(losses, leader):
    test = corrected_t_test(leader, losses, n_train=36, n_validation=9)
    return test.difference < 0 and test.p_value < 0.1


# -- the rules


@pytest.mark.parametrize(
    ("race", "beaten"),
    [
        ("forgiving", lambda losses, leader: losses.mean() > leader.max()),
        ("corrected-t", is_beaten_clearly),
    ],
)
def test_a_trial_ends_after_the_repeat_in_which_its_rule_holds(search, race, beaten):
    budget = {"folds": 5, "batch_size": 12, "repeats": 2}
    whole, raced = search("whole", **budget), search("raced", race=race, **budget)
    expected = expected_ends(scores_of(whole), beaten)
    assert len(set(expected.values())) > 1, "some must end early"
    found = {trial: len(losses) for trial, losses in scores_of(raced).items()}
    assert found == expected
    trials = raced.trials.set_index("trial")
    assert trials["n_folds"].to_dict() == expected
    for trial, n_folds in expected.items():
        assert trials.loc[trial, "status"] == ("completed" if n_folds == 10 else "stopped")
        np.testing.assert_array_equal(scores_of(whole)[trial][:n_folds], scores_of(raced)[trial])


def test_a_stopped_trial_never_ranks_and_is_never_selected(search):
    run = search("raced", race="forgiving")
    stopped = run.trials[run.trials["status"] == "stopped"]
    assert len(stopped) > 0
    assert stopped["rank"].isna().all()
    assert stopped["score"].notna().all()
    assert run.trials["status"].tolist() == sorted(
        run.trials["status"], key=["completed", "stopped", "failed"].index
    )
    assert run.best["trial"] not in set(stopped["trial"])


def test_a_failed_trial_leaves_the_race(search):
    run = search("raced", race="forgiving", trials=9)
    assert (run.trials["status"] == "failed").sum() == 1
    assert {"completed", "stopped"} < set(run.trials["status"])


def test_a_third_of_the_trials_reaches_each_rung(search):
    run = search("rungs", rungs=3, epochs=9, repeats=2, batch_size=30)
    trials = run.trials.set_index("trial")
    assert sorted(trials["epochs"]) == [1, 1, 1, 1, 3, 3, 9]
    assert (trials["status"] == np.where(trials["epochs"] == 9, "completed", "stopped")).all()
    assert (trials["n_folds"] == np.where(trials["epochs"] == 9, 6, 3)).all()
    assert run.curves.groupby("trial").size().to_dict() == trials["epochs"].to_dict()


def test_the_best_at_each_rung_go_on_and_their_numbers_are_those_of_a_whole_training(search):
    budget = {"epochs": 9, "repeats": 1, "batch_size": 30}
    rungs, whole = search("rungs", rungs=3, **budget), search("whole", **budget)
    curves = whole.curves.pivot_table("val_log_loss", "epoch", "trial")
    ended = rungs.trials.set_index("trial")["epochs"]
    for rung, n_kept in ((1, 3), (3, 1)):
        best_so_far = curves.loc[:rung, ended.index[ended >= rung]].min().sort_values()
        assert set(best_so_far.index[:n_kept]) == set(ended.index[ended > rung])
    for trial, part in rungs.curves.groupby("trial"):
        curve = curves[trial].to_numpy()[: len(part)]
        np.testing.assert_array_equal(part["val_log_loss"], curve)


def test_the_stages_of_rungs_come_before_those_of_repeats():
    rows = np.arange(4)
    folds = [Fold(repeat, fold, rows[:3], rows[3:]) for repeat in range(2) for fold in range(2)]
    assert stages_of(folds, n_rungs=1, by_repeat=False) == [Stage((0, 1, 2, 3))]
    assert stages_of(folds, n_rungs=1, by_repeat=True) == [
        Stage((0, 1), is_last=False),
        Stage((0, 1, 2, 3)),
    ]
    assert stages_of(folds, n_rungs=2, by_repeat=False) == [
        Stage((0, 1), 0, 2, is_last=False),
        Stage((0, 1, 2, 3), 1, 2),
    ]


# -- going on


@pytest.mark.parametrize(
    "options",
    [
        {"race": "corrected-t"},
        {"race": "corrected-t", "rungs": 2, "epochs": 4, "batch_size": 30},
        {"race": "forgiving", "rungs": 2, "epochs": 2},
    ],
)
def test_a_race_stopped_after_any_unit_goes_on_to_the_same_tables(search, resume, options):
    options = options | {"repeats": 2, "until_decided": True, "max_repeats": 4}
    whole = search("whole", **options, observer=(notes := Notes()))
    plays_off = any("get one more" in text for text in notes.texts)
    assert plays_off == (options["race"] == "corrected-t")
    n_units = -notes.n_left
    for n in range(1, n_units, 4):
        with pytest.raises(KeyboardInterrupt):
            search(f"stopped {n}", **options, observer=Notes(n))
        assert tables_of(resume(f"stopped {n}")) == tables_of(whole)


def test_a_race_of_real_networks_goes_on_to_the_same_tables(search, resume, train_here):
    options = {"race": "forgiving", "rungs": 2, "epochs": 4, "trials": 4, "repeats": 2}
    options |= {"training": train_here, "space": "networks.py", "batch_size": 30}
    whole = search("whole", **options)
    assert sorted(whole.trials["epochs"]) == [2, 2, 4, 4]
    with pytest.raises(KeyboardInterrupt):
        search("part", **options, observer=Notes(1))  # the states at the rung are lost
    assert tables_of(resume("part", train_here)) == tables_of(whole)


@pytest.mark.parametrize("options", [{"race": "forgiving"}, {"race": "corrected-t", "rungs": 2}])
def test_a_race_that_grows_decides_as_one_that_was_as_large_from_the_start(search, resume, options):
    options = options | {"epochs": 2, "repeats": 2}
    whole = search("whole", **options | {"trials": 6, "repeats": 3})
    search("part", **options | {"trials": 4})
    assert tables_of(resume("part", trials=6, repeats=3)) == tables_of(whole)


@pytest.fixture
def trained(monkeypatch, pretended):
    """The trials that are trained; filled as it goes."""
    trials, train = set(), pretended.train

    def noting(job, unit):
        trials.add(unit.candidate.trial)
        return train(job, unit)

    monkeypatch.setattr(pretended, "train", noting)
    return trials


RUNGS = {"race": "corrected-t", "rungs": 2, "epochs": 3, "repeats": 2}


def test_more_trials_race_in_brackets_of_their_own_and_old_ones_stay_as_they_ended(
    search, resume, trained
):
    options = RUNGS | {"bracket": 4}
    whole = search("whole", **options | {"trials": 8})
    before = search("part", **options | {"trials": 4}).trials.set_index("trial")
    trained.clear()
    grown = resume("part", trials=8)
    assert tables_of(grown) == tables_of(whole)
    assert trained == {4, 5, 6, 7}
    after = grown.trials.set_index("trial").loc[before.index]
    assert {"completed", "stopped"} == set(before["status"])
    assert after[["status", "score", "epochs"]].equals(before[["status", "score", "epochs"]])


def test_a_bracket_that_was_not_full_races_again_when_it_is(search, resume, trained):
    options = RUNGS | {"bracket": 4}
    whole = search("whole", **options | {"trials": 8})
    search("part", **options | {"trials": 6})
    trained.clear()
    assert tables_of(resume("part", trials=8)) == tables_of(whole)
    assert not trained & {0, 1, 2, 3}


def test_more_repeats_of_a_race_are_those_of_one_that_had_them_from_the_start(
    search, resume, trained
):
    options = RUNGS | {"bracket": 4, "trials": 8}
    whole = search("whole", **options | {"repeats": 4})
    stopped_at_rungs = whole.trials[whole.trials["epochs"] < 3]["trial"]
    search("part", **options)
    trained.clear()
    assert tables_of(resume("part", repeats=4)) == tables_of(whole)
    assert not trained & set(stopped_at_rungs)


def test_a_run_that_began_before_there_were_brackets_or_races_goes_on_as_it_began(search, resume):
    for name, options, left_out in (
        ("off", {"race": "off", "bracket": 1_000_000}, {"race", "rungs", "bracket"}),
        ("rungs", RUNGS | {"bracket": 1_000_000}, {"bracket"}),
    ):
        budget = options | {"epochs": 3}
        whole = search(f"whole {name}", **budget | {"trials": 8, "repeats": 3})
        run = search(name, **budget | {"trials": 6, "repeats": 2})
        with Journal.open(run.path / "journal.sqlite") as journal:
            was = journal.settings
            kept = {k: v for k, v in was["options"].items() if k not in left_out}
            journal.update(was | {"options": kept})
        assert tables_of(resume(name, trials=8, repeats=3)) == tables_of(whole)


def test_a_search_races_where_nothing_else_is_asked_and_goes_on_to_the_same_tables(search, resume):
    options = {"race": "auto", "rungs": None, "trials": 8, "epochs": 9, "repeats": 2}
    whole = search("whole", **options, observer=(notes := Notes()))
    assert (whole.settings["race"], whole.settings["rungs"]) == ("corrected-t", 2)
    assert sorted(whole.trials["epochs"]) == [3] * 5 + [9] * 3
    [said] = [text for text in notes.texts if text.startswith("Race: ")]
    assert said.endswith("--race off --rungs 1 trains all to the end.")
    with pytest.raises(KeyboardInterrupt):
        search("part", **options, observer=Notes(4))
    assert tables_of(resume("part")) == tables_of(whole)


def test_a_run_that_grows_keeps_the_race_that_it_took(search, resume):
    open_ = {"race": "auto", "rungs": None, "epochs": 9, "repeats": 2}
    grown = search("part", **open_ | {"trials": 3})
    assert (grown.settings["race"], grown.settings["rungs"]) == ("off", 1)
    assert set(resume("part", trials=8).trials["status"]) == {"completed"}


# -- until it is decided


def test_the_leaders_get_repeats_until_the_winner_is_clear_or_tied(search, folder):
    notes = Notes()
    run = search("decided", until_decided=True, repeats=2, max_repeats=8, observer=notes)
    said = [text for text in notes.texts if "ecided after" in text]
    rounds = [text for text in said if text.startswith("Not decided") and "get one more" in text]
    assert rounds, "some must get more"
    n_folds = run.trials.set_index("trial")["n_folds"]
    assert n_folds.max() == 6 + 3 * len(rounds)
    assert n_folds.min() == 6, "those that the winner clearly beats get none"
    ranked = run.trials.dropna(subset="rank").sort_values("rank")
    assert ranked["n_folds"].is_monotonic_decreasing
    assert run.best["trial"] == ranked.iloc[0]["trial"]
    assert len(run.predictions) == 45 * n_folds.max() / 3


# -- what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"race": "fast"}, "`race` is one of auto, off, forgiving, corrected-t; received 'fast'"),
        ({"race": "forgiving", "repeats": 1}, r"there is one; received --race forgiving"),
        ({"rungs": 4, "epochs": 9}, "so 9 epochs allow at most 3; received --rungs 4"),
        ({"rungs": 0}, "`rungs` must be a whole number of at least 1"),
        ({"until_decided": True, "max_repeats": 3}, "must be above --repeats; received 3 and 3"),
        ({"max_repeats": 5}, "--until-decided goes, which is missing; received --max-repeats 5"),
        ({"rungs": 10**6, "epochs": 9}, "allow at most 3"),
        ({"race": "forgiving", "patience": 3}, "which --race would take apart"),
        ({"rungs": 2, "patience": 3}, "which --rungs would take apart"),
        ({"until_decided": True, "patience": 3}, "which --until-decided would take apart"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        hpsearch.Search("mlp", **{"repeats": 3} | options)


def test_a_split_without_repeats_leaves_nothing_to_race_over(folder):
    table = visits().assign(day=pd.date_range("2020-01-01", periods=45))
    data = hpsearch.load(table, target="ill", time="day")
    with pytest.raises(OptionError, match="This split has one repeat"):
        hpsearch.Search("mlp", race="forgiving", out=folder / "time").run(data)


# -- what decides, on scores that are given


class Candidates:
    """A journal that knows the candidates."""

    def units(self, trial):
        return [SimpleNamespace(unit=SimpleNamespace(candidate=Candidate(trial, {})))]


class GivenScores:
    """A session whose trials have the given losses, fold by fold; None for one that fails."""

    def __init__(self, losses, folds):
        self.losses = losses
        self.data = SimpleNamespace(folds=folds)
        options = SimpleNamespace(metrics=("log_loss",))
        self.plan = SimpleNamespace(options=options)

    def score(self, candidates, journal, observer, stage):
        for candidate in candidates:
            losses = self.losses[candidate.trial][: len(stage.folds)]
            failed = None in losses
            rows = [] if failed else [{"val_log_loss": loss} for loss in losses]
            row = {"trial": candidate.trial, "status": "failed" if failed else "completed"}
            row["score"] = None if failed else float(np.mean(losses))
            folds = tuple(stage.folds)
            yield TrialResult(candidate, row, tuple(rows), asked=candidate, positions=folds)

    def finish(self, trial, stage, journal):
        return None


def racing_on(losses, n_folds, n_repeats, rule="forgiving", all_repeats=None):
    rows = np.arange(10)
    folds = [
        Fold(repeat, fold, rows[:8], rows[8:])
        for repeat in range(all_repeats or n_repeats)
        for fold in range(n_folds)
    ]
    notes = Notes()
    return Racing(GivenScores(losses, folds), Candidates(), notes, rule, n_repeats), notes


def ended_trial(racing, number, n_folds):
    [trial] = racing.session.score(
        [Candidate(number, {})], None, None, Stage(tuple(range(n_folds)))
    )
    return trial


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_leaders_that_tie_are_told_apart_by_their_numbers_not_by_their_arrival(order):
    flat, wide, new = [0.25] * 4, [0.0, 0.5] * 2, [0.3] * 4
    racing, _ = racing_on([flat, wide, new], n_folds=2, n_repeats=2)
    earlier = [ended_trial(racing, number, 4) for number in order]
    [trial] = racing.score([Candidate(2, {})], 1, earlier)
    assert trial.status == "stopped", "its mean is worse than the worst fold of trial 0"


def test_where_a_leader_fails_in_another_repeat_all_others_play_again():
    a = [0.1, 0.1, 0.1, 0.1, None, None]
    b = [0.1114 + 0.01 * (-1) ** i for i in range(6)]
    c = [0.2 + 0.01 * (-1) ** i for i in range(6)]
    racing, notes = racing_on([a, b, c], n_folds=2, n_repeats=2, all_repeats=3)
    trials = [ended_trial(racing, number, 4) for number in range(3)]
    rounds = [[t.candidate.trial for t in round_] for round_ in racing.play_off(trials, 3, 1)]
    assert rounds == [[0, 1], [1, 2]]
    assert any("Failed in another repeat: trials 0" in text for text in notes.texts)


def test_what_would_be_needed_is_said_where_the_budget_ends_first():
    a, b = [0.1] * 12, [0.1092 + 0.01 * (-1) ** i for i in range(12)]
    racing, notes = racing_on([a, b], n_folds=4, n_repeats=2, all_repeats=3)
    trials = [ended_trial(racing, number, 8) for number in range(2)]
    list(racing.play_off(trials, 3, 1))
    assert "Not decided after 2 repeats: 2 leaders" in notes.texts[0]
    assert "Not decided after 3 repeats" in notes.texts[-1]
