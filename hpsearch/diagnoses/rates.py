"""Learning rates that are too high for the search's networks, and schedules that end early."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from hpsearch.diagnoses.base import Diagnosis, counted, short
from hpsearch.diagnoses.fitting import FEWEST_EPOCHS, diverging
from hpsearch.diagnoses.shape import fall_of, noise_of
from hpsearch.diagnoses.tables import Bools, Floats, Tables, Trial

FEWEST_TRIALS = 5
"""Trials with a learning rate of one name, to compare them by it."""

FROZEN_FALL_SHARE = 0.05
"""Fall before the rate was gone, as a share of the gain, of a curve that was still falling."""

OSCILLATING_SHARE = 0.1
"""Jumps of the loss while fitting, as a share of all that it fell: more is oscillating."""


def learning_rate_too_high(tables: Tables) -> Iterator[Diagnosis]:
    """From some learning rate on most trials diverge or oscillate, and the best lie far below."""
    for name in _rate_columns(tables.trials):
        rated = tables.trials[tables.trials[name].notna()]
        if len(rated) >= FEWEST_TRIALS:
            yield from _too_high(tables, name.removeprefix("hp."), rated, rated[name].to_numpy())


def _too_high(tables: Tables, name: str, rated: pd.DataFrame, rates: Floats) -> Iterator[Diagnosis]:
    diverged = _diverged(rated)
    wild = np.array([_is_wild(tables, int(trial)) for trial in rated["trial"]])
    unstable = diverged | wild
    if not diverged.any() and unstable.sum() < 2:
        return
    limit = float(rates[unstable].min())
    above = rates >= limit
    scored = rated["rank"].notna().to_numpy()
    if not scored.any() or above.all():
        return
    best_rate = float(rates[scored][rated["rank"].to_numpy()[scored].argmin()])
    if unstable[above].mean() < 0.5 or best_rate > limit / 2:
        return
    yield Diagnosis(
        code="learning_rate_too_high",
        title="Part of the range of learning rates is too high",
        evidence=(
            f"Of {counted(int(above.sum()), 'trial')} with {name} of {short(limit)} or more, "
            f"{int(diverged[above].sum())} diverged and {int((wild & ~diverged)[above].sum())} "
            f"oscillated; of {int((~above).sum())} below, none. The best of them has "
            f"{short(best_rate)}."
        ),
        advice=f"End the range of {name} below {short(limit)}, or clip gradients.",
        severity="hint",
        chart="trials",
        trial=None,
        numbers={
            "hyperparameter": name,
            "limit": limit,
            "best_rate": best_rate,
            "n_above": int(above.sum()),
            "n_below": int((~above).sum()),
            "diverged": [int(trial) for trial in rated["trial"][diverged]],
            "oscillating": [int(trial) for trial in rated["trial"][wild & ~diverged]],
        },
    )


def _rate_columns(trials: pd.DataFrame) -> list[str]:
    """Hyperparameters that are learning rates by their name, and numbers."""
    return [
        name
        for name in trials.columns
        if name.startswith("hp.")
        and (name.endswith("learning_rate") or name == "hp.lr")
        and pd.api.types.is_numeric_dtype(trials[name])
    ]


def _diverged(trials: pd.DataFrame) -> Bools:
    failed = trials["status"] == "failed"
    said = trials["error"].astype("str").str.contains("diverged", regex=False)
    return (failed & said).to_numpy()


def _is_wild(tables: Tables, number: int) -> bool:
    """Whether a trial's loss on its own training rows jumps or rises instead of falling."""
    trial = tables.trial(number)
    if trial is None or trial.n_epochs < 2:
        return False
    return _oscillates(trial.running) or any(diverging(trial))


def _oscillates(running: Floats) -> bool:
    fallen = float(running[0] - np.nanmin(running))
    return noise_of(running) > OSCILLATING_SHARE * max(fallen, 0.0) > 0.0


def schedule_ended_early(tables: Tables, trial: Trial) -> Iterator[Diagnosis]:
    """The learning rate was next to nothing while the validation curve was still falling."""
    rate = tables.best.get("learning_rate") or {}
    low = rate.get("tenth_epoch")
    if low is None or not FEWEST_EPOCHS <= low <= min(trial.n_epochs, trial.best + 1):
        return
    before = trial.validation[max(0, low - 1 - max(FEWEST_EPOCHS, low // 4)) : low - 1]
    fall = fall_of(before)
    if fall < FROZEN_FALL_SHARE * trial.at_stake or fall <= 3.0 * noise_of(trial.validation[:low]):
        return
    text = trial.metric_text
    yield Diagnosis(
        code="schedule_ended_early",
        title="The learning rate ran out while the curve was still falling",
        evidence=(
            f"From epoch {low} on the rate is a tenth of its peak or less ({short(rate['peak'])} "
            f"to {short(rate['last'])}). Until then validation {trial.metric} was falling, from "
            f"{text(before[0])} to {text(before[-1])} over {len(before)} epochs; the best epoch is "
            f"{trial.best + 1} of {trial.n_epochs}."
        ),
        advice=(
            "Let the schedule last longer or end at a larger rate; where it is stretched over the "
            f"budget, train longer: --epochs {2 * trial.n_epochs}."
        ),
        severity="hint",
        chart="curves",
        trial=trial.number,
        numbers={
            "tenth_epoch": low,
            "peak_rate": float(rate["peak"]),
            "last_rate": float(rate["last"]),
            "from_epoch": low - len(before) + 1,
            "val_before": trial.metric_value(before[0]),
            "val_after": trial.metric_value(before[-1]),
            "best_epoch": trial.best + 1,
            "epochs": trial.n_epochs,
        },
    )


OF_THE_SELECTED = (schedule_ended_early,)
OF_TABLES = (learning_rate_too_high,)
