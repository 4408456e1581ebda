"""The options of reading a table, each declared once: those of ``load``.

What they do belongs to ``loading``, which checks them against the table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpsearch import options as rules
from hpsearch.options import Panel, option

MAX_LEVELS: Final = 64
"""Levels kept of a category column, where nothing else is asked."""

MAX_WORDS: Final = 10_000
"""Words kept of a text column, where nothing else is asked."""


def read_names(values: Sequence[str] | None) -> list[str]:
    """Names from a repeatable option whose values may hold several, separated by commas.

    A name that has a comma itself is put in double quotes.

    Examples
    --------
    >>> read_names(["a, b", '"c,d"'])
    ['a', 'b', 'c,d']
    """
    rows = (next(csv.reader([value], skipinitialspace=True), []) for value in values or ())
    return [name.strip() for row in rows for name in row if name.strip()]


def _write_names(flag: str) -> Any:
    def write(names: Any) -> Iterator[str]:
        for name in [names] if isinstance(names, str) else names:
            text = str(name)
            yield from (flag, '"' + text.replace('"', '""') + '"' if "," in text else text)

    return write


@dataclass(frozen=True)
class TableOptions:
    """How a table is read; see ``hpsearch.load``."""

    target: Any = option(
        (),
        "What to predict, a column or several; tables need it. Repeatable, or separated by commas.",
        rules.anything,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--target"),
    )
    task: Any = option(
        None,
        "The problem type: binary, multiclass, multilabel, regression or share. Default: inferred.",
        rules.anything,
        panel=Panel.DATA,
        metavar="KIND",
    )
    drop: Any = option(
        (),
        "Columns to leave out. Repeatable, or separated by commas.",
        rules.anything,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--drop"),
    )
    text: Any = option(
        (),
        "Columns to read as free text. Repeatable, or separated by commas.",
        rules.anything,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--text"),
    )
    path: Any = option(
        None,
        "For keras:NAME, the set's file, where it cannot be downloaded.",
        rules.anything,
        panel=Panel.DATA,
        metavar="FILE",
    )
    groups: Any = option(
        None,
        "Rows with one value of this column stay on one side of each fold.",
        rules.anything,
        panel=Panel.FOLDS,
        metavar="COLUMN",
    )
    time: Any = option(
        None,
        "Train on earlier rows and validate on later ones, by this column.",
        rules.anything,
        panel=Panel.FOLDS,
        metavar="COLUMN",
    )


TABLE_OPTIONS: Final = rules.declared(TableOptions)
