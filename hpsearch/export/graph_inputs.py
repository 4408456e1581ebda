"""The named inputs of an exported model: as its graph has them, and as arrays of encoded rows.

What each holds, in words for people and programs, belongs to ``inputs``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.preprocessing import Encoded, Layout
from hpsearch.preprocessing.design import multi_hot


def model_inputs(
    encoded: Encoded, layout: Layout, slot_of_word: NDArray[np.int32]
) -> dict[str, NDArray[Any]]:
    """The named inputs of an exported model for encoded rows (a batch: words become dense).

    Which word has which slot, ``Statistics.word_slots``, stays outside the network.
    """
    inputs: dict[str, NDArray[Any]] = {}
    if layout.numbers:
        inputs["numbers"] = encoded.numbers
    if layout.categories:
        inputs["codes"] = encoded.codes
    if encoded.words is not None:
        inputs["words"] = multi_hot(encoded.words, layout, slot_of_word)
    if encoded.tokens is not None:
        inputs["tokens"] = encoded.tokens
    for i, array in enumerate(encoded.arrays):
        inputs[f"array_{i}"] = array.astype(np.float32)
    if encoded.prepared is not None:
        inputs["prepared"] = encoded.prepared
    if encoded.exposure is not None:
        inputs["exposure"] = encoded.exposure.astype(np.float32)[:, np.newaxis]
    return inputs


def symbolic_inputs(layout: Layout, *, any_length: bool = False) -> dict[str, Any]:
    """The named inputs of an exported model's graph.

    Parameters
    ----------
    any_length : whether sequences may have any number of steps.
    """
    import keras

    inputs = {}
    if layout.numbers:
        inputs["numbers"] = keras.Input((len(layout.numbers),), name="numbers")
    if layout.categories:
        shape = (len(layout.categories),)
        inputs["codes"] = keras.Input(shape, dtype="int32", name="codes")
    if layout.words:
        inputs["words"] = keras.Input((sum(layout.word_slots),), name="words")
    if layout.tokens:
        shape = (sum(layout.token_widths),)
        inputs["tokens"] = keras.Input(shape, dtype="int32", name="tokens")
    for i, array_shape in enumerate(layout.array_shapes):
        is_open = any_length and i in layout.sequences
        shape_taken = (None, *array_shape[1:]) if is_open else array_shape
        inputs[f"array_{i}"] = keras.Input(shape_taken, name=f"array_{i}")
    if layout.prepared:
        inputs["prepared"] = keras.Input(layout.prepared, name="prepared")
    if layout.has_exposure:
        inputs["exposure"] = keras.Input((1,), name="exposure")
    return inputs
