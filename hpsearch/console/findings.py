"""Diagnoses for a terminal: what was seen, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    from hpsearch.diagnoses import Diagnosis

_STYLES: Final = {"problem": "red", "hint": "yellow", "note": "dim"}


def findings_line(diagnoses: Sequence[Diagnosis]) -> RenderableType:
    """What was seen, a line each, notes counted; evidence and advice are in the whole view."""
    shown = [one for one in diagnoses if one.severity != "note"]
    n_notes = len(diagnoses) - len(shown)
    if not diagnoses:
        return findings_view(diagnoses)
    lines = [Text(f"  {one.severity}  {one.title}", _STYLES[one.severity]) for one in shown]
    if n_notes:
        lines.append(Text(f"  and {words.counted(n_notes, 'note')}", "dim"))
    return Group(Text("diagnoses", style="bold"), *lines)


def findings_view(diagnoses: Sequence[Diagnosis]) -> RenderableType:
    """The diagnoses of a run, or that nothing stands out."""
    head = Text("diagnoses", style="bold")
    if not diagnoses:
        return Text.assemble(head, "  nothing stands out")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in diagnoses:
        style = _STYLES[one.severity]
        table.add_row(Text(one.severity, style=style), Text(one.title, style=style))
        table.add_row("", Text(words.one_line(one.evidence)))
        table.add_row("", Text(words.one_line(one.advice), style="dim"))
    return Group(head, Padding(table, (0, 0, 0, 2)))
