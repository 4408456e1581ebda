"""TensorFlow Lite, now LiteRT: no text in it, so it takes what ``model.keras`` does.

Operators that are not the runtime's own are refused: a phone has no others. A network with loops,
such as a recurrent one, takes one row at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import ModelFileError
from hpsearch.export.bundle import Bundle
from hpsearch.export.formats import _cells
from hpsearch.export.formats._child import in_a_child
from hpsearch.export.formats.base import Format
from hpsearch.keras_internals import replaced

_MISSING_OPS: Final = re.compile(r"(?:TF Select|Custom) ops: ([^\n]+)")

FORMAT = Format(
    what="a TensorFlow Lite model",
    ending=".tflite",
    write=in_a_child("tflite"),
    packages=("ai_edge_litert",),
    extra="tflite",
)


def cells(bundle: Bundle) -> None:
    """It takes no columns."""


def convert(bundle: Bundle, path: Path) -> tuple[str, ...]:
    """Write the file: for any number of rows, or where the network has loops for one.

    Raises
    ------
    ModelFileError
        The network needs operators that the runtime has not.
    """
    notes = ["It takes encoded cells, as `inputs` of model.json says; so is `output`."]
    try:
        content = _converted(bundle, None)
    except Exception:  # the converter's errors have no class of their own
        content = _converted_for_one_row(bundle)
        notes.append("It takes one row at a time.")
    path.write_bytes(content)
    return tuple(notes)


def _converted_for_one_row(bundle: Bundle) -> bytes:
    try:
        return _converted(bundle, 1)
    except Exception as error:
        missing = _MISSING_OPS.findall(str(error))
        if not missing:
            raise
        raise ModelFileError(
            f"The format 'tflite' can't hold this model: its runtime has no {', '.join(missing)}. "
            "Nothing was written; choose another --to, or a space without it."
        ) from error


def _converted(bundle: Bundle, n_rows: int | None) -> bytes:
    import tensorflow as tf

    def serve(**inputs: Any) -> dict[str, Any]:
        return {_cells.OUTPUT: bundle.model(inputs, training=False)}

    module = tf.Module()
    module.held = [variable.value for variable in bundle.model.variables]  # become constants
    specs = {
        x.name: tf.TensorSpec((n_rows, *x.shape[1:]), x.dtype, name=x.name)
        for x in bundle.model.inputs
    }
    with replaced(tf.nn, bias_add=_bias_add):
        function = tf.function(serve).get_concrete_function(**specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    content: bytes = converter.convert()
    return content


def predictor(path: Path) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]:
    """The file, read back by LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(model_content=path.read_bytes())
    takes_one_row = all(each["shape_signature"][0] == 1 for each in reader.get_input_details())
    [[signature, names]] = reader.get_signature_list().items()
    run = reader.get_signature_runner(signature)

    def predict(tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        given = {name: tensors[name] for name in names["inputs"]}
        n_rows = len(next(iter(given.values())))
        size = 1 if takes_one_row else n_rows
        parts = [
            run(**{name: rows[first : first + size] for name, rows in given.items()})[_cells.OUTPUT]
            for first in range(0, n_rows, size)
        ]
        return np.concatenate(parts)

    return predict


def _bias_add(value: Any, bias: Any, data_format: str = "NHWC", name: str | None = None) -> Any:
    """``tf.nn.bias_add``, which LiteRT has for floating-point numbers alone."""
    import tensorflow as tf

    if value.dtype.is_integer and data_format == "NHWC":
        return tf.add(value, bias)
    return tf.raw_ops.BiasAdd(value=value, bias=bias, data_format=data_format, name=name)
