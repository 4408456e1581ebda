"""The engine contract: exact, repeatable, and the same as Keras's own ``fit``."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sk

import hpsearch
from hpsearch.engines import reference, tf_program
from hpsearch.engines.base import WorkUnit, batch_order, plan_units, read_fit_data, replica_seed
from hpsearch.engines.reference import ReferenceEngine, import_tensorflow, train_unit
from hpsearch.engines.workers import Workers
from hpsearch.preprocessing import design_rows
from hpsearch.space import Candidate
from hpsearch.stats import patience_stop

ENGINES = {"reference": train_unit}
"""How each engine trains one work unit in this process."""


@pytest.fixture(scope="module", params=ENGINES)
def train(request):
    """Train folds of a candidate with an engine; gives the unit's result."""

    def train(job, *folds, trial=0, **values):
        return ENGINES[request.param](job, WorkUnit(Candidate(trial, values), folds))

    return train


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

    layers = [
        keras.layers.Dense(6, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
    ]
    rate = keras.optimizers.schedules.CosineDecay(0.1, problem.total_steps(8))
    return compiled(layers, problem, rate=rate)


def arrays_of(fold):
    yield fold.train_loss
    yield fold.predictions
    for curves in (fold.validation, fold.train):
        yield from (curves[name] for name in sorted(curves))


def assert_same_bits(one, other):
    assert (one.position, one.seed, one.epochs) == (other.position, other.seed, other.epochs)
    for mine, theirs in zip(arrays_of(one), arrays_of(other), strict=True):
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
        assert_same_bits(one, other)


def test_a_fold_is_trained_alone_as_it_is_in_any_company_and_order(together, train, stateful_job):
    backwards = train(stateful_job, 2, 0).folds
    [alone] = train(stateful_job, 2).folds
    assert [fold.position for fold in (*together, *backwards, alone)] == [0, 1, 2, 2, 0, 2]
    assert_same_bits(alone, together[2])
    assert_same_bits(backwards[0], together[2])
    assert_same_bits(backwards[1], together[0])


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


def loss_target(data, position):
    """The target that plain Keras would be given."""
    statistics, y = data.statistics[position], data.y
    if data.target.kind == "regression":
        return (y - statistics.target_centre) / statistics.target_scale
    return y.reshape(-1, 1) if data.target.kind == "binary" else y


def keras_alone(job, position, epochs, build):
    """What ``fit`` and ``predict`` give: the losses, and predictions of the validation rows."""
    import keras
    from keras_tuner import HyperParameters

    data = read_fit_data(job.data_path)
    fold, n_train = data.folds[position], len(data.folds[position].train)
    x = design_rows(data.encoded, data.layout, data.statistics[position])
    y = loss_target(data, position)
    seed = replica_seed(job.options.seed, 0, fold.repeat, fold.fold)
    keras.utils.set_random_seed(seed)
    n_smallest = min(len(fold.train) for fold in data.folds)
    problem = reference.problem_of(data.target, data.layout, n_train=n_smallest, epochs=epochs)
    hp = HyperParameters()
    hp.values = {"l2": 0.01}
    model = build(hp, problem)
    losses, predictions = [], []
    for epoch in range(epochs):
        rows = fold.train[batch_order(seed, epoch, n_train)]
        batches = {"batch_size": job.options.batch_size, "shuffle": False, "verbose": 0}
        losses += model.fit(x[rows], y[rows], **batches).history["loss"]
        predictions.append(model.predict(x[fold.validation], verbose=0))
    return np.array(losses), np.stack(predictions)


KINDS = ["regression", "two values", "share", "binary", "multiclass", "multilabel"]


@pytest.fixture(scope="module", params=KINDS)
def trained(request, train, table, make_job):
    """A job, one of its folds trained, and the problem's kind."""
    # Three folds of 26 rows: 17 or 18 rows train in batches of 8, the last one is short.
    job = make_job(table(request.param), build, epochs=3, batch_size=8)
    return job, train(job, 1, l2=0.01).folds[0], request.param


def test_curves_and_predictions_are_those_of_keras_fit_and_predict(trained):
    job, fold, kind = trained
    losses, predictions = keras_alone(job, 1, 3, build)
    if kind in ("regression", "two values"):
        stats = read_fit_data(job.data_path).statistics[1]
        predictions = predictions * stats.target_scale + stats.target_centre
    if kind == "binary":
        predictions = predictions[..., 0]
    assert fold.predictions.shape == predictions.shape
    assert fold.predictions.dtype == np.float32
    assert_allclose(fold.predictions, predictions, rtol=1e-5, atol=1e-7)
    assert_allclose(fold.train_loss, losses, rtol=1e-5)


def test_dropout_and_batch_normalization_go_on_as_in_keras(together, stateful_job):
    losses, predictions = keras_alone(stateful_job, 1, 3, build_with_state)
    assert_allclose(together[1].predictions, predictions[..., 0], rtol=1e-5)
    assert_allclose(together[1].train_loss, losses, rtol=1e-5)


def test_every_row_of_unequal_folds_and_short_batches_counts_once(train, table, make_job):
    job = make_job(table("regression", n_rows=23), build_zeros, epochs=2, scale_target=False)
    data = read_fit_data(job.data_path)
    assert sorted(len(fold.validation) for fold in data.folds) == [7, 8, 8]
    for fold, result in zip(data.folds, train(job, 0, 1, 2).folds, strict=True):
        assert result.predictions.shape == (2, len(fold.validation), 1)
        assert_allclose(result.train_loss, (data.y[fold.train] ** 2).mean(), rtol=1e-5)


# -- scores


SKLEARN = {
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=range(p.shape[1]) if p.ndim == 2 else None),
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5 if p.ndim == 1 else p.argmax(axis=1)),
    "roc_auc": sk.roc_auc_score,
    "micro_f1": lambda y, p: sk.f1_score(y, p >= 0.5, average="micro"),
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
}


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


# -- batches made on the fly


def test_rows_made_batch_by_batch_train_the_same_as_rows_made_at_once(train, make_job, monkeypatch):
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
    [at_once] = train(make_job(data, build), 0).folds
    monkeypatch.setattr(tf_program, "DENSE_LIMIT_BYTES", 0)
    [in_batches] = train(make_job(data, build), 0).folds
    for mine, theirs in zip(arrays_of(in_batches), arrays_of(at_once), strict=True):
        assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


# -- patience


def test_patience_stops_all_folds_of_a_trial_where_their_mean_curve_asks_for_it(
    train, table, make_job, monkeypatch
):
    monkeypatch.setattr(reference, "STOP_CHECK_EPOCHS", 3)
    job = make_job(table("regression"), build_with_state, epochs=12)
    whole = train(job, 0, 1, 2).folds
    mean_curve = np.mean([fold.validation["mae"] for fold in whole], axis=0)
    kept = patience_stop(mean_curve, "min", 2)
    assert 3 < kept < 12  # else this shows nothing
    stopped = train(replace(job, options=replace(job.options, patience=2)), 0, 1, 2).folds
    for short, full in zip(stopped, whole, strict=True):
        assert short.epochs == kept
        for mine, theirs in zip(arrays_of(short), arrays_of(full), strict=True):
            assert_array_equal(mine, theirs[:kept])


def test_patience_without_a_reason_to_stop_trains_every_epoch(together, train, stateful_job):
    patient = replace(stateful_job, options=replace(stateful_job.options, patience=50))
    for one, other in zip(train(patient, 0, 1, 2).folds, together, strict=True):
        assert_same_bits(one, other)


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
    import keras

    class Broken(keras.layers.Layer):
        def call(self, x, training=False):
            if training:
                raise RuntimeError("this layer cannot train")
            return x

    return compiled([Broken()], problem)


def test_a_network_that_raises_in_training_fails_the_trial(train, table, make_job):
    result = train(make_job(table("regression"), build_that_cannot_train), 0)
    assert "this layer cannot train" in result.error


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


def test_a_refit_takes_just_so_many_steps_over_all_rows(table, make_job):
    # 26 rows in batches of 8 are 4 steps an epoch; 7 steps end within the second.
    job = make_job(table("regression"), build, batch_size=8)
    model = reference.train_on_all_rows(job, Candidate(0, {"rate": 0.01, "l2": 0.0}), 7)
    assert int(model.optimizer.iterations.numpy()) == 7


# -- units


def candidates(n):
    return [Candidate(trial, {}) for trial in range(n)]


def whole(candidates, folds):
    return [WorkUnit(candidate, tuple(range(len(folds)))) for candidate in candidates]


@pytest.mark.parametrize(("n", "n_units"), [(1, 6), (3, 6), (4, 8), (7, 14), (8, 8)])
def test_work_is_cut_as_fine_as_a_few_workers_need(n, n_units, table, make_job):
    folds = read_fit_data(make_job(table("binary"), build, repeats=2).data_path).folds
    units = plan_units(whole(candidates(n), folds), folds, patience=None)
    assert len(units) == n_units if n > 3 else n * 6
    for candidate in candidates(n):
        trained = [p for u in units if u.candidate == candidate for p in u.folds]
        assert sorted(trained) == list(range(6))


def test_with_patience_a_unit_is_a_whole_trial(table, make_job):
    folds = read_fit_data(make_job(table("binary"), build, repeats=2).data_path).folds
    units = plan_units(whole(candidates(2), folds), folds, patience=3)
    assert [unit.folds for unit in units] == [tuple(range(6))] * 2


# -- worker processes


KILLER = """
def build(hp, problem):
    import os, signal, keras
    if hp.Boolean("kills"):
        os.kill(os.getpid(), signal.SIGKILL)
    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""


def test_a_trial_that_kills_its_worker_is_tried_again_then_given_up_and_the_others_complete(
    table, make_job, tmp_path, monkeypatch
):
    monkeypatch.setattr("hpsearch.engines.workers.MAX_ATTEMPTS", 2)
    space = tmp_path / "killer.py"
    space.write_text(KILLER)
    job = make_job(table("regression"), space, epochs=1)
    units = [WorkUnit(Candidate(trial, {"kills": trial == 1}), (0,)) for trial in range(4)]
    with Workers(1, import_tensorflow) as workers:
        results = list(ReferenceEngine(workers, job).score_units(units))
    errors = {result.unit.candidate.trial: result.error for result in results}
    assert errors.pop(1) == "its worker process died 2 times (killed, or out of memory)"
    assert errors == {0: None, 2: None, 3: None}
