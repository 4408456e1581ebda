"""Calibration: whether probabilities are made to mean what they say, and what that is worth.

Cross-fitted: the predictions of a fold's rows are calibrated by what all other rows' out-of-fold
predictions say, and scored. What the calibrated model scores is corrected in the bootstrap of the
selection: each sample fits a calibrator to the rows drawn, which is scored on those left out.

References
----------
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.calibrators import Asked, Calibrator, Cases, Method
from hpsearch.decisions.newton import Floats
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.errors import OptionError
from hpsearch.folds.weighing import effective_rows
from hpsearch.metrics import score
from hpsearch.stats import corrected_t_test
from hpsearch.stats.bootstrap import Rows
from hpsearch.task import Target

BINS: Final = 10
MAX_WORK: Final = 1e7
"""Probabilities times samples that calibrators are fitted to; 50 samples are."""

_FEWEST_SAMPLES: Final = 50


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from what came true.

    Attributes
    ----------
    error : the mean distance over the groups below, by what their rows weigh.
    log_loss : mean over the folds.
    predicted, came_true, n_rows : of groups of equally many predictions, by size: the mean
        probability, the share that came true, and rows, or how many of equal weight they are worth.
        Of the positive label, of all labels together, or of the most probable class.
    """

    error: float
    log_loss: float
    predicted: tuple[float, ...]
    came_true: tuple[float, ...]
    n_rows: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """Whether and how the model's probabilities are calibrated.

    Attributes
    ----------
    asked : what was asked for.
    method : what was fitted; is_kept : whether the model has it.
    reason : why, a sentence.
    calibrator : what the model has, fitted to all rows' out-of-fold predictions; None without one.
    before, after : the out-of-fold predictions as they are, and calibrated by other rows; None
        where there are no others.
    gain, gain_low, gain_high, p_value : by how much the log loss is less, over the folds, and the
        corrected paired t-test of that; None with fewer than two folds.
    n_folds : folds that were scored.
    """

    asked: Asked
    method: Method
    is_kept: bool
    reason: str
    calibrator: Calibrator | None
    before: Reliability | None
    after: Reliability | None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    p_value: float | None = None
    n_folds: int = 0

    @property
    def verdict(self) -> str:
        """What became of it, a sentence for people."""
        words = {
            "temperature": "with a temperature",
            "platt": "with a slope and an intercept each (Platt)",
            "isotonic": "isotonically",
        }
        if self.is_kept:
            return f"Probabilities are calibrated inside the model, {words[self.method]}."
        return (
            f"Probabilities are left as they are: calibrating {words[self.method]} is not shown to "
            "be better."
        )

    def remarks(self) -> Iterator[str]:
        """How that is known, and what it did, a sentence each."""
        yield self.reason
        if self.before is not None and self.after is not None:
            yield (
                f"Log loss {self.before.log_loss:.4g}, calibrated {self.after.log_loss:.4g}; "
                f"probabilities are off by {self.before.error:.2g} on average, calibrated "
                f"{self.after.error:.2g}: each fold's rows calibrated by the others."
            )


def check_calibrates(asked: str, target: Target) -> None:
    """Raise ``OptionError`` where a problem has no probabilities."""
    if asked != "none" and target.kind not in ("binary", "multiclass", "multilabel"):
        raise OptionError(
            "`calibrate` makes probabilities mean what they say, so the problem must have classes "
            f"or labels; received --calibrate {asked} for a {target.kind} problem. Leave it out."
        )


def method_of(asked: Asked, *, moves_shares: bool) -> Method:
    """What is fitted.

    ``auto`` takes a temperature, or also an intercept, where rows or classes weigh in the loss and
    not in scores, which moves what networks hold for probable.
    """
    if asked == "auto":
        return "platt" if moves_shares else "temperature"
    assert asked != "none"
    return asked


def decide_calibration(asked: Asked, method: Method, there: OutOfFold) -> Calibration:
    """Whether and how a trial's predictions are calibrated.

    ``auto`` keeps what betters the log loss in the corrected paired t-test over the folds, each
    calibrated by the other folds' rows; else what was asked for is kept.
    """
    cases = Cases.of(there.target, there.y, there.predictions)
    weights = _weights(there)
    calibrator = cases.fitted(method, weights)
    crossed = None if calibrator is None else _crossed(there, cases, method, calibrator)
    if calibrator is None or crossed is None:
        reason = (
            "Not every label occurs, and fails to: there is nothing to fit."
            if calibrator is None
            else "No other rows of every label, outside a fold, say what it is worth."
        )
        kept = calibrator if asked != "auto" else None
        return Calibration(asked, method, kept is not None, reason, kept, None, None)
    folds = [np.nonzero(there.fold == number) for number in np.unique(there.fold)]
    before, after = (
        [_log_loss(there, predictions, at) for at in folds]
        for predictions in (there.predictions, crossed)
    )
    n_all, n_rows = len(np.unique(there.rows)), [len(np.unique(at[1])) for at in folds]
    said = corrected_t_test(before, after, [n_all - n for n in n_rows], n_rows)
    is_better = said.low > 0
    is_kept = is_better or asked != "auto"
    return Calibration(
        asked=asked,
        method=method,
        is_kept=is_kept,
        reason=_in_words(said.difference, said.low, said.high),
        calibrator=calibrator if is_kept else None,
        before=_reliability(there, there.predictions, before),
        after=_reliability(there, crossed, after),
        gain=said.difference,
        gain_low=said.low,
        gain_high=said.high,
        p_value=said.p_value,
        n_folds=len(folds),
    )


class CalibrationSamples:
    """Calibrators of bootstrap samples, and what they do to the score of the rows left out.

    Attributes
    ----------
    latest : of each sample heard last its calibrator, or None where it has none; no more of them
        where there is no time for more.
    """

    def __init__(
        self, first: Calibrator, target: Target, rows: Rows, y: NDArray[Any], candidates: Any
    ) -> None:
        """Begin with candidates' predictions.

        Parameters
        ----------
        first : the calibrator of all rows, whose method is taken.
        rows : with the selecting metric, and what they weigh.
        y, candidates : (n, ...) and (C, P, n, ...).
        """
        self._first, self._target, self._rows = first, target, rows
        self._y, self._candidates = y, candidates
        cells = max(1, int(np.prod(candidates.shape[1:])))
        self._left = int(max(_FEWEST_SAMPLES, MAX_WORK // cells))
        self._gains: list[Floats] = [np.empty(0)]
        self.latest: list[Calibrator | None] = []

    def __call__(self, counts: NDArray[np.int64], selected: NDArray[np.int64]) -> None:
        """Hear of samples: how often they draw each row (b, n), and what they select (b,)."""
        counts, selected = counts[: self._left], selected[: self._left]
        self._left -= len(counts)
        self.latest = [None] * len(counts)
        gains = np.full(len(counts), np.nan)
        weigh = 1.0 if self._rows.weights is None else as_rows(self._rows.weights)
        among = np.flatnonzero(selected >= 0)
        for candidate in np.unique(selected[among]):
            chosen = among[selected[among] == candidate]
            predictions = self._candidates[candidate]
            if not np.isfinite(predictions).all():
                continue
            cases = Cases.of(self._target, self._y, predictions)
            found = cases.fitted_to_samples(self._first.method, counts[chosen] * weigh, self._first)
            for at, calibrator in zip(chosen, found, strict=True):
                self.latest[at] = calibrator
                if calibrator is not None:
                    gains[at] = self._gain(calibrator, predictions, counts[at])
        self._gains.append(gains)

    def _gain(
        self, calibrator: Calibrator, predictions: NDArray[Any], counts: NDArray[np.int64]
    ) -> float:
        """By how much the rows left out score more, calibrated."""
        left_out = (counts == 0).astype(np.int64)[np.newaxis]
        both = np.concatenate([calibrator.predictions(predictions), predictions])
        scores = self._rows.scores(both, left_out)[0].reshape(2, -1).mean(axis=1)
        return float(scores[0] - scores[1])

    @property
    def gains(self) -> Floats:
        """(B,) by how much each sample's rows left out score more; NaN where that is unknown.

        Of the first samples, as many as there is time for.
        """
        return np.concatenate(self._gains)


def _weights(there: OutOfFold) -> Floats:
    return np.ones(there.n_rows) if there.weights is None else as_rows(there.weights)


def as_rows(weights: Floats) -> Floats:
    """Weights in the unit in which they add up to the equal rows that they are worth (Kish 1965).

    What is fitted follows how many rows there are, so that Platt's targets and an isotonic line's
    ends may not follow the unit in which rows weigh.

    Examples
    --------
    >>> as_rows(np.array([0.002, 0.002, 0.004])).round(3).tolist()
    [0.667, 0.667, 1.333]
    """
    return np.asarray(weights * (effective_rows(weights) / weights.sum()), np.float64)


def _in_words(gain: float, low: float, high: float) -> str:
    """What the paired test says of the log loss, a sentence."""
    verb, bounds = ("betters", (low, high)) if gain >= 0 else ("worsens", (-high, -low))
    chance = ", which may be chance" if low <= 0 <= high else ""
    return (
        f"It {verb} the log loss by {abs(gain):.2g} ({bounds[0]:.2g} to {bounds[1]:.2g}) on rows "
        f"that did not fit it{chance}."
    )


def _crossed(
    there: OutOfFold, cases: Cases, method: Method, start: Calibrator
) -> NDArray[Any] | None:
    """(P, n, ...) predictions, those of each fold calibrated by the rows that are not in it.

    A row is in none of the cases that calibrate it, in no repeat. None where a fold leaves no rows
    of every label.
    """
    made = there.predictions.copy()
    for number in np.unique(there.fold):
        calibrator = _of_others(there, cases, method, start, number)
        if calibrator is None:
            return None
        at = np.nonzero(there.fold == number)
        made[at] = calibrator.predictions(there.predictions[at])
    return made


def _of_others(
    there: OutOfFold, cases: Cases, method: Method, start: Calibrator, number: int
) -> Calibrator | None:
    """The calibrator of the rows that are not in a fold; None where these lack a label."""
    _, places = np.nonzero(there.fold == number)
    others = ~np.isin(there.rows, there.rows[places])
    return cases.fitted(method, _weights(there) * others, start)


def without_folds(there: OutOfFold, calibrator: Calibrator) -> Callable[[int], OutOfFold]:
    """Gives all predictions as the calibrator of the rows outside a fold makes them.

    Where these lack a label, that of all rows does.

    Parameters
    ----------
    calibrator : of all rows.
    """
    cases = Cases.of(there.target, there.y, there.predictions)

    def without(number: int) -> OutOfFold:
        others = _of_others(there, cases, calibrator.method, calibrator, number) or calibrator
        return replace(there, predictions=others.predictions(there.predictions))

    return without


def _log_loss(there: OutOfFold, predictions: NDArray[Any], at: Any) -> float:
    """Of the predictions at some places of (P, n)."""
    rows = at[1]
    weights = None if there.weights is None else there.weights[rows]
    kind = there.target.kind
    return float(score("log_loss", there.y[rows], predictions[at], kind=kind, weights=weights))


def _reliability(
    there: OutOfFold, predictions: NDArray[Any], losses: Sequence[float]
) -> Reliability:
    said, true = _said(there, predictions)
    n_columns = len(said) // (there.n_rows * there.n_repeats)
    weights = np.repeat(np.tile(_weights(there), there.n_repeats), n_columns)
    counts = weights > 0
    said, true, weights = said[counts], true[counts], weights[counts]
    bins = list(_bins(said))
    return Reliability(
        error=sum(
            weights[b].sum() * abs(_average(said[b], weights[b]) - _average(true[b], weights[b]))
            for b in bins
        )
        / weights.sum(),
        log_loss=float(np.mean(losses)),
        predicted=tuple(_average(said[b], weights[b]) for b in bins),
        came_true=tuple(_average(true[b], weights[b]) for b in bins),
        n_rows=tuple(effective_rows(weights[b]) / there.n_each for b in bins),
    )


def _said(there: OutOfFold, predictions: NDArray[Any]) -> tuple[Floats, Floats]:
    """Probabilities and whether they came true (m,), row after row of each repeat."""
    if there.target.kind == "multiclass":
        said = predictions.max(axis=-1)
        true = predictions.argmax(axis=-1) == there.y
    else:
        said, true = predictions, np.broadcast_to(there.y == 1, predictions.shape)
    return said.astype(np.float64).ravel(), true.astype(np.float64).ravel()


def _bins(values: Floats) -> Iterator[NDArray[np.int64]]:
    """Places in groups of about equally many values, by size; equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    places = np.digitize(values, edges[1:-1], right=True)
    for place in np.unique(places):
        yield np.flatnonzero(places == place)


def _average(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=weights))
