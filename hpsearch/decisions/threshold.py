"""The threshold from which a label is predicted: chosen out of fold, and what choosing it cost.

The threshold is the one that is best on the selected trial's out-of-fold predictions, which
flatters it. So each bootstrap sample chooses one of its own on the rows drawn, with the predictions
of the trial and the epoch that the same rows select, and is scored on the rows left out
(Tsamardinos et al. 2018, with the threshold as one more thing that is selected).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.calibrators import Calibrator
from hpsearch.decisions.cuts import Sorted, rounded
from hpsearch.decisions.rules import FIGURES, TRADED_FOR, Confusion, Floats, ThresholdRule
from hpsearch.task import Direction, Target, loss_sign

MAX_WORK: Final = 3e7
"""Predictions times samples that thresholds are chosen in; 100 samples are."""

_FEWEST_SAMPLES: Final = 100
CURVE_POINTS: Final = 101
HALF: Final = 0.5
"""Where a label is predicted from if nothing is decided."""

_LEVEL: Final = (0.025, 0.975)

Calibrated = Callable[[], Sequence[Calibrator | None]]


@dataclass(frozen=True)
class ThresholdFigure:
    """A figure of what is predicted at the threshold; of several labels their mean.

    Attributes
    ----------
    name : as a metric, or ``cost`` a row.
    naive : on the very rows that chose the threshold.
    value, low, high : corrected for the choice, with its 95 % interval; None where it is unknown.
    at_half : the same, had the threshold been 0.5.
    test : on the test rows, where there are any.
    """

    name: str
    naive: float | None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    at_half: float | None = None
    test: float | None = None


@dataclass(frozen=True)
class Cut:
    """The threshold of one label.

    Attributes
    ----------
    label : the label that is predicted from ``value`` on.
    value : the threshold; low, high : the middle 95 % of those that bootstrap samples choose.
    keeps_bound : whether the rule's bound is reached on the rows that chose it.
    confusion : rows that are and are said to be: negative and negative, negative and positive,
        positive and negative, positive and positive; means over the repeats.
    confusion_at_half : the same at 0.5.
    at, figures, traded : thresholds from high to low, the rule's figure there, and where it has a
        bound, the figure that is as large as it can be beside it.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    keeps_bound: bool
    confusion: tuple[float, ...]
    confusion_at_half: tuple[float, ...]
    at: tuple[float, ...] = ()
    figures: tuple[float, ...] = ()
    traded: tuple[float, ...] = ()


@dataclass(frozen=True)
class Threshold:
    """From which probability on a label is predicted.

    Attributes
    ----------
    rule : what it was chosen by; words : the same for people, as it follows "the one that".
    metric, direction : the figure that the rule is about.
    cuts : one, of the positive label; or one of each of several labels.
    figures : the rule's own, then others.
    gain, gain_low, gain_high : by how much the rule's figure is better than at 0.5, on rows left
        out, with its 95 % interval; below 0 where it is worse.
    is_of_search : whether the choice of the trial and the epoch is corrected for as well.
    n_bootstraps, n_skipped : samples that count, and those that lack one side's rows of a label.
    nested : the rule's figure in a nested search: mean over the outer folds, each scored at the
        threshold that the search inside chose; None where there is none.
    notes : what else there is to say, a sentence each.
    """

    rule: str
    words: str
    metric: str
    direction: Direction
    cuts: tuple[Cut, ...]
    figures: tuple[ThresholdFigure, ...]
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    is_of_search: bool = False
    n_bootstraps: int = 0
    n_skipped: int = 0
    nested: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """The threshold of each label."""
        return tuple(cut.value for cut in self.cuts)

    @property
    def predicts(self) -> str:
        """What is predicted from where on, for people."""
        return ", ".join(f"{cut.label!r} from {cut.value:.4g} on" for cut in self.cuts)

    @property
    def is_chosen(self) -> bool:
        """Whether rows chose it, and it was not given as a number."""
        return ThresholdRule.of(self.rule).number is None

    @property
    def why(self) -> str:
        """Why it is that, for people, as it follows what is predicted from where on."""
        if not self.is_chosen:
            return "as was asked"
        each = "each " if len(self.cuts) > 1 else ""
        return f"{each}the one that {self.words}"

    def remarks(self) -> Iterator[str]:
        """How sure it is, and how that is known, a sentence each."""
        is_chosen = self.is_chosen
        if is_chosen and len(self.cuts) == 1 and self.cuts[0].low is not None:
            low, high = self.cuts[0].low, self.cuts[0].high
            yield f"The middle 95 % of the samples choose thresholds from {low:.3g} to {high:.3g}."
        is_half = set(self.values) == {HALF} and not is_chosen
        if (
            self.gain is not None
            and self.gain_low is not None
            and self.gain_high is not None
            and not is_half
        ):
            better = "better" if self.gain >= 0 else "worse"
            sure = "" if self.gain_low > 0 or self.gain_high < 0 else ", which may be chance"
            yield (
                f"On rows left out its {self.metric} is {abs(self.gain):.2g} {better} than at 0.5 "
                f"({self.gain_low:.2g} to {self.gain_high:.2g}){sure}."
            )
        if self.n_bootstraps:
            yield self._corrected_for()
        if self.nested is not None:
            yield (
                f"In the nested search {self.metric} is {self.nested:.4g}, outside, at the "
                "thresholds that were chosen inside."
            )
        yield from self.notes

    def _corrected_for(self) -> str:
        skipped = f", {self.n_skipped} skipped" if self.n_skipped else ""
        n = f"{self.n_bootstraps:,} bootstraps{skipped}"
        if not self.is_chosen and not self.is_of_search:
            return f"Nothing was chosen: {n} are scored on the rows that they leave out."
        chosen = "threshold alone"
        if self.is_of_search:
            chosen = "trial, epoch and threshold" if self.is_chosen else "trial and epoch"
        return (
            f"Corrected for choosing {chosen}: {n} choose on the rows drawn and are scored on "
            "those left out."
        )

    @property
    def for_predicting(self) -> dict[str, Any]:
        """The labels and from which probabilities on they are predicted, as JSON can hold them."""
        labels = [cut.label for cut in self.cuts]
        return {"rule": self.rule, "labels": labels, "values": list(self.values)}

    def with_nested(self, scores: Sequence[float | None]) -> Threshold:
        """With the rule's figure on the outer rows of a nested search; None where one has none."""
        known = [score for score in scores if score is not None]
        is_known = len(known) == len(scores) > 0
        return replace(self, nested=float(np.mean(known)) if is_known else None)

    def with_test(
        self, y: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None = None
    ) -> Threshold:
        """With the figures of test rows."""
        rule = ThresholdRule.of(self.rule)
        found = figures_at(rule, self.values, y, predictions, weights)
        return replace(
            self,
            figures=tuple(replace(each, test=_known(found[each.name])) for each in self.figures),
        )


class ThresholdSamples:
    """What bootstrap samples choose and score; each is heard with the trial that it selects.

    Attributes
    ----------
    rule : what they choose by.
    """

    def __init__(
        self,
        rule: ThresholdRule,
        y: NDArray[Any],
        predictions: NDArray[Any],
        weights: NDArray[Any] | None = None,
        calibrated: Calibrated | None = None,
    ) -> None:
        """Begin with candidates' predictions.

        Parameters
        ----------
        y : (n,), or (n, L) of several labels.
        predictions : (C, P, n) or (C, P, n, L).
        weights : (n,) what rows weigh; None for all the same.
        calibrated : gives the calibrators of the samples that are being heard of, None for one that
            has none, where predictions are calibrated before a threshold sorts them.
        """
        self.rule, self._y, self._predictions = rule, y, predictions
        self._calibrated = calibrated
        self._weights = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
        n_labels = 1 if y.ndim == 1 else y.shape[1]
        cells = max(1, int(np.prod(predictions.shape[1:])))
        self._left = int(max(_FEWEST_SAMPLES, MAX_WORK // cells))
        self._thresholds: list[Floats] = [np.empty((0, n_labels))]
        self._scores: list[Floats] = [np.empty((0, 2, len(rule.figures)))]

    def __call__(self, counts: NDArray[np.int64], selected: NDArray[np.int64]) -> None:
        """Hear of samples: how often they draw each row (b, n), and what they select (b,)."""
        n = self._left if self._calibrated is None else min(self._left, len(self._calibrated()))
        counts, selected = counts[:n], selected[:n]
        self._left -= len(counts)
        if not len(counts):
            return
        n_labels = self._thresholds[0].shape[1]
        thresholds = np.full((len(counts), n_labels), np.nan)
        scores = np.full((len(counts), n_labels, 2, len(self.rule.figures)), np.nan)
        for chosen, predictions in self._predicted(selected):
            for number, (is_positive, p) in enumerate(parts(self._y, predictions)):
                if not np.isfinite(p).all():
                    continue
                ordered = Sorted.of(p, is_positive)
                step = ordered.samples_at_a_time
                for first in range(0, len(chosen), step):
                    few = chosen[first : first + step]
                    found = self._scored(ordered, counts[few])
                    thresholds[few, number], scores[few, number] = found
        self._thresholds.append(thresholds)
        self._scores.append(_mean_over_labels(scores))

    def _predicted(
        self, selected: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Samples, and the predictions (P, n, ...) that they select."""
        if self._calibrated is None:
            for candidate in np.unique(selected[selected >= 0]):
                yield np.flatnonzero(selected == candidate), self._predictions[candidate]
            return
        for number, calibrator in enumerate(self._calibrated()[: len(selected)]):
            if calibrator is not None:
                predictions = self._predictions[selected[number]]
                yield np.array([number]), calibrator.predictions(predictions)

    def _scored(self, ordered: Sorted, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """(b,) thresholds, and (b, 2, F) figures at them and at 0.5 on the rows left out."""
        thresholds, _, drawn = ordered.chosen(self.rule, counts * self._weights)
        here = np.arange(len(counts))
        left_out = ordered.confusion((counts == 0) * self._weights)
        both = [
            left_out.at((here, ordered.places_of(at)))
            for at in (thresholds, np.full(len(counts), HALF))
        ]
        scores = np.stack([_scores(self.rule, rows) for rows in both], axis=1)
        is_known = _has_both(drawn.at((here, 0))) & _has_both(both[0])
        scores[~is_known] = np.nan
        thresholds[~is_known] = np.nan
        return thresholds, scores

    @property
    def thresholds(self) -> Floats:
        """(B, L) chosen by each sample; NaN where a label has no row, or no other, on a side."""
        return np.concatenate(self._thresholds)

    @property
    def scores(self) -> Floats:
        """(B, 2, F) figures on rows left out, at the thresholds and at 0.5; NaN where unknown."""
        return np.concatenate(self._scores)


def decide_threshold(
    rule: ThresholdRule,
    target: Target,
    y: NDArray[Any],
    predictions: NDArray[Any],
    samples: ThresholdSamples | None,
    *,
    weights: NDArray[Any] | None = None,
    is_of_search: bool = False,
    n_each: float | None = None,
) -> Threshold:
    """The threshold of a trial's out-of-fold predictions, and what it is worth.

    Parameters
    ----------
    y, predictions : (n, ...) and (P, n, ...), of the selected trial.
    samples : what bootstrap samples chose and scored; None where there are none.
    weights : (n,) what rows weigh.
    is_of_search : whether the samples select among trials.
    n_each : predictions of each row of the table; by default P.
    """
    weigh = np.ones((1, len(y))) if weights is None else np.asarray(weights, np.float64)[np.newaxis]
    labels = target.labels[1:] if target.kind == "binary" else target.labels
    of_samples = np.empty((0, len(labels))) if samples is None else samples.thresholds
    cuts = [
        _cut(
            rule,
            str(label),
            Sorted.of(p, is_positive),
            weigh,
            of_samples[:, number],
            n_each or len(p),
        )
        for number, (label, (is_positive, p)) in enumerate(
            zip(labels, parts(y, predictions), strict=True)
        )
    ]
    values = tuple(cut.value for cut in cuts)
    naive = figures_at(rule, values, y, predictions, weights)
    scores = np.empty((0, 2, len(naive))) if samples is None else samples.scores
    known = scores[np.isfinite(scores).all(axis=(1, 2))]
    gains = -loss_sign(rule.direction) * (known[:, 0, 0] - known[:, 1, 0])
    gain_low, gain_high = _quantiles(gains)
    return Threshold(
        rule=rule.text,
        words=rule.words,
        metric=rule.name,
        direction=rule.direction,
        cuts=tuple(cuts),
        figures=tuple(_figures(naive, known)),
        gain=_mean(gains),
        gain_low=gain_low,
        gain_high=gain_high,
        is_of_search=is_of_search and bool(len(known)),
        n_bootstraps=len(known),
        n_skipped=len(scores) - len(known),
        notes=tuple(_unreached(rule, cuts)),
    )


def figures_at(
    rule: ThresholdRule,
    values: Sequence[float],
    y: NDArray[Any],
    predictions: NDArray[Any],
    weights: NDArray[Any] | None = None,
) -> dict[str, float]:
    """Figures of rows sorted by thresholds, the rule's first; means over labels.

    Parameters
    ----------
    values : the threshold of each label.
    y, predictions : (n, ...), and (n, ...) or (P, n, ...).

    Examples
    --------
    >>> y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.9])
    >>> figures_at(ThresholdRule.of("recall>=0.9"), [0.25], y, p)["precision"].__round__(3)
    0.667
    """
    repeats = predictions.reshape(-1, *y.shape)
    weigh = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    found = []
    for value, (is_positive, p) in zip(values, parts(y, repeats), strict=True):
        rows = _confusion(is_positive, p, value, weigh)
        found.append(np.where(_has_both(rows), _scores(rule, rows), np.nan))
    means = _mean_over_labels(np.array(found)[np.newaxis])[0]
    return dict(zip(rule.figures, map(float, means), strict=True))


def parts(
    y: NDArray[Any], predictions: NDArray[Any]
) -> Iterator[tuple[NDArray[np.bool_], NDArray[Any]]]:
    """Which rows have each label (n,), and its predictions (P, n)."""
    if y.ndim == 1:
        yield y == 1, predictions
        return
    for label in range(y.shape[1]):
        yield y[:, label] == 1, predictions[..., label]


def _confusion(
    is_positive: NDArray[np.bool_], predictions: NDArray[Any], value: float, weights: Floats
) -> Confusion:
    """Of predictions (P, n), each counting as its row does."""
    said = (np.asarray(predictions, np.float64) >= value) * weights
    true = said[:, is_positive].sum()
    false = said.sum() - true
    positives, total = (len(said) * w.sum() for w in (weights[is_positive], weights))
    return Confusion(true, false, positives - true, total - positives - false)


def _cut(
    rule: ThresholdRule,
    label: str,
    ordered: Sorted,
    weights: Floats,
    of_samples: Floats,
    n_each: float,
) -> Cut:
    thresholds, is_reached, rows = ordered.chosen(rule, weights)
    value = rounded(float(thresholds[0]), ordered.values) if rule.number is None else rule.number
    low, high = _quantiles(of_samples[np.isfinite(of_samples)])
    places = np.unique(np.linspace(0, len(ordered.values) - 1, CURVE_POINTS).round().astype(int))
    drawn = rows.at((0, places + 1))
    traded = FIGURES[TRADED_FOR[rule.name]](drawn) if rule.bound is not None else ()
    confusions = [
        tuple(
            float(part[0]) / n_each
            for part in (r.true_negatives, r.false_positives, r.false_negatives, r.true_positives)
        )
        for r in (ordered.at(np.array([at]), weights) for at in (value, HALF))
    ]
    return Cut(
        label=label,
        value=value,
        low=low,
        high=high,
        keeps_bound=bool(is_reached[0]),
        confusion=confusions[0],
        confusion_at_half=confusions[1],
        at=_short(ordered.values[places]),
        figures=_short(rule.figure(drawn)),
        traded=_short(traded),
    )


def _figures(naive: dict[str, float], known: Floats) -> Iterator[ThresholdFigure]:
    for number, (name, value) in enumerate(naive.items()):
        low, high = _quantiles(known[:, 0, number])
        yield ThresholdFigure(
            name=name,
            naive=_known(value),
            value=_mean(known[:, 0, number]),
            low=low,
            high=high,
            at_half=_mean(known[:, 1, number]),
        )


def _unreached(rule: ThresholdRule, cuts: Sequence[Cut]) -> Iterator[str]:
    missed = [cut.label for cut in cuts if not cut.keeps_bound]
    if missed:
        of = f" of {', '.join(missed)}" if len(cuts) > 1 else ""
        yield (
            f"No threshold{of} has a {rule.name} of {rule.bound:g} out of fold: the one that comes "
            "nearest was taken."
        )


def _scores(rule: ThresholdRule, rows: Confusion) -> Floats:
    """(..., F) all figures of rows."""
    return np.stack([figure(rows) for figure in rule.figures.values()], axis=-1)


def _has_both(rows: Confusion) -> NDArray[np.bool_]:
    """Whether there are rows with and without the label."""
    return np.asarray((rows.positives > 0) & (rows.negatives > 0))


def _mean_over_labels(scores: Floats) -> Floats:
    """The mean over axis 1, of those that are known; NaN where none is."""
    known = np.isfinite(scores)
    n_known = known.sum(axis=1)
    total = np.where(known, scores, 0.0).sum(axis=1)
    return np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _quantiles(values: Floats) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
    low, high = np.quantile(values, _LEVEL)
    return float(low), float(high)


def _short(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
