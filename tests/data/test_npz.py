"""NPZ archives are read without trust in what they say of themselves."""

import io
import warnings
import zipfile

import numpy as np
import pytest

from hpsearch.data import memory
from hpsearch.data.tables import read_table
from hpsearch.errors import DataError


def member(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def claiming(shape, descr="'<f8'", body=bytes(24)):
    """An array whose header says ``shape``, whatever follows."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


@pytest.fixture
def archive(tmp_path):
    def write(*members, compression=zipfile.ZIP_STORED):
        path = tmp_path / "set.npz"
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
            warnings.simplefilter("ignore")  # of a name that comes twice
            for name, content in members:
                file.writestr(name, content)
        return path

    return write


def test_arrays_of_any_compression_are_read(archive):
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = archive(("a.npy", member(np.arange(3))), compression=compression)
        assert read_table(path).frame["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "shape", ["(1099511627776,)", "(2**40,)", "(1099511627776, 1099511627776)", "(-3,)", "('a',)"]
)
def test_impossible_shapes_are_refused(archive, shape):
    with pytest.raises(DataError, match="'a' is damaged"):
        read_table(archive(("a.npy", claiming(shape)), ("y.npy", member(np.arange(3)))))


def test_a_header_that_says_less_than_there_is_is_refused(archive):
    with pytest.raises(DataError, match="more bytes than its header says"):
        read_table(archive(("a.npy", claiming("(2,)"))))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("descr", ["'|V0'", "'<U0'"])
def test_rows_that_take_no_memory_are_refused(archive, descr):
    shape = f"({2**62},)"
    with pytest.raises(DataError, match="'a'"):
        read_table(archive(("a.npy", claiming(shape, descr, b""))))


@pytest.mark.parametrize("letter", [0x110000, 0xD800, 2**32 - 1])
@pytest.mark.parametrize("order", "<>")
def test_text_that_is_no_unicode_is_refused(archive, letter, order):
    text = np.array(["ab", "c"], dtype=f"{order}U2")
    assert read_table(archive(("a.npy", member(text)))).frame["a"].tolist() == ["ab", "c"]
    raw = member(text)
    raw = raw[:-4] + letter.to_bytes(4, "little" if order == "<" else "big")
    with pytest.raises(DataError, match="none of Unicode's"):
        read_table(archive(("a.npy", raw)))


def test_raw_bytes_and_objects_are_refused(archive):
    for array in (np.zeros(3, "V8"), np.array([{}], dtype=object)):
        with pytest.raises(DataError, match="without pickle; 'a'"):
            read_table(archive(("a.npy", member(array))))


def test_members_that_are_no_arrays_are_refused(archive):
    with pytest.raises(DataError, match=r"has a member 'readme\.txt'"):
        read_table(archive(("readme.txt", b"hello")))
    with pytest.raises(DataError, match="'a' is damaged"):
        read_table(archive(("a.npy", b"hello")))


def test_a_name_that_comes_twice_is_refused(archive):
    twice = ("a.npy", member(np.arange(3)))
    with pytest.raises(DataError, match="has 'a' twice"):
        read_table(archive(twice, twice))


def test_archives_without_rows_are_refused(archive):
    x, y = np.empty((0, 3)), np.empty(0)
    for shape in (x, x[:, 0], np.empty((0, 2, 2))):
        with pytest.raises(DataError, match="needs rows"):
            read_table(archive(("x.npy", member(shape)), ("y.npy", member(y))))


@pytest.mark.parametrize("at", [60, 90, 140, -30])
def test_flipped_bytes_are_refused(archive, at):
    table = np.random.default_rng(0).normal(size=(50, 3)).round(1)
    path = archive(("a.npy", member(table)), compression=zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0xFF
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match="NPZ archive"):
        read_table(path)


def test_an_archive_beyond_memory_is_refused_before_it_is_unpacked(archive, monkeypatch):
    path = archive(("a.npy", member(np.zeros(400_000))), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(DataError, match="takes 10 MB or more, and 1 MB are free"):
        read_table(path)


def test_record_arrays_are_columns(archive):
    records = np.array([(1, 2.0), (3, 4.0)], dtype=[("n", int), ("v", float)])
    assert read_table(archive(("x.npy", member(records)))).names == ("n", "v")
