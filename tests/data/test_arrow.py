"""Parquet files and frames that speak Arrow are read as what they hold."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hpsearch.data import load, memory
from hpsearch.data.tables import read_table
from hpsearch.errors import DataError


@pytest.fixture
def parquet(tmp_path):
    def write(**columns):
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


class Frame:
    """A frame of another library, as polars has it: Arrow's C stream and no more."""

    def __init__(self, **columns):
        self.table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class Series:
    """A column of another library."""

    def __init__(self, name, values):
        self.name = name
        self.values = pa.chunked_array([values])

    def __arrow_c_stream__(self, requested_schema=None):
        return self.values.__arrow_c_stream__(requested_schema)


def test_text_that_is_no_utf_8_is_refused(parquet):
    good = pa.array(["x", "y"])
    bad = pa.Array.from_buffers(pa.string(), 2, [None, good.buffers()[1], pa.py_buffer(b"x\xff")])
    with pytest.raises(DataError, match=r"no readable Parquet file \(.*Invalid UTF8"):
        read_table(parquet(a=bad))


@pytest.mark.parametrize("cut", [0, 4, 12, 0.5, -1])
def test_cut_files_are_refused(parquet, cut):
    path = parquet(a=np.arange(40.0), b=["x"] * 40)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(DataError, match="no readable Parquet file"):
        read_table(path)


@pytest.mark.parametrize(
    "nested",
    [
        pa.array([["u", "v"], ["w"]]),
        pa.array([{"k": 1}, {"k": 2}]),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([b"\xff", b"x"]),
    ],
    ids=["list", "struct", "map", "binary"],
)
def test_nested_columns_and_bytes_are_refused_by_name_and_can_be_left_out(parquet, nested):
    path = parquet(a=[1.0, 2.0], n=nested, y=[0.5, 1.5])
    with pytest.raises(DataError, match="column 'n' holds cells of type"):
        load(path, target="y")
    assert load(path, target="y", drop="n").frame["a"].tolist() == [1, 2]


def test_a_file_beyond_memory_is_refused_before_it_is_unpacked(parquet, monkeypatch):
    path = parquet(a=np.zeros(1_000_000))
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(DataError, match="takes 16 MB or more, and 1 MB are free"):
        read_table(path)


def test_an_index_that_pandas_wrote_is_left_out(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="id"))
    frame.to_parquet(path)
    table = read_table(path)
    assert list(table.frame) == ["a"]
    assert [note.split(" of")[0] for note in table.notes] == ["The index 'id'"]
    frame.rename_axis(None).to_parquet(path)
    assert read_table(path).notes == ()


def test_a_file_without_columns_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1]}).select([]), path)
    with pytest.raises(DataError, match="needs rows"):
        read_table(path)


COLUMNS = {
    "whole": pa.array([1, None, 5], pa.int64()),
    "half": pa.array(np.array([1, 2, 3], np.float16)),
    "number": pa.array([0.5, None, 1.5]),
    "flag": pa.array([True, None, False]),
    "text": pa.array(["u", None, "v"], pa.string_view()),
    "level": pa.array(["u", None, "v"]).dictionary_encode(),
    "day": pa.array([0, None, 20_000], pa.date32()),
    "time": pa.array([0, None, 1_500_000_000_000_000], pa.timestamp("us", "Europe/Rome")),
    "money": pa.array(["1.50", None, "2"]).cast(pa.decimal128(8, 2)),
}


def test_a_frame_of_another_library_reads_as_a_parquet_file_of_it_does(parquet):
    target = pa.array([1.0, 2.0, 4.0])
    data = load(Frame(**COLUMNS, y=target), target="y")
    assert data.fingerprint == load(parquet(**COLUMNS, y=target), target="y").fingerprint
    assert {column.name: column.kind for column in data.schema.columns} == {
        "whole": "number",
        "half": "number",
        "number": "number",
        "flag": "category",
        "text": "category",
        "level": "category",
        "day": "date",
        "time": "date",
        "money": "number",
    }
    assert data.frame["day"].tolist()[2] == pd.Timestamp("2024-10-04")


def test_a_frame_of_another_library_reads_as_pandas_does():
    table = pa.table({**COLUMNS, "y": [1.0, 2.0, 4.0]})
    arrow_types = table.to_pandas(types_mapper=pd.ArrowDtype)
    assert load(table, target="y").fingerprint == load(arrow_types, target="y").fingerprint


def test_integers_of_another_library_keep_their_digits():
    table = read_table(Frame(a=pa.array([None, 2**60 + 1])))
    assert table.frame["a"].tolist() == [pd.NA, 2**60 + 1]


def test_a_target_of_another_library_keeps_its_name():
    table = read_table(Frame(a=[1, 2]), Series("price", pa.array([0.5, 1.5])))
    assert table.target == ("price",)
    assert table.frame["price"].tolist() == [0.5, 1.5]
    assert read_table(Frame(a=[1, 2]), pa.array([1, 2])).target == ("y",)


def test_groups_of_another_library_are_read():
    data = load(Frame(a=[1.0, 2, 3, 4]), [1, 2, 3, 5], groups=Series("g", pa.array([7, 7, 8, 8])))
    assert data.groups.tolist() == [0, 0, 1, 1]


def test_an_arrow_array_alone_is_no_table():
    with pytest.raises(DataError, match="columns of equal length"):
        read_table(pa.array([1, 2]))
