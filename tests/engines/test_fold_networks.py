"""A fold's network as it stood after an epoch: trained again to the bit, on both engines."""

import numpy as np
import pytest

from hpsearch.engines.contract import Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.space.space import Candidate

FOLDS, EPOCHS, BLOCK = (0, 1, 2), 7, 2


def build(hp, problem):
    """A network with everything that a training carries on, and a prediction must not forget."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(6, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    averaged = bool(hp.Int("averaged", 0, 1))
    rate = keras.optimizers.schedules.CosineDecay(0.05, 40)
    model.compile(keras.optimizers.Adam(rate, use_ema=averaged, ema_momentum=0.5), problem.loss)
    return model


def cut(whole, epoch):
    return [fold.between(0, epoch) for fold in whole.folds]


@pytest.mark.parametrize(
    ("kind", "block", "averaged", "epochs"),
    [("regression", None, 1, (4,)), ("multiclass", BLOCK, 0, (3,)), ("count", None, 0, (1,))],
    ids=["averages of weights", "a race with rungs", "counts by their exposure"],
)
def test_a_network_of_any_epoch_comes_of_the_bits_of_the_search(
    engine, table, make_job, kind, block, averaged, epochs
):
    job = make_job(table(kind), build, epochs=EPOCHS)
    candidate = Candidate(3, {"averaged": averaged})
    whole = engine.train(job, WorkUnit(candidate, FOLDS, Span(block=block)))
    assert whole.error is None, whole.traceback
    assert all(fold.network is None for fold in whole.folds)
    data = read_fit_data(job.data_path)
    for epoch in epochs:
        unit = WorkUnit(candidate, FOLDS, Span(0, epoch, block), keeps_networks=True)
        again = engine.train(job, unit)
        for fold, was in zip(again.folds, cut(whole, epoch), strict=True):
            np.testing.assert_array_equal(fold.predictions, was.predictions)
            assert fold.network.engine == engine.name
            assert fold.state is None
            rows = data.encoded.take(data.folds[fold.position].validation)
            found = engine.call("predicted_again", job, candidate, fold, rows)
            scale = np.ptp(was.predictions[-1])
            np.testing.assert_allclose(found, was.predictions[-1], atol=1e-6 * scale, rtol=1e-5)


def test_patience_does_not_end_a_training_up_to_the_best_epoch(engine, table, make_job):
    job = make_job(table("regression"), build, epochs=30, patience=3)
    candidate = Candidate(0, {"averaged": 0})
    whole = engine.train(job, WorkUnit(candidate, FOLDS))
    best = 1 + int(np.argmin(np.mean([f.validation["mae"] for f in whole.folds], axis=0)))
    unit = WorkUnit(candidate, FOLDS, Span(0, best), keeps_networks=True)
    for fold, was in zip(engine.train(job, unit).folds, cut(whole, best), strict=True):
        np.testing.assert_array_equal(fold.predictions, was.predictions)
        assert fold.network is not None
