"""How a replica's variables are held while it trains: packed where that pays, and stacked.

Owns the optimizer over packed variables too. What a step computes with them belongs to ``program``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

PACKED_ELEMENTS = 200_000
"""Trainable variables are held as one vector up to this size; beyond, copying them into it and out
of it takes longer than a program of more loops takes to compile."""

State = tuple[list[Any], list[Any], list[Any]]
"""Trainable, non-trainable and optimizer variables, each with a leading axis of replicas."""


@dataclass(frozen=True)
class Packing:
    """Trainable variables side by side in one vector, where the optimizer allows it.

    An update that works element by element is the same on one long vector as on each variable,
    and a program with one update instead of a dozen compiles faster.
    """

    shapes: tuple[tuple[int, ...], ...]
    is_packed: bool

    @property
    def sizes(self) -> list[int]:
        """Elements of each variable."""
        return [math.prod(shape) for shape in self.shapes]

    def pack(self, xp: Any, values: Sequence[Any]) -> list[Any]:
        """The variables' values as the program's state holds them."""
        if not self.is_packed:
            return list(values)
        return [xp.concatenate([xp.reshape(value, -1) for value in values])]

    def unpack(self, values: Sequence[Any]) -> list[Any]:
        """The inverse of ``pack``."""
        if not self.is_packed:
            return list(values)
        ends = np.cumsum(self.sizes)
        parts = zip(self.shapes, [0, *ends[:-1]], ends, strict=True)
        return [values[0][first:end].reshape(shape) for shape, first, end in parts]


def initial_slots(model: Any) -> list[NDArray[Any]]:
    """The variables of a built model's optimizer as NumPy arrays; no seed enters them."""
    optimizer, _ = optimizer_and_packing(model)
    return [np.asarray(variable.value) for variable in optimizer.variables]


def initial_state(
    model: Any, values: tuple[list[NDArray[Any]], list[NDArray[Any]]], slots: list[NDArray[Any]]
) -> list[list[NDArray[Any]]]:
    """A replica's state, from values of its network's variables and of its optimizer's."""
    trainable, frozen = values
    return [packing_of(model).pack(np, trainable), frozen, slots]


def stack_states(states: Sequence[list[list[NDArray[Any]]]]) -> State:
    """Several replicas' states along a new first axis."""
    trainable, frozen, slots = (
        [jax.device_put(np.stack(arrays)) for arrays in zip(*parts, strict=True)]
        for parts in zip(*states, strict=True)
    )
    return trainable, frozen, slots


def assign(model: Any, state: State, replica: int) -> None:
    """Give a built model the weights of one replica."""
    trainable, frozen = ([np.asarray(values)[replica] for values in part] for part in state[:2])
    for variables, values in (
        (model.trainable_variables, packing_of(model).unpack(trainable)),
        (model.non_trainable_variables, frozen),
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


_ELEMENTWISE_OPTIMIZERS = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Nadam,
    keras.optimizers.Adamax,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
)


def packing_of(model: Any) -> Packing:
    """How a model's trainable variables are held while it trains."""
    optimizer, variables = model.optimizer, model.trainable_variables
    shapes = tuple(tuple(variable.shape) for variable in variables)
    is_packed = (
        sum(map(math.prod, shapes)) <= PACKED_ELEMENTS
        and type(optimizer) in _ELEMENTWISE_OPTIMIZERS
        and optimizer.clipnorm is None
        and optimizer.global_clipnorm is None
        and len({variable.dtype for variable in variables}) == 1
        and all(v.constraint is None and not v.overwrite_with_gradient for v in variables)
    )
    return Packing(shapes, is_packed)


def optimizer_and_packing(model: Any) -> tuple[Any, Packing]:
    """The model's optimizer over packed variables, its learning rate a plain variable."""
    packing = packing_of(model)
    config = {**model.optimizer.get_config(), "learning_rate": 0.0}
    optimizer = type(model.optimizer).from_config(config)
    variables = model.trainable_variables
    if packing.is_packed:
        variables = [keras.Variable(np.zeros(sum(packing.sizes), np.float32), name="packed")]
    optimizer.build(variables)
    return optimizer, packing
