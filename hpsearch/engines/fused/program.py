"""Many replicas of one structure as one program: Keras itself under ``jax.vmap``.

Owns everything that the fused engine does inside JAX. One step of one replica is Keras's
``stateless_call`` and ``stateless_apply``; ``lax.scan`` runs the steps of an epoch and the epochs
of a block, ``vmap`` the replicas. Rows, statistics, batch orders, learning rates, dropout rates
and penalties are inputs, so that they may differ between replicas. Every replica computes what it
would compute alone:

- The last batch of an epoch is padded, and its padding weighs nothing in the loss and in batch
  normalisation, so the mean is over the batch's true size.
- A fold with fewer steps than another one keeps its state in the steps that it doesn't have.
- Dropout draws from a counter-based generator under the replica's own seeds.

Which replicas train together belongs to ``fused``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.fused.structure import dropouts, penalised
from hpsearch.engines.network import (
    OutputLoss,
    losses_of,
    output_units,
    side_by_side,
    split_columns,
)
from hpsearch.engines.workers import return_freed_memory
from hpsearch.preprocessing import Encoded, Layout, Statistics
from hpsearch.preprocessing.design import design_batch
from hpsearch.space.network_checks import is_of_keras

PREDICT_ROWS = 512
"""Rows of one block of predictions, where a table has many more: what the network makes of them
on the way, for every replica of the program, stays in the processor's cache."""

PACKED_ELEMENTS = 200_000
"""Trainable variables are held as one vector up to this size; beyond, copying them into it and out
of it takes longer than a program of more loops takes to compile."""

Effort = Literal["low", "middle", "high"]

COMPILER_OPTIONS: dict[Effort, dict[str, str | bool]] = {
    "low": {"xla_backend_optimization_level": "1", "xla_cpu_use_fusion_emitters": False},
    "middle": {"xla_backend_optimization_level": "1"},
    "high": {},
}
"""What less effort leaves out. The last tenth of speed takes longer to compile than a short
program runs; XLA's older loop emitter takes half as long to compile, and its loops twice as long
to run, which pays in the shortest."""

State = tuple[list[Any], list[Any], list[Any]]
"""Trainable, non-trainable and optimizer variables, each with a leading axis of replicas."""


@dataclass(frozen=True)
class Shapes:
    """What is compiled into a program beside the structure.

    Attributes
    ----------
    batch_size, n_steps : rows of a step, and steps of an epoch (of the largest training set).
    n_epochs : epochs of one call.
    pads : whether some replica's last batch is partial.
    idles : whether some replica has fewer steps than ``n_steps`` in an epoch.
    predicts : whether predictions of every row are made after each epoch.
    effort : how hard XLA tries, see ``COMPILER_OPTIONS``.
    """

    batch_size: int
    n_steps: int
    n_epochs: int
    pads: bool
    idles: bool
    predicts: bool
    effort: Effort


@dataclass(frozen=True, eq=False)
class Table:
    """The rows on the device, once for all replicas; ``y`` is None where replicas scale it."""

    numbers: Any
    codes: Any
    arrays: tuple[Any, ...]
    y: Any
    may_miss: bool

    @classmethod
    def of(cls, encoded: Encoded, layout: Layout, y: NDArray[Any] | None) -> Table:
        """Put encoded rows on the device; a processor reads memory-mapped ones where they are."""
        return cls(
            numbers=jax.device_put(encoded.numbers),
            codes=jax.device_put(encoded.codes),
            arrays=tuple(jax.device_put(array) for array in encoded.arrays),
            y=None if y is None else jax.device_put(y),
            may_miss=bool(layout.indicators) or bool(np.isnan(encoded.numbers).any()),
        )


@dataclass(frozen=True)
class Batch:
    """Which rows of a batch count: ``weights`` float32 (B,) is 0 for padding, or None for none.

    ``n_rows`` is their number; float32, as it may be traced.
    """

    n_rows: Any
    weights: Any


def block_inputs(**parts: Any) -> dict[str, Any]:
    """Name a program's inputs.

    Of steps: ``order`` int32 (E, S, R, B) row numbers; ``learning_rates`` float32 (E, S, R);
    ``first_step`` int32, steps taken before. Of replicas, along a first axis: ``n_train`` int32
    (R,); ``last_step`` int32 (R,) number of the first step that is not taken; ``rates``,
    ``penalties``, ``weight_decay`` as in ``Numbers``, NumPy arrays; ``statistics`` a dictionary of
    arrays; ``y`` (R, n_rows, n_values) or None.
    """
    return parts


class FusedProgram:
    """A compiled block of epochs for replicas of one structure.

    Parameters
    ----------
    model : any compiled network of the structure; it is changed, and serves for tracing alone.
    table, layout : the rows and their preprocessing.
    shapes : what is compiled in.
    """

    def __init__(self, model: Any, table: Table, layout: Layout, shapes: Shapes) -> None:
        self._model = model
        self._optimizer, self._packing = _optimizer_and_packing(model)
        self._table = table
        self._layout = layout
        self._shapes = shapes
        self._varying = _Varying()
        self._penalised = _take_over_penalties(model)
        _read_from(self._varying, model, pads=shapes.pads)
        self._loss = batch_loss(model)
        self._compiled: Callable[..., Any] | None = None

    def run(self, state: State, inputs: Mapping[str, Any]) -> tuple[State, Any, Any]:
        """Train one block of epochs.

        Returns
        -------
        The new state; the loss of each epoch (E, R) as Keras reports it; and raw outputs of every
        row after each epoch (E, R, n_rows, n_units), or None without predictions.
        """
        prepared = self._prepared(inputs)
        if self._compiled is None:
            self._compiled = self._compile(state, prepared)
        new_state, (losses, outputs) = self._compiled(state, prepared, self._shared())
        return new_state, losses, outputs

    def _prepared(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs as the program takes them: what NumPy does ahead takes no loop of it."""
        prepared = dict(inputs)
        prepared["drops"] = [_drop(rates) for rates in prepared.pop("rates").T]
        if self._packing.is_packed and self._penalised:
            penalties = prepared.pop("penalties")
            prepared |= {
                "l1": self._spread(penalties[..., 0]),
                "l2": self._spread(penalties[..., 1]),
            }
        return prepared

    def _spread(self, strengths: NDArray[np.float32]) -> NDArray[np.float32]:
        """The strength (R, n_params) of each element of the packed variables."""
        by_variable = np.zeros((len(strengths), len(self._packing.sizes)), np.float32)
        by_variable[:, self._penalised] = strengths
        return np.repeat(by_variable, self._packing.sizes, axis=1)

    def _compile(self, state: State, inputs: dict[str, Any]) -> Callable[..., Any]:
        fused = jax.jit(self._block, donate_argnums=0)
        lowered = fused.lower(state, inputs, self._shared())
        options = COMPILER_OPTIONS[self._shapes.effort] if _on_cpu() else {}
        compiled: Callable[..., Any] = lowered.compile(compiler_options=options)
        return_freed_memory()  # 60 MB and more of the compiler's
        return compiled

    def _shared(self) -> dict[str, Any]:
        table = self._table
        return {
            "numbers": table.numbers,
            "codes": table.codes,
            "arrays": table.arrays,
            "y": table.y,
        }

    def _block(self, state: State, inputs: dict[str, Any], shared: dict[str, Any]) -> Any:
        """All epochs of all replicas: scans outside and ``vmap`` inside, so that nothing turns."""
        steps = {name: inputs.pop(name) for name in ("order", "learning_rates")}
        first_step = inputs.pop("first_step")
        if self._shapes.idles:
            steps["number"] = first_step + self._numbers_of_steps()
        in_epoch = np.arange(self._shapes.n_steps, dtype=np.int32)
        of_step = {name: 0 if np.ndim(part) > 2 else None for name, part in steps.items()}
        step = jax.vmap(self._step, in_axes=(0, 0, of_step, None, None))
        predict = jax.vmap(self._outputs, in_axes=(0, 0, None))

        def epoch(state: State, steps: dict[str, Any]) -> Any:
            state, losses = jax.lax.scan(
                lambda s, xs: step(s, inputs, *xs, shared), state, (steps, in_epoch)
            )
            loss = losses.sum(axis=0) / inputs["n_train"]
            outputs = predict(state, inputs, shared) if self._shapes.predicts else None
            return state, (loss, outputs)

        return jax.lax.scan(epoch, state, steps)

    def _numbers_of_steps(self) -> NDArray[np.int32]:
        """Each step's number (E, S) in a call."""
        shapes = self._shapes
        steps = np.arange(shapes.n_epochs * shapes.n_steps, dtype=np.int32)
        return steps.reshape(shapes.n_epochs, shapes.n_steps)

    def _step(
        self,
        state: State,
        replica: dict[str, Any],
        step: dict[str, Any],
        in_epoch: Any,
        shared: dict[str, Any],
    ) -> tuple[State, Any]:
        """One optimizer step of one replica; gives its summed loss too."""
        rows = step["order"]
        n_left = replica["n_train"] - in_epoch * self._shapes.batch_size
        batch = self._batch(n_left)
        x = self._design(replica, shared, rows)
        y = (shared["y"] if replica["y"] is None else replica["y"])[rows]
        trainable, frozen, slots = state
        gradient = jax.value_and_grad(self._loss_of_batch, has_aux=True)
        (loss, new_frozen), gradients = gradient(
            self._packing.unpack(trainable), frozen, x, y, batch, replica
        )
        gradients = self._packing.pack(jnp, gradients)
        if "l1" in replica:
            loss, gradients = _penalise(loss, gradients, trainable, replica)
        new_trainable, new_slots = self._apply(
            slots, gradients, trainable, step["learning_rates"], replica
        )
        new_state = (new_trainable, new_frozen, new_slots)
        if not self._shapes.idles:
            return new_state, loss * batch.n_rows
        taken = (n_left > 0) & (step["number"] < replica["last_step"])
        kept = jax.tree.map(lambda new, old: jnp.where(taken, new, old), new_state, state)
        return kept, jnp.where(taken, loss * batch.n_rows, 0.0)

    def _batch(self, n_left: Any) -> Batch:
        """Which rows of a batch count, where ``n_left`` rows of the epoch are left."""
        size = self._shapes.batch_size
        if not self._shapes.pads:
            return Batch(float(size), None)
        is_row = np.arange(size) < n_left
        return Batch(jnp.clip(n_left, 1, size).astype(jnp.float32), is_row.astype(jnp.float32))

    def _loss_of_batch(
        self,
        trainable: list[Any],
        frozen: list[Any],
        x: Any,
        y: Any,
        batch: Batch,
        replica: dict[str, Any],
    ) -> tuple[Any, list[Any]]:
        with self._varying.set(drops=replica["drops"], batch=batch):
            outputs, frozen, penalties = self._model.stateless_call(
                trainable, frozen, x, training=True, return_losses=True
            )
        loss = self._loss(y, outputs, batch)
        for penalty in penalties:
            loss = loss + penalty
        if "l1" in replica:
            return loss, frozen
        for number, position in enumerate(self._penalised):
            l1, l2 = replica["penalties"][number, 0], replica["penalties"][number, 1]
            weight = trainable[position]
            loss = loss + l1 * jnp.sum(jnp.abs(weight)) + l2 * jnp.sum(jnp.square(weight))
        return loss, frozen

    def _apply(
        self,
        slots: list[Any],
        gradients: list[Any],
        trainable: list[Any],
        learning_rate: Any,
        replica: dict[str, Any],
    ) -> tuple[list[Any], list[Any]]:
        optimizer = self._optimizer
        rate_slot = next(
            i for i, v in enumerate(optimizer.variables) if v is optimizer._learning_rate
        )
        slots = [*slots[:rate_slot], learning_rate, *slots[rate_slot + 1 :]]
        decay = getattr(optimizer, "weight_decay", None)
        if decay is not None:
            optimizer.weight_decay = replica["weight_decay"]
        try:
            trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
        finally:
            if decay is not None:
                optimizer.weight_decay = decay
        return list(trainable), list(slots)

    def _outputs(self, state: State, replica: dict[str, Any], shared: dict[str, Any]) -> Any:
        """Raw outputs of every row in inference mode."""
        trainable, frozen, _ = state
        weights = self._packing.unpack(trainable)

        def predict(rows: Any) -> Any:
            x = self._design(replica, shared, rows)
            outputs, _ = self._model.stateless_call(weights, frozen, x, training=False)
            return side_by_side(jnp, outputs)

        n_rows = shared["numbers"].shape[0]
        if n_rows <= 2 * PREDICT_ROWS:
            return predict(np.arange(n_rows, dtype=np.int32))
        n_blocks = -(-n_rows // PREDICT_ROWS)
        rows = np.minimum(np.arange(n_blocks * PREDICT_ROWS, dtype=np.int32), n_rows - 1)
        outputs = jax.lax.map(predict, rows.reshape(n_blocks, PREDICT_ROWS))
        return outputs.reshape(-1, outputs.shape[-1])[:n_rows]

    def _design(self, replica: dict[str, Any], shared: dict[str, Any], rows: Any) -> Any:
        statistics = Statistics(
            **replica["statistics"],
            word_slots=np.empty(0, np.int32),
            target_centre=np.zeros(1),
            target_scale=np.ones(1),
        )
        return design_batch(
            jnp,
            self._layout,
            statistics,
            numbers=shared["numbers"][rows],
            codes=shared["codes"][rows],
            arrays=tuple(array[rows] for array in shared["arrays"]),
            may_miss=self._table.may_miss,
        )


def _penalise(
    loss: Any, gradients: list[Any], trainable: list[Any], replica: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Add L1 and L2 of the packed variables to a loss and its gradient."""
    (weight,), (gradient,), l1, l2 = trainable, gradients, replica["l1"], replica["l2"]
    loss = loss + jnp.sum(l1 * jnp.abs(weight) + l2 * jnp.square(weight))
    return loss, [gradient + (l1 * jnp.sign(weight) + 2.0 * l2 * weight)]


@dataclass(frozen=True)
class Packing:
    """Trainable variables side by side in one vector, where the optimizer allows it.

    An update that works element by element is the same on one long vector as on each variable,
    and a program with one update instead of a dozen compiles faster.
    """

    shapes: tuple[tuple[int, ...], ...]
    is_packed: bool

    @property
    def sizes(self) -> list[int]:
        """Elements of each variable."""
        return [math.prod(shape) for shape in self.shapes]

    def pack(self, xp: Any, values: Sequence[Any]) -> list[Any]:
        """The variables' values as the program's state holds them."""
        if not self.is_packed:
            return list(values)
        return [xp.concatenate([xp.reshape(value, -1) for value in values])]

    def unpack(self, values: Sequence[Any]) -> list[Any]:
        """The inverse of ``pack``."""
        if not self.is_packed:
            return list(values)
        ends = np.cumsum(self.sizes)
        parts = zip(self.shapes, [0, *ends[:-1]], ends, strict=True)
        return [values[0][first:end].reshape(shape) for shape, first, end in parts]


def initial_slots(model: Any) -> list[NDArray[Any]]:
    """The variables of a built model's optimizer as NumPy arrays; no seed enters them."""
    optimizer, _ = _optimizer_and_packing(model)
    return [np.asarray(variable.value) for variable in optimizer.variables]


def initial_state(
    model: Any, values: tuple[list[NDArray[Any]], list[NDArray[Any]]], slots: list[NDArray[Any]]
) -> list[list[NDArray[Any]]]:
    """A replica's state, from values of its network's variables and of its optimizer's."""
    trainable, frozen = values
    return [_packing(model).pack(np, trainable), frozen, slots]


def stack_states(states: Sequence[list[list[NDArray[Any]]]]) -> State:
    """Several replicas' states along a new first axis."""
    trainable, frozen, slots = (
        [jax.device_put(np.stack(arrays)) for arrays in zip(*parts, strict=True)]
        for parts in zip(*states, strict=True)
    )
    return trainable, frozen, slots


def assign(model: Any, state: State, replica: int) -> None:
    """Give a built model the weights of one replica."""
    trainable, frozen = ([np.asarray(values)[replica] for values in part] for part in state[:2])
    for variables, values in (
        (model.trainable_variables, _packing(model).unpack(trainable)),
        (model.non_trainable_variables, frozen),
    ):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


_ELEMENTWISE_OPTIMIZERS = (
    keras.optimizers.SGD,
    keras.optimizers.RMSprop,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Nadam,
    keras.optimizers.Adamax,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
)


def _packing(model: Any) -> Packing:
    """How a model's trainable variables are held while it trains."""
    optimizer, variables = model.optimizer, model.trainable_variables
    shapes = tuple(tuple(variable.shape) for variable in variables)
    is_packed = (
        sum(map(math.prod, shapes)) <= PACKED_ELEMENTS
        and type(optimizer) in _ELEMENTWISE_OPTIMIZERS
        and optimizer.clipnorm is None
        and optimizer.global_clipnorm is None
        and not getattr(optimizer, "_exclude_from_weight_decay_keys", None)
        and len({variable.dtype for variable in variables}) == 1
        and all(v.constraint is None and not v.overwrite_with_gradient for v in variables)
    )
    return Packing(shapes, is_packed)


def _optimizer_and_packing(model: Any) -> tuple[Any, Packing]:
    """The model's optimizer over packed variables, its learning rate a plain variable."""
    packing = _packing(model)
    config = {**model.optimizer.get_config(), "learning_rate": 0.0}
    optimizer = type(model.optimizer).from_config(config)
    variables = model.trainable_variables
    if packing.is_packed:
        variables = [keras.Variable(np.zeros(sum(packing.sizes), np.float32), name="packed")]
    optimizer.build(variables)
    return optimizer, packing


def _take_over_penalties(model: Any) -> list[int]:
    """Leave L1 and L2 to the program; positions of the variables that have them."""
    chosen = penalised(model)
    positions = [
        next(i for i, v in enumerate(model.trainable_variables) if v is variable)
        for variable in chosen
    ]
    for variable in chosen:
        variable.regularizer = None
    return positions


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
    """A loss over the rows of a batch, its padding left out: their mean, or their sum."""
    values = loss.call(y, output)
    is_sum = loss.reduction == "sum"
    if batch.weights is None:
        return values.sum() if is_sum else values.mean()
    by_row = values.reshape(values.shape[0], -1)
    if is_sum:
        return (by_row.sum(axis=1) * batch.weights).sum()
    return (by_row.mean(axis=1) * batch.weights).sum() / batch.n_rows


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


def _on_cpu() -> bool:
    return bool(jax.default_backend() == "cpu")


class _Varying:
    """What a traced network reads in place of its own numbers; set while it is traced."""

    drops: Any = None
    batch: Any = None

    def set(self, *, drops: Any, batch: Batch) -> _Varying:
        self.drops, self.batch = drops, batch
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        self.drops = self.batch = None


def _read_from(varying: _Varying, model: Any, *, pads: bool) -> None:
    """Have dropout read its rate, and batch normalisation the rows' weights, from ``varying``."""
    for number, layer in enumerate(dropouts(model)):
        layer.call = functools.partial(_dropout, varying, number, layer)
    for layer in model._flatten_layers(include_self=False):
        if type(layer) is not keras.layers.BatchNormalization:
            continue
        if pads:
            layer._moments = functools.partial(_moments, varying, layer)
        if not layer.renorm and layer.axis in (-1, len(layer._reduction_axes)):
            layer.call = functools.partial(_batch_normalization, varying, layer)


def _drop(rates: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """What a dropout layer computes with, by its rate in each replica (R,).

    Random bits below a bound are dropped; what is left is scaled up.
    """
    below = np.minimum(rates * np.float32(2**32), np.float32(2**32 - 2**8)).astype(np.uint32)
    kept = 1.0 - rates
    scale = np.divide(1.0, kept, out=np.zeros_like(kept), where=kept > 0)
    return {"below": below, "scale": scale}


def _dropout(
    varying: _Varying, number: int, layer: Any, inputs: Any, training: bool = False
) -> Any:
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
    bits = _random_bits(layer.seed_generator.next(), shape)
    return jnp.where(bits >= drop["below"], inputs * drop["scale"], 0.0)


def _random_bits(seed: Any, shape: tuple[int, ...]) -> Any:
    """Random uint32 of a seed and a counter (uint32 (2,)), the same in any company.

    A counter-based generator: the position, keyed by seed and counter, goes through the integer
    finalizer ``lowbias32`` (Wellons 2018, "Prospecting for hash functions") twice. JAX's own
    ``threefry`` takes several times as long, and dropout needs no more than this.
    """
    key = _mixed(seed[0] + _mixed(seed[1] + np.uint32(0x9E3779B9)))
    position = jax.lax.iota(jnp.uint32, int(np.prod(shape)))
    return _mixed(_mixed(position + key) ^ key).reshape(shape)


def _mixed(bits: Any) -> Any:
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))


def _batch_normalization(
    varying: _Varying, layer: Any, inputs: Any, training: bool = False, mask: Any = None
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


def _moments(varying: _Varying, layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
    """Mean and variance over the batch's true rows."""
    batch = varying.batch
    if batch is None or batch.weights is None or mask is not None:
        return type(layer)._moments(layer, inputs, mask)  # type: ignore[no-any-return]
    axes = layer._reduction_axes
    weights = batch.weights.reshape(-1, *(1,) * (inputs.ndim - 1))
    others = int(np.prod([inputs.shape[axis] for axis in axes if axis != 0]))
    n_values = batch.n_rows * others
    mean = (inputs * weights).sum(axis=axes, keepdims=True) / n_values
    variance = (jnp.square(inputs - mean) * weights).sum(axis=axes) / n_values
    return mean.reshape(variance.shape), variance
