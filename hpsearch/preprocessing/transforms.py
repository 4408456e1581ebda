"""Transforms of a regression target: what networks learn in place of the values, and the way back.

Owns the formulas and their parameter, which is fitted on training rows. Standardising what they
give belongs to ``statistics``; where the way back stands in a network, to ``hpsearch.engines``.

References
----------
Yeo, I.-K., Johnson, R. A.: A new family of power transformations to improve normality or symmetry.
Biometrika 87 (2000) 954-959.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import OptionError
from hpsearch.task import Target

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """A transform of values.

    Attributes
    ----------
    forward : of values (n, n_values) and the power of each column.
    inverse : the way back, by functions named as those of ``keras.ops``, of values and powers; it
        takes any number, and gives infinity where there is no way back.
    least : values must be above it, or, where ``takes_least``, not below it; None for any value.
    power : fits a column's power; None where the formula has none.
    """

    forward: Callable[[Floats, Floats], Floats]
    inverse: Callable[[Any, Any, Any], Any]
    least: float | None = None
    takes_least: bool = False
    power: Callable[[Floats], float] | None = None

    def fits(self, y: Floats) -> NDArray[np.bool_]:
        """Whether it has a value, for each of some."""
        if self.least is None:
            return np.ones(y.shape, dtype=bool)
        return np.asarray(y >= self.least if self.takes_least else y > self.least)


def fit_powers(name: str, y: Floats) -> Floats:
    """The power of each column of training rows (n, n_values) or (n,); 1 where there is none."""
    power = TRANSFORMS[name].power if name else None
    if power is None:
        return np.ones(y.shape[1] if y.ndim == 2 else 1)
    return np.array([power(column) for column in y.T])


def transformed(name: str, y: Floats, powers: Floats) -> Floats:
    """Values (n, n_values) as networks learn them, before they are standardised.

    Examples
    --------
    >>> transformed("log1p", np.array([[0.0], [np.e - 1.0]]), np.ones(1)).tolist()
    [[0.0], [1.0]]
    """
    return TRANSFORMS[name].forward(y, powers) if name else y


def restored(xp: Any, name: str, values: Any, powers: Any) -> Any:
    """The inverse of ``transformed``; ``xp`` is ``keras.ops`` or works like it."""
    if not name:
        return values
    with np.errstate(all="ignore"):  # what is infinite is noticed by whoever asked
        return TRANSFORMS[name].inverse(xp, values, powers)


def check_transform(name: str | None, target: Target, *targets: NDArray[Any]) -> None:
    """Raise ``OptionError`` where a target can't be transformed so.

    Parameters
    ----------
    targets : the values (n, n_values) of the rows to search on, and of test rows.
    """
    if name is None:
        return
    if target.kind not in ("regression", "quantile"):
        raise OptionError(
            f"`transform` bends numbers to predict; received a target of {target.kind}. Leave it "
            "out."
        )
    if target.offset:
        raise OptionError(
            f"`transform` {name} bends nothing of values as far from zero as those of "
            f"{target.names[0]!r} are, for what they differ by. Leave it out."
        )
    transform = TRANSFORMS[name]
    for y in targets:
        beyond = ~transform.fits(np.asarray(y, dtype=np.float64))
        if beyond.any():
            rule = f"{'of at least' if transform.takes_least else 'above'} {transform.least:g}"
            raise OptionError(
                f"`transform` {name} needs values {rule}; received "
                f"{float(np.asarray(y)[beyond].min()):g} and {int(beyond.sum()) - 1:,} more below. "
                "Take yeo-johnson, which takes any number."
            )


def _yeo_johnson(y: Floats, powers: Floats) -> Floats:
    from scipy.stats import yeojohnson

    return np.stack([yeojohnson(c, lmbda=p) for c, p in zip(y.T, powers, strict=True)], axis=1)


def _yeo_johnson_power(y: Floats) -> float:
    """The power that makes a column most normal, by its likelihood; 1 for a constant one.

    From 0 to 2: with another one only part of what a network may predict has a value, and far
    predictions would be infinite.
    """
    from scipy.stats import yeojohnson_normmax

    if len(y) < 2 or np.ptp(y) == 0:
        return 1.0
    with np.errstate(all="ignore"):
        power = float(yeojohnson_normmax(y))
    return float(np.clip(power, 0.0, 2.0)) if np.isfinite(power) else 1.0


def _from_yeo_johnson(xp: Any, values: Any, powers: Any) -> Any:
    """Both branches of the inverse, each for the sign of the values that it belongs to."""
    above, below = xp.maximum(values, 0.0), xp.maximum(-values, 0.0)
    return _root(xp, above, powers) - _root(xp, below, 2.0 - powers)


def _root(xp: Any, values: Any, powers: Any) -> Any:
    """``(1 + power values) ** (1 / power) - 1``, or ``exp(values) - 1`` where the power is 0.

    Infinite beyond the largest value that a negative power gives.
    """
    is_zero = np.abs(powers) < 1e-6
    if np.all(is_zero):
        return xp.expm1(values)
    power = np.where(is_zero, 1.0, powers).astype(np.asarray(powers).dtype)
    base = xp.maximum(values * power + 1.0, 0.0)  # an array first would ask a tensor for numbers
    root = xp.exp(xp.log(base) / power) - 1.0
    return xp.where(is_zero, xp.expm1(values), root) if np.any(is_zero) else root


TRANSFORMS: Final[dict[str, Transform]] = {
    "log": Transform(lambda y, _: np.log(y), lambda xp, values, _: xp.exp(values), least=0.0),
    "log1p": Transform(
        lambda y, _: np.log1p(y), lambda xp, values, _: xp.expm1(values), least=-1.0
    ),
    "sqrt": Transform(
        lambda y, _: np.sqrt(y),
        lambda xp, values, _: xp.square(xp.maximum(values, 0.0)),
        least=0.0,
        takes_least=True,
    ),
    "yeo-johnson": Transform(_yeo_johnson, _from_yeo_johnson, power=_yeo_johnson_power),
}
