"""Views: the forms in which a named input gives numbers and categories to a network.

A view is chosen by an input's name (``numbers.quantile``, ``shop.onehot``), so that a space chooses
it as it chooses anything else. What it learns, it learns from a fold's training rows, as plain
arrays of one shape for every fold; it is fitted where a network asks for it alone.

Numbers, of which missing cells are filled by the training rows' median before:

- ``standard``, and no view: less their mean, by their standard deviation.
- ``raw``: as they are, less the column's offset.
- ``robust``: less their median, by their interquartile range; by half of their range where that is
  0 (Holzmueller et al. 2024, "Better by default", section 3).
- ``clip``: ``robust``, then smoothly clipped to 3: ``x / sqrt(1 + (x / 3)**2)`` (the same).
- ``log``: the sign of x times ``log(1 + |x|)``, standardised.
- ``quantile``: the normal score of the training rows' quantile, between which it is linear.
- ``piecewise``: the piecewise-linear encoding between quantiles, an axis more (Gorishniy et al.
  2022, "On embeddings for numerical features", equation 1); of missing cells all 0.
- ``missing``: 1 where a cell is missing, of the columns that have missing cells.

The others but ``raw`` and ``piecewise`` have these indicators behind, as the flat vector has.
Categories: codes for an ``Embedding``, with no view, all columns' in one table; ``onehot``, as in
the flat vector; ``ordinal``, the place of the level among the known ones in their order, from 0 to
1, -1 where it is missing or unseen; ``target``, the mean of the target over the level's training
rows, shrunk towards that over all of them (empirical Bayes; Micci-Barreca 2001), in standard
deviations from it: of several classes or values, one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hpsearch.preprocessing.design import as_float, category_slots_of, indicator, one_hot
from hpsearch.preprocessing.encoding import Layout
from hpsearch.preprocessing.statistics import ABSENT, COLUMNS_AT_ONCE, Statistics
from hpsearch.task import Input

N_EDGES, N_BINS = 33, 16
"""Quantiles that ``quantile`` is linear between, and bins of ``piecewise``."""

_LEAST = float(np.finfo(np.float32).tiny)

Learnt = dict[str, NDArray[np.float32]]


# --- what every view reads ----------------------------------------------------------------------


def filled_numbers(xp: ModuleType, statistics: Statistics, numbers: Any, *, may_miss: bool) -> Any:
    """Numbers (n, n_numbers) whose missing cells hold the fold's fill."""
    return xp.where(xp.isnan(numbers), statistics.fill, numbers) if may_miss else numbers


def indicators_of(
    xp: ModuleType, layout: Layout, numbers: Any, positions: tuple[int, ...]
) -> Any | None:
    """1 where a cell is missing (n, n_indicators), of these features that have missing cells."""
    chosen = [at for at in layout.indicators if at in set(positions)]
    if not chosen:
        return None
    return indicator(xp, xp.isnan(xp.take(numbers, np.array(chosen, np.int32), axis=1)))


# --- numbers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumberView:
    """A form of numbers.

    Attributes
    ----------
    apply : gives (n, d) or (n, d, k) of filled numbers (n, d), by what was learnt of these d.
    fit : learns of all numbers of training rows (n, n_numbers), float64 with NaN.
    n_values : values that a number becomes on an axis of its own; 0 for none.
    indicates : whether indicators of missing cells stand behind.
    """

    apply: Callable[[ModuleType, Any, Callable[[str], Any]], Any]
    fit: Callable[[NDArray[np.float64]], Learnt] | None = None
    n_values: int = 0
    indicates: bool = True

    def described(self, layout: Layout, positions: tuple[int, ...]) -> Input:
        """The shape of the features at some positions."""
        if self.n_values:
            return Input((len(positions), self.n_values))
        n_missing = sum(at in set(positions) for at in layout.indicators)
        return Input((len(positions) + n_missing * self.indicates,))

    def made(
        self,
        xp: ModuleType,
        statistics: Statistics,
        filled: Any,
        missing: Any | None,
        positions: tuple[int, ...],
    ) -> Any:
        """The view of some features' filled numbers (n, d)."""
        at = np.array(positions, np.int32)

        def learnt(name: str) -> Any:
            known = statistics.views.get(name)
            values = getattr(statistics, name) if known is None else known
            return values[at] if isinstance(values, np.ndarray) else xp.take(values, at, axis=0)

        values = self.apply(xp, filled, learnt)
        if missing is None or not self.indicates or self.n_values:
            return values
        return xp.concatenate([values, missing], axis=1)


class MissingView(NumberView):
    """Indicators alone."""

    def described(self, layout: Layout, positions: tuple[int, ...]) -> Input:
        """A value for each feature that has missing cells."""
        return Input((sum(at in set(positions) for at in layout.indicators),))

    def made(
        self,
        xp: ModuleType,
        statistics: Statistics,
        filled: Any,
        missing: Any | None,
        positions: tuple[int, ...],
    ) -> Any:
        """The indicators (n, n_indicators)."""
        return filled[:, :0] if missing is None else missing


def _standard(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    return (x - learnt("centre")) / learnt("scale")


def _raw(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    return x


def _robust(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    return (x - learnt("robust_centre")) / learnt("robust_scale")


def _clipped(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    scaled = _robust(xp, x, learnt)
    return scaled / xp.sqrt(1.0 + xp.square(scaled / 3.0))


def _log(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    logs = xp.sign(x) * xp.log1p(xp.abs(x))
    return (logs - learnt("log_centre")) / learnt("log_scale")


def _normal_scores(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    edges, scores = learnt("edges"), learnt("scores")
    shares = _shares(xp, x, edges)
    risen = xp.sum(shares * (scores[:, 1:] - scores[:, :-1]), axis=-1)
    return risen + scores[:, 0]  # a symbolic tensor to the left, as NumPy's would read it


def _piecewise(xp: ModuleType, x: Any, learnt: Callable[[str], Any]) -> Any:
    return _shares(xp, x, learnt("bins"))


def _shares(xp: ModuleType, x: Any, edges: Any) -> Any:
    """How much of each interval between edges (d, k + 1) lies below x (n, d): (n, d, k)."""
    low, width = edges[:, :-1], edges[:, 1:] - edges[:, :-1]
    above = x[:, :, None] - low
    is_wide = width > _LEAST  # what is smaller, a device may take for 0
    known = np if isinstance(width, np.ndarray) else xp
    shares = xp.clip(above / known.where(is_wide, width, np.float32(1.0)), 0.0, 1.0)
    step = xp.where(above > 0, np.float32(1.0), np.float32(0.0))
    return xp.where(is_wide, shares, step)


def _fit_robust(values: NDArray[np.float64]) -> Learnt:
    low, centre, high = _quantiles(values, np.array([0.25, 0.5, 0.75]))
    least, most = _quantiles(values, np.array([0.0, 1.0]))
    scale = np.where(high > low, high - low, (most - least) / 2)
    return {
        "robust_centre": _single(centre),
        "robust_scale": _single(np.where(scale > _LEAST, scale, 1.0)),
    }


def _fit_log(values: NDArray[np.float64]) -> Learnt:
    logs = np.sign(values) * np.log1p(np.abs(values))
    present = ~np.isnan(logs)
    counts = np.maximum(present.sum(axis=0), 1)
    centre = np.where(present, logs, 0.0).sum(axis=0) / counts
    scale = np.sqrt(np.where(present, (logs - centre) ** 2, 0.0).sum(axis=0) / counts)
    scale = np.where(scale > 1e-7 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    return {"log_centre": _single(centre), "log_scale": _single(scale)}


def _fit_scores(values: NDArray[np.float64]) -> Learnt:
    """Edges and their normal scores; equal edges, of many equal numbers, share the mean score."""
    inside = np.linspace(0.0, 1.0, N_EDGES)
    edges = _quantiles(values, inside).T.astype(np.float32)
    bounded = np.clip(inside, 0.5 / N_EDGES, 1.0 - 0.5 / N_EDGES)
    normal = special.ndtri(bounded)
    scores = np.empty(edges.shape, np.float32)
    for row, of_feature in zip(scores, edges, strict=True):
        first = np.searchsorted(of_feature, of_feature, side="left")
        last = np.searchsorted(of_feature, of_feature, side="right")
        sums = np.concatenate([[0.0], np.cumsum(normal)])
        row[:] = (sums[last] - sums[first]) / (last - first)
    return {"edges": edges, "scores": scores}


def _fit_bins(values: NDArray[np.float64]) -> Learnt:
    edges = _quantiles(values, np.linspace(0.0, 1.0, N_BINS + 1))
    return {"bins": edges.T.astype(np.float32)}


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """In float32, whose largest number stands for what lies beyond."""
    most = float(np.finfo(np.float32).max)
    return np.clip(values, -most, most).astype(np.float32)


def _quantiles(values: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles (n_shares, d) of present cells; 0 of a feature that has none."""
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(np.quantile(values, shares, axis=0))
    found = np.zeros((len(shares), values.shape[1]))
    for at in range(values.shape[1]):
        present = values[~missing[:, at], at]
        if len(present):
            found[:, at] = np.quantile(present, shares)
    return found


_STANDARD = NumberView(_standard)
NUMBER_VIEWS: Mapping[str, NumberView] = {
    "": _STANDARD,
    "standard": _STANDARD,
    "raw": NumberView(_raw, indicates=False),
    "robust": NumberView(_robust, _fit_robust),
    "clip": NumberView(_clipped, _fit_robust),
    "log": NumberView(_log, _fit_log),
    "quantile": NumberView(_normal_scores, _fit_scores),
    "piecewise": NumberView(_piecewise, _fit_bins, n_values=N_BINS, indicates=False),
    "missing": MissingView(_raw),
}


# --- categories ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class CategoryView:
    """A form of categories.

    Attributes
    ----------
    apply : gives values of slots (n, d), by the slots each column has and what was learnt.
    fit : learns of the slots and the target of training rows.
    """

    apply: Callable[[ModuleType, Any, tuple[int, ...], Any], Any] | None = None
    fit: Callable[[NDArray[np.int32], NDArray[Any], Layout], Learnt] | None = None

    def described(self, layout: Layout, positions: tuple[int, ...]) -> Input:
        """The shape, and the codes, of the columns at some positions."""
        n_slots = tuple(layout.category_slots[at] for at in positions)
        if self.apply is None:
            return Input((len(positions),), "int32", sum(n + 1 for n in n_slots))
        if self is CATEGORY_VIEWS["onehot"]:
            return Input((sum(n_slots),))
        return Input((len(positions) * (1 if self.fit is None else layout.n_means),))

    def made(
        self,
        xp: ModuleType,
        layout: Layout,
        statistics: Statistics,
        slots: Any,
        positions: tuple[int, ...],
    ) -> Any:
        """The view of some columns' slots (n, d)."""
        n_slots = tuple(layout.category_slots[at] for at in positions)
        if self.apply is None:
            starts = np.cumsum([0, *(n + 1 for n in n_slots)])[:-1].astype(np.int32)
            return slots + (1 + starts)
        n_slots_of_all = [n + 1 for n in layout.category_slots]
        means, ends = statistics.views.get("level_means"), np.cumsum([0, *n_slots_of_all])
        of_columns = [
            means[int(ends[at]) : int(ends[at + 1])] for at in positions if means is not None
        ]
        return self.apply(xp, slots, n_slots, of_columns)


def _one_hot(xp: ModuleType, slots: Any, n_slots: tuple[int, ...], learnt: Any) -> Any:
    return xp.concatenate(one_hot(xp, slots, n_slots), axis=1)


def _ordinal(xp: ModuleType, slots: Any, n_slots: tuple[int, ...], learnt: Any) -> Any:
    steps = np.maximum(np.array(n_slots, np.float32) - 1.0, 1.0)
    return xp.where(slots >= 0, as_float(xp, slots) / steps, np.float32(-1.0))


def _level_means(xp: ModuleType, slots: Any, n_slots: tuple[int, ...], learnt: Any) -> Any:
    columns = [xp.take(means, slots[:, j] + 1, axis=0) for j, means in enumerate(learnt)]
    return xp.concatenate(columns, axis=1)


def _fit_level_means(slots: NDArray[np.int32], y: NDArray[Any], layout: Layout) -> Learnt:
    """Means (sum of ``category_slots + 1``, n_means), that of ``ABSENT`` first in each column."""
    targets = _numbers_of(y, layout.n_means)
    means = [
        np.concatenate(
            [_shrunk(slots[:, j] - ABSENT, n + 1, y) for j, n in enumerate(layout.category_slots)]
        )
        for y in targets.T
    ]
    return {"level_means": np.stack(means, axis=1).astype(np.float32)}


def _shrunk(level: NDArray[np.int32], n_levels: int, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each level's mean of a target, shrunk towards that of all, in standard deviations."""
    overall, variance = y.mean(), y.var()
    counts = np.bincount(level, minlength=n_levels)
    means = np.bincount(level, y, minlength=n_levels) / np.maximum(counts, 1)
    squares = np.bincount(level, (y - overall) ** 2, minlength=n_levels) / np.maximum(counts, 1)
    within = np.maximum(squares - (means - overall) ** 2, 0.0)
    weight = counts * variance
    share = weight / np.maximum(weight + within, np.finfo(float).tiny)
    shrunk = np.where(counts > 0, share * (means - overall), 0.0)
    return np.asarray(shrunk / (np.sqrt(variance) if variance > 0 else 1.0))


def _numbers_of(y: NDArray[Any], n_means: int) -> NDArray[np.float64]:
    """The target as numbers (n, n_means) that have a mean: of several classes, one for each."""
    if y.ndim == 1 and n_means > 1:
        return np.asarray(np.eye(n_means)[y])
    return y.reshape(len(y), -1).astype(np.float64)


CATEGORY_VIEWS: Mapping[str, CategoryView] = {
    "": CategoryView(),
    "codes": CategoryView(),
    "onehot": CategoryView(_one_hot),
    "ordinal": CategoryView(_ordinal),
    "target": CategoryView(_level_means, _fit_level_means),
}


def _in_blocks(
    fit: Callable[[NDArray[np.float64]], Learnt], numbers: NDArray[np.float32]
) -> Learnt:
    """What is learnt of each feature, of some at a time, whose copies in float64 stay small."""
    n_blocks = max(1, numbers.shape[1] // COLUMNS_AT_ONCE)
    parts = [fit(b.astype(np.float64)) for b in np.array_split(numbers, n_blocks, axis=1)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fit_view(
    name: str,
    numbers: NDArray[np.float32],
    codes: NDArray[np.int32],
    y: NDArray[Any],
    category_slots: NDArray[np.int32],
    layout: Layout,
) -> Learnt:
    """What a view (``numbers.robust``) learns of training rows; nothing of what it has for all.

    Parameters
    ----------
    numbers, codes, y : of the training rows alone.
    category_slots : of the fold's statistics.
    """
    kind, view = name.split(".")
    if kind == "numbers":
        fit = NUMBER_VIEWS[view].fit
        return {} if fit is None else _in_blocks(fit, numbers)
    learn = CATEGORY_VIEWS[view].fit
    if learn is None:
        return {}
    slots = category_slots_of(np, layout, category_slots, codes)
    return learn(np.asarray(slots), y, layout)
