"""Workers on this machine: joblib's loky executor, set up so that results don't depend on it.

Every worker computes with one thread, ends with its parent, and is replaced when it dies, runs out
of memory or takes too long. The pool breaks as a whole when one of its processes dies. Nothing that
a space starts in a worker (threads, exit handlers, copies of the process) outlives or holds it.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from hpsearch.engines.workers import policy
from hpsearch.engines.workers.environment import (
    WORKER_ENVIRONMENT,
    WORKER_GROWTH_BYTES,
    end_soon_when_done,
    end_with_parent,
    tie_copies,
)
from hpsearch.engines.workers.fork_server import ForkServer
from hpsearch.engines.workers.policy import (
    SECONDS_TO_CLOSE,
    Begun,
    Failure,
    LateCallError,
    Value,
    Workers,
)
from hpsearch.engines.workers.watch import Beginning, Deaths, Stopwatch
from hpsearch.errors import HpsearchError
from hpsearch.system import Display, one_process, signals_held_back, what_stays

SECONDS_BETWEEN_LOOKS = 0.2
"""How often the parent looks whether a task takes too long, or what else may be wrong."""

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
    note : takes a sentence for the user.
    server : a process that has warmed up, whose copies the workers are; it is not ended here. Where
        there is one, they start when they are first needed.

    Raises
    ------
    HpsearchError
        If the system lets no process start; when tasks run, if none gets ready.
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
        note: Callable[[str], None] = lambda text: None,
        server: ForkServer | None = None,
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self._note = note
        self._warm_up = warm_up
        self._environment = dict(environment)
        self._pin = pin
        self._server = server
        self._exit = ExitStack()
        self._started_executor = None if server is not None else self._start()

    @property
    def _executor(self) -> Any:
        """The pool; it is started where that wasn't done yet."""
        if self._started_executor is None:
            self._started_executor = self._start()
        return self._started_executor

    @_executor.setter
    def _executor(self, executor: Any) -> None:
        self._started_executor = executor

    def close(self, *, at_once: bool) -> None:
        """End the processes; those that don't end by themselves are ended after some seconds."""
        self._exit.close()
        if self._started_executor is None:
            return
        pool = _Pool(self._executor)
        if at_once:
            pool.kill()
        late = threading.Timer(SECONDS_TO_CLOSE, self._end_late_ones, (pool,))
        late.daemon = True
        late.start()
        self._executor.shutdown(wait=True)
        late.cancel()
        late.join()  # what it holds would be let go while Python ends, when threads are cut off

    def begin(
        self, function: Callable[..., R], *arguments: Any, limit: float | None = None
    ) -> Begun[R]:
        """Begin a call in a worker."""
        stopwatch = self._exit.enter_context(Stopwatch(limit))
        pool, begun = self._begun(stopwatch.timed(0, function, *arguments))

        def result() -> R:
            from concurrent.futures.process import BrokenProcessPool

            nonlocal pool, begun
            for attempt in range(policy.MAX_ATTEMPTS):
                if attempt:
                    pool, begun = self._begun(stopwatch.timed(attempt, function, *arguments))
                while not begun.done():
                    wait([begun], timeout=SECONDS_BETWEEN_LOOKS)
                    self._look()
                    if not begun.done() and stopwatch.late([attempt]):
                        self._begin_anew()
                        raise LateCallError(f"{function.__name__} took longer than {limit:g} s.")
                try:
                    value: R = begun.result()
                    return value
                except BrokenProcessPool:
                    self._restart(pool)
            raise HpsearchError(
                f"A worker process died {policy.MAX_ATTEMPTS} times in {function.__name__}: it was "
                "killed, or memory ran out. Use fewer --jobs, or a smaller network."
            )

        return Begun(lambda: begun.done(), result)

    def _begun(self, call: Sequence[Any]) -> tuple[Any, Future[Any]]:
        """The pool that has a call to make, and what it will give."""
        pool = self._executor
        try:
            return pool, self.submit(*call)
        except BrokenExecutor as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return pool, failed

    def submit(self, function: Callable[..., R], *arguments: Any) -> Future[R]:
        """Run one call in a worker."""
        future: Future[R] = self._executor.submit(_call, function, *arguments)
        return future

    def round(
        self, function: Callable[[T], R], tasks: Mapping[int, T], numbers: Sequence[int]
    ) -> Iterator[tuple[int, Value[R] | Failure]]:
        """Results of the given tasks, until a worker dies or one takes too long."""
        from concurrent.futures.process import BrokenProcessPool

        futures: dict[Future[R], int] = {}
        died_early, pool = False, self._executor
        with Stopwatch(self.timeout) as stopwatch:
            try:
                for number in numbers:
                    task = stopwatch.timed(number, function, tasks[number])
                    futures[self.submit(*task)] = number
            except BrokenProcessPool:  # a worker died while tasks were still handed out
                died_early = True
            pending = set(futures)
            while pending:
                done, pending = wait(
                    pending, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED
                )
                self._look()
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
                    self._restart(pool)
                    suspects = sorted(futures[future] for future in broken)[: self.jobs + 1]
                    yield from ((number, "died") for number in suspects)
                    return
                late = stopwatch.late(sorted(futures[future] for future in pending))
                if late:
                    self._begin_anew()
                    yield from ((number, "late") for number in late)
                    return
        if died_early:
            self._restart(pool)

    def _begin_anew(self) -> None:
        """End all processes, whatever they do, and start others."""
        _Pool(self._executor).kill()
        self._executor.shutdown(wait=True)
        self._executor = self._start()

    def _look(self) -> None:
        """See whether the pool hangs: at its beginning, or on a process that died unnoticed."""
        self._beginning.look()
        if self._deaths.unnoticed(list(self._executor._processes)):
            _Pool(self._executor).kill()

    def _end_late_ones(self, pool: _Pool) -> None:
        """End what hasn't ended by itself, and say so; runs in a thread of its own."""
        if pool.is_alive:
            self._note(
                f"A worker process did not end within {SECONDS_TO_CLOSE:g} s, since something that "
                "the space started may wait in it; it was ended."
            )
        pool.kill()

    def _start(self) -> Any:
        """A pool whose processes have begun to import."""
        try:
            return self._started()
        except OSError as error:
            raise HpsearchError(
                "Worker processes need memory, file descriptors and room in /dev/shm to start; the "
                f"system says: {error.strerror or error}. Free some, or use fewer --jobs."
            ) from error

    def _started(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        # loky replaces a worker that grew, and warns from a thread that a raised warning would end
        warnings.filterwarnings(
            "ignore", "A worker stopped while some jobs were given", UserWarning
        )
        executor = ProcessPoolExecutor(
            max_workers=self.jobs,
            context=self._context(),
            initializer=_initialise,
            initargs=(os.getpid(), self._environment, self._cores(), self._warm_up),
            env=self._environment,
            timeout=None,
        )
        try:
            with _leaving_ctrl_c_to_the_parent():
                # loky starts its processes with the first submission
                ready = [executor.submit(os.getpid) for _ in range(self.jobs)]
        except BaseException:
            _Pool(executor).kill()
            executor.shutdown(wait=True)
            raise
        _close_once(executor._result_queue._writer)
        self._beginning, self._deaths = Beginning(ready, self._note), Deaths()
        return executor

    def _context(self) -> Any:
        """How processes start: as copies of the server, once it has imported, or loky's own way."""
        if self._server is None:
            return None
        beginning = Beginning([self._server], self._note)
        while not self._server.wait(SECONDS_BETWEEN_LOOKS):
            beginning.look()
        from hpsearch.engines.workers.forked import forking

        return forking(self._server)

    def _cores(self) -> tuple[int, ...]:
        """The cores that workers are kept on, one each; none where they are not to be pinned."""
        if not self._pin or not hasattr(os, "sched_getaffinity"):
            return ()
        available = sorted(os.sched_getaffinity(0))
        if self.jobs > len(available):
            return ()
        # Any of them: else searches that leave cores free would all share the first ones.
        return tuple(random.SystemRandom().sample(available, self.jobs))

    def _restart(self, broken: Any) -> None:
        """Replace a pool that broke, unless that is done."""
        if self._executor is broken:
            broken.shutdown(wait=False, kill_workers=True)
            self._executor = self._start()


class _Pool:
    """The processes that an executor has, to be ended whatever it does."""

    def __init__(self, executor: Any) -> None:
        import psutil

        self._results = executor._result_queue
        self._processes = []
        for number in list(executor._processes or ()):
            with suppress(psutil.Error):
                self._processes.append(psutil.Process(number))

    @property
    def is_alive(self) -> bool:
        """Whether one of them is left."""
        import psutil

        for process in self._processes:
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    return True
        return False

    def kill(self) -> None:
        """End them at once, with their children; the pool takes itself for broken, and clears up.

        loky's own ``kill_workers=True`` forgets the tasks before it hands out the next one, so that
        its manager thread ends in a KeyError on the terminal (joblib 1.6). That thread may also
        wait for the rest of a result: it gets the end of the pipe, once nobody can write to it.
        """
        import psutil

        for process in self._processes:
            with suppress(psutil.Error):
                for each in (*reversed(process.children(recursive=True)), process):
                    with suppress(psutil.Error):
                        each.kill()
        if self._results is not None:
            self._results._writer.close()


def _close_once(connection: Any) -> None:
    """Let two threads close a connection: its number may be another file's the second time."""
    close, first = connection.close, threading.Lock()
    connection.close = lambda: close() if first.acquire(blocking=False) else None


@contextmanager
def _leaving_ctrl_c_to_the_parent() -> Iterator[None]:
    """Start processes and threads that neither Ctrl-C nor the end of the terminal reaches."""
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # where loky starts it, it lets Ctrl-C through again
    with signals_held_back():
        yield


def _call(function: Callable[..., R], *arguments: Any) -> R:
    with one_process():
        return function(*arguments)


def _initialise(
    parent: int,
    environment: Mapping[str, str],
    cores: Sequence[int],
    warm_up: Callable[[], None] | None,
) -> None:
    """Tie the worker's life to its parent's, leave signals to the parent, and warm up."""
    from joblib.externals.loky import process_executor

    os.environ.update(environment)
    _keep_to_one_of(cores)
    process_executor._MAX_MEMORY_LEAK_SIZE = WORKER_GROWTH_BYTES
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)
    end_soon_when_done()
    tie_copies()
    sys.stdout, sys.stderr = Display(sys.stdout), Display(sys.stderr)
    with what_stays():
        if warm_up is not None:
            warm_up()


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
