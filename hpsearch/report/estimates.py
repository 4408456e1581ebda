"""The estimates of the selected trial's score, whatever of them a run has, as one list."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hpsearch import words
from hpsearch.ledger import Ledger
from hpsearch.report.material import bounds_of, cut, decimals_of, finite
from hpsearch.stats import t_interval


@dataclass(frozen=True)
class Estimate:
    """One figure of what the selected trial scores.

    Attributes
    ----------
    key : ``naive``, ``corrected``, ``bias_corrected``, ``foldwise``, ``ensemble``, ``nested``,
        ``test``, or ``baseline`` for a model that needs no search.
    label : its name for people.
    value, low, high : it and its 95 % interval, cut where the metric ends; None where there is no
        interval.
    decimals : of all estimates of a run: the second digit of the selected mean's standard error.
    is_cut : whether the interval went beyond the metric's least or largest value.
    about : what it leaves out or takes in, a sentence.
    """

    key: str
    label: str
    value: float
    low: float | None
    high: float | None
    about: str
    decimals: int = 4
    is_cut: bool = False

    @property
    def width(self) -> float | None:
        """The interval's width, or None where there is none."""
        return None if self.low is None or self.high is None else self.high - self.low

    @property
    def shown(self) -> str:
        """The value, in the run's decimals."""
        return words.fixed(self.value, self.decimals)

    @property
    def interval(self) -> str:
        """The interval's ends in the same decimals, or nothing where there is none."""
        if self.low is None or self.high is None:
            return ""
        return " to ".join(words.fixed(end, self.decimals) for end in (self.low, self.high))


_ABOUT = {
    "naive": "The interval takes the folds for independent, which they are not: it is too narrow.",
    "corrected": "The mean over the folds; the interval is corrected for the rows that training "
    "sets share, a t interval of the fold scores. The trial was selected by this score, so it is "
    "somewhat flattering.",
    "bias_corrected": "The same without the flattery of having been selected, by a bootstrap of "
    "the out-of-fold predictions, which gives its interval.",
    "foldwise": "The same correction from the fold scores alone; it has no interval.",
    "ensemble": "What is exported, the mean of several networks: chosen and weighted again in each "
    "sample of the same bootstrap, and scored on rows that had no say.",
    "nested": "The whole search, cross-validated: each winner is scored on rows that its search "
    "never saw.",
    "test": "The final model on rows that took part in nothing else.",
}


def estimates(best: Mapping[str, Any], ledger: Ledger | None = None) -> list[Estimate]:
    """The estimates that a run has, from the least to the most trustworthy.

    They come from its ledger; a run without one has the mean with both intervals, and the test
    score.

    Parameters
    ----------
    best : ``best.json``; ledger : the one in it, as it was read.

    Examples
    --------
    >>> best = {"metric": "mae", "score": 2.0, "score_se": 0.1, "ci_low": 1.7, "ci_high": 2.3}
    >>> [(e.key, e.value, e.low, e.high) for e in estimates(best)]
    [('corrected', 2.0, 1.7, 2.3)]
    """
    found = _of_scores(best) if ledger is None else _of_ledger(ledger)
    bounds, decimals = bounds_of(str(best.get("metric"))), decimals_of(best)
    if ledger is not None:
        bounds = bounds_of(ledger.metric)
        decimals = words.decimals_for(ledger.mean.corrected.se, ledger.mean.value)
    return [_written(estimate, bounds, decimals) for estimate in found if estimate is not None]


def _written(estimate: Estimate, bounds: tuple[float, float], decimals: int) -> Estimate:
    low, high = cut(estimate.low, bounds), cut(estimate.high, bounds)
    is_cut = (low, high) != (estimate.low, estimate.high)
    return replace(estimate, low=low, high=high, decimals=decimals, is_cut=is_cut)


def _of_ledger(ledger: Ledger) -> Iterator[Estimate | None]:
    mean, corrected = ledger.mean, ledger.bias_corrected
    for key, spread in (("naive", mean.naive), ("corrected", mean.corrected)):
        label = f"Mean of the folds, {key} interval"
        yield _estimate(key, label, mean.value, spread.low, spread.high)
    label = "Corrected for being selected"
    yield _estimate("bias_corrected", label, corrected.value, corrected.low, corrected.high)
    if ledger.foldwise:
        yield _estimate("foldwise", f"{label}, from fold scores", ledger.foldwise.value)
    if (ensemble := ledger.decided.ensemble) is not None:
        label = "Mean of several networks, corrected"
        yield _estimate("ensemble", label, ensemble.value, ensemble.low, ensemble.high)
    if nested := ledger.nested:
        label = "Nested cross-validation of the search"
        yield _estimate("nested", label, nested.value, nested.corrected.low, nested.corrected.high)
    if test := ledger.test:
        label = f"Final model on {test.n_rows} test rows"
        yield _estimate("test", label, test.value, test.low, test.high)
    for model in ledger.baselines:
        label, about = f"Baseline: {model.label or model.name}", "A model that needs no search, on "
        ends = model.corrected.low, model.corrected.high
        yield _estimate("baseline", label, model.value, *ends, f"{about}the same folds.")


def baseline_verdict(ledger: Ledger, decimals: int) -> str:
    """What the ledger says of the best baseline, a sentence or more; empty where there is none.

    Parameters
    ----------
    decimals : of the scores that are named.
    """
    best = ledger.best_baseline
    if best is None:
        return ""
    several = ledger.n_baselines > 1
    among = f"best of {ledger.n_baselines} baselines" if several else "best baseline"
    with_score = f"the {among}, {best.label or best.name}, with {words.fixed(best.value, decimals)}"
    said = f"On its folds it does not beat {with_score}."
    if best.is_beaten:
        said = f"On its folds it beats {with_score}."
    elif best.gain is not None and best.gain > 0:
        said = f"On its folds it is ahead of {with_score}, which may be chance."
    others = [
        each.label or each.name
        for each in ledger.baselines
        if best.is_beaten and each.gain is not None and not each.is_beaten
    ]
    if several:
        said += " Having been picked by that score flatters this baseline a little."
    if others:
        said += f" It is not shown to beat {', '.join(others)}."
    return said


def _of_scores(best: Mapping[str, Any]) -> Iterator[Estimate | None]:
    score, deviation = finite(best.get("score")), finite(best.get("score_std"))
    n_folds = int(finite(best.get("n_folds")) or 0)
    if score is not None and deviation is not None and n_folds > 1:
        low, high = t_interval(score, deviation / math.sqrt(n_folds), n_folds - 1)
        yield _estimate("naive", "Mean of the folds, naive interval", score, low, high)
    label = "Mean of the folds, corrected interval" if n_folds != 1 else "Score of the hold-out"
    yield _estimate("corrected", label, score, best.get("ci_low"), best.get("ci_high"))
    test = best.get("test") or {}
    yield _estimate("test", "Final model on the test rows", test.get(str(best.get("metric"))))


def _estimate(
    key: str, label: str, value: Any, low: Any = None, high: Any = None, about: str = ""
) -> Estimate | None:
    number = finite(value)
    if number is None:
        return None
    return Estimate(key, label, number, finite(low), finite(high), about or _ABOUT[key])


def promised(best: Mapping[str, Any], ledger: Ledger | None = None) -> Estimate | None:
    """What to expect on new rows: the ledger's promise, else the corrected mean."""
    there = {estimate.key: estimate for estimate in estimates(best, ledger)}
    source = "mean" if ledger is None else ledger.promise.source
    if source == "bias_corrected" and "ensemble" in there:
        return there["ensemble"]
    return there.get("corrected" if source == "mean" else source) or there.get("corrected")
