"""New rows are read under a known schema."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data import load, read_rows
from hpsearch.errors import DataError

TRAIN = pd.DataFrame(
    {
        "size": [1.5, 2.0, None, 4.0],
        "colour": ["red", "blue", "red", None],
        "code": ["007", "012", "007", "100"],
        "seen": ["2024-01-31", "2024-02-01", "2024-02-02", ""],
        "ok": [True, False, True, True],
        "note": ["good one", "bad one", "", "good"],
        "y": ["a", "b", "a", "b"],
    }
)


@pytest.fixture(scope="module")
def data():
    return load(TRAIN, target="y", text="note")


def test_the_training_rows_read_as_they_were_loaded(data):
    rows = read_rows(TRAIN, data.schema, require_target=True)
    pd.testing.assert_frame_equal(rows.frame, data.frame)
    assert rows.y.tolist() == data.y.tolist()
    assert (rows.notes, rows.unseen) == ((), ())


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(list(TRAIN.columns)))
def test_the_order_of_columns_does_not_matter(order):
    schema = load(TRAIN, target="y", text="note").schema
    rows = read_rows(TRAIN[order], schema, require_target=True)
    pd.testing.assert_frame_equal(rows.frame, read_rows(TRAIN, schema).frame)
    assert rows.y.tolist() == [0, 1, 0, 1]


def test_a_csv_file_of_the_rows_reads_the_same(data, tmp_path):
    path = tmp_path / "rows.csv"
    TRAIN.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_rows(path, data.schema).frame, data.frame)


def test_one_row_reads_as_it_does_among_others(data):
    for row in range(len(TRAIN)):
        frame = read_rows(TRAIN.iloc[[row]], data.schema).frame
        expected = data.frame.iloc[[row]].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, expected)


def test_the_target_may_be_absent_or_strange_where_it_is_not_asked_for(data):
    assert read_rows(TRAIN.drop(columns="y"), data.schema).y is None
    assert read_rows(TRAIN.assign(y="?"), data.schema).y is None


def test_the_target_is_needed_where_it_is_asked_for(data):
    with pytest.raises(DataError, match="'y' is missing"):
        read_rows(TRAIN.drop(columns="y"), data.schema, require_target=True)


def test_missing_columns_are_refused_by_name(data):
    with pytest.raises(DataError, match="'size', 'ok' are missing"):
        read_rows(TRAIN.drop(columns=["size", "ok"]), data.schema)


def test_extra_columns_are_ignored_and_said(data):
    notes = read_rows(TRAIN.assign(extra=1), data.schema).notes
    assert notes == ("Columns that the model does not use were ignored: extra.",)


def test_unseen_levels_stay_as_they_are_and_are_said(data):
    rows = read_rows(TRAIN.assign(colour="green"), data.schema)
    assert set(rows.frame["colour"]) == {"green"}
    assert "'green' did not occur in the training data (4 rows)" in rows.unseen[0]


def test_missing_words_are_read_by_the_columns_kind(data):
    frame = read_rows(TRAIN.assign(size="?", colour="?"), data.schema).frame
    assert frame["size"].isna().all()
    assert set(frame["colour"]) == {"?"}


def test_cells_may_be_missing_in_any_column(data):
    empty = pd.DataFrame({name: [None, None] for name in TRAIN})
    frame = read_rows(empty, data.schema).frame
    assert frame.isna().all(axis=None)
    assert frame.dtypes.tolist() == data.frame.dtypes.tolist()


def test_a_cell_that_is_no_number_is_refused_with_its_line(data, write):
    path = write(TRAIN.astype("str").assign(size=["1", "2", "x", "4"]).to_csv(index=False))
    with pytest.raises(DataError, match=r"'size' holds numbers; line 4 \('x'\)"):
        read_rows(path, data.schema)


def test_infinite_cells_are_refused(data):
    with pytest.raises(DataError, match="finite"):
        read_rows(TRAIN.assign(size=np.inf), data.schema)


def test_codes_that_lost_their_zeros_are_unseen(data):
    unseen = read_rows(TRAIN.assign(code=[7, 12, 7, 100]), data.schema).unseen
    assert "'12', '7' did not occur" in unseen[0]


def test_flags_are_recognised_in_any_case(data):
    frame = read_rows(TRAIN.assign(ok=["true", "FALSE", "", "True"]), data.schema).frame
    assert frame["ok"].tolist()[:2] == ["True", "False"]


def test_a_header_without_rows_is_refused(data, write):
    with pytest.raises(DataError, match="needs rows below its header"):
        read_rows(write("size,colour\n"), data.schema)


def test_unknown_labels_are_refused(data):
    with pytest.raises(DataError, match="'z'"):
        read_rows(TRAIN.assign(y=["a", "b", "z", "a"]), data.schema, require_target=True)


def test_an_array_takes_the_names_it_was_trained_with():
    data = load(np.arange(8.0).reshape(4, 2), [0.5, 1.0, 4.0, 2.0])
    rows = read_rows(np.ones((1, 2)), data.schema, y=[3.0], require_target=True)
    assert rows.frame.to_dict("list") == {"x0": [1.0], "x1": [1.0]}
    assert rows.y.tolist() == [[3.0]]


def test_a_target_given_apart_takes_the_schemas_name():
    table = pd.DataFrame({"a": [1.0, 2.0, 4.0], "price": [0.5, 1.0, 3.0]})
    data = load(table, target="price")
    rows = read_rows(table[["a"]], data.schema, y=[1, 2, 3], require_target=True)
    assert rows.y.tolist() == [[1.0], [2.0], [3.0]]


def test_images_must_have_the_shape_of_the_training_images():
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    data = load(images, [0, 1, 0, 1])
    arrays = read_rows(images[:1], data.schema).arrays
    assert arrays["x"].shape == (1, 2, 3)
    with pytest.raises(DataError, match=r"shape \(2, 3\); received \(3, 2\)"):
        read_rows(np.zeros((1, 3, 2), np.uint8), data.schema)
    with pytest.raises(DataError, match="received one cell per row"):
        read_rows(pd.DataFrame({"x": [1]}), data.schema)


def test_a_number_column_given_as_images_is_refused():
    data = load(pd.DataFrame({"x": [1.0, 2.0, 5.0]}), [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="received an array per row"):
        read_rows(np.zeros((1, 2, 2)), data.schema)


def test_word_sequences_are_read_with_the_training_words():
    data = load([[0, 1], [2], [1]], [0, 1, 0])
    rows = read_rows([[0, 9], [2, 1, 1]], data.schema)
    assert rows.arrays["x"].toarray().tolist() == [[1, 0, 0], [0, 1, 1]]
    assert rows.notes == ("1 word number beyond the 3 known ones was left out.",)


def test_word_sequences_of_one_length_are_words_as_well():
    data = load([[0, 1], [2], [1]], [0, 1, 0])
    for rows in ([[2, 2], [0, 1]], [(2,), (1,)], [[]], [np.array([1, 1])]):
        words = read_rows(rows, data.schema).arrays["x"].toarray()
        expected = [[float(word in row) for word in range(3)] for row in rows]
        assert words.tolist() == expected


def test_marks_of_words_are_read_from_arrays_and_refused_as_lists():
    data = load([[0, 1], [2], [1]], [0, 1, 0])
    marks = np.array([[1, 0, 1], [0, 0, 0]])
    assert read_rows(marks, data.schema).arrays["x"].toarray().tolist() == marks.tolist()
    with pytest.raises(DataError, match="a 0 or 1 for each of the 3 known words"):
        read_rows(marks.tolist(), data.schema)
    with pytest.raises(DataError, match=r"received the shape \(2, 2\)"):
        read_rows(marks[:, :2], data.schema)


# -- a row means what the schema says, in whatever form it comes


FORMS = {
    "ok": [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["1", "0"],
        ["1.0", "0.0"],
        ["yes", "No"],
        ["TRUE", "f"],
        np.array([1, 0], dtype=np.int8),
        np.array([True, False]),
        pd.array([True, False], dtype="boolean"),
        pd.array([1, 0], dtype="Int64"),
        pd.Categorical([True, False]),
        pd.Series([True, False], dtype="bool[pyarrow]"),
        pd.Series(["true", "false"], dtype="string[pyarrow]"),
        [Decimal(1), Decimal("0.0")],
        [np.bool_(True), 0],
        ["yes", False],
    ],
    "size": [
        [1.5, 2],
        ["1.5", "2"],
        ["1,5", "2,0"],
        [" 1.5 ", "+2"],
        [Decimal("1.5"), 2],
        [np.float32(1.5), np.int8(2)],
        pd.array([1.5, 2], dtype="Float64"),
        pd.Categorical([1.5, 2.0]),
        pd.Categorical(["1.5", "2"]),
        pd.Series([1.5, 2], dtype="double[pyarrow]"),
        pd.Series([Decimal("1.5"), Decimal(2)], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
        pd.arrays.SparseArray([1.5, 2.0]),
        ["1.5", 2.0],
    ],
    "seen": [
        ["2024-01-31", "2024-02-01"],
        ["31.01.2024", "2024-02-01"],
        [dt.date(2024, 1, 31), dt.date(2024, 2, 1)],
        [dt.datetime(2024, 1, 31), pd.Timestamp("2024-02-01")],
        pd.to_datetime(["2024-01-31", "2024-02-01"]),
        pd.to_datetime(["2024-01-31", "2024-02-01"]).tz_localize("UTC").astype(object),
        pd.Series(["2024-01-31", "2024-02-01"], dtype="category"),
        pd.Series([dt.date(2024, 1, 31), dt.date(2024, 2, 1)], dtype="date32[pyarrow]"),
        np.array(["2024-01-31", "2024-02-01"], dtype="datetime64[s]"),
        pd.PeriodIndex(["2024-01-31", "2024-02-01"], freq="D"),
        [np.datetime64("2024-01-31"), np.datetime64("2024-02-01")],
        ["2024-01-31", dt.date(2024, 2, 1)],
    ],
    "rooms": [
        [3, 4],
        [3.0, 4.0],
        ["3", "4.0"],
        [np.int64(3), 4.0],
        [Decimal("3.0"), "4"],
        pd.array([3, 4], dtype="UInt8"),
        pd.Series([3, 4], dtype="int32[pyarrow]"),
        pd.Categorical([3, 4]),
        np.array(["3", "4"], dtype=object),
    ],
}
EXPECTED = {
    "ok": ["True", "False"],
    "size": [1.5, 2.0],
    "seen": [pd.Timestamp(2024, 1, 31), pd.Timestamp(2024, 2, 1)],
    "rooms": ["3", "4"],
}


@pytest.fixture(scope="module")
def flat():
    """A schema with a flag, numbers, dates as Germans write them, and levels that are numbers."""
    return load(
        pd.DataFrame(
            {
                "ok": ["True", "False", "True", "False"],
                "size": [1.5, 2, 3, 7],
                "seen": ["31.01.2024", "01.02.2024", "13.02.2024", "20.02.2024"],
                "rooms": pd.Categorical([3, 4, 5, 3]),
                "y": [1.0, 2.0, 4.0, 8.0],
            }
        ),
        target="y",
    ).schema


def row_of(number, column, cell):
    plain = {"ok": "True", "size": 1, "seen": "2024-02-03", "rooms": "3"}
    return pd.DataFrame({name: [cell if name == column else plain[name]] for name in plain})


@pytest.mark.parametrize(
    ("column", "cells"),
    [(column, cells) for column, forms in FORMS.items() for cells in forms],
    ids=lambda value: value if isinstance(value, str) else str(list(value))[:40],
)
def test_a_cell_means_the_same_in_every_form(flat, column, cells):
    table = pd.concat([row_of(0, column, None)] * 2, ignore_index=True)
    table[column] = pd.Series(cells) if isinstance(cells, pd.Series) else cells
    rows = read_rows(table, flat)
    assert rows.frame[column].tolist() == EXPECTED[column]
    assert rows.unseen == ()
    for number in (0, 1):  # and without the other row beside it
        alone = read_rows(table.iloc[[number]], flat)
        assert alone.frame[column].tolist() == EXPECTED[column][number:][:1]


@pytest.mark.parametrize("gone", [None, np.nan, pd.NA, pd.NaT, float("nan"), "", "  "])
@pytest.mark.parametrize("column", ["ok", "size", "seen", "rooms"])
def test_a_cell_is_missing_in_every_form(flat, column, gone):
    assert read_rows(row_of(0, column, gone), flat).frame[column].isna().all()


def test_words_for_missing_are_missing_in_a_flag_as_they_were_in_training(flat):
    assert read_rows(row_of(0, "ok", "NA"), flat).frame["ok"].isna().all()


def test_other_words_for_true_and_false_are_said(flat):
    table = pd.concat([row_of(0, "ok", 1), row_of(0, "ok", 0)])
    assert read_rows(table, flat).notes == ("Column 'ok': '0' was read as 'False', '1' as 'True'.",)


def test_a_number_column_takes_flags_beside_numbers(flat):
    table = pd.DataFrame({"size": [True, 5, "false"]}, dtype=object)
    table = table.assign(ok=True, seen="2024-02-03", rooms=3)
    assert read_rows(table, flat).frame["size"].tolist() == [1, 5, 0]


def test_the_names_of_the_schema_find_the_separator(write):
    table = pd.DataFrame({"dose,mg": [0.5, 1.5, 2.5], "b": [1, 5, 9], "y": [1.0, 2.0, 4.0]})
    schema = load(table, target="y").schema
    rows = read_rows(write("dose,mg;b\n0,5;7\n"), schema)
    assert rows.frame.iloc[0].to_dict() == {"dose,mg": 0.5, "b": 7.0}


def test_a_single_column_may_hold_decimal_commas(write):
    schema = load(pd.DataFrame({"a": [0.5, 1.5, 2.5]}), [1.0, 2.0, 4.0]).schema
    assert read_rows(write("a\n1,5\n2\n"), schema).frame["a"].tolist() == [1.5, 2.0]


def test_labels_of_test_rows_come_in_other_forms(flat):
    table = pd.DataFrame({"a": [1.0, 2.0, 5.0, 7.0], "ill": [True, False, True, False]})
    data = load(table, target="ill")
    for labels in (["yes", "no"], [1, 0], ["TRUE", "0"], [1.0, 0.0]):
        rows = read_rows(pd.DataFrame({"a": [3, 4]}), data.schema, y=labels, require_target=True)
        assert rows.y.tolist() == [1, 0]
