"""Where the variance of fold scores comes from, and what more repeats, folds or seeds would buy.

References
----------
Searle, S. R., Casella, G., McCulloch, C. E.: Variance Components. 1992, chapters 3 and 4.
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from hpsearch.stats.base import fold_scores


@dataclass(frozen=True)
class Gain:
    """What one more repeat, fold or seed would buy.

    Attributes
    ----------
    what : which of the three is raised by one.
    n_trainings : how many trainings that adds for each trial.
    se : the standard error that is expected then.
    """

    what: Literal["repeat", "fold", "seed"]
    n_trainings: int
    se: float


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of one fold score, by source, and the plan that they were measured with.

    Attributes
    ----------
    mean : mean of all scores.
    reshuffle : between repeats, beyond what their folds explain.
    fold : between the folds of a repeat; where there was one seed, initial weights are in it.
    seed : between initial weights on one fold; None where there was one seed.
    n_repeats, n_folds, n_seeds : the plan, P, K and S.
    """

    mean: float
    reshuffle: float
    fold: float
    seed: float | None
    n_repeats: int
    n_folds: int
    n_seeds: int

    def se(
        self,
        n_repeats: int | None = None,
        n_folds: int | None = None,
        n_seeds: int | None = None,
    ) -> float:
        """Standard error of the mean expected under a plan; what is not given stays.

        ``se^2 = v_reshuffle / P + v_fold / (P K) + v_seed / (P K S) + v_fold / (K - 1)``: the
        last term is the correction for shared training rows (Nadeau & Bengio 2003), applied to
        what the rows cause, since initial weights are drawn for each training anew. Neither
        repeats nor seeds shrink it. A fold of another size has another variance: ``v_fold`` is
        taken to grow with K, as that of a mean over n / K rows does.

        Parameters
        ----------
        n_repeats, n_folds, n_seeds : the plan, folds at least 2, the others at least 1; None for
            the one measured.

        Raises
        ------
        ValueError : for a plan that has no meaning, or more seeds where their part is unknown.
        """
        repeats = self.n_repeats if n_repeats is None else n_repeats
        folds = self.n_folds if n_folds is None else n_folds
        seeds = self.n_seeds if n_seeds is None else n_seeds
        if min(repeats, seeds) < 1 or folds < 2:
            raise ValueError(
                "A plan has at least 1 repeat, 2 folds and 1 seed; received "
                f"{repeats}, {folds} and {seeds}."
            )
        if self.seed is None and seeds > 1:
            raise ValueError(
                f"What {seeds} seeds would buy is known where several were measured; received 1."
            )
        of_fold = self.fold * folds / self.n_folds
        of_seeds = (self.seed or 0.0) / seeds
        chance = self.reshuffle / repeats + (of_fold + of_seeds) / (repeats * folds)
        return math.sqrt(chance + of_fold / (folds - 1))

    def gains(self) -> tuple[Gain, ...]:
        """One more repeat, fold and (where their part is known) seed, in this order.

        Examples
        --------
        >>> parts = VarianceComponents(0.8, 0.0, 0.0004, 0.0001, n_repeats=2, n_folds=4, n_seeds=2)
        >>> print(f"now {parts.se():.4f}")
        now 0.0138
        >>> for gain in parts.gains():
        ...     print(f"one more {gain.what}: {gain.n_trainings} trainings, {gain.se:.4f}")
        one more repeat: 8 trainings, 0.0131
        one more fold: 4 trainings, 0.0134
        one more seed: 8 trainings, 0.0137
        """
        p, k, s = self.n_repeats, self.n_folds, self.n_seeds
        one_more = [
            Gain("repeat", k * s, self.se(n_repeats=p + 1)),
            Gain("fold", p * s, self.se(n_folds=k + 1)),
        ]
        if self.seed is not None:
            one_more.append(Gain("seed", p * k, self.se(n_seeds=s + 1)))
        return tuple(one_more)


def variance_components(scores: ArrayLike) -> VarianceComponents:
    """Part the variance of fold scores into reshuffles, folds and initial weights.

    Scores are taken as ``y_pks = mean + reshuffle_p + fold_pk + seed_pks``, independent random
    effects, folds nested in repeats and seeds in folds, and the variances are those with which
    the mean squares of the analysis of variance are expected (Searle, Casella & McCulloch 1992):

    ``v_seed = MS_seed``, ``v_fold = (MS_fold - MS_seed) / S``,
    ``v_reshuffle = (MS_repeat - MS_fold) / (K S)``,

    with ``MS_seed = sum (y_pks - y_pk)^2 / (P K (S - 1))``,
    ``MS_fold = S sum (y_pk - y_p)^2 / (P (K - 1))`` and
    ``MS_repeat = K S sum (y_p - y)^2 / (P - 1)``; a negative one counts as 0. With one seed
    ``v_fold = MS_fold`` holds both. Folds of one repeat share out the same rows, so that a good
    one tends to come with a bad one: ``v_reshuffle`` is often 0.

    Parameters
    ----------
    scores : (P, K), or (P, K, S) where each fold was trained with S seeds; P at least 2 for
        ``v_reshuffle``, which is 0 otherwise; K at least 2.

    Raises
    ------
    ValueError : where a score is not finite, or the shape is not one of these.

    Examples
    --------
    >>> parts = variance_components([[[0.80, 0.82], [0.70, 0.74]], [[0.78, 0.80], [0.69, 0.75]]])
    >>> print(f"{parts.reshuffle:.5f} {parts.fold:.5f} {parts.seed:.5f}")
    0.00000 0.00288 0.00075
    """
    values = fold_scores(scores)
    if values.ndim not in (2, 3) or values.shape[1] < 2 or not values.size:
        raise ValueError(
            "`scores` must be (repeats, folds) or (repeats, folds, seeds) with at least 2 folds; "
            f"received shape {values.shape}."
        )
    values = values.reshape(*values.shape[:2], -1)
    n_repeats, n_folds, n_seeds = values.shape
    folds = values.mean(axis=2)
    repeats = folds.mean(axis=1)
    ms_fold = n_seeds * float(folds.var(axis=1, ddof=1).mean())
    ms_repeat = n_folds * n_seeds * float(repeats.var(ddof=1)) if n_repeats > 1 else ms_fold
    ms_seed = float(values.var(axis=2, ddof=1).mean()) if n_seeds > 1 else None
    return VarianceComponents(
        mean=float(values.mean()),
        reshuffle=max(0.0, (ms_repeat - ms_fold) / (n_folds * n_seeds)),
        fold=max(0.0, (ms_fold - (ms_seed or 0.0)) / n_seeds),
        seed=ms_seed,
        n_repeats=n_repeats,
        n_folds=n_folds,
        n_seeds=n_seeds,
    )
