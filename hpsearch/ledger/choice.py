"""Why this trial: the rules that a search selects by, and what each costs.

References
----------
Breiman, L., Friedman, J., Olshen, R., Stone, C.: Classification and Regression Trees. 1984.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.ledger.record import Choice, Row, Rule, known
from hpsearch.stats import Floats, one_standard_error
from hpsearch.stats.base import losses_of
from hpsearch.stats.bootstrap import Rule as SampleRule
from hpsearch.task import Direction, loss_sign

RULES: Final[tuple[Rule, ...]] = ("best", "one-se")

_PENALTIES: Final = ("l1", "l2", "weight_decay", "penalty")
_NOISE: Final = ("dropout", "noise")

"""A trial's row of ``trials.csv``: ``trial``, ``score``, ``score_se``, ``n_params``, ``hp.``..."""


def simplicity(row: Row) -> tuple[float, ...]:
    """What a simpler model has less of, the most telling first.

    Parameters of the network; then the negated strength of its penalties (hyperparameters called
    ``l1``, ``l2``, ``weight_decay`` or ``penalty``, or something that ends so); then the negated
    sum of its dropout rates and noise; then the epochs that it was trained.

    Examples
    --------
    >>> simplicity({"n_params": 90, "hp.l2": 0.01, "hp.dropout_1": 0.5, "best_epoch": 7})
    (90.0, -0.01, -0.5, 7.0)
    """
    n_params = row.get("n_params")
    return (
        math.inf if n_params is None else float(n_params),
        -_strength(row, _PENALTIES),
        -_strength(row, _NOISE),
        float(row.get("best_epoch") or 0),
    )


def select(rows: Sequence[Row], rule: Rule, direction: Direction) -> int:
    """The position of the trial that a rule selects.

    Parameters
    ----------
    rows : trials that may be selected, each with a finite score.
    rule : ``"best"``, the best score; or ``"one-se"``, the simplest model (see ``simplicity``)
        within one corrected standard error of it. Ties go to the first trial.
    direction : ``"min"`` where small scores are good.

    Examples
    --------
    >>> rows = [
    ...     {"trial": 0, "score": 0.30, "score_se": 0.03, "n_params": 900},
    ...     {"trial": 1, "score": 0.32, "score_se": 0.03, "n_params": 40},
    ... ]
    >>> select(rows, "best", "min"), select(rows, "one-se", "min")
    (0, 1)
    """
    scores = [row["score"] for row in rows]
    if rule == "best":
        return int(np.argmin(losses_of(scores, direction)))
    ses = [_se(row) for row in rows]
    return one_standard_error(scores, ses, [simplicity(row) for row in rows], direction)


def choice(rows: Sequence[Row], selected: int, rule: Rule, direction: Direction) -> Choice:
    """Why a trial was selected, and what that cost.

    Parameters
    ----------
    rows : trials that could be selected; selected : the trial number of the one that was.
    rule, direction : as in ``select``.
    """
    losses = losses_of([row["score"] for row in rows], direction)
    best = rows[int(np.argmin(losses))]
    taken = next(row for row in rows if row["trial"] == selected)
    tolerance = known(best.get("score_se"))
    sign = loss_sign(direction)
    return Choice(
        rule=rule,
        reason=_reason(best, taken, rule),
        best_trial=int(best["trial"]),
        best_score=float(best["score"]),
        score=float(taken["score"]),
        cost=max(0.0, sign * (float(taken["score"]) - float(best["score"]))),
        tolerance=tolerance,
        n_near=int((losses <= losses.min() + (tolerance or 0.0)).sum()),
        n_completed=len(rows),
        best_n_params=_count(best),
        n_params=_count(taken),
    )


def rule_of_samples(rows: Sequence[Row], rule: Rule, n_epochs: int = 1) -> SampleRule | None:
    """The rule as a bootstrap sample applies it, for ``stats.bias_corrected_cv``.

    Parameters
    ----------
    rows : the trials, in the order of their predictions.
    rule : None is given for ``"best"``, which needs no function. For ``"one-se"`` a trial's loss is
        that of its best epoch, and the standard errors are those on all rows.
    n_epochs : epochs of each trial, side by side.
    """
    if rule == "best":
        return None
    ses = np.array([_se(row) for row in rows])
    keys = np.array([simplicity(row) for row in rows])
    places = np.unique(keys, axis=0, return_inverse=True)[1].ravel().astype(np.float64)

    def one_se(losses: Floats) -> NDArray[np.int64]:
        by_epoch = losses.reshape(len(losses), len(rows), n_epochs)
        of_trials = by_epoch.min(axis=2)
        best = of_trials.argmin(axis=1)
        limits = of_trials[np.arange(len(losses)), best] + ses[best]
        places_near = np.where(of_trials <= limits[:, np.newaxis], places, np.inf)
        simplest = places_near == places_near.min(axis=1, keepdims=True)
        trial = np.where(simplest, of_trials, np.inf).argmin(axis=1)
        epoch = by_epoch[np.arange(len(losses)), trial].argmin(axis=1)
        return np.asarray(trial * n_epochs + epoch, dtype=np.int64)

    return one_se


def _reason(best: Row, taken: Row, rule: Rule) -> str:
    if rule == "best":
        return f"Trial {taken['trial']} has the best score."
    if taken is best:
        return (
            f"Trial {taken['trial']} has the best score, and no simpler model lies within one "
            "standard error of it."
        )
    was, now = _count(best), _count(taken)
    sizes = f"{now:,} parameters in place of {was:,}" if was and now and was != now else "simpler"
    return (
        f"Trial {taken['trial']} is the simplest model within one standard error of trial "
        f"{best['trial']}, which scores best: {sizes}."
    )


def _strength(row: Row, endings: Sequence[str]) -> float:
    """The sum of the numeric hyperparameters whose names end so, numbers behind aside."""
    total = 0.0
    for name, value in row.items():
        stem = name.removeprefix("hp.").rstrip("0123456789").rstrip("_")
        plain = name.removeprefix("hp.")
        if name.startswith("hp.") and (
            stem.endswith(tuple(endings)) or plain.endswith(tuple(endings))
        ):
            total += _number(value)
    return total


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else 0.0


def _se(row: Row) -> float:
    return known(row.get("score_se")) or 0.0


def _count(row: Row) -> int | None:
    return None if row.get("n_params") is None else int(row["n_params"])
