"""What rows weigh in the loss: weights of their own, times those of their classes.

Balanced weights of classes follow the training rows of each fold alone. A count for one unit of
exposure weighs its exposure, so that the Poisson loss is that of the counts themselves.

Owns ``LossWeights``. How class weights are given belongs to ``data.class_weights``, how a loss
takes weights to the engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.class_weights import ClassWeight
from hpsearch.errors import OptionError
from hpsearch.task import Target


@dataclass(frozen=True, eq=False)
class LossWeights:
    """What the rows of every fold weigh.

    Attributes
    ----------
    classes : float64 (n_folds + 1, n_classes), a class's weight in each fold, and last in the refit
        on all rows; or None.
    rows : float64 (n_rows,), weights of their own, or None.
    exposure : float64 (n_rows,), or None.
    exposure_units : float64 (n_folds + 1,), the mean exposure of each fold's training rows, and
        last of all rows, which weighs 1; or None.
    """

    classes: NDArray[np.float64] | None
    rows: NDArray[np.float64] | None = None
    exposure: NDArray[np.float64] | None = None
    exposure_units: NDArray[np.float64] | None = None

    def of(self, y: NDArray[Any], position: int | None) -> NDArray[np.float32]:
        """What each row weighs (n_rows,) in a fold; None for the refit on all rows.

        Parameters
        ----------
        y : the rows' class codes.
        """
        at = -1 if position is None else position
        weights = np.ones(len(y)) if self.rows is None else self.rows
        if self.classes is not None:
            weights = weights * self.classes[at][y.astype(np.int64)]
        if self.exposure is not None and self.exposure_units is not None:
            weights = weights * (self.exposure / self.exposure_units[at])
        return weights.astype(np.float32)

    def of_first(self, n_rows: int) -> LossWeights:
        """The same of the first rows of the table alone."""
        rows, exposure = (v if v is None else v[:n_rows] for v in (self.rows, self.exposure))
        return replace(self, rows=rows, exposure=exposure)


def check_class_weight(asked: ClassWeight | None, target: Target) -> None:
    """Raise ``OptionError`` where a target has no classes, or not those that are given weights."""
    if asked is None:
        return
    if not target.is_classification:
        raise OptionError(
            f"Class weights need a target of one class a row; received one of {target.kind}. "
            "Leave `class_weight` out."
        )
    if isinstance(asked, str):
        return
    unknown = [label for label in asked if _code(target, label) is None]
    if unknown:
        more = ", ..." if len(target.labels) > 20 else ""
        known = ", ".join(map(str, target.labels[:20])) + more
        raise OptionError(
            f"`class_weight` names labels of the target; received {unknown[0]!r}. "
            f"The labels are: {known}."
        )


def fit_loss_weights(
    rows: NDArray[np.float64] | None,
    asked: ClassWeight | None,
    target: Target,
    y: NDArray[Any],
    training_rows: Sequence[NDArray[np.integer[Any]]],
    exposure: NDArray[np.float64] | None = None,
) -> LossWeights | None:
    """What rows weigh in each fold; None where all weigh the same.

    Balanced weights of classes are w / (k * w_c), as in scikit-learn's ``compute_class_weight``: w
    is what the training rows weigh, k the classes among them, w_c what the rows of class c weigh.

    Parameters
    ----------
    rows : weights of their own (n_rows,), or None; asked : those of classes, or None.
    training_rows : of each fold, and last all rows.
    exposure : of each row (n_rows,), or None.
    """
    if rows is not None and (rows == 1).all():
        rows = None
    if exposure is not None:
        units = np.array([exposure[chosen].mean() for chosen in training_rows])
        return LossWeights(None, rows, exposure, units)
    if asked is None:
        return None if rows is None else LossWeights(None, rows)
    weights = np.ones((len(training_rows), len(target.labels)))
    if isinstance(asked, str):
        for weight, chosen in zip(weights, training_rows, strict=True):
            own = None if rows is None else rows[chosen]
            of_class = np.bincount(y[chosen].astype(np.int64), own, minlength=len(weight))
            there = of_class > 0
            weight[there] = of_class.sum() / (there.sum() * of_class[there])
    else:
        for label, value in asked.items():
            weights[:, _code(target, label)] = value
    return LossWeights(weights, rows)


def _code(target: Target, label: str) -> int | None:
    """A label's code, by its text or, where labels are numbers, by its value."""
    texts = list(map(str, target.labels))
    if label in texts:
        return texts.index(label)
    try:
        return [float(text) for text in texts].index(float(label))
    except ValueError:
        return None
