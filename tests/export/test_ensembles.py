"""Several networks in one file: it predicts their weighted mean, wherever it is loaded."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.data import Schema
from hpsearch.engines.lookups import Lookups
from hpsearch.engines.network import OutputForm
from hpsearch.export.bundle import (
    Bundle,
    bundle_ensemble,
    load_keras_file,
    predict_encoded,
    save_keras_file,
)
from hpsearch.export.formats import _child
from hpsearch.export.graph_inputs import model_inputs
from hpsearch.export.members import Part
from hpsearch.preprocessing import Layout, design_rows, encode, fit_statistics
from hpsearch.task import Target
from tests.plain_keras import loads_the_same

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tf2onnx"),
]

WEIGHTS = (0.75, 0.25)
BINARY = Target(("y",), "binary", ("no", "yes"))


class Ensemble:
    """Two networks with random weights, trained on other rows each, so with other statistics."""

    def __init__(self, schema, rows, last, kinds=("number", "category", "array")):
        self.schema = Schema(schema.of_kind(*kinds), last[-1])
        self.encoded = encode(self.schema, *rows, 40)
        self.layout = Layout.of(self.schema, max_levels=4, max_words=3)
        y = 100.0 + 10.0 * np.random.default_rng(1).normal(size=(40, last[-1].n_outputs))
        keras.utils.set_random_seed(3)
        self.parts = [
            self._part(make, np.arange(40)[side], y, last, weight)
            for make, side, weight in zip(
                (self._sequential, self._functional),
                (slice(0, 25), slice(15, 40)),
                WEIGHTS,
                strict=True,
            )
        ]
        self.model = bundle_ensemble(self.parts, self.schema, self.layout)
        self.slots = self.parts[0].statistics.word_slots

    def _part(self, make, rows, y, last, weight):
        activation, loss, target = last
        is_scaled = target.kind == "regression"
        statistics = fit_statistics(
            *(self.encoded, y, rows, self.layout),
            scale_target=is_scaled,
            transform=target.transform,
        )
        network = make(keras.layers.Dense(target.n_outputs, activation, name="last"))
        network.compile("adam", loss)
        return Part(network, OutputForm.of(network, target), statistics, weight)

    def _sequential(self, last):
        rows, flat = keras.Input(self.layout.input_shape), keras.layers.Flatten()
        norm = keras.layers.BatchNormalization()
        return keras.Sequential([rows, flat, norm, last], name="net")

    def _functional(self, last):
        rows = keras.Input(self.layout.input_shape)
        flat = keras.layers.Dense(5, "tanh")(keras.layers.Flatten()(rows))
        return keras.Model(rows, last(flat), name="net")

    def of_member(self, part):
        """Canonical predictions of one network, by itself."""
        rows = design_rows(self.encoded, self.layout, part.statistics)
        raw = part.network.predict_on_batch(rows)
        return part.form.predictions(self.schema.target, part.statistics, raw)

    @property
    def mean(self):
        found = [self.of_member(part) for part in self.parts]
        return np.average(found, axis=0, weights=WEIGHTS)

    def predictions(self, model):
        outputs = predict_encoded(model, self.encoded, self.layout, self.slots)
        return self.schema.target.without_column(self.schema.target.plus_offset(outputs))


LASTS = {
    "logits": ("linear", lambda: keras.losses.BinaryCrossentropy(from_logits=True), BINARY),
    "values": ("linear", lambda: "mse", Target(("y", "z"), "regression", offset=(90.0, 0.0))),
    "transformed": ("linear", lambda: "mse", Target(("y",), "regression", transform="yeo-johnson")),
}


@pytest.fixture
def ensemble_of(mixed_schema, mixed_rows):
    def make(name, **kinds):
        activation, loss, target = LASTS[name]
        return Ensemble(mixed_schema, mixed_rows, (activation, loss(), target), **kinds)

    return make


@pytest.mark.parametrize("name", LASTS)
def test_the_mean_is_of_canonical_predictions_each_by_its_own_statistics(
    name, ensemble_of, tmp_path
):
    made = ensemble_of(name)
    save_keras_file(made.model, tmp_path / "model.keras")
    predictions = made.predictions(load_keras_file(tmp_path / "model.keras"))
    assert_array_equal(predictions, made.predictions(made.model))
    assert_allclose(predictions, made.mean, rtol=1e-4)
    assert np.abs(made.of_member(made.parts[0]) - made.mean).max() > 1e-3


def test_keras_alone_loads_an_ensemble_in_a_fresh_process(ensemble_of, tmp_path):
    made = ensemble_of("values")
    save_keras_file(made.model, tmp_path / "model.keras")
    inputs = model_inputs(made.encoded, made.layout, made.slots)
    outputs = made.model.predict_on_batch(inputs)
    printed, errors = loads_the_same(tmp_path, inputs, outputs)
    assert printed == "True\n", errors


@pytest.mark.parametrize("name", ["saved-model", "onnx", "tflite"])
def test_an_ensemble_is_held_by_other_formats(name, ensemble_of, tmp_path):
    made = ensemble_of("logits", kinds=("number", "category"))
    path = tmp_path / "model.keras"
    save_keras_file(made.model, path)
    manifest = {
        "schema": made.schema.to_json(),
        "limits": {"max_levels": 4, "max_words": 3},
        "word_slots": made.slots.tolist(),
    }
    assert _child.written(name, Bundle(path, path.read_bytes(), manifest), tmp_path / "out")


def test_networks_that_look_up_take_what_all_of_them_know():
    first, second = Lookups({0: (0, 9), 2: (0, 4)}), Lookups({0: (1, 5)}, {1: (0, 7)})
    assert Lookups.joined([first, second]) == Lookups({0: (1, 5), 2: (0, 4)}, {1: (0, 7)})


def test_a_network_alone_keeps_its_name(ensemble_of):
    made = ensemble_of("values")
    alone = bundle_ensemble([replace(made.parts[0], weight=1.0)], made.schema, made.layout)
    names = [[layer.name for layer in model.layers] for model in (alone, made.model)]
    assert "net" in names[0]
    assert {"member_0", "member_1"} <= {*names[1]}
