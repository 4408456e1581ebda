"""Comparisons for a terminal: two trials, or the selected one against the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    from hpsearch.results.comparing import Contender, TrialComparison


def pair_view(one: TrialComparison) -> RenderableType:
    """Two trials: their scores, the difference, and how sure it is."""
    test, chance = one.test, one.probability
    better = "lower" if one.direction == "min" else "higher"
    sides = _table("", "run", "trial", f"{one.metric} ({better} is better)")
    for name, side in (("A", one.a), ("B", one.b)):
        sides.add_row(name, _short_path(side), str(side.trial), words.score(side.score))
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("A - B", _difference(one) + _interval(one))
    facts.add_row("folds", _folds(one))
    facts.add_row(
        "t-test", f"t = {test.t:.2f}, {test.df} degrees of freedom, p = {_p_value(test.p_value)}"
    )
    for text, share in (
        ("A better", chance.better),
        ("equal", chance.equal),
        ("B better", chance.worse),
    ):
        facts.add_row(text, f"{_percent(share):>6}{_within(one) if text == 'equal' else ''}")
    return Group(sides, "", facts, *_remarks([*one.notes, _selection_remark()]))


def selected_view(made: Sequence[TrialComparison], *, n_trials: int) -> RenderableType:
    """The selected trial against the others, a line each."""
    if not made:
        return Text("There is no other completed trial to compare the selected one with.")
    first = made[0]
    better = "lower" if first.direction == "min" else "higher"
    head = Text.assemble(
        (f"trial {first.a.trial}, the selected one, against the others", "bold"),
        f": {first.metric}, {better} is better",
    )
    table = _table("trial", first.metric, "selected - it ± se", "p (Holm)", justify="right")
    for name in ("better", "equal", "worse"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in made[:n_trials]:
        chance = one.probability
        table.add_row(
            str(one.b.trial),
            words.score(one.b.score),
            _difference(one),
            _p_value(one.p_holm),
            *(_percent(share) for share in (chance.better, chance.equal, chance.worse)),
        )
    hidden = len(made) - n_trials
    lines: list[RenderableType] = [head, "", table]
    if hidden > 0:
        lines.append(Text(f"and {words.counted(hidden, 'more trial')}", style="dim"))
    ropes = [one.rope for one in made]
    widest = "" if min(ropes) == max(ropes) else f" to {words.number(max(ropes), digits=2)}"
    notes = [
        f"Each on {_folds(first)}; better, equal and worse are the selected trial's probabilities, "
        f"equal meaning a difference up to {words.number(min(ropes), digits=2)}{widest}.",
        f"p values are corrected for {words.counted(len(made), 'comparison')} (Holm).",
        _selection_remark(),
        *dict.fromkeys(note for one in made for note in one.notes),
    ]
    return Group(*lines, *_remarks(notes))


def _selection_remark() -> str:
    return (
        "No figure here knows that a trial was selected for its score: part of its lead over the "
        "trials it was selected from is luck."
    )


def _table(*names: str, justify: str = "left") -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    for name in names:
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    return table


def _short_path(side: Contender) -> str:
    """The last two parts of the folder's name, which tell runs apart."""
    return "/".join(PurePath(side.run).parts[-2:])


def _difference(one: TrialComparison) -> str:
    sign = "-" if one.test.difference < 0 else "+"
    return sign + words.score(abs(one.test.difference), one.test.se)


def _interval(one: TrialComparison) -> str:
    bounds = words.interval(one.test.low, one.test.high)
    return f", 95 % interval {bounds}" if bounds else ""


def _folds(one: TrialComparison) -> str:
    return (
        f"{words.counted(one.n_folds, 'fold')} of {words.counted(one.n_repeats, 'repeat')}, "
        "the same for both"
    )


def _within(one: TrialComparison) -> str:
    return f"  a difference up to {words.number(one.rope, digits=2)} counts as none"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _remarks(notes: Iterable[str]) -> list[RenderableType]:
    return ["", *(Text(note, style="dim") for note in notes)]
