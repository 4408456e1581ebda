"""Scoring: one session in which an engine scores candidates of one space on fixed folds.

Joins what a search and a cross-validation share: the table encoded once, the statistics of every
fold's training rows, the worker processes, and the check that a space works at all before any
training starts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from hpsearch.data import Dataset
from hpsearch.engines.base import (
    Engine,
    FitData,
    FitOptions,
    FoldResult,
    Job,
    UnitResult,
    WorkUnit,
    problem_of,
    read_fit_data,
    smallest_training_set,
    write_fit_data,
)
from hpsearch.engines.choose import (
    Choice,
    EngineOption,
    first_choice,
    second_choice,
    third_choice,
)
from hpsearch.engines.fused import FusedEngine, import_jax
from hpsearch.engines.pace import few_batches, is_very_large, seconds_per_epoch
from hpsearch.engines.probe import Probe, probe_space
from hpsearch.engines.reference import ReferenceEngine, import_tensorflow
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Workers, return_freed_memory
from hpsearch.errors import HpsearchError
from hpsearch.folds import Fold
from hpsearch.observer import Observer, SilentObserver
from hpsearch.preprocessing import Encoded, Layout, Statistics, encode, fit_statistics
from hpsearch.results.journal import NoJournal, Recorder, check_asked
from hpsearch.space import Candidate, Space
from hpsearch.task import Problem
from hpsearch.trials import TrialResult, combine, slimmed

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
    engine : ``"auto"``, ``"fused"`` or ``"keras"``.
    options : how candidates are trained.
    jobs : worker processes.
    trial_timeout : seconds that a work unit may take; None for any time.
    scale_target : standardise a regression target; ``"auto"`` does where the last layer is linear
        and the loss measures a distance, as a network with a positive output could not follow.
    max_levels, max_words : slots of a category or word column.
    must_save : whether networks must be loadable without the space's code.
    """

    space: Space
    fixes: Mapping[str, Any]
    engine: EngineOption
    options: FitOptions
    jobs: int
    scale_target: ScaleTarget
    max_levels: int
    max_words: int
    must_save: bool
    trial_timeout: float | None = None


class Session:
    """Scores candidates; a context manager that owns worker processes and a scratch folder.

    With ``like``, an open session on other rows of the same table, it takes over that one's
    worker processes, engine and probe.
    """

    choice: Choice
    workers: Workers
    probe: Probe

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
        self.layout = Layout.of(
            dataset.schema, max_levels=plan.max_levels, max_words=plan.max_words
        )

    def __enter__(self) -> Session:
        self._exit = ExitStack()
        self._scratch = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-"))
        if self._like is not None:
            self.choice, self.workers = self._like.choice, self._like.workers
            return self
        self.choice = first_choice(self.plan.engine, self.layout, self.plan.space)
        self.workers = self._start_workers(self.choice)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit.__exit__(kind, error, traceback)

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
        from keras_tuner import HyperParameters

        from hpsearch.hyperparameters import active_values

        encoded = encode_dataset(self._dataset)
        problem = self._problem()
        declared = (
            self.plan.space.declared(problem, self.plan.fixes) if self.plan.space.declares else None
        )
        defaults = None if declared is None else active_values(declared, declared.values)
        probe = self._probe(problem, defaults) if self._like is None else self._like.probe
        if declared is None:
            declared = HyperParameters.from_config(probe.hyperparameters)
        self.probe = probe
        self.scales_target = self._dataset.target.kind == "regression" and (
            probe.scalable_target if self.plan.scale_target == "auto" else self.plan.scale_target
        )
        data = fit_data(
            self._dataset, encoded, self._folds, self.layout, scale_target=self.scales_target
        )
        self.data = data.without_features()
        self.job = Job(
            data_path=write_fit_data(data, self.scratch),
            space=self.plan.space.to_bytes(),
            fixes=tuple(self.plan.fixes.items()),
            options=self.plan.options,
        )
        undecided = self.plan.engine == "auto" and self._like is None
        if undecided and self.choice.engine == "fused" and not probe.on_gpu:
            self._try_both_if_very_large(active_values(declared, declared.values))
        return declared

    def _probe(self, problem: Problem, defaults: Mapping[str, Any] | None) -> Probe:
        """Try the default network where it will train; that may change the engine."""
        plan = self.plan

        def probe() -> Probe:
            return self.workers.call(
                probe_space,
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
        self.choice, self.workers = choice, self._start_workers(choice)
        return probe()

    def _try_both_if_very_large(self, defaults: Mapping[str, Any]) -> None:
        """Have both engines train the default network for a moment where that pays."""
        n_params, epochs = self.probe.n_params, self.plan.options.epochs
        if not is_very_large(n_params, self.data, epochs):
            return
        self._note(
            f"The network has {n_params:,} parameters: trying both engines on a few batches."
        )
        candidate = Candidate(0, dict(defaults))
        job = few_batches(self.job, candidate, n_params, self.scratch / "pace")

        def fused(job: Job) -> Engine:
            return FusedEngine(self.workers, job, read_fit_data(job.data_path), lambda *_: iter(()))

        workers = self._start_workers(Choice("keras", ""))
        ours = seconds_per_epoch(fused, job, candidate)
        theirs = seconds_per_epoch(lambda job: ReferenceEngine(workers, job), job, candidate)
        self.choice = third_choice(self.choice, ours, theirs)
        if self.choice.engine == "keras":
            self.workers = workers

    def _start_workers(self, choice: Choice) -> Workers:
        fused = choice.engine == "fused"
        workers = Workers(
            self.plan.jobs,
            import_jax if fused else import_tensorflow,
            environment=WORKER_ENVIRONMENTS[choice.backend],
            pin=fused,
            timeout=self.plan.trial_timeout,
        )
        return self._exit.enter_context(workers)

    def _engine(self) -> Engine:
        if self.choice.engine == "fused":
            return FusedEngine(self.workers, self.job, self.data, self._score_by_reference)
        return ReferenceEngine(self.workers, self.job)

    def _score_by_reference(self, work: Sequence[WorkUnit], reason: str) -> Iterator[UnitResult]:
        """Score what the fused engine cannot trace."""
        self._note(
            f"{len(work)} candidates go to the keras engine: the fused one cannot train "
            f"them ({reason})."
        )
        workers = self._start_workers(Choice("keras", reason))
        yield from ReferenceEngine(workers, self.job).score(work)

    def score(
        self,
        candidates: Sequence[Candidate],
        journal: Recorder = NO_JOURNAL,
        observer: Observer = SILENT,
    ) -> Iterator[TrialResult]:
        """Score candidates on every fold; each comes as soon as all its folds are there.

        What the journal holds is not trained again, and what is trained is recorded in it.
        """
        return_freed_memory()  # after encoding and statistics, and after each trial
        arrived: dict[int, list[UnitResult]] = {}
        work = []
        for candidate in candidates:
            units = self._recorded(candidate, journal)
            missing = self._missing(units)
            if missing:
                arrived[candidate.trial] = units
                work.append(WorkUnit(candidate, missing))
                if units:
                    observer.folds_done(candidate.trial, len(self._folds) - len(missing))
            else:
                yield self._combine(candidate, units)
        if not work:
            return
        observer.training_started()
        for result in self._engine().score(work):
            candidate = result.unit.candidate
            units = arrived[candidate.trial]
            units.append(result)
            trial = None if self._missing(units) else self._combine(candidate, units)
            journal.record([result] if trial is None else self._slimmed(trial, units))
            observer.folds_done(candidate.trial, len(result.unit.folds))
            if trial is not None:
                del arrived[candidate.trial]
                yield trial
                return_freed_memory()

    def restore_predictions(self, trial: TrialResult, journal: Recorder) -> TrialResult:
        """A trial with all its predictions: those that were let go are made again.

        Training a fold again gives the same numbers, so nothing else changes.

        Raises
        ------
        HpsearchError
            If the training fails this time.
        """
        gone = tuple(p for p, array in enumerate(trial.predictions) if array is None)
        if not gone:
            return trial
        units = journal.units(trial.candidate.trial)
        asked = units[0].unit.candidate
        made: dict[int, FoldResult] = {}
        for result in self._engine().score([WorkUnit(asked, gone)]):
            if result.error is not None:
                raise HpsearchError(
                    f"The predictions of trial {asked.trial} at its best epoch could not be made "
                    f"again: {result.error}. Resume the run to try once more."
                )
            made |= {fold.position: fold for fold in result.folds}
        units = [replace(u, folds=tuple(made.get(f.position, f) for f in u.folds)) for u in units]
        restored = self._combine(asked, units)
        journal.record(self._slimmed(restored, units))
        return restored

    def _recorded(self, candidate: Candidate, journal: Recorder) -> list[UnitResult]:
        """What the journal holds of a candidate; no part of it where all folds stop together."""
        units = journal.units(candidate.trial)
        check_asked(units, candidate)
        return [] if self.plan.options.patience and self._missing(units) else units

    def _missing(self, units: Sequence[UnitResult]) -> tuple[int, ...]:
        """The positions of the folds that no unit has."""
        there = {position for result in units for position in result.unit.folds}
        return tuple(p for p in range(len(self._folds)) if p not in there)

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
