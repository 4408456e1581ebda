"""Durations and times of day written as text: ``1:30:00``, ``2h 30m``, ``9:05 PM``.

Owns the styles in which they are read, and their numbers. Whether a column holds them belongs to
``numerals``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SECONDS, SMALLER, CLOCK = "1:30:00", "1:30", "1:30 PM"
STYLES = (SECONDS, SMALLER, CLOCK)
"""What each style gives: seconds; the smaller one of two units, minutes or seconds, which a cell
does not name; seconds since midnight."""

_CLOCK = re.compile(
    r"(?P<h>1[0-2]|0?[0-9])(?::(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9]))?)?\s?(?P<half>[AaPp])\.?[Mm]\.?"
)
_SMALLER = re.compile(r"(?P<sign>-?)(?P<a>[0-9]{1,3}):(?P<b>[0-5][0-9])(?P<part>\.[0-9]+)?")
_COLONS = re.compile(
    r"(?P<sign>-?)(?:(?P<d>[0-9]+) ?d(?:ays?)?,? )?"
    r"(?P<h>[0-9]{1,5}):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9](?:\.[0-9]+)?)"
)
_ISO = re.compile(
    r"P(?:(?P<d>[0-9]+)D)?(?:T(?:(?P<h>[0-9]+)H)?(?:(?P<m>[0-9]+)M)?(?:(?P<s>[0-9]+(?:\.[0-9]+)?)S)?)?"
)
_UNIT = re.compile(
    r"([0-9]+(?:[.,][0-9]+)?) ?"
    r"(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|ms|s)(?![a-z])"
    r"\.?,? ?(?:and )?"
)
_LONGEST = 60
_IN_SECONDS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def duration(text: str, style: str) -> float | None:
    """The number that a cell says in a style, or None.

    Examples
    --------
    >>> duration("1:30:00", SECONDS), duration("2h 30m", SECONDS), duration("PT45M", SECONDS)
    (5400.0, 9000.0, 2700.0)
    >>> duration("00:45", SMALLER), duration("9:05 PM", CLOCK), duration("00:45", SECONDS)
    (45.0, 75900.0, None)
    """
    if len(text) > _LONGEST:
        return None
    if style == CLOCK:
        return _time_of_day(text)
    if style == SMALLER:
        found = _SMALLER.fullmatch(text)
        if found is None:
            return None
        value = 60.0 * int(found["a"]) + float(found["b"] + (found["part"] or ""))
        return -value if found["sign"] else value
    return _seconds(text)


def style_of(cells: Sequence[str]) -> str | None:
    """The style that reads all cells, or None.

    Examples
    --------
    >>> style_of(["2h 30m", "45m"]), style_of(["00:45", "1:30:00"])
    ('1:30:00', None)
    """
    return next((s for s in STYLES if all(duration(c, s) is not None for c in cells)), None)


def are_mixed(cells: Sequence[str]) -> bool:
    """Whether all cells are times, but some have two parts and some three."""
    return all(duration(c, SECONDS) is not None or duration(c, SMALLER) is not None for c in cells)


def _time_of_day(text: str) -> float | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour = int(found["h"]) % 12 + (12 if found["half"] in "Pp" else 0)
    return 3600.0 * hour + 60.0 * int(found["m"] or 0) + float(found["s"] or 0)


def _seconds(text: str) -> float | None:
    found = _COLONS.fullmatch(text) or (_ISO.fullmatch(text) if len(text) > 2 else None)
    if found is not None:
        parts = found.groupdict()
        value = sum(float(parts[unit] or 0) * _IN_SECONDS[unit] for unit in "dhms")
        return -value if parts.get("sign") else value
    value, end = 0.0, 0
    for found in _UNIT.finditer(text):
        if found.start() != end:
            return None
        unit = found[2] if found[2] == "ms" else found[2][0]
        value += float(found[1].replace(",", ".")) * _IN_SECONDS[unit]
        end = found.end()
    return value if end and end == len(text) else None
