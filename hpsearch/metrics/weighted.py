"""Metrics of rows that count several times: bootstrap samples, scored without being made.

What rows weigh by themselves multiplies how often they were drawn.

A bootstrap sample of n rows is how often each row was drawn. Most metrics are functions of sums
over rows, so that all samples of all trials come out of one matrix product, counts times losses:
20,000 rows, 300 arrays of predictions and 1,000 samples are 6e9 multiplications, about a second
(``sums``). Others, such as ``roc_auc``, need the rows' order: it is sorted once an array and walked
for many samples at a time (``ordered``). Where a metric has neither, each sample is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.metrics.base import Floats, Metric, Scorer
from hpsearch.metrics.scores import checked_weights, resolved
from hpsearch.task import ProblemKind

BLOCK_BYTES = 64 * 2**20  # memory for one block of what is derived from predictions


def weighted_score(
    metric: str,
    y_true: ArrayLike,
    y_pred: NDArray[Any],
    counts: ArrayLike,
    *,
    kind: ProblemKind | None = None,
    weights: ArrayLike | None = None,
) -> Floats:
    """Score predictions of rows that count several times, over leading axes and many counts.

    It is what ``hpsearch.metrics.score`` gives for ``np.repeat(rows, counts[b])``, for every b at
    once; a row that counts 0 times is as good as left out. Where rows weigh, it is what ``score``
    gives for weights of ``counts[b] * weights``.

    Parameters
    ----------
    metric : as ``score`` takes it.
    y_true : as ``score`` takes it, n rows.
    y_pred : as ``score`` takes it; any dtype, computed in float64 block by block.
    counts : (B, n) whole numbers, 0 or above: how often each row counts in each of B samples.
    kind, weights : as in ``score``; equal weights give the bits that None gives.

    Returns
    -------
    float64 (B, ...) with the leading axes of ``y_pred``. NaN where a prediction is NaN or
    infinite (even of a row that counts 0 times), or where the metric is not defined: no row,
    or ``roc_auc`` of one class.

    Raises
    ------
    OptionError : where there is no such metric, it doesn't suit the problem type, or it is one's
        own and takes no weights.
    ValueError : where the shapes don't fit.

    Examples
    --------
    >>> y_true, y_pred = np.array([0, 1, 1]), np.array([[0.2, 0.7, 0.3], [0.9, 0.3, 0.9]])
    >>> weighted_score("accuracy", y_true, y_pred, [[1, 1, 1], [0, 1, 2]])
    array([[0.66666667, 0.33333333],
           [0.33333333, 0.66666667]])
    """
    found, kind, truth, predictions = resolved(metric, np.asarray(y_true), np.asarray(y_pred), kind)
    times = np.asarray(counts)
    if times.ndim != 2 or times.shape[1] != len(truth):
        raise ValueError(
            f"`counts` must be (samples, {len(truth)}), one column per row of y_true; received "
            f"shape {times.shape}."
        )
    if weights is not None:
        each = checked_weights(weights, len(truth))
        if found.own is not None or (each != each[0]).any():
            found.check_weights()
            times = times * each
    n_axes = 1 if kind == "binary" else 2
    leading, one = predictions.shape[:-n_axes], predictions.shape[-n_axes:]
    arrays = predictions.reshape(-1, *one)
    scores = np.empty((len(times), len(arrays)))
    n_outputs = 1 if kind == "binary" else one[-1]
    for block in _blocks(len(arrays), n_outputs * max(len(truth), len(times))):
        values = np.ascontiguousarray(arrays[block], dtype=np.float64)
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        with np.errstate(all="ignore"):
            scorer = found.scorer or _by_repeating(found)
            scores[:, block] = scorer(kind, truth, values, times)
        scores[:, block][:, ~finite] = np.nan
    scores[~np.isfinite(scores)] = np.nan
    return scores.reshape(len(times), *leading)


def _by_repeating(metric: Metric) -> Scorer:
    """A metric that nothing faster is known of: each sample is made, and scored."""

    def scorer(kind: ProblemKind, y: NDArray[Any], p: Floats, counts: NDArray[Any]) -> Floats:
        every_row = np.arange(len(y))
        samples = (np.repeat(every_row, times) for times in counts)
        function = metric.function
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
