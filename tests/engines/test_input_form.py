"""Inputs by name: a network gets what its inputs are called, under either engine as in NumPy."""

import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from hpsearch.data import Column, Dataset, Schema
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.input_form import InputForm
from hpsearch.errors import SpaceError
from hpsearch.preprocessing import Inputs, Layout
from hpsearch.space.space import Candidate
from hpsearch.task import Target

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

LAYOUT = Layout.of(
    Schema(
        (Column("age", "number"), Column("town", "category", levels=("a", "b"))),
        Target(("y",), "regression"),
    )
)


def joined(inputs, nest=list):
    import keras

    rows = [keras.ops.cast(x, "float32") for x in inputs]
    outputs = keras.layers.Dense(1)(keras.layers.Concatenate()(rows) if len(rows) > 1 else rows[0])
    given = nest(inputs) if len(inputs) > 1 else inputs[0]
    return keras.Model(given, outputs)


def inputs(**shapes):
    import keras

    return [keras.Input(shape, name=name.replace("__", ".")) for name, shape in shapes.items()]


# -- what a network takes


def test_named_inputs_are_given_in_the_networks_order():
    form = InputForm.on(joined(inputs(town=(1,), age__robust=(1,))), LAYOUT)
    assert form.names == ("town", "age.robust")
    assert form.given(["t", "a"]) == ["t", "a"]


def test_a_dictionary_of_inputs_is_given_as_one():
    def by_name(tensors):
        return {tensor.name: tensor for tensor in tensors}

    form = InputForm.on(joined(inputs(town=(1,), age=(1,)), by_name), LAYOUT)
    given = form.given([f"what {name} holds" for name in form.names])
    assert given == {"town": "what town holds", "age": "what age holds"}


def test_a_single_input_of_no_known_name_gets_the_flat_vector():
    for network in (joined(inputs(features=(3,))), joined(inputs(age=(3,)))):
        assert InputForm.on(network, LAYOUT) == InputForm()
    assert InputForm.on(joined(inputs(age=(1,))), LAYOUT).names == ("age",)


def test_an_input_may_leave_axes_open():
    import keras

    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()])
    assert InputForm.of(network, (8, 8, 3), {}) == InputForm()
    with pytest.raises(SpaceError, match=r"\(8, 8, 1\).*\(None, None, 3\)"):
        InputForm.of(network, (8, 8, 1), {})


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"towns": (1,), "age": (1,)}, r"'towns' is none that is known. Names: 'numbers'.*'town'"),
        ({"town": (2,), "age": (1,)}, r"'town' has rows of the shape \(1,\).*takes \(2,\)"),
        ({"features": (4,)}, r"shape \(3,\).*takes \(4,\).*Names: 'numbers'"),
        ({"age": (1,), "age__log": (2,)}, r"'age.log' has rows of the shape \(1,\)"),
    ],
)
def test_wrong_names_and_shapes_are_refused_with_the_right_ones(network, said):
    with pytest.raises(SpaceError, match=said):
        InputForm.on(joined(inputs(**network)), LAYOUT)


# -- training


@pytest.fixture(scope="module")
def mixed():
    """Numbers with missing cells, two categories, words and sequences."""
    rng = np.random.default_rng(4)
    n = 26
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 20, n)),
            "rent": rng.lognormal(size=n),
            "town": pd.Series(rng.choice(list("abc"), n), dtype="str"),
            "note": pd.Series(rng.choice(["good", "so bad", "bad"], n), dtype="str"),
        }
    )
    columns = (
        Column("age", "number", has_missing=True),
        Column("rent", "number"),
        Column("town", "category", levels=("a", "b", "c")),
        Column("note", "text", levels=("bad", "good", "so")),
    )
    y = rng.normal(size=(n, 1))
    return Dataset("mixed", Schema(columns, Target(("y",), "regression")), frame, {}, y)


def finished(given, rows, problem):
    import keras

    outputs = keras.layers.Dense(problem.n_outputs)(keras.layers.Dense(4, "tanh")(rows))
    model = keras.Model(given, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


def flat(hp, problem):
    import keras

    rows = keras.Input(problem.input_shape)
    return finished(rows, rows, problem)


def of_names(*names):
    """A space whose network joins inputs by name."""

    def build(hp, problem):
        import keras

        given = [keras.Input(problem.inputs[n].shape, name=n) for n in names]
        return finished(given, keras.layers.Concatenate()(given), problem)

    return build


def without_words(data):
    columns = tuple(c for c in data.schema.columns if c.kind != "text")
    schema = Schema(columns, data.schema.target)
    return Dataset("mixed", schema, data.frame.drop(columns="note"), {}, data.y)


def test_kinds_joined_in_the_flat_vectors_order_train_as_the_flat_vector(mixed, make_job, train):
    data = without_words(mixed)
    jobs = [make_job(data, flat), make_job(data, of_names("numbers", "categories.onehot"))]
    results = [train(job, 0, 1) for job in jobs]
    for one, other in zip(*(r.folds for r in results), strict=True):
        assert_allclose(one.predictions, other.predictions, rtol=1e-4, atol=1e-5)
        assert_allclose(one.train_loss, other.train_loss, rtol=1e-4)


def bag_space(hp, problem):
    import keras

    shapes = problem.inputs
    words = keras.Input(shapes["words"].shape, name="words")
    rent = keras.Input(shapes["rent.log"].shape, name="rent.log")
    rows = keras.layers.Dense(4, "tanh")(words) + keras.layers.Dense(4)(rent)
    return finished([words, rent], rows, problem)


def codes_space(hp, problem):
    import keras

    found = problem.inputs["town"]
    town = keras.Input(found.shape, dtype=found.dtype, name="town")
    codes = keras.layers.Embedding(found.n_codes, 3)(town)
    age = keras.Input(problem.inputs["age.quantile"].shape, name="age.quantile")
    rows = keras.layers.Concatenate()([keras.layers.Flatten()(codes), age])
    return finished({"town": town, "age.quantile": age}, rows, problem)


@pytest.mark.parametrize("space", [bag_space, codes_space])
def test_named_inputs_train_as_in_keras(space, mixed, make_job, train, engine):
    job = make_job(mixed, space)
    [fold] = train(job, 1).folds
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    learnt, rows = data.statistics[1], data.folds[1].validation
    predictions = outputs[:, rows] * learnt.target_scale + learnt.target_centre
    assert_allclose(fold.train_loss, losses, rtol=1e-5)
    assert_allclose(fold.predictions, predictions, rtol=1e-4, atol=1e-5)


def small_table(hp, problem):
    import keras

    town = keras.Input(problem.inputs["town"].shape, dtype="int32", name="town")
    rent = keras.Input(problem.inputs["rent"].shape, name="rent")
    codes = keras.layers.Flatten()(keras.layers.Embedding(3, 2)(town))
    return finished([town, rent], keras.layers.Concatenate()([codes, rent]), problem)


def fractions(hp, problem):
    import keras

    rent = keras.Input(problem.inputs["rent"].shape, name="rent")
    looked_up = keras.layers.Flatten()(keras.layers.Embedding(50, 2)(rent))
    return finished(rent, looked_up, problem)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (small_table, "numbers from 0 to 2; it is asked for 0 to 3. Raise its input_dim to 4"),
        (fractions, "looks up whole numbers; what reaches it has fractions"),
    ],
)
def test_a_table_that_lacks_codes_is_refused(space, said, mixed, make_job, train):
    assert said in train(make_job(mixed, space), 0).error


def words_of_one_column(hp, problem):
    import keras

    note = keras.Input(problem.inputs["note"].shape, name="note")
    return finished(note, keras.layers.LayerNormalization()(note), problem)


def test_words_that_do_not_go_to_dense_layers_alone_are_no_bags(mixed, make_job, on_jax):
    data = read_fit_data(make_job(mixed, words_of_one_column).data_path)
    assert Inputs(data.layout)["note"].is_bag
    jobs = (make_job(mixed, space) for space in (words_of_one_column, bag_space))
    [normalised], [dense] = (on_jax("sketches", job, [Candidate(0, {})]) for job in jobs)
    assert "bags of words go to layer" in normalised.reason
    assert dense.reason is None


# -- the whole way


def by_name(hp, problem):
    import keras

    view = hp.Choice("view", ["clip", "quantile"])
    numbers = keras.Input(problem.inputs[f"numbers.{view}"].shape, name=f"numbers.{view}")
    return finished(numbers, numbers, problem)


def test_a_search_of_views_exports_what_predicts_the_same(tmp_path, train_here):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x @ [1.0, 2.0, 0.0]
    search = hpsearch.Search(by_name, trials=2, folds=2, epochs=2, out=tmp_path / "run")
    run = search.run(hpsearch.load(x, y))
    assert set(run.trials["hp.view"]) == {"clip", "quantile"}
    import keras

    network = keras.models.load_model(run.model_path)
    expected = network.predict({"numbers": x.astype("float32")}, verbose=0)
    assert_allclose(hpsearch.predict(run, x).to_numpy(), expected, rtol=1e-6)


def two_blocks(hp, problem):
    import keras

    given = [keras.Input(problem.inputs[n].shape, name=n) for n in ("pulse", "age")]
    rows = keras.layers.Concatenate()([keras.layers.GlobalMaxPooling1D()(given[0]), given[1]])
    return finished(given, rows, problem)


def test_arrays_by_name_are_the_inputs_of_a_network(tmp_path, train_here):
    rng = np.random.default_rng(0)
    x = {"pulse": rng.normal(size=(40, 6, 2)), "age": rng.normal(size=40).tolist()}
    y = x["pulse"].max(axis=(1, 2))
    search = hpsearch.Search(two_blocks, trials=1, folds=2, epochs=2, out=tmp_path / "run")
    run = search.run(hpsearch.load(x, y))
    assert hpsearch.predict(run, {name: values[:3] for name, values in x.items()}).shape == (3, 1)
