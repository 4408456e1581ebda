"""Cells: what one raw column holds, whatever it came from.

Owns the rules by which cells become numbers, flags, dates or text: which words mean "missing",
what reads as a number or a date, and the one form in which a level is written as text. Text is
read alike whether it comes from a CSV file, a Parquet file or a DataFrame, so the same table gives
the same ``Dataset`` either way. What a column is then *used* as belongs to ``kinds`` (features),
``target`` and ``rows`` (new rows under a known schema).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hpsearch.data.arrow import series_of
from hpsearch.data.characters import straightened
from hpsearch.data.dates import beyond_calendar, first_date
from hpsearch.data.levels import in_known_form
from hpsearch.data.numerals import PLAIN, NumberForm, is_either
from hpsearch.data.signs import Signs
from hpsearch.data.text_columns import known_numbers, read_text, trimmed_text
from hpsearch.data.understood import MISSING_WORDS, Cells, Places
from hpsearch.data.variants import merged
from hpsearch.errors import DataError

_READABLE = (str, bool, int, float, np.bool_, np.number, Decimal, dt.date, dt.time)
_MOST_EXACT_INTEGER = 2**53


def interpret(series: pd.Series[Any], name: str, signs: Signs | None = None) -> Cells:
    """What a raw column holds, decided from its type and, for text, from its cells.

    Parameters
    ----------
    series : the raw column; never changed.
    name : its name, for messages.
    signs : what the table's other columns say where a decimal sign is unclear.

    Raises
    ------
    DataError
        The cells are nothing a table can hold (lists, bytes, complex numbers).
    """
    series = _plain(series)
    cells = _typed(series, name)
    if cells is None:
        text = series if isinstance(series.dtype, pd.StringDtype) else as_levels(series)
        cells = read_text(text, signs or Signs())
    if cells.form != "string":
        return cells
    one = merged(cells.series)
    if one.levels.isna().all():
        return Cells("missing", pd.Series(np.full(len(series), np.nan)))
    return replace(cells, series=one.levels, notes=one.notes, warnings=one.warnings)


def _typed(series: pd.Series[Any], name: str) -> Cells | None:
    """A column whose type says what it holds; None where it is text."""
    dtype = series.dtype
    if isinstance(dtype, pd.StringDtype):
        return None
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_declared(series, name)
    if pd.api.types.is_bool_dtype(dtype):
        return _from_flags(series)
    if pd.api.types.is_complex_dtype(dtype):
        raise _unreadable(name, "complex numbers")
    if pd.api.types.is_numeric_dtype(dtype):
        return _from_numbers(series)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _from_dates(series, name)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _from_numbers(series.dt.total_seconds())
    return _from_objects(series.astype(object), name)


def as_numbers(
    series: pd.Series[Any], name: str, places: Places, number_format: str = ""
) -> NDArray[np.float64]:
    """The cells of a column that is known to hold numbers (n_rows,), missing is NaN.

    Flags count as 0 and 1. ``number_format`` is the form that the column's text has, as the schema
    keeps it: each cell is read by it alone. Raises ``DataError`` for a cell that is no number.
    """
    series = _plain(series)
    typed = _typed(series, name)
    if typed is None or typed.form == "string":
        text = series if isinstance(series.dtype, pd.StringDtype) else as_levels(series)
        return _numbers_of_text(text, name, places, NumberForm.of(number_format))
    if typed.form == "missing":
        return np.full(len(series), np.nan)
    if typed.form == "number":
        return typed.series.to_numpy(dtype=np.float64)
    if typed.form == "flag":
        return np.asarray(typed.series.map({"False": 0.0, "True": 1.0}), dtype=np.float64)
    raise DataError(
        f"Column {name!r} holds numbers; received dates. Give the column that the data was "
        "prepared with."
    )


def _numbers_of_text(
    text: pd.Series[Any], name: str, places: Places, form: NumberForm
) -> NDArray[np.float64]:
    """Each cell's number in a form that is known."""
    found = known_numbers(text, form)
    if not found.wrong.any():
        return found.values
    may_be_either = [cell is not None and is_either(cell, form.unit) for cell in found.cells]
    unclear = found.wrong & np.array(may_be_either, dtype=bool)
    if unclear.any():
        raise DataError(
            f"Column {name!r} holds numbers{_written(form)}; "
            f"{places.with_cells(unclear, found.cells)} has a comma or point that may be a decimal "
            "sign or stand between thousands. Write numbers with decimal points and nothing "
            "between thousands."
        )
    raise DataError(
        f"Column {name!r} holds numbers{_written(form)}; "
        f"{places.with_cells(found.wrong, found.cells)} is no number"
        f"{' in this form' if form != PLAIN else ''}. Correct the cell or leave it empty."
    )


def _written(form: NumberForm) -> str:
    return f" written like {str(form)!r}" if form != PLAIN else ""


def as_levels(series: pd.Series[Any], known: Iterable[str] = ()) -> pd.Series[Any]:
    """A column's cells as level text: the one form in which a category's levels are written.

    Text keeps its characters apart from spaces around it, and an empty cell is missing. Flags are
    ``False`` and ``True``, whole numbers have no decimals, dates are ISO. Where ``known`` levels
    are given, a cell that is not among them but differs only in form from one that is (``true``
    or ``1`` for ``True``, ``2.0`` for ``2``) becomes that level; see ``levels``.

    Examples
    --------
    >>> import pandas as pd
    >>> as_levels(pd.Series([1.0, None, 2.5])).tolist()
    ['1', nan, '2.5']
    """
    series = _plain(series)
    try:
        if isinstance(series.dtype, pd.StringDtype):
            text = pd.Series(pd.array(trimmed_text(series), dtype="str"))
        else:
            text = pd.Series([_level(cell) for cell in series.astype(object)], dtype="str")
    except UnicodeEncodeError as error:
        raise DataError(
            f"Text is Unicode; column {series.name!r} has a cell that is none ({error.reason}: "
            f"{error.object[error.start : error.end]!r}). Correct it."
        ) from error
    levels = tuple(known)
    return in_known_form(text, levels)[0] if levels else text


def as_dates(
    series: pd.Series[Any], name: str, places: Places, date_format: str = ""
) -> pd.Series[Any]:
    """The cells of a column that is known to hold dates, as datetime64[us], missing is NaT.

    Parameters
    ----------
    series, name, places : the raw column, its name, and what names its rows in messages.
    date_format : the form that the column's text was in when the schema was made; ISO is read too.

    Raises
    ------
    DataError
        A cell is no date in that form.
    """
    series = _plain(series)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if isinstance(series.dtype, pd.StringDtype | np.dtypes.ObjectDType) and not all(
        isinstance(cell, dt.date) for cell in series.dropna()
    ):
        return _dates_of_text(as_levels(series), name, places, date_format)
    cells = _typed(series, name)
    if cells is not None and cells.form in ("date", "missing"):
        return cells.series.astype("datetime64[us]")
    raise DataError(
        f"Column {name!r} holds dates; received cells of another type. Write dates as YYYY-MM-DD."
    )


def _dates_of_text(
    text: pd.Series[Any], name: str, places: Places, date_format: str
) -> pd.Series[Any]:
    shapes = list(dict.fromkeys(filter(None, (date_format, "year-month-day"))))
    cells = [None if missing else cell for cell, missing in zip(text, text.isna(), strict=True)]
    dates = {
        cell: first_date(straightened(cell), shapes)
        for cell in set(cells)
        if cell is not None and cell.lower() not in MISSING_WORDS
    }
    wrong = np.array([cell in dates and dates[cell] is None for cell in cells], dtype=bool)
    if wrong.any():
        raise DataError(
            f"Column {name!r} holds dates; {places.with_cells(wrong, cells)} is none that "
            f"reads as {' or '.join(shapes)}. Write it as YYYY-MM-DD."
        )
    return pd.Series(np.array([dates.get(cell) for cell in cells], dtype="datetime64[us]"))


def _level(cell: Any) -> str | None:
    if isinstance(cell, str):
        return cell.strip() or None
    if _is_gone(cell):
        return None
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if isinstance(cell, dt.datetime):
        return (cell.date() if cell.time() == dt.time() else cell).isoformat()
    if isinstance(cell, float | np.floating | Decimal):
        number = float(cell)
        return str(int(cell)) if number.is_integer() else repr(number)
    if isinstance(cell, int):
        return str(Decimal(cell))  # which may have more digits than ``str`` gives an integer
    return str(cell)


def _plain(series: pd.Series[Any]) -> pd.Series[Any]:
    """The column with index ``0..n-1`` and without types that only say how it is stored."""
    if not _counts_from_0(series.index):
        series = series.reset_index(drop=True)
    if isinstance(series.dtype, pd.ArrowDtype):
        return series_of(pa.chunked_array(pa.array(series)))
    if isinstance(series.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(series))
    if isinstance(series.dtype, pd.PeriodDtype):
        return pd.Series(series.dt.to_timestamp())
    return series


def _counts_from_0(index: pd.Index[Any]) -> bool:
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def _unreadable(name: str, what: str) -> DataError:
    return DataError(
        f"A column holds numbers, text, flags or dates; column {name!r} holds {what}. "
        f"Turn it into plain columns, or leave it out with --drop {name}."
    )


def _from_declared(series: pd.Series[Any], name: str) -> Cells:
    objects = series.astype(object)
    known = list(objects.dropna())
    typed = None
    if not all(isinstance(c, str) for c in known) and all(isinstance(c, _READABLE) for c in known):
        typed = _from_objects(objects, name)
    if typed is None:
        values = as_levels(objects)
        typed = Cells("string" if values.notna().any() else "missing", values)
    return replace(typed, declared=True)


def _from_flags(series: pd.Series[Any]) -> Cells:
    values = as_levels(series)
    return Cells("flag" if values.notna().any() else "missing", values)


def _from_numbers(series: pd.Series[Any]) -> Cells:
    whole = pd.api.types.is_integer_dtype(series.dtype)
    values = pd.Series(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if not values.notna().any():
        return Cells("missing", values)
    huge = whole and _any_huge(int(series.min()), int(series.max()))
    return Cells("number", values, whole, huge, as_levels(series) if huge else None)


def _float(cell: Any) -> float:
    """A number as float64, infinite beyond its range."""
    try:
        return float(cell)
    except OverflowError:
        return float("inf") if cell > 0 else float("-inf")


def _any_huge(low: int, high: int) -> bool:
    return low < -_MOST_EXACT_INTEGER or high > _MOST_EXACT_INTEGER


def _from_dates(series: pd.Series[Any], name: str) -> Cells:
    with_zone = series.dt.tz is not None
    plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if with_zone else series
    outside = beyond_calendar(plain)
    if outside.any():
        raise DataError(
            f"Dates lie in the years 1 to 9999; column {name!r} has others in {Places()(outside)}. "
            f"Correct these cells, or leave the column out with --drop {name}."
        )
    values = plain.astype("datetime64[us]")
    return Cells("date" if values.notna().any() else "missing", values, with_zone=with_zone)


def _from_objects(series: pd.Series[Any], name: str) -> Cells | None:
    """A column of Python objects; None where they are text, or of several kinds."""
    filled = [cell for cell in series if not _is_gone(cell)]
    strange = next((c for c in filled if not isinstance(c, _READABLE)), None)
    if strange is not None:
        raise _unreadable(name, f"cells of type {type(strange).__name__}")

    def only(*types: type) -> bool:
        return all(isinstance(cell, types) for cell in filled)

    if not filled:
        return Cells("missing", pd.Series(np.full(len(series), np.nan)))
    if only(bool, np.bool_):
        return _from_flags(series)
    if not any(isinstance(cell, bool | np.bool_) for cell in filled):
        if only(int, np.integer):
            return _from_integers(series)
        if only(int, float, np.integer, np.floating, Decimal):
            return _from_numbers(
                pd.Series([np.nan if _is_gone(c) else _float(c) for c in series], dtype=np.float64)
            )
    if only(dt.date):
        with_zone = any(getattr(cell, "tzinfo", None) for cell in filled)
        return _from_dates(pd.to_datetime(series, utc=with_zone), name)
    return None


def _from_integers(series: pd.Series[Any]) -> Cells:
    """Python integers of any size."""
    filled = [int(cell) for cell in series if not _is_gone(cell)]
    values = pd.Series([np.nan if _is_gone(c) else _float(c) for c in series], dtype=np.float64)
    huge = _any_huge(min(filled), max(filled))
    return Cells("number", values, True, huge, as_levels(series) if huge else None)


def _is_gone(cell: Any) -> bool:
    """Whether one cell is missing; a list or an array never is."""
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))
