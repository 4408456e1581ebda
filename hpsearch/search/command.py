"""How to make a run again: the command line that asks for the same."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.options import Resumed
from hpsearch.search.options import OPTIONS
from hpsearch.search.plan import SearchPlan
from hpsearch.space.space import Space, shipped_spaces


def command(plan: SearchPlan) -> str:
    """The command line of a search; options at their defaults are left out, but for the seed.

    What a command line can't hold stands in capitals: ``DATA`` for a table that was in memory,
    ``SPACE.py`` for a space that was a Python object, ``PREPROCESS.py`` for a transformer that was
    one, ``FILE`` for test rows of that kind.
    """
    options, table = plan.options, plan.source
    source = table.origin.source if table.origin else None
    read = {} if table.origin is None else _given(table.origin.options)
    if source is None or not source.startswith(("sklearn:", "keras:")):
        read.setdefault("target", table.target.names)
    asked = {each.name: getattr(options, each.name) for each in OPTIONS}
    asked["space"] = _space(plan.space)
    if asked["test_data"] is not None and not isinstance(asked["test_data"], str | os.PathLike):
        asked["test_data"] = "FILE"
    return command_line(source or "DATA", read, asked)


def _space(space: Space) -> str:
    if space.source.payload is not None:
        return "SPACE.py"
    is_shipped = space.name in shipped_spaces() or space.path is None
    return space.name if is_shipped else str(space.path)


def command_line(data: str, read: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """A command line of ``hpsearch run``.

    Parameters
    ----------
    data : what is read; read : options of ``load``; asked : options of ``Search``.

    Examples
    --------
    >>> command_line("sklearn:iris", {}, {"trials": 3, "folds": 4, "seed": 0})
    'hpsearch run sklearn:iris --trials 3 --seed 0'
    """
    return shlex.join(["hpsearch", "run", data, *_words(read, asked)])


def _words(read: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for each in TABLE_OPTIONS:
        if each.name in read:
            yield from each.as_words(read[each.name])
    for each in OPTIONS:
        if each.name == "seed" and "seed" in asked:  # always said: it is what one would change
            yield from (each.flag, str(asked["seed"]))
        elif each.name in asked and (each.resumed.is_recorded or each.resumed is Resumed.APART):
            yield from each.as_words(asked[each.name])


def _given(read: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``load`` that were given."""
    return {name: value for name, value in read.items() if value not in (None, [], ())}
