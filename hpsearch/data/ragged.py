"""Sequences of different length, from what Python, Parquet and NPZ hold them in.

Lists of arrays, cells that hold lists, and flat values with the lengths of the rows: all become one
array (n_rows, longest, features) with NaN behind the end of each row. What NaN means in it belongs
to ``sequences``, whether lists are word numbers to ``word_rows``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.memory import free_bytes
from hpsearch.data.sequences import packed
from hpsearch.errors import DataError
from hpsearch.words import counted

LENGTHS = "_lengths"
"""What follows the name of an array in an NPZ file whose rows lie one after the other."""

_LISTS = (list, tuple, np.ndarray)
_NUMBERS = "biuf"


def sequences_of(x: Any, *, asked: bool = False) -> NDArray[Any] | None:
    """An array (n_rows, longest, features) of a source whose rows are sequences, or None.

    Parameters
    ----------
    x : a list, a tuple or an array of objects with a sequence for each row: (steps, features), or
        (steps,) of one feature.
    asked : whether rows are known to be sequences; then whole numbers, which word numbers would be
        too, are steps, and a plain array (n_rows, steps) has one feature.

    Raises
    ------
    DataError
        Rows are sequences of something else than numbers, or of different features.

    Examples
    --------
    >>> sequences_of([[0.5, 1.5], [2.5]]).tolist()
    [[[0.5], [1.5]], [[2.5], [nan]]]
    >>> sequences_of([[2], [0, 1]]) is None
    True
    """
    if isinstance(x, np.ndarray) and x.dtype != object:
        return x[..., np.newaxis] if asked and x.ndim == 2 and x.dtype.kind in _NUMBERS else None
    if not has_rows(x):
        return None
    if not asked and not _look_like_steps(x):
        return None
    return joined(x, "x")


def has_rows(x: Any) -> bool:
    """Whether something is a list of lists, or of arrays."""
    return isinstance(x, _LISTS) and len(x) > 0 and all(isinstance(row, _LISTS) for row in x)


def joined(rows: Sequence[Any] | NDArray[Any], name: str) -> NDArray[Any]:
    """Rows of lists of numbers, or of lists of these, as one array (n_rows, longest, features).

    Raises
    ------
    DataError
        They hold something else, have different features, or don't fit into memory.
    """
    arrays = [_row(row, name, number) for number, row in enumerate(rows)]
    widths = [array.shape[1] for array in arrays]
    other = next((i for i, width in enumerate(widths) if width != widths[0]), None)
    if other is not None:
        raise DataError(
            f"All sequences of {name!r} have the same features; row 0 has "
            f"{counted(widths[0], 'feature')}, row {other} {counted(widths[other], 'feature')}. "
            "Give each step a value, or NaN, for each feature."
        )
    longest = max(len(array) for array in arrays)
    needed = 2 * len(arrays) * longest * widths[0] * 8
    if needed > free_bytes():
        raise DataError(
            f"Sequences are padded to the longest; {len(arrays):,} of {name!r} with "
            f"{longest:,} steps of {counted(widths[0], 'feature')} take {needed / 1e9:,.1f} GB, "
            "more than is free. Cut the longest ones."
        )
    return packed(arrays)


def list_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, NDArray[Any]]]:
    """The columns of a frame whose cells are single values, and those of sequences as arrays.

    Columns of lists that are no sequences stay in the frame, where they can be left out; whoever
    uses them says with ``check_lists`` what is wrong.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name in [column for column, cells in frame.items() if holds_lists(cells)]:
        try:
            arrays[str(name)] = joined(list(frame[name]), str(name))
        except DataError:
            continue
    return (frame.drop(columns=list(arrays)) if arrays else frame), arrays


def check_lists(cells: pd.Series[Any], name: str) -> None:
    """Raise ``DataError`` where a column's cells are lists that make no sequences."""
    if holds_lists(cells):
        joined(list(cells), name)


def split_by_lengths(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Named arrays, those with the lengths of their rows beside them cut into rows.

    Parameters
    ----------
    arrays : by name; where ``x_lengths`` (n_rows,) stands beside ``x`` (n_steps, features) or
        (n_steps,), the rows of ``x`` lie in it one after the other.

    Raises
    ------
    DataError
        Lengths are no whole numbers above 0, or their sum is another than the number of steps.

    Examples
    --------
    >>> split_by_lengths({"x": np.array([1.0, 2.0, 3.0]), "x_lengths": np.array([2, 1])})["x"].shape
    (2, 2, 1)
    """
    flat = {name: name + LENGTHS for name in arrays if name + LENGTHS in arrays}
    whole = dict(arrays)
    for name, lengths in flat.items():
        whole[name] = joined(list(_rows(arrays[name], whole.pop(lengths), name)), name)
    return whole


def _rows(values: NDArray[Any], lengths: NDArray[Any], name: str) -> Iterator[NDArray[Any]]:
    is_whole = lengths.ndim == 1 and lengths.dtype.kind in "iu" and len(lengths) > 0
    if not is_whole or (lengths < 1).any() or values.ndim not in (1, 2):
        raise DataError(
            f"{name + LENGTHS!r} says how many steps each row of {name!r} has, which holds them "
            f"one after the other as (n_steps, features): whole numbers above 0; received "
            f"{lengths.dtype} {lengths.shape} beside {values.shape}. Save it as "
            "numpy.array([len(row) for row in rows])."
        )
    if int(lengths.sum()) != len(values):
        raise DataError(
            f"{name + LENGTHS!r} adds up to {int(lengths.sum()):,} steps, and {name!r} has "
            f"{len(values):,}. Save numpy.concatenate(rows) with the length of each."
        )
    yield from np.split(values, np.cumsum(lengths)[:-1])


def _look_like_steps(x: Sequence[Any] | NDArray[Any]) -> bool:
    """Whether rows of different length are no word numbers: they have fractions, or features."""
    if isinstance(x, np.ndarray):
        return x.ndim == 1 and any(map(_has_steps, x))
    return len(set(map(len, x))) > 1 and any(map(_has_steps, x))


def _has_steps(row: Any) -> bool:
    if isinstance(row, np.ndarray) and row.dtype != object:
        return row.ndim == 2 or row.dtype.kind == "f"
    return any(isinstance(cell, (*_LISTS, float, np.floating)) for cell in row)


def holds_lists(cells: pd.Series[Any]) -> bool:
    """Whether a column's cells are lists of numbers, of lists or of records."""
    if cells.dtype != object:
        return False
    known = [cell for cell in cells if cell is not None]
    if not known or not all(isinstance(cell, _LISTS) for cell in known):
        return False
    step = next((cell[0] for cell in known if len(cell)), None)
    if isinstance(step, dict):
        step = list(step.values())
    values = step if isinstance(step, _LISTS) else [step]
    return all(value is None or isinstance(value, int | float | np.number) for value in values)


def _row(row: Any, name: str, number: int) -> NDArray[Any]:
    """One row (steps, features) of numbers; None, which Parquet has for a missing one, is NaN."""
    if row is None or not len(row):
        raise DataError(
            f"A sequence needs a step that holds some value; {name!r} has none in row {number}. "
            "Drop these rows."
        )
    steps = [list(step.values()) if isinstance(step, dict) else step for step in row]
    try:
        array = np.asarray(row) if isinstance(row, np.ndarray) and row.dtype != object else None
        if array is None:
            array = np.array([np.asarray(step) for step in steps])
        array = array.astype(np.float64) if array.dtype == object else array
    except (ValueError, TypeError) as error:
        raise _no_numbers(row, name, number) from error
    if array.dtype.kind not in _NUMBERS or array.ndim not in (1, 2) or 0 in array.shape:
        raise _no_numbers(row, name, number)
    return array if array.ndim == 2 else array[:, np.newaxis]


def _no_numbers(row: Any, name: str, number: int) -> DataError:
    shown = " ".join(str(row).split())[:60]
    return DataError(
        f"A sequence holds steps, each a number or so many numbers; row {number} of {name!r} is "
        f"{shown}. Give each step the same features, NaN where one is missing."
    )
