"""Columns of image files: paths in a table's cells become arrays, once they are read.

Owns which columns hold paths, from which folder these start, and that every row has one. Reading
the files belongs to ``images``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hpsearch.data.images import ImageFiles, ImageForm, read_images
from hpsearch.data.names import check_known
from hpsearch.errors import DataError, OptionError

if TYPE_CHECKING:
    from hpsearch.data.dataset import Schema
    from hpsearch.data.tables import Table


def with_images(
    table: Table, columns: Sequence[str], size: tuple[int, int] | None
) -> tuple[Table, dict[str, ImageForm], tuple[str, ...]]:
    """The table with images in place of the columns of their paths.

    Parameters
    ----------
    columns : names of columns of paths, besides those that the table knows of.
    size : height and width to resize to, or None.

    Returns
    -------
    The table, whose notes say what was handled; each column's form; and warnings.

    Raises
    ------
    DataError
        See ``read_images``; or a cell is empty.
    OptionError
        A size is given, and there are no files to read.
    """
    check_known(columns, table.names, "--image")
    wanted = dict.fromkeys((*table.image_columns, *columns))
    if size is not None and not wanted:
        raise OptionError(
            "--size resizes images that are read from files; this table names none. Name the "
            "column of their paths with --image, or leave --size out."
        )
    forms: dict[str, ImageForm] = {}
    warnings: tuple[str, ...] = ()
    for name in wanted:
        table, read = _read(table, name, size=size)
        forms[name] = read.form
        warnings += read.warnings
    return table, forms, warnings


def with_known_images(table: Table, schema: Schema) -> tuple[Table, dict[str, pd.Series[Any]]]:
    """The same of new rows, for those columns that a schema knows for images and has paths of.

    Returns
    -------
    The table, and the columns of paths.
    """
    table = _by_the_schemas_name(table, schema)
    paths: dict[str, pd.Series[Any]] = {}
    for column in schema.columns:
        if column.image_form and column.name in table.frame:
            paths[column.name] = table.frame[column.name]
            table, _ = _read(table, column.name, form=ImageForm.of(column.image_form))
    return table, paths


def _by_the_schemas_name(table: Table, schema: Schema) -> Table:
    """Images that have no name of their own, those of a folder or an array, by the schema's."""
    known = [column.name for column in schema.columns if column.image_form]
    if len(known) != 1 or known[0] in table.names:
        return table
    if len(table.image_columns) == 1:
        frame = table.frame.rename(columns={table.image_columns[0]: known[0]})
        return replace(table, frame=frame, image_columns=(known[0],))
    if list(table.arrays) == ["x"]:
        return replace(table, arrays={known[0]: table.arrays["x"]})
    return table


def _read(
    table: Table,
    name: str,
    *,
    size: tuple[int, int] | None = None,
    form: ImageForm | None = None,
) -> tuple[Table, ImageFiles]:
    cells: pd.Series[Any] = table.frame[name]
    empty = (cells.isna() | (cells.astype("str").str.strip() == "")).to_numpy()
    if empty.any():
        raise DataError(
            f"--image needs the path of an image in every row; column {name!r} has none in "
            f"{table.places(empty)}. Fill them in or drop these rows."
        )
    read = read_images([str(cell) for cell in cells], table.folder or Path(), size=size, form=form)
    return (
        replace(
            table,
            frame=table.frame.drop(columns=name),
            arrays={**table.arrays, name: read.pixels},
            notes=(*table.notes, *read.notes),
        ),
        read,
    )
