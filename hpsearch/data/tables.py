"""Tables: raw columns from a file, a DataFrame or arrays, before anything is decided about them.

Owns the file types, the strict checks of Parquet and NPZ files, and the names of columns made from
arrays. CSV and TSV text belongs to ``delimited``; what the cells mean belongs to ``cells``.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.delimited import read_delimited
from hpsearch.data.names import checked_names
from hpsearch.data.understood import Mask, Places
from hpsearch.errors import DataError

FILE_TYPES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".npz")
_TRAIN_KEYS = ("x_train", "y_train")
_TEST_KEYS = ("x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Table:
    """Raw columns of equal length.

    Attributes
    ----------
    name : a short name, for titles and folder names.
    frame : the columns that hold one cell a row, index ``0..n_rows-1``; text is not yet understood.
    arrays : images and other arrays (n_rows, ...), and word matrices as ``csr_array``.
    target : the target's columns where the source says which they are; else empty.
    places : names rows for people.
    notes : what was handled while reading, a sentence each.
    test : the source's own test rows.
    semicolons : whether the source separates cells by semicolons.
    """

    name: str
    frame: pd.DataFrame
    arrays: dict[str, NDArray[Any] | sparse.csr_array] = field(default_factory=dict)
    target: tuple[str, ...] = ()
    places: Places = field(default_factory=Places)
    notes: tuple[str, ...] = ()
    test: Table | None = None
    semicolons: bool = False

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, arrays last."""
        return (*self.frame.columns, *self.arrays)


def read_table(source: Any, y: Any = None, *, n_words: int | None = None) -> Table:
    """Raw columns of a file, a DataFrame or arrays.

    Parameters
    ----------
    source : a path of one of ``FILE_TYPES``, a DataFrame, an array (n_rows, ...), a sparse matrix
        or a sequence of sequences of word numbers.
    y : the target for arrays and DataFrames: (n_rows,) or (n_rows, n), a Series or a DataFrame.
    n_words : for sequences of word numbers, the number of words; default: the largest plus one.

    Raises
    ------
    DataError
        The source cannot be read as a table with named columns and at least one row.
    """
    if isinstance(source, str | Path):
        if y is not None:
            raise DataError(
                "`y` belongs to arrays and DataFrames; a file holds its target itself. "
                "Name it with --target."
            )
        table = read_file(Path(source).expanduser())
    elif isinstance(source, pd.DataFrame):
        table = from_frame(source, y)
    else:
        table = from_arrays(source, y, n_words=n_words)
    if table.n_rows == 0:
        raise DataError(f"A table needs rows; {table.name!r} has none. Add rows to it.")
    return table


def read_file(path: Path) -> Table:
    """Raw columns of a file of one of ``FILE_TYPES``."""
    kind = _file_type(path)
    name = path.name[: -len(kind)]
    if path.is_dir():
        raise DataError(f"A table is a file; {str(path)!r} is a folder. Name the file in it.")
    if not path.exists():
        raise DataError(f"There is no file {str(path)!r}. {_nearest_file(path)}")
    try:
        if kind == ".npz":
            return _read_npz(path, name)
        if kind == ".parquet":
            return _read_parquet(path, name)
        text = read_delimited(path, tabs=kind.startswith(".tsv"))
    except OSError as error:
        raise DataError(
            f"{str(path)!r} cannot be read ({error}). Check the file and its permissions."
        ) from error
    places, semicolons = Places(text.lines), text.delimiter == ";"
    return Table(name, text.frame, places=places, notes=text.notes, semicolons=semicolons)


def _file_type(path: Path) -> str:
    lower = path.name.lower()
    fitting = [kind for kind in FILE_TYPES if lower.endswith(kind)]
    if not fitting:
        raise DataError(
            f"A table is one of {', '.join(FILE_TYPES)}; received {path.name!r}. Rename the file "
            "if it is one of these, or convert it."
        )
    return max(fitting, key=len)


def _nearest_file(path: Path) -> str:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, siblings, n=1)
    return f"Did you mean {nearest[0]!r}?" if nearest else "Check the path."


def _read_parquet(path: Path, name: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        checked_names(pq.read_schema(path).names)
        frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{str(path)!r} is no readable Parquet file ({error}). Write it again, "
            "for instance with DataFrame.to_parquet."
        ) from error
    return replace(from_frame(frame, None), name=name)


def _read_npz(path: Path, name: str) -> Table:
    if not is_zipfile(path):
        raise DataError(f"{str(path)!r} is no NPZ archive. Write it with numpy.savez.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: _plain_array(archive, key, path) for key in archive.files}
    except (BadZipFile, EOFError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{str(path)!r} is no readable NPZ archive ({error}). Write it with numpy.savez."
        ) from error
    return replace(_from_named_arrays(arrays, path), name=name)


def _plain_array(archive: Any, key: str, path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = archive[key]
    except ValueError as error:
        raise DataError(
            f"Arrays are read without pickle; {key!r} in {str(path)!r} holds Python objects. "
            "Save it with a plain type, for instance array.astype(float) or astype(str)."
        ) from error
    return array


def _from_named_arrays(arrays: dict[str, NDArray[Any]], path: Path) -> Table:
    keys = {key.lower(): key for key in arrays}
    if set(keys) >= {*_TRAIN_KEYS, *_TEST_KEYS}:
        train, test = (
            from_arrays(*(arrays[keys[key]] for key in pair)) for pair in (_TRAIN_KEYS, _TEST_KEYS)
        )
        return replace(train, test=test)
    if set(keys) == {"x", "y"}:
        return from_arrays(arrays[keys["x"]], arrays[keys["y"]])
    if set(keys) == {"x"}:
        return from_arrays(arrays[keys["x"]])
    lengths = {key: array.shape[:1] for key, array in arrays.items()}
    if not arrays or () in lengths.values() or len(set(lengths.values())) > 1:
        received = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
        raise DataError(
            "An NPZ archive holds x and y, or x_train, y_train, x_test and y_test, or columns of "
            f"equal length; {str(path)!r} holds {received}. Save one of these."
        )
    columns: dict[str, Any] = {}
    blocks: dict[str, NDArray[Any]] = {}
    for key, array in arrays.items():
        if array.ndim > 2:
            blocks[key] = _image_array(array, key)
        else:
            columns.update(_named_columns(array, key))
    frame = pd.DataFrame(columns, index=range(next(iter(lengths.values()))[0]))
    return Table("", frame, blocks)


def _named_columns(array: NDArray[Any], name: str) -> dict[str, NDArray[Any]]:
    if array.ndim == 1:
        return {name: array}
    if array.shape[1] == 1:
        return {name: array[:, 0]}
    return {f"{name}{i}": array[:, i] for i in range(array.shape[1])}


# --- DataFrames and arrays ----------------------------------------------------------------------


def from_frame(frame: pd.DataFrame, y: Any = None) -> Table:
    """Raw columns of a DataFrame, and of a target given apart; the index plays no part."""
    names = checked_names(frame.columns)
    notes: tuple[str, ...] = ()
    if frame.index.name is not None:
        notes = (
            f"The index {frame.index.name!r} of the DataFrame is no column and was left out; "
            "reset_index() makes it one.",
        )
    plain = frame.set_axis(names, axis=1).reset_index(drop=True)
    return _with_target(Table("table", plain, notes=notes), y)


def from_arrays(x: Any, y: Any = None, *, n_words: int | None = None) -> Table:
    """Raw columns of an array, a sparse matrix or sequences of word numbers, and of a target."""
    if sparse.issparse(x):
        words = _sparse_words(x)
        return _with_target(
            Table("arrays", pd.DataFrame(index=range(words.shape[0])), {"x": words}), y
        )
    sequences = _word_sequences(x)
    if sequences is not None:
        words = multi_hot(sequences, n_words)
        return _with_target(
            Table("arrays", pd.DataFrame(index=range(words.shape[0])), {"x": words}), y
        )
    array = np.asarray(x)
    if array.dtype.names:
        return _with_target(replace(from_frame(pd.DataFrame(array)), name="arrays"), y)
    if array.ndim == 0:
        raise DataError(
            f"Data are a path, a DataFrame or an array with a row each; received {x!r}. "
            "See `hpsearch datasets` for the named sets."
        )
    if array.ndim > 2:
        block = {"x": _image_array(array, "x")}
        return _with_target(Table("arrays", pd.DataFrame(index=range(len(array))), block), y)
    columns = array.reshape(len(array), -1)
    frame = pd.DataFrame(columns, columns=[f"x{i}" for i in range(columns.shape[1])])
    if array.dtype == object:
        frame = frame.infer_objects()
    return _with_target(Table("arrays", frame), y)


def multi_hot(sequences: Sequence[Sequence[int]], n_words: int | None = None) -> sparse.csr_array:
    """Which words occur in each sequence, as a sparse matrix of float32 ones.

    Parameters
    ----------
    sequences : word numbers from 0, a sequence for each row.
    n_words : number of columns; larger word numbers are left out. Default: the largest plus one.

    Examples
    --------
    >>> multi_hot([[1, 1], [0, 2]]).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    lengths = [len(sequence) for sequence in sequences]
    words = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=sum(lengths))
    if (words < 0).any():
        raise DataError(
            f"Word numbers count from 0; received {int(words.min())}. Number the words from 0."
        )
    rows = np.repeat(np.arange(len(lengths)), lengths)
    width = n_words if n_words is not None else int(words.max(initial=-1)) + 1
    if width == 0:
        raise DataError("Sequences of word numbers need at least one word; received none.")
    kept = words < width
    cells = np.unique(rows[kept] * width + words[kept])
    ones = np.ones(len(cells), dtype=np.float32)
    return sparse.csr_array((ones, (cells // width, cells % width)), shape=(len(lengths), width))


def _word_sequences(x: Any) -> Sequence[Sequence[int]] | None:
    """``x`` where it is ragged sequences of whole numbers, else None."""
    if isinstance(x, np.ndarray):
        if x.dtype != object or x.ndim != 1:
            return None
        items: list[Any] = x.tolist()
    elif isinstance(x, list | tuple):
        items = list(x)
    else:
        return None
    if not items or not all(isinstance(item, list | tuple | np.ndarray) for item in items):
        return None
    if not isinstance(x, np.ndarray) and len({len(item) for item in items}) == 1:
        return None
    for item in items:
        if not all(isinstance(w, int | np.integer) and not isinstance(w, bool) for w in item):
            raise DataError(
                "Rows of different lengths must be sequences of word numbers (whole numbers); "
                f"received {str(item)[:60]!r}. Give a rectangular array or whole numbers."
            )
    return items


def _sparse_words(x: Any) -> sparse.csr_array:
    words = sparse.csr_array(x, dtype=np.float32)
    words.sum_duplicates()
    words.eliminate_zeros()
    if not (words.data == 1).all():
        raise DataError(
            "A sparse X says which words occur in each row: its values are 0 and 1; received "
            f"others, such as {float(words.data[words.data != 1][0])!r}. "
            "Give (X > 0), or a dense array for numbers."
        )
    return words


def _image_array(array: NDArray[Any], name: str) -> NDArray[Any]:
    """An array column in its own dtype where that is uint8 or float32, else as float32."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"Array column {name!r} must hold numbers; received {array.dtype}. "
            "Convert it, for instance with astype('float32')."
        )
    if array.dtype == bool:
        return array.astype(np.uint8)
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32, copy=False)
    finite: Mask = np.asarray(np.isfinite(floats).reshape(len(floats), -1).all(axis=1))
    if not finite.all():
        raise DataError(
            f"Array column {name!r} must be finite and within float32's range; it is not in "
            f"{Places()(~finite)}. Replace or drop these rows."
        )
    return floats


def _with_target(table: Table, y: Any) -> Table:
    """The table with the columns of a target that was given apart."""
    if y is None:
        return table
    if isinstance(y, pd.Series):
        y = y.to_frame("y" if y.name is None else y.name)
    if not isinstance(y, pd.DataFrame):
        y = y.toarray() if sparse.issparse(y) else np.asarray(y)
        if y.ndim not in (1, 2):
            raise DataError(
                f"`y` has one value or one row of values per row of X; received shape {y.shape}. "
                "Reshape it to (n_rows,) or (n_rows, n_values)."
            )
        y = pd.DataFrame(_named_columns(y, "y"))
        if y.dtypes.eq(object).any():
            y = y.infer_objects()
    names = checked_names(y.columns)
    if len(y) != table.n_rows:
        raise DataError(
            f"X and y must have the same number of rows; received {table.n_rows} and {len(y)}. "
            "Give a target for each row."
        )
    both = sorted(set(names) & set(table.names))
    if both:
        raise DataError(
            f"The columns of X and y must have different names; {both[0]!r} is in both. "
            "Rename one of them."
        )
    target = y.set_axis(names, axis=1).reset_index(drop=True)
    frame = pd.concat([table.frame, target], axis=1)
    return replace(table, frame=frame, target=tuple(names))
