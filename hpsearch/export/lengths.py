"""Sequences longer than those that a model was trained on, for models that take any length.

Each row is predicted with as many steps as it has itself, whatever the rows beside it, so that no
prediction depends on them. What gaps mean belongs to ``hpsearch.data.sequences``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.sequences import lengths, with_steps
from hpsearch.errors import DataError
from hpsearch.preprocessing import Encoded, Layout

_SIZES = 8
"""Lengths beyond the trained one are rounded up to an eighth of it: each needs a program."""


def by_length(
    model: Any, encoded: Encoded, layout: Layout
) -> Iterator[tuple[NDArray[np.int64], Encoded]]:
    """Rows of one length at a time, with their numbers; as one part where none is longer.

    Raises
    ------
    DataError
        Some are longer, and the model takes no more steps than it was trained on.
    """
    steps = {i: layout.array_shapes[i][0] for i in layout.sequences}
    longer = [i for i, n in steps.items() if encoded.arrays[i].shape[1] > n]
    if not longer:
        yield np.arange(encoded.n_rows), encoded
        return
    _check_takes(model, encoded, layout, longer[0])
    needed = np.stack([_rounded(lengths(encoded.arrays[i]), n) for i, n in steps.items()], axis=1)
    for sizes in np.unique(needed, axis=0):
        rows = np.flatnonzero((needed == sizes).all(axis=1))
        part = encoded.take(rows)
        arrays = list(part.arrays)
        for i, size in zip(steps, sizes, strict=True):
            arrays[i] = with_steps(arrays[i], int(size))
        yield rows, replace(part, arrays=tuple(arrays))


def _check_takes(model: Any, encoded: Encoded, layout: Layout, position: int) -> None:
    shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    if shapes[f"array_{position}"][1] is not None:
        name, n_steps = layout.arrays[position], layout.array_shapes[position][0]
        raise DataError(
            f"The model takes sequences of up to {n_steps:,} steps, the most that it was trained "
            f"on; {name!r} has up to {encoded.arrays[position].shape[1]:,}. Cut them, or train a "
            "network whose keras.Input has the shape (None, features)."
        )


def _rounded(ends: NDArray[np.int64], n_steps: int) -> NDArray[np.int64]:
    """The steps to give each row: those trained on, or its own, rounded up."""
    unit = max(1, n_steps // _SIZES)
    beyond = np.maximum(ends - n_steps, 0)
    return n_steps + -(-beyond // unit) * unit
