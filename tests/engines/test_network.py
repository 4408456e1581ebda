"""The form of a network's outputs: which target each loss takes, what each output means."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.network import (
    Head,
    OutputForm,
    losses_of,
    numpy_links,
    side_by_side,
)
from hpsearch.errors import SpaceError
from hpsearch.task import Target

TARGETS = {
    "regression": Target(("a", "b"), "regression"),
    "share": Target(("a", "b"), "share"),
    "count": Target(("a", "b"), "count"),
    "binary": Target(("y",), "binary", ("no", "yes")),
    "multiclass": Target(("y",), "multiclass", ("a", "b", "c")),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
}


def network(units, loss, *, input_shape=(3,)):
    import keras

    probable = "softmax" if units > 1 else "sigmoid"
    last = keras.layers.Dense(units, None if getattr(loss, "from_logits", False) else probable)
    model = keras.Sequential([keras.Input(input_shape), last])
    model.compile("sgd", loss)
    return model


def losses():
    from keras import losses

    return losses


@pytest.mark.parametrize(
    ("kind", "units", "loss", "form"),
    [
        ("regression", 2, "mse", ("values", False)),
        ("share", 2, "binary_crossentropy", ("values", False)),
        ("count", 2, "poisson", ("values", False)),
        ("binary", 1, "binary_crossentropy", ("column", False)),
        ("binary", 1, lambda: losses().BinaryCrossentropy(from_logits=True), ("column", True)),
        ("binary", 1, "mse", ("column", False)),
        ("binary", 2, "categorical_crossentropy", ("one_hot", False)),
        ("binary", 2, "binary_crossentropy", ("one_hot", False)),
        ("binary", 2, "sparse_categorical_crossentropy", ("codes", False)),
        ("multiclass", 3, lambda: losses().categorical_crossentropy, ("one_hot", False)),
        ("multiclass", 3, lambda: losses().sparse_categorical_crossentropy, ("codes", False)),
        ("multiclass", 3, lambda: losses().CategoricalFocalCrossentropy(), ("one_hot", False)),
        (
            "multiclass",
            3,
            lambda: losses().SparseCategoricalCrossentropy(from_logits=True),
            ("codes", True),
        ),
        ("multilabel", 2, lambda: losses().BinaryCrossentropy(from_logits=True), ("values", True)),
        ("share", 2, lambda: losses().BinaryCrossentropy(from_logits=True), ("values", True)),
    ],
)
def test_the_loss_tells_which_target_it_takes_and_whether_outputs_are_logits(
    kind, units, loss, form
):
    model = network(units, loss() if callable(loss) else loss)
    assert OutputForm.of(model, TARGETS[kind]).heads == (Head(*form, units),)


def test_quantiles_of_another_loss_are_put_in_order():
    import keras

    target = Target(("y",), "quantile", levels=(0.1, 0.5, 0.9))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    raw = np.array([[1.0, -1.0, 0.0]], np.float32)
    for loss, expected in (("mae", [[8.0, 10.0, 12.0]]), (target.loss, None)):
        model.compile("sgd", loss)
        form = OutputForm.of(model, target)
        assert (form.heads[0].link is None) == (loss == "mae")
        said = form.canonical(numpy_links, target, raw, 10.0, 2.0)
        assert (np.diff(said) >= 0).all()
        assert expected is None or said.tolist() == expected


def test_several_outputs_share_no_quantiles():
    import keras

    rows = keras.Input((3,))
    model = keras.Model(rows, [keras.layers.Dense(1)(rows), keras.layers.Dense(1)(rows)])
    model.compile("sgd", "mae")
    with pytest.raises(SpaceError, match="come out of one layer, a unit for each of 2 levels"):
        OutputForm.of(model, Target(("y",), "quantile", levels=(0.1, 0.9)))


def test_a_loss_of_ones_own_says_itself_that_it_takes_logits():
    import keras

    def own(y, predicted):
        return keras.losses.binary_crossentropy(y, predicted, from_logits=True)

    class Own(keras.losses.Loss):
        from_logits = True

        def call(self, y, predicted):
            return own(y, predicted)

    own.from_logits = True
    partial = functools.partial(keras.losses.binary_crossentropy, from_logits=True)
    for loss, name in ((own, "own"), (Own(), "own"), (partial, "binary_crossentropy")):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", loss)
        assert losses_of(model)[0].name == name
        assert OutputForm.of(model, TARGETS["binary"]).heads == (Head("column", True, 1),)


def test_targets_are_given_in_the_form_that_the_loss_takes():
    codes = np.array([2, 0], np.int32)
    assert_array_equal(Head("one_hot", False, 3).loss_target(codes, 3), [[0, 0, 1], [1, 0, 0]])
    column = np.array([[1.0], [0.0]], np.float32)
    assert_array_equal(Head("codes", False, 2).loss_target(column, 2), [1, 0])
    assert_array_equal(Head("one_hot", False, 2).loss_target(column, 2), [[0, 1], [1, 0]])
    assert Head("column", False, 1).loss_target(column, 2) is column


@pytest.mark.parametrize("library", ["numpy", "keras"])
@pytest.mark.parametrize(
    ("kind", "form", "output", "canonical"),
    [
        ("regression", ("values", False, 2), [[1.0, -1.0]], [[12.0, 17.0]]),
        ("binary", ("column", False, 1), [[0.3]], [[0.3]]),
        ("binary", ("column", True, 1), [[0.0]], [[0.5]]),
        ("binary", ("codes", False, 2), [[0.3, 0.7]], [[0.7]]),
        ("binary", ("codes", True, 2), [[0.0, np.log(3.0)]], [[0.75]]),
        ("multiclass", ("codes", True, 3), [[0.0, 0.0, np.log(2.0)]], [[0.25, 0.25, 0.5]]),
        ("multilabel", ("values", True, 2), [[0.0, np.log(3.0)]], [[0.5, 0.75]]),
        ("share", ("values", True, 2), [[0.0, np.log(3.0)]], [[11.0, 22.25]]),
    ],
)
def test_outputs_become_canonical_predictions(kind, form, output, canonical, library):
    from keras import ops

    xp = numpy_links if library == "numpy" else ops
    centre, scale = np.array([10.0, 20.0], np.float32), np.array([2.0, 3.0], np.float32)
    outputs = np.array(output, np.float32)
    predictions = OutputForm((Head(*form),)).canonical(xp, TARGETS[kind], outputs, centre, scale)
    assert_allclose(np.asarray(predictions), canonical, rtol=1e-6)


def test_an_output_with_more_axes_is_refused_with_a_remedy():
    with pytest.raises(SpaceError, match="Add Flatten"):
        OutputForm.of(network(1, "mse", input_shape=(4, 3)), TARGETS["binary"])


# -- several outputs


def two_outputs(*widths, nest=list, **compile_arguments):
    """A network with outputs 'first' and 'second' of these widths, 1 and 2 by default."""
    import keras

    rows = keras.Input((3,))
    names = ("first", "second")
    outputs = [
        keras.layers.Dense(width, name=name)(rows)
        for name, width in zip(names, widths or (1, 2), strict=True)
    ]
    nested = dict(zip(names, outputs, strict=True)) if nest is dict else nest(outputs)
    model = keras.Model(rows, nested)
    model.compile(**({"optimizer": "sgd", "loss": "mse"} | compile_arguments))
    return model


THREE = Target(("a", "b", "c"), "regression")


@pytest.mark.parametrize("nest", [list, tuple, dict])
@pytest.mark.parametrize(
    ("loss", "loss_weights", "read"),
    [
        ("mse", None, {0: ("mean_squared_error", 1.0), 1: ("mean_squared_error", 1.0)}),
        (
            ["mse", "mae"],
            [1, 0.5],
            {0: ("mean_squared_error", 1.0), 1: ("mean_absolute_error", 0.5)},
        ),
        (
            {"second": "mae", "first": "mse"},
            {"second": 2.0, "first": 3.0},
            {0: ("mean_squared_error", 3.0), 1: ("mean_absolute_error", 2.0)},
        ),
    ],
)
def test_each_output_has_its_own_loss_and_weight(nest, loss, loss_weights, read):
    model = two_outputs(nest=nest, loss=loss, loss_weights=loss_weights)
    assert {one.output: (one.name, one.weight) for one in losses_of(model)} == read
    heads = (Head("values", False, 1), Head("values", False, 2))
    assert OutputForm.of(model, THREE).heads == heads


def test_several_losses_of_one_output_all_count():
    model = two_outputs(loss=[["mse", "mae"], "huber"])
    assert [(one.output, one.name) for one in losses_of(model)] == [
        (0, "mean_squared_error"),
        (0, "mean_absolute_error"),
        (1, "huber"),
    ]


def test_reading_the_losses_leaves_the_network_as_it_was():
    model = two_outputs(loss=["mse", "mae"])
    losses_of(model)
    assert [metric.name for metric in model.metrics] == ["loss"]


def test_a_single_output_in_a_list_is_a_single_output():
    import keras

    rows = keras.Input((3,))
    model = keras.Model(rows, [keras.layers.Dense(3)(rows)])
    model.compile("sgd", ["mse"], loss_weights=[0.5])
    assert OutputForm.of(model, THREE).heads == (Head("values", False, 3),)
    assert [(one.output, one.weight) for one in losses_of(model)] == [(0, 0.5)]


def test_columns_are_shared_out_in_the_order_of_the_outputs():
    y = np.arange(6).reshape(2, 3)
    first, second = OutputForm.of(two_outputs(), THREE).per_output(y)
    assert_array_equal(first, y[:, :1])
    assert_array_equal(second, y[:, 1:])


def test_outputs_go_side_by_side_whatever_nests_them():
    rows = np.ones((2, 3), np.float32)
    parts = [np.full((2, 1), 1.0), np.full((2, 2), 2.0)]
    for nest in (list, tuple, dict):
        model = two_outputs(nest=nest)
        for layer, value in (("first", 1.0), ("second", 2.0)):
            kernel, bias = model.get_layer(layer).weights
            kernel.assign(np.zeros(kernel.shape))
            bias.assign(np.full(bias.shape, value))
        outputs = side_by_side(numpy_links, model.predict_on_batch(rows))
        assert_array_equal(outputs, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("library", ["numpy", "keras"])
def test_each_output_has_its_own_link(library):
    from keras import ops

    xp = numpy_links if library == "numpy" else ops
    form = OutputForm((Head("values", True, 1), Head("values", False, 1)))
    outputs = np.array([[np.log(3.0), 0.25]], np.float32)
    predictions = form.canonical(xp, TARGETS["multilabel"], outputs, np.zeros(2), np.ones(2))
    assert_allclose(np.asarray(predictions), [[0.75, 0.25]], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        (
            lambda: two_outputs(1, 1),
            TARGETS["binary"],
            r"one label a row.*needs one output.* has 2",
        ),
        (lambda: two_outputs(3, 3), TARGETS["multiclass"], "one label a row.*needs one output"),
        (lambda: two_outputs(2, 2), THREE, r"share its 3 target columns.*have 2 \+ 2 units"),
        (lambda: two_outputs(loss=["mse", None]), THREE, "needs a loss.*'second' has none"),
        (
            lambda: two_outputs(loss={"first": "mse"}),
            THREE,
            "must fit the network's outputs.*first",
        ),
        (lambda: two_outputs(loss_weights=[1, 2]), THREE, "must fit.*1 losses and 2 weights"),
        (lambda: two_outputs(loss=["mse"] * 3), THREE, "must fit the network's outputs.*2"),
    ],
)
def test_outputs_that_cannot_share_out_the_target_are_refused_in_one_line(model, target, message):
    with pytest.raises(SpaceError, match=message) as caught:
        OutputForm.of(model(), target)
    assert "\n" not in str(caught.value)
