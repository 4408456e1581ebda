"""Scoring: one session in which an engine scores candidates of one space on fixed folds.

Joins what a search and a cross-validation share: the table encoded once, the statistics of every
fold's training rows, the worker processes, and the check that a space works at all before any
training starts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpsearch.data import Dataset
from hpsearch.engines.base import (
    Engine,
    FitData,
    FitOptions,
    Job,
    UnitResult,
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
from hpsearch.folds import Fold
from hpsearch.preprocessing import Encoded, Layout, Statistics, encode, fit_statistics
from hpsearch.space import Candidate, Space
from hpsearch.task import Problem
from hpsearch.trials import TrialResult, combine

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

ScaleTarget = Literal["auto", True, False]


@dataclass(frozen=True)
class SessionPlan:
    """What a session scores with.

    Attributes
    ----------
    space, fixes : the networks, and the hyperparameters that are held.
    engine : ``"auto"``, ``"fused"`` or ``"keras"``.
    options : how candidates are trained.
    jobs : worker processes.
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


class Session:
    """Scores candidates; a context manager that owns worker processes and a scratch folder."""

    def __init__(
        self,
        plan: SessionPlan,
        dataset: Dataset,
        folds: Sequence[Fold],
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.plan = plan
        self._note = note
        self._dataset = dataset
        self._folds = tuple(folds)
        self.layout = Layout.of(
            dataset.schema, max_levels=plan.max_levels, max_words=plan.max_words
        )

    def __enter__(self) -> Session:
        self.choice = first_choice(self.plan.engine, self.layout, self.plan.space)
        self._exit = ExitStack()
        self._scratch = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-"))
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
        probe = self._probe(problem, defaults)
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
        if self.plan.engine == "auto" and self.choice.engine == "fused" and not probe.on_gpu:
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
        )
        return self._exit.enter_context(workers)

    def _engine(self) -> Engine:
        if self.choice.engine == "fused":
            return FusedEngine(self.workers, self.job, self.data, self._score_by_reference)
        return ReferenceEngine(self.workers, self.job)

    def _score_by_reference(
        self, candidates: Sequence[Candidate], reason: str
    ) -> Iterator[UnitResult]:
        """Score what the fused engine cannot trace."""
        self._note(
            f"{len(candidates)} candidates go to the keras engine: the fused one cannot train "
            f"them ({reason})."
        )
        workers = self._start_workers(Choice("keras", reason))
        yield from ReferenceEngine(workers, self.job).score(candidates)

    def score(
        self,
        candidates: Sequence[Candidate],
        folds_done: Callable[[int, int], None] = lambda trial, n: None,
    ) -> Iterator[TrialResult]:
        """Score candidates on every fold; each comes as soon as all its folds are there."""
        return_freed_memory()  # after encoding and statistics, and after each trial
        waiting = {candidate.trial: candidate for candidate in candidates}
        arrived: dict[int, list[UnitResult]] = {trial: [] for trial in waiting}
        for result in self._engine().score(candidates):
            trial = result.unit.candidate.trial
            arrived[trial].append(result)
            folds_done(trial, len(result.unit.folds))
            if sum(len(r.unit.folds) for r in arrived[trial]) == len(self._folds):
                metrics = self.plan.options.metrics
                yield combine(waiting[trial], arrived.pop(trial), self.data, metrics)
                return_freed_memory()

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
