"""What diagnoses read: a run's tables, a trial's curves as losses, its predictions as arrays.

Curves are *losses* here: where a large metric is good they are negated, so that each rule is
written once. ``Trial.metric_text`` turns a loss back into the metric that people know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.diagnoses.base import short
from hpsearch.metrics import METRICS, direction_said, score
from hpsearch.metrics.quantiles import levels_of, pinball_losses
from hpsearch.task import OF_NUMBERS, Direction, ProblemKind, Quantiles

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEARNT_SHARE = 0.05
"""Gain over a constant prediction, as a share of a perfect one's, below which nothing is learnt."""


@dataclass(frozen=True, eq=False)
class Tables:
    """A finished run as its files hold it.

    Attributes
    ----------
    trials, folds, curves, predictions : the CSV tables; ``predictions`` is the selected trial's.
    settings, best : ``run.json`` and ``best.json``.
    labels : of the target, in the order of their codes; empty for values.
    """

    trials: pd.DataFrame
    folds: pd.DataFrame
    curves: pd.DataFrame
    predictions: pd.DataFrame
    settings: Mapping[str, Any]
    best: Mapping[str, Any]
    labels: Sequence[Any] = ()

    @property
    def metric(self) -> str:
        """The metric that selects."""
        return str(self.best["metric"])

    @property
    def direction(self) -> Direction:
        """Whether small or large scores are good."""
        return direction_said(self.metric, self.best.get("direction"))

    @property
    def kind(self) -> ProblemKind:
        """The problem type."""
        data = self.settings["data"]
        kind: ProblemKind = data["task"]
        return Quantiles.of(data["levels"]) if kind == "quantile" else kind

    @property
    def selected(self) -> int:
        """The selected trial."""
        return int(self.best["trial"])

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """The selected trial's out-of-fold predictions, or None where labels cannot be read."""
        return Outcomes.of(self.predictions, self.kind, self.labels)

    @cached_property
    def guess(self) -> float | None:
        """The metric of the best constant prediction.

        None where the truth cannot be read, or the metric is one's own: its code is not run here.
        """
        if self.outcomes is None or self.metric not in METRICS:
            return None
        once = ~self.predictions["row"].duplicated().to_numpy()
        known = self.outcomes
        weights = None if known.weights is None else known.weights[once]
        return best_constant_score(self.metric, self.kind, known.truth[once], weights)

    def places(self) -> dict[tuple[int, int], Bools]:
        """For each repeat and fold the lines of ``predictions`` that belong to it."""
        repeats, folds = (self.predictions[name].to_numpy() for name in ("repeat", "fold"))
        pairs = sorted(set(zip(repeats.tolist(), folds.tolist(), strict=True)))
        return {(p, k): (repeats == p) & (folds == k) for p, k in pairs}

    def trial(self, trial: int) -> Trial | None:
        """A trial that has curves, or None; the metric may be undefined on one side throughout."""
        curves = self.curves[self.curves["trial"] == trial]
        sides = [curves[f"{side}_{self.metric}"].notna().any() for side in ("val", "train")]
        return Trial(self, trial, curves) if all(sides) else None


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial's mean curves, as losses of the selecting metric.

    Attributes
    ----------
    number : of the trial; table : its rows of ``curves.csv``, one per epoch.
    """

    tables: Tables
    number: int
    table: pd.DataFrame

    @property
    def n_epochs(self) -> int:
        """Epochs that were trained."""
        return len(self.table)

    @cached_property
    def validation(self) -> Floats:
        """Loss of the validation rows after each epoch (E,), the mean over folds."""
        return self._losses("val")

    @cached_property
    def training(self) -> Floats:
        """Loss of the training rows after each epoch (E,), in inference mode."""
        return self._losses("train")

    @cached_property
    def running(self) -> Floats:
        """The loss that Keras reports while it fits (E,), penalties and dropout included."""
        return self.table["train_loss"].to_numpy(np.float64)

    @cached_property
    def best(self) -> int:
        """Index of the best epoch."""
        return int(np.nanargmin(self.validation))

    @property
    def se(self) -> float:
        """Corrected standard error of the score at the best epoch; 0 where there is none."""
        value = float(self.table[f"val_{self.tables.metric}_se"].iloc[self.best])
        return value if np.isfinite(value) else 0.0

    @cached_property
    def guess(self) -> float | None:
        """Loss of the best constant prediction."""
        guess = self.tables.guess
        return None if guess is None else self._sign * guess

    @property
    def possible(self) -> float:
        """What a perfect prediction would gain over a constant one; NaN where unknown."""
        perfect = 0.0 if self.tables.direction == "min" else -1.0
        return np.nan if self.guess is None else self.guess - perfect

    @property
    def gain(self) -> float:
        """What the best epoch gains over a constant prediction on validation rows.

        Where no constant prediction is known, over the first epoch.
        """
        reference = self.validation[0] if self.guess is None else self.guess
        return float(reference - self.validation[self.best])

    @property
    def at_stake(self) -> float:
        """What changes of the curve are measured by.

        The gain, or, while that is next to nothing, all that could be gained.
        """
        if np.isnan(self.possible) or self.gain > LEARNT_SHARE * self.possible:
            return self.gain
        return self.possible

    def metric_text(self, loss: float) -> str:
        """A loss as the metric that it stands for, in three significant digits."""
        return short(self._sign * loss)

    def metric_value(self, loss: float) -> float:
        """A loss as the metric that it stands for."""
        return float(self._sign * loss)

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.tables.metric

    @property
    def _sign(self) -> float:
        return 1.0 if self.tables.direction == "min" else -1.0

    def _losses(self, side: str) -> Floats:
        values = self.table[f"{side}_{self.tables.metric}"].to_numpy(np.float64)
        return self._sign * values


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Truth and canonical predictions of each row of ``predictions.csv``.

    Attributes
    ----------
    kind : the problem type.
    truth : codes (n,), or values or 0/1 (n, V).
    predicted : as ``hpsearch.metrics`` wants them: (n,) for a binary problem, else (n, V).
    weights : what each row weighs in scores (n,), or None where all weigh the same.
    """

    kind: ProblemKind
    truth: NDArray[Any]
    predicted: Floats
    weights: Floats | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, kind: ProblemKind, labels: Sequence[Any]) -> Outcomes | None:
        """Read them; None where a label of the table is not among ``labels``."""
        predicted = _columns(table, "y_pred").to_numpy(np.float64)
        weights = table["weight"].to_numpy(np.float64) if "weight" in table.columns else None
        if kind not in ("binary", "multiclass"):
            return cls(kind, _columns(table, "y_true").to_numpy(np.float64), predicted, weights)
        codes = [_code(cell, labels) for cell in table["y_true"].unique()]
        if None in codes:
            return None
        truth = table["y_true"].map(dict(zip(table["y_true"].unique(), codes, strict=True)))
        values = predicted[:, 0] if kind == "binary" else predicted
        return cls(kind, truth.to_numpy(np.int64), values, weights)

    @cached_property
    def row_losses(self) -> Floats:
        """How wrong each prediction is (n,).

        Absolute error, of quantiles the mean pinball loss, of labels -log of the truth's
        probability.
        """
        if self.kind == "quantile":
            losses = pinball_losses(self.kind, self.truth, self.predicted)
            return np.asarray(losses.mean(axis=1))
        if self.kind in OF_NUMBERS:
            wrong: Floats = np.abs(self.predicted - self.truth).mean(axis=1)
            return wrong
        chance = self.predicted if self.predicted.ndim > 1 else self.predicted[:, np.newaxis]
        if self.kind == "multiclass":
            right = chance[np.arange(len(chance)), self.truth][:, np.newaxis]
        else:
            truth = self.truth.reshape(chance.shape)
            right = np.where(truth == 1, chance, 1.0 - chance)
        eps = float(np.finfo(np.float64).eps)
        return np.asarray(-np.log(np.clip(right, eps, 1.0)).mean(axis=1))

    def score(self, metric: str, rows: Bools) -> float:
        """The metric of some rows of the table; NaN of one's own, whose code is not run here."""
        if metric not in METRICS:
            return float("nan")
        weights = None if self.weights is None else self.weights[rows]
        truth, predicted = self.truth[rows], self.predicted[rows]
        return float(score(metric, truth, predicted, kind=self.kind, weights=weights))

    def share_of(self, rows: Bools) -> float:
        """How much of all rows some are, by what they weigh in scores."""
        weights = np.ones(len(rows)) if self.weights is None else self.weights
        return float(weights[rows].sum() / weights.sum())


def best_constant_score(
    metric: str, kind: ProblemKind, truth: NDArray[Any], weights: Floats | None = None
) -> float | None:
    """The metric of the best prediction that is the same for every row.

    Tried are the classes' or labels' shares, the most frequent class or labels, and for values mean
    and median, or the quantiles, of rows by what they weigh. None where the metric is defined for
    none of them.

    Examples
    --------
    >>> print(best_constant_score("accuracy", "binary", np.array([0, 0, 0, 1])))
    0.75
    >>> print(best_constant_score("mae", "regression", np.array([[0.0], [0.0], [3.0]])))
    1.0
    """
    n = len(truth)
    scores = [
        float(
            score(metric, truth, np.broadcast_to(row, (n, *row.shape)), kind=kind, weights=weights)
        )
        for row in _constants(kind, truth, weights)
    ]
    finite = [value for value in scores if np.isfinite(value)]
    best = min if METRICS[metric].direction == "min" else max
    return best(finite) if finite else None


def _constants(kind: ProblemKind, truth: NDArray[Any], weights: Floats | None) -> list[Floats]:
    shares = np.average(truth, axis=0, weights=weights)
    if kind == "binary":
        return [np.array(share) for share in (shares, 0.0, 1.0)]
    if kind == "multiclass":
        counts = np.bincount(truth, weights)
        return [counts / counts.sum(), (np.arange(len(counts)) == counts.argmax()).astype(float)]
    if kind == "multilabel":
        return [shares, *((shares >= share).astype(float) for share in np.unique(shares))]
    weighed: dict[str, Any] = (
        {} if weights is None else {"weights": weights, "method": "inverted_cdf"}
    )
    if kind == "quantile":
        return [np.quantile(truth[:, 0], levels_of(kind), **weighed)]
    return [shares, np.quantile(truth, 0.5, axis=0, **weighed)]


def _columns(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """``prefix`` or ``prefix.<name>``, in the order of the table."""
    return table[[c for c in table.columns if c == prefix or c.startswith(f"{prefix}.")]]


def _code(cell: Any, labels: Sequence[Any]) -> int | None:
    """The code of a label as ``read_csv`` gives it: ``07`` may be 7, a formula has a quote."""
    for code, label in enumerate(labels):
        if str(cell) in (str(label), f"'{label}") or _number(cell) == _number(label) is not None:
            return code
    return None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
