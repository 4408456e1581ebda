"""The worker's half of the fused engine: trains the parts of a unit, one after the other.

All replicas of a part, the folds of one repeat of one candidate, train in one
``program.FusedProgram``. Which units there are belongs to ``engine``, training on all rows to
``refit``.

The bits of a replica depend on the program that trains it, and a program depends on its width:
XLA fuses and vectorises by size. So a program is as wide as a repeat has folds, and trains one
repeat of one candidate at a time. Then no number depends on which candidates or repeats there are
beside it, and more of them can be added to a finished run.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.engines import phases
from hpsearch.engines.base_outputs import shortened
from hpsearch.engines.contract import FoldResult, Job, NetworkWeights, UnitResult, WorkUnit
from hpsearch.engines.failures import raise_if_out_of_memory, reason_of
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.fused import NAME
from hpsearch.engines.fused.compiling import effort_of, effort_of_rungs
from hpsearch.engines.fused.configuration import FusedConfiguration
from hpsearch.engines.fused.inputs import (
    design_statistics,
    fold_numbers,
    loss_weights,
    padded_size,
    shared_target,
)
from hpsearch.engines.fused.on_device import places_on_device, table_on_device
from hpsearch.engines.fused.replica import FusedReplica
from hpsearch.engines.replica import STOP_CHECK_EPOCHS, epochs_kept, first_failure
from hpsearch.engines.workers.files import here
from hpsearch.preprocessing import Bags

if TYPE_CHECKING:
    from hpsearch.engines.fused.packing import State
    from hpsearch.engines.fused.program import FusedProgram, Shapes

UNIT_SIZES = (16, 8, 4, 1)
"""Replicas that a work unit holds: the most, so that compiling for it is worth it, with which there
are as many units as keep a few workers busy."""

BLOCK_BYTES = 4 * 2**20
"""Batch orders and predictions of one call of a program at most, but always an epoch's; longer
runs take several calls. No bit depends on it."""


@dataclass(frozen=True)
class FusedUnit:
    """Parts of one or several candidates of one structure; each trains in the same program.

    ``n_replicas`` is the program's width; where a part holds fewer, its last is repeated.
    """

    parts: tuple[WorkUnit, ...]
    n_replicas: int
    key: str

    def by_trial(self) -> list[FusedUnit]:
        """The unit's work, each trial in a unit of its own."""
        trials: dict[int, list[WorkUnit]] = {}
        for part in self.parts:
            trials.setdefault(part.candidate.trial, []).append(part)
        return [replace(self, parts=tuple(parts)) for parts in trials.values()]


def train_fused_unit(job: Job, unit: FusedUnit) -> list[UnitResult]:
    """Train a unit's replicas here, in this process; a failing trial gives its reason."""
    started = time.perf_counter()
    try:
        results = UnitTraining(job, unit).run()
    except BaseException as error:  # a failing trial is recorded, whatever a user's network raises
        raise_if_out_of_memory(error)
        alone = unit.by_trial()
        if len(alone) > 1:  # the others have nothing to do with it
            return [result for one in alone for result in train_fused_unit(job, one)]
        reason, trace = reason_of(error), traceback.format_exc()
        results = [
            UnitResult(
                part.without_states(),
                values=part.candidate.values,
                error=reason,
                traceback=trace,
            )
            for part in unit.parts
        ]
    seconds = time.perf_counter() - started
    n_replicas = sum(len(part.folds) for part in unit.parts)
    return [replace(r, seconds=seconds * len(r.unit.folds) / n_replicas) for r in results]


class UnitTraining:
    """One unit's training: its parts, block of epochs by block of epochs."""

    def __init__(self, job: Job, unit: FusedUnit) -> None:
        self._options = job.options
        data = read_fit_data(job.data_path)
        configurations = {
            part.candidate.trial: FusedConfiguration(job, data, part.candidate.values)
            for part in unit.parts
        }
        self._trials: dict[int, list[PartTraining | PhasedPart]] = {}
        for part in unit.parts:
            trial = part.candidate.trial
            training: PartTraining | PhasedPart
            if configurations[trial].has_phases:
                training = PhasedPart(job, unit, part, configurations[trial])
            else:
                ours, configuration = shortened(job, configurations[trial])
                training = PartTraining(ours, unit, part, configuration)
            self._trials.setdefault(trial, []).append(training)

    def run(self) -> list[UnitResult]:
        """Train block after block, scoring each, until the epochs or the patience end.

        Without patience one part after the other, so that one state is held at a time.
        """
        if self._options.patience:
            return [result for parts in self._trials.values() for result in self._together(parts)]
        return [part.trained() for parts in self._trials.values() for part in parts]

    def _together(self, parts: Sequence[PartTraining | PhasedPart]) -> list[UnitResult]:
        """Train the parts of a trial, which stop together; in phases, in the last of these."""
        kept: int | None = None
        last = [part.last for part in parts if not part.failed]
        for first in last[0].blocks if last else ():
            for part in last:
                part.train(first)
            kept = self._ended(last)
            if kept is not None:
                break
        return [part.result(kept) for part in parts]

    def _ended(self, parts: Sequence[PartTraining]) -> int | None:
        """After how many epochs a trial ended, for a failure or patience; None where it goes on."""
        replicas = [replica for part in parts for replica in part.replicas]
        so_far = max(replica.epochs_done for replica in replicas)
        if first_failure(replicas) is not None:
            return so_far
        kept = epochs_kept(replicas, self._options)
        return kept if kept < so_far else None


class PartTraining:
    """The training of a unit's part: its replicas side by side in one program.

    Attributes
    ----------
    part : the candidate and its folds; replicas : one for each fold.
    settings, shapes : batch size and epochs, and what is compiled into the program.
    tried : epochs that are trained to compare trials at rungs, which few of them outlive; a program
        compiled with less effort trains these.

    Parameters
    ----------
    phase : the epochs of the phase that the part is in, where the training has phases.
    """

    def __init__(
        self,
        job: Job,
        unit: FusedUnit,
        part: WorkUnit,
        configuration: FusedConfiguration,
        phase: tuple[int, int] | None = None,
    ) -> None:
        self.part, self._phase = part, phase
        self.settings = configuration.settings
        self._job = job
        self._unit = unit
        self._data = read_fit_data(job.data_path)
        self._width = unit.n_replicas
        self._configuration = configuration
        is_first = self._data.folds[part.folds[0]].repeat == 0  # that has the rungs
        epochs = self.settings.epochs
        self.tried = part.span.before_the_last_rung(epochs) if is_first else 0
        self.replicas = [
            FusedReplica(job, self._data, configuration, part, position, phase)
            for position in part.folds
        ]
        batching = configuration.batching
        folds = self._data.folds
        self._slots = None if batching is None else batching.slots(f.train for f in folds)
        self.shapes = self._shapes()
        self._state: State | None = None
        self._built: Any = None  # a network that takes the weights of one replica after the other
        self._padded = [*self.replicas, *self.replicas[-1:] * (self._width - len(self.replicas))]

    @property
    def last(self) -> PartTraining:
        """The training that patience may end."""
        return self

    @property
    def end(self) -> int:
        """The last epoch to train."""
        return self.part.span.end(self.settings.epochs)

    @property
    def failed(self) -> bool:
        """Whether a replica has failed, and with it the part."""
        return first_failure(self.replicas) is not None

    @property
    def blocks(self) -> list[int]:
        """The first epoch of each block to train."""
        firsts, first = [], self.part.first_epoch
        while first < self.end:
            firsts.append(first)
            first = self._after(first)
        return firsts

    def _after(self, first_epoch: int) -> int:
        """Where the block ends that begins with an epoch: by the plan, wherever a unit begins."""
        n_epochs = self.shapes.n_epochs
        is_cut = self._phase is not None and self.part.span.block is not None
        return first_epoch + n_epochs - (first_epoch % n_epochs if is_cut else 0)

    def trained(self) -> UnitResult:
        """The result of all its epochs; nothing of the training is kept."""
        for first_epoch in self.blocks:
            self.train(first_epoch)
        result = self.result(None)
        self._state = None
        return result

    def train(self, first_epoch: int) -> None:
        """Train and score one block of epochs, unless the part has failed."""
        if self.failed:
            return
        n_epochs = min(self._after(first_epoch), self.end) - first_epoch
        # Where what stands after the last epoch is wanted, a network or where the next phase
        # begins, no epoch may follow it.
        ends = self.part.keeps_networks or self._phase is not None
        shapes = replace(self.shapes, n_epochs=n_epochs) if ends else self.shapes
        inputs = self._inputs(shapes, first_epoch)
        state = self._first_state() if self._state is None else self._state
        self._state, losses, outputs = self._program(shapes, first_epoch).run(state, inputs)
        losses, outputs = np.asarray(losses)[:n_epochs], np.asarray(outputs)[:n_epochs]
        for number, replica in enumerate(self.replicas):
            of_rows = {side: outputs[:, number, rows] for side, rows in replica.rows.items()}
            replica.record(self._configuration.form, losses[:, number], of_rows)

    def result(self, kept: int | None) -> UnitResult:
        """What the part gave: its folds, or the first failure among them, by epoch.

        Parameters
        ----------
        kept : epochs that count, where patience ended the training before its last.
        """
        failure = first_failure(self.replicas)
        return UnitResult(
            self.part.without_states(),
            folds=() if failure else self._folds(self.end if kept is None else kept),
            values=self._configuration.values,
            n_params=self._configuration.n_params,
            error=failure.text if failure else None,
        )

    def _folds(self, until: int) -> tuple[FoldResult, ...]:
        since = self.part.span.since
        if self.part.keeps_networks:
            return tuple(
                replace(replica.result(since, until), network=self._network(number))
                for number, replica in enumerate(self.replicas)
            )
        if self.end == self.settings.epochs:
            return tuple(replica.result(since, until) for replica in self.replicas)
        held = self._first_state() if self._state is None else self._state
        state = [[np.asarray(variable) for variable in group] for group in held]
        return tuple(
            replica.result(since, until, [[v[number].copy() for v in group] for group in state])
            for number, replica in enumerate(self.replicas)
        )

    def _network(self, number: int) -> NetworkWeights:
        """The network of a replica as it stands."""
        from hpsearch.engines.fused.packing import assign

        assert self._state is not None
        if self._built is None:
            self._built = self._configuration.build(0)
        assign(self._built, self._state, number)
        return NetworkWeights(NAME, tuple(whole_of(self._built).get_weights()))

    def _first_state(self) -> State:
        """Where the replicas begin: with states of their own, or with those of earlier epochs."""
        from hpsearch.engines.fused.packing import stack_states

        known = self.part.states
        states: list[Any] = [
            self._configuration.initial_state(replica.seed)
            if known is None
            else known[replica.position]
            for replica in self.replicas
        ]
        return stack_states([*states, *states[-1:] * (self._width - len(states))])

    def _program(self, shapes: Shapes, first_epoch: int) -> FusedProgram:
        """What trains the epochs from one on: no bit of them depends on anything but the plan."""
        if first_epoch < self.tried:
            n_visits = max(replica.n_train for replica in self.replicas) * self.tried
            n_weights = self._configuration.n_weights_of_a_row
            effort = effort_of_rungs(n_weights, self._width, n_visits, shapes.effort)
            shapes = replace(shapes, effort=effort)
        return _program(self._job, self._unit, self._configuration, shapes)

    def _shapes(self) -> Shapes:
        from hpsearch.engines.fused.program import Shapes

        settings = self.settings
        sizes = {replica.n_train for replica in self.replicas}
        n_rows = self._data.encoded.n_rows  # the same for every part, as the block of epochs is
        batch_size = padded_size(settings.batch_size, n_rows)
        n_steps = self._slots.n_steps if self._slots else -(-max(sizes) // batch_size)
        cells = n_rows * (1 + self._configuration.form.n_units)
        cells += cells_of_bags(self._configuration.bags, n_rows, batch_size)
        first, last = self._phase or (0, settings.epochs)
        budget = last - first
        n_epochs = min(budget, epochs_of_a_call(self._width * cells))
        if self._job.options.patience:
            n_epochs = min(n_epochs, STOP_CHECK_EPOCHS)
        rung = self.part.span.block
        n_visits = max(sizes) * budget
        return Shapes(
            batch_size=batch_size,
            n_steps=n_steps,
            n_epochs=_largest_divisor(rung, n_epochs)
            if rung
            else -(-budget // -(-budget // n_epochs)),
            pads=any(size % batch_size for size in sizes),
            idles=any(-(-size // batch_size) < n_steps for size in sizes),
            lengths=self._slots.batching.buckets.steps if self._slots else (),
            predicts=True,
            n_pieces=self._n_pieces(batch_size),
            effort=effort_of(self._configuration.n_weights_of_a_row, UNIT_SIZES[0], n_visits),
        )

    def _n_pieces(self, batch_size: int) -> int:
        """Pieces of words that batches are padded to, whatever else the unit holds."""
        bags = self._configuration.bags
        if bags is None:
            return 0
        [replica] = self.replicas
        orders = (replica.order(epoch) for epoch in range(self.settings.epochs))
        return bags.needed(orders, batch_size)

    def _inputs(self, shapes: Shapes, first_epoch: int) -> dict[str, Any]:
        from hpsearch.engines.fused.program import block_inputs

        replicas, bags = self._padded, self._configuration.bags
        words: dict[str, Any] = {}
        if bags is not None:
            parts = [r.bags(bags, shapes, first_epoch) for r in replicas]
            words["bags"] = np.stack(parts, axis=2)
            form = self._configuration.input_form
            words["places"] = places_on_device(self._job.data_path, replicas[0].position, form)
        return block_inputs(
            **words,
            **loss_weights(self._data, [r.position for r in replicas]),
            **fold_numbers(self._data, [r.position for r in replicas]),
            **self._steps(shapes, first_epoch),
            n_train=np.array([r.n_train for r in replicas], np.int32),
            last_step=np.full(len(replicas), np.iinfo(np.int32).max, np.int32),
            first_step=np.int32(first_epoch * shapes.n_steps),
            rates=np.stack([r.numbers.rates for r in replicas]),
            penalties=np.stack([r.numbers.penalties for r in replicas]),
            activity_penalties=np.stack([r.numbers.activity_penalties for r in replicas]),
            weight_decay=np.array([r.numbers.weight_decay for r in replicas], np.float32),
            statistics=design_statistics(
                self._data,
                [r.position for r in replicas],
                self._configuration.input_form.names,
            ),
            y=None if shared_target(self._data) else np.stack([r.scaled_target for r in replicas]),
        )

    def _steps(self, shapes: Shapes, first_epoch: int) -> dict[str, Any]:
        """The rows and learning rates of each step of a block, of all replicas."""
        if self._slots is None:
            parts = [
                {
                    "order": r.orders(shapes, first_epoch),
                    "learning_rates": r.learning_rates(shapes, first_epoch),
                }
                for r in self._padded
            ]
            buckets = {}
        else:
            slots, epochs = self._slots, range(first_epoch, first_epoch + shapes.n_epochs)
            parts = [r.slotted(slots, shapes, epochs) for r in self._padded]
            buckets = {"bucket": np.stack([slots.buckets(epoch) for epoch in epochs])}
        return {name: np.stack([p[name] for p in parts], axis=2) for name in parts[0]} | buckets


class PhasedPart:
    """The training of a unit's part in phases, each of which is a program of its own."""

    def __init__(
        self, job: Job, unit: FusedUnit, part: WorkUnit, configuration: FusedConfiguration
    ) -> None:
        self._job, self._unit, self._part = job, unit, part
        self._configuration = configuration
        self._results: list[UnitResult] = []
        self._phases: dict[int, tuple[Job, FusedConfiguration]] = {}

    @cached_property
    def last(self) -> PartTraining:
        """The training of the last phase that the part comes to, after those before it."""
        _ = self._configuration.network  # which tells the phases
        spans, states = self._configuration.phases, self._part.states
        training = None
        for cut in phases.cuts(self._part, spans):
            if training is not None:
                self._results.append(training.trained())
                states = phases.states_of(self._results[-1])
            job, configuration = self._in(cut.number)
            if cut.begins:
                _, before = self._in(cut.number - 1)
                states = {p: configuration.entered(before, s) for p, s in (states or {}).items()}
            unit = replace(self._unit, key=f"{self._unit.key}-{cut.number}")
            part = cut.unit(self._part, states)
            training = PartTraining(job, unit, part, configuration, spans[cut.number])
            if any(result.error is not None for result in self._results):
                break
        assert training is not None
        return training

    def _in(self, number: int) -> tuple[Job, FusedConfiguration]:
        """The job and the configuration of a phase."""
        if number not in self._phases:
            configuration = self._configuration
            of_phase = configuration.in_phase(number) if number else configuration
            self._phases[number] = shortened(self._job, of_phase)
        return self._phases[number]

    def trained(self) -> UnitResult:
        """The result of all its epochs."""
        last = self.last
        if not self._has_failed:
            for first_epoch in last.blocks:
                last.train(first_epoch)
        return self.result(None)

    def result(self, kept: int | None) -> UnitResult:
        """What the part gave; as ``PartTraining.result``."""
        results = self._results
        if not self._has_failed:
            results = [*results, self.last.result(kept)]
        return phases.joined(self._part, results, self._configuration.phases)

    @property
    def failed(self) -> bool:
        """Whether an earlier phase has failed, and with it the part."""
        _ = self.last
        return self._has_failed

    @property
    def _has_failed(self) -> bool:
        return any(result.error is not None for result in self._results)


def _largest_divisor(number: int, most: int) -> int:
    return next(d for d in range(min(number, most), 0, -1) if number % d == 0)


def cells_of_bags(bags: Bags | None, n_rows: int, batch_size: int) -> int:
    """Numbers that name the words of all rows in an epoch's batches."""
    return 0 if bags is None else 2 * -(-n_rows // batch_size) * bags.usual(batch_size)


def epochs_of_a_call(n_cells: int) -> int:
    """Epochs that a call of a program trains, where one of them takes so many cells of 4 bytes."""
    return max(1, BLOCK_BYTES // (4 * n_cells))


_programs: dict[tuple[Any, ...], FusedProgram] = {}

MAX_PROGRAMS, MAX_LARGE_PROGRAMS = 16, 4
"""Programs that a worker keeps: one of a small network takes some 5 MB, and the fifth of a second
to make it again is ten times what one trial takes, where an oracle asks for one after the other."""

LARGE_NETWORK = 100_000
"""Parameters from which a network counts as large: its programs hold its variables as well."""


def _program(
    job: Job, unit: FusedUnit, configuration: FusedConfiguration, shapes: Shapes
) -> FusedProgram:
    """The unit's compiled program; those that this process used last are kept."""
    from hpsearch.engines.fused.program import FusedProgram

    key = (job.data_path, unit.key, unit.n_replicas, shapes)
    program = _programs.pop(key, None)
    if program is None:
        data = read_fit_data(job.data_path)
        table = table_on_device(
            job.data_path, configuration.form.target_form, len(data.target.labels)
        )
        is_large = configuration.n_params >= LARGE_NETWORK
        while len(_programs) >= (MAX_LARGE_PROGRAMS if is_large else MAX_PROGRAMS):
            _programs.pop(next(iter(_programs)))
        name = hashlib.sha256(repr(key[1:]).encode()).hexdigest()
        kept = Path(here(job.data_path)).parent / "programs" / name
        program = FusedProgram(
            configuration.build(0),
            table,
            data.layout,
            configuration.input_form,
            shapes,
            configuration.bags,
            kept,
            None if configuration.batching is None else configuration.batching.buckets,
        )
    _programs[key] = program
    return program
