"""Raw ranges: what a network's input would hold if nothing were standardised.

Owns the positions of features in a network's input and the smallest and largest raw value at each.
It is read where a network asks for numbers as they are, as an Embedding does; nothing is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.preprocessing.encoding import Encoded, Layout


@dataclass(frozen=True)
class Position:
    """Where a position of a network's input comes from.

    Attributes
    ----------
    kind : ``number``, ``channel`` (of an array), ``missing`` (1 where the number is), ``slot`` (0
        or 1: of a category or a word) or ``prepared``.
    index : in ``Layout.numbers``, among the channels of all arrays or in a flat prepared row; -1
        for others.
    name : the column's, for people.
    """

    kind: Literal["number", "channel", "missing", "slot", "prepared"]
    index: int
    name: str


@dataclass(frozen=True, eq=False)
class RawRange:
    """The smallest and the largest raw value at each position of a network's input.

    Attributes
    ----------
    low, high : float32 (*input_shape,); missing cells are left out.
    positions : where each comes from, in flat order.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    positions: tuple[Position, ...]


def raw_range(
    encoded: Encoded, layout: Layout, fold_rows: NDArray[np.float32] | None = None
) -> RawRange:
    """The raw ranges of rows under a layout.

    Parameters
    ----------
    fold_rows : of ``FitData``, where the layout has prepared rows.

    Examples
    --------
    >>> import numpy as np
    >>> rows = Encoded(np.array([[3.0], [7.0]], np.float32), np.empty((2, 0), np.int32), None, ())
    >>> found = raw_range(rows, Layout(numbers=("x",)))
    >>> found.low.tolist(), found.high.tolist(), found.positions[0].name
    ([3.0], [7.0], 'x')
    """
    positions = positions_of(layout)
    others = (layout.prepared, *layout.array_shapes) if layout.prepared else layout.array_shapes
    n_slots = len(positions) - len(layout.numbers) - sum(map(_size, others))
    ends: list[NDArray[Any]] = []
    for end in (np.fmin, np.fmax):
        numbers = end.reduce(encoded.numbers, axis=0, initial=np.nan)
        slots = np.full(n_slots, end(0.0, 1.0), np.float32)
        arrays = [end.reduce(a, axis=0).astype(np.float32).ravel() for a in encoded.arrays]
        if fold_rows is not None:
            arrays.insert(0, end.reduce(fold_rows, axis=(0, 1)).ravel())
        flat = np.nan_to_num(np.concatenate([numbers, slots, *arrays]))
        ends.append(flat.reshape(layout.input_shape))
    return RawRange(ends[0], ends[1], positions)


def positions_of(layout: Layout) -> tuple[Position, ...]:
    """What stands at each position of a flat input, in the order that ``Layout`` says."""
    positions = [Position("number", i, name) for i, name in enumerate(layout.numbers)]
    positions += [Position("missing", -1, layout.numbers[i]) for i in layout.indicators]
    for names, counts in (
        (layout.categories, layout.category_slots),
        (layout.words, layout.word_slots),
    ):
        for name, n in zip(names, counts, strict=True):
            positions += [Position("slot", -1, name)] * n
    n_prepared = _size(layout.prepared) if layout.prepared else 0
    positions += [Position("prepared", i, f"prepared feature {i}") for i in range(n_prepared)]
    first = 0
    for name, shape in zip(layout.arrays, layout.array_shapes, strict=True):
        n_channels = shape[-1]
        channels = [Position("channel", first + c, name) for c in range(n_channels)]
        positions += channels * (_size(shape) // n_channels)
        first += n_channels
    return tuple(positions)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))
