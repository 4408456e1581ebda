"""Levels in other forms: which known level a cell means that is written otherwise.

A table comes from a CSV file today and from a database tomorrow: ``True`` is ``1`` there, ``yes``
or ``1.0``. Owns these forms; how one cell of any type becomes text belongs to ``cells``. Each cell
is judged by itself, and what fits no level, or more than one, stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from hpsearch.data.characters import visible
from hpsearch.data.names import listed
from hpsearch.data.understood import MISSING_WORDS, quoted
from hpsearch.data.variants import as_seen

_FLAGS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("0", "1"))
_MEANS = {word: bool(side) for pair in _FLAGS for side, word in enumerate(pair)}
_MOST_EXACT = 15  # digits that float64 always keeps
_WHOLE = re.compile(r"[+]?(-?(?:0|[1-9][0-9]*))(?:\.0+)?")


def in_known_form(
    text: pd.Series[Any], known: Collection[str]
) -> tuple[pd.Series[Any], dict[str, str | None]]:
    """Level text with each cell as the known level that it means, and what was changed."""
    forms = known_forms((cell for cell in text.unique() if isinstance(cell, str)), known)
    if not forms:
        return text, forms
    changed = [forms.get(cell, cell) for cell in text.astype(object)]
    return pd.Series(changed, dtype="str"), forms


def form_note(forms: Mapping[str, str | None], name: str) -> tuple[str, ...]:
    """A sentence where words for true and false were taken for other words for them.

    Examples
    --------
    >>> form_note({"1": "yes", "0": "no", "Yes": "yes"}, "ill")
    ("Column 'ill': '0' was read as 'no', '1' as 'yes'.",)
    """
    told = {
        cell: form
        for cell, form in sorted(forms.items())
        if form is not None
        and _plain_number(cell).casefold() in _MEANS
        and form.casefold() not in (cell.casefold(), _plain_number(cell))
    }
    if not told:
        return ()
    pairs = [f"{quoted(cell)} as {quoted(form)}" for cell, form in told.items()]
    return (f"Column {name!r}: {listed(pairs, most=4).replace(' as', ' was read as', 1)}.",)


def known_forms(cells: Iterable[str], known: Collection[str]) -> dict[str, str | None]:
    """The level that each cell means which is not written as one; None where it means missing.

    Parameters
    ----------
    cells : different cells as text.
    known : the levels that the schema knows.

    Examples
    --------
    >>> known_forms(["1", "no", "perhaps"], ["False", "True"])
    {'1': 'True', 'no': 'False'}
    >>> known_forms(["3.0", "04"], ["3", "4"])
    {'3.0': '3'}
    """
    levels = frozenset(known)
    flags = _flags(levels)
    seen = as_seen(levels)
    forms = {cell: _form(cell, levels, flags, seen) for cell in cells if cell not in levels}
    return {cell: form for cell, form in forms.items() if form != cell}


def _form(
    cell: str, levels: frozenset[str], flags: Mapping[bool, str], seen: Mapping[str, str]
) -> str | None:
    shown = visible(cell)
    if not shown or shown in seen:
        return seen.get(shown)
    plain = _plain_number(cell)
    if plain in levels:
        return plain
    if cell.lower() in MISSING_WORDS and (levels <= {"False", "True"} or _are_huge(levels)):
        return None
    meaning = _MEANS.get(plain.casefold())
    return cell if meaning is None else flags.get(meaning, cell)


def _are_huge(levels: frozenset[str]) -> bool:
    """Whether the levels are whole numbers that became a category for their size alone."""
    return all(map(_WHOLE.fullmatch, levels)) and any(len(level) > _MOST_EXACT for level in levels)


def _flags(levels: frozenset[str]) -> dict[bool, str]:
    """The levels that say false and true, where all levels come from one pair of words.

    A letter or a digit alone may mean anything: it needs the other one beside it.
    """
    words = {level.casefold() for level in levels}
    if len(words) < len(levels) or not any(words <= {*pair} for pair in _FLAGS):
        return {}
    if len(words) == 1 and len(min(words)) == 1:
        return {}
    return {_MEANS[level.casefold()]: level for level in levels}


def _plain_number(cell: str) -> str:
    """A whole number as its level is written, ``3.0`` as ``3``; other text as it is.

    ``1.10`` stays what it is: it may be a version, and not ``1.1``.
    """
    found = _WHOLE.fullmatch(cell)
    return found[1] if found else cell
