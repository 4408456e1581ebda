"""Ranges and sets: quantiles by hand, coverage on rows that took no part, what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.decisions.intervals import (
    LEVELS,
    Conformity,
    check_form,
    check_level,
    held_by,
    intervals,
    on_test_rows,
)
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.errors import OptionError
from hpsearch.task import Target

NUMBER = Target(("y",), "regression")
ONE = np.ones(1)


def out_of_fold(y, predictions, target=NUMBER, *, n_folds=4, fold=None, **more):
    """Out-of-fold predictions (P, n, ...), their folds dealt row by row."""
    predictions = np.asarray(predictions, np.float32)
    n_repeats, n = predictions.shape[:2]
    fold = (
        np.stack([np.arange(n) % n_folds + p * n_folds for p in range(n_repeats)])
        if fold is None
        else fold
    )
    more = {"rows": np.arange(n), "blocks": np.arange(n)} | more
    return OutOfFold(target=target, y=np.asarray(y), predictions=predictions, fold=fold, **more)


def residuals(*values, **more):
    """Rows whose targets are 0, so that predictions are what they are off by."""
    column = np.array(values, float)[None, :, None]
    return out_of_fold(np.zeros((len(values), 1)), column, **more)


# -- quantiles


def test_the_score_at_a_level_is_that_of_n_plus_one_rows():
    found = Conformity.of(residuals(*range(-9, 0)), ONE)
    # 9 rows, and the new one: 8 of 10 are at or below the 8th score, 9 of 10 below the 9th.
    assert [found.quantiles(level)[0] for level in (0.5, 0.8, 0.81, 0.9)] == [5, 8, 9, 9]


def test_a_range_as_wide_as_1_is_no_set_of_one_class():
    found = intervals(residuals(*([0.5] * 40)), ONE, in_time=False)
    assert (found.at(0.8)[0].size, found.at(0.8)[0].share) == pytest.approx((1.0, 1.0))
    assert "class" not in " ".join(found.remarks())


def test_rows_of_no_weight_are_in_no_group():
    weights = np.tile([1.0, 0.0, 1.0, 2.0], 10)
    found = intervals(residuals(*range(40), weights=weights), ONE, in_time=False)
    assert (found.n_rows, found.n_blocks) == (30, 30)
    assert "groups" not in " ".join(found.remarks())


def test_a_level_that_other_folds_have_too_few_rows_for_is_said_to_be_one():
    found = intervals(residuals(*range(9)), ONE, in_time=False)
    assert [each.share for each in found.at(0.9)] == [None]
    assert "the other folds have too few for the level" in " ".join(found.remarks())
    assert "too few" not in " ".join(intervals(residuals(*range(40)), ONE, in_time=False).remarks())


def test_too_few_rows_for_a_level_say_how_many_it_needs_and_what_they_allow():
    found = Conformity.of(residuals(*range(9)), ONE)
    with pytest.raises(
        OptionError, match=r"0\.95 of what comes needs 19 rows.*has 9, .*allow 0\.9 "
    ):
        found.quantiles(0.95)


def test_rows_that_belong_together_count_once_for_the_level():
    found = Conformity.of(residuals(*range(9), blocks=np.arange(9) // 3), ONE)
    assert found.n_blocks == 3
    assert found.highest == 0.75
    assert found.quantiles(0.6)[0] == 7  # at the share 0.6 * 4 / 3 = 0.8 of nine rows: the 8th
    with pytest.raises(OptionError, match=r"needs 9 rows \(or groups of rows\).*allow 0\.75"):
        found.quantiles(0.9)


def test_a_repeat_more_is_no_row_more():
    one = np.arange(1.0, 10.0)[None, :, None]
    twice = out_of_fold(np.zeros((9, 1)), np.concatenate([one, one + 0.5]))
    found = Conformity.of(twice, ONE)
    assert found.n_blocks == 9
    assert found.quantiles(0.9)[0] == 9.5


def test_rows_weigh_what_they_weigh():
    weights = np.array([1.0, 1.0, 1.0, 7.0])
    found = Conformity.of(residuals(1, 2, 3, 4, weights=weights), ONE)
    # At 0.2 of four rows the share is 0.25: the scores reach 0.1, 0.2, 0.3 and 1 of the weight.
    assert found.quantiles(0.2)[0] == 3


@given(st.integers(1, 3000), st.sampled_from(["normal", "cauchy", "ties"]), st.integers(0, 9))
def test_a_manifest_holds_the_quantiles_of_any_level_or_slightly_wider_ones(n, shape, seed):
    rng = np.random.default_rng(seed)
    draws = {
        "normal": rng.normal,
        "cauchy": rng.standard_cauchy,
        "ties": lambda size: rng.integers(0, 3, size),
    }
    off = draws[shape](size=n)
    out = residuals(*off)
    found = Conformity.from_json(json.loads(json.dumps(Conformity.of(out, ONE).to_json())))
    assert len(json.dumps(found.to_json())) < 20_000
    exact = np.sort(np.abs(out.predictions[0, :, 0].astype(float)))
    for level in (0.01, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        if level > found.highest:
            continue
        rank = int(np.ceil(level * (n + 1) - 1e-9))
        wider = min(n, rank + int(np.ceil(n / 499)))
        assert exact[rank - 1] <= found.quantiles(level)[0] <= exact[wider - 1] * (1 + 1e-8)


# -- ranges


def test_a_range_is_as_wide_on_both_sides_in_the_targets_own_units():
    found = Conformity.of(residuals(1, -2, 3, -4), ONE)
    low, high = found.ranges(NUMBER, np.array([[10.0], [20.0]]), 0.8)
    assert_array_equal(np.hstack([low, high]), [[6, 14], [16, 24]])


def test_each_target_column_has_a_width_of_its_own():
    target = Target(("a", "b"), "regression")
    off = np.array([[[1.0, 100.0], [2.0, 400.0], [3.0, 200.0], [4.0, 300.0]]])
    found = Conformity.of(out_of_fold(np.zeros((4, 2)), off, target), np.ones(2))
    low, high = found.ranges(target, np.zeros((1, 2)), 0.6)
    assert_array_equal(high, [[3, 300]])
    assert_array_equal(low, -high)


def test_a_transformed_target_is_off_by_what_its_networks_learn():
    target = Target(("y",), "regression", transform="log")
    y = np.exp([[0.0], [1.0], [2.0], [3.0]])
    found = Conformity.of(out_of_fold(y, [y * 2.0], target), ONE)
    low, high = found.ranges(target, np.array([[10.0]]), 0.8)
    assert_allclose([low[0, 0], high[0, 0]], [5.0, 20.0], rtol=1e-6)


def test_a_power_that_was_learnt_is_kept():
    target = Target(("y",), "regression", transform="yeo-johnson")
    y = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = Conformity.of(out_of_fold(y, [y + 1.0], target), np.array([0.0]))  # which is log1p
    assert Conformity.from_json(found.to_json()).powers == (0.0,)
    low, high = found.ranges(target, np.array([[1.0]]), 0.8)
    assert_allclose([low[0, 0], high[0, 0]], [2 / 1.5 - 1, 2 * 1.5 - 1], rtol=1e-6)


def test_a_range_of_a_share_stays_between_0_and_1():
    target = Target(("y",), "share")
    found = Conformity.of(out_of_fold(np.zeros((4, 1)), np.full((1, 4, 1), 0.3), target), ONE)
    low, high = found.ranges(target, np.array([[0.1], [0.9]]), 0.5)
    assert_allclose(np.hstack([low, high]), [[0, 0.4], [0.6, 1]], atol=1e-6)


def test_a_range_of_counts_is_wider_where_more_is_counted_and_ends_in_whole_numbers():
    target = Target(("y",), "count")
    y = np.array([[1.0], [4.0], [9.0], [16.0]])
    out = out_of_fold(y, [(np.sqrt(y) + 0.5) ** 2], target)  # each off by half a square root
    found = Conformity.of(out, ONE)
    low, high = found.ranges(target, np.array([[0.0], [0.3], [4.0], [100.0]]), 0.8)
    # Of the square root half to both sides: up to 0.25; 1.1; from 2.25 to 6.25; 90.25 to 110.25.
    assert_array_equal(np.hstack([low, high]), [[0, 0], [1, 1], [3, 6], [91, 110]])
    narrow = Conformity.of(out_of_fold(y, [(np.sqrt(y) + 0.05) ** 2], target), ONE)
    low, high = narrow.ranges(target, np.array([[0.4]]), 0.8)
    assert (low[0, 0], high[0, 0]) == (0, 0), "where no whole number lies between, the nearest"


def test_a_count_is_held_where_its_range_is_the_nearest_whole_number():
    said = np.tile([0.05, 0.05, 0.05, 0.05, 0.3], 4).reshape(1, 20, 1)
    out = out_of_fold(np.zeros((20, 1)), said, Target(("y",), "count"))
    found = intervals(out, ONE, in_time=False)
    assert found.at(0.5)[0].share == pytest.approx(1.0)  # 0 stands for 0.11 to 0.59
    quantiles = Conformity.of(out, ONE).quantiles(0.5)
    assert held_by(quantiles, out.target, out.y, out.predictions[0], ONE)[0] == 1.0


def test_quantiles_are_moved_to_hold_as_often_as_was_asked():
    target = Target(("y",), "quantile", levels=(0.1, 0.5, 0.9))
    y = np.array([[0.0], [1.0], [2.0], [3.0]])
    said = np.array([[[-1.0, 0.5, 1.0], [1.5, 2, 3], [0, 1, 1.5], [2, 2.5, 3]]])
    found = Conformity.of(out_of_fold(y, said, target), ONE)  # -1, 0.5, 0.5, 0
    found = Conformity.from_json(json.loads(json.dumps(found.to_json())))
    assert_allclose([found.quantiles(level)[0] for level in (0.2, 0.4, 0.8)], [-1, 0, 0.5])
    new = np.array([[0.0, 1.0, 5.0], [0.0, 0.5, 1.0]])
    assert_allclose(np.hstack(found.ranges(target, new, 0.8)), [[-0.5, 5.5], [-0.5, 1.5]])
    assert_allclose(np.hstack(found.ranges(target, new, 0.2)), [[1.0, 4.0], [0.5, 0.5]])


def test_one_quantile_is_widened_as_a_number_is():
    target = Target(("y",), "quantile", levels=(0.9,), transform="log")
    y = np.exp([[0.0], [1.0], [2.0], [3.0]])
    found = Conformity.of(out_of_fold(y, [y * 2.0], target), ONE)
    assert_allclose(np.hstack(found.ranges(target, np.array([[10.0]]), 0.8)), [[5.0, 20.0]])


def test_a_value_that_no_range_can_hold_makes_ranges_infinite_and_stays_so():
    target = Target(("y",), "regression", transform="log")
    out = out_of_fold(np.ones((3, 1)), [[[0.0], [1.0], [1.0]]], target)
    found = Conformity.from_json(json.loads(json.dumps(Conformity.of(out, ONE).to_json())))
    low, high = found.ranges(target, np.array([[5.0]]), 0.75)
    assert (low[0, 0], high[0, 0]) == (0.0, np.inf)
    low, high = found.ranges(target, np.array([[5.0]]), 0.5)
    assert_allclose([low[0, 0], high[0, 0]], [5.0, 5.0])


# -- sets


BINARY = Target(("y",), "binary", ("no", "yes"))
THREE = Target(("y",), "multiclass", ("a", "b", "c"))


def test_a_set_holds_each_class_that_is_as_probable_as_the_true_ones_were():
    y, predictions = np.array([1, 1, 0, 0]), np.array([[0.9, 0.75, 0.25, 0.5]])
    found = Conformity.of(out_of_fold(y, predictions, BINARY), ONE)  # 0.1, 0.25, 0.25, 0.5
    new = np.array([0.05, 0.3, 0.5, 0.7, 0.9])
    assert_array_equal(
        found.sets(BINARY, new, 0.8),
        [[True, False], [True, False], [True, True], [False, True], [False, True]],
    )


def test_the_most_probable_class_is_in_every_set():
    y, predictions = np.array([0, 1, 2]), np.array([np.eye(3) * 0.97 + 0.01])
    found = Conformity.of(out_of_fold(y, predictions, THREE), ONE)
    sets = found.sets(THREE, np.array([[0.4, 0.35, 0.25]]), 0.5)
    assert_array_equal(sets, [[True, False, False]])


# -- coverage


def drawn(kind, n, seed, n_repeats=2):
    """Exchangeable rows and what some model says of them; the same of 20,000 new rows."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n + 20_000)
    said = np.stack([truth + 0.1 * rng.normal(size=len(truth)) for _ in range(n_repeats)])
    if kind == "regression":
        y = (truth + rng.standard_t(4, len(truth)))[:, None]
        return y[:n], said[:, :n, None], y[n:], said[0, n:, None], NUMBER
    logits = np.stack([said, -said, np.zeros_like(said)], axis=-1)
    powers = np.exp(logits)
    p = powers / powers.sum(axis=-1, keepdims=True)
    y = (p[0].cumsum(axis=1) < rng.random((len(truth), 1))).sum(axis=1)
    return y[:n], p[:, :n], y[n:], p[0, n:], THREE


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_what_is_reached_out_of_fold_and_on_new_rows_is_what_was_asked(kind):
    found, new = [], []
    for seed in range(40):
        y, said, y_new, said_new, target = drawn(kind, 150, seed)
        out = out_of_fold(y, said, target)
        reached = intervals(out, ONE, in_time=False)
        conformity = Conformity.of(out, ONE)
        reached = on_test_rows(reached, conformity, target, y_new, said_new)
        assert [r.level for r in reached.reached] == list(LEVELS)
        found.append([r.share for r in reached.reached])
        new.append([r.test for r in reached.reached])
        spread = [r.se for r in reached.reached]
    assert_allclose(np.mean(found, axis=0)[1:], LEVELS[1:], atol=0.02)
    assert_allclose(np.mean(new, axis=0)[1:], LEVELS[1:], atol=0.02)
    assert_allclose(spread[2], np.sqrt(0.9 * 0.1 / 150), rtol=0.4)


def test_a_folds_rows_take_no_part_in_the_scores_that_they_are_held_against():
    off = np.r_[np.ones(30), np.full(10, 5.0)]
    fold = np.repeat([0, 1, 2, 3], 10)
    out = residuals(*off, fold=np.stack([fold]))
    [half, *_] = intervals(out, ONE, in_time=False).reached
    assert half.share == 0.75, "no row of the last fold, whatever its own scores are"
    # As validated in other folds of another repeat, they take no part either.
    again = out_of_fold(
        np.zeros((40, 1)), np.stack([off, off])[..., None], fold=np.stack([fold, fold[::-1] + 4])
    )
    found = intervals(again, ONE, in_time=False)
    assert found.at(0.5)[0].share == 0.75
    assert (found.n_rows, found.n_blocks) == (40, 40)


def test_in_time_each_fold_is_held_against_earlier_ones_alone():
    off = np.r_[np.full(10, 3.0), np.full(10, 2.0), np.full(10, 4.0)]
    out = residuals(*off, fold=np.repeat([[0, 1, 2]], 10, axis=1))
    found = intervals(out, ONE, in_time=True)
    assert found.in_time
    assert found.at(0.5)[0].share == 0.5  # the second fold in 3, the third not in 3 or 2
    alone = residuals(*off, fold=np.zeros((1, 30), int))
    assert intervals(alone, ONE, in_time=True).at(0.5)[0].share is None


def test_the_size_is_the_width_or_the_number_of_classes():
    found = intervals(residuals(*np.ones(40)), ONE, in_time=False)
    assert found.at(0.9)[0].size == pytest.approx(2.0)
    y, p = np.zeros(40, int), np.full((1, 40, 3), 1 / 3)
    assert intervals(out_of_fold(y, p, THREE), ONE, in_time=False).at(0.9)[0].size == 3.0


def test_levels_for_which_there_are_too_few_rows_are_left_out():
    found = intervals(residuals(*range(9)), ONE, in_time=False)
    assert [r.level for r in found.reached] == [0.5, 0.8, 0.9]
    assert found.at(0.9)[0].share is None, "three quarters of them allow no 0.9"


def test_test_rows_are_held_by_the_ends():
    y = np.array([[1.0], [2.0], [3.0]])
    assert held_by(np.array([1.0]), NUMBER, y, np.full((3, 1), 1.0), ONE)[0] == pytest.approx(2 / 3)


# -- refusals


@pytest.mark.parametrize("level", [0, 1, 0.0, 1.0, -0.1, 90, float("nan"), True, "0.9", None])
def test_a_level_is_a_number_between_0_and_1(level):
    with pytest.raises(OptionError, match=r"between 0 and 1; received .* for example 0\.9"):
        check_level(level)


def test_several_labels_a_row_have_no_set():
    target = Target(("a", "b"), "multilabel", ("a", "b"))
    with pytest.raises(OptionError, match="a multilabel problem has neither"):
        check_form(target)
    out = out_of_fold(np.zeros((8, 2)), np.full((1, 8, 2), 0.5), target)
    assert intervals(out, ONE, in_time=False) is None
