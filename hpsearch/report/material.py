"""What a report is made of: a run's tables and documents, as far as they are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch import words
from hpsearch.diagnoses import Diagnosis
from hpsearch.ledger import Ledger
from hpsearch.metrics import METRICS
from hpsearch.task import loss_sign


@dataclass(frozen=True, eq=False)
class FoldCurve:
    """The validation curves of one fold of a trial; ``validation`` has one (epochs,) a metric."""

    repeat: int
    fold: int
    validation: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that a report is made of; what a run lacks is empty.

    Attributes
    ----------
    trials, folds, curves, predictions, timings, importance, predicting : the tables, as
        docs/results.md describes them.
    settings, best, manifest : ``run.json``, ``best.json`` and ``model.json``.
    fold_curves : per trial the curves of its folds, for those trials whose curves are kept.
    ledger : what the selected trial's score is worth, or None; diagnoses : what was found.
    """

    trials: pd.DataFrame
    folds: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    timings: pd.DataFrame = field(default_factory=pd.DataFrame)
    importance: pd.DataFrame = field(default_factory=pd.DataFrame)
    predicting: pd.DataFrame = field(default_factory=pd.DataFrame)
    settings: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    fold_curves: Mapping[int, Sequence[FoldCurve]] = field(default_factory=dict)
    ledger: Ledger | None = None
    diagnoses: Sequence[Diagnosis] = ()

    @property
    def metric(self) -> str:
        """The metric that selects."""
        return str(self.best.get("metric") or self.settings.get("metric") or "score")

    @property
    def direction(self) -> str:
        """``min`` where a smaller score is better, else ``max``."""
        return str(self.best.get("direction") or self.settings.get("direction") or "min")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest value that the metric can have; infinite where unknown."""
        return bounds_of(self.metric)

    @cached_property
    def decimals(self) -> int:
        """Decimals of every score on the page: the second digit of the selected one's error."""
        return decimals_of(self.best)

    def score(self, value: Any) -> str:
        """A score of the selecting metric as the whole page writes it; ``-`` where missing."""
        number = finite(value)
        return "-" if number is None else words.fixed(number, self.decimals)

    def interval(self, low: Any, high: Any) -> str:
        """An interval's ends as the page writes scores, or nothing where one is missing."""
        ends = [finite(low), finite(high)]
        return "" if None in ends else " to ".join(map(self.score, ends))

    def within_bounds(self, value: Any) -> float | None:
        """An interval's end, cut where the metric ends."""
        return cut(value, self.bounds)

    def cut_remark(self, ends: Iterable[Any]) -> str:
        """That intervals were cut, where one of these ends lies beyond what the metric can be."""
        return cut_remark(self.metric, ends)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """All metrics of the run, the selecting one first."""
        found = [
            str(name).removeprefix("metric.")
            for name in self.trials.columns
            if str(name).startswith("metric.")
        ]
        return tuple(dict.fromkeys([self.metric, *found]))

    @property
    def kind(self) -> str:
        """The problem type, or nothing where no document says it."""
        data = self.settings.get("data") or {}
        return str(data.get("task") or self.target.get("kind") or "")

    @property
    def target(self) -> Mapping[str, Any]:
        """The target of the manifest's schema: ``names``, ``kind``, ``labels``."""
        return (self.manifest.get("schema") or {}).get("target") or {}

    @cached_property
    def selected(self) -> int:
        """The selected trial, or the first of the table where best.json doesn't say."""
        trial = self.best.get("trial")
        return int(self.trials["trial"].iloc[0] if trial is None else trial)

    def with_status(self, *names: str) -> pd.DataFrame:
        """The trials of these states, in the table's order."""
        return self.trials[self.trials["status"].isin(names)]

    @cached_property
    def scored(self) -> pd.DataFrame:
        """Completed, then stopped trials with a finite score, each the best first.

        Of the stopped ones those come first that got furthest: to more folds, to more epochs.
        """
        rows = self.with_status("completed", "stopped")
        sign = loss_sign(self.direction)

        def place(row: Mapping[str, Any]) -> tuple[bool, float, float, float, float]:
            # the table ranks completed trials, by more than their scores where their folds differ
            stopped = row["status"] == "stopped"
            rank = finite(row.get("rank"))
            n_folds, epochs = (finite(row.get(name)) or 0.0 for name in ("n_folds", "epochs"))
            far = (-n_folds, -epochs) if stopped else (0.0, 0.0)
            score = finite(row["score"]) or 0.0
            return stopped, np.inf if rank is None else rank, *far, sign * score

        there = [
            (i, row) for i, row in enumerate(records(rows)) if finite(row["score"]) is not None
        ]
        return rows.iloc[[i for i, row in sorted(there, key=lambda pair: place(pair[1]))]]

    @cached_property
    def configurations(self) -> dict[int, str]:
        """Each trial's hyperparameters in one line."""
        return {
            int(row["trial"]): words.configuration(words.hyperparameters(row))
            for row in records(self.trials)
        }


def decimals_of(best: Mapping[str, Any]) -> int:
    """Decimals that show the second digit of the selected trial's standard error.

    Examples
    --------
    >>> decimals_of({"score": 2.6481, "score_se": 0.052})
    3
    """
    score = finite(best.get("score"))
    return words.decimals_for(finite(best.get("score_se")), 0.5 if score is None else score)


def bounds_of(metric: str) -> tuple[float, float]:
    """The least and the largest value of a metric; infinite where it isn't known.

    Examples
    --------
    >>> bounds_of("mae"), bounds_of("r2"), bounds_of("own")
    ((0.0, inf), (-inf, 1.0), (-inf, inf))
    """
    return METRICS[metric].bounds if metric in METRICS else (-np.inf, np.inf)


def cut(value: Any, bounds: tuple[float, float]) -> float | None:
    """A number, but not beyond bounds; None where it isn't finite.

    Examples
    --------
    >>> cut(-0.2, (0.0, 1.0)), cut(0.5, (0.0, 1.0)), cut(None, (0.0, 1.0))
    (0.0, 0.5, None)
    """
    number = finite(value)
    return None if number is None else min(max(number, bounds[0]), bounds[1])


def cut_remark(metric: str, ends: Iterable[Any]) -> str:
    """That intervals end where the metric does, where one of these ends lies beyond.

    Examples
    --------
    >>> cut_remark("mae", [-0.1, None]), cut_remark("mae", [0.1])
    (' Intervals are cut at 0: mae is never less.', '')
    """
    low, high = bounds_of(metric)
    known = [number for number in map(finite, ends) if number is not None]
    text = ""
    if any(number < low for number in known):
        text += f" Intervals are cut at {low:g}: {metric} is never less."
    if any(number > high for number in known):
        text += f" Intervals are cut at {high:g}: {metric} is never more."
    return text


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def label(cell: Any) -> str:
    """A cell of a table as text: without the quote that guards texts, whole numbers without .0.

    Examples
    --------
    >>> label("'=A1"), label(3.0), label("relu")
    ('=A1', '3', 'relu')
    """
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if (
        isinstance(cell, float | np.floating)
        and float(cell).is_integer()
        and -(2**53) < cell < 2**53
    ):
        return str(int(cell))
    return words.unguarded(str(cell))


def finite(value: Any) -> float | None:
    """A cell as a finite number, or None.

    Examples
    --------
    >>> finite(1), finite(float("nan")), finite(None), finite("a")
    (1.0, None, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def short(value: Any, digits: int = 7) -> float | int | None:
    """A number in few digits, as the page's data hold it; None where it isn't finite.

    Examples
    --------
    >>> short(0.123456789), short(1234567.0), short(float("inf")), short(12)
    (0.1234568, 1234567.0, None, 12)
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    number = finite(value)
    return None if number is None else float(f"{number:.{digits}g}")


def shorts(values: Any, digits: int = 7) -> list[float | None]:
    """Many numbers as ``short`` makes them.

    Examples
    --------
    >>> shorts([0.123456789, float("nan")])
    [0.1234568, None]
    """
    numbers = np.asarray(values, dtype=np.float64)
    texts = [f"%.{digits}g" % number for number in numbers.tolist()]
    known = np.isfinite(numbers).tolist()
    return [float(text) if is_known else None for text, is_known in zip(texts, known, strict=True)]
