"""What new rows hold that the training rows never did: levels, words, gaps, far numbers.

Such rows are predicted all the same; whoever reads the predictions should know. Owns these
sentences; that the cells can be read at all belongs to ``rows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from hpsearch.data.dataset import Column
from hpsearch.data.names import listed
from hpsearch.data.understood import quoted
from hpsearch.data.words import split_words

_MOST_NAMED = 5
_ROUNDING = 1e-9


def unseen_levels(cells: pd.Series[Any], column: Column) -> tuple[str, ...]:
    """A sentence where a category has levels that the schema does not know.

    Examples
    --------
    >>> colour = Column("colour", "category", levels=("blue", "red"))
    >>> unseen_levels(pd.Series(["red", "green"], dtype="str"), colour)
    ("Column 'colour': 'green' did not occur in the training data (1 row).",)
    """
    known = frozenset(column.levels)
    unseen = sorted(c for c in cells.unique() if isinstance(c, str) and c not in known)
    if not unseen:
        return ()
    shown = listed([quoted(level) for level in unseen], most=_MOST_NAMED)
    n_rows = int(cells.isin(unseen).sum())
    return (
        f"Column {column.name!r}: {shown} did not occur in the training data ({_rows(n_rows)}).",
    )


def unseen_words(cells: pd.Series[Any], column: Column) -> tuple[str, ...]:
    """A sentence where texts hold words, but none that the schema knows."""
    known = frozenset(column.levels)
    words = (split_words(text, column.word_rule) for text in cells.dropna())
    n_rows = sum(bool(found) and known.isdisjoint(found) for found in words)
    if not n_rows:
        return ()
    return (
        f"Column {column.name!r}: none of the words of {_rows(n_rows)} occurred in the training "
        "data.",
    )


def unseen_gaps(frame: pd.DataFrame, columns: Iterable[Column]) -> tuple[str, ...]:
    """A sentence where cells are missing in columns that had none missing."""
    n_missing = frame.isna().to_numpy().sum(axis=0)
    by_name = dict(zip(frame.columns, n_missing.tolist(), strict=True))
    gaps = {c.name: by_name.get(c.name, 0) for c in columns if not c.has_missing}
    named = [f"{name!r} ({_rows(n)})" for name, n in gaps.items() if n]
    if not named:
        return ()
    return (
        f"Missing cells in {listed(named, most=_MOST_NAMED)}: no cell of "
        f"{'this column' if len(named) == 1 else 'these columns'} was missing in the training "
        "data.",
    )


def beyond_ranges(frame: pd.DataFrame, ranges: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    """A sentence where numbers or dates lie outside what the training rows held.

    Parameters
    ----------
    frame : new rows, as in ``Dataset``.
    ranges : the smallest and the largest training value of columns, dates in ISO form; a column
        without values has ``[None, None]``.

    Examples
    --------
    >>> beyond_ranges(pd.DataFrame({"age": [20.0, 130.0]}), {"age": [18.0, 90.0]})
    ("Outside what the training data held: 'age' in 1 row, up to 130 (18 to 90).",)
    """
    found = [_beyond(frame[name], name, ends) for name, ends in ranges.items() if name in frame]
    named = [text for text in found if text]
    if not named:
        return ()
    return (f"Outside what the training data held: {listed(named, most=_MOST_NAMED)}.",)


def _beyond(cells: pd.Series[Any], name: str, ends: Sequence[Any]) -> str:
    low, high = ends
    if low is None or high is None:
        return ""
    values = cells.to_numpy()  # whose comparisons take a tenth of the time that a series' do
    slack: Any = 0
    if values.dtype.kind == "M":
        low, high = pd.Timestamp(low), pd.Timestamp(high)
        first, last = low.to_datetime64(), high.to_datetime64()
    else:
        first, last = low, high
        slack = _ROUNDING * max(abs(low), abs(high))
    below, above = values < first - slack, values > last + slack
    n_rows = int((below | above).sum())
    if not n_rows:
        return ""
    reach = [f"down to {_value(cells.min())}"] if below.any() else []
    reach += [f"up to {_value(cells.max())}"] if above.any() else []
    return f"{name!r} in {_rows(n_rows)}, {' and '.join(reach)} ({_value(low)} to {_value(high)})"


def _value(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return (value.date() if value == value.normalize() else value).isoformat()
    return f"{value:.6g}"


def _rows(n_rows: int) -> str:
    return f"{n_rows:,} {'row' if n_rows == 1 else 'rows'}"
