"""Column names: each given once, and options that name a column that exists.

Owns the checks of names alone; which column plays which part belongs to ``loading``.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from hpsearch.data.understood import quoted
from hpsearch.errors import DataError

_CLOSE = 0.7
_LONGEST = 500
_LONGEST_LISTED = 160


def checked_names(columns: Iterable[Any]) -> list[str]:
    """Column names as trimmed text.

    Raises
    ------
    DataError
        A name is empty or occurs twice, or the names have several levels.

    Examples
    --------
    >>> checked_names(["age", " height "])
    ['age', 'height']
    """
    if isinstance(columns, pd.MultiIndex):
        raise DataError(
            "Column names have one level; received a MultiIndex. Join its levels into one."
        )
    names = [str(column).strip() for column in columns]
    wrong = [name for name in names if not _is_unicode(name)]
    if wrong:
        raise DataError(f"Names are Unicode text; received {wrong[0]!r}. Rename the column.")
    long = next((i for i, name in enumerate(names) if len(name) > _LONGEST), None)
    if long is not None:
        raise DataError(
            f"A column's name has at most {_LONGEST} characters; that of column {long + 1} has "
            f"{len(names[long]):,}. Shorten it, or add a line with names above the first."
        )
    if "" in names:
        raise DataError(
            f"Every column needs a name; column {names.index('') + 1} has none. Name it, or remove "
            "it (an unnamed first column is often a row index: write the table without it)."
        )
    if len(set(names)) < len(names):
        name = next(name for name, n in Counter(names).items() if n > 1)
        places = [str(i + 1) for i, other in enumerate(names) if other == name]
        raise DataError(
            f"Column names must differ; {name!r} names columns {', '.join(places[:-1])} and "
            f"{places[-1]}. Rename one of them."
        )
    return names


def _is_unicode(name: str) -> bool:
    """Whether a text has no half of a surrogate pair, which no file can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def check_known(wanted: Iterable[str], columns: Sequence[str], option: str) -> None:
    """Raise ``DataError`` where an option names a column that the table does not have."""
    for name in wanted:
        if name not in columns:
            close = nearest(name, columns)
            hint = f"Did you mean {close!r}?" if close else f"Columns: {listed(columns)}."
            raise DataError(f"{option} must name a column; the table has no {quoted(name)}. {hint}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs from ``name`` by a slip at most, or None.

    Examples
    --------
    >>> nearest("Prcie", ["price", "size"]), nearest("nofile", ["df_ref"])
    ('price', None)
    """
    folded = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_CLOSE)
    return folded[close[0]] if close else None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a sentence, the first few of many, the beginnings of long ones.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    short = [
        name if len(name) <= _LONGEST_LISTED else f"{name[:_LONGEST_LISTED]}…"
        for name in names[:most]
    ]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(short) + more
