"""A frozen base that is run once over the table gives what it gives when it is run each epoch."""

import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.engines.base_outputs import digest_of
from hpsearch.engines.contract import Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.frozen_base import cut_of, whole_of
from hpsearch.engines.input_form import InputForm
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the space goes to a worker

EPOCHS = 4


def build(hp, problem):
    """A frozen base, and a head that may learn with penalty, dropout and batch normalisation."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(5, "tanh", name="low"),
        keras.layers.BatchNormalization(name="normal"),
    ]
    base = keras.Sequential(layers, name="base")
    trained = np.random.default_rng(hp.Choice("base", [5, 6]))
    base.set_weights([trained.uniform(0.2, 1.0, weight.shape) for weight in base.get_weights()])
    base.trainable = False
    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.Activation("tanh")(base(rows, training=False))
    head = keras.layers.Dense(4, use_bias=False, kernel_regularizer="l2", name="head")
    hidden = head(hidden)  # a bias that the next layer takes off again would follow rounding alone
    hidden = keras.layers.BatchNormalization()(hidden)
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model(rows, last(hidden))
    model.compile(keras.optimizers.Adam(0.02), problem.loss)
    return model


def build_in_phases(hp, problem):
    return build(hp, problem)


def phases(hp, problem):
    from hpsearch import Phase

    return [Phase(0.5, ["head", "dense*", "batch*"]), Phase(0.5, ["*"])]


build_in_phases.phases = phases


@pytest.fixture(scope="module", params=["alone", "in phases"])
def trained(request, engine, table, make_job):
    """A trial's folds with the base run once, and with it in each epoch."""
    space = build if request.param == "alone" else build_in_phases
    job = make_job(table("regression"), space, epochs=EPOCHS)
    unit = WorkUnit(Candidate(0, {"base": 5}), (0, 1), Span(until=EPOCHS), keeps_networks=True)
    once, each_epoch = engine.train(job, unit), engine.call("train_whole", engine.name, job, unit)
    assert once.error is None, once.traceback
    return once, each_epoch, job


def test_curves_predictions_and_weights_are_the_same(trained):
    once, each_epoch, job = trained
    assert len(list(Path(job.data_path).parent.glob("base-*/fit_data.joblib"))) >= 1
    assert once.n_params == each_epoch.n_params
    for one, other in zip(once.folds, each_epoch.folds, strict=True):
        assert_allclose(one.train_loss, other.train_loss, rtol=1e-5)
        assert_allclose(one.predictions, other.predictions, rtol=1e-5)
        for mine, theirs in zip(one.network.weights, other.network.weights, strict=True):
            assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_steps", [5, 14])
def test_the_refit_is_the_same_network_whole(trained, engine, n_steps):
    job, candidate = trained[2], Candidate(0, {"base": 5})
    once = engine.call("refit", engine.name, job, candidate, n_steps)
    each_epoch = engine.call("refit_whole", engine.name, job, candidate, n_steps)
    for mine, theirs in zip(once, each_epoch, strict=True):
        assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_another_base_has_outputs_of_its_own(trained, engine):
    job = trained[2]
    unit = WorkUnit(Candidate(0, {"base": 6}), (1,), Span(until=EPOCHS))
    once, each_epoch = engine.train(job, unit), engine.call("train_whole", engine.name, job, unit)
    assert_allclose(once.folds[0].train_loss, each_epoch.folds[0].train_loss, rtol=1e-5)
    assert not np.allclose(once.folds[0].train_loss, trained[0].folds[1].train_loss, rtol=1e-3)


@settings(deadline=None, max_examples=3, database=None, phases=[Phase.generate])
@given(data=st.data())
def test_nothing_of_validation_rows_reaches_what_trains_on_a_bases_outputs(data, engine, make_job):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(18, 3)), rng.normal(size=18)
    unit = WorkUnit(Candidate(0, {"base": 5}), (1,), Span(until=2), keeps_networks=True)
    found, rows = [], np.array([], int)
    for changes in (False, True):
        if changes:
            others = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))  # no two alike
            x[rows], y[rows] = others.normal(0, 2, (len(rows), 3)), others.normal(0, 2, len(rows))
        job = make_job(hpsearch.load(x.copy(), y.copy(), task="regression"), build_in_phases)
        fold = read_fit_data(job.data_path).folds[1]
        assert not changes or np.array_equal(fold.validation, rows)
        rows = fold.validation
        result = engine.train(job, unit)
        assert result.error is None, result.traceback
        found.append(result.folds[0])
    one, other = found
    assert_array_equal(one.train_loss, other.train_loss)
    assert_array_equal(one.train["mae"], other.train["mae"])
    for mine, theirs in zip(one.network.weights, other.network.weights, strict=True):
        assert_array_equal(mine, theirs)


# -- where it is cut


def network(*layers, inputs=(3,)):
    import keras

    model = keras.Sequential([keras.Input(inputs), *layers, keras.layers.Dense(1, name="last")])
    model.compile("sgd", "mse")
    return model


def frozen(layer):
    layer.trainable = False
    return layer


def test_a_head_shares_its_layers_with_the_whole_network():
    import keras

    model = network(frozen(keras.layers.Dense(4)), keras.layers.ReLU(), keras.layers.Dense(2))
    cut = cut_of(model)
    assert [layer.name for layer in cut.head.layers[1:]] == [model.layers[2].name, "last"]
    assert cut.n_params == 16
    assert whole_of(cut.head) is model
    assert whole_of(model) is model
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    assert_array_equal(cut.head(cut.base(rows)), model(rows))


def test_a_base_is_known_by_its_weights_and_its_configuration_whatever_its_layers_are_called():
    import keras

    def digest(activation="relu", scale=2.0, times=3.0, weight=0.5):
        dense = frozen(keras.layers.Dense(4, activation))
        rows = keras.Input((3,))
        hidden = keras.layers.Rescaling(scale)(keras.Sequential([rows, dense])(rows)) * times
        base = keras.Model(rows, hidden)
        base.set_weights([np.full(each.shape, weight) for each in base.get_weights()])
        return digest_of(base, InputForm())

    same = digest()
    assert digest() == same
    for other in ({"activation": "tanh"}, {"scale": 1.0}, {"times": 2.0}, {"weight": 1.0}):
        assert digest(**other) != same


def uncut():
    import keras

    class Own(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    def skipping():
        rows = keras.Input((3,))
        base = frozen(keras.layers.Dense(3))(rows)
        model = keras.Model(rows, keras.layers.Dense(1)(base + keras.layers.Dense(3)(rows)))
        model.compile("sgd", "mse")
        return model

    def own():
        rows = keras.Input((3,))
        base = frozen(keras.layers.Dense(3))(rows)
        model = Own(rows, keras.layers.Dense(1)(base))
        model.compile("sgd", "mse")
        return model

    k = keras.layers
    return {
        "nothing is frozen": lambda: network(k.Dense(4)),
        "what is frozen comes later": lambda: network(k.Dense(4), frozen(k.Dense(4))),
        "it has no weights": lambda: network(k.Rescaling(0.5)),
        "something before it draws": lambda: network(k.GaussianNoise(0.1), frozen(k.Dense(4))),
        "it is augmented": lambda: network(
            k.RandomFlip(), frozen(k.Conv2D(2, 3)), k.Flatten(), inputs=(8, 8, 1)
        ),
        "it drops": lambda: network(frozen(keras.Sequential([k.Dense(4), k.Dropout(0.5)]))),
        "it penalises what it gives": lambda: network(
            frozen(k.Dense(4, activity_regularizer="l2"))
        ),
        "rows go around it": skipping,
        "it trains in its own way": own,
    }


@pytest.mark.parametrize("why", list(uncut()))
def test_a_network_is_left_whole_where(why):
    assert cut_of(uncut()[why]()) is None
