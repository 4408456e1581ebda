"""Baselines in the ledger: their folds' scores beside the winner's, compared on the same folds.

Which models they are, and training them, belongs to ``hpsearch.search.baselines``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hpsearch.ledger.estimates import corrected_spread, mean_scores
from hpsearch.ledger.record import Baseline, Row, known
from hpsearch.metrics import metric_named
from hpsearch.stats import corrected_t_test


def compared(
    name: str,
    label: str,
    rows: Sequence[Row],
    winner: Sequence[Row],
    metrics: Sequence[str],
    *,
    notes: Sequence[str] = (),
) -> Baseline:
    """A baseline's mean, and the corrected paired t-test of the winner against it.

    Parameters
    ----------
    name, label : its name in the table, and for people.
    rows : its rows of ``baselines.csv``.
    winner : the winner's rows of ``folds.csv``: those of the same repeats and folds are compared.
    metrics : the metrics' names, the selecting one first.
    notes : what was limited.

    Examples
    --------
    >>> sides = {"n_train": 75, "n_val": 25}
    >>> rows = [{"repeat": 0, "fold": k, "val_mae": 0.3 + k / 10, **sides} for k in range(2)]
    >>> ours = [{"repeat": 0, "fold": k, "val_mae": 0.2 + k / 10, **sides} for k in range(2)]
    >>> said = compared("constant", "mean of the target", rows, ours, ["mae"])
    >>> round(said.gain, 6), said.is_beaten
    (0.1, True)
    """
    column = f"val_{metrics[0]}"
    ours = {(row["repeat"], row["fold"]): row for row in winner}
    shared = [row for row in rows if (row["repeat"], row["fold"]) in ours]
    scores = [_number(row[column]) for row in shared]
    if not scores or not all(map(math.isfinite, scores)):
        reason = (
            f"{metrics[0]} is not defined on a fold." if scores else "It has no fold in common."
        )
        return Baseline(name, label, notes=tuple(notes), missing=reason)
    beside = [ours[row["repeat"], row["fold"]] for row in shared]
    n_train, n_val = [row["n_train"] for row in beside], [row["n_val"] for row in beside]
    gains = [_number(row[column]) for row in beside], scores
    if metric_named(metrics[0]).direction == "min":
        gains = gains[1], gains[0]
    gain, low, high, p_value = _test(*gains, n_train, n_val)
    return Baseline(
        name=name,
        label=label,
        value=known(sum(scores) / len(scores)),
        corrected=corrected_spread(scores, n_train, n_val),
        metrics=mean_scores(shared, metrics),
        n_folds=len(shared),
        gain=gain,
        gain_low=low,
        gain_high=high,
        p_value=p_value,
        is_beaten=low is not None and low > 0,
        notes=tuple(notes),
    )


def _test(
    better: Sequence[float], worse: Sequence[float], n_train: Any, n_val: Any
) -> tuple[float, float | None, float | None, float | None]:
    """Mean difference, its interval and p-value; these are None with one fold."""
    if len(better) < 2:
        return better[0] - worse[0], None, None, None
    said = corrected_t_test(better, worse, n_train, n_val)
    return said.difference, known(said.low), known(said.high), known(said.p_value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
