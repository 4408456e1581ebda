"""The reference engine: Keras on TensorFlow, any Keras model, one training at a time a process.

The parent's half (``ReferenceEngine``) hands out work units; the worker's half trains a unit's
replicas in a ``program.Program``. What the fused engine computes is compared with this one.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hpsearch.engines import phases
from hpsearch.engines.averages import finish
from hpsearch.engines.backend import import_keras, silenced_stderr
from hpsearch.engines.base_outputs import shortened
from hpsearch.engines.buckets import epoch_order
from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import FoldResult, Job, NetworkWeights, UnitResult, WorkUnit
from hpsearch.engines.failures import TrainingFailedError, raise_if_out_of_memory, reason_of
from hpsearch.engines.fit_data import FitData, read_fit_data, training_target
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.kind import EngineKind, FallBack
from hpsearch.engines.plan import REFIT, plan_units, replica_seed
from hpsearch.engines.replica import STOP_CHECK_EPOCHS, Replica, epochs_kept
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Lost, Workers
from hpsearch.space.space import Candidate

if TYPE_CHECKING:
    from hpsearch.engines.reference.program import Program, RowSource, State


def import_tensorflow() -> None:
    """What a worker loads while the parent still reads the data."""
    with silenced_stderr():
        import_keras()
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
def _row_source(path: str, form: InputForm, cut: tuple[int, ...]) -> RowSource:
    from hpsearch.engines.reference.program import row_source

    data = read_fit_data(path)
    return row_source(data.encoded, data.layout, form, cut, data.buckets)


def _train_task(task: tuple[Job, WorkUnit]) -> UnitResult:
    return train_unit(*task)


def train_unit(job: Job, unit: WorkUnit) -> UnitResult:
    """Train a unit's replicas here, in this process; a failing trial gives its reason."""
    started = time.perf_counter()
    configuration: Configuration | None = None
    try:
        data = read_fit_data(job.data_path)
        configuration = Configuration(job, data, unit.candidate.values)
        train = _in_phases if configuration.has_phases else _in_one
        return replace(train(job, unit, configuration), seconds=time.perf_counter() - started)
    except BaseException as error:  # a failing trial is recorded, whatever a user's network raises
        raise_if_out_of_memory(error)
        return UnitResult(
            unit.without_states(),
            values=configuration.values if configuration else unit.candidate.values,
            seconds=time.perf_counter() - started,
            error=reason_of(error),
            traceback=traceback.format_exc(),
        )
    finally:
        _forget_graphs()


def _in_one(job: Job, unit: WorkUnit, configuration: Configuration) -> UnitResult:
    job, configuration = shortened(job, configuration)
    training = UnitTraining(job, unit, configuration, patience=job.options.patience)
    return training.result(training.run())


def _in_phases(job: Job, unit: WorkUnit, configuration: Configuration) -> UnitResult:
    """A unit phase by phase; patience counts in the last one."""

    @cache
    def made(number: int) -> tuple[Job, Configuration, Program]:
        of_phase = configuration.in_phase(number) if number else configuration
        ours, of_phase = shortened(job, of_phase)
        return ours, of_phase, program_of(ours, of_phase)

    made(0)[2].start(0)  # which tells the phases
    spans, states = made(0)[1].phases, unit.states
    results: list[UnitResult] = []
    for cut in phases.cuts(unit, spans):
        ours, of_phase, program = made(cut.number)
        if cut.begins:
            before, data = made(cut.number - 1)[2], read_fit_data(job.data_path)
            seeds = {p: Replica(data, job.options, unit, p).seed for p in unit.folds}
            states = {p: program.entered(before, s, seeds[p]) for p, s in (states or {}).items()}
        patience = job.options.patience if cut.number == len(spans) - 1 else None
        part = cut.unit(unit, states)
        training = UnitTraining(ours, part, of_phase, program, patience=patience)
        results.append(training.result(training.run()))
        states = phases.states_of(results[-1])
    return phases.joined(unit, results, spans)


class UnitTraining:
    """One unit's training: its replicas one after the other, in one program.

    Attributes
    ----------
    configuration : what is trained; program : its network, traced once.
    """

    def __init__(
        self,
        job: Job,
        unit: WorkUnit,
        configuration: Configuration,
        program: Program | None = None,
        *,
        patience: int | None,
    ) -> None:
        self._unit, self._options, self._patience = unit, job.options, patience
        self._data = read_fit_data(job.data_path)
        self.configuration = configuration
        self.program = program or program_of(job, configuration)
        self._replicas = [Replica(self._data, job.options, unit, p) for p in unit.folds]
        self._states: dict[int, State] = {p: [*s] for p, s in (unit.states or {}).items()}
        self._networks: dict[int, NetworkWeights] = {}

    def run(self) -> tuple[FoldResult, ...]:
        """Train all replicas for the same number of epochs, until these or the patience end."""
        unit, patience = self._unit, self._patience
        epochs = self.configuration.settings.epochs
        end = unit.span.end(epochs)
        block = STOP_CHECK_EPOCHS if patience else end
        for done in range(unit.first_epoch, end, block):
            until = min(done + block, end)
            for replica in self._replicas:
                self._train(replica, until, more_to_come=until < epochs)
                if unit.keeps_networks and until == end:
                    self._keep_network(replica)
            kept = epochs_kept(self._replicas, self._options) if patience else until
            if kept < until:
                return tuple(r.result(unit.first_epoch, kept) for r in self._replicas)
        states = self._states if end < epochs and not unit.keeps_networks else {}
        results = (r.result(unit.span.since, end, states.get(r.position)) for r in self._replicas)
        return tuple(replace(r, network=self._networks.get(r.position)) for r in results)

    def result(self, folds: tuple[FoldResult, ...]) -> UnitResult:
        """What the unit gave."""
        return UnitResult(
            self._unit.without_states(),
            folds=folds,
            values=self.configuration.values,
            n_params=self.program.n_params,
        )

    def _keep_network(self, replica: Replica) -> None:
        """Keep the network that was trained last, which is this replica's."""
        with self.program.final_weights():
            weights = tuple(whole_of(self.program.model).get_weights())
        self._networks[replica.position] = NetworkWeights(ENGINE.name, weights)

    def _train(self, replica: Replica, until: int, *, more_to_come: bool) -> None:
        """Train a replica up to an epoch, scoring both sides of its fold after each."""
        program, state = self.program, self._states.pop(replica.position, None)
        rates, n_steps = self._rates_of(replica)
        if state is None:
            program.start(replica.seed)
        else:
            program.restore(state)
        program.take_rates(rates, n_steps)
        tensors, targets = training_tensors(program, self._data, replica.position)
        replica.batching = self.configuration.batching
        while replica.epochs_done < until:
            loss = program.train_epoch(tensors, targets, replica.order(replica.epochs_done))
            with program.final_weights():
                outputs = {
                    side: program.outputs(tensors, rows)[None]
                    for side, rows in replica.rows.items()
                }
            replica.record(program.form, np.array([loss]), outputs)
            if replica.failure is not None:
                raise TrainingFailedError(replica.failure.text)
        if more_to_come:
            self._states[replica.position] = program.state()

    def _rates_of(self, replica: Replica) -> tuple[list[Any], int]:
        """Learning rates that count the steps of a replica's fold, and the steps of its epochs.

        Empty where the network's own count as many. What they are built of draws random numbers, so
        it comes before the replica's seed is set.
        """
        configuration, n_train = self.configuration, len(replica.fold.train)
        if configuration.has_steps_of(n_train) or not self.program.schedules:
            return [], 0
        rates = configuration.rates_for(n_train, self.program.schedules)
        settings, spans = configuration.settings, configuration.phases
        first, last = spans[configuration.phase] if spans else (0, settings.epochs)
        return rates, (last - first) * -(-n_train // settings.batch_size)


def program_of(job: Job, configuration: Configuration) -> Program:
    """A program that trains a configuration's networks on the rows of a job."""
    from hpsearch.engines.reference.program import Program

    data = read_fit_data(job.data_path)
    batch_size = configuration.settings.batch_size
    return Program(
        configuration.construct,
        lambda: _row_source(job.data_path, configuration.input_form, configuration.open_inputs),
        data.target,
        batch_size,
    )


def train_on_all_rows(job: Job, candidate: Candidate, n_steps: int, number: int = 0) -> Any:
    """The network of a candidate after ``n_steps`` optimizer steps on all rows.

    Parameters
    ----------
    number : of the seed, where several networks of one candidate are trained.
    """
    data = read_fit_data(job.data_path)
    n_rows = data.encoded.n_rows
    configuration = Configuration(job, data, candidate.values, n_train=n_rows)
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, number)
    batch_size = configuration.settings.batch_size
    ours, first = shortened(job, configuration)
    program = program_of(ours, first)
    program.start(seed)
    tensors, targets = training_tensors(program, read_fit_data(ours.data_path), None)
    parts, epoch = phases.steps_on_all_rows(first, data, n_steps), 0
    for phase, n_steps_of_phase in enumerate(parts):
        if phase:
            before, program = program, program_of(job, configuration.in_phase(phase))
            program.restore(program.entered(before, before.state(), seed))
            tensors, targets = training_tensors(program, data, None)
        for first in range(0, n_steps_of_phase, -(-n_rows // batch_size)):
            order = epoch_order(configuration.batching, seed, epoch, n_rows)
            program.train_epoch(tensors, targets, order[: (n_steps_of_phase - first) * batch_size])
            epoch += 1
    finish(program.model)
    return whole_of(program.model)


def training_tensors(
    program: Program, data: FitData, position: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All rows as one fold's statistics preprocess them; their loss targets, and what they weigh.

    Parameters
    ----------
    position : of the fold; None for the refit on all rows.
    """
    import tensorflow as tf

    statistics = data.statistics_of(position, program.source.form.names)
    y = training_target(data, statistics)
    y = program.form.loss_target(y, len(data.target.labels))
    targets, weights = {"y": tf.constant(y)}, data.loss_weights(position)
    if weights is not None:
        targets["weights"] = tf.constant(weights)
    return program.source.tensors(statistics, data.encoded_in(position).prepared), targets


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
