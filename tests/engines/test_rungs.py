"""Epochs in parts: stopping at a rung and going on, on both engines."""

import numpy as np
import pytest

from hpsearch.engines.contract import Span, WorkUnit
from hpsearch.scoring.trials import joined_folds
from hpsearch.space.space import Candidate

FOLDS = (0, 1, 2)
BLOCK = 2
EPOCHS = 5


@pytest.fixture(scope="module")
def job(table, make_job):
    def space(hp, problem):
        """A network with everything that a state must hold: moments, averages and seeds."""
        import keras

        rate = hp.Float("rate", 0.001, 100.0)
        layers = [
            keras.Input(problem.input_shape),
            keras.layers.Dense(6, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.4),
            keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
        ]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, 40)),
                      problem.loss)  # fmt: skip
        return model

    return make_job(table("multiclass"), space, epochs=EPOCHS)


@pytest.fixture(scope="module")
def train_unit(engine):
    def train_unit(job, span, states=None, **values):
        unit = WorkUnit(Candidate(3, values or {"rate": 0.05}), FOLDS, span, states)
        return engine.train(job, unit)

    return train_unit


def assert_same_curves(one, other):
    for left, right in zip(one, other, strict=True):
        assert (left.position, left.seed, left.epochs) == (right.position, right.seed, right.epochs)
        np.testing.assert_array_equal(left.train_loss, right.train_loss)
        for name, curve in left.validation.items():
            np.testing.assert_array_equal(curve, right.validation[name])
            np.testing.assert_array_equal(left.train[name], right.train[name])
        np.testing.assert_array_equal(left.predictions, right.predictions)
        assert left.predicted_epochs == right.predicted_epochs


@pytest.fixture(scope="module")
def rungs(job, train_unit):
    """The same training: whole, up to a rung, on from there, and on from there without states."""
    whole = train_unit(job, Span(0, None, BLOCK))
    first = train_unit(job, Span(0, BLOCK, BLOCK))
    states = {fold.position: fold.state for fold in first.folds}
    rest = Span(BLOCK, None, BLOCK)
    return whole, first, train_unit(job, rest, states), train_unit(job, rest)


def test_going_on_from_a_rung_gives_the_bits_of_a_training_in_one_go(rungs):
    whole, first, rest, _ = rungs
    assert whole.error is None
    assert_same_curves(joined_folds([rest, first]), joined_folds([whole]))


def test_a_rung_whose_states_are_gone_is_trained_again_to_the_same_bits(rungs):
    *_, rest, again = rungs
    assert [fold.since for fold in again.folds] == [BLOCK] * len(FOLDS)
    assert_same_curves(again.folds, rest.folds)


def test_only_a_training_that_may_go_on_gives_its_states(rungs):
    whole, first, rest, again = rungs
    assert all(fold.state is not None for fold in first.folds)
    for result in (whole, rest, again):
        assert all(fold.state is None for fold in result.folds)


def test_results_name_the_span_without_the_states(rungs):
    _, first, rest, _ = rungs
    assert first.unit.span == Span(0, BLOCK, BLOCK)
    assert (rest.unit.span, rest.unit.states) == (Span(BLOCK, None, BLOCK), None)


def test_rungs_of_several_steps_give_the_same_bits(job, train_unit, rungs):
    whole = rungs[0]
    first = train_unit(job, Span(0, 2 * BLOCK, BLOCK))
    states = {fold.position: fold.state for fold in first.folds}
    rest = train_unit(job, Span(2 * BLOCK, None, BLOCK), states)
    assert [fold.epochs for fold in rest.folds] == [1] * len(FOLDS)
    assert_same_curves(joined_folds([first, rest]), joined_folds([whole]))


def test_a_divergence_after_a_rung_names_the_epoch_of_the_whole_training(table, make_job, engine):
    def diverging(hp, problem):
        import keras

        model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Float("rate", 0.0, 1e9)), "mse")
        return model

    job = make_job(table("regression"), diverging, epochs=9)
    candidate = Candidate(0, {"rate": 30.0})
    whole = engine.train(job, WorkUnit(candidate, (0,), Span(0, None, 1)))
    epoch = int(whole.error.split("in epoch ")[1].split()[0])
    assert epoch > 1, "it must diverge after the first rung"
    span = Span(0, epoch - 1, 1)
    first = engine.train(job, WorkUnit(candidate, (0,), span))
    states = {fold.position: fold.state for fold in first.folds}
    rest = WorkUnit(candidate, (0,), Span(epoch - 1, None, 1), states)
    assert engine.train(job, rest).error == whole.error
