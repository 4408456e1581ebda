"""What a compiled network expects and gives: the form of its input, its loss and its output.

Reads a built ``keras.Model`` of any Keras backend. Whether it can be saved belongs to
``hpsearch.space``, training it to the engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import SpaceError
from hpsearch.task import Target

TargetForm = Literal["column", "codes", "one_hot", "values"]


@dataclass(frozen=True)
class OutputForm:
    """How a network's raw output and its loss's target relate to canonical predictions.

    Attributes
    ----------
    target_form : what the loss compares with: ``column`` (n, 1), ``codes`` (n,), ``one_hot``
        (n, C) or ``values`` (n, n_values).
    from_logits : whether the loss, and so a prediction, still needs the link function.
    n_units : units of the last layer.
    """

    target_form: TargetForm
    from_logits: bool
    n_units: int

    @classmethod
    def of(cls, model: Any, target: Target) -> OutputForm:
        """Read the form off a compiled model; ``SpaceError`` where it doesn't fit the problem."""
        units = _single_output_units(model, target)
        loss_name, from_logits = loss_of(model)
        sparse = loss_name.startswith("sparse_")
        if target.kind == "binary" and units == 1:
            return cls("column", from_logits, units)
        if target.is_classification and units == len(target.labels):
            return cls("codes" if sparse else "one_hot", from_logits, units)
        if not target.is_classification and units == target.n_outputs:
            logits = from_logits and target.kind == "multilabel"
            return cls("values", logits, units)
        wanted = "1 (or 2)" if target.kind == "binary" else str(target.n_outputs)
        raise SpaceError(
            f"the last layer of a {target.kind} problem needs {wanted} units; the network's has "
            f"{units}. Use problem.n_outputs in the space's build function."
        )

    def loss_target(self, y: NDArray[Any], n_classes: int) -> NDArray[Any]:
        """The target in the form that the loss expects (``y`` from ``training_target``)."""
        if self.target_form == "one_hot":
            return np.eye(n_classes, dtype=np.float32)[y.astype(np.int64).ravel()]
        if self.target_form == "codes":
            return y.astype(np.int32).ravel()
        return y

    def canonical(self, xp: Any, target: Target, output: Any, centre: Any, scale: Any) -> Any:
        """Canonical predictions of raw outputs; ``xp`` is ``keras.ops`` or works like it.

        A binary problem keeps its column (n, 1) here, so that every result has two axes.
        """
        if target.kind in ("regression", "share"):
            return output * scale + centre
        if self.from_logits:
            softmax = self.n_units > 1 and target.is_classification
            output = xp.softmax(output) if softmax else xp.sigmoid(output)
        if target.kind == "binary" and self.n_units == 2:
            return output[:, 1:]
        return output


def check_input(model: Any, input_shape: tuple[int, ...]) -> None:
    """Raise ``SpaceError`` where the network cannot take the preprocessed rows."""
    if len(model.inputs) != 1:
        raise SpaceError(f"a network needs one input; this one has {len(model.inputs)}.")
    expected = tuple(model.inputs[0].shape[1:])
    fits = len(expected) == len(input_shape) and all(
        wanted in (None, given) for wanted, given in zip(expected, input_shape, strict=True)
    )
    if not fits:
        raise SpaceError(
            f"the preprocessed rows have the shape {input_shape}; the network's input takes "
            f"{expected}. Use problem.input_shape in the space's build function."
        )


def _single_output_units(model: Any, target: Target) -> int:
    if len(model.outputs) != 1:
        raise SpaceError(f"a network needs one output; this one has {len(model.outputs)}.")
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise SpaceError(
            f"a network's output needs the shape (batch, {target.n_outputs}); this one gives "
            f"{shape}. Add Flatten or GlobalAveragePooling2D before the last layer."
        )
    return int(shape[1])


def loss_of(model: Any) -> tuple[str, bool]:
    """Snake-case name of the compiled loss, and whether it takes logits."""
    import keras

    loss = model.loss[0] if isinstance(model.loss, list) and model.loss else model.loss
    loss = next(iter(loss.values())) if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    name = getattr(loss, "__name__", None) or _snake(type(loss).__name__)
    options = getattr(loss, "_fn_kwargs", None) or {}
    return name, bool(getattr(loss, "from_logits", options.get("from_logits", False)))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class numpy_links:  # noqa: N801  (stands for a module)
    """Link functions in NumPy under the names of ``keras.ops``."""

    @staticmethod
    def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
        """Probability of a logit."""
        from scipy.special import expit

        return np.asarray(expit(values))

    @staticmethod
    def softmax(values: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of rows of logits."""
        from scipy.special import softmax

        return np.asarray(softmax(values, axis=-1))
