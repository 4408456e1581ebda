"""A model of one's own layers goes with the code that registers them, and runs no other."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import ModelFileError
from hpsearch.estimators import KerasClassifier
from hpsearch.export.bundle import Bundle, predict_encoded
from hpsearch.export.code import Code
from hpsearch.export.graph_inputs import model_inputs
from hpsearch.export.prediction import predict_rows
from hpsearch.preprocessing import encode
from hpsearch.space.source import objects_of
from hpsearch.space.space import Space

SPACES = Path(__file__).parent.parent / "own_layers"
OPTIONS = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 2, "baselines": False, "jobs": 1}
# What Keras's own saving does to NumPy 2.4 is not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ALONE = """
import sys

sys.modules["hpsearch"] = None  # which makes its import fail
sys.path.insert(0, "run/code")
import own_space
import keras
import numpy as np

with np.load("check.npz") as check:
    inputs = {name: check[name] for name in check.files}
expected = inputs.pop("outputs")
model = keras.models.load_model("run/model.keras", safe_mode=True)
print(np.array_equal(model.predict_on_batch(inputs), expected))
"""


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"])
    return frame.assign(y=np.where(frame["a"] > 0, "yes", "no"))


@pytest.fixture(scope="module")
def made(frame, tmp_path_factory, train_here):
    """A run of a space of its own layers."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(SPACES, folder / "spaces")
    with train_here() as engine:
        search = hpsearch.Search(
            folder / "spaces" / "own_space.py", engine=engine, out=folder / "run", **OPTIONS
        )
        run = search.run(hpsearch.load(frame, target="y"))
    shutil.rmtree(folder / "spaces")  # predicting needs the run alone
    return run


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run, to be damaged."""
    shutil.copytree(made.path, tmp_path / "run")
    return hpsearch.open_run(tmp_path / "run")


def test_the_manifest_and_the_card_say_which_file_to_import(made):
    code = made.manifest["code"]
    assert (code["import"], code["objects"]) == ("code/own_space.py", ["mine>Block", "mine>swishy"])
    assert sorted(code["sha256"]) == ["code/own_space.py", "code/parts.py"]
    assert "import `code/own_space.py` first" in (made.path / "model_card.md").read_text()


def test_predict_executes_the_kept_code_and_says_so(run, frame):
    predicted = predict_rows(run, frame)
    assert predicted.notes[0] == (
        "The file code/own_space.py is executed, which has mine>Block, mine>swishy."
    )
    assert len(predicted.frame) == len(frame)


def test_keras_alone_loads_the_model_after_importing_the_file(run, frame, tmp_path):
    bundle = Bundle.of(run)
    encoded = encode(bundle.schema, frame, (), len(frame))
    slots = np.array([], np.int32)
    outputs = predict_encoded(bundle.model, encoded, bundle.layout, slots)
    inputs = model_inputs(encoded, bundle.layout, slots)
    np.savez(tmp_path / "check.npz", outputs=outputs, **inputs)
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("name", ["own_space.py", "parts.py"])
def test_code_that_changed_is_not_executed(run, frame, name):
    with (run.path / "code" / name).open("a") as file:
        file.write("raise SystemExit('executed')\n")
    with pytest.raises(ModelFileError, match=rf"SHA-256 of .*{name}' differs .*not executed"):
        hpsearch.predict(run, frame)


def test_code_that_is_gone_is_asked_for(run, frame):
    shutil.rmtree(run.path / "code")
    with pytest.raises(
        ModelFileError, match=r"needs the space's code; .*own_space.py' is not there"
    ):
        hpsearch.predict(run, frame)


def test_code_outside_of_the_runs_folder_is_refused(run, frame):
    manifest = json.loads((run.path / "model.json").read_text())
    manifest["code"]["sha256"]["code/../../evil.py"] = "0" * 64
    with pytest.raises(ModelFileError, match="is in the folder 'code' of its run"):
        Code.read(run.path, manifest["code"])


def test_the_code_of_a_python_object_is_a_file_that_imports_its_modules(tmp_path, monkeypatch):
    shutil.copytree(SPACES, tmp_path / "spaces")
    monkeypatch.syspath_prepend(tmp_path / "spaces")
    from own_space import build

    code = Code.of(Space.load(build).source, {"mine>Block": "own_space", "mine>swishy": "parts"})
    assert sorted(code.files) == ["code/model_code.py", "code/own_space.py", "code/parts.py"]
    assert "import own_space\nimport parts\n" in code.files["code/model_code.py"]
    for path, text in code.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    assert {"mine>Block", "mine>swishy"} <= set(
        objects_of(Code.read(tmp_path, code.to_json()).source)
    )


def test_a_run_that_takes_the_place_of_another_leaves_none_of_its_code(run, frame, train_here):
    with train_here() as engine:
        hpsearch.Search("mlp", engine=engine, out=run.path, overwrite=True, **OPTIONS).run(
            hpsearch.load(frame, target="y")
        )
    assert not (run.path / "code").exists()


def test_an_estimator_takes_the_code_along_in_its_pickle(frame, train_here):
    rows = frame[["a", "b"]]
    with train_here() as engine:
        fitted = KerasClassifier(str(SPACES / "own_space.py"), epochs=1, engine=engine)
        fitted.fit(rows, frame["y"])
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(rows), fitted.predict_proba(rows))
