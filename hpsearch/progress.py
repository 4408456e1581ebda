"""Progress: what a reading that takes long is doing, said while it does it.

Owns when something is said. Who hears it belongs to the caller, the command line for instance; in
a program nobody listens unless it asks to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Listener = Callable[[str], None]

SECONDS_OF_SILENCE = 3.0
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
