"""Where a frozen base ends: layers at a network's beginning that do not learn and draw nothing.

Their outputs are the same in every epoch, so that the *head*, the network from there on, trains on
them as any network does. A head shares its layers with the whole network, so that this has its
weights. Making the outputs belongs to ``base_outputs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from hpsearch import keras_internals

_WHOLE: Final = "whole_network"


@dataclass(frozen=True, eq=False)
class Cut:
    """Where a network's frozen base ends.

    Attributes
    ----------
    base : a ``keras.Model`` of rows that gives what the rest of the network takes.
    head : a compiled ``keras.Model`` of that, with the network's outputs, losses and optimizer.
    """

    base: Any
    head: Any

    @property
    def n_params(self) -> int:
        """Parameters of the base."""
        return int(self.base.count_params())


def whole_of(model: Any) -> Any:
    """The network whose head a model is; a model that is no head itself."""
    return vars(model).get(_WHOLE, model)


def cut_of(model: Any) -> Cut | None:
    """Where a compiled network's frozen base ends; None where it has none that is worth it.

    That is one tensor through which everything goes, behind layers with weights of which none
    learns and none draws at random or computes with its batch.
    """
    import keras

    if type(model).train_step is not keras.Model.train_step:
        return None
    places = {id(tensor): tensor for tensor in _ends_of_what_is_frozen(model)}
    if len(places) != 1 or any(id(given) in places for given in model.inputs):
        return None
    [tensor] = places.values()
    if tensor.dtype != "float32" or None in tensor.shape[1:]:
        return None
    base = keras.Model(keras_internals.inputs_of(model), tensor)
    if not base.weights or any(
        layer.activity_regularizer is not None for layer in keras_internals.layers_of(base)
    ):
        return None
    head = keras.Model(tensor, model.outputs)
    keras_internals.compile_like(head, model)
    vars(head)[_WHOLE] = model  # past Keras, which would take it for a layer
    return Cut(base, head)


def _ends_of_what_is_frozen(model: Any) -> Iterator[Any]:
    """The tensors of frozen layers that others take, or a network's inputs that others take."""
    known: dict[int, bool] = {}
    visited: set[int] = set()
    waiting = list(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in visited:
            continue
        visited.add(id(tensor))
        if _is_frozen(tensor, known):
            yield tensor
        else:
            waiting += keras_internals.made_from(tensor)


def _is_frozen(tensor: Any, known: dict[int, bool]) -> bool:
    """Whether what a tensor holds is the same in every epoch."""
    if id(tensor) not in known:
        operation, _ = keras_internals.history_of(tensor)
        known[id(tensor)] = _stays(operation) and all(
            _is_frozen(given, known) for given in keras_internals.made_from(tensor)
        )
    return known[id(tensor)]


def _stays(operation: Any) -> bool:
    """Whether an operation has nothing that learns, draws, or computes with its batch.

    Called with ``training=False`` it may do so all the same: the mode of the whole network, which
    Keras 3 hands on, overrides that.
    """
    import keras

    if not isinstance(operation, keras.layers.Layer):
        return True
    if operation.trainable_variables:
        return False
    return not any(map(_varies, keras_internals.layers_of(operation, include_self=True)))


def _varies(layer: Any) -> bool:
    import keras

    draws = len(layer.variables) > len(layer.weights)  # the states of its seeds
    return draws or (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable)
