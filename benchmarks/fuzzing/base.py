"""What an attempt is, and how its end is judged: a result, or a refusal in one line."""

from __future__ import annotations

import contextlib
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hpsearch.errors import InputError

LONGEST_LINE = 2_000


@dataclass(frozen=True)
class Attempt:
    """One input.

    Attributes
    ----------
    what : what it is, for people.
    run : tries it; returns what came of it in a few words, or raises an ``InputError``. Anything
        else that it raises is a finding.
    """

    what: str
    run: Callable[[], str]


@dataclass(frozen=True)
class Ending:
    """How an attempt ended; ``problem`` is empty where it ended well."""

    what: str
    came: str
    seconds: float
    problem: str = ""
    details: str = ""


class WrongError(AssertionError):
    """What came of an attempt is neither a result nor a refusal in one line."""


class TooLong(BaseException):
    """An attempt takes longer than it may."""


def generator(seed: int, number: int) -> np.random.Generator:
    """The generator of one attempt: each can be made again alone."""
    return np.random.default_rng([seed, number])


def judged(
    kind: ModuleType, seed: int, number: int, folder: Path, seconds: float | None = None
) -> Ending:
    """Make an attempt and try it.

    Parameters
    ----------
    folder : an empty one, for its files.
    seconds : what it may take, by the alarm of this process; None for any time.
    """
    attempt = kind.attempt(generator(seed, number), folder)
    began = time.monotonic()

    def ending(came: str, problem: str = "", details: str = "") -> Ending:
        return Ending(attempt.what, came, time.monotonic() - began, problem, details)

    try:
        with _alarm(seconds):
            return ending(attempt.run())
    except InputError as refusal:
        said = str(refusal)
        if not said.strip() or "\n" in said or len(said) > LONGEST_LINE:
            return ending("refused", f"a refusal that is no line of text: {said[:200]!r}")
        return ending(f"refused: {said}")
    except TooLong:
        return ending("hangs", f"more than {seconds:g} s", traceback.format_exc())
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.name}"
        return ending(
            "fails",
            f"{type(error).__name__} in {where}: {' '.join(str(error).split())[:200]}",
            traceback.format_exc(),
        )


@contextlib.contextmanager
def _alarm(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def one_of(rng: np.random.Generator, choices: Any) -> Any:
    """One of some things, as it is (NumPy would turn it into a scalar of its own)."""
    choices = list(choices)
    return choices[int(rng.integers(len(choices)))]
