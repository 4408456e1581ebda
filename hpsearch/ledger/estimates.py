"""Estimates of the winner's score: the mean, its corrections, nesting, the test set, the promise.

Pure functions of scores and predictions to records. The formulas belong to ``hpsearch.stats``;
which predictions can be compared to ``predictions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.decisions.ensembles import Ensemble
from hpsearch.errors import OptionError
from hpsearch.ledger.predictions import Arranged
from hpsearch.ledger.record import (
    BiasCorrection,
    FoldMean,
    Foldwise,
    Nested,
    NestedFold,
    Promise,
    Spread,
    TestScore,
    known,
)
from hpsearch.metrics import metric_named, score
from hpsearch.stats import (
    BiasCorrected,
    RaceStep,
    bias_corrected_cv_of_epochs,
    bias_corrected_race,
    bootstrap_interval,
    corrected_se,
    naive_se,
    t_interval,
    tibshirani_correction,
)
from hpsearch.stats.bootstrap import Heard, Rule
from hpsearch.stats.gains import gained
from hpsearch.stats.predictive import rows_of_bootstrap, rows_of_folds
from hpsearch.task import ProblemKind

TEST_BOOTSTRAPS: Final = 1000
MAX_TEST_WORK: Final = 2e9
"""Numbers predicted times samples of a test set's bootstrap."""


def fold_mean(
    scores: ArrayLike, n_train: ArrayLike, n_validation: ArrayLike, repeats: ArrayLike
) -> FoldMean:
    """The mean over folds with both its intervals.

    Parameters
    ----------
    scores, n_train, n_validation, repeats : of each fold: its score, the rows of its sides, and
        the number of its repeat.

    Examples
    --------
    >>> mean = fold_mean([1.0, 2.0, 3.0, 4.0], 75, 25, [0, 0, 0, 0])
    >>> mean.value, round(mean.corrected.se, 6), round(mean.naive.se, 6)
    (2.5, 0.986013, 0.645497)
    """
    values = np.asarray(scores, dtype=np.float64)
    n_repeats = len(np.unique(np.asarray(repeats)))
    return FoldMean(
        value=float(values.mean()),
        n_repeats=n_repeats,
        n_folds=round(len(values) / n_repeats),
        n_scores=len(values),
        n_train=float(np.asarray(n_train, np.float64).mean()),
        n_validation=float(np.asarray(n_validation, np.float64).mean()),
        corrected=corrected_spread(values, n_train, n_validation),
        naive=_spread(values, float(naive_se(values))),
    )


def corrected_spread(scores: ArrayLike, n_train: ArrayLike, n_validation: ArrayLike) -> Spread:
    """Standard error and interval, corrected for shared training rows."""
    values = np.asarray(scores, dtype=np.float64)
    return _spread(values, float(corrected_se(values, n_train, n_validation)))


def _spread(values: NDArray[np.float64], se: float) -> Spread:
    low, high = t_interval(values.mean(), se, len(values) - 1)
    return Spread(known(se), known(low), known(high))


def bias_correction(
    arranged: Arranged,
    metric: str,
    kind: ProblemKind,
    *,
    blocks: str,
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
    n_bootstraps: int = 1000,
    seed: int = 0,
    notes: Sequence[str] = (),
    trials: Sequence[int] = (),
    steps: Sequence[RaceStep] = (),
    n_ended: int = 0,
    heard: Heard | None = None,
    gains: Callable[[], NDArray[np.float64]] | None = None,
) -> BiasCorrection:
    """The whole selection's score, from predictions of all its trials.

    Parameters
    ----------
    arranged : the predictions; with several epochs a trial, the choice of the epoch is corrected
        for as well.
    metric, kind : the selecting metric, and the problem type.
    blocks : the name of what ``arranged.blocks`` keeps together.
    weights : (n,) what the rows weigh in scores, or None where all weigh the same.
    rule : what selects, where that is not the best score.
    n_bootstraps, seed : samples, and what they follow from.
    notes : what was limited before.
    trials, steps, n_ended : of a race, the trials' numbers, the steps before the last choice, and
        how many trials ended there.
    heard : hears of the samples.
    gains : gives, once they are heard, by how much more each sample scores, (B,), since its
        predictions were changed after the selection; NaN where that is unknown.
    """
    n_trials, n_epochs = arranged.predictions.shape[:2]
    correct: Callable[..., BiasCorrected] = bias_corrected_cv_of_epochs
    if steps:
        correct = partial(bias_corrected_race, trials=trials, steps=steps)
    head = BiasCorrection(
        of_epochs=n_epochs > 1,
        n_trials=n_trials + n_ended,
        n_epochs=n_epochs,
        n_rows=arranged.n_rows,
        n_blocks=len(np.unique(arranged.blocks)),
        n_repeats=arranged.n_repeats,
        blocks=blocks,
        notes=tuple(notes),
    )
    try:
        said = correct(
            metric,
            arranged.y_true,
            arranged.predictions,
            kind=kind,
            blocks=arranged.blocks,
            weights=weights,
            rule=rule,
            n_bootstraps=n_bootstraps,
            seed=seed,
            heard=heard,
        )
    except OptionError:
        raise
    except ValueError as error:
        return replace(head, missing=str(error))
    if gains is not None:
        said = gained(said, gains())
    return replace(
        head,
        value=said.estimate,
        low=said.low,
        high=said.high,
        naive=said.naive,
        n_bootstraps=said.n_bootstraps,
        n_skipped=said.n_skipped,
    )


def moved(corrected: BiasCorrection, gains: NDArray[np.float64]) -> BiasCorrection:
    """An estimate to which the mean of what some samples score more is added.

    Examples
    --------
    >>> moved(BiasCorrection(value=0.5, low=0.4, high=0.6), np.array([0.1, np.nan, 0.3])).value
    0.7
    """
    known = gains[np.isfinite(gains)]
    if corrected.value is None or corrected.low is None or corrected.high is None or not len(known):
        return corrected
    by = float(known.mean())
    value, low, high = corrected.value + by, corrected.low + by, corrected.high + by
    return replace(corrected, value=value, low=low, high=high)


def foldwise(scores: ArrayLike, metric: str, *, ended: ArrayLike | None = None) -> Foldwise | None:
    """Tibshirani & Tibshirani's correction of scores (T, J); None without two trials.

    Parameters
    ----------
    scores : of trials with a score on every fold; those that are not finite are left out.
    ended : (S, J) of trials that ended early, NaN on the folds that they lack.

    Examples
    --------
    >>> foldwise([[0.2, 0.3], [0.4, 0.2]], "log_loss").bias.__round__(4)
    0.05
    >>> foldwise([[0.2, 0.3]], "log_loss", ended=[[0.1, float("nan")]]).bias.__round__(4)
    0.05
    """
    values = np.asarray(scores, dtype=np.float64)
    n_trials = int(np.isfinite(values).all(axis=1).sum()) if values.size else 0
    n_ended = 0 if ended is None else len(np.asarray(ended))
    if n_trials < 1 or n_trials + n_ended < 2 or values.shape[1] < 2:
        return None
    said = tibshirani_correction(values, metric_named(metric).direction, ended=ended)
    return Foldwise(said.estimate, said.bias, n_trials + n_ended)


def nested(folds: Sequence[NestedFold]) -> Nested:
    """The outer folds' mean, with both its intervals."""
    outer = [fold.outer_score for fold in folds]
    mean = fold_mean(outer, [f.n_train for f in folds], [f.n_test for f in folds], [0] * len(folds))
    return Nested(
        value=mean.value,
        corrected=mean.corrected,
        naive=mean.naive,
        inner=float(np.mean([fold.inner_score for fold in folds])),
        folds=tuple(folds),
    )


def promise(
    mean: FoldMean,
    corrected: BiasCorrection,
    outer: Nested | None,
    ensemble: Ensemble | None = None,
    *,
    n_rows: int | None = None,
    best: float | None = None,
) -> Promise:
    """What to expect on new rows: nested, else bias-corrected, else the mean over the folds.

    Parameters
    ----------
    ensemble : what is exported in place of the winner's network; nested searches average, too.
    n_rows : rows that what is exported is trained on, where it is not the folds' own networks.
    best : the best value that the metric can have, None where there is none.
    """
    if ensemble is not None and ensemble.kind == "folds":
        n_rows = None
    if outer is not None and np.isfinite(outer.value):
        n_train, n_test = (
            float(np.mean([getattr(fold, side) for fold in outer.folds]))
            for side in ("n_train", "n_test")
        )
        n_outer = rows_of_folds(n_test, n_train, len(outer.folds))
        ends = outer.corrected.low, outer.corrected.high
        share = n_train / n_rows if n_rows else None
        return Promise("nested", outer.value, *ends, n_outer, n_outer, share, best)
    n_drawn = rows_of_bootstrap(corrected.n_blocks) or None
    known = float(corrected.n_blocks) or None
    share = mean.n_train / n_rows if mean.n_train and n_rows else None
    if ensemble is not None and ensemble.value is not None:
        ends = ensemble.low, ensemble.high
        return Promise("bias_corrected", ensemble.value, *ends, n_drawn, known, share, best)
    if corrected.value is not None:
        ends = corrected.low, corrected.high
        return Promise("bias_corrected", corrected.value, *ends, n_drawn, known, share, best)
    ends = mean.corrected.low, mean.corrected.high
    if not mean.n_train:
        return Promise("mean", mean.value, *ends)
    n_folds = rows_of_folds(mean.n_validation, mean.n_train, mean.n_scores)
    return Promise("mean", mean.value, *ends, n_folds, n_folds, share, best)


def on_test_rows(
    metrics: Sequence[str],
    y_true: NDArray[Any],
    y_pred: NDArray[Any],
    kind: ProblemKind,
    *,
    blocks: ArrayLike,
    blocks_name: str,
    promised: Promise,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> TestScore | None:
    """The score on test rows, and whether it lies within what was promised.

    Parameters
    ----------
    metrics : the metrics' names, the selecting one first.
    y_true, y_pred : the test rows' targets and canonical predictions.
    blocks, blocks_name : what is drawn together, and its name.
    promised : what was expected before.
    weights : (n,) what the rows weigh in scores, or None where all weigh the same.

    Returns
    -------
    None where the selecting metric is not defined on the test rows.
    """
    values = {
        name: known(score(name, y_true, y_pred, kind=kind, weights=weights)) for name in metrics
    }
    value = values[metrics[0]]
    if value is None:
        return None
    expected = promised.of_rows(len(np.unique(np.asarray(blocks))))
    cells = int(np.asarray(y_pred).size)
    low, high = None, None
    try:
        said = bootstrap_interval(
            metrics[0],
            y_true,
            y_pred,
            kind=kind,
            blocks=blocks,
            weights=weights,
            n_bootstraps=int(max(100, min(TEST_BOOTSTRAPS, MAX_TEST_WORK // cells))),
            seed=seed,
        )
        low, high = said.low, said.high
    except OptionError:
        raise
    except ValueError:  # too few rows of a class in every sample
        pass
    return TestScore(
        value=value,
        low=low,
        high=high,
        n_rows=len(y_true),
        blocks=blocks_name,
        verdict=_verdict(value, *expected, metric_named(metrics[0]).direction == "min"),
        overlaps=_overlaps(low, high, *expected),
        metrics=values,
        expected_low=expected[0],
        expected_high=expected[1],
    )


def _verdict(value: float, low: float | None, high: float | None, small_is_good: bool) -> Any:
    if low is None or high is None:
        return "unknown"
    if low <= value <= high:
        return "within"
    return "better" if (value < low) == small_is_good else "worse"


def _overlaps(
    low: float | None, high: float | None, least: float | None, most: float | None
) -> bool:
    if low is None or high is None or least is None or most is None:
        return False
    return low <= most and least <= high


def mean_scores(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """The mean of each metric over the rows of some folds; None where one is not defined."""
    return {name: known(np.mean([_number(row[f"val_{name}"]) for row in rows])) for name in metrics}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
