"""``TimeOrderedSplit``: train on the past, validate on what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.errors import FoldError
from hpsearch.folds.checks import check_integer, check_n_splits, check_share, count_rows, share_of

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TimeOrderedSplit:
    """Folds in time order: each trains on the past and validates on what comes next.

    The rows are sorted by time; the last K stretches validate, one after another, each after all
    rows before it (less the gap) have trained. Rows of equal time never lie on both sides of a
    boundary, so stretches can be longer or shorter than asked. Copies of a row at another time
    are left where they are: the past is what a forecast may know.

    Parameters
    ----------
    n_splits : K, at least 1.
    gap : rows left out between training and validation rows.
    test_size : share of the rows in each stretch, above 0 and below 1, rounded up to a row;
        None for 1 / (K + 1), rounded down.
    time : a sortable value for each row (n,); None where the rows are in the order of time.
    begins : where rows are windows whose targets come at ``time``, the time of their first row
        (n,): only those train that end before the first one to validate begins. None for rows
        that reach over no time.

    Raises
    ------
    FoldError : for parameters out of range, and in ``split`` where times or rows are too few.

    Examples
    --------
    >>> import numpy as np
    >>> for train, validation in TimeOrderedSplit(2, gap=1).split(np.zeros(6)):
    ...     print(train, validation)
    [0] [2 3]
    [0 1 2] [4 5]
    """

    n_splits: int = 4
    _: KW_ONLY
    gap: int = 0
    test_size: float | None = None
    time: NDArray[Any] | None = field(default=None, repr=False)
    begins: NDArray[Any] | None = field(default=None, repr=False)

    n_repeats: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_n_splits(self.n_splits, at_least=1)
        check_integer("gap", self.gap, at_least=0)
        if self.test_size is not None:
            check_share(self.test_size)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Yield the folds, the earliest first.

        Parameters
        ----------
        X : the features, n rows; only counted.
        y : unused.
        groups : None; time order cannot keep groups together.

        Yields
        ------
        train, validation : sorted row numbers, int64.

        Raises
        ------
        FoldError : where distinct times are too few, or the gap or the stretches too long.
        """
        if groups is not None:
            raise FoldError("Time order does not keep groups together; received `groups`.")
        order, starts = _time_order(self.time, count_rows(X))
        for start, stop in self._stretches(len(order), starts):
            validation = np.sort(order[start:stop])
            yield self._before(np.sort(order[: start - self.gap]), validation), validation

    def _before(self, train: Rows, validation: Rows) -> Rows:
        """The training rows that end before any row to validate begins."""
        if self.begins is None or self.time is None:
            return train
        before: Rows = train[self.time[train] < self.begins[validation].min()]
        if not len(before):
            raise FoldError(
                "No window lies across the cut between training and validation rows, and all of "
                "those before the first cut would. Lower --folds or --window, or give more rows."
            )
        return before

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many pairs ``split`` yields: K."""
        return self.n_splits

    def _stretches(self, n_rows: int, starts: Rows) -> list[tuple[int, int]]:
        """First and past-the-last position of each validation stretch in the order of time."""
        k = self.n_splits
        if len(starts) < k + 1:
            raise FoldError(
                f"`--folds {k}` in time order needs at least {k + 1} distinct times; the data "
                f"have {len(starts)}. Lower --folds."
            )
        size = n_rows // (k + 1)
        if self.test_size is not None:
            size = share_of(self.test_size, n_rows)
        if k * size >= n_rows:
            raise FoldError(
                f"{k} stretches of {size} rows leave none of the {n_rows} rows to train on. "
                "Lower --folds or the test size."
            )
        first = _snap(n_rows - size * np.arange(k, 0, -1), starts)
        if self.gap >= first[0]:
            raise FoldError(
                f"`--gap {self.gap}` leaves no rows to train on in the first fold; at most "
                f"{first[0] - 1} is possible. Lower --gap or --folds."
            )
        return list(zip(first, [*first[1:], n_rows], strict=True))


def _time_order(time: Any, n_rows: int) -> tuple[Rows, Rows]:
    """The rows in the order of time, and the positions in it at which a new time starts."""
    if time is None:
        rows = np.arange(n_rows, dtype=np.int64)
        return rows, rows
    if len(time) != n_rows:
        raise FoldError(f"`time` needs one value per row; received {len(time)} for {n_rows} rows.")
    if pd.isna(time).any():
        raise FoldError("`time` must be known for every row; received missing times. Drop them.")
    _, codes = np.unique(np.asarray(time), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return order, starts


def _snap(positions: Rows, starts: Rows) -> list[int]:
    """The starts nearest to ascending positions, all different, none the first of all."""
    right = np.clip(np.searchsorted(starts, positions), 1, len(starts) - 1)
    is_left = positions - starts[right - 1] <= starts[right] - positions
    nearest = np.where(is_left, right - 1, right)
    taken: list[int] = [0]
    for k, at in enumerate(nearest):
        latest = len(starts) - (len(nearest) - k)
        taken.append(int(np.clip(at, taken[-1] + 1, latest)))
    return [int(starts[at]) for at in taken[1:]]
