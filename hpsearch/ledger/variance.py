"""Where the variance of the winner's scores comes from, and what to raise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hpsearch.ledger.record import More, Variance
from hpsearch.stats import Gain, VarianceComponents, variance_components
from hpsearch.words import counted

WORTH_IT: Final = 0.02
"""Share of the standard error that one more of something has to take off to be advised."""

_OPTIONS: Final = {"repeat": "--repeats", "fold": "--folds", "seed": "seeds"}


def variance(
    scores: Sequence[float], repeats: Sequence[int], *, in_time: bool = False
) -> Variance | None:
    """Part the variance of one trial's fold scores, and say what would make its error smaller.

    Parameters
    ----------
    scores, repeats : the score and the repeat of each fold, each fold trained once.
    in_time : whether the folds follow the one order that the rows have, so that none is dealt anew.

    Returns
    -------
    None where the folds are not at least two in every repeat, equally many.

    Examples
    --------
    >>> said = variance([0.80, 0.70, 0.82, 0.72], [0, 0, 1, 1])
    >>> said.advice
    'Raise --folds to 3: 2 trainings more for each trial take 11 % off the standard error.'
    """
    found = [
        [s for s, r in zip(scores, repeats, strict=True) if r == q] for q in sorted({*repeats})
    ]
    widths = {len(of_repeat) for of_repeat in found}
    if len(widths) != 1 or min(widths) < 2 or not np.isfinite(scores).all():
        return None
    parts = variance_components(found)
    gains = [gain for gain in parts.gains() if not (in_time and gain.what == "repeat")]
    return Variance(
        reshuffle=parts.reshuffle if parts.n_repeats > 1 else None,
        fold=parts.fold,
        seed=parts.seed,
        shares=_shares(parts),
        se=parts.se(),
        more=tuple(More(gain.what, gain.n_trainings, gain.se) for gain in gains),
        advice=_advice(parts, gains),
        note=_note(parts, in_time),
    )


def _shares(parts: VarianceComponents) -> dict[str, float]:
    known = {"fold": parts.fold}
    if parts.n_repeats > 1:
        known["reshuffle"] = parts.reshuffle
    if parts.seed is not None:
        known["seed"] = parts.seed
    total = sum(known.values())
    return {name: value / total for name, value in known.items()} if total > 0 else {}


def _advice(parts: VarianceComponents, gains: Sequence[Gain]) -> str:
    """What takes most off the standard error for each training, if anything takes enough."""
    now = parts.se()
    if now == 0:
        return "All folds score the same: more of them would show no more."
    best = max(gains, key=lambda gain: (now - gain.se) / gain.n_trainings)
    share = 1 - best.se / now
    if share < WORTH_IT:
        return (
            f"Nothing that is cheap: one more {best.what} would take {100 * share:.1g} % off the "
            "standard error. What is left is due to the rows, so more rows help."
        )
    takes = "takes" if best.n_trainings == 1 else "take"
    counts = {"repeat": parts.n_repeats, "fold": parts.n_folds, "seed": parts.n_seeds}
    return (
        f"Raise {_OPTIONS[best.what]} to {counts[best.what] + 1}: "
        f"{counted(best.n_trainings, 'training')} more for each trial {takes} "
        f"{100 * share:.0f} % off the standard error."
    )


def _note(parts: VarianceComponents, in_time: bool) -> str:
    seeds = (
        "Each fold was trained once, with one seed: what initial weights do is part of what the "
        "folds do, and cannot be told apart."
    )
    if in_time or parts.n_repeats > 1:
        return seeds
    return f"With one repeat, reshuffles cannot be told apart from folds either. {seeds}"
