"""Design rows: a row by hand, and the same numbers from NumPy, Keras and JAX."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from hpsearch.data import Column, Schema
from hpsearch.preprocessing import Encoded, Layout, design_rows, encode, fit_statistics
from hpsearch.preprocessing.design import design_batch, multi_hot
from hpsearch.preprocessing.statistics import ABSENT
from hpsearch.task import Target


def fitted(encoded, layout, n_train):
    y = np.zeros((encoded.n_rows, 1))
    return fit_statistics(encoded, y, np.arange(n_train), layout, scale_target=False)


def numbers_alone(cells):
    cells = np.array(cells, np.float32)[:, np.newaxis]
    return Encoded(cells, np.empty((len(cells), 0), np.int32), None, ())


def test_a_row_holds_numbers_indicators_levels_words_and_arrays_in_this_order():
    schema = Schema(
        (
            Column("image", "array", shape=(2,)),
            Column("note", "text", levels=("bad", "good")),
            Column("colour", "category", levels=("blue", "red"), has_missing=True),
            Column("age", "number", has_missing=True),
            Column("size", "number"),
        ),
        Target(("y",), "regression"),
    )
    frame = pd.DataFrame(
        {
            "note": pd.Series(["good", "bad"] * 2, dtype="str"),
            "colour": pd.Series(["red", None, "blue", "red"], dtype="str"),
            "age": [1.0, np.nan, 5.0, 3.0],
            "size": [0.0, 2.0, 0.0, 2.0],
        }
    )
    arrays = {"image": np.array([[0.0, 4.0], [2.0, 0.0], [0.0, 4.0], [2.0, 0.0]])}
    layout = Layout.of(schema)
    encoded = encode(schema, frame, arrays, 4)
    rows = design_rows(encoded, layout, fitted(encoded, layout, n_train=4))
    age = np.sqrt(8 / 3)  # the standard deviation of 1, 5 and 3
    expected = [
        # age, size, is age missing, blue, red, is colour missing, bad, good, image
        [-2 / age, -1, 0, 0, 1, 0, 0, 1, -1, 1],
        [0, 1, 1, 0, 0, 1, 1, 0, 1, -1],
        [2 / age, -1, 0, 1, 0, 0, 0, 1, -1, 1],
        [0, 1, 0, 0, 1, 0, 1, 0, 1, -1],
    ]
    assert_allclose(rows, expected, rtol=1e-6)


def test_a_missing_number_is_filled_before_it_is_standardised():
    encoded, layout = numbers_alone([1.0, 2.0, 6.0, np.nan]), Layout(numbers=("x",))
    rows = design_rows(encoded, layout, fitted(encoded, layout, n_train=3))
    assert_allclose(rows[3], (2.0 - 3.0) / np.sqrt(14 / 3), rtol=1e-6)


def test_an_image_alone_keeps_its_shape_and_gets_a_channel_axis():
    schema = Schema((Column("x", "array", shape=(2, 3)),), Target(("y",), "regression"))
    images = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    encoded = encode(schema, pd.DataFrame(index=range(2)), {"x": images}, 2)
    layout = Layout.of(schema)
    rows = design_rows(encoded, layout, fitted(encoded, layout, n_train=2))
    assert rows.shape == (2, 2, 3, 1)
    assert rows.dtype == np.float32
    assert_allclose(rows[..., 0], (images - 5.5) / images.std(), rtol=1e-6)


def test_each_feature_of_a_sequence_is_standardised_over_training_rows_and_steps():
    column = Column("x", "array", shape=(6, 2), array_kind="sequence")
    schema = Schema((column,), Target(("y",), "regression"))
    series = np.random.default_rng(0).normal([0.0, 1e5], [1.0, 2e4], (9, 6, 2)).astype(np.float32)
    encoded = encode(schema, pd.DataFrame(index=range(9)), {"x": series}, 9)
    layout = Layout.of(schema)
    rows = design_rows(encoded, layout, fitted(encoded, layout, n_train=7))
    assert rows.shape == (9, *layout.input_shape) == (9, 6, 2)
    assert_allclose(rows[:7].mean(axis=(0, 1)), [0.0, 0.0], atol=1e-4)
    assert_allclose(rows[:7].std(axis=(0, 1)), [1.0, 1.0], rtol=1e-4)
    centre, scale = series[:7].mean(axis=(0, 1)), series[:7].std(axis=(0, 1))
    assert_allclose(rows[7:], (series[7:] - centre) / scale, rtol=1e-3, atol=1e-4)


def test_an_array_of_numbers_has_a_mean_for_each():
    column = Column("x", "array", shape=(2, 3), array_kind="numbers")
    schema = Schema((column,), Target(("y",), "regression"))
    arrays = {"x": np.arange(24.0).reshape(4, 2, 3)}
    encoded = encode(schema, pd.DataFrame(index=range(4)), arrays, 4)
    layout = Layout.of(schema)
    rows = design_rows(encoded, layout, fitted(encoded, layout, n_train=2))
    assert_allclose(rows[:2], np.outer([-1.0, 1.0], np.ones(6)))


def test_an_absent_word_sets_no_slot():
    words = sparse.csr_array(np.array([[1, 1, 1], [0, 1, 0]], np.float32))
    layout = Layout(words=("x",), n_words=(3,), word_slots=(2,))
    dense = multi_hot(words, layout, np.array([1, ABSENT, 0], np.int32))
    assert_array_equal(dense, [[1, 1], [0, 0]])


@pytest.mark.parametrize("columns", ["all", "image"])
@pytest.mark.parametrize("backend", ["keras.ops", "jax.numpy"])
def test_every_backend_gives_the_rows_that_numpy_gives(backend, columns, mixed_schema, mixed_rows):
    xp = pytest.importorskip(backend)
    used = mixed_schema.columns if columns == "all" else mixed_schema.of_kind("array")
    schema = Schema(used, mixed_schema.target)
    layout = Layout.of(schema, max_levels=4, max_words=2)
    encoded = encode(schema, *mixed_rows, 40)
    stats = fitted(encoded, layout, n_train=30)
    words = encoded.words
    rows = design_batch(
        xp,
        layout,
        stats,
        numbers=xp.array(encoded.numbers),
        codes=xp.array(encoded.codes),
        words=None if words is None else xp.array(multi_hot(words, layout, stats.word_slots)),
        arrays=tuple(xp.array(array) for array in encoded.arrays),
    )
    expected = design_rows(encoded, layout, stats)
    assert rows.shape == expected.shape
    assert_allclose(np.asarray(rows), expected, rtol=1e-6, atol=1e-6)


GAPS = np.array(
    [
        [[1.0, 10.0], [3.0, np.nan], [np.nan, np.nan]],
        [[5.0, 30.0], [3.0, 20.0], [7.0, 20.0]],
        [[99.0, 99.0], [99.0, 99.0], [99.0, 99.0]],
    ],
    np.float32,
)


def sequences(values):
    layout = Layout(arrays=("x",), array_shapes=(values.shape[1:],), array_kinds=("sequence",))
    n = len(values)
    return Encoded(
        np.empty((n, 0), np.float32), np.empty((n, 0), np.int32), None, (values,)
    ), layout


def test_statistics_of_a_feature_are_those_of_its_present_values():
    encoded, layout = sequences(GAPS)
    stats = fitted(encoded, layout, n_train=2)
    assert_allclose(stats.array_centre, [19 / 5, 20.0], rtol=1e-6)
    deviations = [np.std([1, 3, 5, 3, 7]), np.std([10, 30, 20, 20])]
    assert_allclose(stats.array_scale, deviations, rtol=1e-6)


def test_a_missing_value_is_the_mean_padding_zeros_and_a_step_at_the_mean_is_not_padding():
    steps = GAPS.copy()
    steps[1, 1] = [3.8, 20.0]
    encoded, layout = sequences(steps)
    stats = fitted(sequences(GAPS)[0], layout, n_train=2)
    stats.array_centre[0] = np.float32(3.8)
    first, second, _ = design_rows(encoded, layout, stats)
    assert first[1, 1] == 0.0
    assert first[1, 0] != 0.0
    assert_array_equal(first[2], [0.0, 0.0])
    assert_array_equal(second[1], [2.0**-13, 2.0**-13])


def test_a_feature_that_no_training_row_holds_is_left_as_it_is():
    steps = GAPS.copy()
    steps[:2, :, 1] = np.nan
    encoded, layout = sequences(steps)
    stats = fitted(encoded, layout, n_train=2)
    assert (stats.array_centre[1], stats.array_scale[1]) == (0.0, 1.0)


@pytest.mark.parametrize("backend", ["keras.ops", "jax.numpy"])
def test_every_backend_gives_the_steps_that_numpy_gives(backend):
    xp = pytest.importorskip(backend)
    encoded, layout = sequences(GAPS)
    stats = fitted(encoded, layout, n_train=2)
    rows = design_batch(xp, layout, stats, arrays=encoded.arrays)
    assert_allclose(np.asarray(rows), design_rows(encoded, layout, stats), rtol=1e-6)
