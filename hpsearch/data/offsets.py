"""Offsets: constants that are taken off numbers far from zero, in float64.

Networks compute with float32, which keeps seven digits: of a Julian date, a quarter of a day. So
where a feature or a target lies far from zero beside its spread, a round number near its mean is
taken off before it becomes float32, and given back to predictions in float64. Owns the choice of
these numbers and what is said of them; encoding takes them off features, engines off the target.

An offset moves the origin and no more: what is standardised afterwards is the same, but for the
digits that are kept. So it may come from all rows, validation rows among them: nothing is learnt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrays import network_shape
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.names import listed

FAR = 1e3
"""Mean over standard deviation from which float32's steps are a ten-thousandth of the latter."""

TOO_FAR = 1e9
"""Beyond, even the twelve digits of the tables keep less than three of the variation."""

_EXACT_IN_FLOAT32 = 2**24
_DAY = np.timedelta64(1, "D")
_EPOCH = np.datetime64("2000-01-01")
_ROWS_AT_ONCE = 1024


def with_offsets(
    schema: Schema,
    frame: pd.DataFrame,
    arrays: Mapping[str, NDArray[Any] | sparse.csr_array],
    y: NDArray[Any],
) -> tuple[Schema, tuple[str, ...], tuple[str, ...]]:
    """The schema with the offsets of its columns and its target.

    Parameters
    ----------
    schema, frame, arrays, y : as in ``Dataset``.

    Returns
    -------
    The schema, and notes and warnings for people, a sentence each.
    """
    notes: list[str] = []
    warnings: list[str] = []
    columns: list[Column] = []
    for column in schema.columns:
        found = _moments(column, frame, arrays)
        columns.append(replace(column, offset=_offsets(found)))
        warnings += [_too_far(f"Column {column.name!r}", *m[:2]) for m in found if _is_too_far(m)]
    moved = [f"{c.name!r} ({_numbers(c.offset)})" for c in columns if c.offset]
    if moved:
        notes.append(
            "Some columns lie far from zero beside their spread, so that a round number is taken "
            f"off before they become float32, which keeps 7 digits: {listed(moved)}."
        )
    target = schema.target
    if target.kind in ("regression", "quantile"):
        of_target = [(*_moment(values)[:2], False) for values in y.T]  # predictions are not whole
        target = replace(target, offset=_offsets(of_target))
        for name, m, offset in zip(target.names, of_target, target.offset, strict=False):
            if offset:
                notes.append(
                    f"The target {name!r} lies around {m[0]:.10g} and varies by {m[1]:.3g}: "
                    f"networks, which compute with float32's 7 digits, learn it less "
                    f"{offset:.15g}, and predictions are put together in float64."
                )
            if _is_too_far(m):
                warnings.append(_too_far(f"The target {name!r}", *m[:2]))
    return replace(schema, columns=tuple(columns), target=target), tuple(notes), tuple(warnings)


def days_since_2000(dates: pd.Series[Any]) -> NDArray[np.float64]:
    """Days since 2000-01-01 (n,), with their fractions, NaN where missing."""
    days: NDArray[np.float64] = (dates.to_numpy(dtype="datetime64[us]") - _EPOCH) / _DAY
    return days


def offset_of(mean: float, deviation: float) -> float:
    """The round number to take off numbers of this mean and deviation; 0 where they are near zero.

    Examples
    --------
    >>> offset_of(2459000.53, 0.12), offset_of(1013.2, 9.0)
    (2459000.0, 0.0)
    """
    if not deviation > 0 or abs(mean) <= FAR * deviation:
        return 0.0
    return round(mean, -math.ceil(math.log10(deviation)) - 1)


Moment = tuple[float, float, bool]
"""Mean and deviation of some numbers, and whether float32 holds each of them as it is."""


def _offsets(moments: list[Moment]) -> tuple[float, ...]:
    """An offset for each, or none where all are 0."""
    offsets = tuple(0.0 if exact else offset_of(mean, std) for mean, std, exact in moments)
    return offsets if any(offsets) else ()


def _moments(column: Column, frame: pd.DataFrame, arrays: Mapping[str, Any]) -> list[Moment]:
    """Of a number, of a date's days, or of each last index of an array of float64."""
    if column.kind == "number":
        values = frame[column.name].to_numpy(dtype=np.float64, na_value=np.nan)
        return [_moment(values)]
    if column.kind == "date":
        return [_moment(days_since_2000(frame[column.name]))]
    if column.kind == "array" and arrays[column.name].dtype == np.float64:
        rows = arrays[column.name].reshape(-1, *network_shape(column))
        return list(_of_last_axis(rows))
    return []


def _moment(values: NDArray[np.float64]) -> Moment:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 0.0, True
    small = float(np.abs(known).max()) <= _EXACT_IN_FLOAT32
    return float(known.mean()), float(known.std()), small and bool((known == known.round()).all())


def _of_last_axis(array: NDArray[np.float64]) -> Iterator[Moment]:
    """Missing values, which sequences may have, left out."""
    axes = tuple(range(array.ndim - 1))
    blocks = [array[at : at + _ROWS_AT_ONCE] for at in range(0, len(array), _ROWS_AT_ONCE)]
    n_values = np.maximum(sum((~np.isnan(block)).sum(axis=axes) for block in blocks), 1)
    mean = sum(np.nansum(block, axis=axes) for block in blocks) / n_values
    squares = sum(np.nansum((block - mean) ** 2, axis=axes) for block in blocks)
    for m, s in zip(mean, np.sqrt(squares / n_values), strict=True):
        yield float(m), float(s), False


def _is_too_far(moment: Moment) -> bool:
    mean, deviation, _ = moment
    return deviation > 0 and abs(mean) > TOO_FAR * deviation


def _too_far(what: str, mean: float, deviation: float) -> str:
    return (
        f"{what} lies around {mean:.6g} and varies by {deviation:.3g} only: floating-point numbers "
        "and the tables' twelve digits keep little of that. Subtract a constant from it beforehand."
    )


def _numbers(offsets: tuple[float, ...]) -> str:
    return listed([f"{offset:.15g}" for offset in offsets], most=5)
