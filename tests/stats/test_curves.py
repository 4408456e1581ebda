"""Rules that read an epoch off a curve."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.stats import best_epoch, patience_stop

NAN = float("nan")
values = st.floats(-1e3, 1e3)
curves = st.lists(st.one_of(values, st.just(NAN)), min_size=1, max_size=30)


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
