"""Checks on a built network: that it fits the problem, trains, and can be saved and loaded.

Owns the refusals that need a network but no data, made before any training. What it is built
from belongs to ``hpsearch.space``; comparing the predictions of the exported model with those of
the trained one belongs to ``hpsearch.export``.
"""

from __future__ import annotations

import itertools
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError

if TYPE_CHECKING:
    import keras

    from hpsearch.task import Problem


def check_model(name: str, model: Any, problem: Problem) -> None:
    """Refuse what a search cannot train, score or save; create the weights of the rest.

    Parameters
    ----------
    name : the space's name, for the message.
    model : what its ``build`` returned.
    problem : what the network is for.

    Raises
    ------
    SpaceError
        If this is no compiled ``keras.Model`` with an optimizer and a loss, if it puts out logits
        or has other shapes than the problem's, or if ``check_saves`` refuses it.
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
    if getattr(model.loss, "from_logits", False):
        raise SpaceError(
            f"The network of '{name}' must put out probabilities; its loss takes logits. "
            "End with activation=problem.output_activation and drop from_logits=True."
        )
    check_saves(name, model)
    if not model.built:
        model.build((None, *problem.input_shape))
    _check_shapes(name, model, problem)


def _check_shapes(name: str, model: keras.Model, problem: Problem) -> None:
    expected = {
        "input": ((None, *problem.input_shape), "problem.input_shape"),
        "output": ((None, problem.n_outputs), "problem.n_outputs"),
    }
    for end, (shape, remedy) in expected.items():
        received = getattr(model, f"{end}_shape", shape)
        if not _fits(received, shape):
            raise SpaceError(
                f"The network of '{name}' must have the {end} shape {shape} for this "
                f"{problem.kind} problem; it has {received}. Use {remedy} in build."
            )


def _fits(received: Any, expected: tuple[int | None, ...]) -> bool:
    if not isinstance(received, tuple) or len(received) != len(expected):
        return False
    return all(a is None or b is None or a == b for a, b in zip(received, expected, strict=True))


def check_saves(name: str, model: keras.Model) -> None:
    """Refuse what saves without complaint and cannot be loaded without the space's code.

    Raises
    ------
    SpaceError
        If the network holds a lambda, a function or a class that Keras does not ship.
    """
    foreign = _foreign_class(type(model).__name__, type(model).__module__)
    if foreign is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Keras's own warning about lambdas
            foreign = next(
                itertools.chain(_foreign_functions(model), _foreign_objects(model.get_config())),
                None,
            )
    if foreign is not None:
        raise SpaceError(
            f"The network of '{name}' contains {foreign} and a saved model with it cannot be "
            "loaded unless the space's code is run. Use Keras's own layers, activations, "
            "initializers and regularizers."
        )


def _foreign_functions(model: keras.Model) -> Iterator[str]:
    """Functions that layers hold and Keras does not ship.

    The serialized network does not tell: a lambda activation is written as bytecode without a
    mark, and a function that happens to be called ``relu`` is written, and read, as Keras's own.
    """
    for layer in model._flatten_layers():
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


def _foreign_class(name: str, module: str | None) -> str | None:
    if name in ("__lambda__", "<lambda>", "Lambda"):
        return "a lambda"
    if (module or "").split(".")[0] == "keras":
        return None
    return f"'{name}'"
