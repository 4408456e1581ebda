"""A process and the system around it: closed streams, readers that are gone, signals, copies.

Nothing here knows what the process is for.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Display:
    """A text stream to people, who may leave: what is written after that goes nowhere.

    A pipe whose reader has ended, a terminal that is gone, a full disk behind a redirection and a
    stream that was closed before the process began lose what is shown, and nothing else.

    Parameters
    ----------
    stream : where to write; None where there is nothing, as Python has it for closed streams.

    Attributes
    ----------
    is_lost : whether nobody reads any more.

    Examples
    --------
    >>> display = Display(None)
    >>> display.write("to nobody")
    9
    >>> display.is_lost
    True
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.is_lost = stream is None

    def write(self, text: str) -> int:
        """Write a text, with ``?`` for letters that the stream's encoding lacks."""
        if self._stream is not None and not self.is_lost:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self.write(text.encode(encoding, "replace").decode(encoding))
            except BlockingIOError:
                pass  # this part is lost: its reader is slow, not gone
            except (OSError, ValueError):  # ValueError: it was closed meanwhile
                self.is_lost = True
        return len(text)

    def flush(self) -> None:
        """Have what was written arrive."""
        if self._stream is not None and not self.is_lost:
            try:
                self._stream.flush()
            except BlockingIOError:
                pass
            except (OSError, ValueError):
                self.is_lost = True

    def isatty(self) -> bool:
        """Whether somebody sits in front of it."""
        try:
            return self._stream is not None and not self.is_lost and self._stream.isatty()
        except (OSError, ValueError):
            return False

    @property
    def encoding(self) -> str:
        """The stream's encoding; ``utf-8`` where there is none."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_standard_streams() -> None:
    """Put the null device in the place of standard streams that are closed.

    The next file that the process opens would take a free number otherwise, and libraries write
    what they have to say to number 2.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            stream = os.fdopen(number, mode, closefd=False, encoding="utf-8")
            setattr(sys, name, stream)


def silence(stream: TextIO) -> None:
    """Have all that is still to be written to a stream go nowhere, when Python exits too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def one_process() -> Iterator[None]:
    """End copies of this process that foreign code in the block makes (``os.fork``) and lets go on.

    Each would do the rest of this process's work once more.
    """
    number = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != number:
            os._exit(1)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Hold signals that end the process back until the block ends.

    An import that they interrupt crashes in a library's compiled code, or swallows them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are seen to in the main thread alone
        return
    came: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {n: signal.signal(n, lambda number, frame: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Start processes and threads that neither Ctrl-C nor the end of the terminal reaches.

    Not even before they have imported: they inherit the signals that are held back here; one that
    comes meanwhile is delivered after.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def what_stays() -> Iterator[None]:
    """Make objects that stay, as imports do, without looking them through for garbage, ever.

    That would take a quarter of the time of an import, and 0.2 s later on, again and again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
