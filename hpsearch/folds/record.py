"""``Fold``: the immutable record of one training and validation split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

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

    @classmethod
    def of_sorted(
        cls, repeat: int, fold: int, train: NDArray[np.int64], validation: NDArray[np.int64]
    ) -> Self:
        """A fold of rows that are sorted and read-only already, as they are: nothing is copied."""
        made = object.__new__(cls)
        values = {"repeat": repeat, "fold": fold, "train": train, "validation": validation}
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    @property
    def place(self) -> str:
        """Which one it is, for messages."""
        return f"repeat {self.repeat}, fold {self.fold}"
