"""Metrics of predicted probabilities: log loss, Brier score, calibration error.

References
----------
Brier, G. W.: Verification of forecasts expressed in terms of probability. Monthly Weather Review 78
(1950) 1-3.
Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q.: On calibration of modern neural networks. ICML
(2017) 1321-1330.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import FROM_0, PROBABILITY_EPS, SHARE, Floats, register
from hpsearch.metrics.sums import Sums, mean, weighted_sums
from hpsearch.task import ProblemKind

N_BINS: Final = 15


def log_losses(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Floats:
    """-log of the truth's probability: (..., n), or (..., n, L) of a multilabel problem."""
    if kind == "multiclass":
        of_truth = y_pred[..., np.arange(len(y_true)), y_true]
    else:
        of_truth = np.where(y_true == 1, y_pred, 1.0 - y_pred)
    return -np.log(_clipped(np.ascontiguousarray(of_truth)))


def _clipped(probabilities: Floats) -> Floats:
    return np.clip(probabilities, PROBABILITY_EPS, 1.0 - PROBABILITY_EPS)


def _of_rows(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    losses = log_losses(kind, y_true, y_pred)
    return losses.mean(axis=-1) if kind == "multilabel" else losses


@register(
    "log_loss",
    "min",
    "binary",
    "multiclass",
    "multilabel",
    words="Mean of minus the logarithm of the truth's probability, over rows and, if several, "
    "over labels.",
    bounds=FROM_0,
    scorer=Sums(_of_rows, mean).weighted,
)
def _log_loss(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    losses = log_losses(kind, y_true, y_pred)
    leading = y_pred.shape[: -1 if kind == "binary" else -2]
    return losses.reshape(*leading, -1).mean(axis=-1)


def _squares(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    if kind == "binary":
        return np.asarray((y_pred - y_true) ** 2)
    is_class = y_true[:, np.newaxis] == np.arange(y_pred.shape[-1])
    return np.asarray(0.5 * ((y_pred - is_class) ** 2).sum(axis=-1))


@register(
    "brier",
    "min",
    "binary",
    "multiclass",
    words="Brier score: half the squared distance of the classes' probabilities from 0 or 1, "
    "summed over the classes; from 0 to 1 for any number of them (scikit-learn's "
    "scale_by_half=True).",
    bounds=SHARE,
    scorer=Sums(_squares, mean).weighted,
)
def _brier(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return np.ascontiguousarray(_squares(kind, y_true, y_pred)).mean(axis=-1)


def _gaps(
    kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """The bin of each row's confidence, and how far this is above what came true, (..., n)."""
    is_true = y_true == 1
    confidence = y_pred
    if kind == "multiclass":
        is_true, confidence = y_pred.argmax(axis=-1) == y_true, y_pred.max(axis=-1)
    edges = np.linspace(0.0, 1.0, N_BINS + 1)[1:-1]
    return np.searchsorted(edges, confidence), np.ascontiguousarray(confidence - is_true)


def _weighted_calibration_error(
    kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
) -> Floats:
    bins, gaps = _gaps(kind, y_true, y_pred)
    weights = times.astype(np.float64)
    in_bins = (weighted_sums(weights, np.where(bins == at, gaps, 0.0)) for at in range(N_BINS))
    errors = sum(map(np.abs, in_bins))
    return np.asarray(errors / weights.sum(axis=1, keepdims=True), dtype=np.float64)


@register(
    "calibration_error",
    "min",
    "binary",
    "multiclass",
    words=f"Expected calibration error: in {N_BINS} bins of equal width, how far the mean "
    "probability is from the share that came true, weighted by rows; of the second label, or of "
    "the most probable class. It rewards no sharpness: a constant can have 0.",
    bounds=SHARE,
    scorer=_weighted_calibration_error,
)
def _calibration_error(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    bins, gaps = _gaps(kind, y_true, y_pred)
    errors = sum(
        np.abs(np.where(bins == at, gaps, 0.0).sum(axis=-1, keepdims=True)) for at in range(N_BINS)
    )
    return np.asarray(errors)[..., 0] / len(y_true)
