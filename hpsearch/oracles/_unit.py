"""A space as a box of numbers between 0 and 1, which is what models of the scores work on.

Owns the way from a configuration to numbers and back. Each declaration that has several values is
an axis; a number on it is the share of the range below it, on the scale that the range is sampled
on, so that steps and logarithms need no further thought. keras-tuner's ``prob_to_value`` gives the
value; its ``value_to_prob`` is not used, since it takes 0.3 of 0, 0.1, 0.2, 0.3 for 0.2
(``0.3 // 0.1`` is 2) and gives unordered choices an order.

An inactive hyperparameter stands at its default, as in keras-tuner: configurations that differ in
nothing that is active are one point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.space.hyperparameters import Values, is_active, kind_of, plain

if TYPE_CHECKING:
    from keras_tuner import HyperParameter, HyperParameters

CATEGORY_DISTANCE = 0.5
"""Between two different categories: the root of the mean squared distance of two of three such
categories is 0.41, as that of two numbers drawn from 0 to 1."""

Point = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """One declaration as a number between 0 and 1.

    Attributes
    ----------
    name : the hyperparameter's name; it may be declared in several branches, hence on several axes.
    kind : ``category`` (values without order), ``steps`` (values in order) or ``range``.
    n : how many values there are; 0 for a range.
    parameter : the declaration.
    """

    name: str
    kind: Literal["category", "steps", "range"]
    n: int
    parameter: HyperParameter

    @property
    def default(self) -> float:
        """Where the declaration's default lies."""
        return self.at(self.parameter.default)

    def at(self, value: Any) -> float:
        """Where a value lies; the middle of its share where there are ``n`` values."""
        if self.kind == "range":
            return min(max(float(self.parameter.value_to_prob(value)), 0.0), 1.0)
        return min((self._index(value) + 0.5) / self.n, 1.0)

    def value(self, at: float) -> Any:
        """The value at a number between 0 and 1."""
        if self.kind == "range" or kind_of(self.parameter) in ("int", "float"):
            return plain(self.parameter, self.parameter.prob_to_value(at))
        return self._choices()[min(int(at * self.n), self.n - 1)]

    def _index(self, value: Any) -> int:
        parameter = self.parameter
        if kind_of(parameter) not in ("int", "float"):
            return self._choices().index(value)
        low, high = parameter.min_value, parameter.max_value
        if parameter.sampling == "linear":
            return round(float(value - low) / float(parameter.step))
        span = value if parameter.sampling == "log" else high - value + low
        return round(math.log(float(span) / low, parameter.step))

    def _choices(self) -> list[Any]:
        return _choices(self.parameter)


class UnitSpace:
    """The axes of a space, and points in the box that they span.

    Parameters
    ----------
    hp : the declared space.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [16, 64, 32])
    >>> _ = hp.Float("rate", 1e-4, 1.0, sampling="log", default=1e-2)
    >>> space = UnitSpace(hp)
    >>> space.point({"units": 64, "rate": 1e-2}).round(2).tolist()
    [0.83, 0.5]
    >>> space.values([0.1, 0.25])
    {'units': 16, 'rate': 0.001}
    """

    def __init__(self, hp: HyperParameters) -> None:
        self.axes: list[Axis] = []
        self._declared: list[tuple[HyperParameter, int | None]] = []
        for parameter in hp.space:
            axis = _axis(parameter)
            self._declared.append((parameter, None if axis is None else len(self.axes)))
            self.axes += [] if axis is None else [axis]
        self._defaults = np.array([axis.default for axis in self.axes])

    def point(self, values: Mapping[str, Any]) -> Point:
        """Where a configuration lies, inactive hyperparameters at their defaults; ``(axes,)``."""
        point = self._defaults.copy()
        for number in self.active(values):
            axis = self.axes[number]
            point[number] = axis.at(values[axis.name])
        return point

    def active(self, values: Mapping[str, Any]) -> list[int]:
        """The numbers of the axes that decide a configuration."""
        deciding = {
            parameter.name: number
            for parameter, number in reversed(self._declared)
            if is_active(parameter, values)
        }
        return sorted(number for number in deciding.values() if number is not None)

    def values(self, point: Sequence[float] | Point) -> Values:
        """The active values of the configuration that a point stands for."""
        return self.picked(lambda number: float(point[number]))

    def picked(self, pick: Callable[[int], float]) -> Values:
        """The active values where each active axis, by its number, is asked where to stand."""
        values: Values = {}
        for parameter, number in self._declared:
            if parameter.name not in values and is_active(parameter, values):
                values[parameter.name] = (
                    plain(parameter, parameter.prob_to_value(0.5))
                    if number is None
                    else self.axes[number].value(pick(number))
                )
        return values

    def features(self, points: Point) -> Point:
        """Points of shape ``(n, axes)`` as vectors whose distances make sense, one row each."""
        columns = [
            _one_hot(points[:, number], axis.n) if axis.kind == "category" else points[:, [number]]
            for number, axis in enumerate(self.axes)
        ]
        return np.hstack(columns) if columns else np.zeros((len(points), 0))


def _axis(parameter: HyperParameter) -> Axis | None:
    """A declaration's axis; none where it has one value."""
    kind = kind_of(parameter)
    if kind in ("int", "float"):
        if parameter.min_value == parameter.max_value:
            return None
        n = 0 if parameter.step is None else _n_steps(parameter)
        found = Axis(parameter.name, "steps" if n else "range", n, parameter)
    else:
        is_ordered = kind == "choice" and parameter.ordered
        n = len(_choices(parameter))
        found = Axis(parameter.name, "steps" if is_ordered else "category", n, parameter)
    return None if found.n == 1 else found


def _n_steps(parameter: HyperParameter) -> int:
    """How many values a range with steps has, as keras-tuner counts them."""
    if parameter.sampling == "linear":
        return int((parameter.max_value - parameter.min_value) // parameter.step + 1)
    return len(tuple(parameter.values))


def _choices(parameter: HyperParameter) -> list[Any]:
    """The different values of a choice, those with an order in that order."""
    values = list(dict.fromkeys(parameter.values))
    return sorted(values) if getattr(parameter, "ordered", False) else values


def _one_hot(column: Point, n: int) -> Point:
    numbers = np.minimum((column * n).astype(int), n - 1)
    hot: Point = np.eye(n)[numbers] * (CATEGORY_DISTANCE / math.sqrt(2))
    return hot
