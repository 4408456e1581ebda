"""Cells: what one raw column holds, whatever it came from.

Owns the rules by which cells become numbers, flags, dates or text: which words mean "missing",
what reads as a number or a date, and the one form in which a level is written as text. Text is
read alike whether it comes from a CSV file, a Parquet file or a DataFrame, so the same table gives
the same ``Dataset`` either way. What a column is then *used* as belongs to ``kinds`` (features),
``target`` and ``rows`` (new rows under a known schema).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hpsearch.data.dates import SHAPES, first_date, has_zone, parse_date
from hpsearch.errors import DataError

Form = Literal["number", "flag", "date", "string", "missing"]
Mask = NDArray[np.bool_]

MISSING_WORDS = ("na", "n/a", "#n/a", "nan", "null", "none", "<na>", "?", "-", "--", ".")
"""Words that mean a missing cell in a column of numbers, flags or dates, in any case of letters.

In a column of categories or free text they are levels and words like any other: there only an
empty cell is missing.
"""

_NUMBER = (
    r"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)$"
)
_WHOLE = r"^[+-]?[0-9]+$"
_LEADING_ZERO = r"^[+-]?0[0-9]+$"
_FORMATTED_NUMBER = r"^[-+]?[$€£¥]?[0-9]{1,3}(?:[,' ][0-9]{3})*(?:\.[0-9]+)?\s?[%$€£¥]?$"
_MOST_EXACT_INTEGER = 2**53
_N_PROBED = 50


@dataclass(frozen=True)
class Places:
    """Names rows for people: by their lines in a file, or by their numbers from 0.

    Examples
    --------
    >>> import numpy as np
    >>> Places()(np.array([False, True, True]))
    'rows 1 and 2'
    """

    lines: NDArray[np.int64] | None = field(default=None, repr=False)
    _most = 5

    def __call__(self, mask: Mask) -> str:
        """The rows that a mask selects, such as ``lines 3, 7 and 12``."""
        return self._named([str(number) for number in self._numbers(mask)], int(mask.sum()))

    def with_cells(self, mask: Mask, cells: Sequence[Any]) -> str:
        """The same with each row's cell, such as ``line 3 ('abc')``."""
        shown = [
            f"{number} ({cells[int(row)]!r})"
            for number, row in zip(self._numbers(mask), np.flatnonzero(mask), strict=False)
        ]
        return self._named(shown, int(mask.sum()))

    def _numbers(self, mask: Mask) -> list[int]:
        rows = np.flatnonzero(mask)[: self._most]
        return [int(row) for row in (rows if self.lines is None else self.lines[rows])]

    def _named(self, shown: list[str], n: int) -> str:
        word = "row" if self.lines is None else "line"
        if n == 1:
            return f"{word} {shown[0]}"
        rest = n - len(shown)
        last = f"{rest} more" if rest else shown.pop()
        return f"{word}s {', '.join(shown)} and {last}"


@dataclass(frozen=True, eq=False)
class Cells:
    """One column's cells, understood.

    Attributes
    ----------
    form : what they are; ``missing`` where no cell is filled.
    series : number: float64, missing is NaN; flag: ``str`` levels ``False`` and ``True``; date:
        datetime64[us] without a zone; string: ``str``, trimmed, missing is NaN.
    whole : for numbers, whether all were written (or typed) as integers.
    huge : for whole numbers, whether some lie beyond 2**53, where float64 skips integers.
    digits : for whole numbers that are huge, their exact digits as text.
    declared : whether the table itself says that the column is a category.
    date_format : for dates that came as text, the form they were written in.
    with_zone : whether dates had a time zone, so that they were turned to UTC.
    trimmed : whether spaces around cells were removed.
    missing_words : the words that were taken for missing cells.
    leading_zeros : whether digits with leading zeros keep this column text.
    mixed : whether numbers are among the text.
    ambiguous_dates : whether all cells read as day/month and as month/day as well.
    formatted_numbers : whether most cells are numbers with separators, units or percent signs.
    """

    form: Form
    series: pd.Series[Any]
    whole: bool = False
    huge: bool = False
    digits: pd.Series[Any] | None = None
    declared: bool = False
    date_format: str = ""
    with_zone: bool = False
    trimmed: bool = False
    missing_words: tuple[str, ...] = ()
    leading_zeros: bool = False
    mixed: bool = False
    ambiguous_dates: bool = False
    formatted_numbers: bool = False

    @property
    def is_missing(self) -> Mask:
        """Which rows have no value (n_rows,)."""
        return self.series.isna().to_numpy()


def interpret(
    series: pd.Series[Any], name: str, places: Places, *, mixed_as_text: bool = False
) -> Cells:
    """What a raw column holds, decided from its type and, for text, from its cells.

    Parameters
    ----------
    series : the raw column; never changed.
    name : its name, for messages.
    places : names the rows in messages.
    mixed_as_text : take numbers mixed with other text as text instead of refusing them.

    Raises
    ------
    DataError
        Numbers or dates are mixed with other text, or the cells are nothing a table can hold
        (lists, bytes, complex numbers).
    """
    series = _plain(series)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_declared(series, name, places)
    if pd.api.types.is_bool_dtype(dtype):
        return _from_flags(series)
    if pd.api.types.is_complex_dtype(dtype):
        raise _unreadable(name, "complex numbers")
    if pd.api.types.is_numeric_dtype(dtype):
        return _from_numbers(series)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _from_dates(series)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _from_numbers(series.dt.total_seconds())
    if isinstance(dtype, pd.StringDtype):
        return _from_text(series, name, places, mixed_as_text)
    return _from_objects(series.astype(object), name, places, mixed_as_text)


def as_numbers(series: pd.Series[Any], name: str, places: Places) -> NDArray[np.float64]:
    """The cells of a column that is known to hold numbers (n_rows,), missing is NaN.

    Flags count as 0 and 1. Raises ``DataError`` for a cell that is no number.
    """
    cells = interpret(series, name, places, mixed_as_text=True)
    if cells.form == "missing":
        return np.full(len(series), np.nan)
    if cells.form == "number":
        return cells.series.to_numpy(dtype=np.float64)
    if cells.form == "flag":
        return np.asarray(cells.series.map({"False": 0.0, "True": 1.0}), dtype=np.float64)
    if cells.form == "string":
        text = _text(cells.series)
        numeric = _matches(text, _NUMBER)
        missing = _is_missing_word(text) | cells.is_missing
        if (numeric | missing).all():
            return _floats(text, ~missing)
        wrong = ~(numeric | missing)
        raise DataError(
            f"Column {name!r} holds numbers; {places.with_cells(wrong, text.to_pylist())} is no "
            "number. Correct the cell or leave it empty."
        )
    raise DataError(
        f"Column {name!r} holds numbers; received dates. Give the column that the data was "
        "prepared with."
    )


def as_levels(series: pd.Series[Any], known: Iterable[str] = ()) -> pd.Series[Any]:
    """A column's cells as level text: the one form in which a category's levels are written.

    Text keeps its characters apart from spaces around it, and an empty cell is missing. Flags are
    ``False`` and ``True``, whole numbers have no decimals, dates are ISO. Where ``known`` levels
    are given, a cell that is not among them but differs only in form from one that is (``true``
    for ``True``, ``2.0`` for ``2``) becomes that level.

    Examples
    --------
    >>> import pandas as pd
    >>> as_levels(pd.Series([1.0, None, 2.5])).tolist()
    ['1', nan, '2.5']
    """
    series = _plain(series)
    if isinstance(series.dtype, pd.StringDtype):
        text = pd.Series(pd.array(_text(series), dtype="str"))
    else:
        text = pd.Series([_level(cell) for cell in series.astype(object)], dtype="str")
    levels = frozenset(known)
    if not levels:
        return text
    forms = {level: _known_form(level, levels) for level in text.dropna().unique()}
    changed = {level: form for level, form in forms.items() if level != form}
    return text.map(lambda cell: changed.get(cell, cell)).astype("str") if changed else text


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
    cells = interpret(series, name, places, mixed_as_text=True)
    if cells.form in ("date", "missing"):
        return cells.series.astype("datetime64[us]")
    raise DataError(
        f"Column {name!r} holds dates; received cells of another type. Write dates as YYYY-MM-DD."
    )


def _dates_of_text(
    text: pd.Series[Any], name: str, places: Places, date_format: str
) -> pd.Series[Any]:
    shapes = [shape for shape in ("year-month-day", date_format) if shape]
    missing = text.isna().to_numpy() | _is_missing_word(_text(text))
    parsed = [
        None if gone else first_date(cell, shapes) for cell, gone in zip(text, missing, strict=True)
    ]
    wrong = np.array([date is None for date in parsed], dtype=bool) & ~missing
    if wrong.any():
        wanted = " or ".join(dict.fromkeys(shapes))
        raise DataError(
            f"Column {name!r} holds dates; {places.with_cells(wrong, list(text))} is none that "
            f"reads as {wanted}. Write it as YYYY-MM-DD."
        )
    return pd.Series(np.array(parsed, dtype="datetime64[us]"))


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
    return str(cell)


def _known_form(level: str, known: frozenset[str]) -> str:
    if level in known:
        return level
    if known <= {"False", "True"} and level.capitalize() in known:
        return level.capitalize()
    whole = re.fullmatch(r"([+-]?[0-9]+)\.0+", level)
    if whole and whole[1] in known:
        return whole[1]
    return level


def _plain(series: pd.Series[Any]) -> pd.Series[Any]:
    """The column with index ``0..n-1`` and without types that only say how it is stored."""
    series = series.reset_index(drop=True)
    if isinstance(series.dtype, pd.ArrowDtype):
        return pd.Series(pa.array(series).to_pylist(), dtype=object)
    if isinstance(series.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(series))
    if isinstance(series.dtype, pd.PeriodDtype):
        return pd.Series(series.dt.to_timestamp())
    return series


def _unreadable(name: str, what: str) -> DataError:
    return DataError(
        f"A column holds numbers, text, flags or dates; column {name!r} holds {what}. "
        f"Turn it into plain columns, or leave it out with --drop {name}."
    )


def _from_declared(series: pd.Series[Any], name: str, places: Places) -> Cells:
    objects = series.astype(object)
    known = list(objects.dropna())
    if all(isinstance(c, str) for c in known) or not all(isinstance(c, _READABLE) for c in known):
        values = as_levels(objects)
        return Cells("string" if values.notna().any() else "missing", values, declared=True)
    return replace(_from_objects(objects, name, places, mixed_as_text=True), declared=True)


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


def _any_huge(low: int, high: int) -> bool:
    return low < -_MOST_EXACT_INTEGER or high > _MOST_EXACT_INTEGER


def _from_dates(series: pd.Series[Any]) -> Cells:
    with_zone = series.dt.tz is not None
    plain = series.dt.tz_convert("UTC").dt.tz_localize(None) if with_zone else series
    values = plain.astype("datetime64[us]")
    return Cells("date" if values.notna().any() else "missing", values, with_zone=with_zone)


def _from_objects(series: pd.Series[Any], name: str, places: Places, mixed_as_text: bool) -> Cells:
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
                pd.Series([np.nan if _is_gone(c) else float(c) for c in series], dtype=np.float64)
            )
    if only(dt.date):
        return _from_dates(
            pd.to_datetime(series, utc=any(getattr(c, "tzinfo", None) for c in filled))
        )
    return _from_text(as_levels(series), name, places, mixed_as_text)


def _from_integers(series: pd.Series[Any]) -> Cells:
    """Python integers of any size."""
    filled = [int(cell) for cell in series if not _is_gone(cell)]
    values = pd.Series([np.nan if _is_gone(c) else float(c) for c in series], dtype=np.float64)
    huge = _any_huge(min(filled), max(filled))
    return Cells("number", values, True, huge, as_levels(series) if huge else None)


_READABLE = (str, bool, int, float, np.bool_, np.number, Decimal, dt.date, dt.time)


def _is_gone(cell: Any) -> bool:
    """Whether one cell is missing; a list or an array never is."""
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


# --- text ---------------------------------------------------------------------------------------


def _text(series: pd.Series[Any]) -> pa.Array:
    """The trimmed cells as an Arrow array; empty cells are null."""
    raw = pa.array(series, type=pa.large_string(), from_pandas=True)
    if isinstance(raw, pa.ChunkedArray):
        raw = raw.combine_chunks()
    trimmed = pc.utf8_trim_whitespace(raw)
    empty = pc.equal(trimmed, "")
    return pc.if_else(pc.fill_null(empty, False), pa.scalar(None, pa.large_string()), trimmed)


def _matches(text: pa.Array, pattern: str) -> Mask:
    found: Mask = pc.fill_null(pc.match_substring_regex(text, pattern), False).to_numpy(
        zero_copy_only=False
    )
    return found


def _is_missing_word(text: pa.Array) -> Mask:
    words = pa.array(MISSING_WORDS, type=pa.large_string())
    found: Mask = pc.fill_null(pc.is_in(pc.utf8_lower(text), value_set=words), False).to_numpy(
        zero_copy_only=False
    )
    return found


def _floats(text: pa.Array, filled: Mask) -> NDArray[np.float64]:
    """Python's own reading of each number, which is the exact inverse of ``repr``."""
    cells = text.to_pylist()
    return np.fromiter(
        (float(cell) if there else np.nan for cell, there in zip(cells, filled, strict=True)),
        dtype=np.float64,
        count=len(cells),
    )


def _from_text(series: pd.Series[Any], name: str, places: Places, mixed_as_text: bool) -> Cells:
    text = _text(series)
    filled = pc.is_valid(text).to_numpy(zero_copy_only=False)
    trimmed = bool(
        pc.any(
            pc.not_equal(text, pa.array(series, type=pa.large_string(), from_pandas=True))
        ).as_py()
    )
    words = _is_missing_word(text)
    known = filled & ~words
    if not known.any():
        return Cells("missing", pd.Series(np.full(len(series), np.nan)), trimmed=trimmed)
    strings = pd.Series(pd.array(text, dtype="str"))
    as_text = Cells("string", strings, trimmed=trimmed)

    numeric = _matches(text, _NUMBER) & ~words
    if (numeric == known).all():
        if _matches(text, _LEADING_ZERO).any():
            return replace(as_text, leading_zeros=True)
        return _number_cells(text, known, replace(as_text, missing_words=_words(text, words)))
    if numeric.any() and not mixed_as_text:
        _refuse_mostly_numbers(name, places, text, numeric, known)

    lower = pc.utf8_lower(text)
    flags = pc.is_in(lower, value_set=pa.array(["true", "false"], type=pa.large_string()))
    if (pc.fill_null(flags, False).to_numpy(zero_copy_only=False) == known).all():
        values = pd.Series(pd.array(lower, dtype="str")).where(known).str.capitalize()
        return Cells(
            "flag",
            values.astype("str"),
            trimmed=trimmed,
            missing_words=_words(text, words),
        )

    dates = _date_cells(text, known, name, places, mixed_as_text)
    if dates is not None:
        found = replace(dates, trimmed=trimmed)
        return found if found.form == "date" else replace(found, series=strings)
    formatted = _matches(text, _FORMATTED_NUMBER) & ~numeric
    return replace(
        as_text,
        mixed=bool(numeric.any()),
        formatted_numbers=bool(formatted.sum() > known.sum() / 2),
    )


def _words(text: pa.Array, mask: Mask) -> tuple[str, ...]:
    return tuple(sorted(set(pc.unique(text.filter(pa.array(mask))).to_pylist())))


def _number_cells(text: pa.Array, known: Mask, base: Cells) -> Cells:
    whole = bool((_matches(text, _WHOLE) == known).all())
    huge = whole and _any_huge_text(text, known)
    return replace(
        base,
        form="number",
        series=pd.Series(_floats(text, known)),
        whole=whole,
        huge=huge,
        digits=base.series.where(known) if huge else None,
    )


def _any_huge_text(text: pa.Array, known: Mask) -> bool:
    long = pc.greater(pc.utf8_length(text), 15)
    cells = text.filter(pc.and_(pc.fill_null(long, False), pa.array(known))).to_pylist()
    return any(abs(int(cell)) > _MOST_EXACT_INTEGER for cell in cells)


def _refuse_mostly_numbers(
    name: str, places: Places, text: pa.Array, numeric: Mask, known: Mask
) -> None:
    others = known & ~numeric
    if numeric.sum() > others.sum():
        raise DataError(
            f"Column {name!r} is mostly numbers, but "
            f"{places.with_cells(others, text.to_pylist())} is not. Correct or empty these cells, "
            f"read the column as text with --text {name}, or leave it out with --drop {name}."
        )


def _date_cells(
    text: pa.Array, known: Mask, name: str, places: Places, mixed_as_text: bool
) -> Cells | None:
    """Dates where all cells are, None where most are not."""
    distinct = pc.unique(text.filter(pa.array(known))).to_pylist()
    probed = distinct[:_N_PROBED]
    if 2 * sum(first_date(cell, SHAPES) is not None for cell in probed) < len(probed):
        return None
    parsed = {shape: {cell: parse_date(cell, shape) for cell in distinct} for shape in SHAPES}
    n_read = {
        shape: sum(date is not None for date in dates.values()) for shape, dates in parsed.items()
    }
    fitting = [shape for shape, n in n_read.items() if n == len(distinct)]
    no_dates = pd.Series(np.full(len(text), None), dtype="str")
    if len(fitting) > 1:
        return Cells("string", no_dates, ambiguous_dates=True)
    if not fitting:
        best = max(n_read, key=n_read.__getitem__)
        if mixed_as_text or 2 * n_read[best] <= len(distinct):
            return None
        cells = text.to_pylist()
        wrong = known & np.array([parsed[best].get(cell) is None for cell in cells])
        raise DataError(
            f"Column {name!r} is mostly dates written as {best}, but "
            f"{places.with_cells(wrong, cells)} is none. Correct or empty these cells, or leave "
            f"the column out with --drop {name}."
        )
    dates = parsed[fitting[0]]
    values = [dates.get(cell) for cell in text.to_pylist()]
    words = pc.is_valid(text).to_numpy(zero_copy_only=False) & ~known
    return Cells(
        "date",
        pd.Series(np.array(values, dtype="datetime64[us]")),
        date_format=fitting[0],
        with_zone=any(has_zone(cell, fitting[0]) for cell in probed),
        missing_words=_words(text, words),
    )
