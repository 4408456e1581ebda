"""The shipped spaces: their networks train, have the problem's shapes and can be reloaded."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hpsearch.data import Column, Schema
from hpsearch.engines.input_form import InputForm
from hpsearch.errors import SpaceError
from hpsearch.oracles import sample
from hpsearch.preprocessing import Layout
from hpsearch.preprocessing.inputs import Inputs
from hpsearch.space.space import Space, shipped_spaces
from hpsearch.task import TASKS, Input, Problem, Target

N_ROWS = 24
N_OUTPUTS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 2, "share": 1}
N_OUTPUTS |= {"count": 1, "quantile": 3}
SHAPES = {"image": (6, 5, 3), "text": (6,)}
"""Of a row, for the spaces that take no flat ones."""

TOKENS = {"tokens": Input((6,), "int32", 9, is_tokens=True)}

ALONE = [name for name in shipped_spaces() if name != "finetune"]
"""Those that need no file."""

FLAT = [name for name in ALONE if name not in SHAPES]

# numpy 2 warns inside Keras's conversion of TensorFlow variables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def problem_of(kind, input_shape=(5,), n_train=N_ROWS, epochs=2, n_numbers=0, n_words=0):
    task = TASKS[kind]
    return Problem(
        kind,
        input_shape,
        N_OUTPUTS[kind],
        task.output_activation,
        task.loss,
        n_train,
        epochs,
        n_numbers,
        n_words,
    )


def problem_for(name, kind):
    problem = problem_of(kind, SHAPES.get(name, (5,)))
    return replace(problem, inputs=TOKENS) if name == "text" else problem


def rows_of(problem):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_ROWS, *problem.input_shape)).astype("float32")
    if problem.inputs is TOKENS:
        x = rng.integers(1, 9, (N_ROWS, 6), dtype=np.int32)
    if problem.kind == "multiclass":
        return x, rng.integers(problem.n_outputs, size=N_ROWS)
    return x, rng.integers(2, size=(N_ROWS, problem.n_outputs)).astype("float32")


def default_network(name, problem):
    space = Space.load(name)
    return space.build(space.declared(problem).values, problem)


def train_one_step(model, x, y):
    model.run_eagerly = True  # tracing a graph takes longer than the step
    return float(model.train_on_batch(x, y))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("name", ALONE)
def test_sampled_networks_train_and_have_the_problems_shapes(name, kind):
    problem = problem_for(name, kind)
    space = Space.load(name)
    x, y = rows_of(problem)
    for candidate in sample(space.declared(problem), 2, seed=1):
        model = space.build(candidate.values, problem)
        assert model.output_shape == (None, problem.n_outputs)
        assert np.isfinite(train_one_step(model, x, y))


@pytest.mark.parametrize("name", ALONE)
def test_a_sampled_network_predicts_the_same_after_saving_and_loading(name, tmp_path):
    import keras

    problem = problem_for(name, "regression")
    space = Space.load(name)
    x, y = rows_of(problem)
    (candidate,) = sample(space.declared(problem), 1, seed=2)
    model = space.build(candidate.values, problem)
    train_one_step(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(model(x)))


@pytest.mark.parametrize("name", FLAT)
def test_every_shipped_space_for_flat_rows_flattens_images(name):
    problem = problem_of("multiclass", input_shape=(4, 4, 1))
    x, _ = rows_of(problem)
    assert default_network(name, problem)(x).shape == (N_ROWS, 3)


@pytest.mark.parametrize("name", ALONE)
def test_a_network_asks_for_exactly_what_its_space_declares(name):
    problem = problem_for(name, "binary")
    space = Space.load(name)
    for candidate in sample(space.declared(problem), 3, seed=3):
        built = space.construct(candidate.values, problem)
        assert built.values == candidate.values
        assert built.added == {}
        assert built.unused == ()


@pytest.mark.parametrize(
    ("name", "units", "optimizer", "batch_size"),
    [
        ("boston_housing", [64, 64], "RMSprop", 16),
        ("imdb", [16, 16], "RMSprop", 512),
        ("reuters", [64, 64], "RMSprop", 512),
        ("mnist", [512], "RMSprop", 128),
    ],
)
def test_the_defaults_are_the_textbooks_network(name, units, optimizer, batch_size):
    import keras

    problem = problem_of("multiclass", n_train=2000)
    values = Space.load(name).declared(problem).values
    model = default_network(name, problem)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [*units, problem.n_outputs]
    assert {layer.activation.__name__ for layer in dense[:-1]} == {"relu"}
    assert all(layer.rate == 0 for layer in model.layers if hasattr(layer, "rate"))
    assert type(model.optimizer).__name__ == optimizer
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(1e-3)
    assert values["batch_size"] == batch_size


# -- the space mlp


def mlp(problem=None, **fixes):
    problem = problem or problem_of("regression", n_train=320, epochs=10)
    space = Space.load("mlp")
    return space.build(space.declared(problem, fixes).values, problem)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "rmsprop", "adam", "adamw", "nadam", "adagrad", "adadelta"]
)
def test_mlp_builds_every_optimizer(optimizer):
    assert type(mlp(optimizer=optimizer).optimizer).__name__.lower() == optimizer


@pytest.mark.parametrize(
    ("schedule", "start", "end"),
    [
        ("constant", 0.01, 0.01),
        ("step", 0.01, 0.001),
        ("exponential", 0.01, 0.001),
        ("inverse_time", 0.01, 0.001),
        ("cosine", 0.01, 0.001),
        ("warmup_cosine", 0.001, 0.001),
    ],
)
def test_mlp_schedules_go_from_the_rate_to_its_fraction_within_the_budget(schedule, start, end):
    fixes = {"schedule": schedule, "learning_rate": 0.01, "batch_size": 32}
    if schedule != "constant":
        fixes["final_rate_fraction"] = 0.1
    model = mlp(**fixes)
    rates = model.optimizer._learning_rate
    last_step = 320 // 32 * 10
    rate_at = rates if callable(rates) else lambda step: rates
    assert float(rate_at(0)) == pytest.approx(start, rel=1e-5)
    assert float(rate_at(last_step)) == pytest.approx(end, rel=1e-4)


def test_mlp_warms_up_to_the_rate():
    schedule = mlp(schedule="warmup_cosine", learning_rate=0.01, warmup_fraction=0.1)
    assert float(schedule.optimizer._learning_rate(10)) == pytest.approx(0.01, rel=1e-5)


def test_mlp_step_schedule_drops_as_often_as_asked():
    model = mlp(schedule="step", n_drops=3, batch_size=32)
    rates = [round(float(model.optimizer._learning_rate(step)), 9) for step in range(100)]
    assert len(list(itertools.groupby(rates))) == 4


@pytest.mark.parametrize(
    ("normalization", "layers"),
    [
        ("none", ["Dense", "Activation", "Dropout", "Dense"]),
        ("before_activation", ["Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]),
        ("after_activation", ["Dense", "Activation", "BatchNormalization", "Dropout", "Dense"]),
    ],
)
def test_mlp_places_batch_normalization(normalization, layers):
    model = mlp(n_layers=1, batch_normalization=normalization)
    assert [type(layer).__name__ for layer in model.layers] == layers


@pytest.mark.parametrize(
    ("fixes", "l1", "l2"),
    [
        ({"regularization": "l1", "l1": 1e-4}, 1e-4, 0.0),
        ({"regularization": "l2", "l2": 1e-3}, 0.0, 1e-3),
        ({"regularization": "l1_l2", "l1": 1e-4, "l2": 1e-3}, 1e-4, 1e-3),
    ],
)
def test_mlp_penalizes_the_hidden_weights(fixes, l1, l2):
    *hidden, output = [layer for layer in mlp(**fixes).layers if hasattr(layer, "kernel")]
    assert [(layer.kernel_regularizer.l1, layer.kernel_regularizer.l2) for layer in hidden] == [
        (pytest.approx(l1), pytest.approx(l2))
    ] * 2
    assert output.kernel_regularizer is None


@pytest.mark.parametrize(("n_train", "sizes"), [(500, [16, 32, 64, 128]), (40, [16, 32]), (9, [9])])
def test_mlp_batches_are_no_larger_than_the_training_rows(n_train, sizes):
    hp = Space.load("mlp").declared(problem_of("binary", n_train=n_train))
    (batch_size,) = [p for p in hp.space if p.name == "batch_size"]
    assert list(batch_size.values) == sizes


# -- the space for tables


def tabular(problem=None, **fixes):
    problem = problem or problem_of("binary", n_numbers=3)
    space = Space.load("tabular")
    return space.build(space.declared(problem, fixes).values, problem)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("n_numbers", [2, 5])
def test_tabular_networks_of_numbers_train_and_load_without_code(kind, n_numbers, tmp_path):
    import keras

    problem = problem_of(kind, n_numbers=n_numbers)
    space = Space.load("tabular")
    x, y = rows_of(problem)
    (candidate,) = sample(space.declared(problem, {"embedding": "periodic"}), 1, seed=3)
    built = space.construct(candidate.values, problem)
    assert built.values == candidate.values
    assert np.isfinite(train_one_step(built.model, x, y))
    built.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    np.testing.assert_array_equal(np.asarray(loaded(x)), np.asarray(built.model(x)))


def test_tabular_begins_by_predicting_the_same_for_every_row():
    x, _ = rows_of(problem_of("binary"))
    assert (np.asarray(tabular()(x)) == 0.5).all()


def test_tabular_leaves_bags_of_words_to_dense_layers():
    problem = problem_of("binary", input_shape=(50,), n_numbers=3, n_words=40)
    assert "embedding" not in Space.load("tabular").declared(problem).values
    assert [type(layer).__name__ for layer in tabular(problem).layers[:2]] == [
        "InputLayer",
        "Dense",
    ]


@pytest.mark.parametrize(
    ("epochs", "starts", "last"),
    [
        (15, [0, 1, 3, 7], 0.0),
        (30, [0, 2, 6, 14], 0.0),
        (100, [0, 7, 21, 49], 0.02),  # of 7, 14, 28 and 56 epochs, of which 51 are there
        (20, [0, 3, 9], 0.02),  # four cycles would be cut off in the middle
        (10, [0], 0.0),
    ],
)
@pytest.mark.parametrize("n_train", [240, 300])  # 8 and 10 steps an epoch
def test_tabular_rates_fall_to_nothing_at_the_ends_of_epochs(epochs, starts, last, n_train):
    problem = problem_of("binary", n_train=n_train, epochs=epochs, n_numbers=3)
    rate = tabular(problem, learning_rate=0.01).optimizer._learning_rate
    steps = problem.steps_per_epoch(32)
    rates = np.array([float(rate(step)) / 0.01 for step in range(epochs * steps)])
    (rises,) = np.nonzero(np.diff(rates, prepend=0.0) > 0)
    assert rises.tolist() == [steps * start for start in starts]
    ends = [steps * start - 1 for start in starts[1:]]
    assert rates[ends] == pytest.approx([0.0] * len(ends), abs=0.05)
    assert rates[-1] == pytest.approx(last, abs=0.02)


@pytest.mark.parametrize("n_train", [9, 120, 800, 4000, 20_000])
def test_tabular_batches_leave_steps_enough_in_an_epoch(n_train):
    size = {9: 32, 120: 32, 800: 32, 4000: 64, 20_000: 128}[n_train]
    declared = Space.load("tabular").declared(problem_of("binary", n_train=n_train))
    assert declared.values["batch_size"] == size


def test_tabular_embeds_numbers_where_they_are_not_very_many():
    def choices(n_numbers):
        columns = tuple(Column(f"x{n}", "number") for n in range(n_numbers))
        layout = Layout.of(Schema(columns, Target(("y",), "binary", ("no", "yes"))))
        problem = problem_of("binary", layout.input_shape)
        problem = replace(problem, n_numbers=n_numbers, inputs=Inputs(layout))
        found = [p for p in Space.load("tabular").declared(problem).space if p.name == "embedding"]
        return [list(parameter.values) for parameter in found]

    assert choices(128) == [["both", "periodic", "none"]]
    assert choices(129) == [["periodic", "none"]]
    assert choices(513) == []


@pytest.mark.parametrize("n_words", [0, 40])
def test_tabular_knows_what_was_best_elsewhere(n_words):
    problem = problem_of("binary", input_shape=(50,), n_numbers=3, n_words=n_words)
    hp = Space.load("tabular").declared(problem)
    first = Space.load("tabular").portfolio(problem, hp)
    assert first
    for values in first:
        assert set(values) <= {parameter.name for parameter in hp.space}


# -- the space for sequences


def sequence(problem, **values):
    space = Space.load("sequence")
    return space.build({**space.declared(problem, values).values, **values}, problem)


LAYERS = [
    {"layer": "gru", "bidirectional": True, "n_layers": 2},
    {"layer": "lstm"},
    {"layer": "convolution", "pooling": "max", "n_layers": 2},
    {"layer": "convolution", "pooling": "average", "n_layers": 2},
]


@pytest.mark.parametrize("values", LAYERS)
def test_a_network_of_sequences_gives_the_same_whatever_the_padding_behind_them(values, tmp_path):
    import keras

    problem = problem_of("regression", input_shape=(6, 2))
    model = sequence(problem, **values)
    steps = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")
    padded = np.concatenate([steps, np.zeros((4, 3, 2), "float32")], axis=1)
    given = np.asarray(model(steps))
    np.testing.assert_allclose(np.asarray(model(padded)), given, rtol=1e-5, atol=1e-6)
    longer = np.concatenate([steps, steps[:, :3]], axis=1)
    assert abs(np.asarray(model(longer)) - given).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True, compile=False)
    np.testing.assert_array_equal(np.asarray(loaded(padded)), np.asarray(model(padded)))


def test_sequences_are_read_beside_the_other_columns_of_a_table():
    import dataclasses

    from hpsearch.task import Input

    inputs = {
        "numbers": Input((3,)),
        "categories": Input((2,), "int32", 7),
        "categories.onehot": Input((5,)),
        "steps": Input((6, 2)),
        "sequence": Input((6, 2)),
    }
    problem = problem_of("regression", input_shape=(20,))
    problem = dataclasses.replace(problem, inputs=inputs)
    model = sequence(problem)
    shapes = {tensor.name: tensor.shape for tensor in model.inputs}
    assert shapes == {
        "steps": (None, None, 2),
        "numbers": (None, 3),
        "categories.onehot": (None, 5),
    }


@pytest.mark.parametrize("size", [3, 5])
def test_a_dense_layer_of_neighbouring_steps_is_a_convolution(size):
    import keras

    values = {"layer": "convolution", "kernel_size": size, "pooling": "average"}
    model = sequence(problem_of("regression", input_shape=(6, 2)), **values)
    [dense, last] = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    units = dense.units
    convolution = keras.layers.Conv1D(units, size, padding="same", activation="relu")
    steps = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")
    convolution.build(steps.shape)
    kernel = np.asarray(dense.kernel).reshape(size, 2, units)
    convolution.set_weights([kernel, np.asarray(dense.bias)])
    expected = last(np.asarray(convolution(steps)).mean(axis=1))
    np.testing.assert_allclose(np.asarray(model(steps)), np.asarray(expected), rtol=1e-5, atol=1e-6)


# -- images


def image_network(problem, **fixes):
    space = Space.load("image")
    return space.build(space.declared(problem, fixes).values, problem)


def kinds_of(model):
    return [type(layer).__name__ for layer in model.layers]


def test_image_changes_no_picture_unless_asked_to():
    problem = problem_of("multiclass", (9, 8, 1))
    assert not any("Random" in kind for kind in kinds_of(image_network(problem)))
    changes = {"flip": "horizontal", "shift": 0.1, "rotation": 0.1, "zoom": 0.1, "contrast": 0.2}
    kinds = kinds_of(image_network(problem, **changes))
    assert [kind for kind in kinds if "Random" in kind] == [
        *("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomContrast"),
    ]


def test_image_takes_videos_with_convolutions_over_frames():
    problem = problem_of("binary", (5, 9, 8, 3))
    model = image_network(problem)
    assert "Conv3D" in kinds_of(model)
    x, y = rows_of(problem)
    assert np.isfinite(train_one_step(model, x, y))


def test_image_joins_the_other_columns():
    layout = Layout(
        numbers=("age",),
        number_columns=("age",),
        arrays=("photo",),
        array_shapes=((9, 8, 1),),
        array_kinds=("image",),
    )
    problem = replace(problem_of("binary", layout.input_shape), inputs=Inputs(layout))
    model = image_network(problem)
    assert [each.name for each in model.inputs] == ["image", "numbers"]


def test_image_refuses_rows_without_images():
    with pytest.raises(SpaceError, match="the space image needs images, or videos"):
        image_network(problem_of("binary"))


def test_tabular_reads_the_bins_of_numbers_by_name():
    columns = (Column("age", "number", has_missing=True), Column("town", "category", levels=("a",)))
    layout = Layout.of(Schema(columns, Target(("y",), "binary", ("no", "yes"))))
    problem = replace(problem_of("binary", layout.input_shape), n_numbers=1, inputs=Inputs(layout))
    network = tabular(problem)
    assert InputForm.on(network, layout).names == ("flat", "numbers.piecewise")
    rows = [np.zeros((2, 3), np.float32), np.zeros((2, 1, 16), np.float32)]
    assert np.asarray(network(rows)).shape == (2, 1)


# -- the space for texts


def text(problem, **values):
    space = Space.load("text")
    return space.build({**space.declared(problem, values).values, **values}, problem)


@pytest.mark.parametrize(
    "values",
    [
        {"convolutions": 0, "pooling": "both"},
        {"convolutions": 2, "pooling": "max", "units": 0},
        {"convolutions": 1, "pooling": "mean"},
    ],
)
def test_what_a_text_gives_does_not_depend_on_the_padding_behind_it(values):
    problem = problem_for("text", "regression")
    wide = {"tokens": replace(TOKENS["tokens"], shape=(9,))}
    models = [text(problem, **values), text(replace(problem, inputs=wide), **values)]
    models[1].set_weights(models[0].get_weights())
    words = np.array([[3, 1, 2, 5, 0, 0], [4, 0, 0, 0, 0, 0]], np.int32)
    padded = np.pad(words, ((0, 0), (0, 3)))
    found, same = np.asarray(models[0](words)), np.asarray(models[1](padded))
    np.testing.assert_allclose(same, found, rtol=1e-5, atol=1e-6)


def test_convolutions_tell_orders_of_words_apart_and_pooling_alone_does_not():
    problem = problem_for("text", "regression")
    words = np.array([[3, 1, 2, 5, 4, 7], [2, 5, 3, 1, 7, 4]], np.int32)
    alone, neighbours = (text(problem, convolutions=n, pooling="mean") for n in (0, 1))
    one, other = np.asarray(alone(words))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    one, other = np.asarray(neighbours(words))
    assert abs(one - other).max() > 1e-4


def test_several_texts_numbers_and_categories_join():
    columns = (
        Column("note", "text", levels=("a", "b"), width=4),
        Column("title/1", "text", levels=("a",), width=3),
        Column("age", "number"),
        Column("town", "category", levels=("x", "y")),
        Column("tags", "text", levels=("c", "d")),
    )
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    model = text(replace(problem_of("binary", (1,)), inputs=inputs))
    expected = ["note", "title_1", "numbers", "words", "categories"]
    assert [each.name for each in model.inputs] == expected
    assert InputForm.of(model, (1,), inputs).names == tuple(expected)


def test_a_table_without_words_in_their_order_is_refused():
    with pytest.raises(SpaceError, match="Name a column of text with --text and add --as tokens"):
        Space.load("text").declared(problem_of("binary"))


# -- a network that is trained already


def trained_base(kind):
    """A network of images, layer after layer, or with something that goes around a layer."""
    import keras

    k = keras.layers
    if kind == "sequential":
        layers = [k.Conv2D(3, 3, name="a"), k.BatchNormalization(), k.ReLU(), k.Flatten()]
        return keras.Sequential([keras.Input((6, 6, 1)), *layers, k.Dense(4), k.Dense(5)])
    rows = keras.Input((6, 6, 1))
    hidden = k.Conv2D(3, 3, padding="same", name="a")(rows)
    hidden = k.ReLU()(hidden + k.Conv2D(3, 3, padding="same", name="around")(hidden))
    return keras.Model(rows, k.Dense(5)(k.Dense(4)(k.Flatten()(hidden))))


@pytest.fixture(params=["sequential", "around"])
def finetune(request, tmp_path):
    """Builds the space on a base of some kind: the base, and a network by its values."""
    base = trained_base(request.param)
    base.save(tmp_path / "base.keras")
    problem = problem_of("multiclass", (6, 6, 1))
    space = Space.load("finetune")
    fixes = {"base": str(tmp_path / "base.keras")}

    def finetune(**values):
        declared = space.declared(problem, fixes)
        return space.construct({**declared.values, **values}, problem)

    return base, finetune


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_finetune_goes_on_with_the_weights_of_its_base(finetune, dropped):
    base, build = finetune
    for late in (1, 3, 6):
        built = build(dropped_layers=dropped, late_layers=late, head_units=32)
        assert built.model.output_shape == (None, 3)
        assert {"early", "late", "head_hidden", "head_last"} <= {
            layer.name for layer in built.model.layers
        }
        own = [np.asarray(weight) for weight in base.get_layer("a").get_weights()]
        theirs = [np.asarray(weight) for weight in built.model.get_weights()]
        assert any(w.shape == own[0].shape and np.array_equal(w, own[0]) for w in theirs)
        assert [phase.trainable for phase in built.phases] == [("head*",), ("head*", "late")]


def test_finetune_says_what_is_wrong_with_its_base(tmp_path):
    space, problem = Space.load("finetune"), problem_of("multiclass", (6, 6, 1))
    values = space.declared(problem, {"base": str(tmp_path / "none.keras")}).values
    with pytest.raises(SpaceError, match=r"'finetune' raised ValueError in its build.*none\.keras"):
        space.construct(values, problem)
    trained_base("sequential").save(tmp_path / "base.keras")
    values |= {"base": str(tmp_path / "base.keras")}
    with pytest.raises(SpaceError, match="in its build"):  # of another shape than the rows
        space.construct(values, problem_of("multiclass", (9, 9, 3)))
