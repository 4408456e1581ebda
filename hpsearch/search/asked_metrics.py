"""The options ``metric`` and ``also``: what may be given, and how it is recorded and written.

Light, since the command line reads it at once; what is given is loaded in ``scored``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hpsearch.errors import OptionError


def one(name: str, value: Any) -> Any:
    """A metric's name, a file with one's own, or a function; what is loaded already stays."""
    if not isinstance(value, str) and not callable(value) and not hasattr(value, "of_target"):
        raise OptionError(
            f"`{name}` is a name, FILE.py:NAME or a function f(y_true, y_pred); received {value!r}."
        )
    return value


def several(name: str, value: Any) -> tuple[Any, ...] | None:
    """Some of them; None for none."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(one(name, each) for each in values) or None


def name_of(value: Any) -> Any:
    """Its name, for a journal."""
    return value if value is None or isinstance(value, str) else value.name


def names_of(values: Sequence[Any] | None) -> list[Any] | None:
    """Their names."""
    return None if values is None else [name_of(value) for value in values]


def write(values: Sequence[Any]) -> Iterator[str]:
    """The words of a command line that ask for the same."""
    for value in values:
        yield from ("--also", str(value))
