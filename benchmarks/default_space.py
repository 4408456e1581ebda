"""The whole command, with the space mlp, against a plain Keras loop on the same candidates.

    python benchmarks/default_space.py

Times ``hpsearch run sklearn:breast_cancer --space mlp`` as a user calls it, with an empty
compilation cache: imports, search, refit, export, reload check and report. Once as it is, racing
with rungs, and once with ``--race off --rungs 1``, which trains every repeat of every candidate.
The racing one runs a second time with the cache that the first time filled. Then a run of one trial
and one epoch on iris, likewise, which is nothing but starting and ending.

The loop trains each of the run's candidates by ``model.fit`` on one fold, for 2 and for 12 epochs;
their difference gives the seconds of an epoch and what is left the seconds of building and tracing.
Its time is that of every candidate on every fold for every epoch: trials x folds x (build + epochs
x epoch). It is what a user of Keras does to get what the command gives, so both ways are compared
with it, although the racing one trains less.

Where the seconds go: JAX says how long it traces and compiles, the lines on standard output when a
phase begins, and ``timings.csv`` how long workers were busy with trials.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

SHORT, LONG = 2, 12
RACE = ("--race", "corrected-t", "--rungs", "3")
FULL = ("--race", "off", "--rungs", "1")
ONE_TRIAL = ("--trials", "1", "--epochs", "1")
COMPILING = re.compile(r"Finished (tracing|jaxpr to MLIR|XLA compilation).* in ([0-9.e-]+) sec")


@dataclass
class Timed:
    """One command: its seconds, those of its phases, and those that JAX said it took."""

    path: Path
    seconds: float = 0.0
    began: dict[str, float] = field(default_factory=dict)
    traced: float = 0.0
    compiled: float = 0.0

    @property
    def run(self):
        import hpsearch

        return hpsearch.open_run(self.path)

    def told(self):
        """Where its seconds went, in words."""
        began = self.began
        busy = self.run.timings["seconds"].sum()
        return (
            f"  until the search begins {began['search']:.1f} s, the search "
            f"{began['end of search'] - began['search']:.1f} s, what comes after "
            f"{self.seconds - began['end of search']:.1f} s\n"
            f"  its workers together: {busy:.1f} s busy with trials; in all {self.traced:.1f} s "
            f"tracing, {self.compiled:.1f} s compiling"
        )


def run_command(folder, cache, data, options):
    """Time the whole command."""
    number = len(list(folder.glob("run-*")))
    timed = Timed(folder / f"run-{number}")
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "JAX_LOG_COMPILES": "1"}
    command = [sys.executable, "-m", "hpsearch", "run", data, "--space", "mlp", *options]
    command += ["--out", str(timed.path)]
    started = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        errors = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)
        reader.start()
        for line in process.stdout:
            now = time.perf_counter() - started
            name = line.split(":")[0].split()[0] if line.strip() else ""
            if name == "trial":
                timed.began["end of search"] = now
            timed.began.setdefault(name, now)
        process.wait()
        reader.join()
    timed.seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"the command failed:\n{''.join(errors)[-2000:]}")
    for what, seconds in COMPILING.findall("".join(errors)):
        if what == "XLA compilation":
            timed.compiled += float(seconds)
        else:
            timed.traced += float(seconds)
    return timed


def loop_seconds(path):
    """Sample the plain loop in a process of its own; seconds of the whole loop and the sample."""
    command = [sys.executable, __file__, "--loop", str(path)]
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
    """Time all and print the ratios."""
    if sys.argv[1:2] == ["--loop"]:
        sample_loop(sys.argv[2])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = run_command(folder, folder / "full", "sklearn:breast_cancer", FULL)
        race = run_command(folder, folder / "race", "sklearn:breast_cancer", RACE)
        again = run_command(folder, folder / "race", "sklearn:breast_cancer", RACE)
        run_command(folder, folder / "iris", "sklearn:iris", ONE_TRIAL)
        iris = run_command(folder, folder / "iris", "sklearn:iris", ONE_TRIAL)
        loop = loop_seconds(full.path)
        for what, timed in (
            ("all of every candidate", full),
            ("race with rungs, the default", race),
            ("the same with a full cache", again),
            ("iris, one trial, one epoch, with a full cache", iris),
        ):
            print(f"{what}: {timed.seconds:.1f} s")
            print(timed.told())
    print(f"race to all: {race.seconds / full.seconds:.2f}")
    print(
        f"the plain Keras loop, all of every candidate: {loop['loop']:.0f} s "
        f"(scaled up from a sample of {loop['sampled']:.0f} s)"
    )
    print(
        f"ratio of the loop: {loop['loop'] / full.seconds:.0f} to all of every candidate, "
        f"{loop['loop'] / race.seconds:.0f} to the race"
    )


if __name__ == "__main__":
    main()
