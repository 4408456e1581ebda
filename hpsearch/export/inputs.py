"""What an exported model takes and gives, in words that a program without hpsearch can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.data.dataset import Column, Schema
from hpsearch.data.tokens import FIRST_WORD, PADDING, UNKNOWN
from hpsearch.preprocessing import Layout, beside_prepared
from hpsearch.preprocessing.encoding import word_count
from hpsearch.task import Target

Described = dict[str, Any]


def described_inputs(schema: Schema, layout: Layout) -> list[Described]:
    """The model's named inputs: what stands where in each.

    ``numbers`` hold each cell ``less`` a constant, taken off in float64, NaN where it is missing; a
    date gives days since 2000-01-01, and sine and cosine of its place in the year, the week and the
    day. ``codes`` hold a number for each level. ``words`` hold 1 in the slots of a text's words:
    word k of all columns' words, one column after the other, has slot ``word_slots[k]`` of the
    manifest, none where that is -1. ``tokens`` hold a row's words in their order, one column after
    the other: word k of a column's list, or word number k, as k + 2, a word that the list lacks as
    1, 0 behind the last one; a row without words is one unknown word. Arrays come as they are, less
    a constant for each index of the last axis; in sequences NaN is a missing value, and a step of
    nothing else padding. ``prepared`` is what a transformer of one's own gives. ``exposure`` is
    what the predicted counts of one unit of it are multiplied by.

    Examples
    --------
    >>> from hpsearch.task import Target
    >>> columns = (Column("age", "number"), Column("size", "category", levels=("l", "s")))
    >>> schema = Schema(columns, Target(("y",), "regression"))
    >>> for each in described_inputs(schema, Layout.of(schema)):
    ...     print(each["name"], each["shape"], each["features"])
    numbers [1] [{'column': 'age', 'feature': 'value', 'less': 0.0}]
    codes [1] [{'column': 'size', 'codes': {'l': 0, 's': 1}, 'unknown': 2, 'missing': 3}]
    """
    schema = beside_prepared(schema) if layout.prepared else schema
    return [each for each in _inputs(schema, layout) if each["features"]]


def _inputs(schema: Schema, layout: Layout) -> Iterator[Described]:
    yield {
        "name": "numbers",
        "dtype": "float32",
        "shape": [len(layout.numbers)],
        "features": [f for c in schema.of_kind("number", "date") for f in _numbers(c)],
    }
    yield {
        "name": "codes",
        "dtype": "int32",
        "shape": [len(layout.categories)],
        "features": [_codes(column) for column in schema.of_kind("category")],
    }
    names = zip(layout.words, layout.n_words, layout.word_slots, strict=True)
    yield {
        "name": "words",
        "dtype": "float32",
        "shape": [sum(layout.word_slots)],
        "features": [{"column": c, "n_words": n, "n_slots": slots} for c, n, slots in names],
    }
    yield {
        "name": "tokens",
        "dtype": "int32",
        "shape": [sum(layout.token_widths)],
        "features": [_tokens(column, word_count(column)) for column in schema.tokens],
    }
    shapes = zip(schema.of_kind("array"), layout.array_shapes, strict=True)
    for number, (column, shape) in enumerate(shapes):
        less = list(column.offset) or 0.0
        yield {
            "name": f"array_{number}",
            "dtype": "float32",
            "shape": list(shape),
            "features": [{"column": column.name, "less": less}],
        }
    if layout.prepared:
        yield {
            "name": "prepared",
            "dtype": "float32",
            "shape": list(layout.prepared),
            "features": [{"transformer": "what the transformer gives, zeros behind it"}],
        }
    yield {
        "name": "exposure",
        "dtype": "float32",
        "shape": [1],
        "features": [{"column": column.name} for column in schema.of_kind("exposure")],
    }


def _numbers(column: Column) -> Iterator[Described]:
    less = column.offset[0] if column.offset else 0.0
    if column.kind == "number":
        yield {"column": column.name, "feature": "value", "less": less}
        return
    yield {"column": column.name, "feature": "days since 2000-01-01", "less": less}
    for part in ("year", "week", *(["day"] if column.has_clock else [])):
        for wave in ("sine", "cosine"):
            yield {"column": column.name, "feature": f"{wave} of the {part}", "less": 0.0}


def _codes(column: Column) -> Described:
    n_levels = len(column.levels)
    return {
        "column": column.name,
        "codes": {str(level): code for code, level in enumerate(column.levels)},
        "unknown": n_levels,
        "missing": n_levels + 1,
    }


def _tokens(column: Column, n_words: int) -> Described:
    return {
        "column": column.name,
        "n_words": n_words,
        "n_tokens": column.width,
        "first": FIRST_WORD,
        "unknown": UNKNOWN,
        "padding": PADDING,
    }


def described_output(target: Target) -> Described:
    """What each column of the model's output is.

    Examples
    --------
    >>> from hpsearch.task import Target
    >>> described_output(Target(("ill",), "binary", ("no", "yes")))
    {'columns': ["probability of 'yes'"], 'plus': 0.0}
    """
    if target.kind == "binary":
        columns = [f"probability of {target.labels[1]!r}"]
    elif target.kind in ("multiclass", "multilabel"):
        columns = [f"probability of {label!r}" for label in target.labels]
    elif target.levels:
        columns = [f"quantile {level:g} of {target.names[0]}" for level in target.levels]
    else:
        columns = [str(name) for name in target.names]
    plus = target.offset * max(1, len(target.levels))
    return {"columns": columns, "plus": list(plus) or 0.0}


def described_model(
    schema: Schema,
    layout: Layout,
    word_slots: Sequence[int],
    decisions: Mapping[str, Any] | None = None,
) -> Described:
    """What a program must know that predicts with the model: these parts of the manifest.

    Parameters
    ----------
    word_slots : the slot of each word of all text columns, -1 where it has none.
    decisions : what was decided after the selection, where predicting needs it.
    """
    return {
        "schema": schema.to_json(),
        "inputs": described_inputs(schema, layout),
        "output": described_output(schema.target),
        "word_slots": list(word_slots),
        **({"decisions": dict(decisions)} if decisions else {}),
    }
