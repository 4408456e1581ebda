"""The engine contract: exact, repeatable, and the same as Keras's own ``fit``, for every engine."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn import metrics as sk

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.fused.engine import FusedEngine, import_jax
from hpsearch.engines.plan import batch_order, replica_seed
from hpsearch.engines.reference.engine import ReferenceEngine
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, LokyWorkers, Lost
from hpsearch.preprocessing import design_rows
from hpsearch.preprocessing.transforms import transformed
from hpsearch.space.space import Candidate
from hpsearch.stats import patience_stop
from hpsearch.task.links import STEEPEST

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker


def compiled(layers, problem, *, rate=0.01, loss=None, optimizer=None, **last_layer):
    import keras

    last = {"units": problem.n_outputs, "activation": problem.output_activation} | last_layer
    layers = [keras.Input(problem.input_shape), *layers, keras.layers.Dense(**last)]
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer or keras.optimizers.Adam(rate), loss=loss or problem.loss)
    return model


def build(hp, problem):
    """A small network; ``rate`` and ``l2`` may be given."""
    import keras

    rate = hp.Float("rate", 0.0, 1e30, default=0.01)
    l2 = hp.Float("l2", 0.0, 10.0, default=0.0)
    hidden = keras.layers.Dense(4, "tanh", kernel_regularizer=keras.regularizers.L2(l2))
    return compiled([hidden], problem, rate=rate)


def build_with_state(hp, problem):
    """A network with everything that a replica carries on: moments, dropout, moving means."""
    import keras

    layers = [keras.layers.Dense(6, "relu"), keras.layers.BatchNormalization()]
    if rate := hp.Float("dropout", 0.0, 0.5, default=0.3):
        layers.append(keras.layers.Dropout(rate))
    rate = keras.optimizers.schedules.CosineDecay(0.1, problem.total_steps(8))
    return compiled(layers, problem, rate=rate)


def arrays_of(fold):
    yield fold.train_loss
    yield fold.predictions
    for curves in (fold.validation, fold.train):
        yield from (curves[name] for name in sorted(curves))


def assert_same(one, other, tolerance=0.0):
    """Two trainings of a fold agree, to the bit unless a relative tolerance is given."""
    assert (one.position, one.seed, one.epochs) == (other.position, other.seed, other.epochs)
    for mine, theirs in zip(arrays_of(one), arrays_of(other), strict=True):
        if tolerance:
            assert_allclose(mine, theirs, rtol=tolerance)
        else:
            assert_array_equal(mine, theirs)


# -- exact and repeatable


@pytest.fixture(scope="module")
def stateful_job(table, make_job):
    return make_job(table("binary"), build_with_state)


@pytest.fixture(scope="module")
def together(train, stateful_job):
    """The three folds of a trial, trained as one unit."""
    return train(stateful_job, 0, 1, 2).folds


def test_the_same_unit_gives_the_same_bits_twice(together, train, stateful_job):
    for one, other in zip(together, train(stateful_job, 0, 1, 2).folds, strict=True):
        assert_same(one, other)


def test_a_fold_is_trained_alone_as_it_is_in_any_company_and_order(
    together, train, stateful_job, engine
):
    backwards = train(stateful_job, 2, 0).folds
    [alone] = train(stateful_job, 2).folds
    assert [fold.position for fold in (*together, *backwards, alone)] == [0, 1, 2, 2, 0, 2]
    assert_same(alone, together[2])
    assert_same(backwards[0], together[2])
    assert_same(backwards[1], together[0])


def test_a_trial_of_another_number_trains_with_other_seeds(together, train, stateful_job):
    [other] = train(stateful_job, 0, trial=1).folds
    assert other.seed != together[0].seed
    assert not np.array_equal(other.predictions, together[0].predictions)


def test_every_trial_repeat_and_fold_has_a_seed_of_its_own():
    places = [(s, t, r, f) for s in range(3) for t in range(20) for r in range(5) for f in range(5)]
    seeds = [replica_seed(*place) for place in places]
    assert len(set(seeds)) == len(places)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_every_epoch_visits_every_row_once_in_an_order_of_its_own():
    orders = [batch_order(3, epoch, 20) for epoch in range(4)]
    for order in orders:
        assert_array_equal(np.sort(order), np.arange(20))
    assert len({tuple(order) for order in orders}) == 4


# -- equal to Keras


KINDS = ["regression", "two values", "share", "count", "quantile", "binary", "multiclass"]
KINDS += ["multilabel"]


@pytest.fixture(scope="module", params=KINDS)
def trained(request, train, table, make_job):
    """A job, one of its folds trained, and the problem's kind."""
    # Three folds of 26 rows: 17 or 18 rows train in batches of 8, the last one is short.
    job = make_job(table(request.param), build, epochs=3, batch_size=8)
    return job, train(job, 1, l2=0.01).folds[0], request.param


def test_curves_and_predictions_are_those_of_keras_fit_and_predict(trained, engine):
    job, fold, kind = trained
    data = read_fit_data(job.data_path)
    weights = None
    if kind == "count":  # a rate weighs its exposure, which makes the loss that of the counts
        units = data.encoded.exposure
        weights = units / units[data.folds[1].train].mean()
    candidate = Candidate(0, {"l2": 0.01})
    losses, outputs = engine.call("keras_curves", job, candidate, 1, weights)
    predictions = outputs[:, data.folds[1].validation]
    if kind == "count":
        assert predictions.max() < STEEPEST
        units = units[data.folds[1].validation, np.newaxis]
        predictions = np.exp(predictions) * data.statistics[1].target_scale * units
    if kind == "quantile":  # steps from the lowest one on, of a standard normal distribution
        steps = np.log1p(np.exp(predictions[..., 1:])) / np.log(2.0) * norm.ppf(0.9)
        lowest = predictions[..., :1] - norm.ppf(0.9)
        predictions = np.concatenate([lowest, lowest + np.cumsum(steps, axis=-1)], axis=-1)
    if kind in ("regression", "two values", "quantile"):
        stats = data.statistics[1]
        predictions = predictions * stats.target_scale + stats.target_centre
    if kind == "binary":
        predictions = predictions[..., 0]
    assert fold.predictions.shape == predictions.shape
    assert fold.predictions.dtype == np.float32
    assert_allclose(fold.predictions, predictions, rtol=1e-5, atol=1e-6)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)


def test_moments_and_moving_means_go_on_as_in_keras(train, stateful_job, engine):
    [fold] = train(stateful_job, 1, dropout=0.0).folds
    losses, outputs = engine.call("keras_curves", stateful_job, Candidate(0, {"dropout": 0.0}), 1)
    validation = read_fit_data(stateful_job.data_path).folds[1].validation
    assert_allclose(fold.predictions, outputs[:, validation, 0], rtol=1e-5)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)


def test_a_target_far_from_zero_keeps_the_digits_of_its_predictions(train, table, make_job, engine):
    job = make_job(table("far from zero"), build)
    [fold] = train(job, 1).folds
    _, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    truth, stats = data.y[data.folds[1].validation], data.statistics[1]
    assert_allclose(stats.target_scale, data.y[data.folds[1].train].std(), rtol=1e-9)
    expected = outputs[:, data.folds[1].validation] * stats.target_scale + stats.target_centre
    assert fold.predictions.dtype == np.float64
    assert_allclose(fold.predictions - 2459000, expected - 2459000, rtol=1e-5)
    mae = np.abs(fold.predictions - truth).mean(axis=(1, 2))
    assert_allclose(fold.validation["mae"], mae, rtol=1e-12)


def build_embedding(hp, problem):
    import keras

    return compiled([keras.layers.Embedding(5, 3), keras.layers.Flatten()], problem)


def test_tokens_train_as_in_keras_without_being_standardised(train, make_job, engine):
    tokens = np.random.default_rng(3).integers(0, 5, (26, 4))
    job = make_job(
        hpsearch.load(tokens, tokens[:, 0] + 0.5 * tokens[:, 1]),
        build_embedding,
        layout=lambda layout: replace(layout, token_numbers=(0, 1, 2, 3)),
    )
    result = train(job, 1)
    assert result.error is None, result.traceback
    losses, _ = engine.call("keras_curves", job, Candidate(0, {}), 1)
    assert_allclose(result.folds[0].train_loss, losses, rtol=1e-5)
    data = read_fit_data(job.data_path)
    assert_array_equal(design_rows(data.encoded, data.layout, data.statistics[1]), tokens)


def test_a_candidate_that_looks_up_what_the_default_one_does_not_fails(train, make_job):
    tokens = np.random.default_rng(3).integers(0, 5, (26, 4))
    result = train(make_job(hpsearch.load(tokens, tokens.sum(axis=1)), build_embedding), 1)
    assert "this one looks up 'x0', 'x1', 'x2', 'x3', the default one none" in result.error


def build_recurrent(hp, problem):
    import keras

    return compiled([keras.layers.SimpleRNN(3)], problem)


def test_a_recurrent_network_trains_on_sequences_as_in_keras(train, make_job, engine):
    series = np.random.default_rng(3).normal([0.0, 1e5], [1.0, 2e4], (26, 4, 2))
    job = make_job(hpsearch.load(series, series[:, :, 0].sum(axis=1)), build_recurrent, epochs=2)
    result = train(job, 1)
    assert result.error is None, result.traceback
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    stats = data.statistics[1]
    expected = outputs[:, data.folds[1].validation] * stats.target_scale + stats.target_centre
    assert_allclose(result.folds[0].train_loss, losses, rtol=1e-5)
    assert_allclose(result.folds[0].predictions, expected, rtol=1e-4, atol=1e-5)


def test_every_row_of_unequal_folds_and_short_batches_counts_once(train, table, make_job):
    job = make_job(table("regression", n_rows=23), build_zeros, epochs=2, scale_target=False)
    data = read_fit_data(job.data_path)
    assert sorted(len(fold.validation) for fold in data.folds) == [7, 8, 8]
    for fold, result in zip(data.folds, train(job, 0, 1, 2).folds, strict=True):
        assert result.predictions.shape == (2, len(fold.validation), 1)
        assert_allclose(result.train_loss, (data.y[fold.train] ** 2).mean(), rtol=1e-5)


# -- several outputs, and losses of any kind


def heads(problem, widths, activations, nest=list, **compile_arguments):
    """A network with an output called 'head_0', 'head_1' ... for each width."""
    import keras

    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.Dense(4, "tanh", kernel_regularizer=keras.regularizers.L2(0.01))(rows)
    hidden = keras.layers.BatchNormalization()(hidden)
    names = [f"head_{number}" for number in range(len(widths))]
    parts = zip(widths, activations, names, strict=True)
    outputs = [keras.layers.Dense(w, a, name=name)(hidden) for w, a, name in parts]
    model = keras.Model(rows, dict(zip(names, outputs, strict=True)) if nest is dict else outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.01), **compile_arguments)
    return model


def a_list_of_losses(hp, problem):
    losses = {"loss": ["mse", "mae"], "loss_weights": [0.3, 2.0]}
    return heads(problem, [2, 1], ["linear", "linear"], **losses)


def losses_by_name(hp, problem):
    import keras

    losses = {"head_1": keras.losses.Huber(0.5), "head_0": "mae"}
    weights = {"head_1": 0.3, "head_0": 2.0}
    return heads(problem, [1, 2], ["linear", "linear"], dict, loss=losses, loss_weights=weights)


def a_column_each(hp, problem):
    return heads(problem, [1, 1, 1], ["linear", "relu", "tanh"], loss=["mse", "mae", "log_cosh"])


def logits_and_probabilities(hp, problem):
    import keras

    losses = [keras.losses.BinaryCrossentropy(from_logits=True), "binary_crossentropy"]
    return heads(problem, [1, 1], ["linear", "sigmoid"], loss=losses, loss_weights=[1.0, 0.2])


@pytest.mark.parametrize(
    ("kind", "build"),
    [
        ("three values", a_list_of_losses),
        ("three values", losses_by_name),
        ("multilabel", logits_and_probabilities),
    ],
)
def test_several_outputs_train_as_in_keras_and_are_scored_side_by_side(
    kind, build, train, table, make_job, engine
):
    job = make_job(table(kind), build, epochs=4)
    result = train(job, 1)
    assert result.error is None, result.traceback
    [fold] = result.folds
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)
    data = read_fit_data(job.data_path)
    validation, statistics = data.folds[1].validation, data.statistics[1]
    expected = outputs[:, validation] * statistics.target_scale + statistics.target_centre
    if kind == "multilabel":
        expected[..., 0] = 1 / (1 + np.exp(-expected[..., 0]))
    assert_allclose(fold.predictions, expected, rtol=1e-5, atol=1e-6)
    name = job.options.metrics[0]
    score = sklearn_score(name, data.y[validation], fold.predictions[-1])
    assert_allclose(fold.validation[name][-1], score, rtol=1e-5)


def test_a_refit_of_several_outputs_is_that_of_keras(table, make_job, engine):
    job = make_job(table("three values"), a_list_of_losses)
    refitted = engine.call("refit", engine.name, job, Candidate(0, {}), 7)
    expected = engine.call("keras_refit", job, Candidate(0, {}), 7)
    for mine, theirs in zip(refitted, expected, strict=True):
        assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "build", "scalable"),
    [
        ("three values", losses_by_name, True),
        ("three values", a_column_each, False),  # its second output is positive
        ("multilabel", logits_and_probabilities, False),
    ],
)
def test_the_probe_looks_at_every_output(kind, build, scalable, table, make_job, engine):
    found = engine.call("probe", make_job(table(kind), build))
    assert found.untraceable is None
    assert found.scalable_target == scalable


def build_with_weighted_loss(hp, problem):
    import keras

    model = compiled([], problem)
    loss = {
        "weighted": {"loss": problem.loss, "loss_weights": 0.25},
        "listed": {"loss": [problem.loss], "loss_weights": [0.25]},
        "summed": {"loss": keras.losses.MeanSquaredError(reduction="sum")},
        "of one's own": {"loss": lambda y, predicted: 3.0 * (y - predicted) ** 2},
    }[hp.Choice("form", ["weighted", "listed", "summed", "of one's own"])]
    model.compile(optimizer=keras.optimizers.SGD(0.01), **loss)
    return model


@pytest.mark.parametrize("form", ["weighted", "listed", "summed", "of one's own"])
def test_a_loss_counts_as_it_does_in_keras(form, train, table, make_job, engine):
    job = make_job(table("regression"), build_with_weighted_loss)
    result = train(job, 1, form=form)
    assert result.error is None, result.traceback
    losses, _ = engine.call("keras_curves", job, Candidate(0, {"form": form}), 1)
    assert_allclose(result.folds[0].train_loss, losses, rtol=1e-5)


# -- scores


SKLEARN = {
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=range(p.shape[1]) if p.ndim == 2 else None),
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5 if p.ndim == 1 else p.argmax(axis=1)),
    "roc_auc": sk.roc_auc_score,
    "micro_f1": lambda y, p: sk.f1_score(y, p >= 0.5, average="micro"),
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
    "poisson_deviance": sk.mean_poisson_deviance,
    "mean_pinball": lambda y, p: np.mean([sk.mean_pinball_loss(y, q, alpha=a) for a, q in of(p)]),
    "coverage_error": lambda y, p: np.mean([abs((y[:, 0] <= q).mean() - a) for a, q in of(p)]),
    "interval_width": lambda y, p: (p[:, -1] - p[:, 0]).mean(),
}


def of(quantiles):
    """Each level of a table's quantiles, and what is predicted of it."""
    return zip((0.1, 0.5, 0.9), quantiles.T, strict=True)


def sklearn_score(name, y, predictions):
    if name == "log_loss" and y.ndim == 2:
        labels = [sk.log_loss(y[:, i], predictions[:, i]) for i in range(y.shape[1])]
        return np.mean(labels)
    return SKLEARN[name](y, predictions)


def test_scores_are_those_of_the_whole_fold_in_the_targets_own_units(trained):
    job, fold, _ = trained
    data = read_fit_data(job.data_path)
    rows = data.folds[1].validation
    assert set(fold.validation) == set(job.options.metrics) == set(fold.train)
    for epoch, predictions in enumerate(fold.predictions):
        for name in job.options.metrics:
            expected = sklearn_score(name, data.y[rows], predictions)
            assert_allclose(fold.validation[name][epoch], expected, rtol=1e-5)


def build_zeros(hp, problem):
    """A network that gives 0, and learns nothing."""
    return compiled([], problem, rate=0.0, kernel_initializer="zeros")


@pytest.mark.parametrize("name", ["log", "yeo-johnson"])
def test_a_transformed_target_is_learnt_as_in_keras_and_predicted_in_its_own_units(
    name, train, table, make_job, engine
):
    job = make_job(table("two values" if name == "yeo-johnson" else "regression").learnt_as(name),
                   build, batch_size=8)  # fmt: skip
    [fold] = train(job, 1).folds
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)
    data = read_fit_data(job.data_path)
    rows, stats = data.folds[1].validation, data.statistics[1]
    learnt = transformed(name, fold.predictions[-1].astype(np.float64), stats.target_power)
    expected = outputs[-1, rows] * stats.target_scale + stats.target_centre
    assert_allclose(learnt, expected, rtol=1e-4)
    score = sk.mean_absolute_error(data.y[rows], fold.predictions[-1])
    assert_allclose(fold.validation["mae"][-1], score, rtol=1e-6)
    refitted, theirs = (
        engine.call(function, *who, job, Candidate(0, {}), 4)
        for function, *who in (("refit", engine.name), ("keras_refit",))
    )
    for mine, other in zip(refitted, theirs, strict=True):
        assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale_target", [True, False])
def test_a_scaled_target_is_predicted_in_its_own_units(scale_target, train, table, make_job):
    job = make_job(table("regression"), build_zeros, epochs=1, scale_target=scale_target)
    data = read_fit_data(job.data_path)
    [fold] = train(job, 0).folds
    y = data.y[data.folds[0].train]
    expected = y.mean() if scale_target else 0.0
    assert_allclose(fold.predictions, expected, rtol=1e-6)
    assert_allclose(fold.train["mae"], [np.abs(y - expected).mean()], rtol=1e-6)
    # The loss is that of the target that the network sees.
    assert_allclose(fold.train_loss, [1.0 if scale_target else (y**2).mean()], rtol=1e-5)


def build_with_loss(hp, problem):
    last = {"units": hp.Int("units", 1, 3), "activation": hp.Choice("last", ["linear", "softmax"])}
    return compiled([], problem, loss=loss_called(hp.Choice("loss", LOSSES)), **last)


LOSSES = ["sparse", "categorical", "sparse logits", "categorical logits", "binary logits"]


def loss_called(name):
    from keras import losses

    return {
        "sparse": "sparse_categorical_crossentropy",
        "categorical": "categorical_crossentropy",
        "sparse logits": losses.SparseCategoricalCrossentropy(from_logits=True),
        "categorical logits": losses.CategoricalCrossentropy(from_logits=True),
        "binary logits": losses.BinaryCrossentropy(from_logits=True),
    }[name]


@pytest.mark.parametrize(
    ("kind", "losses"),
    [("binary", ["categorical logits"]), ("multiclass", ["categorical", "sparse logits"])],
)
def test_a_crossentropy_in_any_form_trains_the_same_network(kind, losses, train, table, make_job):
    job = make_job(table(kind), build_with_loss, epochs=1)
    units = 2 if kind == "binary" else 3
    [expected] = train(job, 0, loss="sparse", last="softmax", units=units).folds
    for loss in losses:
        last = "linear" if "logits" in loss else "softmax"
        [fold] = train(job, 0, loss=loss, last=last, units=units).folds
        assert_allclose(fold.train_loss, expected.train_loss, rtol=1e-4)
        assert_allclose(fold.predictions, expected.predictions, rtol=1e-4)


def test_two_softmax_units_of_a_binary_problem_give_the_second_labels_probability(
    train, table, make_job
):
    job = make_job(table("binary"), build_with_loss, epochs=40)
    [fold] = train(job, 0, loss="sparse", last="softmax", units=2).folds
    assert fold.predictions.shape == (40, len(read_fit_data(job.data_path).folds[0].validation))
    assert fold.train["roc_auc"][-1] > 0.9


def test_logits_of_a_binary_problem_are_scored_as_probabilities(train, table, make_job):
    job = make_job(table("binary"), build_with_loss, epochs=2)
    [fold] = train(job, 0, loss="binary logits", last="linear", units=1).folds
    assert ((fold.predictions > 0) & (fold.predictions < 1)).all()
    assert_allclose(fold.train["log_loss"][0], fold.train_loss[0], rtol=0.5)


def test_the_penalty_is_part_of_the_training_loss_and_of_no_score(train, table, make_job):
    job = make_job(table("regression"), build, epochs=2)
    [weak], [strong] = (train(job, 0, rate=0.0, l2=l2).folds for l2 in (0.1, 1.0))
    for name in job.options.metrics:
        assert_array_equal(strong.validation[name], weak.validation[name])
        assert_array_equal(strong.train[name], weak.train[name])
    assert (strong.train_loss > weak.train_loss + 0.1).all()


def build_with_dropout(hp, problem):
    import keras

    return compiled([keras.layers.Dropout(0.5)], problem, rate=0.0)


def test_scores_are_made_in_inference_mode_and_the_training_loss_is_not(train, table, make_job):
    [fold] = train(make_job(table("regression"), build_with_dropout, epochs=2), 0).folds
    assert_array_equal(fold.predictions[0], fold.predictions[1])
    assert fold.train["mae"][0] == fold.train["mae"][1]
    assert fold.train_loss[0] != fold.train_loss[1]


def build_with_metrics(hp, problem):
    model = compiled([], problem)
    model.compile(optimizer="sgd", loss=problem.loss, metrics=["mae"], run_eagerly=True)
    return model


def test_metrics_and_eager_execution_of_the_users_compile_are_no_obstacle(train, table, make_job):
    result = train(make_job(table("regression"), build_with_metrics), 0)
    assert result.error is None
    assert list(result.folds[0].validation) == ["mae", "rmse", "r2"]


# -- patience


def test_patience_stops_all_folds_of_a_trial_where_their_mean_curve_asks_for_it(
    train, table, make_job, engine
):
    job = make_job(table("binary"), build, epochs=40)
    whole = train(job, 0, 1, 2, rate=0.1).folds
    mean_curve = np.mean([fold.validation["log_loss"] for fold in whole], axis=0)
    kept = patience_stop(mean_curve, "min", 3)
    assert 10 < kept < 30  # else this shows nothing
    patient = replace(job, options=replace(job.options, patience=3))
    stopped = train(patient, 0, 1, 2, rate=0.1).folds
    for short, full in zip(stopped, whole, strict=True):
        assert short.epochs == kept
        for mine, theirs in zip(arrays_of(short), arrays_of(full), strict=True):
            assert_array_equal(mine, theirs[:kept])


def test_patience_without_a_reason_to_stop_trains_every_epoch(together, train, stateful_job):
    patient = replace(stateful_job, options=replace(stateful_job.options, patience=50))
    for one, other in zip(train(patient, 0, 1, 2).folds, together, strict=True):
        assert_same(one, other)


# -- failures


def test_a_loss_that_becomes_nan_fails_the_trial_and_says_where(train, table, make_job):
    result = train(make_job(table("regression"), build, epochs=9), 0, 1, rate=1e30)
    assert result.folds == ()
    assert "diverged" in result.error
    assert "epoch" in result.error
    assert "repeat 0, fold 0" in result.error


def build_that_raises(hp, problem):
    if hp.Boolean("raises"):
        raise RuntimeError("no such layer\nand more")
    return compiled([], problem)


def test_a_build_that_raises_fails_the_trial_with_its_reason(train, table, make_job):
    result = train(make_job(table("regression"), build_that_raises), 0, raises=True)
    assert result.folds == ()
    assert "no such layer" in result.error
    assert "\n" not in result.error
    assert "build_that_raises" in result.traceback
    assert result.values == {"raises": True}


def build_that_cannot_train(hp, problem):
    def broken(y, predicted):
        raise RuntimeError("this loss cannot train\nand more")

    return compiled([], problem, loss=broken)


def test_a_network_that_raises_in_training_fails_the_trial(train, table, make_job):
    result = train(make_job(table("regression"), build_that_cannot_train), 0)
    assert result.folds == ()
    assert "this loss cannot train" in result.error
    assert "\n" not in result.error
    assert "broken" in result.traceback


def build_with_too_many_outputs(hp, problem):
    return heads(problem, [1, 1], ["sigmoid", "sigmoid"], loss="binary_crossentropy")


def test_outputs_that_do_not_fit_the_problem_fail_the_trial_in_one_line(train, table, make_job):
    result = train(make_job(table("binary"), build_with_too_many_outputs), 0)
    assert result.folds == ()
    assert result.error.startswith("a binary problem has one label a row")


def build_that_leaves_the_probabilities(hp, problem):
    """Its moving means turn probabilities into other numbers, which no look ahead can tell."""
    import keras

    network = compiled([], problem)
    outputs = keras.layers.BatchNormalization(momentum=0.1)(network.outputs[0])
    model = keras.Model(network.inputs, outputs)
    model.compile("adam", problem.loss)
    return model


def test_a_trial_that_predicts_no_probabilities_fails(train, table, make_job):
    result = train(make_job(table("binary"), build_that_leaves_the_probabilities), 0)
    assert result.folds == ()
    assert "predictions must be probabilities; these lie between" in result.error


def build_of_sigmoids(hp, problem):
    return compiled([], problem, activation="sigmoid")


def test_a_last_layer_that_contradicts_the_loss_fails_its_trial(train, table, make_job):
    result = train(make_job(table("multiclass"), build_of_sigmoids), 0)
    assert result.folds == ()
    assert "must sum to 1 in each row" in result.error


def test_the_hyperparameters_that_the_build_used_are_reported(train, table, make_job):
    result = train(make_job(table("regression"), build, epochs=1), 0, l2=0.5)
    assert result.values == {"rate": 0.01, "l2": 0.5}
    assert result.n_params == 3 * 4 + 4 + 4 + 1


def build_with_fit_settings(hp, problem):
    hp.Int("epochs", 0, 50)
    hp.Int("batch_size", 0, 50)
    return compiled([], problem)


def test_a_space_steers_epochs_and_batch_size(train, table, make_job):
    job = make_job(table("regression"), build_with_fit_settings, epochs=1)
    [fold] = train(job, 0, epochs=3, batch_size=2).folds
    [other] = train(job, 0, epochs=3, batch_size=5).folds
    assert fold.epochs == len(fold.train_loss) == 3
    assert not np.array_equal(fold.train_loss, other.train_loss)


def test_a_batch_size_of_nothing_fails_the_trial(train, table, make_job):
    result = train(make_job(table("regression"), build_with_fit_settings), 0, batch_size=0)
    assert "'batch_size' steers the fit" in result.error
    assert result.values == {"batch_size": 0}


# -- the refit


def test_a_refit_takes_just_so_many_steps_over_all_rows(table, make_job, engine):
    # 26 rows in batches of 8 are 4 steps an epoch; 7 steps end within the second.
    job = make_job(table("regression"), build, batch_size=8)
    candidate = Candidate(0, {"rate": 0.01, "l2": 0.01})
    refits = []
    for number in (0, 2):  # networks of one configuration under several seeds
        refits.append(engine.call("refit", engine.name, job, candidate, 7, number))
        expected = engine.call("keras_refit", job, candidate, 7, number)
        for mine, theirs in zip(refits[-1], expected, strict=True):
            assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)
    assert np.abs(refits[0][0] - refits[1][0]).max() > 0.01


def test_a_batch_of_more_rows_than_there_are_is_all_of_them(train, table, make_job, engine):
    [whole] = train(make_job(table("regression"), build, batch_size=26), 0).folds
    huge = make_job(table("regression"), build, batch_size=3_000_000)
    [fold] = train(huge, 0).folds
    assert_allclose(fold.train_loss, whole.train_loss, rtol=1e-5)
    candidate = Candidate(0, {"rate": 0.01, "l2": 0.01})
    refitted = engine.call("refit", engine.name, huge, candidate, 3)
    expected = engine.call("keras_refit", huge, candidate, 3)
    for mine, theirs in zip(refitted, expected, strict=True):
        assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


# -- worker processes


KILLER = """
def build(hp, problem):
    import os, signal, keras

    def kill():
        os.kill(os.getpid(), signal.SIGKILL)

    def loss(y, predicted):
        return kill() if when == "training" else keras.losses.mean_squared_error(y, predicted)

    when = hp.Choice("kills", ["never", "building", "training"])
    if when == "building":
        kill()
    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    return model
"""


def test_a_trial_that_kills_its_worker_is_tried_again_then_given_up_and_the_others_complete(
    table, make_job, tmp_path, monkeypatch
):
    monkeypatch.setattr("hpsearch.engines.workers.policy.MAX_ATTEMPTS", 2)
    space = tmp_path / "killer.py"
    space.write_text(KILLER)
    job = make_job(table("regression"), space, n_folds=2, epochs=1, patience=1)
    killers = {1: "building", 2: "training"}
    asked = [Candidate(trial, {"kills": killers.get(trial, "never")}) for trial in range(4)]
    with LokyWorkers(1, import_jax, environment=WORKER_ENVIRONMENTS["jax"]) as workers:
        engine = FusedEngine(workers, job, read_fit_data(job.data_path), fall_back=None)
        results = list(engine.score([WorkUnit(candidate, (0, 1)) for candidate in asked]))
    assert len(results) == 4
    errors = {result.unit.candidate.trial: result.error for result in results}
    reason = "its worker process died 2 times (killed, or out of memory)"
    assert errors == {trial: reason if trial in killers else None for trial in range(4)}


class LosingWorkers:
    """Stands for workers whose process died whenever it trained trial 1."""

    def map_unordered(self, function, tasks):
        for task in tasks:
            yield Lost(task, attempts=3) if task[1].candidate.trial == 1 else function(task)


def test_the_reference_engine_gives_up_what_its_workers_have_lost(table, make_job, engine_side):
    job = make_job(table("regression"), build, n_folds=2, epochs=1, patience=1)
    work = [WorkUnit(Candidate(trial, {}), (0, 1)) for trial in range(2)]
    engine = ReferenceEngine(LosingWorkers(), job, read_fit_data(job.data_path))
    completed, lost = engine.score(work)
    assert (completed.unit, completed.error, len(completed.folds)) == (work[0], None, 2)
    assert lost.error == "its worker process died 3 times (killed, or out of memory)"
    assert (lost.unit, lost.folds) == (work[1], ())
