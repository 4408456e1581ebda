"""Thresholds of predictions: the best one there is, on the rows that count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hpsearch.decisions.cuts import Sorted, rounded
from hpsearch.decisions.rules import Confusion, ThresholdRule

TENTHS = st.integers(0, 10).map(lambda tenths: tenths / 10)


def by_hand(rule, is_positive, p, weights, threshold):
    """The figure of predictions (P, n), row by row."""
    cells = np.zeros((2, 2))
    for repeat in p:
        for positive, said, weight in zip(is_positive, repeat >= threshold, weights, strict=True):
            cells[int(positive), int(said)] += weight
    (tn, fp), (fn, tp) = cells
    return float(rule.figure(Confusion(*map(np.array, ([tp], [fp], [fn], [tn]))))[0])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(TENTHS, TENTHS, st.booleans(), st.integers(0, 3)), min_size=2, max_size=9),
    st.sampled_from(["f1", "balanced", "mcc", "accuracy", "cost:FN=3,FP=1"]),
)
def test_no_threshold_is_better_than_the_chosen_one(rows, asked):
    rule = ThresholdRule.of(asked)
    first, second, is_positive, weights = map(np.array, zip(*rows, strict=True))
    p = np.stack([first, second])
    ordered = Sorted.of(p, is_positive)
    thresholds, _, _ = ordered.chosen(rule, weights[np.newaxis].astype(float))
    sign = 1 if rule.direction == "min" else -1
    found = sign * by_hand(rule, is_positive, p, weights, thresholds[0])
    others = np.append(np.unique(p), 1.5)
    every = [sign * by_hand(rule, is_positive, p, weights, other) for other in others]
    assert found <= min(every) + 1e-12


@pytest.mark.parametrize(
    ("asked", "threshold"),
    [
        ("recall>=0.6", 0.45),
        ("recall>=0.9", 0.25),
        ("precision>=0.7", 0.45),
        ("specificity>=0.9", 0.75),
    ],
)
def test_a_bound_is_kept_at_the_least_price(asked, threshold):
    p = np.array([[0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1]])
    is_positive = np.array([1, 1, 0, 1, 0, 1, 0, 0]) == 1
    found, keeps, _ = Sorted.of(p, is_positive).chosen(ThresholdRule.of(asked), np.ones((1, 8)))
    assert_allclose(found[0], threshold)
    assert keeps[0]


def test_a_bound_that_nothing_reaches_is_said_and_the_nearest_is_taken():
    p, is_positive = np.array([[0.9, 0.8, 0.2]]), np.array([False, True, True])
    rule = ThresholdRule.of("precision>=0.9")
    found, keeps, _ = Sorted.of(p, is_positive).chosen(rule, np.ones((1, 3)))
    assert not keeps[0]
    assert_allclose(found[0], 0.1)  # two of three are right


def test_rows_that_were_not_drawn_choose_nothing():
    p, is_positive = np.array([[0.9, 0.6, 0.5, 0.1]]), np.array([True, True, False, False])
    weights = np.array([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    found, _, _ = Sorted.of(p, is_positive).chosen(ThresholdRule.of("f1"), weights)
    assert_allclose(found, [0.5, 0.55])


def test_where_nothing_is_worth_predicting_the_threshold_is_above_all():
    p, is_positive = np.array([[1.0, 0.4]]), np.array([False, True])
    rule = ThresholdRule.of("cost:FN=1,FP=100")
    found, _, _ = Sorted.of(p, is_positive).chosen(rule, np.ones((1, 2)))
    assert found[0] > 1.0


def test_a_threshold_that_was_asked_for_is_that_one():
    p, is_positive = np.array([[0.9, 0.4]]), np.array([True, False])
    found, _, _ = Sorted.of(p, is_positive).chosen(ThresholdRule.of(0.3), np.ones((2, 2)))
    assert_allclose(found, [0.3, 0.3])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=6, unique=True))
def test_fewer_digits_sort_the_predictions_alike(values):
    ordered = np.sort(np.array(values, dtype=np.float64))[::-1]
    middle = (ordered[0] + ordered[1]) / 2
    assert ((ordered >= rounded(middle, ordered)) == (ordered >= middle)).all()
