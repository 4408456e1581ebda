"""What the reference engine alone does: Keras's dropout, rows batch by batch, its work units."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.plan import plan_units
from hpsearch.engines.reference import program as tf_program
from hpsearch.engines.reference.engine import train_unit
from hpsearch.space.space import Candidate


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(6, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=problem.loss)
    return model


def train(job, fold):
    result = train_unit(job, WorkUnit(Candidate(0, {}), (fold,)))
    assert result.error is None, result.traceback
    return result.folds[0]


def test_dropout_goes_on_from_epoch_to_epoch_as_in_keras(table, make_job, engine_side):
    job = make_job(table("binary"), build)
    fold = train(job, 1)
    losses, outputs = engine_side.keras_curves(job, Candidate(0, {}), 1)
    validation = read_fit_data(job.data_path).folds[1].validation
    assert_allclose(fold.predictions, outputs[:, validation, 0], rtol=1e-5)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)


def build_in_another_precision(hp, problem):
    import keras

    policy = hp.Choice("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
    layers = [keras.Input(problem.input_shape), keras.layers.Dense(6, "relu", dtype=policy)]
    last = keras.layers.Dense(problem.n_outputs, problem.output_activation, dtype=policy)
    model = keras.Sequential([*layers, last])
    model.compile(keras.optimizers.Adam(0.01), problem.loss)
    return model


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_network_of_another_precision_trains_as_in_keras(policy, table, make_job, engine_side):
    job = make_job(table("binary"), build_in_another_precision)
    candidate = Candidate(0, {"policy": policy})
    result = train_unit(job, WorkUnit(candidate, (1,)))
    assert result.error is None, result.traceback
    fold = result.folds[0]
    losses, outputs = engine_side.keras_curves(job, candidate, 1)
    validation = read_fit_data(job.data_path).folds[1].validation
    assert fold.predictions.dtype == np.float32
    tolerance = 1e-5 if policy == "float64" else 1e-2
    assert_allclose(fold.predictions, outputs[:, validation, 0].astype(float), rtol=tolerance)
    assert_allclose(fold.train_loss, losses, rtol=tolerance)


def build_that_cannot_train(hp, problem):
    import keras

    class Broken(keras.layers.Layer):
        def call(self, x, training=False):
            if training:
                raise RuntimeError("this layer cannot train")
            return x

    model = keras.Sequential([keras.Input(problem.input_shape), Broken(), keras.layers.Dense(1)])
    model.compile("sgd", problem.loss)
    return model


def test_a_layer_of_ones_own_that_raises_is_named_by_its_call(table, make_job):
    job = make_job(table("regression"), build_that_cannot_train)
    result = train_unit(job, WorkUnit(Candidate(0, {}), (0,)))
    assert result.error == "RuntimeError: this layer cannot train (in Broken.call())"


# -- batches made on the fly


def test_rows_made_batch_by_batch_train_the_same_as_rows_made_at_once(make_job, monkeypatch):
    rng = np.random.default_rng(1)
    n_rows = 40
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(50, 10, n_rows)),
            "town": rng.choice(["Oslo", "Rome", "Lima"], n_rows),
            "note": [" ".join(rng.choice(list("abcdefgh"), 4)) for _ in range(n_rows)],
            "y": rng.normal(size=n_rows),
        }
    )
    data = hpsearch.load(frame, target="y", text="note")
    at_once = train(make_job(data, build), 0)
    monkeypatch.setattr(tf_program, "DENSE_LIMIT_BYTES", 0)
    in_batches = train(make_job(data, build), 0)
    assert_allclose(in_batches.train_loss, at_once.train_loss, rtol=1e-4)
    assert_allclose(in_batches.predictions, at_once.predictions, rtol=1e-4, atol=1e-6)


# -- units


def candidates(n):
    return [Candidate(trial, {}) for trial in range(n)]


def whole(candidates, folds):
    return [WorkUnit(candidate, tuple(range(len(folds)))) for candidate in candidates]


@pytest.mark.parametrize(("n", "n_units"), [(1, 6), (3, 18), (4, 8), (7, 14), (8, 8)])
def test_work_is_cut_as_fine_as_a_few_workers_need(n, n_units, table, make_job):
    folds = read_fit_data(make_job(table("binary"), build, repeats=2).data_path).folds
    units = plan_units(whole(candidates(n), folds), folds, patience=None)
    assert len(units) == n_units
    for candidate in candidates(n):
        trained = [p for u in units if u.candidate == candidate for p in u.folds]
        assert sorted(trained) == list(range(6))


def test_with_patience_a_unit_is_a_whole_trial(table, make_job):
    folds = read_fit_data(make_job(table("binary"), build, repeats=2).data_path).folds
    units = plan_units(whole(candidates(2), folds), folds, patience=3)
    assert [unit.folds for unit in units] == [tuple(range(6))] * 2
