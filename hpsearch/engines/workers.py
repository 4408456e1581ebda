"""Worker processes: joblib's loky executor, set up so that results don't depend on the machine.

The one module that knows about processes. Every worker runs TensorFlow with one thread, ends with
its parent, and is replaced when it dies: the work it had is given out again a bounded number of
times, then reported as lost.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

WORKER_ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}
"""Threads and backend of a worker, recorded in run.json: they are part of what fixes the bytes."""

MAX_ATTEMPTS = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Lost(Generic[T]):
    """A task whose worker died each time it was tried."""

    task: T
    attempts: int


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep native libraries from writing to the terminal: TensorFlow greets on import."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def default_jobs() -> int:
    """Workers by default: the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


class Workers:
    """A pool of worker processes, started at once so that they import while the parent plans.

    Parameters
    ----------
    jobs : number of processes.
    warm_up : what each worker runs first, such as an import.
    """

    def __init__(self, jobs: int, warm_up: Callable[[], None] | None = None) -> None:
        self.jobs = jobs
        self._warm_up = warm_up
        self._executor = self._start()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=kind is None, kill_workers=kind is not None)

    def call(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run one call in a worker and wait for it; its exceptions are raised here."""
        result: R = self._executor.submit(function, *arguments).result()
        return result

    def submit(self, function: Callable[..., R], *arguments: Any) -> Future[R]:
        """Run one call in a worker."""
        future: Future[R] = self._executor.submit(function, *arguments)
        return future

    def map_unordered(
        self, function: Callable[[T], R], tasks: Sequence[T]
    ) -> Iterator[R | Lost[T]]:
        """Each task's result as soon as it is there; a dead worker's tasks are tried again.

        After a worker died, the tasks that may have killed it go one at a time, so that only the
        one that does is given up, after ``MAX_ATTEMPTS`` attempts.
        """
        remaining: dict[int, T] = dict(enumerate(tasks))
        suspects: dict[int, int] = {}
        while remaining:
            alone = [number for number in suspects if number in remaining][:1]
            for number, result in self._round(function, remaining, alone or list(remaining)):
                if result is not None:
                    del remaining[number]
                    yield result.value
                    continue
                suspects[number] = suspects.get(number, 0) + 1
                if suspects[number] >= MAX_ATTEMPTS:
                    yield Lost(remaining.pop(number), suspects[number])

    def _round(
        self, function: Callable[[T], R], tasks: dict[int, T], numbers: list[int]
    ) -> Iterator[tuple[int, _Value[R] | None]]:
        """Results of the given tasks; None for each that was under way when a worker died."""
        from concurrent.futures.process import BrokenProcessPool

        futures = {self._executor.submit(function, tasks[n]): n for n in numbers}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            broken = []
            for future in sorted(done, key=lambda f: futures[f]):
                if isinstance(future.exception(), BrokenProcessPool):
                    broken.append(future)
                else:
                    yield futures[future], _Value(future.result())
            if broken:
                self._restart()
                suspects = sorted(futures[future] for future in broken)[: self.jobs + 1]
                yield from ((number, None) for number in suspects)
                return

    def _start(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        executor = ProcessPoolExecutor(
            max_workers=self.jobs,
            initializer=_initialise,
            initargs=(os.getpid(), self._warm_up),
            env=WORKER_ENVIRONMENT,
            timeout=None,
        )
        for _ in range(self.jobs):  # loky starts its processes with the first submission
            executor.submit(os.getpid)
        return executor

    def _restart(self) -> None:
        self._executor.shutdown(wait=False, kill_workers=True)
        self._executor = self._start()


@dataclass(frozen=True)
class _Value(Generic[R]):
    value: R


def _initialise(parent: int, warm_up: Callable[[], None] | None) -> None:
    """Tie the worker's life to its parent's, leave Ctrl-C to the parent, and warm up."""
    os.environ.update(WORKER_ENVIRONMENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    if warm_up is not None:
        warm_up()
