"""Even steps: whether the rows of series follow each other at one pace, as windows need.

A window of 24 rows that is 24 hours here and 30 there has no meaning, and neither has a horizon. A
pace is a fixed time, a number of calendar months, or the next working day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.dataset import LongForm
from hpsearch.errors import DataError

_SECOND = 10**6  # times of dates are microseconds
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Pace:
    """How far rows lie apart: so many of a unit, a name in ``_COUNTS``; 0 where it is not known."""

    every: float = 0.0
    unit: str = ""

    def __str__(self) -> str:
        if self.unit == "seconds":
            shown = str(pd.Timedelta(seconds=self.every))
            return shown.removeprefix("0 days ").removesuffix(" 00:00:00")
        return f"{self.every:g}" if self.unit == "number" else f"{self.every:g} {self.unit}"


def pace_of(times: NDArray[Any], blocks: Sequence[slice], is_date: bool, name: str) -> Pace:
    """The pace of series.

    Parameters
    ----------
    times : of all rows, series after series; of dates in microseconds. ``blocks`` are the series.
    name : the column's.

    Raises
    ------
    DataError
        There is none.
    """
    for unit in _DATES if is_date else ("number",):
        gaps = _gaps(_COUNTS[unit](times), blocks)
        if len(gaps) and np.isfinite(gaps).all() and _is_even(gaps, gaps[0]):
            return Pace(float(gaps[0]), unit)
    gaps = _gaps(_COUNTS["seconds" if is_date else "number"](times), blocks)
    if not len(gaps):
        raise DataError(
            f"--window needs a series of several rows; by {name!r} each has one. Name the column "
            "that tells series apart with --series, or leave it out."
        )
    usual = Pace(float(np.median(gaps)), "seconds" if is_date else "number")
    raise _uneven(times, blocks, ~np.isclose(gaps, usual.every, _TOLERANCE), usual, is_date, name)


def check_pace(times: NDArray[Any], blocks: Sequence[slice], form: LongForm) -> None:
    """Raise ``DataError`` where new rows come at another pace than those that were trained on."""
    pace = Pace(form.every, form.unit)
    gaps = _gaps(_COUNTS[pace.unit](times), blocks)
    wrong = ~(np.isfinite(gaps) & np.isclose(gaps, pace.every, _TOLERANCE))
    if wrong.any():
        raise _uneven(times, blocks, wrong, pace, form.is_date, form.time)


def _uneven(
    times: NDArray[Any],
    blocks: Sequence[slice],
    wrong: NDArray[np.bool_],
    pace: Pace,
    is_date: bool,
    name: str,
) -> DataError:
    ends = np.concatenate([np.arange(block.start + 1, block.stop) for block in blocks])
    at = int(ends[int(np.flatnonzero(wrong)[0])])
    before, after = (
        str(pd.Timestamp(t, unit="us")) if is_date else f"{t:g}" for t in times[at - 1 : at + 1]
    )
    return DataError(
        f"Windows need rows at even steps of {name!r}, here of {pace}; {after} follows {before}. "
        "Add the rows that are missing, with empty cells, or remove those between."
    )


def _gaps(counts: NDArray[np.float64], blocks: Sequence[slice]) -> NDArray[np.float64]:
    """Differences between neighbours of each series, one series after the other."""
    return np.concatenate([np.diff(counts[block]) for block in blocks])


def _is_even(gaps: NDArray[np.float64], first: float) -> bool:
    return bool(first > 0 and np.allclose(gaps, first, rtol=_TOLERANCE, atol=0.0))


def _numbers(times: NDArray[Any]) -> NDArray[np.float64]:
    return times.astype(np.float64)


def _seconds(times: NDArray[Any]) -> NDArray[np.float64]:
    seconds: NDArray[np.float64] = (times - times.min()) / _SECOND
    return seconds


def _months(times: NDArray[Any]) -> NDArray[np.float64]:
    """Calendar months, where all times are at one place of their month; else NaN."""
    dates = pd.DatetimeIndex(times.astype("datetime64[us]"))
    clocks = times - dates.normalize().to_numpy().astype("datetime64[us]").astype(np.int64)
    same_day = bool((dates.day == dates.day[0]).all() or dates.is_month_end.all())
    if not same_day or (clocks != clocks[0]).any():
        return np.full(len(times), np.nan)
    return (dates.year * 12 + dates.month).to_numpy(np.float64)


def _working_days(times: NDArray[Any]) -> NDArray[np.float64]:
    """Days from Monday to Friday, where all times are such, at one time of the day; else NaN."""
    dates = times.astype("datetime64[us]").astype("datetime64[D]")
    clocks = times - dates.astype("datetime64[us]").astype(np.int64)
    if not np.is_busday(dates).all() or (clocks != clocks[0]).any():
        return np.full(len(times), np.nan)
    return np.busday_count(np.datetime64("1970-01-01"), dates).astype(np.float64)


_COUNTS: Final[dict[str, Callable[[NDArray[Any]], NDArray[np.float64]]]] = {
    "number": _numbers,
    "seconds": _seconds,
    "months": _months,
    "working days": _working_days,
}
_DATES: Final = ("seconds", "months", "working days")
