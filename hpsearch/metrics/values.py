"""Metrics of numbers: how far predictions are from the truth, in the target's units or relative.

Of several values, each is scored by itself, and the mean is taken.

References
----------
Koenker, R., Bassett, G.: Regression quantiles. Econometrica 46 (1978) 33-50.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics.base import (
    CORRELATION,
    FROM_0,
    METRICS,
    UP_TO_1,
    Bounds,
    Family,
    Floats,
    Function,
    Metric,
    Scorer,
    TargetRule,
    over_rows,
    register,
    register_family,
    rows_last,
)
from hpsearch.metrics.ordered import Samples, Walk, cumulative, ranks, walked
from hpsearch.metrics.sums import ROUNDING, Sums, centred_powers, known, mean, spread
from hpsearch.task import OF_NUMBERS, ProblemKind, Target

Loss = Callable[[NDArray[Any], Floats], Floats]
"""Truth (n, V) and predictions (..., n, V) to losses (..., n, V)."""

EPS = float(np.finfo(np.float64).eps)


def loss_metric(
    name: str,
    loss: Loss,
    words: str,
    *,
    bounds: Bounds = FROM_0,
    rule: TargetRule | None = None,
    of_means: Callable[[Floats], Floats] | None = None,
) -> Metric:
    """A metric that is the mean of the rows' losses, or something of it.

    Parameters
    ----------
    name, words, bounds, rule : as in ``Metric``.
    of_means : takes each value's mean, such as for its root, before the mean over the values.
    """

    def function(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
        means = over_rows(loss(y_true, y_pred))
        return (means if of_means is None else of_means(means)).mean(axis=-1)

    def of_rows(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
        return np.asarray(loss(y_true, y_pred).mean(axis=-1))

    def finish(sums: Floats, of_truth: Floats, n_rows: Floats) -> Floats:
        assert of_means is not None
        return np.asarray(of_means(sums / n_rows[..., np.newaxis]).mean(axis=-1), dtype=np.float64)

    sums = Sums(of_rows, mean) if of_means is None else Sums(_of_values(loss), finish)
    return Metric(
        name,
        "min",
        OF_NUMBERS,
        words=words,
        bounds=bounds,
        function=function,
        scorer=sums.weighted,
        rule=rule,
    )


def _of_values(loss: Loss) -> Function:
    """What a metric of each value's sums takes: losses (A, V, n)."""
    return lambda kind, y_true, y_pred: np.swapaxes(loss(y_true, y_pred), -1, -2)


def values_that(breaks: Callable[[NDArray[Any]], NDArray[np.bool_]], needs: str) -> TargetRule:
    """A rule for the target's values.

    Parameters
    ----------
    breaks : which of them break it; needs : the rule, in words.
    """

    def received(target: Target, y: NDArray[Any]) -> str:
        broken = np.asarray(y)[breaks(np.asarray(y))]
        if not broken.size:
            return ""
        is_one = broken.size == 1
        return f"{broken.size:,} that {'is' if is_one else 'are'} not, such as {broken.flat[0]:g}"

    return TargetRule(needs, received)


# -- means of the rows' errors


def _squares(y_true: NDArray[Any], y_pred: Floats) -> Floats:
    return np.asarray((y_pred - y_true) ** 2)


def _symmetric(y_true: NDArray[Any], y_pred: Floats) -> Floats:
    both = np.abs(y_true) + np.abs(y_pred)
    return np.where(both > 0, 2.0 * np.abs(y_pred - y_true) / np.where(both > 0, both, 1.0), 0.0)


def _of_logs(y_true: NDArray[Any], y_pred: Floats) -> Floats:
    return np.asarray((np.log1p(np.maximum(y_pred, -1.0 + EPS)) - np.log1p(y_true)) ** 2)


_ABOVE_MINUS_1 = values_that(lambda y: y <= -1, "target values above -1")

for _metric in (
    loss_metric("mae", lambda y, p: np.abs(p - y), "Mean absolute error."),
    loss_metric("mse", _squares, "Mean squared error."),
    loss_metric(
        "rmse",
        _squares,
        "Root of the mean squared error; of several values the mean of their roots.",
        of_means=np.sqrt,
    ),
    loss_metric(
        "mape",
        lambda y, p: np.abs(p - y) / np.maximum(np.abs(y), EPS),
        "Mean absolute error as a share of the truth (0.1 is 10 %); the truth must not be 0.",
        rule=values_that(lambda y: y == 0, "target values other than 0"),
    ),
    loss_metric(
        "smape",
        _symmetric,
        "Mean absolute error as a share of the mean of truth and prediction, from 0 to 2; 0 where "
        "both are 0.",
        bounds=(0.0, 2.0),
    ),
    loss_metric(
        "msle",
        _of_logs,
        "Mean squared error of log(1 + value); the truth must be above -1, and a prediction that "
        "is not counts as if it just were.",
        rule=_ABOVE_MINUS_1,
    ),
    loss_metric(
        "rmsle",
        _of_logs,
        "Root of msle; of several values the mean of their roots.",
        rule=_ABOVE_MINUS_1,
        of_means=np.sqrt,
    ),
):
    METRICS.add(_metric)


def _pinball(name: str, share: float, words: str) -> Metric:
    def loss(y_true: NDArray[Any], y_pred: Floats) -> Floats:
        return np.maximum(share * (y_true - y_pred), (share - 1.0) * (y_true - y_pred))

    of_numbers = loss_metric(name, loss, words)
    return Metric(
        name,
        "min",
        (*OF_NUMBERS, "quantile"),
        words=words,
        bounds=FROM_0,
        function=_of_level(share, of_numbers.function),
        scorer=_of_level(share, of_numbers.scorer),
        rule=TargetRule(
            f"a level of {share:g} where quantiles are predicted",
            lambda target, y: (
                f"the levels {', '.join(map(str, target.levels))}"
                if target.levels and share not in target.levels
                else ""
            ),
        ),
    )


def _of_level(level: float, function: Any) -> Any:
    """What scores the quantile of a level where several are predicted; NaN where it is not."""

    def scored(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, *weights: Any) -> Any:
        if kind == "quantile":
            levels = getattr(kind, "levels", ())
            place = levels.index(level) if level in levels else None
            y_pred = (
                np.full_like(y_pred[..., :1], np.nan)
                if place is None
                else (y_pred[..., place : place + 1])
            )
        return function(kind, y_true, y_pred, *weights)

    return scored


register_family(
    Family(
        "pinball",
        "SHARE",
        "a share between 0 and 1",
        lambda share: 0 < share < 1,
        "Pinball loss, of quantiles: least where a share of {} of the truth is below the "
        "prediction.",
        _pinball,
        (0.1, 0.9),
    )
)


# -- shares of the spread


def _share_of_sums(left: Floats, powers: Floats, n_rows: Floats) -> Floats:
    """1 less what is left (B, A, V) of the truth's spread."""
    total = spread(powers, n_rows)[:, np.newaxis, :]
    constant = np.where(left == 0, 1.0, 0.0)
    scores = np.where(total == 0, constant, 1.0 - left / total).mean(axis=-1)
    return np.asarray(scores, dtype=np.float64)


def _of_two_rows(sums: Sums) -> Scorer:
    """The scorer of a metric that one row alone, drawn once, doesn't have."""

    def scorer(
        kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
    ) -> Floats:
        several = ((times > 0).sum(axis=1) >= 2) | (times.sum(axis=1) >= 2)
        scores = sums.weighted(kind, y_true, y_pred, times)
        return np.where(several[:, np.newaxis], scores, np.nan)

    return scorer


def _share(y_true: NDArray[Any], left: Floats, is_met: NDArray[np.bool_]) -> Any:
    """1 less what is left (..., V) of the truth's spread; of a constant truth whether it is met."""
    if len(y_true) < 2:
        return np.full(left.shape[:-1], np.nan)
    total = over_rows((y_true - over_rows(y_true)) ** 2)
    # The mean of equal numbers may differ from them in the last bit, so a total of 0 says less.
    is_constant = (y_true == y_true[0]).all(axis=0)
    return np.where(is_constant, np.where(is_met, 1.0, 0.0), 1.0 - left / total).mean(axis=-1)


@register(
    "r2",
    "max",
    *OF_NUMBERS,
    words="Share of the truth's variance that is predicted; a constant truth gives 1 if met "
    "exactly, else 0. Undefined for one row.",
    bounds=UP_TO_1,
    scorer=_of_two_rows(Sums(_of_values(_squares), _share_of_sums, centred_powers)),
)
def _r2(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    residual = over_rows(_squares(y_true, y_pred))
    return _share(y_true, residual, residual == 0)


def _residual_powers(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> NDArray[Any]:
    """First and second power of the residuals about their mean, (A, 2, V, n)."""
    residuals = np.swapaxes(y_pred - y_true, -1, -2)
    centred = residuals - residuals.mean(axis=-1, keepdims=True)
    return np.stack([centred, centred**2], axis=1)


def _explained(residual: Floats, powers: Floats, n_rows: Floats) -> Floats:
    return _share_of_sums(spread(residual, n_rows), powers, n_rows)


@register(
    "explained_variance",
    "max",
    *OF_NUMBERS,
    words="As r2, but a constant added to all predictions costs nothing.",
    bounds=UP_TO_1,
    scorer=_of_two_rows(Sums(_residual_powers, _explained, centred_powers)),
)
def _explained_variance(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    residuals = y_pred - y_true
    left = over_rows((residuals - over_rows(residuals)[..., np.newaxis, :]) ** 2)
    return _share(y_true, left, (residuals == residuals[..., :1, :]).all(axis=-2))


# -- metrics of the rows' order


def _over_values(sort: Callable[[NDArray[Any], Floats], Walk]) -> Scorer:
    """The scorer of a metric that sorts one value's predictions."""

    def scorer(
        kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
    ) -> Floats:
        scores = [
            walked(sort, y_true[:, at], np.ascontiguousarray(y_pred[..., at]), times)
            for at in range(y_true.shape[1])
        ]
        return np.asarray(np.mean(scores, axis=0), dtype=np.float64)

    return scorer


def _sort_for_median(y_true: NDArray[Any], y_pred: Floats) -> Walk:
    errors = np.abs(y_pred - y_true)
    order = np.argsort(errors)
    errors = errors[order]

    def walk(samples: Samples) -> Floats:
        up_to = cumulative(samples.counts, order)[1 : len(order) + 1]
        half = samples.n_rows / 2  # half of the weight is below one middle or up to the other
        before = up_to < half * (1.0 - ROUNDING), up_to <= half * (1.0 + ROUNDING)
        at = [np.minimum(is_before.sum(axis=0), len(order) - 1) for is_before in before]
        return known((errors[at[0]] + errors[at[1]]) / 2, samples.n_rows)

    return walk


@register(
    "median_absolute_error",
    "min",
    *OF_NUMBERS,
    words="Median of the absolute errors.",
    bounds=FROM_0,
    scorer=_over_values(_sort_for_median),
    cost="ordered",
)
def _median_absolute_error(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return np.median(rows_last(np.abs(y_pred - y_true)), axis=-1).mean(axis=-1)


def _sort_for_max(y_true: NDArray[Any], y_pred: Floats) -> Walk:
    errors = np.abs(y_pred - y_true)
    order = np.argsort(-errors)
    errors = errors[order]

    def walk(samples: Samples) -> Floats:
        first = (samples.counts[order] > 0).argmax(axis=0)
        return known(errors[first], samples.n_rows)

    return walk


@register(
    "max_error",
    "min",
    *OF_NUMBERS,
    words="The largest absolute error; of several values the mean of theirs.",
    bounds=FROM_0,
    scorer=_over_values(_sort_for_max),
    cost="ordered",
)
def _max_error(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    return rows_last(np.abs(y_pred - y_true)).max(axis=-1).mean(axis=-1)


def _doubled_ranks(values: Floats) -> Callable[[Samples], Floats]:
    """Twice the average rank of each row among those that count, (n, b), less its mean."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    before = np.searchsorted(ordered, values, side="left")
    through = np.searchsorted(ordered, values, side="right")

    def centred(samples: Samples) -> Floats:
        up_to = cumulative(samples.counts, order)
        sums = up_to.take(before, axis=0) + up_to.take(through, axis=0)
        return np.asarray(sums - up_to[len(order)], dtype=np.float64)

    return centred


def _sort_for_correlation(y_true: NDArray[Any], y_pred: Floats) -> Walk:
    of_truth, of_predictions = _doubled_ranks(y_true), _doubled_ranks(y_pred)

    def walk(samples: Samples) -> Floats:
        true, said = of_truth(samples), of_predictions(samples)
        return _correlation(true, said, samples.counts)

    return walk


def _correlation(true: Floats, said: Floats, counts: NDArray[Any]) -> Floats:
    together, first, second = (
        np.einsum("ib,ib,ib->b", a, b, counts)
        for a, b in ((true, said), (true, true), (said, said))
    )
    return np.asarray(together / np.sqrt(first * second), dtype=np.float64)


@register(
    "spearman",
    "max",
    *OF_NUMBERS,
    words="Spearman's correlation of the ranks of truth and predictions; undefined where either "
    "is constant.",
    bounds=CORRELATION,
    scorer=_over_values(_sort_for_correlation),
    cost="ordered",
)
def _spearman(kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats) -> Any:
    middle = (len(y_true) + 1) / 2
    true, said = (ranks(rows_last(values), "average") - middle for values in (y_true, y_pred))
    apart = np.sqrt((true**2).sum(axis=-1) * (said**2).sum(axis=-1))
    return ((true * said).sum(axis=-1) / apart).mean(axis=-1)
