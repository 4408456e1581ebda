"""Metrics of predicted quantiles: pinball loss, and how often the truth lies where they say.

Predictions are (n, n_levels) for a truth (n, 1); the problem type knows the levels.

References
----------
Koenker, R., Bassett, G.: Regression quantiles. Econometrica 46 (1978) 33-50.
Gneiting, T., Raftery, A. E.: Strictly proper scoring rules, prediction, and estimation. Journal of
the American Statistical Association 102 (2007) 359-378.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import FROM_0, SHARE, Floats
from hpsearch.metrics.sums import Sums, mean, register_sums
from hpsearch.task import ProblemKind


def levels_of(kind: ProblemKind) -> Floats:
    """The levels that a problem type of quantiles knows.

    Raises
    ------
    ValueError : where it knows none: the plain text "quantile" is no such type.
    """
    levels = getattr(kind, "levels", ())
    if not levels:
        raise ValueError(f"Scores of quantiles need their levels; received the kind {kind!r}.")
    return np.asarray(levels, dtype=np.float64)


def pinball_losses(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Floats:
    """Pinball loss of each quantile (..., n, n_levels)."""
    levels, off = levels_of(kind), y_true - y_pred
    return np.asarray(np.maximum(levels * off, (levels - 1.0) * off))


register_sums(
    "mean_pinball",
    "min",
    "quantile",
    sums=Sums(lambda kind, y, p: pinball_losses(kind, y, p).mean(axis=-1), mean),
    words="Mean over the levels of the pinball loss, in the target's units.",
    bounds=FROM_0,
)


def _lies_between(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    return np.asarray((y_true[:, 0] >= y_pred[..., 0]) & (y_true[:, 0] <= y_pred[..., -1]))


register_sums(
    "coverage",
    "max",
    "quantile",
    sums=Sums(_lies_between, mean),
    words="Share of the rows between the lowest and the highest level's quantile: right where it "
    "is the levels' distance, and so nothing to select by.",
    bounds=SHARE,
)


def _is_below(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """Which rows lie at or below each level's quantile, (A, n_levels, n)."""
    return np.swapaxes(y_true <= y_pred, -1, -2)


def _levels_of_rows(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    return np.tile(levels_of(kind)[:, np.newaxis], len(y_true))


def _mean_off(below: Floats, levels: Floats, n_rows: Floats) -> Floats:
    """How far the shares below (B, A, L) lie from the levels, which were summed as well (B, L)."""
    off = np.abs(below - levels[:, np.newaxis, :]) / n_rows[..., np.newaxis]
    return np.asarray(off.mean(axis=-1), dtype=np.float64)


register_sums(
    "coverage_error",
    "min",
    "quantile",
    sums=Sums(_is_below, _mean_off, _levels_of_rows),
    words="Mean over the levels of how far the share of rows at or below the quantile is from the "
    "level. It rewards no sharpness: a constant can have 0.",
    bounds=SHARE,
)

register_sums(
    "interval_width",
    "min",
    "quantile",
    sums=Sums(lambda kind, y, p: p[..., -1] - p[..., 0], mean),
    words="Mean distance of the highest level's quantile from the lowest's, in the target's "
    "units. It rewards no coverage.",
    bounds=FROM_0,
)
