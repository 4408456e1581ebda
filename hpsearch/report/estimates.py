"""The estimates of the selected trial's score, whatever of them a run has, as one list."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch import words
from hpsearch.report.material import finite
from hpsearch.stats import t_interval


@dataclass(frozen=True)
class Estimate:
    """One figure of what the selected trial scores.

    Attributes
    ----------
    key : ``naive``, ``corrected``, ``bias_corrected``, ``foldwise``, ``nested``, ``test``, or
        ``baseline`` for a model that needs no search.
    label : its name for people.
    value, low, high : it and its 95 % interval; None where there is no interval.
    about : what it leaves out or takes in, a sentence.
    """

    key: str
    label: str
    value: float
    low: float | None
    high: float | None
    about: str

    @property
    def width(self) -> float | None:
        """The interval's width, or None where there is none."""
        return None if self.low is None or self.high is None else self.high - self.low

    @property
    def shown(self) -> str:
        """The value, to the digits that its interval has."""
        return words.within(self.value, self.width)


_ABOUT = {
    "naive": "The interval takes the folds for independent, which they are not: it is too narrow.",
    "corrected": "The mean over the folds; the interval is corrected for the rows that training "
    "sets share. The trial was selected by this score, so it is somewhat flattering.",
    "bias_corrected": "The same without the flattery of having been selected, by a bootstrap of "
    "the out-of-fold predictions.",
    "foldwise": "The same correction from the fold scores alone; it has no interval.",
    "nested": "The whole search, cross-validated: each winner is scored on rows that its search "
    "never saw.",
    "test": "The final model on rows that took part in nothing else.",
}


def estimates(best: Mapping[str, Any]) -> list[Estimate]:
    """The estimates that ``best.json`` holds, from the least to the most trustworthy.

    They come from its ledger; a run without one has the mean with both intervals, and the test
    score.

    Examples
    --------
    >>> best = {"metric": "mae", "score": 2.0, "score_se": 0.1, "ci_low": 1.7, "ci_high": 2.3}
    >>> [(e.key, e.value, e.low, e.high) for e in estimates(best)]
    [('corrected', 2.0, 1.7, 2.3)]
    """
    ledger = best.get("ledger")
    found = _of_ledger(ledger) if isinstance(ledger, Mapping) else _of_scores(best)
    return [estimate for estimate in found if estimate is not None]


def _of_ledger(ledger: Mapping[str, Any]) -> Iterator[Estimate | None]:
    mean = ledger.get("mean") or {}
    value = mean.get("value")
    yield _estimate("naive", "Mean of the folds, naive interval", value, mean.get("naive"))
    yield _estimate(
        "corrected", "Mean of the folds, corrected interval", value, mean.get("corrected")
    )
    part = ledger.get("bias_corrected") or {}
    label = "Corrected for being selected"
    yield _estimate("bias_corrected", label, part.get("value"), part)
    part = ledger.get("foldwise") or {}
    yield _estimate("foldwise", f"{label}, from fold scores", part.get("value"), None)
    part = ledger.get("nested") or {}
    label = "Nested cross-validation of the search"
    yield _estimate("nested", label, part.get("value"), part.get("corrected"))
    part = ledger.get("test") or {}
    label = f"Final model on {part.get('n_rows', '')} test rows"
    yield _estimate("test", label, part.get("value"), part)
    for part in ledger.get("baselines") or ():
        label = f"Baseline: {part.get('label') or part.get('name')}"
        about = "A model that needs no search, on the same folds."
        yield _estimate("baseline", label, part.get("value"), part.get("corrected"), about)


def _of_scores(best: Mapping[str, Any]) -> Iterator[Estimate | None]:
    score, deviation = finite(best.get("score")), finite(best.get("score_std"))
    n_folds = int(finite(best.get("n_folds")) or 0)
    if score is not None and deviation is not None and n_folds > 1:
        low, high = t_interval(score, deviation / math.sqrt(n_folds), n_folds - 1)
        ends: dict[str, Any] = {"low": float(low), "high": float(high)}
        yield _estimate("naive", "Mean of the folds, naive interval", score, ends)
    ends = {"low": best.get("ci_low"), "high": best.get("ci_high")}
    label = "Mean of the folds, corrected interval" if n_folds != 1 else "Score of the hold-out"
    yield _estimate("corrected", label, score, ends)
    test = best.get("test") or {}
    yield _estimate("test", "Final model on the test rows", test.get(str(best.get("metric"))), None)


def _estimate(
    key: str, label: str, value: Any, spread: Mapping[str, Any] | None, about: str = ""
) -> Estimate | None:
    number = finite(value)
    if number is None:
        return None
    low, high = (finite((spread or {}).get(end)) for end in ("low", "high"))
    return Estimate(key, label, number, low, high, about or _ABOUT[key])


def promised(best: Mapping[str, Any]) -> Estimate | None:
    """What to expect on new rows: the ledger's promise, else the corrected mean."""
    ledger = best.get("ledger")
    there = {estimate.key: estimate for estimate in estimates(best)}
    promise = (ledger.get("promise") or {}) if isinstance(ledger, Mapping) else {}
    source = str(promise.get("source"))
    return there.get({"mean": "corrected"}.get(source, source)) or there.get("corrected")
