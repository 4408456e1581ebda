"""What a network is compiled with counts as in Keras's own ``fit``, whichever engine trains it.

Weights that the optimizer averages, penalties on what layers give, weight decay and its exceptions,
clipping, accumulated gradients, scaled losses, reductions. Last batches are partial, so that the
padding of a fused program would show.
"""

import sys

import cloudpickle
import pytest
from numpy.testing import assert_allclose

from hpsearch.engines.contract import Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.scoring.trials import joined_folds
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

EPOCHS, BATCH = 2, 8  # 26 rows in three folds: two batches of eight rows, and one of one or two


def optimizers():
    """Optimizers by what is special about them."""
    from keras import optimizers as o

    def without_decay(optimizer, **what):
        optimizer.exclude_from_weight_decay(**what)
        return optimizer

    return {
        "averages": lambda: o.Adam(0.05, use_ema=True, ema_momentum=0.8),
        "averages, written often": lambda: o.Adam(
            0.05, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2
        ),
        "averages, accumulated": lambda: o.Adam(
            0.05, use_ema=True, ema_momentum=0.8, gradient_accumulation_steps=2
        ),
        "accumulated, clipped": lambda: o.SGD(0.1, clipnorm=0.05, gradient_accumulation_steps=3),
        "decay but of biases": lambda: without_decay(
            o.AdamW(0.05, weight_decay=0.3), var_names=["bias"]
        ),
        "clipped norm": lambda: o.Adam(0.05, clipnorm=0.02),
        "scaled loss": lambda: o.SGD(0.05, loss_scale_factor=64.0),
        "schedule-free": lambda: o.ScheduleFreeAdamW(0.05),
    }


OPTIMIZERS = [
    *("averages", "averages, written often", "averages, accumulated", "accumulated, clipped"),
    *("decay but of biases", "clipped norm", "scaled loss", "schedule-free"),
]


def build(hp, problem):
    """Any of the optimizers above, on a network with a penalty and batch normalisation."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(4, "tanh", kernel_regularizer=keras.regularizers.L2(0.02)),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    optimizer = optimizers()[hp.Choice("optimizer", OPTIMIZERS)]()
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model


def build_penalised(hp, problem):
    """A network some of whose layers penalise what they give."""
    import keras
    from keras import layers as k
    from keras import regularizers as r

    where, strength = hp.Choice("where", PENALISED), hp.Float("strength", 0.0, 10.0, default=1.5)
    penalty = r.L1L2(strength, 0.5)
    steps = k.Reshape((3, 1))
    layers = {
        "a convolution": [steps, k.Conv1D(3, 2, activity_regularizer=penalty), k.Flatten()],
        "a layer of its own": [k.Dense(4, "tanh"), k.ActivityRegularization(0.3, strength)],
        "within a network": [
            keras.Sequential([k.Input((3,)), k.Dense(4, "tanh", activity_regularizer=penalty)])
        ],
        "a recurrent layer": [steps, k.SimpleRNN(3, activity_regularizer=penalty)],
    }.get(where, [k.Dense(4, "tanh", activity_regularizer=penalty)])
    last = k.Dense(problem.n_outputs, problem.output_activation, activity_regularizer=r.L1(0.1))
    model = keras.Sequential([k.Input(problem.input_shape), *layers, last])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


PENALISED = [
    *("a dense layer", "a convolution", "a layer of its own", "within a network"),
    "a recurrent layer",
]


def build_with_loss(hp, problem):
    """A network under a loss that is told how to reduce or to smooth, and metrics compiled in."""
    import keras
    from keras import losses

    loss = {
        "sum": lambda: losses.BinaryCrossentropy(reduction="sum"),
        "weighted mean": lambda: losses.BinaryCrossentropy(reduction="mean_with_sample_weight"),
        "smoothed": lambda: losses.BinaryCrossentropy(label_smoothing=0.2),
    }[hp.Choice("loss", LOSSES)]()
    layers = [keras.Input(problem.input_shape), keras.layers.Dense(4, "tanh")]
    model = keras.Sequential([*layers, keras.layers.Dense(1, "sigmoid")])
    metrics = ["accuracy", keras.metrics.AUC(), keras.metrics.Precision(name="precision")]
    model.compile("adam", loss, metrics=metrics, weighted_metrics=[keras.metrics.Recall()])
    return model


LOSSES = ["sum", "weighted mean", "smoothed"]


def build_masked(hp, problem):
    """Steps of a sequence that are left out, before batch normalisation."""
    import keras
    from keras import layers as k

    rows = k.Input(problem.input_shape)
    steps = k.Masking(0.0)(k.ZeroPadding1D((0, 2))(k.Reshape((3, 1))(rows)))
    steps = k.BatchNormalization(renorm=hp.Boolean("renorm"))(k.Dense(4, "tanh")(steps))
    last = k.Dense(problem.n_outputs, problem.output_activation)
    model = keras.Model(rows, last(k.GlobalAveragePooling1D()(steps)))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


def assert_trained_as_by_keras(engine, job, values, position=1):
    """A fold's losses and predictions, epoch for epoch, are those of ``fit`` and ``predict``."""
    candidate = Candidate(0, values)
    result = engine.train(job, WorkUnit(candidate, (position,)))
    assert result.error is None, result.traceback
    [fold] = result.folds
    losses, outputs = engine.call("keras_curves", job, candidate, position)
    data = read_fit_data(job.data_path)
    statistics = data.statistics[position]
    expected = outputs[:, data.folds[position].validation]
    expected = expected * statistics.target_scale + statistics.target_centre
    expected = data.target.without_column(expected)
    assert_allclose(fold.train_loss, losses, rtol=2e-5)
    assert_allclose(fold.predictions, expected, rtol=2e-5, atol=1e-5)


@pytest.fixture(scope="module")
def job(table, make_job):
    return make_job(table("regression"), build, epochs=EPOCHS, batch_size=BATCH)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_trains_as_in_keras(engine, job, optimizer):
    assert_trained_as_by_keras(engine, job, {"optimizer": optimizer})


@pytest.mark.parametrize("optimizer", ["averages", "schedule-free"])
def test_a_refit_ends_with_the_weights_that_keras_ends_with(engine, job, optimizer):
    candidate = Candidate(0, {"optimizer": optimizer})
    refitted = engine.call("refit", engine.name, job, candidate, 7)
    expected = engine.call("keras_refit", job, candidate, 7)
    for mine, theirs in zip(refitted, expected, strict=True):
        assert_allclose(mine, theirs, rtol=2e-5, atol=1e-6)


def test_averages_go_on_from_a_rung_as_in_one_training(engine, job):
    def train(span, states=None):
        unit = WorkUnit(Candidate(0, {"optimizer": "averages"}), (0, 1, 2), span, states)
        return engine.train(job, unit)

    whole, first = train(Span(0, None, 1)), train(Span(0, 1, 1))
    rest = train(Span(1, None, 1), {fold.position: fold.state for fold in first.folds})
    for joined, fold in zip(joined_folds([first, rest]), whole.folds, strict=True):
        assert_allclose(joined.predictions, fold.predictions, rtol=0)
        assert_allclose(joined.train_loss, fold.train_loss, rtol=0)


@pytest.mark.parametrize("where", PENALISED)
def test_penalties_on_what_layers_give_know_no_padding(engine, table, make_job, where):
    job = make_job(table("regression"), build_penalised, epochs=EPOCHS, batch_size=BATCH)
    assert_trained_as_by_keras(engine, job, {"where": where, "strength": 1.5})


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_reduced_as_in_keras_whatever_metrics_are_compiled_in(
    engine, table, make_job, loss
):
    job = make_job(table("binary"), build_with_loss, epochs=EPOCHS, batch_size=BATCH)
    assert_trained_as_by_keras(engine, job, {"loss": loss})


@pytest.mark.parametrize("renorm", [False, True])
def test_batch_normalisation_of_masked_steps_knows_no_padding(engine, table, make_job, renorm):
    job = make_job(table("regression"), build_masked, epochs=EPOCHS, batch_size=BATCH)
    assert_trained_as_by_keras(engine, job, {"renorm": renorm})
