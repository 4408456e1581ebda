"""One configuration as a TensorFlow program that trains any number of replicas after each other.

Owns everything that the reference engine does inside TensorFlow: a traced epoch of Keras's own
``train_step``, predictions in inference mode, and a replica's state. Tracing costs about a second
and an epoch a few milliseconds, so a program is traced once per candidate and its state (weights,
optimizer, dropout seeds) is set anew for each replica, from a network built anew under the
replica's seed. Which replicas to train, and for how long, belongs to ``engine``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from mmap import mmap
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy import sparse

from hpsearch import keras_internals
from hpsearch.engines.averages import ends_elsewhere, finish
from hpsearch.engines.buckets import Buckets
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.network import OutputForm, side_by_side
from hpsearch.engines.rates import is_schedule, optimizers_in, rates_in
from hpsearch.engines.reference.rates import RateTable
from hpsearch.preprocessing import Encoded, Inputs, Layout, Statistics
from hpsearch.preprocessing.inputs import design_inputs, input_rows
from hpsearch.preprocessing.statistics import ABSENT
from hpsearch.task import Target

State = list[Any]

DENSE_LIMIT_BYTES, WORDS_LIMIT_BYTES = 256 * 2**20, 16 * 2**20
"""A fold's preprocessed matrix is kept whole up to this size, and one with bags of words or bytes
of images, which are small without it, up to that of some batches; else each batch is made anew."""

PREDICT_ROWS, PREDICT_WORDS = 4096, 2**21
"""Rows of one block of predictions, or, of rows with bags of words, as many as have so many cells:
larger matrices are new memory each time, which takes longer than to fill and to read them."""


class RowSource:
    """Preprocessed rows of one fold by number, from one matrix or made batch by batch.

    ``tensors`` are passed to traced functions and ``batch(tensors, rows)`` runs inside them.

    Parameters
    ----------
    cut : which of a network's inputs are sequences that a batch cuts to the ``buckets`` of its
        rows; empty for none.
    """

    def __init__(
        self,
        encoded: Encoded,
        layout: Layout,
        form: InputForm | None = None,
        *,
        dense: bool,
        cut: tuple[int, ...] = (),
        buckets: Buckets | None = None,
    ) -> None:
        self._cut = cut
        self.buckets = buckets if cut else None
        self._layout = layout
        self.form = form or InputForm()
        self._encoded = encoded
        self._dense = dense
        self._raw: dict[str, Any] = {} if dense else _raw_tensors(encoded)

    def tensors(
        self, statistics: Statistics, prepared: NDArray[np.float32] | None = None
    ) -> dict[str, Any]:
        """Tensors of one fold: the matrix, or the raw rows and what is the fold's own.

        Parameters
        ----------
        prepared : the fold's part of ``FitData.fold_rows``.
        """
        if self._dense:
            encoded = replace(self._encoded, prepared=prepared)
            arrays = input_rows(encoded, self._layout, statistics, self.form.names)
            matrices = {f"matrix{i}": tf.constant(array) for i, array in enumerate(arrays)}
            return {**matrices, **self._steps}
        learnt = {
            f"statistics.{name}": tf.constant(getattr(statistics, name))
            for name in _DESIGN_STATISTICS
        }
        learnt |= {f"views.{name}": tf.constant(v) for name, v in statistics.views.items()}
        if self._encoded.words is not None:
            learnt |= _known_words(self._encoded.words, statistics.word_slots)
        if prepared is not None:
            learnt["prepared"] = tf.constant(prepared)
        return {**self._raw, **learnt, **self._steps}

    @property
    def _steps(self) -> dict[str, Any]:
        """How many steps the rows of each one's bucket have."""
        if self.buckets is None:
            return {}
        return {"steps": tf.constant(np.array(self.buckets.steps, np.int32)[self.buckets.of_row])}

    @property
    def rows_of_predictions(self) -> int:
        """Rows of one block of predictions."""
        if not self._layout.words:
            return PREDICT_ROWS
        return max(1, min(PREDICT_ROWS, PREDICT_WORDS // self._layout.input_shape[0]))

    def batch(self, tensors: dict[str, Any], rows: Any) -> Any:
        """Preprocessed rows with the given numbers, as the network is called with them."""
        arrays = list(self._arrays(tensors, rows))
        if self._cut:
            n_steps = tf.reduce_max(tf.gather(tensors["steps"], rows))
            for at in self._cut:
                arrays[at] = arrays[at][:, :n_steps]
        return self.form.given(arrays)

    def _arrays(self, tensors: dict[str, Any], rows: Any) -> Sequence[Any]:
        if self._dense:
            matrices = (matrix for name, matrix in tensors.items() if name.startswith("matrix"))
            return [tf.gather(matrix, rows) for matrix in matrices]
        learnt = {name: tensors[f"statistics.{name}"] for name in _DESIGN_STATISTICS}
        n_arrays = len(self._layout.arrays)
        views = {name.removeprefix("views."): v for name, v in tensors.items() if "views." in name}
        return design_inputs(
            keras.ops,
            self._layout,
            Statistics(
                **learnt,
                word_slots=np.empty(0, np.int32),
                target_centre=np.zeros(1),
                target_scale=np.ones(1),
                target_power=np.ones(1),
                views=views,
            ),
            self.form.names,
            numbers=tf.gather(tensors["numbers"], rows),
            codes=tf.gather(tensors["codes"], rows),
            words=self._multi_hot(tensors, rows) if self._layout.words else None,
            arrays=tuple(tf.gather(tensors[f"array{i}"], rows) for i in range(n_arrays)),
            prepared=tf.gather(tensors["prepared"], rows) if self._layout.prepared else None,
            tokens=tf.gather(tensors["tokens"], rows) if self._layout.tokens else None,
        )

    def _multi_hot(self, tensors: dict[str, Any], rows: Any) -> Any:
        words = tf.RaggedTensor.from_row_splits(
            tensors["words.slots"], tensors["words.ends"], validate=False
        )
        chosen = tf.gather(words, rows)
        cells = tf.stack([chosen.value_rowids(), tf.cast(chosen.values, tf.int64)], axis=1)
        width = sum(self._layout.word_slots)
        shape = tf.stack([tf.shape(rows, tf.int64)[0], width])
        ones = tf.SparseTensor(cells, tf.ones(tf.shape(cells)[0]), shape)
        dense = tf.sparse.to_dense(ones, validate_indices=False)  # scatter_nd takes thrice as long
        return tf.ensure_shape(dense, [None, width])


_DESIGN_STATISTICS = (
    *("fill", "centre", "scale", "category_slots", "array_centre", "array_scale"),
    *("token_slots", "token_reach"),
)


def _raw_tensors(encoded: Encoded) -> dict[str, Any]:
    tensors = {"numbers": as_tensor(encoded.numbers), "codes": as_tensor(encoded.codes)}
    if encoded.tokens is not None:
        tensors["tokens"] = as_tensor(encoded.tokens)
    arrays = {f"array{i}": as_tensor(array) for i, array in enumerate(encoded.arrays)}
    return tensors | arrays


def as_tensor(array: NDArray[Any]) -> Any:
    """An array as a tensor, which reads a memory-mapped file where it is.

    ``tf.constant`` would give each process a copy of the table. The file is mapped once more, and
    written to by nobody, as an array that could be written to, which DLPack asks for.
    """
    is_file = isinstance(array, np.memmap) and isinstance(array.base, mmap)  # all of one
    if not is_file or not array.size or tf.config.list_logical_devices("GPU"):
        return tf.constant(array)
    assert isinstance(array, np.memmap)
    place = {"offset": array.offset, "shape": array.shape}
    again: Any = np.memmap(str(array.filename), array.dtype, mode="c", **place)
    return tf.experimental.dlpack.from_dlpack(again.__dlpack__())


def _known_words(words: sparse.csr_array, slot_of_word: NDArray[np.int32]) -> dict[str, Any]:
    """The slots of the words that a fold knows, row after row, and each row's end among them.

    There are as many for every fold, the last ones of no row, so that one graph takes them all.
    """
    slots = slot_of_word[words.indices]
    known = slots != ABSENT
    ends = np.concatenate([[0], np.cumsum(known)])[words.indptr]
    padded = np.zeros(len(slots), np.int32)
    padded[: ends[-1]] = slots[known]
    return {"words.slots": tf.constant(padded), "words.ends": tf.constant(ends, tf.int64)}


def row_source(
    encoded: Encoded,
    layout: Layout,
    form: InputForm,
    cut: tuple[int, ...] = (),
    buckets: Buckets | None = None,
) -> RowSource:
    """A row source that keeps a fold's matrix where it is small, and makes batches elsewhere."""
    inputs = Inputs(layout)
    shapes = [inputs[name].shape for name in form.names] or [layout.input_shape]
    size = encoded.n_rows * sum(int(np.prod(shape)) for shape in shapes) * 4
    holds_bytes = any(array.dtype == np.uint8 for array in encoded.arrays)
    limit = WORDS_LIMIT_BYTES if layout.words or holds_bytes else DENSE_LIMIT_BYTES
    return RowSource(encoded, layout, form, dense=size <= limit, cut=cut, buckets=buckets)


class Program:
    """A candidate's network, traced once.

    Parameters
    ----------
    build : gives a freshly initialised, compiled network each time it is called.
    rows : gives the rows as a network takes them that was built; target : the label order;
        batch_size : rows of a training step.
    """

    def __init__(
        self,
        build: Callable[[], Any],
        rows: Callable[[], RowSource],
        target: Target,
        batch_size: int,
    ) -> None:
        self._build = build
        self._rows = rows
        self._target = target
        self._batch_size = batch_size
        self.model: Any = None
        self.source: RowSource
        self.form: OutputForm
        self._own_rates: list[Any] = []
        self._tables: list[RateTable | None] = []
        self._has_own_rates = True
        self._epochs: dict[bool, Callable[..., Any]] = {}
        self._outputs: Callable[..., Any] | None = None

    @property
    def n_params(self) -> int:
        """Parameters of the network, trainable or not."""
        return int(whole_of(self.model).count_params())

    def start(self, seed: int) -> None:
        """Begin a replica: the state of a network built anew under the replica's seed."""
        keras.utils.set_random_seed(seed)
        model = self._built()
        if self.model is None:
            self._adopt(model)
        else:
            self.restore([variable.value for variable in _variables(model)])

    def prepare(self) -> None:
        """Have a network, under some seed, where there is none yet."""
        if self.model is None:
            self._adopt(self._built())

    def restore(self, state: State) -> None:
        """Continue from a replica's state."""
        self.prepare()
        for variable, value in zip(_variables(self.model), state, strict=True):
            variable.assign(value)

    def entered(self, before: Program, state: Sequence[Any], seed: int) -> State:
        """A replica's state as this program begins a phase with it, where another one ended.

        Parameters
        ----------
        before : the program of the phase before, in which the state is.
        seed : the replica's.
        """
        before.restore(list(state))
        finish(before.model)
        values = [variable.numpy() for variable in whole_of(before.model).variables]
        self.start(seed)  # with a fresh optimizer
        for variable, value in zip(whole_of(self.model).variables, values, strict=True):
            variable.assign(value)
        return self.state()

    def state(self) -> State:
        """The current replica's state, a copy."""
        return [variable.numpy() for variable in _variables(self.model)]

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Give the network the weights that training would end with, within a block."""
        if not ends_elsewhere(self.model.optimizer):
            yield
            return
        state = self.state()
        finish(self.model)
        yield
        self.restore(state)

    @property
    def schedules(self) -> list[Any]:
        """The learning rates of the network as it was built, where one is a schedule; else none."""
        self.prepare()
        return self._own_rates if any(map(is_schedule, self._own_rates)) else []

    def take_rates(self, rates: Sequence[Any], n_steps: int) -> None:
        """Train by other schedules from here on, or by one's own.

        A replica is trained in one of two graphs, by whose schedules it takes, so that none of its
        bits depends on which others the program trains.

        Parameters
        ----------
        rates : in the place of ``schedules``; empty for these. n_steps : that they are good for.
        """
        if not rates and self._has_own_rates:
            return
        self._has_own_rates = not rates
        self._tables = self._tables or [
            RateTable(own) if is_schedule(own) else None for own in self._own_rates
        ]
        optimizers = optimizers_in(self.model.optimizer)
        for number, (optimizer, table) in enumerate(zip(optimizers, self._tables, strict=True)):
            if table is not None and rates:
                table.fill(rates[number], n_steps, eagerly=self.model.run_eagerly)
            if table is not None:
                optimizer.learning_rate = table if rates else self._own_rates[number]

    def train_epoch(
        self, tensors: dict[str, Any], targets: dict[str, Any], order: NDArray[np.integer[Any]]
    ) -> float:
        """One pass over the training rows in the given order; the loss as Keras reports it.

        Parameters
        ----------
        targets : of all rows, ``y`` and perhaps ``weights``, what each weighs in the loss.
        """
        arguments = tensors, targets, tf.constant(order, tf.int32)
        if self._has_own_rates not in self._epochs:
            self._epochs[self._has_own_rates] = self._traced(self._epoch_steps, *arguments)
        self.model.reset_metrics()
        return float(self._epochs[self._has_own_rates](*arguments))

    def outputs(
        self, tensors: dict[str, Any], rows: NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        """Raw outputs (n, n_units) of the given rows in inference mode."""
        if self.source.buckets is not None:
            return self._outputs_by_length(tensors, rows, self.source.buckets)
        return self._outputs_of(tensors, rows)

    def _outputs_by_length(
        self, tensors: dict[str, Any], rows: NDArray[np.integer[Any]], buckets: Buckets
    ) -> NDArray[np.float32]:
        """Each row with as many steps as its bucket has, whatever the other rows are."""
        parts = [np.flatnonzero(buckets.of_row[rows] == b) for b in range(len(buckets.steps))]
        outputs = [self._outputs_of(tensors, rows[part]) for part in parts if len(part)]
        return np.concatenate(outputs)[np.argsort(np.concatenate(parts))]

    def _outputs_of(
        self, tensors: dict[str, Any], rows: NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        numbers = tf.constant(rows, tf.int32)
        self._outputs = self._outputs or self._traced(self._inference, tensors, numbers)
        size = self.source.rows_of_predictions
        blocks = [
            self._outputs(tensors, numbers[first : first + size])
            for first in range(0, len(rows), size)
        ]
        return np.concatenate([block.numpy() for block in blocks])

    def _built(self) -> Any:
        model = self._build()
        model.optimizer.build(model.trainable_variables)
        return model

    def _adopt(self, model: Any) -> None:
        self.model = model
        self.source = self._rows()
        self.form = OutputForm.of(model, self._target)
        self._own_rates = rates_in(model.optimizer)
        # Metrics are computed on whole folds; computing them per batch as well would be waste.
        keras_internals.leave_out_compiled_metrics(model)

    def _traced(self, function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
        """The function as one graph that takes any number of row numbers, the last argument.

        Without AutoGraph, as in Keras's own trainer: it fails on Python 3.13 (TensorFlow 2.21).
        """
        if self.model.run_eagerly:
            return function
        specs = tf.nest.map_structure(tf.TensorSpec.from_tensor, arguments[:-1])
        numbers = tf.TensorSpec([None], tf.int32)
        graph = tf.function(function, autograph=False)
        concrete: Callable[..., Any] = graph.get_concrete_function(*specs, numbers)
        return concrete

    def _epoch_steps(self, tensors: dict[str, Any], targets: dict[str, Any], order: Any) -> Any:
        batch_size = self._batch_size
        n_rows = tf.shape(order)[0]

        def step(first: Any, loss: Any) -> tuple[Any, Any]:
            last = tf.minimum(first + batch_size, n_rows)
            return first + batch_size, self._train_step(tensors, targets, order[first:last])

        start = tf.constant(0), tf.constant(0.0)
        _, loss = tf.while_loop(lambda first, loss: first < n_rows, step, start)
        return loss

    def _train_step(self, tensors: dict[str, Any], targets: dict[str, Any], rows: Any) -> Any:
        y = self.form.per_output(tf.gather(targets["y"], rows))
        batch: tuple[Any, ...] = self.source.batch(tensors, rows), y
        if "weights" in targets:
            weights = tf.gather(targets["weights"], rows)
            batch = *batch, [weights] * len(y) if isinstance(y, list) else weights
        return tf.cast(self.model.train_step(batch)["loss"], tf.float32)

    def _inference(self, tensors: dict[str, Any], rows: Any) -> Any:
        outputs = self.model(self.source.batch(tensors, rows), training=False)
        return side_by_side(keras.ops, outputs)


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
