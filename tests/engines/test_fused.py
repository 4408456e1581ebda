"""The fused engine against Keras's own ``fit``, and a replica alone against one in company."""

import importlib.util
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from hpsearch.engines.base import WorkUnit
from hpsearch.engines.fused import FusedUnit, Sketch, import_jax, plan_fused_units
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Workers
from hpsearch.space import Candidate

N_ROWS, N_FOLDS, BATCH = 29, 3, 8  # folds of 19 and 20 training rows: 3 steps, the last partial


def load_jax_side():
    path = Path(__file__).with_name("jax_side.py")
    spec = importlib.util.spec_from_file_location("jax_side", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["jax_side"] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


jax_side = load_jax_side()


@pytest.fixture(scope="module")
def on_jax():
    """Call a function of ``jax_side`` in one worker with Keras on JAX."""
    with Workers(1, import_jax, environment=WORKER_ENVIRONMENTS["jax"], pin=True) as workers:
        yield lambda function, *arguments: workers.call(
            call_pickled, cloudpickle.dumps((function, arguments))
        )


def call_pickled(payload):
    import pickle

    function, arguments = pickle.loads(payload)
    return function(*arguments)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def unit_of(candidates, positions=range(N_FOLDS), width=None):
    parts = tuple(WorkUnit(candidate, tuple(positions)) for candidate in candidates)
    return FusedUnit(parts, width or sum(len(p.folds) for p in parts), f"test-{width}")


OPTIMIZERS = [
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": False},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"optimizer": "rmsprop"},
    {"optimizer": "adam"},
    {"optimizer": "adamw", "weight_decay": 0.05},
    {"optimizer": "nadam"},
    {"optimizer": "adagrad"},
    {"optimizer": "adadelta"},
]
SCHEDULES = [
    {"schedule": "step", "final_rate_fraction": 0.1, "n_drops": 2},
    {"schedule": "exponential", "final_rate_fraction": 0.1},
    {"schedule": "inverse_time", "final_rate_fraction": 0.1},
    {"schedule": "cosine", "final_rate_fraction": 0.1},
    {"schedule": "warmup_cosine", "final_rate_fraction": 0.1, "warmup_fraction": 0.2},
]
REGULARIZERS = [
    {"regularization": "l1", "l1": 1e-3},
    {"regularization": "l2", "l2": 1e-2},
    {"regularization": "l1_l2", "l1": 1e-3, "l2": 1e-2},
]
NORMALIZATIONS = [
    {"batch_normalization": "before_activation"},
    {"batch_normalization": "after_activation"},
]
BASE = {
    "n_layers": 2,
    "units_1": 16,
    "units_2": 16,
    "dropout_1": 0.0,
    "dropout_2": 0.0,
    "activation": "relu",
    "batch_normalization": "none",
    "regularization": "none",
    "optimizer": "adam",
    "schedule": "constant",
    "batch_size": BATCH,
}


@pytest.mark.parametrize(
    "changes",
    OPTIMIZERS + SCHEDULES + REGULARIZERS + NORMALIZATIONS,
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_every_epoch_is_that_of_keras_fit_alone(on_jax, table, make_job, changes):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=20, batch_size=BATCH)
    candidate = Candidate(3, {**BASE, **changes})
    fused = on_jax(jax_side.fused_results, job, [unit_of([candidate])])
    for position in (0, N_FOLDS - 1):
        _, losses, outputs = on_jax(jax_side.keras_curves, job, candidate, position)
        result = fused[3, position]
        np.testing.assert_allclose(result.train_loss, losses, rtol=1e-5)
        y, rows = on_jax_target(job, position)
        np.testing.assert_allclose(
            result.validation["log_loss"], log_losses(y[rows], outputs[:, rows, 0]), rtol=1e-5
        )


def on_jax_target(job, position):
    from hpsearch.engines.base import read_fit_data

    data = read_fit_data(job.data_path)
    return data.y, data.folds[position].validation


def log_losses(y, probabilities):
    p = probabilities.astype(np.float64)
    return -np.mean(np.where(y == 1, np.log(p), np.log(1.0 - p)), axis=1)


@pytest.mark.parametrize("kind", ["regression", "multiclass", "multilabel", "two values"])
def test_every_problem_type_trains_as_keras_fit_does(on_jax, table, make_job, kind):
    job = make_job(table(kind, N_ROWS), "mlp", n_folds=N_FOLDS, epochs=5, batch_size=BATCH)
    candidate = Candidate(0, BASE)
    fused = on_jax(jax_side.fused_results, job, [unit_of([candidate])])
    _, losses, _ = on_jax(jax_side.keras_curves, job, candidate, 1)
    np.testing.assert_allclose(fused[0, 1].train_loss, losses, rtol=1e-5)


def test_a_replica_with_dropout_is_the_same_alone_and_in_company(on_jax, table, make_job):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=4, batch_size=BATCH)
    shared = {**BASE, "dropout_1": 0.3, "dropout_2": 0.5, "batch_normalization": "after_activation"}
    first, second = Candidate(0, shared), Candidate(1, {**shared, "dropout_1": 0.1})
    together = on_jax(jax_side.fused_results, job, [unit_of([first, second])])
    alone = on_jax(jax_side.fused_results, job, [unit_of([second], positions=[1], width=1)])
    np.testing.assert_allclose(alone[1, 1].train_loss, together[1, 1].train_loss, rtol=1e-5)
    np.testing.assert_allclose(alone[1, 1].predictions, together[1, 1].predictions, atol=1e-6)


def test_candidates_that_differ_in_numbers_alone_share_a_structure(on_jax, table, make_job):
    job = make_job(table("binary", N_ROWS), "mlp", n_folds=N_FOLDS, epochs=4)
    numbers = [
        {**BASE, "learning_rate": 1e-3},
        {**BASE, "learning_rate": 5e-3},
        {**BASE, "learning_rate": 1e-3, "schedule": "cosine", "final_rate_fraction": 0.1},
        {**BASE, "learning_rate": 1e-3, "regularization": "none"},
    ]
    structures = [
        {**BASE, "units_1": 32},
        {**BASE, "optimizer": "nadam"},
        {**BASE, "activation": "tanh"},
        {**BASE, "batch_size": 16},
        {**BASE, "dropout_1": 0.1},
    ]
    found = on_jax(
        jax_side.sketches, job, [Candidate(i, v) for i, v in enumerate(numbers + structures)]
    )
    keys = [sketch.key for sketch in found]
    assert len(set(keys[: len(numbers)])) == 1
    assert len(set(keys)) == 1 + len(structures)


def test_units_are_cut_by_the_plan_alone_and_hold_every_replica_once():
    sketches = [Sketch(Candidate(t, {}), key="ab"[t % 2], work=1.0) for t in range(7)]
    units = plan_fused_units(sketches, n_folds=12, patience=None)
    replicas = [(p.candidate.trial, f) for u in units for p in u.parts for f in p.folds]
    assert sorted(replicas) == [(t, f) for t in range(7) for f in range(12)]
    for unit in units:
        assert len({p.candidate.trial % 2 for p in unit.parts}) == 1
        assert sum(len(p.folds) for p in unit.parts) <= unit.n_replicas <= 24


def test_with_patience_a_trial_stays_in_one_unit():
    sketches = [Sketch(Candidate(t, {}), key="a", work=1.0) for t in range(5)]
    units = plan_fused_units(sketches, n_folds=5, patience=3)
    assert sorted(p.candidate.trial for u in units for p in u.parts) == list(range(5))
    assert all(len(part.folds) == 5 for unit in units for part in unit.parts)
