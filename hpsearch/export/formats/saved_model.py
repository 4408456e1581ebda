"""TensorFlow's SavedModel, which takes raw columns, text among them.

Its signature has a tensor for each column; ``assets.extra/inputs.json`` says what each holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.tokens import FIRST_WORD, PADDING, UNKNOWN
from hpsearch.export.bundle import Bundle
from hpsearch.export.formats import _cells
from hpsearch.export.formats._child import in_a_child
from hpsearch.export.formats.base import Format

_JOINERS: Final = r"[\x{00AD}\x{200C}\x{200D}\x{2060}\x{FEFF}]"
_OTHER_MARKS: Final = r"[\x{FE00}-\x{FE0F}\x{20DD}-\x{20EF}\x{E0100}-\x{E01EF}]"
_NO_LETTER: Final = r"[^\pL\pN_\p{Mn}\p{Mc}]+"
_MARKS_FIRST: Final = r"(^| )[\p{Mn}\p{Mc}]+"

FORMAT = Format(
    what="a TensorFlow SavedModel",
    ending="-saved-model",
    write=in_a_child("saved-model"),
    inside="saved_model.pb",
)


def cells(bundle: Bundle) -> tuple[_cells.Cells, ...]:
    """The columns that it takes."""
    return _cells.cells_of(bundle, splits_text=True)


def convert(bundle: Bundle, path: Path) -> tuple[str, ...]:
    """Write the SavedModel."""
    import tensorflow as tf

    taken = cells(bundle)
    module = tf.Module()
    module.model = bundle.model  # what it does not hold would not be saved
    module.tables = {each.name: _table(bundle, each) for each in taken if each.dtype == "string"}

    def serve(**tensors: Any) -> dict[str, Any]:
        given = {each.column.name: tensors[each.name] for each in taken}
        for each in taken:
            if each.kind == "category":
                given[each.column.name] = module.tables[each.name].lookup(tensors[each.name])
            if each.kind == "text":
                words = _words(tensors[each.name])
                made = _in_order if each.column.width else _slots
                given[each.column.name] = made(bundle, module.tables[each.name], each, words)
        inputs = _cells.encoded(bundle, taken, given)
        outputs = bundle.model(inputs, training=False)
        return {_cells.OUTPUT: _cells.with_offset(bundle, outputs)}

    signature = tf.function(serve).get_concrete_function(
        **{
            each.name: tf.TensorSpec((None, *each.shape), each.dtype, name=each.name)
            for each in taken
        }
    )
    tf.saved_model.save(module, str(path), signatures={"serving_default": signature})
    extra = path / "assets.extra"
    extra.mkdir()
    said = json.dumps(_cells.described(bundle, taken), indent=2, ensure_ascii=False)
    (extra / "inputs.json").write_text(f"{said}\n", encoding="utf-8")
    return ("It takes raw columns; assets.extra/inputs.json says what each input holds.",)


def predictor(path: Path) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]:
    """The SavedModel, read back by TensorFlow alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]

    def predict(tensors: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        given = {name: tf.constant(tensor) for name, tensor in tensors.items()}
        return np.asarray(serve(**given)[_cells.OUTPUT])

    predict.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return predict


def _table(bundle: Bundle, each: _cells.Cells) -> Any:
    """The code of each level, the number of each word, or the slot of each that has one."""
    import tensorflow as tf

    levels = each.column.levels
    if each.kind == "category":
        codes = {**{level: code for code, level in enumerate(levels)}, "": len(levels) + 1}
        unknown = len(levels)
    elif each.column.width:
        codes = {word: number for number, word in enumerate(levels, FIRST_WORD)}
        unknown = UNKNOWN
    else:
        words = _cells.words_of_slots(bundle, bundle.layout.words.index(each.column.name))
        codes = {levels[word]: slot for slot, word in enumerate(words) if word >= 0}
        codes, unknown = codes or {"": -1}, -1
    keys, values = tf.constant(list(codes)), tf.constant(list(codes.values()), tf.int32)
    pairs = tf.lookup.KeyValueTensorInitializer(keys, values)
    return tf.lookup.StaticHashTable(pairs, unknown)


def _words(texts: Any) -> Any:
    """The words of some texts (n,), row by row."""
    import tensorflow as tf

    lower = tf.strings.lower(texts, encoding="utf-8")
    for pattern, by in (
        ("i\u0307", "i"),
        (_JOINERS, ""),
        (_OTHER_MARKS, " "),
        (_NO_LETTER, " "),
        (_MARKS_FIRST, r"\1"),
    ):
        lower = tf.strings.regex_replace(lower, pattern, by)
    return tf.strings.split(lower)


def _in_order(bundle: Bundle, table: Any, each: _cells.Cells, words: Any) -> Any:
    """The numbers (n, width) of words in their order."""
    import tensorflow as tf

    width = each.column.width
    numbers = words.with_values(table.lookup(words.values))
    padded = numbers[:, :width].to_tensor(PADDING, shape=(None, width))
    is_empty = tf.equal(words.row_lengths(), 0)[:, tf.newaxis]
    first = tf.cast(tf.range(width) == 0, tf.int32)[tf.newaxis]
    return padded + tf.cast(is_empty, tf.int32) * first * UNKNOWN


def _slots(bundle: Bundle, table: Any, each: _cells.Cells, words: Any) -> Any:
    """The slots (n, slots of the column) of words, as 0 and 1."""
    import tensorflow as tf

    slots = table.lookup(words.values)
    known = slots >= 0
    rows = tf.cast(tf.boolean_mask(words.value_rowids(), known), tf.int32)
    places = tf.stack([rows, tf.boolean_mask(slots, known)], axis=1)
    n_slots = bundle.layout.word_slots[bundle.layout.words.index(each.column.name)]
    empty = tf.zeros((words.nrows(tf.int32), n_slots), tf.float32)
    return tf.tensor_scatter_nd_max(empty, places, tf.ones(tf.shape(rows), tf.float32))
