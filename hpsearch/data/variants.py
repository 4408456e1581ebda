"""Variants: levels that look the same are one level, and levels that nearly do are named.

A no-break space, a letter with its accent apart or a character without width makes a second class
that nobody sees. Owns what is taken together when levels are learnt; how a new cell finds its level
belongs to ``levels``. What can't be seen belongs to ``characters``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hpsearch.data.characters import lookalike, visible, without_controls
from hpsearch.data.names import listed
from hpsearch.data.understood import quoted

CORRECT_LEVELS = "Write them alike if they mean the same."
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class Merged:
    """Level text whose variants are one, and the predicates of sentences about it.

    Attributes
    ----------
    levels : the text of each row; a cell that shows nothing is missing.
    notes : what was taken together.
    warnings : levels that were kept apart and differ in case, quotes or widths alone.
    """

    levels: pd.Series[Any]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def merged(levels: pd.Series[Any]) -> Merged:
    """Take variants of a level together, as the one that most rows have.

    Examples
    --------
    >>> found = merged(pd.Series(["Rome", "Rome\u200b", "Rome", "ROME"], dtype="str"))
    >>> found.levels.tolist()
    ['Rome', 'Rome', 'Rome', 'ROME']
    >>> found.warnings[0]
    "has levels that differ in case alone: 'Rome' (3 rows) and 'ROME' (1 row)"
    """
    counts = Counter(levels.dropna().tolist())
    if len({lookalike(level) for level in counts}) == len(counts) and all(map(_is_clean, counts)):
        return Merged(levels)
    alike: dict[str, list[str]] = {}
    for level in sorted(counts, key=lambda level: (-counts[level], level != visible(level), level)):
        alike.setdefault(visible(level), []).append(level)
    forms = {
        level: without_controls(group[0]) if seen else None
        for seen, group in alike.items()
        for level in group
    }
    changed = {level: form for level, form in forms.items() if level != form}
    if changed:
        cells = [None if pd.isna(cell) else forms[cell] for cell in levels]
        levels = pd.Series(cells, dtype="str")
    return Merged(levels, _taken_together(alike), _nearly_alike(alike, counts))


def as_seen(levels: Collection[str]) -> dict[str, str]:
    """Each level by how it looks, for finding the level that a new cell shows.

    Levels that look the same, which older models may have, are left out.

    Examples
    --------
    >>> as_seen(["New York"])["New York"], as_seen(["a", "a\u200b"])
    ('New York', {})
    """
    counts = Counter(map(visible, levels))
    return {visible(level): level for level in levels if counts[visible(level)] == 1}


def _is_clean(level: str) -> bool:
    """Whether a level has nothing that would be taken out of it."""
    return level.isprintable() and visible(level) != ""


def _taken_together(alike: Mapping[str, list[str]]) -> tuple[str, ...]:
    """What to say of levels of which only one is left, and of such that show nothing."""
    notes: tuple[str, ...] = ()
    several = [group for seen, group in alike.items() if seen and len(group) > 1]
    groups = [" and ".join(quoted(level, ascii) for level in group) for group in several]
    if groups:
        notes += (f"has levels that look the same and were taken for one: {_few(groups)}",)
    if "" in alike:
        cells = [quoted(level, ascii) for level in alike[""]]
        notes += (f"has cells that show nothing and are missing: {_few(cells)}",)
    return notes


def _nearly_alike(alike: Mapping[str, list[str]], counts: Mapping[str, int]) -> tuple[str, ...]:
    """What to say of levels that differ in case, quotes, dashes or widths alone."""
    n_rows = {seen: sum(counts[level] for level in group) for seen, group in alike.items()}
    near: dict[str, list[str]] = {}
    for seen in alike:
        near.setdefault(lookalike(seen), []).append(seen)
    groups = [group for group in near.values() if len(group) > 1]
    if not groups:
        return ()
    by_case = all(len({seen.casefold() for seen in group}) == 1 for group in groups)
    named = [" and ".join(f"{quoted(s)} ({_rows(n_rows[s])})" for s in group) for group in groups]
    what = "case" if by_case else "case, quotes, dashes or widths"
    return (f"has levels that differ in {what} alone: {_few(named)}",)


def _few(groups: Any) -> str:
    return listed(list(groups), most=_MOST_NAMED).replace(", ", "; ")


def _rows(n: int) -> str:
    return f"{n:,} row{'s' if n != 1 else ''}"
