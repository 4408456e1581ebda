"""Fitting against generalising: what a trial's mean curves say.

Every rule compares with what a constant prediction scores, so that its thresholds are shares of
what is learnt and mean the same for every metric and unit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpsearch.diagnoses.base import Diagnosis, percent, short
from hpsearch.diagnoses.shape import (
    NOISE_EPOCHS,
    fall_of,
    level_around,
    level_at_end,
    noise_of,
    tail_epochs,
)
from hpsearch.diagnoses.tables import LEARNT_SHARE, Trial

LOST_SHARE = 0.5
"""Share of what training rows gain that validation rows don't: more is overfitting."""

RISE_SHARE = 0.1
"""Share of its gain that a validation curve gives back by the end: more is overfitting."""

FALL_SHARE = 0.02
"""Fall over the last quarter of the epochs, as a share of the gain, of a curve that still falls."""

DIVERGED_SHARE = 0.2
"""Share of their gain that training rows themselves lose again: more is diverging."""

NOISY_SHARE = 0.05
"""Noise of one epoch as a share of the gain: more is noisy."""

FEWEST_EPOCHS = 4
"""Shorter curves have no shape."""


def overfit(trial: Trial) -> Iterator[Diagnosis]:
    """Validation rows get worse while training rows get better, or gain less than half as much."""
    if trial.guess is None or trial.n_epochs < FEWEST_EPOCHS:
        return
    lost, given_back = _lost(trial, trial.guess), _given_back(trial)
    if not (lost or given_back):
        return
    best, value = trial.best, trial.metric_value
    yield Diagnosis(
        code="overfit",
        title="Fits its training rows better than it generalises",
        evidence=f"{lost} {given_back}".strip(),
        advice=(
            "Try more dropout or a stronger penalty, fewer units, or more rows. The score is read "
            "at the best epoch, so that later epochs cost time only: --patience spares them."
        ),
        severity="problem" if lost else "hint",
        chart="curves",
        trial=trial.number,
        numbers={
            "best_epoch": best + 1,
            "train_at_best": value(trial.training[best]),
            "val_at_best": value(trial.validation[best]),
            "train_at_end": value(level_at_end(trial.training)),
            "val_at_end": value(level_at_end(trial.validation)),
            "guess": value(trial.guess),
            "share_lost": _share_lost(trial, trial.guess),
        },
    )


def _share_lost(trial: Trial, guess: float) -> float | None:
    """What validation rows lack of the gain of training rows, where that is worth the name."""
    best = trial.best
    fitted = float(guess - trial.training[best])
    if fitted <= LEARNT_SHARE * trial.possible:
        return None
    return float(trial.validation[best] - trial.training[best]) / fitted


def _lost(trial: Trial, guess: float) -> str:
    """What does not carry over to validation rows, if that is much; else nothing."""
    best, share, text = trial.best, _share_lost(trial, guess), trial.metric_text
    gap = float(trial.validation[best] - trial.training[best])
    if share is None or share < LOST_SHARE or gap < 2.0 * trial.se:
        return ""
    return (
        f"At its best epoch, {best + 1}, {trial.metric} is {text(trial.training[best])} on "
        f"training rows and {text(trial.validation[best])} on validation rows; a constant "
        f"prediction has {text(guess)}. So {percent(share)} of what training rows gain does not "
        "carry over."
    )


def _given_back(trial: Trial) -> str:
    """What validation rows lose after the best epoch, if that is much; else nothing."""
    best, validation, training = trial.best, trial.validation, trial.training
    rise = level_at_end(validation) - level_around(validation, best)
    rises = rise >= RISE_SHARE * trial.gain and rise >= 3.0 * noise_of(validation)
    if (
        not rises
        or best >= trial.n_epochs - tail_epochs(trial.n_epochs)
        or trial.gain <= LEARNT_SHARE * trial.possible
        or level_at_end(training) > level_around(training, best)
    ):
        return ""
    text = trial.metric_text
    return (
        f"After epoch {best + 1} validation {trial.metric} goes from {text(validation[best])} to "
        f"{text(level_at_end(validation))} while training rows go from {text(training[best])} to "
        f"{text(level_at_end(training))}."
    )


def underfit(trial: Trial) -> Iterator[Diagnosis]:
    """Not even the training rows are predicted better than by a constant."""
    if trial.guess is None or trial.n_epochs < FEWEST_EPOCHS or not trial.possible > 0:
        return
    epoch = int(np.nanargmin(trial.training))
    share = float(trial.guess - trial.training[epoch]) / trial.possible
    if share >= LEARNT_SHARE:
        return
    text, metric = trial.metric_text, trial.metric
    yield Diagnosis(
        code="underfit",
        title="Hardly better than guessing, even on training rows",
        evidence=(
            f"The best {metric} on training rows is {text(trial.training[epoch])} (epoch "
            f"{epoch + 1}); a constant prediction has {text(trial.guess)}."
        ),
        advice=(
            "Try a larger learning rate, more epochs, more units or layers, a weaker penalty. If "
            "nothing helps, the columns say little about the target."
        ),
        severity="problem",
        chart="curves",
        trial=trial.number,
        numbers={
            "epoch": epoch + 1,
            "train": trial.metric_value(trial.training[epoch]),
            "val_at_best": trial.metric_value(trial.validation[trial.best]),
            "guess": trial.metric_value(trial.guess),
            "share_learnt": share,
        },
    )


def still_falling(trial: Trial) -> Iterator[Diagnosis]:
    """The validation curve still gets better where the epochs end."""
    n_epochs = trial.n_epochs
    if n_epochs < FEWEST_EPOCHS or trial.best < n_epochs - max(1, n_epochs // 10):
        return
    window = trial.validation[-max(FEWEST_EPOCHS, n_epochs // 4) :]
    fall = fall_of(window)
    if fall < FALL_SHARE * trial.at_stake or fall <= 3.0 * noise_of(trial.validation):
        return
    text = trial.metric_text
    yield Diagnosis(
        code="still_falling",
        title="Still improving when the epochs end",
        evidence=(
            f"The best epoch is {trial.best + 1} of {n_epochs}. Over the last {len(window)} epochs "
            f"validation {trial.metric} went from {text(window[0])} to {text(window[-1])}."
        ),
        advice=f"Train longer: --epochs {2 * n_epochs}; or allow larger learning rates.",
        severity="hint",
        chart="curves",
        trial=trial.number,
        numbers={
            "best_epoch": trial.best + 1,
            "epochs": n_epochs,
            "from_epoch": n_epochs - len(window) + 1,
            "val_before": trial.metric_value(window[0]),
            "val_after": trial.metric_value(window[-1]),
        },
    )


def diverging(trial: Trial) -> Iterator[Diagnosis]:
    """The training rows themselves get worse, in inference mode and in Keras's own loss."""
    if not _diverges(trial):
        return
    low = int(np.nanargmin(trial.training))
    end, text = level_at_end(trial.training), trial.metric_text
    yield Diagnosis(
        code="diverging",
        title="The training gets worse as it goes on",
        evidence=(
            f"Training {trial.metric} goes from {text(trial.training[low])} in epoch {low + 1} to "
            f"{text(end)} at the end, and the loss while fitting from "
            f"{short(np.nanmin(trial.running))} to {short(level_at_end(trial.running))}."
        ),
        advice="Try a smaller or a decaying learning rate, gradient clipping, or larger batches.",
        severity="problem",
        chart="curves",
        trial=trial.number,
        numbers={
            "epoch": low + 1,
            "train_at_epoch": trial.metric_value(trial.training[low]),
            "train_at_end": trial.metric_value(end),
            "train_loss_least": float(np.nanmin(trial.running)),
            "train_loss_at_end": level_at_end(trial.running),
        },
    )


def _diverges(trial: Trial) -> bool:
    if trial.guess is None or trial.n_epochs < FEWEST_EPOCHS:
        return False
    training, running = trial.training, trial.running
    low = float(np.nanmin(training))
    gain = max(trial.guess - low, LEARNT_SHARE * trial.possible)
    rise = level_at_end(training) - low
    clear = rise >= 4.0 * noise_of(training) or level_at_end(training) > trial.guess > low
    worse = rise >= DIVERGED_SHARE * gain and clear
    least = float(np.nanmin(running))
    fallen = max(float(running[0]) - least, abs(least))
    return worse and level_at_end(running) - least >= DIVERGED_SHARE * fallen


def noisy(trial: Trial) -> Iterator[Diagnosis]:
    """The mean validation curve jumps from epoch to epoch, so that its minimum flatters."""
    if trial.n_epochs < 2 * NOISE_EPOCHS or trial.guess is None:
        return
    noise, at_stake = noise_of(trial.validation), trial.at_stake
    if noise < NOISY_SHARE * at_stake or noise < 0.5 * trial.se:
        return
    yield Diagnosis(
        code="noisy",
        title="The validation curve jumps from epoch to epoch",
        evidence=(
            f"Validation {trial.metric} varies by {short(noise)} (standard deviation) around a "
            f"smooth curve from one epoch to the next, {percent(noise / at_stake)} of "
            f"what there is to learn; the score's own error is "
            f"{short(trial.se)}. The best of {trial.n_epochs} such epochs flatters itself."
        ),
        advice=(
            "Try a smaller or a decaying learning rate, larger batches, or more repeats, which "
            "average the jumps."
        ),
        severity="hint",
        chart="curves",
        trial=trial.number,
        numbers={
            "noise": noise,
            "at_stake": at_stake,
            "score_se": trial.se,
            "best_epoch": trial.best + 1,
            "epochs": trial.n_epochs,
        },
    )


OF_CURVES = (overfit, underfit, still_falling, diverging, noisy)
EXPLAINED_BY = {
    "underfit": {
        *("batch_norm_lag", "constant_predictions", "diverging"),
        *("schedule_ended_early", "still_falling"),
    },
    "overfit": {"diverging"},
    "noisy": {"batch_norm_lag", "diverging"},
    "still_falling": {"batch_norm_lag", "schedule_ended_early"},
    "diverging": {"batch_norm_lag"},
}
