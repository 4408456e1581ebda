"""Standard errors and intervals: hand calculations and scipy's numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from hpsearch.errors import OptionError
from hpsearch.folds import IteratedKFold
from hpsearch.stats import corrected_se, naive_se, t_interval

NAN = float("nan")
# mean 0.3, squared deviations 0.01 + 0.01 + 0 + 0.04 + 0.04 + 0 = 0.1, s^2 = 0.1 / 5 = 0.02
SCORES = [0.2, 0.4, 0.3, 0.5, 0.1, 0.3]

values = st.floats(-1e3, 1e3)


def test_the_naive_standard_error_is_the_deviation_over_the_root_of_the_count():
    assert_allclose(naive_se(SCORES), math.sqrt(0.02 / 6), rtol=1e-12)


@given(st.lists(values, min_size=2, max_size=20))
def test_the_naive_standard_error_is_scipys(scores):
    assert_allclose(naive_se(scores), scipy_stats.sem(scores), rtol=1e-9, atol=1e-12)


def test_the_corrected_standard_error_of_two_repeats_of_three_folds():
    # P K = 6, K - 1 = 2: sqrt((1 / 6 + 1 / 2) * 0.02) = sqrt(0.04 / 3)
    assert_allclose(corrected_se(SCORES, 20, 10), math.sqrt(0.04 / 3), rtol=1e-12)


def test_the_corrected_standard_error_of_ten_repeats_of_five_folds_is_3_7_times_the_naive():
    scores = np.random.default_rng(0).normal(size=50)
    assert_allclose(corrected_se(scores, 80, 20) / naive_se(scores), math.sqrt(13.5), rtol=1e-12)


def test_unequal_folds_count_with_their_mean_sizes():
    assert_allclose(
        corrected_se(SCORES, [7, 7, 6] * 2, [3, 3, 4] * 2), corrected_se(SCORES, 20, 10)
    )


def test_standard_errors_are_taken_over_the_last_axis():
    table = np.array([SCORES, [0.0, 1.0] * 3])
    assert corrected_se(table, 2, 1).shape == (2,)
    assert_allclose(corrected_se(table, 2, 1)[1], corrected_se(table[1], 2, 1))


@pytest.mark.parametrize("se", [naive_se, lambda scores: corrected_se(scores, 3, 1)])
def test_one_score_has_no_standard_error(se):
    assert np.isnan(se([0.5]))


@given(st.floats(-10, 10), st.floats(0.01, 10), st.integers(1, 200), st.floats(0.5, 0.99))
def test_the_interval_is_scipys(mean, se, df, level):
    expected = scipy_stats.t.interval(level, df, loc=mean, scale=se)
    assert_allclose(t_interval(mean, se, df, level), expected, rtol=1e-8, atol=1e-8)


def test_the_interval_of_eleven_degrees_of_freedom_uses_the_quantile_of_the_tables():
    low, high = t_interval(0.0, 1.0, 11)
    assert_allclose([low, high], [-2.200985, 2.200985], atol=1e-6)


def test_the_interval_of_one_score_is_unknown():
    assert np.isnan(t_interval(0.5, NAN, 0)).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_that_is_no_share_is_refused(level):
    with pytest.raises(OptionError, match="above 0 and below 1"):
        t_interval(0.0, 1.0, 5, level)


@given(st.integers(7, 60), st.integers(2, 7), st.integers(1, 3))
def test_the_ratio_of_iterated_folds_is_one_over_k_less_one_whatever_their_sizes(n, k, p):
    folds = list(IteratedKFold(k, p, random_state=0).split(np.arange(n)[:, np.newaxis]))
    scores = np.random.default_rng(n).normal(size=p * k)
    expected = math.sqrt((1 / (p * k) + 1 / (k - 1)) * scores.var(ddof=1))
    n_train, n_validation = zip(*[(len(a), len(b)) for a, b in folds], strict=True)
    assert_allclose(corrected_se(scores, n_train, n_validation), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_train", "n_validation", "message"),
    [
        (0, 10, "`n_train` must be above 0 in every fold; received 0"),
        ([5, 5, 0, 5, 5, 5], 10, "`n_train` must be above 0"),
        (20, [10, 10], "`n_validation` is one number or one per score, 6; received 2"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(n_train, n_validation, message):
    with pytest.raises(ValueError, match=message):
        corrected_se(SCORES, n_train, n_validation)
