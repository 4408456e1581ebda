"""Layers of one's own train as in Keras with each engine, or `auto` says why one can't."""

import sys
from pathlib import Path

import cloudpickle
import pytest
from numpy.testing import assert_allclose

from hpsearch.engines.fit_data import read_fit_data
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the space goes to a worker

SPACE = Path(__file__).parent.parent / "own_layers" / "own_space.py"


def test_a_network_of_ones_own_layers_trains_as_in_keras(train, table, make_job, engine):
    # Of 26 rows 17 or 18 train in batches of 8, so that one is short, beside batch normalisation.
    job = make_job(table("binary"), SPACE)
    result = train(job, 1, units=4)
    assert result.error is None, result.traceback
    [fold] = result.folds
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {"units": 4}), 1)
    validation = read_fit_data(job.data_path).folds[1].validation
    assert_allclose(fold.predictions, outputs[:, validation, 0], rtol=1e-5)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)


def build(hp, problem):
    """A network with a layer that may compute with a whole batch, or not at all alone."""
    import keras

    class Own(keras.layers.Layer):
        def build(self, shape):
            self.seen = self.add_weight(shape=shape[1:], trainable=False)

        def call(self, x):
            mean = keras.ops.mean(x, axis=0)
            if part == "centres":
                return x - mean
            if part == "keeps":
                self.seen.assign(mean)
            if part == "adds":
                self.add_loss(keras.ops.sum(keras.ops.square(x)))
            return keras.ops.tanh(x)

    part = hp.Choice("part", [*REASONS, "tanh"])
    x = rows = keras.Input(problem.input_shape)
    x = keras.ops.reshape(x, (-1, 1)) if part == "joined" else x
    x = Own(name="own")(x)
    x = keras.ops.reshape(x, (-1, 3)) if part == "joined" else x
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model(rows, last(x))
    model.compile("sgd", problem.loss)
    return model


REASONS = {
    "centres": "layer 'own', a Own, computes a row with the others of its batch",
    "keeps": "layer 'own', a Own, keeps something of the rows of a batch",
    "adds": "layer 'own', a Own, adds to the loss by the rows of a batch",
    "joined": "layer 'own', a Own, gives other rows than it gets",
}


@pytest.mark.parametrize("part", [*REASONS, "tanh"])
def test_a_layer_that_padding_would_change_goes_to_the_reference_engine(
    on_jax, table, make_job, part
):
    job = make_job(table("regression"), build)
    [sketch] = on_jax("sketches", job, [Candidate(0, {"part": part})])
    assert sketch.error is None, sketch.traceback
    assert (sketch.reason or "").startswith(REASONS.get(part, ""))
    assert (sketch.reason is None) == (part == "tanh")
