"""Metrics of canonical predictions, many epochs at once.

Owns how a metric is computed, its direction, and which metrics suit a problem type. When
predictions are made and which epoch counts belongs to ``hpsearch.engines`` and ``hpsearch.stats``.

A search scores thousands of epochs on a few hundred rows each. scikit-learn checks its arguments
for about a millisecond a call, so that checking would dominate; these functions give its numbers
(the tests compare them to 1e-12) for a whole curve in one call: the log loss of 100 epochs on
142 rows takes about 0.2 ms.

Canonical predictions: ``binary`` (n,) the probability of the second label; ``multiclass`` (n, C)
and ``multilabel`` (n, L) probabilities; ``regression`` and ``share`` (n, V) in the target's own
units. Any axes may lead, such as epochs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import OptionError
from hpsearch.task import TASKS, Direction, ProblemKind

Floats = NDArray[np.float64]

PROBABILITY_EPS = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [eps, 1 - eps] before a logarithm, as scikit-learn clips float64.

It is the same for float32 predictions (scikit-learn would take 1.2e-7 for those), so that the log
loss of a table of predictions read back equals the one that was recorded.
"""


@dataclass(frozen=True)
class Metric:
    """A metric: its name, whether small or large values are good, and whom it suits.

    Attributes
    ----------
    name : the name in options and column names.
    direction : ``"min"`` where small is good, ``"max"`` where large is good.
    kinds : the problem types that it applies to.
    """

    name: str
    direction: Direction
    kinds: tuple[ProblemKind, ...]
    function: Callable[[ProblemKind, NDArray[Any], Floats], Floats] = field(
        repr=False, compare=False
    )

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that it can have: losses are 0 at best, scores 1."""
        if self.name == "r2":
            return -math.inf, 1.0
        return 0.0, math.inf if self.direction == "min" and self.name != "brier" else 1.0


METRICS: dict[str, Metric] = {}


def score(
    name: str, y_true: NDArray[Any], y_pred: NDArray[Any], *, kind: ProblemKind | None = None
) -> Floats:
    """Score predictions, over any leading axes at once.

    Parameters
    ----------
    name : a key of ``METRICS``.
    y_true : codes (n,) of a binary or multiclass problem, 0/1 (n, L) of a multilabel problem,
        values (n, V) or (n,) of a regression.
    y_pred : canonical predictions (..., n), (..., n, C), (..., n, L) or (..., n, V); computed in
        float64.
    kind : the problem type. Without it, classes in ``y_true`` (n,) count as binary where the last
        axis of ``y_pred`` has n entries and no code exceeds 1, else as multiclass.

    Returns
    -------
    Scores, float64, of the leading axes' shape; each has the same bits whatever else is scored in
    the same call. NaN where a prediction is NaN or infinite, or the
    metric is not defined (``roc_auc`` of one class).

    Raises
    ------
    OptionError : where there is no such metric, or it doesn't suit the problem type.
    ValueError : where the shapes don't fit.

    Examples
    --------
    >>> import numpy as np
    >>> y_true = np.array([0, 1, 1])
    >>> score("accuracy", y_true, np.array([[0.2, 0.7, 0.9], [0.2, 0.3, 0.9]]))
    array([1.        , 0.66666667])
    """
    predictions = np.ascontiguousarray(y_pred, dtype=np.float64)
    metric, kind, truth, predictions = resolved(name, np.asarray(y_true), predictions, kind)
    axes = (-1,) if kind == "binary" else (-2, -1)
    with np.errstate(all="ignore"):
        scores = metric.function(kind, truth, predictions)
        return np.where(np.isfinite(predictions).all(axis=axes), scores, np.nan)


def resolve_metric(kind: ProblemKind, name: str | None = None) -> tuple[str, ...]:
    """Names of the metrics to record for a problem type, the selecting one first.

    Parameters
    ----------
    kind : the problem type.
    name : the metric that selects; None for the problem type's own choice.

    Raises
    ------
    OptionError : where there is no such metric, or it doesn't suit the problem type.

    Examples
    --------
    >>> resolve_metric("binary")
    ('log_loss', 'accuracy', 'roc_auc')
    >>> resolve_metric("regression", "rmse")
    ('rmse', 'mae', 'r2')
    """
    usual = TASKS[kind].metrics
    if name is None:
        return usual
    if name not in METRICS or kind not in METRICS[name].kinds:
        raise _unsuitable(name, kind)
    return (name, *(other for other in usual if other != name))


def resolved(
    name: str, y_true: NDArray[Any], y_pred: NDArray[Any], kind: ProblemKind | None
) -> tuple[Metric, ProblemKind, NDArray[Any], NDArray[Any]]:
    """What a metric's function takes: the metric, the problem type, aligned truth, predictions.

    Raises as ``score`` does.
    """
    metric = _metric(name)
    kind = _kind(metric, y_true, y_pred) if kind is None else kind
    if kind not in metric.kinds:
        raise _unsuitable(name, kind)
    return metric, kind, *_aligned(kind, y_true, y_pred)


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise OptionError(f"`--metric` is one of {', '.join(METRICS)}; received {name!r}.")
    return METRICS[name]


def _unsuitable(name: str, kind: ProblemKind) -> OptionError:
    suitable = ", ".join(metric.name for metric in METRICS.values() if kind in metric.kinds)
    return OptionError(
        f"`--metric` must suit a {kind} problem: {suitable}; received {name!r}. Take one of those."
    )


def _kind(metric: Metric, y_true: NDArray[Any], y_pred: NDArray[Any]) -> ProblemKind:
    """The problem type that a metric and the shapes imply."""
    if "regression" in metric.kinds:
        return "regression"
    if y_true.ndim == 2:
        return "multilabel"
    is_binary = y_pred.shape[-1:] == y_true.shape and y_true.max(initial=0) <= 1
    return "binary" if is_binary else "multiclass"


def _aligned(
    kind: ProblemKind, y_true: NDArray[Any], y_pred: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Truth as integer codes or float64, and predictions; values always (n, V) and (..., n, V)."""
    if kind in ("regression", "share"):
        y_true = y_true.astype(np.float64)
        if y_true.ndim == 1:
            y_true, y_pred = y_true[:, np.newaxis], y_pred[..., np.newaxis]
    else:
        y_true = y_true.astype(np.int64)
    if kind == "multiclass":
        fits = y_pred.shape[-2:-1] == y_true.shape
    else:
        fits = y_pred.shape[-y_true.ndim :] == y_true.shape
    if not fits or not len(y_true):
        raise ValueError(
            f"Predictions of a {kind} problem must have one row per row of y_true, and y_true at "
            f"least one; received shapes {y_pred.shape} and {y_true.shape}."
        )
    return y_true, y_pred


def register(
    name: str, direction: Direction, *kinds: ProblemKind
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a metric of some problem types.

    It takes the problem type, the truth (n, ...) and predictions (..., n) or (..., n, n_outputs),
    and scores over their leading axes.
    """

    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        METRICS[name] = Metric(name, direction, kinds, function)
        return function

    return keep


# Each function takes the problem type, the aligned truth and the aligned predictions.


@register("log_loss", "min", "binary", "multiclass", "multilabel")
def _log_loss(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean of -log of the true class's probability, over rows and, if several, over labels."""
    losses = log_losses(kind, y_true, y_pred)
    leading = y_pred.shape[: -1 if kind == "binary" else -2]
    return losses.reshape(*leading, -1).mean(axis=-1)


@register("accuracy", "max", "binary", "multiclass")
def _accuracy(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return (predicted_codes(kind, y_pred) == y_true).mean(axis=-1)


@register("balanced_accuracy", "max", "binary", "multiclass")
def _balanced_accuracy(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean recall of the classes that occur in the truth."""
    hits = predicted_codes(kind, y_pred) == y_true
    recalls = [hits[..., y_true == code].mean(axis=-1) for code in np.unique(y_true)]
    return np.mean(recalls, axis=0)


@register("roc_auc", "max", "binary")
def _roc_auc(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mann-Whitney's U over the number of pairs; ties count half."""
    is_positive = y_true == 1
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    ranks = _ranks(y_pred, "average")[..., is_positive].sum(axis=-1)
    return (ranks - n_positive * (n_positive + 1) / 2) / np.float64(n_positive * n_negative)


@register("average_precision", "max", "binary")
def _average_precision(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean over the positives of the precision at their score, ties included; 0 without any."""
    is_positive = y_true == 1
    if not is_positive.any():
        return np.zeros(y_pred.shape[:-1])
    at_least = _ranks(-y_pred, "max")[..., is_positive]
    positives_at_least = _ranks(-y_pred[..., is_positive], "max")
    return np.ascontiguousarray(positives_at_least / at_least).mean(axis=-1)


@register("brier", "min", "binary")
def _brier(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return ((y_pred - y_true) ** 2).mean(axis=-1)


@register("f1", "max", "binary")
def _f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """F1 of the second label; 0 where it neither occurs nor is predicted."""
    return _f1_of(y_true == 1, y_pred >= 0.5, axis=-1)


@register("micro_f1", "max", "multilabel")
def _micro_f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """F1 over all rows and labels together, at probability 0.5; 0 without any positive."""
    return _f1_of(y_true == 1, y_pred >= 0.5, axis=(-2, -1))


@register("macro_f1", "max", "binary", "multiclass", "multilabel")
def _macro_f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean F1 of the labels, or of the classes that occur in the truth or the predictions."""
    if kind == "multilabel":
        return _f1_of(y_true == 1, y_pred >= 0.5, axis=-2).mean(axis=-1)
    predicted = predicted_codes(kind, y_pred)
    n_classes = 2 if kind == "binary" else y_pred.shape[-1]
    total, occurring = np.zeros(predicted.shape[:-1]), np.zeros(predicted.shape[:-1])
    for code in range(n_classes):
        true, said = y_true == code, predicted == code
        total += _f1_of(true, said, axis=-1)
        occurring += true.any() | said.any(axis=-1)
    return total / occurring


@register("mae", "min", "regression", "share")
def _mae(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return _over_rows(np.abs(y_pred - y_true)).mean(axis=-1)


@register("mse", "min", "regression", "share")
def _mse(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return _over_rows((y_pred - y_true) ** 2).mean(axis=-1)


@register("rmse", "min", "regression", "share")
def _rmse(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean over the outputs of each one's root."""
    return np.sqrt(_over_rows((y_pred - y_true) ** 2)).mean(axis=-1)


@register("r2", "max", "regression", "share")
def _r2(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    """Mean over the outputs; a constant truth gives 1 if met exactly, else 0; NaN for one row."""
    if len(y_true) < 2:
        return np.full(y_pred.shape[:-2], np.nan)
    residual = _over_rows((y_pred - y_true) ** 2)
    total = _over_rows((y_true - _over_rows(y_true)) ** 2)
    # The mean of equal numbers may differ from them in the last bit, so a total of 0 says less.
    is_constant = (y_true == y_true[0]).all(axis=0)
    of_constant = np.where(residual == 0, 1.0, 0.0)
    return np.where(is_constant, of_constant, 1.0 - residual / total).mean(axis=-1)


def _over_rows(values: Floats) -> Floats:
    """Mean of (..., n, V) over the rows, (..., V).

    Rows are made the contiguous last axis, so that NumPy sums them in one order whatever axes
    lead: an epoch's score has the same bits alone and among others.
    """
    rows_last = np.ascontiguousarray(np.swapaxes(values, -1, -2))
    return np.asarray(rows_last.mean(axis=-1), dtype=np.float64)


def log_losses(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Floats:
    """-log of the truth's probability: (..., n), or (..., n, L) of a multilabel problem."""
    if kind == "multiclass":
        of_truth = y_pred[..., np.arange(len(y_true)), y_true]
    else:
        of_truth = np.where(y_true == 1, y_pred, 1.0 - y_pred)
    return -np.log(_clipped(np.ascontiguousarray(of_truth)))


def _clipped(probabilities: Floats) -> Floats:
    return np.clip(probabilities, PROBABILITY_EPS, 1.0 - PROBABILITY_EPS)


def predicted_codes(kind: ProblemKind, y_pred: Floats) -> NDArray[np.int64]:
    """Predicted codes (..., n); a probability of 0.5 counts as the second label."""
    if kind == "binary":
        return (y_pred >= 0.5).astype(np.int64)
    return np.asarray(y_pred.argmax(axis=-1), dtype=np.int64)


def _ranks(values: Floats, ties: Literal["average", "max"]) -> Floats:
    """Ranks from 1 along the last axis."""
    from scipy.stats import rankdata  # a slow import that most metrics don't need

    return np.asarray(rankdata(values, method=ties, axis=-1), dtype=np.float64)


def _f1_of(
    true: NDArray[np.bool_], said: NDArray[np.bool_], *, axis: int | tuple[int, ...]
) -> Floats:
    """2 TP / (2 TP + FP + FN) over the given axes of ``said``; 0 where that is 0 / 0."""
    agreed = (true & said).sum(axis=axis)
    either = np.broadcast_to(true, said.shape).sum(axis=axis) + said.sum(axis=axis)
    return np.asarray(2.0 * agreed / np.maximum(either, 1), dtype=np.float64)
