"""Folds of the selected trial that stand out, and the rows that sit in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from hpsearch.diagnoses.base import Diagnosis, counted, short
from hpsearch.diagnoses.tables import Floats, Tables

FEWEST_FOLDS = 6
"""Fold scores that a median and its deviations need."""

FAR = 7.0
"""Robust standard deviations from the median that make an outlier.

The usual 3.5 (Iglewicz & Hoaglin 1993) is for the two sides of many values. Of 12 normal fold
scores the worst lies beyond 3.5 in 7 % of all runs, and in 15 to 20 % where scores are as skewed as
losses are; beyond 7 in 0.3 % and 1 to 2 % (20,000 simulated runs).
"""

ROWS_NAMED = 5

WRONG_QUANTILE = 0.9
"""Rows are named that are among the most wrong tenth of all, by their mean error over repeats."""

Place = tuple[int, int]


def outlier_folds(tables: Tables) -> Iterator[Diagnosis]:
    """Some folds score far worse than the others, all else being equal."""
    own = tables.folds[tables.folds["trial"] == tables.selected]
    sizes = own["n_train"]
    if len(own) < FEWEST_FOLDS or sizes.min() < 0.8 * sizes.max():
        return  # in time order each fold trains on more rows than the one before
    sign = 1.0 if tables.direction == "min" else -1.0
    losses = sign * own[f"val_{tables.metric}"].to_numpy(np.float64)
    median, deviation = _robust(losses)
    if not deviation > 0:
        return
    far = (losses - median) / deviation
    if not (far > FAR).any():
        return
    bad = own[far > FAR]
    places = list(zip(bad["repeat"].astype(int), bad["fold"].astype(int), strict=True))
    scores = bad[f"val_{tables.metric}"].astype(float).tolist()
    worst = int(np.argmax(far[far > FAR]))
    rows = _rows_in(tables, places)
    yield Diagnosis(
        code="outlier_folds",
        title="One fold stands out" if len(places) == 1 else "Some folds stand out",
        evidence=(
            f"Repeat {places[worst][0]}, fold {places[worst][1]} scored {tables.metric} "
            f"{short(scores[worst])}; the median of {len(own)} folds is {short(sign * median)}, "
            f"{far.max():.0f} robust standard deviations away."
            + (f" So did {counted(len(places) - 1, 'other fold')}." if len(places) > 1 else "")
            + _worst_row_of(tables, places[worst])
            + _shared(rows, len(places))
        ),
        advice=(
            "Look at these rows in the table: a wrong label, a slip of the decimal point, or rows "
            "of a kind of their own, which belong together in --groups."
        ),
        severity="hint",
        chart="folds",
        trial=tables.selected,
        numbers={
            "folds": [[*place, value] for place, value in zip(places, scores, strict=True)],
            "median": sign * median,
            "robust_sd": deviation,
            "rows": rows,
        },
    )


def _robust(losses: Floats) -> tuple[float, float]:
    """Median, and the standard deviation that the median absolute deviation stands for."""
    median = float(np.median(losses))
    return median, float(1.4826 * np.median(np.abs(losses - median)))


def _rows_in(tables: Tables, places: Sequence[Place]) -> list[list[int | float]]:
    """Wrong rows of the outlying folds: row, how often it is in one, mean error.

    Those that are in them most often come first, the most wrong ones before the others.
    """
    outcomes = tables.outcomes
    if outcomes is None:
        return []
    table = tables.predictions[["row", "repeat", "fold"]].assign(loss=outcomes.row_losses)
    table = table if outcomes.weights is None else table[outcomes.weights > 0]
    errors = table.groupby("row")["loss"].mean()
    inside = pd.MultiIndex.from_frame(table[["repeat", "fold"]]).isin(list(places))
    often = table[inside].groupby("row").size()
    often = often[errors.reindex(often.index) >= errors.quantile(WRONG_QUANTILE)]
    found = pd.DataFrame({"times": often, "error": errors.reindex(often.index)})
    ranked = found.sort_values(["times", "error"], ascending=False, kind="stable")
    return [
        [int(row), int(times), float(error)]
        for row, times, error in ranked.head(ROWS_NAMED).itertuples()
    ]


def _worst_row_of(tables: Tables, place: Place) -> str:
    """A fold's most wrong row, and the fold's score without it."""
    outcomes = tables.outcomes
    if outcomes is None:
        return ""
    others = tables.places()[place]
    weights = 1.0 if outcomes.weights is None else outcomes.weights
    worst = int(np.argmax(np.where(others, outcomes.row_losses * weights, -np.inf)))
    others[worst] = False
    row = int(tables.predictions["row"].iloc[worst])
    without = outcomes.score(tables.metric, others) if others.any() else np.nan
    if not np.isfinite(without):
        return f" Row {row} is its most wrong one."
    return f" Without row {row}, its most wrong one, {tables.metric} there is {short(without)}."


def _shared(rows: Sequence[Sequence[int | float]], n_places: int) -> str:
    """The rows that are in all outlying folds, where there are several."""
    shared = [str(row) for row, times, _ in rows if times == n_places]
    if n_places < 2 or not shared:
        return ""
    return f" In all of these folds: {'row' if len(shared) == 1 else 'rows'} {', '.join(shared)}."


OF_TABLES = (outlier_folds,)
