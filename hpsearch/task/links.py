"""Losses of outputs that may be any number, each with the link that makes predictions of these.

What a space compiles its network with where Keras has no such loss. A network's last layer is
linear then; the loss applies the link, and so does whoever predicts, inside the exported network as
well, so that neither can drift from the other. Where a network is compiled with another loss, its
outputs are what that loss takes them for (``hpsearch.engines.network``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

STEEPEST: Final = 3.0
"""Logarithm of the mean counts from which on a count's link is a straight line."""


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
