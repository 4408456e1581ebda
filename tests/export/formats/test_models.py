"""Models in other formats: what they take, and that they predict what Keras predicts."""

import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.data import Column, Schema
from hpsearch.decisions.calibrators import Calibrator
from hpsearch.engines.network import OutputForm
from hpsearch.errors import ModelFileError
from hpsearch.export.bundle import Bundle, bundle_ensemble, predict_encoded, save_keras_file
from hpsearch.export.formats import _cells, _child, onnx, saved_model, tflite
from hpsearch.export.formats._rows import made_up_rows
from hpsearch.export.members import Part
from hpsearch.preprocessing import Layout, encode, fit_statistics
from hpsearch.task import PinballOfSteps, PoissonOfLogs, Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tf2onnx"),
]

FORMATS = {"saved-model": saved_model, "onnx": onnx, "tflite": tflite}
TARGETS = {
    "binary": Target(("ill",), "binary", ("no", "yes")),
    "multiclass": Target(("kind",), "multiclass", (3, 5, 8)),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
    "share": Target(("a", "b"), "share"),
    "regression": Target(("y", "z"), "regression", offset=(2459000.0, 0.0)),
    "count": Target(("y",), "count"),
    "quantile": Target(("y",), "quantile", levels=(0.1, 0.5, 0.9)),
}
VECTORS = ((0.5, 1.0, 2.0), (0.1, -0.1, 0.0))
LINES = (((0.1, 0.5, 0.8), (0.2, 0.9)), ((0.01, 0.3, 0.9), (0.4, 0.6)))
LOSSES = {
    "multiclass": ("softmax", "sparse_categorical_crossentropy"),
    "regression": ("linear", "mse"),
    "count": ("linear", PoissonOfLogs()),
    "quantile": ("linear", PinballOfSteps()),
}


@pytest.fixture
def bundle_of(tmp_path):
    """A bundle as a run has it, of a network with random weights."""

    def make(schema, layers=(), max_words=3, calibrator=None, **known):
        target = schema.target
        frame, arrays = made_up_rows(
            SimpleNamespace(schema=schema, layout=Layout.of(schema), manifest={}), 40
        )
        rows = encode(schema, frame, arrays, 40)
        layout = Layout.of(schema, max_levels=4, max_words=max_words)
        y = 10.0 + np.random.default_rng(1).normal(size=(40, target.n_outputs))
        scaled = target.kind in ("regression", "count", "quantile")
        how = {"scale_target": scaled, "counts": target.kind == "count"}
        statistics = fit_statistics(rows, y, np.arange(40), layout, **how)
        activation, loss = LOSSES.get(target.kind, ("sigmoid", "binary_crossentropy"))
        keras.utils.set_random_seed(3)
        last = keras.layers.Dense(target.n_outputs, activation)
        network = keras.Sequential([keras.Input(layout.input_shape), *layers, last])
        network.compile("sgd", loss)
        form = OutputForm.of(network, target)
        parts = [Part(network, form, statistics)]
        model = bundle_ensemble(parts, schema, layout, calibrator)
        save_keras_file(model, tmp_path / "model.keras")
        manifest = {
            "schema": schema.to_json(),
            "limits": {"max_levels": 4, "max_words": max_words},
            "word_slots": statistics.word_slots.tolist(),
            **known,
        }
        return Bundle(tmp_path / "model.keras", (tmp_path / "model.keras").read_bytes(), manifest)

    return make


def of_keras(bundle, frame, arrays):
    """What Keras predicts for rows, in the target's own units."""
    rows = encode(bundle.schema, frame, arrays, len(frame))
    slots = np.array(bundle.manifest["word_slots"], np.int32)
    outputs = predict_encoded(bundle.model, rows, bundle.layout, slots)
    return bundle.schema.target.plus_offset(outputs)


SOME = ("age", "colour", "day")


def some_columns(schema, target, *names):
    columns = tuple(column for column in schema.columns if column.name in names)
    if target == "count":
        columns = (*columns, Column("years", "exposure"))
    return Schema(columns, TARGETS[target])


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_of_every_kind_of_column_is_held(name, bundle_of, mixed_schema, tmp_path):
    columns = (replace(mixed_schema.columns[0], offset=(5e6,)), *mixed_schema.columns[1:])
    bundle = bundle_of(Schema(columns, TARGETS["regression"]))
    notes = _child.written(name, bundle, tmp_path / "out")
    assert len(notes) == 1
    predict = FORMATS[name].predictor(tmp_path / "out")
    if name == "tflite":
        return
    frame, arrays = made_up_rows(bundle, 50)
    cells = FORMATS[name].cells(bundle)
    found = predict(_cells.tensors_of(cells, frame, arrays))
    wanted = of_keras(bundle, frame, arrays)
    assert found.dtype == np.float64
    assert_allclose(found - [2459000.0, 0.0], wanted - [2459000.0, 0.0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("target", "names", "calibrator"),
    [
        ("binary", ["saved-model"], Calibrator("temperature", False, (1.5,), (0.0,))),
        ("multiclass", ["saved-model", "onnx", "tflite"], Calibrator("platt", True, *VECTORS)),
        ("multilabel", ["onnx", "tflite"], Calibrator("isotonic", False, (), (), *LINES)),
        ("share", ["tflite"], None),
        ("count", ["saved-model", "onnx", "tflite"], None),
        ("quantile", ["saved-model", "onnx", "tflite"], None),
    ],
)
def test_each_problem_is_held_with_its_calibrator(
    target, names, calibrator, bundle_of, mixed_schema, tmp_path
):
    schema = some_columns(mixed_schema, target, "age", "colour")
    bundle = bundle_of(schema, calibrator=calibrator)
    for name in names:
        assert _child.written(name, bundle, tmp_path / name)


def test_what_describes_a_model_has_its_thresholds(bundle_of, mixed_schema):
    decisions = {"threshold": {"rule": "f1", "labels": ["yes"], "values": [0.3]}}
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"), decisions=decisions)
    assert _cells.described(bundle, [])["output"]["thresholds"] == [0.3]


RAW = {
    "age": np.array([31.5, np.nan, 40.0]),
    "colour": np.array(["blue", "a colour that nobody knows", ""], object),
    "day": np.array([8765.25, 59.0, np.nan]),
}
READ = pd.DataFrame(
    {
        "age": [31.5, np.nan, 40.0],
        "colour": pd.Series(["blue", "a colour that nobody knows", None], dtype="str"),
        "day": pd.to_datetime(["2023-12-31T06:00", "2000-02-29T00:00", None]).astype(
            "datetime64[us]"
        ),
    }
)


@pytest.mark.parametrize("name", ["saved-model", "onnx"])
def test_raw_cells_go_in_as_a_program_without_hpsearch_has_them(
    name, bundle_of, mixed_schema, tmp_path
):
    bundle = bundle_of(some_columns(mixed_schema, "binary", *SOME))
    FORMATS[name].convert(bundle, tmp_path / "out")
    predict = FORMATS[name].predictor(tmp_path / "out")
    assert_allclose(predict(RAW), of_keras(bundle, READ, {}), atol=1e-6)


def test_days_give_what_dates_give_in_leap_years_and_at_every_turn_of_a_year(mixed_schema):
    days = pd.date_range("1895-12-29", "2105-01-03", freq="D", unit="us")
    clock = pd.to_timedelta(np.random.default_rng(0).random(len(days)), unit="D")
    days = pd.Series(np.concatenate([days, (days + clock).astype("datetime64[us]")]))
    schema = some_columns(mixed_schema, "binary", "day")
    wanted = encode(schema, days.to_frame("day"), {}, len(days)).numbers
    bundle = SimpleNamespace(schema=schema, layout=Layout.of(schema))
    [cells] = _cells.cells_of(bundle, splits_text=True)
    found = _cells.encoded(bundle, [cells], {"day": cells.tensor(days)})["numbers"]
    assert_allclose(found, wanted, atol=1e-6, rtol=1e-7)


WORDS = ("2nd", "café", "good", "größe", "i", "so", "हिन्दी")
TEXTS = (
    *("Good, so GOOD!", "", "good_so", "so-good", "GRÖSSE Größe", "CAFÉ\u200d", "ca\u00adfé"),
    *("2ND place", "İ", "\u0301good \u0301 so", "so\ufe0fgood", "हिन्दी भाषा", "x²", "so\u20ddgood"),
)


def test_text_is_split_in_the_graph_as_it_is_without_it(bundle_of, tmp_path):
    column = Column("note", "text", levels=WORDS, has_missing=True, word_rule="scripts")
    bundle = bundle_of(Schema((column,), TARGETS["binary"]), max_words=6)
    saved_model.convert(bundle, tmp_path / "out")
    predict = saved_model.predictor(tmp_path / "out")
    frame = pd.DataFrame({"note": pd.Series([*TEXTS, None], dtype="str")})
    given = {"note": np.array([*TEXTS, ""], object)}
    assert_allclose(predict(given), of_keras(bundle, frame, {}), atol=1e-6)
    assert len(np.unique(of_keras(bundle, frame, {}))) == 6


def test_a_script_without_spaces_goes_in_word_by_word():
    column = Column("note", "text", levels=("好", "ok"), word_rule="scripts")
    schema = Schema((column,), TARGETS["binary"])
    [cells] = _cells.cells_of(SimpleNamespace(schema=schema), splits_text=True)
    assert (cells.kind, cells.shape) == ("words", (2,))
    assert_array_equal(cells.tensor(pd.Series(["OK 好", None], dtype="str")), [[1, 1], [0, 0]])


def test_inputs_are_described_in_the_file(bundle_of, mixed_schema, tmp_path):
    bundle = bundle_of(some_columns(mixed_schema, "multiclass", *SOME))
    onnx.convert(bundle, tmp_path / "a.onnx")
    saved_model.convert(bundle, tmp_path / "saved")
    import onnx as onnx_package

    [props] = onnx_package.load(tmp_path / "a.onnx").metadata_props
    said = json.loads(props.value)
    assert json.loads((tmp_path / "saved/assets.extra/inputs.json").read_text()) == said
    assert said["output"] == {
        "name": "output",
        "columns": ["probability of 3", "probability of 5", "probability of 8"],
        "labels": ["3", "5", "8"],
    }
    [colour] = [each for each in said["inputs"] if each["column"] == "colour"]
    assert colour["levels"] == ["blue", "green", "red"]


def test_names_that_a_graph_can_not_have_are_told(bundle_of, tmp_path):
    columns = (Column("Loan amount (€)", "number"), Column("Größe", "category", levels=("s",)))
    bundle = bundle_of(Schema(columns, TARGETS["binary"]))
    [_, told] = _child.written("onnx", bundle, tmp_path / "out")
    assert told.endswith("'Loan amount (€)' as Loan_amount, 'Größe' as Groe.")


def test_numbers_that_are_looked_up_are_made_up_within_their_table(bundle_of):
    schema = Schema((Column("a", "number"), Column("b", "number")), TARGETS["binary"])
    lookups = [{"name": "b", "kind": "number", "index": 1, "least": 2, "most": 6}]
    bundle = bundle_of(schema, lookups=lookups)
    frame, _ = made_up_rows(bundle)
    assert sorted(frame["b"].unique()) == [2, 3, 4, 5, 6]
    sequence = Schema((Column("x", "array", shape=(4, 1), array_kind="sequence"),), schema.target)
    tokens = [{"name": "x", "kind": "channel", "index": 0, "least": 0, "most": 3}]
    known = SimpleNamespace(
        schema=sequence, layout=Layout.of(sequence), manifest={"lookups": tokens}
    )
    assert sorted(np.unique(made_up_rows(known)[1]["x"])) == [0, 1, 2, 3]


# -- what can't be held


@keras.saving.register_keras_serializable("tests")
class Bessel(keras.layers.Layer):
    def call(self, inputs):
        import tensorflow as tf

        return tf.math.bessel_i0(inputs)


def test_an_operator_that_the_runtime_lacks_is_refused_by_name(bundle_of, mixed_schema, tmp_path):
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"), [Bessel()])
    with pytest.raises(ModelFileError, match=r"its runtime has no BesselI0\. Nothing was written"):
        _child.written("tflite", bundle, tmp_path / "out")
    with pytest.raises(ModelFileError, match=r"it has no operator BesselI0\. Nothing was written"):
        _child.written("onnx", bundle, tmp_path / "out")
    assert _child.written("saved-model", bundle, tmp_path / "out")


SEQUENCE = Column("x", "array", shape=(4, 2), array_kind="sequence")


def test_a_recurrent_network_takes_one_row_at_a_time_where_the_runtime_has_no_lists(
    bundle_of, tmp_path
):
    bundle = bundle_of(Schema((SEQUENCE,), TARGETS["binary"]), [keras.layers.SimpleRNN(2)])
    assert _child.written("tflite", bundle, tmp_path / "out")[-1] == "It takes one row at a time."
    predict = tflite.predictor(tmp_path / "out")
    frame, arrays = made_up_rows(bundle, 3)
    found = predict({"array_0": arrays["x"]})
    assert_allclose(found, of_keras(bundle, frame, arrays), atol=1e-6)


def test_activations_that_onnx_has_no_operator_for_are_written_in_others(
    bundle_of, mixed_schema, tmp_path
):
    layers = [keras.layers.Dense(3, "gelu"), keras.layers.Dense(3, "celu")]
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"), layers)
    assert _child.written("onnx", bundle, tmp_path / "out")


def test_a_model_that_predicts_something_else_is_refused(
    bundle_of, mixed_schema, tmp_path, monkeypatch
):
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"))
    convert = onnx.predictor

    def off(path):
        predict = convert(path)
        return lambda tensors: predict(tensors) + 1.1e-5

    monkeypatch.setattr(onnx, "predictor", off)
    with pytest.raises(
        ModelFileError, match=r"'onnx' can't hold this model .*up to 1\.\d+e-05 off"
    ):
        _child.written("onnx", bundle, tmp_path / "out")


def test_what_a_converter_raises_is_one_line(bundle_of, mixed_schema, tmp_path, monkeypatch):
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"))

    def fails(bundle, path):
        raise RuntimeError("no operator\n  for this")

    monkeypatch.setattr(onnx, "convert", fails)
    with pytest.raises(ModelFileError, match=r"RuntimeError: no operator for this\)\. Nothing was"):
        _child.written("onnx", bundle, tmp_path / "out")


def test_a_converter_that_ends_its_process_is_one_line(bundle_of, mixed_schema, monkeypatch):
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"))
    folder = bundle.path.parent
    monkeypatch.setattr("hpsearch.export.formats._child.Bundle.of", lambda run: bundle)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(
        ModelFileError, match=r"'onnx' can't hold .*the converter ended with code 1"
    ):
        onnx.FORMAT.write(SimpleNamespace(path=folder), folder / "out")


def test_a_disk_that_is_full_is_no_fault_of_the_model(bundle_of, mixed_schema, monkeypatch):
    bundle = bundle_of(some_columns(mixed_schema, "binary", "age"))

    def full(bundle, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx, "convert", full)
    with pytest.raises(OSError, match="No space left"):
        _child.written("onnx", bundle, bundle.path.parent / "out")
