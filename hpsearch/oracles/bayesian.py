"""Bayesian optimization: a Gaussian process says where a low score is likely, or not yet ruled out.

Taken over from keras-tuner's ``BayesianOptimizationOracle``: a Matern kernel of smoothness 5/2 over
the unit box with inactive hyperparameters at their defaults, fitted by scikit-learn, and the lower
confidence bound, mean - 2.6 standard deviations, whose lowest point is proposed. Its class is not
used: it keeps its state in files, proposes what it has proposed before, and its batches fall
onto one point. What differs:

- Scores of folds are noisy, so the noise is fitted, where keras-tuner sets it to 1e-4; and the
  process learns ranks, not scores (``normal_scores``).
- A candidate that is pending is taken to score what the process expects there, without noise. That
  leaves the mean where it is and takes the doubt away around it, so the next candidate of the batch
  is another one: GP-BUCB (Desautels, Krause & Burdick, "Parallelizing Exploration-Exploitation
  Tradeoffs in Gaussian Process Bandit Optimization", JMLR 15, 2014, algorithm 1).
- The bound is compared on configurations, not minimised on the box and then rounded: on many drawn
  ones and on neighbours of the best, none of which was proposed before. Steps, choices and
  conditions need no further thought, and a finite space is never left with a point that was tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.oracles._draws import listed
from hpsearch.oracles._learning import (
    N_DRAWN,
    LearningOracle,
    Lesson,
    Proposal,
    normal_scores,
    one_thread,
)
from hpsearch.oracles._unit import Point, UnitSpace
from hpsearch.oracles.base import Algorithm, OraclePlan
from hpsearch.space.hyperparameters import Values, values_key

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

BETA = 2.6
"""Standard deviations below the mean; keras-tuner's."""

N_LOOKED_AT = 500
"""Drawn configurations that the bound is compared on; a smaller finite space is listed."""

N_BEST, N_NEIGHBOURS, N_ROUNDS = 5, 20, 4
"""From so many of the best, so many neighbours each are looked at, so many times."""

STEP = 0.15
"""Standard deviation of a neighbour's step, as a share of the range; each round halves it."""

_BELIEVED_NOISE = 1e-6


class GaussianProcessModel:
    """A Gaussian process on the lessons, and the search for the bound's lowest point.

    Parameters
    ----------
    space : the space as a unit box.
    whole : every configuration of a small finite space; empty for any other.
    lessons : the trials told, some of them scored.
    seed : decides which configurations are looked at.
    """

    def __init__(
        self, space: UnitSpace, whole: Sequence[Values], lessons: Sequence[Lesson], seed: int
    ) -> None:
        self._space = space
        self._rng = np.random.default_rng(seed)
        points = np.stack([space.point(lesson.proposal.values) for lesson in lessons])
        scores = normal_scores(lessons)
        with one_thread():
            self._process = _Process.fitted(space.features(points), scores)
        if whole:
            self._looked_at = _Looked.at(space, whole)
        else:
            best = points[np.argsort(scores, kind="stable")[:N_BEST]]
            drawn = self._rng.random((N_LOOKED_AT, len(space.axes)))
            near = self._neighbours(best, STEP)
            self._looked_at = _Looked.at(space, map(space.values, np.vstack([drawn, near])))
        self._is_whole = bool(whole)

    def propose(
        self, pending: Sequence[Proposal], is_new: Callable[[Values], bool]
    ) -> Proposal | None:
        """The new configuration of the lowest bound; see ``Model.propose``."""
        with one_thread():
            process = self._process.believing(self._features(pending))
            best = self._looked_at.lowest(process, self._space, is_new)
            for halvings in range(0 if self._is_whole else N_ROUNDS):
                near = self._neighbours(best.points, STEP / 2**halvings)
                found = _Looked.at(self._space, map(self._space.values, near))
                best = best.joined(found).lowest(process, self._space, is_new)
        return next(map(Proposal, best.configurations), None)

    def _features(self, proposals: Sequence[Proposal]) -> Point:
        points = [self._space.point(proposal.values) for proposal in proposals]
        return self._space.features(np.reshape(points, (-1, len(self._space.axes))))

    def _neighbours(self, points: Point, step: float) -> Point:
        """Points near some points: about two axes moved, a category to any other place."""
        near = np.repeat(points, N_NEIGHBOURS, axis=0)
        is_category = np.array([axis.kind == "category" for axis in self._space.axes], bool)
        moved = np.clip(near + self._rng.normal(0.0, step, near.shape), 0.0, 1.0)
        # A step of an axis with few values must be able to reach the next one.
        widths = np.array([1.0 / axis.n if axis.n else 0.0 for axis in self._space.axes])
        one_on = near + widths * self._rng.choice([-1.0, 1.0], near.shape)
        moved = np.where(widths > step, np.clip(one_on, 0.0, 1.0), moved)
        moved = np.where(is_category, self._rng.random(near.shape), moved)
        is_moved = self._rng.random(near.shape) < min(1.0, 2.0 / max(1, near.shape[1]))
        return np.where(is_moved, moved, near)


@dataclass(frozen=True)
class _Looked:
    """Configurations that the bound is compared on, and where they lie."""

    configurations: list[Values]
    points: Point

    @classmethod
    def at(cls, space: UnitSpace, configurations: Any) -> _Looked:
        """Different configurations, in the order in which they come."""
        found = list({values_key(values): values for values in configurations}.values())
        points = [space.point(values) for values in found]
        return cls(found, np.reshape(points, (len(found), len(space.axes))))

    def joined(self, other: _Looked) -> _Looked:
        return _Looked(
            [*self.configurations, *other.configurations], np.vstack([self.points, other.points])
        )

    def lowest(
        self, process: _Process, space: UnitSpace, is_new: Callable[[Values], bool]
    ) -> _Looked:
        """The new ones of the lowest bounds, the lowest first, each once."""
        if not self.configurations:
            return self
        order = np.argsort(process.lower_bound(space.features(self.points)), kind="stable")
        best: dict[tuple[Any, ...], int] = {}
        for number in order.tolist():
            if len(best) == N_BEST:
                break
            if is_new(self.configurations[number]):
                best.setdefault(values_key(self.configurations[number]), number)
        numbers = list(best.values())
        return _Looked([self.configurations[n] for n in numbers], self.points[numbers])


@dataclass(frozen=True)
class _Process:
    """A Gaussian process with a kernel that is fitted, told the scores at some points."""

    kernel: Any
    x: Point
    y: NDArray[np.float64]
    noise: NDArray[np.float64]

    @classmethod
    def fitted(cls, x: Point, y: NDArray[np.float64]) -> _Process:
        """The kernel's length scale and the noise by maximum likelihood."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern, WhiteKernel

        kernel = Matern(1.0, (0.05, 20.0), nu=2.5) + WhiteKernel(0.1, (1e-4, 1.0))
        with warnings.catch_warnings():
            # One of the two lies at its bound where the scores say nothing about it: that is fine.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = GaussianProcessRegressor(kernel).fit(x, y).kernel_
        return cls(fitted.k1, x, y, np.full(len(y), fitted.k2.noise_level))

    def believing(self, x: Point) -> _Process:
        """The process that has seen its own means at further points."""
        if not len(x):
            return self
        return _Process(
            self.kernel,
            np.vstack([self.x, x]),
            np.concatenate([self.y, self._regressor().predict(x)]),
            np.concatenate([self.noise, np.full(len(x), _BELIEVED_NOISE)]),
        )

    def lower_bound(self, x: Point) -> NDArray[np.float64]:
        mean, deviation = self._regressor().predict(x, return_std=True)
        bound: NDArray[np.float64] = mean - BETA * deviation
        return bound

    def _regressor(self) -> Any:
        from sklearn.gaussian_process import GaussianProcessRegressor

        regressor = GaussianProcessRegressor(self.kernel, alpha=self.noise, optimizer=None)
        return regressor.fit(self.x, self.y)


def make(hp: HyperParameters, plan: OraclePlan) -> LearningOracle:
    """The Bayesian oracle of a space.

    Parameters
    ----------
    hp : the declared space. Its default configuration comes first, then draws, as in a random
        search with the same seed.
    plan : its seed, its trials and its direction matter.

    Examples
    --------
    >>> from hpsearch.oracles.base import Outcome
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Float("x", 0.0, 1.0)
    >>> oracle = make(hp, OraclePlan(seed=0, max_trials=24, epochs=100, direction="min"))
    >>> for _ in range(3):
    ...     asked = oracle.ask(8)
    ...     scores = [(candidate.values["x"] - 0.3) ** 2 for candidate in asked]
    ...     oracle.tell([Outcome(c.trial, s, "completed") for c, s in zip(asked, scores)])
    >>> min(scores) < 1e-4
    True
    """
    space = UnitSpace(hp)
    whole = listed(hp, N_LOOKED_AT + 1)
    whole = whole if len(whole) <= N_LOOKED_AT else []
    return LearningOracle(
        hp, plan, lambda lessons, seed: GaussianProcessModel(space, whole, lessons, seed)
    )


ALGORITHM = Algorithm(make, uses_scores=True, n_drawn=N_DRAWN, packages=("scikit-learn", "scipy"))
