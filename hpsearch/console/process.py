"""The process of the command line: signals, closed streams, one line for an error, exit codes.

Owns everything between the operating system and a command. Which commands there are, and what each
does, is ``hpsearch.cli``'s. Light on purpose: what it needs beyond the standard library is imported
where a line is said.

Exit codes: 0 done; 2 the input or the options are wrong (one line, no traceback); 1 the run
failed; 130 and 143 stopped by Ctrl-C or a termination signal. ``HPSEARCH_DEBUG=1`` adds the
traceback to any error.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from hpsearch.errors import HpsearchError, InputError

INTERRUPTED: Final = 130
TERMINATED: Final = 143


class Terminated(SystemExit):
    """A termination signal came; like Ctrl-C it goes through every ``finally``."""


class Stopped(BaseException):
    """A command was stopped from outside, and its message says how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_code_of(command: Callable[[], int]) -> int:
    """Call a command, and return the exit code that what became of it has.

    What goes wrong is said in one line on standard error; a programming error is raised.
    """
    _prepare()
    try:
        code = command()
        sys.stdout.flush()
    except InputError as error:
        return _fail(str(error), code=2)
    except HpsearchError as error:
        return _fail(_with_notes(error, str(error)), code=1)
    except Stopped as stop:
        return _fail(str(stop), stop.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C.", INTERRUPTED)
    except Terminated:
        return _fail("stopped by a termination signal.", TERMINATED)
    except BrokenPipeError:
        _silence_stdout()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        said = f"the disk is full ({error}). Free some space and try again."
        return _fail(_with_notes(error, said), code=1)
    return code


@contextmanager
def saying_how_to_resume(otherwise: str = "Nothing was trained yet.") -> Iterator[None]:
    """Add to a stop from outside what becomes of the run: the notes of its folder, if it had one.

    Parameters
    ----------
    otherwise : what to say where the stop came before the folder was taken.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        is_signal = isinstance(stop, Terminated)
        how = "stopped by a termination signal" if is_signal else "stopped by Ctrl-C"
        said = _with_notes(stop, f"{how}.") if hasattr(stop, "__notes__") else f"{how}. {otherwise}"
        raise Stopped(said, TERMINATED if is_signal else INTERRUPTED) from None


def say(label: str, style: str, message: str) -> None:
    """One line on standard error."""
    from rich.console import Console
    from rich.text import Text

    from hpsearch.words import one_line

    line = Text.assemble((label, style), one_line(message))
    Console(stderr=True).print(line, soft_wrap=True)


def show(view: Any) -> None:
    """What a command is asked for, on standard output."""
    from rich.console import Console

    Console().print(view)


def terminate(number: int, frame: Any) -> NoReturn:
    """The handler of a termination signal."""
    raise Terminated(TERMINATED)


def _prepare() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a letter of a column's name
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)


def _with_notes(error: BaseException, said: str) -> str:
    """What is said of an error, and what was noted on its way."""
    return " ".join([said, *getattr(error, "__notes__", ())])


def _fail(message: str, code: int) -> int:
    if os.environ.get("HPSEARCH_DEBUG"):
        traceback.print_exc()
    say("error: ", "bold red", message)
    return code


def _silence_stdout() -> None:
    """Keep Python from complaining about the closed pipe once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
