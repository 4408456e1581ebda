"""Many replicas of one structure as one program: Keras itself under ``jax.vmap``.

Owns a step, an epoch and their compiled program. One step of one replica is Keras's
``stateless_call`` and ``stateless_apply``; ``lax.scan`` runs the steps of an epoch and the epochs
of a block, ``vmap`` the replicas. Rows, statistics, batch orders, learning rates, dropout rates
and penalties are inputs, so that they may differ between replicas. Every replica computes what it
would compute alone:

- The last batch of an epoch is padded, and its padding weighs nothing in the loss, in penalties on
  what layers give and in batch normalisation, so the mean is over the batch's true size.
- A fold with fewer steps than another one keeps its state in the steps that it doesn't have.
- Dropout draws from a counter-based generator under the replica's own seeds.
- Bags of words enter by their numbers (``bags``), and give what a multi-hot matrix would.

How layers compute with inputs and padding belongs to ``layers``, the loss to ``losses``, how the
state is held to ``packing``; which replicas train together to ``engine``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.buckets import Buckets
from hpsearch.engines.fused.bags import BagRows, Columns, alone
from hpsearch.engines.fused.compiling import Effort, compiled
from hpsearch.engines.fused.layers import Varying, drop_inputs, read_from
from hpsearch.engines.fused.losses import Batch, batch_loss
from hpsearch.engines.fused.packing import Held, State
from hpsearch.engines.fused.structure import penalised
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.network import side_by_side
from hpsearch.preprocessing import Bags, Encoded, Layout, Statistics
from hpsearch.preprocessing.inputs import design_inputs

PREDICT_ROWS = 512
"""Rows of one block of predictions, where a table has many more: what the network makes of them
on the way, for every replica of the program, stays in the processor's cache."""


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
    n_pieces : pieces of words that a batch is padded to, 0 without bags of words.
    effort : how hard XLA tries, see ``compiling``.
    lengths : steps of sequences in each bucket, where steps are of one bucket each; else empty.
    """

    batch_size: int
    n_steps: int
    n_epochs: int
    pads: bool
    idles: bool
    predicts: bool
    n_pieces: int
    effort: Effort
    lengths: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """The rows on the device, once for all replicas; ``y`` is None where replicas scale it."""

    numbers: Any
    codes: Any
    arrays: tuple[Any, ...]
    y: Any
    may_miss: bool
    fold_rows: Any = None
    tokens: Any = None

    @classmethod
    def of(
        cls,
        encoded: Encoded,
        layout: Layout,
        y: NDArray[Any] | None,
        fold_rows: NDArray[np.float32] | None = None,
    ) -> Table:
        """Put encoded rows on the device; a processor reads memory-mapped ones where they are.

        Parameters
        ----------
        fold_rows : of ``FitData``.
        """
        return cls(
            numbers=jax.device_put(encoded.numbers),
            codes=jax.device_put(encoded.codes),
            arrays=tuple(jax.device_put(array) for array in encoded.arrays),
            y=None if y is None else jax.device_put(y),
            may_miss=bool(layout.indicators) or bool(np.isnan(encoded.numbers).any()),
            fold_rows=None if fold_rows is None else jax.device_put(fold_rows),
            tokens=None if encoded.tokens is None else jax.device_put(encoded.tokens),
        )


def block_inputs(**parts: Any) -> dict[str, Any]:
    """Name a program's inputs.

    Of steps: ``order`` int32 (E, S, R, B) row numbers; ``learning_rates`` float32 (E, S, R);
    with words ``bags`` int32 (E, S, R, 2, n_pieces), each as ``Bags.batches`` gives it;
    ``first_step`` int32, steps taken before; with buckets of lengths ``bucket`` int32 (E, S) and
    ``n_rows`` int32 (E, S, R), rows of each step that count, 0 where a replica idles. Of replicas,
    along a first axis: ``n_train`` int32 (R,); ``last_step`` int32 (R,) number of the first step
    that is not taken; ``rates``, ``penalties``, ``activity_penalties``, ``weight_decay`` as in
    ``Numbers``, NumPy arrays; ``statistics`` a dictionary of arrays; ``y`` (R, n_rows, n_values) or
    None; where rows weigh more or less, ``weights`` float32 (R, n_rows); with words, of which a
    program takes one replica, ``places`` as ``bags.places_of`` gives them; with rows of each fold,
    ``fold`` int32 (R,), the number of its rows among them.
    """
    return parts


class FusedProgram:
    """A compiled block of epochs for replicas of one structure.

    Parameters
    ----------
    model : any compiled network of the structure; it is changed, and serves for tracing alone.
    table, layout : the rows and their preprocessing; form : how the network takes them.
    shapes : what is compiled in.
    bags : the rows' words, where there are any.
    buckets : of rows of like length, where batches are of one length.
    kept : the file that the compiled program is read from, or kept in; see ``compiling``.
    """

    def __init__(
        self,
        model: Any,
        table: Table,
        layout: Layout,
        form: InputForm,
        shapes: Shapes,
        bags: Bags | None = None,
        kept: Path | None = None,
        buckets: Buckets | None = None,
    ) -> None:
        self._model = model
        self._held = Held.of(model)
        self._packing = self._held.packing
        self._table = table
        self._layout = layout
        self._form = form
        self._shapes = shapes
        self._kept = kept
        self._buckets = buckets
        self._varying = Varying()
        self._penalised = _take_over_penalties(model)
        read_from(self._varying, model, pads=shapes.pads)
        self._loss = batch_loss(model)
        self._columns = Columns.of(layout, form)
        self._bags = _bags_of_blocks(len(table.numbers), bags) if shapes.predicts and bags else None
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
        prepared["drops"] = [drop_inputs(rates) for rates in prepared.pop("rates").T]
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
        def lower() -> Any:
            return jax.jit(self._block, donate_argnums=0).lower(state, inputs, self._shared())

        return compiled(lower, self._shapes.effort, self._kept)

    def _shared(self) -> dict[str, Any]:
        table = self._table
        return {
            "numbers": table.numbers,
            "codes": table.codes,
            "arrays": table.arrays,
            "bags": self._bags,
            "fold_rows": table.fold_rows,
            "tokens": table.tokens,
            "y": table.y,
        }

    def _block(self, state: State, inputs: dict[str, Any], shared: dict[str, Any]) -> Any:
        """All epochs of all replicas: scans outside and ``vmap`` inside, so that nothing turns."""
        of_steps = ("order", "learning_rates", "bags", "bucket", "n_rows")
        steps = {name: inputs.pop(name) for name in of_steps if name in inputs}
        first_step = inputs.pop("first_step")
        if self._shapes.idles:
            steps["number"] = first_step + self._numbers_of_steps()
        in_epoch = np.arange(self._shapes.n_steps, dtype=np.int32)
        of_step = {name: 0 if np.ndim(part) > 2 else None for name, part in steps.items()}
        side_by_side = jax.vmap if self._columns is None else alone
        step = side_by_side(self._step, in_axes=(0, 0, of_step, None, None))
        predict = side_by_side(self._outputs, in_axes=(0, 0, None))

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
        n_left = step.get("n_rows", replica["n_train"] - in_epoch * self._shapes.batch_size)
        batch = self._batch(n_left)
        if "weights" in replica:
            batch = replace(batch, of_loss=replica["weights"][rows])
        y = (shared["y"] if replica["y"] is None else replica["y"])[rows]
        trainable, frozen, slots = state
        gradient = jax.value_and_grad(self._loss_of_batch, has_aux=True)

        def differentiated(n_steps: int | None = None) -> Any:
            x = self._design(replica, shared, rows, step.get("bags"), n_steps)
            return gradient(self._packing.unpack(trainable), frozen, x, y, batch, replica)

        if "bucket" in step:  # the same for all replicas, so that one of them is computed
            of_lengths = [partial(differentiated, n) for n in self._shapes.lengths]
            found = jax.lax.switch(step["bucket"], of_lengths)
        else:
            found = differentiated()
        (_, (loss, new_frozen)), gradients = found
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
    ) -> tuple[Any, tuple[Any, list[Any]]]:
        """The loss as the optimizer scales it; as it is; and the network's other variables."""
        varying = self._varying.set(
            drops=replica["drops"],
            activity_penalties=replica["activity_penalties"],
            batch=batch,
        )
        with varying:
            given = self._form.given(varying.given(x))
            outputs, frozen, penalties = self._model.stateless_call(
                trainable, frozen, given, training=True, return_losses=True
            )
        loss = self._loss(y, outputs, batch)
        for penalty in penalties:
            loss = loss + penalty
        if "l1" in replica:
            return loss, (loss, frozen)
        for number, position in enumerate(self._penalised):
            l1, l2 = replica["penalties"][number, 0], replica["penalties"][number, 1]
            weight = trainable[position]
            loss = loss + l1 * jnp.sum(jnp.abs(weight)) + l2 * jnp.sum(jnp.square(weight))
        return self._held.optimizer.scale_loss(loss), (loss, frozen)

    def _apply(
        self,
        slots: list[Any],
        gradients: list[Any],
        trainable: list[Any],
        learning_rate: Any,
        replica: dict[str, Any],
    ) -> tuple[list[Any], list[Any]]:
        optimizer = self._held.optimizer
        rate_slot = next(
            i for i, v in enumerate(optimizer.variables) if v is keras_internals.rate_of(optimizer)
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
        """Raw outputs of every row in inference mode, with the weights that count."""
        trainable, frozen, slots = state
        weights = self._packing.unpack(self._held.final(trainable, slots))

        def predict(block: tuple[Any, ...], n_steps: int | None = None) -> Any:
            x = self._design(replica, shared, block[0], block[1], n_steps)
            with self._varying.set():
                given = self._form.given(self._varying.given(x))
                outputs, _ = self._model.stateless_call(weights, frozen, given, training=False)
            return side_by_side(jnp, outputs)

        if self._buckets is not None:
            return self._outputs_by_length(predict, self._buckets)
        n_rows = shared["numbers"].shape[0]
        blocks, bags = _blocks(n_rows), shared["bags"]
        if len(blocks) == 1:
            return predict((blocks[0], None if bags is None else bags[0]))
        outputs = jax.lax.map(predict, (blocks, bags))
        return outputs.reshape(-1, outputs.shape[-1])[:n_rows]

    @staticmethod
    def _outputs_by_length(predict: Callable[..., Any], buckets: Buckets) -> Any:
        """Each row with as many steps as its bucket has."""
        found, order = [], []
        for bucket, n_steps in enumerate(buckets.steps):
            rows = np.flatnonzero(buckets.of_row == bucket).astype(np.int32)
            if not len(rows):
                continue
            of_length = partial(predict, n_steps=n_steps)
            blocks = _blocks(len(rows))
            outputs = _mapped(of_length, rows[blocks])
            found.append(outputs.reshape(-1, outputs.shape[-1])[: len(rows)])
            order.append(rows)
        return jnp.concatenate(found)[np.argsort(np.concatenate(order))]

    def _design(
        self,
        replica: dict[str, Any],
        shared: dict[str, Any],
        rows: Any,
        bags: Any = None,
        n_steps: int | None = None,
    ) -> tuple[Any, ...]:
        """What the network gets: arrays, or bags of words in the place of one.

        Parameters
        ----------
        n_steps : what sequences are cut to; None for all.
        """
        statistics = Statistics(
            **replica["statistics"],
            word_slots=np.empty(0, np.int32),
            target_centre=np.zeros(1),
            target_scale=np.ones(1),
            target_power=np.ones(1),
        )
        prepared = shared["fold_rows"]
        if prepared is not None:
            prepared = prepared[replica["fold"], rows]
        design = partial(
            design_inputs,
            jnp,
            statistics=statistics,
            prepared=prepared,
            numbers=shared["numbers"][rows],
            codes=shared["codes"][rows],
            arrays=self._rows_of_arrays(shared, rows, n_steps),
            tokens=None if shared["tokens"] is None else shared["tokens"][rows],
            may_miss=self._table.may_miss,
        )
        if self._columns is None:
            return design(self._layout, names=self._form.names)
        pieces, row_of = bags
        words = BagRows(self._columns, len(rows), None, replica["places"][pieces], row_of)
        if self._form.names:
            arrays = design(self._layout, names=self._form.names)
            return tuple(words if array is None else array for array in arrays)
        if len(self._columns.others):
            [others] = design(self._layout.without_words(), names=())
            words = replace(words, others=others.reshape(len(rows), -1))
        return (words,)

    def _rows_of_arrays(self, shared: dict[str, Any], rows: Any, n_steps: int | None) -> Any:
        cut = self._layout.sequences if n_steps is not None else ()
        return tuple(
            array[rows, :n_steps] if at in cut else array[rows]
            for at, array in enumerate(shared["arrays"])
        )


def _mapped(predict: Callable[..., Any], blocks: NDArray[np.int32]) -> Any:
    """What is predicted of blocks of rows (n, size), one after the other."""
    if len(blocks) == 1:
        return predict((blocks[0], None))
    return jax.lax.map(lambda block: predict((block, None)), blocks)


def _blocks(n_rows: int) -> NDArray[np.int32]:
    """The rows of each block of predictions (n, size), the last row repeated."""
    size = n_rows if n_rows <= 2 * PREDICT_ROWS else PREDICT_ROWS
    n_blocks = -(-n_rows // size)
    rows = np.minimum(np.arange(n_blocks * size, dtype=np.int32), n_rows - 1)
    return rows.reshape(n_blocks, size)


def _bags_of_blocks(n_rows: int, bags: Bags) -> NDArray[np.int32]:
    """The bags of each block of predictions (n, 2, n_pieces)."""
    n_blocks, size = _blocks(n_rows).shape
    most = int(np.add.reduceat(bags.sizes, np.arange(0, n_rows, size)).max())
    return bags.batches(np.arange(n_rows), size, n_blocks, max(1, most))


def _penalise(
    loss: Any, gradients: list[Any], trainable: list[Any], replica: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Add L1 and L2 of the packed variables to a loss and its gradient."""
    (weight,), (gradient,), l1, l2 = trainable, gradients, replica["l1"], replica["l2"]
    loss = loss + jnp.sum(l1 * jnp.abs(weight) + l2 * jnp.square(weight))
    return loss, [gradient + (l1 * jnp.sign(weight) + 2.0 * l2 * weight)]


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
