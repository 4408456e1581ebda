"""What the statistics share: variances, losses, and the rules that options must meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.errors import OptionError
from hpsearch.task import Direction, loss_sign

Floats = NDArray[np.float64]


def variance(values: Floats) -> Floats:
    """Sample variance over the last axis, divisor J - 1; NaN where J is 1."""
    if values.shape[-1] < 2:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values.var(axis=-1, ddof=1), dtype=np.float64)


def losses_of(values: ArrayLike, direction: Direction) -> Floats:
    """Values of which small ones are good; infinite where not finite."""
    array = np.asarray(values, dtype=np.float64)
    losses = loss_sign(direction) * array
    return np.where(np.isfinite(losses), losses, np.inf)


def fold_scores(scores: ArrayLike, name: str = "scores") -> Floats:
    """Scores as float64, all of them finite; ValueError where one is not."""
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite; received {values[~np.isfinite(values)][0]}.")
    return values


def size_ratio(n_train: ArrayLike, n_validation: ArrayLike, n_scores: int) -> float:
    """Validation rows per training row, from means over the folds; ValueError without rows."""
    sides = {"n_train": n_train, "n_validation": n_validation}
    means = {}
    for name, rows in sides.items():
        sizes = np.asarray(rows, dtype=np.float64)
        if sizes.shape not in ((), (1,), (n_scores,)):
            raise ValueError(
                f"`{name}` is one number or one per score, {n_scores}; received {sizes.size}."
            )
        if not (sizes > 0).all():
            raise ValueError(f"`{name}` must be above 0 in every fold; received {sizes.min():g}.")
        means[name] = float(sizes.mean())
    return means["n_validation"] / means["n_train"]


def check_share(name: str, value: float) -> None:
    """Refuse what is no share of all: OptionError."""
    if not 0 < value < 1:
        raise OptionError(f"`{name}` is above 0 and below 1; received {value}.")
