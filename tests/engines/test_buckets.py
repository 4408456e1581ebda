"""Buckets: which rows come together, and that both engines train on just these batches."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.engines.buckets import Batching, Buckets
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

N_ROWS = 37


@st.composite
def batchings(draw):
    """A batching of rows, and two sets of training rows."""
    n_rows = draw(st.integers(12, 60))
    of_row = draw(st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows))
    buckets = Buckets(np.array(of_row, np.int32), (32, 64, 128, 200))
    batching = Batching(buckets, draw(st.integers(1, 9)), draw(st.integers(0, 5)))
    sets = st.sets(st.integers(0, n_rows - 1), min_size=1).map(lambda s: np.array(sorted(s)))
    return batching, draw(sets), draw(sets)


@settings(deadline=None, max_examples=80)
@given(found=batchings(), seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_every_row_is_in_one_batch_of_an_epoch_and_few_batches_hold_two_lengths(found, seed, epoch):
    batching, rows, _ = found
    epoch_of = batching.epoch(seed, epoch, rows)
    assert_array_equal(np.sort(epoch_of.order), rows)
    sizes = [len(batch) for batch in epoch_of.batches]
    assert len(sizes) == -(-len(rows) // batching.batch_size)
    assert all(size == batching.batch_size for size in sizes[:-1])
    of_row = batching.buckets.of_row
    assert [of_row[batch].max() for batch in epoch_of.batches] == epoch_of.buckets.tolist()
    mixed = sum(len(np.unique(of_row[batch])) > 1 for batch in epoch_of.batches)
    assert mixed <= len(np.unique(of_row[rows])) - 1


@settings(deadline=None, max_examples=80)
@given(found=batchings(), seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_replicas_side_by_side_have_batches_of_one_length_at_a_time(found, seed, epoch):
    batching, *sets = found
    slots = batching.slots(sets)
    buckets = slots.buckets(epoch)
    assert len(buckets) == slots.n_steps
    for rows in sets:
        epoch_of = batching.epoch(seed, epoch, rows)
        steps = slots.steps_of(epoch, epoch_of)
        assert (np.diff(steps) > 0).all()
        assert_array_equal(buckets[steps], epoch_of.buckets)
    alone = batching.slots(sets[:1])
    assert alone.n_steps == len(batching.epoch(seed, epoch, sets[0]).batches)


@settings(deadline=None, max_examples=40)
@given(found=batchings(), seed=st.integers(0, 99), bucket=st.integers(0, 3))
def test_batches_ignore_the_length_of_every_other_row(found, seed, bucket):
    batching, rows, _ = found
    of_row = np.full_like(batching.buckets.of_row, bucket)
    of_row[rows] = batching.buckets.of_row[rows]
    other = replace(batching, buckets=Buckets(of_row, batching.buckets.steps))
    assert_array_equal(batching.epoch(seed, 3, rows).order, other.epoch(seed, 3, rows).order)


def test_batches_differ_from_epoch_to_epoch_and_from_seed_to_seed():
    buckets = Buckets(np.repeat([0, 1], 20).astype(np.int32), (32, 64))
    batching, rows = Batching(buckets, 4, 0), np.arange(40)
    orders = {tuple(batching.epoch(seed, e, rows).order) for seed in (1, 2) for e in (0, 1)}
    assert len(orders) == 4
    patterns = {tuple(batching.epoch(seed, 0, rows).buckets) for seed in range(5)}
    assert len(patterns) == 1  # so that replicas stay side by side


# -- training


def uneven():
    """Sequences of 1 to 70 steps."""
    rng = np.random.default_rng(5)
    ends = rng.choice([3, 20, 32, 40, 64, 70], N_ROWS)
    ends[0] = 70
    rows = [rng.normal(size=(end, 2)) for end in ends]
    return rows, np.array([row[-2:, 0].sum() for row in rows])


def build(hp, problem):
    """A network of any length that gives something else where padding is longer."""
    import keras
    from keras import layers as k

    n_steps = problem.input_shape[0] if hp.Boolean("fixed", default=False) else None
    steps = inputs = keras.Input((n_steps, problem.input_shape[1]))
    steps = k.Dense(3, "tanh", bias_initializer="ones")(steps)
    model = keras.Model(inputs, k.Dense(1)(k.GlobalAveragePooling1D()(steps)))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


@pytest.fixture(scope="module")
def job(make_job):
    return make_job(hpsearch.load(*uneven()), build, epochs=2)


def trained(engine, job, *positions, **values):
    result = engine.train(job, WorkUnit(Candidate(0, values), positions))
    assert result.error is None, result.traceback
    return result.folds


def test_an_engine_trains_on_the_batches_of_the_plan_cut_to_their_length(engine, job):
    [fold] = trained(engine, job, 1)
    losses, outputs = engine.call("keras_curves_by_length", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    assert data.buckets.steps == (32, 64, 70)
    statistics = data.statistics[1]
    expected = outputs[:, data.folds[1].validation] * statistics.target_scale
    assert_allclose(fold.train_loss, losses, rtol=2e-5)
    assert_allclose(fold.predictions, expected + statistics.target_centre, rtol=1e-4, atol=1e-5)


def test_a_fold_is_trained_alone_as_in_company(engine, job):
    if engine.name == "reference":
        pytest.skip("it trains one fold after the other")
    together = trained(engine, job, 0, 1, 2)
    [alone] = trained(engine, job, 2)
    assert_array_equal(alone.train_loss, together[2].train_loss)
    assert_array_equal(alone.predictions, together[2].predictions)


def test_networks_of_so_many_steps_train_in_batches_of_all_lengths(engine, job):
    if engine.name == "reference":
        pytest.skip("the other engine shows it in a fifth of the time")
    [fixed], [cut] = trained(engine, job, 1, fixed=True), trained(engine, job, 1)
    losses, _ = engine.call("keras_curves", job, Candidate(0, {"fixed": True}), 1)
    assert_allclose(fixed.train_loss, losses, rtol=2e-5)
    assert abs(fixed.train_loss - cut.train_loss).max() > 1e-4


def test_a_refit_takes_the_batches_of_all_rows(engine, job):
    refitted = engine.call("refit", engine.name, job, Candidate(0, {}), 7)
    expected = engine.call("keras_refit", job, Candidate(0, {}), 7)
    for mine, theirs in zip(refitted, expected, strict=True):
        assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
