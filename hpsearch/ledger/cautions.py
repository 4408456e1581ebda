"""Warnings: what deserves attention before the winner's score is believed.

Each function looks at one thing and gives its warnings, none where all is well. The limits are
rules of thumb; each is a constant with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.folds import Fold
from hpsearch.folds.weighing import effective_rows
from hpsearch.ledger.record import Baseline, LedgerWarning, Row, TestScore
from hpsearch.space.hyperparameters import Range
from hpsearch.task import Target
from hpsearch.words import counted

EDGE: Final = 0.05
"""A continuous range's outer shares that count as its edge."""

BEST_TRIALS: Final = 5
"""So many of the best trials are asked whether they lie at the same edge: one may by chance."""

EDGE_LEVEL: Final = 0.1
"""At an edge the best trials must be more often than this says of any trials: with few trials, or
where most of them lie there, it says nothing about the range."""

FEWEST_TRIALS_EACH: Final = 1
"""Trials for each hyperparameter of the winner: with fewer, no two of them can be told apart."""

SMALLEST_FOLD: Final = 20
"""Validation rows below which one row moves a fold's accuracy by more than five points."""

SMALLEST_CLASS: Final = 5
"""Validation rows of a class below which its share of a fold's score is luck."""


def edges(best_first: Sequence[Row], ranges: Mapping[str, Range]) -> Iterator[LedgerWarning]:
    """The winner's value is on the edge of its range, and those of other good trials are too.

    More often than those of all trials, by more than chance: one trial of four at an edge is none.

    A range that begins at 0 has no lower edge (there is no dropout below 0), nor has a number of
    things that begins at 1.

    Parameters
    ----------
    best_first : rows of completed trials, the selected one first, then by rank.
    ranges : of the winner's active hyperparameters.
    """
    winner = best_first[0]
    for name, span in ranges.items():
        value = winner.get(f"hp.{name}")
        side = edge_of(float(value), span) if value is not None and _is_number(value) else None
        if value is None or side is None:
            continue
        tried = [row.get(f"hp.{name}") for row in best_first]
        every = [edge_of(float(v), span) for v in tried if v is not None and _is_number(v)]
        sides = every[:BEST_TRIALS]
        if 2 * sides.count(side) <= len(sides) or _by_chance(every, sides, side) > EDGE_LEVEL:
            continue
        end = span.low if side == "lower" else span.high
        yield LedgerWarning(
            "edge_of_range",
            f"{name} is {value:g}, at the {side} end of its range from {span.low:g} to "
            f"{span.high:g}: better values may lie beyond.",
            {
                "hyperparameter": name,
                "value": value,
                "low": span.low,
                "high": span.high,
                "end": end,
                "best_trials": len(sides),
                "best_trials_at_this_end": sides.count(side),
            },
            f"Widen the {side} end of {name} in the space, and search again.",
        )


def _by_chance(every: Sequence[str | None], best: Sequence[str | None], side: str) -> float:
    """How probably as many of the best trials are at an end, were they any of all trials.

    The tail of the hypergeometric distribution: Fisher's exact test, one-sided.
    """
    from scipy.stats import hypergeom

    n_best_there = best.count(side)
    tail = hypergeom.sf(n_best_there - 1, len(every), list(every).count(side), len(best))
    return float(tail)


def edge_of(value: float, span: Range) -> str | None:
    """``"lower"`` or ``"upper"`` where a value is on an edge of its range, else None.

    Of few values the last ones are edges, of others the outer 5 % on the range's scale.

    Examples
    --------
    >>> edge_of(0.9, Range(1e-4, 1.0, is_log=True)), edge_of(0.0, Range(0.0, 0.5))
    ('upper', None)
    >>> edge_of(256, Range(16, 256, values=(16.0, 32.0, 64.0, 128.0, 256.0)))
    'upper'
    """
    if len(span.values) == 2:
        return None  # two values have no inside
    if span.values:
        place = 0.0 if value <= span.low else 1.0 if value >= span.high else 0.5
    else:
        low, high, at = span.low, span.high, value
        if span.is_log:
            low, high, at = math.log(low), math.log(high), math.log(max(value, span.low))
        place = (at - low) / (high - low)
    if place >= 1.0 - EDGE:
        return "upper"
    has_floor = span.low <= 0.0 or (span.low == 1.0 and not span.is_log)
    return "lower" if place <= EDGE and not has_floor else None


def few_trials(n_tried: int, names: Sequence[str]) -> Iterator[LedgerWarning]:
    """Fewer trials than hyperparameters that were searched.

    Parameters
    ----------
    n_tried : trials that were completed, or stopped early.
    names : the winner's hyperparameters that had several values to take.
    """
    wanted = FEWEST_TRIALS_EACH * len(names)
    if n_tried >= wanted:
        return
    yield LedgerWarning(
        "few_trials",
        f"{counted(n_tried, 'trial')} for {len(names)} hyperparameters: most of what could be "
        "tried was not.",
        {"n_tried": n_tried, "n_hyperparameters": len(names)},
        f"Raise --trials to {wanted} or more, or hold some of them with --fix.",
    )


def small_folds(
    folds: Sequence[Fold],
    y: NDArray[Any],
    target: Target,
    weights: NDArray[np.float64] | None = None,
) -> Iterator[LedgerWarning]:
    """Validation folds with few rows, or few of a class or label, or few that weigh anything.

    Parameters
    ----------
    weights : what each row of the table weighs in scores, or None where all weigh the same.
    """
    parts = [fold.validation for fold in folds]
    if weights is not None:
        parts = [rows[weights[rows] > 0] for rows in parts]
    smallest: float = min(map(len, parts))
    text = f"A fold has {smallest} validation rows; with"
    remedy = "Lower --folds, and read the interval in place of the mean."
    worth = smallest if weights is None else min(effective_rows(weights[rows]) for rows in parts)
    if worth < SMALLEST_FOLD <= smallest:
        smallest = round(worth, 1)
        text = f"The validation rows of a fold tell as much as {smallest:g} of equal weight; with"
        remedy = f"Look at the largest weights. {remedy}"
    if smallest < SMALLEST_FOLD:
        yield LedgerWarning(
            "small_folds",
            f"{text} fewer than {SMALLEST_FOLD} a few rows decide its score.",
            {"smallest": smallest, "limit": SMALLEST_FOLD},
            remedy,
        )
    rarest = _rarest(parts, y, target)
    if rarest is not None and rarest[1] < SMALLEST_CLASS:
        label, count = rarest
        yield LedgerWarning(
            "small_class",
            f"A fold has {count} validation rows of {label!r}; with fewer than {SMALLEST_CLASS} "
            "its share of the score is luck.",
            {"label": label, "smallest": count, "limit": SMALLEST_CLASS},
            "Lower --folds, gather more rows of it, or join it with another class.",
        )


def _rarest(
    parts: Sequence[NDArray[np.int64]], y: NDArray[Any], target: Target
) -> tuple[str, int] | None:
    """The label that the validation rows of a fold have fewest of, and how many."""
    if target.is_classification:
        counts = [np.bincount(y[rows], minlength=len(target.labels)) for rows in parts]
    elif target.kind == "multilabel":
        counts = [(y[rows] == 1).sum(axis=0) for rows in parts]
    else:
        return None
    fewest = np.min(counts, axis=0)
    code = int(np.argmin(fewest))
    return str(target.labels[code]), int(fewest[code])


def ties(rows: Sequence[Row], selected: int) -> Iterator[LedgerWarning]:
    """Other trials score the same as the winner, to nine digits: chance chose between them."""
    score = next(float(row["score"]) for row in rows if row["trial"] == selected)
    same = [
        int(row["trial"])
        for row in rows
        if row["trial"] != selected and math.isclose(float(row["score"]), score, rel_tol=1e-9)
    ]
    if same:
        named = ", ".join(map(str, sorted(same)[:5])) + (" and others" if len(same) > 5 else "")
        yield LedgerWarning(
            "ties",
            f"{len(same)} other trial{'' if len(same) == 1 else 's'} scored the same as trial "
            f"{selected}: {named}.",
            {"trials": sorted(same)},
            "Select by a finer metric, such as log_loss in place of accuracy, or take the "
            "smallest with --select one-se.",
        )


def not_beaten(
    best: Baseline | None, *, n_baselines: int = 1, in_time: bool = False
) -> Iterator[LedgerWarning]:
    """The best of the models without any search does as well."""
    if best is None or best.is_beaten or best.gain is None:
        return
    name = best.label
    if n_baselines > 1:
        name = f"the best of {n_baselines} baselines, {name},"
    text = (
        f"The winner beats {name} by {best.gain:.3g}, which may be chance."
        if best.gain > 0
        else f"The winner does no better than {name.rstrip(',')}."
    )
    yield LedgerWarning(
        "baseline_not_beaten",
        text,
        {
            "baseline": best.name,
            "score": best.value,
            "gain": best.gain,
            "gain_low": best.gain_low,
            "gain_high": best.gain_high,
        },
        f"Take the simpler model, or raise {'--folds' if in_time else '--repeats'} if the "
        "difference matters."
        if best.name != "constant"
        else "Look at the columns: the winner has learnt nothing that can be shown.",
    )


def worse_on_test(test: TestScore | None) -> Iterator[LedgerWarning]:
    """The test rows score worse than was promised."""
    if test is None or test.verdict != "worse":
        return
    yield LedgerWarning(
        "worse_on_test",
        "The test rows score worse than was promised"
        + ("; their own interval reaches into it." if test.overlaps else "."),
        {"score": test.value, "low": test.low, "high": test.high, "overlaps": test.overlaps},
        "Ask whether the test rows come from somewhere else, or whether rows that belong together "
        "(--groups) or follow each other (--time) were torn apart.",
    )


def nested_failed(reasons: Sequence[str]) -> Iterator[LedgerWarning]:
    """Outer folds whose search gave no score, so that there is no nested estimate."""
    if reasons:
        yield LedgerWarning(
            "nested_failed",
            f"{len(reasons)} of the outer folds gave no score, so there is no nested estimate.",
            {"reasons": list(reasons)},
            "See the column 'error' of nested.csv; narrow the space to what trains.",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
