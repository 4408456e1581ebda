"""Where the score of a set of new rows is expected: an interval, widened for their number.

An interval of an estimate says where the score on endless new rows may lie. Few new rows scatter
around that: their score has a variance of its own, in inverse proportion to their number. And the
estimate is of networks that had fewer rows to learn from than the one that is exported.
"""

from __future__ import annotations

import math

OUT_OF_BAG = 1.0 / math.e
"""The share of the rows that a bootstrap sample leaves out, of many rows."""


def rows_of_bootstrap(n_rows: float) -> float:
    """Rows whose score scatters as the out-of-bag scores of a bootstrap do.

    An out-of-bag side is a sample without replacement of a share q = 1 / e of the n rows, whose
    mean has the variance ``(1 - q) / (q n)`` times that of a row (Cochran 1977, Sampling
    Techniques, section 2.6): as ``n / (e - 1)`` rows have.

    Examples
    --------
    >>> round(rows_of_bootstrap(1000.0))
    582
    """
    return n_rows * OUT_OF_BAG / (1.0 - OUT_OF_BAG)


def rows_of_folds(n_validation: float, n_train: float, n_scores: int) -> float:
    """Rows whose score scatters as the corrected mean of fold scores does.

    A fold's score is one of ``n_validation`` rows; the mean of J of them has ``1 / J +
    n_validation / n_train`` times its variance (Nadeau & Bengio 2003).

    Examples
    --------
    >>> round(rows_of_folds(25, 75, 4), 1)
    42.9
    """
    return n_validation / (1.0 / n_scores + n_validation / n_train)


def of_new_rows(
    value: float, low: float, high: float, *, n_interval: float, n_known: float, n_new: float
) -> tuple[float, float]:
    """Where the score of some new rows is expected, by an estimate's own interval.

    Both ends move away from the value by ``sqrt(n_interval (1 / n_known + 1 / n_new))``: an
    interval that is as wide as the scatter of ``n_interval`` rows becomes one for the difference
    between an estimate from ``n_known`` rows and a score on ``n_new``. Its form, skewed as it may
    be, stays, and it never becomes narrower: many new rows leave what the estimate doesn't know.

    Examples
    --------
    >>> low, high = of_new_rows(0.5, 0.4, 0.7, n_interval=100, n_known=100, n_new=25)
    >>> print(f"{low:.3f} {high:.3f}")
    0.276 0.947
    """
    factor = max(1.0, math.sqrt(n_interval * (1.0 / n_known + 1.0 / n_new)))
    return value - (value - low) * factor, value + (high - value) * factor


def of_more_training_rows(
    value: float, low: float, high: float, *, best: float, share: float
) -> tuple[float, float]:
    """An interval of scores of networks that learnt from a share of the rows, for one of all rows.

    More rows make a network better, and the folds cannot say how much. An error in the target's
    units that is all due to having few rows falls as the root of their number, and noise does not
    fall. So the end on the better side moves towards the best value that there is, to
    ``sqrt(share)`` of its distance: an allowance, and no bound, since squares and deviances may
    fall faster. The other end stays.

    Parameters
    ----------
    best : the best value that the metric can have; the interval may reach beyond it.

    Examples
    --------
    >>> of_more_training_rows(0.5, 0.4, 0.7, best=0.0, share=0.75)
    (0.34641016151377546, 0.7)
    >>> of_more_training_rows(0.85, 0.8, 0.9, best=1.0, share=0.81)
    (0.8, 0.91)
    """
    factor = math.sqrt(share)
    if best <= value:
        return min(low, best + (low - best) * factor), high
    return low, max(high, best - (best - high) * factor)
