"""What is decided once a trial is selected: which decisions were asked for, in their order.

Gathers what the decisions need and has them made; each belongs to a file of ``hpsearch.decisions``.
What predicting needs is decided before the selected configuration trains on all rows, since the
exported file says it; what a decision is worth is known once the bootstrap of the selection, which
makes it again in each sample, is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.decisions.calibration import (
    Calibration,
    CalibrationSamples,
    decide_calibration,
    method_of,
    without_folds,
)
from hpsearch.decisions.calibrators import Calibrator
from hpsearch.decisions.conformity_scores import FORMS
from hpsearch.decisions.decided import Decided
from hpsearch.decisions.intervals import Conformity, Intervals, intervals, on_test_rows
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import Threshold, ThresholdSamples, decide_threshold
from hpsearch.export.refit import Refitted
from hpsearch.ledger import BiasCorrection, Nested
from hpsearch.ledger.estimates import moved
from hpsearch.ledger.predictions import Arranged
from hpsearch.results.journal import Recorder
from hpsearch.search.bookkeeping import Books, Listener, Restore
from hpsearch.search.ensembling import Ensembling
from hpsearch.search.options import Options
from hpsearch.search.plan import SearchPlan
from hpsearch.stats.bootstrap import Heard, Rows

SAMPLES: Final = 1000
"""Of a decision's own bootstrap, where the selection has none."""

MAX_WORK: Final = 3e8
"""Predictions of the selected trial times these samples, of which there are 100 or more."""


@dataclass
class Deciding:
    """The decisions of a search that has selected a trial.

    Attributes
    ----------
    rule : what the threshold is chosen by, or None.
    books : of the search, the selected trial's predictions at hand.
    ensembling : what is exported, whose predictions all other decisions are about.
    options : of the search.
    powers : of the target's transform, as the network of all rows learns it.
    """

    rule: ThresholdRule | None
    books: Books
    ensembling: Ensembling
    options: Options
    powers: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    _calibrations: CalibrationSamples | None = field(default=None, init=False)
    _thresholds: ThresholdSamples | None = field(default=None, init=False)

    @classmethod
    def of(cls, plan: SearchPlan, books: Books, ensembling: Ensembling) -> Deciding:
        """What a search was asked to decide."""
        powers = ensembling.target_powers
        return cls(rule_of(plan.options), books, ensembling, plan.options, powers)

    @cached_property
    def out_of_fold(self) -> OutOfFold:
        """What is exported, as it predicts rows that none of its networks was trained on."""
        return self.ensembling.out_of_fold()

    @cached_property
    def calibration(self) -> Calibration | None:
        """Whether and how the selected trial's probabilities are calibrated."""
        asked = self.options.calibrate
        if asked == "none":
            return None
        data = self.books.dataset
        by_rows = data.weights is not None and not data.weighs_scores  # in the loss alone
        moves_shares = self.options.class_weight is not None or by_rows
        method = method_of(asked, moves_shares=moves_shares)
        return decide_calibration(asked, method, self.out_of_fold)

    @property
    def _calibrator(self) -> Calibrator | None:
        return None if self.calibration is None else self.calibration.calibrator

    def calibrated(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Canonical predictions (..., n, ...) as the model gives them."""
        calibrator = self._calibrator
        return predictions if calibrator is None else calibrator.predictions(predictions)

    @cached_property
    def as_the_model_gives(self) -> OutOfFold:
        """The same, calibrated where the model is."""
        there = self.out_of_fold
        return replace(there, predictions=self.calibrated(there.predictions))

    @cached_property
    def threshold(self) -> Threshold | None:
        """The threshold, before it is known what it is worth."""
        return None if self.rule is None else self._threshold(self.rule, None)

    @cached_property
    def conformity(self) -> Conformity | None:
        """What ranges or sets are predicted with; None where there are neither."""
        there = self.as_the_model_gives
        return Conformity.of(there, self.powers) if there.target.kind in FORMS else None

    @property
    def for_predicting(self) -> dict[str, Any]:
        """What predicting needs of the decisions."""
        needs = Decided(calibration=self.calibration, threshold=self.threshold).for_predicting
        return (
            needs if self.conformity is None else needs | {"intervals": self.conformity.to_json()}
        )

    def bias_corrected(self, journal: Recorder, restore: Restore) -> BiasCorrection:
        """The whole selection's score, with what was decided; as ``Books.bias_corrected`` has it.

        All is decided again in the samples in which the selection is made again. What calibrating
        brings is added to each sample's score; of an ensemble, which is decided in fewer of them,
        to their mean.
        """
        listeners: list[Listener] = []
        if self._calibrator is not None:
            listeners.append(self._hear_to_calibrate)
        if self.rule is not None:
            listeners.append(self._hear_for_the_threshold)
        gains = None if self._calibrator is None or self.options.ensemble else self._gains
        listeners = self.ensembling.listeners(listeners)
        corrected = self.books.bias_corrected(journal, restore, listeners, gains)
        if self._calibrations is None or not self.options.ensemble:
            return corrected
        return moved(corrected, self._gains())

    def _gains(self) -> NDArray[np.float64]:
        assert self._calibrations is not None
        return self._calibrations.gains

    def decided(
        self,
        corrected: BiasCorrection,
        outer: Nested | None,
        test: Dataset | None,
        refitted: Refitted,
    ) -> Decided:
        """All decisions with what they are worth.

        Parameters
        ----------
        corrected : what ``bias_corrected`` gave.
        outer : the nested search, where there is one.
        test : the test rows; refitted : the exported model, and what it says of them.
        """
        ensemble = self.ensembling.record(corrected)
        return Decided(
            ensemble=ensemble and refitted.measured(ensemble),
            calibration=self.calibration,
            threshold=self._scored_threshold(corrected, outer, test, refitted),
            intervals=self._intervals(test, refitted),
        )

    def _scored_threshold(
        self,
        corrected: BiasCorrection,
        outer: Nested | None,
        test: Dataset | None,
        refitted: Refitted,
    ) -> Threshold | None:
        if self.rule is None:
            return None
        is_of_search = corrected.value is not None
        if not is_of_search:
            self._sample_alone()
        threshold = self._threshold(self.rule, self._thresholds, is_of_search=is_of_search)
        if outer is not None:
            threshold = threshold.with_nested([fold.threshold_score for fold in outer.folds])
        if test is not None and refitted.predictions is not None:
            threshold = threshold.with_test(test.y, refitted.predictions, test.score_weights)
        return threshold

    def _intervals(self, test: Dataset | None, refitted: Refitted) -> Intervals | None:
        """What ranges or sets held of rows that took no part in them."""
        there, conformity = self.as_the_model_gives, self.conformity
        calibrator, in_time = self._calibrator, self.books.dataset.time is not None
        without = None if calibrator is None else without_folds(self.out_of_fold, calibrator)
        found = intervals(there, self.powers, in_time=in_time, without=without)
        if found is None or conformity is None or test is None or refitted.predictions is None:
            return found
        said, weights = refitted.predictions, test.score_weights
        return on_test_rows(found, conformity, there.target, test.y, said, weights)

    def _threshold(
        self, rule: ThresholdRule, samples: ThresholdSamples | None, *, is_of_search: bool = False
    ) -> Threshold:
        there = self.as_the_model_gives
        return decide_threshold(
            rule,
            there.target,
            there.y,
            there.predictions,
            samples,
            weights=there.weights,
            is_of_search=is_of_search,
            n_each=there.n_each,
        )

    def _hear_to_calibrate(self, arranged: Arranged) -> Heard:
        """Begin to fit calibrators to samples of all trials' predictions (T, E, P, n, ...)."""
        return self._fit(arranged.y_true, _candidates(arranged), self._weights_of(arranged.rows))

    def _fit(
        self, y: NDArray[Any], candidates: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> CalibrationSamples:
        calibrator, target = self._calibrator, self.out_of_fold.target
        assert calibrator is not None
        rows = Rows(self.books.metrics[0], y, target.kind, None, weights)
        self._calibrations = CalibrationSamples(calibrator, target, rows, y, candidates)
        return self._calibrations

    def _hear_for_the_threshold(self, arranged: Arranged) -> Heard:
        """Begin to choose thresholds in samples of all trials' predictions (T, E, P, n, ...)."""
        return self._choose(arranged.y_true, _candidates(arranged), self._weights_of(arranged.rows))

    def _choose(
        self, y: NDArray[Any], candidates: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> ThresholdSamples:
        assert self.rule is not None
        fits = self._calibrations
        calibrated = None if fits is None else lambda: fits.latest
        self._thresholds = ThresholdSamples(self.rule, y, candidates, weights, calibrated)
        return self._thresholds

    def _weights_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """What rows of the table weigh, as the out-of-fold predictions have it."""
        there = self.out_of_fold
        if there.weights is None:
            return None
        weights = np.ones(self.books.dataset.n_rows)
        weights[there.rows] = there.weights
        return np.asarray(weights[rows])

    def _sample_alone(self) -> None:
        """Have the selected trial's rows drawn, where the selection has no bootstrap."""
        there = self.out_of_fold
        asked = (there.y, there.predictions[np.newaxis], there.weights)
        heard: list[Heard] = [] if self._calibrator is None else [self._fit(*asked)]
        heard.append(self._choose(*asked))
        rows = Rows("accuracy", there.y, there.target.kind, there.blocks)
        n_samples = int(max(100, min(SAMPLES, MAX_WORK // there.predictions.size)))
        for counts in rows.samples(n_samples, there.n_repeats, self.books.seed):
            for hears in heard:
                hears(counts, np.zeros(len(counts), dtype=np.int64))


def _candidates(arranged: Arranged) -> NDArray[Any]:
    """(C, P, n, ...) predictions, as samples number what they select."""
    return arranged.predictions.reshape(-1, *arranged.predictions.shape[2:])


def rule_of(options: Options) -> ThresholdRule | None:
    """What the threshold is chosen by, where one is."""
    return None if options.threshold is None else ThresholdRule.of(options.threshold)


def decides(options: Options) -> bool:
    """Whether anything is decided that needs the selected trial's predictions."""
    return options.threshold is not None or options.calibrate != "none"
