"""Sequences of different length: what Python, Parquet and NPZ hold them in gives one array."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hpsearch
from hpsearch.data import load
from hpsearch.data.rows import read_rows
from hpsearch.errors import DataError

ROWS = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]]), np.full((3, 2), 7.5)]
Y = [0.5, 1.5, 0.25]
EXPECTED = np.full((3, 3, 2), np.nan)
for place, values in zip(EXPECTED, ROWS, strict=True):
    place[: len(values)] = values


def objects(rows):
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


@pytest.mark.parametrize(
    "rows",
    [ROWS, tuple(ROWS), objects(ROWS), [row.tolist() for row in ROWS]],
    ids=["list", "tuple", "objects", "lists"],
)
def test_rows_of_steps_of_features_become_one_array(rows):
    data = load(rows, Y)
    np.testing.assert_array_equal(data.arrays["x"], EXPECTED)
    assert "sequences of 1 to 3 steps of 2 features" in data.describe()[1]


def test_rows_of_fractions_are_steps_of_one_feature_and_whole_numbers_are_words():
    assert load([[0.5], [1.5, 2.0], [3.0]], Y).arrays["x"].shape == (3, 2, 1)
    assert load([np.ones(2), np.ones(1), np.ones(3)], Y).arrays["x"].shape == (3, 3, 1)
    assert load([[5], [1, 2], [3]], Y).schema.columns[0].kind == "words"
    steps = load([[5], [1, 2], [3]], Y, kinds={"x": "sequence"})
    assert steps.arrays["x"][0, 0, 0] == 5.0
    assert np.isnan(steps.arrays["x"][0, 1, 0])


def test_a_plain_array_that_is_said_to_be_sequences_has_one_feature():
    assert load(np.eye(3, 5), Y, kinds={"x": "sequence"}).arrays["x"].shape == (3, 5, 1)


def test_a_pair_may_have_such_rows():
    np.testing.assert_array_equal(load((ROWS, Y)).arrays["x"], EXPECTED)


def test_new_rows_are_read_as_sequences_whatever_their_lengths():
    schema = load([[0.5], [1.5, 2.0, 9.0], [3.0]], Y).schema
    for rows in ([[1, 2], [3, 4]], [[1], [3, 4]], np.array([[1.0, 2.0], [3.0, 4.0]])):
        assert read_rows(rows, schema).arrays["x"].shape == (2, 3, 1)


# -- files


def parquet(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_columns_of_lists_are_sequences(tmp_path):
    lists = [row.tolist() for row in ROWS]
    records = [[dict(zip("uv", step, strict=True)) for step in row] for row in lists]
    path = parquet(tmp_path, a=[row[:, 0] for row in ROWS], b=lists, c=records, y=Y)
    data = load(path, target="y")
    np.testing.assert_array_equal(data.arrays["a"], EXPECTED[..., :1])
    for name in "bc":
        np.testing.assert_array_equal(data.arrays[name], EXPECTED)
    frame = pd.DataFrame({"b": objects(ROWS), "y": Y})
    np.testing.assert_array_equal(load(frame, target="y").arrays["b"], EXPECTED)
    again = read_rows(frame[["b"]].tail(1), load(frame, target="y").schema)
    np.testing.assert_array_equal(again.arrays["b"], EXPECTED[2:])


def test_missing_numbers_in_lists_are_missing_values(tmp_path):
    path = parquet(tmp_path, a=[[1.0, None], [2.0], [4.0]], y=Y)
    assert np.isnan(load(path, target="y").arrays["a"][:, 1, 0]).all()


def test_an_archive_has_values_one_after_the_other_and_the_length_of_each_row(tmp_path):
    flat, lengths = np.concatenate(ROWS), [len(row) for row in ROWS]
    np.savez(tmp_path / "a.npz", x=flat, x_lengths=lengths, y=Y)
    np.testing.assert_array_equal(load(tmp_path / "a.npz", target="y").arrays["x"], EXPECTED)
    parts = {f"x_{side}": flat for side in ("train", "test")}
    parts |= {f"x_{side}_lengths": lengths for side in ("train", "test")}
    np.savez(tmp_path / "b.npz", **parts, y_train=Y, y_test=Y)
    data = load(tmp_path / "b.npz")
    np.testing.assert_array_equal(data.test.arrays["x"], data.arrays["x"])


# -- what can't be


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROWS[0], np.ones((1, 3)), ROWS[2]], "row 0 has 2 features, row 1 3 features"),
        ([[0.5], [], [1.0, 2.0]], "'x' has none in row 1"),
        ([[0.5], [[1.0]], [1.0, "u"]], "row 2 of 'x' is [1.0, 'u']"),
        ([[0.5], [[1.0], [1.0, 2.0]], [1.0]], "row 1 of 'x' is [[1.0], [1.0, 2.0]]"),
        ([["u"], ["v", "w"], ["u"]], "of word numbers (whole numbers), or of steps of numbers"),
    ],
)
def test_rows_that_are_no_sequences_are_one_line(rows, said):
    with pytest.raises(DataError, match=re.escape(said)):
        load(rows, Y)


def test_a_column_of_lists_that_are_no_sequences_is_named_and_can_be_left_out(tmp_path):
    path = parquet(tmp_path, a=[[1.0], None, [2.0]], b=[1.0, 2.0, 4.0], y=Y)
    with pytest.raises(DataError, match=re.escape("'a' has none in row 1. Drop these rows.")):
        load(path, target="y")
    assert load(path, target="y", drop="a").schema.n_features == 1


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        ([2, 1, 4], "'x_lengths' adds up to 7 steps, and 'x' has 6."),
        ([2, 0, 4], "whole numbers above 0"),
        ([2.0, 1.0, 3.0], "received float64 (3,) beside (6, 2)"),
    ],
)
def test_lengths_that_do_not_fit_are_one_line(tmp_path, lengths, said):
    np.savez(tmp_path / "a.npz", x=np.concatenate(ROWS), x_lengths=lengths, y=Y)
    with pytest.raises(DataError, match=re.escape(said)):
        load(tmp_path / "a.npz", target="y")


def test_an_archive_of_objects_says_how_to_save_them(tmp_path):
    np.savez(tmp_path / "a.npz", x=objects(ROWS), y=Y, allow_pickle=True)
    with pytest.raises(DataError, match="beside x_lengths="):
        load(tmp_path / "a.npz", target="y")


def test_rows_to_score_have_no_more_steps_than_those_to_train_on():
    schema = load(ROWS, Y).schema
    with pytest.raises(DataError, match="Test rows have no more steps than the longest row to"):
        hpsearch.load([np.ones((9, 2)), np.ones((2, 2))], Y[:2], schema=schema)
