"""The books of a search: gathers what its ledger is made of, and has it made.

Predictions come from the journal, where all finished trials have theirs, so that a resumed run
finds what an uninterrupted one does. The figures belong to ``hpsearch.ledger``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.decisions.decided import Decided
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.engines.contract import UnitResult
from hpsearch.folds import Fold
from hpsearch.ledger import (
    Baseline,
    BiasCorrection,
    Foldwise,
    Ledger,
    LedgerWarning,
    Nested,
    Promise,
    TestScore,
    cautions,
    estimates,
)
from hpsearch.ledger.baselines import compared
from hpsearch.ledger.choice import choice, rule_of_samples
from hpsearch.ledger.predictions import (
    ENOUGH_EPOCHS,
    Arranged,
    Limits,
    arrange,
    limits,
    ranked_epochs,
    row_blocks,
)
from hpsearch.ledger.record import Rule
from hpsearch.ledger.variance import variance
from hpsearch.metrics import metric_named
from hpsearch.results.journal import Recorder
from hpsearch.scoring import trials as trials_of_a_run
from hpsearch.scoring.stages import Bracket
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.baselines import BaselineScores
from hpsearch.search.plan import SearchPlan
from hpsearch.search.race_steps import Raced
from hpsearch.search.trial_log import TrialLog
from hpsearch.space.hyperparameters import active_ranges
from hpsearch.stats.bootstrap import Heard, Rows
from hpsearch.task import Direction, loss_sign
from hpsearch.words import counted

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

Restore = Callable[[TrialResult], TrialResult]
Gains = Callable[[], NDArray[np.float64]]
Listener = Callable[[Arranged], Heard]
"""Takes the predictions that the bootstrap compares, and gives what hears of its samples."""


@dataclass(frozen=True, eq=False)
class Books:
    """A finished search, as its ledger sees it.

    Attributes
    ----------
    results : every trial; best : the selected one.
    dataset : the rows of the search; folds : its folds.
    metrics : the metrics, the selecting one first.
    rule : how the best one was selected.
    brackets : the trials that began together; by_repeat : whether they raced after each repeat.
    keeps_copies_together : whether copies of a row stay on one side of every fold.
    seed : the run's.
    """

    results: tuple[TrialResult, ...]
    best: TrialResult
    dataset: Dataset
    folds: tuple[Fold, ...]
    metrics: tuple[str, ...]
    rule: Rule
    keeps_copies_together: bool
    seed: int
    brackets: tuple[Bracket, ...] = ()
    by_repeat: bool = False

    @classmethod
    def of(cls, plan: SearchPlan, log: TrialLog, best: TrialResult) -> Books:
        """The books of a search that has selected a trial."""
        return cls(
            results=tuple(log.results),
            best=best,
            dataset=plan.dataset,
            folds=plan.folds,
            metrics=plan.metrics,
            rule=plan.options.select,
            keeps_copies_together=plan.options.duplicates == "together",
            seed=plan.options.seed,
            brackets=tuple(log.brackets),
            by_repeat=plan.options.races,
        )

    @property
    def direction(self) -> Direction:
        """Whether small or large scores are good."""
        return metric_named(self.metrics[0]).direction

    @property
    def completed(self) -> list[TrialResult]:
        """The trials that were scored to their end, in the order of their numbers."""
        done = (r for r in self.results if r.row["status"] == "completed" and r.score is not None)
        return sorted(done, key=lambda result: result.candidate.trial)

    @property
    def stopped(self) -> list[TrialResult]:
        """The trials that ended early because they could not win: those that got furthest first.

        Of those that got equally far, the best first.
        """
        sign = loss_sign(self.direction)
        return sorted(
            (r for r in self.results if r.row["status"] == "stopped"),
            key=lambda r: (-len(r.folds), -r.row["epochs"], sign * (r.score or 0.0)),
        )

    @property
    def best_first(self) -> list[TrialResult]:
        """The selected trial, then the other completed ones by their scores."""
        sign = loss_sign(self.direction)
        best = self.best.candidate.trial
        others = [r for r in self.completed if r.candidate.trial != best]
        return [self.best, *sorted(others, key=lambda r: sign * (r.score or 0.0))]

    def out_of_fold(self) -> OutOfFold:
        """What the selected trial, all its predictions at hand, said at its best epoch."""
        positions = positions_of(self.best, self.folds)
        by_epoch = {
            at: {1: found} for at, found in enumerate(self.best.predictions) if found is not None
        }
        folds = [self.folds[position] for position in positions]
        blocks, _ = row_blocks(self.dataset, together=self.keeps_copies_together)
        arranged = arrange([by_epoch], [[1]], folds, self.dataset.y, blocks)
        return self._out_of_fold(arranged, arranged.predictions[0, 0], positions)

    def out_of_fold_of(self, arranged: Arranged, predictions: NDArray[Any]) -> OutOfFold:
        """What several trials of ``library`` together said (P, n, ...)."""
        return self._out_of_fold(arranged, predictions, self._folds_in_common())

    def _out_of_fold(
        self, arranged: Arranged, predictions: NDArray[Any], positions: Sequence[int]
    ) -> OutOfFold:
        return OutOfFold(
            target=self.dataset.target,
            y=arranged.y_true,
            predictions=predictions,
            fold=np.asarray(positions)[arranged.fold],
            rows=arranged.rows,
            blocks=arranged.blocks,
            weights=self._weights_of(arranged.rows),
        )

    def bias_corrected(
        self,
        journal: Recorder,
        restore: Restore,
        listeners: Sequence[Listener] = (),
        gains: Gains | None = None,
    ) -> BiasCorrection:
        """The whole selection's score, from the predictions in the journal.

        Parameters
        ----------
        listeners : what hears of the samples in which the selection is made again.
        gains : what these found that each sample scores more, by what was decided afterwards.
        restore : makes a trial's predictions at its best epoch again where they were let go, as
            more repeats may have it, and records them in the journal.
        """
        compared_folds = self._folds_in_common()
        if not compared_folds:
            return BiasCorrection(missing="No fold was scored by every completed trial.")
        folds = [self.folds[position] for position in compared_folds]
        plan = self._limits(folds)
        taking_part = self.best_first[: plan.n_trials]
        taking_part.sort(key=lambda result: result.candidate.trial)
        wanted = [self._epochs(result, plan.n_epochs) for result in taking_part]
        units, trials = {}, []
        for result, epochs in zip(taking_part, wanted, strict=True):
            restore(result)
            units[result.candidate.trial] = journal.units(result.candidate.trial)
            trials.append(_predictions(units[result.candidate.trial], compared_folds, epochs))
        blocks, name = row_blocks(self.dataset, together=self.keeps_copies_together)
        numbers = tuple(result.candidate.trial for result in taking_part)
        arranged = replace(arrange(trials, wanted, folds, self.dataset.y, blocks), trials=numbers)
        rows = [result.row for result in taking_part]
        ended = self.stopped[: plan.n_trials - len(taking_part)]
        units |= {r.candidate.trial: journal.units(r.candidate.trial) for r in ended}
        raced = Raced(
            trials=sorted([*taking_part, *ended], key=lambda result: result.candidate.trial),
            units=units,
            brackets=self.brackets,
            folds=folds,
            by_repeat=self.by_repeat,
            metric=self.metrics[0],
            sign=loss_sign(self.direction),
            y=self.dataset.y,
        )
        return estimates.bias_correction(
            arranged,
            self.metrics[0],
            self.dataset.target.kind,
            blocks=name,
            weights=self._weights_of(arranged.rows),
            rule=rule_of_samples(rows, self.rule, arranged.predictions.shape[1]),
            n_bootstraps=plan.n_bootstraps,
            seed=self.seed,
            notes=[*plan.notes, *self._remarks(plan, folds, arranged.epochs)],
            trials=numbers,
            steps=list(raced.steps(plan.n_epochs)),
            n_ended=len(ended),
            heard=_told([listener(arranged) for listener in listeners]),
            gains=gains,
        )

    def library(
        self, journal: Recorder, restore: Restore, n: int
    ) -> tuple[list[TrialResult], Arranged | None]:
        """The n best trials, and what they said at their best epochs on the folds of them all.

        None where no fold was scored by every completed trial.

        Parameters
        ----------
        journal, restore : as in ``bias_corrected``.
        """
        compared_folds = self._folds_in_common()
        sign = loss_sign(self.direction)
        trials = sorted(self.completed, key=lambda r: sign * (r.score or 0.0))[:n]
        if not compared_folds:
            return trials, None
        wanted = [[int(result.row["best_epoch"])] for result in trials]
        found = []
        for result, epochs in zip(trials, wanted, strict=True):
            restore(result)
            units = journal.units(result.candidate.trial)
            found.append(_predictions(units, compared_folds, epochs))
        folds = [self.folds[position] for position in compared_folds]
        blocks, _ = row_blocks(self.dataset, together=self.keeps_copies_together)
        numbers = tuple(result.candidate.trial for result in trials)
        arranged = arrange(found, wanted, folds, self.dataset.y, blocks)
        return trials, replace(arranged, trials=numbers)

    def scored_rows(self, arranged: Arranged, places: NDArray[np.int64] | None = None) -> Rows:
        """The rows of some predictions, or those at some places, with what scores them."""
        at: Any = slice(None) if places is None else places
        return Rows(
            self.metrics[0],
            arranged.y_true[at],
            self.dataset.target.kind,
            arranged.blocks[at],
            self._weights_of(arranged.rows[at]),
        )

    def ledger(
        self,
        *,
        bias_corrected: BiasCorrection,
        baselines: Sequence[BaselineScores],
        outer: Nested | None,
        nested_failures: Sequence[str],
        test: Dataset | None,
        test_predictions: NDArray[np.float32] | None,
        declared: HyperParameters,
        decided: Decided,
    ) -> Ledger:
        """The ledger, once all is known.

        Parameters
        ----------
        outer, nested_failures : the nested search, and why outer folds have no score.
        test, test_predictions : the test rows and what the exported model says of them.
        declared : the space, for the ranges of its hyperparameters.
        decided : what was decided after the selection.
        """
        folds, metric = self.best.folds, self.metrics[0]
        mean = estimates.fold_mean(
            [row[f"val_{metric}"] for row in folds],
            [row["n_train"] for row in folds],
            [row["n_val"] for row in folds],
            [row["repeat"] for row in folds],
        )
        promised = estimates.promise(
            mean,
            bias_corrected,
            outer,
            decided.ensemble,
            n_rows=self.dataset.n_rows,
            best=metric_named(metric).best,
        )
        beside = tuple(self._compared(scores) for scores in baselines)
        rows = [result.row for result in self._of_equal_rank()]
        ledger = Ledger(
            trial=self.best.candidate.trial,
            epoch=self.best.row["best_epoch"],
            metric=metric,
            direction=self.direction,
            mean=mean,
            bias_corrected=bias_corrected,
            foldwise=self._foldwise(),
            nested=outer,
            promise=promised,
            test=self._on_test_rows(test, test_predictions, promised),
            choice=choice(rows, self.best.candidate.trial, self.rule, self.direction),
            variance=variance(
                [row[f"val_{metric}"] for row in folds],
                [row["repeat"] for row in folds],
                in_time=self.dataset.time is not None,
            ),
            baselines=beside,
            decided=decided,
        )
        return replace(ledger, warnings=self._warnings(ledger, declared, nested_failures))

    def _on_test_rows(
        self, test: Dataset | None, predictions: NDArray[np.float32] | None, promised: Promise
    ) -> TestScore | None:
        if test is None or predictions is None:
            return None
        blocks, name = row_blocks(test, together=self.keeps_copies_together)
        return estimates.on_test_rows(
            self.metrics,
            test.y,
            predictions,
            test.target.kind,
            blocks=blocks,
            blocks_name=name,
            weights=test.score_weights,
            promised=promised,
            seed=self.seed,
        )

    def _weights_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """What rows of the table weigh in scores; None where all weigh the same."""
        weights = self.dataset.score_weights
        return None if weights is None else weights[rows]

    def _folds_in_common(self) -> list[int]:
        """Positions of the folds that every completed trial was scored on."""
        return sorted(set.intersection(*({*positions_of(r, self.folds)} for r in self.completed)))

    def _of_equal_rank(self) -> list[TrialResult]:
        """Completed trials with as many folds as the selected one."""
        return [r for r in self.completed if len(r.folds) == len(self.best.folds)]

    def _limits(self, folds: Sequence[Fold]) -> Limits:
        outputs = self.dataset.target.n_outputs
        cells = outputs * sum(len(fold.validation) for fold in folds)
        there = max(int(result.row["epochs"]) for result in self.completed)
        n_trials = len(self.completed) + len(self.stopped)
        kept = min(there, trials_of_a_run.KEPT_BYTES // (4 * cells))
        kept = kept if kept >= min(there, ENOUGH_EPOCHS) else 1
        return limits(n_trials, kept, cells, self.metrics[0])

    def _epochs(self, result: TrialResult, n: int) -> list[int]:
        """The trial's best epochs, the best one first."""
        sign = loss_sign(self.direction)
        curve = [sign * row[f"val_{self.metrics[0]}"] for row in result.curves]
        return list(ranked_epochs(curve, result.row["best_epoch"]))[:n]

    def _remarks(self, plan: Limits, folds: Sequence[Fold], epochs: NDArray[np.int64]) -> list[str]:
        """What else the bias correction leaves out, a sentence each."""
        remarks = []
        n_failed = len(self.results) - len(self.completed) - len(self.stopped)
        if self.stopped:
            remarks.append(
                f"{counted(len(self.stopped), 'trial')} ended early: each sample runs every step "
                "of the race again, among the trials that got there."
            )
        if n_failed:
            remarks.append(
                "1 trial that failed takes no part."
                if n_failed == 1
                else f"{n_failed} trials that failed take no part."
            )
        if len(folds) < len(self.best.folds):
            remarks.append(
                f"Trials are compared on the {len(folds)} folds that all of them were scored on; "
                f"the selected one has {len(self.best.folds)}."
            )
        there = max(int(result.row["epochs"]) for result in self.completed)
        if plan.n_epochs == 1 and there > 1:
            remarks.append(
                "The choice of the epoch is not corrected for: too few epochs' predictions are "
                "kept, as they would take much space or time."
            )
        elif (epochs == 0).any():
            fewest = int((epochs > 0).sum(axis=1).min())
            remarks.append(
                f"Of some trials only {fewest} epochs take part: no others were trained or kept."
            )
        return remarks

    def _foldwise(self) -> Foldwise | None:
        common = [self.folds[position] for position in self._folds_in_common()]

        def scores(results: Sequence[TrialResult]) -> list[list[float]]:
            column = f"val_{self.metrics[0]}"
            found = [
                {(row["repeat"], row["fold"]): row[column] for row in r.folds} for r in results
            ]
            return [[of.get((f.repeat, f.fold), math.nan) for f in common] for of in found]

        ended = scores(self.stopped) if self.stopped else None
        return estimates.foldwise(scores(self.completed), self.metrics[0], ended=ended)

    def _compared(self, scores: BaselineScores) -> Baseline:
        if scores.missing:
            return Baseline(scores.name, scores.label, missing=scores.missing)
        folds, metrics = self.best.folds, self.metrics
        return compared(scores.name, scores.label, scores.rows, folds, metrics, notes=scores.notes)

    def _warnings(
        self, ledger: Ledger, declared: HyperParameters, nested_failures: Sequence[str]
    ) -> tuple[LedgerWarning, ...]:
        values = self.best.candidate.values
        ranges = active_ranges(declared, values)
        searched = [name for name in values if _takes_several(declared, name)]
        rows = [result.row for result in self.best_first]
        as_far_as_they_went = [*rows, *(result.row for result in self.stopped)]
        return (
            *cautions.nested_failed(nested_failures),
            *cautions.worse_on_test(ledger.test),
            *cautions.not_beaten(
                ledger.best_baseline,
                n_baselines=ledger.n_baselines,
                in_time=self.dataset.time is not None,
            ),
            *cautions.edges(as_far_as_they_went, ranges),
            *cautions.few_trials(len(as_far_as_they_went), searched),
            *cautions.small_folds(
                [self.folds[position] for position in positions_of(self.best, self.folds)],
                self.dataset.y,
                self.dataset.target,
                self.dataset.score_weights,
            ),
            *cautions.ties(rows, self.best.candidate.trial),
        )


def _told(listeners: Sequence[Heard]) -> Heard | None:
    """One that hears of the samples for all of them."""
    if not listeners:
        return None

    def heard(counts: NDArray[np.int64], selected: NDArray[np.int64]) -> None:
        for listener in listeners:
            listener(counts, selected)

    return heard


def positions_of(result: TrialResult, folds: Sequence[Fold]) -> list[int]:
    """The positions of the folds that a trial was scored on."""
    places = {(fold.repeat, fold.fold): at for at, fold in enumerate(folds)}
    return [places[row["repeat"], row["fold"]] for row in result.folds]


def _takes_several(declared: HyperParameters, name: str) -> bool:
    """Whether a declaration of this name has more than one value."""
    return any(
        getattr(p, "min_value", 0) != getattr(p, "max_value", 1)
        if hasattr(p, "min_value")
        else len(list(p.values)) > 1
        for p in declared.space
        if p.name == name
    )


def _predictions(
    units: Sequence[UnitResult], positions: Sequence[int], epochs: Sequence[int]
) -> Mapping[int, Mapping[int, NDArray[np.float32]]]:
    """A trial's predictions on some folds after some epochs, by their places in ``positions``."""
    places = {position: place for place, position in enumerate(positions)}
    found: dict[int, dict[int, NDArray[np.float32]]] = {}
    for unit in units:
        for fold in unit.folds:
            if fold.position in places:
                after = {epoch: fold.predictions_after(epoch) for epoch in epochs}
                found.setdefault(places[fold.position], {}).update(
                    {epoch: array for epoch, array in after.items() if array is not None}
                )
    return dict(sorted(found.items()))
