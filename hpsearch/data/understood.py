"""What a raw column was understood as: the record that ``cells`` makes, and how it names rows.

Owns the types alone. ``cells`` and ``text_columns`` fill them in; ``kinds``, ``target`` and
``loading`` decide what a column is used as, and refuse or warn where there is a ``Doubt``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Form = Literal["number", "flag", "date", "string", "missing"]
Mask = NDArray[np.bool_]

MISSING_WORDS = (
    *("na", "n/a", "#n/a", "nan", "null", "none", "<na>", "?", "-", "--", ".", "–", "—", "−"),
)
"""Words that mean a missing cell in a column of numbers, flags or dates, in any case of letters.

In a column of categories or free text they are levels and words like any other: there only an
empty cell is missing.
"""

_LONGEST_SHOWN = 60


def quoted(cell: Any, render: Callable[[Any], str] = repr) -> str:
    """A cell for a message: its ``repr``, shortened where it is long.

    Examples
    --------
    >>> quoted("abc"), len(quoted("9" * 5000))
    ("'abc'", 61)
    """
    text = render(cell)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


@dataclass(frozen=True)
class Places:
    """Names rows for people: by their lines in a file, their own names, or their numbers from 0.

    Examples
    --------
    >>> import numpy as np
    >>> Places()(np.array([False, True, True]))
    'rows 1 and 2'
    """

    lines: NDArray[np.int64] | None = field(default=None, repr=False)
    names: Sequence[str] = field(default=(), repr=False)
    _most = 5

    def __call__(self, mask: Mask) -> str:
        """The rows that a mask selects, such as ``lines 3, 7 and 12``."""
        return self._named([str(number) for number in self._numbers(mask)], int(mask.sum()))

    def with_cells(self, mask: Mask, cells: Sequence[Any]) -> str:
        """The same with each row's cell, such as ``line 3 ('abc')``."""
        shown = [
            f"{number} ({quoted(cells[int(row)])})"
            for number, row in zip(self._numbers(mask), np.flatnonzero(mask), strict=False)
        ]
        return self._named(shown, int(mask.sum()))

    def _numbers(self, mask: Mask) -> list[int | str]:
        rows = np.flatnonzero(mask)[: self._most]
        if self.names:
            return [repr(self.names[row]) for row in rows]
        return [int(row) for row in (rows if self.lines is None else self.lines[rows])]

    def _named(self, shown: list[str], n: int) -> str:
        word = "row" if self.lines is None else "line"
        if n == 1:
            return f"{word} {shown[0]}"
        rest = n - len(shown)
        last = f"{rest} more" if rest else shown.pop()
        return f"{word}s {', '.join(shown)} and {last}"


@dataclass(frozen=True, eq=False)
class Doubt:
    """What a column's cells leave unclear, for whoever uses the column to say.

    Attributes
    ----------
    why : a sentence's predicate, such as ``is mostly numbers``.
    rows : the rows to name.
    remedy : how the cells would be clear, a sentence.
    what : what the named cells are, such as ``is not``, or what was made of them; may be empty.
    wrong : whether the named cells contradict the others, so that the column is no use as it is.
    """

    why: str
    rows: Mask
    remedy: str
    what: str = ""
    wrong: bool = False

    def told(self, places: Places, cells: Sequence[Any]) -> str:
        """The predicate with the rows, such as ``is mostly numbers, but line 3 ('x') is not``."""
        named = places.with_cells(self.rows, cells)
        if self.wrong and self.what:
            what = self.what if self.rows.sum() == 1 else self.what.replace("is ", "are ", 1)
            return f"{self.why}, but {named} {what}"
        return f"{self.why}: {named}" + (f"; it {self.what}" if self.what else "")


@dataclass(frozen=True, eq=False)
class Cells:
    """One column's cells, understood.

    Attributes
    ----------
    form : what they are; ``missing`` where no cell is filled.
    series : number: float64, missing is NaN; flag: ``str`` levels ``False`` and ``True``; date:
        datetime64[us] without a zone; string: ``str``, trimmed, missing is NaN.
    whole : for numbers, whether all were written (or typed) as integers.
    huge : for whole numbers, whether some lie beyond 2**53, where float64 skips integers.
    digits : for whole numbers that are huge, their exact digits as text.
    declared : whether the table itself says that the column is a category.
    date_format : for dates that came as text, the form they were written in.
    with_zone : whether dates had a time zone, so that they were turned to UTC.
    trimmed : whether spaces around cells were removed.
    missing_words : the words that were taken for missing cells.
    leading_zeros : whether digits with leading zeros keep this column text.
    mixed : whether numbers are among the text.
    short_years : for dates that came as text, whether years of two digits are among them.
    number_format : for numbers that came as text, the form they were written in (``numerals``).
    written : for numbers with such a form, their text.
    doubt : what is unclear about them.
    notes, warnings : for text, predicates of sentences about its different values (``variants``).
    """

    form: Form
    series: pd.Series[Any]
    whole: bool = False
    huge: bool = False
    digits: pd.Series[Any] | None = None
    declared: bool = False
    date_format: str = ""
    with_zone: bool = False
    trimmed: bool = False
    missing_words: tuple[str, ...] = ()
    leading_zeros: bool = False
    mixed: bool = False
    short_years: bool = False
    number_format: str = ""
    written: pd.Series[Any] | None = None
    doubt: Doubt | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def is_missing(self) -> Mask:
        """Which rows have no value (n_rows,)."""
        if self.form == "number":
            missing: Mask = np.isnan(self.series.to_numpy())
            return missing
        return self.series.isna().to_numpy()

    @property
    def text(self) -> list[Any]:
        """The cells as they were written, for messages."""
        return list(self.series if self.written is None else self.written)
