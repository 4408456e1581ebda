"""Ranges for numbers and sets for classes that hold what comes with a chosen probability.

Owns the quantiles of conformity scores, what is predicted with them, and how much of the
out-of-fold and of the test rows that held. Conformal prediction from the out-of-fold predictions
that there are anyway: for a number the score of a row is ``|t(y) - t(prediction)|``, ``t`` what the
networks learnt in its place (``--transform``), for a count the square root, whose errors are as
large for many as for few; and the range is ``t(prediction)`` and so much on both sides, turned
back. Of predicted quantiles the score is how far a row lies beyond the outermost ones, below 0
between them, and these are moved by it (conformalised quantile regression, Romano et al. 2019). For
a class it is ``1 - p(its class)``, and the set holds each class whose score is no higher. With
``m`` blocks of rows that are drawn together (groups, copies; else rows) the score taken is at the
share ``level (m + 1) / m`` of all rows.

What is promised. The scores are those of the folds' networks, and the prediction is that of the
network trained on all rows: the residuals' quantile around the refit, "the K-fold version of the
jackknife". The network of all rows is as a rule the better one, so that ranges are rather too wide;
where training is stable they hold what comes with the level asked, on average over rows like these.
That is no theorem without stability: CV+ (Barber et al. 2021) has one, at least ``1 - 2 (1 -
level)``, and needs all fold networks whenever it predicts. Two things weaken it further: the trial
and its epoch were selected by the same rows, which makes residuals a little small; and rows in the
order of time are not exchangeable, so there nothing is promised but that the errors to come are
like those of the last folds. Hence the coverage reached is measured, on rows that took no part in
the quantile: that of each fold by the scores of the other folds (of earlier ones in time).

References
----------
Vovk, V.: Cross-conformal predictors. Ann. Math. Artif. Intell. 74 (2015) 9-28.
Barber, R. F., Candès, E. J., Ramdas, A., Tibshirani, R. J.: Predictive inference with the
jackknife+. Annals of Statistics 49 (2021) 486-507.
Romano, Y., Patterson, E., Candès, E. J.: Conformalized quantile regression. NeurIPS 2019.
Sadinle, M., Lei, J., Wasserman, L.: Least ambiguous set-valued classifiers with bounded error
levels. JASA 114 (2019) 223-234: the sets. Romano, Y., Sesia, M., Candès, E. J.: Classification with
valid and adaptive coverage. NeurIPS 2020, has larger ones that adapt to the row; without drawing at
random these hold more than was asked.
Angelopoulos, A. N., Bates, S.: Conformal prediction: a gentle introduction. Found. Trends Mach.
Learn. 16 (2023) 494-591.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.conformity_scores import (
    FORMS,
    Form,
    ends_of,
    members_of,
    probabilities_of,
    scores_of,
)
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.errors import OptionError
from hpsearch.task import Target

Floats = NDArray[np.float64]

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Levels at which the coverage reached is recorded."""

_MOST_POINTS, _TAIL_POINTS = 500, 100
"""Points of the distribution of scores that a manifest holds, evenly by share and towards 1."""


@dataclass(frozen=True)
class Reached:
    """How much of the rows a level held that took no part in its quantile.

    Attributes
    ----------
    name : the target column; empty for classes.
    level : what was asked.
    share : of the out-of-fold rows that were held, each repeat counted alike; None where the other
        folds have too few rows for the level.
    se : its standard error over the blocks of rows.
    size : the median width of the ranges, or the mean number of classes in a set.
    test : the share of the test rows that were held, where there are any.
    """

    name: str
    level: float
    share: float | None
    se: float | None
    size: float | None
    test: float | None = None


@dataclass(frozen=True)
class Intervals:
    """What ranges or sets reach; what they are predicted with is a ``Conformity``.

    Attributes
    ----------
    form : ``"range"`` or ``"set"``.
    n_rows, n_blocks : rows that weigh, and blocks of them that belong together.
    highest : the highest level that so many blocks allow, ``m / (m + 1)``.
    in_time : whether folds go forward in time, so that nothing is promised.
    reached : at each of ``LEVELS`` that there are enough rows for, target after target.
    """

    form: Form
    n_rows: int
    n_blocks: int
    highest: float
    in_time: bool
    reached: tuple[Reached, ...] = ()

    @property
    def size_name(self) -> str:
        """What the size of a range or set is."""
        return "median width" if self.form == "range" else "classes in a set"

    @property
    def highest_shown(self) -> str:
        """The highest level, rounded down."""
        return f"{_rounded_down(self.highest):g}"

    def remarks(self) -> tuple[str, ...]:
        """What must be known to read it, a sentence each."""
        said = [
            f"Of each fold, by the scores of {'earlier' if self.in_time else 'the other'} folds: "
            "no row took part in what it is held against."
        ]
        alone = (each for each in self.reached if self.form == "set" and each.size == 1.0)
        if any((each.share or 0.0) > each.level for each in alone):
            said.append(
                "A set holds the most probable class at least, which alone is right more often "
                "than some levels ask."
            )
        if self.in_time:
            said.append(
                "In the order of time nothing is promised but that errors to come are like past "
                "ones."
            )
        together = "spans of time" if self.in_time else "groups or copies"
        if self.n_blocks < self.n_rows:
            said.append(
                f"The {self.n_rows:,} rows are in {self.n_blocks:,} {together}, of which each "
                f"counts once: levels up to {self.highest_shown} can be asked for."
            )
        if any(each.share is None for each in self.reached):
            others = "earlier" if self.in_time else "other"
            said.append(f"Where no share is given, the {others} folds have too few for the level.")
        return tuple(said)

    def at(self, level: float) -> tuple[Reached, ...]:
        """What was reached at a level, for each target."""
        return tuple(reached for reached in self.reached if reached.level == level)


@dataclass(frozen=True)
class Conformity:
    """The distribution of conformity scores, as a manifest keeps it: small whatever the rows.

    Attributes
    ----------
    n_blocks : blocks of rows that the scores come from.
    shares : (n_points,) of the rows up to each score.
    scores : (n_columns, n_points) not decreasing; a column for each target, one for classes.
    powers : of the target's transform, where it has one.
    """

    n_blocks: int
    shares: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    powers: tuple[float, ...] = (1.0,)

    @classmethod
    def of(cls, out: OutOfFold, powers: Floats) -> Self:
        """The scores of all out-of-fold predictions.

        Parameters
        ----------
        powers : of the target's transform, as the network of all rows learnt it.
        """
        pooled = _Pooled.of(out, powers)
        return cls._of_pooled(pooled, pooled.weights > 0, powers)

    @classmethod
    def _of_pooled(cls, pooled: _Pooled, takes_part: NDArray[np.bool_], powers: Floats) -> Self:
        counts = np.bincount(pooled.blocks[takes_part])
        shares: Floats = np.zeros(0)
        columns = []
        for column in pooled.scores:
            order = np.argsort(column[takes_part], kind="stable")
            weights = pooled.weights[takes_part][order]
            shares = np.cumsum(weights) / weights.sum()
            points = _points(shares)
            columns.append((shares[points], column[takes_part][order][points]))
        # Where all rows weigh the same, columns share their shares; else each has its own, and the
        # largest, which is the safe one, is taken at the points of the first.
        shares = columns[0][0]
        scores = [column if shares is own else _at(own, column, shares) for own, column in columns]
        return cls(
            n_blocks=int((counts > 0).sum()),
            shares=tuple(shares.tolist()),
            scores=tuple(tuple(column.tolist()) for column in scores),
            powers=tuple(np.asarray(powers, np.float64).tolist()),
        )

    @property
    def highest(self) -> float:
        """The highest level that so many blocks allow."""
        return self.n_blocks / (self.n_blocks + 1)

    def check(self, n_columns: int) -> None:
        """Raise ``ValueError`` where it can't be of a target of so many columns."""
        shares = np.asarray(self.shares)
        is_right = (
            self.n_blocks > 0
            and len(shares) > 0
            and bool(np.isfinite(shares).all())
            and len(self.scores) == n_columns
            and all(len(column) == len(shares) for column in self.scores)
            and not np.isnan(np.array(self.scores)).any()
        )
        if not is_right:
            raise ValueError(f"scores of {n_columns} columns don't look like these")

    def quantiles(self, level: float) -> Floats:
        """The score at a level, for each column.

        Raises
        ------
        OptionError
            If the level is not between 0 and 1, or there are too few rows for it.
        """
        check_level(level)
        share = level * (self.n_blocks + 1) / self.n_blocks
        if share > 1.0 + 1e-9:
            raise OptionError(
                f"A range or set that holds {level:g} of what comes needs {_needed(level):,} rows "
                f"(or groups of rows) with out-of-fold predictions; the run has {self.n_blocks:,}, "
                f"which allow {_rounded_down(self.highest):g} at most. Ask for that, or less."
            )
        at = int(np.searchsorted(np.asarray(self.shares), min(share, 1.0) - 1e-9))
        return np.array([column[min(at, len(column) - 1)] for column in self.scores])

    def ranges(
        self, target: Target, predictions: NDArray[Any], level: float
    ) -> tuple[Floats, Floats]:
        """The lower and the upper end (n, n_values) of each row's range, in the target's units.

        Parameters
        ----------
        predictions : canonical, (n, n_values).
        """
        return ends_of(target, predictions, self.quantiles(level), np.array(self.powers))

    def sets(self, target: Target, predictions: NDArray[Any], level: float) -> NDArray[np.bool_]:
        """Which classes (n, n_classes) each row's set holds; the most probable one always.

        Parameters
        ----------
        predictions : canonical probabilities, (n,) or (n, n_classes).
        """
        [score] = self.quantiles(level)
        return members_of(probabilities_of(target, predictions), score)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; infinite scores are None there."""
        return {
            "n_blocks": self.n_blocks,
            "shares": [round(share, 9) for share in self.shares],
            "scores": [[_in_short(score) for score in column] for column in self.scores],
            "powers": list(self.powers),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        scores = [[math.inf if s is None else float(s) for s in c] for c in value["scores"]]
        return cls(
            n_blocks=int(value["n_blocks"]),
            shares=tuple(map(float, value["shares"])),
            scores=tuple(map(tuple, scores)),
            powers=tuple(map(float, value["powers"])),
        )


def check_level(level: Any) -> float:
    """A level as a float.

    Raises
    ------
    OptionError
        If it is no number between 0 and 1.
    """
    is_number = isinstance(level, int | float | np.number) and not isinstance(level, bool)
    if not is_number or not 0.0 < float(level) < 1.0:
        raise OptionError(
            "`interval` (`level` of an estimator) is the share of what comes that ranges or sets "
            f"are to hold, between 0 and 1; received {level!r}. Use for example 0.9."
        )
    return float(level)


def check_form(target: Target) -> Form:
    """What predictions of a target can be given with.

    Raises
    ------
    OptionError
        If there are neither ranges nor sets for it.
    """
    if target.kind not in FORMS:
        raise OptionError(
            f"`interval` gives ranges for numbers and sets of classes; a {target.kind} problem "
            "has neither: each label is true or not by itself, with the probability that is "
            "predicted. Leave it out."
        )
    return FORMS[target.kind]


def intervals(
    out: OutOfFold,
    powers: Floats,
    *,
    in_time: bool,
    without: Callable[[int], OutOfFold] | None = None,
) -> Intervals | None:
    """What ranges or sets reach out of fold, at each of ``LEVELS``; None where there are none.

    Each fold's rows are held against the scores of other folds' rows; of earlier folds where these
    go forward in time.

    Parameters
    ----------
    powers : of the target's transform, as the network of all rows learnt it.
    in_time : whether folds go forward in time.
    without : gives the same predictions as they are where a fold's rows take no part in what is
        decided before; by default nothing is.
    """
    if out.target.kind not in FORMS:
        return None
    whole = Conformity.of(out, powers)
    held = _Held(out, powers, in_time=in_time, without=without)
    names = out.target.names if FORMS[out.target.kind] == "range" else ("",)
    return Intervals(
        form=FORMS[out.target.kind],
        n_rows=len(np.unique(out.rows if out.weights is None else out.rows[out.weights > 0])),
        n_blocks=whole.n_blocks,
        highest=whole.highest,
        in_time=in_time,
        reached=tuple(
            held.reached(name, number, level)
            for number, name in enumerate(names)
            for level in LEVELS
            if level <= whole.highest
        ),
    )


def on_test_rows(
    found: Intervals,
    conformity: Conformity,
    target: Target,
    y: NDArray[Any],
    predictions: NDArray[Any],
    weights: Floats | None = None,
) -> Intervals:
    """The same with the share of test rows that each level held.

    Parameters
    ----------
    y, predictions : the test rows' targets, and what the exported model says of them.
    weights : (n,) what these rows weigh; None where they weigh the same.
    """
    powers = conformity.powers
    shares = {
        level: held_by(conformity.quantiles(level), target, y, predictions, powers, weights)
        for level in {reached.level for reached in found.reached}
    }
    numbers = {name: i for i, name in enumerate(target.names)} if found.form == "range" else {"": 0}
    reached = (
        replace(each, test=float(shares[each.level][numbers[each.name]])) for each in found.reached
    )
    return replace(found, reached=tuple(reached))


def held_by(
    quantiles: Floats,
    target: Target,
    y: NDArray[Any],
    predictions: NDArray[Any],
    powers: Any,
    weights: Floats | None = None,
) -> Floats:
    """The share of rows that ranges or sets of these scores hold, for each column."""
    if FORMS[target.kind] == "set":
        members = members_of(probabilities_of(target, predictions), quantiles[0])
        held = members[np.arange(len(y)), y.astype(np.int64)][:, None]
    else:
        low, high = ends_of(target, predictions, quantiles, np.asarray(powers))
        values = np.asarray(y, np.float64).reshape(len(y), -1)
        held = (values >= low) & (values <= high)
    return np.asarray(np.average(held, axis=0, weights=weights))


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The scores of all repeats, one after the other.

    Attributes
    ----------
    scores : (n_columns, P n); weights, blocks, rows, folds : (P n,).
    """

    scores: Floats
    weights: Floats
    blocks: NDArray[np.int64]
    rows: NDArray[np.int64]
    folds: NDArray[np.int64]

    @classmethod
    def of(cls, out: OutOfFold, powers: Floats) -> Self:
        n = out.n_repeats
        weights = np.ones(out.n_rows) if out.weights is None else out.weights
        scores = [scores_of(out.target, out.y, p, powers) for p in out.predictions]
        return cls(
            scores=np.concatenate(scores, axis=1),
            weights=np.tile(np.asarray(weights, np.float64), n),
            blocks=np.tile(np.unique(out.blocks, return_inverse=True)[1], n),
            rows=np.tile(out.rows, n),
            folds=out.fold.ravel(),
        )


class _Held:
    """Which out-of-fold rows the scores of other folds hold, level by level."""

    def __init__(
        self,
        out: OutOfFold,
        powers: Floats,
        *,
        in_time: bool,
        without: Callable[[int], OutOfFold] | None,
    ) -> None:
        self._out = out
        self._powers = powers
        self._pooled = pooled = _Pooled.of(out, powers)
        self._predictions = out.predictions.reshape(-1, *out.predictions.shape[2:]).copy()
        self._others: dict[int, Conformity | None] = {}
        for fold in np.unique(pooled.folds):
            of_fold, made, told = pooled.folds == fold, out, pooled
            takes_part = ~np.isin(pooled.rows, pooled.rows[of_fold]) & (pooled.weights > 0)
            if in_time:
                takes_part &= pooled.folds < fold
            if without is not None:
                made = without(fold)
                told = _Pooled.of(made, powers)
            flat = made.predictions.reshape(self._predictions.shape)
            self._predictions[of_fold] = flat[of_fold]
            pooled.scores[:, of_fold] = told.scores[:, of_fold]
            others = Conformity._of_pooled(told, takes_part, powers) if takes_part.any() else None
            self._others[int(fold)] = others

    def reached(self, name: str, column: int, level: float) -> Reached:
        """What was reached at a level in one column."""
        pooled, target = self._pooled, self._out.target
        held, sizes = np.full(len(pooled.rows), np.nan), np.full(len(pooled.rows), np.nan)
        for fold, others in self._others.items():
            if others is None or level > others.highest:
                continue
            of_fold = pooled.folds == fold
            predictions, quantiles = self._predictions[of_fold], others.quantiles(level)
            y = np.concatenate([self._out.y] * self._out.n_repeats)[of_fold]
            if FORMS[target.kind] == "set":
                members = members_of(probabilities_of(target, predictions), quantiles[0])
                sizes[of_fold] = members.sum(axis=1)
                held[of_fold] = members[np.arange(len(y)), y.astype(np.int64)]
                continue
            low, high = (
                ends[:, column] for ends in ends_of(target, predictions, quantiles, self._powers)
            )
            sizes[of_fold] = high - low
            if target.kind == "count":  # a range without a whole number holds the nearest one
                values = y.reshape(len(y), -1)[:, column]
                held[of_fold] = (values >= low) & (values <= high)
            else:
                held[of_fold] = pooled.scores[column, of_fold] <= quantiles[column]
        there = np.isfinite(held) & (pooled.weights > 0)
        if not there.any():
            return Reached(name, level, None, None, None)
        share, se = _mean(held[there], pooled.weights[there], pooled.blocks[there])
        size = np.mean(sizes[there]) if FORMS[target.kind] == "set" else np.median(sizes[there])
        return Reached(name, level, share, se, float(size) if np.isfinite(size) else None)


def _mean(values: Floats, weights: Floats, blocks: NDArray[np.int64]) -> tuple[float, float | None]:
    """A weighted mean, and its standard error over blocks, whose rows are not independent."""
    shares = weights / weights.sum()
    mean = float(shares @ values)
    of_blocks = np.bincount(blocks, weights=shares * (values - mean))
    n = len(np.unique(blocks))
    se = math.sqrt(float(of_blocks @ of_blocks) * n / (n - 1)) if n > 1 else None
    return mean, se


def _points(shares: Floats) -> NDArray[np.int64]:
    """Places of some of many shares: all where they are few, else evenly, and more towards 1."""
    n = len(shares)
    if n <= _MOST_POINTS + _TAIL_POINTS:
        return np.arange(n)
    even = np.linspace(0.0, 1.0, _MOST_POINTS)
    tail = 1.0 - np.geomspace(1.0 / n, 1.0 / _MOST_POINTS, _TAIL_POINTS)
    wanted = np.unique(np.concatenate([even, tail]))
    return np.unique(np.minimum(np.searchsorted(shares, wanted - 1e-12), n - 1))


def _at(own: Floats, scores: Floats, shares: Floats) -> Floats:
    """Scores at other shares than their own: the next larger one."""
    return scores[np.minimum(np.searchsorted(own, shares - 1e-12), len(own) - 1)]


def _in_short(score: float) -> float | None:
    """A score with nine digits, rounded up; None where it is infinite."""
    if not math.isfinite(score):
        return None
    if score == 0.0:
        return 0.0
    digits = 8 - math.floor(math.log10(abs(score)))
    unit = 10.0**-digits
    return float(f"{math.ceil(score / unit - 1e-6) * unit:.9g}")


def _needed(level: float) -> int:
    """The fewest blocks that allow a level."""
    return math.ceil(level / (1.0 - level) - 1e-9)


def _rounded_down(level: float) -> float:
    """A level with three digits that is not above another one."""
    return math.floor(level * 1000.0) / 1000.0
