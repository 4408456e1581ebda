"""Sequences of different length, for models that take any length.

Each row is predicted with as many steps as its own bucket has, as it was while the network was
trained, or with more where it is longer than those: whatever the rows beside it, so that no
prediction depends on them. What gaps mean belongs to ``hpsearch.data.sequences``, which rows are of
like length to ``hpsearch.engines.buckets``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.sequences import lengths, with_steps
from hpsearch.engines.buckets import open_inputs, sizes_of
from hpsearch.engines.input_form import InputForm
from hpsearch.errors import DataError
from hpsearch.preprocessing import Encoded, Layout

_PARTS = 8
"""Lengths beyond the trained one are rounded up to an eighth of it: each needs a program."""


Predict = Callable[[Encoded], NDArray[Any]]


def open_in_export(model: Any, layout: Layout) -> frozenset[int]:
    """Positions among a layout's arrays of sequences that an exported model takes at any length."""
    if not layout.sequences:
        return frozenset()
    shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    names = {i: f"array_{i}" for i in layout.sequences}
    return frozenset(i for i, name in names.items() if name in shapes and shapes[name][1] is None)


def open_in_network(network: Any, layout: Layout) -> frozenset[int]:
    """The same of a network of preprocessed rows."""
    is_open = open_inputs(network, InputForm.on(network, layout), layout)
    return frozenset(layout.sequences if is_open else ())


def by_length(
    taken: Collection[int], encoded: Encoded, layout: Layout, predict: Predict
) -> NDArray[Any]:
    """What is predicted of rows, those of one length at a time.

    Parameters
    ----------
    taken : positions of the sequences of which any length is taken.
    predict : of rows whose sequences have as many steps each (n_rows, ...).

    Raises
    ------
    DataError
        Others are longer than those trained on.
    """
    for i in set(layout.sequences) - set(taken):
        _check_no_longer(encoded, layout, i)
    if not taken:
        return predict(encoded)
    parts = list(_parts(taken, encoded, layout))
    found = np.concatenate([predict(part) for _, part in parts])
    return found[np.argsort(np.concatenate([rows for rows, _ in parts]))]


def _parts(
    taken: Collection[int], encoded: Encoded, layout: Layout
) -> Iterator[tuple[NDArray[np.int64], Encoded]]:
    """Rows of one length at a time, with their numbers."""
    needed = {
        i: _needed(lengths(np.asarray(encoded.arrays[i])), layout.array_shapes[i][0])
        for i in sorted(taken)
    }
    table = np.stack(list(needed.values()), axis=1)
    for sizes in np.unique(table, axis=0):
        rows = np.flatnonzero((table == sizes).all(axis=1))
        part = encoded.take(rows)
        arrays = list(part.arrays)
        for i, size in zip(needed, sizes, strict=True):
            arrays[i] = with_steps(arrays[i], int(size))
        yield rows, replace(part, arrays=tuple(arrays))


def _check_no_longer(encoded: Encoded, layout: Layout, position: int) -> None:
    name, n_steps = layout.arrays[position], layout.array_shapes[position][0]
    if encoded.arrays[position].shape[1] > n_steps:
        raise DataError(
            f"The model takes sequences of up to {n_steps:,} steps, the most that it was trained "
            f"on; {name!r} has up to {encoded.arrays[position].shape[1]:,}. Cut them, or train a "
            "network whose keras.Input has the shape (None, features)."
        )


def _needed(ends: NDArray[np.int64], n_steps: int) -> NDArray[np.int64]:
    """The steps to give each row: those of its bucket, or its own, rounded up."""
    sizes = np.array(sizes_of(n_steps), np.int64)
    of_bucket = sizes[np.searchsorted(sizes, np.minimum(ends, n_steps))]
    unit = max(1, n_steps // _PARTS)
    beyond = n_steps + -(-(ends - n_steps) // unit) * unit
    return np.where(ends > n_steps, beyond, of_bucket)
