"""What a section of the report is made of: words, charts, tables, findings; no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hpsearch import words
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material, finite, label


@dataclass(frozen=True)
class Cell:
    """A table's cell: its text, what it is sorted by, and perhaps an interval drawn in it.

    ``bar`` has the interval's ends and its middle as shares of the column's width, ``badge`` a word
    that marks the row; a long text is shown in small print.
    """

    text: str
    sort: float | str | None = None
    bar: tuple[float, float, float] | None = None
    badge: str = ""
    is_long: bool = False


@dataclass(frozen=True)
class Table:
    """A table: ``numeric`` says per column whether it is aligned as numbers.

    ``n_first`` rows are shown before the reader asks for more; None shows all. ``is_open`` tables
    are part of the page, the others unfold.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[bool, ...]
    is_open: bool = False
    is_sortable: bool = False
    n_first: int | None = None


@dataclass(frozen=True)
class Chart:
    """A picture: its specification, a caption that everyone sees, and its text for who can't."""

    name: str
    spec: Spec
    caption: str
    description: str
    width: str = "wide"


@dataclass(frozen=True)
class Finding:
    """A diagnosis or a warning, with a link to the section that shows it."""

    severity: str
    title: str
    text: str
    advice: str
    anchor: str
    where: str
    trial: int | None = None


@dataclass(frozen=True)
class Section:
    """One part of the page; ``lead`` says in plain words what it shows of this run."""

    anchor: str
    title: str
    lead: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    is_grid: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure of the page's head."""

    name: str
    value: str
    about: str = ""


def table_of(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    is_open: bool = False,
) -> Table:
    """A table whose columns of ``Cell`` are numbers and whose other columns are text."""
    cells = tuple(tuple(c if isinstance(c, Cell) else Cell(c) for c in row) for row in rows)
    first = rows[0] if rows else ()
    numeric = tuple(isinstance(cell, Cell) for cell in first) or tuple(False for _ in columns)
    return Table(caption, tuple(map(label, columns)), cells, numeric, is_open=is_open)


def number_cell(value: Any, digits: int = 4) -> Cell:
    """A number in so many digits, or a dash."""
    number = finite(value)
    return Cell("-" if number is None else words.number(number, digits=digits), sort=number)


def score_cell(material: Material, value: Any) -> Cell:
    """A score of the selecting metric, as the whole page writes it, or a dash."""
    return Cell(material.score(value), sort=finite(value))


def joined(parts: Sequence[str]) -> str:
    """Parts of an enumeration: ``a, b and c``.

    Examples
    --------
    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def seconds_of(timings: pd.DataFrame) -> float:
    """Seconds of training in all, or 0 where no table says it."""
    return float(timings["seconds"].sum()) if "seconds" in timings.columns else 0.0
