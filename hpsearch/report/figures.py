"""Figures of trials, folds and curves: tables in, plain JSON out, for the page's script to draw.

Each function returns a specification whose ``kind`` names what draws it, or None where the tables
hold nothing to draw. Numbers are rounded to five to seven digits. A range that is drawn leaves far
values out, so that one diverged trial hides no other; how many those are is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.report.material import (
    FoldCurve,
    bounds_of,
    cut,
    finite,
    label,
    records,
    short,
    shorts,
)
from hpsearch.stats.curves import changes_of_phase
from hpsearch.task import loss_sign

Spec = dict[str, Any]

MOST_EPOCHS: Final = 100
"""Points of one curve; longer ones are thinned."""
MOST_CURVE_NUMBERS: Final = 250_000
MOST_FOLD_NUMBERS: Final = 100_000
_FAR: Final = 3.0
_LEVELS: Final = 8
_LOG_FROM: Final = 8.0


def shown_range(
    values: Sequence[float] | NDArray[Any], direction: str, *, margin: float = 0.05
) -> tuple[float, float]:
    """The range to draw scores in: all but the far bad ones.

    From the best score to the worst, but at most ``3 (q3 - q1)`` beyond the quartile on the bad
    side (Tukey's far values); wider by a ``margin``, a share of it, on both sides.

    Examples
    --------
    >>> low, high = shown_range([1.0, 2.0, 3.0, 4.0, 1e30], "min")
    >>> print(round(low, 2), round(high, 2))
    0.85 4.15
    """
    sign = loss_sign(direction)
    scores = np.sort(sign * np.asarray(values, dtype=np.float64))
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return 0.0, 1.0
    first, third = np.quantile(scores, [0.25, 0.75])
    near = scores[scores <= third + _FAR * (third - first)]
    low, high = float(scores[0]), float(near[-1])
    room = margin * ((high - low) or abs(high) or 1.0)
    bounds = (sign * (low - room), sign * (high + room))
    return min(bounds), max(bounds)


def ranked(scored: pd.DataFrame, *, metric: str, direction: str) -> Spec | None:
    """Trials by rank with their corrected intervals.

    Parameters
    ----------
    scored : ``Material.scored``.
    """
    if scored.empty:
        return None
    bounds = bounds_of(metric)
    rows = [
        {
            "trial": int(row["trial"]),
            "rank": position,
            "status": row["status"],
            "score": short(row["score"]),
            "low": short(cut(row.get("ci_low"), bounds)),
            "high": short(cut(row.get("ci_high"), bounds)),
            "folds": int(finite(row.get("n_folds")) or 0),
        }
        for position, row in enumerate(records(scored), start=1)
    ]
    ends = [row["score"] for row in rows]
    low, high = shown_range(ends, direction)
    shown = [row for row in rows if low <= row["score"] <= high]
    spread = [row[end] for row in shown for end in ("low", "high") if row[end] is not None]
    if spread:  # intervals may reach further than scores, but not without bound
        width = high - low
        low = max(low - width, min(low, *spread))
        high = min(high + width, max(high, *spread))
    return {
        "kind": "ranked",
        "metric": metric,
        "direction": direction,
        "rows": rows,
        "range": [short(low), short(high)],
        "n_beyond": sum(not low <= row["score"] <= high for row in rows),
    }


# -- learning curves


def learning_curves(
    curves: pd.DataFrame,
    scored: pd.DataFrame,
    fold_curves: Mapping[int, Sequence[FoldCurve]],
    *,
    metrics: Sequence[str],
    direction: str,
    selected: int,
) -> Spec | None:
    """Mean curves with their errors, and the folds' own curves of the first metric.

    Trials come by rank, the selected one first; those beyond what a page can hold are left out.

    Parameters
    ----------
    curves : ``curves.csv``; ``val_<metric>``, ``val_<metric>_se``, ``train_<metric>``.
    fold_curves : per trial, where a journal has them.
    """
    if curves.empty or scored.empty:
        return None
    metrics = [metric for metric in metrics if f"val_{metric}" in curves.columns]
    if not metrics:
        return None
    by_trial = dict(tuple(curves.groupby("trial", sort=False)))
    rows = {int(row["trial"]): row for row in records(scored)}
    order = sorted((t for t in rows if t in by_trial), key=lambda trial: trial != selected)
    drawn: dict[str, Spec] = {}
    numbers = fold_numbers = 0
    for trial in order:
        table = by_trial[trial].sort_values("epoch")
        best = int(finite(rows[trial].get("best_epoch")) or 0)
        kept = thinned(len(table), MOST_EPOCHS, also=best - 1)
        numbers += 3 * len(kept) * len(metrics)
        if numbers > MOST_CURVE_NUMBERS and drawn:
            break
        entry = _mean_curves(table.iloc[kept], metrics)
        entry |= {"best": best, "status": rows[trial]["status"]}
        if "phase" in table.columns:
            entry["changes"] = list(changes_of_phase(table["phase"]))
        folds = fold_curves.get(trial, ())
        fold_numbers += len(folds) * len(kept)
        if folds and fold_numbers <= MOST_FOLD_NUMBERS:
            entry["folds"] = [_fold_curve(fold, kept, metrics[0]) for fold in folds]
        drawn[str(trial)] = entry
    if not drawn:
        return None
    return {
        "kind": "curves",
        "metrics": list(metrics),
        "direction": direction,
        "selected": next(iter(drawn)),
        "order": list(drawn),
        "trials": drawn,
        "n_left_out": len(order) - len(drawn),
    }


def thinned(n: int, most: int, *, also: int = 0) -> list[int]:
    """At most about ``most`` of the positions 0 to n - 1, evenly, with both ends and ``also``.

    Examples
    --------
    >>> thinned(5, 10), thinned(9, 3, also=5)
    ([0, 1, 2, 3, 4], [0, 4, 5, 8])
    """
    if n <= most:
        return list(range(n))
    kept = {round(i * (n - 1) / (most - 1)) for i in range(most)}
    return sorted(kept | ({also} if 0 <= also < n else set()))


def _mean_curves(table: pd.DataFrame, metrics: Sequence[str]) -> Spec:
    def column(name: str) -> list[float | None]:
        return shorts(table[name]) if name in table.columns else [None] * len(table)

    return {
        "epochs": [int(epoch) for epoch in table["epoch"]],
        "series": {
            metric: {
                "val": column(f"val_{metric}"),
                "se": column(f"val_{metric}_se"),
                "train": column(f"train_{metric}"),
            }
            for metric in metrics
        },
    }


def _fold_curve(curve: FoldCurve, kept: Sequence[int], metric: str) -> Spec:
    values = np.full(max(kept) + 1, np.nan)
    found = curve.validation.get(metric, np.array([]))[: len(values)]
    values[: len(found)] = found
    return {"name": fold_name(curve.repeat, curve.fold), "values": shorts(values[list(kept)], 5)}


def fold_name(repeat: int, fold: int) -> str:
    """A fold's name, counted from 0 as in the tables."""
    return f"repeat {repeat}, fold {fold}"


# -- hyperparameters


@dataclass(frozen=True)
class Axis:
    """One hyperparameter of the trials, and how it is drawn.

    Attributes
    ----------
    name : its name.
    scale : ``levels``, ``linear`` or ``log``.
    levels : for ``levels`` their texts, in order; numbers by size.
    values : per trial of the table its number, the position of its level, or None where the
        hyperparameter isn't active.
    """

    name: str
    scale: str
    levels: tuple[str, ...]
    values: tuple[float | int | None, ...]

    @property
    def n_values(self) -> int:
        """Different values that the trials have, whether it is active or not among them."""
        return len(set(self.values))


def axes(trials: pd.DataFrame) -> list[Axis]:
    """The hyperparameters in which the trials differ, those that most trials have first.

    Texts, and numbers with few different short values, are drawn as levels; positive numbers over
    more than a factor of 8 on a logarithmic scale.

    Examples
    --------
    >>> table = pd.DataFrame({"hp.act": ["relu", "elu"], "hp.units": [64, 8], "hp.same": [1, 1]})
    >>> [(axis.name, axis.scale, axis.levels, axis.values) for axis in axes(table)]
    [('act', 'levels', ('elu', 'relu'), (1, 0)), ('units', 'levels', ('8', '64'), (1, 0))]
    """
    found = [
        _axis(str(name).removeprefix("hp."), trials[name])
        for name in sorted(trials.columns, key=str)
        if str(name).startswith("hp.")
    ]
    varied = [axis for axis in found if axis.n_values > 1]
    return sorted(varied, key=lambda axis: sum(value is None for value in axis.values))


def _axis(name: str, column: pd.Series) -> Axis:
    cells = [None if _is_missing(cell) else cell for cell in column]
    present = [cell for cell in cells if cell is not None]
    numeric = all(
        isinstance(c, int | float | np.number) and not isinstance(c, bool | np.bool_)
        for c in present
    )
    if numeric and present:
        numbers = [None if cell is None else finite(cell) for cell in cells]
        values = sorted({number for number in numbers if number is not None})
        if len(values) > _LEVELS or any(value != float(f"{value:.3g}") for value in values):
            is_log = bool(values) and values[0] > 0 and values[-1] / values[0] > _LOG_FROM
            rounded = tuple(short(number) for number in numbers)
            return Axis(name, "log" if is_log else "linear", (), rounded)
        places = {number: place for place, number in enumerate(values)}
        levels = tuple(f"{number:.6g}" for number in values)
        at = tuple(None if number is None else places[number] for number in numbers)
        return Axis(name, "levels", levels, at)
    levels = tuple(sorted({label(cell) for cell in present}))
    at = tuple(None if cell is None else levels.index(label(cell)) for cell in cells)
    return Axis(name, "levels", levels, at)


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell != cell


def parallel(
    scored: pd.DataFrame, shown: Sequence[Axis], *, metric: str, direction: str
) -> Spec | None:
    """Parallel coordinates: a line a trial through its hyperparameters, last its score.

    Parameters
    ----------
    scored : ``Material.scored``; shown : ``axes(scored)``, the most telling first.
    """
    if len(scored) < 2 or not shown:
        return None
    scores = [short(score) for score in scored["score"]]
    return {
        "kind": "parallel",
        "metric": metric,
        "direction": direction,
        "axes": [_axis_spec(axis) for axis in shown],
        "rows": [
            {"trial": int(trial), "values": [axis.values[i] for axis in shown], "score": scores[i]}
            for i, trial in enumerate(scored["trial"])
        ],
        "range": _short_range(scored["score"], direction, margin=0.0),
    }


def slices(
    scored: pd.DataFrame, shown: Sequence[Axis], *, metric: str, direction: str
) -> list[Spec]:
    """The score against each hyperparameter by itself, over the trials in which it is active.

    One that has a single value wherever it is active is left out.
    """
    limits = _short_range(scored["score"], direction) if len(scored) else []
    trials = [int(trial) for trial in scored["trial"]]
    scores = [short(score) for score in scored["score"]]
    stopped = [status == "stopped" for status in scored["status"]]
    return [
        {
            "kind": "slice",
            "metric": metric,
            "direction": direction,
            **_axis_spec(axis),
            "points": [
                [value, scores[i], trials[i], int(stopped[i])]
                for i, value in enumerate(axis.values)
                if value is not None
            ],
            "range": limits,
        }
        for axis in shown
        if len(set(axis.values) - {None}) > 1
    ]


def _axis_spec(axis: Axis) -> Spec:
    return {"name": axis.name, "scale": axis.scale, "levels": list(axis.levels)}


def _short_range(scores: Any, direction: str, *, margin: float = 0.05) -> list[float | int | None]:
    values = np.asarray(scores, dtype=np.float64)
    return [short(end) for end in shown_range(values, direction, margin=margin)]


# -- the search as a whole


def progress(
    trials: pd.DataFrame, timings: pd.DataFrame, *, metric: str, direction: str
) -> Spec | None:
    """Scores in the order of the trials, and the best completed one so far.

    Parameters
    ----------
    trials : ``trials.csv``.
    timings : ``timings.csv``; may be empty.
    """
    ordered = trials.sort_values("trial")
    seconds = {}
    if {"trial", "seconds"} <= set(timings.columns):
        seconds = {int(r["trial"]): finite(r["seconds"]) or 0.0 for r in records(timings)}
    points, best, elapsed = [], None, 0.0
    better = min if direction == "min" else max
    for row in records(ordered):
        trial, score = int(row["trial"]), finite(row.get("score"))
        elapsed += seconds.get(trial, 0.0)
        if score is not None and row["status"] == "completed":
            best = score if best is None else better(best, score)
        points.append(
            {
                "trial": trial,
                "status": row["status"],
                "score": short(score),
                "best": short(best),
                "seconds": short(elapsed, 6) if seconds else None,
            }
        )
    scores = [point["score"] for point in points if point["score"] is not None]
    if not scores:
        return None
    return {
        "kind": "progress",
        "metric": metric,
        "direction": direction,
        "points": points,
        "has_seconds": bool(seconds),
        "range": _short_range(scores, direction),
    }


def heat_map(
    folds: pd.DataFrame, scored: pd.DataFrame, *, metric: str, direction: str
) -> Spec | None:
    """Every fold's score of every trial: trials by rank from the left, folds from the top."""
    name = f"val_{metric}"
    if folds.empty or name not in folds.columns or scored.empty:
        return None
    columns = {int(trial): place for place, trial in enumerate(scored["trial"])}
    pairs = sorted({(int(r), int(f)) for r, f in zip(folds["repeat"], folds["fold"], strict=True)})
    places = {pair: place for place, pair in enumerate(pairs)}
    cells = [
        [columns[int(row["trial"])], places[int(row["repeat"]), int(row["fold"])], short(row[name])]
        for row in records(folds)
        if int(row["trial"]) in columns
    ]
    if not cells:
        return None
    values = np.array([math.nan if cell[2] is None else cell[2] for cell in cells])
    return {
        "kind": "heat",
        "metric": metric,
        "direction": direction,
        "trials": list(columns),
        "folds": [fold_name(*pair) for pair in pairs],
        "cells": cells,
        "range": _short_range(values, direction, margin=0.0),
    }
