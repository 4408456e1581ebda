"""Statistics: hand calculations, scipy's numbers, and the rules' edge cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats

from hpsearch.stats import (
    best_epoch,
    corrected_se,
    naive_se,
    one_standard_error,
    patience_stop,
    t_interval,
)

NAN = float("nan")
# mean 0.3, squared deviations 0.01 + 0.01 + 0 + 0.04 + 0.04 + 0 = 0.1, s^2 = 0.1 / 5 = 0.02
SCORES = [0.2, 0.4, 0.3, 0.5, 0.1, 0.3]

values = st.floats(-1e3, 1e3)
curves = st.lists(st.one_of(values, st.just(NAN)), min_size=1, max_size=30)


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
    with pytest.raises(ValueError, match="above 0 and below 1"):
        t_interval(0.0, 1.0, 5, level)


@pytest.mark.parametrize(
    ("scores", "direction", "chosen"),
    [
        ([0.30, 0.33, 0.34, 0.31], "min", 1),  # within 0.30 + 0.03: 0, 1 and 3; 1 is simplest
        ([0.30, 0.33, 0.34, 0.31], "max", 1),  # within 0.34 - 0.03: 1, 2 and 3; 1 is simplest
        ([0.30, 0.34, 0.40, 0.41], "min", 0),
        ([NAN, 0.33, 0.34, 0.30], "min", 1),
    ],
)
def test_the_simplest_within_one_standard_error_is_chosen(scores, direction, chosen):
    assert one_standard_error(scores, [0.03001] * 4, [100, 10, 50, 60], direction) == chosen


def test_of_equally_simple_trials_the_better_is_chosen():
    assert one_standard_error([0.32, 0.31, 0.30], [0.1] * 3, [5, 5, 9], "min") == 1


def test_the_standard_error_that_counts_is_the_best_trials():
    assert one_standard_error([0.30, 0.35], [0.01, 0.2], [9, 1], "min") == 0


def test_an_unknown_standard_error_leaves_the_best():
    assert one_standard_error([0.35, 0.30], [NAN, NAN], [1, 9], "min") == 1


def test_the_rule_needs_a_finite_score():
    with pytest.raises(ValueError, match="finite score"):
        one_standard_error([NAN, math.inf], [0.1, 0.1], [1, 2], "min")


@pytest.mark.parametrize(
    ("curve", "direction", "epoch"),
    [
        ([3.0, 1.0, 2.0], "min", 1),
        ([3.0, 1.0, 2.0], "max", 0),
        ([2.0, 1.0, 1.0], "min", 1),
        ([NAN, 2.0, NAN], "min", 1),
        ([NAN, -2.0, NAN], "max", 1),
        ([-math.inf, 2.0, math.inf], "min", 1),
        ([-math.inf, 2.0, math.inf], "max", 1),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_finite_values(curve, direction, epoch):
    assert best_epoch(curve, direction) == epoch


@pytest.mark.parametrize("curve", [[], [NAN, NAN]])
def test_a_curve_without_a_finite_value_has_no_best_epoch(curve):
    with pytest.raises(ValueError, match="finite value"):
        best_epoch(curve, "min")


@pytest.mark.parametrize(
    ("curve", "patience", "kept"),
    [
        ([5, 4, 3, 2], 1, 4),
        ([5, 4, 4, 2], 1, 3),
        ([5, 4, 6, 2], 2, 4),
        ([5, 6, 6, 2], 2, 3),
        ([5, NAN, NAN, 2], 2, 3),
        ([NAN, NAN, NAN, 2], 2, 2),
        ([5, 6, 7], 5, 3),
        ([5, 6, 7], None, 3),
        ([], 3, 0),
    ],
)
def test_training_stops_after_so_many_epochs_in_vain(curve, patience, kept):
    assert patience_stop(curve, "min", patience) == kept


def test_large_values_are_improvements_where_the_direction_says_so():
    assert patience_stop([1, 2, 3, 3, 4], "max", 1) == 4


def stop_epoch_by_epoch(curve, patience):
    best, in_vain = math.inf, 0
    for epoch, value in enumerate(curve):
        if value < best:
            best, in_vain = value, 0
        else:
            in_vain += 1
        if in_vain >= patience:
            return epoch + 1
    return len(curve)


@given(curves, st.integers(1, 6))
def test_stopping_is_what_a_loop_over_epochs_does(curve, patience):
    assert patience_stop(curve, "min", patience) == stop_epoch_by_epoch(curve, patience)


@pytest.mark.parametrize("patience", [0, -1])
def test_a_patience_below_one_is_refused(patience):
    with pytest.raises(ValueError, match="at least 1"):
        patience_stop([1.0], "min", patience)
