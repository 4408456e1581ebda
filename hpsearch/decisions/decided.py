"""``Decided``: all that was decided after a trial was selected, as the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpsearch.decisions.calibration import Calibration
from hpsearch.decisions.ensembles import Ensemble
from hpsearch.decisions.intervals import Intervals
from hpsearch.decisions.threshold import Threshold


@dataclass(frozen=True)
class Decided:
    """What was decided with the selected trial's out-of-fold predictions.

    Each field is the record of one decision, or None where it was not asked for.

    Attributes
    ----------
    ensemble : networks that are averaged in place of the winner's.
    calibration : whether and how probabilities are made to mean what they say.
    threshold : from which probability on a label is predicted.
    intervals : what ranges of numbers, or sets of classes, hold; None where there are neither.
    """

    ensemble: Ensemble | None = None
    calibration: Calibration | None = None
    threshold: Threshold | None = None
    intervals: Intervals | None = None

    @property
    def for_predicting(self) -> dict[str, Any]:
        """What predicting needs of it, as the exported model's manifest says it; may be empty.

        What ranges and sets are predicted with, a ``Conformity``, comes beside it.
        """
        said: dict[str, Any] = {}
        if self.calibration is not None and self.calibration.calibrator is not None:
            said["calibration"] = self.calibration.calibrator.to_json()
        if self.threshold is not None:
            said["threshold"] = self.threshold.for_predicting
        return said
