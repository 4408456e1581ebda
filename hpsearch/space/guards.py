"""Guards around a space's own code: what it raises becomes one line, what it warns of is heard.

Owns also how long such code may take in this process, and the word that is said meanwhile. Which
code runs belongs to ``hpsearch.space.source``; time in worker processes to
``hpsearch.engines.workers``.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

from hpsearch.errors import InputError, SpaceError
from hpsearch.progress import waiting_for

MOST_CHARACTERS = 500
"""Of an error's text in a message."""

_FOR_DEVELOPERS = (
    DeprecationWarning,
    PendingDeprecationWarning,
    FutureWarning,
    ImportWarning,
    ResourceWarning,
)
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")
_RAISED = re.compile(r"\w*(Error|Exception): ")

_limit: ContextVar[float | None] = ContextVar("limit", default=None)


class _TookTooLongError(BaseException):
    """A space's code runs longer than it may; no ``except Exception`` of its own stops this."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Let each call of a space's code in this process take so long at most; None for any time.

    Where the system has no alarm, the process uses it itself, or this is no main thread, there is
    no limit.
    """
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


@contextlib.contextmanager
def blame(
    name: str,
    step: str,
    filenames: Collection[str],
    *,
    of: str = "space",
    error_type: type[InputError] = SpaceError,
) -> Iterator[None]:
    """Turn whatever a space's own code raises into a SpaceError with the file and the line.

    An interruption from outside, such as Ctrl-C, goes through.

    Parameters
    ----------
    name : the space's name.
    step : what it was doing, for instance ``build``.
    filenames : the space's own files, whose line is told.
    of, error_type : what it is in place of a space, and the error that is raised then.
    """
    with waiting_for(f"the {step} of the {of} {name!r}"), _signals_noted() as came, _alarm():
        try:
            yield
        except error_type:
            raise
        except _TookTooLongError as error:
            raise error_type(
                f"The {step} of the {of} '{name}' must end within {_limit.get():g} s, as "
                f"--trial-timeout has it; it goes on{line_of(error, filenames)}. Look for a loop "
                "without end, or allow more time."
            ) from error
        except BaseException as error:
            if came:
                raise
            said = text_of(error).rstrip(".")
            raise error_type(
                f"The {of} '{name}' raised {type(error).__name__} in its {step}"
                f"{line_of(error, filenames)}{said and f': {said}'}. Correct the {of}."
            ) from error


def text_of(error: BaseException) -> str:
    r"""The line of an error's text that tells most, however the error makes it.

    Keras and TensorFlow put other lines before it: frames, or the name of a layer.

    Examples
    --------
    >>> text_of(ValueError("in user code:\n  File x, line 1\n  ValueError: too narrow\n"))
    'too narrow'
    """
    told = _telling_line(lines_of(error))
    return told if len(told) <= MOST_CHARACTERS else f"{told[:MOST_CHARACTERS]}…"


def whole_text_of(error: BaseException) -> str:
    """An error's text, whatever the class does when it is asked for it."""
    try:
        return str(error)
    except Exception:
        return "an error that cannot say what it is"


def lines_of(error: BaseException) -> list[str]:
    """The lines of an error's text, without blank ones and codes for a terminal; one at least."""
    text = _TERMINAL_CODE.sub("", whole_text_of(error))
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()] or [""]


def _telling_line(lines: Sequence[str]) -> str:
    pairs = list(pairwise(lines))
    for line, following in pairs:
        if "Exception encountered when calling" in line:
            return f"{following} (in {line.split()[-1].rstrip('.')})"  # such as Dense.call()
    if lines[0] == "in user code:":
        raised = (line.partition(": ")[2] for line in reversed(lines) if _RAISED.match(line))
        return next(raised, lines[0])
    if lines[0].startswith("Graph execution error"):
        before_node = (line for line, following in pairs if following.startswith("[[{{node"))
        return next(before_node, lines[0])
    return lines[0]


def line_of(error: BaseException, filenames: Collection[str]) -> str:
    """Where in some files an error was raised, in brackets, or nothing."""
    if isinstance(error, SyntaxError) and error.filename in filenames:
        return f" ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in filenames]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """The numbers of the signals that come: what these raise isn't the space's."""
    came: list[int] = []
    before: dict[int, Callable[..., Any]] = {}

    def noting(handler: Callable[..., Any]) -> Callable[..., Any]:
        def note(number: int, frame: Any) -> Any:
            came.append(number)
            return handler(number, frame)

        return note

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # not all of them on every system
            number = getattr(signal, name, None)
            handler = None if number is None else signal.getsignal(number)
            if number is not None and callable(handler):
                before[number] = handler
                signal.signal(number, noting(handler))
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    """Raise in the block when it has taken as long as it may."""
    seconds = _limit.get()
    is_free = (
        seconds is not None
        and hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    )
    if seconds is None or not is_free:
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise _TookTooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, where the first one is caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """Keep warnings off the terminal; the list has them, a line each, when the block has ended.

    Warnings for those who develop a library are left out.
    """
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield heard
        finally:
            said = (w for w in caught if not issubclass(w.category, _FOR_DEVELOPERS))
            heard += dict.fromkeys(" ".join(str(w.message).split()) for w in said)
