"""The form of a network's output: which target its loss takes, what its output means."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.network import OutputForm, check_input, numpy_links
from hpsearch.errors import SpaceError
from hpsearch.task import Target

TARGETS = {
    "regression": Target(("a", "b"), "regression"),
    "share": Target(("a", "b"), "share"),
    "binary": Target(("y",), "binary", ("no", "yes")),
    "multiclass": Target(("y",), "multiclass", ("a", "b", "c")),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
}


def network(units, loss, *, input_shape=(3,)):
    import keras

    model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(units)])
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
    ],
)
def test_the_loss_tells_which_target_it_takes_and_whether_outputs_are_logits(
    kind, units, loss, form
):
    model = network(units, loss() if callable(loss) else loss)
    read = OutputForm.of(model, TARGETS[kind])
    assert (read.target_form, read.from_logits, read.n_units) == (*form, units)


def test_targets_are_given_in_the_form_that_the_loss_takes():
    codes = np.array([2, 0], np.int32)
    assert_array_equal(
        OutputForm("one_hot", False, 3).loss_target(codes, 3), [[0, 0, 1], [1, 0, 0]]
    )
    column = np.array([[1.0], [0.0]], np.float32)
    assert_array_equal(OutputForm("codes", False, 2).loss_target(column, 2), [1, 0])
    assert_array_equal(OutputForm("one_hot", False, 2).loss_target(column, 2), [[0, 1], [1, 0]])
    assert OutputForm("column", False, 1).loss_target(column, 2) is column


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
    ],
)
def test_outputs_become_canonical_predictions(kind, form, output, canonical, library):
    from keras import ops

    xp = numpy_links if library == "numpy" else ops
    centre, scale = np.array([10.0, 20.0], np.float32), np.array([2.0, 3.0], np.float32)
    outputs = np.array(output, np.float32)
    predictions = OutputForm(*form).canonical(xp, TARGETS[kind], outputs, centre, scale)
    assert_allclose(np.asarray(predictions), canonical, rtol=1e-6)


def test_an_input_may_leave_axes_open():
    check_input(network(1, "mse", input_shape=(None, None, 3)), (8, 8, 3))
    with pytest.raises(SpaceError, match=r"\(8, 8, 1\).*\(None, None, 3\)"):
        check_input(network(1, "mse", input_shape=(None, None, 3)), (8, 8, 1))


def test_an_output_with_more_axes_is_refused_with_a_remedy():
    with pytest.raises(SpaceError, match="Add Flatten"):
        OutputForm.of(network(1, "mse", input_shape=(4, 3)), TARGETS["binary"])


def test_a_second_input_is_refused():
    import keras

    inputs = [keras.Input((3,)), keras.Input((3,))]
    with pytest.raises(SpaceError, match="needs one input; this one has 2"):
        check_input(keras.Model(inputs, keras.layers.Add()(inputs)), (3,))
