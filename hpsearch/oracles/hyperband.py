"""Hyperband: random search in brackets, each of which gives most epochs to its best candidates.

A bracket begins with many candidates and few epochs; the best third goes on with three times as
many, and so on, up to the whole budget. Where a short training says little about a long one, the
first bracket errs; the following ones begin with fewer candidates and more epochs, until the last
one trains all of its candidates to the end. Then it begins again.

The oracle proposes the candidates, those of a random search with the same seed, and says how large
a bracket is and how many rungs it has. Training the rungs and dropping candidates between them
belongs to the search.

Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar, "Hyperband: A Novel Bandit-Based Approach
to Hyperparameter Optimization", JMLR 18(185), 2018, algorithm 1, with R epochs, eta = 3 and a
smallest resource of ``LEAST_EPOCHS``. As in keras-tuner a rung keeps a third rounded up, where the
paper rounds down. Unlike keras-tuner's, a bracket's size counts the brackets that there are:
keras-tuner takes ``ceil(1 + log3(R))`` for their number, one more than it has unless R is a power
of 3, and begins with trainings of a single epoch.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.oracles.base import (
    HALVING_RATE,
    LEAST_EPOCHS,
    Algorithm,
    OraclePlan,
    PlannedOracle,
)
from hpsearch.oracles.random import draws
from hpsearch.space.space import Candidate

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


@dataclass(frozen=True)
class Bracket:
    """Candidates that compete with each other.

    Attributes
    ----------
    size : candidates of the first rung.
    n_rungs : rungs; the last one trains to the end.
    """

    size: int
    n_rungs: int


def brackets(epochs: int, least_epochs: int = LEAST_EPOCHS) -> list[Bracket]:
    """The brackets of one cycle, the one with the most rungs first.

    Parameters
    ----------
    epochs : the whole budget of a trial, R.
    least_epochs : the fewest epochs that a first rung may have.

    Examples
    --------
    >>> [(bracket.size, bracket.n_rungs) for bracket in brackets(100)]
    [(27, 4), (12, 3), (6, 2), (4, 1)]
    """
    n_brackets = 1
    while epochs >= least_epochs * HALVING_RATE**n_brackets:
        n_brackets += 1
    return [
        Bracket(math.ceil(n_brackets * HALVING_RATE**halvings / (halvings + 1)), halvings + 1)
        for halvings in reversed(range(n_brackets))
    ]


class HyperbandOracle(PlannedOracle):
    """A random search that is asked for a bracket at a time.

    Parameters
    ----------
    hp : the declared space.
    plan : its seed, its trials and its epochs matter.
    """

    def __init__(self, hp: HyperParameters, plan: OraclePlan) -> None:
        super().__init__(draws(hp, plan.seed), plan)
        self._plan = plan
        self._n_rungs = brackets(plan.epochs)[0].n_rungs

    @property
    def n_rungs(self) -> int:
        """Rungs of the bracket that was asked for last."""
        return self._n_rungs

    def batch_size(self, remaining: int) -> int:
        """The rest of the bracket, fewer where fewer trials remain."""
        return min(self._rest_of_bracket(self._max_trials - remaining), remaining)

    def ask(self, n: int) -> list[Candidate]:
        """The next ``n`` configurations, but none of another bracket; see ``Oracle.ask``."""
        n_wanted = min(n, self._rest_of_bracket(self._n_asked))
        self._n_rungs = _position(self._n_asked, self._plan.epochs)[0].n_rungs
        return super().ask(n_wanted)

    def _rest_of_bracket(self, trial: int) -> int:
        bracket, place = _position(trial, self._plan.epochs)
        return bracket.size - place


def _position(trial: int, epochs: int) -> tuple[Bracket, int]:
    """The bracket that a trial belongs to, and its place there from 0."""
    begin = 0
    for bracket in itertools.cycle(brackets(epochs)):
        if trial < begin + bracket.size:
            return bracket, trial - begin
        begin += bracket.size
    raise AssertionError("a cycle has no end")


def make(hp: HyperParameters, plan: OraclePlan) -> HyperbandOracle:
    """The hyperband oracle of a space.

    Parameters
    ----------
    hp : the declared space. Its default configuration comes first, whatever the seed.
    plan : its seed, its trials and its epochs matter.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Float("rate", 0.0, 1.0)
    >>> oracle = make(hp, OraclePlan(seed=0, max_trials=30, epochs=100, direction="min"))
    >>> len(oracle.ask(oracle.batch_size(30))), oracle.n_rungs
    (27, 4)
    >>> len(oracle.ask(oracle.batch_size(3))), oracle.n_rungs
    (3, 3)
    """
    return HyperbandOracle(hp, plan)


ALGORITHM = Algorithm(make, uses_scores=True, least_epochs=HALVING_RATE * LEAST_EPOCHS)
