"""Metrics that are functions of sums over rows.

Rows that count several times, or weigh more by themselves, only weigh more in the sums, so that all
bootstrap samples of all trials come out of one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import Bounds, Floats, predicted_codes, register
from hpsearch.task import Direction, ProblemKind


def _ones(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    return np.ones(len(y_true))


@dataclass(frozen=True)
class Sums:
    """A metric by what it sums over rows.

    Attributes
    ----------
    of_predictions : problem type, truth and predictions (A, n, ...) to summands (A, ..., n).
    finish : their weighted sums (B, A, ...), those of the truth (B, ...), and how many rows count,
        or what they weigh together, (B, 1), to scores (B, A). No score may depend on the unit that
        weights are in.
    of_truth : problem type, truth and the number of outputs to summands (..., n).
    """

    of_predictions: Callable[[ProblemKind, NDArray[Any], Floats], NDArray[Any]]
    finish: Callable[[Floats, Floats, Floats], Floats]
    of_truth: Callable[[ProblemKind, NDArray[Any], int], NDArray[Any]] = _ones

    def weighted(
        self, kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
    ) -> Floats:
        """The scorer of rows that count several times, or weigh."""
        weights = times.astype(np.float64)
        return self.finish(
            weighted_sums(weights, self.of_predictions(kind, y_true, y_pred)),
            weighted_sums(weights, self.of_truth(kind, y_true, _n_outputs(kind, y_pred))),
            weights.sum(axis=1, keepdims=True),
        )

    def plain(self, kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Floats:
        """The function of rows that count once; the same bits whatever axes lead."""
        n_axes = 1 if kind == "binary" else 2
        leading, one = y_pred.shape[:-n_axes], y_pred.shape[-n_axes:]
        arrays = y_pred.reshape(-1, *one)
        scores = self.finish(
            _sums(self.of_predictions(kind, y_true, arrays)),
            _sums(self.of_truth(kind, y_true, _n_outputs(kind, y_pred))),
            np.full((1, 1), float(len(y_true))),
        )
        return scores.reshape(leading)


def register_sums(
    name: str, direction: Direction, *kinds: ProblemKind, sums: Sums, words: str, bounds: Bounds
) -> None:
    """Make a metric of its sums alone; the parameters are those of ``register``."""
    declare = register(name, direction, *kinds, words=words, bounds=bounds, scorer=sums.weighted)
    declare(sums.plain)


def _n_outputs(kind: ProblemKind, y_pred: Floats) -> int:
    return 2 if kind == "binary" else y_pred.shape[-1]


def _sums(summands: NDArray[Any]) -> Floats:
    """(..., n) to (1, ...)."""
    rows = np.ascontiguousarray(summands).astype(np.float64, copy=False)
    return np.asarray(rows.sum(axis=-1), dtype=np.float64)[np.newaxis]


def weighted_sums(weights: Floats, summands: NDArray[Any]) -> Floats:
    """(B, n) and (..., n) to (B, ...).

    One sample is summed row by row, as those that count once are: in a matrix product, bits depend
    on how many arrays there are.
    """
    rows = summands.reshape(-1, summands.shape[-1]).astype(np.float64, copy=False)
    if len(weights) == 1:
        return _sums(rows * weights[0]).reshape(1, *summands.shape[:-1])
    sums: Floats = (weights @ rows.T).reshape(len(weights), *summands.shape[:-1])
    return sums


def mean(sums: Floats, of_truth: Floats, n_rows: Floats) -> Floats:
    """The mean of one summand."""
    return sums / n_rows


def known(scores: Floats, n_rows: Floats) -> Floats:
    """NaN where no row counts."""
    return np.where(n_rows > 0, scores, np.nan)


ROUNDING = 1e-12
"""What differences of sums may be off by, as a share of the sums: weights are no whole numbers."""


def share(part: Floats, whole: Floats) -> Floats:
    """Part over whole; 0 where both are 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def beyond_rounding(difference: Floats, whole: Floats) -> Floats:
    """A difference of sums, 0 where it is nothing beside them."""
    return np.where(np.abs(difference) <= ROUNDING * np.abs(whole), 0.0, difference)


# -- what several metrics sum


def one_hot(codes: NDArray[Any], n_classes: int) -> NDArray[np.bool_]:
    """(..., n) codes to (..., C, n)."""
    return np.asarray(codes[..., np.newaxis, :] == np.arange(n_classes)[:, np.newaxis])


def of_classes(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    """Which rows have each class or label, (C, n)."""
    return np.swapaxes(y_true == 1, -1, -2) if kind == "multilabel" else one_hot(y_true, n_outputs)


def agreed_and_said(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """True positives and predicted positives of each class or label, (A, 2, C, n)."""
    if kind == "multilabel":
        true, said = np.swapaxes(y_true == 1, -1, -2), np.swapaxes(y_pred >= 0.5, -1, -2)
    else:
        n_classes = 2 if kind == "binary" else y_pred.shape[-1]
        true = one_hot(y_true, n_classes)
        said = one_hot(predicted_codes(kind, y_pred), n_classes)
    return np.stack([true & said, said], axis=1)


def centred_powers(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    """First and second power of the truth about its mean, (2, V, n)."""
    centred = np.swapaxes(y_true - y_true.mean(axis=0), -1, -2)
    return np.stack([centred, centred**2])


def spread(powers: Floats, n_rows: Floats) -> Floats:
    """Squared distance from the mean, (B, ..., V) of powers (B, ..., 2, V); 0 of equal values."""
    first, second = powers[..., 0, :], powers[..., 1, :]
    n = n_rows.reshape(-1, *[1] * (first.ndim - 1))
    total = second - first**2 / n
    # Equal values have a total of 0 but for rounding.
    return np.where(total <= ROUNDING * second, 0.0, total)
