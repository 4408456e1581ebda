"""The shape of a curve: its noise, its level at the end, its fall over some epochs.

These smooth for the diagnosis alone; the best epoch is chosen from the curve as it is.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import theilslopes

from hpsearch.diagnoses.tables import Floats

NOISE_EPOCHS = 5
"""Epochs that an estimate of the noise needs at least."""


def noise_of(curve: Floats) -> float:
    """Standard deviation of one epoch around a smooth curve, from the curve's second half.

    A smooth curve has small second differences; independent noise of standard deviation s gives
    them ``sqrt(6) s``. The median of their absolute values, times 1.4826, is robust against a
    few jumps. 0 where fewer than five epochs are there.

    Parameters
    ----------
    curve : (E,) one value per epoch.

    Examples
    --------
    >>> noise_of(np.linspace(1.0, 0.5, 20)) < 1e-12
    True
    """
    late = curve[min(len(curve) // 2, max(0, len(curve) - NOISE_EPOCHS)) :]
    if len(late) < NOISE_EPOCHS:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(late, n=2))) / np.sqrt(6.0))


def level_at_end(curve: Floats) -> float:
    """The median of the last tenth of the epochs, three at least."""
    return float(np.median(curve[-tail_epochs(len(curve)) :]))


def tail_epochs(n_epochs: int) -> int:
    """A tenth of the epochs, three at least."""
    return min(n_epochs, max(3, n_epochs // 10))


def level_around(curve: Floats, epoch: int) -> float:
    """The median of an epoch and its neighbours: a minimum is below the curve it was found on."""
    return float(np.median(curve[max(0, epoch - 1) : epoch + 2]))


def fall_of(curve: Floats) -> float:
    """How far a line through the curve falls from the first to the last epoch; below 0 if it rises.

    The line has the median slope of all pairs of epochs (Theil 1950, Sen 1968), so that a few
    jumps don't turn it.

    Examples
    --------
    >>> round(fall_of(np.array([3.0, 2.0, 1.0])), 6)
    2.0
    """
    slope = theilslopes(curve).slope
    return float(-slope * (len(curve) - 1))
