"""Signs: what a table's other columns say where one column's decimal sign is unclear.

``2.213`` beside ``900`` is two thousand in a table that has ``5,5`` in another column, and a little
more than two elsewhere. Owns this evidence; what a single column's cells say belongs to
``numerals``.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from itertools import islice
from typing import Any

import pandas as pd

from hpsearch.data.characters import straightened
from hpsearch.data.numerals import numeral
from hpsearch.data.understood import MISSING_WORDS

_N_CELLS = 100
_N_COLUMNS = 100


class Signs:
    """The decimal sign of a table's text, looked for when the first column asks.

    Parameters
    ----------
    frame : the raw columns; None where nothing else is known.
    semicolons : whether cells were separated by semicolons, as programs do where decimals have
        commas.

    Examples
    --------
    >>> table = pd.DataFrame({"a": ["2.213", "900"], "b": ["5,5", "1,25"]}, dtype="str")
    >>> Signs(table).evident
    ','
    """

    def __init__(self, frame: pd.DataFrame | None = None, *, semicolons: bool = False):
        self._frame = frame
        self._semicolons = semicolons

    @cached_property
    def evident(self) -> str:
        """The decimal sign that other columns have beyond doubt; empty where none or two are."""
        if self._frame is None:
            return ""
        columns = (column for _, column in self._frame.items())
        signs = (_evident(column) for column in columns if _is_text(column))
        counts = Counter(islice((sign for sign in signs if sign), _N_COLUMNS))
        return next(iter(counts)) if len(counts) == 1 else ""

    def decimal_for(self, either: str) -> str:
        """The decimal sign of a column whose ``either`` may be one or stand between thousands."""
        if either == ".":
            return "," if self.evident == "," else "."
        if either == ",":
            return "," if (self.evident or ("," if self._semicolons else ".")) == "," else "."
        return "."

    def leaves_doubt(self, either: str, decimal: str, mixed_lengths: bool) -> bool:
        """Whether the reading of ``either`` deserves a warning.

        Plain decimals with points are what most tables have: they are doubtful only where some
        cells have no decimals at all, or semicolons speak against them.
        """
        if decimal != either:  # taken to stand between thousands
            return either == "." or self.evident != "."
        if self.evident == either:
            return False
        return mixed_lengths or (either == "." and self._semicolons)


def _is_text(column: pd.Series[Any]) -> bool:
    return isinstance(column.dtype, pd.StringDtype | pd.api.types.pandas_dtype(object).__class__)


def _evident(column: pd.Series[Any]) -> str:
    """The decimal sign of the first cells of a column, where these are numbers and show it."""
    sign = ""
    for cell in column.head(_N_CELLS):
        if not isinstance(cell, str) or not cell.strip() or cell.strip().lower() in MISSING_WORDS:
            continue
        found = numeral(straightened(cell.strip()))
        if found is None:
            return ""
        if found.decimal:
            return found.decimal
        if found.thousands in (",", "."):
            sign = "." if found.thousands == "," else ","
    return sign
