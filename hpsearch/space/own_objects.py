"""What a network is made of that Keras does not ship: layers, functions and the like of one's own.

Owns finding such objects in a built network, and the proof that one made again from its
configuration is the same. What follows from it belongs to ``network_checks``.
"""

from __future__ import annotations

import itertools
import random
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch import keras_internals
from hpsearch.errors import SpaceError
from hpsearch.space.registered import Registered

if TYPE_CHECKING:
    import keras

_LAMBDAS = ("__lambda__", "<lambda>", "Lambda")

_UNSAFE = ("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Layers of Keras's around other code, which it doesn't load in safe mode."""

_PLAIN = (bool, int, float, str, tuple, type(None))


@dataclass(frozen=True)
class OwnObject:
    """A class or function that a network holds and Keras does not ship.

    Attributes
    ----------
    name, module : its own, as Python has them.
    registered : the name under which a saved network has it.
    value : the class or function; None where a configuration alone tells of it.
    """

    name: str
    module: str
    registered: str
    value: Any = None

    @classmethod
    def of(cls, value: Any) -> OwnObject:
        """A class or a function."""
        import keras

        registered = str(keras.saving.get_registered_name(value))
        return cls(value.__name__, str(value.__module__), registered, value)

    @property
    def words(self) -> str:
        """What it is, in a message."""
        return "a lambda" if self.name in _LAMBDAS else f"'{self.name}'"

    def is_among(self, registered: Registered) -> bool:
        """Whether it is one of these objects, and not another of its name."""
        found = registered.get(self.registered)
        if found is None or self.name in _LAMBDAS:
            return False
        return found is self.value if self.value is not None else found.__module__ == self.module

    @property
    def remedy(self) -> str:
        """What to write, so that a network with it can be saved."""
        if self.name in _LAMBDAS or self.name in _UNSAFE:
            return (
                "Use Keras's own layers, activations, initializers and regularizers, or write a "
                "layer under @keras.saving.register_keras_serializable()."
            )
        if self.module == "__main__":
            return (
                "It stands in a script or a notebook, which nobody can import: put it, and build, "
                "into a .py file under @keras.saving.register_keras_serializable(), and give its "
                "path or import it."
            )
        if ">" in self.registered:
            return (
                "It is registered where build alone does it: define it at the top level of the "
                "space's file, or import it there."
            )
        return (
            "Write @keras.saving.register_keras_serializable() in the line above its definition, "
            "at the top level of the space's file; a loss, a metric or an optimizer needs none."
        )


def own_objects(model: keras.Model) -> Iterator[OwnObject]:
    """What a network holds that Keras does not ship, each once.

    Its losses and its optimizer are not looked at.
    """
    seen: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras's own warning about lambdas
        found = itertools.chain(_classes(model), _functions(model), _configured(model.get_config()))
        for one in found:
            if one.registered not in seen:
                seen.add(one.registered)
                yield one


def is_kerass(name: str, module: str | None) -> bool:
    """Whether Keras ships a class or function of this name, and loads it in safe mode."""
    is_there = (module or "").split(".")[0] == "keras"
    return is_there and name not in (*_LAMBDAS, *_UNSAFE)


def _classes(model: keras.Model) -> Iterator[OwnObject]:
    for layer in keras_internals.layers_of(model, include_self=True):
        described = type(layer)
        if not is_kerass(described.__name__, described.__module__):
            yield OwnObject.of(described)


def _functions(model: keras.Model) -> Iterator[OwnObject]:
    """Functions that layers hold.

    The serialized network does not tell: a lambda activation is written as bytecode without a
    mark, and a function that happens to be called ``relu`` is written, and read, as Keras's own.
    """
    import keras

    for layer in keras_internals.layers_of(model):
        if isinstance(layer, keras.Model):
            continue  # whose own functions are those that it is trained with
        for value in _held_functions(layer).values():
            if not is_kerass(value.__name__, value.__module__):
                yield OwnObject.of(value)


def _held_functions(layer: Any) -> dict[str, Any]:
    """Functions that a layer was given, by attribute; its methods, which Keras wraps, left out."""
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, types.FunctionType) and not hasattr(type(layer), name)
    }


def _configured(config: Any) -> Iterator[OwnObject]:
    """What a serialized network holds beside Keras's own objects."""
    if isinstance(config, Mapping):
        if {"class_name", "config", "module"} <= config.keys():
            is_function = config["class_name"] == "function"
            written = config["config"] if is_function else config["class_name"]
            module, registered = config["module"], config.get("registered_name")
            if not is_kerass(str(written), module):
                name = str(written).rpartition(">")[2]
                yield OwnObject(name, str(module), str(registered or written))
        elif config.get("class_name") == "__lambda__":
            yield OwnObject("<lambda>", "", "<lambda>")
        for key, value in config.items():
            if key != "compile_config":  # the network is loaded without its optimizer and loss
                yield from _configured(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _configured(value)


# -- made again


def check_made_again(name: str, model: keras.Model) -> None:
    """Refuse a network that isn't the same once it is made again from its configuration.

    What a layer of one's own holds and its ``get_config`` leaves out would be gone in the exported
    model.

    Parameters
    ----------
    name : the space's, for the message.

    Raises
    ------
    SpaceError
        If it can't be made again, or with other weights, functions or plain values.
    """
    with _random_state_kept():
        try:
            again = type(model).from_config(model.get_config())
            reason = _difference(model, again)
        except Exception as error:  # whatever a layer of one's own raises
            said = " ".join(str(error).rpartition("Exception encountered: ")[2].split())
            reason = f"it cannot be made again: {said[:200] or type(error).__name__}"
    if reason:
        raise SpaceError(
            f"The network of '{name}' must be the same once it is made again from its "
            f"configuration, as loading does it; {reason.rstrip('.')}. Have the get_config of your "
            "layers return all that __init__ takes."
        )


def _difference(model: keras.Model, again: keras.Model) -> str:
    """What differs between a network and the same made again, in words; empty for nothing."""
    shapes = [[tuple(weight.shape) for weight in each.weights] for each in (model, again)]
    if shapes[0] != shapes[1]:
        return f"its weights have the shapes {shapes[0]}, then {shapes[1]}"
    pairs = zip(keras_internals.layers_of(model), keras_internals.layers_of(again), strict=True)
    for layer, other in pairs:
        held = _held_functions(layer)
        if not is_kerass(type(layer).__name__, type(layer).__module__):
            held |= {n: v for n, v in vars(layer).items() if _is_plain(n, v)}
        for attribute, value in held.items():
            if vars(other).get(attribute) != value:
                return f"layer '{layer.name}' then lacks its {attribute!r}, {value!r}"
    return ""


def _is_plain(name: str, value: Any) -> bool:
    return isinstance(value, _PLAIN) and not name.startswith("_")


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """Draw nothing that networks built later would have drawn: Keras's seeds are Python's."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
