"""Fine-tuning from end to end: a base from a file, phases, curves, the model on new rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

import hpsearch
from hpsearch.cli import main
from hpsearch.export.bundle import Bundle, model_inputs, predict_encoded
from hpsearch.preprocessing import encode
from tests.plain_keras import loads_the_same

# What Keras's own saving does to NumPy 2.4 is not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def digits():
    """Some rows of the digits 5 to 9, in Keras's form and in a search's."""
    x, y = load_digits(return_X_y=True)
    rows = np.concatenate([np.flatnonzero(y == digit)[:8] for digit in range(5, 10)])
    return {"x": x[rows].reshape(-1, 8, 8, 1), "y": np.array([f"digit {c}" for c in y[rows]])}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A network of images that is no worse for not being trained."""
    import keras

    k = keras.layers
    layers = [k.Conv2D(4, 3), k.BatchNormalization(), k.ReLU(), k.Flatten(), k.Dense(6)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, k.Dense(5)])
    path = tmp_path_factory.mktemp("base") / "base.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def run(digits, base, tmp_path_factory, train_here):
    data = hpsearch.load(digits, target="y")
    options = {"trials": 2, "folds": 2, "repeats": 1, "epochs": 5, "baselines": False, "jobs": 1}
    out = tmp_path_factory.mktemp("run") / "run"
    with train_here() as engine:
        fix = {"base": str(base), "late_layers": 1}
        return hpsearch.Search("finetune", engine=engine, fix=fix, out=out, **options).run(data)


def test_curves_say_which_epoch_is_in_which_phase(run):
    for _, curves in run.curves.groupby("trial"):
        phases = curves.sort_values("epoch")["phase"].tolist()
        assert phases == sorted(phases)
        assert set(phases) == {1, 2}


def test_what_is_frozen_throughout_did_not_move(run):
    assert run.best["base"]["frozen_moved"] == 0.0
    assert run.best["base"]["normalization"] == 0
    assert run.best["learning_rate"] is None
    assert "base_moved" not in {found.code for found in run.diagnoses}


def test_show_marks_the_change_and_predict_reads_new_rows(run, digits, tmp_path, capsys):
    assert main(["show", str(run.path)]) == 0
    assert "a phase ends" in capsys.readouterr().out
    np.savez(tmp_path / "new.npz", x=digits["x"][:3])
    assert main(["predict", str(run.path), str(tmp_path / "new.npz")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("digit ")
    report = run.report(tmp_path / "report.html").read_text()
    assert '"changes":[' in report.replace(" ", "")


def test_keras_alone_loads_the_model_without_the_base_or_the_space(run, digits, tmp_path):
    bundle = Bundle.of(run)
    n_rows = len(digits["y"])
    frame = pd.DataFrame(index=range(n_rows))
    encoded = encode(bundle.schema, frame, {"x": digits["x"]}, n_rows)
    slots = np.array([], np.int32)
    outputs = predict_encoded(bundle.model, encoded, bundle.layout, slots)
    (tmp_path / "model.keras").write_bytes(bundle.content)
    inputs = model_inputs(encoded, bundle.layout, slots)
    printed, errors = loads_the_same(tmp_path, inputs, outputs)
    assert printed.strip() == "True", errors


def test_resuming_a_finished_run_makes_the_same_tables(run, train_here, digits):
    before = (run.path / "curves.csv").read_bytes()
    (run.path / "best.json").unlink()
    with train_here():
        again = hpsearch.resume(run.path, data=hpsearch.load(digits, target="y"), quiet=True)
    assert (again.path / "curves.csv").read_bytes() == before


MOVING = """
import keras
import numpy as np


@keras.saving.register_keras_serializable("moving")
class Centring(keras.layers.Layer):
    def build(self, shape):
        self.centre = self.add_weight(shape=shape[1:], trainable=False)

    def call(self, x, training=False):
        if training:  # whatever its trainable says
            self.centre.assign(0.9 * self.centre + 0.1 * keras.ops.mean(x, axis=0))
        return x - self.centre


def build(hp, problem):
    base = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Flatten(), Centring()])
    base.set_weights([np.linspace(0.0, 1.0, weight.size) for weight in base.get_weights()])
    base.trainable = False
    last = keras.layers.Dense(problem.n_outputs, problem.output_activation, name="head")
    model = keras.Sequential([keras.Input(problem.input_shape), base, last])
    model.compile("sgd", problem.loss)
    return model
"""


def test_a_frozen_layer_of_ones_own_that_moves_is_run_each_epoch_and_told(
    digits, tmp_path, train_here
):
    (tmp_path / "moving.py").write_text(MOVING)
    options = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 3, "baselines": False, "jobs": 1}
    with train_here() as engine:
        run = hpsearch.Search(
            tmp_path / "moving.py", engine=engine, out=tmp_path / "run", **options
        ).run(hpsearch.load(digits, target="y"))
    [found] = [one for one in run.diagnoses if one.code == "base_moved"]
    assert "frozen in every phase, changed by up to" in found.evidence
    [name] = run.best["base"]["moved_layers"]
    assert name.startswith("centring")


PHASED = """
def build(hp, problem):
    import keras

    layers = [keras.Input(problem.input_shape), keras.layers.Flatten()]
    last = keras.layers.Dense(problem.n_outputs, problem.output_activation, name="head")
    model = keras.Sequential([*layers, last])
    model.compile("sgd", problem.loss)
    return model


def phases(hp, problem):
    from hpsearch import Phase

    return [Phase({share}, ["head"]), Phase(0.5, ["{name}"])]
"""


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"name": "blok*"}, {}, r"Phase 2 of 'mine.py' names 'blok\*', and the network has no"),
        ({"share": 0.4}, {}, r"shares of the phases of 'mine.py' must add up to 1; they add up"),
        ({"share": 2}, {}, r"share of a phase is above 0 and at most 1; received 2"),
        ({}, {"epochs": 1}, "Each of 2 phases needs an epoch; there are 1"),
    ],
)
def test_phases_that_cannot_be_are_refused_before_anything_is_trained(
    changes, options, message, digits, tmp_path, train_here
):
    (tmp_path / "mine.py").write_text(PHASED.format(**{"share": 0.5, "name": "head", **changes}))
    with train_here() as engine, pytest.raises(hpsearch.InputError, match=message):
        hpsearch.Search(
            tmp_path / "mine.py",
            **{"trials": 1, "folds": 2, "repeats": 1, "epochs": 4, **options},
            engine=engine,
            out=tmp_path / "run",
        ).run(hpsearch.load(digits, target="y"))
    assert not (tmp_path / "run").exists()
