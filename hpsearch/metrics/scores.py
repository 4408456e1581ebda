"""Scores of canonical predictions, many epochs at once.

Owns how predictions are scored by a metric, and which metrics are recorded for a problem type. When
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

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.errors import MetricError, OptionError
from hpsearch.metrics.base import METRICS, Floats, Metric
from hpsearch.task import OF_VALUES, TASKS, Direction, ProblemKind


def score(
    metric: str,
    y_true: NDArray[Any],
    y_pred: NDArray[Any],
    *,
    kind: ProblemKind | None = None,
    strict: bool = False,
    weights: ArrayLike | None = None,
) -> Floats:
    """Score predictions, over any leading axes at once.

    Parameters
    ----------
    metric : a metric, or the name of one in ``METRICS``.
    y_true : codes (n,) of a binary or multiclass problem, 0/1 (n, L) of a multilabel problem,
        values (n, V) or (n,) of a regression.
    y_pred : canonical predictions (..., n), (..., n, C), (..., n, L) or (..., n, V); computed in
        float64.
    kind : the problem type. Without it, classes in ``y_true`` (n,) count as binary where the last
        axis of ``y_pred`` has n entries and no code exceeds 1, else as multiclass.
    strict : whether what a metric of one's own raises is raised; else the scores are NaN then.
    weights : (n,) what each row weighs, 0 or above, as scikit-learn's ``sample_weight``: a row of
        weight 2 counts as two rows, one of weight 0 as none. Only what they weigh relative to each
        other matters: equal weights give the bits that None gives.

    Returns
    -------
    Scores, float64, of the leading axes' shape; each has the same bits whatever else is scored in
    the same call. NaN where a prediction is NaN or infinite (even of a row of weight 0), or the
    metric is not defined (``roc_auc`` of one class, or no row that weighs).

    Raises
    ------
    OptionError : where there is no such metric, it doesn't suit the problem type, or it is one's
        own and takes no weights.
    ValueError : where the shapes don't fit.
    MetricError : if ``strict``, where a metric of one's own raises or gives no number.

    Examples
    --------
    >>> import numpy as np
    >>> y_true = np.array([0, 1, 1])
    >>> score("accuracy", y_true, np.array([[0.2, 0.7, 0.9], [0.2, 0.3, 0.9]]))
    array([1.        , 0.66666667])
    """
    predictions = np.ascontiguousarray(y_pred, dtype=np.float64)
    found, kind, truth, predictions = resolved(metric, np.asarray(y_true), predictions, kind)
    axes = (-1,) if kind == "binary" else (-2, -1)
    with np.errstate(all="ignore"):
        try:
            scores = _scored(found, kind, truth, predictions, weights)
        except MetricError:
            if strict:
                raise
            return np.full(predictions.shape[: -len(axes)], np.nan)
        is_known = np.isfinite(predictions).all(axis=axes) & np.isfinite(scores)
        return np.where(is_known, scores, np.nan)


def _scored(
    metric: Metric,
    kind: ProblemKind,
    y_true: NDArray[Any],
    y_pred: Floats,
    weights: ArrayLike | None,
) -> Floats:
    """Scores over leading axes; rows that weigh nothing are left out."""
    if weights is None:
        return np.asarray(metric.function(kind, y_true, y_pred), dtype=np.float64)
    each = checked_weights(weights, len(y_true))
    counted, axis = each > 0, -1 if kind == "binary" else -2
    if not counted.any():
        return np.full(y_pred.shape[:axis], np.nan)
    if not counted.all():
        y_true, y_pred = y_true[counted], np.compress(counted, y_pred, axis=axis)
        each = each[counted]
    if metric.own is None and (each == each[0]).all():
        return np.asarray(metric.function(kind, y_true, y_pred), dtype=np.float64)
    return np.asarray(metric.of_weights(kind, y_true, y_pred, each), dtype=np.float64)


def checked_weights(weights: ArrayLike, n_rows: int) -> Floats:
    """What each row weighs (n_rows,), finite and 0 or above.

    Raises
    ------
    ValueError : where it is something else.
    """
    each = np.asarray(weights, dtype=np.float64)
    if each.shape != (n_rows,) or not (np.isfinite(each) & (each >= 0)).all():
        raise ValueError(
            f"`weights` needs a finite number of 0 or above for each of {n_rows} rows; received "
            f"shape {each.shape}{_least_and_most(each)}."
        )
    return each


def _least_and_most(weights: Floats) -> str:
    return f", from {weights.min():g} to {weights.max():g}" if weights.size else ""


def resolve_metric(
    kind: ProblemKind, metric: str | None = None, also: Sequence[str] = ()
) -> tuple[Metric, ...]:
    """The metrics to record for a problem type, the selecting one first.

    Parameters
    ----------
    kind : the problem type.
    metric : what selects, a metric or its name; None for the problem type's own choice.
    also : what is recorded besides, after the problem type's usual ones.

    Raises
    ------
    OptionError : where there is no such metric, it doesn't suit the problem type, or two have one
        name.

    Examples
    --------
    >>> resolve_metric("binary")
    ('log_loss', 'accuracy', 'roc_auc')
    >>> resolve_metric("regression", "rmse", also=["r2", "spearman"])
    ('rmse', 'mae', 'r2', 'spearman')
    """
    selecting = () if metric is None else (_suitable(metric, kind, "--metric"),)
    usual = (METRICS[name] for name in TASKS[kind].metrics)
    more = (_suitable(other, kind, "--also") for other in also)
    found: dict[str, Metric] = {}
    for each in (*selecting, *usual, *more):
        if found.setdefault(each.name, each).own != each.own:
            raise OptionError(
                f"Each metric has a name of its own; received two called {each.name!r}. "
                "Rename one of them."
            )
    return tuple(found.values())


def _suitable(name: str, kind: ProblemKind, option: str) -> Metric:
    metric = name if isinstance(name, Metric) else METRICS.get(name)
    if metric is None or kind not in metric.kinds:
        raise _unsuitable(name, kind, option)
    return metric


def direction_said(name: str, said: Direction | None) -> Direction:
    """The direction of a metric that a run recorded; of one's own, whose code isn't run, as said.

    Examples
    --------
    >>> direction_said("accuracy", None), direction_said("my_own", "max")
    ('max', 'max')
    """
    known = METRICS.get(name)
    return (said or "min") if known is None else known.direction


def resolved(
    metric: str, y_true: NDArray[Any], y_pred: NDArray[Any], kind: ProblemKind | None
) -> tuple[Metric, ProblemKind, NDArray[Any], NDArray[Any]]:
    """What a metric's function takes: the metric, the problem type, aligned truth, predictions.

    Raises as ``score`` does.
    """
    found = metric_named(metric)
    kind = _kind(found, y_true, y_pred) if kind is None else kind
    if kind not in found.kinds:
        raise _unsuitable(metric, kind)
    return found, kind, *_aligned(kind, y_true, y_pred)


def metric_named(name: str) -> Metric:
    """A metric by its name; one that is none of ours is what it is.

    Raises
    ------
    OptionError : where there is none, with what is missing from the name of one with a number.
    """
    if isinstance(name, Metric):
        return name
    if name in METRICS:
        return METRICS[name]
    _check_number(name)
    patterns = [family.pattern for family in METRICS.families.values()]
    raise OptionError(
        f"`--metric` is one of {', '.join([*METRICS, *patterns])}; received {name!r}."
    )


def _check_number(name: str) -> None:
    """Raise ``OptionError`` where a name is that of a family, and its number is wrong."""
    family = METRICS.family_of(name)
    if family is not None:
        example = family.of(family.examples[0]).name
        raise OptionError(
            f"The metric {family.pattern} ends in {family.needs}; received {name!r}. "
            f"Write for instance {example}."
        )


def _unsuitable(name: str, kind: ProblemKind, option: str = "--metric") -> OptionError:
    if name not in METRICS:
        _check_number(name)
    return OptionError(
        f"`{option}` must suit a {kind} problem: {', '.join(METRICS.names_for(kind))}; received "
        f"{name!r}. Take one of those, or FILE.py:NAME with one of your own."
    )


def _kind(metric: Metric, y_true: NDArray[Any], y_pred: NDArray[Any]) -> ProblemKind:
    """The problem type that a metric and the shapes imply."""
    if "regression" in metric.kinds:
        return "regression"
    if metric.kinds == ("quantile",):
        return "quantile"
    if y_true.ndim == 2:
        return "multilabel"
    is_binary = y_pred.shape[-1:] == y_true.shape and y_true.max(initial=0) <= 1
    return "binary" if is_binary else "multiclass"


def _aligned(
    kind: ProblemKind, y_true: NDArray[Any], y_pred: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Truth as integer codes or float64, and predictions; values always (n, V) and (..., n, V)."""
    if kind in OF_VALUES:
        y_true = y_true.astype(np.float64)
        if y_true.ndim == 1:
            y_true = y_true[:, np.newaxis]
            y_pred = y_pred if kind == "quantile" else y_pred[..., np.newaxis]
    else:
        y_true = y_true.astype(np.int64)
    if kind in ("multiclass", "quantile"):
        fits = y_pred.shape[-2:-1] == y_true.shape[:1]
    else:
        fits = y_pred.shape[-y_true.ndim :] == y_true.shape
    if not fits or not len(y_true):
        raise ValueError(
            f"Predictions of a {kind} problem must have one row per row of y_true, and y_true at "
            f"least one; received shapes {y_pred.shape} and {y_true.shape}."
        )
    return y_true, y_pred
