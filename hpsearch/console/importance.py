"""Importance of columns on a terminal: a line a group of columns, those that matter most first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    import pandas as pd

_SHOWN: Final = 8


def importance_view(table: pd.DataFrame, metric: str) -> RenderableType:
    """What the networks lose without each column.

    Parameters
    ----------
    table : ``importance.csv``; metric : the one that selects.
    """
    groups = list(table.groupby("group", sort=False))
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for head, justify in (("columns", "left"), (f"{metric} lost", "right")):
        grid.add_column(head, justify=justify, overflow="fold")  # type: ignore[arg-type]
    grid.add_column("95 % interval")
    grid.add_column("")
    for _, rows in groups[:_SHOWN]:
        first = rows.iloc[0]
        names = " with ".join(words.one_line(str(name)) for name in rows["column"])
        bounds = words.interval(first["ci_low"], first["ci_high"])
        verdict = "" if first["told_apart"] or not bounds else "not told apart from none"
        grid.add_row(Text(names), words.number(first["importance"]), bounds, Text(verdict, "dim"))
    hidden = len(groups) - _SHOWN
    more = [Text(f"  and {hidden} more in importance.csv", "dim")] if hidden > 0 else []
    return Group(Text("importance of columns", "bold"), Padding(grid, (0, 0, 0, 2)), *more)
