"""The textbook case, Boston housing, on both engines.

    python benchmarks/boston.py                     # keras:boston_housing from Keras's cache
    python benchmarks/boston.py --data boston.csv   # the same from a CSV in the original row order

Keras's own split (404 rows to search on, 102 test rows), the textbooks' network (two layers of 64,
RMSprop, squared error, batches of 16: the defaults of the space ``boston_housing``), 4 folds x 3
repeats, 200 epochs. Each engine trains it on the raw and on the standardised target. Printed are
the minimum of the mean validation MAE curve over all folds, in thousands of dollars, its epoch and
corrected standard error, and the test MAE after the refit; then how far the two engines' curves lie
apart, in corrected standard errors.

Both engines see the same folds and batch orders and draw different initial weights, so that their
curves differ by such noise alone if both are right. How large it gets is measured: the fused engine
trains the same configuration on the same folds four more times, as further trials with initial
weights and batch orders of their own. The engines agree if their largest difference is below one
standard error, and no larger than the largest between two of those trials.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "numpy"  # this process trains nothing

import numpy as np

import hpsearch
from hpsearch.engines.contract import FitOptions
from hpsearch.folds import choose_splitter, make_folds
from hpsearch.scoring.session import Session
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.space.space import Candidate, Space

SCALES_TARGET = {"raw": False, "standardised": True}
FURTHER_TRIALS = 4


def load(csv, folder):
    """Keras's 404 rows with its 102 test rows, from its cache or from a CSV."""
    if csv is None:
        return hpsearch.load("keras:boston_housing")
    rows = np.loadtxt(csv, delimiter=",", skiprows=1)
    path = folder / "boston_housing.npz"
    np.savez(path, x=rows[:, :-1], y=rows[:, -1])
    return hpsearch.load("keras:boston_housing", path=path)


def search(options, data, folder, engine, target):
    """Score, refit and test the space's default configuration: the run, its tables read."""
    run = hpsearch.Search(
        "boston_housing",
        trials=1,
        folds=options.folds,
        repeats=options.repeats,
        epochs=options.epochs,
        metric="mae",
        engine=engine,
        scale_target=SCALES_TARGET[target],
        out=folder / f"{engine}-{target}",
    ).run(data)
    best = run.best
    print(
        f"{target:14}{engine:10}{best['score']:>9.3f}{best['best_epoch']:>7}"
        f"{best['score_se']:>8.3f}{best['test']['mae']:>10.3f}",
        flush=True,
    )
    return run


def further_curves(options, data, target):
    """Mean validation MAE curves of further trials with the same configuration."""
    splitter, _ = choose_splitter(data, folds=options.folds, repeats=options.repeats)
    plan = SessionPlan(
        space=Space.load("boston_housing"),
        fixes={},
        engine="fused",
        options=FitOptions(0, options.epochs, 16, None, ("mae",)),
        jobs=2,
        scale_target=SCALES_TARGET[target],
        max_levels=64,
        max_words=1000,
        must_save=False,
    )
    with Session(plan, data, make_folds(splitter, data)) as session:
        declared = session.prepare()
        candidates = [Candidate(trial, declared.values) for trial in range(1, 1 + FURTHER_TRIALS)]
        results = list(session.score(candidates))
    return [np.array([row["val_mae"] for row in result.curves]) for result in results]


def apart(one, other, error):
    """The largest distance of two curves in standard errors, and its epoch."""
    distance = np.abs(one - other) / error
    return float(distance.max()), int(distance.argmax()) + 1


def compare(fused, keras, others):
    """Print how far the engines' curves lie apart, and whether that is noise."""
    one, other = (run.curves["val_mae"].to_numpy() for run in (fused, keras))
    error = np.hypot(*(run.curves["val_mae_se"].to_numpy() for run in (fused, keras))) / np.sqrt(2)
    distance, epoch = apart(one, other, error)
    noise = max(apart(a, b, error)[0] for a, b in itertools.combinations([one, *others], 2))
    agree = distance < 1.0 and distance <= noise
    print(
        f"the engines' curves lie at most {distance:.2f} standard errors apart, in epoch {epoch}; "
        f"further trials of the fused engine {noise:.2f}: the engines "
        f"{'agree within noise' if agree else 'DIFFER'}\n"
    )
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a CSV with a header, the target last")
    for name, default in (("folds", 4), ("repeats", 3), ("epochs", 200)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"by default {default}")
    options = parser.parse_args()
    agree = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = load(options.data, folder)
        print(f"{'target':14}{'engine':10}{'min MAE':>9}{'epoch':>7}{'SE':>8}{'test MAE':>10}")
        for target in SCALES_TARGET:
            names = ("fused", "reference")
            fused, other = (search(options, data, folder, e, target) for e in names)
            agree.append(compare(fused, other, further_curves(options, data, target)))
    raise SystemExit(not all(agree))


if __name__ == "__main__":
    main()
