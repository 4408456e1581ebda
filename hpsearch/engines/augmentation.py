"""Layers that change images while they train: whether those that know a range of pixels get such.

Keras's layers of brightness, contrast and colour cut off what lies outside of their
``value_range``, which is 0 to 255 unless one says otherwise. Pixels reach a network standardised,
so that half of them would become 0 in training, and none in a prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.errors import SpaceError

MOST_CUT_OFF: Final = 0.1
"""Share of standard normal pixels that such a layer may cut off."""
_N_ROWS, _ANY_SIZE = 4, 8


class _AllSeen(BaseException):
    """Every such layer was called."""


def check_value_ranges(model: Any) -> None:
    """Raise ``SpaceError`` where a layer of a built network would cut off many standard pixels."""
    layers = [
        layer
        for layer in keras_internals.layers_of(model)
        if isinstance(getattr(layer, "value_range", None), tuple | list)
        and type(layer).__module__.startswith("keras.")
    ]
    if not layers:
        return
    seen: dict[int, NDArray[Any]] = {}
    try:
        with _watched(layers, seen):
            model(_made_up_rows(model), training=False)
    except _AllSeen:
        pass
    for number, pixels in seen.items():
        layer = layers[number]
        low, high = (float(end) for end in layer.value_range)
        share = float(((pixels < low) | (pixels > high)).mean())
        if share > MOST_CUT_OFF:
            raise SpaceError(
                f"the layer '{layer.name}', a {type(layer).__name__}, cuts off what lies outside "
                f"of its value_range, {low:g} to {high:g}, while it trains; {share:.0%} of pixels "
                "do, since they reach a network standardised. Give it value_range=(-3.0, 3.0)."
            )


def _made_up_rows(model: Any) -> Any:
    """Standard normal rows, zeros where whole numbers are looked up; for each input."""
    generator = np.random.default_rng(0)
    shapes = [tuple(size or _ANY_SIZE for size in each.shape[1:]) for each in model.inputs]
    rows = [
        np.zeros((_N_ROWS, *shape), "int32")
        if "int" in str(each.dtype)
        else generator.normal(size=(_N_ROWS, *shape)).astype(np.float32)
        for each, shape in zip(model.inputs, shapes, strict=True)
    ]
    return rows if len(rows) > 1 else rows[0]


@contextmanager
def _watched(layers: list[Any], seen: dict[int, NDArray[Any]]) -> Iterator[None]:
    """Note what layers are called with, until each was called."""
    import keras

    def noted(
        number: int, call: Callable[..., Any], pixels: Any, *more: Any, **options: Any
    ) -> Any:
        with suppress(Exception):  # of what is traced, or a dictionary
            seen.setdefault(number, np.asarray(keras.ops.convert_to_numpy(pixels)))
        if len(seen) == len(layers):
            raise _AllSeen
        return call(pixels, *more, **options)

    with ExitStack() as stack:
        for number, layer in enumerate(layers):
            watching = partial(noted, number, layer.call)
            stack.enter_context(keras_internals.replaced(layer, call=watching))
        yield
