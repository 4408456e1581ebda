"""Raw cells as tensors: what an exported model that takes columns has as its inputs.

Owns their names, types and description, and the TensorFlow operations that make of them what
``model.keras`` takes: the same encoding as ``hpsearch.preprocessing.encode``, inside the graph.
How a program turns text into codes differs from format to format, and stays with these.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.arrays import network_shape
from hpsearch.data.dataset import Column
from hpsearch.data.offsets import days_since_2000
from hpsearch.data.tokens import numbers_of_texts
from hpsearch.data.words import SCRIPTS, has_unspaced, split_words
from hpsearch.export.bundle import Bundle
from hpsearch.export.inputs import described_output
from hpsearch.preprocessing import Layout

OUTPUT: Final = "output"

_DAYS_OF_A_YEAR: Final = 365.2425
_HOLDS: Final = {
    "number": "a number, NaN where it is missing",
    "exposure": "a number above 0",
    "date": "days since 2000-01-01 with their fraction, NaN where it is missing",
    "category": "one of `levels`, another text for an unknown one, empty where it is missing",
    "text": "the text, in composed characters (NFC)",
    "words": "1 for each of `levels` that occurs, else 0, in their order",
    "array": "the array",
    "tokens": "the row's words in their order: word k of `levels`, or word number k, as k + 2, an "
    "unknown word as 1, 0 behind the last one; 1 alone where there is no word",
}
_SEQUENCE: Final = "steps of features, NaN where a value is missing, in all features of padding"


@dataclass(frozen=True)
class Cells:
    """One column's cells as a tensor.

    Attributes
    ----------
    column : as the schema has it; kind : as in ``Column.kind``, or ``words`` for a text that is
        given word by word, ``tokens`` for words that are given by number in their order.
    name : the tensor's, in characters that every format takes.
    dtype : ``float64``, ``float32``, ``int32`` or ``string``.
    shape : of one row, ``()`` for a cell.
    """

    column: Column
    kind: str
    name: str
    dtype: str
    shape: tuple[int, ...] = ()

    def described(self) -> dict[str, Any]:
        """What a program must know that feeds it, for JSON."""
        has_levels = self.kind in ("category", "words", "tokens")
        known = {"levels": list(self.column.levels)} if has_levels else {}
        return {
            "name": self.name,
            "column": self.column.name,
            "kind": self.kind,
            "dtype": self.dtype,
            "shape": [None, *self.shape],
            "holds": _SEQUENCE if self.column.array_kind == "sequence" else _HOLDS[self.kind],
            **known,
        }

    def tensor(self, cells: Any) -> NDArray[Any]:
        """The tensor of cells as ``Dataset`` has them."""
        match self.kind:
            case "number" | "exposure":
                return np.asarray(cells.to_numpy(dtype=np.float64, na_value=np.nan))
            case "date":
                return days_since_2000(cells)
            case "category" | "text":
                return np.asarray(cells.fillna("").to_numpy(dtype=object))
            case "tokens" if self.column.kind == "text":
                return numbers_of_texts(self.column, cells)
            case "words" if self.column.kind == "text":
                return self._bags(cells)
            case "words":
                return np.asarray(cells.toarray(), np.float32)
        return np.asarray(cells, self.dtype)

    def _bags(self, cells: pd.Series[Any]) -> NDArray[np.float32]:
        place = {word: number for number, word in enumerate(self.column.levels)}
        bags = np.zeros((len(cells), *self.shape), np.float32)
        for row, text in enumerate(cells.fillna("")):
            words = split_words(text, self.column.word_rule)
            bags[row, [place[word] for word in words if word in place]] = 1.0
        return bags


def cells_of(bundle: Bundle, *, splits_text: bool) -> tuple[Cells, ...]:
    """The inputs of a model that takes columns, in the schema's order.

    Parameters
    ----------
    splits_text : whether the format splits text into words; a column whose rule it can't follow is
        given word by word all the same.
    """
    taken: set[str] = set()
    return tuple(_cells(column, taken, splits_text) for column in bundle.schema.columns)


def _cells(column: Column, taken: set[str], splits_text: bool) -> Cells:
    name = tensor_name(column.name, taken)
    match column.kind:
        case "number" | "date" | "exposure":
            return Cells(column, column.kind, name, "float64")
        case "text" if splits_text and _can_be_split(column):
            return Cells(column, "text", name, "string")
        case "text" | "words" if column.width:
            return Cells(column, "tokens", name, "int32", (column.width,))
        case "category":
            return Cells(column, "category", name, "string")
        case "text":
            return Cells(column, "words", name, "float32", (len(column.levels),))
    dtype = "float64" if column.offset else "float32"
    return Cells(column, column.kind, name, dtype, column.shape)


def _can_be_split(column: Column) -> bool:
    """Whether a regular expression finds the column's words: all stand between spaces."""
    return column.word_rule == SCRIPTS and not any(map(has_unspaced, column.levels))


def tensor_name(column: str, taken: set[str]) -> str:
    """A name of letters, digits and ``_`` that is not taken yet, which it then is.

    Examples
    --------
    >>> taken = set()
    >>> [tensor_name(name, taken) for name in ("Größe (m)", "Grosse m", "grosse_m", "2nd", "€")]
    ['Groe_m', 'Grosse_m', 'grosse_m_2', 'column_2nd', 'column']
    """
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    stem = stem if stem[:1].isalpha() else f"column_{stem}".rstrip("_")
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return name


def tensors_of(
    cells: Iterable[Cells], frame: pd.DataFrame, arrays: Mapping[str, Any]
) -> dict[str, NDArray[Any]]:
    """The tensors by name of rows as ``Dataset`` has them."""
    return {
        each.name: each.tensor((arrays if each.column.name in arrays else frame)[each.column.name])
        for each in cells
    }


def described(bundle: Bundle, cells: Iterable[Cells]) -> dict[str, Any]:
    """What a model that takes columns expects and gives, for JSON."""
    target, thresholds = bundle.schema.target, bundle.thresholds
    return {
        "inputs": [each.described() for each in cells],
        "output": {
            "name": OUTPUT,
            "columns": described_output(target)["columns"],
            "labels": [str(label) for label in target.labels],
            **({"thresholds": list(thresholds)} if thresholds else {}),
        },
    }


def encoded(bundle: Bundle, cells: Iterable[Cells], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of ``model.keras``, as TensorFlow's tensors.

    Parameters
    ----------
    given : by column a tensor as ``Cells`` says, but for categories the levels' codes, int32 (n,),
        and for texts the slots of their words, float32 (n, slots of the column), or their words'
        numbers in their order, int32 (n, width).
    """
    import tensorflow as tf

    layout, by_column = bundle.layout, {each.column.name: each for each in cells}
    inputs: dict[str, Any] = {}
    numbers = [
        feature
        for column in bundle.schema.of_kind("number", "date")
        for feature in _numbers(tf, column, given[column.name])
    ]
    if numbers:
        inputs["numbers"] = tf.stack([tf.cast(each, tf.float32) for each in numbers], axis=1)
    if layout.categories:
        inputs["codes"] = tf.stack([given[name] for name in layout.categories], axis=1)
    if layout.words:
        parts = [
            given[name]
            if by_column[name].kind == "text"
            else _in_slots(tf, given[name], words_of_slots(bundle, position))
            for position, name in enumerate(layout.words)
        ]
        inputs["words"] = tf.concat(parts, axis=1)
    if layout.tokens:
        inputs["tokens"] = tf.concat([given[name] for name in layout.tokens], axis=1)
    for number, column in enumerate(bundle.schema.of_kind("array")):
        rows = tf.reshape(given[column.name], (-1, *network_shape(column)))
        if column.offset:
            rows -= tf.constant(column.offset, tf.float64)
        inputs[f"array_{number}"] = tf.cast(rows, tf.float32)
    for column in bundle.schema.of_kind("exposure"):
        inputs["exposure"] = tf.cast(given[column.name], tf.float32)[:, tf.newaxis]
    return inputs


def with_offset(bundle: Bundle, outputs: Any) -> Any:
    """A model's outputs in the target's own units, in float64 where it lies far from zero."""
    import tensorflow as tf

    offset = bundle.schema.target.offset
    return tf.cast(outputs, tf.float64) + tf.constant(offset, tf.float64) if offset else outputs


def words_of_slots(bundle: Bundle, position: int) -> NDArray[np.int64]:
    """The number of the word in each slot of a text column; -1 where there is none.

    Parameters
    ----------
    position : of the column in ``Layout.words``.
    """
    layout: Layout = bundle.layout
    first_word = sum(layout.n_words[:position])
    first_slot = sum(layout.word_slots[:position])
    slots = np.array(bundle.manifest["word_slots"], np.int64)
    slots = slots[first_word : first_word + layout.n_words[position]]
    words = np.full(layout.word_slots[position], -1)
    known = slots >= 0
    words[slots[known] - first_slot] = np.flatnonzero(known)
    return words


def _in_slots(tf: Any, words: Any, word_of_slot: NDArray[np.int64]) -> Any:
    """Multi-hot words (n, n_words) in the model's slots."""
    in_slots = tf.gather(words, np.maximum(word_of_slot, 0), axis=1)
    return in_slots * tf.constant((word_of_slot >= 0).astype(np.float32))


def _numbers(tf: Any, column: Column, cells: Any) -> list[Any]:
    offset = column.offset[0] if column.offset else 0.0
    if column.kind == "number":
        return [cells - offset] if offset else [cells]
    angles = [_part_of_the_year(tf, cells), (cells - 2.0) / 7.0]
    angles += [cells] if column.has_clock else []
    waves = [wave(2.0 * math.pi * angle) for angle in angles for wave in (tf.sin, tf.cos)]
    return [cells - offset, *waves]


def _part_of_the_year(tf: Any, days: Any) -> Any:
    """How much of its year is over at each of some days since 2000, in years of 365.25 days."""

    def first_day(year: Any) -> Any:  # of a year since 2000, which had a leap day as 2400 will
        leaps = (tf.floor((year + gap - 1.0) / gap) for gap in (4.0, 100.0, 400.0))
        fours, hundreds, fours_of_hundreds = leaps
        return 365.0 * year + fours - hundreds + fours_of_hundreds

    year = tf.floor((days + 0.5) / _DAYS_OF_A_YEAR)
    year += tf.cast(days >= first_day(year + 1.0), tf.float64)
    year -= tf.cast(days < first_day(year), tf.float64)
    return (days - first_day(year)) / 365.25
