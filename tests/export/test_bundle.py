"""Refit and export: how long it trains, and a file that predicts the same wherever it is loaded."""

import time
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.data import Schema
from hpsearch.engines.network import OutputForm, numpy_links
from hpsearch.errors import BundleError, ModelFileError
from hpsearch.export.bundle import (
    BUNDLE_FORMAT,
    Bundle,
    bundle_model,
    canonical,
    file_sha256,
    load_keras_file,
    predict_encoded,
    save_keras_file,
)
from hpsearch.export.graph_inputs import model_inputs
from hpsearch.export.refit import _save_arrays, refit_steps
from hpsearch.preprocessing import Layout, design_rows, encode, fit_statistics
from hpsearch.preprocessing.transforms import TRANSFORMS, restored
from hpsearch.results import Run
from hpsearch.task import Target
from tests.plain_keras import loads_the_same

# Keras and NumPy 2.4 have not agreed on how to copy; it is Keras's own saving that warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# -- how long the refit trains


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "best_epoch", "steps"),
    [
        (100, 32, 10, 40),  # 10 epochs of 4 steps, the last one partial
        (100, 100, 10, 10),
        (60, 16, 2, 8),
        (4, 32, 1, 1),
    ],
)
def test_the_refit_sees_each_row_as_often_as_the_folds_did(n_rows, batch_size, best_epoch, steps):
    data = SimpleNamespace(encoded=SimpleNamespace(n_rows=n_rows))
    assert refit_steps(data, batch_size=batch_size, best_epoch=best_epoch) == steps


# -- what is exported

TARGETS = {
    "regression": Target(("y", "z"), "regression"),
    "binary": Target(("y",), "binary", ("no", "yes")),
    "multiclass": Target(("y",), "multiclass", ("a", "b", "c")),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
}


def network_of(input_shape, units, activation, loss):
    """A network with random weights; an output for each entry where these are lists."""
    import keras

    keras.utils.set_random_seed(3)
    if isinstance(units, list):
        rows = keras.Input(input_shape)
        parts = zip(units, activation, strict=True)
        model = keras.Model(rows, [keras.layers.Dense(*part)(rows) for part in parts])
        model.compile("adam", loss)
        return model
    layers = [keras.layers.Flatten()] if len(input_shape) > 1 else []
    layers += [keras.layers.BatchNormalization(), keras.layers.Dense(3, "tanh")]
    layers += [keras.layers.Dropout(0.5), keras.layers.Dense(units, activation)]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile("adam", loss)
    return model


class Exported:
    """A network with random weights, exported on the mixed rows."""

    def __init__(self, schema, rows, units=2, activation="linear", loss="mse"):
        self.schema = schema
        self.encoded = encode(schema, *rows, 40)
        self.layout = Layout.of(schema, max_levels=4, max_words=3)
        y = 100.0 + 10.0 * np.random.default_rng(1).normal(size=(40, 2))
        train = np.arange(30)
        self.statistics = fit_statistics(
            self.encoded,
            y,
            train,
            self.layout,
            scale_target=schema.target.kind == "regression",
            transform=schema.target.transform,
        )
        self.network = network_of(self.layout.input_shape, units, activation, loss)
        self.form = OutputForm.of(self.network, schema.target)
        self.model = bundle_model(self.network, self.form, schema, self.layout, self.statistics)

    @property
    def inputs(self):
        return model_inputs(self.encoded, self.layout, self.statistics.word_slots)

    def predictions(self, model):
        return predict_encoded(model, self.encoded, self.layout, self.statistics.word_slots)

    def outputs_of_the_network(self):
        rows = design_rows(self.encoded, self.layout, self.statistics)
        return self.network.predict_on_batch(rows)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_way_back_from_a_transform_is_inside_of_the_model(
    name, mixed_schema, mixed_rows, tmp_path
):
    target = replace(TARGETS["regression"], transform=name)
    exported = Exported(replace(schema_of(mixed_schema, "number"), target=target), mixed_rows)
    save_keras_file(exported.model, tmp_path / "model.keras")
    predictions = exported.predictions(load_keras_file(tmp_path / "model.keras"))
    assert_array_equal(predictions, exported.predictions(exported.model))
    stats = exported.statistics
    learnt = exported.outputs_of_the_network() * stats.target_scale + stats.target_centre
    expected = restored(numpy_links, name, learnt, stats.target_power)
    assert_allclose(predictions, expected, rtol=1e-3)
    assert 50 < np.median(predictions) < 200
    assert Target.from_json(target.to_json()) == target


def schema_of(schema, *kinds):
    return replace(schema, columns=schema.of_kind(*kinds)) if kinds else schema


@pytest.mark.parametrize(
    "kinds",
    [
        *[("number",), ("date",), ("category",), ("text",), ("words",), ("array",)],
        *[("array", "number"), ()],
    ],
    ids=lambda kinds: " and ".join(kinds) or "all",
)
def test_a_model_of_any_columns_predicts_the_same_bits_after_a_reload(
    kinds, mixed_schema, mixed_rows, tmp_path
):
    import keras

    schema = replace(schema_of(mixed_schema, *kinds), target=TARGETS["regression"])
    exported = Exported(schema, mixed_rows)
    exported.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    predictions = exported.predictions(loaded)
    assert_array_equal(predictions, exported.predictions(exported.model))
    stats = exported.statistics
    expected = exported.outputs_of_the_network() * stats.target_scale + stats.target_centre
    assert_allclose(predictions, expected, rtol=1e-5)


def logits(name):
    import keras

    return getattr(keras.losses, name)(from_logits=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "units", "activation", "loss", "decoded"),
    [
        ("binary", 1, "sigmoid", "binary_crossentropy", lambda x: x),
        ("binary", 1, "linear", lambda: logits("BinaryCrossentropy"), sigmoid),
        ("binary", 2, "softmax", "categorical_crossentropy", lambda x: x[:, 1:]),
        (
            *("binary", 2, "linear", lambda: logits("SparseCategoricalCrossentropy")),
            lambda x: softmax(x)[:, 1:],
        ),
        ("multiclass", 3, "softmax", "sparse_categorical_crossentropy", lambda x: x),
        ("multiclass", 3, "linear", lambda: logits("CategoricalCrossentropy"), softmax),
        ("multilabel", 2, "linear", lambda: logits("BinaryCrossentropy"), sigmoid),
        (
            *("multilabel", [1, 1], ["linear", "sigmoid"]),
            lambda: [logits("BinaryCrossentropy"), "binary_crossentropy"],
            lambda x: np.stack([sigmoid(x[0][:, 0]), x[1][:, 0]], axis=1),
        ),
        ("multilabel", [1, 1], ["sigmoid"] * 2, "binary_crossentropy", np.hstack),
    ],
)
def test_a_model_gives_canonical_predictions_whatever_its_loss_takes(
    kind, units, activation, loss, decoded, mixed_schema, mixed_rows, tmp_path
):
    schema = Schema(mixed_schema.of_kind("number"), TARGETS[kind])
    loss = loss() if callable(loss) else loss
    exported = Exported(schema, mixed_rows, units, activation, loss)
    exported.model.save(tmp_path / "model.keras")
    predictions = exported.predictions(load_keras_file(tmp_path / "model.keras"))
    expected = decoded(exported.outputs_of_the_network())
    assert_allclose(predictions, expected, rtol=1e-5)


def test_several_outputs_are_exported_side_by_side_in_the_targets_units(
    mixed_schema, mixed_rows, tmp_path
):
    schema = replace(mixed_schema, target=TARGETS["regression"])
    exported = Exported(schema, mixed_rows, [1, 1], ["linear", "softplus"], ["mse", "mae"])
    exported.model.save(tmp_path / "model.keras")
    predictions = exported.predictions(load_keras_file(tmp_path / "model.keras"))
    stats = exported.statistics
    expected = np.hstack(exported.outputs_of_the_network())
    assert_allclose(predictions, expected * stats.target_scale + stats.target_centre, rtol=1e-5)


def test_a_target_far_from_zero_leaves_the_file_less_its_offset(mixed_schema, mixed_rows, tmp_path):
    target = replace(TARGETS["regression"], offset=(90.0, 0.0))
    exported = Exported(Schema(mixed_schema.of_kind("number"), target), mixed_rows)
    exported.model.save(tmp_path / "model.keras")
    outputs = exported.predictions(load_keras_file(tmp_path / "model.keras"))
    stats = exported.statistics
    expected = exported.outputs_of_the_network() * stats.target_scale + stats.target_centre
    assert_allclose(outputs, expected - [90.0, 0.0], rtol=1e-4, atol=1e-4)
    predictions = canonical(target, outputs)
    assert predictions.dtype == np.float64
    assert_array_equal(predictions, outputs.astype(np.float64) + np.array(target.offset))


def test_a_model_is_exported_without_optimizer_and_loss(mixed_schema, mixed_rows, tmp_path):
    schema = replace(mixed_schema, target=TARGETS["regression"])
    exported = Exported(schema, mixed_rows, loss=lambda y, predicted: (y - predicted) ** 2)
    exported.model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert "Dense" in config
    assert not [word for word in ("Adam", "lambda") if word in config]


def test_keras_alone_loads_a_model_in_a_fresh_process(mixed_schema, mixed_rows, tmp_path):
    exported = Exported(replace(mixed_schema, target=TARGETS["regression"]), mixed_rows)
    save_keras_file(exported.model, tmp_path / "model.keras")
    outputs = exported.predictions(exported.model)
    printed, errors = loads_the_same(tmp_path, exported.inputs, outputs)
    assert printed == "True\n", errors


def test_many_rows_are_predicted_in_batches(mixed_schema, mixed_rows, monkeypatch):
    exported = Exported(replace(mixed_schema, target=TARGETS["regression"]), mixed_rows)
    expected = exported.predictions(exported.model)
    monkeypatch.setattr("hpsearch.export.bundle.PREDICT_ROWS", 7)
    assert_allclose(exported.predictions(exported.model), expected, rtol=1e-5)


# -- opening it again


@pytest.fixture
def folder(tmp_path, mixed_schema):
    """A run's folder with a bundle whose model is no model yet."""
    (tmp_path / "model.keras").write_bytes(b"PK of a model")
    card = {
        "format": BUNDLE_FORMAT,
        "sha256": file_sha256(tmp_path / "model.keras"),
        "schema": mixed_schema.to_json(),
        "limits": {"max_levels": 4, "max_words": 3},
    }
    return tmp_path, card


def bundle_of(path, card):
    run = Run(path)
    run.__dict__["manifest"] = card
    return Bundle.of(run)


def test_a_bundle_knows_its_columns_and_shapes(folder, mixed_schema):
    bundle = bundle_of(*folder)
    assert bundle.schema == mixed_schema
    assert bundle.layout == Layout.of(mixed_schema, max_levels=4, max_words=3)


def test_a_changed_model_is_refused(folder):
    path, card = folder
    (path / "model.keras").write_bytes(b"PK of a modem")
    with pytest.raises(BundleError, match=r"SHA-256.*Restore it"):
        bundle_of(path, card)


def test_a_missing_model_is_told(folder):
    path, card = folder
    (path / "model.keras").unlink()
    with pytest.raises(BundleError, match="has none"):
        bundle_of(path, card)


def test_a_card_of_another_format_is_refused(folder):
    path, card = folder
    with pytest.raises(BundleError, match="hpsearch model 9"):
        bundle_of(path, card | {"format": "hpsearch model 9"})


def test_what_is_loaded_is_what_was_checked(folder):
    path, card = folder
    bundle = bundle_of(path, card)
    (path / "model.keras").write_bytes(b"another one, put there since")
    with pytest.raises(ModelFileError, match="is damaged"):  # the first bytes are no model either
        _ = bundle.model
    assert bundle.content == b"PK of a model"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": {}},
        {"schema": {"columns": [{}], "target": {}}},
        {"schema": None},
        {"limits": 3},
        {"limits": {"max_levels": "x", "max_words": 3}},
    ],
    ids=str,
)
def test_a_malformed_manifest_is_one_line(folder, change):
    path, card = folder
    with pytest.raises(ModelFileError, match=r"model\.json says .* is damaged"):
        _ = bundle_of(path, {**card, **change}).layout


@pytest.mark.parametrize("clock", [0.0, 7.3e9])
def test_a_model_is_the_same_file_whatever_the_clock_says(
    tmp_path, mixed_schema, mixed_rows, monkeypatch, clock
):
    schema = Schema(mixed_schema.of_kind("number"), TARGETS["regression"])
    exported = Exported(schema, mixed_rows)
    save_keras_file(exported.model, tmp_path / "now.keras")
    local = time.localtime(clock)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: clock)
        patch.setattr(time, "localtime", lambda seconds=None: local)
        save_keras_file(exported.model, tmp_path / "then.keras")
        _save_arrays(str(tmp_path / "check.npz"), {"a": np.arange(3)})
    assert (tmp_path / "then.keras").read_bytes() == (tmp_path / "now.keras").read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        *("check.npz", "now.keras", "then.keras"),
    ]
    with np.load(tmp_path / "check.npz") as check:
        assert check["a"].tolist() == [0, 1, 2]
    model = load_keras_file(tmp_path / "then.keras")
    expected = exported.predictions(exported.model)
    assert_array_equal(exported.predictions(model), expected)


def test_a_truncated_file_is_said_to_be_damaged(tmp_path, mixed_schema, mixed_rows):
    schema = Schema(mixed_schema.of_kind("number"), TARGETS["regression"])
    path = tmp_path / "model.keras"
    Exported(schema, mixed_rows).model.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match="damaged") as caught:
        load_keras_file(path)
    assert "not found" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(BundleError, match="not there"):
        load_keras_file(tmp_path / "model.keras")
