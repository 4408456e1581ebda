"""Scoring: one session in which an engine scores candidates of one space on fixed folds.

Joins what a search and a cross-validation share: the table encoded once, the statistics of every
fold's training rows, the worker processes, and the check that a space works at all before any
training starts.
"""

from __future__ import annotations

import math
import operator
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from hpsearch.data import Dataset
from hpsearch.engines import AUTO, engine_kind
from hpsearch.engines.backend import signals_wait
from hpsearch.engines.choose import Choice, first_choice, second_choice, third_choice
from hpsearch.engines.contract import (
    Engine,
    FitOptions,
    FoldResult,
    Job,
    Span,
    UnitResult,
    WorkUnit,
)
from hpsearch.engines.fit_data import (
    FitData,
    problem_of,
    read_fit_data,
    smallest_training_set,
    training_target,
    write_fit_data,
)
from hpsearch.engines.kind import EngineKind
from hpsearch.engines.pace import few_batches, is_very_large, seconds_per_epoch
from hpsearch.engines.probe import Probe, settle
from hpsearch.engines.workers import (
    Backend,
    Lost,
    Machines,
    Workers,
    machines,
    of_backend,
    return_freed_memory,
)
from hpsearch.errors import HpsearchError
from hpsearch.folds import Fold
from hpsearch.preprocessing import Encoded, Layout, Statistics, encode, fit_statistics
from hpsearch.results.journal import NoJournal, Recorder, check_asked
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.scoring.stages import Stage
from hpsearch.scoring.trials import TrialResult, combine, slimmed
from hpsearch.space.space import Candidate, Space, fit_settings
from hpsearch.task import Problem

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

ScaleTarget = Literal["auto", True, False]
NO_JOURNAL: Final = NoJournal()
SILENT: Final = SilentObserver()


@dataclass(frozen=True)
class SessionPlan:
    """What a session scores with.

    Attributes
    ----------
    space, fixes : the networks, and the hyperparameters that are held.
    engine : ``"auto"``, or an engine's name.
    options : how candidates are trained.
    jobs : units that are trained at the same time; None for as many as the machines take.
    backend, address : the machines; as in ``Search``.
    trial_timeout : seconds that a work unit may take; None for any time.
    scale_target : standardise a regression target; ``"auto"`` does where the last layer is linear
        and the loss measures a distance, as a network with a positive output could not follow.
    max_levels, max_words : slots of a category or word column.
    must_save : whether networks must be loadable without the space's code.
    """

    space: Space
    fixes: Mapping[str, Any]
    engine: str
    options: FitOptions
    jobs: int | None
    scale_target: ScaleTarget
    max_levels: int
    max_words: int
    must_save: bool
    trial_timeout: float | None = None
    backend: Backend = "loky"
    address: str | None = None


class Session:
    """Scores candidates; a context manager that owns worker processes and a scratch folder.

    With ``like``, an open session on other rows of the same table, it takes over that one's
    worker processes, engine and probe.
    """

    choice: Choice
    workers: Workers
    probe: Probe
    _machines: Machines

    def __init__(
        self,
        plan: SessionPlan,
        dataset: Dataset,
        folds: Sequence[Fold],
        note: Callable[[str], None] = lambda text: None,
        like: Session | None = None,
    ) -> None:
        self.plan = plan
        self._like = like
        self._note = note
        self._dataset = dataset
        self._folds = tuple(folds)
        self._counted: set[tuple[int, int]] = set()
        self.layout = Layout.of(
            dataset.schema, max_levels=plan.max_levels, max_words=plan.max_words
        )

    def __enter__(self) -> Session:
        self._exit = ExitStack()
        self._scratch = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-"))
        self._states = _States(self.scratch)
        if self._like is not None:
            like = self._like
            self.choice, self.workers, self._machines = like.choice, like.workers, like._machines
            return self
        try:
            self.choice = first_choice(self.plan.engine, self.layout, self.plan.space)
            self._machines = self._exit.enter_context(
                machines(
                    of_backend(self.plan.backend, self.plan.address), self.plan.jobs, self._note
                )
            )
            self.workers = self._start_workers(self.choice.kind)
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit.__exit__(kind, error, traceback)

    @property
    def jobs(self) -> int:
        """Units that are trained at the same time."""
        return self._machines.jobs

    @property
    def scratch(self) -> Path:
        """A folder for files that nobody keeps."""
        return Path(self._scratch)

    def prepare(self) -> HyperParameters:
        """Declare the space, try its default network, fit the statistics; before any training.

        Raises
        ------
        SpaceError
            If the space raises, or its network doesn't fit the rows, the problem or the export.
        """
        with signals_wait():
            from keras_tuner import HyperParameters

        from hpsearch.space.hyperparameters import active_values

        encoded = encode_dataset(self._dataset)
        problem = self._problem()
        declared = (
            self.plan.space.declared(problem, self.plan.fixes) if self.plan.space.declares else None
        )
        defaults = None if declared is None else active_values(declared, declared.values)
        probe = self._probe(problem, defaults) if self._like is None else self._like.probe
        if declared is None:
            declared = HyperParameters.from_config(probe.hyperparameters)
        self.scales_target = self._dataset.target.kind == "regression" and (
            probe.scalable_target if self.plan.scale_target == "auto" else self.plan.scale_target
        )
        data = fit_data(
            self._dataset, encoded, self._folds, self.layout, scale_target=self.scales_target
        )
        self.data = data.without_features()
        seen = training_target(data.target, data.y, data.refit_statistics)
        self.probe = probe.facing(data.target, seen)
        self.job = Job(
            data_path=self._write_for_all(data),
            space=self.plan.space.to_bytes(),
            fixes=tuple(self.plan.fixes.items()),
            options=self.plan.options,
        )
        fallback, undecided = self.choice.kind.fallback, self.plan.engine == AUTO
        if undecided and fallback is not None and self._like is None and not probe.on_gpu:
            defaults = active_values(declared, declared.values)
            self._try_both_if_very_large(engine_kind(fallback), defaults)
        return declared

    def _write_for_all(self, data: FitData) -> str:
        """Write the data where all workers, on whichever machine, find them."""
        folder = self.scratch / "data"
        folder.mkdir()
        path = write_fit_data(data, folder)
        self._machines.share(folder)
        return path

    def _probe(self, problem: Problem, defaults: Mapping[str, Any] | None) -> Probe:
        """Try the default network where it will train; that may change the engine."""
        plan = self.plan

        def probe() -> Probe:
            return self.workers.call(
                self.choice.kind.probe,
                plan.space.to_bytes(),
                problem,
                self._dataset.target,
                dict(plan.fixes),
                defaults,
                plan.must_save,
            )

        found = probe()
        choice = second_choice(plan.engine, self.choice, found)
        if choice.engine == self.choice.engine:
            return found
        self.choice, self.workers = choice, self._start_workers(choice.kind)
        return probe()

    def _try_both_if_very_large(self, fallback: EngineKind, defaults: Mapping[str, Any]) -> None:
        """Have both engines train the default network for a moment where that pays."""
        n_params, epochs = self.probe.n_params, self.plan.options.epochs
        if not is_very_large(n_params, self.data, epochs):
            return
        self._note(
            f"The network has {n_params:,} parameters: trying both engines on a few batches."
        )
        candidate = Candidate(0, dict(defaults))
        job = few_batches(self.job, candidate, n_params, self.scratch / "pace")
        self._machines.share(self.scratch / "pace")

        def seconds(kind: EngineKind, workers: Workers) -> float | None:
            def made(job: Job) -> Engine:
                return kind.make(workers, job, read_fit_data(job.data_path), _no_fallback)

            return seconds_per_epoch(made, job, candidate)

        workers = self._start_workers(fallback)
        ours, theirs = seconds(self.choice.kind, self.workers), seconds(fallback, workers)
        self.choice = third_choice(self.choice, ours, theirs)
        if self.choice.engine == fallback.name:
            self.workers = workers

    def _start_workers(self, kind: EngineKind) -> Workers:
        workers = self._machines.start(
            kind.warm_up,
            environment=kind.environment,
            pin=kind.pins,
            timeout=self.plan.trial_timeout,
        )
        return self._exit.enter_context(workers)

    @cached_property
    def _engine(self) -> Engine:
        return self.choice.kind.make(self.workers, self.job, self.data, self._fall_back)

    @cached_property
    def _second_engine(self) -> Engine:
        """What scores networks that the chosen engine cannot train; its workers start now."""
        kind = engine_kind(str(self.choice.kind.fallback))
        return kind.make(self._start_workers(kind), self.job, self.data, _no_fallback)

    def _fall_back(self, work: Sequence[WorkUnit], reason: str) -> Iterator[UnitResult]:
        """Score what the chosen engine cannot train."""
        n_candidates = len({unit.candidate.trial for unit in work})
        self._note(
            f"{n_candidates} candidates go to the {self.choice.kind.fallback} engine: the "
            f"{self.choice.engine} one cannot train them ({reason})."
        )
        yield from self._second_engine.score(work)

    @cached_property
    def every_fold(self) -> Stage:
        """All folds, all epochs."""
        return Stage(tuple(range(len(self._folds))))

    def score(
        self,
        candidates: Sequence[Candidate],
        journal: Recorder = NO_JOURNAL,
        observer: Observer = SILENT,
        stage: Stage | None = None,
        *,
        is_last: bool = True,
    ) -> Iterator[TrialResult]:
        """Score candidates; each comes as soon as all that the stage asks for is there.

        What the journal holds is not trained again, and what is trained is recorded in it.

        Parameters
        ----------
        stage : the folds and epochs to score, those of earlier stages included; all by default.
        is_last : whether no stage comes after it; ``finish`` each trial yourself otherwise.
        """
        stage = stage or self.every_fold
        return_freed_memory()  # after encoding and statistics, and after each trial
        arrived: dict[int, list[UnitResult]] = {}
        waiting: dict[int, int] = {}
        work: list[WorkUnit] = []
        for candidate in self._settled(candidates):
            units = self._recorded(candidate, stage, journal)
            missing = self._missing(candidate, stage, units)
            self._count(observer, candidate, units)
            if missing:
                arrived[candidate.trial] = units
                waiting[candidate.trial] = sum(len(unit.folds) for unit in missing)
                work += missing
            else:
                yield self._combine(candidate, units)
        if not work:
            return
        observer.training_started()
        for arriving in self._engine.score(work):
            result = self._states.kept(arriving)
            candidate, trial = result.unit.candidate, result.unit.candidate.trial
            units = arrived[trial]
            units.append(result)
            waiting[trial] -= len(result.unit.folds)
            ended = self._combine(candidate, units) if waiting[trial] == 0 else None
            journal.record(self._slimmed(ended, units) if ended and is_last else [result])
            self._count(observer, candidate, [result])
            if ended is not None:
                del arrived[trial]
                if is_last:
                    self._states.forget(trial)
                yield ended
                return_freed_memory()

    def _settled(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates, in their order, without what steers a fit and their build leaves out."""
        steering = {"batch_size", "epochs"}
        doubtful = [c for c in candidates if steering & c.values.keys()]
        if self.plan.space.declares or not doubtful:
            return list(candidates)
        tasks = [(self.job, candidate) for candidate in doubtful]
        outcomes = self.workers.map_unordered(settle, tasks)
        settled = {o.trial: o for o in outcomes if not isinstance(o, Lost)}
        return [settled.get(candidate.trial, candidate) for candidate in candidates]

    def finish(self, trial: TrialResult, stage: Stage, journal: Recorder) -> None:
        """Let go of what only a later stage of a trial would have needed."""
        self._states.forget(trial.candidate.trial)
        recorded = journal.units(trial.candidate.trial)
        units = self._parts_of(recorded, trial.candidate, stage)
        if len(units) == len(recorded) and all(map(operator.is_, units, recorded)):
            journal.record(self._slimmed(trial, units))

    def restore_predictions(self, trial: TrialResult, journal: Recorder) -> TrialResult:
        """A trial with all its predictions: from the journal, or made again where it let them go.

        Training a fold again gives the same numbers, so nothing else changes.

        Raises
        ------
        HpsearchError
            If the training fails this time.
        """
        stage = Stage(trial.positions)
        recorded = journal.units(trial.candidate.trial)
        asked = trial.asked
        units = self._parts_of(recorded, asked, stage)
        trial = self._combine(asked, units)
        arrays = zip(trial.positions, trial.predictions, strict=True)
        gone = tuple(position for position, array in arrays if array is None)
        if not gone:
            return trial
        self._note(
            f"The predictions of trial {asked.trial} at its best epoch were let go; "
            "they are made again."
        )
        made: dict[int, FoldResult] = {}
        blocks = {p: unit.unit.span.block for unit in units for p in unit.unit.folds}
        work = [
            WorkUnit(asked, tuple(p for p in gone if blocks[p] == block), Span(block=block))
            for block in sorted({blocks[p] for p in gone}, key=str)
        ]
        for result in self._engine.score(work):
            if result.error is not None:
                raise HpsearchError(
                    f"The predictions of trial {asked.trial} at its best epoch could not be made "
                    f"again: {result.error}. Resume the run to try once more."
                )
            made |= {fold.position: fold for fold in result.folds}
        units = [replace(u, folds=tuple(_again(f, made) for f in u.folds)) for u in units]
        restored = self._combine(asked, units)
        journal.record(self._slimmed(restored, units))
        return restored

    def _recorded(self, candidate: Candidate, stage: Stage, journal: Recorder) -> list[UnitResult]:
        """What the journal holds of a stage; no part of it where all folds stop together."""
        units = journal.units(candidate.trial)
        check_asked(units, candidate)
        found = self._parts_of(units, candidate, stage)
        missing = self._missing(candidate, stage, found)
        if self.plan.options.patience and missing:
            return []
        # What comes after epochs that are missing is trained again with them.
        again = {position: unit.span.since for unit in missing for position in unit.folds}
        return [
            part
            for part in found
            if all(part.unit.span.since < again.get(p, math.inf) for p in part.unit.folds)
        ]

    def _parts_of(
        self, units: Sequence[UnitResult], candidate: Candidate, stage: Stage
    ) -> list[UnitResult]:
        """What a stage asks for, out of what there is."""
        epochs = self._epochs(candidate)
        end = stage.span(epochs).end(epochs)
        parts = (_part_of(u, stage.folds, end) for u in units if u.unit.span.since < end)
        return [part for part in parts if part.unit.folds]

    def _missing(
        self, candidate: Candidate, stage: Stage, units: Sequence[UnitResult]
    ) -> list[WorkUnit]:
        """What has to be trained; folds that stand at the same epoch go together."""
        epochs = self._epochs(candidate)
        span = stage.span(epochs)
        reached = dict.fromkeys(stage.folds, 0)
        for unit in sorted(units, key=lambda unit: unit.unit.span.since):
            ended = unit.error is not None or self.plan.options.patience
            for position in unit.unit.folds:
                if ended:
                    reached[position] = epochs
            for fold in unit.folds:
                if fold.since == reached[fold.position]:
                    reached[fold.position] = fold.until
        groups: dict[tuple[int, bool], list[int]] = {}
        for position, since in reached.items():
            if since < span.end(epochs):
                has_state = self._states.has(candidate.trial, position, since)
                groups.setdefault((since, has_state), []).append(position)
        return [
            WorkUnit(
                candidate,
                tuple(positions),
                replace(span, since=since),
                self._states.read(candidate.trial, positions) if has_state else None,
            )
            for (since, has_state), positions in groups.items()
        ]

    def _epochs(self, candidate: Candidate) -> int:
        options = self.plan.options
        return fit_settings(candidate.values, options.batch_size, options.epochs).epochs

    def _count(self, observer: Observer, candidate: Candidate, units: Sequence[UnitResult]) -> None:
        """Tell of replicas that are trained to the end, each once."""
        epochs, trial = self._epochs(candidate), candidate.trial
        for unit in units:
            if unit.error is None and unit.unit.span.end(epochs) < epochs:
                continue
            new = {(trial, position) for position in unit.unit.folds} - self._counted
            if new:
                self._counted |= new
                observer.folds_done(trial, len(new))

    def _combine(self, candidate: Candidate, units: Sequence[UnitResult]) -> TrialResult:
        return combine(candidate, units, self.data, self.plan.options.metrics)

    def _slimmed(self, trial: TrialResult, units: Sequence[UnitResult]) -> list[UnitResult]:
        return slimmed(trial, units, self.data, self.plan.options.metrics)

    def _problem(self) -> Problem:
        return problem_of(
            self._dataset.target,
            self.layout,
            n_train=smallest_training_set(self._folds),
            epochs=self.plan.options.epochs,
        )


def _no_fallback(work: Sequence[WorkUnit], reason: str) -> Iterator[UnitResult]:
    """Leave unscored what an engine cannot train, where another one would show nothing."""
    return iter(())


def _part_of(result: UnitResult, positions: Sequence[int], end: int) -> UnitResult:
    """The part of a result on some folds, up to an epoch; the result itself where that is all."""
    unit = result.unit
    folds = tuple(position for position in unit.folds if position in positions)
    if folds == unit.folds and all(fold.until <= end for fold in result.folds):
        return result
    kept = (fold for fold in result.folds if fold.position in positions)
    cut = tuple(fold if fold.until <= end else fold.between(fold.since, end) for fold in kept)
    return replace(result, unit=replace(unit, folds=folds), folds=cut)


def _again(fold: FoldResult, made: Mapping[int, FoldResult]) -> FoldResult:
    """A recorded part of a fold, out of a training of the whole fold where there is one."""
    whole = made.get(fold.position)
    return fold if whole is None else whole.between(fold.since, fold.until)


class _States:
    """Where unfinished trainings stand: files of this session, so that they take no memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._epochs: dict[tuple[int, int], int] = {}

    def kept(self, result: UnitResult) -> UnitResult:
        """Keep the states of a result; the result without them."""
        for fold in result.folds:
            if fold.state is not None:
                key = result.unit.candidate.trial, fold.position
                self._path(*key).write_bytes(pickle.dumps(fold.state, pickle.HIGHEST_PROTOCOL))
                self._epochs[key] = fold.until
        return replace(result, folds=tuple(replace(fold, state=None) for fold in result.folds))

    def has(self, trial: int, position: int, epoch: int) -> bool:
        """Whether a fold's state after so many epochs is here."""
        return self._epochs.get((trial, position)) == epoch

    def read(self, trial: int, positions: Sequence[int]) -> dict[int, Any]:
        """Each fold's state."""
        return {p: pickle.loads(self._path(trial, p).read_bytes()) for p in positions}

    def forget(self, trial: int) -> None:
        """Let go of a trial's states."""
        for key in [key for key in self._epochs if key[0] == trial]:
            self._path(*key).unlink()
            del self._epochs[key]

    def _path(self, trial: int, position: int) -> Path:
        return self._folder / f"state-{trial}-{position}.pickle"


def encode_dataset(dataset: Dataset) -> Encoded:
    """A dataset's rows as plain arrays."""
    return encode(dataset.schema, dataset.frame, dataset.arrays, dataset.n_rows)


def fit_data(
    dataset: Dataset,
    encoded: Encoded,
    folds: Sequence[Fold],
    layout: Layout,
    *,
    scale_target: bool,
) -> FitData:
    """Everything that training needs: statistics fitted on each fold's training rows alone."""

    def statistics(rows: Any) -> Statistics:
        return fit_statistics(encoded, dataset.y, rows, layout, scale_target=scale_target)

    return FitData(
        encoded=encoded,
        y=dataset.y,
        target=dataset.target,
        layout=layout,
        folds=tuple(folds),
        statistics=Statistics.stack([statistics(fold.train) for fold in folds]),
        refit_statistics=statistics(np.arange(dataset.n_rows)),
    )
