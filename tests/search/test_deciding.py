"""Decisions of whole searches: what they leave, and that they survive what a run goes through."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import figures_at
from hpsearch.errors import ModelFileError, OptionError
from hpsearch.export.prediction import predict_rows
from hpsearch.ledger import BiasCorrection, Ledger
from hpsearch.report import model_card_text
from hpsearch.search.deciding import Deciding

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
        same = hpsearch.resume(first.path, DATA)
    threshold = threshold_of(again)
    assert threshold.rule == "recall>=0.95"
    assert again.manifest["decisions"]["threshold"]["values"] == list(threshold.values)
    assert threshold_of(same) == threshold
    assert {path.name: path.read_bytes() for path in again.path.glob("*.csv")} == tables


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
    deciding = Deciding(ThresholdRule.of("f1"), books, single)
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
