"""Small tables, folds and jobs for whatever trains, and the engines that train."""

import functools
import gc
import importlib.util
import os
import pickle
import sys
from contextlib import ExitStack
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import hpsearch
from hpsearch.engines import engine_kind, engine_names
from hpsearch.engines.contract import FitOptions, Job, WorkUnit
from hpsearch.engines.fit_data import write_fit_data
from hpsearch.engines.workers import LokyWorkers
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.metrics import resolve_metric
from hpsearch.preprocessing import Layout
from hpsearch.scoring.rows import encode_dataset, fit_data
from hpsearch.space.space import Candidate, Space


@pytest.fixture(scope="session")
def engine_side():
    """The module of that name, in this process; its functions go to workers by value."""
    path = Path(__file__).with_name("engine_side.py")
    spec = importlib.util.spec_from_file_location("engine_side", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["engine_side"] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


@pytest.fixture(scope="session")
def side_of(engine_side):
    """How to call a function of ``engine_side`` in a process like an engine's workers.

    That is this process for engines on its own Keras backend, and one worker for each other one.
    """
    with ExitStack() as stack:

        @functools.cache
        def side_of(name):
            kind = engine_kind(name)
            if kind.keras_backend == os.environ["KERAS_BACKEND"]:
                return lambda function, *arguments: getattr(engine_side, function)(*arguments)
            workers = stack.enter_context(
                LokyWorkers(1, kind.warm_up, environment=kind.environment, pin=kind.pins)
            )

            def run(payload):  # not of this module, which a worker cannot import
                return pickle.loads(payload)()

            def there(function, *arguments):
                call = functools.partial(getattr(engine_side, function), *arguments)
                return workers.call(run, cloudpickle.dumps(call))

            return there

        yield side_of


@pytest.fixture(scope="session")
def on_jax(side_of):
    """Call a function of ``engine_side`` in the one worker with Keras on JAX."""
    return side_of("fused")


class EngineSide:
    """An engine: its name, and how to call a function of ``engine_side`` where its Keras is."""

    def __init__(self, name, call):
        self.name, self.call = name, call

    def train(self, job, unit):
        """Train a work unit; gives its result."""
        return self.call("train", self.name, job, unit)


@pytest.fixture(scope="session", params=engine_names())
def engine(request, side_of):
    """Each engine that there is."""
    return EngineSide(request.param, side_of(request.param))


@pytest.fixture(scope="session")
def train(engine):
    """Train folds of a candidate with an engine; gives the unit's result."""

    def train(job, *folds, trial=0, **values):
        return engine.train(job, WorkUnit(Candidate(trial, values), folds))

    return train


@pytest.fixture(scope="session")
def table():
    """A table of three numbers and a target of the given kind."""

    def table(kind, n_rows=26):
        rng = np.random.default_rng(7)
        x = rng.normal(size=(n_rows, 3))
        signal = x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=n_rows)
        y = {
            "binary": np.where(signal > 0, "yes", "no"),
            "multiclass": np.array(["a", "b", "c"])[np.digitize(signal, [-1.0, 1.0])],
            "multilabel": np.stack([signal > 0, x[:, 2] > 0], axis=1).astype(int),
            **dict.fromkeys(("regression", "quantile"), 1000.0 + 50.0 * signal),
            "far from zero": 2459000.5 + 0.05 * signal,
            "two values": np.stack([1000.0 + 50.0 * signal, -x[:, 1]], axis=1),
            "three values": np.stack([1000.0 + 50.0 * signal, -x[:, 1], x[:, 0] ** 2], axis=1),
            "share": 1.0 / (1.0 + np.exp(-signal)),
            "count": rng.poisson(np.exp(0.5 + 0.4 * signal)),
        }[kind]
        if kind == "count":
            years = rng.uniform(0.2, 3.0, (n_rows, 1))
            return hpsearch.load(np.hstack([x, years]), y, task=kind, exposure="x3")
        if kind == "quantile":
            return hpsearch.load(x, y, task=kind, levels=(0.1, 0.5, 0.9))
        return hpsearch.load(x, y, task="share" if kind == "share" else None)

    return table


@pytest.fixture(scope="session")
def make_job(tmp_path_factory):
    """A job on a table: its data written, its folds made, its statistics fitted."""

    def make_job(
        dataset,
        build,
        *,
        n_folds=3,
        repeats=1,
        epochs=3,
        batch_size=8,
        patience=None,
        metric=None,
        scale_target=None,
        fixes=(),
        splitter=None,
        layout=lambda layout: layout,
        class_weight=None,
    ):
        splitter = splitter or IteratedKFold(n_folds, repeats, random_state=0)
        is_scaled = dataset.target.kind in ("regression", "count", "quantile")
        scales = is_scaled if scale_target is None else scale_target
        data = fit_data(
            dataset,
            encode_dataset(dataset),
            make_folds(splitter, dataset),
            layout(Layout.of(dataset.schema)),
            scale_target=scales,
            class_weight=class_weight,
        )
        metrics = resolve_metric(dataset.target.kind, metric)
        gc.freeze()  # as in a worker
        return Job(
            data_path=write_fit_data(data, tmp_path_factory.mktemp("job")),
            space=Space.load(build).to_bytes(),
            fixes=fixes,
            options=FitOptions(0, epochs, batch_size, patience, metrics),
        )

    return make_job
