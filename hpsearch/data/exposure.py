"""Exposure: how long, or over how much, each row of a table of counts was counted.

Owns its option and all refusals that concern it. Counts for one unit of it are what networks learn;
that belongs to ``hpsearch.preprocessing``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.cells import as_numbers, interpret
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.kinds import check_range
from hpsearch.data.signs import Signs
from hpsearch.data.understood import Places, quoted
from hpsearch.errors import DataError, OptionError
from hpsearch.task import Target


def exposure_name(given: Any) -> str | None:
    """The column that the option names, or None.

    Raises
    ------
    OptionError
        It is no name: rows to predict need an exposure as well, and have it in their columns.
    """
    if given is None or isinstance(given, str):
        return given
    raise OptionError(
        "`exposure` names a column, since rows to predict need it as well; received "
        f"{type(given).__name__}. Put it into a column, and give its name."
    )


def read_exposure(
    frame: pd.DataFrame, name: str | None, places: Places, signs: Signs, target: Target
) -> Iterator[tuple[Column, NDArray[np.float64]]]:
    """The column of exposures, and its values (n_rows,); nothing where none is named.

    Raises
    ------
    OptionError
        The target counts nothing.
    DataError
        A cell is missing, no number, infinite, or not above 0.
    """
    if name is None:
        return
    if target.kind != "count":
        raise OptionError(
            f"--exposure belongs to --task count; the target {target.names[0]!r} is of "
            f"{target.kind}. Add --task count, or leave --exposure out."
        )
    cells = interpret(frame[name], name, signs)
    if cells.doubt is not None:
        raise DataError(
            f"--exposure needs numbers; column {name!r} {cells.doubt.told(places, cells.text)}. "
            f"{cells.doubt.remedy}"
        )
    _refuse_missing(cells.is_missing, name, places)
    if cells.form != "number":
        raise DataError(
            f"--exposure needs numbers; column {name!r} holds for instance "
            f"{quoted(cells.series.iloc[0])}. Name a column of numbers."
        )
    values = cells.series.to_numpy(dtype=np.float64)
    _check(values, name, places)
    reason = f"what counts of {target.names[0]} are predicted for"
    yield Column(name, "exposure", reason, number_format=cells.number_format), values


def exposure_of_rows(raw: pd.Series[Any], column: Column, places: Places) -> pd.Series[Any]:
    """The exposures of new rows; refused as those of the table are."""
    values = as_numbers(raw, column.name, places, column.number_format)
    _refuse_missing(np.isnan(values), column.name, places)
    _check(values, column.name, places)
    return pd.Series(values)


def check_exposure_is_there(schema: Schema, names: Sequence[str]) -> None:
    """Raise ``DataError`` where new rows lack the column that counts are predicted for."""
    for column in schema.of_kind("exposure"):
        if column.name not in names:
            raise DataError(
                f"The model predicts counts for the exposure of each row, the column "
                f"{column.name!r}, which is missing. Add it, with 1 in each row for counts of one "
                "unit."
            )


def _refuse_missing(missing: NDArray[np.bool_], name: str, places: Places) -> None:
    if missing.any():
        raise DataError(
            f"--exposure needs a value in every row; {name!r} has {missing.sum():,} missing cells, "
            f"in {places(missing)}. Fill them in or drop these rows."
        )


def _check(values: NDArray[np.float64], name: str, places: Places) -> None:
    check_range(values, name, places, "Correct these cells or drop their rows.")
    wrong = values < np.finfo(np.float32).tiny
    if wrong.any():
        raise DataError(
            f"--exposure needs numbers above 0; column {name!r} has others in "
            f"{places.with_cells(wrong, values.tolist())}. Correct these cells or drop their "
            "rows."
        )
