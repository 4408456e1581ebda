"""How far a row is off what is predicted of it, and the range or set that lies no farther off.

Owns the conformity scores of each problem type and the way back from a score; which score is taken
belongs to ``intervals``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.preprocessing.transforms import restored, transformed
from hpsearch.task import ProblemKind, Target

Floats = NDArray[np.float64]
Form = Literal["range", "set"]

FORMS: Final[Mapping[ProblemKind, Form]] = {
    "regression": "range",
    "share": "range",
    "count": "range",
    "quantile": "range",
    "binary": "set",
    "multiclass": "set",
}
"""What predictions of a problem type can be given with; of several labels a row, nothing."""


def scores_of(target: Target, y: NDArray[Any], predictions: NDArray[Any], powers: Floats) -> Floats:
    """The conformity scores (n_columns, n) of predictions."""
    if FORMS[target.kind] == "set":
        probabilities = probabilities_of(target, predictions)
        return 1.0 - probabilities[np.arange(len(y)), y.astype(np.int64)][None]
    learnt, (lower, upper) = _learnt(target, y, powers), _band(target, predictions, powers)
    with np.errstate(invalid="ignore"):
        away = np.maximum(lower - learnt, learnt - upper).T
    return np.where(np.isnan(away), np.inf, away)


def _band(target: Target, predictions: NDArray[Any], powers: Floats) -> tuple[Floats, Floats]:
    """What a range is widened from (n, n_values): the prediction, or the outermost quantiles."""
    if target.kind != "quantile":
        centre = _learnt(target, predictions, powers)
        return centre, centre
    ends = (np.asarray(predictions)[:, [place]] for place in (0, -1))
    lower, upper = (_learnt(target, end, powers) for end in ends)
    return lower, upper


def _learnt(target: Target, values: NDArray[Any], powers: Floats) -> Floats:
    """Values (n, n_values) on the scale that errors are compared on."""
    columns = np.asarray(values, np.float64).reshape(len(values), -1)
    if target.kind == "count":
        return np.sqrt(np.maximum(columns, 0.0))
    with np.errstate(all="ignore"):
        return transformed(target.transform, columns, powers)


def ends_of(
    target: Target, predictions: NDArray[Any], quantiles: Floats, powers: Floats
) -> tuple[Floats, Floats]:
    """The ends (n, n_values) of the ranges whose rows score so much at most."""
    lower, upper = _band(target, predictions, powers)
    low, high = lower - quantiles, upper + quantiles
    if target.kind == "count":  # whole numbers: none lies between
        low, high = np.maximum(low, 0.0) ** 2, high**2
        low, high = np.ceil(low * (1 - 1e-12)), np.floor(high * (1 + 1e-12))
        nearest = np.round(lower**2)
        return np.where(low > high, nearest, low), np.where(low > high, nearest, high)
    if target.kind == "quantile":  # moved together until nothing is left between: the middle is
        middle = (lower + upper) / 2
        low, high = np.minimum(low, middle), np.maximum(high, middle)
    ends = [
        np.asarray(restored(np, target.transform, end, powers), np.float64) for end in (low, high)
    ]
    if target.kind == "share":
        ends = [np.clip(end, 0.0, 1.0) for end in ends]
    return ends[0], ends[1]


def probabilities_of(target: Target, predictions: NDArray[Any]) -> Floats:
    """Probabilities (n, n_classes) of canonical predictions."""
    found = np.asarray(predictions, np.float64)
    return np.stack([1.0 - found, found], axis=1) if target.kind == "binary" else found


def members_of(probabilities: Floats, score: float) -> NDArray[np.bool_]:
    """Which classes (n, n_classes) score so much at most; the most probable one in any case."""
    members = 1.0 - probabilities <= score + 1e-12
    members[np.arange(len(members)), probabilities.argmax(axis=1)] = True  # no set is empty
    return members
