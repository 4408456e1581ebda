"""Training mode against inference mode, as the refit recorded both on the same rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.diagnoses.base import Diagnosis, counted, percent
from hpsearch.diagnoses.tables import LEARNT_SHARE, Tables, Trial

LAG_SHARE = 0.2
"""Share of what training mode gains over a constant that inference mode loses again: a lag."""

MODE_SHARE = 0.1
"""The same the other way round, of a gap that is worth a remark."""

LOSS_ITSELF = "log_loss"
"""The one metric that is the loss which Keras reports, by the problem type's own loss."""

SETTLED = 0.99
"""Share of the batches' statistics that moving averages should have taken in."""


def batch_norm_lag(tables: Tables, trial: Trial) -> Iterator[Diagnosis]:
    """Training rows are far worse in inference mode: the moving averages are not there yet."""
    modes = tables.best.get("modes") or {}
    normalization = modes.get("batch_normalization")
    values = losses_of_modes(modes, tables)
    if not normalization or values is None or trial.guess is None:
        return
    training, inference = values
    gain = trial.guess - training
    lost = inference - training
    if gain <= LEARNT_SHARE * trial.possible or lost < LAG_SHARE * gain:
        return
    momentum, steps = float(normalization["momentum"]), int(modes["n_steps"])
    taken_in = 1.0 - momentum**steps
    needed = math.ceil(math.log(1.0 - SETTLED) / math.log(momentum)) if 0 < momentum < 1 else None
    text = trial.metric_text
    yield Diagnosis(
        code="batch_norm_lag",
        title="Batch normalisation is not ready for inference",
        evidence=(
            f"On the same {modes['n_rows']} training rows the retrained network's {trial.metric} "
            f"is {text(training)} in training mode, with each batch's own mean and variance, and "
            f"{text(inference)} in inference mode, with moving averages. With a momentum of "
            f"{momentum:g} these have taken in {percent(taken_in)} (1 - {momentum:g}^{steps}) "
            f"after {counted(steps, 'step')}."
        ),
        advice=_lag_advice(momentum, steps, taken_in, needed),
        severity="problem",
        chart="curves",
        trial=trial.number,
        numbers={
            "training_mode": trial.metric_value(training),
            "inference_mode": trial.metric_value(inference),
            "momentum": momentum,
            "steps": steps,
            "taken_in": taken_in,
            "steps_needed": needed,
            "n_rows": int(modes["n_rows"]),
        },
    )


def _lag_advice(momentum: float, steps: int, taken_in: float, needed: int | None) -> str:
    if needed is None or taken_in >= SETTLED:
        return (
            "The averages had steps enough, so the weights move faster than they do, or batches "
            "are too small to stand for all rows: try a smaller learning rate, larger batches, or "
            "LayerNormalization."
        )
    fitting = (1.0 - SETTLED) ** (1.0 / steps)
    return (
        f"It takes {needed} steps to take in {percent(SETTLED)}: try smaller batches or more "
        f"epochs, or a momentum of at most {fitting:.2g}, which does with {counted(steps, 'step')}."
    )


def mode_gap(tables: Tables, trial: Trial) -> Iterator[Diagnosis]:
    """The loss while fitting seems worse than that of validation rows; it is a matter of mode.

    It takes a metric that is the loss itself: no other can be held against what Keras reports.
    """
    modes = tables.best.get("modes") or {}
    values = losses_of_modes(modes, tables)
    if values is None or trial.guess is None or tables.metric != LOSS_ITSELF:
        return
    training, inference = values
    validation, running = (float(c[trial.best]) for c in (trial.validation, trial.running))
    is_odd = inference <= validation < min(training, running)
    if not is_odd or training - inference < MODE_SHARE * (trial.guess - inference):
        return
    text = trial.metric_text
    yield Diagnosis(
        code="mode_gap",
        title="The loss while fitting is above the validation loss in training mode only",
        evidence=(
            f"In the best epoch Keras reports a loss of {text(running)} while it fits, and "
            f"validation rows have {text(validation)}. On the same {modes['n_rows']} training rows "
            f"the retrained network has {text(training)} in training mode, with dropout and each "
            f"batch's statistics, and {text(inference)} in inference mode. What Keras reports is "
            "an average over the epoch, too, and holds penalties."
        ),
        advice=(
            "Nothing: training and validation rows compare in inference mode, as the columns "
            "train_ and val_ of curves.csv do."
        ),
        severity="note",
        chart="curves",
        trial=trial.number,
        numbers={
            "training_mode": trial.metric_value(training),
            "inference_mode": trial.metric_value(inference),
            "validation": trial.metric_value(validation),
            "train_loss": running,
            "n_rows": int(modes["n_rows"]),
        },
    )


def losses_of_modes(modes: Mapping[str, Any], tables: Tables) -> tuple[float, float] | None:
    """Losses of the selecting metric in training and in inference mode, where both are defined."""
    sign = 1.0 if tables.direction == "min" else -1.0
    training, inference = (
        (modes.get(mode) or {}).get(tables.metric) for mode in ("training", "inference")
    )
    if training is None or inference is None:
        return None
    return sign * float(training), sign * float(inference)


OF_THE_SELECTED = (batch_norm_lag, mode_gap)
EXPLAINED_BY = {"mode_gap": {"batch_norm_lag"}}
