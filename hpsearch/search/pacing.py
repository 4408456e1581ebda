"""Pacing: how many of the proposed candidates are started, so that the whole command ends in time.

``Pacing`` starts all of them. ``Minutes`` has a clock: it starts the first candidates of a batch,
learns what they take, starts as many more as leave time for what follows, and so on. Each time the
race is run with all that were started, so that a search which started 37 trials is in every table
the search that was asked for 37. Which trials end early belongs to ``racing``, what is recorded of
a budget to ``budget``.

What is to come is estimated from what was there: the worker seconds that trials took so far, the
time that passed meanwhile, and the seconds before the first trial, in which the same libraries were
imported as after the last one. Nothing of this decides more than how many trials there are.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np

from hpsearch.oracles.base import HALVING_RATE
from hpsearch.scoring.observer import Observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.stages import Stage
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.budget import options_in_time, options_undecided
from hpsearch.search.options import Options
from hpsearch.search.plan import SearchPlan, plan_in_time
from hpsearch.search.usual_budget import budget_of
from hpsearch.space.space import Candidate

Enter = Callable[[Sequence[Candidate], Stage], Iterable[TrialResult]]

SHARES: Final = (0.5, 0.95)
"""Of the time that is left, what the next candidates may take: the first share as long as that
allows any, since estimates get better, then the second."""

SECONDS_AT_THE_END: Final = 5.0
"""What correcting the estimate, export and report take for a small table, imports aside."""

SHARE_OF_PLAY_OFF: Final = 0.2
"""Of the whole time, what is kept for more repeats where ``until_decided`` asks for them."""

OVERHEAD: Final = 1.5
"""Seconds that pass for a second of all workers, as long as nothing was trained."""


def now() -> float:
    """Seconds of a clock that never goes back."""
    return time.monotonic()


class Pacing:
    """Starts every candidate: there is time for all of them."""

    def has_time(self) -> bool:
        """Whether candidates may be asked for."""
        return True

    def fields(
        self, candidates: Sequence[Candidate], stages: Sequence[Stage], enter: Enter
    ) -> Iterator[Sequence[Candidate]]:
        """The candidates of a batch that race, once, or again and again in larger fields.

        Parameters
        ----------
        stages : those of their race.
        enter : trains candidates up to the end of a stage, for the race to find them there.
        """
        yield candidates

    def heard(self, stage: Stage, trial: TrialResult) -> None:
        """A trial has come to the end of a stage."""

    def trials_ended(self, n_trials: int) -> None:
        """All trials that are started have ended."""

    def has_time_for_repeat(self, n_repeats: int, n_leaders: int) -> bool:
        """Whether so many leaders, who have ``n_repeats``, may get another one."""
        return True

    def repeats_ended(self) -> None:
        """The leaders get no more repeats."""

    def left_of(self, plan: SearchPlan) -> SearchPlan:
        """What time left of a plan."""
        return plan


UNLIMITED: Final = Pacing()


class Minutes(Pacing):
    """Starts candidates while the whole command still ends in time, and one at least.

    Parameters
    ----------
    plan : with a budget.
    session : what trains, prepared.
    observer : hears what time allowed.
    keep : puts a plan in the place of the recorded one.
    began : when the command began, by ``now``.
    start_seconds : what passed until now for what comes again at the end: importing.
    """

    def __init__(
        self,
        plan: SearchPlan,
        session: Session,
        observer: Observer,
        keep: Callable[[SearchPlan], None],
        *,
        began: float,
        start_seconds: float,
    ) -> None:
        if plan.options.minutes is None or plan.budget is None:
            raise ValueError("Only a plan with a budget is paced.")
        self._plan = plan
        self._minutes, self._budget = plan.options.minutes, plan.budget
        self._session, self._observer, self._keep = session, observer, keep
        self._deadline = began + 60.0 * self._minutes
        self._start_seconds = start_seconds
        self._n_searches = 1 + (plan.options.nested or 0)
        self._n_nested = plan.budget.started  # the searches in outer folds have these
        self._pace = Pace(session, budget_of(plan.options).epochs)
        self._n_started = 0
        self._is_over = False
        observer.ends_by(self._deadline - now())

    def has_time(self) -> bool:
        """Whether candidates may be asked for; for the first one, and recorded ones, always."""
        is_due = self._n_started < max(1, self._budget.started)
        self._is_over = not is_due and self._left() <= 0
        return not self._is_over

    def fields(
        self, candidates: Sequence[Candidate], stages: Sequence[Stage], enter: Enter
    ) -> Iterator[Sequence[Candidate]]:
        """Larger and larger fields of the same batch; see ``Pacing.fields``."""
        before, n = self._n_started, 0
        self._pace.stages = tuple(stages)
        while n < len(candidates):
            if before == n == 0 and not self._budget.started:
                more = self._first(candidates, enter)
            else:
                more = self._next(n, len(candidates), self._budget.started - before)
            if more == n:
                self._is_over = True
                return
            self._n_started = before + more
            with self._pace.measured():
                yield candidates[:more] if len(stages) > 1 else candidates[n:more]
            n = more

    def _first(self, candidates: Sequence[Candidate], enter: Enter) -> int:
        """How many race first, before anything is known: enough that one of them goes far."""
        stages = self._pace.stages
        n = min(len(candidates), self._session.jobs if self._left() > 0 else 1)
        if len(stages) == 1:
            return n
        with self._pace.measured():
            n = len([*enter(candidates[:n], stages[0])])
        enough = HALVING_RATE ** (stages[0].n_rungs - 1)
        return max(n, self._affordable(0, min(enough, len(candidates)), SHARES[0]))

    def _next(self, n: int, most: int, n_recorded: int) -> int:
        """How many race next, where ``n`` raced; ``n`` where time allows no more."""
        if n < n_recorded:
            return min(n_recorded, most)
        found = (self._affordable(n, most, share) for share in SHARES)
        return next((more for more in found if more > n), n)

    def _affordable(self, n: int, most: int, share: float) -> int:
        """The most candidates, beyond ``n`` that raced, for a share of the time that is left."""
        limit = share * self._left() / self._n_searches
        took = self._pace.seconds_of_race(n)
        more = range(n + 1, most + 1)  # a race of more never takes less
        return n + bisect_right(more, limit, key=lambda m: self._pace.seconds_of_race(m) - took)

    def _left(self, *, for_play_off: bool = False) -> float:
        """Seconds that trials may still take, here and in searches inside outer folds."""
        after = self._start_seconds + SECONDS_AT_THE_END
        after += self._n_searches * self._plan.n_exported * self._pace.seconds_of_refit()
        after += (self._n_searches - 1) * self._pace.seconds_since(self._n_nested)
        if self._plan.options.until_decided and not for_play_off:
            after += SHARE_OF_PLAY_OFF * 60.0 * self._minutes
        return self._deadline - now() - after

    def heard(self, stage: Stage, trial: TrialResult) -> None:
        """Learn from a trial that has come to the end of a stage."""
        self._pace.heard(stage, trial)

    def trials_ended(self, n_trials: int) -> None:
        """Record how many trials there was time for."""
        options = self._plan.options
        self._budget = self._budget.spent(self._minutes, n_trials)
        if self._is_over:
            self._observer.note(
                f"Time: {self._budget.done}; the rest is for what follows the trials."
            )
        self._end(options_in_time(options, n_trials if self._is_over else options.trials))

    def has_time_for_repeat(self, n_repeats: int, n_leaders: int) -> bool:
        """Whether the leaders may get one more repeat; if not, that is recorded."""
        wanted = self._n_searches * n_leaders * self._pace.seconds_of_repeat()
        if wanted <= self._left(for_play_off=True):
            return True
        self._end(options_undecided(self._plan.options, n_repeats))
        return False

    def repeats_ended(self) -> None:
        """Record that time plays no part any more."""
        if self._plan.options.minutes is not None:
            self._end(replace(self._plan.options, minutes=None))

    def left_of(self, plan: SearchPlan) -> SearchPlan:
        """The plan of what there was time for."""
        return self._plan

    def _end(self, options: Options) -> None:
        self._plan = plan_in_time(self._plan, options, self._budget)
        self._keep(self._plan)


class Pace:
    """What trials took, and what more of them will.

    Parameters
    ----------
    session : what trains.
    epochs : the budget of a trial.

    Attributes
    ----------
    stages : those of the race that is run.
    """

    def __init__(self, session: Session, epochs: int) -> None:
        self.stages: tuple[Stage, ...] = ()
        self._session = session
        self._epochs = epochs
        self._passed = self._trained = 0.0
        self._reached: dict[Stage, dict[int, float]] = {}
        self._steps: dict[tuple[int, int], dict[int, float]] = {}

    @contextmanager
    def measured(self) -> Iterator[None]:
        """A context in which trials are trained, or found recorded, which takes no time."""
        began, before = now(), self._session.trained_seconds
        yield
        if trained := self._session.trained_seconds - before:
            self._passed += now() - began
            self._trained += trained

    def heard(self, stage: Stage, trial: TrialResult) -> None:
        """Learn what a trial took up to the end of a stage."""
        number = trial.candidate.trial
        place = self.stages.index(stage)
        before = self.stages[place - 1] if place else None
        reached = self._reached.setdefault(stage, {})
        reached[number] = trial.seconds
        took = trial.seconds - (self._reached[before].get(number, 0.0) if before else 0.0)
        step = (self._size(before), self._size(stage))
        self._steps.setdefault(step, {})[number] = max(0.0, took)

    def seconds_of_race(self, n: int) -> float:
        """What a race of so many candidates takes."""
        workers, running = 0.0, float(n)
        sizes = [0, *map(self._size, self.stages)]
        seconds = np.diff(self._worker_seconds(sizes))
        for place, took in enumerate(seconds):
            if place:
                running = self._going_on(running, *self.stages[place - 1 : place + 1])
            workers += running * max(0.0, took)
        return workers * self._per_worker_second

    def seconds_of_repeat(self) -> float:
        """What one repeat of one trial takes."""
        size = max(map(self._size, self.stages))
        [seconds] = self._worker_seconds([size])
        folds = self._session.data.folds
        per_repeat = sum(fold.repeat == 0 for fold in folds)
        return float(seconds) * per_repeat * self._epochs / size * self._per_worker_second

    def seconds_of_refit(self) -> float:
        """What training on all rows takes: a replica of more rows than a fold has."""
        if not self._steps:
            return 0.0
        n_folds = sum(fold.repeat == 0 for fold in self._session.data.folds)
        per_replica = self.seconds_of_repeat() / n_folds * self._session.jobs
        return per_replica * n_folds / max(1, n_folds - 1)

    def seconds_since(self, n_trials: int) -> float:
        """What all trials so far take, but for the first ones, trained or recorded."""
        most: dict[int, float] = {}
        for reached in self._reached.values():
            for trial, seconds in reached.items():
                if trial >= n_trials:
                    most[trial] = max(seconds, most.get(trial, 0.0))
        return sum(most.values()) * self._per_worker_second

    @property
    def _per_worker_second(self) -> float:
        """Seconds that pass for a second of one of the workers."""
        overhead = OVERHEAD
        if self._trained > 0:
            overhead = max(1.0, self._passed * self._session.jobs / self._trained)
        return overhead / self._session.jobs

    def _going_on(self, running: float, stage: Stage, following: Stage) -> float:
        """How many of those that end a stage begin the following one."""
        if not stage.is_whole:
            return float(-(-int(running) // HALVING_RATE))
        ended, began = (len(self._reached.get(each, ())) for each in (stage, following))
        return running * began / ended if began else running

    def _size(self, stage: Stage | None) -> int:
        """Epochs of all replicas of a trial up to the end of a stage."""
        return 0 if stage is None else len(stage.folds) * stage.span(self._epochs).end(self._epochs)

    def _worker_seconds(self, sizes: Sequence[int]) -> list[float]:
        """What a trial takes up to so many epochs of its replicas, on average.

        Between what was seen on a straight line; beyond it as what was seen in all, which is too
        much where a trial begins by compiling.
        """
        known = {0: 0.0}
        for (since, until), took in sorted(self._steps.items(), key=lambda step: step[0][::-1]):
            mean = sum(took.values()) / len(took)
            before = float(np.interp(since, [*known], [*known.values()]))
            known[until] = max(before + mean, known.get(until, 0.0))
        most = max(known)
        slope = known[most] / most if most else 0.0
        return [
            slope * size if size > most else float(np.interp(size, [*known], [*known.values()]))
            for size in sizes
        ]
