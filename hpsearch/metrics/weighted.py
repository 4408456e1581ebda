"""Metrics of rows that count several times: bootstrap samples, scored without being made.

A bootstrap sample of n rows is how often each row was drawn. Most metrics are functions of sums
over rows, so that all samples of all trials come out of one matrix product, counts times losses:
20,000 rows, 300 arrays of predictions and 1,000 samples are 6e9 multiplications, about a second.
``roc_auc`` and ``average_precision`` need the rows' order, which is sorted once an array and then
walked for many samples at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.metrics.scores import METRICS, Floats, log_losses, predicted_codes, resolved
from hpsearch.task import ProblemKind

BLOCK_BYTES = 64 * 2**20  # memory for one block of what is derived from predictions
SAMPLES_AT_A_TIME = 64  # where rows are walked in order: what fits a processor's cache


def weighted_score(
    name: str,
    y_true: ArrayLike,
    y_pred: NDArray[Any],
    counts: ArrayLike,
    *,
    kind: ProblemKind | None = None,
) -> Floats:
    """Score predictions of rows that count several times, over leading axes and many counts.

    It is what ``hpsearch.metrics.score`` gives for ``np.repeat(rows, counts[b])``, for every b at
    once; a row that counts 0 times is as good as left out.

    Parameters
    ----------
    name : a key of ``METRICS``.
    y_true : as ``score`` takes it, n rows.
    y_pred : as ``score`` takes it; any dtype, computed in float64 block by block.
    counts : (B, n) whole numbers, 0 or above: how often each row counts in each of B samples.
    kind : the problem type, as in ``score``.

    Returns
    -------
    float64 (B, ...) with the leading axes of ``y_pred``. NaN where a prediction is NaN or
    infinite (even of a row that counts 0 times), or where the metric is not defined: no row,
    or ``roc_auc`` of one class.

    Raises
    ------
    OptionError : where there is no such metric, or it doesn't suit the problem type.
    ValueError : where the shapes don't fit.

    Examples
    --------
    >>> y_true, y_pred = np.array([0, 1, 1]), np.array([[0.2, 0.7, 0.3], [0.9, 0.3, 0.9]])
    >>> weighted_score("accuracy", y_true, y_pred, [[1, 1, 1], [0, 1, 2]])
    array([[0.66666667, 0.33333333],
           [0.33333333, 0.66666667]])
    """
    _, kind, truth, predictions = resolved(name, np.asarray(y_true), np.asarray(y_pred), kind)
    times = np.asarray(counts)
    if times.ndim != 2 or times.shape[1] != len(truth):
        raise ValueError(
            f"`counts` must be (samples, {len(truth)}), one column per row of y_true; received "
            f"shape {times.shape}."
        )
    n_axes = 1 if kind == "binary" else 2
    leading, one = predictions.shape[:-n_axes], predictions.shape[-n_axes:]
    arrays = predictions.reshape(-1, *one)
    scores = np.empty((len(times), len(arrays)))
    n_outputs = 1 if kind == "binary" else one[-1]
    for block in _blocks(len(arrays), n_outputs * max(len(truth), len(times))):
        values = np.ascontiguousarray(arrays[block], dtype=np.float64)
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        with np.errstate(all="ignore"):
            scorer = SCORERS.get(name) or _by_repeating(name)
            scores[:, block] = scorer(kind, truth, values, times)
        scores[:, block][:, ~finite] = np.nan
    return scores.reshape(len(times), *leading)


Scorer = Callable[[ProblemKind, NDArray[Any], Floats, NDArray[Any]], Floats]
"""Problem type, truth, (A, n, ...) predictions and (B, n) counts to (B, A) scores."""


def _by_repeating(name: str) -> Scorer:
    """A metric that nothing faster is known of: each sample is made, and scored."""

    def scorer(kind: ProblemKind, y: NDArray[Any], p: Floats, counts: NDArray[Any]) -> Floats:
        every_row = np.arange(len(y))
        samples = (np.repeat(every_row, times) for times in counts)
        function = METRICS[name].function
        found = [
            function(kind, y[rows], p[:, rows]) if len(rows) else np.full(len(p), np.nan)
            for rows in samples
        ]
        return np.asarray(found, dtype=np.float64)

    return scorer


def _blocks(n_arrays: int, size: int) -> list[slice]:
    """Slices of the arrays that each keep what is derived from them within ``BLOCK_BYTES``.

    A metric derives up to four numbers from each prediction, and as many sums of each sample.
    """
    step = max(1, BLOCK_BYTES // (4 * 8 * size))
    return [slice(start, start + step) for start in range(0, n_arrays, step)]


# --- metrics that are functions of sums over rows ---


@dataclass(frozen=True)
class _Sums:
    """A metric by what it sums over rows.

    Attributes
    ----------
    of_predictions : problem type, truth and predictions (A, n, ...) to summands (A, ..., n).
    finish : their weighted sums (B, A, ...), those of the truth (B, ...), and how many rows count
        (B, 1), to scores (B, A).
    of_truth : problem type, truth and the number of outputs to summands (..., n).
    """

    of_predictions: Callable[[ProblemKind, NDArray[Any], Floats], NDArray[Any]]
    finish: Callable[[Floats, Floats, Floats], Floats]
    of_truth: Callable[[ProblemKind, NDArray[Any], int], NDArray[Any]] = (
        lambda kind, y_true, n_outputs: np.ones(len(y_true))
    )


def _from_sums(metric: _Sums) -> Scorer:
    def scorer(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: Any) -> Floats:
        weights = times.astype(np.float64)
        n_outputs = 2 if kind == "binary" else y_pred.shape[-1]
        return metric.finish(
            _weighted_sums(weights, metric.of_predictions(kind, y_true, y_pred)),
            _weighted_sums(weights, metric.of_truth(kind, y_true, n_outputs)),
            weights.sum(axis=1, keepdims=True),
        )

    return scorer


def _weighted_sums(weights: Floats, summands: NDArray[Any]) -> Floats:
    """(B, n) and (..., n) to (B, ...)."""
    rows = summands.reshape(-1, summands.shape[-1]).astype(np.float64, copy=False)
    sums: Floats = (weights @ rows.T).reshape(len(weights), *summands.shape[:-1])
    return sums


def _mean(sums: Floats, of_truth: Floats, n_rows: Floats) -> Floats:
    return sums / n_rows


def _rows_last(values: NDArray[Any]) -> NDArray[Any]:
    return np.swapaxes(values, -1, -2)


def _log_losses(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    losses = log_losses(kind, y_true, y_pred)
    return losses.mean(axis=-1) if kind == "multilabel" else losses


def _one_hot(codes: NDArray[Any], n_classes: int) -> NDArray[np.bool_]:
    """(..., n) codes to (..., C, n)."""
    return np.asarray(codes[..., np.newaxis, :] == np.arange(n_classes)[:, np.newaxis])


def _of_classes(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    """Which rows have each class or label, (C, n)."""
    return _rows_last(y_true == 1) if kind == "multilabel" else _one_hot(y_true, n_outputs)


def _hits_of_classes(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """Which rows of each class are predicted right, (A, C, n)."""
    n_classes = 2 if kind == "binary" else y_pred.shape[-1]
    hits = predicted_codes(kind, y_pred) == y_true
    return np.asarray(hits[:, np.newaxis, :] & _one_hot(y_true, n_classes))


def _mean_recall(hits: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    occurs = of_classes[:, np.newaxis, :] > 0
    recalls = np.where(occurs, hits / np.maximum(of_classes, 1)[:, np.newaxis, :], 0.0)
    return np.asarray(recalls.sum(axis=-1) / occurs.sum(axis=-1), dtype=np.float64)


def _agreed_and_said(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """True positives and predicted positives of each class or label, (A, 2, C, n)."""
    if kind == "multilabel":
        true, said = _rows_last(y_true == 1), _rows_last(y_pred >= 0.5)
    else:
        n_classes = 2 if kind == "binary" else y_pred.shape[-1]
        true = _one_hot(y_true, n_classes)
        said = _one_hot(predicted_codes(kind, y_pred), n_classes)
    return np.stack([true & said, said], axis=1)


def _f1s(sums: Floats, of_classes: Floats) -> tuple[Floats, Floats]:
    """F1 of each class, and how many rows have or are said to have it, both (B, A, C)."""
    agreed, said = sums[:, :, 0], sums[:, :, 1]
    either = of_classes[:, np.newaxis, :] + said
    return 2.0 * agreed / np.maximum(either, 1), either


def _f1(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return _known(_f1s(sums, of_classes)[0][..., 1], n_rows)


def _micro_f1(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    together = sums.sum(axis=-1, keepdims=True), of_classes.sum(axis=-1, keepdims=True)
    return _known(_f1s(*together)[0][..., 0], n_rows)


def _macro_f1_of_labels(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return _known(_f1s(sums, of_classes)[0].mean(axis=-1), n_rows)


def _macro_f1_of_classes(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    f1s, either = _f1s(sums, of_classes)
    return np.asarray(f1s.sum(axis=-1) / (either > 0).sum(axis=-1), dtype=np.float64)


def _known(scores: Floats, n_rows: Floats) -> Floats:
    """NaN where no row counts."""
    return np.where(n_rows > 0, scores, np.nan)


def _squares(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """Squared residuals, (A, V, n)."""
    return _rows_last((y_pred - y_true) ** 2)


def _centred_powers(kind: ProblemKind, y_true: NDArray[Any], n_outputs: int) -> NDArray[Any]:
    """First and second power of the truth about its mean, (2, V, n)."""
    centred = _rows_last(y_true - y_true.mean(axis=0))
    return np.stack([centred, centred**2])


def _r2(residual: Floats, powers: Floats, n_rows: Floats) -> Floats:
    first, second = powers[:, 0], powers[:, 1]
    total = second - first**2 / n_rows
    # A sample whose truth is constant has a total of 0 but for rounding.
    total = np.where(total <= 1e-12 * second, 0.0, total)[:, np.newaxis, :]
    constant = np.where(residual == 0, 1.0, 0.0)
    scores = np.where(total == 0, constant, 1.0 - residual / total).mean(axis=-1)
    return np.where(n_rows >= 2, scores, np.nan)


def _macro_f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: Any) -> Floats:
    """A label that nobody has counts as 0; a class that neither occurs nor is said is left out."""
    finish = _macro_f1_of_labels if kind == "multilabel" else _macro_f1_of_classes
    scorer = _from_sums(_Sums(_agreed_and_said, finish, _of_classes))
    return scorer(kind, y_true, y_pred, times)


def _rmse(squares: Floats, of_truth: Floats, n_rows: Floats) -> Floats:
    return np.asarray(np.sqrt(squares / n_rows[..., np.newaxis]).mean(axis=-1), dtype=np.float64)


# --- metrics of the rows' order ---

Walk = Callable[["_Samples"], Floats]
"""Counts to scores (b,), of predictions that are sorted already."""


@dataclass(frozen=True, eq=False)
class _Samples:
    """Counts of a few samples of a binary problem, rows first: they are gathered row by row.

    Attributes
    ----------
    counts : (n, b) of all rows.
    of_positives : (n1, b) of the rows of the second label.
    n_positive, n_negative : (b,) how many rows of each label count.
    """

    counts: NDArray[np.int32]
    of_positives: Floats
    n_positive: Floats
    n_negative: Floats

    @classmethod
    def of(cls, counts: NDArray[Any], is_positive: NDArray[np.bool_]) -> _Samples:
        """From counts (b, n)."""
        columns = np.ascontiguousarray(counts.T, dtype=np.int32)
        of_positives = columns[is_positive].astype(np.float64)
        n_positive = of_positives.sum(axis=0)
        return cls(columns, of_positives, n_positive, columns.sum(axis=0) - n_positive)


def _walking(sort: Callable[[NDArray[np.bool_], Floats], Walk]) -> Scorer:
    """The scorer of a metric that sorts the predictions (n,) of a binary problem once."""

    def scorer(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: Any) -> Floats:
        is_positive = y_true == 1
        slices = [
            slice(start, start + SAMPLES_AT_A_TIME)
            for start in range(0, len(times), SAMPLES_AT_A_TIME)
        ]
        samples = [_Samples.of(times[at], is_positive) for at in slices]
        scores = np.empty((len(times), len(y_pred)))
        for number, predictions in enumerate(y_pred):
            walk = sort(is_positive, predictions)
            for at, few in zip(slices, samples, strict=True):
                scores[at, number] = walk(few)
        return scores

    return scorer


def _cumulative(columns: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """Sums of the first 0, 1, ... of some rows, (at least len(rows) + 1, b).

    In steps of about sqrt(n) rows, all steps at once: ``np.cumsum`` down columns adds one number at
    a time and took six times as long.
    """
    n, n_samples = len(rows), columns.shape[1]
    length = math.isqrt(n) + 1
    n_steps = -(-n // length)
    sums = np.zeros((n_steps * length + 1, n_samples), dtype=np.int32)
    columns.take(rows, axis=0, out=sums[1 : n + 1], mode="clip")  # other modes copy `out`
    steps = sums[1:].reshape(n_steps, length, n_samples)
    for at in range(1, length):
        steps[:, at] += steps[:, at - 1]
    steps[1:] += np.cumsum(steps[:-1, -1], axis=0, dtype=np.int32)[:, np.newaxis]
    return sums


def _roc_auc(is_positive: NDArray[np.bool_], scores: Floats) -> Walk:
    """Pairs in the right order over all pairs; ties count half (Mann & Whitney 1947)."""
    positives, negative = scores[is_positive], np.flatnonzero(~is_positive)
    negative = negative[np.argsort(scores[negative])]
    below = np.searchsorted(scores[negative], positives, side="left")
    not_above = np.searchsorted(scores[negative], positives, side="right")
    sides = (below,) if (below == not_above).all() else (below, not_above)

    def walk(samples: _Samples) -> Floats:
        up_to = _cumulative(samples.counts, negative)
        pairs = [np.einsum("ib,ib->b", samples.of_positives, up_to.take(at, 0)) for at in sides]
        n_pairs = samples.n_positive * samples.n_negative
        return np.asarray(np.mean(pairs, axis=0) / n_pairs, dtype=np.float64)

    return walk


def _average_precision(is_positive: NDArray[np.bool_], scores: Floats) -> Walk:
    """Mean over the positives of the precision at their score; 0 without any, NaN without rows."""
    positive, negative = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    positive = positive[np.argsort(-scores[positive])]
    negative = negative[np.argsort(-scores[negative])]
    thresholds = -scores[is_positive]
    true = np.searchsorted(-scores[positive], thresholds, side="right")
    false = np.searchsorted(-scores[negative], thresholds, side="right")

    def walk(samples: _Samples) -> Floats:
        agreed = _cumulative(samples.counts, positive).take(true, axis=0)
        said = _cumulative(samples.counts, negative).take(false, axis=0)
        said += agreed
        precisions = agreed / np.maximum(said, 1)
        summed = np.einsum("ib,ib->b", samples.of_positives, precisions)
        any_row = samples.n_positive + samples.n_negative > 0
        return np.where(any_row, summed / np.maximum(samples.n_positive, 1), np.nan)

    return walk


SCORERS: dict[str, Scorer] = {
    "log_loss": _from_sums(_Sums(_log_losses, _mean)),
    "accuracy": _from_sums(_Sums(lambda kind, y, p: predicted_codes(kind, p) == y, _mean)),
    "balanced_accuracy": _from_sums(_Sums(_hits_of_classes, _mean_recall, _of_classes)),
    "brier": _from_sums(_Sums(lambda kind, y, p: (p - y) ** 2, _mean)),
    "f1": _from_sums(_Sums(_agreed_and_said, _f1, _of_classes)),
    "micro_f1": _from_sums(_Sums(_agreed_and_said, _micro_f1, _of_classes)),
    "macro_f1": _macro_f1,
    "mae": _from_sums(_Sums(lambda kind, y, p: np.abs(p - y).mean(axis=-1), _mean)),
    "mse": _from_sums(_Sums(lambda kind, y, p: ((p - y) ** 2).mean(axis=-1), _mean)),
    "rmse": _from_sums(_Sums(_squares, _rmse)),
    "r2": _from_sums(_Sums(_squares, _r2, _centred_powers)),
    "roc_auc": _walking(_roc_auc),
    "average_precision": _walking(_average_precision),
}
