"""Parquet, NPZ, DataFrames and arrays as raw columns."""

import os

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from hpsearch.data.tables import read_table
from hpsearch.errors import DataError


@pytest.fixture
def npz(tmp_path):
    def save(**arrays):
        path = tmp_path / "set.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_an_unknown_file_type_is_refused(write):
    with pytest.raises(DataError, match=r"one of \.csv, .*'t\.xlsx'"):
        read_table(write("", "t.xlsx"))


def test_a_missing_file_is_refused_with_the_nearest_name(write):
    path = write("a,b\n1,2\n", "prices.csv")
    with pytest.raises(DataError, match=r"Did you mean 'prices\.csv'"):
        read_table(path.with_name("price.csv"))


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_table(tmp_path / "no" / "t.csv")


def test_only_a_close_name_is_suggested(write):
    path = write("a,b\n1,2\n", "df_ref.csv")
    with pytest.raises(DataError, match=r"'.*nofile\.csv'\. Check the path"):
        read_table(path.with_name("nofile.csv"))
    with pytest.raises(DataError, match=r"Did you mean 'df_ref\.csv'"):
        read_table(path.with_name("DF-ref.parquet"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet", "npz"])
def test_pipes_and_devices_are_refused(tmp_path, ending):
    pipe = tmp_path / f"pipe.{ending}"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="is a named pipe"):
        read_table(pipe)
    zeros = tmp_path / f"zeros.{ending}"
    zeros.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is a device"):
        read_table(zeros)


def test_a_path_that_is_too_long_is_refused():
    with pytest.raises(DataError, match="File name too long"):
        read_table("x" * 5000 + ".csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(write):
    path = write("a,b\n1,2\n")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_table(path)


def test_a_folder_is_refused(tmp_path):
    folder = tmp_path / "t.csv"
    folder.mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_table(folder)


def test_y_beside_a_file_is_refused(write):
    with pytest.raises(DataError, match="--target"):
        read_table(write("a,b\n1,2\n"), [1])


def test_parquet_keeps_types_and_exact_integers(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype="Int64"), "f": [True, None]})
    frame.to_parquet(path)
    table = read_table(path)
    assert table.frame["n"].iloc[0] == 2**60 + 1
    assert pd.api.types.is_bool_dtype(table.frame["f"].dtype)


def test_a_damaged_parquet_file_is_refused(write):
    with pytest.raises(DataError, match="no readable Parquet"):
        read_table(write("PAR1 but no more", "t.parquet"))


def test_a_named_index_is_left_out_and_said(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="id"))
    table = read_table(frame)
    assert list(table.frame) == ["a"]
    assert "'id'" in table.notes[0]


def test_a_dataframe_is_never_changed():
    frame = pd.DataFrame({" a ": ["x ", "y"], "b": [1, 2]}, index=[5, 5])
    before = frame.copy(deep=True)
    read_table(frame, [0, 1])
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' names columns 1 and 2"),
        (pd.DataFrame([[1, 2]], columns=["a", ""]), "column 2 has none"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "MultiIndex"),
        (pd.DataFrame({"a": []}), "has none"),
        (pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), "Unicode"),
    ],
)
def test_dataframes_without_clear_columns_or_rows_are_refused(frame, message):
    with pytest.raises(DataError, match=message):
        read_table(frame)


def test_npz_with_x_and_y_is_features_and_target(npz):
    table = read_table(npz(X=np.ones((3, 2)), y=np.arange(3)))
    assert table.names == ("x0", "x1", "y")
    assert table.target == ("y",)
    assert table.name == "set"


def test_npz_with_training_and_test_arrays_has_a_test_set(npz):
    arrays = {f"x_{part}": np.ones((n, 2)) for part, n in (("train", 3), ("test", 2))}
    labels = {f"y_{part}": np.arange(n) for part, n in (("train", 3), ("test", 2))}
    table = read_table(npz(**arrays, **labels))
    assert table.n_rows == 3
    assert table.test.n_rows == 2


def test_npz_with_other_keys_is_columns(npz):
    table = read_table(npz(a=np.arange(3), b=np.ones((3, 2)), c=np.array(["u", "v", "w"])))
    assert table.names == ("a", "b0", "b1", "c")
    assert table.target == ()


def test_npz_with_an_image_key_is_an_array_column(npz):
    table = read_table(npz(photo=np.zeros((3, 4, 5), dtype=np.uint8), price=np.arange(3)))
    assert table.arrays["photo"].shape == (3, 4, 5)


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": np.arange(3), "b": np.arange(4)},
        {"a": np.array(1.0)},
        {},
    ],
)
def test_npz_without_columns_of_equal_length_is_refused(npz, arrays):
    with pytest.raises(DataError, match="columns of equal length"):
        read_table(npz(**arrays))


def test_npz_with_python_objects_is_refused(npz):
    with pytest.raises(DataError, match=r"'x'.*Python objects.*astype"):
        read_table(npz(x=np.array([{"a": 1}], dtype=object), y=np.arange(1)))


def test_a_damaged_npz_is_refused(write):
    with pytest.raises(DataError, match="no NPZ archive"):
        read_table(write("no zip", "t.npz"))


def test_a_single_array_called_npz_is_refused(tmp_path):
    path = tmp_path / "t.npy"
    np.save(path, np.ones(3))
    renamed = path.rename(tmp_path / "t.npz")
    with pytest.raises(DataError, match="no NPZ archive"):
        read_table(renamed)


def test_matrix_columns_are_named_by_number():
    assert read_table(np.ones((2, 3)), [1, 2]).names == ("x0", "x1", "x2", "y")


def test_a_vector_is_one_column():
    assert read_table(np.arange(3)).names == ("x0",)


def test_an_array_of_mixed_objects_finds_each_columns_type():
    table = read_table(np.array([[1, "a"], [2, "b"]], dtype=object))
    assert table.frame.dtypes.map(str).tolist() == ["int64", "str"]


def test_a_record_array_keeps_its_names():
    records = np.array([(1, 2.0)], dtype=[("n", int), ("v", float)])
    assert read_table(records).names == ("n", "v")


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_keep_their_shape_and_type(dtype):
    images = read_table(np.zeros((2, 3, 4), dtype=dtype)).arrays["x"]
    assert images.shape == (2, 3, 4)
    assert images.dtype == dtype


@pytest.mark.parametrize(("given", "kept"), [("int64", "float32"), ("bool", "uint8")])
def test_images_of_other_types_become_small_ones(given, kept):
    assert read_table(np.zeros((2, 3, 4), dtype=given)).arrays["x"].dtype == kept


@pytest.mark.parametrize("value", [np.inf, 1e300])
def test_images_beyond_float32_are_refused(value):
    images = np.zeros((2, 3, 4))
    images[1, 0, 0] = value
    with pytest.raises(DataError, match="row 1"):
        read_table(images)


def test_images_of_text_are_refused():
    with pytest.raises(DataError, match="must hold numbers"):
        read_table(np.full((2, 2, 2), "a"))


def test_several_targets_are_several_columns():
    table = read_table(np.ones((2, 1)), np.ones((2, 2)))
    assert table.target == ("y0", "y1")


def test_a_series_or_dataframe_names_the_target():
    assert read_table(np.ones((2, 1)), pd.Series([1, 2], name="price")).target == ("price",)
    assert read_table(np.ones((2, 1)), pd.DataFrame({"a": [1, 2]})).target == ("a",)


def test_an_index_that_disagrees_is_refused():
    x = pd.DataFrame({"a": [1, 2, 3]}, index=[5, 6, 7])
    in_order = pd.Series([10, 20, 30], index=[5, 6, 7])
    assert read_table(x, in_order).frame["y"].tolist() == [10, 20, 30]
    with pytest.raises(DataError, match=r"another order: row 1 is 6 in X and 7 in y\. Align them"):
        read_table(x, in_order.loc[[5, 7, 6]])
    with pytest.raises(DataError, match=r"labels differ: row 0 is 5 in X and 0 in y\. Give y"):
        read_table(x, in_order.reset_index(drop=True).to_frame())


def test_indexes_are_compared_by_their_labels_alone():
    x = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["u", "v"], dtype="category", name="id"))
    y = pd.Series([1, 2], index=pd.Index(["u", "v"], dtype=object))
    assert read_table(x, y).frame["y"].tolist() == [1, 2]


def test_what_has_no_index_is_taken_row_by_row():
    shuffled = pd.Series([10, 20], index=[1, 0])
    x = pd.DataFrame({"a": [1, 2]}, index=[5, 6])
    assert read_table(x, shuffled.to_numpy()).frame["y"].tolist() == [10, 20]
    assert read_table(np.array([[1], [2]]), shuffled).frame["y"].tolist() == [10, 20]


def test_a_name_that_is_a_text_is_refused():
    with pytest.raises(DataError, match=r"at most 500 characters; that of column 2 has 3,000"):
        read_table(pd.DataFrame([[1, 2]], columns=["a", "x" * 3_000]))


def test_a_path_may_be_of_any_class(write):
    class Place:
        def __fspath__(self):
            return str(path)

    path = write("a,b\n1,2\n")
    assert read_table(Place()).names == ("a", "b")


def test_a_series_is_a_column():
    assert read_table(pd.Series([1, 2]), [1, 2]).names == ("x0", "y")
    assert read_table(pd.Series([1, 2], name="a")).names == ("a",)


def test_a_pair_is_features_and_target():
    x, y = pd.DataFrame({"a": [1, 2]}), pd.Series([1, 2], name="price")
    assert read_table((x, y)).target == ("price",)
    assert read_table((x.to_numpy(), y.to_numpy())).names == ("x0", "y")
    assert read_table((sparse.csr_array(np.eye(2)), [0, 1])).target == ("y",)
    with pytest.raises(DataError, match="another order"):
        read_table((x, y.iloc[::-1]))


def test_x_and_y_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="received 3 and 2"):
        read_table(np.ones((3, 2)), [1, 2])


def test_a_target_of_three_axes_is_refused():
    with pytest.raises(DataError, match=r"shape \(2, 1, 1\)"):
        read_table(np.ones((2, 2)), np.ones((2, 1, 1)))


def test_a_target_named_as_a_feature_is_refused():
    with pytest.raises(DataError, match="'y' is in both"):
        read_table(pd.DataFrame({"y": [1, 2]}), [1, 2])


@pytest.mark.parametrize("other", [3.5, None, {1, 2}, iter([1])])
def test_something_else_is_refused(other):
    with pytest.raises(DataError, match="path, a DataFrame or an array"):
        read_table(other)


def test_rows_that_make_no_rectangle_are_refused():
    with pytest.raises(DataError, match="Rows have one length"):
        read_table([np.ones((2, 2)), np.ones((2, 3))])
    with pytest.raises(DataError, match="Rows have one length"):
        read_table(np.ones((2, 2)), [np.ones(2), np.ones(3)])


def test_a_torn_npz_is_refused(npz):
    path = npz(x=np.ones((50, 2)), y=np.arange(50))
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match="no readable NPZ"):
        read_table(path)


# -- arrays by name


def test_arrays_by_name_are_columns_or_an_array_a_row():
    table = read_table(
        {"age": [1.0, 2.0], "sex": np.array(["f", "m"]), "feat": np.ones((2, 3)), "z": [[1], [2]]},
        [0.5, 1.5],
    )
    assert table.names == ("age", "sex", "z", "y", "feat")
    assert table.arrays["feat"].shape == (2, 3)
    assert table.target == ("y",)


def test_arrays_by_name_of_different_length_are_refused():
    with pytest.raises(DataError, match="received a 2, b 3 rows"):
        read_table({"a": [1, 2], "b": [1, 2, 3]})
