"""What a compiled network expects and gives: the form of its input, its losses and its outputs.

Reads a built ``keras.Model`` of any Keras backend. Whether it can be saved belongs to
``hpsearch.space.space``, training it to the engines.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.endings import Ending, Needs, last_operation, wrong_probabilities
from hpsearch.errors import SpaceError
from hpsearch.preprocessing import Statistics
from hpsearch.preprocessing.transforms import restored
from hpsearch.task import OF_VALUES, Target
from hpsearch.task.links import Link

TargetForm = Literal["column", "codes", "one_hot", "values"]


@dataclass(frozen=True)
class Head:
    """How one output of a network and its loss's target relate to canonical predictions.

    Attributes
    ----------
    target_form : what the loss compares with: ``column`` (n, 1), ``codes`` (n,), ``one_hot``
        (n, C) or ``values`` (n, n_values).
    from_logits : whether the loss, and so a prediction, still needs the link function.
    n_units : units of the output.
    link : what makes predictions of outputs that a loss of ours takes as any number, or None.
    is_sure : whether its last layer shows that it gives what the problem needs; else predictions
        are looked at.
    """

    target_form: TargetForm
    from_logits: bool
    n_units: int
    link: Link | None = None
    is_sure: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, loss: OutputLoss, units: int, target: Target) -> Head:
        """Read the form off an output's loss and its units, which fit the target."""
        if not target.is_classification:
            is_share = target.kind in ("share", "multilabel")
            return cls("values", loss.from_logits and is_share, units, loss.link)
        if target.kind == "binary" and units == 1:
            return cls("column", loss.from_logits, units)
        is_sparse = loss.name.startswith("sparse_")
        return cls("codes" if is_sparse else "one_hot", loss.from_logits, units)

    def loss_target(self, y: NDArray[Any], n_classes: int) -> NDArray[Any]:
        """The target in the form that the loss expects (``y`` from ``training_target``)."""
        if self.target_form == "one_hot":
            return np.eye(n_classes, dtype=np.float32)[y.astype(np.int64).ravel()]
        if self.target_form == "codes":
            return y.astype(np.int32).ravel()
        return y

    @property
    def excludes(self) -> bool:
        """Whether its units are classes of which one is true in each row."""
        return self.target_form in ("codes", "one_hot")

    def linked(self, xp: Any, output: Any) -> Any:
        """The output behind its link function, where it has one."""
        if self.link is not None:
            return self.link.linked(xp, output)
        if not self.from_logits:
            return output
        return xp.softmax(output) if self.excludes else xp.sigmoid(output)


@dataclass(frozen=True)
class OutputForm:
    """How a network's outputs relate to canonical predictions; several share the columns.

    Attributes
    ----------
    heads : the form of each output, in the network's order. The columns of the target belong to
        them in that order.
    """

    heads: tuple[Head, ...]

    @classmethod
    def of(cls, model: Any, target: Target) -> OutputForm:
        """Read the form off a compiled model.

        Raises
        ------
        SpaceError
            If its outputs don't fit the problem, or a last layer contradicts its loss.
        """
        units = _units_of_outputs(model, target)
        _check_units(units, target)
        losses: dict[int, OutputLoss] = {}
        for loss in losses_of(model):
            losses.setdefault(loss.output, loss)
        for number, output in enumerate(model.outputs):
            if number not in losses:
                raise SpaceError(
                    f"every output of a network needs a loss, since all of them are scored; "
                    f"{last_operation(output).name!r} has none. Give compile a loss for each."
                )
        return cls(
            tuple(
                _checked(Head.of(losses[number], n, target), output, losses[number], target)
                for number, (n, output) in enumerate(zip(units, model.outputs, strict=True))
            )
        )

    @property
    def n_units(self) -> int:
        """Units of all outputs together."""
        return sum(head.n_units for head in self.heads)

    @property
    def target_form(self) -> TargetForm:
        """What the losses compare with; where there are several outputs it is ``values``."""
        return self.heads[0].target_form

    def loss_target(self, y: NDArray[Any], n_classes: int) -> NDArray[Any]:
        """The target of all losses, side by side (``y`` from ``training_target``)."""
        return self.heads[0].loss_target(y, n_classes)

    def per_output(self, y: Any) -> Any:
        """A batch's target as Keras takes it: one array, or a list with one for each output."""
        parts = split_columns(y, [head.n_units for head in self.heads])
        return parts if len(parts) > 1 else parts[0]

    def fault(self, outputs: NDArray[Any]) -> str | None:
        """Why raw outputs (..., n_units) cannot be what the problem needs, or None.

        They are looked at where the last layer alone doesn't show it.
        """
        if all(head.is_sure for head in self.heads):
            return None
        ends = list(itertools.accumulate((head.n_units for head in self.heads), initial=0))
        faults = (
            wrong_probabilities(outputs[..., first:last], excludes=head.excludes)
            for head, (first, last) in zip(self.heads, itertools.pairwise(ends), strict=True)
            if not head.is_sure
        )
        return next((fault for fault in faults if fault is not None), None)

    def canonical(
        self,
        xp: Any,
        target: Target,
        output: Any,
        centre: Any,
        scale: Any,
        power: Any = 1.0,
        exposure: Any = None,
    ) -> Any:
        """Canonical predictions of raw outputs (n, n_units), which are ``side_by_side``.

        ``xp`` is ``keras.ops`` or works like it. A binary problem keeps its column (n, 1) here,
        so that every result has two axes. ``centre``, ``scale`` and ``power`` are the target's
        statistics, ``exposure`` (n, 1) what counts are multiplied by.
        """
        if any(head.from_logits or head.link for head in self.heads):
            parts = split_columns(output, [head.n_units for head in self.heads])
            linked = [head.linked(xp, part) for head, part in zip(self.heads, parts, strict=True)]
            output = _joined(xp, linked)
        if target.kind == "quantile" and all(head.link is None for head in self.heads):
            output = xp.sort(output, axis=-1)  # no quantile crosses another, and the loss falls
        if target.kind in OF_VALUES:
            values = restored(xp, target.transform, output * scale + centre, power)
            return values if exposure is None else values * exposure
        if target.kind == "binary" and self.n_units == 2:
            return output[:, 1:]
        return output

    def predictions(
        self,
        target: Target,
        statistics: Statistics,
        outputs: NDArray[Any],
        exposure: NDArray[np.float64] | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Canonical predictions (..., n, ...) of raw outputs (..., n, n_units), in NumPy.

        Parameters
        ----------
        statistics : by which the target was scaled.
        exposure : of the rows (n,), or None.
        """
        if exposure is not None:
            exposure = np.broadcast_to(exposure, outputs.shape[:-1]).reshape(-1, 1)
        rows = single_precision(outputs).reshape(-1, outputs.shape[-1])
        centre, scale = statistics.target_centre, statistics.target_scale
        with np.errstate(over="ignore"):  # a diverging network; what is infinite is noticed
            power = statistics.target_power
            columns = self.canonical(numpy_links, target, rows, centre, scale, power, exposure)
            columns = np.ascontiguousarray(columns, target.prediction_dtype)
        return target.without_column(columns.reshape(*outputs.shape[:-1], -1))


def side_by_side(xp: Any, outputs: Any) -> Any:
    """What a network gives, one array or a nest of them, as one array (n, n_units)."""
    import keras

    return _joined(xp, keras.tree.flatten(outputs))


def single_precision(outputs: NDArray[Any]) -> NDArray[np.float32]:
    """Outputs as everything behind a network takes them; it may compute in half or double."""
    return np.asarray(outputs, np.float32)


def split_columns(values: Any, widths: Sequence[int]) -> list[Any]:
    """Columns side by side as those of each output; all that a single output has is its own."""
    if len(widths) == 1:
        return [values]
    ends = itertools.accumulate(widths, initial=0)
    return [values[:, first:last] for first, last in itertools.pairwise(ends)]


def _joined(xp: Any, parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=-1)


def unwrapped(optimizer: Any) -> Any:
    """The optimizer that updates the weights: a loss-scaling one of mixed precision wraps it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def output_units(model: Any) -> list[int]:
    """Units of each output, in the network's order."""
    return [int(output.shape[-1]) for output in model.outputs]


def _checked(head: Head, output: Any, loss: OutputLoss, target: Target) -> Head:
    """The head, sure where its last layer shows that it gives what the problem needs."""
    is_probability = target.kind not in OF_VALUES
    needs = Needs(
        loss.name, head.from_logits, is_probability, head.excludes, takes_any=head.link is not None
    )
    ending = Ending.of(output)
    fault = needs.contradiction(ending)
    if fault is not None:
        raise SpaceError(fault)
    return replace(head, is_sure=not is_probability or needs.are_met_by(ending))


def _units_of_outputs(model: Any, target: Target) -> list[int]:
    for output in model.outputs:
        shape = tuple(output.shape)
        if len(shape) != 2 or shape[1] is None:
            raise SpaceError(
                f"a network's output needs the shape (batch, {target.n_outputs}); this one gives "
                f"{shape}. Add Flatten or GlobalAveragePooling2D before the last layer."
            )
    return output_units(model)


def _check_units(units: Sequence[int], target: Target) -> None:
    """Refuse outputs that cannot share out the target's columns."""
    if len(units) > 1 and target.is_classification:
        raise SpaceError(
            f"a {target.kind} problem has one label a row, so that its network needs one output; "
            f"this one has {len(units)}. Several outputs are for several target columns."
        )
    if len(units) > 1 and target.kind == "quantile":
        raise SpaceError(
            f"the quantiles of a target come out of one layer, a unit for each of "
            f"{target.n_outputs} levels; the network has {len(units)} outputs. Join them, or use "
            "problem.n_outputs for one."
        )
    fits = sum(units) == target.n_outputs
    if fits or (target.is_classification and units[0] == len(target.labels)):
        return
    if len(units) > 1:
        raise SpaceError(
            f"the outputs of a {target.kind} problem share its {target.n_outputs} target columns, "
            f"a unit for each; the network's have {' + '.join(map(str, units))} units. "
            "Use problem.n_outputs in the space's build function."
        )
    wanted = "1 (or 2)" if target.kind == "binary" else str(target.n_outputs)
    raise SpaceError(
        f"the last layer of a {target.kind} problem needs {wanted} units; the network's has "
        f"{units[0]}. Use problem.n_outputs in the space's build function."
    )


@dataclass(frozen=True, eq=False)
class OutputLoss:
    """One loss of a compiled network.

    Attributes
    ----------
    output : number of the output that it judges, in the network's order.
    loss : the ``keras.losses.Loss``.
    weight : its factor in the sum of all losses.
    """

    output: int
    loss: Any
    weight: float

    @property
    def function(self) -> Any:
        """What computes it: the function that Keras wraps, or the loss itself."""
        return getattr(self.loss, "fn", self.loss)

    @property
    def link(self) -> Link | None:
        """The loss as one of ours that has a link, or None."""
        return self.function if isinstance(self.function, Link) else None

    @property
    def name(self) -> str:
        """Snake-case name of the function or the class."""
        function = self.function
        if isinstance(function, functools.partial):
            function = function.func
        return getattr(function, "__name__", None) or _snake(type(function).__name__)

    @property
    def from_logits(self) -> bool:
        """Whether it takes logits; a function of one's own says so by an attribute."""
        given = getattr(self.function, "keywords", {})  # of a functools.partial
        options = {**keras_internals.options_of(self.loss), **given}
        said = (getattr(one, "from_logits", None) for one in (self.loss, self.function))
        return bool(next((s for s in said if s is not None), options.get("from_logits", False)))


def losses_of(model: Any) -> list[OutputLoss]:
    """The compiled losses, as Keras itself reads ``loss`` and ``loss_weights``.

    Raises
    ------
    SpaceError
        If they don't fit the outputs.
    """
    try:
        return [
            OutputLoss(output, loss, 1.0 if weight is None else float(weight))
            for output, loss, weight in keras_internals.compiled_losses(model)
        ]
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).strip("'\"").rstrip(".")
        raise SpaceError(
            f"the loss and loss_weights of compile must fit the network's outputs: {reason}. "
            "Give one loss for all outputs, a list, or a dictionary by output name."
        ) from error


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class numpy_links:  # noqa: N801  (stands for a module)
    """What canonical predictions take, in NumPy under the names of ``keras.ops``."""

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

    @staticmethod
    def concatenate(parts: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
        """The arrays in a row along an axis."""
        return np.concatenate(parts, axis=axis)

    exp, expm1, log, maximum, minimum = (
        staticmethod(function) for function in (np.exp, np.expm1, np.log, np.maximum, np.minimum)
    )
    abs, sort, square, where = (
        staticmethod(function) for function in (np.abs, np.sort, np.square, np.where)
    )
