"""The crew of a session: the engine that is chosen, and the processes that it runs in.

Owns starting them, trying the space's default network in one, and what the chosen engine can't
train. Sessions on other rows of the same table work with the same crew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from hpsearch.engines import AUTO, engine_kind
from hpsearch.engines.choose import first_choice, second_choice, third_choice
from hpsearch.engines.contract import Engine, Job, UnitResult, WorkUnit
from hpsearch.engines.failures import UntraceableError
from hpsearch.engines.fit_data import FitData, read_fit_data
from hpsearch.engines.kind import EngineKind
from hpsearch.engines.pace import few_batches, is_very_large, seconds_per_epoch
from hpsearch.engines.probe import Probe
from hpsearch.engines.workers import (
    Begun,
    LateCallError,
    ScratchFolder,
    Workers,
    limit_of_call,
    machines,
    sweep,
)
from hpsearch.errors import BundleError, SpaceError
from hpsearch.preprocessing import Layout, RawRange
from hpsearch.progress import waiting_for
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.space.space import Candidate
from hpsearch.task import Problem, Target

Note = Callable[[str], None]
R = TypeVar("R")

UNITS_OF_A_REFIT: Final = 12
"""Work units' time that the refit may take: it trains on more rows than a fold has, three times at
most, and exports."""


class Crew:
    """The engine and its processes; a context manager that ends them.

    Attributes
    ----------
    choice : the engine, and why.
    workers : its processes.
    probe : what trying the default network found, once it was tried.
    """

    probe: Probe | None = None

    def __init__(self, plan: SessionPlan, layout: Layout, note: Note, n_folds: int) -> None:
        self._plan = plan
        self._n_trainings = plan.n_candidates * n_folds
        self._has_words = bool(layout.words)
        self._note = note
        self._exit, self._processes = ExitStack(), ExitStack()
        self._is_settled = False
        self._leaving: threading.Thread | None = None
        self.choice = first_choice(plan.engine, layout, plan.space)

    def __enter__(self) -> Crew:
        plan = self._plan
        try:
            sweep()
            self.scratch = self._exit.enter_context(ScratchFolder())
            found = machines(plan.cluster, plan.jobs, self._note, self._n_trainings)
            self._machines = self._exit.enter_context(found)
            self._exit.enter_context(self._processes)
            self.workers = self._start(self.choice.kind)
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._leaving is not None:
            self._leaving.join()
        self._exit.__exit__(kind, error, traceback)

    @property
    def jobs(self) -> int:
        """Units that are trained at the same time."""
        return self._machines.jobs

    def share(self, folder: Path) -> None:
        """Put a folder where all workers, on whichever machine, find it."""
        self._machines.share(folder)

    def try_space(
        self,
        problem: Problem,
        target: Target,
        defaults: Mapping[str, Any] | None,
        raw: Callable[[], RawRange],
    ) -> Probe:
        """Try the default network where it will train, once; that may change the engine.

        Parameters
        ----------
        raw : the rows' ranges, asked for where the network takes numbers as they are.

        Raises
        ------
        SpaceError
            If the space raises, or its network doesn't fit the rows, the problem or the export.
        """
        if self.probe is None:
            found = self._probed(problem, target, defaults, raw)
            choice = second_choice(self._plan.engine, self.choice, found)
            if choice.engine != self.choice.engine:
                self.choice, self.workers = choice, self._start(choice.kind)
                found = self._probed(problem, target, defaults, raw)
            self.probe = found
        return self.probe

    def _probed(
        self,
        problem: Problem,
        target: Target,
        defaults: Mapping[str, Any] | None,
        raw: Callable[[], RawRange],
    ) -> Probe:
        plan = self._plan
        asked = (
            *(plan.space.to_bytes(), problem, target, dict(plan.fixes), defaults),
            *(plan.must_save, self._has_words),
        )
        limit = limit_of_call(plan.trial_timeout)
        try:
            with waiting_for(
                f"networks of the space {plan.space.name!r}, which are built and tried"
            ):
                found: Probe = self.workers.call(self.choice.kind.probe, *asked, limit=limit)
                if found.asks_for_tokens:
                    more = (*asked, raw())
                    found = self.workers.call(self.choice.kind.probe, *more, limit=limit)
        except LateCallError as error:
            raise SpaceError(
                f"The space's networks must be built and tried within {limit:g} s, as "
                f"--trial-timeout has it; those of {plan.space.name!r} were not. Look for a loop "
                "without end in its build, or allow more time."
            ) from error
        return found

    def begin_refit(
        self, function: Callable[..., R], *arguments: Any, n_networks: int = 1
    ) -> Begun[tuple[R, EngineKind]]:
        """Have the winner trained on all rows by the engine that trained its folds.

        Parameters
        ----------
        function : what a worker calls, with the engine's ``train_on_all_rows`` and the arguments.
        n_networks : how many are trained.

        Returns
        -------
        The result, and which engine trained: the one that falls back where the first cannot train
        the network. It is a ``BundleError`` if that takes longer than ``--trial-timeout`` allows.
        """
        kind = self.choice.kind
        begun = self._begin_refit(self.workers, function, kind, arguments, n_networks)

        def result() -> tuple[R, EngineKind]:
            try:
                return begun.result(), kind
            except UntraceableError:
                other = engine_kind(str(kind.fallback))
                workers = self._second_workers
                again = self._begin_refit(workers, function, other, arguments, n_networks)
                return again.result(), other

        return Begun(begun.is_over, result)

    def _begin_refit(
        self,
        workers: Workers,
        function: Callable[..., R],
        kind: EngineKind,
        arguments: Sequence[Any],
        n_networks: int,
    ) -> Begun[R]:
        """Begin what trains on all rows, which may take as long as a few work units."""
        n_units = UNITS_OF_A_REFIT * n_networks
        limit = limit_of_call(self._plan.trial_timeout, n_tasks=n_units)
        begun = workers.begin(function, kind.train_on_all_rows, *arguments, limit=limit)

        def result() -> R:
            try:
                return begun.result()
            except LateCallError as error:
                raise BundleError(
                    f"The final model must be trained within {limit:g} s, {n_units} times "
                    "--trial-timeout, and was not. Everything else is recorded: resume the run "
                    "with a larger --trial-timeout."
                ) from error

        return Begun(begun.is_over, result)

    def workers_of(self, engine: str) -> Workers:
        """The processes in which an engine trains: the chosen one, or the one that falls back."""
        return self.workers if engine == self.choice.engine else self._second_workers

    def fresh(self, kind: EngineKind) -> Workers:
        """A process of an engine in which nothing was built; it imports while others train."""
        process = self._machines.fresh(kind.warm_up, environment=kind.environment)
        self._processes.callback(process.close, at_once=True)  # no code of a space's own ran in it
        return process

    @cached_property
    def helpers(self) -> Workers:
        """Processes for tasks of another kind than training; the same where there are no others."""
        copies = self._machines.copies(self.choice.kind.warm_up, self._plan.trial_timeout)
        if copies is None:
            return self.workers
        self._processes.callback(copies.close, at_once=True)
        return copies

    def dismiss(self) -> None:
        """Let the processes end while other things are done: there is nothing left for them."""
        self._leaving = threading.Thread(target=self._processes.close)
        self._leaving.start()

    def settle(self, job: Job, data: FitData, defaults: Mapping[str, Any]) -> None:
        """Have both engines train a very large default network for a moment, where that pays."""
        fallback, probe = self.choice.kind.fallback, self.probe
        is_open = not self._is_settled and self._plan.engine == AUTO and fallback is not None
        self._is_settled = True
        if not is_open or probe is None or probe.on_gpu:
            return
        if is_very_large(probe.n_params, data, job.options.epochs):
            self._try_both(engine_kind(str(fallback)), job, defaults, probe.n_params)

    def _try_both(
        self, fallback: EngineKind, job: Job, defaults: Mapping[str, Any], n_params: int
    ) -> None:
        self._note(
            f"The network has {n_params:,} parameters: trying both engines on a few batches."
        )
        candidate = Candidate(0, dict(defaults))
        short = few_batches(job, candidate, n_params, self.scratch / "pace")
        self.share(self.scratch / "pace")

        def seconds(kind: EngineKind, workers: Workers) -> float | None:
            def made(job: Job) -> Engine:
                return kind.make(workers, job, read_fit_data(job.data_path), _leave_unscored)

            return seconds_per_epoch(made, short, candidate)

        workers = self._start(fallback)
        ours, theirs = seconds(self.choice.kind, self.workers), seconds(fallback, workers)
        self.choice = third_choice(self.choice, ours, theirs)
        if self.choice.engine == fallback.name:
            self.workers = workers

    def engine_for(self, job: Job, data: FitData) -> Engine:
        """The engine that trains a session's candidates; another one what it can't train."""

        def fall_back(work: Sequence[WorkUnit], reason: str) -> Iterator[UnitResult]:
            n_candidates = len({unit.candidate.trial for unit in work})
            self._note(
                f"{'1 candidate goes' if n_candidates == 1 else f'{n_candidates} candidates go'} "
                f"to the {self.choice.kind.fallback} engine, since the {self.choice.engine} one "
                f"cannot train that: {reason}."
            )
            kind = engine_kind(str(self.choice.kind.fallback))
            yield from kind.make(self._second_workers, job, data, _leave_unscored).score(work)

        return self.choice.kind.make(self.workers, job, data, fall_back)

    @cached_property
    def _second_workers(self) -> Workers:
        """Processes of what trains the chosen engine's rest; they start when first needed."""
        return self._start(engine_kind(str(self.choice.kind.fallback)))

    def _start(self, kind: EngineKind) -> Workers:
        if caution := kind.caution():
            self._note(caution)
        workers = self._machines.start(
            kind.warm_up,
            environment=kind.environment,
            pin=kind.pins,
            timeout=self._plan.trial_timeout,
            forks=kind.forks,
        )
        return self._processes.enter_context(workers)


def _leave_unscored(work: Sequence[WorkUnit], reason: str) -> Iterator[UnitResult]:
    """Leave unscored what an engine cannot train, where another one would show nothing."""
    return iter(())
