"""Tables: raw columns from a file, a DataFrame or arrays, before anything is decided about them.

Owns the file types, the names of columns made from arrays, and the match of X and y. CSV and TSV
text belongs to ``delimited``, Parquet files and frames of other libraries to ``arrow``, NPZ
archives to ``npz``, folders of images to ``image_folders``; what the cells mean belongs to
``cells``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrow import frame_of, index_note, is_arrow, read_parquet, series_of
from hpsearch.data.delimited import read_delimited
from hpsearch.data.image_folders import ImageFolder, classes_in, images_in
from hpsearch.data.names import checked_names, nearest
from hpsearch.data.npz import read_npz
from hpsearch.data.ragged import has_rows, list_columns, sequences_of, split_by_lengths
from hpsearch.data.understood import Mask, Places, quoted
from hpsearch.data.word_rows import words_of
from hpsearch.errors import DataError
from hpsearch.paths import expanded, found_at, opened, shown
from hpsearch.task import ProblemKind

FILE_TYPES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".npz")
_INEXACT = 2.0**24  # from here on, float32 leaves out whole numbers
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
    task : the problem type that they make, where the source says it; ``task_reason`` says how.
    places : names rows for people.
    notes : what was handled while reading, a sentence each.
    test : the source's own test rows.
    semicolons : whether the source separates cells by semicolons.
    image_columns : columns of paths of images, where the source says so.
    folder : what paths in cells start from; None for the working folder.
    word_lists : of arrays that are words, their numbers in their order, where the source says it.
    index : a DataFrame's index, which that of a Series beside it must equal; None without one.
    """

    name: str
    frame: pd.DataFrame
    arrays: dict[str, NDArray[Any] | sparse.csr_array] = field(default_factory=dict)
    target: tuple[str, ...] = ()
    task: ProblemKind | None = None
    task_reason: str = "as is known of this set"
    places: Places = field(default_factory=Places)
    notes: tuple[str, ...] = ()
    test: Table | None = None
    semicolons: bool = False
    image_columns: tuple[str, ...] = ()
    folder: Path | None = None
    word_lists: dict[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    index: pd.Index[Any] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, arrays last."""
        return (*self.frame.columns, *self.arrays)


def read_table(
    source: Any,
    y: Any = None,
    *,
    n_words: int | None = None,
    expected: Collection[str] = (),
    sequences: bool = False,
    ordered: Collection[str] = (),
) -> Table:
    """Raw columns of a file, a DataFrame or arrays.

    Parameters
    ----------
    source : a path of one of ``FILE_TYPES``, or of a folder of images; a DataFrame, of pandas or of
        a library that speaks Arrow, such as polars; an array (n_rows, ...); a sparse matrix; a list
        of sequences, (steps, features) or (steps,), of different length, or of word numbers; a
        dictionary of these by name, as Keras's ``fit`` takes several inputs; or a pair ``(X, y)``.
    y : the target for arrays and DataFrames: (n_rows,) or (n_rows, n), a Series or a DataFrame.
    n_words : the number of words that are known, where rows are words: sequences of word numbers
        may then be of one length. Default: the largest number plus one.
    expected : names that the columns should have, by which separators of a CSV file are found; of a
        folder of images all are read then, whatever stands for their classes.
    sequences : whether rows of arrays are known to be sequences of steps, and not of word numbers.
    ordered : names of arrays, ``x`` of a single one, whose rows are known to be word numbers in
        their order.

    Raises
    ------
    DataError
        The source cannot be read as a table with named columns and at least one row, or X and y do
        not belong together.
    """
    if y is None and _is_pair(source):
        source, y = source
    if isinstance(source, str | os.PathLike):
        if y is not None:
            raise DataError(
                "`y` belongs to arrays and DataFrames; a file holds its target itself. "
                "Name it with --target."
            )
        path = expanded(source, DataError)
        is_folder = found_at(path, DataError) == "a folder" and not _types_of(path)
        if is_folder:
            table = _of_folder(path, known=bool(expected))
        else:
            table = read_file(path, expected, ordered="x" in ordered)
    elif isinstance(source, pd.DataFrame | pd.Series):
        table = from_frame(_as_frame(source, "x0"), y)
    elif is_arrow(source):
        table = from_frame(frame_of(source), y)
    elif isinstance(source, Mapping):
        table = from_named(source, y, n_words=n_words, sequences=sequences, ordered=ordered)
    else:
        is_ordered = "x" in ordered
        table = from_arrays(source, y, n_words=n_words, sequences=sequences, ordered=is_ordered)
    if table.n_rows == 0:
        raise DataError(f"A table needs rows; {quoted(table.name)} has none. Add rows to it.")
    return table


def _is_pair(source: Any) -> bool:
    """Whether a source is ``(X, y)``: two, the first of which is a table."""
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    x, y = source
    if is_arrow(x) or len(getattr(x, "shape", ())) > 1:
        return True
    return has_rows(x) and not (isinstance(y, list | tuple) and has_rows(y))


# --- files --------------------------------------------------------------------------------------


def read_file(path: Path, expected: Collection[str] = (), *, ordered: bool = False) -> Table:
    """Raw columns of a file of one of ``FILE_TYPES``; ``ordered`` says that rows are words."""
    kind = _file_type(path)
    name = path.name[: -len(kind)]
    if found_at(path, DataError) is None:
        raise DataError(f"There is no file {shown(path)}. {_nearest_file(path)}")
    try:
        with opened(path, DataError) as file:
            table = _read(file, path, kind, expected, ordered=ordered)
            return replace(table, name=name, folder=path.parent)
    except (OSError, MemoryError) as error:
        raise DataError(
            f"{shown(path)} cannot be read ({str(error) or 'out of memory'}). Check the file, its "
            "place and its size."
        ) from error


def _read(
    file: BinaryIO, path: Path, kind: str, expected: Collection[str], *, ordered: bool
) -> Table:
    if kind == ".npz":
        return _from_named_arrays(read_npz(file, path), path, ordered=ordered)
    if kind == ".parquet":
        frame, notes = read_parquet(file, path)
        table = from_frame(frame)
        return replace(table, notes=(*table.notes, *notes), index=None)
    text = read_delimited(file, path, tabs=kind.startswith(".tsv"), expected=expected)
    places, semicolons = Places(text.lines), text.delimiter == ";"
    return Table("", text.frame, places=places, notes=text.notes, semicolons=semicolons)


def _types_of(path: Path) -> list[str]:
    lower = path.name.lower()
    return [kind for kind in FILE_TYPES if lower.endswith(kind)]


def _file_type(path: Path) -> str:
    fitting = _types_of(path)
    if not fitting:
        raise DataError(
            f"A table is one of {', '.join(FILE_TYPES)}, or a folder of images; received "
            f"{shown(path.name)}. Rename the file if it is one of these, or convert it."
        )
    return max(fitting, key=len)


def _of_folder(path: Path, *, known: bool) -> Table:
    """The paths and the classes of a folder's images; ``known`` says that a schema reads them."""
    name = path.resolve().name
    return _of_images(images_in(path) if known else classes_in(path), path, name)


def _of_images(found: ImageFolder, path: Path, name: str) -> Table:
    columns: dict[str, Any] = {"image": list(found.files)}
    if found.classes is not None:
        columns["class"] = pd.Categorical(found.classes)
    n_classes = len(set(found.classes or ()))
    return Table(
        name,
        pd.DataFrame(columns),
        target=("class",) if found.classes else (),
        task="binary" if n_classes == 2 else "multiclass",
        task_reason="the folders' names",
        places=Places(names=found.files),
        notes=found.notes,
        test=None if found.test is None else _of_images(found.test, path, f"{name} test"),
        image_columns=("image",),
        folder=path,
    )


def _nearest_file(path: Path) -> str:
    """A file beside the path whose name differs by a slip, endings apart."""
    try:
        stems = {
            item.name[: -len(kind)]: item.name
            for item in path.parent.iterdir()
            for kind in FILE_TYPES
            if item.name.lower().endswith(kind)
        }
    except OSError:
        stems = {}
    close = nearest(path.name[: -len(_file_type(path))], stems)
    return f"Did you mean {stems[close]!r}?" if close else "Check the path."


def _from_named_arrays(
    arrays: dict[str, NDArray[Any]], path: Path, *, ordered: bool = False
) -> Table:
    arrays = split_by_lengths(arrays)
    keys = {key.lower(): key for key in arrays}
    if set(keys) >= {*_TRAIN_KEYS, *_TEST_KEYS}:
        train, test = (
            from_arrays(*(arrays[keys[key]] for key in pair), ordered=ordered)
            for pair in (_TRAIN_KEYS, _TEST_KEYS)
        )
        return replace(train, test=test)
    if set(keys) == {"x", "y"}:
        return from_arrays(arrays[keys["x"]], arrays[keys["y"]], ordered=ordered)
    if set(keys) == {"x"}:
        return from_arrays(arrays[keys["x"]], ordered=ordered)
    lengths = {key: array.shape[:1] for key, array in arrays.items()}
    if not arrays or () in lengths.values() or len(set(lengths.values())) > 1:
        received = ", ".join(f"{key} {array.shape}" for key, array in arrays.items()) or "nothing"
        raise DataError(
            "An NPZ archive holds x and y, or x_train, y_train, x_test and y_test, or columns of "
            f"equal length; {shown(path)} holds {received}. Save one of these."
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
    """Raw columns of a DataFrame, and of a target given apart, whose index must be the same."""
    names = checked_names(frame.columns)
    notes = () if frame.index.name is None else (index_note(frame.index.name),)
    plain, arrays = list_columns(frame.set_axis(names, axis=1).reset_index(drop=True))
    arrays = {name: _image_array(array, name) for name, array in arrays.items()}
    return _with_target(Table("table", plain, arrays, notes=notes, index=frame.index), y)


def from_arrays(
    x: Any,
    y: Any = None,
    *,
    n_words: int | None = None,
    sequences: bool = False,
    ordered: bool = False,
) -> Table:
    """Raw columns of an array, a sparse matrix or sequences, and of a target.

    The parameters are those of ``read_table``.
    """
    steps = None if ordered else sequences_of(x, asked=sequences)
    if steps is not None:
        return _with_target(_of_arrays({"x": _image_array(steps, "x")}), y)
    words = words_of(x, n_words, ordered=ordered)
    if words is not None:
        lists = {} if words.lists is None else {"x": words.lists}
        table = replace(_of_arrays({"x": words.matrix}), notes=words.notes, word_lists=lists)
        return _with_target(table, y)
    array = _as_array(x)
    if array.dtype.names:
        return _with_target(replace(from_frame(_of_records(array)), name="arrays", index=None), y)
    if array.ndim > 2:
        return _with_target(_of_arrays({"x": _image_array(array, "x")}), y)
    columns = array if array.ndim == 2 else array[:, None]
    frame = pd.DataFrame(columns, columns=[f"x{i}" for i in range(columns.shape[1])])
    if array.dtype == object:
        frame = frame.infer_objects()
    return _with_target(Table("arrays", frame), y)


def from_named(
    x: Mapping[str, Any],
    y: Any = None,
    *,
    n_words: int | None = None,
    sequences: bool = False,
    ordered: Collection[str] = (),
) -> Table:
    """Raw columns of arrays by name: a column each, or an array a row where it has more axes.

    The parameters are those of ``read_table``.
    """
    names = checked_names(pd.Index(list(x)))
    tables = [
        from_arrays(
            values,
            n_words=n_words,
            sequences=sequences and _is_deep(values),
            ordered=name in ordered,
        )
        for name, values in zip(names, x.values(), strict=True)
    ]
    sizes = {name: table.n_rows for name, table in zip(names, tables, strict=True)}
    if len(set(sizes.values())) != 1:
        received = ", ".join(f"{name} {n}" for name, n in sizes.items()) or "nothing"
        raise DataError(
            f"Arrays by name have a row for each row of the table; received {received} rows. Give "
            "arrays of one length."
        )
    columns: dict[str, Any] = {}
    blocks: dict[str, NDArray[Any] | sparse.csr_array] = {}
    for name, table, values in zip(names, tables, x.values(), strict=True):
        if table.arrays:
            blocks[name] = table.arrays["x"]
        elif table.frame.shape[1] == 1:
            columns[name] = table.frame.iloc[:, 0]
        else:
            blocks[name] = _image_array(_as_array(values), name)
    notes = tuple(note for table in tables for note in table.notes)
    lists = {name: t.word_lists["x"] for name, t in zip(names, tables, strict=True) if t.word_lists}
    frame = pd.DataFrame(columns, index=range(next(iter(sizes.values()))))
    return _with_target(Table("arrays", frame, blocks, notes=notes, word_lists=lists), y)


def _is_deep(values: Any) -> bool:
    """Whether values have more than one axis; lists of different length have."""
    return has_rows(values) or np.ndim(values) != 1


def _of_arrays(arrays: dict[str, NDArray[Any] | sparse.csr_array]) -> Table:
    n_rows = next(iter(arrays.values())).shape[0]
    return Table("arrays", pd.DataFrame(index=range(n_rows)), arrays)


def _as_array(x: Any) -> NDArray[Any]:
    """``x`` as an array with a row for each row of the table."""
    try:
        array = np.asarray(x)
    except (ValueError, TypeError) as error:
        raise DataError(
            "Rows have one length and hold single values; the "
            f"{type(x).__name__} received is no such array ({error}). Give a rectangular array, or "
            "load(X, y) for features and target."
        ) from error
    if array.ndim == 0:
        raise DataError(
            f"Data are a path, a DataFrame or an array with a row each; received {str(x)[:80]!r}. "
            "See `hpsearch datasets` for the named sets."
        )
    return array


def _of_records(array: NDArray[Any]) -> pd.DataFrame:
    names = array.dtype.names or ()
    deep = [name for name in names if array[name].ndim > 1]
    if array.ndim > 1 or deep:
        raise DataError(
            "A record array has one record a row with one value a field; received the shape "
            f"{array.shape}{f' and the field {deep[0]!r} of several values' if deep else ''}. "
            "Give plain columns."
        )
    return pd.DataFrame({name: array[name] for name in names})


def _image_array(array: NDArray[Any], name: str) -> NDArray[Any]:
    """An array column as uint8, float32, or float64, whose digits an offset may need.

    NaN stands for a missing value, which sequences may have (``arrays``).
    """
    if 0 in array.shape[1:]:
        raise DataError(
            f"Array column {name!r} must hold values; its rows have the shape {array.shape[1:]}. "
            "Give arrays without an empty axis."
        )
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
    finite: Mask = np.asarray(~np.isinf(floats).any(axis=tuple(range(1, floats.ndim))))
    if not finite.all():
        raise DataError(
            f"Array column {name!r} must be finite and within float32's range; it is not in "
            f"{Places()(~finite)}. Replace or drop these rows."
        )
    if array.dtype.kind in "iu" and (np.abs(floats) >= _INEXACT).any():
        return array.astype(np.float64)
    return array if array.dtype == np.float64 else floats


def _with_target(table: Table, y: Any) -> Table:
    """The table with the columns of a target that was given apart."""
    if y is None:
        return table
    check_index(table, y, "y")
    target = _target_frame(y)
    names = checked_names(target.columns)
    if len(target) != table.n_rows:
        raise DataError(
            f"X and y must have the same number of rows; received {table.n_rows} and "
            f"{len(target)}. Give a target for each row."
        )
    both = sorted(set(names) & set(table.names))
    if both:
        raise DataError(
            f"The columns of X and y must have different names; {both[0]!r} is in both. "
            "Rename one of them."
        )
    target = target.set_axis(names, axis=1).reset_index(drop=True)
    frame = pd.concat([table.frame, target], axis=1)
    return replace(table, frame=frame, target=tuple(names))


def _target_frame(y: Any) -> pd.DataFrame:
    if isinstance(y, pd.DataFrame | pd.Series):
        return _as_frame(y, "y")
    if is_arrow(y):
        return _as_frame(frame_of(y) if hasattr(y, "columns") else series_of(y), "y")
    array = y.toarray() if sparse.issparse(y) else _as_array(y)
    if array.dtype.names:
        return _of_records(array)
    if array.ndim not in (1, 2):
        raise DataError(
            f"`y` has one value or one row of values per row of X; received shape {array.shape}. "
            "Reshape it to (n_rows,) or (n_rows, n_values)."
        )
    frame = pd.DataFrame(_named_columns(array, "y"))
    return frame.infer_objects() if array.dtype == object else frame


def _as_frame(source: pd.DataFrame | pd.Series[Any], name: str) -> pd.DataFrame:
    """A DataFrame as it is, a Series as a column of its name, or of ``name`` where it has none."""
    if isinstance(source, pd.DataFrame):
        return source
    return source.to_frame(name if source.name is None else source.name)


def check_index(table: Table, given: Any, name: str) -> None:
    """Raise ``DataError`` where a Series or DataFrame has another index than the table's rows.

    Parameters
    ----------
    given : what stands beside the table; ``name`` is what a message calls it. What has no index is
        taken row by row.
    """
    if table.index is None or not isinstance(given, pd.Series | pd.DataFrame):
        return
    own, other = table.index, given.index
    if len(own) != len(other) or own.equals(other):
        return  # different lengths are another refusal
    row = next((i for i, pair in enumerate(zip(own, other, strict=True)) if pair[0] != pair[1]), 0)
    both = f"row {row} is {_label(own[row])} in X and {_label(other[row])} in {name}"
    by_place = "call reset_index(drop=True) on both where they match row by row"
    if set(own) == set(other):
        raise DataError(
            f"Rows of X and {name} belong together by their index; the labels come in another "
            f"order: {both}. Align them, {name}.loc[X.index], or {by_place}."
        )
    raise DataError(
        f"Rows of X and {name} belong together by their index; the labels differ: {both}. "
        f"Give {name} the index of X, or {by_place}."
    )


def _label(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)
