"""What runs in a worker with Keras on JAX: the test process itself has Keras on TensorFlow."""

from contextlib import nullcontext
from unittest import mock

import numpy as np


def keras_curves(job, candidate, position):
    """One replica trained by Keras's own ``fit``: validation loss and reported loss per epoch.

    Same initial weights and batch order as the engines: the network is built under the replica's
    seed, and each epoch's rows are put in order beforehand.
    """
    from hpsearch.engines import fused
    from hpsearch.engines.base import batch_order, read_fit_data, replica_seed, training_target
    from hpsearch.preprocessing import design_rows

    data = read_fit_data(job.data_path)
    fold, statistics = data.folds[position], data.statistics[position]
    configuration = fused.Configuration(job, data, candidate.values)
    seed = replica_seed(job.options.seed, candidate.trial, fold.repeat, fold.fold)
    model = configuration.build(seed)
    weights = model.get_weights()
    x = design_rows(data.encoded, data.layout, statistics)
    y = training_target(data.target, data.y, statistics)
    loss, outputs = [], []
    for epoch in range(configuration.settings.epochs):
        rows = fold.train[batch_order(seed, epoch, len(fold.train))]
        batch_size = configuration.settings.batch_size
        history = model.fit(x[rows], y[rows], batch_size=batch_size, shuffle=False, verbose=0)
        loss.append(history.history["loss"][0])
        outputs.append(model.predict(x, verbose=0))
    return weights, np.array(loss), np.stack(outputs)


def fused_results(job, units, effort=None):
    """Results of fused units trained in this worker, by (trial, fold position)."""
    from hpsearch.engines import fused

    results = {}
    chosen = mock.patch.object(fused, "_effort", return_value=effort) if effort else nullcontext()
    with chosen:
        trained = [result for unit in units for result in fused.train_fused_unit(job, unit)]
    for result in trained:
        assert result.error is None, result.traceback
        for fold in result.folds:
            results[result.unit.candidate.trial, fold.position] = fold
    return results


def sketches(job, candidates):
    """Sketches of candidates made in this worker."""
    from hpsearch.engines import fused

    return [fused.sketch_candidate(job, candidate) for candidate in candidates]


def unit_errors(job, units):
    """Errors of fused units trained in this worker, by trial; None where there is none."""
    from hpsearch.engines import fused

    return {
        result.unit.candidate.trial: result.error
        for unit in units
        for result in fused.train_fused_unit(job, unit)
    }


def initial_values(job, values, seeds):
    """Initial states of a configuration's replicas by recipe and by building, seed by seed."""
    from hpsearch.engines import fused
    from hpsearch.engines.base import read_fit_data
    from hpsearch.engines.initial import values_of

    configuration = fused.Configuration(job, read_fit_data(job.data_path), values)
    recipe = configuration._network_and_initial_values[1]
    built = [values_of(configuration.build(seed)) for seed in seeds]
    return None if recipe is None else [recipe.under(seed) for seed in seeds], built
