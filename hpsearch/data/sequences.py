"""Sequences: rows of steps of features, of which some values are missing and some steps padding.

Owns the form that all parts keep to: in an array (n_rows, steps, features) NaN is a missing value,
and a step all of whose features are NaN is padding, which networks can leave out. Here are the ways
into that form, from a value that stands for padding, from sequences of different length and from
new rows; what is learnt of the values that are there belongs to ``hpsearch.preprocessing``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Column, Schema
from hpsearch.data.understood import Places
from hpsearch.errors import DataError
from hpsearch.words import counted


def with_gaps(array: NDArray[Any], padding: float | None) -> NDArray[Any]:
    """Sequences with NaN in place of a value that stands for padding.

    Parameters
    ----------
    array : (n_rows, steps, features) of numbers.
    padding : steps all of whose features hold it are padding; None for none.

    Returns
    -------
    The array itself where nothing is padded; else a copy in which NaN has one bit pattern.

    Examples
    --------
    >>> with_gaps(np.array([[[1, -1], [-1, -1]]]), -1.0).tolist()
    [[[1.0, -1.0], [nan, nan]]]
    """
    is_padded = None if padding is None else (array == padding).all(axis=-1)
    if is_padded is not None and is_padded.any():
        wide = np.float32 if array.dtype.itemsize < 4 else np.promote_types(array.dtype, np.float32)
        array = array.astype(wide)
        array[is_padded] = np.nan
        return array
    if not has_gaps(array):
        return array
    return np.where(np.isnan(array), array.dtype.type(np.nan), array)


def has_gaps(array: NDArray[Any]) -> bool:
    """Whether values are missing."""
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def is_step(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which steps hold some value (n_rows, steps); the others are padding."""
    if array.dtype.kind != "f":
        return np.ones(array.shape[:2], dtype=bool)
    there: NDArray[np.bool_] = ~np.isnan(array).all(axis=-1)
    return there


def lengths(array: NDArray[Any]) -> NDArray[np.int64]:
    """Steps of each row up to its last that is no padding (n_rows,).

    Examples
    --------
    >>> lengths(np.array([[[1.0], [np.nan], [2.0]], [[3.0], [np.nan], [np.nan]]])).tolist()
    [3, 1]
    """
    steps = np.arange(1, array.shape[1] + 1)
    ends: NDArray[np.int64] = (is_step(array) * steps).max(axis=1, initial=0).astype(np.int64)
    return ends


def check_steps(array: NDArray[Any], name: str, places: Places | None = None) -> None:
    """Raise ``DataError`` where a row has no step that holds a value."""
    empty: NDArray[np.bool_] = np.asarray(~is_step(array).any(axis=1))
    if empty.any():
        raise DataError(
            f"A sequence needs a step that holds some value; {name!r} has none in "
            f"{(places or Places())(empty)}. Drop these rows."
        )


def packed(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Sequences (steps, features) of different length as one array, NaN behind their ends.

    Examples
    --------
    >>> packed([np.array([[1.0], [2.0]]), np.array([[3.0]])]).tolist()
    [[[1.0], [2.0]], [[3.0], [nan]]]
    """
    longest = max(len(row) for row in rows)
    dtype = np.result_type(np.float32, *{row.dtype for row in rows})
    array = np.full((len(rows), longest, rows[0].shape[1]), np.nan, dtype)
    for place, row in zip(array, rows, strict=True):
        place[: len(row)] = row
    return array


def as_trained(array: NDArray[Any], column: Column, places: Places | None = None) -> NDArray[Any]:
    """New rows of a column of sequences, with as many steps as those that were trained on.

    Shorter ones are padded at their end. Longer ones stay as they are: whether a network takes them
    is for whoever has the network to say.

    Raises
    ------
    DataError
        They have another number of features, or another number of steps where all sequences of the
        training data were of one length.
    """
    n_steps, n_features = column.shape
    name = column.name
    if array.ndim != 3 or array.shape[2] != n_features:
        received = "no sequences" if array.ndim != 3 else counted(array.shape[2], "feature")
        raise DataError(
            f"Column {name!r} holds sequences of {counted(n_features, 'feature')}; received "
            f"{received}. Give the features that the model was trained on."
        )
    array = with_gaps(array, column.padding)
    check_steps(array, name, places)
    if array.shape[1] == n_steps:
        return array
    if not column.has_missing:
        raise DataError(
            f"Column {name!r} holds sequences of {counted(n_steps, 'step')}, all of one length; "
            f"received {counted(array.shape[1], 'step')}. Give rows of the same shape."
        )
    return with_steps(array, max(n_steps, int(lengths(array).max())))


def with_steps(array: NDArray[Any], n_steps: int) -> NDArray[Any]:
    """Sequences cut to so many steps, or padded to them at their end.

    Examples
    --------
    >>> with_steps(np.array([[[1.0]]]), 2).tolist()
    [[[1.0], [nan]]]
    """
    n_more = n_steps - array.shape[1]
    if n_more <= 0:
        return array[:, :n_steps]
    wide = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
    return np.pad(wide, ((0, 0), (0, n_more), (0, 0)), constant_values=np.nan)


def check_no_longer(arrays: Mapping[str, Any], schema: Schema) -> None:
    """Raise ``DataError`` where rows to score have more steps than those that are trained on."""
    for column in schema.of_kind("array"):
        if column.array_kind == "sequence" and arrays[column.name].shape[1] > column.shape[0]:
            raise DataError(
                f"Test rows have no more steps than the longest row to train on, "
                f"{column.shape[0]:,}; {column.name!r} has up to "
                f"{arrays[column.name].shape[1]:,}. Cut them, or move the longest ones there."
            )


def described_steps(array: NDArray[Any]) -> str:
    """The numbers of steps of some sequences, such as ``3 to 20 steps``."""
    ends = lengths(array)
    fewest, most = int(ends.min()), int(ends.max())
    return f"{fewest:,} to {counted(most, 'step')}" if fewest < most else counted(most, "step")


def unseen_steps(array: Any, column: Column) -> tuple[str, ...]:
    """A sentence where values are missing in sequences that had none missing."""
    if column.array_kind != "sequence" or column.has_missing or not has_gaps(array):
        return ()
    n_rows = int(np.isnan(array).any(axis=(1, 2)).sum())
    return (
        f"Missing values in {column.name!r} ({counted(n_rows, 'row')}): no value of these "
        "sequences was missing in the training data.",
    )


def marked(column: Column, array: NDArray[Any], padding: float | None) -> Column:
    """A column of sequences with what its values say of gaps."""
    return replace(column, has_missing=has_gaps(array), padding=padding)
