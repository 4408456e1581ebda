"""Rows that weigh in scores: everything that is scored, what is refused, and going on."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from rich.console import Console

import hpsearch
from hpsearch.console.views import run_view
from hpsearch.errors import DataError, FoldError, InputError, OptionError
from hpsearch.folds.weighing import effective_rows
from hpsearch.metrics import score
from hpsearch.scoring.observer import SilentObserver

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 3, "folds": 3, "repeats": 2, "epochs": 4, "batch_size": 12, "jobs": 1}
METRICS = ("log_loss", "accuracy", "roc_auc")
SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.05, 0.1, 0.2, 0.5])


def build(hp, problem):
    raise NotImplementedError
"""
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "baselines.csv")


def visits(n=60, seed=0):
    rng = np.random.default_rng(seed)
    age, size = rng.normal(size=(2, n))
    ill = np.where(age + size + rng.normal(size=n) > 0, "yes", "no")
    return pd.DataFrame({"age": age, "size": size, "w": rng.uniform(0.2, 5, n), "ill": ill})


def read(frame, **options):
    return hpsearch.load(frame, target="ill", name="visits", **options)


def weighted(frame, **options):
    return read(frame, sample_weight="w", **options)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.py"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def search(pretend_here, space, tmp_path_factory):
    def search(data, observer=None, **options):
        out = tmp_path_factory.mktemp("run") / "run"
        asked = {"engine": "pretended", "baselines": False, **BUDGET, **options}
        with pretend_here():
            return hpsearch.Search(space, out=out, **asked, observer=observer).run(data)

    return search


@pytest.fixture(scope="module")
def run(search):
    """A search with baselines, test rows and a nested search, whose rows weigh."""
    return search(
        weighted(visits()), test_data=visits(30, seed=1), nested=2, baselines=True, race="off"
    )


def of_folds(run):
    """Truth, predictions and weights of each repeat and fold of predictions.csv."""
    for place, rows in run.predictions.groupby(["repeat", "fold"]):
        codes = (rows["y_true"] == "yes").to_numpy().astype(int)
        yield place, codes, rows["y_pred"].to_numpy(), rows["weight"].to_numpy()


def test_folds_curves_and_trials_weigh_rows(run):
    best = run.folds[run.folds["trial"] == run.best["trial"]].set_index(["repeat", "fold"])
    for metric in METRICS:
        scores = [score(metric, y, p, weights=w) for _, y, p, w in of_folds(run)]
        places = [place for place, *_ in of_folds(run)]
        assert_allclose(best.loc[places, f"val_{metric}"], scores, rtol=1e-6)
        assert_allclose(run.best["metrics"][metric], np.mean(scores), rtol=1e-6)
        of_equal = np.mean([score(metric, y, p) for _, y, p, _ in of_folds(run)])
        assert abs(run.best["metrics"][metric] - of_equal) > 1e-4


def test_what_rows_weigh_stands_beside_their_predictions(run):
    said = run.predictions.groupby("row")["weight"].first()
    assert_allclose(said, visits()["w"][said.index], rtol=1e-9)


def test_the_correction_of_the_selection_weighs_rows(run):
    naive = [
        score("log_loss", y, p, weights=w)
        for _, repeat in run.predictions.groupby("repeat")
        for y, p, w in [
            ((repeat["y_true"] == "yes").to_numpy().astype(int), repeat["y_pred"], repeat["weight"])
        ]
    ]
    corrected = run.ledger.bias_corrected
    assert_allclose(corrected.naive, np.mean(naive), rtol=1e-6)
    assert corrected.low < corrected.value < corrected.high


def test_baselines_weigh_rows_in_fitting_and_in_scores(run):
    table, weights = visits(), visits()["w"].to_numpy()
    constant = run.baselines[run.baselines["baseline"] == "constant"].set_index(["repeat", "fold"])
    for (repeat, fold), rows in run.predictions.groupby(["repeat", "fold"]):
        y = (table["ill"] == "yes").to_numpy().astype(int)
        inside = np.setdiff1d(np.arange(len(y)), rows["row"])
        share = np.average(y[inside], weights=weights[inside])
        of_fold = rows["row"].to_numpy()
        said = np.full(len(of_fold), share)
        expected = score("log_loss", y[of_fold], said, weights=weights[of_fold])
        assert_allclose(constant.loc[(repeat, fold), "val_log_loss"], expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::hpsearch.errors.DataWarning")
def test_outer_folds_and_test_rows_weigh_rows(pretend_here, search):
    asked = {"test_data": visits(30, seed=1), "nested": 2, "trials": 1, "epochs": 2}
    alike = search(weighted(visits()), weigh_scores=False, **asked)
    of_one = search(weighted(visits()), **asked)
    assert (of_one.nested["outer_score"] != alike.nested["outer_score"]).all()
    test, codes = visits(30, seed=1), (visits(30, seed=1)["ill"] == "yes").to_numpy().astype(int)
    with pretend_here():
        said = hpsearch.predict(of_one, test.drop(columns=["ill", "w"]))["probability.yes"]
    expected = score("log_loss", codes, said, weights=test["w"])
    assert_allclose(of_one.best["test"]["log_loss"], expected, rtol=1e-5)
    assert_allclose(of_one.ledger.test.value, expected, rtol=1e-5)
    assert_allclose(alike.best["test"]["log_loss"], score("log_loss", codes, said), rtol=1e-5)


def test_a_threshold_and_the_importance_of_columns_weigh_rows(search):
    asked = {"test_data": visits(30, seed=1), "threshold": "f1", "importance": True, "trials": 1}
    asked |= {"epochs": 1, "nested": 2}
    found, alike = (search(weighted(visits()), weigh_scores=w, **asked) for w in (True, False))
    of_each = [run.ledger.decided.threshold.figures[0] for run in (found, alike)]
    assert of_each[0].test != of_each[1].test
    assert of_each[0].value != of_each[1].value
    assert (found.nested["threshold_score"] != alike.nested["threshold_score"]).all()
    losses = [pd.read_csv(run.path / "importance.csv")["importance"] for run in (found, alike)]
    assert (losses[0] != losses[1]).all()


def test_weights_in_scores_change_no_training(run, search):
    alike = search(weighted(visits()), weigh_scores=False, race="off")
    chosen = [frame.set_index(["trial", "epoch"]) for frame in (run.curves, alike.curves)]
    assert "weight" not in alike.predictions
    assert not np.allclose(chosen[0]["val_log_loss"], chosen[1]["val_log_loss"])
    assert_array_equal(run.trials["n_params"], alike.trials["n_params"])
    one, other = (
        search(weighted(visits()), trials=1, epochs=1, weigh_scores=weigh)
        for weigh in (True, False)
    )
    assert_array_equal(one.predictions["y_pred"], other.predictions["y_pred"])


def test_what_validation_rows_weigh_reaches_no_training(search):
    frame, held = visits(), {"folds": 1, "test_size": 0.3, "trials": 1, "epochs": 1, "repeats": 1}
    first = search(weighted(frame), **held)
    rows = first.predictions["row"].to_numpy()
    frame.loc[rows, "w"] = np.linspace(9.0, 1.0, len(rows))
    second = search(weighted(frame), **held)
    assert_array_equal(first.predictions["row"], second.predictions["row"])
    assert_array_equal(first.predictions["y_pred"], second.predictions["y_pred"])
    assert_array_equal(first.folds["train_log_loss"], second.folds["train_log_loss"])
    assert first.best["score"] != second.best["score"]


def test_weights_of_one_give_the_bytes_of_none(search):
    plain = search(read(visits().drop(columns="w")), baselines=True)
    equal = search(weighted(visits().assign(w=1.0)), baselines=True)
    for name in TABLES:
        assert (plain.path / name).read_bytes() == (equal.path / name).read_bytes(), name
    ledgers = [{**run.best["ledger"]} for run in (plain, equal)]
    assert ledgers[0] == ledgers[1]


def test_a_run_that_goes_on_weighs_as_one_that_was_never_stopped(search, pretend_here):
    short, whole = (search(weighted(visits()), trials=n) for n in (2, 3))
    with pretend_here():
        grown = hpsearch.resume(short.path, weighted(visits()), trials=3)
        with pytest.raises(InputError, match="what rows of the data weigh"):
            hpsearch.resume(short.path, weighted(visits().assign(w=np.arange(60.0))), trials=4)
        with pytest.raises(InputError, match="weigh_scores"):
            hpsearch.resume(short.path, weighted(visits()), weigh_scores=False)
    for name in TABLES[:4]:
        assert (grown.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert grown.best["ledger"] == whole.best["ledger"]


def test_runs_are_compared_whose_scores_weigh_rows_alike(run, search):
    plain, alike = read(visits().drop(columns="w")), weighted(visits())
    unweighted, in_the_loss = search(plain), search(alike, weigh_scores=False)
    assert hpsearch.compare(unweighted, in_the_loss).n_folds == 6
    weighing = search(alike)
    with pytest.raises(InputError, match=r"'w' in .*all rows the same in .*--no-weigh-scores"):
        hpsearch.compare(weighing, unweighted)
    others = search(weighted(visits().assign(w=np.arange(60.0) + 1)))
    with pytest.raises(InputError, match="by other weights"):
        hpsearch.compare(weighing, others)
    groups = hpsearch.leaderboard([weighing.path, unweighted.path, in_the_loss.path]).groups
    assert sorted(len(group.standings) for group in groups) == [1, 2]


# -- what is said


class Heard(SilentObserver):
    def __init__(self):
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


def said(search, data, **options):
    heard = Heard()
    search(data, observer=heard, trials=1, epochs=1, **options)
    return heard


def test_it_is_said_what_rows_weigh_in(search):
    data, worth = weighted(visits()), f"{effective_rows(visits()['w']):,.0f}"
    assert f"Rows weigh in all scores as in the loss by 'w': they tell as much as {worth} rows " \
        "that weigh the same." in said(search, data).notes  # fmt: skip
    alone = "Rows weigh in the loss alone by 'w'; scores weigh all of them the same."
    assert alone in said(search, data, weigh_scores=False).notes
    equal = weighted(visits().assign(w=2.0))
    assert "All rows weigh the same by 'w'." in said(search, equal).notes


def test_documents_and_pages_say_that_rows_weigh_in_scores(run):
    assert run.best["scores_weigh_by"] == "w"
    assert run.settings["data"]["weights"] == "w"
    assert "Scores weigh rows by w" in (run.path / "model_card.md").read_text()
    assert "scores weigh rows by w" in (run.path / "report.html").read_text()
    shown = Console(width=200, file=io.StringIO())
    shown.print(run_view(run))
    assert re.search(r"weights +w, in the loss and in scores", shown.file.getvalue())


def test_test_rows_without_the_column_count_the_same_and_it_is_said(search):
    test = visits(30, seed=1).drop(columns="w")
    heard = said(search, weighted(visits()), test_data=test)
    assert any("The test rows have no weights" in text for text in heard.warnings)
    with_weights = said(search, weighted(visits()), test_data=visits(30, seed=1))
    assert not any("The test rows" in text for text in with_weights.warnings)
    assert not any("does not use" in text for text in with_weights.notes)


# -- what is refused


def costs(y_true, y_pred):
    return float(np.mean((y_pred >= 0.3) != y_true))


def weighted_costs(y_true, y_pred, sample_weight=None):
    return float(np.average((y_pred >= 0.3) != y_true, weights=sample_weight))


costs.greater_is_better = weighted_costs.greater_is_better = False


def test_a_metric_of_ones_own_gets_what_rows_weigh_or_is_refused(search):
    data = weighted(visits())
    with pytest.raises(OptionError, match="the metric costs doesn't take what they weigh") as said:
        search(data, metric=costs)
    assert "\n" not in str(said.value)
    assert search(data, metric=costs, weigh_scores=False).best["metric"] == "costs"
    found = search(data, metric=weighted_costs, also=["accuracy"])
    rows = [weighted_costs(y, p, w) for _, y, p, w in of_folds(found)]
    assert_allclose(found.best["score"], np.mean(rows), rtol=1e-9)


def zero(frame, rows):
    frame.loc[rows, "w"] = 0.0
    return weighted(frame)


def test_a_fold_whose_validation_rows_weigh_nothing_is_refused(search):
    rows = np.arange(60) >= 4
    with pytest.raises(FoldError, match=r"validation rows of .* weigh nothing by 'w'.*--no-weigh"):
        search(zero(visits(), rows), folds=6)


def test_a_fold_whose_training_rows_weigh_nothing_is_refused(search):
    rows = np.arange(60) >= 1
    with pytest.raises(FoldError, match=r"training rows of .* weigh nothing by 'w'"):
        search(zero(visits(), rows), weigh_scores=False)


def test_outer_folds_that_weigh_nothing_are_refused_before_any_training(search):
    frame = visits().assign(w=0.0)
    frame.loc[:11, "w"] = 1.0
    data = hpsearch.load(frame, target="age", sample_weight="w", drop=["ill"])
    with pytest.raises(FoldError, match=r"--nested 20.* weigh nothing"):
        search(data, folds=2, repeats=1, nested=20)


def test_validation_rows_that_weigh_must_hold_two_classes(search):
    frame = visits()
    rows = (frame["ill"] == "yes") & (np.cumsum(frame["ill"] == "yes") > 2)
    with pytest.raises(FoldError, match="hold one class only, 'no'"):
        search(zero(frame, rows), folds=4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([-1.0] + [1.0] * 29, "not negative"),
        ([np.nan] + [1.0] * 29, "a value in every row"),
        (["a"] * 30, "needs numbers"),
        ([0.0] * 30, "in 'w' none does"),
    ],
)
def test_what_test_rows_cannot_weigh_is_refused(search, weights, message):
    with pytest.raises(DataError, match=message):
        search(weighted(visits()), test_data=visits(30, seed=1).assign(w=weights))


def test_cross_validate_weighs_rows(pretend_here, space):
    with pretend_here():
        asked = {"engine": "pretended", "epochs": 2, "cv": 3, "quiet": True}
        found = hpsearch.cross_validate(str(space), weighted(visits()), **asked)
        alike = hpsearch.cross_validate(str(space), weighted(visits()), weigh_scores=False, **asked)
    scores = [score("log_loss", y, p, weights=w) for _, y, p, w in of_folds(found)]
    assert_allclose(found.score, np.mean(scores), rtol=1e-6)
    assert found.score != alike.score
