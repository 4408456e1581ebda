"""Selecting a trial by its fold scores, and by how much that flatters it.

References
----------
Breiman, L., Friedman, J., Olshen, R., Stone, C.: Classification and Regression Trees. 1984.
Tibshirani, R. J., Tibshirani, R.: A bias correction for the minimum error rate in
cross-validation. The Annals of Applied Statistics 3 (2009) 822-829.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hpsearch.stats.base import losses_of
from hpsearch.task import Direction, loss_sign


def one_standard_error(
    scores: ArrayLike, ses: ArrayLike, complexity: ArrayLike, direction: Direction
) -> int:
    """The simplest trial whose score lies within one standard error of the best.

    The 1-SE rule (Breiman et al. 1984, section 3.4.3): the standard error is that of the best
    trial; take the corrected one, ``corrected_se``. Of equally simple trials the best scoring one
    is taken, then the first.

    Parameters
    ----------
    scores, ses : (T,) score and standard error of each trial; an unknown standard error counts
        as 0, a score that is not finite is never taken.
    complexity : what simpler trials have less of: (T,), such as the number of parameters, or
        (T, k), where each further column decides between trials that are equal in those before
        it, such as the number of parameters and the negated strength of a penalty.
    direction : ``"min"`` where small scores are good, else ``"max"``.

    Returns
    -------
    The trial's position.

    Raises
    ------
    ValueError : where no score is finite, or the lengths differ.

    Examples
    --------
    >>> one_standard_error([0.30, 0.32, 0.40], [0.03, 0.03, 0.03], [900, 40, 10], "min")
    1

    Of two networks of 40 parameters, the one with the stronger penalty:

    >>> keys = [[900, 0.0], [40, 0.0], [40, -0.01]]
    >>> one_standard_error([0.30, 0.31, 0.32], [0.03, 0.03, 0.03], keys, "min")
    2
    """
    losses = losses_of(scores, direction)
    errors = np.asarray(ses, dtype=np.float64)
    keys = np.asarray(complexity, dtype=np.float64)
    if not len(losses) == len(errors) == len(keys):
        raise ValueError(
            "The one-standard-error rule needs a score, a standard error and a complexity of each "
            f"trial; received {len(losses)}, {len(errors)} and {len(keys)}."
        )
    if not np.isfinite(losses).any():
        raise ValueError("The one-standard-error rule needs a finite score; received none.")
    best = int(np.argmin(losses))
    tolerance = np.nan_to_num(errors[best], nan=0.0)
    near = np.flatnonzero(losses <= losses[best] + tolerance)
    by_importance = keys.reshape(len(keys), -1)[near].T
    return int(near[np.lexsort((losses[near], *by_importance[::-1]))[0]])


@dataclass(frozen=True)
class FoldwiseCorrection:
    """What Tibshirani & Tibshirani's correction says of the selected trial.

    Attributes
    ----------
    trial : the selected trial's position.
    score : its mean over the folds, which the selection flatters.
    bias : by how much, in the score's units, 0 or above.
    estimate : the score made worse by the bias.
    """

    trial: int
    score: float
    bias: float
    estimate: float


def tibshirani_correction(
    scores: ArrayLike, direction: Direction, *, ended: ArrayLike | None = None
) -> FoldwiseCorrection:
    """How much better a fold's own winner looks than the winner of all folds.

    ``bias = mean over folds k of [e_k(winner) - min over trials of e_k]`` (Tibshirani &
    Tibshirani 2009): what selecting on fold k alone seems to gain there is an estimate of
    what selecting on all folds seems to gain. It needs no predictions, only fold scores, and
    takes more off the smaller the folds are: with few rows a fold and many trials it
    overcorrects, and ``bias_corrected_cv`` is to be preferred.

    Parameters
    ----------
    scores : (T, J) of T trials on J folds, of all repeats; a trial with a score that is not
        finite is left out.
    direction : ``"min"`` where small scores are good, else ``"max"``.
    ended : (S, J) of trials that ended early, NaN on the folds that they lack: they may be a
        fold's own winner, but never that of all folds.

    Raises
    ------
    ValueError : where no trial has finite scores.

    Examples
    --------
    Trial 0 wins with a mean of 0.25; the folds' own winners reach 0.2 and 0.2, 0.05 less:

    >>> correction = tibshirani_correction([[0.2, 0.3], [0.4, 0.2]], "min")
    >>> print(correction.trial, round(correction.bias, 4), round(correction.estimate, 4))
    0 0.05 0.3
    """
    losses = losses_of(scores, direction)
    if losses.ndim != 2 or not losses.size:
        raise ValueError(f"`scores` must be (trials, folds); received shape {losses.shape}.")
    means = losses.mean(axis=1)
    winner = int(np.argmin(means))
    if not np.isfinite(means[winner]):
        raise ValueError("The correction needs a trial with finite scores; received none.")
    finite = losses[np.isfinite(means)]
    if ended is not None:
        finite = np.concatenate([finite, losses_of(ended, direction).reshape(-1, losses.shape[1])])
    bias = float((losses[winner] - finite.min(axis=0)).mean())
    sign = loss_sign(direction)
    score = sign * float(means[winner])
    return FoldwiseCorrection(winner, score, bias, score + sign * bias)
