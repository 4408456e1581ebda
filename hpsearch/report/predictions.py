"""Figures of the selected trial's out-of-fold predictions, by problem type.

Every row is predicted once a repeat, by a network that has not seen it. Repeats are pooled: each
prediction counts as a case, since the mean over repeats would be the prediction of an ensemble
that nobody exports. Counts are means over repeats. Where rows weigh in scores, they weigh here: a
count is a sum of weights then, and a row of weight 0 is no case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from hpsearch.folds.weighing import effective_rows
from hpsearch.report.figures import Spec, thinned
from hpsearch.report.material import label, short
from hpsearch.task import OF_NUMBERS

MOST_POINTS: Final = 1500
"""Rows of a scatter plot; more are thinned evenly over the table's rows."""
MOST_CLASSES: Final = 30
N_BINS: Final = 10
_CURVE_POINTS: Final = 150

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predicted:
    """``predictions.csv`` as arrays.

    Attributes
    ----------
    kind : the problem type.
    names : classes (the positive one last in a binary problem), labels, or targets.
    truth : positions in ``names`` (n,) for ``binary`` and ``multiclass``, else values (n, V).
    predicted : ``binary`` probabilities of ``names[1]`` (n,), else (n, C) or (n, V).
    rows, repeats : row of the table and repeat (n,).
    weights : what the rows weigh in scores (n,), or None where all weigh the same.
    levels : of quantiles, which are named by them; else empty.
    """

    kind: str
    names: tuple[str, ...]
    truth: NDArray[Any]
    predicted: Floats
    rows: NDArray[np.int64]
    repeats: NDArray[np.int64]
    weights: Floats | None = None
    levels: tuple[float, ...] = ()

    def mean(self, values: NDArray[Any], members: Any = slice(None)) -> float:
        """The mean of some cases' values, by what they weigh."""
        weights = None if self.weights is None else self.weights[members]
        return float(np.average(values[members], weights=weights))

    def quantiles(self, values: NDArray[Any], shares: Any) -> Floats:
        """Quantiles of a value of every case, by what they weigh."""
        if self.weights is None:
            return np.asarray(np.quantile(values, shares))
        return np.asarray(np.quantile(values, shares, weights=self.weights, method="inverted_cdf"))

    def n_rows(self, members: Any = slice(None)) -> float:
        """How many rows some cases are; where they weigh, how many of equal weight they are worth.

        A row counts once, not once a repeat.
        """
        if self.weights is None:
            return len(self.rows[members]) / self.n_repeats
        return effective_rows(self.weights[members]) / self.n_repeats

    def times(self, n: int) -> Predicted:
        """The same cases n times, one after the other, as several questions of each have them."""
        if n == 1:
            return self
        weights = None if self.weights is None else np.tile(self.weights, n)
        return replace(self, rows=np.tile(self.rows, n), weights=weights)

    @property
    def n_repeats(self) -> int:
        """Repeats that the predictions come from."""
        return max(1, len(np.unique(self.repeats)))

    @classmethod
    def of(cls, table: pd.DataFrame, kind: str, target: Mapping[str, Any]) -> Predicted | None:
        """The arrays of ``predictions.csv``, or None where it doesn't fit the problem type.

        Parameters
        ----------
        table : the table; may be empty.
        kind : the problem type.
        target : the schema's target, for the order of the classes; may be empty.
        """
        if table.empty or not {"row", "repeat"} <= set(table.columns):
            return None
        pred, true = _columns(table, "y_pred"), _columns(table, "y_true")
        if not pred or not true:
            return None
        weights = None
        if "weight" in table.columns:
            table = table[table["weight"] > 0]
            weights = table["weight"].to_numpy(np.float64)
            if table.empty:
                return None
        predicted = table[pred].to_numpy(dtype=np.float64)
        rows, repeats = table["row"].to_numpy(np.int64), table["repeat"].to_numpy(np.int64)
        names = tuple(label(name.removeprefix("y_pred.")) for name in pred)
        truth: NDArray[Any]
        if kind in ("binary", "multiclass"):
            cells = [label(cell) for cell in table[true[0]]]
            if kind == "binary":
                names = _binary_classes(cells, predicted[:, 0], target.get("labels") or ())
                predicted = predicted[:, 0]
            places = {name: place for place, name in enumerate(names)}
            if not set(cells) <= set(places):
                return None
            truth = np.array([places[cell] for cell in cells])
        else:
            if not all(pd.api.types.is_numeric_dtype(table[name]) for name in true):
                return None
            truth = table[true].to_numpy(dtype=np.float64)
            if kind == "quantile":
                return cls._of_quantiles(truth, predicted, rows, repeats, weights, target)
            if truth.shape != predicted.shape:
                return None
            if pred == ["y_pred"]:
                names = tuple(map(str, target.get("names") or ("target",)))[:1]
        return cls(kind, names, truth, predicted, rows, repeats, weights)

    @classmethod
    def _of_quantiles(
        cls,
        truth: Floats,
        predicted: Floats,
        rows: NDArray[np.int64],
        repeats: NDArray[np.int64],
        weights: Floats | None,
        target: Mapping[str, Any],
    ) -> Predicted | None:
        """The quantiles of a value, where the target says as many levels as there are columns."""
        levels = tuple(map(float, target.get("levels") or ()))
        if truth.shape[1] != 1 or len(levels) != predicted.shape[1]:
            return None
        names = tuple(f"q{level:g}" for level in levels)
        return cls("quantile", names, truth, predicted, rows, repeats, weights, levels)


def _columns(table: pd.DataFrame, prefix: str) -> list[str]:
    return [str(n) for n in table.columns if str(n) == prefix or str(n).startswith(f"{prefix}.")]


def _binary_classes(
    cells: Sequence[str], probabilities: Floats, labels: Sequence[Any]
) -> tuple[str, ...]:
    """The two classes, the positive one last; from the predictions where no schema says it."""
    if len(labels) == 2:
        return tuple(label(name) for name in labels)
    found = sorted(set(cells))
    truth = np.array(cells)
    found.sort(key=lambda name: float(probabilities[truth == name].mean()))
    return tuple(found) if len(found) == 2 else (*found, "")[:2]


# -- classes


def confusion(predicted: Predicted) -> Spec | None:
    """How often each class was predicted as which: rows are the true classes.

    ``counts`` are means over the repeats; ``shares`` are of the true class's rows. A binary
    prediction is the positive class from 0.5 on.
    """
    names = predicted.names
    if predicted.kind not in ("binary", "multiclass") or len(names) > MOST_CLASSES:
        return None
    scores = predicted.predicted
    chosen = (scores >= 0.5).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
    counts = np.zeros((len(names), len(names)))
    each = 1.0 if predicted.weights is None else predicted.weights
    np.add.at(counts, (predicted.truth, chosen), each / predicted.n_repeats)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return {
        "kind": "matrix",
        "names": list(names),
        "counts": [[short(value, 4) for value in row] for row in counts],
        "shares": [[short(value, 4) for value in row] for row in shares],
    }


def _binary_parts(predicted: Predicted) -> list[tuple[str, NDArray[np.bool_], Floats]]:
    """Yes-or-no questions with their predicted probabilities: a name, truths, probabilities."""
    if predicted.kind == "binary":
        return [(predicted.names[1], predicted.truth == 1, predicted.predicted)]
    if predicted.kind == "multiclass":
        return [
            (name, predicted.truth == i, predicted.predicted[:, i])
            for i, name in enumerate(predicted.names)
        ]
    return [
        (name, predicted.truth[:, i] > 0.5, predicted.predicted[:, i])
        for i, name in enumerate(predicted.names)
    ]


def roc(predicted: Predicted, *, most: int = 8) -> Spec | None:
    """ROC curves: of each repeat in a binary problem, else of each class or label.

    Shares of the other rows that are predicted as the class against shares of the class's rows,
    over all thresholds. ``series`` have ``name``, ``points`` and the area ``auc``.
    """
    if predicted.kind not in ("binary", "multiclass", "multilabel"):
        return None
    weights = predicted.weights
    parts = [(*part, weights) for part in _binary_parts(predicted)]
    if predicted.kind == "binary":
        _, truth, scores, _ = parts[0]
        parts = [
            (f"repeat {repeat}", truth[own], scores[own], None if weights is None else weights[own])
            for repeat in np.unique(predicted.repeats)
            for own in [predicted.repeats == repeat]
        ]
    series = [_roc_line(*part) for part in parts[:most]]
    drawn = [line for line in series if line is not None]
    if not drawn:
        return None
    return {
        "kind": "lines",
        "name": "roc",
        "x": "share of other rows predicted so (false positive rate)",
        "y": "share of its own rows found (true positive rate)",
        "series": drawn,
        "n_left_out": max(0, len(parts) - most),
        "range": [0, 1],
    }


def _roc_line(
    name: str, truth: NDArray[np.bool_], scores: Floats, weights: Floats | None
) -> Spec | None:
    from sklearn.metrics import auc, roc_curve

    if truth.all() or not truth.any():
        return None
    false, true, _ = roc_curve(truth, scores, sample_weight=weights)
    kept = thinned(len(false), _CURVE_POINTS)
    points = [[short(false[i], 4), short(true[i], 4)] for i in kept]
    return {"name": name, "points": points, "auc": short(auc(false, true))}


def calibration(predicted: Predicted) -> Spec | None:
    """Whether predicted probabilities come true: ten bins of equally many predictions.

    Binary problems take the positive class, multilabel ones all labels together, multiclass ones
    the predicted class. ``points`` are mean probability, share that came true, and its 95 %
    interval by Jeffreys (Brown, Cai & DasGupta 2001), with a row counted once, not once a repeat,
    and what weighs for as many rows as it is worth.
    """
    if predicted.kind == "multiclass":
        scores = predicted.predicted.max(axis=1)
        truth = predicted.predicted.argmax(axis=1) == predicted.truth
    elif predicted.kind in ("binary", "multilabel"):
        parts = _binary_parts(predicted)
        truth = np.concatenate([part[1] for part in parts])
        scores = np.concatenate([part[2] for part in parts])
        predicted = predicted.times(len(parts))
    else:
        return None
    points = []
    for members in _bins(scores):
        n = predicted.n_rows(members)
        share = predicted.mean(truth, members)
        low, high = jeffreys(share * n, n)
        points.append([*map(short, (predicted.mean(scores, members), share, low, high, n))])
    return {
        "kind": "calibration",
        "x": "mean predicted probability",
        "y": "share that came true",
        "points": points,
        "range": [0, 1],
    }


def spread(predicted: Predicted) -> Spec | None:
    """How predicted probabilities are spread, over bins of one twentieth.

    Of the positive class, for the rows of both classes; of a label, for the rows with and without
    it, all labels together; of the true class in a multiclass problem. ``shares`` add up to 1.
    """
    edges = np.linspace(0, 1, 21)
    parts: list[tuple[str, Floats, Floats | None]]
    if predicted.kind == "multiclass":
        of = "the true class"
        own = np.take_along_axis(predicted.predicted, predicted.truth[:, np.newaxis], axis=1)
        parts = [("rows", own[:, 0], predicted.weights)]
    elif predicted.kind in ("binary", "multilabel"):
        questions = _binary_parts(predicted)
        truth = np.concatenate([part[1] for part in questions])
        scores = np.concatenate([part[2] for part in questions])
        is_binary = predicted.kind == "binary"
        of = predicted.names[1] if is_binary else "a label"
        names = predicted.names if is_binary else ("without the label", "with the label")
        weights = predicted.times(len(questions)).weights
        parts = [
            (name, scores[own], None if weights is None else weights[own])
            for name, own in zip(names, (~truth, truth), strict=True)
        ]
    else:
        return None
    series = [
        {"name": name, "shares": [short(share, 4) for share in _shares(values, edges, weights)]}
        for name, values, weights in parts
        if len(values)
    ]
    return {"kind": "shares", "of": of, "edges": [short(e, 4) for e in edges], "series": series}


def _shares(values: Floats, edges: Floats, weights: Floats | None) -> list[float]:
    counts = np.histogram(np.clip(values, 0, 1), bins=edges, weights=weights)[0]
    return [float(n / (len(values) if weights is None else weights.sum())) for n in counts]


def jeffreys(successes: float, n: float) -> tuple[float, float]:
    """Jeffreys's 95 % interval of a share: quantiles of Beta(successes + 1/2, n - successes + 1/2).

    Its lower end is 0 for no success and its upper end 1 for nothing else.

    Examples
    --------
    >>> print(*(round(end, 3) for end in jeffreys(0, 10)))
    0.0 0.217
    """
    a, b = successes + 0.5, n - successes + 0.5
    low = 0.0 if successes <= 0 else float(betaincinv(a, b, 0.025))
    high = 1.0 if successes >= n else float(betaincinv(a, b, 0.975))
    return low, high


def _bins(values: Floats) -> list[NDArray[np.int64]]:
    """Positions in bins of about equally many values, by size; equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, N_BINS + 1)))
    places = np.digitize(values, edges[1:-1], right=True)
    return [np.flatnonzero(places == place) for place in np.unique(places)]


# -- numbers


def fitted(predicted: Predicted, column: int = 0) -> Spec | None:
    """Predicted against true values of one target, and their residuals.

    ``points`` are true value, predicted value, row; of one repeat, since the others tell the same
    rows again. ``bias`` has bins of the prediction: mean prediction, mean truth.
    """
    if predicted.kind not in OF_NUMBERS:
        return None
    truth, guess = predicted.truth[:, column], predicted.predicted[:, column]
    first = np.flatnonzero(predicted.repeats == predicted.repeats.min())
    kept = first[thinned(len(first), MOST_POINTS)]
    digits = 5 + digits_of_offset(truth)
    bins = [
        [
            short(predicted.mean(guess, m), digits),
            short(predicted.mean(truth, m), digits),
            len(m) if predicted.weights is None else short(predicted.weights[m].sum(), 4),
        ]
        for m in _bins(guess)
    ]
    return {
        "kind": "scatter",
        "name": predicted.names[column],
        "x": "true value",
        "y": "predicted",
        "points": [
            [short(truth[i], digits), short(guess[i], digits), int(predicted.rows[i])] for i in kept
        ],
        "bias": bins,
        "n_left_out": len(first) - len(kept),
    }


def digits_of_offset(values: Floats) -> int:
    """Digits that values far from zero have in common, and so need beside those that are shown.

    Examples
    --------
    >>> digits_of_offset(np.array([2459000.4, 2459000.6])), digits_of_offset(np.array([20.0, 25.0]))
    (6, 0)
    """
    deviation = float(values.std())
    if not 0 < deviation < np.inf:
        return 0
    return max(0, int(np.log10(np.abs(values).max() / deviation)) - 1)


def residuals(predicted: Predicted, column: int = 0) -> Spec | None:
    """How the residuals, predicted minus true, are spread: counts in bins of equal width.

    Far residuals (beyond three interquartile ranges) are counted in the outermost bins; ``below``
    and ``above`` say how many of their rows lie beyond the axis, and ``reach`` how far.
    """
    if predicted.kind not in OF_NUMBERS:
        return None
    errors = predicted.predicted[:, column] - predicted.truth[:, column]
    is_known = np.isfinite(errors)
    errors = errors[is_known]
    if not len(errors):
        return None
    each = np.ones(len(errors)) if predicted.weights is None else predicted.weights[is_known]
    each = each / predicted.n_repeats
    first, third = np.quantile(errors, [0.25, 0.75])
    reach = 3 * (third - first)
    low = max(float(errors.min()), float(first - reach))
    high = min(float(errors.max()), float(third + reach))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    n_bins = int(np.clip(np.sqrt(len(errors)), 8, 40))
    clipped = np.clip(errors, low, high)
    counts, edges = np.histogram(clipped, bins=n_bins, range=(low, high), weights=each)
    return {
        "kind": "histogram",
        "name": predicted.names[column],
        "x": "residual (predicted minus true)",
        "edges": [short(edge) for edge in edges],
        "counts": [short(count, 4) for count in counts],
        "below": short(float(each[errors < low].sum()), 4),
        "above": short(float(each[errors > high].sum()), 4),
        "reach": [short(errors.min()), short(errors.max())],
    }
