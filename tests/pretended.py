"""What stands for Keras where a test is about the search around it: NumPy that learns, quickly.

``train`` fits a linear or a logistic model of a fold's rows by gradient steps, at the candidate's
``rate``, from the replica's seed, and goes on from a state as an engine does. What is around it is
the real thing: the search, its stages, the journal, the tables. That engines train right is proved
in ``tests/engines``.
"""

from types import SimpleNamespace

import numpy as np

from hpsearch import metrics
from hpsearch.engines.base import (
    FoldResult,
    UnitResult,
    batch_order,
    plan_units,
    read_fit_data,
    replica_seed,
    training_target,
)
from hpsearch.preprocessing import design_rows
from hpsearch.space import fit_settings

HIGHEST_RATE = 0.9
"""Trials whose rate is above fail."""


class PretendedEngine:
    """Stands for ``ReferenceEngine``."""

    train = staticmethod(lambda task: train(*task))

    def __init__(self, workers, job):
        self.workers, self.job = workers, job

    def score(self, work):
        folds = read_fit_data(self.job.data_path).folds
        units = plan_units(work, folds, patience=None)
        yield from self.workers.map_unordered(self.train, [(self.job, unit) for unit in units])


def train(job, unit):
    """Train a unit's replicas."""
    values, whole = dict(unit.candidate.values), unit.without_states()
    if values["rate"] > HIGHEST_RATE:
        return UnitResult(whole, values=values, error="its rate is too high")
    folds = tuple(_train_fold(job, unit, position) for position in unit.folds)
    return UnitResult(whole, folds, values, n_params=3, seconds=0.01)


def _train_fold(job, unit, position):
    data, options, rate = read_fit_data(job.data_path), job.options, unit.candidate.values["rate"]
    settings = fit_settings(unit.candidate.values, options.batch_size, options.epochs)
    fold, statistics = data.folds[position], data.statistics[position]
    seed = replica_seed(options.seed, unit.candidate.trial, fold.repeat, fold.fold)
    rows = design_rows(data.encoded, data.layout, statistics).astype(float)
    rows = np.column_stack([rows, np.ones(len(rows))])
    y = training_target(data.target, data.y, statistics).reshape(-1, 1)
    binary = data.target.kind == "binary"

    def outputs(weights, chosen):
        sums = rows[chosen] @ weights
        return 1 / (1 + np.exp(-sums)) if binary else sums

    start = np.random.default_rng(seed).normal(0.0, 0.3, (rows.shape[1], 1))
    weights = start if unit.states is None else unit.states[position]
    first, end = unit.first_epoch, unit.span.end(settings.epochs)
    predictions = {"train": [], "validation": []}
    for epoch in range(first, end):
        order = fold.train[batch_order(seed, epoch, len(fold.train))]
        for begin in range(0, len(order), settings.batch_size):
            batch = order[begin : begin + settings.batch_size]
            errors = outputs(weights, batch) - y[batch]
            weights = weights - rate * rows[batch].T @ errors / len(batch)
        for side, made in predictions.items():
            scaled = outputs(weights, getattr(fold, side))
            canonical = scaled * statistics.target_scale + statistics.target_centre
            made.append((canonical[:, 0] if binary else canonical).astype(np.float32))
    curves = {
        side: {
            name: metrics.score(name, data.y[getattr(fold, side)], np.stack(made),
                                kind=data.target.kind)
            for name in options.metrics
        }
        for side, made in predictions.items()
    }  # fmt: skip
    trained = FoldResult(
        position=position,
        seed=seed,
        epochs=end - first,
        train_loss=curves["train"][options.metrics[0]],
        predictions=np.stack(predictions["validation"]),
        since=first,
        state=weights if end < settings.epochs else None,
        **curves,
    )
    return trained.between(unit.span.since, end)


class PretendedCheck:
    """Stands for ``ReloadCheck``."""

    def __init__(self, environment):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def verify(self, model_path, check_path):
        pass


def refit_and_export(engine, job, candidate, n_steps, schema, model_path, *more):
    from hpsearch.refit import Refitted  # here, so that a worker's import of this is quick

    with open(model_path, "wb") as file:
        file.write(b"a model")
    return Refitted("0", 9, None, ())


def refit_and_predict(engine, job, candidate, n_steps, rows):
    return np.full((rows.n_rows, 1), candidate.values["rate"], np.float32)


def pretend(patch):
    """Put all this in the place of Keras, with pytest's ``MonkeyPatch``."""
    probe = SimpleNamespace(warnings=(), scalable_target=True)
    patch.setattr("hpsearch.scoring.ReferenceEngine", PretendedEngine)
    patch.setattr("hpsearch.scoring.import_tensorflow", None)
    patch.setattr("hpsearch.scoring.Session._probe", lambda *arguments: probe)
    patch.setattr("hpsearch.search.refit_and_export", refit_and_export)
    patch.setattr("hpsearch.search.refit_and_predict", refit_and_predict)
    patch.setattr("hpsearch.search.ReloadCheck", PretendedCheck)
