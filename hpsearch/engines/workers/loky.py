"""Workers on this machine: joblib's loky executor, set up so that results don't depend on it.

Every worker computes with one thread, ends with its parent, and is replaced when it dies, runs out
of memory or takes too long. The pool breaks as a whole when one of its processes dies.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from hpsearch.engines.workers import policy
from hpsearch.engines.workers.environment import (
    WORKER_ENVIRONMENT,
    WORKER_GROWTH_BYTES,
    end_with_parent,
)
from hpsearch.engines.workers.policy import Failure, Value, Workers
from hpsearch.errors import HpsearchError

SECONDS_BETWEEN_LOOKS = 0.2
"""How often the parent looks whether a task takes too long, where there is a limit."""

T = TypeVar("T")
R = TypeVar("R")


class LokyWorkers(Workers):
    """A pool of worker processes, started at once so that they import while the parent plans.

    Parameters
    ----------
    jobs : number of processes.
    warm_up : what each worker runs first, such as an import.
    environment : its environment variables, set before anything is imported.
    pin : keep each worker on one core of its own, where the system allows.
    timeout : seconds that a task of ``map_unordered`` may take; None for any time.
    """

    company = 0

    def __init__(
        self,
        jobs: int,
        warm_up: Callable[[], None] | None = None,
        *,
        environment: Mapping[str, str] = WORKER_ENVIRONMENT,
        pin: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self._warm_up = warm_up
        self._environment = dict(environment)
        self._pin = pin
        self._executor = self._start()

    def close(self, *, at_once: bool) -> None:
        """End the processes."""
        if at_once:
            _kill(self._executor)
        self._executor.shutdown(wait=True)

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run one call in a worker and wait for it; its exceptions are raised here.

        Raises
        ------
        HpsearchError
            If its worker died ``MAX_ATTEMPTS`` times.
        """
        from concurrent.futures.process import BrokenProcessPool

        for _ in range(policy.MAX_ATTEMPTS):
            try:
                result: R = self.submit(function, *arguments).result()
                return result
            except BrokenProcessPool:
                self._restart()
        raise HpsearchError(
            f"A worker process died {policy.MAX_ATTEMPTS} times in {function.__name__}: it was "
            "killed, or memory ran out. Use fewer --jobs, or a smaller network."
        )

    def submit(self, function: Callable[..., R], *arguments: Any) -> Future[R]:
        """Run one call in a worker."""
        future: Future[R] = self._executor.submit(function, *arguments)
        return future

    def round(
        self, function: Callable[[T], R], tasks: Mapping[int, T], numbers: Sequence[int]
    ) -> Iterator[tuple[int, Value[R] | Failure]]:
        """Results of the given tasks, until a worker dies or one takes too long."""
        from concurrent.futures.process import BrokenProcessPool

        futures: dict[Future[R], int] = {}
        died_early = False
        with _Stopwatch(self.timeout) as stopwatch:
            try:
                for number in numbers:
                    task = stopwatch.timed(number, function, tasks[number])
                    futures[self._executor.submit(*task)] = number
            except BrokenProcessPool:  # a worker died while tasks were still handed out
                died_early = True
            pending = set(futures)
            while pending:
                done, pending = wait(
                    pending, timeout=stopwatch.interval, return_when=FIRST_COMPLETED
                )
                broken = []
                finished = sorted(done, key=lambda f: futures[f], reverse=True)
                del done
                while finished:  # each is let go once it is given: results may be large
                    future = finished.pop()
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        broken.append(future)
                    elif isinstance(error, MemoryError):
                        yield futures.pop(future), "died"
                    else:
                        yield futures.pop(future), Value(future.result())
                if broken:
                    self._restart()
                    suspects = sorted(futures[future] for future in broken)[: self.jobs + 1]
                    yield from ((number, "died") for number in suspects)
                    return
                late = stopwatch.late(sorted(futures[future] for future in pending))
                if late:
                    _kill(self._executor)
                    self._executor.shutdown(wait=True)
                    self._executor = self._start()
                    yield from ((number, "late") for number in late)
                    return
        if died_early:
            self._restart()

    def _start(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        # loky replaces a worker that grew, and warns from a thread that a raised warning would end
        warnings.filterwarnings(
            "ignore", "A worker stopped while some jobs were given", UserWarning
        )
        executor = ProcessPoolExecutor(
            max_workers=self.jobs,
            initializer=_initialise,
            initargs=(os.getpid(), self._environment, self._cores(), self._warm_up),
            env=self._environment,
            timeout=None,
        )
        try:
            with _leaving_ctrl_c_to_the_parent():
                for _ in range(self.jobs):  # loky starts its processes with the first submission
                    executor.submit(os.getpid)
        except BaseException:
            _kill(executor)
            executor.shutdown(wait=True)
            raise
        return executor

    def _cores(self) -> tuple[int, ...]:
        """The cores that workers are kept on, one each; none where they are not to be pinned."""
        if not self._pin or not hasattr(os, "sched_getaffinity"):
            return ()
        available = sorted(os.sched_getaffinity(0))
        return tuple(available[: self.jobs]) if self.jobs <= len(available) else ()

    def _restart(self) -> None:
        self._executor.shutdown(wait=False, kill_workers=True)
        self._executor = self._start()


def _kill(executor: Any) -> None:
    """End every worker at once; the pool takes itself for broken then, and clears up.

    loky's own ``kill_workers=True`` forgets the tasks before it hands out the next one, so that its
    manager thread ends in a KeyError on the terminal (joblib 1.6).
    """
    from joblib.externals.loky.backend.utils import kill_process_tree

    for process in list(executor._processes.values()):
        kill_process_tree(process)


@contextmanager
def _leaving_ctrl_c_to_the_parent() -> Iterator[None]:
    """Start processes and threads that no Ctrl-C reaches, not even before they have imported.

    They inherit the signals that are held back here; one that comes meanwhile is delivered after.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # where loky starts it, it lets Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Stopwatch:
    """Tells which tasks take too long: each leaves a mark in a folder when a worker begins it."""

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self.interval = None if limit is None else min(SECONDS_BETWEEN_LOOKS, limit)
        self._begun: dict[int, float] = {}

    def __enter__(self) -> _Stopwatch:
        if self._limit is not None:
            self._folder = tempfile.TemporaryDirectory(prefix="hpsearch-")
        return self

    def __exit__(self, *error: object) -> None:
        if self._limit is not None:
            self._folder.cleanup()

    def timed(self, number: int, function: Callable[[T], R], task: T) -> tuple[Any, ...]:
        """The call that a worker is to make."""
        if self._limit is None:
            return function, task
        return _marked, f"{self._folder.name}/{number}", function, task

    def late(self, pending: Sequence[int]) -> list[int]:
        """Those of the unfinished tasks that have taken too long."""
        if self._limit is None:
            return []
        now = time.monotonic()
        for number in pending:
            if number not in self._begun and os.path.exists(f"{self._folder.name}/{number}"):
                self._begun[number] = now
        return [n for n in pending if now - self._begun.get(n, now) > self._limit]


def _marked(mark: str, function: Callable[[T], R], task: T) -> R:
    open(mark, "wb").close()
    return function(task)


def _initialise(
    parent: int,
    environment: Mapping[str, str],
    cores: Sequence[int],
    warm_up: Callable[[], None] | None,
) -> None:
    """Tie the worker's life to its parent's, leave Ctrl-C to the parent, and warm up."""
    from joblib.externals.loky import process_executor

    os.environ.update(environment)
    _keep_to_one_of(cores)
    process_executor._MAX_MEMORY_LEAK_SIZE = WORKER_GROWTH_BYTES
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
    if warm_up is not None:
        warm_up()
    gc.freeze()  # what is imported stays: looking it through for garbage takes 0.2 s a unit


def _keep_to_one_of(cores: Sequence[int]) -> None:
    """Keep this process on the first core that none of its sisters keeps to."""
    if not cores:
        return
    import psutil

    taken = set()
    for sister in psutil.Process(os.getppid()).children():
        with suppress(psutil.Error):
            affinity = sister.cpu_affinity()
            if sister.pid != os.getpid() and affinity and len(affinity) == 1:
                taken.update(affinity)
    free = [core for core in cores if core not in taken]
    os.sched_setaffinity(0, {(free or list(cores))[os.getpid() % len(free or cores)]})
