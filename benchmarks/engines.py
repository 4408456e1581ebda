"""Engines and their peers on the same folds, epochs and candidates, in one go.

    python benchmarks/engines.py            # the table, benchmarks/engines.csv and its picture
    python benchmarks/engines.py --quick    # a smaller sample of everything, for a first look

The unit is a replica-step: one optimizer step of one training. Every contender runs in a process
of its own. Those that loop over trainings are slow and steady, so a sample of their trainings is
timed and its rate is reported; ``sample`` in the CSV says how many replica-steps were timed. All
contenders train with Adam on batches of 32, score the validation rows after each epoch, and use
two processes where they can; a plain loop uses one, with as many threads as it likes.

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

HERE = Path(__file__).parent
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


def build(hp, problem):
    """The benchmark's network as a space."""
    import keras

    rate = hp.Float("rate", 1e-5, 1.0, default=1e-3)
    width = hp.Int("width", 1, 4096, default=UNITS)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy")
    return model


def keras_network(rate=1e-3, width=UNITS):
    """The same network for the peers that take a function without ``hp``."""
    import keras

    layers = [
        keras.Input((N_FEATURES,)),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy", metrics=["accuracy"]
    )
    return model


def steps_of(epochs, n_replicas):
    """Replica-steps of so many trainings on a fold's training rows."""
    return n_replicas * epochs * -(-int(N_ROWS * (K - 1) / K) // BATCH)


def run_ours(engine, epochs, n_candidates=8, width=UNITS):
    """One of our engines, by its public parts: first with compilation, then without."""
    import hpsearch
    from hpsearch.engines.base import FitOptions
    from hpsearch.folds import choose_splitter, make_folds
    from hpsearch.scoring import Session, SessionPlan
    from hpsearch.space import Candidate, Space

    dataset = hpsearch.load("sklearn:breast_cancer")
    splitter, _ = choose_splitter(dataset, folds=K, repeats=P)
    plan = SessionPlan(
        space=Space.load(build),
        fixes={},
        engine=engine,
        options=FitOptions(0, epochs, BATCH, None, ("log_loss", "accuracy", "roc_auc")),
        jobs=2,
        scale_target="auto",
        max_levels=64,
        max_words=1000,
        must_save=False,
    )
    with Session(plan, dataset, make_folds(splitter, dataset)) as session:
        session.prepare()
        seconds = []
        for attempt in range(2):
            rates = CANDIDATES[:n_candidates]
            first = attempt * len(rates)
            candidates = [
                Candidate(first + i, {"rate": rate, "width": width}) for i, rate in enumerate(rates)
            ]
            started = time.perf_counter()
            results = list(session.score(candidates))
            seconds.append(time.perf_counter() - started)
            assert all(r.score is not None for r in results), results[0].row
    steps = steps_of(epochs, n_candidates * P * K)
    return steps, seconds[0], seconds[1]


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


CONTENDERS = {
    "fused": lambda quick: run_ours("fused", 20 if quick else 100),
    "keras (reference)": lambda quick: run_ours("keras", 5 if quick else 20),
    "Keras loop": lambda quick: run_keras_loop(3 if quick else 30),
    "keras-tuner, K-fold run_trial": lambda quick: run_keras_tuner(3 if quick else 30),
    "scikeras, GridSearchCV n_jobs=2": lambda quick: run_scikeras(3 if quick else 30),
    "scikit-learn MLP, GridSearchCV n_jobs=2": lambda quick: run_sklearn_mlp(10 if quick else 100),
    "PyTorch loop": lambda quick: run_torch_loop(3 if quick else 30),
}
NEEDS = {"scikeras, GridSearchCV n_jobs=2": "scikeras", "PyTorch loop": "torch"}
SWEEP_CANDIDATES = (1, 2, 4, 8)
SWEEP_WIDTHS = (16, 64, 256)


def measure(name, quick):
    """One contender in this process; prints what it took as JSON."""
    if name.startswith("sweep "):
        _, n_candidates, width = name.split()
        steps, cold, warm = run_ours("fused", 20 if quick else 50, int(n_candidates), int(width))
    else:
        steps, cold, warm = CONTENDERS[name](quick)
    processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    peak_mb = max(resource.getrusage(who).ru_maxrss for who in processes) / 1024
    print(json.dumps({"steps": steps, "cold": cold, "warm": warm, "peak_mb": peak_mb}))


def in_process(name, quick):
    """Measure a contender in a process of its own, with an empty compilation cache."""
    import tempfile

    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": cache,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "numpy" if "fused" in name or "sweep" in name else "tensorflow",
        }
        command = [sys.executable, __file__, "--measure", name, *(["--quick"] if quick else [])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def installed(name):
    """Whether a contender's package is there."""
    import importlib.util

    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def show(rows):
    """Print the table, with ratios to the Keras loop."""
    loop = next(row["steps_per_second"] for row in rows if row["contender"] == "Keras loop")
    print(f"{'contender':42}{'steps/s':>10}{'with compilation':>18}{'ratio':>8}{'peak MB':>9}")
    for row in rows:
        ratio = row["steps_per_second"] / loop
        print(
            f"{row['contender']:42}{row['steps_per_second']:>10.0f}"
            f"{row['steps_per_second_cold']:>18.0f}{ratio:>8.1f}{row['peak_mb']:>9.0f}"
        )


def draw(rows, path):
    """Throughput against the number of replicas, one line per width."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for width in SWEEP_WIDTHS:
        points = [row for row in rows if row.get("width") == width]
        axes.plot(
            [row["replicas"] for row in points],
            [row["steps_per_second"] for row in points],
            marker="o",
            label=f"fused, two Dense({width})",
        )
    for name, style in (("keras (reference)", "--"), ("Keras loop", ":")):
        rate = next(r["steps_per_second"] for r in rows if r["contender"] == name)
        axes.axhline(rate, linestyle=style, color="gray", label=f"{name}, two Dense({UNITS})")
    axes.set(xscale="log", yscale="log", xlabel="replicas", ylabel="replica-steps per second")
    axes.set_xticks([P * K * n for n in SWEEP_CANDIDATES], [P * K * n for n in SWEEP_CANDIDATES])
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Measure every contender, then the sweep; write the CSV and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller samples of everything")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.quick)
        return
    jobs = {name: {"contender": name} for name in CONTENDERS if installed(name)}
    jobs |= {
        f"sweep {n} {width}": {"contender": "fused", "replicas": n * P * K, "width": width}
        for width in SWEEP_WIDTHS
        for n in SWEEP_CANDIDATES
    }
    rows = []
    for name, facts in jobs.items():
        print(f"measuring {name} ...", file=sys.stderr)
        found = in_process(name, options.quick)
        rows.append(
            {
                **facts,
                "sample": found["steps"],
                "steps_per_second": found["steps"] / found["warm"],
                "steps_per_second_cold": found["steps"] / found["cold"],
                "peak_mb": found["peak_mb"],
            }
        )
    show([row for row in rows if "width" not in row])
    names = list(dict.fromkeys(key for row in rows for key in row))
    with (HERE / "engines.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, HERE / "engines.svg")


if __name__ == "__main__":
    main()
