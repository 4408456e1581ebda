"""New rows under a known schema: what ``predict`` and test data read.

Owns the match of columns by name, in any order, and the reading of each cell as the kind that its
column has. Nothing is inferred here, and nothing is left out but columns the schema does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrays import settled
from hpsearch.data.cells import as_dates, as_levels, as_numbers
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.kinds import check_range
from hpsearch.data.names import listed
from hpsearch.data.tables import Table, read_table
from hpsearch.data.target import read_known_target
from hpsearch.errors import DataError

Arrays = dict[str, NDArray[Any] | sparse.csr_array]


def read_rows(
    source: Any, schema: Schema, *, y: Any = None, require_target: bool = False
) -> tuple[pd.DataFrame, Arrays, NDArray[Any] | None, tuple[str, ...]]:
    """Read raw rows under a schema.

    Parameters
    ----------
    source : a path, a DataFrame or arrays, as for ``load``.
    schema : the columns and the target that the rows are read as.
    y : the target for arrays.
    require_target : whether the target is read as well; else it may be absent, and is ignored.

    Returns
    -------
    frame, arrays : the schema's columns in its order, as in ``Dataset``. Levels that the schema
        does not know stay as they are.
    y : the target as in ``Dataset``, or None.
    notes : what was ignored, a sentence each.

    Raises
    ------
    DataError
        A column is missing, a cell cannot be read as its column's kind, an array has another
        shape, or (``require_target``) the target is absent, incomplete or has unknown labels.
    """
    table = read_table(source, y, n_words=word_count(schema))
    return rows_of_table(table, schema, require_target=require_target)


def rows_of_table(
    table: Table, schema: Schema, *, require_target: bool = False
) -> tuple[pd.DataFrame, Arrays, NDArray[Any] | None, tuple[str, ...]]:
    """``read_rows`` of raw columns that are already read."""
    table = _with_target_names(table, schema)
    target_names = schema.target.names
    wanted = [column.name for column in schema.columns]
    _check_present(wanted + (list(target_names) if require_target else []), table.names)
    extra = [name for name in table.names if name not in wanted and name not in target_names]
    notes = table.notes
    if extra:
        notes += (f"Columns that the model does not use were ignored: {listed(extra)}.",)
    columns: dict[str, Any] = {}
    arrays: Arrays = {}
    for column in schema.columns:
        if column.kind in ("array", "words"):
            arrays[column.name] = _array_cells(table, column)
        else:
            columns[column.name] = _cells(table, column)
            notes += _unseen_note(columns[column.name], column)
    frame = pd.DataFrame(columns, index=range(table.n_rows))
    y = None
    if require_target:
        y = read_known_target(table.frame[list(target_names)], table.places, schema.target)
    return frame, arrays, y, notes


def word_count(schema: Schema) -> int | None:
    """Number of words of a schema's first word column, by which sequences are read; or None."""
    words = schema.of_kind("words")
    return words[0].shape[0] if words else None


def _with_target_names(table: Table, schema: Schema) -> Table:
    """A target that was given apart, as an array, takes the schema's names."""
    names = schema.target.names
    if not table.target or len(table.target) != len(names) or set(table.target) == set(names):
        return table
    renamed = dict(zip(table.target, names, strict=True))
    return replace(table, frame=table.frame.rename(columns=renamed), target=names)


def _check_present(wanted: Sequence[str], names: Sequence[str]) -> None:
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(
            f"The rows need the columns that the model was trained on; "
            f"{listed([repr(name) for name in absent])} "
            f"{'is' if len(absent) == 1 else 'are'} missing. Columns received: {listed(names)}."
        )


def _cells(table: Table, column: Column) -> pd.Series[Any]:
    if column.name in table.arrays:
        raise DataError(
            f"Column {column.name!r} holds one {column.kind} per row; received an array per row. "
            "Give the column that the model was trained on."
        )
    raw: pd.Series[Any] = table.frame[column.name]
    if column.kind == "number":
        values = as_numbers(raw, column.name, table.places, column.number_format)
        check_range(values, column.name, table.places, "Correct these cells or leave them empty.")
        return pd.Series(values)
    if column.kind == "date":
        return as_dates(raw, column.name, table.places, column.date_format)
    return as_levels(raw, column.levels if column.kind == "category" else ())


def _unseen_note(cells: pd.Series[Any], column: Column) -> tuple[str, ...]:
    if column.kind != "category":
        return ()
    unseen = sorted(set(cells.dropna().unique()) - set(column.levels))
    if not unseen:
        return ()
    n_rows = int(cells.isin(unseen).sum())
    shown = listed([repr(level) for level in unseen], most=5)
    return (
        f"Column {column.name!r}: {shown} did not occur in the training data "
        f"({n_rows:,} row{'s' if n_rows != 1 else ''}).",
    )


def _array_cells(table: Table, column: Column) -> NDArray[Any] | sparse.csr_array:
    array = table.arrays.get(column.name)
    if array is None:
        raise DataError(
            f"Column {column.name!r} holds an array of shape {column.shape} per row; received one "
            "cell per row. Give the arrays that the model was trained on."
        )
    if sparse.issparse(array) != (column.kind == "words") or array.shape[1:] != column.shape:
        raise DataError(
            f"Column {column.name!r} has rows of shape {column.shape}; received "
            f"{tuple(array.shape[1:])}. Give rows of the same shape."
        )
    return settled(array, column)
