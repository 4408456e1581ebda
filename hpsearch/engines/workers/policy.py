"""What becomes of tasks whose worker dies or takes too long: one policy, whoever runs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from hpsearch.errors import HpsearchError

MAX_ATTEMPTS = 3
"""Attempts at a task whose worker dies or whose memory runs out."""

SECONDS_TO_CLOSE = 5.0
"""How long processes that have nothing to do may take to end, before they are ended."""

MAX_LATE_ATTEMPTS = 2
"""Attempts at a task that takes longer than is allowed: each costs that time."""

LEAST_SECONDS_OF_A_CALL = 60.0
"""What a single call may take at least, whatever a task may: it may have to compile first."""

T = TypeVar("T")
R = TypeVar("R")


class LateCallError(HpsearchError):
    """A single call took longer than is allowed, and its process was ended."""


def limit_of_call(timeout: float | None, n_tasks: int = 1) -> float | None:
    """Seconds that a single call may take, where tasks have a limit; None for any time.

    Parameters
    ----------
    n_tasks : as many tasks' work as it may be.

    Examples
    --------
    >>> limit_of_call(None), limit_of_call(5.0), limit_of_call(600.0, n_tasks=4)
    (None, 60.0, 2400.0)
    """
    return None if timeout is None else max(LEAST_SECONDS_OF_A_CALL, timeout * n_tasks)


@dataclass(frozen=True)
class Lost(Generic[T]):
    """A task that was given up.

    Attributes
    ----------
    task, attempts : what it was, and how often it was tried.
    limit : the seconds that it may take, where it was given up because it took longer.
    """

    task: T
    attempts: int
    limit: float | None = None

    @property
    def reason(self) -> str:
        """Why, for a table's cell."""
        if self.limit is None:
            return f"its worker process died {self.attempts} times (killed, or out of memory)"
        return f"it took longer than --trial-timeout {self.limit:g}, {self.attempts} times"


@dataclass(frozen=True)
class Value(Generic[R]):
    """What a task gave."""

    value: R


@dataclass(frozen=True)
class Begun(Generic[R]):
    """A call that was begun.

    Attributes
    ----------
    is_over : whether it need not be waited for.
    result : waits for its result. Only then is it looked after: where its worker dies or takes too
        long, that is noticed there.
    """

    is_over: Callable[[], bool]
    result: Callable[[], R]


Failure = Literal["died", "late"]
"""Why a task has to be tried again: its worker is gone, or was ended for taking too long."""


class Workers(ABC):
    """Processes that run tasks; a context manager that ends them.

    Attributes
    ----------
    jobs : tasks that run at the same time.
    timeout : seconds that a task of ``map_unordered`` may take; None for any time.
    company : deaths of a worker up to which a task is tried again beside others; after that it
        goes alone, so that only the one that kills workers is given up.
    """

    jobs: int
    timeout: float | None
    company: ClassVar[int]

    def call(self, function: Callable[..., R], *arguments: Any, limit: float | None = None) -> R:
        """Run one call in a process of this machine; its exceptions are raised here.

        Parameters
        ----------
        limit : seconds that it may take, from when a process begins it; None for any time.

        Raises
        ------
        LateCallError
            If it took longer.
        HpsearchError
            If its worker died ``MAX_ATTEMPTS`` times.
        """
        return self.begin(function, *arguments, limit=limit).result()

    @abstractmethod
    def begin(
        self, function: Callable[..., R], *arguments: Any, limit: float | None = None
    ) -> Begun[R]:
        """Begin a call, as ``call`` makes it."""

    @abstractmethod
    def round(
        self, function: Callable[[T], R], tasks: Mapping[int, T], numbers: Sequence[int]
    ) -> Iterator[tuple[int, Value[R] | Failure]]:
        """Try the tasks of the given numbers once; those without an outcome are tried again."""

    @abstractmethod
    def close(self, *, at_once: bool) -> None:
        """End the processes: when their tasks are done, or at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(at_once=kind is not None)

    def map_unordered(
        self, function: Callable[[T], R], tasks: Sequence[T]
    ) -> Iterator[R | Lost[T]]:
        """Each task's result as soon as it is there; a dead worker's tasks are tried again.

        After workers died, the tasks that may have killed them go one at a time, so that only the
        one that does is given up, after ``MAX_ATTEMPTS`` attempts. A task that takes longer than
        is allowed has its worker ended, and is given up after ``MAX_LATE_ATTEMPTS``.
        """
        remaining: dict[int, T] = dict(enumerate(tasks))
        deaths: dict[int, int] = {}
        late: dict[int, int] = {}
        while remaining:
            suspects = [n for n, count in deaths.items() if count > self.company and n in remaining]
            for number, result in self.round(function, remaining, suspects[:1] or list(remaining)):
                if isinstance(result, Value):
                    del remaining[number]
                    yield result.value
                    continue
                attempts = late if result == "late" else deaths
                attempts[number] = attempts.get(number, 0) + 1
                if late.get(number, 0) >= MAX_LATE_ATTEMPTS:
                    yield Lost(remaining.pop(number), late[number], self.timeout)
                elif deaths.get(number, 0) >= MAX_ATTEMPTS:
                    yield Lost(remaining.pop(number), deaths[number])
