"""What a pool of processes is looked at for while its tasks run: which take too long, which hang.

Owns what is noticed; what is done about it is ``loky``'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, Protocol

from hpsearch.engines.workers.scratch import ScratchFolder
from hpsearch.errors import HpsearchError

SECONDS_TO_START: Final = 600.0
"""How long a pool may take until one of its processes is ready for tasks."""

SECONDS_TO_START_IN_SILENCE: Final = 60.0

SECONDS_UNTIL_NOTICED: Final = 10.0
"""How long a dead process may go unnoticed by its pool."""


class Ready(Protocol):
    """Something that is waited for."""

    def done(self) -> bool:
        """Whether it is there."""


class Beginning:
    """Says when none of a pool's processes gets ready, which import libraries before anything.

    Parameters
    ----------
    ready : one of these is done as soon as a process is ready.
    note : takes a sentence for the user.
    """

    def __init__(self, ready: Sequence[Ready], note: Callable[[str], None]) -> None:
        self._ready = list(ready)
        self._note = note
        self._since = time.monotonic()
        self._has_spoken = False

    @property
    def is_over(self) -> bool:
        """Whether a process is ready."""
        return any(future.done() for future in self._ready)

    def look(self) -> None:
        """Say what is waited for, when that takes long.

        Raises
        ------
        HpsearchError
            If it takes longer than ``SECONDS_TO_START``.
        """
        waited = time.monotonic() - self._since
        if waited < SECONDS_TO_START_IN_SILENCE or self.is_over:
            return
        if waited > SECONDS_TO_START:
            raise HpsearchError(
                f"Worker processes must be ready within {SECONDS_TO_START:g} s, and none is: what "
                "they import hangs, perhaps on a disk that doesn't answer. Try `python -c 'import "
                "keras'`, then resume the run."
            )
        if not self._has_spoken:
            self._note(f"Waiting for worker processes, which import Keras since {waited:.0f} s.")
            self._has_spoken = True


class Deaths:
    """Notices processes that are dead without their pool knowing it.

    A pool reads that from the end of a pipe, which a copy of the process may hold open, or waits
    for the rest of a result that it had begun to send.
    """

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def unnoticed(self, processes: Iterable[int]) -> bool:
        """Whether one of the processes, all children of this one, has been dead for long."""
        now = time.monotonic()
        dead = {number for number in processes if _is_dead(number)}
        self._since = {number: self._since.get(number, now) for number in dead}
        return any(now - since > SECONDS_UNTIL_NOTICED for since in self._since.values())


def _is_dead(number: int) -> bool:
    """Whether a child has ended and waits for its parent to notice."""
    if not hasattr(os, "waitid"):
        return False
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


class Stopwatch:
    """Tells which tasks take too long: each leaves a mark in a folder when a worker begins it.

    A context manager.
    """

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self._begun: dict[int, float] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Stopwatch:
        if self._limit is not None:
            self._folder = self._exit.enter_context(ScratchFolder())
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit.__exit__(*error)

    def timed(self, number: int, function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
        """The call that a worker is to make: a function and its arguments."""
        if self._limit is None:
            return function, *arguments
        return _marked, str(self._folder / str(number)), function, *arguments

    def late(self, pending: Sequence[int]) -> list[int]:
        """Those of the unfinished tasks that have taken too long."""
        if self._limit is None:
            return []
        now = time.monotonic()
        for number in pending:
            if number not in self._begun and (self._folder / str(number)).exists():
                self._begun[number] = now
        return [n for n in pending if now - self._begun.get(n, now) > self._limit]


def _marked(mark: str, function: Callable[..., Any], *arguments: Any) -> Any:
    open(mark, "wb").close()
    return function(*arguments)
