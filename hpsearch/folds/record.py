"""``Fold``: the immutable record of one training and validation split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Fold:
    """One training and validation split of a run's rows.

    Attributes
    ----------
    repeat, fold : zero-based numbers of the reshuffle and of the part within it.
    train, validation : sorted int64 row numbers, disjoint, read-only.
    """

    repeat: int
    fold: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            rows: NDArray[Any] = np.sort(np.asarray(getattr(self, name), dtype=np.int64))
            rows.flags.writeable = False
            object.__setattr__(self, name, rows)
