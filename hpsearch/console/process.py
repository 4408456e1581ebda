"""The process of the command line: signals, closed streams, one line for an error, exit codes.

Owns everything between the operating system and a command. Which commands there are, and what each
does, is ``hpsearch.cli``'s. Light on purpose: what it needs beyond the standard library is imported
where a line is said.

Exit codes: 0 done; 2 the input or the options are wrong (one line, no traceback); 1 the run
failed, or nobody read what was asked for; 130, 143 and 129 stopped by Ctrl-C, by a termination
signal, or because the terminal was closed. ``HPSEARCH_DEBUG=1`` adds the traceback to any error.

A search ends by what it does, not by who looks at it: observers write to a ``Display``, which may
be lost.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, Self, TextIO, cast

from hpsearch.errors import HpsearchError, InputError
from hpsearch.system import Display, open_standard_streams, silence

SECONDS_OF_ONE_STOP: Final = 1.0
"""Signals within this time of the first one count as the same wish."""

SECONDS_UNTIL_RAISED_AGAIN: Final = 0.02

SECONDS_TO_LEAVE: Final = 5.0
"""How long what a space left running may hold the process after its last word."""

BEGAN: Final = time.monotonic()
"""When the program began, as nearly as Python can tell."""

_SECONDS_BEFORE_A_WORD: Final = 2.0
_HOW: Final = {
    getattr(signal, name): how
    for name, how in {
        "SIGINT": "stopped by Ctrl-C",
        "SIGTERM": "stopped by a termination signal",
        "SIGHUP": "stopped, since its terminal was closed",  # not on every system
    }.items()
    if hasattr(signal, name)
}


class Terminated(SystemExit):
    """A signal came; like Ctrl-C it goes through every ``finally``.

    Parameters
    ----------
    number : the signal's.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.number = number


class UnreadError(Exception):
    """What a command was asked for can't be written to standard output."""


class Signals:
    """What a signal does: the first one ends the command, a later one the process at once.

    The first raises ``KeyboardInterrupt`` or ``Terminated`` in the main thread, so that workers are
    ended and files written. Where Python drops that, since it came while an object was let go of,
    it is raised again. A context manager; a signal that is ignored when it begins stays ignored.

    Attributes
    ----------
    first : the number of the first one, or None.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self._before: dict[int, Any] = {}
        self._since = 0.0
        self._has_ended = False
        self._hook = sys.unraisablehook

    def __enter__(self) -> Self:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        if threading.current_thread() is threading.main_thread():
            for number in _HOW:
                if (before := signal.getsignal(number)) is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._come)
        return self

    def __exit__(self, *error: object) -> None:
        sys.unraisablehook = self._hook
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def end(self) -> None:
        """The command has ended: a signal ends the process now."""
        self._has_ended = True

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        number = self.first
        if number is None or not isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
            self._hook(unraisable)
            return
        self.first = None
        again = threading.Timer(SECONDS_UNTIL_RAISED_AGAIN, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    def _come(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._has_ended:
            os._exit(128 + number)
        if self.first is None:
            self.first, self._since = number, now
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
        if now - self._since > SECONDS_OF_ONE_STOP:
            with suppress(BaseException):
                how = f"{_HOW[number]}, at once. A run keeps what it recorded."
                say("error: ", "bold red", how)
            os._exit(128 + number)


def run(command: Callable[[], int]) -> int:
    """Call a command as the whole work of this process, and return its exit code.

    The process ends soon after, also where a thread or an exit handler of a space goes on.
    """
    signals = Signals().__enter__()  # for good: they come while Python exits, too
    open_standard_streams()
    # A full /dev/shm is told in one line, where processes start.
    warnings.filterwarnings("ignore", ".*joblib will operate in serial mode")
    code = 1
    try:
        code = exit_code_of(command, signals)
    finally:
        _leave_within(SECONDS_TO_LEAVE, code)
    return code


def exit_code_of(command: Callable[[], int], signals: Signals) -> int:
    """Call a command, and return the exit code that what became of it has.

    What goes wrong is said in one line on standard error, with what was noted on the error; a
    programming error is raised.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a letter of a column's name
    try:
        try:
            return command()
        finally:
            signals.end()
    except BaseException as error:
        return _code_of(error if signals.first is None else _stop_of(error, signals.first))
    finally:
        _flush()


def _stop_of(error: BaseException, number: int) -> BaseException:
    """A signal's exception, for whatever error a library made of it that it interrupted."""
    if isinstance(error, KeyboardInterrupt | Terminated):
        return error
    stop = Terminated(number)
    for note in getattr(error, "__notes__", ()):
        stop.add_note(note)
    return stop


def _code_of(error: BaseException) -> int:
    """The exit code of what ended a command, once it is said."""
    match error:
        case InputError():
            return _fail(error, str(error), code=2)
        case HpsearchError():
            return _fail(error, str(error), code=1)
        case KeyboardInterrupt():
            return _fail(error, f"{_HOW[signal.SIGINT]}.", 128 + signal.SIGINT)
        case Terminated():
            return _fail(error, f"{_HOW[error.number]}.", 128 + error.number)
        case UnreadError() | BrokenPipeError():
            return 1
        case SystemExit(code=int(code)):
            return code
        case OSError() if is_full(error):
            return _fail(error, f"the disk is full ({error}). Free some space.", code=1)
    raise error


def is_full(error: BaseException) -> bool:
    """Whether a disk, or what a user may have of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def saying_how_to_resume(otherwise: str = "Nothing was trained yet.") -> Iterator[None]:
    """Add to a stop from outside what becomes of the run, where its folder hasn't noted that.

    Parameters
    ----------
    otherwise : what to say where the stop came before the folder was taken.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        if not hasattr(stop, "__notes__"):
            stop.add_note(otherwise)
        raise


def say(label: str, style: str, message: str) -> None:
    """One line on standard error."""
    from rich.console import Console
    from rich.text import Text

    from hpsearch.words import one_line

    line = Text.assemble((label, style), one_line(message))
    Console(file=cast("TextIO", Display(sys.stderr))).print(line, soft_wrap=True)


def show(view: Any) -> None:
    """What a command is asked for, on standard output.

    Raises
    ------
    UnreadError
        If nobody reads it.
    """
    from rich.console import Console

    with _read():
        Console(file=sys.stdout).print(view)


def write(text: str) -> None:
    """A text that a command is asked for, on standard output; raises as ``show``."""
    with _read():
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def _read() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise
        silence(sys.stdout)
        raise UnreadError from error


def _fail(error: BaseException, message: str, code: int) -> int:
    if os.environ.get("HPSEARCH_DEBUG"):
        traceback.print_exception(error, file=Display(sys.stderr))
    say("error: ", "bold red", " ".join([message, *getattr(error, "__notes__", ())]))
    return code


def _flush() -> None:
    """Have what was said arrive, or be forgotten: Python would complain when it exits."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                with suppress(OSError, ValueError):
                    silence(stream)


def _leave_within(seconds: float, code: int) -> None:
    """End this process with a code, if it hasn't by itself after so many seconds.

    Python waits for threads that are no daemons, and for every exit handler.
    """

    def leave() -> NoReturn:
        time.sleep(min(_SECONDS_BEFORE_A_WORD, seconds))
        with suppress(Exception):
            say("note: ", "dim", f"waiting {seconds:g} s at most for {_what_runs()}.")
        time.sleep(max(0.0, seconds - _SECONDS_BEFORE_A_WORD))
        _flush()
        os._exit(code)

    threading.Thread(target=leave, daemon=True, name="hpsearch-leave").start()


def _what_runs() -> str:
    """What holds a process that has done its work."""
    threads = [
        thread.name
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    if not threads:
        return "an exit handler (atexit), which a space may have registered"
    return f"a thread that a space may have started ({', '.join(sorted(threads)[:3])})"
