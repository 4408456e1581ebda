"""Calibrators: functions that make probabilities mean what they say, and fitting them.

Owns their form, which stands in a model's manifest, and applying them: to arrays in NumPy, and to
symbolic tensors in Keras's own operations, so that they are part of the exported network. Whether
one is worth keeping belongs to ``calibration``.

References
----------
Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q.: On calibration of modern neural networks.
Proceedings of Machine Learning Research 70 (2017) 1321-1330.
Oron, A. P., Flournoy, N.: Centered isotonic regression. Statistics in Biopharmaceutical Research 9
(2017) 258-267.
Platt, J. C.: Probabilistic outputs for support vector machines. In: Advances in Large Margin
Classifiers, MIT Press (1999) 61-74.
Zadrozny, B., Elkan, C.: Transforming classifier scores into accurate multiclass probability
estimates. Proceedings of KDD (2002) 694-699.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.newton import (
    INTERCEPTS,
    SLOPES,
    Floats,
    Links,
    newton_of_classes,
    newton_of_label,
)
from hpsearch.task import Target

Method = Literal["temperature", "platt", "isotonic"]

Asked = Literal["auto", "none", "temperature", "platt", "isotonic"]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
ASKED: Final[tuple[Asked, ...]] = get_args(Asked)
EDGE: Final = 2.0**-16
"""Probabilities are held so far from 0 and 1 before a logarithm: nearer to 1 a rounding of float32
would show in the logit."""

CELLS_AT_A_TIME: Final = 2**19
"""Samples times probabilities of which Newton's steps are made at once."""

_STEEPEST: Final = 100.0
"""Of an isotonic calibrator: a rounding of float32 stays one."""


@dataclass(frozen=True)
class Calibrator:
    """What calibrates probabilities, column by column.

    Attributes
    ----------
    method : ``"temperature"`` and ``"platt"`` are ``link(slope x + intercept)`` with x the logit of
        a probability, or of several classes its logarithm; ``"isotonic"`` is a line through knots.
    excludes : whether the columns are classes of which one is true, so that rows add up to 1.
    slopes, intercepts : one a column, or one for all; empty for ``"isotonic"``.
    knots, values : of each column, probabilities before and after.
    """

    method: Method
    excludes: bool
    slopes: tuple[float, ...] = ()
    intercepts: tuple[float, ...] = ()
    knots: tuple[tuple[float, ...], ...] = ()
    values: tuple[tuple[float, ...], ...] = ()

    def columns(self, xp: Any, probabilities: Any) -> Any:
        """Calibrated probabilities (n, columns) of such ones.

        Parameters
        ----------
        xp : ``numpy`` or ``keras.ops``.
        """
        dtype = np.float64 if xp is np else np.float32
        if self.method == "isotonic":
            found = self._through_knots(xp, probabilities, dtype)
            return found / xp.sum(found, axis=-1, keepdims=True) if self.excludes else found
        p = xp.clip(probabilities, EDGE, 1.0 - EDGE)
        x = xp.log(p) if self.excludes else xp.log(p) - xp.log(1.0 - p)
        links = Links if xp is np else xp
        z = x * np.array(self.slopes, dtype) + np.array(self.intercepts, dtype)
        return links.softmax(z, axis=-1) if self.excludes else links.sigmoid(z)

    def _through_knots(self, xp: Any, probabilities: Any, dtype: Any) -> Any:
        width = max(map(len, self.knots))
        at, to = (np.array([_filled(c, width) for c in each]) for each in (self.knots, self.values))
        gaps = np.diff(at, axis=1)
        rates = np.where(gaps > 0, 1.0 / np.where(gaps > 0, gaps, 1.0), 0.0).astype(dtype)
        rises, first = np.diff(to, axis=1).astype(dtype), to[:, 0].astype(dtype)
        far = (xp.expand_dims(probabilities, -1) - at[:, :-1].astype(dtype)) * rates
        return xp.sum(xp.clip(far, 0.0, 1.0) * rises, axis=-1) + first

    def predictions(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Canonical predictions (..., n) of a binary problem, else (..., n, columns), calibrated.

        Examples
        --------
        >>> half = Calibrator("temperature", excludes=False, slopes=(0.5,), intercepts=(0.0,))
        >>> half.predictions(np.array([0.2, 0.5, 0.8])).round(3)
        array([0.333, 0.5  , 0.667])
        """
        is_binary = not self.excludes and self.n_columns == 1
        columns = predictions[..., np.newaxis] if is_binary else predictions
        rows = columns.reshape(-1, columns.shape[-1]).astype(np.float64)
        found = self.columns(np, rows).reshape(columns.shape).astype(predictions.dtype)
        return np.asarray(found[..., 0] if is_binary else found)

    @property
    def n_columns(self) -> int:
        """Columns that have parameters of their own."""
        return len(self.knots or self.slopes)

    def to_json(self) -> dict[str, Any]:
        """What stands in a manifest; ``from_json`` is its inverse."""
        return {name: value for name, value in asdict(self).items() if value != ()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibrator:
        """The inverse of ``to_json``."""
        knots, values = (
            tuple(tuple(map(float, column)) for column in value.get(name, ()))
            for name in ("knots", "values")
        )
        slopes, intercepts = (
            tuple(map(float, value.get(name, ()))) for name in ("slopes", "intercepts")
        )
        return cls(value["method"], bool(value["excludes"]), slopes, intercepts, knots, values)


def calibrator_in(decisions: Mapping[str, Any] | None) -> Calibrator | None:
    """The calibrator of a model's decisions, if there is one."""
    found = (decisions or {}).get("calibration")
    return None if found is None else Calibrator.from_json(found)


@dataclass(frozen=True, eq=False)
class Cases:
    """Predictions with what came true, as calibrators are fitted to them.

    Attributes
    ----------
    x : (m, columns) logits, or of several classes logarithms.
    p : (m, columns) the probabilities.
    came_true : (m, columns) 0 and 1.
    rows : (m,) the row of each case; excludes : as in ``Calibrator``.
    n_repeats : cases of each row.
    """

    x: Floats
    p: Floats
    came_true: Floats
    rows: NDArray[np.int64]
    excludes: bool
    n_repeats: int

    @classmethod
    def of(cls, target: Target, y: NDArray[Any], predictions: NDArray[Any]) -> Cases:
        """Of targets (n, ...) and canonical predictions (P, n, ...)."""
        excludes, n_repeats = target.kind == "multiclass", len(predictions)
        if excludes:
            truth = np.eye(predictions.shape[-1])[y.astype(np.int64)]
        else:
            truth = y.reshape(len(y), -1).astype(np.float64)
        p = predictions.reshape(-1, truth.shape[1]).astype(np.float64)
        held = np.clip(p, EDGE, 1.0 - EDGE)
        x = np.log(held) if excludes else np.log(held) - np.log(1.0 - held)
        rows = np.tile(np.arange(len(y)), n_repeats)
        return cls(x, p, truth[rows], rows, excludes, n_repeats)

    def fitted(
        self, method: Method, weights: Floats, start: Calibrator | None = None
    ) -> Calibrator | None:
        """The calibrator of rows that weigh (n,); None where these don't have every label.

        Parameters
        ----------
        start : a calibrator near it, of the same method.
        """
        of_case = weights[self.rows] / self.n_repeats
        there = of_case > 0
        x, p, truth, w = self.x[there], self.p[there], self.came_true[there], of_case[there]
        has = w @ truth
        if not (has > 0).all() or not (has < w.sum()).all():
            return None
        if method == "isotonic":
            lines = [_isotonic(p[:, c], truth[:, c], w) for c in range(p.shape[1])]
            knots, values = zip(*lines, strict=True)
            return Calibrator(method, self.excludes, knots=knots, values=values)
        if self.excludes:
            slopes, intercepts = _fit_classes(x, truth, w, method, start)
        else:
            found = [_fit_label(x[:, c], truth[:, c], w, method, start, c) for c in range(len(has))]
            slopes, intercepts = (tuple(each) for each in zip(*found, strict=True))
        return Calibrator(method, self.excludes, slopes=slopes, intercepts=intercepts)

    def fitted_to_samples(
        self, method: Method, weights: Floats, start: Calibrator
    ) -> list[Calibrator | None]:
        """Calibrators of many samples' rows, which weigh (b, n), as ``fitted`` gives them.

        Slopes and intercepts by Newton's method from those of ``start``, for all samples at once;
        where it has not come to rest, and of classes' vectors, sample by sample.
        """
        if method == "isotonic" or (self.excludes and method == "platt"):
            return [self.fitted(method, of_sample, start) for of_sample in weights]
        found: list[Calibrator | None] = []
        step = max(1, CELLS_AT_A_TIME // self.x.size)
        for first in range(0, len(weights), step):
            few = weights[first : first + step]
            of_cases = few[:, self.rows] / self.n_repeats
            has = of_cases @ self.came_true
            is_there = ((has > 0) & (has < of_cases.sum(axis=1, keepdims=True))).all(axis=1)
            slopes, intercepts, rests = self._newton(method, of_cases, start)
            for at, of_sample in enumerate(few):
                if is_there[at] and rests[at]:
                    of, plus = (tuple(map(float, each[at])) for each in (slopes, intercepts))
                    found.append(Calibrator(method, self.excludes, of, plus))
                else:
                    found.append(self.fitted(method, of_sample, start) if is_there[at] else None)
        return found

    def _newton(
        self, method: Method, weights: Floats, start: Calibrator
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Slopes and intercepts (b, columns) for cases that weigh (b, m), and which rest."""
        if self.excludes:
            slopes, rests = newton_of_classes(self.x, self.came_true, weights, start.slopes[0])
            return slopes[:, np.newaxis], np.zeros((len(weights), 1)), rests
        parts = [
            newton_of_label(
                self.x[:, c],
                self.came_true[:, c] == 1,
                weights,
                np.array([start.slopes[c], start.intercepts[c]]),
                has_intercept=method == "platt",
            )
            for c in range(self.x.shape[1])
        ]
        theta = np.stack([found for found, _ in parts], axis=1)
        rests = np.logical_and.reduce([is_at_rest for _, is_at_rest in parts])
        return theta[..., 0], theta[..., 1], rests


def _fit_label(
    x: Floats, truth: Floats, w: Floats, method: Method, start: Calibrator | None, column: int
) -> tuple[float, float]:
    """Slope and intercept of one label's logits."""
    if method == "platt":  # its targets, which are not quite 0 and 1
        positive, negative = w @ truth, w @ (1.0 - truth)
        truth = np.where(truth == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = theta[0] * x + (theta[1] if len(theta) > 1 else 0.0)
        off = w * (Links.sigmoid(z) - truth)
        value = w @ (np.logaddexp(0.0, z) - truth * z)
        return float(value), np.array([off @ x, off.sum()])[: len(theta)]

    first = [1.0, 0.0] if start is None else [start.slopes[column], start.intercepts[column]]
    found = _minimised(loss, np.array(first[: 2 if method == "platt" else 1]), 1)
    return float(found[0]), float(found[1]) if len(found) > 1 else 0.0


def _fit_classes(
    x: Floats, truth: Floats, w: Floats, method: Method, start: Calibrator | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Slopes and intercepts of several classes' logarithms: one slope, or vector scaling."""
    n_classes = x.shape[1]
    n_slopes = n_classes if method == "platt" else 1

    def loss(theta: Floats) -> tuple[float, Floats]:
        slopes, intercepts = theta[:n_slopes], theta[n_slopes:]
        z = x * slopes + (intercepts if len(intercepts) else 0.0)
        top = z.max(axis=1, keepdims=True)
        powers = np.exp(z - top)
        total = powers.sum(axis=1, keepdims=True)
        value = w @ ((np.log(total) + top)[:, 0] - (truth * z).sum(axis=1))
        off = w[:, np.newaxis] * (powers / total - truth)
        by_slope = (off * x).sum(axis=0)
        by_slope = by_slope if n_slopes > 1 else by_slope.sum(keepdims=True)
        return float(value), np.append(by_slope, off.sum(axis=0) if len(intercepts) else [])

    n_intercepts = n_classes if method == "platt" else 0
    first = np.append(np.ones(n_slopes), np.zeros(n_intercepts))
    if start is not None:
        first = np.append(start.slopes, start.intercepts if n_intercepts else [])
    found = _minimised(loss, first, n_slopes)
    intercepts = found[n_slopes:] - found[n_slopes:].mean() if n_intercepts else [0.0]
    return tuple(map(float, found[:n_slopes])), tuple(map(float, intercepts))


def _minimised(loss: Any, first: Floats, n_slopes: int) -> Floats:
    from scipy.optimize import minimize  # slow to import

    bounds = [SLOPES] * n_slopes + [INTERCEPTS] * (len(first) - n_slopes)
    return np.asarray(minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _isotonic(p: Floats, truth: Floats, w: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots and values of a line that never falls: through the centres of isotonic blocks.

    Values stay so far from 0 and 1 that one more row could be the first that is otherwise.
    """
    from sklearn.isotonic import isotonic_regression  # slow to import

    at, places = np.unique(p, return_inverse=True)
    weights = np.bincount(places, w)
    edge = 1.0 / (w.sum() + 2.0)
    shares = np.bincount(places, w * truth) / weights
    steps = isotonic_regression(shares, sample_weight=weights, y_min=edge, y_max=1.0 - edge)
    blocks: list[tuple[float, float, float]] = []
    ends = np.flatnonzero(np.append(steps[1:] != steps[:-1], True)) + 1
    for first, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        of_block = weights[first:end]
        centre = float(of_block @ at[first:end] / of_block.sum())
        block = (centre, float(steps[first]), float(of_block.sum()))
        while blocks and block[1] - blocks[-1][1] > _STEEPEST * (block[0] - blocks[-1][0]):
            block = _joined(blocks.pop(), block)
        blocks.append(block)
    knots, values, _ = zip(*blocks, strict=True)
    return tuple(knots), tuple(values)


def _joined(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Two blocks as one: centre, value, weight."""
    weight = a[2] + b[2]
    centre, value = ((a[at] * a[2] + b[at] * b[2]) / weight for at in (0, 1))
    return centre, value, weight


def _filled(column: tuple[float, ...], width: int) -> list[float]:
    return [*column, *[column[-1]] * (width - len(column))]
