"""The probe: mistakes in a space are found in its default network, before any training."""

import functools

import numpy as np
import pytest

from hpsearch.engines.probe import probe_space
from hpsearch.errors import OptionError, SpaceError
from hpsearch.space.space import Space
from hpsearch.task import TASKS, Problem, Target

TARGETS = {
    "regression": Target(("y",), "regression"),
    "binary": Target(("y",), "binary", ("no", "yes")),
    "multiclass": Target(("y",), "multiclass", ("a", "b", "c")),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
}


def probe(build, kind="regression", *, values=(), fixes=(), must_save=True, target=None):
    target, task = target or TARGETS[kind], TASKS[kind]
    outputs = target.n_outputs, task.output_activation, task.loss
    problem = Problem(kind, (3,), *outputs, n_train=20, epochs=5)
    values = None if values is None else dict(values)
    return probe_space(
        Space.load(build).to_bytes(), problem, target, dict(fixes), values, must_save
    )


def network(*layers, loss="mse", **compile_arguments):
    import keras

    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(**({"optimizer": "sgd", "loss": loss} | compile_arguments))
    return model


def dense(units=1, activation="linear", **options):
    import keras

    return keras.layers.Dense(units, activation, **options)


def build_linear(hp):
    return network(dense())


@pytest.mark.parametrize(
    ("kind", "units", "activation", "loss"),
    [
        ("regression", 1, "linear", "mse"),
        ("binary", 1, "sigmoid", "binary_crossentropy"),
        ("binary", 2, "softmax", "sparse_categorical_crossentropy"),
        ("multiclass", 3, "softmax", "categorical_crossentropy"),
        ("multilabel", 2, "sigmoid", "binary_crossentropy"),
    ],
)
def test_a_network_that_fits_the_problem_passes(kind, units, activation, loss):
    assert probe(lambda hp: network(dense(units, activation), loss=loss), kind).under_if == ()


@pytest.mark.parametrize(("kind", "units"), [("regression", 2), ("binary", 3), ("multilabel", 1)])
def test_the_last_layer_needs_the_units_of_the_problem(kind, units):
    with pytest.raises(SpaceError, match=r"the last layer of a .* problem needs .* units"):
        probe(lambda hp: network(dense(units, "sigmoid")), kind)


def test_outputs_that_are_no_probabilities_are_refused():
    def build(hp):
        last = dense(1, bias_initializer="ones", kernel_initializer="ones")
        return network(last, loss="binary_crossentropy")

    with pytest.raises(SpaceError, match="must give probabilities"):
        probe(build, "binary")


def test_logits_pass_where_the_loss_says_so():
    def build(hp):
        import keras

        return network(dense(), loss=keras.losses.BinaryCrossentropy(from_logits=True))

    assert probe(build, "binary").n_params > 0


def test_an_input_of_another_shape_is_refused():
    def build(hp):
        import keras

        model = keras.Sequential([keras.Input((4,)), dense()])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(SpaceError, match=r"\(3,\).*takes \(4,\)"):
        probe(build)


def test_a_network_that_raises_in_training_is_refused_in_one_line():
    def build(hp):
        import keras

        class Broken(keras.layers.Layer):
            def call(self, x, training=False):
                if training:
                    raise RuntimeError("this layer cannot train")
                return x

        return network(Broken(), dense())

    with pytest.raises(SpaceError, match=r"cannot be trained: .*this layer cannot train") as caught:
        probe(build, must_save=False)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_lambda_layer_passes_only_where_nothing_is_saved():
    def build(hp):
        import keras

        return network(keras.layers.Lambda(lambda x: x), dense())

    probe(build, must_save=False)
    with pytest.raises(SpaceError, match="lambda"):
        probe(build, must_save=True)


@functools.cache
def one_and_the_same():
    return network(dense())


@functools.cache
def shared_layer():
    return dense()


@functools.cache
def shared_optimizer():
    import keras

    return keras.optimizers.SGD()


@pytest.mark.parametrize(
    ("build", "shared"),
    [
        (lambda hp: one_and_the_same(), "optimizer"),
        (lambda hp: network(shared_layer()), "weights"),
        (lambda hp: network(dense(), optimizer=shared_optimizer()), "optimizer"),
    ],
)
def test_networks_that_share_what_training_changes_are_refused(build, shared):
    with pytest.raises(SpaceError, match=f"must make a new network each time.*share.*{shared}"):
        probe(build)


@functools.cache
def frozen_layer():
    return dense(3, trainable=False)


def test_frozen_layers_may_be_shared():
    assert probe(lambda hp: network(frozen_layer(), dense())).n_params > 0


def test_a_batch_size_that_is_no_whole_number_is_refused():
    with pytest.raises(OptionError, match="'batch_size' steers the fit"):
        probe(build_linear, values={"batch_size": 16.0})


def test_a_space_without_declare_is_discovered():
    def build(hp):
        if hp.Boolean("wide"):
            hp.Int("units", 1, 4)
        return network(dense())

    found = probe(build, values=None)
    assert [p["config"]["name"] for p in found.hyperparameters["space"]] == ["wide", "units"]
    assert found.under_if == ("units",)


@pytest.mark.parametrize(
    ("activation", "loss", "scalable"),
    [
        *[("linear", loss, True) for loss in ("mse", "mae", "huber")],
        *[("relu", "mse", False), ("linear", "msle", False), ("softplus", "poisson", False)],
    ],
)
def test_a_target_is_standardised_for_linear_outputs_and_distances_alone(
    activation, loss, scalable
):
    assert probe(lambda hp: network(dense(1, activation), loss=loss)).scalable_target == scalable


def test_the_last_layer_is_found_inside_a_nested_network():
    def build(hp):
        import keras

        return network(keras.Sequential([keras.Input((3,)), dense(1, "softplus")]))

    assert not probe(build).scalable_target


def test_a_target_beyond_what_the_last_layer_gives_is_worth_a_warning():
    found = probe(lambda hp: network(dense(1, "tanh")))
    y = np.array([[-0.5], [0.25]], np.float32)
    assert found.facing(TARGETS["regression"], y).warnings == ()
    (text,) = found.facing(TARGETS["regression"], 8 * y).warnings
    assert text.startswith("The target goes from -4 to 2 as the loss sees it, while the last layer")
    assert "(tanh) gives numbers from -1 to 1" in text


def test_each_column_of_a_target_faces_its_own_output():
    def build(hp):
        import keras

        rows = keras.Input((3,))
        model = keras.Model(rows, [dense(1)(rows), dense(1, "relu")(rows)])
        model.compile("sgd", "mse")
        return model

    two = Target(("a", "b"), "regression")
    found = probe(build, target=two)
    assert found.facing(two, np.array([[-1.0, 2.0]])).warnings == ()
    assert "at least 0" in found.facing(two, np.array([[2.0, -1.0]])).warnings[0]


def test_warnings_of_a_build_are_heard_and_keep_off_the_terminal(recwarn):
    def build(hp):
        import warnings

        warnings.warn("these units\nare many", stacklevel=1)
        return network(dense())

    (text,) = probe(build).warnings
    assert text == "While the default network was tried: these units are many"
    assert not recwarn.list


@pytest.mark.parametrize("wrong", ["first", "second"])
def test_every_output_must_give_probabilities(wrong):
    def build(hp):
        import keras

        rows = keras.Input((3,))
        two = keras.initializers.Constant(2.0)
        outputs = [
            dense(1, "sigmoid")(rows),
            dense(1, bias_initializer=two, kernel_initializer="zeros")(rows),
        ]
        model = keras.Model(rows, outputs if wrong == "second" else outputs[::-1])
        model.compile("sgd", "binary_crossentropy")
        return model

    with pytest.raises(SpaceError, match="must give probabilities"):
        probe(build, "multilabel")
