"""Trials: what the replicas of a candidate add up to.

Owns the mean curve, the best epoch common to all folds, the score with its corrected error, and
a trial's rows in the tables. Pure functions of ``UnitResult``; training belongs to the engines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.engines.contract import FoldResult, UnitResult
from hpsearch.engines.fit_data import FitData
from hpsearch.metrics import metric_named
from hpsearch.oracles.base import Status
from hpsearch.results.tables import fold_predictions
from hpsearch.scoring.stages import ends_of_rungs
from hpsearch.space.space import Candidate
from hpsearch.stats import best_epoch, corrected_se, t_interval
from hpsearch.task import loss_sign

Row = dict[str, Any]

KEPT_BYTES = 2**18
"""Predictions of a finished trial that are kept, or one epoch's where these are more."""


@dataclass(frozen=True, eq=False)
class TrialResult:
    """A scored candidate.

    Attributes
    ----------
    candidate : its trial number and the hyperparameters that its build used.
    asked : the candidate as it was to be trained; a build may add to it and leave out of it.
    row : its row of ``trials.csv``, without the rank.
    folds, curves : its rows of those tables; empty where it failed.
    positions : positions in ``FitData.folds`` of the folds that it was scored on, in their order.
    predictions : out-of-fold predictions at the best epoch, one array for each position; None
        where the predictions at that epoch were let go.
    seconds : summed over its replicas.
    traceback : why it failed, for people, or None.
    stopped_after : the number of the stage after which it was ended early, from 0, or None.
    """

    candidate: Candidate
    row: Row
    asked: Candidate = field(kw_only=True)
    folds: tuple[Row, ...] = ()
    curves: tuple[Row, ...] = ()
    positions: tuple[int, ...] = ()
    predictions: tuple[NDArray[np.float32] | None, ...] = field(default=(), repr=False)
    seconds: float = 0.0
    traceback: str | None = None
    stopped_after: int | None = None

    @property
    def score(self) -> float | None:
        """The selecting metric at the best epoch, or None where the trial failed."""
        score: float | None = self.row.get("score")
        return score

    @property
    def status(self) -> Status:
        """``completed``, ``stopped`` or ``failed``."""
        status: Status = self.row["status"]
        return status

    def fold_scores(self, metric: str) -> NDArray[np.float64]:
        """A metric on each fold's validation rows at the best epoch (n_folds,)."""
        return np.array([row[f"val_{metric}"] for row in self.folds])

    def stopped(self, after: int) -> TrialResult:
        """The trial as one that was ended early, after a stage, with what it did."""
        return replace(self, row={**self.row, "status": "stopped"}, stopped_after=after)

    def without_predictions(self) -> TrialResult:
        """The trial as a long search keeps it: all trials' predictions would fill the memory."""
        return replace(self, predictions=(None,) * len(self.predictions))


def combine(
    candidate: Candidate,
    results: Sequence[UnitResult],
    data: FitData,
    metrics: Sequence[str],
    *,
    at_end: bool = False,
) -> TrialResult:
    """One trial out of its units: the score at the best epoch of the mean curve over all folds.

    One epoch is common to all folds: every fold's own best epoch would flatter the score.

    Parameters
    ----------
    at_end : whether it is scored at the last epoch instead, whichever is the best.
    """
    ordered = sorted(results, key=lambda result: result.unit.key)
    values = next((dict(r.values) for r in ordered if r.values), dict(candidate.values))
    asked, candidate = candidate, Candidate(candidate.trial, values)
    seconds = sum(result.seconds for result in ordered)
    failed = next((result for result in ordered if result.error is not None), None)
    head: Row = {"trial": candidate.trial}
    tail: Row = {f"hp.{name}": value for name, value in sorted(values.items())}
    folds = joined_folds(ordered)
    error = failed.error if failed else _undefined(folds, metrics[0])
    if error is not None:
        row = {**head, "status": "failed", "error": error, **tail}
        trace = failed.traceback if failed else None
        return TrialResult(candidate, row, asked=asked, seconds=seconds, traceback=trace)
    curves = _Curves(folds, data, metrics)
    if at_end:
        curves.best = folds[0].until
    n_params = next(r.n_params for r in ordered)
    phases = next((r.phases for r in ordered if r.phases), ())
    return TrialResult(
        candidate,
        asked=asked,
        row={**head, "status": "completed", **curves.summary(), "n_params": n_params, **tail},
        folds=tuple({**head, **row} for row in curves.fold_rows()),
        curves=tuple({**head, **row} for row in curves.epoch_rows(phases)),
        positions=tuple(fold.position for fold in folds),
        predictions=tuple(_copied(fold.predictions_after(curves.best)) for fold in folds),
        seconds=seconds,
    )


def joined_folds(results: Sequence[UnitResult]) -> list[FoldResult]:
    """Each replica's whole curves, in the order of the folds, out of units of some epochs each."""
    parts: dict[int, list[FoldResult]] = {}
    for result in sorted(results, key=lambda result: result.unit.span.since):
        for fold in result.folds:
            parts.setdefault(fold.position, []).append(fold)
    return [FoldResult.joined(parts[position]) for position in sorted(parts)]


def slimmed(
    trial: TrialResult, results: Sequence[UnitResult], data: FitData, metrics: Sequence[str]
) -> list[UnitResult]:
    """A trial's units without the predictions after all but the best epochs of its mean curve.

    The best epoch's predictions always stay, and as many of its runners-up as ``KEPT_BYTES`` hold:
    more repeats move the best epoch, mostly to one of these. So do those that a race compared: of
    the first repeat, after the best epoch up to each rung. A failed trial keeps its curves.
    """
    kept: tuple[int, ...] = ()
    of_rungs: tuple[int, ...] = ()
    if trial.score is not None:
        folds = joined_folds(results)
        bytes_an_epoch = sum(4 * math.prod(fold.predictions.shape[1:]) for fold in folds)
        ranked = _Curves(folds, data, metrics).ranked_epochs()
        kept = tuple(sorted(ranked[: max(1, KEPT_BYTES // bytes_an_epoch)]))
        of_rungs = best_of_rungs(results, data, metrics)
    first = data.folds[0].repeat
    wanted = {True: tuple(sorted({*kept, *of_rungs})), False: kept}
    return [
        replace(
            result,
            folds=tuple(
                _with_predictions(fold, wanted[data.folds[fold.position].repeat == first])
                for fold in result.folds
            ),
        )
        for result in results
    ]


def best_of_rungs(
    results: Sequence[UnitResult], data: FitData, metrics: Sequence[str]
) -> tuple[int, ...]:
    """The best epoch up to each rung that a trial went beyond, from 1, on the first repeat.

    Read off the curves and the epochs of the first rung, whatever spans it was trained in. Empty
    where there are no rungs.
    """
    first = data.folds[0].repeat
    of_first = [f for f in joined_folds(results) if data.folds[f.position].repeat == first]
    block = next((r.unit.span.block for r in results if r.unit.span.block is not None), None)
    if not of_first or block is None:
        return ()
    curves = _Curves(of_first, data, metrics)
    return tuple(curves.best_until(end) for end in ends_of_rungs(block, of_first[0].until))


def _with_predictions(fold: FoldResult, epochs: tuple[int, ...]) -> FoldResult:
    """A fold result with the predictions after some epochs, of those that it has; no state."""
    found = {epoch: fold.predictions_after(epoch) for epoch in epochs}
    there = {epoch: array for epoch, array in found.items() if array is not None}
    shape = (len(there), *fold.predictions.shape[1:])
    arrays = np.stack(list(there.values())) if there else np.zeros(shape, fold.predictions.dtype)
    return replace(fold, predictions=arrays, predicted=tuple(there), state=None)


def _copied(array: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """An array of its own, which doesn't keep every epoch's predictions in memory."""
    return None if array is None else array.copy()


def prediction_parts(trial: TrialResult, data: FitData) -> Iterator[pd.DataFrame]:
    """The trial's parts of ``predictions.csv``, one per fold."""
    for position, predictions in zip(trial.positions, trial.predictions, strict=True):
        fold = data.folds[position]
        if predictions is None:
            raise ValueError(f"Trial {trial.candidate.trial} has no predictions of some folds.")
        yield fold_predictions(
            data.target,
            repeat=fold.repeat,
            fold=fold.fold,
            rows=fold.validation,
            y_true=data.y[fold.validation],
            y_pred=predictions,
            weights=None if data.score_weights is None else data.score_weights[fold.validation],
        )


def _undefined(folds: Sequence[FoldResult], metric: str) -> str | None:
    """Why no epoch can be the best, or None where one can."""
    if np.isfinite(np.mean([fold.validation[metric] for fold in folds], axis=0)).any():
        return None
    return f"{metric} is undefined on the validation rows of a fold; choose another --metric"


class _Curves:
    """The curves of one trial's folds; ``best`` is the best epoch of the mean curve, from 1."""

    def __init__(self, folds: Sequence[FoldResult], data: FitData, metrics: Sequence[str]) -> None:
        self._results = folds
        self._folds = [data.folds[result.position] for result in folds]
        self._metrics = metrics
        self._validation = {m: np.stack([f.validation[m] for f in folds]) for m in metrics}
        self._train = {m: np.stack([f.train[m] for f in folds]) for m in metrics}
        self._losses = np.stack([f.train_loss for f in folds])
        selecting = metric_named(metrics[0])
        mean_curve = self._validation[selecting.name].mean(axis=0)
        self._mean_curve = loss_sign(selecting.direction) * mean_curve
        self.best = best_epoch(mean_curve, selecting.direction) + 1

    def best_until(self, end: int) -> int:
        """The best epoch of the first ones, from 1; the first where none is defined."""
        losses = np.where(np.isfinite(self._mean_curve), self._mean_curve, np.inf)
        return int(np.argmin(losses[:end])) + 1

    def ranked_epochs(self) -> list[int]:
        """Epochs from 1: the best one, then the others by their means, undefined ones last."""
        order = [int(epoch) + 1 for epoch in np.argsort(self._mean_curve, kind="stable")]
        return [self.best, *(epoch for epoch in order if epoch != self.best)]

    def summary(self) -> Row:
        scores = self._validation[self._metrics[0]][:, self.best - 1]
        mean, se = scores.mean(), self._se(scores)
        low, high = t_interval(mean, se, len(scores) - 1)
        return {
            "score": float(mean),
            "score_std": float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
            "score_se": float(se),
            "ci_low": float(low),
            "ci_high": float(high),
            "n_folds": len(scores),
            "best_epoch": self.best,
            "epochs": self._results[0].epochs,
            **{
                f"metric.{m}": float(self._validation[m][:, self.best - 1].mean())
                for m in self._metrics
            },
        }

    def fold_rows(self) -> Iterator[Row]:
        for number, (fold, result) in enumerate(zip(self._folds, self._results, strict=True)):
            yield {
                "repeat": fold.repeat,
                "fold": fold.fold,
                "seed": result.seed,
                "n_train": len(fold.train),
                "n_val": len(fold.validation),
                "epochs": result.epochs,
                **self._at(self._validation, "val", number),
                **self._at(self._train, "train", number),
            }

    def epoch_rows(self, phases: Sequence[int] = ()) -> Iterator[Row]:
        """A row for each epoch.

        Parameters
        ----------
        phases : the last epoch of each phase; empty where there is one.
        """
        errors = {m: self._se(curves.T) for m, curves in self._validation.items()}
        for epoch in range(self._losses.shape[1]):
            row: Row = {"epoch": epoch + 1, "n_folds": len(self._folds)}
            if phases:
                row["phase"] = 1 + sum(epoch >= end for end in phases)
            for m in self._metrics:
                row[f"val_{m}"] = float(self._validation[m][:, epoch].mean())
                row[f"val_{m}_se"] = float(errors[m][epoch])
                row[f"train_{m}"] = float(self._train[m][:, epoch].mean())
            yield {**row, "train_loss": float(self._losses[:, epoch].mean())}

    def _at(self, curves: Mapping[str, NDArray[Any]], side: str, number: int) -> Row:
        return {f"{side}_{m}": float(curves[m][number, self.best - 1]) for m in self._metrics}

    def _se(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        n_train = [len(fold.train) for fold in self._folds]
        n_validation = [len(fold.validation) for fold in self._folds]
        return corrected_se(scores, n_train, n_validation)
