"""Statistics: everything learnt from data, fitted on training rows alone.

They are plain arrays of one shape for every fold, so they stack over folds, apply on the fly to
a batch (``design``) and are baked into the exported model. Nothing else in the package computes
a mean, a scale, a fill, a set of known levels or a vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.tokens import FIRST_WORD, PADDING, UNKNOWN
from hpsearch.preprocessing.encoding import Encoded, Layout
from hpsearch.preprocessing.transforms import fit_powers, transformed

COLUMNS_AT_ONCE = 4
"""Columns of numbers that are held in float64 at a time, and up to twice as many."""

ABSENT = -1
"""Slot of a level or word that the training rows do not know: it sets no feature."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What one set of training rows teaches; with a leading axis, what several do.

    Attributes
    ----------
    fill, centre, scale : float32 (n_numbers,): median, mean and standard deviation of the present
        cells, which ``((fill if missing else x) - centre) / scale`` brings to mean 0 and
        deviation 1; a constant feature has the scale 1, and a token 0, 0 and 1.
    category_slots : int32 (sum of ``n_levels + 2``,): the slot of each code, column after column,
        or ``ABSENT``.
    word_slots : int32 (sum of ``n_words``,): the slot of each word, or ``ABSENT``.
    token_slots : int32 (sum of ``n_token_words + 2``,): the number that a network gets for each
        number of a word, column after column: 0 for padding, 1 for words that the training rows
        don't know or that are too rare, from 2 on for others.
    token_reach : int32 (sum of ``token_widths``,): 1 at each place of a row that the longest
        training row has a word at, 0 behind, where words become padding.
    array_centre, array_scale : float32 (channels of all arrays,), over training rows, steps and
        pixels: a channel is an index of the last axis, such as a sequence's feature, of which the
        values that are there count.
    target_centre, target_scale : float64 (n_values,): mean and standard deviation of a regression
        target, transformed where that is asked for; 0 and the mean of counts, for one unit of
        exposure; or 0 and 1.
    target_power : float64 (n_values,): the power of the target's transform, 1 where it has none.
    views : what the views of named inputs learnt (``views``), where a network asks for them.
    """

    fill: NDArray[np.float32]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    category_slots: NDArray[np.int32]
    word_slots: NDArray[np.int32]
    array_centre: NDArray[np.float32]
    array_scale: NDArray[np.float32]
    target_centre: NDArray[np.float64]
    target_scale: NDArray[np.float64]
    target_power: NDArray[np.float64]
    views: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    token_slots: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    token_reach: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    @classmethod
    def stack(cls, parts: Sequence[Statistics]) -> Statistics:
        """Several folds' statistics along a new first axis, without what views learnt."""
        stacked: dict[str, Any] = {
            name: np.stack([getattr(p, name) for p in parts]) for name in cls.for_all()
        }
        return cls(**stacked)

    @classmethod
    def for_all(cls) -> tuple[str, ...]:
        """The names of what every fold has, whatever its networks ask for."""
        return tuple(f.name for f in fields(cls) if f.name != "views")

    def __getitem__(self, fold: int) -> Statistics:
        """One fold's statistics out of a stack."""
        return Statistics(**{name: getattr(self, name)[fold] for name in self.for_all()})


def fit_statistics(
    encoded: Encoded,
    y: NDArray[Any],
    rows: NDArray[np.integer[Any]],
    layout: Layout,
    *,
    scale_target: bool,
    counts: bool = False,
    transform: str = "",
) -> Statistics:
    """Fit every statistic on the given training rows; no other row is read.

    Parameters
    ----------
    encoded, y : all rows of the table.
    rows : the training rows' numbers.
    layout : the schema's layout.
    scale_target : whether the target (n_rows, n_values) is standardised.
    counts : whether it counts something, so that it is divided by its mean instead: the Poisson
        loss of counts so scaled is the same one but for a factor, and a network whose output is
        near 1 begins with their mean.
    transform : of the target, before that; see ``transforms``.

    Examples
    --------
    >>> import numpy as np
    >>> layout = Layout(numbers=("x",))
    >>> x = np.array([[1.0], [3.0], [np.nan], [99.0]], np.float32)
    >>> rows, y = Encoded(x, np.empty((4, 0), np.int32), None, ()), np.zeros((4, 1))
    >>> stats = fit_statistics(rows, y, np.array([0, 1, 2]), layout, scale_target=False)
    >>> float(stats.fill[0]), float(stats.centre[0]), float(stats.scale[0])
    (2.0, 2.0, 1.0)
    """
    fill, centre, scale = _number_statistics(encoded.numbers, rows)
    array_centre, array_scale = _array_statistics(encoded.arrays, rows, layout)
    for values, neutral in ((fill, 0.0), (centre, 0.0), (scale, 1.0)):
        values[list(layout.token_numbers)] = neutral
    for values, neutral in ((array_centre, 0.0), (array_scale, 1.0)):
        values[list(layout.token_channels)] = neutral
    token_slots, token_reach = _token_statistics(encoded.tokens, rows, layout)
    power = fit_powers(transform, y[rows])
    learnt = transformed(transform, y[rows], power)
    if counts and scale_target:
        target_centre, target_scale = _mean_counts(learnt, encoded.exposure, rows)
    else:
        target_centre, target_scale = _target_statistics(learnt, scale_target)
    return Statistics(
        fill=fill,
        centre=centre,
        scale=scale,
        category_slots=_category_slots(encoded.codes[rows], layout),
        word_slots=_word_slots(encoded.words, rows, layout),
        array_centre=array_centre,
        array_scale=array_scale,
        target_centre=target_centre,
        target_scale=target_scale,
        target_power=power,
        token_slots=token_slots,
        token_reach=token_reach,
    )


def _number_statistics(
    numbers: NDArray[np.float32], rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float32], ...]:
    """Some columns at a time, so that the copies in float64 stay small beside the table."""
    n_blocks = max(1, numbers.shape[1] // COLUMNS_AT_ONCE)
    parts = [_block_statistics(b[rows]) for b in np.array_split(numbers, n_blocks, axis=1)]
    fill, centre, scale = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return fill, centre, scale


def _block_statistics(numbers: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    values = numbers.astype(np.float64)
    present = ~np.isnan(values)
    counts = np.maximum(present.sum(axis=0), 1)
    centre = np.where(present, values, 0.0).sum(axis=0) / counts
    deviations = np.where(present, values - centre, 0.0)
    scale = _usable_scale(np.sqrt((deviations**2).sum(axis=0) / counts), centre)
    fill = np.zeros_like(centre)
    some = present.any(axis=0)
    fill[some] = np.nanmedian(values[:, some], axis=0) if some.any() else 0.0
    return fill.astype(np.float32), centre.astype(np.float32), scale.astype(np.float32)


def _usable_scale(scale: NDArray[Any], centre: NDArray[Any]) -> NDArray[Any]:
    """Standard deviations, with 1 where a feature is constant as far as float32 can tell."""
    least = np.maximum(1e-7 * np.abs(centre), np.finfo(np.float32).tiny)
    return np.where(scale > least, scale, 1.0)


def _array_statistics(
    arrays: Sequence[NDArray[Any]], rows: NDArray[np.integer[Any]], layout: Layout
) -> tuple[NDArray[np.float32], ...]:
    """Mean and deviation of each channel, some rows at a time."""
    centres, scales = [np.empty(0)], [np.empty(0)]
    for position, array in enumerate(arrays):
        if position in layout.sequences:
            centre, scale = _feature_statistics(array, rows)
            centres.append(centre)
            scales.append(scale)
            continue
        axes = tuple(range(array.ndim - 1))
        n_values = len(rows) * int(np.prod(array.shape[1:-1]))
        sums = (b.sum(axis=axes, dtype=np.float64) for b in _blocks(array, rows))
        centre = sum(sums) / n_values
        squares = sum(((b - centre) ** 2).sum(axis=axes) for b in _blocks(array, rows))
        centres.append(centre)
        scales.append(_usable_scale(np.sqrt(squares / n_values), centre))
    return (
        np.concatenate(centres).astype(np.float32),
        np.concatenate(scales).astype(np.float32),
    )


def _feature_statistics(
    array: NDArray[Any], rows: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each feature of sequences, over the values that are there."""
    counts, sums = np.zeros(array.shape[-1]), np.zeros(array.shape[-1])
    for block in _blocks(array, rows):
        counts += (~np.isnan(block)).sum(axis=(0, 1))
        sums += np.nansum(block, axis=(0, 1), dtype=np.float64)
    counts = np.maximum(counts, 1)
    centre = sums / counts
    squares = sum(np.nansum((b - centre) ** 2, axis=(0, 1)) for b in _blocks(array, rows))
    return centre, _usable_scale(np.sqrt(squares / counts), centre)


def _blocks(
    array: NDArray[Any], rows: NDArray[np.integer[Any]], n_rows: int = 1024
) -> Iterator[NDArray[Any]]:
    return (array[rows[first : first + n_rows]] for first in range(0, len(rows), n_rows))


def _target_statistics(
    y: NDArray[Any], scale_target: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_values = y.shape[1] if y.ndim == 2 else 1
    if not scale_target:
        return np.zeros(n_values), np.ones(n_values)
    centre = y.mean(axis=0, dtype=np.float64)
    deviation = y.std(axis=0, dtype=np.float64)
    least = np.maximum(1e-14 * np.abs(centre), np.finfo(np.float32).tiny)  # less is rounding
    return centre, np.where(deviation > least, deviation, 1.0)


def _mean_counts(
    y: NDArray[np.float64],
    exposure: NDArray[np.float64] | None,
    rows: NDArray[np.integer[Any]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """No centre, and the mean count for one unit of exposure; 1 where nothing was counted."""
    units = len(rows) if exposure is None else exposure[rows].sum()
    rates = y.sum(axis=0) / units
    return np.zeros_like(rates), np.where(rates > 0, rates, 1.0)


def per_exposure(y: NDArray[Any], exposure: NDArray[np.float64] | None) -> NDArray[Any]:
    """Counts (n, n_values) for one unit of exposure; as they are where there is none.

    Examples
    --------
    >>> per_exposure(np.array([[3.0], [1.0]]), np.array([2.0, 4.0])).tolist()
    [[1.5], [0.25]]
    """
    return y if exposure is None else y / exposure[:, np.newaxis]


def _category_slots(codes: NDArray[np.int32], layout: Layout) -> NDArray[np.int32]:
    """Slots of every code of every category column; see ``Layout.n_levels`` for the codes."""
    tables = [np.empty(0, np.int32)]
    for j, n_levels in enumerate(layout.n_levels):
        counts = np.bincount(codes[:, j], minlength=n_levels + 2)
        levels = _most_frequent(counts[:n_levels], layout.level_slots[j])
        other = layout.level_slots[j] if layout.has_other[j] else ABSENT
        levels[levels == ABSENT] = other
        last = layout.category_slots[j] - 1
        missing = last if layout.has_missing_slot[j] and counts[n_levels + 1] else other
        tables.append(np.concatenate([levels, [other, missing]]).astype(np.int32))
    return np.concatenate(tables)


def _word_slots(
    words: sparse.csr_array | None, rows: NDArray[np.integer[Any]], layout: Layout
) -> NDArray[np.int32]:
    if words is None:
        return np.empty(0, np.int32)
    counts = np.bincount(words[rows].indices, minlength=sum(layout.n_words))
    tables, first_word, first_slot = [], 0, 0
    for n_words, n_slots in zip(layout.n_words, layout.word_slots, strict=True):
        slots = _most_frequent(counts[first_word : first_word + n_words], n_slots)
        tables.append(np.where(slots == ABSENT, ABSENT, slots + first_slot))
        first_word, first_slot = first_word + n_words, first_slot + n_slots
    return np.concatenate(tables).astype(np.int32)


def _token_statistics(
    tokens: NDArray[np.int32] | None, rows: NDArray[np.integer[Any]], layout: Layout
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which words are known, by how often they occur, and how far rows reach."""
    if tokens is None or not layout.tokens:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    slots, reach, first = [], [], 0
    counted = zip(layout.n_token_words, layout.token_slots, layout.token_widths, strict=True)
    for n_words, n_slots, width in counted:
        found = tokens[rows, first : first + width]
        counts = np.bincount(found.ravel(), minlength=n_words + FIRST_WORD)[FIRST_WORD:]
        known = _most_frequent(counts, n_slots)
        numbers = np.where(known == ABSENT, UNKNOWN, known + FIRST_WORD)
        slots.append(np.concatenate([[PADDING, UNKNOWN], numbers]))
        reach.append((found != PADDING).any(axis=0))
        first += width
    return np.concatenate(slots).astype(np.int32), np.concatenate(reach).astype(np.int32)


def _most_frequent(counts: NDArray[Any], n_slots: int) -> NDArray[np.int32]:
    """Slots, in the order of the levels, of the ``n_slots`` most frequent levels that occur."""
    ranked = np.argsort(-counts, kind="stable")[:n_slots]
    chosen = np.sort(ranked[counts[ranked] > 0])
    slots = np.full(len(counts), ABSENT, np.int32)
    slots[chosen] = np.arange(len(chosen), dtype=np.int32)
    return slots
