"""Views of numbers, which an input by name has, in a format that has few operators."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from hpsearch.data import Column, Schema
from hpsearch.engines.fit_data import FitData
from hpsearch.engines.network import OutputForm
from hpsearch.export.bundle import Bundle, bundle_ensemble, save_keras_file
from hpsearch.export.formats import _child
from hpsearch.export.formats._rows import made_up_rows
from hpsearch.export.members import Part
from hpsearch.preprocessing import Inputs, Layout, encode, fit_statistics
from hpsearch.task import Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tf2onnx"),
]

SCHEMA = Schema(
    (Column("age", "number", has_missing=True), Column("rent", "number")),
    Target(("y",), "regression"),
)
LAYOUT = Layout.of(SCHEMA)


@pytest.mark.parametrize("view", ["log", "quantile", "piecewise"])
def test_onnx_holds_a_network_that_reads_numbers_in_a_view(view, tmp_path):
    name = f"numbers.{view}"
    frame, arrays = made_up_rows(SimpleNamespace(schema=SCHEMA, layout=LAYOUT, manifest={}), 40)
    rows, y = encode(SCHEMA, frame, arrays, 40), np.random.default_rng(1).normal(size=(40, 1))
    learnt = fit_statistics(rows, y, np.arange(40), LAYOUT, scale_target=True)
    data = FitData(rows, y, SCHEMA.target, LAYOUT, (), learnt, learnt)
    given = keras.Input(Inputs(LAYOUT)[name].shape, name=name)
    network = keras.Model(given, keras.layers.Dense(1)(keras.layers.Flatten()(given)))
    network.compile("sgd", "mse")
    form, path = OutputForm.of(network, SCHEMA.target), tmp_path / "model.keras"
    part = Part(network, form, data.statistics_of(None, [name]))
    save_keras_file(bundle_ensemble([part], SCHEMA, LAYOUT), path)
    manifest = {"schema": SCHEMA.to_json(), "limits": {"max_levels": 4, "max_words": 3}}
    bundle = Bundle(path, path.read_bytes(), {**manifest, "word_slots": []})
    assert _child.written("onnx", bundle, tmp_path / "out")
