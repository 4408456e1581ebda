"""Hints that a feature gives the target away, found before any training.

A column that equals the target, renames its classes, or lies on a line with it makes every score
meaningless. It is only warned about: whether such a column is known when predicting is something
that the table cannot say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.names import listed
from hpsearch.task import Target

_TOO_CORRELATED = 0.9999
_N_PROBED = 1_000


def target_leaks(frame: pd.DataFrame, target: Target, y: NDArray[Any]) -> tuple[str, ...]:
    """A warning for each column of ``frame`` that gives the target away.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> target = Target(("y",), "binary", ("a", "b"))
    >>> y = np.array([0, 1, 1, 0], dtype=np.int32)
    >>> len(target_leaks(pd.DataFrame({"same": ["n", "y", "y", "n"]}), target, y))
    1
    """
    if y.ndim == 1:
        targets = {listed([repr(name) for name in target.names], most=3): y}
    else:
        targets = {repr(name): y[:, i] for i, name in enumerate(target.names)}
    by_class = target.kind in ("binary", "multiclass", "multilabel")
    n_classes = {name: len(np.unique(column)) for name, column in targets.items() if by_class}
    warnings = []
    for name, cells in frame.items():
        values = cells.to_numpy()
        missing = np.isnan(values) if values.dtype.kind == "f" else cells.isna().to_numpy()
        for target_name, y_values in targets.items():
            if by_class:
                how = _class_told(values, missing, y_values, n_classes[target_name])
            else:
                how = _value_told(values, missing, y_values)
            if how:
                warnings.append(
                    f"Column {str(name)!r} gives the target {target_name} away: {how}. Leave it "
                    f"out with --drop {name} unless it is known when predicting."
                )
                break
    return tuple(warnings)


def _class_told(
    values: NDArray[Any], missing: NDArray[np.bool_], y: NDArray[Any], n_classes: int
) -> str:
    if _is_renaming(values, missing, y, n_classes):
        return "each of its values stands for one class"
    if missing.any() and _one_to_one(missing.astype(np.int64), y):
        return "its cells are missing in one class and filled in the other"
    return ""


def _value_told(values: NDArray[Any], missing: NDArray[np.bool_], y: NDArray[Any]) -> str:
    if values.dtype.kind != "f" or 2 * missing.sum() >= len(y):
        return ""
    correlation = _correlation(values[~missing], y[~missing])
    return f"their correlation is {correlation:.6f}" if abs(correlation) > _TOO_CORRELATED else ""


def _is_renaming(
    values: NDArray[Any], missing: NDArray[np.bool_], y: NDArray[Any], n_classes: int
) -> bool:
    n_filled = len(y) - int(missing.sum())
    if n_filled < max(2 * n_classes, len(y) / 2):
        return False
    probed = values[:_N_PROBED][~missing[:_N_PROBED]]
    if len(set(probed.tolist())) > n_classes:
        return False
    codes = pd.factorize(values)[0][~missing]
    return len(np.unique(y[~missing])) == n_classes and _one_to_one(codes, y[~missing])


def _one_to_one(codes: NDArray[Any], y: NDArray[Any]) -> bool:
    different, numbers = np.unique(y, return_inverse=True)
    pairs = len(np.unique(codes.astype(np.int64) * len(different) + numbers))
    return pairs == len(np.unique(codes)) == len(different) > 1


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Pearson's correlation; 0 where one of them is constant or there are fewer than 3 rows."""
    if len(x) < 3:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    largest = float(np.abs(x).max()), float(np.abs(y).max())
    if min(largest) == 0:
        return 0.0
    x, y = x / largest[0], y / largest[1]
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
