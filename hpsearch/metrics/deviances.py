"""Deviances of counts and amounts: how unlikely the truth is under a distribution of its mean.

A prediction of 0 or less has no deviance, and scikit-learn refuses it; here it counts as 2.2e-16,
as a probability of 0 does in the log loss: the score stays a number, and a bad one.

References
----------
Dunn, P. K., Smyth, G. K.: Generalized Linear Models With Examples in R. Springer, 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import METRICS, Family, Floats, Metric, register_family
from hpsearch.metrics.values import EPS, Loss, loss_metric, values_that

_NOT_BELOW_0 = values_that(lambda y: y < 0, "target values of 0 or more")
_ABOVE_0 = values_that(lambda y: y <= 0, "target values above 0")
_POSITIVE = "a prediction of 0 or less counts as 2.2e-16."


def _above_0(y_pred: Floats) -> Floats:
    return np.maximum(y_pred, EPS)


def poisson_deviances(y_true: NDArray[Any], y_pred: Floats) -> Floats:
    """The deviance of each count; NaN of a negative one."""
    mean = _above_0(y_pred)
    of_zero = np.where(y_true == 0, 1.0, y_true)
    logs = np.where(y_true == 0, 0.0, y_true * np.log(of_zero / mean))
    return np.where(y_true < 0, np.nan, 2.0 * (logs - y_true + mean))


def _gamma(y_true: NDArray[Any], y_pred: Floats) -> Floats:
    mean = _above_0(y_pred)
    return np.asarray(2.0 * (np.log(mean / y_true) + y_true / mean - 1.0))


def _tweedie(power: float) -> Loss:
    def loss(y_true: NDArray[Any], y_pred: Floats) -> Floats:
        mean, p = _above_0(y_pred), power
        of_truth = np.power(y_true, 2 - p) / ((1 - p) * (2 - p))
        of_both = y_true * np.power(mean, 1 - p) / (1 - p)
        return np.asarray(2.0 * (of_truth - of_both + np.power(mean, 2 - p) / (2 - p)))

    return {1.0: poisson_deviances, 2.0: _gamma}.get(power, loss)


for _metric in (
    loss_metric(
        "poisson_deviance",
        poisson_deviances,
        "Mean Poisson deviance, for counts; " + _POSITIVE,
        rule=_NOT_BELOW_0,
    ),
    loss_metric(
        "gamma_deviance",
        _gamma,
        "Mean gamma deviance, for amounts above 0; " + _POSITIVE,
        rule=_ABOVE_0,
    ),
):
    METRICS.add(_metric)


def _tweedie_deviance(name: str, power: float, words: str) -> Metric:
    rule = _NOT_BELOW_0 if power < 2 else _ABOVE_0
    return loss_metric(name, _tweedie(power), words, rule=rule)


register_family(
    Family(
        "tweedie_deviance",
        "POWER",
        "a power from 1 to 3",
        lambda power: 1 <= power <= 3,
        "Mean Tweedie deviance of power {} (1 is Poisson's, 2 gamma's); " + _POSITIVE,
        _tweedie_deviance,
        (1.5, 2.5),
    )
)
