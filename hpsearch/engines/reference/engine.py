"""The reference engine: Keras on TensorFlow, any Keras model, one training at a time a process.

The parent's half (``ReferenceEngine``) hands out work units; the worker's half trains a unit's
replicas in a ``program.Program``. What the fused engine computes is compared with this one.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch import metrics
from hpsearch.engines.backend import silenced_stderr
from hpsearch.engines.contract import FitOptions, FoldResult, Job, UnitResult, WorkUnit
from hpsearch.engines.failures import DivergedError, raise_if_out_of_memory, reason_of
from hpsearch.engines.fit_data import (
    FitData,
    problem_of,
    read_fit_data,
    smallest_training_set,
    training_target,
)
from hpsearch.engines.kind import EngineKind, FallBack
from hpsearch.engines.network import check_input
from hpsearch.engines.plan import REFIT, batch_order, plan_units, replica_seed
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Lost, Workers
from hpsearch.metrics import METRICS
from hpsearch.preprocessing import Statistics
from hpsearch.space.space import Candidate, Space, fit_settings
from hpsearch.stats import patience_stop

if TYPE_CHECKING:
    from hpsearch.engines.reference.program import State

STOP_CHECK_EPOCHS = 10
"""With patience, all replicas of a trial train this many epochs between two looks at the curve."""


def import_tensorflow() -> None:
    """What a worker loads while the parent still reads the data."""
    with silenced_stderr():
        import hpsearch.engines.reference.program  # noqa: F401
    warnings.simplefilter("ignore")  # what the default network caused is heard by the probe


class ReferenceEngine:
    """Scores work units in worker processes (the ``Engine`` contract)."""

    def __init__(self, workers: Workers, job: Job, data: FitData) -> None:
        self._workers = workers
        self._job = job
        self._folds = data.folds

    @classmethod
    def make(cls, workers: Workers, job: Job, data: FitData, fall_back: FallBack) -> Self:
        """The engine; it has no use for another one, as it trains any Keras model."""
        return cls(workers, job, data)

    def score(self, work: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Train the given folds of each candidate; yield results as soon as they are there."""
        units = plan_units(work, self._folds, patience=self._job.options.patience)
        tasks = [(self._job, unit) for unit in units]
        for result in self._workers.map_unordered(_train_task, tasks):
            if isinstance(result, Lost):
                yield UnitResult(result.task[1].without_states(), error=result.reason)
            else:
                yield result


@lru_cache(maxsize=1)
def _row_source(path: str) -> Any:
    from hpsearch.engines.reference.program import row_source

    data = read_fit_data(path)
    return row_source(data.encoded, data.layout)


def _train_task(task: tuple[Job, WorkUnit]) -> UnitResult:
    return train_unit(*task)


def train_unit(job: Job, unit: WorkUnit) -> UnitResult:
    """Train a unit's replicas here, in this process; a failing trial gives its reason."""
    started = time.perf_counter()
    network: Network | None = None
    try:
        network = Network(job, unit.candidate.values)
        folds = train_replicas(network, job, unit)
        return UnitResult(
            unit.without_states(),
            folds=folds,
            values=network.values,
            n_params=network.program.n_params,
            seconds=time.perf_counter() - started,
        )
    except Exception as error:  # a failing trial is recorded, whatever a user's network raises
        raise_if_out_of_memory(error)
        return UnitResult(
            unit.without_states(),
            values=network.values if network else unit.candidate.values,
            seconds=time.perf_counter() - started,
            error=reason_of(error),
            traceback=traceback.format_exc(),
        )
    finally:
        _forget_graphs()


class Network:
    """A configuration's networks: built anew for each replica, traced once.

    Attributes
    ----------
    data : the mapped data; settings : the batch size and epochs of this configuration.
    values : the hyperparameters that the build really used.
    program : trains its replicas.
    """

    def __init__(self, job: Job, values: Mapping[str, Any], *, n_train: int | None = None) -> None:
        from hpsearch.engines.reference.program import Program

        options = job.options
        self.data = read_fit_data(job.data_path)
        self.values = dict(values)
        self.settings = fit_settings(values, options.batch_size, options.epochs)
        self._space = Space.from_bytes(job.space)
        self._fixes = dict(job.fixes)
        self._problem = problem_of(
            self.data.target,
            self.data.layout,
            n_train=n_train or smallest_training_set(self.data.folds),
            epochs=self.settings.epochs,
        )
        self.program: Program = Program(
            self._build, _row_source(job.data_path), self.data.target, self.settings.batch_size
        )

    def _build(self) -> Any:
        built = self._space.construct(self.values, self._problem, self._fixes)
        check_input(built.model, self._problem.input_shape)
        self.values = dict(built.values)
        return built.model


def train_replicas(network: Network, job: Job, unit: WorkUnit) -> tuple[FoldResult, ...]:
    """Train a unit's replicas, all for the same number of epochs."""
    options, patience = job.options, job.options.patience
    end = unit.span.end(network.settings.epochs)
    block = STOP_CHECK_EPOCHS if patience else end
    keeps_state = end < network.settings.epochs
    replicas = [Replica(network, options, unit, position) for position in unit.folds]
    for done in range(unit.first_epoch, end, block):
        for replica in replicas:
            replica.advance(min(block, end - done), more_to_come=keeps_state or done + block < end)
        kept = _epochs_kept(replicas, options) if patience else end
        if kept < min(done + block, end):
            return tuple(replace(replica.result(0, kept), state=None) for replica in replicas)
    return tuple(replica.result(unit.span.since, end) for replica in replicas)


def _epochs_kept(replicas: Sequence[Replica], options: FitOptions) -> int:
    metric = METRICS[options.metrics[0]]
    curve = np.mean([replica.validation_curve(metric.name) for replica in replicas], axis=0)
    return patience_stop(curve, metric.direction, options.patience or len(curve))


class Replica:
    """One training: a configuration on one fold, with its own seed, state and curves."""

    def __init__(
        self, network: Network, options: FitOptions, unit: WorkUnit, position: int
    ) -> None:
        data, trial = network.data, unit.candidate.trial
        self._fold = data.folds[position]
        self._position = position
        self._seed = replica_seed(options.seed, trial, self._fold.repeat, self._fold.fold)
        self._network = network
        self._metrics = options.metrics
        self._kind = data.target.kind
        self._statistics = data.statistics[position]
        self._state: State | None = None if unit.states is None else [*unit.states[position]]
        self._first_epoch = unit.first_epoch
        self._losses: list[float] = []
        self._predictions: list[NDArray[np.float32]] = []
        self._scores: dict[str, dict[str, list[float]]] = {
            side: {name: [] for name in options.metrics} for side in ("train", "validation")
        }

    def advance(self, n_epochs: int, *, more_to_come: bool) -> None:
        """Train the next epochs, scoring both sides of the fold after each."""
        program, data, fold = self._network.program, self._network.data, self._fold
        if self._state is None:
            program.start(self._seed)
        else:
            program.restore(self._state)
        tensors, y = training_tensors(self._network, self._statistics)
        done = self._first_epoch + len(self._losses)
        for epoch in range(done, done + n_epochs):
            order = fold.train[batch_order(self._seed, epoch, len(fold.train))]
            self._losses.append(self._finite(program.train_epoch(tensors, y, order), epoch))
            for side, rows in (("train", fold.train), ("validation", fold.validation)):
                predictions = program.predict(tensors, rows, self._statistics)
                self._score(side, data.y[rows], predictions, epoch)
            self._predictions.append(predictions)
        self._state = program.state() if more_to_come else None

    def validation_curve(self, metric: str) -> NDArray[np.float64]:
        """The metric on the validation rows after each epoch so far."""
        return np.array(self._scores["validation"][metric])

    def result(self, since: int, until: int) -> FoldResult:
        """Curves and predictions of the epochs after ``since``, up to ``until``."""
        curves = {
            side: {name: np.array(values) for name, values in scores.items()}
            for side, scores in self._scores.items()
        }
        trained = FoldResult(
            position=self._position,
            seed=self._seed,
            epochs=len(self._losses),
            train_loss=np.array(self._losses),
            validation=curves["validation"],
            train=curves["train"],
            predictions=np.stack(self._predictions),
            since=self._first_epoch,
            state=self._state,
        )
        return trained.between(since, until)

    def _score(
        self, side: str, y: NDArray[Any], predictions: NDArray[np.float32], epoch: int
    ) -> None:
        self._finite(float(np.sum(predictions, dtype=np.float64)), epoch)
        for name in self._metrics:
            self._scores[side][name].append(
                float(metrics.score(name, y, predictions, kind=self._kind))
            )

    def _finite(self, value: float, epoch: int) -> float:
        if np.isfinite(value):
            return value
        raise DivergedError(
            f"the training diverged: its loss or predictions became {value} in epoch {epoch + 1} "
            f"of repeat {self._fold.repeat}, fold {self._fold.fold}"
        )


def train_on_all_rows(job: Job, candidate: Candidate, n_steps: int) -> Any:
    """The network of a candidate after ``n_steps`` optimizer steps on all rows."""
    data = read_fit_data(job.data_path)
    n_rows = data.encoded.n_rows
    network = Network(job, candidate.values, n_train=n_rows)
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, 0)
    program, batch_size = network.program, network.settings.batch_size
    program.start(seed)
    tensors, y = training_tensors(network, data.refit_statistics)
    for epoch, first in enumerate(range(0, n_steps, -(-n_rows // batch_size))):
        order = batch_order(seed, epoch, n_rows)
        program.train_epoch(tensors, y, order[: (n_steps - first) * batch_size])
    return program.model


def training_tensors(network: Network, statistics: Statistics) -> tuple[Any, Any]:
    """All rows as one fold's statistics preprocess them, and their loss targets."""
    import tensorflow as tf

    data, program = network.data, network.program
    y = training_target(data.target, data.y, statistics)
    y = program.form.loss_target(y, len(data.target.labels))
    return program.source.tensors(statistics), tf.constant(y)


def _forget_graphs() -> None:
    import keras

    keras.backend.clear_session()  # collects garbage, too


ENGINE = EngineKind(
    name="reference",
    way="it trains one network after the other",
    environment=WORKER_ENVIRONMENTS["tensorflow"],
    warm_up=import_tensorflow,
    make=ReferenceEngine.make,
    train_on_all_rows=train_on_all_rows,
)
