"""The end of a network: which numbers it can give, and whether a loss and a problem can use these.

A last layer that contradicts its loss trains without an error: sigmoids for classes that exclude
each other score a log loss near 0 on noise, and a sigmoid before ``from_logits=True`` gives
probabilities of 0.50 to 0.73. Owns the rules about that. The form of a loss's target and of
predictions belongs to ``hpsearch.engines.network``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.backend import compiled
from hpsearch.space.network_checks import is_of_keras

_MOST_NUMBERS = 50_000
_MOST_ROWS = 1024
_SIZES = (1e-2, 1e3)
"""Numbers that a last activation is tried with: so many, of sizes between these, of both signs."""

_WIDER = 30.0
"""They are tried once more so many times larger: what then comes further out has no bound."""

_TINY = 1e-6

_PASSES_ON = {
    *("linear", "identity", "flatten", "reshape", "permute", "activityregularization"),
    *("dropout", "gaussiannoise", "gaussiandropout", "alphadropout"),
    *("spatialdropout1d", "spatialdropout2d", "spatialdropout3d"),
}
"""Keras's functions and layers that leave numbers as they are when predicting."""

_INTO_0_TO_1 = ("crossentropy", "kl_divergence")
"""Losses whose names end so take probabilities, whatever the problem, unless they take logits."""


@dataclass(frozen=True)
class Ending:
    """Which numbers the last operations of a network can give.

    Attributes
    ----------
    layer : name of the last one, for people; activation : what it does, such as ``sigmoid``.
    low, high : the ends of what it can give; infinite where there is none.
    sums_to_one : whether each row's numbers add up to 1.
    is_exact : whether it can come near both ends; where it isn't known, what comes out may be less.
    is_linear : whether it leaves what a layer with weights gives as it is.
    n_units : numbers a row.
    """

    layer: str
    activation: str
    low: float
    high: float
    sums_to_one: bool
    is_exact: bool
    is_linear: bool
    n_units: int

    @classmethod
    def of(cls, output: Any) -> Ending:
        """Read it off an output of a functional network.

        What comes out of the last layer with weights may be any number; what its activation and
        the operations after it make of such numbers is looked up, or tried.
        """
        first, after = _last_operations(output)
        activation = getattr(first, "activation", None) if is_of_keras(first) else None
        steps = [activation, *map(_function, after)] if callable(activation) else after
        changing = [step for step in steps if not _passes_on(step)]
        shape = after[0].input.shape if after else output.shape
        low, high, sums_to_one = _range_of(steps, changing, shape)
        return cls(
            layer=(after[-1] if after else first).name,
            activation=_name_of(changing[-1]) if changing else "linear",
            low=low,
            high=high,
            sums_to_one=sums_to_one,
            is_exact=callable(activation) and all(map(is_of_keras, steps)),
            is_linear=all(_name_of(step) == "rescaling" for step in changing),
            n_units=int(output.shape[-1]),
        )

    @property
    def is_constant(self) -> bool:
        """Whether it gives one number, whatever comes in: a softmax over one unit does."""
        return self.high - self.low < _TINY

    def is_within(self, low: float, high: float) -> bool:
        """Whether everything that it can give lies between two numbers."""
        return self.low >= low - _TINY and self.high <= high + _TINY

    def can_give(self, values: NDArray[Any]) -> bool:
        """Whether it can give the smallest and the largest of some numbers."""
        margin = _TINY * max(1.0, float(np.abs(values).max()))
        return bool(self.low <= values.min() + margin and self.high >= values.max() - margin)

    @property
    def words(self) -> str:
        """It and what it gives, for a message."""
        if self.low == -math.inf and self.high == math.inf:
            given = "any number"
        elif self.high == math.inf:
            given = f"numbers of at least {self.low:.3g}"
        elif self.low == -math.inf:
            given = f"numbers of at most {self.high:.3g}"
        else:
            given = f"numbers from {self.low:.3g} to {self.high:.3g}"
        return f"the last layer {self.layer!r} ({self.activation}) gives {given}"


def last_operation(output: Any) -> Any:
    """The layer or operation that gives an output, inside of nested networks too."""
    import keras

    operation, number = keras_internals.history_of(output)
    while isinstance(operation, keras.Model) and getattr(operation, "outputs", None):
        operation, number = keras_internals.history_of(operation.outputs[number])
    return operation


# -- what is refused


@dataclass(frozen=True)
class Needs:
    """What a problem and a loss need of an output.

    Attributes
    ----------
    loss : its name; takes_logits : whether it is told ``from_logits=True``.
    is_probability : whether the problem scores probabilities; excludes : whether those of a row
        are of classes of which one is true.
    takes_any : whether the loss takes any number, and makes of it what the problem needs.
    """

    loss: str
    takes_logits: bool
    is_probability: bool
    excludes: bool
    takes_any: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """Where the output must lie, unless it is logits."""
        if self.is_probability or self.loss.endswith(_INTO_0_TO_1):
            return 0.0, 1.0
        return (0.0, math.inf) if self.loss == "poisson" else (-math.inf, math.inf)

    def are_met_by(self, ending: Ending) -> bool:
        """Whether the ending alone shows that every prediction is what is needed."""
        if self.takes_logits:
            return True  # whatever they are, their probabilities are probabilities
        return ending.is_within(*self.ends) and (ending.sums_to_one or not self.excludes)

    def contradiction(self, ending: Ending) -> str | None:
        """Why an ending cannot be meant, in a sentence with the remedy, or None."""
        if ending.is_constant:
            units = "one unit" if ending.n_units == 1 else f"{ending.n_units} units"
            return (
                f"the last layer {ending.layer!r} ({ending.activation} over {units}) always gives "
                f"{ending.low:.3g}. Use problem.output_activation for it, such as sigmoid for one "
                "unit."
            )
        if self.takes_logits:
            return self._against_logits(ending)
        if self.takes_any and ending.is_exact and min(-ending.low, ending.high) < math.inf:
            return (
                f"problem.loss ({self.loss}) takes any number, and makes predictions of it; "
                f"{ending.words}. Use problem.output_activation for it, or a loss of Keras's."
            )
        if not ending.is_exact or self.are_met_by(ending):
            return None
        if not self.is_probability:
            wanted = "numbers from 0 to 1" if self.ends[1] == 1.0 else "numbers of at least 0"
            return (
                f"{self.loss} takes {wanted}; {ending.words}. "
                "Use another last activation, or another loss."
            )
        if ending.is_within(0.0, 1.0):
            return (
                "the probabilities of classes that exclude each other must sum to 1 in each row; "
                f"the last layer {ending.layer!r} ({ending.activation}) gives each class its own. "
                "Use softmax, or no activation and a loss with from_logits=True."
            )
        return (
            f"the network must give probabilities; {ending.words}. Use problem.output_activation "
            "for it, or no activation and a loss with from_logits=True."
        )

    def _against_logits(self, ending: Ending) -> str | None:
        if self.excludes and self.loss.startswith("binary_"):
            return (
                f"{self.loss} with from_logits=True takes each class by itself, while one of them "
                "is true in each row. Use categorical_crossentropy, or softmax and no from_logits."
            )
        reach = ending.high - ending.low if self.excludes else min(-ending.low, ending.high)
        if reach == math.inf:
            return None
        return (
            f"{self.loss} takes logits (from_logits=True), which may be any number; "
            f"{ending.words}, so that some probabilities are out of reach. "
            "Leave out the last activation, or from_logits."
        )


def wrong_probabilities(outputs: NDArray[Any], *, excludes: bool) -> str | None:
    """Why numbers (..., n_units) are no probabilities, or None; what isn't finite is not judged.

    A row may miss its sum by a thousandth, or a hundredth in half precision.
    """
    if not np.isfinite(outputs).all():
        return None
    tolerance = 1e-2 if outputs.dtype.itemsize < 4 else 1e-3
    low, high = float(outputs.min()), float(outputs.max())
    if low < -tolerance or high > 1.0 + tolerance:
        return f"predictions must be probabilities; these lie between {low:.3g} and {high:.3g}"
    if not excludes:
        return None
    sums = outputs.sum(axis=-1, dtype=np.float64)
    low, high = float(sums.min()), float(sums.max())
    if low < 1.0 - tolerance or high > 1.0 + tolerance:
        return (
            "the probabilities of a row must sum to 1; "
            f"the sums of these lie between {low:.3g} and {high:.3g}"
        )
    return None


# -- the last operations


def _last_operations(output: Any) -> tuple[Any, list[Any]]:
    """The last operation that has weights or several inputs, and those after it."""
    after: list[Any] = []
    operation = last_operation(output)
    while _is_elementary(operation):
        after.insert(0, operation)
        operation = last_operation(operation.input)
    return operation, after


def _is_elementary(operation: Any) -> bool:
    """Whether an operation is a function of one tensor that holds no weights."""
    import keras

    if isinstance(operation, keras.layers.InputLayer) or getattr(operation, "weights", None):
        return False
    return hasattr(operation.input, "shape") and hasattr(operation.output, "shape")


def _function(operation: Any) -> Any:
    """What an operation computes: the function itself where a layer stands for one."""
    import keras

    return operation.activation if type(operation) is keras.layers.Activation else operation


def _name_of(step: Any) -> str:
    return getattr(step, "__name__", None) or type(step).__name__.lower()


def _passes_on(step: Any) -> bool:
    return _name_of(step) in _PASSES_ON and is_of_keras(step)


_WELL_KNOWN = {
    "sigmoid": (0.0, 1.0, False),
    "softmax": (0.0, 1.0, True),
    "relu": (0.0, math.inf, False),
    "tanh": (-1.0, 1.0, False),
}


def _range_of(
    steps: Sequence[Any], changing: Sequence[Any], shape: Sequence[int | None]
) -> tuple[float, float, bool]:
    """The ends of what functions make of any numbers, one after the other, and their rows' sums."""
    if not changing:
        return _ANYTHING
    (*others, last) = changing
    # Functions alone: a layer of that name may have an axis or a limit of its own.
    if not others and isinstance(last, types.FunctionType) and is_of_keras(last):
        low, high, sums_to_one = _WELL_KNOWN.get(last.__name__, _ANYTHING)
        if high < math.inf or low > -math.inf:
            is_one = sums_to_one and shape[-1] == 1
            return (1.0, high, True) if is_one else (low, high, sums_to_one)
    rows = _wide_rows(shape)
    # Trying a layer that penalises its activity would add to the network's losses.
    if rows is None or any(getattr(step, "activity_regularizer", None) for step in steps):
        return _ANYTHING
    try:
        wide, wider = _applied(steps, rows), _applied(steps, rows * np.float32(_WIDER))
    except Exception:  # whatever a function of one's own raises: predictions are looked at then
        return _ANYTHING
    if np.isnan(wide).any() or np.isnan(wider).any():
        return _ANYTHING
    sums = np.concatenate([wide.sum(axis=-1), wider.sum(axis=-1)])
    low, high = -_bound(-wide, -wider), _bound(wide, wider)
    return low, high, bool(low > -_TINY and np.abs(sums - 1.0).max() < 1e-2)


_ANYTHING = -math.inf, math.inf, False


def _bound(wide: NDArray[np.float64], wider: NDArray[np.float64]) -> float:
    """The largest of numbers, or infinity where wider ones come further out."""
    high, higher = float(wide.max()), float(wider.max())
    return math.inf if higher > high + 0.05 * abs(high) + _TINY else max(high, higher)


def _wide_rows(shape: Sequence[int | None]) -> NDArray[np.float32] | None:
    """Numbers of all sizes and both signs; None where rows have no fixed shape."""
    fixed = [n for n in shape[1:] if n is not None]
    if len(fixed) < len(shape) - 1:
        return None
    rng = np.random.default_rng(0)
    n_rows = max(4, min(_MOST_ROWS, _MOST_NUMBERS // int(np.prod(fixed))))
    smallest, largest = np.log(_SIZES)
    sizes = np.exp(rng.uniform(smallest, largest, (n_rows, *fixed)))
    rows: NDArray[np.float32] = (rng.choice([-1.0, 1.0], sizes.shape) * sizes).astype(np.float32)
    return rows


def _applied(steps: Sequence[Any], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    def apply(rows: Any) -> Any:
        for step in steps:
            rows = step(rows)
        return rows

    return np.asarray(compiled(apply)(rows), np.float64)
