"""Keras's private names, in one place: what its public ones don't give.

A release of Keras may change any of them, and whoever reads another one finds here what to mend.
No other module names an attribute of Keras that begins with an underscore, or anything under
``keras.src``; ``tests/test_architecture.py`` holds that.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

# -- networks


def layers_of(model: Any, *, include_self: bool = False) -> list[Any]:
    """All layers of a network in its own order, those inside of other layers too."""
    return list(model._flatten_layers(include_self=include_self))


def parts_of(layer: Any) -> list[Any]:
    """The layers that a layer holds itself, without those inside of these."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def input_keys(model: Any) -> tuple[str, ...]:
    """The keys of a network that takes a dictionary, in its inputs' order; else none."""
    struct = getattr(model, "_inputs_struct", None)
    if not isinstance(struct, dict):
        return ()
    order = {id(tensor): at for at, tensor in enumerate(model.inputs)}
    return tuple(sorted(struct, key=lambda key: order[id(struct[key])]))


def _symbolic_inputs(model: Any) -> Any:
    """A network's own inputs, as it is called with them."""
    keys, tensors = input_keys(model), list(model.inputs)
    if keys:
        return dict(zip(keys, tensors, strict=True))
    return tensors[0] if len(tensors) == 1 else tensors


def inputs_of(model: Any) -> Any:
    """A network's inputs in the form that it is called with: one, a list, or a dictionary."""
    return _symbolic_inputs(model)


def made_from(tensor: Any) -> list[Any]:
    """The symbolic tensors that the operation takes which gives one; none of an input."""
    operation, number, _ = tensor._keras_history
    return list(operation._inbound_nodes[number].input_tensors)


def history_of(tensor: Any) -> tuple[Any, int]:
    """The operation that gives a symbolic tensor, and which of its outputs that is."""
    operation, _, number = tensor._keras_history
    return operation, number


def mask_of(tensor: Any) -> Any:
    """The mask that Keras hands on with a tensor, or None."""
    from keras.src import backend

    return backend.get_keras_mask(tensor)


def leave_out_compiled_metrics(model: Any) -> None:
    """Have Keras's own training step compute no metrics, where the network is trained by it.

    Compiling again would do it with Keras's public functions alone, but it drops options, and
    reading them back fails for a loss or a schedule that cannot be serialized.
    """
    import keras

    if type(model).train_step is keras.Model.train_step:
        model._compile_metrics = None


# -- losses


def compiled_losses(model: Any) -> list[tuple[int, Any, Any]]:
    """Each compiled loss: the number of its output, the ``keras.losses.Loss``, and its weight.

    As Keras itself reads ``loss`` and ``loss_weights``; a weight may be None.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they don't fit the outputs.
    """
    import keras

    compiled = model._compile_loss
    outputs = model.compute_output_spec(_symbolic_inputs(model))
    # A copy: building the model's own would add metrics to it, which its training then updates.
    read = type(compiled)(
        compiled._user_loss, compiled._user_loss_weights, output_names=compiled.output_names
    )
    read.build(outputs, outputs)
    numbers = list(range(len(model.outputs)))
    by_path = keras.tree.pack_sequence_as(read._y_pred_build_structure, numbers)
    return [(_at(by_path, path), loss, weight) for path, loss, weight, _ in read._flat_losses]


def _at(nest: Any, path: Sequence[Any]) -> int:
    for key in path:
        nest = nest[key]
    if not isinstance(nest, int):
        raise ValueError("a loss must belong to one output, not to several together")
    return nest


def options_of(loss: Any) -> dict[str, Any]:
    """What a loss hands to the function that it wraps."""
    return getattr(loss, "_fn_kwargs", None) or {}


def compile_like(model: Any, other: Any) -> None:
    """Compile a network of the same outputs with the losses and the optimizer of another one."""
    compiled = other._compile_loss
    model.compile(
        optimizer=other.optimizer,
        loss=compiled._user_loss,
        loss_weights=compiled._user_loss_weights,
        run_eagerly=other.run_eagerly,
    )


# -- optimizers


def rate_of(optimizer: Any) -> Any:
    """An optimizer's schedule of learning rates, or the variable that holds its rate, or None."""
    return getattr(optimizer, "_learning_rate", None)


def is_decayed(optimizer: Any, variable: Any) -> bool:
    """Whether an optimizer's weight decay takes in a variable: it may have been left out."""
    return bool(optimizer._use_weight_decay(variable))


# -- layers


def reduction_axes(layer: Any) -> Sequence[int]:
    """The axes over which batch normalisation computes its moments."""
    axes: Sequence[int] = layer._reduction_axes
    return axes


def moments_of(layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    """The moments of a batch as batch normalisation itself computes them."""
    moments: tuple[Any, Any] = type(layer)._moments(layer, inputs, mask)
    return moments


def replace_moments(layer: Any, moments: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """Have batch normalisation take its moments from a function of inputs and mask."""
    layer._moments = moments


# -- random numbers, on JAX


def is_initializer(thing: Any) -> bool:
    """Whether it is one of Keras's own initializers."""
    return type(thing).__module__.startswith("keras.src.initializers")


def seed_given_to(initializer: Any) -> Any:
    """The seed that an initializer was made with; None where Keras drew one."""
    return initializer._init_seed


def is_seed_state(initializer: Any) -> bool:
    """Whether an initializer makes the state of a ``keras.random.SeedGenerator``."""
    return getattr(initializer, "__module__", "") == "keras.src.random.seed_generator"


def is_tracing() -> bool:
    """Whether JAX traces what is computed."""
    from keras.src.utils.jax_utils import is_in_jax_tracing_scope

    return bool(is_in_jax_tracing_scope())


@contextmanager
def recorded_draws(seeds: list[int], initializers: dict[int, tuple[Any, Any]]) -> Iterator[None]:
    """Record what Keras draws while networks are built.

    Parameters
    ----------
    seeds : gets each seed that is drawn for an initializer or a generator.
    initializers : gets, by ``id``, each variable that is initialized, and its initializer.
    """
    from keras.src.backend.jax import core
    from keras.src.backend.jax import random as backend_random
    from keras.src.random import seed_generator

    draw_seed = seed_generator.make_default_seed
    initialize = core.JaxVariable._initialize_with_initializer

    def recorded_seed() -> int:
        seeds.append(draw_seed())
        return seeds[-1]

    def recorded_initialize(variable: Any, initializer: Any) -> None:
        initialize(variable, initializer)
        initializers[id(variable)] = variable, initializer

    with (
        replaced(seed_generator, make_default_seed=recorded_seed),
        replaced(backend_random, make_default_seed=recorded_seed),
        replaced(core.JaxVariable, _initialize_with_initializer=recorded_initialize),
    ):
        yield


@contextmanager
def drawing_by(draws: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Have the JAX backend draw by other functions, and compile nothing for constant arrays.

    Parameters
    ----------
    draws : makes the function that draws in the place of Keras's; takes its name, ``uniform``,
        ``normal`` or ``truncated_normal``, and Keras's own.
    """
    from keras.src.backend.jax import random as backend_random

    names = ("uniform", "normal", "truncated_normal")
    ours = {name: draws(name, getattr(backend_random, name)) for name in names}
    with replaced(backend_random, **ours), constants_uncompiled():
        yield


@contextmanager
def constants_uncompiled() -> Iterator[None]:
    """Have the JAX backend put constant arrays, and NumPy's, on the device as they are.

    JAX compiles a program for every new shape that it fills with zeros or copies an array of: some
    hundredths of a second each, for every variable of every network.
    """
    import jax
    import numpy as np
    from keras.src.backend.jax import core
    from keras.src.backend.jax import numpy as backend_numpy
    from keras.src.initializers import constant_initializers

    standard, convert = core.standardize_dtype, core.JaxVariable._convert_to_tensor
    constant = constant_initializers.Constant.__call__

    def filled(value: float, theirs: Callable[..., Any]) -> Callable[..., Any]:
        def fill(shape: Any, dtype: Any = None) -> Any:
            if shape == () or is_tracing():  # which asks for a one itself
                return theirs(shape, dtype)
            return jax.device_put(np.full(shape, value, standard(dtype)))

        return fill

    def converted(variable: Any, value: Any, dtype: Any = None) -> Any:
        if isinstance(value, np.ndarray) and not is_tracing():
            value = jax.device_put(value if dtype is None else value.astype(standard(dtype)))
        return convert(variable, value, dtype)

    def repeated(initializer: Any, shape: Any, dtype: Any = None) -> Any:
        if is_tracing() or not isinstance(initializer.value, int | float):
            return constant(initializer, shape, dtype)
        return jax.device_put(np.full(shape, initializer.value, standard(dtype)))

    with (
        replaced(
            backend_numpy,
            zeros=filled(0.0, backend_numpy.zeros),
            ones=filled(1.0, backend_numpy.ones),
        ),
        replaced(core.JaxVariable, _convert_to_tensor=converted),
        replaced(constant_initializers.Constant, __call__=repeated),
    ):
        yield


@contextmanager
def replaced(owner: Any, **values: Any) -> Iterator[None]:
    """Give an object other attributes for a while."""
    kept = {name: vars(owner)[name] for name in values if name in vars(owner)}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name in values:
            if name in kept:
                setattr(owner, name, kept[name])
            else:
                delattr(owner, name)


# -- what Keras imports and reads


def do_without_tensorflow() -> None:
    """Tell Keras that TensorFlow is not installed, so that it never imports it."""
    from keras.src.utils import module_utils

    module_utils.tensorflow._available = False


class _Later(types.ModuleType):
    """Stands for a module, which is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _forget_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _forget_stand_ins() -> None:
    for name, module in list(sys.modules.items()):
        if isinstance(module, _Later):
            del sys.modules[name]


@contextmanager
def jax_when_it_is_used() -> Iterator[None]:
    """Have Keras, imported in a block on its NumPy backend, import JAX only for what needs it.

    These are convolutions and Fourier transforms. It takes half a second, for nothing where no
    network computes. Where Keras uses more of it, JAX is imported as ever.
    """
    names = ("jax", "jax.lax", "keras.src.backend.jax.math")
    if os.environ.get("KERAS_BACKEND") != "numpy" or sys.modules.keys() & set(names):
        yield
        return
    jax, lax, math = ours = [_Later(name) for name in names]
    monitoring = types.SimpleNamespace(record_scalar=None)  # Keras sees to it that there is one
    vars(jax).update(lax=lax, monitoring=monitoring, __spec__=importlib.util.find_spec("jax"))
    vars(math).update({name: _called_later(math.__name__, name) for name in ("fft", "fft2")})
    sys.modules.update(zip(names, ours, strict=True))
    try:
        yield
    finally:
        _forget_stand_ins()


@contextmanager
def attention_of_accelerators_when_it_is_used() -> Iterator[None]:
    """Have Keras, imported in a block on JAX, import kernels for TPUs only where one is called.

    A third of the time that its import takes; no processor runs them.
    """
    name = "jax.experimental.pallas.ops.tpu.splash_attention"
    parts = ("splash_attention_kernel", "splash_attention_mask")
    if os.environ.get("KERAS_BACKEND") != "jax" or name in sys.modules:
        yield
        return
    package = types.ModuleType(name)
    vars(package).update({part: _Later(f"{name}.{part}") for part in parts})
    sys.modules[name] = package
    try:
        yield
    finally:
        del sys.modules[name]


def _called_later(module: str, name: str) -> Callable[..., Any]:
    return lambda *arguments: getattr(importlib.import_module(module), name)(*arguments)


def global_policy() -> str | None:
    """Name of the dtype policy that was set for all layers; asking Keras itself would set one."""
    from keras.src.backend.common import global_state

    policy = global_state.get_global_attribute("dtype_policy", None)
    return None if policy is None else str(policy.name)


def set_global_policy(name: str | None) -> None:
    """Set the dtype policy of all layers, or have none set, so that they follow ``floatx``."""
    import keras
    from keras.src.backend.common import global_state

    if name is None:
        global_state.set_global_attribute("dtype_policy", None)
    else:
        keras.config.set_dtype_policy(name)


def restricts_pickles(module: Any) -> bool:
    """Whether the module of one of Keras's data sets, once imported, runs no code of its file."""
    return "RestrictedUnpickler" in vars(sys.modules.get("keras.src.datasets.cifar", module))


_NAMED: Final = ("name", "keras_history", "input_layers", "output_layers")


def without_names(
    config: Any, numbers: dict[str, int] | None = None, *, is_name: bool = False
) -> Any:
    """A network's configuration with numbers for its layers' names, in the order of appearance.

    Two builds name their layers differently. Whatever else is a string stays, as an activation that
    a layer is called by.

    Parameters
    ----------
    numbers : of the names so far; is_name : whether strings in ``config`` are names.
    """
    numbers = {} if numbers is None else numbers
    if isinstance(config, str):
        return f"name{numbers.setdefault(config, len(numbers))}" if is_name else config
    if isinstance(config, list | tuple):
        return [without_names(each, numbers, is_name=is_name) for each in config]
    if not isinstance(config, Mapping) or "Policy" in str(config.get("class_name")):  # of dtypes
        return config
    return {
        key: without_names(each, numbers, is_name=key in _NAMED) for key, each in config.items()
    }
