"""The ledger at the end of a search: every problem type, each rule, and the same bytes again."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.errors import InputError, OptionError
from hpsearch.ledger import Ledger
from hpsearch.scoring.observer import SilentObserver
from hpsearch.stats import (
    RaceStep,
    bias_corrected_cv,
    bias_corrected_cv_of_epochs,
    bias_corrected_race,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 2, "folds": 2, "repeats": 2, "epochs": 3, "batch_size": 12, "jobs": 1}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
SIGNAL = X[:, 0]
TARGETS = {
    "binary": (SIGNAL > 0).astype(int),
    "multiclass": np.digitize(SIGNAL, [-0.4, 0.4]),
    "multilabel": np.stack([SIGNAL > 0, X[:, 1] > 0], axis=1).astype(int),
    "regression": np.stack([SIGNAL, X[:, 1]], axis=1),
    "share": 1 / (1 + np.exp(-SIGNAL)),
}


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.Choice("units", [2, 3, 4, 30]), "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), problem.loss, run_eagerly=True)
    return model


@pytest.fixture
def search(train_here, tmp_path):
    def search(data, name="run", space=build, **options):
        options = BUDGET | {"engine": "reference", "out": tmp_path / name} | options
        with train_here():
            return hpsearch.Search(space, **options).run(data)

    return search


@pytest.mark.parametrize("kind", TARGETS)
def test_every_problem_type_has_a_whole_ledger(search, kind):
    run = search(hpsearch.load(X, TARGETS[kind], task=kind), test_size=0.25)
    ledger = run.ledger
    assert ledger == Ledger.from_json(run.best["ledger"])
    assert ledger.metric == run.best["metric"]
    assert_allclose(ledger.mean.value, run.best["score"], rtol=1e-11)
    assert ledger.bias_corrected.missing == ""
    assert (ledger.bias_corrected.n_trials, ledger.bias_corrected.n_epochs) == (2, 3)
    assert ledger.bias_corrected.low <= ledger.bias_corrected.value <= ledger.bias_corrected.high
    assert ledger.promise.source == "bias_corrected"
    assert ledger.test.metrics == pytest.approx(run.best["test"])
    assert ledger.foldwise.n_trials == 2
    assert [baseline.missing for baseline in ledger.baselines] == [""] * 4
    assert len(run.baselines) == 4 * 4
    means = run.baselines.groupby("baseline")[f"val_{ledger.metric}"].mean()
    assert ledger.best_baseline.value == pytest.approx(
        means.max() if ledger.direction == "max" else means.min()
    )
    metrics = [column for column in run.baselines if column.startswith("val_")]
    assert np.isfinite(run.baselines[metrics].to_numpy()).all()
    assert ledger.variance is not None


def test_the_correction_is_that_of_the_trials_own_predictions(search):
    data = hpsearch.load(X, TARGETS["binary"], task="binary")
    run = search(data, trials=1, epochs=1)
    table = run.predictions.sort_values(["repeat", "row"])
    predictions = table["y_pred"].to_numpy().reshape(1, 2, 60)
    expected = bias_corrected_cv("log_loss", data.y, predictions, kind="binary")
    said = run.ledger.bias_corrected
    assert not said.of_epochs
    assert_allclose([said.value, said.low], [expected.estimate, expected.low], rtol=1e-6)
    assert_allclose(said.naive, run.best["score"], rtol=1e-6)


def test_the_kept_epochs_are_candidates_too(search):
    data = hpsearch.load(X, TARGETS["binary"], task="binary")
    run = search(data, trials=1, epochs=3)
    from hpsearch.results.journal import Journal

    with Journal.open(run.path / "journal.sqlite") as journal:
        folds = sorted(
            (fold for unit in journal.units(0) for fold in unit.folds), key=lambda f: f.position
        )
    predictions = np.zeros((1, 3, 2, 60), np.float32)
    rows = {
        (r, f): g["row"].to_numpy() for (r, f), g in run.predictions.groupby(["repeat", "fold"])
    }
    for fold, (repeat, number) in zip(folds, sorted(rows), strict=True):
        for epoch in (1, 2, 3):
            at = (0, epoch - 1, repeat, rows[repeat, number])
            predictions[at] = fold.predictions_after(epoch).ravel()
    curve = run.curves["val_log_loss"].to_numpy()
    order = [run.best["best_epoch"] - 1]
    order += [e for e in np.argsort(curve, kind="stable") if e not in order]
    expected = bias_corrected_cv_of_epochs("log_loss", data.y, predictions[:, order], kind="binary")
    said = run.ledger.bias_corrected
    assert (said.of_epochs, said.n_epochs) == (True, 3)
    assert_allclose([said.value, said.high], [expected.estimate, expected.high], rtol=1e-9)


def test_the_smallest_model_is_selected_where_that_is_asked(search, monkeypatch):
    monkeypatch.setattr(
        "hpsearch.scoring.trials.corrected_se", lambda s, *_: np.full(s.shape[:-1], 9.0)
    )
    data = hpsearch.load(X, SIGNAL, task="regression")
    budget = {"oracle": "grid", "trials": 4, "repeats": 1, "baselines": False}
    best = search(data, "best", **budget)
    simple = search(data, "simple", select="one-se", **budget)
    trials = simple.trials.set_index("trial")
    top = trials.loc[best.best["trial"]]
    near = trials[trials["score"] <= top["score"] + top["score_se"]]
    assert top["n_params"] > near["n_params"].min()  # else the rules agree
    assert simple.best["n_params"] == near["n_params"].min()
    assert simple.best["selected_by"]["rule"] == "one-se"
    assert simple.settings["select"] == "one-se"
    assert simple.trials["rank"].tolist() == best.trials["rank"].tolist()
    choice = simple.ledger.choice
    assert choice.best_trial == best.best["trial"]
    assert_allclose(choice.cost, simple.best["score"] - best.best["score"], rtol=1e-9)
    assert simple.predictions["y_pred"].tolist() != best.predictions["y_pred"].tolist()


def test_baselines_can_be_switched_off(search):
    run = search(hpsearch.load(X, TARGETS["binary"]), trials=1, baselines=False)
    assert run.baselines is None
    assert run.ledger.baselines == ()
    assert not (run.path / "baselines.csv").exists()


def test_a_hold_out_has_a_ledger_too(search):
    run = search(hpsearch.load(X, TARGETS["binary"]), folds=1, repeats=3, test_size=0.3)
    assert run.ledger.bias_corrected.value is not None
    assert run.ledger.bias_corrected.n_repeats == 3
    assert run.ledger.variance is None
    one = search(hpsearch.load(X, TARGETS["binary"]), "one", folds=1, repeats=1, trials=1)
    assert one.ledger.mean.corrected.se is None
    assert one.ledger.foldwise is None


def test_time_order_and_groups_draw_what_belongs_together(search):
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(y=SIGNAL, key=np.arange(60) // 3)
    timed = search(hpsearch.load(frame, target="y", time="key"), "timed", repeats=1, trials=1)
    assert timed.ledger.bias_corrected.blocks == "time spans"
    grouped = search(hpsearch.load(frame, target="y", groups="key"), "grouped", trials=1)
    assert grouped.ledger.bias_corrected.blocks == "groups"


def sometimes_failing(hp, problem):
    if hp.Choice("units", [2, 3]) == 3:
        raise RuntimeError("not this one")
    return build(hp, problem)


def test_a_failed_trial_takes_no_part_and_is_counted(search):
    data = hpsearch.load(X, TARGETS["binary"])
    run = search(data, space=sometimes_failing, oracle="grid", trials=2)
    said = run.ledger.bias_corrected
    assert (run.trials["status"] == "completed").sum() == said.n_trials == 1
    assert said.notes == ("1 trial that failed takes no part.",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"select": "worst"}, "`select` is best or one-se; received 'worst'"),
        ({"nested": 0}, "`nested` must be a whole number of at least 2"),
        ({"nested": 2.5}, "`nested` must be a whole number of at least 2"),
    ],
)
def test_options_without_a_meaning_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        hpsearch.Search(build, **options)


def test_a_damaged_ledger_is_refused_in_one_line(search):
    run = search(hpsearch.load(X, TARGETS["binary"]), trials=1, baselines=False)
    text = (run.path / "best.json").read_text().replace('"mean": {', '"mean": 3, "was": {')
    (run.path / "best.json").write_text(text)
    with pytest.raises(InputError, match="holds its ledger; the one in"):
        _ = hpsearch.open_run(run.path).ledger


NOISY = """
def declare(hp, problem):
    hp.Choice("rate", [0.7, 0.8, 0.9])


def build(hp, problem):
    raise NotImplementedError
"""


class Notes(SilentObserver):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def race(pretend_here, tmp_path):
    """A race of eight trials, two of which reach the end; options on top."""
    (tmp_path / "noisy.py").write_text(NOISY.replace("[0.7, ", "[0.1, 0.2, 0.3, 0.5, 0.6, 0.7, "))
    data = hpsearch.load(X, np.arange(60) % 2, name="noise")

    def race(name="race", **options):
        asked = BUDGET | {"epochs": 6, "trials": 8, "baselines": False, "oracle": "grid"}
        asked |= {"space": tmp_path / "noisy.py", "engine": "pretended", "rungs": 2}
        asked |= {"race": "off", "bracket": 4, "out": tmp_path / name}
        with pretend_here():
            return hpsearch.Search(**asked | options).run(data)

    return race


def test_trials_that_ended_early_take_part_in_the_steps_that_they_got_to(race):
    from hpsearch.results.journal import Journal

    run = race()
    ended = run.trials.set_index("trial")["epochs"].sort_index()
    assert sorted(ended) == [2] * 4 + [6] * 4
    rows = {
        key: part["row"].to_numpy() for key, part in run.predictions.groupby(["repeat", "fold"])
    }
    found = np.full((8, 6, 2, 60), np.nan)
    with Journal.open(run.path / "journal.sqlite") as journal:
        for trial in range(8):
            for fold in (fold for unit in journal.units(trial) for fold in unit.folds):
                repeat, number = divmod(fold.position, 2)
                for epoch in fold.predicted_epochs:
                    at = trial, epoch - 1, repeat, rows[repeat, number]
                    found[at] = fold.predictions_after(epoch)
    went_on = ended.to_numpy() == 6
    step = RaceStep(np.arange(8), found[:, :2, :1], went_on, np.arange(8) // 4)
    finals = np.flatnonzero(went_on)
    y = np.arange(60) % 2
    expected = bias_corrected_race("log_loss", y, found[finals], finals, [step], kind="binary")
    said = run.ledger.bias_corrected
    assert_allclose(
        [said.value, said.low, said.high], [expected.estimate, expected.low, expected.high]
    )
    assert finals[expected.trial] == run.best["trial"]
    assert_allclose(said.naive, run.best["score"], rtol=1e-6)
    assert (said.n_trials, said.n_epochs, said.n_repeats) == (8, 6, 2)
    assert said.notes == (
        "4 trials ended early: each sample runs every step of the race again, among the trials "
        "that got there.",
    )
    assert run.ledger.foldwise.n_trials == 8


def test_a_race_on_many_rows_is_corrected_by_the_best_epoch_of_each_rung(race, monkeypatch):
    monkeypatch.setattr("hpsearch.scoring.trials.KEPT_BYTES", 1)
    said = race().ledger.bias_corrected
    assert said.value is not None
    assert said.n_trials == 8
    assert (said.of_epochs, said.n_epochs) == (False, 1)
    assert any("The choice of the epoch is not corrected for" in note for note in said.notes)


@pytest.mark.parametrize("options", [{"select": "one-se"}, {"race": "corrected-t"}, {"nested": 2}])
def test_what_a_ledger_has_it_has_of_a_race_too(race, options):
    ledger = race(**options).ledger
    assert ledger.bias_corrected.n_trials == 8
    assert ledger.bias_corrected.low < ledger.bias_corrected.value < ledger.bias_corrected.high
    assert ledger.promise.source == ("nested" if "nested" in options else "bias_corrected")
    assert ledger.choice.rule == options.get("select", "best")


def test_more_repeats_give_the_ledger_of_one_run_although_predictions_were_let_go(
    pretend_here, tmp_path, monkeypatch
):
    (tmp_path / "noisy.py").write_text(NOISY)
    monkeypatch.setattr("hpsearch.scoring.trials.KEPT_BYTES", 1)
    data = hpsearch.load(X, np.arange(60) % 2, name="noise")
    options = BUDGET | {"epochs": 8, "trials": 3, "baselines": False, "oracle": "grid"}
    options |= {"space": tmp_path / "noisy.py", "engine": "pretended", "batch_size": 1}
    notes = Notes()
    with pretend_here():
        whole = hpsearch.Search(**options, out=tmp_path / "whole").run(data)
        hpsearch.Search(**options | {"repeats": 1}, out=tmp_path / "part").run(data)
        grown = hpsearch.resume(tmp_path / "part", data, repeats=2, observer=notes)
    assert any("they are made again" in text for text in notes.texts)
    assert grown.ledger == whole.ledger
    assert grown.ledger.bias_corrected.n_trials == 3
    assert not grown.ledger.bias_corrected.of_epochs
    assert "too few epochs' predictions are kept" in grown.ledger.bias_corrected.notes[0]
