"""Small checks and counts that the splitters share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hpsearch.errors import FoldError, OptionError


def count_rows(X: Any) -> int:
    """Rows of an array, a table, a list or a sparse array."""
    return int(X.shape[0]) if hasattr(X, "shape") and X.shape else len(X)


def share_of(share: float, n_rows: int) -> int:
    """Rows of a share, rounded up, with tolerance for shares such as 0.07 of 100."""
    return math.ceil(share * n_rows - 1e-9)


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own, so that messages show the value alone."""
    return value.item() if isinstance(value, np.generic) else value


def check_integer(name: str, value: Any, *, at_least: int | None = None) -> None:
    """Refuse what is not an integer, booleans among it, or is too small."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise OptionError(f"`{name}` must be an integer; received {value!r}.")
    if at_least is not None and value < at_least:
        raise FoldError(f"`{name}` must be at least {at_least}; received {value}.")


def check_n_splits(n_splits: Any, *, at_least: int) -> None:
    """Refuse a number of folds that is too small."""
    check_integer("n_splits", n_splits)
    if n_splits < at_least:
        raise FoldError(
            f"`--folds` must be at least {at_least} here; received {n_splits}. "
            "Raise it, or hold out one share of the rows with `--split holdout`."
        )


def check_share(share: Any) -> None:
    """Refuse a share that is not above 0 and below 1."""
    if isinstance(share, bool) or not isinstance(share, int | float | np.number):
        raise OptionError(f"`--test-size` must be a number; received {share!r}.")
    if not 0 < share < 1:
        raise FoldError(
            f"`--test-size` is a share of the rows, above 0 and below 1; received {share}."
        )
