"""Dealing: shuffled blocks of rows go to the parts of one repeat, so that the parts are balanced.

Owns which row goes to which part. What a block is belongs to ``blocks``; how many parts there
are, and what is asked of them, to ``splitters``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

TOLERANCE = 0.2
"""Share of a quota by which large blocks may exceed it before they are looked at again."""

MOST_CELLS = 2**20
"""Changes times classes that are tried at once; among more blocks, the order decides little."""


def equal_quotas(classes: Ints, n_parts: int) -> Ints:
    """Rows of each class that each of ``n_parts`` equal parts should get, int64 (n_parts, C).

    The rows, sorted by class, are dealt round like cards: the counts of one class differ by at
    most one between parts, and so do the sizes, which are those of scikit-learn's ``KFold``.

    Examples
    --------
    >>> import numpy as np
    >>> equal_quotas(np.array([0, 0, 0, 1, 1]), 2)
    array([[2, 1],
           [1, 1]])
    """
    sizes = np.bincount(classes)
    part = np.arange(len(classes)) % n_parts
    by_class = np.repeat(np.arange(len(sizes)), sizes)
    counts = np.bincount(part * len(sizes) + by_class, minlength=n_parts * len(sizes))
    return counts.reshape(n_parts, len(sizes)).astype(np.int64)


def share_quotas(classes: Ints, n_first: int) -> Ints:
    """Rows of each class for a first part of ``n_first`` rows and for the rest, int64 (2, C).

    Largest remainders, with at least one row of every class of two or more in both parts; so the
    first part can be larger than ``n_first`` where classes are many.

    Examples
    --------
    >>> import numpy as np
    >>> share_quotas(np.array([0, 0, 0, 0, 0, 0, 1, 1]), 4)
    array([[3, 1],
           [3, 1]])
    """
    sizes = np.bincount(classes)
    ideal = sizes * (n_first / len(classes))
    first = np.floor(ideal).astype(np.int64)
    largest = np.argsort(first - ideal, kind="stable")
    first[largest[: n_first - int(first.sum())]] += 1
    first = np.clip(first, np.minimum(1, sizes - 1), sizes - 1)
    return np.stack([first, sizes - first])


def deal(blocks: Ints, classes: Ints, quotas: Ints, rng: np.random.Generator) -> Ints:
    """Deal the rows to parts at random, each block to one part, near to the quotas.

    Without blocks of two or more rows the quotas are met exactly.

    Parameters
    ----------
    blocks : block of each row, codes from 0, (n,).
    classes : class of each row, codes from 0, (n,); all 0 where classes don't matter.
    quotas : rows of each class wanted in each part, (n_parts, C), columns summing to the classes.
    rng : the repeat's own generator.

    Returns
    -------
    The part of each row, int64 (n,).
    """
    part = np.full(len(blocks), -1, dtype=np.int64)
    is_large = (np.bincount(blocks) > 1)[blocks]
    shuffled = rng.permutation(len(blocks))
    if is_large.any():
        part[is_large] = _deal_large(blocks[is_large], classes[is_large], quotas, rng)
    loads = np.zeros_like(quotas)
    np.add.at(loads, (part[is_large], classes[is_large]), 1)
    singles = shuffled[~is_large[shuffled]]
    singles = singles[np.argsort(classes[singles], kind="stable")]
    part[singles] = _deal_singles(classes[singles], quotas - loads)
    return part


def _deal_singles(classes: Ints, wanted: Ints) -> Ints:
    """Parts for rows sorted by class: each class in as many runs as there are parts."""
    n_parts, n_classes = wanted.shape
    sizes = np.bincount(classes, minlength=n_classes)
    counts = [_top_up(wanted[:, c], int(sizes[c])) for c in range(n_classes)]
    return np.repeat(np.tile(np.arange(n_parts), n_classes), np.concatenate(counts))


def _top_up(wanted: Ints, n_rows: int) -> Ints:
    """How many of ``n_rows`` rows each part gets, where it wants ``wanted`` (below 0: too full).

    The wants sum to ``n_rows``, so what too full parts have in excess is taken evenly from what
    the others want.
    """
    given = np.maximum(wanted, 0)
    excess = int(given.sum()) - n_rows
    while excess > 0:
        taking = np.flatnonzero(given)
        if excess < len(taking):
            taking = taking[np.argsort(given[taking], kind="stable")][-excess:]
        cut = np.minimum(given[taking], max(1, excess // len(taking)))
        given[taking] -= cut
        excess -= int(cut.sum())
    return given


def _deal_large(blocks: Ints, classes: Ints, quotas: Ints, rng: np.random.Generator) -> Ints:
    """Parts for the rows of large blocks: greedily, large blocks first, ties shuffled.

    Each block goes where the squared deviations of the class counts and of the size from their
    shares grow least, a class weighing as much as any other and the size as much as a class. Where
    that leaves a part with far more than its quota, blocks move and change places as long as that
    helps: with few blocks, the order in which they come decides too much.
    """
    _, blocks = np.unique(blocks, return_inverse=True)
    counts = _class_counts(blocks, classes, quotas.shape[1])
    totals = counts.sum(axis=0)
    weighted = counts / np.maximum(totals, 1.0)
    shares = (quotas.sum(axis=1) / quotas.sum())[:, np.newaxis]
    loads = np.zeros((len(quotas), counts.shape[1]))
    dealt = np.zeros(counts.shape[1])
    part_of = np.empty(len(counts), dtype=np.int64)
    for block in _large_first(counts[:, -1], rng):
        dealt += counts[block]
        part = int(np.argmin((loads - shares * dealt) @ weighted[block]))
        loads[part] += counts[block]
        part_of[block] = part
    return _with_less_excess(part_of, counts, quotas)[blocks]


def _with_less_excess(part_of: Ints, counts: Floats, quotas: Ints) -> Ints:
    """Parts of blocks among which no block can move, and no two change places, for the better.

    What counts is the sum of squares of the rows of each class, and of all rows, that a part has
    beyond its quota, each as a share of all such rows: smaller blocks fill up what is below it.
    Where no excess is beyond ``TOLERANCE``, everything stays.
    """
    wanted = np.column_stack([quotas, quotas.sum(axis=1)]).astype(np.float64)
    if counts.size * len(quotas) > MOST_CELLS:
        return part_of
    part_of = part_of.copy()
    while True:
        loads = np.zeros_like(wanted)
        np.add.at(loads, part_of, counts)
        if not is_beyond(loads - wanted, wanted).any():
            return part_of
        blocks, parts = _best_change(part_of, counts, loads, wanted)
        if not blocks:
            return part_of
        part_of[blocks] = parts


def is_beyond(excess: Any, quota: Any) -> Any:
    """Whether so many rows are more than a quota can be off by: a row, or ``TOLERANCE`` of it."""
    return excess > np.maximum(1.0, TOLERANCE * quota)


def _best_change(
    part_of: Ints, counts: Floats, loads: Floats, wanted: Floats
) -> tuple[list[int], list[int]]:
    """The move of a block, or the exchange of two, that takes away most excess; or none."""
    totals = np.maximum(wanted.sum(axis=0), 1.0)

    def excess(loads: Floats, wanted: Floats) -> Floats:
        return np.asarray((np.maximum((loads - wanted) / totals, 0.0) ** 2).sum(axis=-1))

    before = excess(loads, wanted)
    here = part_of
    left = excess(loads[here] - counts, wanted[here]) - before[here]
    joined = excess(loads + counts[:, np.newaxis], wanted) - before
    moves = left[:, np.newaxis] + joined
    moves[np.arange(len(here)), here] = 0.0
    block, part = np.unravel_index(np.argmin(moves), moves.shape)
    best, change = float(moves[block, part]), ([int(block)], [int(part)])
    if counts.size * len(here) <= MOST_CELLS:
        given = counts[:, np.newaxis] - counts  # what the first one's part loses
        of_first = excess(loads[here][:, np.newaxis] - given, wanted[here][:, np.newaxis])
        lost = of_first - before[here][:, np.newaxis]
        swaps = np.where(here[:, np.newaxis] == here, 0.0, lost + lost.T)
        one, other = np.unravel_index(np.argmin(swaps), swaps.shape)
        if swaps[one, other] < best:
            best = float(swaps[one, other])
            change = ([int(one), int(other)], [int(here[other]), int(here[one])])
    return change if best < -1e-12 else ([], [])


def _class_counts(blocks: Ints, classes: Ints, n_classes: int) -> Floats:
    """Rows of each class in each block, and in the last column its size, float64 (B, C + 1)."""
    n_blocks = int(blocks.max()) + 1
    counts = np.bincount(blocks * n_classes + classes, minlength=n_blocks * n_classes)
    counts = counts.reshape(n_blocks, n_classes).astype(np.float64)
    return np.column_stack([counts, counts.sum(axis=1)])


def _large_first(sizes: NDArray[Any], rng: np.random.Generator) -> Ints:
    """Block numbers by descending power of two of their sizes, shuffled within one power.

    Strictly descending sizes would give every repeat the same parts wherever sizes differ.
    """
    shuffled = rng.permutation(len(sizes))
    powers = np.floor(np.log2(sizes[shuffled]))
    return shuffled[np.argsort(-powers, kind="stable")]
