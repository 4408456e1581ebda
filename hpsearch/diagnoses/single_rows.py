"""Single predictions of the selected trial that weigh as much as many others together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpsearch.diagnoses.base import Diagnosis, percent, short
from hpsearch.diagnoses.tables import Floats, Outcomes, Tables
from hpsearch.metrics.deviances import poisson_deviances
from hpsearch.task import OF_NUMBERS

FEWEST_PREDICTIONS = 50
"""Fewer have large shares by themselves."""

SHARE = 0.25
"""Of what all predictions cost, squared errors or log losses, that one of them has."""

SHARE_OF_ABSURD = 0.05
"""It is enough where the prediction lies beyond all targets by more than their whole range."""

TIMES = 25.0
"""So many times its even share it must have as well. Of normal errors none ever has both, of
errors as heavy-tailed as Student's t with five degrees of freedom up to 8 % of runs do, with three
7 to 30 % (4,000 simulated runs of 60 to 1,000 predictions): there one row does decide the score.
"""

ROWS_NAMED = 5


def dominating_row(tables: Tables) -> Iterator[Diagnosis]:
    """One prediction is so wrong that it makes up much of what all of them cost."""
    outcomes = tables.outcomes
    if outcomes is None or len(outcomes.row_losses) < FEWEST_PREDICTIONS:
        return
    costs, what = _costs(outcomes)
    total = float(costs.sum())
    if not 0 < total < np.inf:
        return
    shares = costs / total
    worst = int(np.argmax(shares))
    least = SHARE_OF_ABSURD if _is_absurd(outcomes, worst) else SHARE
    if shares[worst] < least or shares[worst] * len(costs) < TIMES:
        return
    row = tables.predictions.iloc[worst]
    others = np.ones(len(costs), bool)
    others[worst] = False
    whole = outcomes.score(tables.metric, np.ones(len(costs), bool))
    without = outcomes.score(tables.metric, others)
    ranked = np.argsort(-shares, kind="stable")[:ROWS_NAMED]
    yield Diagnosis(
        code="dominating_row",
        title="One prediction weighs as much as many others",
        evidence=(
            f"Row {int(row['row'])} (repeat {int(row['repeat'])}, fold {int(row['fold'])}) "
            f"{_said(outcomes, worst)}: {percent(float(shares[worst]))} of {what} of all "
            f"{len(costs):,} held-out predictions."
            + (
                f" Without it {tables.metric} over all of them is {short(without)} in place of "
                f"{short(whole)}."
                if np.isfinite([whole, without]).all()
                else ""
            )
        ),
        advice=(
            "Look at that row: a slip in a cell, or values far outside what the other rows have. "
            "If such rows will come, bound what the network can say (clip its inputs, a bounded "
            "or positive output, a robust loss such as Huber), or select by --metric mae."
        ),
        severity="problem",
        chart="predictions",
        trial=tables.selected,
        numbers={
            "share": float(shares[worst]),
            **{
                name: float(value)
                for name, value in (("score", whole), ("score_without", without))
                if np.isfinite(value)
            },
            "rows": [[int(tables.predictions["row"].iloc[at]), float(shares[at])] for at in ranked],
        },
    )


def _costs(outcomes: Outcomes) -> tuple[Floats, str]:
    """What each prediction costs where large errors count most, by its weight, and its name."""
    weights = 1.0 if outcomes.weights is None else outcomes.weights
    if outcomes.kind == "count":
        costs = poisson_deviances(outcomes.truth, outcomes.predicted).sum(axis=1)
        return costs * weights, "the deviance"
    if outcomes.kind == "quantile":
        return outcomes.row_losses * weights, "the pinball loss"
    if outcomes.kind in OF_NUMBERS:
        spread = outcomes.truth.std(axis=0)
        wrong = (outcomes.predicted - outcomes.truth) / np.where(spread > 0, spread, 1.0)
        return (wrong**2).sum(axis=1) * weights, "the squared errors"
    return outcomes.row_losses * weights, "the log loss"


def _is_absurd(outcomes: Outcomes, at: int) -> bool:
    """Whether a predicted value lies beyond all true ones by more than their whole range."""
    if outcomes.kind not in ("regression", "count", "quantile"):
        return False
    low, high = outcomes.truth.min(axis=0), outcomes.truth.max(axis=0)
    beyond = np.maximum(low - outcomes.predicted[at], outcomes.predicted[at] - high)
    return bool((beyond > high - low).any())


def _said(outcomes: Outcomes, at: int) -> str:
    """What a prediction was, and what was true."""
    if outcomes.kind == "quantile":
        true, low, high = outcomes.truth[at, 0], *outcomes.predicted[at, [0, -1]]
        return f"is {short(float(true))}, and its quantiles are {short(low)} to {short(high)}"
    if outcomes.kind in OF_NUMBERS:
        each = zip(outcomes.truth[at], outcomes.predicted[at], strict=True)
        true, predicted = max(each, key=lambda pair: abs(pair[1] - pair[0]))
        return f"is {short(float(true))} and is predicted at {short(float(predicted))}"
    chance = float(np.exp(-outcomes.row_losses[at]))
    return f"gives the true class a probability of {short(chance)}"


OF_TABLES = (dominating_row,)
