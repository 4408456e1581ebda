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

from hpsearch import keras_internals
from hpsearch.engines.averages import ends_elsewhere
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.fused.structure import undecayed_variables

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


@dataclass(frozen=True, eq=False)
class Held:
    """A model's trainable variables as a program's state holds them.

    Attributes
    ----------
    packing : how.
    variables : what the optimizer updates: the model's own, or the packed one.
    optimizer : the model's, over these; its learning rate is a plain variable.
    """

    packing: Packing
    variables: list[Any]
    optimizer: Any

    @classmethod
    def of(cls, model: Any) -> Held:
        """How a built model is held."""
        packing = packing_of(model)
        variables = list(model.trainable_variables)
        config = {**model.optimizer.get_config(), "learning_rate": 0.0}
        optimizer = type(model.optimizer).from_config(config)
        undecayed = [variables[position] for position in undecayed_variables(model)]
        if undecayed:
            optimizer.exclude_from_weight_decay(var_list=undecayed)
        with keras_internals.constants_uncompiled():
            if packing.is_packed:
                zeros = np.zeros(sum(packing.sizes), np.float32)
                variables = [keras.Variable(zeros, name="packed")]
            optimizer.build(variables)
        return cls(packing, variables, optimizer)

    def slots(self) -> list[NDArray[Any]]:
        """The initial variables of the optimizer."""
        return [np.asarray(variable.value) for variable in self.optimizer.variables]

    def final(self, trainable: Sequence[Any], slots: Sequence[Any]) -> list[Any]:
        """The weights that training would end with, as a state holds them; see ``averages``."""
        if not ends_elsewhere(self.optimizer):
            return list(trainable)
        values = [*trainable, *slots]
        mapping = list(zip([*self.variables, *self.optimizer.variables], values, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            self.optimizer.finalize_variable_values(self.variables)
        return [scope.get_current_value(variable) for variable in self.variables]


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
    """Give a built model the weights that the training of one replica ends with."""
    of_replica = [[values[replica] for values in part] for part in state]
    variables = whole_of(model).variables
    for variable, value in zip(variables, values_in(model, of_replica), strict=True):
        variable.assign(value)


def values_in(model: Any, state: Sequence[Sequence[Any]]) -> list[NDArray[Any]]:
    """The values with which a replica's training ends, of all variables in the network's order.

    Parameters
    ----------
    state : of one replica; model : any network of its structure, or a head behind a frozen base,
        whose whole network's variables are meant.
    """
    trainable, frozen, slots = state
    held = Held.of(model)
    of_variable: dict[int, Any] = {}
    for variables, values in (
        (model.trainable_variables, held.packing.unpack(held.final(trainable, slots))),
        (model.non_trainable_variables, frozen),
    ):
        of_variable |= dict(zip(map(id, variables), values, strict=True))
    whole = whole_of(model).variables
    return [np.asarray(of_variable.get(id(variable), variable.value)) for variable in whole]


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

_OTHERS_THAT_BEGIN_ALIKE = (
    keras.optimizers.Adafactor,
    keras.optimizers.Ftrl,
    keras.optimizers.Lamb,
    keras.optimizers.Lion,
    keras.optimizers.Muon,
)


def begins_alike(model: Any) -> bool:
    """Whether a model's optimizer begins with the same variables whatever the weights are."""
    return type(model.optimizer) in (*_ELEMENTWISE_OPTIMIZERS, *_OTHERS_THAT_BEGIN_ALIKE)


def packing_of(model: Any) -> Packing:
    """How a model's trainable variables are held while it trains."""
    optimizer, variables = model.optimizer, model.trainable_variables
    shapes = tuple(tuple(variable.shape) for variable in variables)
    is_packed = (
        sum(map(math.prod, shapes)) <= PACKED_ELEMENTS
        and type(optimizer) in _ELEMENTWISE_OPTIMIZERS
        and optimizer.clipnorm is None
        and optimizer.global_clipnorm is None
        and optimizer.loss_scale_factor is None
        and not undecayed_variables(model)
        and len({variable.dtype for variable in variables}) == 1
        and all(v.constraint is None and not v.overwrite_with_gradient for v in variables)
    )
    return Packing(shapes, is_packed)
