"""Two trials on the same folds: which one is better, how surely, and what it takes to know.

References
----------
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
Bouckaert, R., Frank, E.: Evaluating the replicability of significance tests for comparing
learning algorithms. PAKDD 2004, LNAI 3056, 3-12.
Corani, G., Benavoli, A.: A Bayesian approach for comparing cross-validated algorithms on
multiple data sets. Machine Learning 100 (2015) 285-304.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr

from hpsearch.errors import InputError, OptionError
from hpsearch.stats.base import Floats, check_share, fold_scores, size_ratio, variance
from hpsearch.stats.intervals import corrected_se, t_interval
from hpsearch.task import Direction

MAX_REPEATS = 1_000_000


@dataclass(frozen=True)
class PairedTest:
    """A corrected paired t-test of A against B.

    Attributes
    ----------
    difference : mean of A's scores less B's.
    se : its corrected standard error.
    t, df : the statistic and its degrees of freedom.
    p_value : two-sided.
    low, high : the confidence interval of the difference.
    """

    difference: float
    se: float
    t: float
    df: int
    p_value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Probabilities that A is better than B, practically equal, or worse; they add up to 1."""

    better: float
    equal: float
    worse: float


@dataclass(frozen=True)
class Decision:
    """When two leaders would be told apart, if the mean and variance of their difference stay.

    Attributes
    ----------
    n_repeats : the fewest repeats at which the leader is better with the wanted probability;
        None where no number is enough.
    more : how many that is beyond those that there are, 0 where it is decided; None as above.
    now : the probability that the leader is better, with the repeats that there are.
    at_most : what it tends to as repeats are added: past this only more rows help.
    """

    n_repeats: int | None
    more: int | None
    now: float
    at_most: float


def corrected_t_test(
    a: ArrayLike,
    b: ArrayLike,
    n_train: ArrayLike,
    n_validation: ArrayLike,
    *,
    level: float = 0.95,
) -> PairedTest:
    """Whether two trials' scores on the same folds differ by more than chance.

    The corrected resampled t-test (Nadeau & Bengio 2003; for repeated folds Bouckaert
    & Frank 2004): ``t = mean(d) / sqrt((1 / J + n_validation / n_train) s_d^2)`` with J - 1
    degrees of freedom, ``d = a - b`` on J folds. The plain paired t-test takes folds that share
    training rows for independent and finds differences where there are none.

    Parameters
    ----------
    a, b : (J,) scores, fold by fold, J at least 2.
    n_train, n_validation : rows of the sides: one number, or one per fold, whose means count.
    level : coverage of the interval.

    Returns
    -------
    The test. Where all differences are equal, ``se`` is 0 and ``p_value`` 0, or 1 if they are 0.

    Raises
    ------
    InputError : where the lengths differ: the folds cannot be the same.
    ValueError : where a score is not finite or there is one fold.
    OptionError : where ``level`` is not above 0 and below 1.

    Examples
    --------
    >>> a, b = [0.82, 0.86, 0.84, 0.88], [0.80, 0.85, 0.81, 0.86]
    >>> test = corrected_t_test(a, b, n_train=75, n_validation=25)
    >>> print(round(test.t, 4), round(test.p_value, 4))
    3.2071 0.0491
    """
    check_share("level", level)
    differences = _differences(a, b)
    df = len(differences) - 1
    mean = float(differences.mean())
    se = _corrected_se(differences, n_train, n_validation)
    t = mean / se if se > 0 else math.copysign(math.inf, mean) if mean else 0.0
    low, high = t_interval(mean, se, df, level)
    p_value = float(2.0 * stdtr(df, -abs(t)))
    return PairedTest(mean, se, t, df, p_value, float(low), float(high))


def check_rope(rope: float) -> None:
    """Raise ``OptionError`` unless a region of practical equivalence is a number from 0 on."""
    if not (math.isfinite(rope) and rope >= 0):
        raise OptionError(f"`rope` must be 0 or above; received {rope}.")


def correlated_bayes_test(
    a: ArrayLike,
    b: ArrayLike,
    n_train: ArrayLike,
    n_validation: ArrayLike,
    *,
    rope: float,
    direction: Direction,
) -> Comparison:
    """How probable it is that A is better than B, practically equal, or worse.

    The Bayesian correlated t-test (Corani & Benavoli 2015): under a flat prior
    the mean difference has a Student posterior with J - 1 degrees of freedom, located at
    ``mean(d)``, of scale ``sqrt((1 / J + rho / (1 - rho)) s_d^2)``, where ``rho = n_validation /
    (n_train + n_validation)``. Its mass below, within and above the region of practical
    equivalence, ``[-rope, rope]``, is the answer.

    Parameters
    ----------
    a, b : (J,) scores, fold by fold, J at least 2.
    n_train, n_validation : rows of the sides: one number, or one per fold, whose means count.
    rope : the largest difference that does not matter, in the score's units, 0 or above.
    direction : ``"min"`` where small scores are good, else ``"max"``.

    Raises
    ------
    InputError : where the lengths differ: the folds cannot be the same.
    ValueError : where a score is not finite or there is one fold.
    OptionError : where ``rope`` is below 0.

    Examples
    --------
    >>> a, b = [0.82, 0.86, 0.84, 0.88], [0.80, 0.85, 0.81, 0.86]
    >>> said = correlated_bayes_test(
    ...     a, b, n_train=75, n_validation=25, rope=0.01, direction="max"
    ... )
    >>> print(f"better {said.better:.3f}, equal {said.equal:.3f}, worse {said.worse:.3f}")
    better 0.896, equal 0.095, worse 0.009
    """
    check_rope(rope)
    differences = _differences(a, b)
    gain = float(differences.mean()) * (1.0 if direction == "max" else -1.0)
    se = _corrected_se(differences, n_train, n_validation)
    df = len(differences) - 1
    if se == 0:
        return Comparison(float(gain > rope), float(abs(gain) <= rope), float(gain < -rope))
    better = float(stdtr(df, (gain - rope) / se))
    worse = float(stdtr(df, (-rope - gain) / se))
    return Comparison(better, float(stdtr(df, (rope - gain) / se)) - worse, worse)


def repeats_until_decided(
    differences: ArrayLike,
    n_repeats: int,
    n_train: ArrayLike,
    n_validation: ArrayLike,
    *,
    probability: float = 0.95,
) -> Decision:
    """How many repeats tell two leaders apart, if mean and variance of their difference stay.

    With P repeats of K folds the leader is better with probability ``F(|mean(d)| / se)``, F that
    of Student's t with P K - 1 degrees of freedom and ``se = sqrt((1 / (P K) + n_validation /
    n_train) s_d^2)``: the posterior of Corani & Benavoli (2015), and one less half the p-value of
    the corrected paired t-test. More repeats shrink the first term alone, so the probability
    tends to ``Phi(|mean(d)| / sqrt(n_validation / n_train s_d^2))`` and may never get there.

    Parameters
    ----------
    differences : (J,) of the two leaders' scores, fold by fold, of all repeats.
    n_repeats : the repeats that there are, P; J is a multiple of it.
    n_train, n_validation : rows of the sides: one number, or one per fold, whose means count.
    probability : the wanted one, above 0.5 and below 1.

    Raises
    ------
    ValueError : where a difference is not finite, there are fewer than two, or P does not divide J.
    OptionError : where ``probability`` is not above 0.5 and below 1.

    Examples
    --------
    >>> differences = [0.02, 0.01, 0.03, -0.01, 0.02, 0.0, 0.03, 0.02]
    >>> decision = repeats_until_decided(differences, 2, n_train=75, n_validation=25)
    >>> print(decision.n_repeats, round(decision.now, 3), round(decision.at_most, 3))
    6 0.919 0.967
    """
    if not 0.5 < probability < 1:
        raise OptionError(f"`probability` is above 0.5 and below 1; received {probability}.")
    values = fold_scores(differences, "differences")
    if values.ndim != 1 or len(values) < 2 or n_repeats < 1 or len(values) % n_repeats:
        raise ValueError(
            "`differences` must be at least two, as many in each repeat; received shape "
            f"{values.shape} and {n_repeats} repeats."
        )
    n_folds = len(values) // n_repeats
    ratio = size_ratio(n_train, n_validation, len(values))
    lead, spread = abs(float(values.mean())), math.sqrt(float(variance(values)))

    def surely(repeats: int) -> float:
        n = repeats * n_folds
        return float(stdtr(n - 1, _over(lead, spread * math.sqrt(1.0 / n + ratio))))

    at_most = float(ndtr(_over(lead, spread * math.sqrt(ratio))))
    least = 1 if n_folds > 1 else 2
    needed = _first(surely, probability, least) if at_most > probability else None
    more = None if needed is None else max(0, needed - n_repeats)
    return Decision(needed, more, surely(n_repeats), at_most)


def _first(surely: Callable[[int], float], probability: float, least: int) -> int | None:
    """The least number of repeats that reaches a probability which rises with them."""
    most = least
    while surely(most) < probability:
        most *= 2
        if most > MAX_REPEATS:
            return None
    return bisect_left(range(most), probability, lo=least, key=surely)


def _over(lead: float, se: float) -> float:
    """``lead / se``; without any spread, infinite, or 0 where there is no lead either."""
    return lead / se if se > 0 else math.inf if lead > 0 else 0.0


def _corrected_se(differences: Floats, n_train: ArrayLike, n_validation: ArrayLike) -> float:
    return float(corrected_se(differences, n_train, n_validation))


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    first, second = fold_scores(a, "a"), fold_scores(b, "b")
    if first.shape != second.shape:
        raise InputError(
            "Two trials are compared on the same folds, score by score; received "
            f"{first.size} and {second.size} scores. Give both the same folds, repeats and seed."
        )
    if first.ndim != 1 or len(first) < 2:
        raise ValueError(
            f"A comparison needs the scores of at least two folds; received {first.shape}."
        )
    return first - second
