"""Encoding: each kind of column, and that no row's encoding depends on another row."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import hpsearch
from hpsearch.data import Column, Schema
from hpsearch.preprocessing import Layout, design_rows, encode, fit_statistics
from hpsearch.task import Target

TARGET = Target(("y",), "regression")


def schema_of(*columns):
    return Schema(columns, TARGET)


def encoded_column(column, cells, dtype="str"):
    frame = pd.DataFrame({column.name: pd.Series(cells, dtype=dtype)})
    return encode(schema_of(column), frame, {}, len(cells))


def test_numbers_are_float32_with_nan_where_missing():
    numbers = encoded_column(Column("x", "number"), [1.5, None, -2.0], "float64").numbers
    assert numbers.dtype == np.float32
    assert_array_equal(numbers, [[1.5], [np.nan], [-2.0]])


def test_a_category_becomes_the_position_of_its_level():
    column = Column("x", "category", levels=("a", "b", "c"))
    codes = encoded_column(column, ["c", "a", "b"]).codes
    assert codes.dtype == np.int32
    assert_array_equal(codes, [[2], [0], [1]])


def test_an_unseen_level_and_a_missing_cell_have_codes_of_their_own():
    column = Column("x", "category", levels=("a", "b"), has_missing=True)
    assert_array_equal(encoded_column(column, ["b", "new", None]).codes, [[1], [2], [3]])


def test_a_column_without_a_single_known_cell_is_all_missing():
    column = Column("x", "category", levels=("a", "b"), has_missing=True)
    assert_array_equal(encoded_column(column, [None, None]).codes, [[3], [3]])


def test_a_text_becomes_one_for_each_word_that_occurs_however_often():
    column = Column("x", "text", levels=("bad", "good", "so"))
    words = encoded_column(column, ["So good, SO good!", "unknown words", None, "bad"]).words
    assert words.dtype == np.float32
    assert_array_equal(words.toarray(), [[0, 1, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]])


def test_a_date_becomes_days_since_2000_and_its_places_in_the_year_and_the_week():
    column = Column("day", "date")
    days = [dt.datetime(2000, 1, 3), dt.datetime(2001, 1, 1)]  # two Mondays
    numbers = encoded_column(column, days, "datetime64[us]").numbers
    assert_array_equal(numbers[:, 0], [2, 366])
    assert_allclose(numbers[1, 1:3], [0.0, 1.0], atol=1e-5)  # the year begins
    assert_allclose(numbers[:, 3:5], [[0.0, 1.0], [0.0, 1.0]], atol=1e-3)  # so does the week


def test_a_date_with_a_clock_has_its_place_in_the_day_too():
    column = Column("day", "date", has_clock=True)
    times = [dt.datetime(2000, 1, 1, 6), dt.datetime(2000, 1, 1, 12)]
    numbers = encoded_column(column, times, "datetime64[us]").numbers
    assert_allclose(numbers[:, -2:], [[1.0, 0.0], [0.0, -1.0]], atol=1e-6)


def test_a_missing_date_is_missing_in_each_of_its_features():
    column = Column("day", "date", has_missing=True, has_clock=True)
    numbers = encoded_column(column, [dt.datetime(2000, 1, 1), None], "datetime64[us]").numbers
    assert numbers.shape == (2, 7)
    assert_array_equal(np.isnan(numbers), [[False] * 7, [True] * 7])


@pytest.mark.parametrize(
    ("shape", "encoded_shape"),
    [((5,), (5,)), ((4, 3), (4, 3, 1)), ((4, 3, 2), (4, 3, 2)), ((2, 4, 3, 2), (2, 4, 3, 2))],
)
def test_an_array_of_two_axes_gets_a_channel_axis_and_keeps_its_dtype(shape, encoded_shape):
    images = np.arange(2 * np.prod(shape), dtype=np.uint8).reshape(2, *shape)
    schema = schema_of(Column("x", "array", shape=shape))
    [array] = encode(schema, pd.DataFrame(index=range(2)), {"x": images}, 2).arrays
    assert array.dtype == np.uint8
    assert array.shape == (2, *encoded_shape)
    assert_array_equal(array.ravel(), images.ravel())
    assert Layout.of(schema).input_shape == encoded_shape


def test_the_words_of_several_columns_stand_side_by_side():
    schema = schema_of(
        Column("tokens", "words", shape=(3,)), Column("note", "text", levels=("bad", "good"))
    )
    tokens = sparse.csr_array(np.array([[1, 0, 1], [0, 0, 0]], np.float32))
    frame = pd.DataFrame({"note": pd.Series(["good", "bad good"], dtype="str")})
    words = encode(schema, frame, {"tokens": tokens}, 2).words
    assert_array_equal(words.toarray(), [[1, 0, 1, 0, 1], [0, 0, 0, 1, 1]])


def test_words_of_a_text_are_split_as_when_the_table_was_read():
    text = pd.Series(["Don't panic: 42!", "x_1 naïve"], dtype="str")
    data = hpsearch.load(pd.DataFrame({"note": text, "y": [0.5, 1.5]}), target="y", text="note")
    words = encode(data.schema, data.frame, data.arrays, 2).words
    assert words.sum() == len(data.schema.columns[0].levels) == 6


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_row_is_encoded_alone_as_it_is_among_others(data, any_rows, mixed_schema):
    frame, arrays = data.draw(any_rows(5))
    rows = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=7))
    part = {name: array[rows] for name, array in arrays.items()}
    alone = encode(mixed_schema, frame.iloc[rows].reset_index(drop=True), part, len(rows))
    among = encode(mixed_schema, frame, arrays, 5).take(np.array(rows))
    assert_array_equal(alone.numbers, among.numbers)
    assert_array_equal(alone.codes, among.codes)
    assert_array_equal(alone.words.toarray(), among.words.toarray())
    for mine, theirs in zip(alone.arrays, among.arrays, strict=True):
        assert_array_equal(mine, theirs)


# -- layout


def test_indicators_point_at_the_first_feature_of_a_column_with_missing_cells():
    layout = Layout.of(
        schema_of(
            Column("day", "date", has_clock=True),
            Column("age", "number", has_missing=True),
            Column("when", "date", has_missing=True),
            Column("size", "number"),
        )
    )
    assert [layout.numbers[position] for position in layout.indicators] == ["age", "when.days"]
    assert layout.input_shape == (7 + 1 + 5 + 1 + 2,)


def test_a_category_with_too_many_levels_has_one_slot_more_for_the_rest():
    schema = schema_of(
        Column("few", "category", levels=("a", "b")),
        Column("many", "category", levels=tuple("abcdef"), has_missing=True),
    )
    layout = Layout.of(schema, max_levels=3)
    assert layout.has_other == (False, True)
    assert layout.category_slots == (2, 3 + 1 + 1)
    assert Layout.of(schema, max_levels=6).category_slots == (2, 6 + 1)


def test_words_have_at_most_so_many_slots():
    schema = schema_of(
        Column("note", "text", levels=tuple("abcde")), Column("tokens", "words", shape=(2,))
    )
    assert Layout.of(schema, max_words=3).word_slots == (3, 2)


def test_an_array_beside_another_column_is_flattened():
    image = Column("x", "array", shape=(4, 3))
    assert Layout.of(schema_of(image)).keeps_shape
    beside = Layout.of(schema_of(image, Column("size", "number")))
    assert not beside.keeps_shape
    assert beside.input_shape == (1 + 12,)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_rows_have_the_shape_that_the_layout_says(data, any_rows, mixed_schema):
    columns = data.draw(st.sets(st.sampled_from(mixed_schema.columns), min_size=1))
    schema = Schema(tuple(c for c in mixed_schema.columns if c in columns), mixed_schema.target)
    layout = Layout.of(
        schema, max_levels=data.draw(st.integers(1, 7)), max_words=data.draw(st.integers(1, 5))
    )
    frame, arrays = data.draw(any_rows(4))
    encoded = encode(schema, frame, arrays, 4)
    stats = fit_statistics(encoded, np.zeros((4, 1)), np.arange(3), layout, scale_target=True)
    rows = design_rows(encoded, layout, stats)
    assert rows.shape == (4, *layout.input_shape)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
