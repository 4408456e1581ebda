"""Small tables, folds and jobs for whatever trains."""

import gc

import numpy as np
import pytest

import hpsearch
from hpsearch.engines.base import FitOptions, Job, write_fit_data
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.metrics import resolve_metric
from hpsearch.preprocessing import Layout
from hpsearch.scoring import encode_dataset, fit_data
from hpsearch.space import Space


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
            "regression": 1000.0 + 50.0 * signal,
            "two values": np.stack([1000.0 + 50.0 * signal, -x[:, 1]], axis=1),
            "share": 1.0 / (1.0 + np.exp(-signal)),
        }[kind]
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
    ):
        splitter = IteratedKFold(n_folds, repeats, random_state=0)
        scales = dataset.target.kind == "regression" if scale_target is None else scale_target
        data = fit_data(
            dataset,
            encode_dataset(dataset),
            make_folds(splitter, dataset),
            Layout.of(dataset.schema),
            scale_target=scales,
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
