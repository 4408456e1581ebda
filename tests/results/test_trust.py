"""Looking at a run executes nothing that lies in its folder; what a resume executes is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpsearch

ROOT = Path(__file__).parent.parent.parent
# What Keras's own saving does to NumPy 2.4 is not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACE = """
def declare(hp, problem):
    hp.Choice("units", [2, 3])  # a mark that audits know: {mark}


def build(hp, problem):
    import keras

    declare(hp, problem)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.get("units")),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", problem.loss, run_eagerly=True)
    return model
"""
MARK = "mark-of-the-space"
PROGRAM = f"""
import json, sys
ran = []

def hook(event, arguments):
    if event in ("compile", "exec", "pickle.find_class", "import"):
        said = " ".join(map(repr, arguments))
        if event == "exec":
            said = getattr(arguments[0], "co_filename", said)
        if event == "pickle.find_class" or {MARK!r} in said or sys.argv[1] in said:
            ran.append((event, said[:200]))

import hpsearch.cli
sys.addaudithook(hook)
for command in sys.argv[2:]:
    code = hpsearch.cli.main(command.split("|"))
    print("code", json.dumps([code, ran]), file=sys.__stderr__)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, train_here):
    """A run on a table, in whose folder lie files that Python would take for its own."""
    folder = tmp_path_factory.mktemp("trust")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)})
    table.assign(y=table["a"]).to_csv(folder / "table.csv", index=False)
    (folder / "space.py").write_text(SPACE.format(mark=MARK))
    options = {"trials": 2, "folds": 2, "repeats": 1, "epochs": 1, "engine": "reference"}
    with train_here():
        run = hpsearch.Search(
            folder / "space.py", **options, baselines=False, jobs=1, out=folder / "run"
        ).run(hpsearch.load(folder / "table.csv", target="y"))
    for name in ("keras.py", "numpy.py", "space.py", "sitecustomize.py", "build.py"):
        (run.path / name).write_text(f"raise SystemExit('{MARK}')")
    return run


def test_show_compare_report_and_predict_execute_nothing_of_a_runs_folder(run):
    commands = [
        f"show|{run.path}",
        f"show|{run.path}|--compare",
        f"compare|{run.path}|{run.path}",
        f"report|{run.path}",
        f"predict|{run.path}|{run.path.parent / 'table.csv'}|-o|{run.path.parent / 'out.csv'}",
        f"resume|{run.path}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run.path), *commands],
        cwd=run.path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("code ")]
    *looking, resuming = [json.loads(line.removeprefix("code ")) for line in said]
    assert [code for code, _ in looking] == [0, 0, 2, 0, 0]  # a run is not compared with itself
    assert [ran for _, ran in looking] == [[]] * len(looking)
    assert (run.path.parent / "out.csv").read_text().startswith("y\n")
    assert any(event == "compile" for event, _ in resuming[1])  # which the audit does see
