"""What two configurations must share to train in one program, and what may differ between them.

A program's structure is its network, optimizer and loss without the numbers that enter it as
data: initial values, dropout rates, L1 and L2 strengths, weight decay and learning rates. Works on
a built ``keras.Model``; training belongs to ``program``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.network import OutputLoss, losses_of
from hpsearch.engines.rates import is_schedule
from hpsearch.space.network_checks import foreign_code, is_of_keras
from hpsearch.task.links import Link

_TABLE_BLOCK = 4096
"""Steps whose learning rates are computed at once: one size, so that JAX compiles once."""

PENALTIES = ("L1", "L2", "L1L2")


@dataclass(frozen=True, eq=False)
class Numbers:
    """A configuration's numbers that a program takes as data.

    Attributes
    ----------
    rates : rate of each ``Dropout`` layer whose rate is above zero.
    penalties : float32 (n_penalised, 2): L1 and L2 strength of each variable that has them.
    activity_penalties : float32 (n_layers, 2): the same of each layer whose output has them.
    weight_decay : the optimizer's, 0 where it has none.
    learning_rates : float32 (n_steps,): the learning rate of every step of the budget.
    """

    rates: NDArray[np.float32]
    penalties: NDArray[np.float32]
    activity_penalties: NDArray[np.float32]
    weight_decay: float
    learning_rates: NDArray[np.float32]


def structure_key(
    model: Any, batch_size: int, values: Mapping[str, Any], names: Sequence[str] = ()
) -> str:
    """A digest that two compiled models share only where one program can train both.

    ``names`` are those of the inputs that the network gets by name.

    ``values``, the hyperparameters, are part of it where the network, its losses or its optimizer
    hold code that Keras does not ship: a function of one name may compute with another number.
    """
    import keras

    described = keras.saving.serialize_keras_object(model)
    described.pop("compile_config", None)
    optimizer = keras.saving.serialize_keras_object(model.optimizer)
    optimizer["config"]["learning_rate"] = "data"
    if optimizer["config"].get("weight_decay") is not None:
        optimizer["config"]["weight_decay"] = "data"
    parts = {
        "network": _without_numbers(keras_internals.without_names(described)),
        "optimizer": _without_numbers(keras_internals.without_names(optimizer)),
        "undecayed": undecayed_variables(model),
        "losses": [(one.output, _describe_loss(one), one.weight) for one in losses_of(model)],
        "foreign": values if _has_foreign_code(model) else None,
        "batch_size": batch_size,
        "input": [str(tensor.shape) for tensor in model.inputs],
        **({"names": list(names)} if names else {}),
    }
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _has_foreign_code(model: Any) -> bool:
    compiled = [*(one.function for one in losses_of(model)), model.optimizer]
    return foreign_code(model) is not None or not all(map(_is_known, compiled))


def _is_known(thing: Any) -> bool:
    return isinstance(thing, Link) or is_of_keras(thing)


def _describe_loss(one: OutputLoss) -> Any:
    import keras

    if one.link is not None:
        return repr(one.link)
    if is_of_keras(one.function):
        return keras.saving.serialize_keras_object(one.loss)
    return one.name


def numbers_of(model: Any, n_steps: int, rate: Any = None) -> Numbers:
    """Read a compiled model's numbers; a schedule is tabulated for ``n_steps`` steps.

    Parameters
    ----------
    rate : a schedule, or a variable, in place of the optimizer's own.
    """
    return Numbers(
        rates=np.array([layer.rate for layer in dropouts(model)], np.float32),
        penalties=_strengths(variable.regularizer for variable in penalised(model)),
        activity_penalties=_strengths(
            layer.activity_regularizer for layer in activity_penalised(model)
        ),
        weight_decay=float(getattr(model.optimizer, "weight_decay", None) or 0.0),
        learning_rates=_learning_rates(model.optimizer, n_steps, rate),
    )


def dropouts(model: Any) -> list[Any]:
    """The ``Dropout`` layers that drop anything, in the network's order."""
    import keras

    layers = keras_internals.layers_of(model)
    return [layer for layer in layers if type(layer) is keras.layers.Dropout and layer.rate > 0]


def penalised(model: Any) -> list[Any]:
    """The trainable variables with an L1 or L2 penalty, in the network's order."""
    return [v for v in model.trainable_variables if _is_penalty(v.regularizer)]


def activity_penalised(model: Any) -> list[Any]:
    """The layers with an L1 or L2 penalty on what they give, in the network's order."""
    layers = keras_internals.layers_of(model)
    return [layer for layer in layers if _is_penalty(layer.activity_regularizer)]


def undecayed_variables(model: Any) -> list[int]:
    """Positions of the trainable variables that weight decay leaves out."""
    return [
        position
        for position, variable in enumerate(model.trainable_variables)
        if not keras_internals.is_decayed(model.optimizer, variable)
    ]


def _is_penalty(regularizer: Any) -> bool:
    return type(regularizer).__name__ in PENALTIES and type(regularizer).__module__.startswith(
        "keras."
    )


def _strengths(penalties: Iterable[Any]) -> NDArray[np.float32]:
    """L1 and L2 strength (n, 2) of penalties."""
    configs = [penalty.get_config() for penalty in penalties]
    strengths = [(float(c.get("l1", 0.0)), float(c.get("l2", 0.0))) for c in configs]
    return np.array(strengths, np.float32).reshape(-1, 2)


def _learning_rates(optimizer: Any, n_steps: int, given: Any) -> NDArray[np.float32]:
    """The learning rate before each step; schedules are evaluated for all steps at once."""
    import jax

    rate = keras_internals.rate_of(optimizer) if given is None else given
    if not is_schedule(rate):
        constant = optimizer.learning_rate if given is None else given
        return np.full(n_steps, float(constant), np.float32)
    blocks = np.arange(-(-n_steps // _TABLE_BLOCK) * _TABLE_BLOCK).reshape(-1, _TABLE_BLOCK)
    with jax.default_device(jax.devices("cpu")[0]):
        table = [np.asarray(jax.vmap(rate)(steps), np.float32) for steps in blocks]
    return np.concatenate(table)[:n_steps]


def _is_data(key: str) -> bool:
    """Whether an entry only says how initial values are drawn, which programs are given."""
    return key == "seed" or key.endswith("_initializer")


def _without_numbers(value: Any) -> Any:
    """A configuration without what differs between replicas of one program."""
    if isinstance(value, Mapping):
        kind, config = value.get("class_name"), value.get("config")
        if kind in PENALTIES and str(value.get("module", "")).startswith("keras"):
            return "penalty"
        if kind == "Dropout" and isinstance(config, Mapping):
            rate = "data" if config["rate"] > 0 else 0.0
            value = {**value, "config": {**config, "rate": rate}}
        return {
            key: "data" if _is_data(key) else _without_numbers(part) for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_numbers(part) for part in value]
    return value
