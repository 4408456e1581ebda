"""Where the score of new rows is expected: coverage on made data, where the truth is drawn."""

import numpy as np
import pytest

from hpsearch.decisions.ensembles import Ensemble
from hpsearch.ledger import estimates
from hpsearch.ledger.record import BiasCorrection, Promise
from hpsearch.stats import bias_corrected_cv_of_epochs
from hpsearch.stats.predictive import of_new_rows, rows_of_bootstrap, rows_of_folds

N, SIMULATIONS = 120, 200


def covered(promise_of, n_new):
    """How often the score of new rows lies where it is expected, and within the plain interval."""
    rng = np.random.default_rng(5)
    expected, plain = 0, 0
    for _ in range(SIMULATIONS):
        errors = rng.gamma(2.0, size=N)
        promise = promise_of(errors)
        new = rng.gamma(2.0, size=n_new).mean()
        low, high = promise.of_rows(n_new)
        expected += low <= new <= high
        plain += promise.low <= new <= promise.high
    return expected / SIMULATIONS, plain / SIMULATIONS


def of_bootstrap(errors):
    said = bias_corrected_cv_of_epochs(
        "mae", np.zeros((N, 1)), errors[None, None, None, :, None], kind="regression"
    )
    corrected = BiasCorrection(said.estimate, said.low, said.high, n_blocks=N)
    mean = estimates.fold_mean([1.0, 1.0], 90, 30, [0, 0])
    return estimates.promise(mean, corrected, None)


def of_folds(errors):
    scores = errors.reshape(6, -1).mean(axis=1)
    mean = estimates.fold_mean(scores, N - N // 6, N // 6, [0] * 6)
    return estimates.promise(mean, BiasCorrection(missing="no"), None)


@pytest.mark.parametrize("promise_of", [of_bootstrap, of_folds])
@pytest.mark.parametrize("n_new", [15, 60])
def test_the_score_of_new_rows_lies_where_it_was_expected(promise_of, n_new):
    expected, plain = covered(promise_of, n_new)
    assert 0.91 <= expected <= 0.99
    assert plain < (0.9 if n_new == 15 else expected)


def test_many_rows_are_expected_where_the_estimate_may_be():
    n = rows_of_folds(30, 90, 4)
    low, high = of_new_rows(1.0, 0.8, 1.3, n_interval=n, n_known=n, n_new=10**9)
    assert (low, high) == (pytest.approx(0.8), pytest.approx(1.3))


def test_a_bootstraps_interval_is_that_of_fewer_rows_than_there_are():
    rng = np.random.default_rng(0)
    n = 2000
    values = rng.normal(size=n)
    outside = [values[np.bincount(rng.integers(0, n, n), minlength=n) == 0] for _ in range(400)]
    scatter = np.var([side.mean() for side in outside])
    assert values.var() / scatter == pytest.approx(rows_of_bootstrap(n), rel=0.15)


def test_nothing_is_widened_where_the_rows_are_not_known():
    assert Promise("mean", 1.0, 0.9, 1.2).of_rows(10) == (0.9, 1.2)
    assert Promise("mean", 1.0, None, None, 30.0, 30.0).of_rows(10) == (None, None)


def with_rows(share, best, low=0.4, high=0.7):
    return Promise("mean", 0.5, low, high, 100.0, 100.0, share, best).of_rows(10**9)


def test_the_better_side_allows_for_the_rows_that_the_folds_lacked():
    assert with_rows(0.75, 0.0) == (pytest.approx(0.4 * 0.75**0.5), pytest.approx(0.7))
    assert with_rows(0.75, 1.0) == (pytest.approx(0.4), pytest.approx(1 - 0.3 * 0.75**0.5))
    assert with_rows(None, 0.0) == with_rows(0.75, None) == with_rows(1.0, 0.0)


def test_the_worse_side_stays_where_the_better_one_reaches_beyond_the_best_value():
    assert with_rows(0.75, 0.0, low=-0.1) == (pytest.approx(-0.1), pytest.approx(0.7))
    assert with_rows(0.75, 1.0, high=1.2) == (pytest.approx(0.4), pytest.approx(1.2))


def test_a_share_of_the_rows_and_the_best_value_come_with_the_promise():
    mean = estimates.fold_mean([0.1, 0.2], 90, 30, [0, 0])
    for corrected in (BiasCorrection(missing="no"), BiasCorrection(0.15, 0.1, 0.2, n_blocks=120)):
        promise = estimates.promise(mean, corrected, None, n_rows=150, best=0.0)
        assert (promise.share_trained, promise.best) == (0.6, 0.0)
        assert estimates.promise(mean, corrected, None).share_trained is None


def test_networks_of_the_folds_learnt_from_no_more_rows():
    mean = estimates.fold_mean([0.1, 0.2], 90, 30, [0, 0])
    kinds = {
        kind: estimates.promise(mean, BiasCorrection(missing="no"), None, ensemble, n_rows=120)
        for kind in ("folds", "seeds")
        for ensemble in [Ensemble(kind, (), 2)]
    }
    assert (kinds["folds"].share_trained, kinds["seeds"].share_trained) == (None, 0.75)
