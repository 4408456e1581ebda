"""Which space a search takes where none was asked for: it follows from what the columns are."""

from __future__ import annotations

from typing import Any

from hpsearch.data.dataset import Schema
from hpsearch.space.space import Space

OF_TABLES, OF_OTHERS = "tabular", "mlp"


def usual_space(schema: Schema) -> str:
    """``tabular`` for numbers and categories; ``mlp`` where there are words, images or sequences.

    ``tabular`` was better than ``mlp`` on tables (``benchmarks/tables.py``); of words and of arrays
    that become flat rows it does nothing that ``mlp`` doesn't.
    """
    others = any(schema.of_kind(kind) for kind in ("text", "array")) or schema.tokens
    return OF_OTHERS if others else OF_TABLES


def space_asked(asked: Any, schema: Schema) -> Space:
    """The space that was asked for, or the usual one of such a table.

    Raises
    ------
    SpaceError
        It can't be loaded.
    """
    return Space.load(usual_space(schema) if asked is None else asked)
