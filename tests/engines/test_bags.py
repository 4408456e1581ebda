"""Bags of words in the fused engine: the network of the multi-hot matrix, without that matrix."""

import re
import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import hpsearch
from hpsearch.data import Dataset
from hpsearch.engines.contract import Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data, write_fit_data
from hpsearch.engines.fused.training import FusedUnit
from hpsearch.preprocessing import Encoded, Layout, design_rows
from hpsearch.space.space import Candidate
from hpsearch.task import Target

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

N_ROWS = 40  # folds of 26 or 27 training rows: 4 steps of 8, the last partial


@pytest.fixture(scope="module")
def dataset(mixed_schema, mixed_rows):
    """Numbers, categories, dates, an image, free text and word numbers side by side."""
    y = np.random.default_rng(3).integers(0, 2, N_ROWS).astype(np.int32)
    schema = replace(mixed_schema, target=Target(("y",), "binary", ("no", "yes")))
    return Dataset("mixed", schema, *mixed_rows, y)


@pytest.fixture(scope="module")
def job_of(dataset, make_job):
    """A job on that table, whose folds know two of the words of each column."""

    def job_of(build, epochs=4, **options):
        layout = Layout.of(dataset.schema, max_words=2)
        return make_job(dataset, build, layout=lambda _: layout, epochs=epochs, **options)

    return job_of


def alone(*positions, **values):
    """A unit that trains folds of a candidate one after the other."""
    candidate = Candidate(0, values)
    return FusedUnit(tuple(WorkUnit(candidate, (p,)) for p in positions), 1, repr(values))


OPTIMIZERS = [
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"optimizer": "rmsprop", "regularization": "l2", "l2": 1e-2},
    {"optimizer": "adam", "batch_normalization": "after_activation"},
    {"optimizer": "adamw", "weight_decay": 0.05},
    {"optimizer": "nadam", "regularization": "l1_l2", "l1": 1e-3, "l2": 1e-2},
    {"optimizer": "adagrad"},
    {"optimizer": "adadelta"},
]
BASE = {
    "n_layers": 1,
    "units_1": 16,
    "dropout_1": 0.0,
    "activation": "relu",
    "batch_normalization": "none",
    "regularization": "none",
    "schedule": "constant",
    "batch_size": 8,
}


def assert_as_keras(on_jax, job, values, results, position):
    losses, outputs = on_jax("keras_curves", job, Candidate(0, values), position)
    rows = read_fit_data(job.data_path).folds[position].validation
    result = results[0, position]
    assert_allclose(result.train_loss, losses, rtol=1e-5)
    assert_allclose(result.predictions, outputs[:, rows, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("changes", OPTIMIZERS, ids=lambda changes: changes["optimizer"])
def test_every_epoch_is_that_of_keras_fit_on_the_multi_hot_matrix(on_jax, job_of, changes):
    job, values = job_of("mlp"), {**BASE, **changes}
    results = on_jax("fused_results", job, [alone(0, 2, **values)])
    for position in (0, 2):
        assert_as_keras(on_jax, job, values, results, position)


def test_folds_know_words_of_their_own(job_of):
    slots = read_fit_data(job_of("mlp").data_path).statistics.word_slots
    assert len({tuple(of_fold) for of_fold in slots}) > 1


def limited(hp, problem):
    """Max-norm weights, several layers that read the words, and layers inside of another one."""
    import keras
    from keras import layers as k

    rows = k.Input(problem.input_shape)
    limit = keras.constraints.MaxNorm(0.5)
    inner = keras.Sequential([k.Input(problem.input_shape), k.Dense(4, kernel_constraint=limit)])
    plain = k.Dense(3, "tanh", use_bias=False)(k.Flatten()(rows))
    joined = k.Concatenate()([inner(rows), plain])
    outputs = k.Dense(problem.n_outputs, activation=problem.output_activation)(joined)
    model = keras.Model(rows, outputs)
    model.compile(keras.optimizers.Lamb(0.1, clipnorm=0.1), problem.loss)
    return model


def test_any_number_of_dense_layers_wherever_they_are_read_the_words(on_jax, job_of):
    job = job_of(limited)
    results = on_jax("fused_results", job, [alone(1)])
    assert_as_keras(on_jax, job, {}, results, 1)


def test_a_refit_is_that_of_keras_over_any_number_of_calls(on_jax, job_of):
    job = job_of("mlp")
    candidate = Candidate(0, {**BASE, **OPTIMIZERS[1]})
    expected = on_jax("keras_refit", job, candidate, 13)
    for block_bytes in (1, 2**20):
        weights = on_jax("refit_in_blocks", job, candidate, 13, block_bytes)
        for one, other in zip(weights, expected, strict=True):
            assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def assert_same(one, other):
    for fold, again in zip(one, other, strict=True):
        assert_array_equal(fold.train_loss, again.train_loss)
        assert_array_equal(fold.predictions, again.predictions)


def test_rungs_and_company_change_no_bit(on_jax, job_of):
    job, candidate = job_of("mlp"), Candidate(0, {**BASE, **OPTIMIZERS[1]})
    whole = on_jax("train", "fused", job, WorkUnit(candidate, (0, 1, 2), Span(block=2))).folds
    first = on_jax("train", "fused", job, WorkUnit(candidate, (1,), Span(until=2, block=2))).folds
    states = {fold.position: fold.state for fold in first}
    rest = WorkUnit(candidate, (1,), Span(since=2, block=2), states)
    assert_same([whole[1].between(0, 2)], [first[0].between(0, 2)])
    assert_same([whole[1].between(2, 4)], on_jax("train", "fused", job, rest).folds)


def test_patience_ends_all_folds_together_and_changes_no_bit(on_jax, job_of):
    candidate = Candidate(0, {**BASE, "optimizer": "adam", "learning_rate": 0.1})
    unit = WorkUnit(candidate, (0, 1, 2))
    patient = on_jax("train", "fused", job_of("mlp", 40, patience=1), unit).folds
    epochs = patient[0].epochs
    assert [fold.epochs for fold in patient] == [epochs] * 3
    assert epochs < 40
    whole = on_jax("train", "fused", job_of("mlp", 40), unit).folds
    assert_same([fold.between(0, epochs) for fold in whole], patient)


def dropping(hp, problem):
    import keras
    from keras import layers as k

    layers = [
        k.Input(problem.input_shape),
        k.Dropout(hp.Float("dropout", 0.1, 0.9, default=0.4)),
        k.Dropout(0.2, noise_shape=(None, 1) if hp.Boolean("rows") else None),
        k.Dense(4, "relu"),
        k.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.RMSprop(0.01), problem.loss)
    return model


def on_matrix(job, position, folder):
    """The job with the preprocessed rows of a fold as a table of numbers that stay as they are."""
    data = read_fit_data(job.data_path)
    matrix = design_rows(data.encoded, data.layout, data.statistics[position])
    n_folds, width = len(data.folds), matrix.shape[1]
    nothing = np.empty((n_folds, 0), np.int32)
    statistics = replace(
        data.statistics,
        fill=np.zeros((n_folds, width), np.float32),
        centre=np.zeros((n_folds, width), np.float32),
        scale=np.ones((n_folds, width), np.float32),
        category_slots=nothing,
        word_slots=nothing,
        array_centre=nothing.astype(np.float32),
        array_scale=nothing.astype(np.float32),
    )
    table = replace(
        data,
        encoded=Encoded(matrix, np.empty((N_ROWS, 0), np.int32), None, ()),
        layout=Layout(numbers=tuple(f"x{column}" for column in range(width))),
        statistics=statistics,
        bags=None,
    )
    return replace(job, data_path=write_fit_data(table, folder))


@pytest.mark.parametrize("rows", [False, True], ids=["cells", "whole rows"])
def test_dropout_on_the_input_drops_the_cells_that_it_drops_of_the_matrix(
    on_jax, job_of, tmp_path, rows
):
    job, unit = job_of(dropping), alone(1, rows=rows)
    bags, matrix = (
        on_jax("fused_results", one, [unit])[0, 1] for one in (job, on_matrix(job, 1, tmp_path))
    )
    assert_allclose(bags.train_loss, matrix.train_loss, rtol=1e-5)
    assert_allclose(bags.predictions, matrix.predictions, rtol=1e-5, atol=1e-6)
    more = on_jax("fused_results", job, [alone(1, rows=rows, dropout=0.9)])[0, 1]
    assert not np.allclose(bags.train_loss, more.train_loss, rtol=1e-2)


# -- what is never made


def test_no_program_holds_the_multi_hot_matrix_of_a_batch_or_a_table(on_jax, make_job):
    rng = np.random.default_rng(0)
    texts = sparse.csr_array((rng.random((200, 1500)) < 0.01).astype(np.float32))
    job = make_job(hpsearch.load(texts, rng.integers(0, 2, 200)), "imdb", epochs=1, batch_size=16)
    [text] = on_jax("compiled_programs", job, alone(0, batch_size=16))
    shapes = set(re.findall(r"f32\[(?:1,)?([0-9,]*\b1500\b[0-9,]*)\]", text))
    assert shapes == {"1500,16"}  # the weights


def test_folds_that_know_every_word_read_the_one_file_of_all_workers(on_jax, job_of, make_job):
    rng = np.random.default_rng(0)
    words = sparse.csr_array((rng.random((90, 20)) < 0.5).astype(np.float32))
    job = make_job(hpsearch.load(words, rng.integers(0, 2, 90)), "imdb")
    assert on_jax("places_are_mapped", job, 0)
    assert not on_jax("places_are_mapped", job_of("mlp"), 0)


# -- what stays with the reference engine


def other_reader(hp, problem):
    import keras
    from keras import layers as k

    rows = k.Input(problem.input_shape)
    reader = hp.Choice("reader", [*READERS, "dense", "dropout"])
    hidden = {
        "batch normalisation": lambda: k.Dense(4)(k.BatchNormalization(name="norm")(rows)),
        "noise": lambda: k.Dense(4)(k.GaussianNoise(0.1, name="noise")(rows)),
        "columns": lambda: k.Concatenate()([k.Dense(4)(rows), rows[:, :3]]),
        "the output": lambda: k.Concatenate(name="both")([k.Dense(4)(rows), rows]),
        "a wrapper": lambda: k.Flatten()(
            k.TimeDistributed(k.Dense(1))(k.Reshape((-1, 1), name="steps")(rows))
        ),
        "dense": lambda: k.Dense(4)(k.Activation("linear")(rows)),
        "dropout": lambda: k.Dense(4)(k.Dropout(0.2)(rows)),
    }[reader]()
    last = k.Dense(problem.n_outputs, activation=problem.output_activation)(hidden)
    model = keras.Model(rows, last)
    model.compile("adam", problem.loss)
    return model


READERS = {
    "batch normalisation": "layer 'norm'",
    "noise": "layer 'noise'",
    "columns": "an operation",
    "the output": "layer 'both'",
    "a wrapper": "layer 'steps'",
}


@pytest.mark.parametrize("reader", [*READERS, "dense", "dropout"])
def test_words_that_go_to_more_than_dense_layers_go_to_the_reference_engine(
    on_jax, job_of, table, make_job, reader
):
    [sketch] = on_jax("sketches", job_of(other_reader), [Candidate(0, {"reader": reader})])
    assert sketch.error is None, sketch.traceback
    if reader not in READERS:
        assert sketch.reason is None
        return
    assert sketch.reason.startswith(f"bags of words go to {READERS[reader]}, which needs")
    plain = make_job(table("binary"), other_reader)
    [sketch] = on_jax("sketches", plain, [Candidate(0, {"reader": reader})])
    assert sketch.reason is None  # a table without words
