"""Layers of one's own in a fused program: each row must get what it would get alone.

The last batch of an epoch is padded with rows that must weigh nothing. Of its own layers Keras says
what they compute with; of one's own it is tried: a layer computes some made-up rows twice, the
second time beside other ones, and what the first rows get, what the layer keeps and what it adds to
the loss must be the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.failures import reason_of
from hpsearch.space.network_checks import is_of_keras

_TRACED_ROWS: Final = 1013
"""Rows of a batch that is never computed; no layer is as wide, so shapes tell rows from units."""

_ROWS, _KEPT = 6, 3
"""Rows that are computed, and those of them that are the same both times."""

_known: dict[tuple[Any, ...], str | None] = {}
"""What was tried in this process: by class, configuration and what the layer is called with."""


def rows_reason(model: Any, rows_of: Callable[[int], Any]) -> str | None:
    """Why a layer of one's own cannot be in a program with padding, or None.

    The network can be traced. Batch normalisation within such a layer is left to the program.

    Parameters
    ----------
    rows_of : gives the shapes of so many rows, as the network is called with them.
    """
    import jax
    import keras

    own = _outermost(model)
    if not own:
        return None
    calls: list[tuple[Any, Any, Any]] = []

    def forward(x: Any) -> Any:
        with _calls_noted(own, calls):
            return model.stateless_call(
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
                x,
                training=True,
            )[0]

    jax.eval_shape(forward, rows_of(_TRACED_ROWS))
    for layer, arguments, named in calls:
        key = (type(layer), *_described(layer), repr(keras.tree.map_structure(str, arguments)))
        if key not in _known:
            _known[key] = _tried(layer, arguments, named)
        if _known[key] is not None:
            return f"layer '{layer.name}', a {type(layer).__name__}, {_known[key]}"
    return None


def _described(layer: Any) -> tuple[str, ...]:
    try:
        config = {name: value for name, value in layer.get_config().items() if name != "name"}
        return (json.dumps(config, sort_keys=True, default=repr),)
    except Exception:  # a layer that is never saved need not tell
        return ("", str(id(layer)))


def _outermost(model: Any) -> list[Any]:
    """Layers of one's own, but for those inside of another one."""
    found: list[Any] = []
    inside: set[int] = set()
    for layer in keras_internals.layers_of(model):
        if id(layer) in inside or is_of_keras(layer):
            continue
        found.append(layer)
        inside |= {id(part) for part in keras_internals.layers_of(layer)}
    return found


@contextmanager
def _calls_noted(layers: list[Any], calls: list[tuple[Any, Any, Any]]) -> Iterator[None]:
    """Note what layers are called with: shapes and dtypes in place of arrays."""
    import keras

    def shape_of(value: Any) -> Any:
        is_array = hasattr(value, "shape") and hasattr(value, "dtype")
        return keras.KerasTensor(value.shape, str(value.dtype)) if is_array else value

    def noting(layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            shapes = keras.tree.map_structure(shape_of, (arguments, named))
            calls.append((layer, *shapes))
            return function(*arguments, **named)

        return call

    with ExitStack() as stack:
        for layer in layers:
            noted = noting(layer, layer.call)
            stack.enter_context(keras_internals.replaced(layer, call=noted))
        yield


def _tried(layer: Any, arguments: Any, named: Any) -> str | None:
    """What is wrong with a layer that computes some rows beside two sorts of others, or None."""
    import jax
    import keras

    rng = np.random.default_rng(0)
    given = keras.tree.flatten((arguments, named))
    places = [place for place, value in enumerate(given) if isinstance(value, keras.KerasTensor)]
    if any(_TRACED_ROWS in given[place].shape[1:] for place in places):
        return "computes with rows that were joined or split"
    first = [_made_up(rng, given[place]) for place in places]
    second = [
        _with_other_rows(rng, array, given[p]) for array, p in zip(first, places, strict=True)
    ]
    trainable = [variable.value for variable in layer.trainable_variables]
    frozen = [variable.value for variable in layer.non_trainable_variables]

    def computed(arrays: list[Any]) -> Any:
        filled = list(given)
        for place, array in zip(places, arrays, strict=True):
            filled[place] = array
        positional, by_name = keras.tree.pack_sequence_as((arguments, named), filled)
        with _batch_normalization_left_out(layer):
            return layer.stateless_call(
                trainable, frozen, *positional, return_losses=True, **by_name
            )

    try:
        one, other = (jax.jit(computed)(arrays) for arrays in (first, second))
    except BaseException as error:  # whatever the layers of a space raise
        return f"cannot be tried alone: {reason_of(error).rstrip('.')}"
    outputs = [keras.tree.flatten(each[0]) for each in (one, other)]
    if any(np.shape(value)[:1] != (_ROWS,) for value in outputs[0]):
        return "gives other rows than it gets"
    if not all(_same(a[:_KEPT], b[:_KEPT]) for a, b in zip(*outputs, strict=True)):
        return "computes a row with the others of its batch"
    if not all(map(_same, one[1], other[1])):
        return "keeps something of the rows of a batch"
    if not all(map(_same, one[2], other[2])):
        return "adds to the loss by the rows of a batch"
    return None


@contextmanager
def _batch_normalization_left_out(layer: Any) -> Iterator[None]:
    import keras

    def as_it_is(inputs: Any, training: bool = False, mask: Any = None) -> Any:
        return inputs

    with ExitStack() as stack:
        for part in keras_internals.layers_of(layer):
            if type(part) is keras.layers.BatchNormalization:
                stack.enter_context(keras_internals.replaced(part, call=as_it_is))
        yield


def _made_up(rng: np.random.Generator, tensor: Any) -> NDArray[Any]:
    """Values of the dtype; rows where it has rows."""
    has_rows = tuple(tensor.shape[:1]) == (_TRACED_ROWS,)
    shape = (_ROWS, *tensor.shape[1:]) if has_rows else tuple(tensor.shape)
    values = rng.normal(size=shape)
    return (values > 0 if "bool" in tensor.dtype else values).astype(tensor.dtype)


def _with_other_rows(rng: np.random.Generator, array: NDArray[Any], tensor: Any) -> NDArray[Any]:
    if tuple(tensor.shape[:1]) != (_TRACED_ROWS,):
        return array
    others = _made_up(rng, tensor)
    if array.dtype.kind == "f":
        others = others * 3 + 1
    return np.concatenate([array[:_KEPT], others[_KEPT:]]).astype(array.dtype)


def _same(one: Any, other: Any) -> bool:
    return np.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)
