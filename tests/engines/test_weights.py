"""What rows weigh in the loss, in every engine as in Keras's own ``fit``."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.metrics import score
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

WEIGHTS = {
    "binary": {"no": 1.0, "yes": 3.5},
    "multiclass": {"a": 0.25, "c": 4.0},  # the others weigh 1
}
FORMS = ["a unit of each class", "summed", "mean by weight", "smoothed"]


def build(hp, problem):
    """A network with batch normalisation, whose statistics know no weights."""
    import keras
    from keras import layers as k

    form = hp.Choice("form", ["usual", *FORMS])
    n_units, activation, loss = problem.n_outputs, problem.output_activation, problem.loss
    if form == "a unit of each class":
        n_units, activation = max(2, n_units), "softmax"
        loss = keras.losses.CategoricalCrossentropy()
    elif form != "usual":
        options = {
            "summed": {"reduction": "sum"},
            "mean by weight": {"reduction": "mean_with_sample_weight"},
            "smoothed": {"label_smoothing": 0.2},
        }[form]
        loss = keras.losses.BinaryCrossentropy(**options)
    penalty = keras.regularizers.L2(0.02)
    layers = [k.Dense(4, "tanh", kernel_regularizer=penalty), k.BatchNormalization()]
    last = k.Dense(n_units, activation, activity_regularizer=keras.regularizers.L1(0.1))
    model = keras.Sequential([k.Input(problem.input_shape), *layers, last])
    model.compile(keras.optimizers.SGD(0.05), loss)
    return model


def assert_as_keras(engine, job, **values):
    data, candidate = read_fit_data(job.data_path), Candidate(0, values)
    result = engine.train(job, WorkUnit(candidate, (1,)))
    assert result.error is None, result.traceback
    [fold] = result.folds
    rows, classes = data.weights.rows, data.weights.classes
    of_class = None if classes is None else dict(enumerate(classes[1].tolist()))
    if rows is not None and of_class is not None:  # which Keras does not take together
        rows, of_class = rows * classes[1][data.y], None
    losses, outputs = engine.call("keras_curves", job, candidate, 1, rows, of_class)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)
    expected = outputs[:, data.folds[1].validation]
    statistics = data.statistics[1]
    expected = expected * statistics.target_scale + statistics.target_centre
    if data.target.kind == "binary":
        expected = expected[..., -1]
    assert_allclose(fold.predictions, expected, rtol=1e-5, atol=1e-6)
    unweighted, _ = engine.call("keras_curves", job, candidate, 1)
    assert abs(unweighted - losses).max() > 1e-3


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("asked", ["given", "balanced"])
def test_class_weights_count_as_in_keras(engine, table, make_job, kind, asked):
    weights = WEIGHTS[kind] if asked == "given" else "balanced"
    job = make_job(table(kind), build, epochs=2, class_weight=weights)
    assert_as_keras(engine, job, form="usual")


@pytest.mark.parametrize("form", FORMS)
def test_weights_go_with_every_reduction_and_form_of_the_loss(engine, table, make_job, form):
    job = make_job(table("binary"), build, epochs=2, class_weight=WEIGHTS["binary"])
    assert_as_keras(engine, job, form=form)


def two_heads(hp, problem):
    """An output for each value, with losses of their own."""
    import keras

    rows = keras.Input(problem.input_shape)
    outputs = [keras.layers.Dense(1)(rows), keras.layers.Dense(problem.n_outputs - 1)(rows)]
    model = keras.Model(rows, outputs)
    losses = [keras.losses.MeanSquaredError(), keras.losses.Huber()]
    model.compile(keras.optimizers.SGD(0.05), losses, loss_weights=[1.0, 0.3])
    return model


@pytest.mark.parametrize(
    ("kind", "network", "of_classes"),
    [
        ("regression", build, None),
        ("multilabel", build, None),
        ("three values", two_heads, None),
        ("multiclass", build, "balanced"),
    ],
)
def test_weights_of_rows_count_as_in_keras(engine, table, make_job, kind, network, of_classes):
    data = table(kind)
    rows = np.random.default_rng(1).uniform(0.0, 4.0, data.n_rows)
    rows[::5] = 0.0
    job = make_job(replace(data, weights=rows), network, epochs=2, class_weight=of_classes)
    assert_as_keras(engine, job)


@pytest.mark.parametrize("kind", ["count", "quantile"])
def test_weights_of_rows_count_in_losses_with_a_link(engine, table, make_job, kind):
    data = table(kind)
    rows = np.random.default_rng(1).uniform(0.5, 4.0, data.n_rows)
    job = make_job(replace(data, weights=rows), build, epochs=2)
    found = read_fit_data(job.data_path)
    units = found.encoded.exposure
    if units is not None:  # a rate weighs its exposure as well
        rows = rows * units / units[found.folds[1].train].mean()
    candidate = Candidate(0, {"form": "usual"})
    result = engine.train(job, WorkUnit(candidate, (1,)))
    losses, _ = engine.call("keras_curves", job, candidate, 1, rows)
    assert_allclose(result.folds[0].train_loss, losses, rtol=1e-5)


def test_what_validation_rows_weigh_reaches_their_scores_and_no_training(engine, table, make_job):
    data, rng = table("binary"), np.random.default_rng(1)
    weights = rng.uniform(0.1, 4.0, data.n_rows)
    first = make_job(replace(data, weights=weights), build, epochs=2)
    held = read_fit_data(first.data_path).folds[0].validation
    other = weights.copy()
    other[held] = rng.uniform(0.1, 4.0, len(held))
    second = make_job(replace(data, weights=other), build, epochs=2)
    [[one], [two]] = (engine.train(job, WorkUnit(Candidate(0, {}), (0,))).folds
                      for job in (first, second))  # fmt: skip
    assert_array_equal(one.predictions, two.predictions)
    assert_array_equal(one.train_loss, two.train_loss)
    for name in one.train:
        assert_array_equal(one.train[name], two.train[name])
    for fold, given in ((one, weights), (two, other)):
        for name, curve in fold.validation.items():
            expected = score(name, data.y[held], fold.predictions, weights=given[held])
            assert_array_equal(curve, expected)
        unweighted = score("log_loss", data.y[held], fold.predictions)
        assert not np.allclose(fold.validation["log_loss"], unweighted)
    ones = [read_fit_data(job.data_path).statistics for job in (first, second)]
    for mine, theirs in zip(*(vars(each).values() for each in ones), strict=True):
        assert_array_equal(mine, theirs)


def test_weights_of_one_change_no_bit_of_what_is_learnt(engine, table, make_job):
    plain, weighted = (
        make_job(table("binary"), build, epochs=2, class_weight=each) for each in (None, {"yes": 1})
    )
    [[one], [other]] = (
        engine.train(job, WorkUnit(Candidate(0, {}), (0,))).folds for job in (plain, weighted)
    )
    assert_allclose(one.predictions, other.predictions, rtol=1e-6)


def test_the_refit_takes_the_weights_of_all_rows(engine, table, make_job):
    data = table("binary")
    balanced = make_job(data, build, class_weight="balanced")
    classes = read_fit_data(balanced.data_path).weights.classes
    given = dict(zip(data.target.labels, classes[-1], strict=True))
    same, none = make_job(data, build, class_weight=given), make_job(data, build)
    of_balanced, of_given, unweighted = (
        engine.call("refit", engine.name, job, Candidate(0, {}), 9)
        for job in (balanced, same, none)
    )
    for mine, theirs in zip(of_balanced, of_given, strict=True):
        assert_array_equal(mine, theirs)
    assert not np.allclose(of_balanced[0], unweighted[0])
