"""What stands beside rows: groups, times and weights, as values of each row.

Owns their reading and what is refused of them; which column or array gives them is for ``loading``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.cells import as_levels, interpret
from hpsearch.data.characters import straightened
from hpsearch.data.kinds import check_range
from hpsearch.data.signs import Signs
from hpsearch.data.understood import Cells, Places, quoted
from hpsearch.data.variants import merged
from hpsearch.errors import DataError

FAR_FROM_ONE: Final = 20.0
"""Times the mean weight may be from 1 before it is warned of."""


def groups_of(raw: tuple[str, pd.Series[Any]] | None, places: Places) -> NDArray[np.int64] | None:
    """Group codes (n_rows,), or None."""
    if raw is None:
        return None
    name, series = raw
    levels = merged(as_levels(series)).levels
    refuse_missing(levels.isna().to_numpy(), name, "--groups", places)
    return pd.factorize(levels, sort=True)[0].astype(np.int64)


def times_of(
    raw: tuple[str, pd.Series[Any]] | None, places: Places, signs: Signs
) -> NDArray[Any] | None:
    """A sortable int64 or float64 for each row (n_rows,), or None."""
    if raw is None:
        return None
    name, series = raw
    cells = interpret(series, name, signs)
    if cells.doubt is not None and (cells.form == "string" or cells.doubt.wrong):
        raise DataError(
            f"--time needs dates or numbers; column {name!r} "
            f"{cells.doubt.told(places, cells.text)}. {cells.doubt.remedy}"
        )
    refuse_missing(cells.is_missing, name, "--time", places)
    if cells.form == "date":
        return cells.series.astype("datetime64[us]").to_numpy().astype(np.int64)
    if cells.form != "number":
        raise DataError(
            f"--time needs dates or numbers; column {name!r} holds text, such as "
            f"{quoted(cells.series.iloc[0])}. Write dates as YYYY-MM-DD."
        )
    values = cells.series.to_numpy(dtype=np.float64)
    check_range(values, name, places, "Correct these cells or drop their rows.")
    if cells.huge:
        return _huge_times(cells, name, places)
    return values.astype(np.int64) if cells.whole else values


def _huge_times(cells: Cells, name: str, places: Places) -> NDArray[np.int64]:
    """Integers beyond float64's precision, such as nanoseconds since 1970."""
    assert cells.digits is not None
    beyond = np.abs(cells.series.to_numpy()) >= 2.0**63
    if beyond.any():
        raise DataError(
            f"--time needs dates, or numbers within 64 bits; column {name!r} is not in "
            f"{places.with_cells(beyond, cells.digits.tolist())}. Count in larger units."
        )
    return np.array([int(straightened(digits)) for digits in cells.digits], dtype=np.int64)


def weights_of(
    raw: tuple[str, pd.Series[Any]] | None, places: Places, signs: Signs
) -> tuple[NDArray[np.float64] | None, list[str]]:
    """What each row weighs, and what to warn of."""
    if raw is None:
        return None, []
    name, series = raw
    cells = interpret(series, name, signs)
    if cells.doubt is not None:
        raise DataError(
            f"--weights needs numbers; column {name!r} {cells.doubt.told(places, cells.text)}. "
            f"{cells.doubt.remedy}"
        )
    refuse_missing(cells.is_missing, name, "--weights", places)
    if cells.form != "number":
        raise DataError(
            f"--weights needs numbers; column {name!r} holds for instance "
            f"{quoted(cells.series.iloc[0])}. Name a column of numbers."
        )
    weights = cells.series.to_numpy(dtype=np.float64)
    check_range(weights, name, places, "Correct these cells or drop their rows.")
    if (weights < 0).any():
        raise DataError(
            f"--weights needs numbers that are not negative; column {name!r} has some in "
            f"{places(weights < 0)}. Correct these cells or drop their rows."
        )
    lost = (weights > 0) & (weights.astype(np.float32) == 0)
    if lost.any():
        raise DataError(
            f"--weights needs 0, or numbers that float32 can hold; column {name!r} has smaller "
            f"ones in {places(lost)}. Weigh in a smaller unit, since only what rows weigh relative "
            "to each other matters in scores."
        )
    if not weights.any():
        raise DataError(
            f"--weights needs some row that weighs more than zero; in {name!r} none does."
        )
    n_without = int((weights == 0).sum())
    warning = (
        f"{n_without:,} rows weigh nothing by {name!r}: no network learns from their target and no "
        "score that weighs rows knows of them, but they count in statistics of columns and in "
        "steps. Drop them where they are not to."
    )
    return weights, [warning] if n_without else []


def doubt_of_unit(weights: NDArray[np.float64] | None, name: str) -> Iterator[str]:
    """What to warn of where networks would learn too little, or too much, of each row."""
    mean = 1.0 if weights is None else weights.mean()
    if not 1 / FAR_FROM_ONE <= mean <= FAR_FROM_ONE:
        size = "small" if mean < 1 else "large"
        yield (
            f"Rows weigh {mean:.3g} on average by {name!r}, so that losses are that {size} beside "
            "penalties, and steps of some optimizers too. Scores don't mind; for training divide "
            "the weights by their mean."
        )


def refuse_missing(missing: NDArray[np.bool_], name: str, option: str, places: Places) -> None:
    """Raise ``DataError`` where an option's column has missing cells."""
    if missing.any():
        raise DataError(
            f"{option} needs a value in every row; {name!r} has {missing.sum():,} missing cells, "
            f"in {places(missing)}. Fill them in or drop these rows."
        )
