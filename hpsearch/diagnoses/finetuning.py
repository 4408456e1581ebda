"""A base that came trained: moved though frozen, upset by few rows, or wrecked by a phase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpsearch.diagnoses.base import Diagnosis, counted, percent
from hpsearch.diagnoses.modes import LOSS_ITSELF, losses_of_modes
from hpsearch.diagnoses.shape import noise_of
from hpsearch.diagnoses.tables import LEARNT_SHARE, Tables, Trial
from hpsearch.stats.curves import changes_of_phase

SETTLING_EPOCHS = 3
"""Epochs on either side of a change of phase whose mean losses are compared."""

WRECKED_SHARE = 0.25
"""Share of what was gained before a phase that its first epochs lose: more is wrecking."""

FEW_ROWS = 1000
"""Rows below which a base's batch normalisation is better left as it came."""

UPSET_SHARE = 0.5
"""Share of what training mode gains that validation rows don't have: more is upset."""


def phase_wrecks(trial: Trial) -> Iterator[Diagnosis]:
    """The score drops where a phase begins: its steps undo what the base, or the head, knew."""
    if "phase" not in trial.table or trial.guess is None:
        return
    for first in changes_of_phase(trial.table["phase"]):
        begin = max(0, first - SETTLING_EPOCHS)
        before = float(np.mean(trial.validation[begin:first]))
        after = float(np.mean(trial.validation[first : first + SETTLING_EPOCHS]))
        gained, lost = trial.guess - before, after - before
        if gained <= LEARNT_SHARE * trial.possible or lost < WRECKED_SHARE * gained:
            continue
        if lost < 3.0 * noise_of(trial.validation[:first]):
            continue
        yield _wrecked(trial, first, before, after, lost / gained)


def _wrecked(trial: Trial, first: int, before: float, after: float, share: float) -> Diagnosis:
    phase = int(trial.table["phase"].iloc[first])
    recovers = float(np.nanmin(trial.validation[first:])) < before
    text = trial.metric_text
    return Diagnosis(
        code="phase_wrecks",
        title="A phase undoes what was learnt before it",
        evidence=(
            f"Phase {phase} begins after epoch {first}: validation {trial.metric} goes from "
            f"{text(before)} to {text(after)} over its first epochs, {percent(share)} of what was "
            f"gained by then, and {'comes back' if recovers else 'does not come back'}."
        ),
        advice=(
            "Give that phase a smaller learning rate, a tenth say, or let fewer layers learn in it."
        ),
        severity="hint" if recovers else "problem",
        chart="curves",
        trial=trial.number,
        numbers={
            "phase": phase,
            "epoch": first,
            "before": trial.metric_value(before),
            "after": trial.metric_value(after),
            "share_lost": share,
        },
    )


def base_moved(tables: Tables, trial: Trial) -> Iterator[Diagnosis]:
    """Weights of layers that were frozen throughout are others after the training."""
    base = tables.best.get("base") or {}
    moved, layers = float(base.get("frozen_moved") or 0.0), list(base.get("moved_layers") or ())
    if moved <= 0.0:
        return
    yield Diagnosis(
        code="base_moved",
        title="A base moved though it was frozen",
        evidence=(
            f"Weights of {', '.join(map(repr, layers))}, frozen in every phase, changed by up to "
            f"{percent(moved)} of their size while all rows were trained on."
        ),
        advice=(
            "A layer of your own may change what it holds while it trains: have it mind its "
            "`trainable`, as batch normalisation does."
        ),
        severity="problem",
        chart="curves",
        trial=trial.number,
        numbers={"moved": moved, "layers": layers},
    )


def base_normalization(tables: Tables, trial: Trial) -> Iterator[Diagnosis]:
    """A base's batch normalisation follows a few rows: fine while it trains, lost afterwards."""
    base = tables.best.get("base") or {}
    n_layers, n_rows = int(base.get("normalization") or 0), int(base.get("n_rows") or 0)
    fitted = _in_training_mode(tables, trial)
    if not n_layers or n_rows >= FEW_ROWS or fitted is None or trial.guess is None:
        return
    gain = trial.guess - fitted
    missing = float(trial.validation[trial.best]) - fitted
    if gain <= LEARNT_SHARE * trial.possible or missing < UPSET_SHARE * gain:
        return
    text = trial.metric_text
    yield Diagnosis(
        code="base_normalization",
        title="The base's batch normalisation follows a few rows",
        evidence=(
            f"{counted(n_layers, 'layer')} of batch normalisation in the base that came trained "
            f"{'learns' if n_layers == 1 else 'learn'} from {n_rows} rows. On training rows, in "
            f"training mode, {trial.metric} comes to {text(fitted)}; validation rows have "
            f"{text(trial.validation[trial.best])}, a constant prediction {text(trial.guess)}."
        ),
        advice=(
            "Freeze them: give the space phases, in which batch normalisation that was frozen "
            "stays in inference mode, or set base.trainable = False. base(x, training=False) alone "
            "does not do it."
        ),
        severity="problem",
        chart="curves",
        trial=trial.number,
        numbers={
            "n_layers": n_layers,
            "n_rows": n_rows,
            "training_mode": trial.metric_value(fitted),
            "val_at_best": trial.metric_value(trial.validation[trial.best]),
            "share_missing": missing / gain,
        },
    )


def _in_training_mode(tables: Tables, trial: Trial) -> float | None:
    """How well training rows are fitted in training mode, or None where nothing tells.

    By the loss while fitting where that is the metric: where validation rows learn nothing, the
    retrained network is that of the first epochs.
    """
    if tables.metric == LOSS_ITSELF:
        return float(np.nanmin(trial.running))
    values = losses_of_modes(tables.best.get("modes") or {}, tables)
    return None if values is None else values[0]


OF_CURVES = (phase_wrecks,)
OF_THE_SELECTED = (base_moved, base_normalization)
EXPLAINED_BY = {"batch_norm_lag": {"base_normalization"}, "overfit": {"base_normalization"}}
