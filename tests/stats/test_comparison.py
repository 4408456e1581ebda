"""Two trials on the same folds: by hand, and against scipy and baycomp."""

import math

import baycomp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from hpsearch.errors import InputError, OptionError
from hpsearch.stats import corrected_t_test, correlated_bayes_test, repeats_until_decided

# Differences 0.02, 0.01, 0.03, 0.02: mean 0.02, s^2 = 0.0002 / 3; with 75 and 25 rows
# se^2 = (1 / 4 + 1 / 3) s^2 = 7 / 12 * 0.0002 / 3.
A, B = [0.82, 0.86, 0.84, 0.88], [0.80, 0.85, 0.81, 0.86]
SE = math.sqrt(7 / 12 * 0.0002 / 3)


def leaders(seed, n_repeats=3, n_folds=5, lead=0.01):
    rng = np.random.default_rng(seed)
    a = rng.normal(0.8, 0.02, n_repeats * n_folds)
    return a, a - lead + rng.normal(0, 0.02, a.shape)


def test_the_corrected_t_test_by_hand():
    test = corrected_t_test(A, B, 75, 25)
    assert test.df == 3
    assert_allclose([test.difference, test.se, test.t], [0.02, SE, 0.02 / SE])
    assert_allclose(test.p_value, 2 * scipy_stats.t.sf(0.02 / SE, 3))
    assert_allclose([test.low, test.high], scipy_stats.t.interval(0.95, 3, loc=0.02, scale=SE))


def test_without_shared_training_rows_it_is_the_plain_paired_test():
    a, b = leaders(0)
    theirs = scipy_stats.ttest_rel(a, b)
    test = corrected_t_test(a, b, n_train=1e12, n_validation=1)
    assert_allclose([test.t, test.p_value], [theirs.statistic, theirs.pvalue], rtol=1e-9)
    assert_allclose([test.low, test.high], theirs.confidence_interval(0.95), rtol=1e-9)


def test_the_correction_makes_the_test_more_careful():
    a, b = leaders(1)
    assert corrected_t_test(a, b, 80, 20).p_value > scipy_stats.ttest_rel(a, b).pvalue


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_repeats=st.integers(1, 5),
    n_folds=st.integers(2, 10),
    rope=st.floats(0, 0.03),
)
def test_the_bayesian_test_is_baycomps(seed, n_repeats, n_folds, rope):
    a, b = leaders(seed, n_repeats, n_folds)
    # baycomp's left is "the first is higher"; its correlation is 1 / folds.
    theirs = baycomp.CorrelatedTTest.probs(a, b, rope, n_repeats)
    better, equal, worse = theirs if rope > 0 else (theirs[0], 0.0, theirs[1])
    said = correlated_bayes_test(a, b, n_folds - 1, 1, rope=rope, direction="max")
    assert_allclose([said.better, said.equal, said.worse], [better, equal, worse], atol=1e-9)


def test_small_scores_are_better_where_the_direction_says_so():
    up = correlated_bayes_test(A, B, 75, 25, rope=0.01, direction="max")
    down = correlated_bayes_test(A, B, 75, 25, rope=0.01, direction="min")
    assert_allclose([down.better, down.equal, down.worse], [up.worse, up.equal, up.better])


def test_the_bayesian_test_is_the_integral_of_its_posterior():
    said = correlated_bayes_test(A, B, 75, 25, rope=0.01, direction="max")
    density = scipy_stats.t(3, loc=0.02, scale=SE).pdf
    grid = np.linspace(-0.01, 0.01, 20_001)
    assert_allclose(said.equal, np.trapezoid(density(grid), grid), rtol=1e-6)
    assert_allclose(said.better + said.equal + said.worse, 1.0)


def test_without_a_region_of_equivalence_it_is_half_the_p_value():
    said = correlated_bayes_test(A, B, 75, 25, rope=0, direction="max")
    assert_allclose(said.worse, corrected_t_test(A, B, 75, 25).p_value / 2)
    assert said.equal == 0


@pytest.mark.parametrize(
    ("lead", "t", "p_value", "probabilities"),
    [
        (0.0, 0.0, 1.0, (0, 1, 0)),
        (0.5, math.inf, 0.0, (1, 0, 0)),
        (-0.5, -math.inf, 0.0, (0, 0, 1)),
    ],
)
def test_differences_that_never_vary_are_certain(lead, t, p_value, probabilities):
    b = np.array([0.25, 0.5, 0.75])
    test = corrected_t_test(b + lead, b, 2, 1)
    assert (test.t, test.p_value) == (t, p_value)
    said = correlated_bayes_test(b + lead, b, 2, 1, rope=0.01, direction="max")
    assert (said.better, said.equal, said.worse) == probabilities


@pytest.mark.parametrize(
    "compare",
    [
        lambda a, b: corrected_t_test(a, b, 2, 1),
        lambda a, b: correlated_bayes_test(a, b, 2, 1, rope=0.01, direction="max"),
    ],
)
class TestRefusals:
    def test_other_folds(self, compare):
        with pytest.raises(InputError, match=r"same folds.*received 3 and 2 scores. Give both"):
            compare([1, 2, 3], [1, 2])

    def test_one_fold(self, compare):
        with pytest.raises(ValueError, match="at least two folds"):
            compare([1], [2])

    def test_a_score_that_is_not_finite(self, compare):
        with pytest.raises(ValueError, match="`b` must be finite; received nan"):
            compare([1, 2], [1, math.nan])


@pytest.mark.parametrize("rope", [-0.01, math.nan])
def test_a_region_of_negative_width_is_refused(rope):
    with pytest.raises(OptionError, match="`rope` must be 0 or above"):
        correlated_bayes_test(A, B, 75, 25, rope=rope, direction="max")


def test_a_level_that_is_no_share_is_refused():
    with pytest.raises(OptionError, match="`level`"):
        corrected_t_test(A, B, 75, 25, level=95)


def probability_after(differences, n_repeats, n_folds):
    """P(the leader is better) if the differences keep mean and variance, by scipy."""
    n = n_repeats * n_folds
    se = math.sqrt((1 / n + 1 / (n_folds - 1)) * np.var(differences, ddof=1))
    return scipy_stats.t.cdf(abs(np.mean(differences)) / se, n - 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_repeats_needed_are_the_first_that_suffice(sign):
    differences = sign * np.array([0.02, 0.01, 0.03, -0.01, 0.02, 0.0, 0.03, 0.02])
    said = repeats_until_decided(differences, 2, 75, 25)
    enough = [probability_after(differences, p, 4) >= 0.95 for p in range(1, 20)]
    assert said.n_repeats == enough.index(True) + 1 == 6
    assert said.more == 4
    assert_allclose(said.now, probability_after(differences, 2, 4))
    assert_allclose(said.at_most, probability_after(differences, 10**7, 4), rtol=1e-6)


def test_a_decision_that_is_made_needs_no_more():
    said = repeats_until_decided([0.5, 0.51, 0.49, 0.5], 2, 50, 50)
    assert said.more == 0
    assert said.n_repeats <= 2


def test_where_the_rows_are_too_few_no_number_of_repeats_decides():
    said = repeats_until_decided([0.02, -0.03, 0.03, 0.0], 2, 50, 50)
    assert said.n_repeats is None
    assert said.more is None
    assert 0.5 < said.now < said.at_most < 0.95


def test_leaders_that_tie_are_never_told_apart():
    said = repeats_until_decided([0.0, 0.0], 1, 50, 50)
    assert (said.n_repeats, said.now, said.at_most) == (None, 0.5, 0.5)


def test_hold_outs_are_repeats_of_one_fold():
    said = repeats_until_decided([0.1, 0.12, 0.11], 3, 90, 10)
    assert said.n_repeats == 2  # of one score there is no variance
    assert said.more == 0


@pytest.mark.parametrize(
    ("differences", "n_repeats"), [([0.1], 1), ([0.1, 0.2, 0.3], 2), ([[0.1, 0.2]], 1)]
)
def test_differences_come_as_many_in_each_repeat(differences, n_repeats):
    with pytest.raises(ValueError, match="as many in each repeat"):
        repeats_until_decided(differences, n_repeats, 75, 25)


@pytest.mark.parametrize("probability", [0.5, 1.0, 95])
def test_a_probability_that_decides_nothing_is_refused(probability):
    with pytest.raises(OptionError, match=r"above 0\.5 and below 1"):
        repeats_until_decided([0.1, 0.2], 1, 75, 25, probability=probability)
