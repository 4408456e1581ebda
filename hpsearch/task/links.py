"""Losses of outputs that may be any number, each with the link that makes predictions of these.

What a space compiles its network with where Keras has no such loss. A network's last layer is
linear then; the loss applies the link, and so does whoever predicts, inside the exported network as
well, so that neither can drift from the other. Where a network is compiled with another loss, its
outputs are what that loss takes them for (``hpsearch.engines.network``).
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, ClassVar, Final

STEEPEST: Final = 3.0
"""Logarithm of the mean counts from which on a count's link is a straight line."""

STRAIGHT_FROM: Final = 20.0
"""From which on a softplus is a straight line in single precision."""


class Link(ABC):
    """A loss of a network's outputs (n, n_units), as Keras takes a function, and their link.

    Attributes
    ----------
    name : as Keras and messages call the loss.
    """

    name: ClassVar[str]

    @abstractmethod
    def linked(self, xp: Any, outputs: Any) -> Any:
        """What outputs stand for, in the scale of the target; ``xp`` works like ``keras.ops``."""

    @abstractmethod
    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row (n,)."""

    def __str__(self) -> str:
        return self.name

    def get_config(self) -> dict[str, Any]:
        """Its fields, as Keras asks for them."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class PoissonOfLogs(Link):
    """Poisson's loss of counts, where outputs are logarithms of the expected count.

    The link is the exponential function up to ``exp(STEEPEST)``, which is 20 times the mean count
    where counts were divided by it, and goes on as its tangent: an exponential function overflows
    where a network goes astray, and a row far from all others would be predicted as anything.
    The loss is computed from the logarithms themselves, so that none is taken of zero.

    Examples
    --------
    >>> import numpy as np
    >>> PoissonOfLogs().linked(np, np.array([0.0, 3.0, 4.0])).round(2).tolist()
    [1.0, 20.09, 40.17]
    """

    name: ClassVar[str] = "poisson_of_logs"

    def linked(self, xp: Any, outputs: Any) -> Any:
        """Expected counts."""
        beyond = xp.maximum(outputs - STEEPEST, 0.0)
        return xp.exp(xp.minimum(outputs, STEEPEST)) * (1.0 + beyond)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Mean over the columns of ``expected - count * log(expected)``."""
        from keras import ops

        outputs = ops.cast(y_pred, "float32")
        beyond = ops.maximum(outputs - STEEPEST, 0.0)
        logs = ops.minimum(outputs, STEEPEST) + ops.log1p(beyond)
        losses = self.linked(ops, outputs) - ops.cast(y_true, "float32") * logs
        return ops.mean(losses, axis=-1)


def softplus(xp: Any, x: Any) -> Any:
    """``log(1 + exp(x))`` without a kink at 0, where a network whose last layer is 0 begins.

    The usual form has one, ``max(x, 0) + log(1 + exp(-abs(x)))``: libraries differ in what its
    gradient is there, and one of them makes it 0.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np, np.array([-100.0, 0.0, 100.0])).round(3).tolist()
    [0.0, 0.693, 100.0]
    """
    bent = xp.log(1.0 + xp.exp(xp.minimum(x, STRAIGHT_FROM)))
    return bent + xp.maximum(x - STRAIGHT_FROM, 0.0)


@dataclass(frozen=True)
class PinballOfSteps(Link):
    """The pinball loss of quantiles, where outputs are the lowest one and the steps between them.

    A step is the softplus of its output, so that no two quantiles can cross. Steps are measured by
    those between the quantiles of a normal distribution: where all outputs are 0, predictions are
    the quantiles of a standard normal one, which suits a standardised target, whatever the levels.

    Attributes
    ----------
    levels : between 0 and 1, rising.

    Examples
    --------
    >>> import numpy as np
    >>> PinballOfSteps((0.1, 0.5, 0.9)).linked(np, np.zeros((1, 3))).round(3).tolist()
    [[-1.282, 0.0, 1.282]]
    """

    name: ClassVar[str] = "pinball_of_steps"
    levels: tuple[float, ...] = (0.1, 0.5, 0.9)

    def linked(self, xp: Any, outputs: Any) -> Any:
        """Quantiles, each at least the one before it; added one by one, so to the last bit."""
        normal = [NormalDist().inv_cdf(level) for level in self.levels]
        found = [outputs[:, :1] + normal[0]]
        for place, (low, high) in enumerate(itertools.pairwise(normal), start=1):
            output = outputs[:, place : place + 1]
            found.append(found[-1] + softplus(xp, output) * ((high - low) / math.log(2.0)))
        return found[0] if len(found) == 1 else xp.concatenate(found, axis=-1)

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        """Mean over the levels of how far the truth lies off, by the level's side."""
        from keras import ops

        quantiles = self.linked(ops, ops.cast(y_pred, "float32"))
        off = ops.cast(y_true, "float32") - quantiles
        levels = ops.convert_to_tensor(self.levels, "float32")
        return ops.mean(ops.maximum(levels * off, (levels - 1.0) * off), axis=-1)
