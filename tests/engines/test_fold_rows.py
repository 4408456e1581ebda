"""Rows of each fold: what no statistics can say reaches a network fold by fold."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.engines.fit_data import new_fold_rows, read_fit_data, write_fit_data
from hpsearch.engines.lookups import Lookups
from hpsearch.engines.pace import few_batches
from hpsearch.errors import DataError
from hpsearch.preprocessing import Encoded, Layout, design_rows, raw_range
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(4, "tanh"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


def prepared(job, folder, shape=None):
    """The same job, whose rows each fold has as its statistics give them, and the refit."""
    data = read_fit_data(job.data_path)
    learnt = [*(data.statistics[p] for p in range(len(data.folds))), data.refit_statistics]
    rows = np.stack([design_rows(data.encoded, data.layout, each) for each in learnt])
    rows = rows.reshape(*rows.shape[:2], *(shape or rows.shape[2:]))
    layout = replace(data.layout, arrays=(), array_shapes=()).with_prepared(rows.shape[2:])
    encoded = replace(data.encoded.without_features(), exposure=None)
    held = new_fold_rows(folder, rows.shape)
    held[:] = rows
    found = replace(data, encoded=encoded, layout=layout, fold_rows=held)
    return replace(job, data_path=write_fit_data(found, folder))


@pytest.fixture(scope="module")
def jobs(table, make_job, tmp_path_factory):
    """A job whose rows are made by statistics, and one that is given the same rows."""
    job = make_job(table("regression"), build, epochs=2)
    return job, prepared(job, tmp_path_factory.mktemp("prepared"))


def test_rows_of_each_fold_train_as_the_same_rows_made_of_statistics(jobs, train):
    ours, given = (train(job, 0, 2, 1).folds for job in jobs)
    for one, other in zip(ours, given, strict=True):
        assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)
        assert_allclose(one.predictions, other.predictions, rtol=1e-5)


def test_a_fold_trained_alone_reads_its_own_rows(jobs, train):
    assert_array_equal(
        train(jobs[1], 2).folds[0].predictions, train(jobs[1], 0, 1, 2).folds[2].predictions
    )


def test_the_refit_reads_the_last_rows(jobs, engine):
    ours, given = (engine.call("refit", engine.name, job, Candidate(0, {}), 5) for job in jobs)
    for one, other in zip(ours, given, strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_rows_of_any_shape_stand_beside_array_columns(make_job, train, engine, tmp_path):
    series = np.random.default_rng(3).normal(size=(26, 4, 2))
    job = make_job(hpsearch.load(series, series[:, 0, 0]), build, epochs=1)
    data = read_fit_data(job.data_path)
    rows = np.zeros((4, 26, 2, 3), np.float32)
    rows[1] = 1.0
    layout = data.layout.with_prepared((2, 3))
    assert layout.input_shape == (6 + 8,)
    path = write_fit_data(replace(data, layout=layout, fold_rows=rows), tmp_path)
    result = train(replace(job, data_path=path), 1)
    assert result.error is None, result.traceback
    seen = design_rows(read_fit_data(path).encoded_in(1), layout, data.statistics[1])
    assert_array_equal(seen[:, :6], 1.0)
    assert_array_equal(
        seen[:, 6:].reshape(-1, 4, 2), design_rows(data.encoded, data.layout, data.statistics[1])
    )
    losses, _ = engine.call("keras_curves", replace(job, data_path=path), Candidate(0, {}), 1)
    assert np.isfinite(losses).all()


def test_batches_made_anew_are_those_of_the_whole_matrix(jobs, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    from hpsearch.engines.reference.program import RowSource

    data = read_fit_data(jobs[1].data_path)
    numbers, batches = tf.constant([3, 1]), []
    for dense in (True, False):
        source = RowSource(data.encoded, data.layout, dense=dense)
        tensors = source.tensors(data.statistics[1], data.encoded_in(1).prepared)
        batches.append(source.batch(tensors, numbers).numpy())
    assert_array_equal(*batches)


def test_workers_map_the_rows_which_were_written_where_they_were_made(jobs):
    data = read_fit_data(jobs[1].data_path)
    assert not data.fold_rows.flags.owndata
    assert data.fold_rows.shape == (4, 26, 3)
    assert data.without_features().fold_rows is None
    assert_array_equal(data.encoded_in(None).prepared, data.fold_rows[3])


def test_a_short_trial_of_both_engines_has_the_rows_of_its_folds(jobs, tmp_path):
    job = few_batches(jobs[1], Candidate(0, {}), 10**9, tmp_path / "few")
    data = read_fit_data(job.data_path)
    assert data.fold_rows.shape == (3, data.encoded.n_rows, 3)


def test_an_embedding_looks_up_rows_of_each_fold_as_they_are():
    layout, rows = Layout(prepared=(2,)), np.array([[[0, 4], [2, 1]]], np.float32)
    encoded = Encoded(np.empty((2, 0), np.float32), np.empty((2, 0), np.int32), None, ())
    found = raw_range(encoded, layout, rows)
    assert (found.low.tolist(), found.high.tolist()) == ([0, 1], [2, 4])
    lookups = Lookups.from_json(Lookups(prepared={1: (0, 4)}).to_json(layout))
    lookups.check_rows(replace(encoded, prepared=rows[0]), layout)
    with pytest.raises(DataError, match="from 0 to 4; received 5"):
        lookups.check_rows(replace(encoded, prepared=rows[0] + 1), layout)
