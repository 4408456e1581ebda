"""A training in phases is what Keras does in several fits, with either engine."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.contract import WHOLE, Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.scoring.trials import joined_folds
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the space goes to a worker

FOLDS = (0, 1, 2)
EPOCHS = 5
CANDIDATE = Candidate(0, {"rate": 0.05})


def build(hp, problem):
    """A base that is trained already, batch normalisation in it, and a head that is new."""
    import keras

    hp.Float("rate", 0.001, 1.0)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(5, "tanh", name="low"),
        keras.layers.BatchNormalization(name="normal"),
        keras.layers.Dense(4, "tanh", name="high"),
    ]
    base = keras.Sequential(layers, name="base")
    trained = np.random.default_rng(5)
    base.trainable = False  # which the phases have their own word on
    base.set_weights([trained.uniform(0.2, 1.0, weight.shape) for weight in base.get_weights()])
    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.BatchNormalization(name="head_normal")(base(rows))
    last = keras.layers.Dense(
        problem.n_outputs, activation=problem.output_activation, name="head_last"
    )
    model = keras.Model(rows, last(hidden))
    model.compile(adam(), problem.loss)
    return model


def adam():
    import keras

    return keras.optimizers.Adam(0.02)


def slow():
    import keras

    return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.05, 9), momentum=0.9)


def phases(hp, problem):
    import hpsearch

    return [
        hpsearch.Phase(0.4, ["head*"]),
        hpsearch.Phase(0.6, ["head*", "base/high", "base/normal"], slow()),
    ]


build.phases = phases
AS_KERAS_HAS_THEM = [
    (2, ("low", "normal", "high"), adam),
    (3, ("low", "normal"), slow),
]


@pytest.fixture(scope="module")
def job(table, make_job):
    return make_job(table("binary"), build, epochs=EPOCHS)


@pytest.fixture(scope="module")
def train_unit(engine, job):
    def train_unit(span=WHOLE, states=None, job=job, folds=FOLDS, **more):
        return engine.train(job, WorkUnit(CANDIDATE, folds, span, states, **more))

    return train_unit


@pytest.fixture(scope="module")
def whole(train_unit):
    result = train_unit(keeps_networks=True, span=Span(until=EPOCHS), folds=(1,))
    assert result.error is None, result.traceback
    return result


def test_curves_predictions_and_weights_are_those_of_keras(whole, job, engine):
    [fold] = whole.folds
    losses, outputs, weights = engine.call("keras_phases", job, CANDIDATE, 1, AS_KERAS_HAS_THEM)
    validation = read_fit_data(job.data_path).folds[1].validation
    assert_allclose(fold.train_loss, losses, rtol=2e-5)
    assert_allclose(fold.predictions, outputs[:, validation, 0], rtol=2e-5)
    for mine, theirs in zip(fold.network.weights, weights, strict=True):
        assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    assert whole.phases == (2, 5)


def test_what_is_frozen_stays_to_the_bit(whole, job, engine):
    before = engine.call("initial_weights", job, CANDIDATE, whole.folds[0].seed)
    after = whole.folds[0].network.weights
    for number in range(6):  # of "low" and "normal": kernel, bias; scale, offset, mean, variance
        assert_array_equal(after[number], before[number])
    assert all(np.any(a != b) for a, b in list(zip(after, before, strict=True))[6:8])


@pytest.fixture(scope="module")
def in_rungs(train_unit):
    return train_unit(Span(0, None, 1), folds=(1,))


@pytest.mark.parametrize("rung", [2, 3])
def test_going_on_from_a_rung_at_a_phases_end_or_in_it_gives_the_same_bits(
    train_unit, in_rungs, rung
):
    first = train_unit(Span(0, rung, 1), folds=(1,))
    rest = train_unit(Span(rung, None, 1), {1: first.folds[0].state}, folds=(1,))
    [fold] = joined_folds([first, rest])
    assert_array_equal(fold.train_loss, in_rungs.folds[0].train_loss)
    assert_array_equal(fold.predictions, in_rungs.folds[0].predictions)


def test_a_rung_whose_states_are_gone_is_trained_again(train_unit, in_rungs):
    [again] = train_unit(Span(3, None, 1), folds=(1,)).folds
    assert_array_equal(again.train_loss, in_rungs.folds[0].train_loss[3:])


def test_patience_counts_in_the_last_phase_alone(train_unit, job):
    patient = replace(job, options=replace(job.options, patience=1))
    result = train_unit(job=patient)
    assert result.error is None, result.traceback
    assert {fold.epochs for fold in result.folds} <= {3, 4, 5}
    assert {fold.since for fold in result.folds} == {0}
    curve = np.mean([fold.validation["log_loss"] for fold in result.folds], axis=0)
    assert len(curve) == 5 or curve[-1] >= curve[2:-1].min()


@pytest.mark.parametrize(("n_steps", "in_phases"), [(5, (5,)), (16, (8, 8))])
def test_a_refit_takes_its_steps_in_phases(job, engine, n_steps, in_phases):
    weights = engine.call("refit", engine.name, job, CANDIDATE, n_steps)
    expected = engine.call("keras_refit_in_phases", job, CANDIDATE, in_phases, AS_KERAS_HAS_THEM)
    for mine, theirs in zip(weights, expected, strict=True):
        assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_too_few_epochs_for_the_phases_fail_the_trial_in_one_line(table, make_job, engine):
    job = make_job(table("binary"), build, epochs=1)
    result = engine.train(job, WorkUnit(CANDIDATE, (0,)))
    assert result.error.startswith("Each of 2 phases needs an epoch; there are 1.")
