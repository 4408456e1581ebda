"""Images from a person's folders to predictions: by command line, in Python, in a fresh process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.cli import main
from tests.made_images import digits_folder

ROOT = Path(__file__).parent.parent
BUDGET = "--trials 1 --folds 2 --repeats 1 --epochs 2 --engine reference --jobs 1 --quiet"
SMALL = "--space image --fix n_blocks=1 --fix filters=8 --fix shift=0.1 --fix flip=horizontal"

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def in_folder(monkeypatch):
    """Have commands run in this process, in a folder, and put back what they change."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    yield monkeypatch.chdir
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Sixty digits of three classes: a folder, and a table of their paths and a number each."""
    folder = tmp_path_factory.mktemp("images")
    images = digits_folder(folder / "digits", 60, most=3)
    files = sorted(path.relative_to(folder).as_posix() for path in images.rglob("*.png"))
    table = pd.DataFrame({"scan": files, "ink": np.arange(60.0) % 7})
    table = table.assign(digit=[file.split("/")[1] for file in files])
    table.to_csv(folder / "digits.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def searched(digits, train_here):
    """A run on the folder, resized: it was searched in Python."""
    fixes = {"n_blocks": 1, "filters": 8, "shift": 0.1, "contrast": 0.2}
    search = hpsearch.Search(
        "image", fix=fixes, trials=1, folds=2, repeats=1, epochs=2, engine="reference",
        out=digits / "run",
    )  # fmt: skip
    with train_here():
        return search.run(hpsearch.load(digits / "digits", size=12))


def test_a_folder_is_searched_in_python_and_predicted_by_a_fresh_process(searched, digits):
    here = hpsearch.predict(searched, digits / "digits")
    command = ["predict", "run", "digits", "-o", "out.parquet"]
    subprocess.run(
        [sys.executable, "-m", "hpsearch", *command],
        cwd=digits,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    there = pd.read_parquet(digits / "out.parquet")
    pd.testing.assert_frame_equal(there, here, check_exact=True, check_dtype=False)
    assert here["image"].tolist() == sorted(here["image"])
    assert here["image"][0].startswith("0/")


def test_the_exported_model_changes_no_image(searched, digits):
    model = hpsearch.load_model(searched)
    names = [type(layer).__name__ for layer in model._flatten_layers()]
    assert {"RandomTranslation", "RandomContrast"} <= set(names)
    pixels = hpsearch.load(digits / "digits", size=12).arrays["image"].astype(np.float32)
    one, other = (np.asarray(model.predict_on_batch({"array_0": pixels})) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_table_of_images_and_numbers_is_searched_by_command(
    digits, in_folder, train_here, capsys
):
    in_folder(digits)
    asked = f"run digits.csv --image scan --size 10x8 --target digit {SMALL} {BUDGET}"
    with train_here():
        assert main([*asked.split(), "--task", "multiclass", "--out", "mixed"]) == 0
    assert capsys.readouterr().out.startswith("mixed: trial 0, log_loss")
    assert main(["show", "mixed"]) == 0
    assert "digits, multiclass, 60 rows, 2 columns" in capsys.readouterr().out
    assert "--image scan --size 10x8" in hpsearch.open_run("mixed").settings["command"]
    assert main(["predict", "mixed", "digits.csv", "-o", "predicted.csv"]) == 0
    predicted = pd.read_csv("predicted.csv")
    assert list(predicted)[:2] == ["scan", "prediction"]
    assert predicted["scan"].tolist() == pd.read_csv("digits.csv")["scan"].tolist()
