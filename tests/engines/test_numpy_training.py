"""The fused engine against a training written out in NumPy, with nothing of Keras or JAX in it.

The training below is a page of float64 arithmetic: standardisation, two dense layers, their
derivatives, the L2 penalty and Adam (Kingma & Ba 2015, algorithm 1, with the bias corrections in
the step size as in their section 2). It takes the initial weights and the order of the batches
from hpsearch and shares no other code with it.

The engine computes in float32. Measured, the losses differ by 3e-7 of themselves and the
predictions by 6e-7 of the target's spread; the tests allow ten times as much. One detail of
Adam's is in float32 here too, as in Keras: ``1 - 0.999**t``, whose first value rounding shifts by
1e-5 of itself. In float64 the two trainings drift apart by that much.
"""

import sys

import cloudpickle
import numpy as np
import pytest

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.fused.training import FusedUnit
from hpsearch.engines.plan import batch_order
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # its network travels to the worker

N_ROWS, N_FOLDS, BATCH, EPOCHS = 29, 3, 8, 10  # 19 and 20 training rows: the last batch is partial
RATE, L2, UNITS = 0.01, 0.02, 6


def build(hp, problem):
    import keras

    activation = "tanh" if problem.kind == "regression" else "relu"
    penalty = keras.regularizers.L2(L2)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(UNITS, activation, kernel_regularizer=penalty),
        keras.layers.Dense(1, problem.output_activation, kernel_regularizer=penalty),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(RATE), loss=problem.loss)
    return model


def tanh(z):
    return np.tanh(z), 1.0 - np.tanh(z) ** 2


def relu(z):
    return np.maximum(z, 0.0), (z > 0.0).astype(float)


def squared_error(z, y):
    """The loss of each row, and its derivative by the network's last sum."""
    return (z - y) ** 2, 2.0 * (z - y)


def cross_entropy_of_sigmoid(z, y):
    return np.log1p(np.exp(z)) - y * z, 1.0 / (1.0 + np.exp(-z)) - y


def train(x, y, weights, orders, hidden, loss_of):
    """Loss of each epoch, and the network's last sums for every row of ``x`` after each epoch."""
    weights = [w.astype(float) for w in weights]
    mean, square = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    losses, sums, step = [], [], 0
    for order in orders:
        total = 0.0
        for first in range(0, len(order), BATCH):
            rows = order[first : first + BATCH]
            step += 1
            size = RATE * np.sqrt(bias_correction(0.999, step)) / bias_correction(0.9, step)
            loss, gradients = loss_and_gradients(x[rows], y[rows], weights, hidden, loss_of)
            total += loss * len(rows)
            for i, gradient in enumerate(gradients):
                mean[i] = 0.9 * mean[i] + 0.1 * gradient
                square[i] = 0.999 * square[i] + 0.001 * gradient**2
                weights[i] = weights[i] - size * mean[i] / (np.sqrt(square[i]) + 1e-7)
        losses.append(total / len(order))
        sums.append(last_sums(x, weights, hidden)[0])
    return np.array(losses), np.array(sums)


def bias_correction(beta, step):
    return float(1 - np.float32(beta) ** np.float32(step))


def last_sums(x, weights, hidden):
    first, bias, second, last_bias = weights
    values, slopes = hidden(x @ first + bias)
    return (values @ second + last_bias)[:, 0], values, slopes


def loss_and_gradients(x, y, weights, hidden, loss_of):
    first, _, second, _ = weights
    z, values, slopes = last_sums(x, weights, hidden)
    losses, by_sum = loss_of(z, y)
    by_sum = by_sum[:, np.newaxis] / len(x)
    by_hidden = by_sum @ second.T * slopes
    gradients = [
        x.T @ by_hidden + 2.0 * L2 * first,
        by_hidden.sum(axis=0),
        values.T @ by_sum + 2.0 * L2 * second,
        by_sum.sum(axis=0),
    ]
    return losses.mean() + L2 * ((first**2).sum() + (second**2).sum()), gradients


def standardised(values, train_rows):
    centre, scale = values[train_rows].mean(axis=0), values[train_rows].std(axis=0)
    return (values - centre) / scale, centre, scale


def regression_training(x, y, train_rows, weights, orders):
    """Losses, predictions of every row, and the size of one unit of prediction."""
    own_y, centre, scale = standardised(y, train_rows)
    losses, sums = train(x, own_y, weights, orders, tanh, squared_error)
    return losses, centre + scale * sums, scale


def binary_training(x, y, train_rows, weights, orders):
    losses, sums = train(x, y, weights, orders, relu, cross_entropy_of_sigmoid)
    return losses, 1.0 / (1.0 + np.exp(-sums)), 1.0


@pytest.mark.parametrize("training", [regression_training, binary_training])
def test_every_epoch_is_that_of_a_training_in_numpy(on_jax, make_job, training):
    rng = np.random.default_rng(5)
    x = rng.normal([3.0, -1.0, 0.0], [2.0, 0.5, 1.0], size=(N_ROWS, 3))
    y = 200.0 + 30.0 * (x @ [1.0, -2.0, 0.5]) + 10.0 * rng.normal(size=N_ROWS)
    if training is binary_training:
        y = (y > np.median(y)).astype(int)
    dataset = hpsearch.load(x, y)
    job = make_job(dataset, build, n_folds=N_FOLDS, epochs=EPOCHS, batch_size=BATCH)
    part = WorkUnit(Candidate(0, {}), tuple(range(N_FOLDS)))
    unit = FusedUnit((part,), N_FOLDS, "one structure")
    initial, results = on_jax("weights_and_results", job, unit)
    for position, fold in enumerate(read_fit_data(job.data_path).folds):
        result, n_train = results[0, position], len(fold.train)
        orders = [fold.train[batch_order(result.seed, e, n_train)] for e in range(EPOCHS)]
        own_x, _, _ = standardised(x, fold.train)
        losses, predictions, unit_size = training(
            own_x, y, fold.train, initial[0, position], orders
        )
        np.testing.assert_allclose(result.train_loss, losses, rtol=3e-6)
        np.testing.assert_allclose(
            result.predictions.reshape(EPOCHS, -1) / unit_size,
            predictions[:, fold.validation] / unit_size,
            rtol=0.0,
            atol=6e-6,
        )
