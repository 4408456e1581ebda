"""Encoding: raw cells to plain arrays, row by row, given the schema alone.

Nothing here is learnt from values: a row is encoded the same whatever the other rows hold.
What is learnt from training rows belongs to ``statistics``; how both become the rows that a
network sees belongs to ``design``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrays import network_shape
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.offsets import days_since_2000
from hpsearch.data.options import MAX_LEVELS, MAX_WORDS
from hpsearch.data.tokens import numbers_of_texts
from hpsearch.data.words import split_words

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Layout:
    """Shapes that the schema fixes for every fold, and the order of a network's input features.

    A flat input holds, in this order: standardised numbers, indicators of missing numbers, the
    slots of each category, the slots of the words, prepared rows, flattened arrays. A table that is
    one array column alone keeps that array's shape, as prepared rows alone keep theirs. Words in
    their order are no part of it; a table of such a column alone has their numbers in its place.

    Attributes
    ----------
    numbers : names of the number features; a date column gives several.
    indicators : positions in ``numbers`` of the features that get an indicator of missing cells.
    categories : the category columns' names.
    n_levels : levels of each category column; code ``n_levels`` is an unseen level, and
        ``n_levels + 1`` a missing cell.
    level_slots : slots for the levels of each category column: all levels, or ``max_levels``.
    has_other : whether rarer and unseen levels share a slot of their own, behind the levels'.
    has_missing_slot : whether missing cells of the category have a slot, the last one.
    words : names of the word columns; ``n_words`` and ``word_slots`` count their words and slots.
    tokens : names of the columns of words in their order; ``n_token_words``, ``token_slots`` and
        ``token_widths`` count their words, those that a fold knows at most, and those of a row.
    arrays : names of the array columns; ``array_shapes`` their rows' shapes as a network sees them,
        a grey image with a channel axis. Each index of the last axis has a mean of its own.
    token_numbers, token_channels : positions in ``numbers``, and among the channels of all arrays,
        of whole numbers that networks look up in a table: they are no quantities, and stay as
        they are.
    has_exposure : whether rows have an exposure, which no network sees.
    prepared : shape of a row of ``FitData.fold_rows``, which no statistic touches; () without any.
    number_columns : the column that each feature in ``numbers`` comes from.
    array_kinds : what each array column is; values of a sequence may be missing, steps padding.
    n_means : numbers that a mean of the target has: classes, labels or values.
    """

    numbers: tuple[str, ...] = ()
    indicators: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    n_levels: tuple[int, ...] = ()
    level_slots: tuple[int, ...] = ()
    has_other: tuple[bool, ...] = ()
    has_missing_slot: tuple[bool, ...] = ()
    words: tuple[str, ...] = ()
    n_words: tuple[int, ...] = ()
    word_slots: tuple[int, ...] = ()
    arrays: tuple[str, ...] = ()
    array_shapes: tuple[tuple[int, ...], ...] = ()
    token_numbers: tuple[int, ...] = ()
    token_channels: tuple[int, ...] = ()
    has_exposure: bool = False
    prepared: tuple[int, ...] = ()
    number_columns: tuple[str, ...] = ()
    array_kinds: tuple[str, ...] = ()
    n_means: int = 1
    tokens: tuple[str, ...] = ()
    n_token_words: tuple[int, ...] = ()
    token_slots: tuple[int, ...] = ()
    token_widths: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        schema: Schema,
        *,
        max_levels: int = MAX_LEVELS,
        max_words: int = MAX_WORDS,
    ) -> Layout:
        """The layout of a schema, with at most ``max_levels`` and ``max_words`` slots a column."""
        numbers: list[str] = []
        indicators: list[int] = []
        number_columns: list[str] = []
        for column in schema.of_kind("number", "date"):
            if column.has_missing:
                indicators.append(len(numbers))
            numbers += number_names(column)
            number_columns += [column.name] * (len(numbers) - len(number_columns))
        categories = schema.of_kind("category")
        words, tokens = schema.bags, schema.tokens
        n_words = tuple(word_count(column) for column in words)
        n_token_words = tuple(word_count(column) for column in tokens)
        arrays = schema.of_kind("array")
        return cls(
            numbers=tuple(numbers),
            indicators=tuple(indicators),
            categories=tuple(c.name for c in categories),
            n_levels=tuple(len(c.levels) for c in categories),
            level_slots=tuple(min(len(c.levels), max_levels) for c in categories),
            has_other=tuple(len(c.levels) > max_levels for c in categories),
            has_missing_slot=tuple(c.has_missing for c in categories),
            words=tuple(c.name for c in words),
            n_words=n_words,
            word_slots=tuple(min(count, max_words) for count in n_words),
            arrays=tuple(c.name for c in arrays),
            array_shapes=tuple(network_shape(c) for c in arrays),
            has_exposure=bool(schema.of_kind("exposure")),
            number_columns=tuple(number_columns),
            array_kinds=tuple(c.array_kind for c in arrays),
            n_means=schema.target.n_means,
            tokens=tuple(c.name for c in tokens),
            n_token_words=n_token_words,
            token_slots=tuple(min(count, max_words) for count in n_token_words),
            token_widths=tuple(c.width for c in tokens),
        )

    @property
    def category_slots(self) -> tuple[int, ...]:
        """Slots of each category column: levels, the shared slot of rare ones, missing."""
        parts = zip(self.level_slots, self.has_other, self.has_missing_slot, strict=True)
        return tuple(levels + other + missing for levels, other, missing in parts)

    @property
    def sequences(self) -> tuple[int, ...]:
        """Positions in ``arrays`` of those that are sequences."""
        return tuple(at for at, kind in enumerate(self.array_kinds) if kind == "sequence")

    @property
    def keeps_shape(self) -> bool:
        """Whether the table is one array column alone, whose shape the network sees."""
        others = self.numbers or self.categories or self.words or self.prepared or self.tokens
        return len(self.arrays) == 1 and not others

    @property
    def is_tokens(self) -> bool:
        """Whether the table is one column of words in their order alone."""
        others = self.numbers or self.categories or self.words or self.prepared or self.arrays
        return len(self.tokens) == 1 and not others

    @property
    def has_flat(self) -> bool:
        """Whether there is a flat vector, which a network may read beside other inputs."""
        return not self.words and not self.is_tokens and self.input_shape != (0,)

    @property
    def n_cells(self) -> int:
        """Cells of one row in all its parts."""
        flat = 0 if self.is_tokens else int(np.prod(self.input_shape))
        return flat + sum(self.token_widths)

    def without_words(self) -> Layout:
        """The layout of the other columns."""
        return replace(self, words=(), n_words=(), word_slots=())

    def with_prepared(self, shape: tuple[int, ...]) -> Layout:
        """The layout in which prepared rows take the place of all columns but arrays and tokens."""
        return Layout(
            arrays=self.arrays,
            array_shapes=self.array_shapes,
            array_kinds=self.array_kinds,
            token_channels=self.token_channels,
            has_exposure=self.has_exposure,
            prepared=shape,
            tokens=self.tokens,
            n_token_words=self.n_token_words,
            token_slots=self.token_slots,
            token_widths=self.token_widths,
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one preprocessed row."""
        if self.keeps_shape:
            return self.array_shapes[0]
        if self.is_tokens:
            return self.token_widths
        if self.prepared and not self.arrays:
            return self.prepared
        flat_arrays = sum(int(np.prod(shape)) for shape in self.array_shapes)
        width = len(self.numbers) + len(self.indicators) + sum(self.category_slots)
        prepared = int(np.prod(self.prepared)) if self.prepared else 0
        return (width + sum(self.word_slots) + prepared + flat_arrays,)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as plain arrays; every part has ``n_rows`` rows.

    Attributes
    ----------
    numbers : float32 (n_rows, n_numbers), NaN where missing.
    codes : int32 (n_rows, n_categories), see ``Layout.n_levels``.
    words : float32 ``csr_array`` (n_rows, sum of ``n_words``) of ones, or None.
    arrays : each (n_rows, *shape) in its own dtype, see ``Layout.array_shapes``. In a sequence NaN
        is a missing value, and a step of nothing else is padding.
    exposure : float64 (n_rows,), by which counts are multiplied that are predicted for one unit of
        it; None where they are not.
    prepared : float32 (n_rows, *``Layout.prepared``), the rows as one fold has them, or None.
    tokens : int32 (n_rows, sum of ``token_widths``), words as ``data.tokens`` numbers them, or
        None.
    """

    numbers: NDArray[np.float32]
    codes: NDArray[np.int32]
    words: sparse.csr_array | None
    arrays: tuple[NDArray[Any], ...]
    exposure: NDArray[np.float64] | None = None
    prepared: NDArray[np.float32] | None = None
    tokens: NDArray[np.int32] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    def take(self, rows: NDArray[np.integer[Any]] | slice) -> Encoded:
        """The given rows."""
        return Encoded(
            self.numbers[rows],
            self.codes[rows],
            None if self.words is None else self.words[rows],
            tuple(array[rows] for array in self.arrays),
            None if self.exposure is None else self.exposure[rows],
            None if self.prepared is None else self.prepared[rows],
            None if self.tokens is None else self.tokens[rows],
        )

    def without_features(self) -> Encoded:
        """As many rows, with no column but the exposure."""
        numbers = np.empty((self.n_rows, 0), np.float32)
        codes = np.empty((self.n_rows, 0), np.int32)
        return Encoded(numbers, codes, None, (), self.exposure)


def beside_prepared(schema: Schema) -> Schema:
    """The columns that stay beside prepared rows, which take the place of all others."""
    stay = {*schema.of_kind("array", "exposure"), *schema.tokens}
    return replace(schema, columns=tuple(c for c in schema.columns if c in stay))


def encode(
    schema: Schema,
    frame: pd.DataFrame,
    arrays: Mapping[str, NDArray[Any] | sparse.csr_array],
    n_rows: int,
) -> Encoded:
    """Encode raw rows under a schema; any row can be encoded alone with the same result.

    Parameters
    ----------
    schema : the columns; ``frame`` and ``arrays`` are as in ``Dataset``.
    n_rows : number of rows (a table may have no scalar column).

    Examples
    --------
    >>> import hpsearch
    >>> data = hpsearch.load("sklearn:iris")
    >>> encode(data.schema, data.frame, data.arrays, data.n_rows).numbers.shape
    (150, 4)
    """
    numbers = [_numbers(c, frame[c.name]) for c in schema.of_kind("number", "date")]
    codes = [_codes(c, frame[c.name]) for c in schema.of_kind("category")]
    words = [
        _bag(c, frame[c.name]) if c.kind == "text" else sparse.csr_array(arrays[c.name])
        for c in schema.bags
    ]
    tokens = [
        numbers_of_texts(c, frame[c.name]) if c.kind == "text" else np.asarray(arrays[c.name])
        for c in schema.tokens
    ]
    exposures = [frame[c.name].to_numpy(np.float64) for c in schema.of_kind("exposure")]
    return Encoded(
        numbers=_side_by_side(numbers, n_rows, np.float32),
        codes=_side_by_side(codes, n_rows, np.int32),
        words=sparse.hstack(words, format="csr", dtype=np.float32) if words else None,
        arrays=tuple(_array(c, np.asarray(arrays[c.name])) for c in schema.of_kind("array")),
        exposure=exposures[0] if exposures else None,
        tokens=np.concatenate(tokens, axis=1) if tokens else None,
    )


def _array(column: Column, array: NDArray[Any]) -> NDArray[Any]:
    n_steps = array.shape[1:2] if column.array_kind == "sequence" else ()  # of any length
    shape = network_shape(column)
    shaped = array.reshape(len(array), *n_steps, *shape[len(n_steps) :])
    if column.offset:
        shaped = shaped - np.array(column.offset)
    return shaped.astype(np.float32) if shaped.dtype == np.float64 else shaped


def _side_by_side(parts: list[NDArray[Any]], n_rows: int, dtype: type[np.generic]) -> NDArray[Any]:
    blocks = [part.reshape(n_rows, -1) for part in parts]
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    table = np.empty((n_rows, ends[-1]), dtype)
    for block, first, end in zip(blocks, ends, ends[1:], strict=False):
        table[:, first:end] = block
    return table


def number_names(column: Column) -> list[str]:
    """The number features that a number or date column becomes."""
    if column.kind == "number":
        return [column.name]
    parts = ["days", "year_sin", "year_cos", "week_sin", "week_cos"]
    parts += ["clock_sin", "clock_cos"] if column.has_clock else []
    return [f"{column.name}.{part}" for part in parts]


def _numbers(column: Column, cells: pd.Series[Any]) -> NDArray[Any]:
    offset = column.offset[0] if column.offset else 0.0
    if column.kind == "number":
        return cells.to_numpy(dtype=np.float64, na_value=np.nan) - offset
    times, days = cells.to_numpy(dtype="datetime64[us]"), days_since_2000(cells)
    month_day = (times - times.astype("datetime64[Y]")) / _DAY / 365.25
    angles = [month_day, (days - 2.0) / 7.0]  # 2000-01-03 was a Monday
    angles += [days] if column.has_clock else []
    waves = [wave(2.0 * np.pi * angle) for angle in angles for wave in (np.sin, np.cos)]
    features: NDArray[Any] = np.stack([days - offset, *waves], axis=1)
    return features


@lru_cache(maxsize=1024)
def _index_of(levels: tuple[str, ...]) -> pd.Index:
    """The levels of a category, for finding cells among them; made once for many single rows."""
    return pd.Index(levels, dtype="str")


def _codes(column: Column, cells: pd.Series[Any]) -> NDArray[np.int32]:
    codes = _index_of(column.levels).get_indexer(pd.Index(cells)).astype(np.int32)
    codes[codes < 0] = len(column.levels)
    codes[cells.isna().to_numpy()] = len(column.levels) + 1
    return codes


def word_count(column: Column) -> int:
    """The words of a text or word column."""
    return column.shape[0] if column.kind == "words" else len(column.levels)


def _bag(column: Column, cells: pd.Series[Any]) -> sparse.csr_array:
    position = {word: number for number, word in enumerate(column.levels)}
    indices: list[int] = []
    ends = [0]
    for text in cells.fillna(""):
        words = split_words(text, column.word_rule)
        indices += sorted({position[word] for word in words if word in position})
        ends.append(len(indices))
    ones = np.ones(len(indices), np.float32)
    shape = (len(cells), len(column.levels))
    return sparse.csr_array((ones, np.array(indices, np.int32), np.array(ends)), shape=shape)
