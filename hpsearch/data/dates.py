"""Dates written as text: the forms that are read, and one cell at a time.

Owns the forms alone; whether a column is one of dates belongs to ``cells``. A form is read only
where it is unambiguous: days and months given by numbers and slashes need a cell that decides.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

_CLOCK = (
    r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d+))?)?"
    r"\s?(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_PATTERNS = {
    shape: re.compile(pattern + _CLOCK, re.ASCII | re.IGNORECASE)
    for shape, pattern in {
        "year-month-day": r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",
        "day.month.year": r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        "day/month/year": r"(?P<day>\d{1,2})([-/])(?P<month>\d{1,2})\2(?P<year>\d{4})",
        "month/day/year": r"(?P<month>\d{1,2})([-/])(?P<day>\d{1,2})\2(?P<year>\d{4})",
        "day month year": r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[ -]"
        + _MONTH
        + r"\.?,?[ -](?P<year>\d{4})",
        "month day, year": _MONTH + r"\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    }.items()
}
SHAPES = tuple(_PATTERNS)
"""Names of the forms of dates, ISO's first."""


def parse_date(cell: str, shape: str) -> dt.datetime | None:
    """The date that a cell says in one of ``SHAPES``, in UTC without a zone; else None.

    Examples
    --------
    >>> parse_date("2024-01-31 12:30+02:00", "year-month-day")
    datetime.datetime(2024, 1, 31, 10, 30)
    >>> parse_date("2024-13-01", "year-month-day") is None
    True
    """
    found = _PATTERNS[shape].fullmatch(cell)
    if found is None:
        return None
    part = found.groupdict()
    month = part["month"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    zone = (part["zone"] or "Z").replace(":", "")
    shift = dt.timedelta()
    if zone not in "Zz":
        shift = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        shift = -shift if zone[0] == "-" else shift
    try:
        return (
            dt.datetime(
                int(part["year"]),
                number,
                int(part["day"]),
                int(part["hour"] or 0),
                int(part["minute"] or 0),
                int(part["second"] or 0),
                int((part["part"] or "0")[:6].ljust(6, "0")),
            )
            - shift
        )
    except (ValueError, OverflowError):
        return None


def first_date(cell: str, shapes: Iterable[str]) -> dt.datetime | None:
    """The date that a cell says in the first of ``shapes`` that it fits, or None."""
    return next(filter(None, (parse_date(cell, shape) for shape in shapes)), None)


def has_zone(cell: str, shape: str) -> bool:
    """Whether a cell of that shape names a time zone."""
    found = _PATTERNS[shape].fullmatch(cell)
    return found is not None and found["zone"] is not None
