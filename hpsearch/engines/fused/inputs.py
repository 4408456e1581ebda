"""What goes into a fused program: batches, padded, and what differs between folds, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.buckets import Slots
from hpsearch.engines.fit_data import FitData
from hpsearch.preprocessing import Bags
from hpsearch.task import OF_VALUES

if TYPE_CHECKING:
    from hpsearch.engines.fused.program import Shapes

DESIGN_STATISTICS: Final = (
    "fill",
    "centre",
    "scale",
    "category_slots",
    "array_centre",
    "array_scale",
    "token_slots",
    "token_reach",
)


def padded_size(batch_size: int, n_rows: int) -> int:
    """Rows of a step, padding included: a batch of more rows than there are is not padded to all.

    Powers of two, so that batches of common sizes are padded as ever.

    Examples
    --------
    >>> padded_size(32, 150), padded_size(256, 150), padded_size(3_000_000, 150)
    (32, 256, 256)
    """
    return min(batch_size, 1 << (n_rows - 1).bit_length())


def padded_order(order: NDArray[np.integer[Any]], shapes: Shapes) -> NDArray[np.int32]:
    """Row numbers of each step of an epoch (S, B); padding repeats the first."""
    padded = np.full(shapes.n_steps * shapes.batch_size, order[0], np.int32)
    padded[: len(order)] = order
    return padded.reshape(shapes.n_steps, shapes.batch_size)


def padded_bags(bags: Bags, order: NDArray[np.integer[Any]], shapes: Shapes) -> NDArray[np.int32]:
    """The bags of words of each step of an epoch (S, 2, n_pieces); padding has no words."""
    return bags.batches(order, shapes.batch_size, shapes.n_steps, shapes.n_pieces)


def slotted_steps(
    slots: Slots,
    shapes: Shapes,
    epochs: range,
    seed: int,
    rows: NDArray[np.integer[Any]],
    learning_rates: NDArray[np.float32],
    begin: int = 0,
) -> dict[str, NDArray[Any]]:
    """A replica's batches of like length in the steps of a block of epochs.

    Parameters
    ----------
    seed, rows : the replica's, and its training rows.
    learning_rates : (n_epochs, steps per epoch) from the epoch ``begin`` on; epochs beyond idle.

    Returns
    -------
    ``order`` (E, S, B), whose padding repeats a batch's first row; ``n_rows`` (E, S), 0 where the
    replica idles; ``learning_rates`` (E, S).
    """
    order = np.full((len(epochs), slots.n_steps, shapes.batch_size), rows[0], np.int32)
    n_rows = np.zeros(order.shape[:2], np.int32)
    rates = np.zeros(order.shape[:2], np.float32)
    for number, epoch in enumerate(epochs):
        if epoch - begin >= len(learning_rates):
            break
        batches = slots.batching.epoch(seed, epoch, rows)
        at = slots.steps_of(epoch, batches)
        for step, batch in zip(at, batches.batches, strict=True):
            order[number, step] = batch[0]
            order[number, step, : len(batch)] = batch
            n_rows[number, step] = len(batch)
        rates[number, at] = learning_rates[epoch - begin]
    return {"order": order, "n_rows": n_rows, "learning_rates": rates}


def shared_target(data: FitData) -> bool:
    """Whether all replicas share one loss target; numbers are scaled by fold."""
    return data.target.kind not in OF_VALUES


def design_statistics(
    data: FitData, positions: Sequence[int | None], names: Sequence[str]
) -> dict[str, Any]:
    """The statistics that preprocessing reads, for some folds or the refit, along a first axis.

    Parameters
    ----------
    names : of the network's inputs, which may need more than the flat vector does.
    """
    parts = [data.statistics_of(position, names) for position in positions]
    found: dict[str, Any] = {
        name: np.stack([getattr(part, name) for part in parts]) for name in DESIGN_STATISTICS
    }
    views = {name: np.stack([part.views[name] for part in parts]) for name in parts[0].views}
    return found | {"views": views}


def fold_numbers(data: FitData, positions: Sequence[int | None]) -> dict[str, NDArray[Any]]:
    """Which of ``FitData.fold_rows`` some folds, or the refit, read; nothing without any."""
    if data.fold_rows is None:
        return {}
    last = len(data.fold_rows) - 1
    return {"fold": np.array([last if p is None else p for p in positions], np.int32)}


def loss_weights(data: FitData, positions: Sequence[int | None]) -> dict[str, NDArray[Any]]:
    """What rows weigh in the loss, for some folds or the refit, along a first axis; or nothing."""
    if data.weights is None:
        return {}
    return {"weights": np.stack([data.weights.of(data.y, position) for position in positions])}
