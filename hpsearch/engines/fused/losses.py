"""The compiled losses over the rows of a batch that count, its padding left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np

from hpsearch.engines.network import OutputLoss, losses_of, output_units, split_columns
from hpsearch.space.network_checks import is_of_keras


@dataclass(frozen=True)
class Batch:
    """Which rows of a batch count, and how much.

    Attributes
    ----------
    n_rows : the number of those that count; float32, as it may be traced.
    weights : float32 (B,), 0 for padding and else 1, or None where there is none.
    of_loss : float32 (B,), what each row weighs in the loss, or None where all weigh the same.
    """

    n_rows: Any
    weights: Any
    of_loss: Any = None


def batch_loss(model: Any) -> Callable[[Any, Any, Batch], Any]:
    """The compiled losses' weighted sum, as a function of a batch.

    It takes the target of all outputs side by side, what the network gives, and which rows count.
    """
    losses, widths = losses_of(model), output_units(model)

    def total(y: Any, outputs: Any, batch: Batch) -> Any:
        targets, given = split_columns(y, widths), keras.tree.flatten(outputs)
        return sum(
            one.weight * _over_rows(one.loss, targets[one.output], given[one.output], batch)
            for one in losses
        )

    return total


def _over_rows(loss: Any, y: Any, output: Any, batch: Batch) -> Any:
    """A loss over the rows of a batch, its padding left out: their weighted mean, or their sum.

    As in Keras, the mean is over the number of rows, whatever they weigh, but for the reduction
    ``mean_with_sample_weight``.
    """
    values = loss.call(y, output)
    is_sum = loss.reduction == "sum"
    weights = batch.weights
    if batch.of_loss is not None:
        weights = batch.of_loss if weights is None else weights * batch.of_loss
    if weights is None:
        return values.sum() if is_sum else values.mean()
    by_row = values.reshape(values.shape[0], -1)
    if is_sum:
        return (by_row.sum(axis=1) * weights).sum()
    total = (by_row.mean(axis=1) * weights).sum()
    if batch.of_loss is not None and loss.reduction == "mean_with_sample_weight":
        return total / weights.sum()
    return total / batch.n_rows


def unweighable_loss(model: Any, outputs: Any) -> str | None:
    """Why padding cannot be left out of a compiled loss, or None where it can.

    ``outputs`` are the shapes of what the network gives for a batch.
    """
    for one in losses_of(model):
        output = keras.tree.flatten(outputs)[one.output]
        try:
            if not _is_per_row(one, output) or one.loss.reduction not in _REDUCTIONS:
                return f"loss '{one.name}' gives one value for a batch, not one for each row"
            if not is_of_keras(one.function) and _mixes_rows(one.loss, output.shape[1]):
                return f"loss '{one.name}' computes with several rows of a batch at once"
        except Exception:  # a broken loss fails the trial, in either engine
            continue
    return None


def _is_per_row(one: OutputLoss, output: Any) -> bool:
    n_rows = output.shape[0]
    y: Any = output
    if one.name.startswith("sparse_"):
        y = jax.ShapeDtypeStruct((n_rows,), "int32")  # type: ignore[no-untyped-call]
    return bool(jax.eval_shape(one.loss.call, y, output).shape[:1] == (n_rows,))


def _mixes_rows(loss: Any, n_units: int) -> bool:
    """Whether a row's loss is another one in another batch."""
    y, output = np.random.default_rng(0).uniform(0.1, 0.9, (2, 4, n_units)).astype(np.float32)
    among_four, among_two = loss.call(y, output)[:2], loss.call(y[:2], output[:2])
    return not np.allclose(among_four, among_two, rtol=1e-4, equal_nan=True)


_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum")
