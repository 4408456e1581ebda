"""Selecting by fold scores: the rules' edge cases, and the correction by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hpsearch.stats import one_standard_error, tibshirani_correction

NAN = float("nan")


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


def test_of_trials_with_as_many_parameters_the_stronger_penalty_is_chosen():
    scores, ses = [0.30, 0.31, 0.32, 0.31], [0.05] * 4
    parameters, penalties = np.array([900, 40, 40, 40]), np.array([0.0, 0.01, 0.1, 0.0])
    keys = np.column_stack([parameters, -penalties])
    assert one_standard_error(scores, ses, keys, "min") == 2


def test_of_trials_equal_in_every_key_the_better_is_chosen():
    assert one_standard_error([0.30, 0.32, 0.31], [0.05] * 3, [[9, 9], [4, 1], [4, 1]], "min") == 2


def test_the_rule_needs_as_many_errors_and_complexities_as_scores():
    with pytest.raises(ValueError, match="received 2, 2 and 1"):
        one_standard_error([0.1, 0.2], [0.1, 0.1], [1], "min")


# Means 0.25, 0.30 and 0.35: trial 0 wins. The folds' own winners have 0.1, 0.1, 0.2 and 0.2, so the
# bias is ((0.4 - 0.1) + 0 + 0 + (0.3 - 0.2)) / 4 = 0.1.
ERRORS = [[0.4, 0.1, 0.2, 0.3], [0.1, 0.5, 0.4, 0.2], [0.3, 0.3, 0.5, 0.3]]


def test_the_correction_by_hand():
    said = tibshirani_correction(ERRORS, "min")
    assert said.trial == 0
    assert_allclose([said.score, said.bias, said.estimate], [0.25, 0.1, 0.35])


def test_large_scores_are_corrected_downwards():
    said = tibshirani_correction(1 - np.array(ERRORS), "max")
    assert said.trial == 0
    assert_allclose([said.score, said.bias, said.estimate], [0.75, 0.1, 0.65])


def test_a_trial_that_failed_on_a_fold_is_left_out():
    said = tibshirani_correction([*ERRORS, [0.0, 0.0, 0.0, NAN]], "min")
    assert_allclose([said.trial, said.bias], [0, 0.1])


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_the_bias_is_never_negative_and_that_of_one_trial_is_0(scores):
    assert tibshirani_correction(scores, "max").bias >= 0
    assert tibshirani_correction(scores[:1], "max").bias == 0


@pytest.mark.parametrize("scores", [[[NAN, 0.1]], [[0.1, math.inf]]])
def test_the_correction_needs_a_trial_with_finite_scores(scores):
    with pytest.raises(ValueError, match="finite scores"):
        tibshirani_correction(scores, "min")


@pytest.mark.parametrize("scores", [[0.1, 0.2], [[]], []])
def test_the_correction_needs_trials_and_folds(scores):
    with pytest.raises(ValueError, match=r"\(trials, folds\)"):
        tibshirani_correction(scores, "min")
