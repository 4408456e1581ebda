"""New rows under a known schema: what ``predict`` and test data read.

Owns the match of columns by name, in any order, and the reading of each cell as the kind that its
column has. Nothing is inferred here, and nothing is left out but columns the schema does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrays import check_complete, settled
from hpsearch.data.cells import as_dates, as_levels, as_numbers
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.exposure import check_exposure_is_there, exposure_of_rows
from hpsearch.data.image_columns import with_known_images
from hpsearch.data.kinds import check_range
from hpsearch.data.levels import form_note, in_known_form
from hpsearch.data.long_tables import SEQUENCE, known_rows
from hpsearch.data.names import listed
from hpsearch.data.ragged import check_lists
from hpsearch.data.sequences import as_trained, unseen_steps
from hpsearch.data.tables import Table, read_table
from hpsearch.data.target import read_known_target
from hpsearch.data.tokens import (
    Numbers,
    cut_texts,
    numbers_of_rows,
    ordered_rows,
    unseen_numbers,
)
from hpsearch.data.unseen import unseen_gaps, unseen_levels, unseen_words
from hpsearch.errors import DataError
from hpsearch.progress import followed

Arrays = dict[str, NDArray[Any] | sparse.csr_array]


@dataclass(frozen=True, eq=False)
class Rows:
    """Raw rows, read under a schema.

    Attributes
    ----------
    frame, arrays : the schema's columns in its order, as in ``Dataset``. Levels that the schema
        does not know stay as they are.
    y : the target as in ``Dataset``, or None.
    notes : what was ignored or read in another form, a sentence each.
    unseen : what the rows hold that the training rows did not, a sentence each.
    paths : the columns of paths of images, as they were given, by name.
    labels : what names each row of a long table's sequences (n_rows, ...), or None.
    """

    frame: pd.DataFrame
    arrays: Arrays
    y: NDArray[Any] | None
    notes: tuple[str, ...]
    unseen: tuple[str, ...]
    paths: dict[str, pd.Series[Any]] = field(default_factory=dict)
    labels: pd.DataFrame | None = None


def read_rows(source: Any, schema: Schema, *, y: Any = None, require_target: bool = False) -> Rows:
    """Read raw rows under a schema; what a row means depends on no other row.

    Parameters
    ----------
    source : a path, a DataFrame or arrays, as for ``load``.
    schema : the columns and the target that the rows are read as.
    y : the target for arrays.
    require_target : whether the target is read as well; else it may be absent, and is ignored.

    Raises
    ------
    DataError
        A column is missing, a cell cannot be read as its column's kind, an array has another
        shape, or (``require_target``) the target is absent, incomplete or has unknown labels.
    """
    table = read_under(source, y, schema)
    return rows_of_table(table, schema, require_target=require_target)


def read_under(source: Any, y: Any, schema: Schema) -> Table:
    """Raw columns of rows that a schema is known of."""
    arrays = schema.of_kind("array")
    ordered = {column.name for column in schema.tokens if column.kind == "words"}
    return read_table(
        source,
        y,
        n_words=word_count(schema),
        expected=names_of(schema),
        sequences=any(column.array_kind == "sequence" for column in arrays),
        ordered=ordered,
    )


def rows_of_table(table: Table, schema: Schema, *, require_target: bool = False) -> Rows:
    """``read_rows`` of raw columns that are already read."""
    if schema.long is not None and SEQUENCE not in table.arrays:
        long = known_rows(table, schema, require_target=require_target)
        rows = rows_of_table(long.table, schema, require_target=require_target)
        return replace(rows, notes=(*long.notes, *rows.notes), labels=long.labels)
    table = _with_target_names(table, schema)
    target_names = schema.target.names
    wanted = [column.name for column in schema.columns]
    check_exposure_is_there(schema, table.names)
    table, paths = with_known_images(table, schema)
    _check_present(wanted + (list(target_names) if require_target else []), table.names)
    known = {*wanted, *target_names}
    extra = [name for name in table.names if name not in known]
    notes = table.notes
    if extra:
        notes += (f"Columns that the model does not use were ignored: {listed(extra)}.",)
    columns: dict[str, Any] = {}
    arrays: Arrays = {}
    unseen: tuple[str, ...] = ()
    for column in followed(schema.columns, "columns", len(schema.columns)):
        if column.kind == "words" and column.width:
            lists = _word_lists(table, column)
            arrays[column.name] = numbers_of_rows(lists, column)
            unseen += unseen_numbers(lists, column)
            continue
        if column.kind in ("array", "words"):
            arrays[column.name] = _array_cells(table, column)
            unseen += unseen_steps(arrays[column.name], column)
            continue
        cells, said = _cells(table, column)
        columns[column.name] = cells.array  # a series would be aligned, column by column
        notes += said
        unseen += unseen_levels(cells, column) if column.kind == "category" else ()
        if column.kind == "text":
            unseen += unseen_words(cells, column)
            unseen += cut_texts(cells, column)
    frame = pd.DataFrame(columns, index=range(table.n_rows))
    unseen += unseen_gaps(frame, schema.columns)
    y = None
    if require_target:
        y = read_known_target(table.frame[list(target_names)], table.places, schema.target)
    return Rows(frame, arrays, y, notes, unseen, paths)


def names_of(schema: Schema) -> tuple[str, ...]:
    """The names that a table of new rows has, the target's included."""
    if schema.long is not None:
        return tuple(dict.fromkeys([*schema.long.columns, *schema.target.names]))
    return (*(column.name for column in schema.columns), *schema.target.names)


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
    there = set(names)
    absent = [name for name in wanted if name not in there]
    if absent:
        raise DataError(
            f"The rows need the columns that the model was trained on; "
            f"{listed([repr(name) for name in absent])} "
            f"{'is' if len(absent) == 1 else 'are'} missing. Columns received: {listed(names)}."
        )


def _cells(table: Table, column: Column) -> tuple[pd.Series[Any], tuple[str, ...]]:
    """A column's cells as its kind has them, and what was read in another form."""
    if column.name in table.arrays:
        raise DataError(
            f"Column {column.name!r} holds one {column.kind} per row; received an array per row. "
            "Give the column that the model was trained on."
        )
    raw: pd.Series[Any] = table.frame[column.name]
    if column.kind == "number":
        values = as_numbers(raw, column.name, table.places, column.number_format)
        check_range(values, column.name, table.places, "Correct these cells or leave them empty.")
        return pd.Series(values), ()
    if column.kind == "date":
        return as_dates(raw, column.name, table.places, column.date_format), ()
    if column.kind == "exposure":
        return exposure_of_rows(raw, column, table.places), ()
    text = as_levels(raw)
    if column.kind == "text":
        return text, ()
    cells, forms = in_known_form(text, column.levels)
    return cells, form_note(forms, column.name)


def _word_lists(table: Table, column: Column) -> Numbers:
    array = table.arrays.get(column.name)
    if array is None:
        raise DataError(
            f"Column {column.name!r} holds word numbers; received one cell per row. Give lists of "
            "word numbers, a list for each row."
        )
    return ordered_rows(array, column.name, table.word_lists.get(column.name))


def _array_cells(table: Table, column: Column) -> NDArray[Any] | sparse.csr_array:
    array = table.arrays.get(column.name)
    if array is None:
        check_lists(table.frame[column.name], column.name)
        raise DataError(
            f"Column {column.name!r} holds an array of shape {column.shape} per row; received one "
            "cell per row. Give the arrays that the model was trained on."
        )
    if column.array_kind == "sequence":
        return settled(as_trained(array, column), column)
    if sparse.issparse(array) != (column.kind == "words") or array.shape[1:] != column.shape:
        raise DataError(
            f"Column {column.name!r} has rows of shape {column.shape}; received "
            f"{tuple(array.shape[1:])}. Give rows of the same shape."
        )
    if column.kind == "array":
        check_complete(array, column.name)
    return settled(array, column)
