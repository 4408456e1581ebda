"""One network as an estimator."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import d2_pinball_score, d2_tweedie_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

import hpsearch
from hpsearch.errors import DataError, OptionError, SpaceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
CLASSES = np.where(X[:, 0] + RNG.normal(0, 0.7, 60) > 0, "well", "ill")
NUMBERS = 3 * X[:, 0] + X[:, 1] + 50
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


@pytest.fixture
def classifier(network):
    return hpsearch.KerasClassifier(**network)


@pytest.fixture
def regressor(network):
    return hpsearch.KerasRegressor(**network)


def test_what_it_is_follows_from_the_task(network):
    assert is_classifier(hpsearch.KerasEstimator(**network, task="classification"))
    assert is_regressor(hpsearch.KerasEstimator(**network, task="regression"))
    with pytest.raises(OptionError, match="classification or regression"):
        hpsearch.KerasEstimator(**network, task="guess")


def test_it_learns_for_as_many_epochs_as_it_is_asked(regressor):
    errors = [
        np.abs(clone(regressor).set_params(epochs=n).fit(X, NUMBERS).predict(X) - NUMBERS).mean()
        for n in (1, 10)
    ]
    assert errors[1] < errors[0] / 2
    steps = regressor.fit(X, NUMBERS).exported_.manifest["trained_on"]
    assert steps == {"n_rows": 60, "n_steps": 80}


def test_hyperparameters_are_its_values(regressor):
    slow, fast = (
        clone(regressor).set_params(values={"rate": rate}, epochs=1).fit(X, NUMBERS)
        for rate in (0.1, 0.6)
    )
    assert slow.score(X, NUMBERS) < fast.score(X, NUMBERS)
    with pytest.raises(SpaceError, match="units"):
        clone(regressor).set_params(values={"units": 3}).fit(X, NUMBERS)


def test_rows_weigh_what_they_are_given(classifier):
    weights = np.where(CLASSES == "well", 9.0, 1.0)
    even, weighed = (
        (clone(classifier).fit(X, CLASSES, w).predict(X) == "well").mean() for w in (None, weights)
    )
    assert weighed > even + 0.2
    even, weighed = (
        classifier.cross_val_score(
            X,
            CLASSES,
            sample_weight=w,
            cv=FOLDS,
            scoring=lambda e, x, y: (e.predict(x) == "well").mean(),
        ).mean()
        for w in (None, weights)
    )
    assert weighed > even + 0.2


def test_a_copy_predicts_the_same(classifier):
    fitted = classifier.fit(X, CLASSES)
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc", "f1_macro"])
def test_its_folds_score_what_scikit_learn_scores_within_noise(classifier, scoring):
    theirs = cross_val_score(classifier, X, CLASSES, cv=FOLDS, scoring=scoring)
    ours = classifier.cross_val_score(X, CLASSES, cv=FOLDS, scoring=scoring)
    assert ours.shape == (3,)
    assert_allclose(ours, theirs, atol=0.06)
    assert not hasattr(classifier, "exported_")


def test_numbers_are_scored_after_the_last_epoch(regressor):
    theirs = cross_val_score(regressor, X, NUMBERS, cv=3)
    ours = regressor.cross_val_score(X, NUMBERS, cv=FOLDS_OF_NUMBERS)
    assert_allclose(ours, theirs, atol=0.02)


def test_a_scorer_sees_the_validation_rows(regressor):
    def seen(estimator, rows, truth):
        return float((rows[:, 0] * 3 + rows[:, 1] + 50 == truth).mean())

    assert regressor.cross_val_score(X, NUMBERS, scoring=seen, cv=2).tolist() == [1.0, 1.0]


def test_several_labels_and_outputs_are_scored(classifier, regressor):
    labels = (X > 0).astype(int)
    assert classifier.cross_val_score(X, labels, cv=2, scoring="f1_micro").min() > 0.5
    assert regressor.cross_val_score(X, X[:, :2], cv=2).min() > 0.5


def test_cross_validation_takes_an_estimator(classifier):
    result = hpsearch.cross_validate(classifier, X, CLASSES, cv=FOLDS, also=["balanced_accuracy"])
    assert len(result.folds) == 3
    assert "val_balanced_accuracy" in result.folds
    assert result.best_epoch <= 10
    last = hpsearch.cross_validate(classifier, X, CLASSES, cv=FOLDS, epoch="last")
    assert last.best_epoch == 10
    assert last.score >= result.score
    assert last.score == pytest.approx(last.curves["val_log_loss"].iloc[-1])


@pytest.mark.parametrize("twice", [{"values": {"rate": 0.1}}, {"task": "binary"}, {"epochs": 3}])
def test_what_the_estimator_says_is_not_said_twice(classifier, twice):
    with pytest.raises(OptionError, match="of its own"):
        hpsearch.cross_validate(classifier, X, CLASSES, **twice)


FOLDS_OF_NUMBERS = [
    (np.setdiff1d(np.arange(60), part), part) for part in np.array_split(np.arange(60), 3)
]


def test_a_regressor_of_counts_predicts_in_proportion_to_a_column_of_x(regressor):
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(years=RNG.uniform(0.5, 3.0, 60))
    claims = RNG.poisson(frame["years"] * np.exp(0.3 * X[:, 0]))
    counting = clone(regressor).set_params(task="count", exposure="years").fit(frame, claims)
    twice = counting.predict(frame.assign(years=2 * frame["years"]))
    assert_allclose(twice, 2 * counting.predict(frame), rtol=1e-5)
    assert counting.n_features_in_ == 4


def test_the_score_of_counts_and_quantiles_is_the_share_of_a_deviance(regressor, monkeypatch):
    claims, said = RNG.poisson(np.exp(0.3 * X[:, 0])), np.exp(0.2 * X[:, 0])
    monkeypatch.setattr(type(regressor), "predict", lambda self, X: said)
    counting = clone(regressor).set_params(task="count").fit(X, claims)
    assert counting.score(X, claims) == pytest.approx(d2_tweedie_score(claims, said, power=1))
    both = np.stack([said - 1, said + 1], axis=1)
    monkeypatch.setattr(type(regressor), "predict", lambda self, X: both)
    ranging = clone(regressor).set_params(task="quantile", levels=(0.2, 0.8))
    ranging.exported_ = SimpleNamespace(
        bundle=SimpleNamespace(schema=SimpleNamespace(target=SimpleNamespace(levels=(0.2, 0.8))))
    )
    each = [d2_pinball_score(claims, both[:, i], alpha=q) for i, q in enumerate((0.2, 0.8))]
    assert ranging.score(X, claims) == pytest.approx(np.mean(each))


def test_a_regressor_takes_tasks_of_numbers_alone(regressor):
    with pytest.raises(OptionError, match="`task` of a regressor is regression, share, count or"):
        clone(regressor).set_params(task="binary").fit(X, NUMBERS)
    with pytest.raises(DataError, match="A count is 0, 1, 2 or more"):
        clone(regressor).set_params(task="count").fit(X, NUMBERS)
