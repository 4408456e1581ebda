"""Ensembles of a search: who is a member, what is exported, what is promised, and going on."""

import io
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import hpsearch
from hpsearch.console.decided import decided_lines, decided_view
from hpsearch.console.ledger import LedgerView
from hpsearch.console.views import run_view
from hpsearch.engines.contract import NetworkWeights
from hpsearch.engines.failures import UntraceableError
from hpsearch.errors import BundleError, InputError, OptionError
from hpsearch.export.prediction import predict_rows
from hpsearch.export.refit import Refitted
from hpsearch.ledger import Ledger
from hpsearch.metrics import score
from hpsearch.report.estimates import promised
from hpsearch.scoring.fold_networks import FoldNetwork
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.budget import Budget
from hpsearch.search.ensembling import Ensembling, OfFold, _some_blocks, check_ensemble
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search
from hpsearch.space.space import Candidate

SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.3, {highest}, sampling="log")


def build(hp, problem):
    raise NotImplementedError
"""
BUDGET = {
    "trials": 5,
    "folds": 2,
    "repeats": 2,
    "epochs": 3,
    "batch_size": 12,
    "jobs": 1,
    "baselines": False,
    "engine": "pretended",
    "race": "off",
    "rungs": 1,
}
NESTED = {"nested": 2, "trials": 4, "repeats": 2, "batch_size": 4}
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv")


def flats(n=48, seed=0):
    rng = np.random.default_rng(seed)
    rooms, age = rng.normal(size=(2, n))
    rent = rooms * 9 - age + rng.normal(size=n)
    return pd.DataFrame({"rooms": rooms, "age": age, "rent": rent})


def data_of(frame=None, **options):
    return hpsearch.load(
        flats() if frame is None else frame, target="rent", name="flats", **options
    )


class Heard(SilentObserver):
    """Counts what is trained on folds."""

    def __init__(self):
        self.n_trained = 0

    def training_started(self):
        self.n_trained += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def search(pretend_here, folder):
    def search(name, data=None, *, highest=0.9, **options):
        space = folder / f"space_{str(highest).replace('.', '_')}.py"
        space.write_text(SPACE.format(highest=highest))
        with pretend_here():
            run = hpsearch.Search(space, **{**BUDGET, "out": folder / name, **options})
            return run.run(data or data_of())

    return search


@pytest.fixture(scope="module")
def single(search):
    """A run that exports one network."""
    return search("single", test_data=flats(30, seed=1))


@pytest.fixture(scope="module")
def nested(search):
    """A nested search that exports one network."""
    return search("nested", **NESTED)


@pytest.fixture(scope="module")
def weighted(search):
    """The same search, of which the best four trials are averaged."""
    return search("weighted", test_data=flats(30, seed=1), ensemble=4)


def files(run, names=TABLES):
    return {name: (run.path / name).read_bytes() for name in names}


@pytest.fixture
def of_rows(pretend_here):
    """What a run predicts for new rows."""

    def predict(run, rows=None):
        with pretend_here():
            return predict_rows(run, flats(20, seed=2) if rows is None else rows).frame["rent"]

    return predict


def test_the_best_trials_are_members_with_shares_of_one(weighted):
    ensemble = weighted.ledger.decided.ensemble
    scored = weighted.trials.sort_values("score")["trial"].tolist()
    assert ensemble.kind == "trials"
    assert {member.trial for member in ensemble.members} <= {*scored[:4]}
    assert sum(member.weight for member in ensemble.members) == pytest.approx(1.0)
    assert len(ensemble.members) == ensemble.n_networks > 1
    assert ensemble.n_params == 9 * ensemble.n_networks


def test_the_tables_are_those_of_the_search_without_it(single, weighted):
    assert files(single) == files(weighted)
    assert single.ledger.decided.ensemble is None


def test_what_is_promised_and_tested_is_the_mean(single, weighted, of_rows):
    ensemble, ledger = weighted.ledger.decided.ensemble, weighted.ledger
    assert (ledger.promise.value, ledger.promise.low) == (ensemble.value, ensemble.low)
    assert ensemble.single == ledger.bias_corrected.value == single.ledger.bias_corrected.value
    assert ensemble.value + ensemble.gain == pytest.approx(ensemble.single)
    assert ensemble.gain_low <= ensemble.gain <= ensemble.gain_high
    assert ledger.test.value != single.ledger.test.value
    truth, test = flats(30, seed=1)["rent"], weighted.best["test"]
    predicted = of_rows(weighted, flats(30, seed=1))
    assert test["rmse"] == pytest.approx(float(np.sqrt(np.mean((predicted - truth) ** 2))))


def test_the_report_and_the_card_expect_what_is_promised(weighted):
    ledger = weighted.ledger
    expected = promised(weighted.best, ledger)
    assert (expected.key, expected.value) == ("ensemble", ledger.promise.value)
    card = (weighted.path / "model_card.md").read_text()
    assert f"Expect a mae of about {expected.shown} on new rows" in card
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(LedgerView(ledger, weighted.best["metrics"]))
    [row] = [line for line in console.export_text().splitlines() if "networks, corrected" in line]
    assert row.split()[5] == expected.shown


def test_it_is_shown_on_a_terminal_in_the_report_and_in_the_card(weighted):
    ensemble = weighted.ledger.decided.ensemble
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(decided_view(weighted.ledger.decided), *decided_lines(weighted.ledger.decided))
    shown = console.export_text()
    page = (weighted.path / "report.html").read_text()
    card = (weighted.path / "model_card.md").read_text()
    for text in (shown, page, card):
        assert f"the weighted mean of the networks of trial {ensemble.members[0].trial}" in text
        assert "one network" in text
        assert f"{ensemble.n_params:,} parameters" in text
    assert weighted.manifest["ensemble"]["members"][0]["weight"] == ensemble.members[0].weight


def test_a_comparison_says_that_single_networks_are_compared(single, weighted):
    [note] = hpsearch.compare(single, weighted).notes
    assert note.startswith(f"{weighted.path} exports the weighted mean of the networks of trial ")
    assert note.endswith(f"compared is one network of trial {weighted.best['trial']}.")


def test_the_ledger_is_read_back(weighted):
    ledger = weighted.ledger
    assert Ledger.from_json(ledger.to_json()) == ledger


def test_going_on_with_a_finished_run_trains_what_is_exported_alone(
    search, single, weighted, pretend_here
):
    run = search("later", test_data=flats(30, seed=1))
    heard = Heard()
    with pretend_here():
        again = hpsearch.resume(
            run.path, data_of(), test_data=flats(30, seed=1), ensemble=4, observer=heard
        )
    assert heard.n_trained == 0
    names = (*TABLES, "best.json", "model.keras")
    assert files(again, names) == files(weighted, names)
    with pretend_here():
        back = hpsearch.resume(run.path, data_of(), test_data=flats(30, seed=1), ensemble="none")
    assert files(back, names) == files(single, names)


def test_networks_of_all_folds_are_averaged_evenly(search, single, of_rows):
    run = search("folds", ensemble="folds", test_data=flats(30, seed=1))
    ensemble = run.ledger.decided.ensemble
    [member] = ensemble.members
    assert (member.trial, member.weight, member.n_networks) == (single.best["trial"], 1.0, 4)
    assert ensemble.n_averaged == 2
    assert "of the mean of 2 networks" in ensemble.notes[0]
    assert ensemble.naive < ensemble.single_naive
    assert not np.allclose(of_rows(run), of_rows(single))


def test_networks_of_several_seeds_are_averaged(search, single, of_rows):
    run = search("seeds", ensemble="seeds", test_data=flats(30, seed=1))
    ensemble = run.ledger.decided.ensemble
    assert ensemble.n_networks == ensemble.n_averaged == 2
    assert not ensemble.notes
    assert run.ledger.promise.value == ensemble.value
    assert not np.allclose(of_rows(run), of_rows(single), rtol=1e-9)


def test_rows_weigh_in_what_the_mean_scores(search):
    frame = flats().assign(weight=np.linspace(0.1, 2.0, 48))
    run = search("weighing", data_of(frame, sample_weight="weight"), ensemble="seeds", trials=2)
    told = run.predictions.groupby("row").agg({"y_true": "first", "y_pred": "mean"})
    off = (told["y_true"] - told["y_pred"]).abs()
    expected = np.average(off, weights=frame["weight"])
    assert run.ledger.decided.ensemble.naive == pytest.approx(expected, rel=1e-6)
    assert expected != pytest.approx(off.mean(), rel=1e-3)


def test_with_one_repeat_nothing_measures_what_averaging_brings(search):
    run = search("once", ensemble="seeds", repeats=1, trials=2)
    ensemble = run.ledger.decided.ensemble
    assert ensemble.n_networks == 3
    assert ensemble.missing.endswith("Raise --repeats.")
    assert ensemble.value is None
    assert run.ledger.promise.value == run.ledger.bias_corrected.value


def test_of_holdouts_more_repeats_measure_nothing_either(search):
    run = search("hold-outs", ensemble="seeds", folds=1, repeats=2, test_size=0.25, trials=2)
    assert run.ledger.decided.ensemble.missing.endswith("Take --folds 2 or more.")


def test_no_more_trials_are_averaged_than_were_scored_to_the_end(search):
    run = search("failed", ensemble=6, trials=6, highest=3.0)
    ensemble = run.ledger.decided.ensemble
    n_completed = int((run.trials["status"] == "completed").sum())
    assert n_completed < 6
    assert f"{n_completed} trials were scored to the end" in ensemble.notes[0]


@pytest.mark.parametrize("ensemble", ["folds", "seeds", 4])
def test_searches_in_outer_folds_average_too(ensemble, search, nested):
    options = {**NESTED, "ensemble": ensemble}
    averaged = search(f"nested-{ensemble}", **options)
    outer = [run.nested["outer_score"].to_numpy() for run in (nested, averaged)]
    assert (outer[0] != outer[1]).any()
    assert averaged.ledger.promise.source == "nested"
    assert averaged.ledger.promise.value == pytest.approx(outer[1].mean())


def test_a_network_of_a_fold_waits_for_the_keras_that_trained_it():
    trained = NetworkWeights("fused", ())
    member = OfFold(Candidate(0, {}), FoldNetwork(0, trained, np.zeros(1)), 1.0)
    with pytest.raises(UntraceableError, match="trained by the other engine"):
        member.made(None, None)  # in this process Keras is on TensorFlow


@pytest.mark.parametrize("ensemble", [4, "seeds"])
def test_calibrator_and_threshold_are_of_what_the_ensemble_predicts(ensemble, search):
    frame = flats(60)
    noise = np.random.default_rng(5).normal(size=60)
    frame["rent"] = np.where(frame["rooms"] + 2 * noise > 1, "high", "low")
    data = data_of(frame)
    options = {"trials": 4, "threshold": "f1", "calibrate": "temperature", "batch_size": 2}
    alone = search(f"cut-{ensemble}-alone", data, **options)
    run = search(f"cut-{ensemble}", data, ensemble=ensemble, **options)
    decided, single = run.ledger.decided, alone.ledger.decided
    assert decided.ensemble.n_networks > 1
    assert decided.threshold.figures[0].value is not None
    assert decided.threshold.cuts[0] != single.threshold.cuts[0]
    assert decided.calibration.calibrator != single.calibration.calibrator
    assert run.ledger.promise.value == decided.ensemble.value
    assert files(run) == files(alone)


def test_decisions_are_of_the_trial_that_is_exported_alone_though_another_was_selected(
    search, monkeypatch
):
    heard, out_of_fold = [], Ensembling.out_of_fold
    monkeypatch.setattr(
        Ensembling, "out_of_fold", lambda self: heard.append(out_of_fold(self)) or heard[-1]
    )
    looked_at = {"modes": None, "learning_rate": {"peak": 0.5, "last": 0.5}}
    monkeypatch.setattr("hpsearch.export.refit.Refitted", partial(Refitted, inspected=looked_at))
    run = search("other", metric="spearman", ensemble=2, trials=4, seed=5)
    ensemble, out = run.ledger.decided.ensemble, heard[0]
    [member] = ensemble.members
    assert member.trial != run.best["trial"]
    scores = [score("spearman", out.y, each, kind="regression") for each in out.predictions]
    assert np.mean(scores) == pytest.approx(ensemble.naive)
    assert ensemble.naive != pytest.approx(ensemble.single_naive)
    assert ensemble.costs.startswith("The file has 1 network with ")
    assert ensemble.notes[1].endswith(f"better than the selected trial {run.best['trial']}.")
    assert run.best["learning_rate"] is None, "that of another trial's network"


# -- what is refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "averages 2 to 100 trials; received 0"),
        (1, "averages 2 to 100 trials; received 1"),
        ("-3", "averages 2 to 100 trials; received -3"),
        (101, "averages 2 to 100 trials; received 101"),
        ("all", "folds, seeds, none or how many.*received 'all'"),
        (True, "folds, seeds, none or how many.*received True"),
        (2.5, "folds, seeds, none or how many.*received 2.5"),
        ([3], r"folds, seeds, none or how many.*received \[3\]"),
    ],
)
def test_what_is_no_ensemble_is_refused(value, message):
    with pytest.raises(OptionError, match=message):
        Options(ensemble=value)


@pytest.mark.parametrize(
    ("given", "value"),
    [("none", None), (None, None), ("5", 5), (np.int64(5), 5), ("seeds", "seeds")],
)
def test_an_ensemble_is_a_word_or_a_number(given, value):
    assert Options(ensemble=given).ensemble == value


def planned(frame, loading=(), **options):
    return plan_search(
        Options(ensemble="folds", folds=2, **options), data_of(frame, **dict(loading))
    )


def test_more_trials_than_there_are_are_refused_unless_time_limits_them():
    plan = planned(flats(), trials=5)
    with pytest.raises(OptionError, match="there are 5; received --ensemble 6"):
        check_ensemble(replace(plan, options=replace(plan.options, ensemble=6)))
    asked = Budget(1.0, started=5, trials=6, until_decided=False, max_repeats=10)
    check_ensemble(replace(plan, options=replace(plan.options, ensemble=6), budget=asked))


def test_the_network_of_a_single_fold_is_no_ensemble():
    asked = Options(ensemble="folds", folds=1, repeats=1, test_size=0.25)
    with pytest.raises(OptionError, match="there is one fold"):
        check_ensemble(plan_search(asked, data_of()))


def test_folds_in_time_order_are_not_averaged():
    frame = flats().assign(day=pd.date_range("2026-01-01", periods=48))
    with pytest.raises(OptionError, match="in time order those of early folds know little"):
        check_ensemble(planned(frame, {"time": "day"}, repeats=1))


@pytest.mark.parametrize("kind", ["text", "words"])
def test_folds_that_know_other_words_are_not_averaged(kind):
    words = np.random.default_rng(0).choice(["old", "new", "bright", "dark"], (48, 6))
    frame = flats().assign(note=[" ".join(each) for each in words])
    plan = planned(frame, {"text": "note"})
    columns = [
        replace(c, kind=kind) if c.name == "note" else c for c in plan.dataset.schema.columns
    ]
    schema = replace(plan.dataset.schema, columns=tuple(columns))
    with pytest.raises(OptionError, match="know different ones of the column 'note'"):
        check_ensemble(replace(plan, dataset=replace(plan.dataset, schema=schema)))


def test_more_networks_than_a_file_should_hold_are_refused():
    with pytest.raises(OptionError, match=r"at most 100 networks; `--ensemble folds` asks for 102"):
        check_ensemble(planned(flats(), repeats=51))


def test_a_file_that_would_be_too_large_ends_the_run_with_a_way_on(
    search, folder, monkeypatch, pretend_here
):
    monkeypatch.setattr("hpsearch.search.ensembling.MOST_BYTES", 4 * 5)
    with pytest.raises(BundleError, match=r"6 parameters.*resume the run with --ensemble none"):
        search("large", ensemble="seeds", trials=2)
    with pretend_here():
        run = hpsearch.resume(folder / "large", data_of(), ensemble="none")
    assert run.ledger.decided.ensemble is None


def test_default_networks_that_are_too_large_are_refused_before_training(search, monkeypatch):
    from tests import pretended

    large = replace(pretended.ENGINE.probe(), n_params=10**9)
    monkeypatch.setattr("hpsearch.scoring.crew.Crew.try_space", lambda *_: large)
    with pytest.raises(InputError, match=r"2,000,000,000 parameters, 7\.5 GB.*a smaller space"):
        search("huge", ensemble="seeds", trials=2)


def test_blocks_are_taken_whole():
    blocks = np.repeat(np.arange(20), 5)
    found = _some_blocks(blocks, 37, seed=0)
    assert len(found) % 5 == 0
    assert 30 <= len(found) <= 45
    assert len(np.unique(blocks[found])) * 5 == len(found)
    assert _some_blocks(blocks, 100, seed=0).tolist() == list(range(100))


# -- the real thing


def build(hp, problem):
    import keras

    hp.Float("rate", 0.01, 0.1)
    model = keras.Sequential(
        [keras.Input(problem.input_shape), keras.layers.Dense(1, problem.output_activation)]
    )
    model.compile(keras.optimizers.SGD(hp.get("rate")), problem.loss)
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_networks_of_folds_go_into_one_file_that_predicts_their_mean(train_here, tmp_path):
    options = {**BUDGET, "trials": 1, "repeats": 1, "engine": "reference", "ensemble": "folds"}
    with train_here():
        run = hpsearch.Search(build, **options, out=tmp_path / "run").run(data_of())
    assert run.ledger.decided.ensemble.n_params == 2 * 3
    told = run.predictions.set_index("row")
    assert len(told) == 48
    layers = [layer.name for layer in hpsearch.load_model(run).layers]
    assert {"member_0", "member_1"} <= {*layers}
    timed = run.predicting
    assert timed["model"].tolist() == ["exported", "one network"]
    assert (timed["seconds"] > 0).all()
    assert "predicting.csv" not in run.best["sha256"]
    assert "Predicting 48 rows at once took" in (run.path / "report.html").read_text()
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(run_view(run))
    assert "ms with one network" in console.export_text()
