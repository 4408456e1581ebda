"""CSV and TSV files, read strictly: every cell as the text that it is, every row complete.

Owns encodings, delimiters, quotes and the checks of the header and of each row's length. A single
parser (Python's ``csv``) reads names, cells and line numbers, so that nothing can be renamed,
shifted or filled in without a word. What the cells mean belongs to ``cells``.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hpsearch.data.memory import BYTES_PER_BYTE_OF_TEXT, check_fits, free_bytes, too_large
from hpsearch.data.names import checked_names
from hpsearch.errors import DataError
from hpsearch.paths import shown
from hpsearch.progress import followed

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_CHUNK = 20_000
_LONGEST_CELL = 2**31 - 1
_BOMS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


class _Rows(Protocol):
    """What ``csv.reader`` gives: rows, and the number of the last line it has read."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...


@dataclass(frozen=True, eq=False)
class DelimitedText:
    """A CSV or TSV file's cells.

    Attributes
    ----------
    frame : all cells as ``str``, in columns named by the header.
    lines : the line in the file on which each row starts (n_rows,); the header is line 1.
    delimiter : what separates cells.
    notes : what was taken for what, a sentence each.
    """

    frame: pd.DataFrame
    lines: NDArray[np.int64]
    delimiter: str
    notes: tuple[str, ...]


def read_delimited(
    file: BinaryIO, path: Path, *, tabs: bool, expected: Collection[str] = ()
) -> DelimitedText:
    """Read a CSV file, or a TSV file (``tabs``), plain or gzipped.

    Parameters
    ----------
    file : the file, open for reading; ``path`` is its name.
    expected : names that the header should have, by which the separator is found.

    Raises
    ------
    DataError
        The file is empty, is no text, has no rows, a column without a name or with another's
        name, a row that is longer or shorter than the header, or a quote that is never closed, or
        it does not fit into memory.
    """
    text, notes = _decode(_read_bytes(file, path), path)
    if not text.strip():
        raise DataError(f"A table needs a header and rows; {shown(path)} is empty.")
    delimiter = "\t" if tabs else _detect_delimiter(text, expected)
    if not tabs and delimiter != ",":
        notes.append(f"Cells are separated by {_DELIMITERS[delimiter]}.")
    space = f'{delimiter} "' in text
    if space:
        notes.append("Spaces after separators were left out.")
    try:
        with _long_cells():
            frame, lines, n_blank = _parse(text, delimiter, space, path)
    except csv.Error as error:
        raise DataError(
            f"{shown(path)} is no well-formed table: {error}. Check its quotes: a quote in a "
            "quoted cell is written twice, and each one is closed."
        ) from error
    if n_blank:
        notes.append(f"{n_blank} blank line{'s were' if n_blank > 1 else ' was'} left out.")
    return DelimitedText(frame, lines, delimiter, tuple(notes))


def _read_bytes(file: BinaryIO, path: Path) -> bytes:
    """The file's bytes, unpacked where they are gzip's."""
    is_gzip = file.read(2) == b"\x1f\x8b"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    check_fits(BYTES_PER_BYTE_OF_TEXT * size, path)
    if not is_gzip:
        if path.name.lower().endswith(".gz"):
            raise DataError(
                f"{shown(path)} is no gzip file. Compress it again, or remove the ending .gz if it "
                "is plain text."
            )
        return file.read()
    free = free_bytes()
    most = free // BYTES_PER_BYTE_OF_TEXT
    try:
        raw = gzip.GzipFile(fileobj=file).read(most + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{shown(path)} is no complete gzip file ({error}). Compress it again."
        ) from error
    if len(raw) > most:
        raise too_large(BYTES_PER_BYTE_OF_TEXT * most, free, path)
    return raw


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let Python's ``csv`` read cells of any length: a cell may hold a whole document."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _decode(raw: bytes, path: Path) -> tuple[str, list[str]]:
    encoding = next((name for bom, name in _BOMS.items() if raw.startswith(bom)), None)
    notes: list[str] = []
    try:
        text = raw.decode(encoding or "utf-8")
        if encoding in ("utf-16", "utf-32"):
            notes.append(f"The file was read as {encoding.upper()}.")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise DataError(
                f"{shown(path)} begins as {encoding} but cannot be read as that ({error.reason}). "
                "Save it as UTF-8."
            ) from error
        try:
            text, name = raw.decode("cp1252"), "Windows-1252"
        except UnicodeDecodeError:
            text, name = raw.decode("latin-1"), "Latin-1"
        notes.append(f"The file is not UTF-8 and was read as {name}; save it as UTF-8 to be sure.")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"A table is text; {shown(path)} has a NUL byte on line {line}. It may be another kind "
            "of file, or UTF-16 without its mark: save it as UTF-8 text."
        )
    return text.removeprefix("\ufeff"), notes


def _reader(text: str, delimiter: str, skip_space: bool = False) -> _Rows:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=skip_space,
        strict=True,
    )


def _detect_delimiter(text: str, expected: Collection[str]) -> str:
    """The delimiter under which most of the first rows are as wide as the header.

    Where names are expected, the header that has most of them decides first.
    """

    def score(delimiter: str) -> tuple[int, float, int]:
        try:
            with _long_cells():
                rows = [row for row in islice(_reader(text, delimiter), 100) if row]
        except csv.Error:
            return 0, 0.0, 0
        if not rows:
            return 0, 0.0, 0
        n_known = len({name.strip() for name in rows[0]} & set(expected))
        width = len(rows[0])
        if width < 2 and not n_known:
            return 0, 0.0, 0
        return n_known, sum(len(row) == width for row in rows) / len(rows), width

    scores = {delimiter: score(delimiter) for delimiter in _DELIMITERS}
    return max(scores, key=scores.__getitem__)


def _parse(
    text: str, delimiter: str, skip_space: bool, path: Path
) -> tuple[pd.DataFrame, NDArray[np.int64], int]:
    reader = _reader(text, delimiter, skip_space)
    header: list[str] = []
    for header in reader:
        if header:
            break
    names = checked_names(header)
    _check_header(names, path)
    width = len(names)
    chunks: list[list[pa.Array]] = []
    lines: list[int] = []
    wrong: list[tuple[int, int]] = []
    rows: list[list[str]] = []
    n_blank = n_blank_before = 0
    start = reader.line_num + 1
    for row in followed(reader, "lines"):
        if len(row) == width:
            n_blank = n_blank_before
            rows.append(row)
            lines.append(start)
            if len(rows) == _CHUNK:
                chunks.append(_columns(rows))
                rows = []
        elif row:
            wrong.append((start, len(row)))
        else:
            n_blank_before += 1
        start = reader.line_num + 1
    if wrong:
        raise _wrong_width(wrong, width, path)
    if rows:
        chunks.append(_columns(rows))
    if not chunks:
        raise DataError(
            f"A table needs rows below its header; {shown(path)} has none. Add rows to it."
        )
    columns = [pa.chunked_array(list(parts)) for parts in zip(*chunks, strict=True)]
    types = {pa.large_string(): pd.StringDtype(na_value=np.nan)}
    frame = pa.table(columns, names=names).to_pandas(types_mapper=types.get)
    return frame, np.asarray(lines, dtype=np.int64), n_blank


def _check_header(names: list[str], path: Path) -> None:
    """Refuse a first line that is data: most of its cells are numbers with decimals."""
    decimals = [name for name in names if re.fullmatch(r"[+-]?[0-9]*[.][0-9]+(?:[eE].*)?", name)]
    if 2 * len(decimals) > len(names):
        raise DataError(
            f"The first line names the columns; that of {shown(path)} holds numbers, such as "
            f"{decimals[0]!r}. Add a line with names above it."
        )


def _columns(rows: list[list[str]]) -> list[pa.Array]:
    return [pa.array(column, type=pa.large_string()) for column in zip(*rows, strict=True)]


def _wrong_width(wrong: list[tuple[int, int]], width: int, path: Path) -> DataError:
    first = ", ".join(f"line {line} has {n}" for line, n in wrong[:5])
    more = f" and {len(wrong) - 5} more lines differ" if len(wrong) > 5 else ""
    return DataError(
        f"Every row needs as many cells as the header; in {shown(path)} the header has {width}, "
        f"{first}{more}. Correct these lines, or put cells that contain separators in quotes."
    )
