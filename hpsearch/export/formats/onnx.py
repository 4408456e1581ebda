"""ONNX, which takes raw columns: text of categories as it is, free text word by word.

tf2onnx converts what follows the levels' codes; the operators that find these are put before it.
``metadata_props`` has what each input holds, as JSON under ``hpsearch``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import ModelFileError
from hpsearch.export.bundle import Bundle
from hpsearch.export.formats import _cells
from hpsearch.export.formats._child import in_a_child
from hpsearch.export.formats.base import Format

_OPSET: Final = 18
_ML_DOMAIN, _ML_OPSET = "ai.onnx.ml", 2
_CODES: Final = "codes_of_"
_MISSING_OP: Final = re.compile(r"No Op registered for (\w+)")

FORMAT = Format(
    what="an ONNX model",
    ending=".onnx",
    write=in_a_child("onnx"),
    packages=("tf2onnx", "onnx", "onnxruntime"),
    extra="onnx",
)


def cells(bundle: Bundle) -> tuple[_cells.Cells, ...]:
    """The columns that it takes."""
    return _cells.cells_of(bundle, splits_text=False)


def convert(bundle: Bundle, path: Path) -> tuple[str, ...]:
    """Write the ONNX file."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    taken = cells(bundle)
    names = {each: _CODES * (each.kind == "category") + each.name for each in taken}

    def serve(*tensors: Any) -> dict[str, Any]:
        given = {each.column.name: x for each, x in zip(taken, tensors, strict=True)}
        outputs = bundle.model(_cells.encoded(bundle, taken, given), training=False)
        return {_cells.OUTPUT: _cells.with_offset(bundle, outputs)}

    specs = [
        tf.TensorSpec(
            (None, *each.shape),
            "int32" if each.kind == "category" else each.dtype,
            name=names[each],
        )
        for each in taken
    ]
    function = tf.function(serve, input_signature=specs)
    model, _ = tf2onnx.convert.from_function(
        function,
        input_signature=specs,
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_erfc, []), "Expm1": (_expm1, []), "Log1p": (_log1p, [])},
    )
    _put_levels_before(model, (each for each in taken if each.kind == "category"))
    _name_rows(model)
    said = json.dumps(_cells.described(bundle, taken), ensure_ascii=False)
    onnx.helper.set_model_props(model, {"hpsearch": said})
    _check(model)
    path.write_bytes(model.SerializeToString())
    return ("It takes raw columns; the metadata under 'hpsearch' says what each input holds.",)


def predictor(path: Path) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]:
    """The file, read back by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {each.name for each in session.get_inputs()}  # what no output depends on is left out

    def predict(tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        given = {name: tensor for name, tensor in tensors.items() if name in wanted}
        return np.asarray(session.run([_cells.OUTPUT], given)[0])

    return predict


def _check(model: Any) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        missing = _MISSING_OP.findall(str(error))
        if not missing:
            raise
        raise ModelFileError(
            f"The format 'onnx' can't hold this model: it has no operator {', '.join(missing)}. "
            "Nothing was written; choose another --to, or a space without it."
        ) from error


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """The activation gelu's complementary error function: 1 less the error function."""
    one, erf = _one(graph, node), graph.make_node("Erf", node.input).output[0]
    _replace(graph, node, [one, erf])


def _expm1(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """The activation celu's exponential less 1."""
    one, exp = _one(graph, node), graph.make_node("Exp", node.input).output[0]
    _replace(graph, node, [exp, one])


def _log1p(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """The logarithm of 1 more, of the view ``log``."""
    more = graph.make_node("Add", [*node.input, _one(graph, node)]).output
    graph.remove_node(node.name)
    graph.make_node("Log", more, name=node.name, outputs=node.output)


def _one(graph: Any, node: Any) -> Any:
    return graph.make_const(f"{node.name}/one", np.array(1.0, np.float32)).output[0]


def _replace(graph: Any, node: Any, difference: list[Any]) -> None:
    """Have a difference of two values stand for what ONNX has no operator for."""
    graph.remove_node(node.name)
    graph.make_node("Sub", difference, name=node.name, outputs=node.output)


def _put_levels_before(model: Any, taken: Iterable[_cells.Cells]) -> None:
    """Have the model take levels as text where it takes their codes, in place."""
    from onnx import TensorProto, helper

    graph, made = model.graph, []
    there = {each.name: each for each in graph.input}
    for each in taken:
        codes, levels = there[_CODES + each.name], each.column.levels
        n_levels = len(levels)
        made += [
            helper.make_node(
                "LabelEncoder",
                [each.name],
                [f"{each.name}_as_int64"],
                domain=_ML_DOMAIN,
                keys_strings=[*levels, ""],
                values_int64s=[*range(n_levels), n_levels + 1],
                default_int64=n_levels,
            ),
            helper.make_node("Cast", [f"{each.name}_as_int64"], [codes.name], to=TensorProto.INT32),
        ]
        place = list(graph.input).index(codes)
        del graph.input[place]
        text = helper.make_tensor_value_info(each.name, TensorProto.STRING, [None])
        graph.input.insert(place, text)
    if made:
        nodes = [*made, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        if _ML_DOMAIN not in {each.domain for each in model.opset_import}:
            model.opset_import.append(helper.make_opsetid(_ML_DOMAIN, _ML_OPSET))


def _name_rows(model: Any) -> None:
    """Call the first axis of all inputs and outputs ``rows``; tf2onnx numbers them."""
    for each in (*model.graph.input, *model.graph.output):
        each.type.tensor_type.shape.dim[0].dim_param = "rows"
