"""Losses with a link of their own: what outputs stand for, and the loss of it."""

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from hpsearch.task import PinballOfSteps, PoissonOfLogs, Quantiles, Target
from hpsearch.task.links import STEEPEST, softplus


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


LEVELS = (0.1, 0.25, 0.5, 0.9)


def test_steps_of_zero_are_the_quantiles_of_a_normal_distribution():
    said = PinballOfSteps(LEVELS).linked(np, np.zeros((2, 4)))
    assert_allclose(said, np.tile(norm.ppf(LEVELS), (2, 1)), atol=1e-12)


def test_no_quantile_crosses_another_whatever_the_outputs():
    outputs = np.random.default_rng(0).normal(scale=30.0, size=(500, 4)).astype(np.float32)
    said = PinballOfSteps(LEVELS).linked(np, outputs)
    assert (np.diff(said, axis=1) >= 0).all()


def test_quantiles_have_the_pinball_loss_of_scikit_learn():
    rng = np.random.default_rng(1)
    y, outputs = rng.normal(size=(50, 1)), rng.normal(size=(50, 4))
    link = PinballOfSteps(LEVELS)
    said = link.linked(np, outputs)
    expected = [mean_pinball_loss(y, said[:, i], alpha=level) for i, level in enumerate(LEVELS)]
    found = loss_of(link, np.tile(y, 4), outputs)
    assert found.shape == (50,)
    assert found.mean() == pytest.approx(np.mean(expected), rel=1e-5)


def test_one_level_is_a_level_alone():
    link = PinballOfSteps((0.5,))
    assert link.linked(np, np.array([[0.25], [-3.0]])).tolist() == [[0.25], [-3.0]]


@pytest.mark.parametrize("output", [-1e30, -200.0, 200.0])
def test_no_output_of_quantiles_has_a_gradient_that_is_not_finite(output):
    import tensorflow as tf

    outputs = tf.Variable([[0.0, output]], dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = PinballOfSteps((0.1, 0.9))(tf.constant([[3.0, 3.0]]), outputs)
    assert np.isfinite(loss.numpy()).all()
    assert np.isfinite(tape.gradient(loss, outputs).numpy()).all()


def test_a_kind_of_quantiles_travels_with_its_levels():
    target = Target(("y",), "quantile", levels=LEVELS)
    for kind in (target.kind, pickle.loads(pickle.dumps(target)).kind, copy.deepcopy(target.kind)):
        assert kind == "quantile"
        assert kind.levels == LEVELS
    again = Target.from_json(json.loads(json.dumps(target.to_json())))
    assert again == target
    assert again.kind.levels == LEVELS
    assert target.quantiles == ("q0.1", "q0.25", "q0.5", "q0.9")
    assert Quantiles(LEVELS) == "quantile"


def test_links_travel_and_are_what_their_fields_are():
    assert pickle.loads(pickle.dumps(PoissonOfLogs())) == PoissonOfLogs()
    assert PoissonOfLogs().get_config() == {}
    assert PinballOfSteps((0.5,)).get_config() == {"levels": (0.5,)}
    assert str(PinballOfSteps()) == "pinball_of_steps"


def test_a_softplus_has_its_gradient_where_a_last_layer_of_zeros_begins():
    jax = pytest.importorskip("jax")
    gradient = jax.grad(lambda x: softplus(jax.numpy, x))
    assert [float(gradient(x)) for x in (-1e-3, 0.0, 1e-3)] == pytest.approx([0.5] * 3, abs=1e-3)
    assert float(gradient(50.0)) == pytest.approx(1.0)
    x = np.linspace(-15.0, 40.0, 23)
    assert_allclose(softplus(np, x), np.logaddexp(x, 0.0), rtol=1e-6)
