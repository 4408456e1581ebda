"""Variance components: by hand, against REML of statsmodels, and found again in simulations."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from hpsearch.stats import VarianceComponents, corrected_se, variance_components


def nested(seed, shape, *deviations):
    """Scores of (P, K, S) with the given deviations of repeats, folds and seeds."""
    rng = np.random.default_rng(seed)
    p, k, s = shape
    of_repeat, of_fold, of_seed = deviations
    scores = rng.normal(0, of_repeat, (p, 1, 1)) + rng.normal(0, of_fold, (p, k, 1))
    return 0.8 + scores + rng.normal(0, of_seed, (p, k, s))


def test_the_components_by_hand():
    # Fold means 2, 4 and 6, 12; repeat means 3 and 9. MS_seed = 2; MS_fold = 2 (2 + 18) / 2 = 20;
    # MS_repeat = 4 * 18 = 72: seed 2, fold (20 - 2) / 2 = 9, reshuffle (72 - 20) / 4 = 13.
    parts = variance_components([[[1, 3], [3, 5]], [[5, 7], [11, 13]]])
    assert (parts.seed, parts.fold, parts.reshuffle, parts.mean) == (2, 9, 13, 6)
    assert (parts.n_repeats, parts.n_folds, parts.n_seeds) == (2, 2, 2)


def test_one_seed_leaves_initial_weights_in_the_folds():
    # MS_fold = (2 + 18) / 2 = 10, MS_repeat = 2 * 18 = 36.
    parts = variance_components([[2, 4], [6, 12]])
    assert (parts.seed, parts.fold, parts.reshuffle) == (None, 10, 13)


def test_the_ratio_of_mean_squares_is_that_of_an_analysis_of_variance():
    scores = nested(0, (4, 5, 1), 0.05, 0.02, 0.0)[..., 0]
    parts = variance_components(scores)
    ratio = scipy_stats.f_oneway(*scores).statistic
    assert_allclose((parts.fold + 5 * parts.reshuffle) / parts.fold, ratio)


def test_the_components_are_those_of_restricted_maximum_likelihood():
    scores = nested(1, (6, 5, 3), 1.0, 1.0, 1.0)
    p, k, _ = np.indices(scores.shape).reshape(3, -1)
    table = pd.DataFrame({"y": scores.ravel(), "p": p, "k": k})
    model = smf.mixedlm("y ~ 1", table, groups="p", re_formula="1", vc_formula={"k": "0 + C(k)"})
    theirs = model.fit(reml=True)
    parts = variance_components(scores)
    expected = [theirs.cov_re.iloc[0, 0], theirs.vcomp[0], theirs.scale]
    assert_allclose([parts.reshuffle, parts.fold, parts.seed], expected, rtol=1e-3)


def test_many_repeats_find_the_deviations_again():
    parts = variance_components(nested(2, (3000, 4, 3), 0.01, 0.03, 0.02))
    found = np.sqrt([parts.reshuffle, parts.fold, parts.seed])
    assert_allclose(found, [0.01, 0.03, 0.02], rtol=0.05)


def test_negative_components_count_as_0():
    parts = variance_components([[0.1, 0.9], [0.9, 0.1], [0.2, 0.8]])
    assert parts.reshuffle == 0
    seeds = variance_components([[[0.0, 1.0], [1.0, 0.0]]])
    assert (seeds.fold, seeds.seed) == (0, 0.5)


def test_one_repeat_says_nothing_of_reshuffles():
    assert variance_components([[0.1, 0.4, 0.3]]).reshuffle == 0


def test_the_error_now_is_the_corrected_one_where_only_folds_vary():
    scores = np.array([[0.7, 0.8, 0.9, 0.8], [0.8, 0.9, 0.7, 0.8]])
    parts = variance_components(scores)
    assert parts.reshuffle == 0
    s2 = parts.fold
    assert_allclose(parts.se(), math.sqrt((1 / 8 + 1 / 3) * s2))
    # The corrected error takes the variance about one mean for both repeats: 6 of 7 degrees.
    assert_allclose(parts.se(), corrected_se(scores.ravel(), 75, 25) * math.sqrt(7 / 6))


PARTS = VarianceComponents(0.8, 0.0002, 0.0004, 0.0001, n_repeats=2, n_folds=4, n_seeds=2)


def test_the_expected_error_by_hand():
    now = 0.0002 / 2 + 0.0004 / 8 + 0.0001 / 16 + 0.0004 / 3
    assert_allclose(PARTS.se(), math.sqrt(now))
    repeat = 0.0002 / 3 + 0.0004 / 12 + 0.0001 / 24 + 0.0004 / 3
    fold = 0.0002 / 2 + 0.0005 / 10 + 0.0001 / 20 + 0.0005 / 4
    seed = 0.0002 / 2 + 0.0004 / 8 + 0.0001 / 24 + 0.0004 / 3
    gains = PARTS.gains()
    assert [gain.what for gain in gains] == ["repeat", "fold", "seed"]
    assert [gain.n_trainings for gain in gains] == [8, 4, 8]
    assert_allclose([gain.se for gain in gains], np.sqrt([repeat, fold, seed]))


def test_chance_shrinks_as_the_model_says():
    """Without shared rows (many folds) the error is the deviation of simulated means."""
    deviations = 0.02, 0.03, 0.02
    means = [nested(seed, (2, 50, 2), *deviations).mean() for seed in range(2000)]
    parts = VarianceComponents(0.8, *np.square(deviations), n_repeats=2, n_folds=50, n_seeds=2)
    of_chance = math.sqrt(parts.se() ** 2 - 0.03**2 / 49)
    assert_allclose(np.std(means), of_chance, rtol=0.05)


def test_what_seeds_buy_is_unknown_where_one_was_measured():
    parts = variance_components([[0.7, 0.8], [0.8, 0.7]])
    assert [gain.what for gain in parts.gains()] == ["repeat", "fold"]
    with pytest.raises(ValueError, match="known where several were measured"):
        parts.se(n_seeds=2)


@pytest.mark.parametrize("plan", [{"n_repeats": 0}, {"n_folds": 1}, {"n_seeds": 0}])
def test_a_plan_without_meaning_is_refused(plan):
    with pytest.raises(ValueError, match="at least 1 repeat, 2 folds and 1 seed"):
        PARTS.se(**plan)


@pytest.mark.parametrize("scores", [[0.1, 0.2], [[0.1], [0.2]], [[[[0.1, 0.2]]]], [[], []]])
def test_shapes_without_meaning_are_refused(scores):
    with pytest.raises(ValueError, match="at least 2 folds; received shape"):
        variance_components(scores)


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="must be finite; received nan"):
        variance_components([[0.1, math.nan]])
