"""The contract of an oracle: it proposes candidates and learns how they scored.

Owns the protocol, what an oracle is told at the start, what is known of an algorithm before one is
made, and the oracle whose plan does not depend on scores. Which values are proposed belongs to the
modules beside this one, one an algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from hpsearch.errors import OptionError
from hpsearch.space.hyperparameters import Values, values_key
from hpsearch.space.space import Candidate
from hpsearch.task import Direction

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

Status = Literal["completed", "stopped", "failed"]


MOST_AT_ONCE: Final = 1000
"""Candidates asked for at once at most: drawing more takes seconds in which nothing is trained."""

HALVING_RATE: Final = 3
"""How many times as long the next rung trains, and the share of trials that reach it, inverted."""

LEAST_EPOCHS: Final = 3
"""Epochs of the shortest rung: after one or two, initial weights decide more than the candidate."""


@dataclass(frozen=True)
class OraclePlan:
    """What a search asks of its oracle.

    Parameters
    ----------
    seed : whole number of at least 0; the same seed gives the same proposals.
    max_trials : candidates proposed at most, at least 1.
    epochs : epochs that a trial trains to its end, at least 1.
    direction : ``"min"`` where a low score is good, ``"max"`` where a high one is.
    first : configurations that are proposed before all others, in this order; what one leaves out
        has its default, and an empty one stands for the defaults.

    Raises
    ------
    OptionError
        If a number is too small.

    Examples
    --------
    >>> OraclePlan(seed=0, max_trials=20, epochs=100, direction="min")
    OraclePlan(seed=0, max_trials=20, epochs=100, direction='min', first=())
    """

    seed: int
    max_trials: int
    epochs: int
    direction: Direction
    first: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        numbers = (("seed", self.seed, 0), ("trials", self.max_trials, 1))
        for option, value, least in (*numbers, ("epochs", self.epochs, 1)):
            if value < least:
                raise OptionError(
                    f"`{option}` must be at least {least}; received {value}. Raise it."
                )


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    A completed trial whose score is missing, NaN or infinite counts as failed: an oracle never
    sees a number that it cannot learn from.

    Attributes
    ----------
    trial : the candidate's trial number.
    score : the score in the run's metric; None where there is none. A failed trial has none.
    status : ``completed`` (scored on all folds), ``stopped`` (after some of them, or after fewer
        epochs) or ``failed``.

    Examples
    --------
    >>> Outcome(3, float("inf"), "completed")
    Outcome(trial=3, score=None, status='failed')
    """

    trial: int
    score: float | None
    status: Status

    def __post_init__(self) -> None:
        is_scored = self.score is not None and math.isfinite(self.score)
        if not is_scored or self.status == "failed":
            object.__setattr__(self, "score", None)
        if not is_scored and self.status == "completed":
            object.__setattr__(self, "status", "failed")


class Oracle(Protocol):
    """Proposes candidates (ask) and learns their scores (tell).

    The first are those of ``plan.first``, the space's default configuration among them. The
    proposals depend on the space, the plan, the asks and the tells alone, so that telling a new
    oracle what a journal holds brings it to where the old one stopped. What a batch begins with
    does not depend on its size, nor on ``max_trials``: a run that grows goes on with the same
    sequence.
    """

    @property
    def n_rungs(self) -> int:
        """Rungs that the candidates of the last ask go through; 1 trains all of them to the end.

        The first of n rungs has ``ceil(epochs / 3 ** (n - 1))`` epochs, each other one three times
        as many as the one before, at most ``epochs``; the best third of the candidates of a
        rung, rounded up, goes on to the next.
        """
        ...

    def batch_size(self, remaining: int) -> int:
        """How many candidates to ask for at once when ``remaining`` trials are left.

        Depends on the plan alone, never on the number of workers.
        """
        ...

    def ask(self, n: int) -> list[Candidate]:
        """The next ``n`` candidates, fewer where a batch ends, none when there are no more.

        Trials are numbered from 0 in the order of asking; no configuration comes twice.
        """
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn how trials ended; failures are ordinary outcomes.

        Raises
        ------
        ValueError
            If an outcome is of a trial that was not asked for, or was told before.
        """
        ...


@dataclass(frozen=True)
class Algorithm:
    """What is known of an oracle before one is made: a module's ``ALGORITHM``.

    Attributes
    ----------
    make : the oracle of a declared space and a plan.
    uses_scores : whether scores decide what is proposed or how long it trains. More repeats would
        change the scores, so such a run can't be given any.
    packages : distributions whose versions decide what is proposed, beyond those that every run
        depends on.
    extra : hpsearch's extra that holds those of ``packages`` that hpsearch itself does without.
    least_epochs : the fewest epochs that it makes sense with.
    n_drawn : candidates that are drawn as ``random`` draws them, before scores can teach anything.
    """

    make: Callable[[HyperParameters, OraclePlan], Oracle]
    uses_scores: bool = False
    packages: tuple[str, ...] = ()
    extra: str | None = None
    least_epochs: int = 1
    n_drawn: int = 0


class Told:
    """Which trials have been told; each of those asked for is told once."""

    def __init__(self) -> None:
        self._trials: set[int] = set()

    def add(self, outcomes: Sequence[Outcome], *, n_asked: int) -> None:
        """Note these outcomes, or raise ``ValueError``: the caller has lost count."""
        for outcome in outcomes:
            if not 0 <= outcome.trial < n_asked or outcome.trial in self._trials:
                raise ValueError(
                    f"Each of the {n_asked} trials asked for is told once; "
                    f"received an outcome of trial {outcome.trial}."
                )
            self._trials.add(outcome.trial)


class PlannedOracle:
    """An oracle that proposes what an iterator gives, whatever the scores are.

    Parameters
    ----------
    configurations : active values of one configuration after the other; repeats are skipped.
    plan : its number of trials matters, and what is proposed first.
    """

    def __init__(self, configurations: Iterable[Values], plan: OraclePlan) -> None:
        self._upcoming = distinct(chain(map(dict, plan.first), configurations))
        self._next = next(self._upcoming, None)
        self._max_trials = plan.max_trials
        self._n_asked = 0
        self._told = Told()

    @property
    def n_rungs(self) -> int:
        """One: every candidate trains to the end."""
        return 1

    def batch_size(self, remaining: int) -> int:
        """All of them, since no proposal waits for a score; of very many, some at a time."""
        return min(remaining, MOST_AT_ONCE)

    def ask(self, n: int) -> list[Candidate]:
        """The next ``n`` configurations; see ``Oracle.ask``."""
        candidates = []
        for _ in range(min(n, self._max_trials - self._n_asked)):
            if self._next is None:
                break
            candidates.append(Candidate(self._n_asked, self._next))
            self._n_asked += 1
            self._next = next(self._upcoming, None)
        return candidates

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Check that each outcome belongs to a trial that was asked and not told before."""
        self._told.add(outcomes, n_asked=self._n_asked)


def distinct(configurations: Iterable[Values]) -> Iterator[Values]:
    """Each configuration once, in order."""
    seen = set()
    for values in configurations:
        key = values_key(values)
        if key not in seen:
            seen.add(key)
            yield values
