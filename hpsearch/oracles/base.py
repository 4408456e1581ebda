"""The contract of an oracle: it proposes candidates and learns how they scored.

Owns the protocol and the oracle whose plan does not depend on scores. Which values are proposed
belongs to the modules beside this one, one an algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hpsearch.hyperparameters import Values, values_key
from hpsearch.space import Candidate

Status = Literal["completed", "stopped", "failed"]


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    A completed trial whose score is missing, NaN or infinite counts as failed: an oracle never
    sees a number that it cannot learn from.

    Attributes
    ----------
    trial : the candidate's trial number.
    score : the score in the run's metric; None where there is none. A failed trial has none.
    status : ``completed`` (scored on all folds), ``stopped`` (on some of them) or ``failed``.

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

    The proposals depend on the space, the seed, the asks and the tells alone, so that telling a
    new oracle what a journal holds brings it to where the old one stopped.
    """

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been proposed."""
        ...

    @property
    def n_rungs(self) -> int:
        """Rungs of epochs that the candidates of the last ask go through; 1 for none."""
        ...

    def batch_size(self, remaining: int) -> int:
        """How many candidates to ask for at once when ``remaining`` trials are left.

        Depends on the plan alone, never on the number of workers.
        """
        ...

    def ask(self, n: int) -> list[Candidate]:
        """The next ``n`` candidates, fewer or none when the plan or the space has no more.

        Trials are numbered from 0 in the order of asking; no configuration comes twice.
        """
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Learn how trials ended; failures are ordinary outcomes."""
        ...


class PlannedOracle:
    """An oracle that proposes what an iterator gives, whatever the scores are.

    Parameters
    ----------
    configurations : active values of one configuration after the other; repeats are skipped.
    max_trials : candidates proposed at most.
    """

    def __init__(self, configurations: Iterable[Values], *, max_trials: int) -> None:
        self._upcoming = _distinct(configurations)
        self._next = next(self._upcoming, None)
        self._max_trials = max_trials
        self._n_asked = 0
        self._told: set[int] = set()

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of the space has been proposed."""
        return self._next is None

    @property
    def n_rungs(self) -> int:
        """1: the search decides."""
        return 1

    def batch_size(self, remaining: int) -> int:
        """All of them: no proposal waits for a score."""
        return remaining

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
        """Check that each outcome belongs to a trial that was asked and not told before.

        Raises
        ------
        ValueError
            If it does not: the caller has lost count.
        """
        for outcome in outcomes:
            if not 0 <= outcome.trial < self._n_asked or outcome.trial in self._told:
                raise ValueError(
                    f"Each of the {self._n_asked} trials asked for is told once; "
                    f"received an outcome of trial {outcome.trial}."
                )
            self._told.add(outcome.trial)


def _distinct(configurations: Iterable[Values]) -> Iterator[Values]:
    seen = set()
    for values in configurations:
        key = values_key(values)
        if key not in seen:
            seen.add(key)
            yield values
