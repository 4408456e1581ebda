"""Sequences with gaps: both engines train on them as Keras does, and see no validation rows."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.preprocessing import Encoded, Layout, fit_statistics
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

N_ROWS, N_STEPS = 26, 5
LAYOUT = Layout(arrays=("x",), array_shapes=((N_STEPS, 2),), array_kinds=("sequence",))


def uneven(n_steps=N_STEPS):
    """Sequences of 1 to 5 steps, some values missing, padded to any number of steps."""
    rng = np.random.default_rng(5)
    rows = np.full((N_ROWS, n_steps, 2), np.nan)
    for row in rows:
        end = rng.integers(1, N_STEPS + 1)
        row[:end] = rng.normal([0.0, 300.0], [1.0, 20.0], (end, 2))
        row[1:end, 0][rng.random(end - 1) < 0.2] = np.nan
    return rows, np.nansum(rows[..., 0], axis=1) + 0.1 * rng.normal(size=N_ROWS)


def build(hp, problem):
    """A recurrent network that leaves padding out."""
    import keras
    from keras import layers as k

    layers = [k.Masking(), k.LSTM(3, return_sequences=True), k.GRU(2), k.Dense(problem.n_outputs)]
    layers = [keras.Input(problem.input_shape), *layers]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=problem.loss)
    return model


@pytest.fixture(scope="module")
def job(make_job):
    return make_job(hpsearch.load(*uneven()), build, epochs=2)


@pytest.fixture(scope="module")
def trained(engine, job):
    """A fold, trained."""
    result = engine.train(job, WorkUnit(Candidate(0, {}), (1,)))
    assert result.error is None, result.traceback
    return result.folds[0]


def test_a_masked_recurrent_network_trains_as_in_keras(engine, job, trained):
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    stats = data.statistics[1]
    expected = outputs[:, data.folds[1].validation] * stats.target_scale + stats.target_centre
    assert_allclose(trained.train_loss, losses, rtol=2e-5)
    assert_allclose(trained.predictions, expected, rtol=1e-4, atol=1e-5)


def test_more_padding_changes_nothing(engine, train, trained, make_job):
    if engine.name == "reference":
        pytest.skip("the other engine shows it in a fifth of the time")
    [many] = train(make_job(hpsearch.load(*uneven(N_STEPS + 3)), build, epochs=2), 1).folds
    assert_allclose(many.train_loss, trained.train_loss, rtol=1e-5)
    assert_allclose(many.predictions, trained.predictions, rtol=1e-5, atol=1e-5)


VALUES = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, width=32))
ROWS = hnp.arrays(np.float32, (8, N_STEPS, 2), elements=VALUES)


@settings(deadline=None, max_examples=50)
@given(rows=ROWS, other=ROWS, validation=st.sets(st.integers(0, 7), min_size=1, max_size=6))
def test_statistics_ignore_any_change_to_the_steps_of_validation_rows(rows, other, validation):
    changed, train = rows.copy(), np.setdiff1d(np.arange(8), sorted(validation))
    changed[sorted(validation)] = other[sorted(validation)]
    found = [
        fit_statistics(
            Encoded(np.empty((8, 0), np.float32), np.empty((8, 0), np.int32), None, (array,)),
            np.zeros((8, 1)), train, LAYOUT, scale_target=False,
        )
        for array in (rows, changed)
    ]  # fmt: skip
    assert_array_equal(found[0].array_centre, found[1].array_centre)
    assert_array_equal(found[0].array_scale, found[1].array_scale)
    assert np.isfinite([found[0].array_centre, found[0].array_scale]).all()


def test_training_ignores_any_change_to_the_steps_of_validation_rows(
    engine, train, trained, job, make_job
):
    if engine.name == "reference":
        pytest.skip("the other engine shows it in a fifth of the time")
    data = hpsearch.load(*uneven())
    validation = read_fit_data(job.data_path).folds[1].validation
    steps = data.arrays["x"].copy()
    others = np.random.default_rng(8).normal(1e4, 1e3, steps[validation].shape)
    steps[validation] = np.where(np.isnan(steps[validation]), others, np.nan)
    steps[validation, 0] = others[:, 0]
    changed = make_job(replace(data, arrays={"x": steps}), build, epochs=2)
    before, [after] = trained, train(changed, 1).folds
    assert_array_equal(before.train_loss, after.train_loss)
    for name in before.train:
        assert_array_equal(before.train[name], after.train[name])
