"""Rules that read an epoch off a learning curve.

References
----------
Prechelt, L.: Early stopping - but when? Neural Networks: Tricks of the Trade, 1998, 55-69.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hpsearch.stats.base import losses_of
from hpsearch.task import Direction


def best_epoch(mean_curve: ArrayLike, direction: Direction) -> int:
    """The first epoch at which a curve attains its best value, counted from 0.

    Parameters
    ----------
    mean_curve : (E,) one value per epoch; values that are not finite are never the best.
    direction : ``"min"`` where small values are good, else ``"max"``.

    Raises
    ------
    ValueError : where no value is finite.

    Examples
    --------
    >>> best_epoch([0.9, float("nan"), 0.5, 0.5, 0.7], "min")
    2
    """
    losses = losses_of(mean_curve, direction)
    if not np.isfinite(losses).any():
        raise ValueError("A best epoch needs a finite value; received none.")
    return int(np.argmin(losses))


def patience_stop(mean_curve: ArrayLike, direction: Direction, patience: int | None) -> int:
    """How many epochs are kept as if training had stopped after ``patience`` epochs in vain.

    An epoch is in vain where its value is not better than all before it, or not finite. The
    epochs in vain are kept too, as Keras's ``EarlyStopping`` trains them; the rule is akin to
    criterion UP of Prechelt (1998), which waits for a number of strips in a row to get worse.

    Parameters
    ----------
    mean_curve : (E,) one value per epoch.
    direction : ``"min"`` where small values are good, else ``"max"``.
    patience : epochs in a row without improvement, at least 1; None never stops.

    Returns
    -------
    A number of epochs from 1 to E (0 for an empty curve).

    Raises
    ------
    ValueError : where ``patience`` is below 1.

    Examples
    --------
    >>> patience_stop([0.9, 0.5, 0.6, 0.5, 0.4], "min", patience=2)
    4
    """
    losses = losses_of(mean_curve, direction)
    if patience is None:
        return len(losses)
    if patience < 1:
        raise ValueError(f"`patience` must be at least 1; received {patience}.")
    best_before = np.minimum.accumulate(np.concatenate([[np.inf], losses[:-1]]))
    epochs = np.arange(len(losses))
    last_improved = np.maximum.accumulate(np.where(losses < best_before, epochs, -1))
    stopped = np.flatnonzero(epochs - last_improved >= patience)
    return int(stopped[0]) + 1 if stopped.size else len(losses)


def changes_of_phase(phase: ArrayLike) -> tuple[int, ...]:
    """The last epoch, from 1, of each phase but the last.

    Parameters
    ----------
    phase : (E,) the phase of each epoch.

    Examples
    --------
    >>> changes_of_phase([1, 1, 2, 2, 2, 3])
    (2, 5)
    """
    changed = np.flatnonzero(np.diff(np.asarray(phase, float)) > 0) + 1
    return tuple(int(epoch) for epoch in changed)
