"""Thresholds of one label's predictions: choosing one on rows that count, and sorting others by it.

A threshold is chosen between two predictions that occur, in their middle. Repeats predict the same
rows: their predictions are taken together, each counting as often as its row does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.rules import Confusion, Floats, ThresholdRule

CELLS_AT_A_TIME: Final = 2**20
"""Samples times predictions that are walked at once: some ten arrays of so many numbers."""


@dataclass(frozen=True, eq=False)
class Sorted:
    """Predictions of one label, from high to low.

    Attributes
    ----------
    values : (m,) the different ones.
    rows : (N,) the row of each prediction; ends : (m,) how many predictions are at least a value.
    is_positive : (N,) whether the row has the label.
    """

    values: Floats
    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    is_positive: NDArray[np.bool_]

    @classmethod
    def of(cls, predictions: NDArray[Any], is_positive: NDArray[np.bool_]) -> Sorted:
        """From predictions (P, n) of rows (n,)."""
        flat = predictions.astype(np.float64).ravel()
        order = np.argsort(-flat, kind="stable")
        rows, ordered = order % len(is_positive), flat[order]
        is_end = np.append(ordered[1:] != ordered[:-1], True)
        ends = np.flatnonzero(is_end) + 1
        return cls(ordered[is_end], rows, ends, is_positive[rows])

    def confusion(self, weights: Floats) -> Confusion:
        """What rows that weigh (b, n) are at all thresholds, (b, m + 1).

        At first none is said to be positive, then the first value's rows are, and so on. A row
        counts once a repeat.
        """
        of_each = weights[:, self.rows]
        said = _up_to(of_each, self.ends)
        true = _up_to(np.where(self.is_positive, of_each, 0.0), self.ends)
        false = said - true
        return Confusion(true, false, true[:, -1:] - true, false[:, -1:] - false)

    def chosen(
        self, rule: ThresholdRule, weights: Floats
    ) -> tuple[Floats, NDArray[np.bool_], Confusion]:
        """The threshold that the rows of each sample choose.

        Parameters
        ----------
        weights : (b, n) what the rows weigh; 0 where a sample has not drawn them.

        Returns
        -------
        thresholds, keeps_bound : (b,), and whether the rule's bound is reached there.
        rows : what the rows are at all thresholds, as ``confusion`` gives it.
        """
        rows = self.confusion(weights)
        places, is_reached = rule.places(rows)
        if rule.number is not None:
            return np.full(len(places), rule.number), is_reached, rows
        here = np.arange(len(places))
        counts = np.diff(rows.said, axis=1) > 0
        below = np.where(np.arange(len(self.values)) >= places[:, np.newaxis], counts, False)
        following = below.argmax(axis=1)
        low = np.where(below[here, following], self.values[following], 0.0)
        high = np.where(places > 0, self.values[np.maximum(places, 1) - 1], 1.0)
        above_all = (places == 0) & (low >= 1.0)
        thresholds = np.where(above_all, np.nextafter(1.0, 2.0), (low + high) / 2)
        return thresholds, is_reached, rows

    def places_of(self, thresholds: Floats) -> NDArray[np.int64]:
        """How many of the values are at least a threshold, (b,)."""
        return np.asarray(np.searchsorted(-self.values, -thresholds, side="right"))

    def at(self, thresholds: Floats, weights: Floats) -> Confusion:
        """(b,) what rows that weigh (b, n) are at thresholds (b,)."""
        rows = self.confusion(weights)
        return rows.at((np.arange(len(thresholds)), self.places_of(thresholds)))

    @property
    def samples_at_a_time(self) -> int:
        """How many samples are walked at once."""
        return max(1, CELLS_AT_A_TIME // len(self.rows))


def _up_to(weights: Floats, ends: NDArray[np.int64]) -> Floats:
    """(b, m + 1) sums of the first 0, then of ``ends`` columns of (b, N)."""
    sums = np.cumsum(weights, axis=1)[:, ends - 1]
    return np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)


def rounded(threshold: float, values: Floats) -> float:
    """A threshold in as few digits as sort the values alike.

    Parameters
    ----------
    values : (m,) from high to low.

    Examples
    --------
    >>> rounded(0.23456, np.array([0.3, 0.2])), rounded(0.23456, np.array([0.2346, 0.2345]))
    (0.23, 0.23456)
    """
    for digits in range(2, 12):
        short = round(threshold, digits)
        low, high = min(short, threshold), max(short, threshold)
        if 0 <= short <= 1 and not ((values >= low) & (values <= high)).any():
            return short
    return threshold
