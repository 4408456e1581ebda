"""Levels of quantiles, as Python and the command line give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np

from hpsearch.errors import OptionError

LEVELS: Final = (0.1, 0.5, 0.9)
"""Levels where nothing else is asked."""

_RULE: Final = "numbers between 0 and 1, each larger than the one before it"


def levels(name: str, value: Any) -> tuple[float, ...]:
    """The rule of the option.

    Examples
    --------
    >>> levels("levels", [0.1, 0.5, 0.9])
    (0.1, 0.5, 0.9)
    """
    given = (value,) if isinstance(value, int | float | str) else value
    try:
        found = tuple(float(each) for each in given or ())
    except (TypeError, ValueError):
        raise _wrong(name, value) from None
    inside = all(math.isfinite(level) and 0.0 < level < 1.0 for level in found)
    if not (inside and all(np.diff(found) > 0)):
        raise _wrong(name, value)
    return found


def _wrong(name: str, value: Any) -> OptionError:
    return OptionError(
        f"`{name}` are {_RULE}; received {value!r}. Give for instance 0.1, 0.5 and 0.9."
    )


def read_levels(given: str | None) -> Any:
    """The option as a command line has it: ``0.1,0.5,0.9``.

    Examples
    --------
    >>> read_levels("0.1, 0.9")
    (0.1, 0.9)
    """
    if given is None:
        return None
    try:
        return tuple(float(part) for part in given.split(","))
    except ValueError:
        raise OptionError(
            f"--levels are {_RULE}, with commas between them; received {given!r}. Write for "
            "instance --levels 0.1,0.5,0.9."
        ) from None


def write_levels(asked: Iterable[float]) -> Iterator[str]:
    """The option as words of a command line."""
    yield from ("--levels", ",".join(map(repr, asked)))


def levels_of(task: str | None, asked: tuple[float, ...]) -> tuple[float, ...]:
    """The levels of a problem type; none but for quantiles.

    Raises
    ------
    OptionError
        Levels are given with another problem type.
    """
    if task == "quantile":
        return asked or LEVELS
    if asked:
        raise OptionError(
            f"--levels belong to --task quantile; received {', '.join(map(repr, asked))} "
            f"{f'with --task {task}' if task else 'without it'}. Add --task quantile, or leave "
            "--levels out."
        )
    return ()
