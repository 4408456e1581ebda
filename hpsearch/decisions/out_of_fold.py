"""``OutOfFold``: what the selected trial said of rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.task import Target


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The selected trial's out-of-fold predictions at its best epoch, as decisions use them.

    Attributes
    ----------
    target : the problem type and its labels.
    y : (n, ...) the rows' targets.
    predictions : (P, n, ...) canonical, one for each repeat. Where repeats validate other rows, as
        hold-outs do, all stand side by side as one repeat.
    fold : (P, n) the position in the run's folds of the one that each prediction was made in.
    rows : (n,) the rows' numbers in the table of the search.
    blocks : (n,) what belongs together, and is drawn together.
    weights : (n,) what the rows weigh, or None where they weigh the same.
    """

    target: Target
    y: NDArray[Any]
    predictions: NDArray[Any] = field(repr=False)
    fold: NDArray[np.int64]
    rows: NDArray[np.int64]
    blocks: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None

    @property
    def n_rows(self) -> int:
        """Rows, each with P predictions."""
        return len(self.y)

    @property
    def n_repeats(self) -> int:
        """Predictions of each row."""
        return len(self.predictions)

    @property
    def n_each(self) -> float:
        """Predictions of each row of the table: P, or on average as many hold-outs as it is in."""
        return self.n_rows * self.n_repeats / len(np.unique(self.rows))
