"""What the rows of folds weigh: refused where it is nothing, and how many rows they are worth.

References
----------
Kish, L.: Survey Sampling. Wiley (1965).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.data import Dataset
from hpsearch.errors import FoldError
from hpsearch.folds.record import Fold


def effective_rows(weights: ArrayLike) -> float:
    """How many rows of equal weight say as much: (sum of w) ** 2 / sum of w ** 2 (Kish 1965).

    It is exact for the variance of a weighted mean of values that don't depend on the weights.

    Examples
    --------
    >>> effective_rows([2.0, 2.0, 2.0]), round(effective_rows([1.0, 1.0, 8.0]), 3)
    (3.0, 1.515)
    """
    each = np.asarray(weights, dtype=np.float64)
    squares = float((each**2).sum())
    return float(each.sum()) ** 2 / squares if squares > 0 else 0.0


def rows_that_weigh(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some rows that weigh more than nothing in scores."""
    weights = dataset.score_weights
    return rows if weights is None else rows[weights[rows] > 0]


def check_weights(fold: Fold, dataset: Dataset) -> None:
    """Raise ``FoldError`` where the rows of a side weigh nothing.

    Without training rows that weigh, a network learns nothing; without validation rows that do,
    scores that weigh rows have no value.
    """
    weights = dataset.weights
    if weights is None:
        return
    for side, rows in (("training", fold.train), ("validation", fold.validation)):
        if not weights[rows].any() and (side == "training" or dataset.weighs_scores):
            named = f" by {dataset.weights_name!r}" if dataset.weights_name else ""
            remedy = "Leave out rows of weight 0, or use fewer or other folds"
            if side == "validation":
                remedy += ", or score all rows alike: --no-weigh-scores"
            raise FoldError(
                f"The {len(rows):,} {side} rows of {fold.place} weigh nothing{named}, and rows on "
                f"both sides of a fold must weigh something. {remedy}."
            )


def check_test_weights(test: Dataset) -> None:
    """Raise ``FoldError`` where test rows that weigh in scores weigh nothing."""
    if test.weights is not None and test.weighs_scores and not test.weights.any():
        raise FoldError(
            f"The {test.n_rows:,} test rows weigh nothing, so they have no score. Leave out rows "
            "of weight 0, take other test rows, or score all rows alike: --no-weigh-scores."
        )
