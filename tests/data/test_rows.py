"""New rows are read under a known schema."""

import numpy as np
import pandas as pd
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
    frame, _, y, notes = read_rows(TRAIN, data.schema, require_target=True)
    pd.testing.assert_frame_equal(frame, data.frame)
    assert y.tolist() == data.y.tolist()
    assert notes == ()


@settings(deadline=None, max_examples=25)
@given(order=st.permutations(list(TRAIN.columns)))
def test_the_order_of_columns_does_not_matter(order):
    schema = load(TRAIN, target="y", text="note").schema
    frame, _, y, _ = read_rows(TRAIN[order], schema, require_target=True)
    pd.testing.assert_frame_equal(frame, read_rows(TRAIN, schema)[0])
    assert y.tolist() == [0, 1, 0, 1]


def test_a_csv_file_of_the_rows_reads_the_same(data, tmp_path):
    path = tmp_path / "rows.csv"
    TRAIN.to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_rows(path, data.schema)[0], data.frame)


def test_one_row_reads_as_it_does_among_others(data):
    for row in range(len(TRAIN)):
        frame, _, _, _ = read_rows(TRAIN.iloc[[row]], data.schema)
        expected = data.frame.iloc[[row]].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, expected)


def test_the_target_may_be_absent_or_strange_where_it_is_not_asked_for(data):
    assert read_rows(TRAIN.drop(columns="y"), data.schema)[2] is None
    assert read_rows(TRAIN.assign(y="?"), data.schema)[2] is None


def test_the_target_is_needed_where_it_is_asked_for(data):
    with pytest.raises(DataError, match="'y' is missing"):
        read_rows(TRAIN.drop(columns="y"), data.schema, require_target=True)


def test_missing_columns_are_refused_by_name(data):
    with pytest.raises(DataError, match="'size', 'ok' are missing"):
        read_rows(TRAIN.drop(columns=["size", "ok"]), data.schema)


def test_extra_columns_are_ignored_and_said(data):
    _, _, _, notes = read_rows(TRAIN.assign(extra=1), data.schema)
    assert notes == ("Columns that the model does not use were ignored: extra.",)


def test_unseen_levels_stay_as_they_are_and_are_said(data):
    frame, _, _, notes = read_rows(TRAIN.assign(colour="green"), data.schema)
    assert set(frame["colour"]) == {"green"}
    assert "'green' did not occur in the training data (4 rows)" in notes[0]


def test_missing_words_are_read_by_the_columns_kind(data):
    frame, _, _, _ = read_rows(TRAIN.assign(size="?", colour="?"), data.schema)
    assert frame["size"].isna().all()
    assert set(frame["colour"]) == {"?"}


def test_cells_may_be_missing_in_any_column(data):
    empty = pd.DataFrame({name: [None, None] for name in TRAIN})
    frame, _, _, _ = read_rows(empty, data.schema)
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
    _, _, _, notes = read_rows(TRAIN.assign(code=[7, 12, 7, 100]), data.schema)
    assert "'12', '7' did not occur" in notes[0]


def test_flags_are_recognised_in_any_case(data):
    frame, _, _, _ = read_rows(TRAIN.assign(ok=["true", "FALSE", "", "True"]), data.schema)
    assert frame["ok"].tolist()[:2] == ["True", "False"]


def test_a_header_without_rows_is_refused(data, write):
    with pytest.raises(DataError, match="needs rows below its header"):
        read_rows(write("size,colour\n"), data.schema)


def test_unknown_labels_are_refused(data):
    with pytest.raises(DataError, match="'z'"):
        read_rows(TRAIN.assign(y=["a", "b", "z", "a"]), data.schema, require_target=True)


def test_an_array_takes_the_names_it_was_trained_with():
    data = load(np.arange(8.0).reshape(4, 2), [0.5, 1.0, 4.0, 2.0])
    frame, _, y, _ = read_rows(np.ones((1, 2)), data.schema, y=[3.0], require_target=True)
    assert frame.to_dict("list") == {"x0": [1.0], "x1": [1.0]}
    assert y.tolist() == [[3.0]]


def test_a_target_given_apart_takes_the_schemas_name():
    table = pd.DataFrame({"a": [1.0, 2.0, 4.0], "price": [0.5, 1.0, 3.0]})
    data = load(table, target="price")
    _, _, y, _ = read_rows(table[["a"]], data.schema, y=[1, 2, 3], require_target=True)
    assert y.tolist() == [[1.0], [2.0], [3.0]]


def test_images_must_have_the_shape_of_the_training_images():
    images = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    data = load(images, [0, 1, 0, 1])
    _, arrays, _, _ = read_rows(images[:1], data.schema)
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
    _, arrays, _, _ = read_rows([[0, 9], [2, 1, 1]], data.schema)
    assert arrays["x"].toarray().tolist() == [[1, 0, 0], [0, 1, 1]]
