"""Progress: what takes long, a reading or somebody's own code, said while it does.

Owns when something is said. Who hears it belongs to the caller, the command line for instance; in
a program nobody listens unless it asks to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str], None]

SECONDS_OF_SILENCE = 3.0
SECONDS_OF_WAITING = 30.0
"""How long somebody's own code may take without a word."""

_LOOKED_AT_EVERY = 64
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def telling(listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear what readings within this block are doing, a sentence each time."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def followed(items: Iterable[T], noun: str, total: int | None = None) -> Iterator[T]:
    """The items; whoever listens hears every few seconds how many have been read.

    Examples
    --------
    >>> list(followed([1, 2], "columns", total=2))
    [1, 2]
    """
    listener = _listener.get()
    if listener is None:
        yield from items
        return
    last = time.monotonic()
    of = "" if total is None else f" of {total:,}"
    for n, item in enumerate(items):
        if n % _LOOKED_AT_EVERY == 0 and time.monotonic() - last > SECONDS_OF_SILENCE:
            listener(f"Reading the data: {n:,}{of} {noun}.")
            last = time.monotonic()
        yield item


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Where the block takes long, whoever listens hears once what is waited for.

    Parameters
    ----------
    what : for instance ``the build of the space 'mlp'``.
    """
    listener = _listener.get()
    if listener is None:
        yield
        return
    text = (
        f"Still waiting for {what}, since {SECONDS_OF_WAITING:g} s. Ctrl-C stops it; in a run, "
        "--trial-timeout SECONDS bounds it."
    )
    word = threading.Timer(SECONDS_OF_WAITING, listener, [text])
    word.daemon = True
    word.start()
    try:
        yield
    finally:
        word.cancel()
