"""Rows of each fold: what no statistics can say reaches a network fold by fold."""

import errno
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

import hpsearch
from hpsearch.engines.contract import FitOptions, Job, Span, WorkUnit
from hpsearch.engines.fit_data import new_fold_rows, read_fit_data, write_fit_data
from hpsearch.engines.lookups import Lookups
from hpsearch.engines.pace import few_batches
from hpsearch.errors import DataError, StorageError
from hpsearch.folds import Fold
from hpsearch.preprocessing import Encoded, Layout, design_rows, raw_range
from hpsearch.scoring.prepared import prepare_rows, raw_rows, write_raw_rows
from hpsearch.scoring.rows import encode_beside, fit_data
from hpsearch.space.space import Candidate, Space
from hpsearch.transformers import OwnTransformer
from tests.engines.engine_side import WorkersHere

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
    [alone] = train(jobs[1], 2).folds
    assert_array_equal(alone.predictions, given[1].predictions)


def test_the_refit_reads_the_last_rows(jobs, engine):
    ours, given = (engine.call("refit", engine.name, job, Candidate(0, {}), 5) for job in jobs)
    for one, other in zip(ours, given, strict=True):
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_rows_of_any_shape_stand_beside_array_columns(make_job, train, tmp_path):
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


def test_rows_that_the_disk_has_no_room_for_are_refused_before_they_are_written(
    tmp_path, monkeypatch
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(StorageError, match=r"No space left on device. Free some space"):
        new_fold_rows(tmp_path, (2, 3, 4))


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


# -- a transformer of one's own: nothing of a fold's validation rows reaches what trains on others

N_ROWS = 12
FOLD = Fold(0, 0, np.setdiff1d(np.arange(N_ROWS), [1, 4, 6, 11]), np.array([1, 4, 6, 11]))
CELLS = st.floats(-1e4, 1e4)


def people(ages, towns, y):
    return hpsearch.load(pd.DataFrame({"age": ages, "town": towns, "y": y}), target="y")


@pytest.fixture(scope="module")
def trained_on(engine, tmp_path_factory):
    """Curves of the training rows, and weights, of a network on a table's one fold."""
    folder = tmp_path_factory.mktemp("leak")
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler(), PCA(1)), ["age"]),
        (TargetEncoder(target_type="continuous", cv=2), ["town"]),
    )
    own, space = OwnTransformer.load(encoder), Space.load(build).to_bytes()

    def trained_on(dataset):
        path = Path(mkdtemp(dir=folder))
        raw, workers = write_raw_rows(dataset, path), WorkersHere()
        made = prepare_rows(own, raw, [FOLD], workers, path, n_rows=N_ROWS, seed=0, keeps=False)
        raw_rows.cache_clear()
        layout = Layout.of(dataset.schema).with_prepared(made.shape)
        rows = encode_beside(dataset), [FOLD], layout
        data = fit_data(dataset, *rows, scale_target=True, fold_rows=made.fold_rows)
        options = FitOptions(0, epochs=2, batch_size=3, patience=None, metrics=("mae",))
        job = Job(write_fit_data(data, path), space, (), options)
        unit = WorkUnit(Candidate(0, {}), (0,), Span(until=2), keeps_networks=True)
        result = engine.train(job, unit)
        assert result.error is None, result.traceback
        [fold] = result.folds
        return [fold.train_loss, fold.train["mae"], *fold.network.weights]

    return trained_on


ROWS = np.random.default_rng(0).normal(size=(2, N_ROWS))
TOWNS = np.array(["a", "b", "a", "c"] * 3)


@settings(deadline=None, max_examples=2, phases=(Phase.explicit, Phase.generate))
@given(
    ages=st.lists(CELLS, min_size=4, max_size=4),
    towns=st.lists(st.sampled_from(["a", "b", "c"]), min_size=4, max_size=4),
    targets=st.lists(CELLS, min_size=4, max_size=4),
)
def test_no_change_to_validation_rows_moves_weights_or_curves_behind_a_transformer(
    ages, towns, targets, trained_on
):
    changed = [np.array(ROWS[0]), TOWNS.copy(), np.array(ROWS[1])]
    for column, cells in zip(changed, (ages, towns, targets), strict=True):
        column[FOLD.validation] = cells
    before, after = trained_on(people(ROWS[0], TOWNS, ROWS[1])), trained_on(people(*changed))
    for one, other in zip(before, after, strict=True):
        assert_array_equal(one, other)
