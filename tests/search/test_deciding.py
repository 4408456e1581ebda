"""Decisions of whole searches: what they leave, and that they survive what a run goes through."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.decisions.calibrators import calibrator_in
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import figures_at
from hpsearch.errors import ModelFileError, OptionError
from hpsearch.export.prediction import predict_rows
from hpsearch.ledger import BiasCorrection, Ledger
from hpsearch.report import model_card_text
from hpsearch.search.deciding import Deciding
from hpsearch.search.options import Options

SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.2, 0.4])


def build(hp, problem):
    raise NotImplementedError
"""
BUDGET = {"trials": 2, "folds": 2, "repeats": 2, "epochs": 3, "batch_size": 12, "jobs": 1}
ASKED = {"engine": "pretended", "baselines": False, **BUDGET}


def loans(n=120, seed=0):
    rng = np.random.default_rng(seed)
    income, debt = rng.normal(size=(2, n))
    bad = debt - income + rng.normal(size=n) > 1.8
    return pd.DataFrame({"income": income, "debt": debt, "paid": np.where(bad, "bad", "good")})


DATA = hpsearch.load(loans(), target="paid", name="loans")


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.py"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def search(pretend_here, space, tmp_path_factory):
    def search(data=DATA, **options):
        with pretend_here():
            out = tmp_path_factory.mktemp("run") / "run"
            return hpsearch.Search(space, **{**ASKED, "out": out, **options}).run(data)

    return search


@pytest.fixture(scope="module")
def run(search):
    return search(threshold="f1", test_size=0.25, nested=2)


def threshold_of(run):
    return run.ledger.decided.threshold


def test_a_run_without_decisions_says_nothing_of_them(search):
    plain = search(threshold=None)
    assert plain.ledger.decided.for_predicting == {}
    assert "threshold" not in plain.manifest["decisions"]
    assert "Threshold" not in (plain.path / "model_card.md").read_text()


def test_the_threshold_is_that_of_the_out_of_fold_predictions(run):
    table = run.predictions.sort_values(["repeat", "row"])
    p = np.stack([part["y_pred"].to_numpy() for _, part in table.groupby("repeat")])
    y = (table[table["repeat"] == 0]["y_true"] == "good").to_numpy().astype(int)
    threshold = threshold_of(run)
    found = figures_at(ThresholdRule.of("f1"), threshold.values, y, p)
    assert_allclose(threshold.figures[0].naive, found["f1"])
    assert threshold.is_of_search
    assert threshold.n_bootstraps + threshold.n_skipped == run.ledger.bias_corrected.n_bootstraps


def test_it_stands_in_the_model_and_predicts(run, pretend_here):
    [value] = threshold_of(run).values
    said = {"rule": "f1", "labels": ["good"], "values": [value]}
    assert run.manifest["decisions"]["threshold"] == said
    with pretend_here():
        predicted = predict_rows(run, loans()).frame
    assert (predicted["prediction"] == "good").equals(predicted["probability.good"] >= value)


def test_test_rows_and_outer_folds_are_scored_at_the_threshold(run):
    threshold = threshold_of(run)
    assert all(figure.test is not None for figure in threshold.figures)
    outer = run.nested
    assert set(outer.columns) >= {"threshold", "threshold_score"}
    assert_allclose(threshold.nested, outer["threshold_score"].mean())
    assert [list(fold.thresholds) for fold in run.ledger.nested.folds] == [
        [value] for value in outer["threshold"]
    ]


def test_the_ledger_reads_back(run):
    written = json.loads((run.path / "best.json").read_text())["ledger"]
    assert Ledger.from_json(written).decided == run.ledger.decided


def test_card_and_report_show_it(run):
    text = model_card_text(run.settings, run.best, run.manifest, run.ledger)
    [value] = threshold_of(run).values
    assert f"'good' from {value:.4g} on" in text
    page = run.report().read_text(encoding="utf-8")
    assert "What was decided with it" in page
    assert '"kind": "thresholds"' in page or '"kind":"thresholds"' in page


def test_a_finished_run_takes_another_threshold_and_trains_nothing(search, pretend_here, pretended):
    first = search(threshold="f1")
    tables = {path.name: path.read_bytes() for path in first.path.glob("*.csv")}
    with pretend_here(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretended.PretendedEngine, "train", staticmethod(_no_training))
        again = hpsearch.resume(first.path, DATA, threshold="recall>=0.95")
        threshold = threshold_of(again)
        assert threshold.rule == "recall>=0.95"
        said = again.manifest["decisions"]["threshold"]
        assert said["values"] == list(threshold.values)
        assert threshold_of(hpsearch.resume(first.path, DATA)) == threshold
        none = hpsearch.resume(first.path, DATA, threshold="none")
    assert threshold_of(none) is None
    assert "threshold" not in none.manifest["decisions"]
    assert {path.name: path.read_bytes() for path in none.path.glob("*.csv")} == tables


def _no_training(task):
    raise AssertionError("a trial was trained again")


def test_what_is_asked_later_is_what_would_have_been_asked(search, pretend_here):
    first, other = search(), search(threshold="mcc")
    with pretend_here():
        later = hpsearch.resume(first.path, DATA, threshold="mcc")
    assert later.ledger.to_json() == other.ledger.to_json()
    assert later.manifest == other.manifest


def test_with_one_trial_the_choice_of_the_threshold_is_corrected_for(search):
    threshold = threshold_of(search(trials=1, epochs=1, threshold="f1"))
    assert threshold.n_bootstraps > 500
    assert threshold.figures[0].value is not None


def test_where_the_selection_has_no_bootstrap_the_threshold_has_its_own():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 80), rng.random((2, 80))
    there = OutOfFold(DATA.target, y, p, np.zeros((2, 80), int), np.arange(80), np.arange(80) // 2)
    single = SimpleNamespace(out_of_fold=lambda: there, record=lambda corrected: None)
    books = SimpleNamespace(seed=0, dataset=SimpleNamespace(time=None))
    deciding = Deciding(ThresholdRule.of("f1"), books, single, Options())
    threshold = deciding.decided(BiasCorrection(missing="None."), None, None, None).threshold
    assert not threshold.is_of_search
    assert threshold.n_bootstraps == 1000
    assert threshold.figures[0].value < threshold.figures[0].naive
    assert "choosing threshold alone" in " ".join(threshold.remarks())


def test_several_labels_have_a_threshold_each(search, pretend_here):
    frame = loans().assign(late=lambda f: (f["debt"] > 1).astype(int))
    frame["bad"] = (frame.pop("paid") == "bad").astype(int)
    data = hpsearch.load(frame, target=["bad", "late"], name="labels")
    made = search(data, threshold="f1")
    values = threshold_of(made).values
    with pretend_here():
        predicted = hpsearch.predict(made, frame)
    for name, value in zip(("bad", "late"), values, strict=True):
        assert (predicted[name] == 1).equals(predicted[f"probability.{name}"] >= value)


@pytest.fixture(scope="module")
def plain(search):
    return search(test_size=0.25, nested=2)


@pytest.fixture(scope="module")
def calibrated(search):
    return search(calibrate="platt", threshold="f1", test_size=0.25, nested=2)


def test_a_calibrated_model_gives_what_its_calibrator_makes_of_it(plain, calibrated, pretend_here):
    calibrator = calibrator_in(calibrated.manifest["decisions"])
    assert calibrator == calibrated.ledger.decided.calibration.calibrator
    with pretend_here():
        raw, made = (predict_rows(run, loans()).frame for run in (plain, calibrated))
    wanted = calibrator.predictions(raw["probability.good"].to_numpy())
    assert_allclose(made["probability.good"], wanted, atol=1e-6)
    [value] = threshold_of(calibrated).values
    assert (made["prediction"] == "good").equals(made["probability.good"] >= value)


def test_tables_stay_and_what_is_promised_is_of_the_calibrated_model(plain, calibrated):
    for name in ("trials.csv", "folds.csv", "curves.csv", "predictions.csv"):
        assert (plain.path / name).read_bytes() == (calibrated.path / name).read_bytes()
    before, after = plain.ledger, calibrated.ledger
    assert after.mean == before.mean
    assert after.bias_corrected.naive == before.bias_corrected.naive
    assert after.bias_corrected.value != before.bias_corrected.value
    assert after.test.value != before.test.value
    assert [fold.inner_score for fold in after.nested.folds] == [
        fold.inner_score for fold in before.nested.folds
    ]
    assert after.nested.value != before.nested.value


def test_the_threshold_is_one_of_calibrated_predictions(calibrated):
    table = calibrated.predictions.sort_values(["repeat", "row"])
    p = np.stack([part["y_pred"].to_numpy() for _, part in table.groupby("repeat")])
    y = (table[table["repeat"] == 0]["y_true"] == "good").to_numpy().astype(int)
    calibrator = calibrated.ledger.decided.calibration.calibrator
    threshold = threshold_of(calibrated)
    found = figures_at(ThresholdRule.of("f1"), threshold.values, y, calibrator.predictions(p))
    assert_allclose(threshold.figures[0].naive, found["f1"])
    assert threshold.n_bootstraps > 500


def test_a_finished_run_is_calibrated_later(search, calibrated, pretend_here):
    later = search(test_size=0.25, nested=2)
    with pretend_here():
        later = hpsearch.resume(later.path, DATA, calibrate="platt", threshold="f1")
    assert later.ledger.to_json() == calibrated.ledger.to_json()
    assert later.manifest == calibrated.manifest
    page = later.report().read_text(encoding="utf-8")
    assert "Probabilities are calibrated inside the model" in page
    assert "Probabilities are calibrated inside" in (later.path / "model_card.md").read_text()


def test_three_classes_are_calibrated_and_auto_may_leave_them(search, pretend_here):
    frame = loans()
    frame["paid"] = np.digitize(frame["debt"] + 0.5 * frame["income"], [-0.5, 0.5]).astype(str)
    data = hpsearch.load(frame, target="paid", name="classes")
    made = search(data, calibrate="temperature")
    assert len(made.ledger.decided.calibration.calibrator.slopes) == 1
    with pretend_here():
        said = predict_rows(made, frame).frame.filter(like="probability.")
    assert_allclose(said.sum(axis=1), 1, atol=1e-6)
    left = search(data, calibrate="auto").ledger.decided.calibration
    assert left.is_kept == (left.gain_low > 0)


@pytest.mark.parametrize(("weigh_scores", "method"), [(True, "temperature"), (False, "platt")])
def test_weights_in_the_loss_alone_move_shares_so_that_auto_has_an_intercept(
    search, weigh_scores, method
):
    frame = loans().assign(w=1.0 + np.arange(len(loans())) % 3)
    data = hpsearch.load(frame, target="paid", name="weighed", sample_weight="w")
    made = search(data, calibrate="auto", trials=1, weigh_scores=weigh_scores)
    assert made.ledger.decided.calibration.method == method


@pytest.mark.parametrize("ensemble", ["seeds", 2])
def test_an_ensembles_mean_is_calibrated_and_has_the_threshold(search, pretend_here, ensemble):
    alone = search(ensemble=ensemble, epochs=6)
    made = search(ensemble=ensemble, epochs=6, calibrate="platt", threshold="f1")
    decided, calibrator = made.ledger.decided, calibrator_in(made.manifest["decisions"])
    assert decided.threshold.n_bootstraps >= 50
    assert decided.ensemble.value == made.ledger.promise.value
    assert decided.ensemble.value != alone.ledger.decided.ensemble.value
    assert_allclose(decided.ensemble.gain, alone.ledger.decided.ensemble.gain)
    with pretend_here():
        raw, found = (predict_rows(run, loans()).frame["probability.good"] for run in (alone, made))
    assert_allclose(found, calibrator.predictions(raw.to_numpy()), atol=1e-6)


@pytest.mark.parametrize("values", [[0.1, 0.2], ["x"], [None], 0.3])
def test_a_damaged_threshold_is_told_in_a_line(run, pretend_here, tmp_path, values):
    path = shutil.copytree(run.path, tmp_path / "run")
    manifest = json.loads((path / "model.json").read_text())
    manifest["decisions"]["threshold"]["values"] = values
    (path / "model.json").write_text(json.dumps(manifest))
    best = json.loads((path / "best.json").read_text())
    del best["sha256"]
    (path / "best.json").write_text(json.dumps(best))
    with pretend_here(), pytest.raises(ModelFileError, match=r"model\.json"):
        hpsearch.predict(path, loans())


def test_a_number_has_no_threshold(search):
    data = hpsearch.load(loans().drop(columns="paid"), target="debt", name="debts")
    with pytest.raises(OptionError, match="must be binary or multilabel"):
        search(data, threshold="f1")
    with pytest.raises(OptionError, match="must have classes or labels"):
        search(data, calibrate="auto")
    with pytest.raises(OptionError, match="`calibrate` is one of auto, none, temperature"):
        search(calibrate="beta")
