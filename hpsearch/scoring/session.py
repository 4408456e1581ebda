"""Scoring: one session in which an engine scores candidates of one space on fixed folds.

Joins what a search and a cross-validation share: the rows, the crew that trains, and the record of
what was trained. What of a stage is missing belongs to ``progress``, the engine and its processes
to ``crew``.
"""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.engines.backend import import_keras_tuner
from hpsearch.engines.choose import Choice
from hpsearch.engines.contract import Engine, FoldResult, Job, Span, UnitResult, WorkUnit
from hpsearch.engines.fit_data import (
    problem_of,
    smallest_training_set,
    training_target,
    write_fit_data,
)
from hpsearch.engines.lookups import told
from hpsearch.engines.probe import settle
from hpsearch.engines.workers import Lost, Workers, limit_of_call, return_freed_memory
from hpsearch.errors import HpsearchError
from hpsearch.folds import Fold
from hpsearch.preprocessing import Encoded, Layout, raw_range
from hpsearch.results.journal import NoJournal, Recorder, check_asked
from hpsearch.scoring.crew import Crew, Note
from hpsearch.scoring.fold_networks import FoldNetworks, fold_networks
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.scoring.prepared import Prepared, prepare_rows, write_raw_rows
from hpsearch.scoring.progress import Goal, made_again
from hpsearch.scoring.rows import encode_beside, encode_dataset, fit_data
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.scoring.stages import Stage
from hpsearch.scoring.states import States
from hpsearch.scoring.trials import TrialResult, combine, slimmed
from hpsearch.space.guards import time_limit
from hpsearch.space.hyperparameters import Values, active_values, narrow
from hpsearch.space.space import Candidate, check_steering, fit_settings
from hpsearch.system import signals_wait
from hpsearch.task import Problem
from hpsearch.transformers.fitting import columns_given

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

NO_JOURNAL: Final = NoJournal()
SILENT: Final = SilentObserver()


def _say_nothing(text: str) -> None:
    pass


class Session:
    """Scores candidates; a context manager that owns a scratch folder, and its crew.

    Attributes
    ----------
    plan : what it scores with.
    crew : the engine and its processes.
    data : the rows without their features, once the session is prepared.
    job : what workers need beside a unit.
    declared : the space's hyperparameters.
    probe : what trying the default network found, on these rows.
    scales_target : whether the target is standardised.
    trained_seconds : of workers, for what was trained here.
    """

    def __init__(
        self,
        plan: SessionPlan,
        dataset: Dataset,
        folds: Sequence[Fold],
        note: Note = _say_nothing,
        crew: Crew | None = None,
    ) -> None:
        self.plan = plan
        self._dataset = dataset
        self._folds = tuple(folds)
        self._note = note
        self._lent = crew
        self._exit = ExitStack()
        self._counted: set[tuple[int, int]] = set()
        self.trained_seconds = 0.0
        self.layout = Layout.of(
            dataset.schema, max_levels=plan.max_levels, max_words=plan.max_words
        )
        self.prepared: Prepared | None = None
        if plan.transformer is not None:
            columns_given(dataset.schema)
            self.layout = self.layout.with_prepared((1,))  # until it is fitted

    def within(self, plan: SessionPlan, dataset: Dataset, folds: Sequence[Fold]) -> Session:
        """A session on other rows of the same table, with the crew of this one."""
        return Session(plan, dataset, folds, crew=self.crew)

    def __enter__(self) -> Session:
        crew = self._lent or Crew(self.plan, self.layout, self._note, len(self._folds))
        self.crew = crew if self._lent else self._exit.enter_context(crew)
        folder = tempfile.TemporaryDirectory(dir=self.crew.scratch)
        self.scratch = Path(self._exit.enter_context(folder))
        self._states = States(self.scratch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit.__exit__(kind, error, traceback)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the transformer of one's own warned of, and the default network."""
        prepared = () if self.prepared is None else self.prepared.warnings
        return (*prepared, *self.probe.warnings)

    @property
    def choice(self) -> Choice:
        """The engine, and why."""
        return self.crew.choice

    @property
    def workers(self) -> Workers:
        """The engine's processes."""
        return self.crew.workers

    @property
    def jobs(self) -> int:
        """Units that are trained at the same time."""
        return self.crew.jobs

    def prepare(self) -> HyperParameters:
        """Declare the space, try its default network, fit the statistics; before any training.

        Raises
        ------
        SpaceError
            If the space raises, or its network doesn't fit the rows, the problem or the export.
        """
        with signals_wait():
            import_keras_tuner()
        from keras_tuner import HyperParameters

        plan, target = self.plan, self._dataset.target
        folder = self.scratch / "data"
        folder.mkdir()
        fold_rows = self._fold_rows(folder)
        encoded = (encode_dataset if fold_rows is None else encode_beside)(self._dataset)
        problem = self._problem()
        whole = declared = None
        if plan.space.declares:
            with time_limit(limit_of_call(plan.trial_timeout)):
                whole = plan.space.declared(problem)
            declared = narrow(whole, plan.fixes)
        defaults = None if declared is None else active_values(declared, declared.values)
        probe = self.crew.try_space(
            problem, target, defaults, lambda: raw_range(encoded, self.layout, fold_rows)
        )
        if probe.lookups is not None:
            self.layout = probe.lookups.marked(self.layout)
            for rows in [None] if fold_rows is None else fold_rows:
                probe.lookups.check_rows(replace(encoded, prepared=rows), self.layout)
            self._note(told(probe.lookups, self.layout))
        if whole is None or declared is None:
            whole = HyperParameters.from_config(probe.hyperparameters)
            declared = narrow(whole, plan.fixes)
        check_steering(declared)
        self.declared, self._whole = declared, whole
        self.scales_target = target.kind in ("regression", "count", "quantile") and (
            probe.scalable_target if plan.scale_target == "auto" else plan.scale_target
        )
        data = fit_data(
            self._dataset,
            encoded,
            self._folds,
            self.layout,
            scale_target=self.scales_target,
            class_weight=plan.class_weight,
            fold_rows=fold_rows,
        )
        self.data = data.without_features()
        self.probe = probe.facing(target, training_target(data, data.refit_statistics))
        self.job = Job(
            data_path=write_fit_data(data, folder),
            space=plan.space.to_bytes(),
            fixes=tuple(plan.fixes.items()),
            options=plan.options,
            must_save=plan.must_save,
        )
        self.crew.share(folder)
        self.crew.settle(self.job, self.data, active_values(declared, declared.values))
        return declared

    def portfolio(self) -> tuple[Values, ...]:
        """The configurations that the space says were best on other tables; once it is prepared.

        Raises
        ------
        SpaceError
            If its ``portfolio`` raises, or gives what the space does not have.
        """
        plan = self.plan
        with time_limit(limit_of_call(plan.trial_timeout)):
            return plan.space.portfolio(self._problem(), self._whole, plan.fixes)

    def check_new_rows(self, dataset: Dataset) -> None:
        """Raise ``DataError`` where rows to predict hold numbers that the network can't look up."""
        if self.probe.lookups is not None:
            self.probe.lookups.check_rows(self.encoded_rows(dataset), self.layout)

    def encoded_rows(self, dataset: Dataset, where: str = "new rows") -> Encoded:
        """Rows of the same table as plain arrays, as a network of all rows takes them.

        Parameters
        ----------
        where : what rows they are, for messages.
        """
        prepared = self.prepared
        if prepared is None:
            return encode_dataset(dataset)
        return encode_dataset(dataset, prepared.rows_of(dataset, self.workers, where))

    def _fold_rows(self, folder: Path) -> NDArray[np.float32] | None:
        """Rows as a transformer of one's own prepares them, where there is one."""
        plan = self.plan
        if plan.transformer is None:
            return None
        raw = self.scratch / "raw"
        raw.mkdir()
        raw_path = write_raw_rows(self._dataset, raw)
        self.crew.share(raw)
        prepared = prepare_rows(
            plan.transformer,
            raw_path,
            self._folds,
            self.workers,
            folder,
            n_rows=self._dataset.n_rows,
            seed=plan.options.seed,
            keeps=plan.must_save,
        )
        self.prepared = prepared
        self.layout = self.layout.with_prepared(prepared.shape)
        for text in prepared.notes:
            self._note(text)
        return prepared.fold_rows

    @cached_property
    def _engine(self) -> Engine:
        return self.crew.engine_for(self.job, self.data)

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
    ) -> Iterator[TrialResult]:
        """Score candidates; each comes as soon as all that the stage asks for is there.

        What the journal holds is not trained again, and what is trained is recorded in it.

        Parameters
        ----------
        stage : the folds and epochs to score, those of earlier stages included; all by default.
            Where another one may follow, ``finish`` each trial that ends there.
        """
        stage = stage or self.every_fold
        return_freed_memory()  # after encoding and statistics, and after each trial
        arrived: dict[int, list[UnitResult]] = {}
        waiting: dict[int, int] = {}
        work: list[WorkUnit] = []
        for candidate in self._settled(candidates):
            goal, units = self._goal(candidate, stage), journal.units(candidate.trial)
            check_asked(
                units,
                candidate,
                metrics=self.plan.options.metrics,
                n_validation=[len(fold.validation) for fold in self.data.folds],
            )
            units = goal.recorded(units, self._states)
            missing = goal.missing(units, self._states)
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
            self.trained_seconds += result.seconds
            candidate, trial = result.unit.candidate, result.unit.candidate.trial
            units = arrived[trial]
            units.append(result)
            waiting[trial] -= len(result.unit.folds)
            ended = self._combine(candidate, units) if waiting[trial] == 0 else None
            journal.record(self._slimmed(ended, units) if ended and stage.is_last else [result])
            self._count(observer, candidate, [result])
            if ended is not None:
                del arrived[trial]
                if stage.is_last:
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
        units = self._goal(trial.candidate, stage).parts_of(recorded)
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
        units = self._goal(asked, stage).parts_of(recorded)
        trial = self._combine(asked, units)
        arrays = zip(trial.positions, trial.predictions, strict=True)
        gone = tuple(position for position, array in arrays if array is None)
        if not gone:
            return trial
        self._note(
            f"The predictions of trial {asked.trial} at its best epoch were let go; "
            "they are made again."
        )
        units = made_again(units, self._trained_again(asked, units, gone))
        restored = self._combine(asked, units)
        journal.record(self._slimmed(restored, units))
        return restored

    def networks_of_folds(
        self, trial: TrialResult, journal: Recorder, positions: Sequence[int] | None = None
    ) -> FoldNetworks:
        """The networks of a scored trial's folds, as they stood after its best epoch.

        They are trained again up to there, by the engine that trained them: nothing keeps them, and
        training again gives the same bits. Call it before the crew is dismissed.

        Parameters
        ----------
        trial : a scored trial of this session; journal : where its folds are recorded.
        positions : of the folds that are wanted, out of ``trial.positions``; all by default.

        Raises
        ------
        HpsearchError
            If a training fails this time.
        """
        units = self._goal(trial.asked, Stage(trial.positions)).parts_of(
            journal.units(trial.candidate.trial)
        )
        epoch = int(trial.row["best_epoch"])
        wanted = trial.positions if positions is None else tuple(positions)
        trained = self._trained_again(trial.asked, units, wanted, until=epoch)
        return fold_networks(trial, epoch, trained)

    def _trained_again(
        self,
        asked: Candidate,
        units: Sequence[UnitResult],
        positions: Sequence[int],
        until: int | None = None,
    ) -> dict[int, FoldResult]:
        """Folds of a trial, trained from the start as its recorded units were, by position.

        Parameters
        ----------
        until : the epoch after which their networks are wanted; None for whole curves alone.
        """
        blocks = {p: unit.unit.span.block for unit in units for p in unit.unit.folds}
        work = [
            WorkUnit(
                asked,
                tuple(p for p in positions if blocks[p] == block),
                Span(until=until, block=block),
                keeps_networks=until is not None,
            )
            for block in sorted({blocks[p] for p in positions}, key=str)
        ]
        made: dict[int, FoldResult] = {}
        for result in self._engine.score(work):
            if result.error is not None:
                raise HpsearchError(
                    f"The predictions of trial {asked.trial} at its best epoch could not be made "
                    f"again: {result.error}. Resume the run to try once more."
                )
            made |= {fold.position: fold for fold in result.folds}
        return made

    def _goal(self, candidate: Candidate, stage: Stage) -> Goal:
        stops_together = self.plan.options.patience is not None
        return Goal(candidate, stage, self._epochs(candidate), stops_together)

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
        metrics, at_end = self.plan.options.metrics, self.plan.at_end
        return combine(candidate, units, self.data, metrics, at_end=at_end)

    def _slimmed(self, trial: TrialResult, units: Sequence[UnitResult]) -> list[UnitResult]:
        return slimmed(trial, units, self.data, self.plan.options.metrics)

    def _problem(self) -> Problem:
        return problem_of(
            self._dataset.target,
            self.layout,
            n_train=smallest_training_set(self._folds),
            epochs=self.plan.options.epochs,
        )
