"""Metrics of the rows' order by their probabilities: ROC, precision and recall at all thresholds.

References
----------
Mann, H. B., Whitney, D. R.: On a test of whether one of two random variables is stochastically
larger than the other. Annals of Mathematical Statistics 18 (1947) 50-60.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import (
    SHARE,
    Family,
    Floats,
    Metric,
    Scorer,
    register,
    register_family,
)
from hpsearch.metrics.ordered import Samples, Walk, cumulative, ends_of_ties, ranks, walked
from hpsearch.metrics.sums import ROUNDING, known, share
from hpsearch.task import ProblemKind

Sort = Callable[[NDArray[Any], Floats], Walk]


def _sides(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> list[tuple[Any, Any]]:
    """Which rows have a label (n,) and its probability (..., n), of each label or the second."""
    if kind == "binary":
        return [(y_true == 1, y_pred)]
    of_labels = range(y_pred.shape[-1])
    truth = [y_true == at if kind == "multiclass" else y_true[:, at] == 1 for at in of_labels]
    return [(is_true, np.ascontiguousarray(y_pred[..., at])) for at, is_true in enumerate(truth)]


def _walking(sort: Sort, *, by_rows: bool = False) -> Scorer:
    """The scorer of a metric of two labels: of the second, or the mean over all.

    Parameters
    ----------
    by_rows : whether each class counts by its rows.
    """

    def scorer(
        kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
    ) -> Floats:
        sides = _sides(kind, y_true, y_pred)
        scores = [walked(sort, is_true, p, times, is_true) for is_true, p in sides]
        weights = [times[:, is_true].sum(axis=1, keepdims=True) for is_true, _ in sides]
        return _mean(scores, weights if by_rows else None)

    return scorer


def _mean(scores: list[Any], weights: list[Any] | None = None) -> Floats:
    """The mean of several labels' scores; NaN where one that counts has none."""
    if weights is None:
        return np.asarray(np.mean(scores, axis=0), dtype=np.float64)
    parts = zip(scores, weights, strict=True)
    total = sum(np.where(weight > 0, score * weight, 0.0) for score, weight in parts)
    return np.asarray(total / sum(weights), dtype=np.float64)


# -- the area under the ROC curve


def _area(is_positive: NDArray[np.bool_], y_pred: Floats) -> Floats:
    """Mann-Whitney's U over the number of pairs; ties count half."""
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    of_positives = ranks(y_pred, "average")[..., is_positive].sum(axis=-1)
    above = of_positives - n_positive * (n_positive + 1) / 2
    return np.asarray(above / np.float64(n_positive * n_negative), dtype=np.float64)


def _sort_for_area(is_positive: NDArray[np.bool_], scores: Floats) -> Walk:
    """Pairs in the right order over all pairs; ties count half (Mann & Whitney 1947)."""
    positives, negative = scores[is_positive], np.flatnonzero(~is_positive)
    negative = negative[np.argsort(scores[negative])]
    below = np.searchsorted(scores[negative], positives, side="left")
    not_above = np.searchsorted(scores[negative], positives, side="right")
    sides = (below,) if (below == not_above).all() else (below, not_above)

    def walk(samples: Samples) -> Floats:
        up_to = cumulative(samples.counts, negative)
        pairs = [np.einsum("ib,ib->b", samples.of_positives, up_to.take(at, 0)) for at in sides]
        n_pairs = samples.n_positive * samples.n_negative
        return np.asarray(np.mean(pairs, axis=0) / n_pairs, dtype=np.float64)

    return walk


def _mean_area(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Floats:
    """The mean over the labels, or of the second one alone."""
    return _mean([_area(is_true, p) for is_true, p in _sides(kind, y_true, y_pred)])


register(
    "roc_auc",
    "max",
    "binary",
    "multilabel",
    words="Area under the ROC curve, for several labels the mean of theirs; undefined where a "
    "label has no positive row, or no negative one.",
    bounds=SHARE,
    scorer=_walking(_sort_for_area),
    cost="ordered",
)(_mean_area)
register(
    "roc_auc_ovr",
    "max",
    "multiclass",
    words="Mean over the classes of the area under the ROC curve of each against the rest; "
    "undefined where a class has no row.",
    bounds=SHARE,
    scorer=_walking(_sort_for_area),
    cost="ordered",
)(_mean_area)


@register(
    "roc_auc_ovr_weighted",
    "max",
    "multiclass",
    words="The same, each class weighted by its rows, so that one without a row is left out.",
    bounds=SHARE,
    scorer=_walking(_sort_for_area, by_rows=True),
    cost="ordered",
)
def _roc_auc_ovr_weighted(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    sides = _sides(kind, y_true, y_pred)
    areas = [_area(is_true, p) for is_true, p in sides]
    return _mean(areas, [is_true.sum() for is_true, _ in sides])


# -- precision at the positives


def _precision_at_positives(is_positive: NDArray[np.bool_], y_pred: Floats) -> Floats:
    """Mean over the positives of the precision at their score, ties included; 0 without any."""
    if not is_positive.any():
        return np.zeros(y_pred.shape[:-1])
    at_least = ranks(-y_pred, "max")[..., is_positive]
    positives_at_least = ranks(-y_pred[..., is_positive], "max")
    precisions = np.ascontiguousarray(positives_at_least / at_least)
    return np.asarray(precisions.mean(axis=-1), dtype=np.float64)


def _sort_for_precision(is_positive: NDArray[np.bool_], scores: Floats) -> Walk:
    """Mean over the positives of the precision at their score; 0 without any, NaN without rows."""
    positive, negative = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    positive = positive[np.argsort(-scores[positive])]
    negative = negative[np.argsort(-scores[negative])]
    thresholds = -scores[is_positive]
    true = np.searchsorted(-scores[positive], thresholds, side="right")
    false = np.searchsorted(-scores[negative], thresholds, side="right")

    def walk(samples: Samples) -> Floats:
        agreed = cumulative(samples.counts, positive).take(true, axis=0)
        said = cumulative(samples.counts, negative).take(false, axis=0)
        said += agreed
        summed = np.einsum("ib,ib->b", samples.of_positives, share(agreed, said))
        return known(share(summed, samples.n_positive), samples.n_rows)

    return walk


@register(
    "average_precision",
    "max",
    "binary",
    "multiclass",
    "multilabel",
    words="Area under the curve of precision over recall, as a mean over the positives; of several "
    "labels or classes the mean. A label without a positive row has 0.",
    bounds=SHARE,
    scorer=_walking(_sort_for_precision),
    cost="ordered",
)
def _average_precision(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    sides = _sides(kind, y_true, y_pred)
    return _mean([_precision_at_positives(is_true, p) for is_true, p in sides])


# -- one of precision and recall where the other is given


def _best_at(other: str, least: float) -> tuple[Any, Scorer]:
    """The largest precision (or recall) over thresholds at which the other is at least ``least``.

    Both are counted at each different probability, as scikit-learn's ``precision_recall_curve``
    does; where none reaches it, at a threshold that no row reaches.
    """

    def best(agreed: Any, said: Any, n_positive: Any, is_end: Any, axis: int) -> Floats:
        precision, recall = share(agreed, said), agreed / n_positive
        wanted, given = (recall, precision) if other == "precision" else (precision, recall)
        reaches = given >= least * (1.0 - ROUNDING)
        found = np.where(is_end & (said > 0) & reaches, wanted, 0.0).max(axis=axis)
        return np.where(n_positive > 0, found, np.nan)

    def function(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
        order = np.argsort(-y_pred, axis=-1, kind="stable")
        ordered = np.take_along_axis(y_pred, order, axis=-1)
        agreed = np.cumsum(y_true[order] == 1, axis=-1)
        said = np.arange(1, len(y_true) + 1)
        return best(agreed, said, (y_true == 1).sum(), ends_of_ties(ordered), -1)

    def sort(is_positive: NDArray[np.bool_], scores: Floats) -> Walk:
        order = np.argsort(-scores, kind="stable")
        is_end = ends_of_ties(scores[order])[:, np.newaxis]
        ordered = is_positive[order, np.newaxis]

        def walk(samples: Samples) -> Floats:
            said = cumulative(samples.counts, order)[1 : len(order) + 1]
            of_positives = np.where(ordered, samples.counts[order], 0)
            agreed = np.cumsum(of_positives, axis=0)
            return best(agreed, said, samples.n_positive, is_end, 0)

        return walk

    return function, _walking(sort)


def _register_at(of: str, other: str) -> None:
    def make(name: str, least: float, words: str) -> Metric:
        function, scorer = _best_at(other, least)
        return Metric(
            name,
            "max",
            ("binary",),
            words=words,
            bounds=SHARE,
            function=function,
            scorer=scorer,
            cost="ordered",
        )

    register_family(
        Family(
            f"{of}_at_{other}",
            "SHARE",
            "a share above 0, up to 1",
            lambda share: 0 < share <= 1,
            f"The largest {of} of the second label over all thresholds at which its {other} is at "
            "least {}; 0 where none is. Undefined without a positive row.",
            make,
            (0.5, 0.9),
        )
    )


_register_at("precision", "recall")
_register_at("recall", "precision")
