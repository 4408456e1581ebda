"""Standard errors of mean fold scores, and their t intervals.

References
----------
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
Bouckaert, R., Frank, E.: Evaluating the replicability of significance tests for comparing
learning algorithms. PAKDD 2004, LNAI 3056, 3-12.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from hpsearch.stats.base import Floats, check_share, size_ratio, variance


def naive_se(scores: ArrayLike) -> Floats:
    """Standard error of a mean of independent scores, ``s / sqrt(J)``.

    Fold scores share training rows and are not independent, so this is too small for them; it is
    here to show by how much. ``s^2`` has the divisor J - 1.

    Parameters
    ----------
    scores : (..., J) scores, J the number of folds.

    Returns
    -------
    float64 (...); NaN where J is 1.

    Examples
    --------
    >>> float(naive_se([1.0, 2.0, 3.0, 4.0]).round(6))
    0.645497
    """
    values = np.asarray(scores, dtype=np.float64)
    return np.asarray(np.sqrt(variance(values) / values.shape[-1]))


def corrected_se(scores: ArrayLike, n_train: ArrayLike, n_validation: ArrayLike) -> Floats:
    """Standard error of a mean of fold scores, corrected for their shared training rows.

    ``sqrt((1 / J + n_validation / n_train) * s^2)``, the variance of the corrected resampled
    t-test (Nadeau & Bengio 2003); for P repeats of K folds (Bouckaert & Frank 2004) J is P K and
    the ratio 1 / (K - 1): ``sqrt((1 / (P K) + 1 / (K - 1)) * s^2)``. Folds of unequal sizes enter
    with their mean sizes, so that the ratio is 1 / (K - 1) exactly wherever the K validation sides
    are a partition of the rows, whatever their sizes.

    Parameters
    ----------
    scores : (..., J) scores of the J folds of all repeats.
    n_train, n_validation : rows of the sides: one number, or one per fold, whose means count.

    Returns
    -------
    float64 (...); NaN where J is 1.

    Raises
    ------
    ValueError : where sizes are not above 0, or neither one number nor one per fold.

    Examples
    --------
    >>> float(corrected_se([1.0, 2.0, 3.0, 4.0], n_train=75, n_validation=25).round(6))
    0.986013
    """
    values = np.asarray(scores, dtype=np.float64)
    n_scores = values.shape[-1]
    ratio = size_ratio(n_train, n_validation, n_scores)
    return np.asarray(np.sqrt((1.0 / n_scores + ratio) * variance(values)))


def t_interval(
    mean: ArrayLike, se: ArrayLike, df: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Confidence interval of Student's t: ``mean -+ t((1 + level) / 2, df) * se``.

    Parameters
    ----------
    mean, se : mean and its standard error, of one shape.
    df : degrees of freedom, J - 1 for J folds.
    level : coverage, above 0 and below 1.

    Returns
    -------
    low, high : float64; NaN where ``se`` is NaN or ``df`` below 1.

    Raises
    ------
    OptionError : where ``level`` is not above 0 and below 1.

    Examples
    --------
    >>> low, high = t_interval(10.0, 1.0, 11)
    >>> print(low.round(4), high.round(4))
    7.799 12.201
    """
    check_share("level", level)
    freedom = np.asarray(df, dtype=np.float64)
    quantile = stdtrit(np.where(freedom >= 1, freedom, np.nan), (1.0 + level) / 2.0)
    centre = np.asarray(mean, dtype=np.float64)
    half = quantile * np.asarray(se, dtype=np.float64)
    return centre - half, centre + half
