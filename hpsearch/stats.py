"""Statistics of fold scores and of learning curves: pure functions on arrays.

Owns standard errors, intervals and the rules that read an epoch or a trial off scores. Where
scores come from belongs to ``hpsearch.engines``, what is done with a selected trial to
``hpsearch.search``.

References
----------
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
Bouckaert, R., Frank, E.: Evaluating the replicability of significance tests for comparing
learning algorithms. PAKDD 2004, LNAI 3056, 3-12.
Breiman, L., Friedman, J., Olshen, R., Stone, C.: Classification and Regression Trees. 1984.
Prechelt, L.: Early stopping - but when? Neural Networks: Tricks of the Trade, 1998, 55-69.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Direction = Literal["min", "max"]


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
    return np.asarray(np.sqrt(_variance(values) / values.shape[-1]))


def corrected_se(scores: ArrayLike, n_train: ArrayLike, n_validation: ArrayLike) -> Floats:
    """Standard error of a mean of fold scores, corrected for their shared training rows.

    ``sqrt((1 / J + n_validation / n_train) * s^2)``, the variance of the corrected resampled
    t-test (Nadeau & Bengio 2003); for P repeats of K folds (Bouckaert & Frank 2004) J is P K and
    the ratio 1 / (K - 1): ``sqrt((1 / (P K) + 1 / (K - 1)) * s^2)``.

    Parameters
    ----------
    scores : (..., J) scores of the J folds of all repeats.
    n_train, n_validation : rows of the sides: one number, or one per fold, whose means count.

    Returns
    -------
    float64 (...); NaN where J is 1.

    Examples
    --------
    >>> float(corrected_se([1.0, 2.0, 3.0, 4.0], n_train=75, n_validation=25).round(6))
    0.986013
    """
    values = np.asarray(scores, dtype=np.float64)
    ratio = np.mean(np.asarray(n_validation)) / np.mean(np.asarray(n_train))
    return np.asarray(np.sqrt((1.0 / values.shape[-1] + ratio) * _variance(values)))


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
    ValueError : where ``level`` is not above 0 and below 1.

    Examples
    --------
    >>> low, high = t_interval(10.0, 1.0, 11)
    >>> print(low.round(4), high.round(4))
    7.799 12.201
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` is above 0 and below 1; received {level}.")
    freedom = np.asarray(df, dtype=np.float64)
    quantile = stdtrit(np.where(freedom >= 1, freedom, np.nan), (1.0 + level) / 2.0)
    centre = np.asarray(mean, dtype=np.float64)
    half = quantile * np.asarray(se, dtype=np.float64)
    return centre - half, centre + half


def one_standard_error(
    scores: ArrayLike, ses: ArrayLike, complexity: ArrayLike, direction: Direction
) -> int:
    """The simplest trial whose score lies within one standard error of the best.

    The 1-SE rule (Breiman et al. 1984, section 3.4.3): the standard error is that of the best
    trial. Of equally simple trials the best scoring one is taken, then the first.

    Parameters
    ----------
    scores, ses : (T,) score and standard error of each trial; an unknown standard error counts
        as 0, a score that is not finite is never taken.
    complexity : (T,) what simpler trials have less of, such as the number of parameters.
    direction : ``"min"`` where small scores are good, else ``"max"``.

    Returns
    -------
    The trial's position.

    Raises
    ------
    ValueError : where no score is finite.

    Examples
    --------
    >>> one_standard_error([0.30, 0.32, 0.40], [0.03, 0.03, 0.03], [900, 40, 10], "min")
    1
    """
    losses = _losses(scores, direction)
    best = int(np.argmin(losses))
    if not np.isfinite(losses[best]):
        raise ValueError("The one-standard-error rule needs a finite score; received none.")
    tolerance = np.nan_to_num(np.asarray(ses, dtype=np.float64)[best], nan=0.0)
    near = np.flatnonzero(losses <= losses[best] + tolerance)
    simplicity = np.asarray(complexity, dtype=np.float64)[near]
    return int(near[np.lexsort((losses[near], simplicity))[0]])


def best_epoch(mean_curve: ArrayLike, direction: Direction) -> int:
    """The first epoch at which a curve attains its best value, counted from 0.

    Parameters
    ----------
    mean_curve : (E,) one value per epoch; values that are not finite are never the best.
    direction : ``"min"`` where small values are good, else ``"max"``.

    Raises
    ------
    ValueError : where no value is finite.

    Examples
    --------
    >>> best_epoch([0.9, float("nan"), 0.5, 0.5, 0.7], "min")
    2
    """
    losses = _losses(mean_curve, direction)
    if not np.isfinite(losses).any():
        raise ValueError("A best epoch needs a finite value; received none.")
    return int(np.argmin(losses))


def patience_stop(mean_curve: ArrayLike, direction: Direction, patience: int | None) -> int:
    """How many epochs are kept as if training had stopped after ``patience`` epochs in vain.

    An epoch is in vain where its value is not better than all before it, or not finite. The
    epochs in vain are kept too, as Keras's ``EarlyStopping`` trains them; the rule is akin to
    criterion UP of Prechelt (1998), which waits for a number of strips in a row to get worse.

    Parameters
    ----------
    mean_curve : (E,) one value per epoch.
    direction : ``"min"`` where small values are good, else ``"max"``.
    patience : epochs in a row without improvement, at least 1; None never stops.

    Returns
    -------
    A number of epochs from 1 to E (0 for an empty curve).

    Raises
    ------
    ValueError : where ``patience`` is below 1.

    Examples
    --------
    >>> patience_stop([0.9, 0.5, 0.6, 0.5, 0.4], "min", patience=2)
    4
    """
    losses = _losses(mean_curve, direction)
    if patience is None:
        return len(losses)
    if patience < 1:
        raise ValueError(f"`patience` must be at least 1; received {patience}.")
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], losses[:-1]]))
    epochs = np.arange(len(losses))
    last_improved = np.maximum.accumulate(np.where(losses < best_before, epochs, -1))
    stopped = np.flatnonzero(epochs - last_improved >= patience)
    return int(stopped[0]) + 1 if stopped.size else len(losses)


def _variance(values: Floats) -> Floats:
    """Sample variance over the last axis, divisor J - 1; NaN where J is 1."""
    if values.shape[-1] < 2:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values.var(axis=-1, ddof=1), dtype=np.float64)


def _losses(values: ArrayLike, direction: Direction) -> Floats:
    """Values of which small ones are good; infinite where not finite."""
    array = np.asarray(values, dtype=np.float64)
    losses = array if direction == "min" else -array
    return np.where(np.isfinite(losses), losses, np.inf)
