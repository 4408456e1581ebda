"""Sequences: missing values, padding, and as many steps as were trained on."""

import re

import numpy as np
import pytest

import hpsearch
from hpsearch.data import Schema, load
from hpsearch.data.rows import read_rows
from hpsearch.errors import DataError, OptionError

RNG = np.random.default_rng(0)
STEPS = RNG.normal(size=(6, 5, 2))
Y = np.arange(6) / 4
MISSING = np.nan


def padded(value, dtype=float):
    """Six sequences of 2 to 5 steps, the rest of each row padded by a value."""
    rows = np.full((6, 5, 2), value, dtype)
    for row, end in enumerate([5, 2, 3, 5, 4, 2]):
        rows[row, :end] = STEPS[row, :end]
    return rows


def test_a_value_stands_for_padding_where_all_features_of_a_step_hold_it():
    rows = padded(-9.0)
    rows[0, 0] = [-9.0, 1.0]
    data = load(rows, Y, padding=-9)
    kept = data.arrays["x"]
    assert np.isnan(kept[1, 2:]).all()
    assert kept[0, 0].tolist() == [-9.0, 1.0]
    column = data.schema.columns[0]
    assert (column.padding, column.has_missing, column.array_kind) == (-9.0, True, "sequence")
    assert "sequences of 2 to 5 steps of 2 features" in column.reason


def test_padding_reaches_integers_bytes_and_float32():
    for dtype, value in (("int64", -1), ("uint8", 255), ("float32", 0.1)):
        rows = np.ones((3, 4, 2), dtype)
        rows[1, 2:] = value
        data = load(rows, [0.1, 0.2, 0.4], padding=value, kinds={"x": "sequence"})
        assert np.isnan(data.arrays["x"]).sum() == 4


def test_padding_by_a_value_and_by_nan_is_the_same_but_for_what_new_rows_hold():
    by_value, by_nan = load(padded(-9.0), Y, padding=-9), load(padded(MISSING), Y)
    np.testing.assert_array_equal(by_value.arrays["x"], by_nan.arrays["x"])
    assert by_value.fingerprint != by_nan.fingerprint


def test_the_bits_of_nan_and_what_lies_behind_padding_leave_no_mark_in_the_fingerprint():
    other = padded(MISSING)
    other.view(np.uint64)[np.isnan(other)] = 0xFFF8000000000001
    assert load(other, Y).fingerprint == load(padded(MISSING), Y).fingerprint


def test_padding_is_part_of_the_schema():
    schema = load(padded(-9.0), Y, padding=-9).schema
    again = Schema.from_json(schema.to_json())
    assert again == schema
    rows = read_rows(padded(-9.0), again).arrays["x"]
    np.testing.assert_array_equal(rows, load(padded(-9.0), Y, padding=-9).arrays["x"])


def test_a_schema_without_padding_has_no_word_of_it():
    assert "padding" not in load(STEPS, Y).schema.to_json()["columns"][0]


def test_shorter_rows_are_padded_and_padding_behind_the_longest_is_cut():
    schema = load(padded(MISSING), Y).schema
    shorter = read_rows(STEPS[:, :3], schema).arrays["x"]
    assert shorter.shape == (6, 5, 2)
    assert np.isnan(shorter[:, 3:]).all()
    longer = np.concatenate([STEPS, np.full((6, 2, 2), MISSING)], axis=1)
    assert read_rows(longer, schema).arrays["x"].shape == (6, 5, 2)
    assert read_rows(np.repeat(STEPS, 2, axis=1), schema).arrays["x"].shape == (6, 10, 2)


def test_missing_values_that_training_rows_did_not_have_are_said():
    rows = read_rows(padded(MISSING), load(STEPS, Y).schema)
    assert rows.unseen == (
        "Missing values in 'x' (4 rows): no value of these sequences was missing in the training "
        "data.",
    )


def test_an_offset_is_that_of_the_values_that_are_there():
    far = padded(MISSING) + np.array([2459000.5, 0.0])
    column = load(far, Y).schema.columns[0]
    assert column.offset[0] == pytest.approx(2459000, abs=1)
    assert column.offset[1] == 0.0


def test_a_row_with_a_copy_has_gaps_where_it_has_them():
    from hpsearch.folds.blocks import dataset_duplicates

    rows = padded(MISSING)
    rows[5] = rows[1]
    assert dataset_duplicates(load(rows, Y)).tolist() == [0, 1, 2, 3, 4, 1]


EMPTY = padded(MISSING)
EMPTY[3] = MISSING
IMAGES = np.where(RNG.random((5, 8, 8, 3)) < 0.1, MISSING, 0.5)


@pytest.mark.parametrize(
    ("x", "options", "error", "said"),
    [
        (EMPTY, {}, DataError, "'x' has none in row 3. Drop these rows."),
        (padded(-1.0), {"padding": "x"}, OptionError, "`padding` is the number that padded steps"),
        (padded(-1.0), {"padding": MISSING}, OptionError, "NaN always is a missing value"),
        (STEPS[:, 0], {"padding": 0}, OptionError, "this table has no arrays. Leave it out."),
        (RNG.random((6, 8, 8)), {"padding": 0}, OptionError, "Say --array sequence if it is one."),
        (IMAGES, {}, DataError, "only sequences of steps may have missing values"),
        (np.where(EMPTY > 1, np.inf, EMPTY), {}, DataError, "must be finite and within float32"),
    ],
)
def test_what_is_no_sequence_or_no_padding_is_one_line(x, options, error, said):
    with pytest.raises(error, match=re.escape(said)):
        load(x, Y[: len(x)], **options)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (STEPS[:, :3], "sequences of 5 steps, all of one length; received 3 steps"),
        (STEPS[:, :, :1], "holds sequences of 2 features; received 1 feature"),
    ],
)
def test_new_rows_of_another_shape_are_one_line(rows, said):
    with pytest.raises(DataError, match=re.escape(said)):
        read_rows(rows, load(STEPS, Y).schema)


def test_what_was_said_of_an_array_says_what_it_was_taken_for():
    assert "--array image" not in " ".join(hpsearch.load(padded(MISSING), Y).notes)
