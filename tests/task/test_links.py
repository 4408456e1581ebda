"""Losses with a link of their own: what outputs stand for, and the loss of it."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.task import PoissonOfLogs
from hpsearch.task.links import STEEPEST


def loss_of(link, y, outputs):
    return np.asarray(link(np.asarray(y, np.float32), np.asarray(outputs, np.float32)))


def test_a_count_has_keras_poisson_loss_of_its_exponential():
    import keras

    y = np.array([[0.0, 2.0], [1.0, 7.0], [3.0, 0.0]], np.float32)
    logs = np.array([[-2.0, 0.5], [0.0, 2.5], [1.0, -1.0]], np.float32)
    expected = keras.losses.poisson(y, np.exp(logs))
    assert_allclose(loss_of(PoissonOfLogs(), y, logs), np.asarray(expected), rtol=1e-5)


def test_an_expected_count_is_an_exponential_function_and_beyond_its_tangent():
    link = PoissonOfLogs()
    outputs = np.array([-100.0, 0.0, STEEPEST, STEEPEST + 2.0])
    expected = [np.exp(-100.0), 1.0, np.exp(STEEPEST), 3.0 * np.exp(STEEPEST)]
    assert_allclose(link.linked(np, outputs), expected, rtol=1e-12)
    steps = np.diff(link.linked(np, np.array([STEEPEST - 1e-4, STEEPEST, STEEPEST + 1e-4])))
    assert steps[1] == pytest.approx(steps[0], rel=1e-3)


@pytest.mark.parametrize("output", [-1e30, -200.0, 200.0, 1e30])
def test_no_output_of_a_count_has_a_loss_or_a_gradient_that_is_not_finite(output):
    import tensorflow as tf

    outputs = tf.Variable([[output]], dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = PoissonOfLogs()(tf.constant([[3.0]]), outputs)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, outputs).numpy()).all()


def test_the_least_loss_is_at_the_count_itself():
    logs = np.linspace(-1.0, 5.0, 6001)[:, np.newaxis]
    for count in (1.0, 5.0, 30.0):
        losses = loss_of(PoissonOfLogs(), np.full_like(logs, count), logs)
        best = PoissonOfLogs().linked(np, logs[losses.argmin()])
        assert best[0] == pytest.approx(count, rel=0.01)


def test_links_travel_and_are_what_their_fields_are():
    assert pickle.loads(pickle.dumps(PoissonOfLogs())) == PoissonOfLogs()
    assert PoissonOfLogs().get_config() == {}
