"""Predictions of a finished run beside plain Keras with the same model, in the same run.

    python benchmarks/predicting.py [RUN NEW_ROWS]

Without arguments, a small run on ``tests/data/tables/credit.csv`` is made first. Two figures:

- The command ``hpsearch predict RUN NEW_ROWS``, a process from start to end, beside a process that
  imports Keras, loads ``model.keras``, encodes the rows as ``model.json`` says and predicts them
  (what ``docs/exporting.md`` shows). They take turns; the medians of wall time and of the
  processor's time, since a machine that others use stretches the first alone.
- ``hpsearch.predict(run, row)`` for one row, in a process that has predicted before, beside Keras's
  ``predict`` and ``predict_on_batch`` of the row's encoded cells, without the reading of a raw row.

Both have the backend and the threads that the run names.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TURNS = 5
ROWS = 200
SMALL = ("--trials", "1", "--folds", "2", "--repeats", "1", "--epochs", "3", "--no-baselines")

ENCODING = """
def encoded(manifest, rows):
    inputs = {}
    for given in manifest["inputs"]:
        columns = []
        for feature in given["features"]:
            cells = rows[feature["column"]]
            if given["name"] == "numbers":
                columns.append(cells.astype("float64") - feature["less"])
            else:
                codes = cells.astype("str").map(feature["codes"]).fillna(feature["unknown"])
                columns.append(codes.where(cells.notna(), feature["missing"]))
        inputs[given["name"]] = np.stack(columns, axis=1).astype(given["dtype"])
    return inputs
"""
PLAIN = f"""
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
{ENCODING}
run = Path(sys.argv[1])
model = keras.models.load_model(run / "model.keras")
rows = encoded(json.loads((run / "model.json").read_text()), pd.read_csv(sys.argv[2]))
pd.DataFrame(model.predict(rows, verbose=0)).to_csv(sys.stdout, index=False)
"""


def timed(command):
    """Seconds of a process on the wall and of the processor."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def commands(run, rows):
    """The two processes, turn by turn."""
    ways = {
        "hpsearch predict": [sys.executable, "-m", "hpsearch", "predict", str(run), str(rows)],
        "plain Keras": [sys.executable, "-c", PLAIN, str(run), str(rows)],
    }
    for command in ways.values():  # files that nobody has read yet
        timed(command)
    seconds = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, command in ways.items():
            seconds[name].append(timed(command))
    for name, both in seconds.items():
        wall, used = (statistics.median(part) for part in zip(*both, strict=True))
        print(f"{name:<24} {wall:6.2f} s, {used:5.2f} s of the processor")


def one_row(run, rows):
    """A row in a process that has predicted before, turn by turn."""
    import numpy as np
    import pandas as pd

    import hpsearch

    names = {"np": np}
    exec(ENCODING, names)
    opened, table = hpsearch.open_run(run), pd.read_csv(rows)
    model, encode = hpsearch.load_model(opened), names["encoded"]
    ways = {
        "hpsearch.predict": lambda row: hpsearch.predict(opened, row),
        "model.predict": lambda row: model.predict(encode(opened.manifest, row), verbose=0),
        "model.predict_on_batch": lambda row: model.predict_on_batch(encode(opened.manifest, row)),
    }
    seconds = {name: [] for name in ways}
    for number in range(ROWS):
        row = table.iloc[[number % len(table)]]
        for name, predict in ways.items():
            began = time.perf_counter()
            predict(row)
            seconds[name].append(time.perf_counter() - began)
    for name, found in seconds.items():
        first, *later = found
        print(f"{name:<24} {1000 * statistics.median(later):6.1f} ms, the first {first:.2f} s")


def main():
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) == 3:
            run, rows = (Path(word).resolve() for word in sys.argv[1:])
        else:
            run, rows = Path(folder) / "run", Path(folder) / "new.csv"
            table = ROOT / "tests/data/tables/credit.csv"
            lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
            rows.write_text("".join(lines[:21]), encoding="utf-8")
            search = ["run", str(table), "--target", "Status", *SMALL, "--out", str(run), "-q"]
            subprocess.run([sys.executable, "-m", "hpsearch", *search], check=True)
        import hpsearch
        from hpsearch.engines.workers import WORKER_ENVIRONMENTS

        backend = hpsearch.open_run(run).manifest["backend"]
        os.environ.update(WORKER_ENVIRONMENTS[backend])
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Keras on {backend}")
        commands(run, rows)
        one_row(run, rows)


if __name__ == "__main__":
    main()
