"""Out-of-fold predictions that are the same for every row, and classes that none of them names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpsearch.diagnoses.base import Diagnosis, counted, percent, short
from hpsearch.diagnoses.tables import Bools, Floats, Outcomes, Tables
from hpsearch.task import OF_VALUES

CONSTANT_PROBABILITY = 1e-3
"""Probabilities that differ by less over a whole fold are constant."""

CONSTANT_VALUE = 0.01
"""So are values that differ by less than this share of the target's standard deviation."""

FEWEST_ROWS = 3
"""Rows of a fold that can show anything."""


def constant_predictions(tables: Tables) -> Iterator[Diagnosis]:
    """In some folds or all, every validation row gets the same prediction."""
    outcomes = tables.outcomes
    if outcomes is None:
        return
    looked_at = {
        place: rows
        for place, rows in tables.places().items()
        if rows.sum() >= FEWEST_ROWS and np.ptp(outcomes.truth[rows], axis=0).any()
    }
    dead = [place for place, rows in looked_at.items() if _is_constant(outcomes, rows)]
    if not dead:
        return
    everywhere = len(dead) == len(looked_at)
    where = f"each of {counted(len(looked_at), 'fold')}"
    if not everywhere:
        named = ", ".join(f"repeat {repeat} fold {fold}" for repeat, fold in dead[:3])
        more = ", ..." if len(dead) > 3 else ""
        where = f"{len(dead)} of {counted(len(looked_at), 'fold')} ({named}{more})"
    yield Diagnosis(
        code="constant_predictions",
        title="The same prediction for every row" + ("" if everywhere else " of some folds"),
        evidence=(
            f"In {where} the predictions of all validation rows differ by less than "
            f"{_width(outcomes)}."
        ),
        advice=(
            "The network is dead or saturated there: try a smaller learning rate, another "
            "activation than relu, other initial weights, or batch normalisation."
        ),
        severity="problem",
        chart="predictions",
        trial=tables.selected,
        numbers={
            "folds": [list(place) for place in dead],
            "n_folds": len(looked_at),
        },
    )


def _is_constant(outcomes: Outcomes, rows: Bools) -> bool:
    width = np.ptp(outcomes.predicted[rows], axis=0)
    return bool(np.all(width < _tolerance(outcomes)))


def _tolerance(outcomes: Outcomes) -> Floats | float:
    if outcomes.kind in ("regression", "count", "quantile"):
        tolerance: Floats = CONSTANT_VALUE * outcomes.truth.std(axis=0)
        return tolerance
    return CONSTANT_PROBABILITY


def _width(outcomes: Outcomes) -> str:
    if outcomes.kind in ("regression", "count", "quantile"):
        return f"{percent(CONSTANT_VALUE)} of the target's standard deviation"
    return short(CONSTANT_PROBABILITY)


def class_never_predicted(tables: Tables) -> Iterator[Diagnosis]:
    """A class or label that occurs is never the prediction of any row in any fold."""
    outcomes = tables.outcomes
    if outcomes is None or outcomes.kind in OF_VALUES:
        return
    occurs, said, chance = _by_class(outcomes)
    missing = [code for code in range(len(occurs)) if occurs[code].any() and not said[code].any()]
    if not missing:
        return
    once = ~tables.predictions["row"].duplicated().to_numpy()
    rows = [int(occurs[code][once].sum()) for code in missing]
    shares = [outcomes.share_of(occurs[code]) for code in missing]
    names = [str(tables.labels[code]) for code in missing]
    each = [
        f"{name!r}, true of {counted(n, 'row')} ({percent(share)}), gets at most "
        f"{short(float(chance[code].max()))}"
        for name, n, share, code in zip(names, rows, shares, missing, strict=True)
    ]
    yield Diagnosis(
        code="class_never_predicted",
        title="A class is never predicted"
        if len(missing) == 1
        else "Some classes are never predicted",
        evidence="Over all folds and repeats " + "; ".join(each) + " probability.",
        advice=(
            "If its rows matter more than their number says, select by --metric macro_f1 or "
            "balanced_accuracy, let them weigh more in the loss with --class-weight balanced"
            + (
                ""
                if outcomes.kind == "multiclass"
                else ", or have it predicted from a lower probability than 0.5 on, --threshold f1"
            )
            + "."
        ),
        severity="hint",
        chart="predictions",
        trial=tables.selected,
        numbers={
            "classes": list(names),
            "rows": list(rows),
            "highest": [float(chance[code].max()) for code in missing],
        },
    )


def _by_class(outcomes: Outcomes) -> tuple[list[Bools], list[Bools], list[Floats]]:
    """For each class or label: where it is true, where it is predicted, and its probability."""
    if outcomes.kind == "multilabel":
        truth, chance = list(outcomes.truth.T == 1), list(outcomes.predicted.T)
        return truth, [column >= 0.5 for column in chance], chance
    if outcomes.kind == "binary":
        chance = [1.0 - outcomes.predicted, outcomes.predicted]
        said = [outcomes.predicted < 0.5, outcomes.predicted >= 0.5]
    else:
        chance = list(outcomes.predicted.T)
        winners = outcomes.predicted.argmax(axis=1)
        said = [winners == code for code in range(len(chance))]
    return [outcomes.truth == code for code in range(len(chance))], said, chance


OF_TABLES = (constant_predictions, class_never_predicted)
EXPLAINED_BY = {
    "class_never_predicted": {"batch_norm_lag", "constant_predictions"},
    "constant_predictions": {"batch_norm_lag"},
}
