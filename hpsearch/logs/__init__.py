"""Logs: tools for looking at runs that hear a search as it goes, by name, a module each.

Such a module, ``base`` and those that begin with ``_`` aside, defines ``LOG``, a
``hpsearch.logs.base.LogKind``; its name is the log's. Adding a log is adding one file. A log is an
observer, and so is whatever else Python gives in ``log=``: all hear beside the display, and none
of them can end a search by failing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from hpsearch.errors import OptionError

if TYPE_CHECKING:
    from hpsearch.logs.base import LogKind
    from hpsearch.scoring.observer import Observer

Logs = tuple[Any, ...]
NONE: Final = "none"


def log_names() -> tuple[str, ...]:
    """Names of the logs, whether what they need is installed or not."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


def checked(name: str, value: Any) -> Logs | None:
    """The option ``log`` as it is kept: names and observers, each once; None where none is given.

    ``none`` is given as well, and means that a run which goes on does so without the logs it had.

    Raises
    ------
    OptionError
        One is neither, or what it needs is not installed.
    """
    given = value if isinstance(value, list | tuple) else (value,)
    if [*given] == [NONE]:
        return ()
    for each in given:
        if isinstance(each, str):
            log_kind(each)
        elif not _is_observer(each):
            raise OptionError(
                f"`{name}` is {' or '.join(log_names())}, {NONE} alone, or in Python an "
                f"hpsearch.Observer, or several of these; received {each!r}."
            )
    return tuple(dict.fromkeys(given)) or None


def _is_observer(value: Any) -> bool:
    from hpsearch.scoring.observer import Observer

    return isinstance(value, Observer)


def log_kind(name: str) -> LogKind:
    """What is known of a log, which can be kept here.

    Raises
    ------
    OptionError
        There is no such log, or what it needs is not installed.
    """
    if name not in log_names():
        raise OptionError(
            f"`log` is {' or '.join(log_names())}, or {NONE} alone; received {name!r}."
        )
    found: LogKind = importlib.import_module(f"{__name__}.{name}").LOG
    missing = [package for package in found.packages if find_spec(package) is None]
    if missing:
        raise OptionError(
            f"The log {name!r} needs {' and '.join(missing)}, not installed here. Run "
            f"pip install 'hpsearch[{name}]', or leave it out."
        )
    return found


def names_of(value: Logs | None) -> list[str] | None:
    """The logs that have a name, as a journal can hold them."""
    return [each for each in value or () if isinstance(each, str)] or None


def write(value: Logs) -> Iterator[str]:
    """The logs that have a name, as words of a command line."""
    for name in names_of(value) or ():
        yield from ("--log", name)


def heard_beside(shown: Observer, logs: Logs | None) -> Observer:
    """An observer of the display and of logs; the display itself where there are none.

    Raises
    ------
    OptionError
        On entering it: a log can't be reached.
    """
    if not logs:
        return shown
    from hpsearch.logs._beside import Beside

    made = [log_kind(each).make(shown.note) if isinstance(each, str) else each for each in logs]
    return Beside(shown, made)
