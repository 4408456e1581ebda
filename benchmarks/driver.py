"""What a unit costs the process that drives a search, and how many workers it can serve.

    python benchmarks/driver.py

The units are real in form and train nothing: each worker sleeps for a moment, then sends fold
results of the size that real ones have. The driving process does all that it does in a search
(pickling, receiving, combining, the journal's commits, the tables). Measured is its CPU time, by
``time.process_time``, which other processes of the machine hardly change, for workers here and on
each kind of cluster, and for short and long curves. A column tells what the fastest tenth of the
commits takes by the clock: waiting for the disk comes on top, and depends on the disk. Dask's
scheduler and Ray's servers are processes apart and not counted.

Then the number of workers at which the driver has no time left: the seconds that a unit takes,
divided by the CPU seconds that the driver needs for it.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hpsearch
from hpsearch.engines.contract import FitOptions, FoldResult, Job, UnitResult, WorkUnit
from hpsearch.engines.fit_data import FitData, write_fit_data
from hpsearch.engines.plan import replica_seed
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Cluster, machines
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.metrics import resolve_metric
from hpsearch.preprocessing import Layout
from hpsearch.results.journal import Journal
from hpsearch.results.tables import curves_table, folds_table, trials_table
from hpsearch.scoring.rows import encode_dataset, fit_data
from hpsearch.scoring.trials import combine, slimmed
from hpsearch.space.space import Candidate, Space

FOLDS, REPEATS = 4, 3
CASES = {
    "569 rows, 100 epochs": (569, 100),
    "569 rows, 20 epochs": (569, 20),
    "20,000 rows, 100 epochs": (20_000, 100),
}
UNIT_SECONDS = (0.3, 1.0, 3.0, 10.0, 60.0)


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=40, help="of three units each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=["here", "dask", "ray"])
    options = parser.parse_args()
    rows = []
    for kind in options.kinds:
        with cluster_of(kind, options.workers) as cluster:
            for case, (n_rows, epochs) in CASES.items():
                cost = measure(cluster, options, n_rows, epochs)
                rows.append({"where": kind, "case": case, **cost})
    costs = pd.DataFrame(rows)
    print(costs.round(2).to_string(index=False))
    print("\nworkers that one driver serves, by the duration of a unit:")
    milliseconds = costs["CPU ms a unit"]
    for seconds in UNIT_SECONDS:
        costs[f"{seconds:g} s"] = (1000 * seconds / milliseconds).astype(int)
    print(costs[["where", "case", *[f"{s:g} s" for s in UNIT_SECONDS]]].to_string(index=False))


@contextmanager
def cluster_of(kind: str, n_workers: int) -> Iterator[str | None]:
    """A cluster on this machine; Dask's scheduler in a process apart, as it would be."""
    if kind != "dask":
        yield None
        return
    from distributed import LocalCluster
    from distributed.utils import get_mp_context

    context = get_mp_context()
    addresses, done = context.Queue(), context.Event()
    process = context.Process(target=_serve, args=(LocalCluster, n_workers, addresses, done))
    process.start()
    try:
        yield addresses.get(timeout=60)
    finally:
        done.set()
        process.join()


def _serve(cluster_class: Any, n_workers: int, addresses: Any, done: Any) -> None:
    with cluster_class(
        n_workers=n_workers,
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        addresses.put(cluster.scheduler_address)
        done.wait()


def measure(
    cluster: str | None, options: argparse.Namespace, n_rows: int, epochs: int
) -> dict[str, float]:
    """The driver's CPU milliseconds for a unit, all in all and by what it does."""
    data, metrics = table(n_rows)
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-bench-")))
        (folder / "data").mkdir()
        job = Job(
            data_path=write_fit_data(data, folder / "data"),
            space=Space.load("mlp").to_bytes(),
            fixes=(),
            options=FitOptions(0, epochs, 32, None, metrics),
        )
        found = exits.enter_context(machines(Cluster.parse(cluster), options.workers))
        workers = exits.enter_context(
            found.start(None, environment=WORKER_ENVIRONMENTS["jax"], pin=False, timeout=None)
        )
        found.share(folder / "data")
        journal = exits.enter_context(Journal.create(folder / "journal.sqlite", {}))
        list(workers.map_unordered(pretend, tasks_of(job, data, 2)))  # imports, connections
        return times_of(workers, journal, job, data, options.trials)


def times_of(
    workers: Any, journal: Journal, job: Job, data: FitData, trials: int
) -> dict[str, float]:
    """Do what a search does with its units."""
    tasks = tasks_of(job, data, trials)
    metrics = job.options.metrics
    spent = {"handing out and receiving": 0.0, "combining": 0.0, "journal": 0.0, "tables": 0.0}
    arrived: dict[int, list[UnitResult]] = {}
    results, commits = [], []
    began = last = time.process_time()

    def note(part: str) -> None:
        nonlocal last
        now = time.process_time()
        spent[part] += now - last
        last = now

    for result in workers.map_unordered(pretend, tasks):
        note("handing out and receiving")
        units = arrived.setdefault(result.unit.candidate.trial, [])
        units.append(result)
        record = [result]
        if sum(len(u.folds) for u in units) == len(data.folds):
            trial = combine(result.unit.candidate, units, data, metrics)
            record = slimmed(trial, units, data, metrics)
            results.append(trial)
            del arrived[result.unit.candidate.trial]
        note("combining")
        started = time.perf_counter()
        journal.record(record)
        commits.append(1000 * (time.perf_counter() - started))
        note("journal")
    trials_table((r.row for r in results), metrics=metrics, direction="min")
    folds_table((row for r in results for row in r.folds), metrics=metrics)
    curves_table((row for r in results for row in r.curves), metrics=metrics)
    note("tables")
    everything = 1000 * (time.process_time() - began) / len(tasks)
    parts = {part: 1000 * seconds / len(tasks) for part, seconds in spent.items()}
    return {"CPU ms a unit": everything, **parts, "commit, clock": float(np.quantile(commits, 0.1))}


def table(n_rows: int) -> tuple[FitData, tuple[str, ...]]:
    """A binary table of thirty columns on twelve folds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 30))
    dataset = hpsearch.load(x, np.where(x[:, 0] + rng.normal(size=n_rows) > 0, "a", "b"))
    folds = make_folds(IteratedKFold(FOLDS, n_repeats=REPEATS, random_state=0), dataset)
    layout = Layout.of(dataset.schema, max_levels=64, max_words=10_000)
    data = fit_data(dataset, encode_dataset(dataset), folds, layout, scale_target=False)
    return data, resolve_metric(dataset.target.kind, None)


def tasks_of(job: Job, data: FitData, trials: int) -> list[tuple[Job, WorkUnit]]:
    """A unit for each trial and repeat."""
    values = {"units_1": 64, "optimizer": "adam", "adam_learning_rate": 1e-3, "batch_size": 32}
    repeats = [
        tuple(p for p, fold in enumerate(data.folds) if fold.repeat == repeat)
        for repeat in range(REPEATS)
    ]
    return [
        (job, WorkUnit(Candidate(trial, values), positions))
        for trial in range(trials)
        for positions in repeats
    ]


def pretend(task: tuple[Job, WorkUnit]) -> UnitResult:
    """A unit's result, of the size that a real one has."""
    from hpsearch.engines.fit_data import read_fit_data

    job, unit = task
    data, epochs = read_fit_data(job.data_path), job.options.epochs
    time.sleep(0.05)
    return UnitResult(unit, _folds(job, unit, data, epochs), unit.candidate.values, 2_000, 0.05)


def _folds(job: Job, unit: WorkUnit, data: FitData, epochs: int) -> tuple[FoldResult, ...]:
    folds: list[FoldResult] = []
    for position in unit.folds:
        fold = data.folds[position]
        seed = replica_seed(job.options.seed, unit.candidate.trial, fold.repeat, fold.fold)
        rng = np.random.default_rng(seed)
        curves = {name: rng.random(epochs) for name in job.options.metrics}
        predictions = rng.random((epochs, len(fold.validation), 1), np.float32)
        losses = rng.random(epochs)
        folds.append(FoldResult(position, seed, epochs, losses, curves, curves, predictions))
    return tuple(folds)


if __name__ == "__main__":
    main()
