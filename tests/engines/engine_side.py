"""What runs beside an engine, in a process that has the engine's Keras backend.

The reference engine trains in the test process, which has Keras on TensorFlow; the fused engine
in a worker process with Keras on JAX.
"""

from contextlib import nullcontext
from dataclasses import replace
from unittest import mock

import numpy as np


class WorkersHere:
    """Stands for ``Workers``: each task in this process."""

    def map_unordered(self, function, tasks):
        return map(function, tasks)


def train(engine, job, unit):
    """Train a work unit with an engine whose workers are this process; one result for all of it."""
    from hpsearch.engines import engine_kind
    from hpsearch.engines.fit_data import read_fit_data

    def fall_back(work, reason):
        raise AssertionError(f"the {engine} engine cannot train this: {reason}")

    data = read_fit_data(job.data_path)
    made = engine_kind(engine).make(WorkersHere(), job, data, fall_back)
    results = sorted(made.score([unit]), key=lambda result: unit.folds.index(result.unit.folds[0]))
    failed = next((result for result in results if result.error is not None), None)
    folds = {fold.position: fold for result in results for fold in result.folds}
    return replace(
        failed or results[0],
        unit=unit.without_states(),
        folds=() if failed else tuple(folds[position] for position in unit.folds),
    )


def refit(engine, job, candidate, n_steps, number=0):
    """Weights after ``n_steps`` optimizer steps on all rows, under the seed of a number."""
    from hpsearch.engines import engine_kind

    return engine_kind(engine).train_on_all_rows(job, candidate, n_steps, number).get_weights()


def keras_curves(job, candidate, position, sample_weight=None, class_weight=None):
    """One replica trained by Keras's own ``fit``: its loss, and raw outputs of all rows, by epoch.

    Same initial weights and batch order as the engine: the network is built under the replica's
    seed, and each epoch's rows are put in order beforehand. Several outputs go side by side.
    Weights are those that ``fit`` takes.
    """
    import keras

    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.input_form import InputForm
    from hpsearch.engines.plan import batch_order, replica_seed

    data = read_fit_data(job.data_path)
    fold = data.folds[position]
    seed = replica_seed(job.options.seed, candidate.trial, fold.repeat, fold.fold)
    model, settings = network(job, data, candidate, seed, n_train=len(fold.train))
    form = InputForm.on(model, data.layout)
    statistics = data.statistics_of(position, form.names)
    x = form.rows(data.encoded_in(position), data.layout, statistics)
    size = settings.batch_size

    def rows_in(numbers):
        return keras.tree.map_structure(lambda array: array[numbers], x)

    def rows_of(epoch):
        return fold.train[batch_order(seed, epoch, len(fold.train))]

    def fit(epoch):
        """Train the next epoch, or all up to it: averages of weights replace them after a fit."""
        if not model.optimizer.use_ema:
            rows = rows_of(epoch)
            y = targets(model, data, statistics, rows)
            weights = None if sample_weight is None else sample_weight[rows]
            history = model.fit(
                rows_in(rows),
                y,
                size,
                sample_weight=weights,
                class_weight=class_weight,
                shuffle=False,
                verbose=0,
            )
            return model, history
        other, _ = network(job, data, candidate, seed, n_train=len(fold.train))
        batches = [
            (
                rows_in(batch),
                targets(model, data, statistics, batch),
            )
            for past in range(epoch + 1)
            for batch in np.split(rows_of(past), range(size, len(fold.train), size))
        ]
        n_steps = len(batches) // (epoch + 1)
        steps = {"epochs": epoch + 1, "steps_per_epoch": n_steps, "shuffle": False, "verbose": 0}
        return other, other.fit(iter_of(batches), **steps)

    losses, outputs = [], []
    for epoch in range(settings.epochs):
        trained, history = fit(epoch)
        losses.append(history.history["loss"][-1])
        predicted = keras.tree.flatten(trained.predict(x, verbose=0))
        outputs.append(np.concatenate(predicted, axis=1))
    return np.array(losses), np.stack(outputs)


def keras_phases(job, candidate, position, phases):
    """As ``keras_curves``, phase after phase: each a ``fit`` of its own with some layers frozen.

    ``phases`` are (epochs, names of frozen layers, what makes the optimizer).
    """
    import keras

    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.plan import batch_order, replica_seed
    from hpsearch.preprocessing import design_rows

    data = read_fit_data(job.data_path)
    fold, statistics = data.folds[position], data.statistics[position]
    seed = replica_seed(job.options.seed, candidate.trial, fold.repeat, fold.fold)
    model, settings = network(job, data, candidate, seed, n_train=len(fold.train))
    x = design_rows(data.encoded, data.layout, statistics)
    losses, outputs, epoch = [], [], 0
    for n_epochs, frozen, optimizer in phases:
        for layer in model._flatten_layers():
            layer.trainable = False  # since TensorFlow's attribute ignores what it is already
            layer.trainable = True
        for layer in model._flatten_layers():
            if layer.name in frozen:
                layer.trainable = False
        model.compile(optimizer(), model.loss)
        for _ in range(n_epochs):
            rows = fold.train[batch_order(seed, epoch, len(fold.train))]
            y = targets(model, data, statistics, rows)
            history = model.fit(x[rows], y, settings.batch_size, shuffle=False, verbose=0)
            losses.append(history.history["loss"][-1])
            outputs.append(np.concatenate(keras.tree.flatten(model.predict(x, verbose=0)), axis=1))
            epoch += 1
    return np.array(losses), np.stack(outputs), model.get_weights()


def initial_weights(job, candidate, seed):
    """Weights of a candidate's network that is built under a seed."""
    from hpsearch.engines.fit_data import read_fit_data

    return network(job, read_fit_data(job.data_path), candidate, seed)[0].get_weights()


def keras_refit_in_phases(job, candidate, n_steps, phases):
    """As ``keras_refit``, with so many steps in each phase; ``phases`` as ``keras_phases``."""
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.plan import REFIT, batch_order, replica_seed
    from hpsearch.preprocessing import design_rows

    data = read_fit_data(job.data_path)
    n_rows, statistics = data.encoded.n_rows, data.refit_statistics
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, 0)
    model, settings = network(job, data, candidate, seed, n_train=n_rows)
    x = design_rows(data.encoded, data.layout, statistics)
    per_epoch, size, epoch = -(-n_rows // settings.batch_size), settings.batch_size, 0
    for steps, (_, frozen, optimizer) in zip(n_steps, phases, strict=False):
        for layer in model._flatten_layers():
            layer.trainable = False  # since TensorFlow's attribute ignores what it is already
            layer.trainable = True
        for layer in model._flatten_layers():
            if layer.name in frozen:
                layer.trainable = False
        model.compile(optimizer(), model.loss)
        for step in range(steps):
            past, number = divmod(step, per_epoch)
            rows = batch_order(seed, epoch + past, n_rows)[number * size : (number + 1) * size]
            model.train_on_batch(x[rows], targets(model, data, statistics, rows))
        epoch += -(-steps // per_epoch)
    return model.get_weights()


def keras_curves_by_length(job, candidate, position):
    """``keras_curves``, in batches of like length, each cut to the longest bucket of its rows."""
    import keras

    from hpsearch.engines.buckets import Batching
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.plan import replica_seed
    from hpsearch.preprocessing import design_rows

    data = read_fit_data(job.data_path)
    fold = data.folds[position]
    seed = replica_seed(job.options.seed, candidate.trial, fold.repeat, fold.fold)
    model, settings = network(job, data, candidate, seed, n_train=len(fold.train))
    statistics = data.statistics[position]
    x = design_rows(data.encoded, data.layout, statistics)
    batching = Batching(data.buckets, settings.batch_size, job.options.seed)
    losses, outputs = [], []
    for epoch in range(settings.epochs):
        found = batching.epoch(seed, epoch, fold.train)
        total = 0.0
        for rows, bucket in zip(found.batches, found.buckets, strict=True):
            cut = x[rows][:, : data.buckets.steps[bucket]]
            loss = model.train_on_batch(cut, targets(model, data, statistics, rows))
            model.reset_metrics()
            total += float(keras.tree.flatten(loss)[0]) * len(rows)
        losses.append(total / len(fold.train))
        each = zip(x, data.buckets.of_row, strict=True)
        cut = [row[None, : data.buckets.steps[bucket]] for row, bucket in each]
        outputs.append(np.concatenate([np.asarray(model(row, training=False)) for row in cut]))
    return np.array(losses), np.stack(outputs)


def iter_of(batches):
    """A generator, which is what Keras takes as batches."""
    yield from batches


def keras_refit(job, candidate, n_steps, number=0):
    """Weights after ``n_steps`` steps of Keras's own training on all rows.

    A network of any length gets batches of rows of like length, cut to it.
    """
    from hpsearch.engines.buckets import Batching, epoch_order
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.plan import REFIT, replica_seed
    from hpsearch.preprocessing import design_rows

    data = read_fit_data(job.data_path)
    n_rows, statistics = data.encoded.n_rows, data.refit_statistics
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, number)
    model, settings = network(job, data, candidate, seed, n_train=n_rows)
    x = design_rows(data.encoded, data.layout, statistics)
    buckets = data.buckets if model.inputs[0].shape[1] is None else None
    batching = buckets and Batching(buckets, settings.batch_size, job.options.seed)
    steps_per_epoch = -(-n_rows // settings.batch_size)
    for step in range(n_steps):
        epoch, number = divmod(step, steps_per_epoch)
        first = number * settings.batch_size
        order = epoch_order(batching, seed, epoch, n_rows)
        rows = order[first : first + settings.batch_size]
        longest = buckets.steps[buckets.of_row[rows].max()] if buckets else None
        model.train_on_batch(x[rows][:, :longest], targets(model, data, statistics, rows))
    model.optimizer.finalize_variable_values(model.trainable_variables)  # as ``fit`` does
    return model.get_weights()


def network(job, data, candidate, seed, n_train=None):
    """A candidate's network with the initial weights of a seed, and its batch size and epochs."""
    if on_jax():
        from hpsearch.engines.fused import configuration as fused_configuration

        configuration = fused_configuration.FusedConfiguration(
            job, data, candidate.values, n_train=n_train
        )
        return configuration.build(seed), configuration.settings
    import keras

    from hpsearch.engines.fit_data import problem_of, smallest_training_set
    from hpsearch.space.space import Space, fit_settings

    options = job.options
    settings = fit_settings(candidate.values, options.batch_size, options.epochs)
    n_train = n_train or smallest_training_set(data.folds)
    problem = problem_of(data.target, data.layout, n_train=n_train, epochs=settings.epochs)
    keras.utils.set_random_seed(seed)
    model = Space.from_bytes(job.space).build(candidate.values, problem)
    # Ahead of ``fit``: built within its graph, a schedule-free optimizer loses what it begins with.
    model.optimizer.build(model.trainable_variables)
    return model, settings


def targets(model, data, statistics, rows):
    """The target of some rows as plain Keras would be given it: an array for each output."""
    from hpsearch.preprocessing.transforms import transformed

    y = data.y[rows]
    if data.target.kind == "count":
        units = 1.0 if data.encoded.exposure is None else data.encoded.exposure[rows, None]
        y = y / units / statistics.target_scale
    elif data.target.kind in ("regression", "quantile"):
        y = transformed(data.target.transform, y, statistics.target_power)
        y = (y - statistics.target_centre) / statistics.target_scale
    if getattr(model.loss, "name", model.loss) == "categorical_crossentropy":
        y = np.eye(model.output_shape[-1], dtype="float32")[y]
    elif data.target.kind == "binary":
        y = y.reshape(-1, 1)
    if len(model.outputs) == 1:
        return y
    widths = [output.shape[1] for output in model.outputs]
    return np.split(y, np.cumsum(widths)[:-1], axis=1)


def on_jax():
    import keras

    return keras.backend.backend() == "jax"


def probe(job):
    """The probe of a job's default network; gives what it found."""
    from hpsearch.engines.fit_data import problem_of, read_fit_data
    from hpsearch.engines.probe import probe_space

    data = read_fit_data(job.data_path)
    problem = problem_of(data.target, data.layout, n_train=20, epochs=job.options.epochs)
    return probe_space(job.space, problem, data.target, {}, {}, must_save=True)


# -- the fused engine alone


def fused_results(job, units, effort=None):
    """Results of fused units trained in this worker, by (trial, fold position)."""
    from hpsearch.engines.fused import training as fused_training

    results = {}
    chosen = (
        mock.patch.object(fused_training, "effort_of", return_value=effort)
        if effort
        else nullcontext()
    )
    with chosen:
        trained = [
            result for unit in units for result in fused_training.train_fused_unit(job, unit)
        ]
    for result in trained:
        assert result.error is None, result.traceback
        for fold in result.folds:
            results[result.unit.candidate.trial, fold.position] = fold
    return results


def unpacked_results(job, units):
    """The same with every variable held by itself, as in large networks."""
    from hpsearch.engines.fused import packing

    with mock.patch.object(packing, "PACKED_ELEMENTS", 0):
        return fused_results(job, units)


def sketches(job, candidates):
    """Sketches of candidates made in this worker."""
    from hpsearch.engines.fused import engine as fused

    return [fused.sketch_candidate(job, candidate) for candidate in candidates]


def unit_errors(job, units):
    """Errors of fused units trained in this worker, by trial; None where there is none."""
    from hpsearch.engines.fused import training as fused_training

    return {
        result.unit.candidate.trial: result.error
        for unit in units
        for result in fused_training.train_fused_unit(job, unit)
    }


def initial_values(job, values, seeds):
    """Initial states of a configuration's replicas by recipe and by building, seed by seed."""
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.fused import configuration as fused_configuration
    from hpsearch.engines.initial import values_of

    configuration = fused_configuration.FusedConfiguration(
        job, read_fit_data(job.data_path), values
    )
    recipe = configuration._network_and_initial_values[1]
    built = [values_of(configuration.build(seed)) for seed in seeds]
    return None if recipe is None else [recipe.under(seed) for seed in seeds], built


def weights_and_results(job, unit):
    """Initial weights of a unit's replicas, and their results, by (trial, fold position)."""
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.fused import configuration as fused_configuration

    data = read_fit_data(job.data_path)
    results = fused_results(job, [unit])
    weights = {}
    for part in unit.parts:
        configuration = fused_configuration.FusedConfiguration(job, data, part.candidate.values)
        for position in part.folds:
            seed = results[part.candidate.trial, position].seed
            weights[part.candidate.trial, position] = configuration.build(seed).get_weights()
    return weights, results


def results_in_blocks(job, unit, block_bytes, predict_rows):
    """Results of a unit that trains and predicts in blocks of other sizes."""
    from hpsearch.engines.fused import program as fused_program
    from hpsearch.engines.fused import training as fused_training

    key = f"{unit.key}, {predict_rows} rows"  # what is compiled depends on them
    with (
        mock.patch.object(fused_training, "BLOCK_BYTES", block_bytes),
        mock.patch.object(fused_program, "PREDICT_ROWS", predict_rows),
    ):
        return fused_results(job, [fused_training.FusedUnit(unit.parts, unit.n_replicas, key)])


def refit_in_blocks(job, candidate, n_steps, block_bytes):
    """Weights of a refit whose calls train as many epochs as fit into so many bytes."""
    from hpsearch.engines.fused import training as fused_training

    with mock.patch.object(fused_training, "BLOCK_BYTES", block_bytes):
        return refit("fused", job, candidate, n_steps)


def compiled_programs(job, unit):
    """The text of each program that a unit compiles, as XLA runs it."""
    from hpsearch.engines.fused import training as fused_training

    known = set(map(id, fused_training._programs.values()))
    fused_results(job, [unit])
    made = [p for p in fused_training._programs.values() if id(p) not in known]
    return [program._compiled.as_text() for program in made]


def copies_of_the_table(job):
    """Whether each part of the table on the device is another one than the mapped file's."""
    import jax

    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.fused.program import Table

    data = read_fit_data(job.data_path)
    table = Table.of(data.encoded, data.layout, None)
    assert jax.default_backend() == "cpu"
    ours, theirs = [table.numbers, *table.arrays], [data.encoded.numbers, *data.encoded.arrays]
    return [a.unsafe_buffer_pointer() != b.ctypes.data for a, b in zip(ours, theirs, strict=True)]


def places_are_mapped(job, position):
    """Whether the places of a fold's words are those in the mapped file of all workers."""
    from hpsearch.engines.fit_data import read_fit_data
    from hpsearch.engines.fused import bags
    from hpsearch.engines.input_form import InputForm

    data = read_fit_data(job.data_path)
    columns = bags.Columns.of(data.layout, InputForm())
    places = bags.places_of(data.bags, columns, data.statistics[position].word_slots)
    return places.unsafe_buffer_pointer() == data.bags.pieces.ctypes.data


def draw_where_numpy_cannot():
    """Parameters of a network: one layer draws while it is traced, one has weights of no seed."""
    import keras

    from hpsearch.engines.initial import numpy_draws

    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(0)

        def call(self, x):
            return x + keras.random.normal((1,), seed=self.seeds)

    class Unseeded(keras.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return keras.random.normal(shape, dtype=dtype)

    with numpy_draws():
        inputs = keras.Input((3,))
        outputs = keras.layers.Dense(2, kernel_initializer=Unseeded())(Noise()(inputs))
        return keras.Model(inputs, outputs).count_params()


def drop_of(rates):
    """What dropout layers of these rates compute with."""
    from hpsearch.engines.fused.layers import drop_inputs

    return drop_inputs(np.float32(rates))


def predicted_again(job, candidate, fold, rows):
    """What a fold's network, made again of its weights, predicts of rows."""
    from hpsearch.scoring.fold_networks import FoldModel, FoldNetwork

    made = FoldModel.of(job, candidate, FoldNetwork(fold.position, fold.network, fold.predictions))
    return made.predict(rows)


def train_whole(engine, job, unit):
    """As ``train``, with every network trained whole, a frozen base in each epoch."""
    with mock.patch("hpsearch.engines.base_outputs.cut_of", return_value=None):
        return train(engine, job, unit)


def refit_whole(engine, job, candidate, n_steps):
    """As ``refit``, with the network trained whole."""
    with mock.patch("hpsearch.engines.base_outputs.cut_of", return_value=None):
        return refit(engine, job, candidate, n_steps)
