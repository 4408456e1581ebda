"""Engines and their peers on the same folds, epochs and candidates, in one go.

    python benchmarks/engines.py            # tables, benchmarks/engines.csv, docs/engines.svg
    python benchmarks/engines.py --quick    # a smaller sample of everything, for a first look
    python benchmarks/engines.py --case middling

The unit is a replica-step: one optimizer step of one training. Every contender runs in a process
of its own with an empty compilation cache. Those that loop over trainings are slow and steady, so
a sample of their trainings is timed and its rate is reported; ``sample`` in the CSV says how many
replica-steps were timed. They use two processes where they can; a plain loop uses one, with as
many threads as it likes.

Cases, each with the contender that the others are divided by:

- small: 30 features, two Dense(64), Adam, batches of 32, 8 candidates x 2 x 4 folds x 100 epochs.
  Our engines score three metrics on training and validation rows after every epoch; the loops and
  keras-tuner score the validation loss after every epoch, scikeras and scikit-learn under
  GridSearchCV the last one alone. "scored each epoch" has scikit-learn do what our engines do.
- middling: 784 features, two Dense(512), Adam, batches of 128.
- convolutions: images of 8 x 8, two convolutions. Seconds count from the start of the processes, so
  that the choice of an engine costs what it costs.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from networks import two_layers

HERE = Path(__file__).parent
NETWORKS = HERE / "networks.py"
N_ROWS, N_FEATURES, BATCH, K, P = 569, 30, 32, 4, 2
UNITS = 64
CANDIDATES = [10 ** (-3.5 + 0.25 * i) for i in range(8)]  # learning rates


def table():
    """The rows of scikit-learn's breast cancer set, standardised once: peers have no folds' own."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(x).astype("float32"), y


def folds():
    """P x K folds, the same for every contender."""
    import hpsearch

    x, y = table()
    return list(hpsearch.IteratedStratifiedKFold(K, P, random_state=0).split(x, y))


def build_convolutions(hp, problem):
    """A small network for small images as a space."""
    import keras

    rate = hp.Float("rate", 1e-5, 1.0, default=1e-3)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=problem.loss)
    return model


def keras_network(rate=1e-3, width=UNITS):
    """The small network for the peers that take a function without ``hp``."""
    return two_layers((N_FEATURES,), 1, "sigmoid", "binary_crossentropy", rate, width, ["accuracy"])


def steps_of(epochs, n_replicas):
    """Replica-steps of so many trainings on a fold's training rows."""
    return n_replicas * epochs * -(-int(N_ROWS * (K - 1) / K) // BATCH)


def run_ours(engine, epochs, n_candidates=8, width=UNITS):
    """One of our engines on the small table."""
    import hpsearch

    dataset = hpsearch.load("sklearn:breast_cancer")
    steps = steps_of(epochs, n_candidates * P * K)
    values = [{"rate": rate, "width": width} for rate in CANDIDATES[:n_candidates]]
    _, first, second = score_twice(dataset, NETWORKS, values, engine, epochs, BATCH, P)
    return steps, first, second


def run_middling(engine, epochs):
    """One of our engines on 784 features."""
    import numpy as np

    import hpsearch

    rng = np.random.default_rng(0)
    n_rows, batch = 4000, 128
    x = rng.normal(size=(n_rows, 784)).astype("float32")
    dataset = hpsearch.load(x, np.where(x[:, :10].sum(axis=1) > 0, "a", "b"))
    values = [{"rate": rate, "width": 512} for rate in CANDIDATES[:2]]
    _, first, second = score_twice(dataset, NETWORKS, values, engine, epochs, batch, 1)
    return len(values) * K * epochs * -(-n_rows * (K - 1) // K // batch), first, second


def run_convolutions(engine, epochs):
    """One of our engines, or the choice between them, on images."""
    from sklearn.datasets import load_digits

    import hpsearch

    digits = load_digits()
    n_rows = len(digits.images)
    dataset = hpsearch.load(digits.images[..., None].astype("float32"), digits.target.astype(str))
    values = [{"rate": rate} for rate in CANDIDATES[:2]]
    start, first, _ = score_twice(dataset, build_convolutions, values, engine, epochs, BATCH, 1, 1)
    seconds = start + first
    return len(values) * K * epochs * -(-n_rows * (K - 1) // K // BATCH), seconds, seconds


def score_twice(dataset, space, values, engine, epochs, batch, repeats, times=2):
    """Seconds of the start, of scoring candidates with compilation, and of others without it."""
    from hpsearch.engines.contract import FitOptions
    from hpsearch.folds import choose_splitter, make_folds
    from hpsearch.metrics import resolve_metric
    from hpsearch.scoring.session import Session
    from hpsearch.scoring.session_plan import SessionPlan
    from hpsearch.space.space import Candidate, Space

    splitter, _ = choose_splitter(dataset, folds=K, repeats=repeats)
    plan = SessionPlan(
        space=Space.load(space),
        fixes={},
        engine=engine,
        options=FitOptions(0, epochs, batch, None, resolve_metric(dataset.target.kind, None)),
        jobs=2,
        scale_target="auto",
        max_levels=64,
        max_words=1000,
        must_save=False,
    )
    seconds = []
    started = time.perf_counter()
    with Session(plan, dataset, make_folds(splitter, dataset)) as session:
        session.prepare()
        seconds.append(time.perf_counter() - started)
        for attempt in range(times):
            first = attempt * len(values)
            candidates = [Candidate(first + i, value) for i, value in enumerate(values)]
            started = time.perf_counter()
            results = list(session.score(candidates))
            seconds.append(time.perf_counter() - started)
            assert all(r.score is not None for r in results), results[0].row
    return (*seconds, seconds[-1])[:3]


def run_keras_loop(epochs):
    """A plain loop: for each fold, build, fit with validation data."""
    import keras

    keras.utils.set_random_seed(0)
    x, y = table()
    started = time.perf_counter()
    for train, validation in folds()[:2]:
        model = keras_network()
        model.fit(
            x[train],
            y[train],
            batch_size=BATCH,
            epochs=epochs,
            validation_data=(x[validation], y[validation]),
            verbose=0,
        )
    seconds = time.perf_counter() - started
    return steps_of(epochs, 2), seconds, seconds


def run_keras_tuner(epochs):
    """keras-tuner with a K-fold ``run_trial``, as its users write it."""
    import tempfile

    import keras_tuner
    import numpy as np

    x, y = table()
    sample = folds()[:2]

    class KFoldTuner(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            scores = []
            for train, validation in sample:
                model = self.hypermodel.build(trial.hyperparameters)
                history = model.fit(
                    x[train],
                    y[train],
                    batch_size=BATCH,
                    epochs=epochs,
                    validation_data=(x[validation], y[validation]),
                    verbose=0,
                )
                scores.append(min(history.history["val_loss"]))
            return {"val_loss": float(np.mean(scores))}

    def network(hp):
        return keras_network(hp.Choice("rate", CANDIDATES))

    with tempfile.TemporaryDirectory() as folder:
        tuner = KFoldTuner(network, objective="val_loss", max_trials=1, directory=folder)
        started = time.perf_counter()
        tuner.search(x, y, verbose=0)
        seconds = time.perf_counter() - started
    return steps_of(epochs, 2), seconds, seconds


def run_scikeras(epochs):
    """scikeras under GridSearchCV with two processes."""
    from scikeras.wrappers import KerasClassifier
    from sklearn.model_selection import GridSearchCV

    x, y = table()
    estimator = KerasClassifier(
        keras_network, rate=1e-3, batch_size=BATCH, epochs=epochs, verbose=0, validation_split=0.0
    )
    grid = GridSearchCV(estimator, {"rate": CANDIDATES[:2]}, cv=folds()[:4], n_jobs=2, refit=False)
    started = time.perf_counter()
    grid.fit(x, y)
    seconds = time.perf_counter() - started
    return steps_of(epochs, 8), seconds, seconds


def run_sklearn_mlp(epochs):
    """scikit-learn's MLP under GridSearchCV with two processes."""
    import warnings

    from sklearn.model_selection import GridSearchCV
    from sklearn.neural_network import MLPClassifier

    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    x, y = table()
    estimator = MLPClassifier(
        (UNITS, UNITS), batch_size=BATCH, max_iter=epochs, n_iter_no_change=10**6, tol=0.0
    )
    grid = GridSearchCV(
        estimator, {"learning_rate_init": CANDIDATES}, cv=folds(), n_jobs=2, refit=False
    )
    started = time.perf_counter()
    grid.fit(x, y)
    seconds = time.perf_counter() - started
    return steps_of(epochs, len(CANDIDATES) * P * K), seconds, seconds


def run_sklearn_mlp_scored(epochs):
    """scikit-learn's MLP with what our engines give: scores of both sides after each epoch."""
    import joblib

    x, y = table()
    started = time.perf_counter()
    tasks = [(x, y, fold, rate, epochs) for rate in CANDIDATES for fold in folds()]
    joblib.Parallel(n_jobs=2)(joblib.delayed(sklearn_curves)(*task) for task in tasks)
    seconds = time.perf_counter() - started
    return steps_of(epochs, len(tasks)), seconds, seconds


def sklearn_curves(x, y, fold, rate, epochs):
    """Three metrics on training and validation rows after each epoch of one training."""
    import numpy as np
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((UNITS, UNITS), batch_size=BATCH, learning_rate_init=rate)
    curves = []
    for _ in range(epochs):
        network.partial_fit(x[fold[0]], y[fold[0]], classes=np.unique(y))
        probabilities = network.predict_proba(x)[:, 1]
        for rows in fold:
            p = probabilities[rows]
            curves.append(
                (log_loss(y[rows], p), accuracy_score(y[rows], p > 0.5), roc_auc_score(y[rows], p))
            )
    return curves


def run_torch_loop(epochs):
    """A PyTorch loop over batches, one training after the other."""
    import torch

    x, y = (torch.tensor(a, dtype=torch.float32) for a in table())
    started = time.perf_counter()
    for train, validation in folds()[:2]:
        model = torch.nn.Sequential(
            torch.nn.Linear(N_FEATURES, UNITS),
            torch.nn.ReLU(),
            torch.nn.Linear(UNITS, UNITS),
            torch.nn.ReLU(),
            torch.nn.Linear(UNITS, 1),
        )
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        loss = torch.nn.BCEWithLogitsLoss()
        for _ in range(epochs):
            order = train[torch.randperm(len(train)).numpy()]
            for first in range(0, len(order), BATCH):
                rows = order[first : first + BATCH]
                optimizer.zero_grad()
                loss(model(x[rows])[:, 0], y[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                loss(model(x[validation])[:, 0], y[validation]).item()
    seconds = time.perf_counter() - started
    return steps_of(epochs, 2), seconds, seconds


SKLEARN = "scikit-learn MLP, GridSearchCV n_jobs=2"
SKLEARN_SCORED = "scikit-learn MLP, n_jobs=2, scored each epoch"
SCIKERAS = "scikeras, GridSearchCV n_jobs=2"
CASES = {
    "small": {
        "Keras loop": lambda quick: run_keras_loop(3 if quick else 30),
        "fused": lambda quick: run_ours("fused", 20 if quick else 100),
        "reference": lambda quick: run_ours("reference", 5 if quick else 20),
        "keras-tuner, K-fold run_trial": lambda quick: run_keras_tuner(3 if quick else 30),
        SCIKERAS: lambda quick: run_scikeras(3 if quick else 30),
        SKLEARN: lambda quick: run_sklearn_mlp(10 if quick else 100),
        SKLEARN_SCORED: lambda quick: run_sklearn_mlp_scored(2 if quick else 20),
        "PyTorch loop": lambda quick: run_torch_loop(3 if quick else 30),
    },
    "middling": {
        "reference": lambda quick: run_middling("reference", 1 if quick else 5),
        "fused": lambda quick: run_middling("fused", 1 if quick else 5),
    },
    "convolutions": {
        "reference": lambda quick: run_convolutions("reference", 2 if quick else 20),
        "auto": lambda quick: run_convolutions("auto", 2 if quick else 20),
        "fused": lambda quick: run_convolutions("fused", 1 if quick else 2),
    },
}
"""Contenders of each case, the first of which the others are divided by."""

NEEDS = {SCIKERAS: "scikeras", "PyTorch loop": "torch"}
SWEEP_CANDIDATES = (1, 2, 4, 8)
SWEEP_WIDTHS = (16, 64, 256)


def measure(case, name, quick):
    """One contender in this process; prints what it took as JSON."""
    if case == "sweep":
        n_candidates, width = name.split()
        steps, cold, warm = run_ours("fused", 20 if quick else 50, int(n_candidates), int(width))
    else:
        steps, cold, warm = CASES[case][name](quick)
    processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    peak_mb = max(resource.getrusage(who).ru_maxrss for who in processes) / 1024
    print(json.dumps({"steps": steps, "cold": cold, "warm": warm, "peak_mb": peak_mb}))


def in_process(case, name, quick):
    """Measure a contender in a process of its own, with an empty compilation cache."""
    import tempfile

    print(f"measuring {case}: {name} ...", file=sys.stderr)
    ours = name in ("fused", "auto", "reference") or case == "sweep"
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": cache,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "numpy" if ours else "tensorflow",
        }
        command = [sys.executable, __file__, "--measure", case, name]
        command += ["--quick"] if quick else []
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "case": case,
        "contender": name,
        "sample": found["steps"],
        "steps_per_second": found["steps"] / found["warm"],
        "steps_per_second_cold": found["steps"] / found["cold"],
        "seconds": found["warm"],
        "seconds_cold": found["cold"],
        "peak_mb": found["peak_mb"],
    }


def installed(name):
    """Whether a contender's package is there."""
    import importlib.util

    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def show(rows):
    """Print a case's table, with the ratios of the fused engine, or ``auto``, to each contender."""
    ours = next((r for r in rows if r["contender"] == "auto"), None) or next(
        r for r in rows if r["contender"] == "fused"
    )
    print(f"\n{rows[0]['case']}: replica-steps per second, and how many times as many are")
    print(f"{ours['contender'] + ':':46}{'without':>19}{'with compilation':>19}{'peak MB':>9}")
    for row in rows:
        columns = []
        for rate in ("steps_per_second", "steps_per_second_cold"):
            columns.append(f"{row[rate]:>10,.0f}{ours[rate] / row[rate]:>7.2f} x")
        print(f"{row['contender']:46}{columns[0]}{columns[1]}{row['peak_mb']:>9.0f}")


def draw(rows, path):
    """Throughput against the number of replicas and against the width."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    swept = [row for row in rows if row["case"] == "sweep"]
    small = {row["contender"]: row for row in rows if row["case"] == "small"}
    figure, (by_replicas, by_width) = plt.subplots(
        1, 2, figsize=(9, 4), sharey=True, layout="constrained"
    )
    for width in SWEEP_WIDTHS:
        points = [row for row in swept if row["width"] == width]
        numbers = [row["replicas"] for row in points]
        rates = [row["steps_per_second"] for row in points]
        by_replicas.plot(numbers, rates, marker="o", label=f"fused, two Dense({width})")
    for n in SWEEP_CANDIDATES:
        points = [row for row in swept if row["replicas"] == n * P * K]
        rates = [row["steps_per_second"] for row in points]
        by_width.plot(SWEEP_WIDTHS, rates, marker="o", label=f"fused, {n * P * K} replicas")
    replicas = [P * K * n for n in SWEEP_CANDIDATES]
    for axes, ticks, label in (
        (by_replicas, replicas, "replicas"),
        (by_width, SWEEP_WIDTHS, "units of each hidden layer"),
    ):
        for name, style in (("reference", "--"), ("Keras loop", ":")):
            rate = small[name]["steps_per_second"]
            text = f"{name}, two Dense({UNITS})"
            axes.axhline(rate, linestyle=style, color="gray", label=text)
        axes.set(xscale="log", yscale="log", xlabel=label)
        axes.set_xticks(ticks, ticks)
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
    by_replicas.set_ylabel("replica-steps per second")
    by_replicas.set_ylim(bottom=3)  # room for the legends
    figure.savefig(path, metadata={"Date": None})


def main():
    """Measure every contender, then the sweep; write the CSV and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller samples of everything")
    parser.add_argument("--case", choices=CASES, help="one case alone; writes nothing")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, options.quick)
        return
    rows = []
    for case in [options.case] if options.case else CASES:
        names = [name for name in CASES[case] if installed(name)]
        found = [in_process(case, name, options.quick) for name in names]
        show(found)
        rows += found
    if options.case:
        return
    for width in SWEEP_WIDTHS:
        for n in SWEEP_CANDIDATES:
            found = in_process("sweep", f"{n} {width}", options.quick)
            rows.append({**found, "contender": "fused", "replicas": n * P * K, "width": width})
    write(rows, HERE / "engines.csv")
    draw(rows, HERE.parent / "docs" / "engines.svg")


def write(rows, path):
    """The CSV, one row a measurement."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
