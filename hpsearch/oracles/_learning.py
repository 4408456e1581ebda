"""What the oracles that learn from scores have in common; each brings a model of its own.

Owns the order of things: what comes first, then draws, then what the model proposes; batches;
no configuration twice; a finite space to its last configuration; and what a model hears of trials
that failed or were stopped. What a model is made of belongs to the modules that use this one.

A model is made anew from all trials told whenever more are told. So the proposals depend on the
plan, the space and the trials alone, and there is no state that a replay could miss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpsearch.oracles._draws import configurations, spread_seed
from hpsearch.oracles._unit import Point
from hpsearch.oracles.base import OraclePlan, Outcome, Status, Told, distinct
from hpsearch.space.hyperparameters import Values, values_key
from hpsearch.space.space import Candidate
from hpsearch.task import loss_sign

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

BATCH = 8
"""Candidates of a batch. With the default 12 folds these are 96 trainings, enough work for a dozen
processes; more would be proposed with less known. It must not follow the number of processes, on
which no table depends."""

N_DRAWN = 8
"""Candidates of the first batch, which no model proposes; more where more come first."""

LEAST_SCORED = 4
"""Trials with a score before a model proposes; until then candidates are drawn."""


@dataclass(frozen=True)
class Proposal:
    """A configuration, and where the model that proposed it meant it.

    Attributes
    ----------
    values : its active hyperparameters.
    point : a number for each axis of the space, inactive ones as well; None where nobody chose.
    """

    values: Values
    point: Point | None = None


@dataclass(frozen=True)
class Lesson:
    """A trial that was told.

    Attributes
    ----------
    proposal : its configuration.
    cost : its score, or minus its score where a high one is good; None where it has none.
    status : how it ended.
    """

    proposal: Proposal
    cost: float | None
    status: Status


class Model(Protocol):
    """What a set of lessons says about the space."""

    def propose(
        self, pending: Sequence[Proposal], is_new: Callable[[Values], bool]
    ) -> Proposal | None:
        """A configuration that is new, far enough from those that are pending.

        Parameters
        ----------
        pending : what was proposed and is not told yet; each call has one more than the last.
        is_new : whether a configuration was not proposed before.

        Returns
        -------
        The proposal, or None where the model knows nothing new.
        """
        ...


class LearningOracle:
    """An oracle that asks a model of the scores.

    Parameters
    ----------
    hp : the declared space.
    plan : what the search asks.
    learn : makes a model from lessons, in the order of their trials, and a seed of 128 bits.
    """

    def __init__(
        self,
        hp: HyperParameters,
        plan: OraclePlan,
        learn: Callable[[Sequence[Lesson], int], Model],
    ) -> None:
        self._plan = plan
        self._learn = learn
        self._proposed: set[tuple[Any, ...]] = set()
        first = list(distinct(map(dict, plan.first)))
        drawn = configurations(hp, plan.seed, self._proposed)
        self._drawn = _Upcoming(chain(first, drawn), self._is_new)
        self._n_drawn = max(N_DRAWN, len(first))
        self._proposals: list[Proposal] = []
        self._outcomes: dict[int, Outcome] = {}
        self._told = Told()
        self._model: Model | None = None

    @property
    def n_rungs(self) -> int:
        """One: every candidate trains to the end."""
        return 1

    def batch_size(self, remaining: int) -> int:
        """Up to the next multiple of ``BATCH`` trials, fewer where fewer remain.

        The borders of the batches are where they are in a larger run, which therefore goes on
        with the same proposals.
        """
        done = self._plan.max_trials - remaining
        return min(BATCH - done % BATCH, remaining)

    def ask(self, n: int) -> list[Candidate]:
        """The next ``n`` configurations; see ``Oracle.ask``."""
        asked: list[Candidate] = []
        while len(asked) < n and len(self._proposals) < self._plan.max_trials:
            proposal = self._propose()
            if proposal is None:
                break
            self._proposed.add(values_key(proposal.values))
            asked.append(Candidate(len(self._proposals), proposal.values))
            self._proposals.append(proposal)
        return asked

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn how trials ended; see ``Oracle.tell``."""
        self._told.add(outcomes, n_asked=len(self._proposals))
        self._outcomes.update({outcome.trial: outcome for outcome in outcomes})
        self._model = None

    def _propose(self) -> Proposal | None:
        drawn = self._drawn.peek()
        if drawn is None:
            return None
        proposal = None
        if len(self._proposals) >= self._n_drawn and self._n_scored >= LEAST_SCORED:
            self._model = self._model or self._learn(self._lessons(), self._seed)
            proposal = self._model.propose(self._pending(), self._is_new)
        return proposal or Proposal(drawn)

    @property
    def _n_scored(self) -> int:
        return sum(outcome.score is not None for outcome in self._outcomes.values())

    @property
    def _seed(self) -> int:
        return spread_seed(self._plan.seed, len(self._outcomes))

    def _lessons(self) -> list[Lesson]:
        sign = loss_sign(self._plan.direction)
        return [
            Lesson(
                self._proposals[trial],
                None if outcome.score is None else sign * outcome.score,
                outcome.status,
            )
            for trial, outcome in sorted(self._outcomes.items())
        ]

    def _pending(self) -> list[Proposal]:
        asked = enumerate(self._proposals)
        return [proposal for trial, proposal in asked if trial not in self._outcomes]

    def _is_new(self, values: Values) -> bool:
        return values_key(values) not in self._proposed


class _Upcoming:
    """The next of an iterator's configurations that is new, whoever proposed the others."""

    def __init__(self, found: Iterator[Values], is_new: Callable[[Values], bool]) -> None:
        self._found = found
        self._is_new = is_new
        self._next = next(found, None)

    def peek(self) -> Values | None:
        """That configuration; None where there is none."""
        while self._next is not None and not self._is_new(self._next):
            self._next = next(self._found, None)
        return self._next


def normal_scores(lessons: Sequence[Lesson]) -> NDArray[np.float64]:
    """The lessons' costs as a Gaussian process wants them: by their ranks, standard normal.

    The k-th best of n gets the normal quantile of ``(k - 1/2) / n``; equal ones share their mean
    rank. So a training that diverged to 1e9 is the worst one and no more, and a metric's scale
    does not matter.

    A failed trial ranks last, so that the model leaves where it failed; no infinity reaches it. A
    stopped trial has the score of what it did, which errs to the bad side: it was stopped because
    others were better, after fewer epochs or on the folds that it did badly on. Lucky ones
    don't rank before the best completed trial.

    Parameters
    ----------
    lessons : at least one of them scored.

    Returns
    -------
    One number a lesson, low where the score is good.

    Examples
    --------
    >>> costs = [0.3, 0.1, 1e9]
    >>> scores = normal_scores([Lesson(Proposal({}), cost, "completed") for cost in costs])
    >>> scores.round(2).tolist()
    [0.0, -0.97, 0.97]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    completed = [lesson.cost for lesson in lessons if lesson.status == "completed"]
    best = min((cost for cost in completed if cost is not None), default=-math.inf)
    costs = [_cost(lesson, best) for lesson in lessons]
    scores: NDArray[np.float64] = ndtri((rankdata(costs) - 0.5) / len(costs))
    return scores


def _cost(lesson: Lesson, best: float) -> float:
    if lesson.cost is None:
        return math.inf
    return max(lesson.cost, best) if lesson.status == "stopped" else lesson.cost


def one_thread() -> AbstractContextManager[Any]:
    """Small matrices are slower with several threads, which would fight for busy cores."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits
