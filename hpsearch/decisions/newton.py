"""Slopes and intercepts of many weighted samples at once, by Newton's method; and the links.

Samples differ in what each case weighs alone, so that all of them take a step together. Which cases
there are, and what becomes of samples that do not come to rest, belongs to ``calibrators``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEWTON_STEPS: Final = 12
AT_REST: Final = 1e-7

SLOPES: Final = (0.02, 20.0)
INTERCEPTS: Final = (-20.0, 20.0)


def newton_of_label(
    x: Floats,
    is_true: NDArray[np.bool_],
    weights: Floats,
    first: Floats,
    *,
    has_intercept: bool,
) -> tuple[Floats, NDArray[np.bool_]]:
    """(b, 2) slopes and intercepts, and which rest; with an intercept, by Platt's targets."""
    theta = np.tile(first, (len(weights), 1))
    positive, total = weights[:, is_true].sum(axis=1), weights.sum(axis=1)
    high, low = np.ones(len(weights)), np.zeros(len(weights))
    if has_intercept:
        high, low = (positive + 1) / (positive + 2), 1 / (total - positive + 2)
    of_true, of_all = weights[:, is_true] @ x[is_true], weights @ x
    wanted = np.stack(
        [high * of_true + low * (of_all - of_true), high * positive + low * (total - positive)], 1
    )
    moved = np.full(theta.shape, np.inf)
    for _ in range(NEWTON_STEPS):
        said = Links.sigmoid(theta[:, :1] * x + theta[:, 1:])
        slope = np.stack([(weights * said) @ x, (weights * said).sum(axis=1)], 1) - wanted
        spread = weights * said * (1.0 - said)
        xx, x1, n1 = spread @ (x * x), spread @ x, spread.sum(axis=1)
        if has_intercept:
            apart = xx * n1 - x1**2
            moved = (
                np.stack(
                    [n1 * slope[:, 0] - x1 * slope[:, 1], xx * slope[:, 1] - x1 * slope[:, 0]], 1
                )
                / np.where(apart > 0, apart, np.inf)[:, np.newaxis]
            )
        else:
            moved = np.stack([slope[:, 0] / np.where(xx > 0, xx, np.inf), np.zeros(len(xx))], 1)
        theta = theta - np.clip(moved, -1.0, 1.0)
        theta = np.clip(theta, [SLOPES[0], INTERCEPTS[0]], [SLOPES[1], INTERCEPTS[1]])
        if (np.abs(moved) < AT_REST).all():
            break
    return theta, (np.abs(moved) < AT_REST).all(axis=1)


def newton_of_classes(
    x: Floats, came_true: Floats, weights: Floats, first: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """(b,) slopes of several classes' logarithms, and which of them rest."""
    slopes, moved = np.full(len(weights), first), np.full(len(weights), np.inf)
    of_truth = weights @ (x * came_true).sum(axis=1)
    for _ in range(NEWTON_STEPS):
        said = Links.softmax(slopes[:, np.newaxis, np.newaxis] * x, axis=-1)
        mean, square = (said * x).sum(axis=-1), (said * x * x).sum(axis=-1)
        slope = (weights * mean).sum(axis=1) - of_truth
        spread = (weights * (square - mean**2)).sum(axis=1)
        moved = slope / np.where(spread > 0, spread, np.inf)
        slopes = np.clip(slopes - np.clip(moved, -1.0, 1.0), *SLOPES)
        if (np.abs(moved) < AT_REST).all():
            break
    return slopes, np.abs(moved) < AT_REST


class Links:
    """The links in NumPy, under the names of ``keras.ops``."""

    @staticmethod
    def sigmoid(z: Floats) -> Floats:
        """Probability of a logit."""
        from scipy.special import expit

        return np.asarray(expit(z))

    @staticmethod
    def softmax(z: Floats, axis: int) -> Floats:
        """Probabilities of rows of logarithms."""
        from scipy.special import softmax

        return np.asarray(softmax(z, axis=axis))
