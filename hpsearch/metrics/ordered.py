"""Metrics of the rows' order: predictions are sorted once and walked for many bootstrap samples.

Owns the machinery: how often rows count, row after row, in as many samples at a time as a
processor's cache holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import Floats

SAMPLES_AT_A_TIME = 64

Walk = Callable[["Samples"], Floats]
"""Counts to scores (b,), of predictions that are sorted already."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Counts or weights of a few samples, rows first: they are gathered row by row.

    Attributes
    ----------
    counts : (n, b) of all rows, int32 or, of weights, float64.
    n_rows : (b,) how many rows count, or what they weigh together.
    of_positives : (n1, b) of the rows of the second label.
    n_positive, n_negative : (b,) how many rows of each label count.
    """

    counts: NDArray[Any]
    n_rows: Floats
    of_positives: Floats
    n_positive: Floats
    n_negative: Floats

    @classmethod
    def of(cls, counts: NDArray[Any], is_positive: NDArray[np.bool_]) -> Samples:
        """From counts or weights (b, n)."""
        is_whole = np.issubdtype(counts.dtype, np.integer)
        columns = np.ascontiguousarray(counts.T, dtype=np.int32 if is_whole else np.float64)
        of_positives = columns[is_positive].astype(np.float64)
        n_rows = columns.sum(axis=0).astype(np.float64)
        n_negative = columns[~is_positive].sum(axis=0).astype(np.float64)
        return cls(columns, n_rows, of_positives, of_positives.sum(axis=0), n_negative)


def walked(
    sort: Callable[[NDArray[Any], Floats], Walk],
    truth: NDArray[Any],
    arrays: Floats,
    times: NDArray[Any],
    is_positive: NDArray[np.bool_] | None = None,
) -> Floats:
    """(B, A) scores of arrays (A, n), each sorted once, for counts (B, n).

    Parameters
    ----------
    sort : the walk of truth (n,) and one array (n,).
    is_positive : which rows have the second label, where there are labels.
    """
    of_second = np.zeros(len(truth), dtype=bool) if is_positive is None else is_positive
    slices = [
        slice(start, start + SAMPLES_AT_A_TIME) for start in range(0, len(times), SAMPLES_AT_A_TIME)
    ]
    samples = [Samples.of(times[at], of_second) for at in slices]
    scores = np.empty((len(times), len(arrays)))
    for number, array in enumerate(arrays):
        walk = sort(truth, array)
        for at, few in zip(slices, samples, strict=True):
            scores[at, number] = walk(few)
    return scores


def cumulative(columns: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Sums of the first 0, 1, ... of some rows, (at least len(rows) + 1, b).

    In steps of about sqrt(n) rows, all steps at once: ``np.cumsum`` down columns adds one number at
    a time and took six times as long.
    """
    n, n_samples = len(rows), columns.shape[1]
    length = math.isqrt(n) + 1
    n_steps = -(-n // length)
    sums = np.zeros((n_steps * length + 1, n_samples), dtype=columns.dtype)
    columns.take(rows, axis=0, out=sums[1 : n + 1], mode="clip")  # other modes copy `out`
    steps = sums[1:].reshape(n_steps, length, n_samples)
    for at in range(1, length):
        steps[:, at] += steps[:, at - 1]
    steps[1:] += np.cumsum(steps[:-1, -1], axis=0, dtype=columns.dtype)[:, np.newaxis]
    return sums


def ranks(values: Floats, ties: Literal["average", "max"]) -> Floats:
    """Ranks from 1 along the last axis."""
    from scipy.stats import rankdata  # a slow import that most metrics don't need

    return np.asarray(rankdata(values, method=ties, axis=-1), dtype=np.float64)


def ends_of_ties(ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Where, along the last axis of values in order, the last one of equal ones stands."""
    last = np.ones((*ordered.shape[:-1], 1), dtype=bool)
    return np.concatenate([ordered[..., 1:] != ordered[..., :-1], last], axis=-1)
