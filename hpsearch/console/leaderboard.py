"""The leaderboard of many runs, for a terminal: a table for each group that can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    from hpsearch.report.board import Group
    from hpsearch.results.leaderboard import Leaderboard


def leaderboard_view(board: Leaderboard) -> RenderableType:
    """Each group's runs by rank, and what the columns mean."""
    lines: list[RenderableType] = []
    for group in board.groups:
        lines += [Text.assemble((f"{group.mark}  ", "bold"), group.title), _table(group), ""]
    if any(group.duels for group in board.groups):
        lines.append(Text(_REMARK, style="dim"))
    return Lines(*lines, *_left_out(board))


_REMARK = (
    "better and worse than which ranks: by a paired t-test of the folds' scores, corrected for the "
    "rows that they share, and by Holm for all pairs of the group, at 5 %. `--html FILE` shows the "
    "pairs."
)


def _table(group: Group) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("run", overflow="fold", min_width=8)
    for name in ("mean ± se", "95 % interval", "on new rows"):
        table.add_column(name, no_wrap=True)
    table.add_column("better than", overflow="fold")
    table.add_column("worse than", overflow="fold")
    names = _names([one.run for one in group.standings])
    for one, name in zip(group.standings, names, strict=True):
        width = None if one.low is None or one.high is None else one.high - one.low
        table.add_row(
            str(one.rank),
            name,
            words.score(one.score, one.se),
            words.interval(one.low, one.high) or "-",
            words.within(one.expected, width),
            ", ".join(map(str, one.better_than)) or "-",
            ", ".join(map(str, one.worse_than)) or "-",
        )
    return table


def _names(runs: list[str]) -> list[str]:
    """The runs' folders by their own names, or in full where these are not enough."""
    short = [PurePath(run).name or run for run in runs]
    return short if len(set(short)) == len(short) else runs


def _left_out(board: Leaderboard) -> Iterator[RenderableType]:
    for path, reason in board.left_out:
        yield Text(words.one_line(f"left out: {path}: {reason}"), style="yellow")
