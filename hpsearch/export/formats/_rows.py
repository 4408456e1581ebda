"""Made-up rows, by which an exported model is compared with the one that it was made of.

A run keeps no training rows, and its table may be gone. What the schema and the manifest know is
enough: every level, unknown ones and missing cells, numbers and dates over their whole range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from hpsearch.data.dataset import Column
from hpsearch.data.tokens import numbers_of_rows
from hpsearch.engines.lookups import Lookups
from hpsearch.export.bundle import Bundle

N_ROWS: Final = 256
_MISSING: Final = 0.1
_UNKNOWN: Final = "a level that nobody knows"
_SPANS: Final = {"number": (-1.0, 1.0), "date": ("2000-01-01", "2030-01-01")}


def made_up_rows(bundle: Bundle, n: int = N_ROWS) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows as ``Dataset`` has them: the frame of the scalar columns, and the arrays.

    They are the same for the same model. Numbers that the model looks up are ones that it knows.
    """
    rng = np.random.default_rng(0)
    lookups = Lookups.from_json(bundle.manifest.get("lookups", ()))
    ranges = bundle.manifest.get("ranges") or {}
    tokens = {bundle.layout.numbers[at]: bounds for at, bounds in lookups.numbers.items()}
    frame: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    channel = 0
    for column in bundle.schema.columns:
        match column.kind:
            case "array":
                arrays[column.name] = _array(rng, column, n)
            case "words" if column.width:
                arrays[column.name] = _word_lists(rng, column, n)
            case "words":
                arrays[column.name] = _word_rows(rng, column, n)
            case "number" if column.name in tokens:
                least, most = tokens[column.name]
                frame[column.name] = rng.integers(least, most + 1, n).astype(np.float64)
            case "number" | "date":
                frame[column.name] = _within(rng, column, ranges.get(column.name), n)
            case "exposure":
                frame[column.name] = rng.uniform(0.5, 2.0, n)
            case "category":
                frame[column.name] = _levels(rng, column, n)
            case "text":
                frame[column.name] = _texts(rng, column, n)
    for position, column in enumerate(bundle.schema.of_kind("array")):
        n_channels = bundle.layout.array_shapes[position][-1]
        inside = range(channel, channel + n_channels)
        bounds_of = {c - channel: lookups.channels[c] for c in inside if c in lookups.channels}
        _put_tokens(rng, arrays[column.name], bounds_of, bundle.layout.array_shapes[position])
        channel += n_channels
    return pd.DataFrame(frame, index=range(n)), arrays


def _within(rng: Any, column: Column, ends: Any, n: int) -> pd.Series[Any]:
    low: Any
    high: Any
    low, high = ends if ends and ends[0] is not None else _SPANS[column.kind]
    places = rng.random(n)
    places[:2] = 0.0, 1.0
    missing = rng.random(n) < _MISSING
    missing[:2] = False
    if column.kind == "number":
        values = np.float64(low) + places * (np.float64(high) - np.float64(low))
        return pd.Series(np.where(missing, np.nan, values))
    first, last = np.datetime64(str(low), "us"), np.datetime64(str(high), "us")
    dates = first + (places * (last - first).astype(np.int64)).astype("timedelta64[us]")
    if not column.has_clock:
        dates = dates.astype("datetime64[D]").astype("datetime64[us]")
    return pd.Series(dates).mask(missing)


def _levels(rng: Any, column: Column, n: int) -> pd.Series[Any]:
    known = [column.levels[i % len(column.levels)] for i in range(n)] if column.levels else []
    cells = np.array(known or [_UNKNOWN] * n, object)
    rng.shuffle(cells)
    kind = rng.random(n)
    cells[kind < _MISSING] = _UNKNOWN
    cells[kind > 1 - _MISSING] = None
    return pd.Series(cells, dtype="str")


def _texts(rng: Any, column: Column, n: int) -> pd.Series[Any]:
    """Texts of known and unknown words, with capitals and with signs between them."""
    words = np.array([*column.levels[:2000], "nobodyknowsit"], object)
    signs = np.array([" ", ", ", ". ", "-", "\n"], object)

    def text() -> str:
        chosen = rng.choice(words, rng.integers(0, 12))
        form = (str.lower, str.upper, str.capitalize)
        return "".join(form[rng.integers(3)](word) + rng.choice(signs) for word in chosen)

    cells = [None if rng.random() < _MISSING else text() for _ in range(n)]
    return pd.Series(cells, dtype="str")


def _word_rows(rng: Any, column: Column, n: int) -> Any:
    from scipy import sparse

    few = min(1.0, 8 / column.shape[0])
    return sparse.csr_array((rng.random((n, *column.shape)) < few).astype(np.float32))


def _word_lists(rng: Any, column: Column, n: int) -> Any:
    """Rows of known word numbers and of one that nobody knows."""
    lengths = rng.integers(0, column.width + 2, n)
    rows = [rng.integers(0, column.shape[0] + 1, length).tolist() for length in lengths]
    return numbers_of_rows(rows, column)


def _array(rng: Any, column: Column, n: int) -> Any:
    if column.array_kind in ("image", "video"):
        return rng.integers(0, 256, (n, *column.shape)).astype(np.float32)
    values = rng.normal(size=(n, *column.shape))
    if column.array_kind == "sequence":
        values = _with_gaps(rng, values)
    offset = np.array(column.offset or 0.0)
    if column.array_kind == "numbers" and column.offset:
        offset = offset.reshape(column.shape)
    return values + offset if column.offset else values.astype(np.float32)


def _with_gaps(rng: Any, sequences: Any) -> Any:
    """Sequences with missing values, of which some end before the others."""
    ends = rng.integers(1, sequences.shape[1] + 1, len(sequences))
    beyond = np.arange(sequences.shape[1]) >= ends[:, np.newaxis]
    missing = (rng.random(sequences.shape) < _MISSING) | beyond[..., np.newaxis]
    missing[:, 0] = False
    return np.where(missing, np.nan, sequences)


def _put_tokens(
    rng: Any, array: Any, bounds: Mapping[int, tuple[int, int]], shape: tuple[int, ...]
) -> None:
    """Whole numbers that the model knows in the channels that it looks up, in place."""
    rows = array.reshape(len(array), *shape)
    for channel, (least, most) in bounds.items():
        rows[..., channel] = rng.integers(least, most + 1, rows.shape[:-1])
