"""Which numbers the end of a network can give, and which losses and problems these contradict."""

import math
from types import FunctionType

import numpy as np
import pytest

from hpsearch.engines.endings import Ending, wrong_probabilities
from hpsearch.engines.network import Head, OutputForm
from hpsearch.errors import SpaceError
from hpsearch.task import PinballOfSteps, PoissonOfLogs, Target

INF = math.inf
TARGETS = {
    "regression": Target(("y",), "regression"),
    "share": Target(("y",), "share"),
    "count": Target(("y",), "count"),
    "quantile": Target(("y",), "quantile", levels=(0.5,)),
    "binary": Target(("y",), "binary", ("no", "yes")),
    "multiclass": Target(("y",), "multiclass", ("a", "b", "c")),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
}


def layers():
    import keras

    return keras.layers


def dense(units=1, activation=None):
    return layers().Dense(units, activation=activation)


def outputs_of(*last):
    import keras

    return keras.Sequential([keras.Input((3,)), *last]).outputs[0]


def ends(*last):
    ending = Ending.of(outputs_of(*last))
    return ending.low, ending.high, ending.sums_to_one


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [
        ("linear", -INF, INF),
        ("sigmoid", 0, 1),
        ("hard_sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("softsign", -1, 1),
        ("relu", 0, INF),
        ("relu6", 0, 6),
        ("softplus", 0, INF),
        ("exponential", 0, INF),
        ("elu", -1, INF),
        ("selu", -1.758, INF),
        ("silu", -0.278, INF),
        ("gelu", -0.17, INF),
        ("leaky_relu", -INF, INF),
        ("log_sigmoid", -INF, 0),
    ],
)
def test_an_activation_bounds_what_a_network_gives(activation, low, high):
    found = ends(dense(2, activation))
    assert found[:2] == pytest.approx((low, high), abs=0.01)
    assert not found[2]


def test_rows_of_a_softmax_sum_to_one_however_it_is_written():
    import keras

    for last in (
        [dense(3, "softmax")],
        [dense(3), layers().Activation("softmax")],
        [dense(3), layers().Softmax()],
        [dense(3), layers().Softmax(), layers().Dropout(0.5)],
        [dense(3), layers().Lambda(lambda x: keras.ops.softmax(x))],
        [keras.Sequential([keras.Input((3,)), dense(3, "softmax")])],
    ):
        assert ends(*last) == pytest.approx((0, 1, True), abs=1e-3)
    assert not ends(dense(3), layers().Softmax(axis=0))[2]


def test_an_operation_of_keras_counts_like_a_layer():
    import keras

    rows = keras.Input((3,))
    ending = Ending.of(keras.Model(rows, keras.ops.sigmoid(dense(2)(rows))).outputs[0])
    assert (ending.low, ending.high) == pytest.approx((0, 1), abs=1e-3)
    assert ending.is_exact


def test_what_a_layer_of_ones_own_gives_may_be_less_than_it_could_be():
    import keras

    class Halved(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sigmoid(x) / 2

    ending = Ending.of(outputs_of(dense(), Halved()))
    assert (ending.low, ending.high) == pytest.approx((0, 0.5), abs=1e-3)
    assert not ending.is_exact


def test_two_inputs_may_give_anything():
    import keras

    rows = keras.Input((3,))
    both = keras.layers.concatenate([dense(1, "sigmoid")(rows), dense(1, "sigmoid")(rows)])
    ending = Ending.of(keras.Model(rows, both).outputs[0])
    assert (ending.low, ending.high, ending.is_exact) == (-INF, INF, False)


def test_a_relu_with_a_limit_has_it():
    assert ends(dense(), layers().ReLU(max_value=2.0)) == pytest.approx((0, 2, False), abs=0.01)


def test_trying_a_layer_leaves_no_penalty_behind():
    import keras

    last = layers().Activation("softplus", activity_regularizer="l2")
    model = keras.Sequential([keras.Input((3,)), dense(), last])
    n_losses = len(model.losses)
    Ending.of(model.outputs[0])
    assert len(model.losses) == n_losses


def form_of(kind, last, loss):
    import keras

    model = keras.Sequential([keras.Input((3,)), *(last if isinstance(last, list) else [last])])
    model.compile("sgd", loss)
    return OutputForm.of(model, TARGETS[kind])


def losses():
    from keras import losses

    return losses


def binary_logits(**options):
    return losses().BinaryCrossentropy(from_logits=True, **options)


def class_logits():
    return losses().SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("kind", "last", "loss"),
    [
        ("binary", lambda: dense(1, "sigmoid"), "binary_crossentropy"),
        ("binary", lambda: dense(1), binary_logits),
        ("binary", lambda: dense(1, "leaky_relu"), binary_logits),
        ("binary", lambda: dense(2, "softmax"), "sparse_categorical_crossentropy"),
        ("multiclass", lambda: dense(3, "softmax"), "categorical_crossentropy"),
        ("multiclass", lambda: dense(3), class_logits),
        ("multiclass", lambda: dense(3, "relu"), class_logits),
        ("multiclass", lambda: dense(3, "log_softmax"), class_logits),
        ("multilabel", lambda: dense(2, "hard_sigmoid"), "mse"),
        ("regression", lambda: dense(1), "mse"),
        ("regression", lambda: dense(1, "softplus"), "poisson"),
        ("regression", lambda: dense(1, "tanh"), "mse"),
        ("share", lambda: dense(1), "mse"),
        ("count", lambda: dense(1), PoissonOfLogs()),
        ("count", lambda: dense(1, "softplus"), "poisson"),
        ("count", lambda: dense(1), "mse"),
        ("quantile", lambda: dense(1), PinballOfSteps((0.5,))),
        ("quantile", lambda: dense(1, "relu"), "mae"),
    ],
)
def test_a_last_layer_that_suits_its_loss_is_taken(kind, last, loss):
    form = form_of(kind, last(), loss() if isinstance(loss, FunctionType) else loss)
    assert form.heads[0].is_sure


@pytest.mark.parametrize(
    ("kind", "last", "loss", "message"),
    [
        ("binary", lambda: dense(1), "binary_crossentropy", r"probabilities.*\(linear\).*any"),
        ("binary", lambda: dense(1, "relu"), "mse", r"probabilities.*\(relu\).*at least 0"),
        ("binary", lambda: dense(1, "tanh"), "hinge", r"probabilities.*\(tanh\).*-1 to 1"),
        ("multilabel", lambda: dense(2, "softplus"), "mse", r"probabilities.*\(softplus\)"),
        ("multiclass", lambda: dense(3, "sigmoid"), "categorical_crossentropy", "sum to 1"),
        ("multiclass", lambda: dense(3), "sparse_categorical_crossentropy", "must give prob"),
        ("multiclass", lambda: [dense(3), layers().Softmax(axis=0)], "mse", "sum to 1"),
        ("binary", lambda: dense(2, "sigmoid"), "binary_crossentropy", "sum to 1"),
        ("binary", lambda: dense(1, "sigmoid"), binary_logits, r"logits.*\(sigmoid\).*0 to 1"),
        ("binary", lambda: dense(1, "tanh"), binary_logits, r"logits.*\(tanh\)"),
        ("binary", lambda: dense(1, "relu"), binary_logits, r"logits.*\(relu\)"),
        ("binary", lambda: dense(1, "gelu"), binary_logits, r"logits.*at least -0.17"),
        ("multilabel", lambda: dense(2, "softmax"), binary_logits, r"logits.*\(softmax\)"),
        (
            "binary",
            lambda: [dense(1), layers().Activation("sigmoid")],
            binary_logits,
            r"logits.*\(sigmoid\)",
        ),
        (
            "binary",
            lambda: [dense(1), layers().Lambda(lambda x: 1 / (1 + 2.718**-x))],
            binary_logits,
            r"logits.*\(lambda\)",
        ),
        ("multiclass", lambda: dense(3, "softmax"), class_logits, r"logits.*\(softmax\)"),
        ("multiclass", lambda: dense(3, "tanh"), class_logits, r"logits.*\(tanh\)"),
        ("multiclass", lambda: dense(3), binary_logits, "each class by itself"),
        ("binary", lambda: dense(2), binary_logits, "each class by itself"),
        ("share", lambda: dense(1, "sigmoid"), binary_logits, r"logits.*\(sigmoid\)"),
        ("binary", lambda: dense(1, "softmax"), "mse", "softmax over one unit.*always gives 1"),
        ("regression", lambda: dense(1, "softmax"), "mse", "softmax over one unit.*always"),
        ("regression", lambda: dense(1, "log_softmax"), "mse", "always gives 0"),
        ("regression", lambda: dense(1), "poisson", "poisson takes numbers of at least 0"),
        ("share", lambda: dense(1), "binary_crossentropy", "takes numbers from 0 to 1"),
        ("count", lambda: dense(1), "poisson", "poisson takes numbers of at least 0"),
        ("count", lambda: dense(1, "softplus"), PoissonOfLogs(), r"takes any number.*at least 0"),
        ("quantile", lambda: dense(1, "tanh"), PinballOfSteps((0.5,)), "any number.*-1 to 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_a_last_layer_that_contradicts_its_loss_or_the_problem_is_refused(
    kind, last, loss, message
):
    with pytest.raises(SpaceError, match=message) as caught:
        form_of(kind, last(), loss() if isinstance(loss, FunctionType) else loss)
    assert "\n" not in str(caught.value)


def test_where_the_last_layer_cannot_be_judged_predictions_are():
    import keras

    class Scaled(keras.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(1,), initializer="ones")

        def call(self, x):
            return x * self.factor

    form = form_of("multiclass", [dense(3, "softmax"), Scaled()], "categorical_crossentropy")
    assert not form.heads[0].is_sure
    rows = np.array([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]], np.float32)
    assert form.fault(rows) is None
    assert "between 0 and 2" in form.fault(2 * rows)
    assert "must sum to 1; the sums of these lie between 0.9 and" in form.fault(0.9 * rows)


def test_each_output_is_judged_by_its_own_units():
    form = OutputForm((Head("values", False, 1), Head("values", False, 2, is_sure=False)))
    rows = np.array([[7.0, 0.5, 0.5]], np.float32)
    assert form.fault(rows) is None
    assert "between 0.5 and 3" in form.fault(rows * np.array([1.0, 1.0, 6.0], np.float32))


def test_sums_may_miss_one_by_the_precision_of_their_numbers():
    rows = np.full((4, 3), 1 / 3, np.float32)
    assert wrong_probabilities(rows * np.float32(1.0005), excludes=True) is None
    assert wrong_probabilities(rows * np.float32(1.005), excludes=True) is not None
    assert wrong_probabilities((rows * 1.005).astype(np.float16), excludes=True) is None


def test_what_is_not_finite_is_left_to_the_check_for_divergence():
    assert wrong_probabilities(np.array([[np.nan]]), excludes=False) is None
