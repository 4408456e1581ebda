"""Scoring: one session in which an engine scores candidates of one space on fixed folds.

Joins what a search and a cross-validation share: the table encoded once, the statistics of every
fold's training rows, the worker processes, and the check that a space works at all before any
training starts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpsearch.data import Dataset
from hpsearch.engines.base import (
    FitData,
    FitOptions,
    Job,
    UnitResult,
    problem_of,
    smallest_training_set,
    write_fit_data,
)
from hpsearch.engines.probe import Probe, probe_space
from hpsearch.engines.reference import ReferenceEngine, import_tensorflow
from hpsearch.engines.workers import Workers
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
    options : how candidates are trained.
    jobs : worker processes.
    scale_target : standardise a regression target; ``"auto"`` does where the last layer is linear
        and the loss measures a distance, as a network with a positive output could not follow.
    max_levels, max_words : slots of a category or word column.
    must_save : whether networks must be loadable without the space's code.
    """

    space: Space
    fixes: Mapping[str, Any]
    options: FitOptions
    jobs: int
    scale_target: ScaleTarget
    max_levels: int
    max_words: int
    must_save: bool


class Session:
    """Scores candidates; a context manager that owns worker processes and a scratch folder."""

    def __init__(self, plan: SessionPlan, dataset: Dataset, folds: Sequence[Fold]) -> None:
        self.plan = plan
        self._dataset = dataset
        self._folds = tuple(folds)
        self.layout = Layout.of(
            dataset.schema, max_levels=plan.max_levels, max_words=plan.max_words
        )

    def __enter__(self) -> Session:
        self.workers = Workers(self.plan.jobs, import_tensorflow).__enter__()
        self._scratch = tempfile.TemporaryDirectory(prefix="hpsearch-")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.workers.__exit__(kind, error, traceback)
        self._scratch.cleanup()

    @property
    def scratch(self) -> Path:
        """A folder for files that nobody keeps."""
        return Path(self._scratch.name)

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
        probe: Probe = self.workers.call(
            probe_space,
            self.plan.space.to_bytes(),
            problem,
            self._dataset.target,
            dict(self.plan.fixes),
            None if declared is None else active_values(declared, declared.values),
            self.plan.must_save,
        )
        if declared is None:
            declared = HyperParameters.from_config(probe.hyperparameters)
        self.probe = probe
        self.scales_target = self._dataset.target.kind == "regression" and (
            probe.scalable_target if self.plan.scale_target == "auto" else self.plan.scale_target
        )
        self.data = fit_data(
            self._dataset, encoded, self._folds, self.layout, scale_target=self.scales_target
        )
        self.job = Job(
            data_path=write_fit_data(self.data, self.scratch),
            space=self.plan.space.to_bytes(),
            fixes=tuple(self.plan.fixes.items()),
            options=self.plan.options,
        )
        return declared

    def score(
        self,
        candidates: Sequence[Candidate],
        folds_done: Callable[[int, int], None] = lambda trial, n: None,
    ) -> Iterator[TrialResult]:
        """Score candidates on every fold; each comes as soon as all its folds are there."""
        waiting = {candidate.trial: candidate for candidate in candidates}
        arrived: dict[int, list[UnitResult]] = {trial: [] for trial in waiting}
        for result in ReferenceEngine(self.workers, self.job).score(candidates):
            trial = result.unit.candidate.trial
            arrived[trial].append(result)
            folds_done(trial, len(result.unit.folds))
            if sum(len(r.unit.folds) for r in arrived[trial]) == len(self._folds):
                metrics = self.plan.options.metrics
                yield combine(waiting[trial], arrived.pop(trial), self.data, metrics)

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
