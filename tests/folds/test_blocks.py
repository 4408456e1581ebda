"""Copies of rows: which rows count as equal, in every form that data come in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy import sparse

from hpsearch.errors import FoldError
from hpsearch.folds.blocks import duplicate_ids, join_blocks


@given(
    arrays(np.int64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.integers(0, 2))
)
@settings(max_examples=50, deadline=None)
def test_rows_have_one_number_exactly_where_they_are_equal(X):
    ids = duplicate_ids(X)
    equal = (X[:, np.newaxis] == X[np.newaxis]).all(axis=-1)
    assert_array_equal(ids[:, np.newaxis] == ids, equal)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 20), st.integers(1, 3)),
        elements=st.sampled_from([0, 1, 2]),
    )
)
@settings(max_examples=50, deadline=None)
def test_sparse_rows_are_numbered_like_dense_ones(X):
    assert_array_equal(duplicate_ids(sparse.csr_array(X)), duplicate_ids(X))


def test_stored_zeros_of_a_sparse_row_do_not_tell_it_apart():
    X = sparse.csr_array((np.array([0.0, 1.0, 1.0]), ([0, 0, 1], [0, 1, 1])), shape=(2, 2))
    assert_array_equal(duplicate_ids(X), [0, 0])


def test_an_input_with_stored_zeros_is_left_as_it_is():
    X = sparse.csr_array((np.array([0.0, 1.0]), ([0, 1], [0, 1])), shape=(2, 2))
    duplicate_ids(X)
    assert X.nnz == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, complex])
def test_missing_equals_missing_and_minus_zero_equals_zero(dtype):
    X = np.array([[np.nan, 0.0], [-np.nan, -0.0], [1.0, 0.0]], dtype=dtype)
    assert_array_equal(duplicate_ids(X), [0, 0, 1])


def test_a_table_is_compared_over_all_of_its_columns():
    frame = pd.DataFrame(
        {
            "number": [1.0, 1.0, np.nan, np.nan, 1.0],
            "text": ["a", "a", None, None, "b"],
            "day": pd.to_datetime(["2020-01-01", "2020-01-01", None, None, "2020-01-01"]),
            "level": pd.Categorical(["x", "x", None, None, "x"]),
            "count": pd.array([1, 1, None, None, 1], dtype="Int64"),
            "flag": [True, True, False, False, True],
        }
    )
    assert_array_equal(duplicate_ids(frame), [0, 0, 1, 1, 2])


def test_large_integers_are_told_apart_beside_floats():
    frame = pd.DataFrame({"id": [2**53, 2**53 + 1], "x": [0.5, 0.5]})
    assert_array_equal(duplicate_ids(frame), [0, 1])


def test_the_same_value_in_another_column_is_another_row():
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["y", "x"]})
    assert_array_equal(duplicate_ids(frame), [0, 1])


@pytest.mark.parametrize(
    "X",
    [
        np.stack([np.zeros((2, 2)), np.ones((2, 2)), np.zeros((2, 2))]),
        ["a", "b", "a"],
        pd.Series([1, 2, 1]),
        np.array([["a", 1], ["b", 1], ["a", 1]], dtype=object),
    ],
    ids=["images", "list", "series", "objects"],
)
def test_other_forms_of_data_are_numbered_too(X):
    assert_array_equal(duplicate_ids(X), [0, 1, 0])


def test_rows_without_columns_are_all_equal():
    assert_array_equal(duplicate_ids(pd.DataFrame(index=range(3))), [0, 0, 0])
    assert_array_equal(duplicate_ids(np.zeros((3, 0))), [0, 0, 0])


def test_cells_that_cannot_be_compared_are_refused():
    X = np.empty(2, dtype=object)
    X[:] = [[1], [2]]
    with pytest.raises(FoldError, match='duplicates="ignore"'):
        duplicate_ids(X)


def test_many_rows_are_numbered_across_chunks():
    X = np.repeat(np.arange(3.0), 20_000)[:, np.newaxis] + np.zeros((1, 50))
    assert_array_equal(duplicate_ids(X), np.repeat(np.arange(3), 20_000))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_joined_blocks_split_neither_copies_nor_groups(pairs):
    ids, groups = np.array(pairs).T
    blocks = join_blocks(ids, groups)
    for codes in (ids, groups):
        for code in np.unique(codes):
            assert len(np.unique(blocks[codes == code])) == 1


def test_blocks_that_share_nothing_stay_apart():
    assert_array_equal(join_blocks(np.array([0, 1, 2, 2]), np.array([0, 0, 1, 2])), [0, 0, 1, 1])
