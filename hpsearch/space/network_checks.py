"""Checks on what a space's ``build`` returned, made before any training.

Owns what needs neither data nor the target: that it is a compiled network, and that it can be
saved and loaded without the space's code. Whether its input and output fit the problem belongs to
``hpsearch.engines.network``.
"""

from __future__ import annotations

import itertools
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hpsearch import keras_internals
from hpsearch.errors import SpaceError

if TYPE_CHECKING:
    import keras

    from hpsearch.task import Problem


def check_model(name: str, model: Any, problem: Problem) -> None:
    """Refuse what is no compiled network; create the weights where they do not exist yet.

    Parameters
    ----------
    name : the space's name, for the message.
    model : what its ``build`` returned.
    problem : what the network is for.

    Raises
    ------
    SpaceError
        If this is no ``keras.Model`` compiled with an optimizer and a loss.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise SpaceError(
            f"build of '{name}' must return a compiled keras.Model; it returned "
            f"{type(model).__name__}. Return the model that compile was called on."
        )
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise SpaceError(
            f"build of '{name}' must compile its network with an optimizer and a loss. "
            "Call model.compile(optimizer=..., loss=problem.loss) before returning it."
        )
    if not model.built:
        model.build((None, *problem.input_shape))


def check_saves(name: str, model: keras.Model) -> None:
    """Refuse what saves without complaint and cannot be loaded without the space's code.

    Raises
    ------
    SpaceError
        If the network holds a lambda, a function or a class that Keras does not ship.
    """
    foreign = foreign_code(model)
    if foreign is not None:
        raise SpaceError(
            f"The network of '{name}' contains {foreign} and a saved model with it cannot be "
            "loaded unless the space's code is run. Use Keras's own layers, activations, "
            "initializers and regularizers; a loss, a metric or an optimizer may be your own."
        )


def foreign_code(model: keras.Model) -> str | None:
    """What a network holds that Keras does not ship, named for people, or None.

    Its losses and its optimizer are not looked at.
    """
    foreign = _foreign_class(type(model).__name__, type(model).__module__)
    if foreign is not None:
        return foreign
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras's own warning about lambdas
        found = itertools.chain(_foreign_functions(model), _foreign_objects(model.get_config()))
        return next(found, None)


def is_of_keras(thing: Any) -> bool:
    """Whether a function or an object's class is one that Keras ships."""
    described = thing if isinstance(thing, types.FunctionType) else type(thing)
    return _foreign_class(described.__name__, described.__module__) is None


def _foreign_functions(model: keras.Model) -> Iterator[str]:
    """Functions that layers hold and Keras does not ship.

    The serialized network does not tell: a lambda activation is written as bytecode without a
    mark, and a function that happens to be called ``relu`` is written, and read, as Keras's own.
    """
    import keras

    for layer in keras_internals.layers_of(model):
        if isinstance(layer, keras.Model):
            continue  # whose own functions are those that it is trained with
        for value in vars(layer).values():
            if isinstance(value, types.FunctionType):
                foreign = _foreign_class(value.__name__, value.__module__)
                if foreign is not None:
                    yield foreign


def _foreign_objects(config: Any) -> Iterator[str]:
    """What a serialized network holds beside Keras's own objects, named for people."""
    if isinstance(config, Mapping):
        if {"class_name", "config", "module"} <= config.keys():
            named = config["config"] if config["class_name"] == "function" else None
            foreign = _foreign_class(named or config["class_name"], config["module"])
            if foreign is not None:
                yield foreign
        elif config.get("class_name") == "__lambda__":
            yield "a lambda"
        for key, value in config.items():
            if key != "compile_config":  # the network is loaded without its optimizer and loss
                yield from _foreign_objects(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign_objects(value)


_UNSAFE = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Layers of Keras's around other code, which it doesn't load in safe mode."""


def _foreign_class(name: str, module: str | None) -> str | None:
    if name in ("__lambda__", "<lambda>", "Lambda"):
        return "a lambda"
    if (module or "").split(".")[0] == "keras" and name not in _UNSAFE:
        return None
    return f"'{name}'"
