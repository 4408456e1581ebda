"""The whole default command against a plain Keras loop on the same candidates.

    python benchmarks/default_space.py

Times ``hpsearch run sklearn:breast_cancer`` as a user calls it, with an empty compilation cache:
imports, search, refit, export and reload check. Then it trains each of the run's candidates by
``model.fit`` on one fold, for 2 and for 12 epochs; their difference gives the seconds of an epoch
and what is left the seconds of building and tracing. The loop's time is that of every candidate
on every fold for every epoch: trials x folds x (build + epochs x epoch).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHORT, LONG = 2, 12


def run_command(folder):
    """Seconds of the whole command, and its run."""
    import hpsearch

    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "hpsearch", "run", "sklearn:breast_cancer"]
    started = time.perf_counter()
    subprocess.run([*command, "--out", str(folder / "run"), "--quiet"], env=environment, check=True)
    return time.perf_counter() - started, hpsearch.open_run(folder / "run")


def loop_seconds(folder):
    """Sample the plain loop in a process of its own; seconds of the whole loop and the sample."""
    command = [sys.executable, __file__, "--loop", str(folder / "run")]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def sample_loop(path):
    """Train each candidate on one fold for a few epochs; runs under TensorFlow."""
    import hpsearch
    from hpsearch.space.space import Space
    from hpsearch.task import Problem

    run = hpsearch.open_run(path)
    x, y, folds = rows_and_folds()
    train, validation = folds[0]
    epochs = run.settings["epochs"]
    problem = Problem(
        "binary", x.shape[1:], 1, "sigmoid", "binary_crossentropy", len(train), epochs
    )
    space, total, sampled = Space.load("mlp"), 0.0, 0.0
    columns = [name for name in run.trials if name.startswith("hp.")]
    for record in run.trials[columns].to_dict("records"):
        values = {
            name[3:]: int(v) if isinstance(v, float) and v.is_integer() and is_count(name) else v
            for name, v in record.items()
            if not (isinstance(v, float) and math.isnan(v))
        }
        taken = []
        for n_epochs in (SHORT, LONG):
            started = time.perf_counter()
            model = space.build(values, problem)
            model.fit(
                x[train],
                y[train],
                batch_size=int(values["batch_size"]),
                epochs=n_epochs,
                validation_data=(x[validation], y[validation]),
                verbose=0,
            )
            taken.append(time.perf_counter() - started)
        epoch = (taken[1] - taken[0]) / (LONG - SHORT)
        build = max(0.0, taken[0] - SHORT * epoch)
        total += len(folds) * (build + epochs * epoch)
        sampled += sum(taken)
    print(json.dumps({"loop": total, "sampled": sampled}))


def is_count(name):
    """Whether a hyperparameter is a whole number that a table with empty cells made a float."""
    return name.startswith("hp.units_") or name in ("hp.n_drops", "hp.n_layers", "hp.batch_size")


def rows_and_folds():
    """The standardised rows and the run's folds."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    import hpsearch

    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x).astype("float32")
    return x, y, list(hpsearch.IteratedStratifiedKFold(4, 3, random_state=0).split(x, y))


def main():
    """Time both and print the ratio."""
    if sys.argv[1:2] == ["--loop"]:
        sample_loop(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, run = run_command(folder)
        loop = loop_seconds(folder)
        trained = run.timings["seconds"].sum()
    print(f"the whole command: {seconds:.1f} s, of which workers spent {trained:.1f} s on trials")
    print(
        f"the plain Keras loop: {loop['loop']:.0f} s "
        f"(scaled up from a sample of {loop['sampled']:.0f} s)"
    )
    print(f"ratio: {loop['loop'] / seconds:.0f}")


if __name__ == "__main__":
    main()
