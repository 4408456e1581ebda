"""Statistics: what a fold's training rows teach, by hand, and that it has one shape everywhere."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from hpsearch.preprocessing import Encoded, Layout, Statistics, encode, fit_statistics
from hpsearch.preprocessing.statistics import ABSENT


def encoded_rows(*, numbers=None, codes=None, words=None, arrays=()):
    parts = [p for p in (numbers, codes, words, *arrays) if p is not None]
    n_rows = len(parts[0])
    return Encoded(
        np.empty((n_rows, 0), np.float32) if numbers is None else np.array(numbers, np.float32),
        np.empty((n_rows, 0), np.int32) if codes is None else np.array(codes, np.int32),
        None if words is None else sparse.csr_array(np.array(words, np.float32)),
        tuple(arrays),
    )


def fitted(encoded, layout, *, rows=None, y=None, scale_target=False):
    rows = np.arange(encoded.n_rows) if rows is None else np.array(rows)
    y = np.zeros((encoded.n_rows, 1)) if y is None else np.asarray(y)
    return fit_statistics(encoded, y, rows, layout, scale_target=scale_target)


# -- numbers


def fitted_number(cells, **options):
    rows = encoded_rows(numbers=np.array(cells, float)[:, np.newaxis])
    return fitted(rows, Layout(numbers=("x",)), **options)


def test_numbers_are_filled_with_the_median_of_the_present_cells():
    assert fitted_number([1.0, 3.0, np.nan, 8.0]).fill == 3.0
    assert fitted_number([1.0, np.nan, 4.0]).fill == 2.5


def test_centre_and_scale_are_those_of_the_present_cells():
    stats = fitted_number([1.0, 3.0, np.nan, 8.0])
    assert stats.centre == 4.0
    assert_allclose(stats.scale, [np.sqrt(26 / 3)], rtol=1e-7)


def test_rows_that_do_not_train_teach_nothing():
    stats = fitted_number([1.0, 3.0, np.nan, 8.0, 1e9, np.nan], rows=[0, 1, 2, 3])
    assert_array_equal([stats.fill[0], stats.centre[0]], [3.0, 4.0])


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e30])
def test_a_constant_column_is_centred_and_not_scaled(value):
    stats = fitted_number([value] * 7)
    assert stats.centre == np.float32(value)
    assert stats.scale == 1.0


def test_a_deviation_that_float32_cannot_divide_by_counts_as_constant():
    assert fitted_number([0.0, 1e-45, 0.0]).scale == 1.0


def test_a_column_that_is_missing_in_all_training_rows_is_neither_filled_nor_scaled():
    stats = fitted_number([np.nan, np.nan, 5.0], rows=[0, 1])
    assert_array_equal([stats.fill[0], stats.centre[0], stats.scale[0]], [0.0, 0.0, 1.0])


@pytest.mark.parametrize("at_once", [2, 3, 100])
def test_no_bit_depends_on_how_many_columns_are_looked_at_at_once(monkeypatch, at_once):
    rng = np.random.default_rng(0)
    numbers = rng.lognormal(sigma=3.0, size=(500, 11))
    numbers[rng.random(numbers.shape) < 0.2] = np.nan
    rows, layout = encoded_rows(numbers=numbers), Layout(numbers=tuple("abcdefghijk"))
    expected = fitted(rows, layout)
    monkeypatch.setattr("hpsearch.preprocessing.statistics.COLUMNS_AT_ONCE", at_once)
    found = fitted(rows, layout)
    for name in ("fill", "centre", "scale"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


def test_copies_of_numbers_stay_small_beside_the_table():
    numbers = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)
    rows, layout = encoded_rows(numbers=numbers), Layout(numbers=tuple(map(str, range(64))))
    tracemalloc.start()
    fitted(rows, layout)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < numbers.nbytes


# -- categories: levels a, b, c, d have the codes 0 to 3, an unseen one 4, a missing cell 5


def slots_of(codes, **layout):
    defaults = {"level_slots": (4,), "has_other": (False,), "has_missing_slot": (True,)}
    layout = Layout(categories=("x",), n_levels=(4,), **(defaults | layout))
    return fitted(encoded_rows(codes=np.array(codes)[:, np.newaxis]), layout).category_slots


def test_levels_of_the_training_rows_get_slots_in_their_own_order():
    assert_array_equal(slots_of([3, 1, 0, 2, 5]), [0, 1, 2, 3, ABSENT, 4])


def test_a_level_that_does_not_train_sets_no_feature():
    assert_array_equal(slots_of([3, 1, 3, 5]), [ABSENT, 0, ABSENT, 1, ABSENT, 4])


def test_a_missing_cell_sets_no_feature_where_no_training_row_misses_it():
    assert_array_equal(slots_of([0, 1, 2, 3]), [0, 1, 2, 3, ABSENT, ABSENT])


def test_the_rarer_levels_share_a_slot_with_unseen_ones():
    slots = slots_of([1, 2, 1, 2, 0, 5], level_slots=(2,), has_other=(True,))
    assert_array_equal(slots, [2, 0, 1, 2, 2, 3])


def test_of_equally_frequent_levels_the_first_keeps_its_slot():
    slots = slots_of([3, 2, 1, 0], level_slots=(2,), has_other=(True,), has_missing_slot=(False,))
    assert_array_equal(slots, [0, 1, 2, 2, 2, 2])


def test_missing_cells_without_a_slot_share_that_of_rare_levels():
    slots = slots_of([0, 1], level_slots=(2,), has_other=(True,), has_missing_slot=(False,))
    assert_array_equal(slots, [0, 1, 2, 2, 2, 2])


def test_each_category_column_has_a_table_of_its_own():
    layout = Layout(
        categories=("x", "z"),
        n_levels=(2, 1),
        level_slots=(2, 1),
        has_other=(False, False),
        has_missing_slot=(False, True),
    )
    stats = fitted(encoded_rows(codes=[[1, 0], [1, 2]]), layout)
    assert_array_equal(stats.category_slots, [ABSENT, 0, ABSENT, ABSENT, 0, ABSENT, 1])


# -- words


def word_slots_of(rows, **layout):
    n_words = len(rows[0])
    layout = Layout(**({"words": ("x",), "n_words": (n_words,), "word_slots": (n_words,)} | layout))
    return fitted(encoded_rows(words=rows), layout).word_slots


def test_words_of_the_training_rows_get_slots_in_their_own_order():
    assert_array_equal(word_slots_of([[1, 0, 1], [0, 0, 1]]), [0, ABSENT, 1])


def test_the_most_frequent_words_get_the_slots():
    words = [[1, 0, 1, 1], [0, 1, 1, 1], [0, 1, 0, 1]]
    assert_array_equal(word_slots_of(words, word_slots=(2,)), [ABSENT, 0, ABSENT, 1])


def test_the_slots_of_a_second_word_column_follow_those_of_the_first():
    slots = word_slots_of(
        [[1, 1, 0, 1], [1, 1, 0, 1]], words=("x", "z"), n_words=(2, 2), word_slots=(1, 2)
    )
    assert_array_equal(slots, [0, ABSENT, ABSENT, 1])


# -- arrays


@pytest.mark.parametrize("shape", [(4,), (3, 5, 1), (3, 5, 2)])
def test_arrays_are_centred_and_scaled_channel_by_channel_as_numpy_does(shape):
    images = np.random.default_rng(0).integers(0, 255, (2_500, *shape), dtype=np.uint8)
    images[..., -1] = 7  # a constant channel
    stats = fitted(
        encoded_rows(arrays=[images]),
        Layout(arrays=("x",), array_shapes=(shape,)),
        rows=range(2000),
    )
    axes = tuple(range(images.ndim - 1))
    deviations = images[:2000].std(axis=axes)
    deviations[-1] = 1.0
    assert_allclose(stats.array_centre, images[:2000].mean(axis=axes), rtol=1e-6)
    assert_allclose(stats.array_scale, deviations, rtol=1e-6)


def test_the_channels_of_several_arrays_follow_each_other():
    arrays = [np.zeros((2, 3, 1)), np.ones((2, 4, 2))]
    layout = Layout(arrays=("x", "z"), array_shapes=((3, 1), (4, 2)))
    stats = fitted(encoded_rows(arrays=arrays), layout)
    assert_array_equal(stats.array_centre, [0.0, 1.0, 1.0])


# -- target


def test_a_target_is_standardised_value_by_value():
    y = np.array([[1.0, 10.0], [3.0, 10.0], [5.0, 10.0], [99.0, -1.0]])
    stats = fitted_number([0.0] * 4, y=y, rows=[0, 1, 2], scale_target=True)
    assert_array_equal(stats.target_centre, [3.0, 10.0])
    assert_allclose(stats.target_scale, [np.sqrt(8 / 3), 1.0], rtol=1e-12)


def test_a_target_far_from_zero_is_scaled_by_its_own_deviation():
    y = 2459000.5 + np.array([[-0.1], [0.1], [-0.1], [0.1]])
    stats = fitted_number([0.0] * 4, y=y, scale_target=True)
    assert_allclose(stats.target_scale, [0.1], rtol=1e-6)


@pytest.mark.parametrize("value", [0.1, 2459000.3, 1e-30])
def test_a_constant_target_is_not_scaled_by_what_rounding_leaves(value):
    stats = fitted_number([0.0] * 7, y=np.full((7, 1), value), scale_target=True)
    assert_array_equal(stats.target_scale, [1.0])


def test_a_target_that_is_not_scaled_has_centre_0_and_scale_1():
    stats = fitted_number([0.0] * 3, y=[[1.0], [2.0], [9.0]])
    assert_array_equal([stats.target_centre[0], stats.target_scale[0]], [0.0, 1.0])


# -- one shape for every fold


def sizes(stats):
    return {name: getattr(stats, name).shape for name in stats.for_all()}


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_statistics_have_one_shape_whatever_the_training_rows_hold(data, any_rows, mixed_schema):
    layout = Layout.of(mixed_schema, max_levels=4, max_words=2)
    frame, arrays = data.draw(any_rows(6))
    encoded = encode(mixed_schema, frame, arrays, 6)
    rows = st.sets(st.integers(0, 5), min_size=1).map(sorted)
    first, second = (
        fitted(encoded, layout, rows=data.draw(rows), scale_target=True) for _ in range(2)
    )
    assert sizes(first) == sizes(second)


def test_a_stack_of_folds_gives_each_fold_back():
    cells = np.arange(12.0)
    parts = [fitted_number(cells, rows=range(end)) for end in (3, 6, 12)]
    stack = Statistics.stack(parts)
    assert stack.centre.shape == (3, 1)
    assert [float(stack[fold].centre[0]) for fold in range(3)] == [1.0, 2.5, 5.5]


def test_fitting_many_folds_makes_nothing_of_the_size_of_folds_times_rows_times_features():
    n_folds, n_rows, n_features = 60, 2_000, 50
    cells = np.random.default_rng(0).normal(size=(n_rows, n_features))
    encoded = encoded_rows(numbers=cells)
    layout = Layout(numbers=tuple(map(str, range(n_features))))
    tracemalloc.start()
    try:
        Statistics.stack(
            [fitted(encoded, layout, rows=range(fold, n_rows)) for fold in range(n_folds)]
        )
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < n_folds * n_rows * n_features * 4 / 2
