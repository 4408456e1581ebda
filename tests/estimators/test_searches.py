"""A search as an estimator: what it leaves, and where it works."""

import copy
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.validation import has_fit_parameter

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.nesting import Nesting
from hpsearch.search.options import OPTIONS, Options
from hpsearch.search.plan import plan_search

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
CLASSES = np.where(X[:, 0] + RNG.normal(0, 0.7, 60) > 0, "well", "ill")
NUMBERS = 3 * X[:, 0] + X[:, 1] + 50
GROUPS = np.repeat(np.arange(20), 3)


@pytest.fixture(scope="module")
def fitted(search):
    """A search of three trials."""
    return hpsearch.SearchClassifier(**{**search, "trials": 3, "repeats": 2}).fit(X, CLASSES)


@pytest.fixture(scope="module")
def regressor(search):
    return hpsearch.SearchRegressor(**search).fit(X, NUMBERS)


def test_its_parameters_are_the_options_of_a_search_and_how_tables_are_read():
    of_classes = {"class_weight", "calibrate", "threshold"}
    names = {each.name for each in OPTIONS} - {"transform"} - of_classes
    names |= {"text", "category", "words_as", "max_tokens", "kinds", "verbose"}
    of_numbers = {"transform_target", "task", "levels", "exposure"}
    for kind, own in (("Classifier", of_classes), ("Regressor", of_numbers)):
        estimator = getattr(hpsearch, f"Search{kind}")
        assert set(inspect.signature(estimator).parameters) == names | own
    for each in OPTIONS:
        assert getattr(hpsearch.SearchClassifier(), each.name, each.default) == each.default


def test_an_ensemble_is_what_predicts(search, regressor):
    fitted = hpsearch.SearchRegressor(**search, ensemble="seeds").fit(X, NUMBERS)
    assert fitted.ledger_.decided.ensemble.n_networks == 3
    found = pickle.loads(pickle.dumps(fitted)).predict(X)
    assert_array_equal(found, fitted.predict(X))
    assert (found != regressor.predict(X)).any()


@pytest.mark.parametrize("classes", [CLASSES, np.where(CLASSES == "ill", 1, 0)])
def test_a_threshold_decides_what_is_predicted(search, classes):
    fitted = hpsearch.SearchClassifier(**search, threshold="recall>=0.95").fit(X, classes)
    [cut] = fitted.ledger_.decided.threshold.cuts
    assert cut.value != 0.5
    [positive] = [at for at, name in enumerate(fitted.classes_) if str(name) == cut.label]
    said = fitted.predict_proba(X)[:, positive] >= cut.value
    assert_array_equal(fitted.predict(X) == fitted.classes_[positive], said)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_a_transformed_target_is_no_transformer(search):
    estimator = hpsearch.SearchRegressor(**search, transform_target="log")
    assert not hasattr(estimator, "transform")
    fitted = estimator.fit(X, NUMBERS)
    assert fitted.run_.settings["options"]["transform"] == "log"
    assert fitted.best_estimator_.transform_target == "log"


def test_an_option_without_a_meaning_is_refused_when_it_is_fitted():
    search = hpsearch.SearchClassifier(trials=0)
    with pytest.raises(OptionError, match="`trials`"):
        search.fit(X, CLASSES)


def test_the_table_of_its_trials_is_that_of_a_grid_search(fitted):
    results = pd.DataFrame(fitted.cv_results_)
    assert len(results) == 3
    assert {
        *("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time", "params"),
        *("param_rate", "mean_test_score", "std_test_score", "rank_test_score"),
        *(f"split{i}_test_score" for i in range(4)),
        *("mean_test_neg_log_loss", "mean_test_accuracy", "mean_train_accuracy"),
    } <= set(results)
    splits = results[[f"split{i}_test_score" for i in range(4)]]
    assert_allclose(splits.mean(axis=1), results["mean_test_score"])
    assert_allclose(splits.std(axis=1, ddof=0), results["std_test_score"])
    assert (results["mean_test_score"] == results["mean_test_neg_log_loss"]).all()
    assert (results["mean_test_score"] < 0).all()
    assert (
        results["rank_test_score"].tolist()
        == results["mean_test_score"].rank(ascending=False).astype(int).tolist()
    )
    assert results["params"].tolist() == [{"rate": rate} for rate in results["param_rate"]]


def test_the_best_is_what_the_run_selected(fitted):
    best = fitted.run_.best
    assert fitted.best_params_ == best["hyperparameters"]
    assert fitted.best_score_ == -best["score"]
    found = fitted.cv_results_["mean_test_score"][fitted.best_index_]
    assert found == pytest.approx(fitted.best_score_)
    assert fitted.cv_results_["rank_test_score"][fitted.best_index_] == 1
    assert fitted.n_splits_ == 4
    assert fitted.ledger_ == fitted.run_.ledger


def test_the_best_estimator_is_fitted_and_can_be_fitted_again(fitted):
    winner = fitted.best_estimator_
    assert winner.values == fitted.best_params_
    assert winner.epochs == fitted.run_.best["best_epoch"]
    assert_array_equal(winner.predict_proba(X), fitted.predict_proba(X))
    assert clone(winner).fit(X, CLASSES).score(X, CLASSES) > 0.7


def test_failed_and_stopped_trials_have_no_score_and_the_last_rank(search, tmp_path):
    space = tmp_path / "space.py"
    space.write_text(
        "def declare(hp, problem):\n    hp.Choice('rate', [0.3, 1.0])\n"  # above 0.9 it fails
        "\n\ndef build(hp, problem):\n    raise NotImplementedError\n"
    )
    fitted = hpsearch.SearchRegressor(**{**search, "space": str(space), "trials": 2})
    results = fitted.fit(X, NUMBERS).cv_results_
    assert results["rank_test_score"].tolist() == [1, 2]
    assert np.isnan(results["mean_test_score"]).tolist() == [False, True]
    assert results["params"] == [{"rate": 0.3}, {"rate": 1.0}]


def test_a_metric_of_which_more_is_better_keeps_its_sign(search):
    fitted = hpsearch.SearchRegressor(**{**search, "metric": "r2"}).fit(X, NUMBERS)
    assert fitted.best_score_ == fitted.run_.best["score"] > 0
    assert "mean_test_r2" in fitted.cv_results_
    assert "mean_test_neg_mae" in fitted.cv_results_


def test_what_it_is_follows_from_its_class():
    assert is_classifier(hpsearch.SearchClassifier())
    assert is_regressor(hpsearch.SearchRegressor())


def test_the_model_travels_in_the_pickle_and_needs_no_folder(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    copied = copy.deepcopy(fitted)
    for other in (again, copied):
        assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
        assert other.best_score_ == fitted.best_score_
        with pytest.raises(AttributeError, match="`out`"):
            _ = other.run_


def test_without_a_folder_the_run_ends_with_the_estimator(search):
    fitted = hpsearch.SearchRegressor(**search).fit(X, NUMBERS)
    first = fitted.run_.path
    assert first.is_dir()
    second = fitted.fit(X, NUMBERS).run_.path
    assert not first.exists()
    del fitted
    assert not second.exists()


def test_runs_of_clones_are_numbered_and_stay(search, tmp_path):
    estimator = hpsearch.SearchRegressor(**search, out=tmp_path / "run")
    cross_val_score(estimator, X, NUMBERS, cv=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-2"]
    again = hpsearch.SearchRegressor(**search, out=tmp_path / "run", overwrite=True)
    fitted = pickle.loads(pickle.dumps(again.fit(X, NUMBERS)))
    assert fitted.run_.path == tmp_path / "run"
    assert len(list(tmp_path.iterdir())) == 2


def test_rows_weigh_what_they_are_given(search):
    weights = np.where(CLASSES == "well", 9.0, 1.0)
    estimator = hpsearch.SearchClassifier(**search)
    assert has_fit_parameter(estimator, "sample_weight")
    even = (estimator.fit(X, CLASSES).predict(X) == "well").mean()
    weighed = (estimator.fit(X, CLASSES, weights).predict(X) == "well").mean()
    assert weighed > even + 0.2
    assert estimator.run_.best["scores_weigh_by"] == "sample_weight"
    alike = clone(estimator).set_params(weigh_scores=False).fit(X, CLASSES, weights)
    assert alike.best_score_ != estimator.best_score_


@pytest.mark.parametrize("classes", [["ill", "well"], [" a", "a"], [False, True]])
def test_weights_of_classes_are_by_the_classes_as_they_are_given(search, classes):
    y = np.array(classes)[(CLASSES == "well").astype(int)]
    shares = [
        (
            hpsearch.SearchClassifier(**search, class_weight={classes[1]: weight})
            .fit(X, y)
            .predict(X)
            == classes[1]
        ).mean()
        for weight in (0.1, 10.0)
    ]
    assert shares[0] < 0.4 < 0.6 < shares[1]


def test_groups_stay_together_and_are_routed(search):
    asked = hpsearch.SearchClassifier(**search)
    fitted = asked.fit(X, CLASSES, groups=GROUPS)
    folds = fitted.run_.predictions.groupby("row")["fold"].first()
    assert folds.groupby(GROUPS).nunique().max() == 1
    with sklearn.config_context(enable_metadata_routing=True):
        asked = hpsearch.SearchClassifier(**search).set_fit_request(groups=True)
        found = cross_validate(
            asked,
            X,
            CLASSES,
            cv=GroupKFold(2),
            params={"groups": GROUPS},
            return_estimator=True,
            error_score="raise",
        )
        for estimator in found["estimator"]:
            assert "group" in estimator.run_.settings["split_reason"]


def test_time_is_kept(search):
    fitted = hpsearch.SearchRegressor(**search).fit(X, NUMBERS, time=np.arange(60))
    assert "in time order" in fitted.run_.settings["split_reason"]


def test_test_rows_are_scored(search):
    asked = {**search, "test_data": (X[:20], NUMBERS[:20])}
    fitted = hpsearch.SearchRegressor(**asked).fit(X[20:], NUMBERS[20:])
    expected = np.abs(fitted.predict(X[:20]) - NUMBERS[:20]).mean()
    assert fitted.run_.best["test"]["mae"] == pytest.approx(expected, rel=1e-6)


def test_cross_validating_it_is_nesting(search, tmp_path):
    asked = {**search, "trials": 3, "nested": 3}
    data = hpsearch.load(X, CLASSES)
    plan = plan_search(Options(**asked), data)
    folds = [(fold.train, fold.validation) for fold in Nesting.of(plan).folds]
    run = hpsearch.Search(**asked, out=tmp_path / "run", observer=SilentObserver()).run(data)
    estimator = hpsearch.SearchClassifier(**{**asked, "nested": None})
    scores = cross_val_score(estimator, X, CLASSES, cv=folds, scoring="neg_log_loss")
    assert_allclose(-scores, run.nested["outer_score"], rtol=1e-5)


def test_it_works_behind_a_pipeline_of_columns(search):
    frame = pd.DataFrame({"size": X[:, 0], "town": np.array(["a", "b", "c"])[GROUPS % 3]})
    columns = make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["town"]))
    model = make_pipeline(columns, hpsearch.SearchClassifier(**search)).fit(frame, CLASSES)
    assert model.score(frame, CLASSES) > 0.7
    assert model[-1].n_features_in_ == 4


def test_its_probabilities_are_calibrated(search):
    calibrated = CalibratedClassifierCV(hpsearch.SearchClassifier(**search), cv=2)
    probabilities = calibrated.fit(X, CLASSES).predict_proba(X)
    assert_allclose(probabilities.sum(axis=1), 1.0)
    assert calibrated.classes_.tolist() == ["ill", "well"]


def test_its_features_are_permuted(regressor):
    found = permutation_importance(regressor, X, NUMBERS, n_repeats=3, random_state=0)
    assert np.argsort(found.importances_mean).tolist() == [2, 1, 0]


def test_its_model_is_the_exported_one(regressor):
    assert regressor.model_.predict_on_batch({"numbers": X}).shape == (60, 1)


def test_a_report_is_written_where_a_folder_is_kept_and_else_when_it_is_asked_for(
    regressor, search, tmp_path
):
    assert not (regressor.run_.path / "report.html").exists()
    assert regressor.run_.report().is_file()
    kept = hpsearch.SearchRegressor(**search, out=tmp_path / "run").fit(X, NUMBERS)
    assert (kept.run_.path / "report.html").is_file()
