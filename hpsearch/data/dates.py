"""Dates written as text: the forms that are read, and one cell at a time.

Owns the forms alone; whether a column is one of dates belongs to ``cells``. A form is read only
where it is unambiguous: days and months given by numbers and slashes need a cell that decides.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_CLOCK = (
    r"(?:(?:[T ]|, )(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?"
    r"(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?(?:\s?(?P<half>[ap])\.?m\.?)?"
    r"\s?(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?)?)?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,? )?"
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner januari janvier janv enero ene gennaio gen janeiro",
            "feb february februar februari février févr fév febrero febbraio fevereiro fev",
            "mar march märz mär mrz maart mrt mars marts marzo março",
            "apr april avril avr abril abr aprile",
            "may mai mei maj mayo maggio mag maio",
            "jun june juni juin junio giugno giu junho",
            "jul july juli juillet juil julio luglio lug julho",
            "aug august augustus augusti août agosto ago",
            "sep sept september septembre septiembre setiembre settembre setembro set",
            "oct october oktober okt octobre octubre ottobre ott outubro out",
            "nov november novembre noviembre novembro",
            "dec december dezember dez décembre déc diciembre dic dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
"""Names of months in English, German, Dutch, French, Spanish, Italian, Portuguese and Nordic."""

_MONTH = r"(?P<month>[A-Za-zÀ-ÿ]{3,10})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º)?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_OF = r"(?:[ -]| de |, )"
_PATTERNS = {
    shape: re.compile(_WEEKDAY + pattern + _CLOCK, re.ASCII | re.IGNORECASE)
    for shape, pattern in {
        "year-month-day": r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",
        "day.month.year": rf"(?P<day>\d{{1,2}})\. ?(?P<month>\d{{1,2}})\. ?{_YEAR}",
        "day/month/year": rf"(?P<day>\d{{1,2}})([-/])(?P<month>\d{{1,2}})\2{_YEAR}",
        "month/day/year": rf"(?P<month>\d{{1,2}})([-/])(?P<day>\d{{1,2}})\2{_YEAR}",
        "day month year": rf"{_DAY}{_OF}{_MONTH}{_OF}'?{_YEAR}",
        "month day, year": rf"{_MONTH} {_DAY},? (?P<year>\d{{4}})",
        "yy-month-day": r"(?P<year>\d{2})-(?P<month>\d{1,2})-(?P<day>\d{1,2})",
        "年月日": r"(?P<year>\d{4})年 ?(?P<month>\d{1,2})月 ?(?P<day>\d{1,2})日",
        "year-month": r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
        "month/year": r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
        "month year": rf"{_MONTH}(?:[ -]| de )(?P<year>\d{{4}})",
    }.items()
}
SHAPES = tuple(_PATTERNS)
"""Names of the forms of dates, ISO's first."""

_LIKE_A_DATE = re.compile(
    _WEEKDAY + r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})"
    r"|\d{1,2}[ .-]+[A-Za-zÀ-ÿ]{3,10}\.?[ ,-]+\d{4}|[A-Za-zÀ-ÿ]{3,10}\.? \d{1,2},? \d{4})(?![\d.])",
    re.ASCII | re.IGNORECASE,
)
_FIRST_YEAR = 1969
_N_PROBED = 50


@dataclass(frozen=True)
class Dates:
    """What a column's different cells say as dates.

    Attributes
    ----------
    shapes : the forms that all cells have; more than one where they leave several readings.
    best : the form that most cells have.
    others : the cells that are no dates in that form.
    """

    shapes: tuple[str, ...]
    best: str
    others: frozenset[str]


def learn_dates(cells: Sequence[str]) -> Dates | None:
    """The forms of a column's different cells; None where most are no dates.

    Examples
    --------
    >>> learn_dates(["31/01/21", "02/01/21"]).shapes
    ('day/month/year',)
    >>> learn_dates(["Ada", "Bob"]) is None
    True
    """
    probed = cells[:_N_PROBED]
    if 2 * sum(first_date(cell, SHAPES) is not None for cell in probed) < len(probed):
        return None
    read = {
        shape: frozenset(cell for cell in cells if parse_date(cell, shape) is not None)
        for shape in SHAPES
    }
    best = max(read, key=lambda shape: len(read[shape]))
    others = frozenset(cells) - read[best]
    if 2 * len(others) >= len(cells):
        return None
    return Dates(tuple(s for s in SHAPES if len(read[s]) == len(cells)), best, others)


def look_like_dates(cells: Sequence[str]) -> bool:
    """Whether most cells begin as dates do, in a form that is read or not."""
    probed = cells[:_N_PROBED]
    return 2 * sum(_LIKE_A_DATE.match(cell) is not None for cell in probed) > len(probed)


def parse_date(cell: str, shape: str) -> dt.datetime | None:
    """The date that a cell says in one of ``SHAPES``, in UTC without a zone; else None.

    A year of two digits lies from 1969 to 2068. A month without a day is its first day.

    Examples
    --------
    >>> parse_date("2024-01-31 12:30+02:00", "year-month-day")
    datetime.datetime(2024, 1, 31, 10, 30)
    >>> parse_date("1/31/24 2:05 PM", "month/day/year")
    datetime.datetime(2024, 1, 31, 14, 5)
    >>> parse_date("2024-13-01", "year-month-day") is None
    True
    """
    found = _PATTERNS[shape].fullmatch(cell)
    if found is None:
        return None
    part = found.groupdict()
    hour = _hour(part)
    month = part["month"]
    number = int(month) if month.isdigit() else _MONTHS.get(month.lower(), 0)
    if hour is None:
        return None
    try:
        return dt.datetime(
            _year(part["year"]),
            number,
            int(part.get("day") or 1),
            hour,
            int(part["minute"] or 0),
            int(part["second"] or 0),
            int((part["part"] or "0")[:6].ljust(6, "0")),
        ) - _shift(part["zone"])
    except (ValueError, OverflowError):
        return None


def _hour(part: dict[str, str | None]) -> int | None:
    """The hour from 0; None for one that no clock shows, or that stands without minutes."""
    hour = int(part["hour"] or 0)
    if part["half"] is None:
        return hour if part["hour"] is None or part["minute"] else None
    if not 1 <= hour <= 12:
        return None
    return hour % 12 + (12 if part["half"] in "pP" else 0)


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else _FIRST_YEAR + (int(text) - _FIRST_YEAR) % 100


def _shift(zone: str | None) -> dt.timedelta:
    digits = re.sub(r"[^0-9+-]", "", zone or "")
    if not digits:
        return dt.timedelta()
    shift = dt.timedelta(hours=int(digits[1:3]), minutes=int(digits[3:] or 0))
    return -shift if digits[0] == "-" else shift


def first_date(cell: str, shapes: Iterable[str]) -> dt.datetime | None:
    """The date that a cell says in the first of ``shapes`` that it fits, or None."""
    return next(filter(None, (parse_date(cell, shape) for shape in shapes)), None)


def has_zone(cell: str, shape: str) -> bool:
    """Whether a cell of that shape names a time zone."""
    found = _PATTERNS[shape].fullmatch(cell)
    return found is not None and found["zone"] is not None


def has_short_year(cell: str, shape: str) -> bool:
    """Whether a cell of that shape has a year of two digits."""
    found = _PATTERNS[shape].fullmatch(cell)
    return found is not None and len(found["year"]) == 2


def beyond_calendar(dates: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which dates (datetime64 of any unit, without a zone) lie outside the years 1 to 9999.

    Examples
    --------
    >>> far = np.array([2**40, 0], dtype="datetime64[s]")
    >>> beyond_calendar(pd.Series(far)).tolist()
    [True, False]
    """
    values = dates.to_numpy()
    unit = np.datetime_data(values.dtype)[0]
    if unit == "ns":  # these end in 2262
        return np.zeros(len(values), dtype=bool)
    first, last = (
        np.array(day, dtype=values.dtype) for day in ("0001-01-01", "9999-12-31T23:59:59")
    )
    return np.asarray((values < first) | (values > last))
