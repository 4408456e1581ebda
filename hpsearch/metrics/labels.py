"""Metrics of predicted labels: how often they are right, and what F1, kappa and others make of it.

The label is the most probable one; with labels of their own (binary, multilabel), a probability of
0.5 or more says that a row has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import (
    CORRELATION,
    SHARE,
    Family,
    Floats,
    Metric,
    TargetRule,
    predicted_codes,
    register,
    register_family,
)
from hpsearch.metrics.sums import (
    Sums,
    agreed_and_said,
    beyond_rounding,
    known,
    mean,
    of_classes,
    one_hot,
    register_sums,
    share,
)
from hpsearch.task import ProblemKind, Target

# -- right or wrong


def _hits(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    return np.asarray(predicted_codes(kind, y_pred) == y_true)


@register(
    "accuracy",
    "max",
    "binary",
    "multiclass",
    words="Share of the rows whose most probable label is right.",
    bounds=SHARE,
    scorer=Sums(_hits, mean).weighted,
)
def _accuracy(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return _hits(kind, y_true, y_pred).mean(axis=-1)


def _hits_of_classes(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """Which rows of each class are predicted right, (A, C, n)."""
    n_classes = 2 if kind == "binary" else y_pred.shape[-1]
    hits = _hits(kind, y_true, y_pred)
    return np.asarray(hits[:, np.newaxis, :] & one_hot(y_true, n_classes))


def _mean_recall(hits: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    occurs = of_classes[:, np.newaxis, :] > 0
    recalls = share(hits, of_classes[:, np.newaxis, :])
    return np.asarray(recalls.sum(axis=-1) / occurs.sum(axis=-1), dtype=np.float64)


@register(
    "balanced_accuracy",
    "max",
    "binary",
    "multiclass",
    words="Mean recall of the classes that occur in the truth.",
    bounds=SHARE,
    scorer=Sums(_hits_of_classes, _mean_recall, of_classes).weighted,
)
def _balanced_accuracy(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    hits = _hits(kind, y_true, y_pred)
    recalls = [hits[..., y_true == code].mean(axis=-1) for code in np.unique(y_true)]
    return np.mean(recalls, axis=0)


def _above_chance(hits: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    chance = 1.0 / (of_classes > 0).sum(axis=-1, keepdims=True)
    above = _mean_recall(hits, of_classes, n_rows) - chance
    return np.asarray(above / (1.0 - chance), dtype=np.float64)


register_sums(
    "adjusted_balanced_accuracy",
    "max",
    "binary",
    "multiclass",
    words="Balanced accuracy, so scaled that guessing has 0 and 1 is perfect; undefined where the "
    "truth has one class.",
    bounds=CORRELATION,
    sums=Sums(_hits_of_classes, _above_chance, of_classes),
)


def _truth_among_top(k: int) -> Sums:
    def hits(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
        """Whether fewer than k classes come before the truth; of equal ones the last is first."""
        codes = np.arange(y_pred.shape[-1])
        of_truth = y_pred[..., np.arange(len(y_true)), y_true][..., np.newaxis]
        is_tied_before = (y_pred == of_truth) & (codes > y_true[:, np.newaxis])
        return np.asarray(((y_pred > of_truth) | is_tied_before).sum(axis=-1) < k)

    return Sums(hits, mean)


def _top_k(name: str, number: float, words: str) -> Metric:
    k = int(number)
    among = _truth_among_top(k)

    def received(target: Target, y: NDArray[Any]) -> str:
        return "" if target.n_outputs > k else f"a target of {target.n_outputs}"

    return Metric(
        name,
        "max",
        ("multiclass",),
        words=words,
        bounds=SHARE,
        function=among.plain,
        scorer=among.weighted,
        rule=TargetRule(f"more than {k} classes", received),
    )


register_family(
    Family(
        "top_k_accuracy",
        "K",
        "a whole number from 2",
        lambda k: k >= 2 and k == int(k) and k <= 10**6,
        "Share of the rows whose class is among the {} most probable ones.",
        _top_k,
        (2, 3),
    )
)


def _wrong(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    return np.asarray(((y_pred >= 0.5) != (y_true == 1)).mean(axis=-1))


register_sums(
    "hamming_loss",
    "min",
    "multilabel",
    words="Share of all labels of all rows that are wrong.",
    bounds=SHARE,
    sums=Sums(_wrong, mean),
)


# -- precision, recall and F


def _f1s(sums: Floats, of_classes: Floats) -> tuple[Floats, Floats]:
    """F1 of each class, and how many rows have or are said to have it, both (B, A, C)."""
    agreed, said = sums[:, :, 0], sums[:, :, 1]
    either = of_classes[:, np.newaxis, :] + said
    return share(2.0 * agreed, either), either


def _sum_f1(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return known(_f1s(sums, of_classes)[0][..., 1], n_rows)


def _sum_micro_f1(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    together = sums.sum(axis=-1, keepdims=True), of_classes.sum(axis=-1, keepdims=True)
    return known(_f1s(*together)[0][..., 0], n_rows)


def _sum_macro_f1_of_labels(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return known(_f1s(sums, of_classes)[0].mean(axis=-1), n_rows)


def _sum_macro_f1_of_classes(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    f1s, either = _f1s(sums, of_classes)
    return np.asarray(f1s.sum(axis=-1) / (either > 0).sum(axis=-1), dtype=np.float64)


def _sum_macro_f1(
    kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
) -> Floats:
    finish = _sum_macro_f1_of_labels if kind == "multilabel" else _sum_macro_f1_of_classes
    return Sums(agreed_and_said, finish, of_classes).weighted(kind, y_true, y_pred, times)


def _f1_of(
    true: NDArray[np.bool_], said: NDArray[np.bool_], *, axis: int | tuple[int, ...]
) -> Floats:
    """2 TP / (2 TP + FP + FN) over the given axes of ``said``; 0 where that is 0 / 0."""
    agreed = (true & said).sum(axis=axis)
    either = np.broadcast_to(true, said.shape).sum(axis=axis) + said.sum(axis=axis)
    return np.asarray(2.0 * agreed / np.maximum(either, 1), dtype=np.float64)


@register(
    "f1",
    "max",
    "binary",
    words="F1 of the second label; 0 where it neither occurs nor is predicted.",
    bounds=SHARE,
    scorer=Sums(agreed_and_said, _sum_f1, of_classes).weighted,
)
def _f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return _f1_of(y_true == 1, y_pred >= 0.5, axis=-1)


@register(
    "micro_f1",
    "max",
    "multilabel",
    words="F1 over all rows and labels together; 0 without any positive.",
    bounds=SHARE,
    scorer=Sums(agreed_and_said, _sum_micro_f1, of_classes).weighted,
)
def _micro_f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return _f1_of(y_true == 1, y_pred >= 0.5, axis=(-2, -1))


@register(
    "macro_f1",
    "max",
    "binary",
    "multiclass",
    "multilabel",
    words="Mean F1 of the labels (multilabel), or of the classes that occur in the truth or the "
    "predictions.",
    bounds=SHARE,
    scorer=_sum_macro_f1,
)
def _macro_f1(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
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


def _sum_weighted_f1(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    occurring = of_classes[:, np.newaxis, :]
    total = (_f1s(sums, of_classes)[0] * occurring).sum(axis=-1)
    return known(share(total, occurring.sum(axis=-1)), n_rows)


register_sums(
    "weighted_f1",
    "max",
    "binary",
    "multiclass",
    "multilabel",
    words="Mean F1 of the classes or labels, each weighted by the rows that have it.",
    bounds=SHARE,
    sums=Sums(agreed_and_said, _sum_weighted_f1, of_classes),
)


def _sum_precision(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return known(share(sums[:, :, 0, 1], sums[:, :, 1, 1]), n_rows)


def _sum_recall(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    return known(share(sums[:, :, 0, 1], of_classes[:, np.newaxis, 1]), n_rows)


register_sums(
    "precision",
    "max",
    "binary",
    words="Share of the rows said to have the second label that have it; 0 where none is.",
    bounds=SHARE,
    sums=Sums(agreed_and_said, _sum_precision, of_classes),
)
register_sums(
    "recall",
    "max",
    "binary",
    words="Share of the rows with the second label that are said to have it; 0 where none has it.",
    bounds=SHARE,
    sums=Sums(agreed_and_said, _sum_recall, of_classes),
)


def _f_beta(name: str, beta: float, words: str) -> Metric:
    def finish(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
        agreed, said, true = sums[:, :, 0, 1], sums[:, :, 1, 1], of_classes[:, np.newaxis, 1]
        return known(share((1 + beta**2) * agreed, beta**2 * true + said), n_rows)

    sums = Sums(agreed_and_said, finish, of_classes)
    return Metric(
        name,
        "max",
        ("binary",),
        words=words,
        bounds=SHARE,
        function=sums.plain,
        scorer=sums.weighted,
    )


register_family(
    Family(
        "f_beta",
        "BETA",
        "a number above 0",
        lambda beta: 0 < beta <= 1000,
        "F of the second label where recall counts {} times as much as precision; 0 where it "
        "neither occurs nor is predicted.",
        _f_beta,
        (0.5, 2),
    )
)


# -- agreement


def _matthews(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    true, said = of_classes[:, np.newaxis, :], sums[:, :, 1]
    agreed = sums[:, :, 0].sum(axis=-1)
    together = agreed * n_rows - (true * said).sum(axis=-1)
    squared = n_rows**2
    apart = beyond_rounding(squared - (said**2).sum(axis=-1), squared) * beyond_rounding(
        squared - (true**2).sum(axis=-1), squared
    )
    return known(share(together, np.sqrt(np.maximum(apart, 0.0))), n_rows)


register_sums(
    "matthews",
    "max",
    "binary",
    "multiclass",
    words="Matthews' correlation of predicted and true labels; 0 where either has one alone.",
    bounds=CORRELATION,
    sums=Sums(agreed_and_said, _matthews, of_classes),
)


def _cohen_kappa(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    by_chance = n_rows - (of_classes[:, np.newaxis, :] * sums[:, :, 1]).sum(axis=-1) / n_rows
    by_chance = beyond_rounding(by_chance, n_rows)
    return np.asarray(1.0 - (n_rows - sums[:, :, 0].sum(axis=-1)) / by_chance, dtype=np.float64)


register_sums(
    "cohen_kappa",
    "max",
    "binary",
    "multiclass",
    words="Cohen's kappa: agreement of predicted and true labels beyond chance; undefined where "
    "both have the same one alone.",
    bounds=CORRELATION,
    sums=Sums(agreed_and_said, _cohen_kappa, of_classes),
)


def _distances_and_said(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """Squared distance of the codes, then which rows are said to have each class, (A, 1 + C, n)."""
    codes = predicted_codes(kind, y_pred)
    n_classes = 2 if kind == "binary" else y_pred.shape[-1]
    squares = ((codes - y_true) ** 2)[:, np.newaxis, :]
    return np.concatenate([squares, one_hot(codes, n_classes)], axis=1)


def _quadratic_kappa(sums: Floats, of_classes: Floats, n_rows: Floats) -> Floats:
    codes = np.arange(of_classes.shape[-1], dtype=np.float64)
    distances = (codes[:, np.newaxis] - codes) ** 2
    by_chance = ((of_classes @ distances)[:, np.newaxis, :] * sums[..., 1:]).sum(axis=-1) / n_rows
    return np.asarray(1.0 - sums[..., 0] / by_chance, dtype=np.float64)


register_sums(
    "quadratic_kappa",
    "max",
    "binary",
    "multiclass",
    words="Cohen's kappa with quadratic weights: a mistake counts by the squared distance of the "
    "labels in their order; undefined as it is.",
    bounds=CORRELATION,
    sums=Sums(_distances_and_said, _quadratic_kappa, of_classes),
)
