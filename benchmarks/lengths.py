"""Batches of like length: what they save where sequences differ in length, and what they cost.

    python benchmarks/lengths.py            # both ways in turn, three times

The rows are those of ``kinds.py --case uneven``: 1,000 sequences of 5 to 200 steps. One network
reads steps of any length, ``keras.Input((None, features))``, and trains in batches of like length;
the other one has the length of the longest row. Both are trained by the fused engine in one
process; worker seconds of each trial are in ``timings.csv``. The first trial compiles, the others
don't.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from kinds_cases import KINDS

import hpsearch

EPOCHS, FOLDS = 4, 4


def build(hp, problem):
    """A masked GRU of any length, or of the longest."""
    import keras

    is_open = hp.Boolean("any_length", default=True)
    rate = hp.Float("rate", 1e-5, 1.0, default=1e-3)
    n_steps, n_features = problem.input_shape
    layers = [
        keras.Input((None if is_open else n_steps, n_features)),
        keras.layers.Masking(),
        keras.layers.GRU(32),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=problem.loss)
    return model


def seconds_of(data, *, any_length: bool) -> list[float]:
    """Worker seconds of each of three trials, the one that compiles first."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        run = hpsearch.Search(
            build, trials=3, fix={"any_length": any_length}, epochs=EPOCHS, folds=FOLDS, repeats=1,
            race="off", rungs=1, baselines=False, reports=False, engine="fused", jobs=1,
            out=Path(folder) / "run", quiet=True,
        ).run(data)  # fmt: skip
        lines = (run.path / "timings.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [float(line.split(",")[1]) for line in lines]


def main() -> None:
    """Measure, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="how often each way is measured")
    times = parser.parse_args().times
    rows, _, y = KINDS["uneven"].rows()
    data = hpsearch.load(rows, y.astype(str))
    found: dict[bool, list[list[float]]] = {True: [], False: []}
    for _ in range(times):
        for any_length, measured in found.items():
            measured.append(seconds_of(data, any_length=any_length))
    for any_length, measured in found.items():
        first = statistics.median(seconds[0] for seconds in measured)
        rest = statistics.median(s for seconds in measured for s in seconds[1:])
        name = "of like length" if any_length else "padded to the longest"
        print(
            f"{name:22} {rest:5.2f} s a trial of {EPOCHS} epochs on {FOLDS} folds, "
            f"the first {first:.1f} s"
        )
    print(f"load of the machine {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
