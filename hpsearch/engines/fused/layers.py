"""Keras's layers where a program has them compute otherwise: with numbers and rows that are data.

Dropout and penalties read their strength from outside; penalties and batch normalisation leave out
padding, and the latter has its gradient in closed form. Dense layers and dropout take bags of words
by their numbers (``bags``). Every row that counts gets what Keras gives it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.fused.bags import BagRows, StandIns, dense
from hpsearch.engines.fused.losses import Batch
from hpsearch.engines.fused.structure import activity_penalised, dropouts


class Varying:
    """What a traced network reads in place of its own numbers; set while it is traced."""

    drops: Any = None
    activity_penalties: Any = None
    batch: Any = None
    stand_ins: StandIns = StandIns()

    def set(
        self, *, drops: Any = None, activity_penalties: Any = None, batch: Batch | None = None
    ) -> Varying:
        """Put the numbers there for as long as a ``with`` block lasts."""
        self.drops, self.activity_penalties, self.batch = drops, activity_penalties, batch
        self.stand_ins = StandIns()
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        self.drops = self.activity_penalties = self.batch = None
        self.stand_ins = StandIns()

    def given(self, rows: Sequence[Any]) -> list[Any]:
        """A batch's arrays as the network is called with them, some of which stand for bags."""
        return [self.stand_ins.of(r) if isinstance(r, BagRows) else r for r in rows]


def read_from(varying: Varying, model: Any, *, pads: bool) -> None:
    """Have layers read their numbers, and which rows count, from ``varying``."""
    for layer in keras_internals.layers_of(model):
        if type(layer) in (keras.layers.Dense, keras.layers.Flatten):
            layer.call = functools.partial(_of_bags, varying, layer)
    for number, layer in enumerate(dropouts(model)):
        layer.call = functools.partial(_dropout, varying, number, layer)
    for number, layer in enumerate(activity_penalised(model)):
        layer.activity_regularizer = functools.partial(_activity_penalty, varying, number)
    for layer in keras_internals.layers_of(model):
        if type(layer) is not keras.layers.BatchNormalization:
            continue
        if pads:
            keras_internals.replace_moments(layer, functools.partial(_moments, varying, layer))
        if not layer.renorm and layer.axis in (-1, len(keras_internals.reduction_axes(layer))):
            layer.call = functools.partial(_batch_normalization, varying, layer)


def drop_inputs(rates: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """What a dropout layer computes with, by its rate in each replica (R,).

    Random bits below a bound are dropped; what is left is scaled up.
    """
    below = np.minimum(rates * np.float32(2**32), np.float32(2**32 - 2**8)).astype(np.uint32)
    kept = 1.0 - rates
    scale = np.divide(1.0, kept, out=np.zeros_like(kept), where=kept > 0)
    return {"below": below, "scale": scale}


def _dropout(varying: Varying, number: int, layer: Any, inputs: Any, training: bool = False) -> Any:
    """Inverted dropout with a rate that is data."""
    if not training:
        return inputs
    drop = varying.drops[number]
    shape = tuple(
        size if wanted is None else wanted
        for size, wanted in zip(
            inputs.shape, layer.noise_shape or (None,) * inputs.ndim, strict=True
        )
    )
    seed = layer.seed_generator.next()
    rows = varying.stand_ins.rows(inputs)
    if rows is not None:
        return varying.stand_ins.of(rows.scaled(functools.partial(_drops_at, seed, shape, drop)))
    bits = _random_bits(seed, jax.lax.iota(jnp.uint32, int(np.prod(shape)))).reshape(shape)
    return jnp.where(bits >= drop["below"], inputs * drop["scale"], 0.0)


def _drops_at(seed: Any, shape: tuple[int, int], drop: Any, rows: Any, columns: Any) -> Any:
    """What dropout multiplies cells by: as in a whole matrix, whose random bits have a shape."""
    n_rows, n_columns = shape
    position = (rows if n_rows > 1 else 0) * n_columns + (columns if n_columns > 1 else 0)
    bits = _random_bits(seed, jnp.asarray(position).astype(jnp.uint32))
    return jnp.where(bits >= drop["below"], drop["scale"], 0.0)


def _of_bags(varying: Varying, layer: Any, inputs: Any, **options: Any) -> Any:
    """A layer that may get what stands for bags of words: ``Dense``, or ``Flatten`` of rows."""
    rows = varying.stand_ins.rows(inputs)
    if rows is None:
        return type(layer).call(layer, inputs, **options)
    return dense(layer, rows.times) if isinstance(layer, keras.layers.Dense) else inputs


def _activity_penalty(varying: Varying, number: int, output: Any) -> Any:
    """L1 and L2 of what a layer gives for the rows that count, before Keras divides it.

    Keras divides by the rows of the batch, with padding among them.
    """
    if varying.batch is None:  # nothing is penalised while predicting
        return jnp.zeros(())
    l1, l2 = varying.activity_penalties[number]
    weights, n_rows = varying.batch.weights, varying.batch.n_rows
    if weights is not None:
        output = output * weights.reshape(-1, *(1,) * (output.ndim - 1))
    penalty = l1 * jnp.sum(jnp.abs(output)) + l2 * jnp.sum(jnp.square(output))
    return penalty * (len(output) / n_rows)


def _random_bits(seed: Any, position: Any) -> Any:
    """Random uint32 at positions, of a seed and a counter (uint32 (2,)), the same in any company.

    A counter-based generator: the position, keyed by seed and counter, goes through the integer
    finalizer ``lowbias32`` (Wellons 2018, "Prospecting for hash functions") twice. JAX's own
    ``threefry`` takes several times as long, and dropout needs no more than this.
    """
    key = _mixed(seed[0] + _mixed(seed[1] + np.uint32(0x9E3779B9)))
    return _mixed(_mixed(position + key) ^ key)


def _mixed(bits: Any) -> Any:
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))


def _batch_normalization(
    varying: Varying, layer: Any, inputs: Any, training: bool = False, mask: Any = None
) -> Any:
    """Batch normalisation over all axes but the last, with its gradient in closed form.

    Differentiating Keras's own formula step by step gives a program of twice as many loops.
    """
    if not (training and layer.trainable) or mask is not None or inputs.dtype != jnp.float32:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    features = inputs.reshape(-1, inputs.shape[-1])
    batch = varying.batch
    n_values = len(features) // len(inputs)  # of one row and feature
    weights = None if batch.weights is None else jnp.repeat(batch.weights, n_values)[:, None]
    scale = layer.gamma.value if layer.scale else jnp.ones_like(features[0])
    offset = layer.beta.value if layer.center else jnp.zeros_like(features[0])
    outputs, mean, variance = _normalized(
        features, weights, batch.n_rows * n_values, scale, offset, layer.epsilon
    )
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving.value * layer.momentum + new * (1.0 - layer.momentum))
    return outputs.reshape(inputs.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _normalized(
    x: Any, weights: Any, n_rows: Any, scale: Any, offset: Any, epsilon: float
) -> tuple[Any, Any, Any]:
    """Rows (n, F) normalised by their weighted mean and variance, and these two (F,)."""
    mean = _weighted(x, weights).sum(axis=0) / n_rows
    centred = x - mean
    variance = _weighted(jnp.square(centred), weights).sum(axis=0) / n_rows
    return centred * (jax.lax.rsqrt(variance + epsilon) * scale) + offset, mean, variance


def _normalized_forward(
    x: Any, weights: Any, n_rows: Any, scale: Any, offset: Any, epsilon: float
) -> Any:
    outputs, mean, variance = _normalized(x, weights, n_rows, scale, offset, epsilon)
    return (outputs, mean, variance), (x, weights, n_rows, scale, mean, variance)


def _normalized_backward(epsilon: float, kept: Any, gradients: Any) -> Any:
    """The gradient through the outputs; moving averages take none (Ioffe & Szegedy 2015)."""
    x, weights, n_rows, scale, mean, variance = kept
    gradient = gradients[0]
    inverse = jax.lax.rsqrt(variance + epsilon)
    standardized = (x - mean) * inverse
    of_offset = gradient.sum(axis=0)
    of_scale = (gradient * standardized).sum(axis=0)
    through_moments = _weighted((of_offset + standardized * of_scale) / n_rows, weights)
    of_x = (scale * inverse) * (gradient - through_moments)
    none = None if weights is None else jnp.zeros_like(weights)
    return of_x, none, jnp.zeros_like(n_rows), of_scale, of_offset


def _weighted(values: Any, weights: Any) -> Any:
    return values if weights is None else values * weights


_normalized.defvjp(_normalized_forward, _normalized_backward)


def _moments(varying: Varying, layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    """Mean and variance over the batch's true rows."""
    batch = varying.batch
    if batch is None or batch.weights is None:
        return keras_internals.moments_of(layer, inputs, mask)
    if mask is not None:
        is_row = (batch.weights > 0).reshape(-1, *(1,) * (mask.ndim - 1))
        return keras_internals.moments_of(layer, inputs, mask & is_row)
    axes = keras_internals.reduction_axes(layer)
    weights = batch.weights.reshape(-1, *(1,) * (inputs.ndim - 1))
    others = int(np.prod([inputs.shape[axis] for axis in axes if axis != 0]))
    n_values = batch.n_rows * others
    mean = (inputs * weights).sum(axis=axes, keepdims=True) / n_values
    variance = (jnp.square(inputs - mean) * weights).sum(axis=axes) / n_values
    return mean.reshape(variance.shape), variance
