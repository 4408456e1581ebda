"""Bootstraps of rows: the score of a whole selection without its bias, and a test score's interval.

Rows are drawn with replacement, rows of one block together. Nothing is trained: the predictions
are there, and a bootstrap sample is how often each row was drawn.

References
----------
Efron, B.: Better bootstrap confidence intervals. Journal of the American Statistical Association
82 (1987) 171-185.
Tsamardinos, I., Greasidou, E., Borboudakis, G.: Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation. Machine Learning 107 (2018) 1895-1922.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.errors import OptionError
from hpsearch.metrics import metric_named, weighted_score
from hpsearch.metrics.scores import checked_weights
from hpsearch.stats.base import Floats, check_share, losses_of
from hpsearch.task import Direction, ProblemKind

CHUNK_BYTES = 16 * 2**20  # memory for the counts of the samples that are scored in one go

Metric = str | Callable[..., float]
"""A metric, its name in ``hpsearch.metrics``, or a function of truth and predictions of rows, and
of ``sample_weight`` where they weigh."""
Counts = NDArray[np.int64]
Rule = Callable[[Floats], NDArray[np.int64]]
"""Losses (b, C) of C candidates in b samples to the position that each sample selects, (b,)."""
Heard = Callable[[Counts, NDArray[np.int64]], None]
"""Hears of samples as they are drawn: how often each row was, (b, n), 0 where it was left out, and
the candidate that each sample selects, (b,), -1 where it selects none. What is decided after a
selection is decided again in the same samples, on the rows drawn, and scored on those left out."""


@dataclass(frozen=True, eq=False)
class BiasCorrected:
    """What a whole selection scores on rows that it did not select on.

    Attributes
    ----------
    estimate : mean of the out-of-bag scores of the trials that the samples select.
    low, high : percentile interval of the same scores.
    trial : the trial that all rows select.
    epoch : its epoch, from 0, where epochs were selected too, else None.
    naive : that trial's score on all rows, which the selection flatters.
    shares : (T,) how often each trial was selected, as a share of the samples that count.
    n_bootstraps : samples that count.
    n_skipped : samples that don't, since the metric is not defined on one of their sides.
    scores : (B,) every sample's out-of-bag score, NaN where it has none.
    """

    estimate: float
    low: float
    high: float
    trial: int
    epoch: int | None
    naive: float
    shares: Floats = field(repr=False)
    n_bootstraps: int
    n_skipped: int
    scores: Floats = field(repr=False, default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class ScoreInterval:
    """A score and its bootstrap interval.

    Attributes
    ----------
    score : on all rows, once each.
    low, high : the interval.
    se : standard deviation of the samples' scores.
    n_bootstraps : samples that count.
    n_skipped : samples that don't, since the metric is not defined on them.
    """

    score: float
    low: float
    high: float
    se: float
    n_bootstraps: int
    n_skipped: int


def bias_corrected_cv(
    metric: Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    kind: ProblemKind | None = None,
    direction: Direction | None = None,
    blocks: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
    n_bootstraps: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    heard: Heard | None = None,
) -> BiasCorrected:
    """The score of "the best of these trials", without the bias of being the best.

    Bootstrap bias-corrected cross-validation (BBC-CV; Tsamardinos, Greasidou & Borboudakis 2018):
    in each of B samples, the rows that were drawn (in-bag) select a trial by their out-of-fold
    predictions, and the rows that were not (out-of-bag, about 37 %) score it. With b for a
    sample and ``i(b)`` for what it selects,

    ``estimate = mean over b of metric(y[out of b], predictions[i(b)][out of b])``.

    Several repeats (reshuffles) stay together: a row is drawn or not with all its predictions,
    and a trial's score is the mean of its repeats' scores. A repeat is scored as one, over the
    rows of all its folds. For means over rows that is the mean over folds (of equal size); for
    ``roc_auc``, ``rmse``, ``r2`` and F1 it is not, so compare the estimate with ``naive``, which is
    computed alike. The interval is that of the out-of-bag scores: it holds the chance of which
    rows there are, and is a little wide, since an out-of-bag side has fewer rows than there are.

    Parameters
    ----------
    metric : a key of ``hpsearch.metrics.METRICS``; or a function that takes truth and predictions
        of some rows, those drawn twice twice, and returns a number: slow, it is called for each
        sample, trial and repeat.
    y_true : n rows, as ``hpsearch.metrics.score`` takes it.
    y_pred : (T, P, n) or (T, P, n, outputs) out-of-fold predictions of T trials in P repeats. A
        trial with a prediction that is not finite is never selected.
    kind : the problem type, as in ``hpsearch.metrics.score``.
    direction : whether small or large scores are good; a metric of a name knows.
    blocks : (n,) anything that is equal in rows which belong together, such as groups or copies;
        blocks are then drawn in place of rows.
    weights : (n,) what each row weighs in scores, as ``hpsearch.metrics.score`` takes it. Rows are
        drawn as often as others whatever they weigh. A metric that is a function gets them as
        ``sample_weight``.
    rule : what a sample selects by, where that is not the best score: takes losses (b, T), small
        ones good and infinite where undefined, and gives positions (b,).
    n_bootstraps : B.
    level : coverage of the interval.
    seed : what the samples follow from.
    heard : hears of the samples, as ``Heard`` says.

    Raises
    ------
    OptionError : where the metric doesn't suit, a function comes without ``direction``, or
        ``level`` or ``n_bootstraps`` have no meaning.
    ValueError : where shapes don't fit, no trial has finite predictions, or no sample counts.

    Examples
    --------
    Forty trials that guess: the best one seems to know something.

    >>> rng = np.random.default_rng(0)
    >>> y_true, guesses = rng.integers(0, 2, 200), rng.random((40, 1, 200))
    >>> said = bias_corrected_cv("accuracy", y_true, guesses)
    >>> print(f"{said.naive:.3f}, corrected {said.estimate:.3f} ({said.low:.3f}, {said.high:.3f})")
    0.580, corrected 0.506 (0.387, 0.606)
    """
    predictions = np.asarray(y_pred)
    if predictions.ndim < 3:
        raise ValueError(
            f"`y_pred` must be (trials, repeats, rows, ...); received shape {predictions.shape}."
        )
    rows = Rows(metric, np.asarray(y_true), kind, blocks, weights)
    sense = direction_of(metric, direction)
    return _bias_corrected(rows, predictions, sense, rule, n_bootstraps, level, seed, heard)


def bias_corrected_cv_of_epochs(
    metric: Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    kind: ProblemKind | None = None,
    direction: Direction | None = None,
    blocks: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
    n_bootstraps: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    heard: Heard | None = None,
) -> BiasCorrected:
    """The score of "the best epoch of the best trial", without the bias of being the best.

    ``bias_corrected_cv`` with every epoch of every trial as a candidate, since the epoch is
    selected on the same rows as the trial and flatters the score as well.

    Parameters
    ----------
    y_pred : (T, E, P, n) or (T, E, P, n, outputs) out-of-fold predictions after each epoch; NaN
        where a trial has fewer epochs.
    rule : as in ``bias_corrected_cv``; losses are (b, T E), a trial's epochs side by side.
    metric, y_true, kind, direction, blocks, weights, n_bootstraps, level, seed, heard : as in
        ``bias_corrected_cv``.

    Raises
    ------
    OptionError, ValueError : as ``bias_corrected_cv`` does.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y_true, guesses = rng.integers(0, 2, 200), rng.random((10, 30, 1, 200))
    >>> said = bias_corrected_cv_of_epochs("accuracy", y_true, guesses)
    >>> print(f"trial {said.trial} at epoch {said.epoch}")
    trial 6 at epoch 13
    >>> print(f"{said.naive:.3f}, corrected {said.estimate:.3f}")
    0.585, corrected 0.485
    """
    predictions = np.asarray(y_pred)
    if predictions.ndim < 4:
        raise ValueError(
            "`y_pred` must be (trials, epochs, repeats, rows, ...); received shape "
            f"{predictions.shape}."
        )
    rows = Rows(metric, np.asarray(y_true), kind, blocks, weights)
    sense = direction_of(metric, direction)
    n_trials, n_epochs = predictions.shape[:2]
    candidates = predictions.reshape(-1, *predictions.shape[2:])
    said = _bias_corrected(rows, candidates, sense, rule, n_bootstraps, level, seed, heard)
    trial, epoch = divmod(said.trial, n_epochs)
    shares = said.shares.reshape(n_trials, n_epochs).sum(axis=1)
    return replace(said, trial=trial, epoch=epoch, shares=shares)


def bootstrap_interval(
    metric: Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    kind: ProblemKind | None = None,
    blocks: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    method: Literal["percentile", "bca"] = "percentile",
    n_bootstraps: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> ScoreInterval:
    """A test score's confidence interval, from bootstrap samples of the test rows.

    ``percentile`` takes the quantiles ``(1 - level) / 2`` and ``(1 + level) / 2`` of the samples'
    scores. ``bca`` shifts them for bias and skewness (Efron 1987, from ``scipy.stats.bootstrap``):
    more accurate for skewed scores, at the price of scoring once more without each row or block.
    The interval holds the chance of which rows are in the test set, not that of the training.

    Parameters
    ----------
    metric : as in ``bias_corrected_cv``.
    y_true : n rows, as ``hpsearch.metrics.score`` takes it.
    y_pred : (n,) or (n, outputs) predictions.
    kind : the problem type, as in ``hpsearch.metrics.score``.
    blocks : (n,) anything that is equal in rows which belong together; blocks are then drawn.
    weights : as in ``bias_corrected_cv``.
    method : ``"percentile"`` or ``"bca"``.
    n_bootstraps : number of samples.
    level : coverage of the interval.
    seed : what the samples follow from.

    Raises
    ------
    OptionError : where the metric doesn't suit, or an option has no meaning.
    ValueError : where shapes don't fit, the metric is not defined on the rows or on no sample,
        or, for ``bca``, without one of the rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.integers(0, 2, 500)
    >>> y_pred = np.clip(0.3 * y_true + 0.7 * rng.random(500), 0, 1)
    >>> said = bootstrap_interval("roc_auc", y_true, y_pred)
    >>> print(f"{said.score:.3f} ({said.low:.3f}, {said.high:.3f})")
    0.858 (0.826, 0.886)
    """
    check_bootstraps(n_bootstraps, level)
    if method not in ("percentile", "bca"):
        raise OptionError(f"`method` is 'percentile' or 'bca'; received {method!r}.")
    rows = Rows(metric, np.asarray(y_true), kind, blocks, weights)
    array = np.asarray(y_pred)[np.newaxis]
    score = float(rows.scores(array, np.ones((1, rows.n_rows), dtype=np.int64))[0, 0])
    if not np.isfinite(score):
        raise ValueError("The metric is not defined on these rows; choose another one.")
    samples = rows.samples(n_bootstraps, 1, seed)
    scores = np.concatenate([rows.scores(array, counts)[:, 0] for counts in samples])
    known = scores[np.isfinite(scores)]
    _check_any(known, n_bootstraps)
    low, high = _bca(rows, array, known, level) if method == "bca" else _quantiles(known, level)
    se = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    return ScoreInterval(score, low, high, se, len(known), n_bootstraps - len(known))


class Rows:
    """Rows with their truth, the metric that scores them and the blocks that they are drawn by.

    Attributes
    ----------
    weights : (n,) what each weighs in scores, or None where all weigh the same.
    """

    def __init__(
        self,
        metric: Metric,
        y_true: NDArray[Any],
        kind: ProblemKind | None,
        blocks: ArrayLike | None,
        weights: ArrayLike | None = None,
    ) -> None:
        self.n_rows = len(y_true)
        self.weights = None if weights is None else checked_weights(weights, self.n_rows)
        self._metric, self._y_true, self._kind = metric, y_true, kind
        self.block_of_row = np.arange(self.n_rows) if blocks is None else _codes(blocks)
        if len(self.block_of_row) != self.n_rows or not self.n_rows:
            raise ValueError(
                f"`y_true` needs rows, and `blocks` one entry for each; received {self.n_rows} "
                f"rows and {len(self.block_of_row)} entries."
            )
        self.n_blocks = int(self.block_of_row.max()) + 1

    def scores(self, arrays: NDArray[Any], counts: Counts) -> Floats:
        """(B, A) scores of predictions (A, n, ...) for counts (B, n); NaN where undefined."""
        if arrays.shape[1] != self.n_rows:
            raise ValueError(
                f"Predictions must have {self.n_rows} rows, as `y_true` has; received "
                f"{arrays.shape[1]}."
            )
        if isinstance(self._metric, str):
            return weighted_score(
                self._metric, self._y_true, arrays, counts, kind=self._kind, weights=self.weights
            )
        scores = np.full((len(counts), len(arrays)), np.nan)
        finite = [at for at, array in enumerate(arrays) if np.isfinite(array).all()]
        for sample, times in zip(scores, counts, strict=True):
            drawn = np.repeat(np.arange(self.n_rows), times)
            if len(drawn):
                truth, more = self._y_true[drawn], {}
                if self.weights is not None:
                    more = {"sample_weight": self.weights[drawn]}
                sample[finite] = [self._metric(truth, arrays[at][drawn], **more) for at in finite]
        return scores

    def samples(self, n_bootstraps: int, n_arrays: int, seed: int) -> Iterator[Counts]:
        """How often each row is drawn, (b, n), as many samples at a time as memory is meant for."""
        rng = np.random.default_rng(seed)
        at_a_time = max(1, CHUNK_BYTES // (8 * max(self.n_rows, n_arrays)))
        for start in range(0, n_bootstraps, at_a_time):
            n = min(at_a_time, n_bootstraps - start)
            yield self.counts(rng.integers(0, self.n_blocks, (n, self.n_blocks)))

    def counts(self, drawn: NDArray[np.int64]) -> Counts:
        """How often each row counts, (b, n), where blocks (b, m) were drawn."""
        cells = drawn + self.n_blocks * np.arange(len(drawn))[:, np.newaxis]
        counts = np.bincount(cells.ravel(), minlength=len(drawn) * self.n_blocks)
        return counts.reshape(len(drawn), self.n_blocks)[:, self.block_of_row]


def _codes(blocks: ArrayLike) -> NDArray[np.int64]:
    """0, 1, ... for each block."""
    return np.asarray(np.unique(np.asarray(blocks), return_inverse=True)[1], dtype=np.int64)


def direction_of(metric: Metric, direction: Direction | None) -> Direction:
    """A named metric's own direction, else what was given."""
    if isinstance(metric, str):
        return metric_named(metric).direction
    if direction not in ("min", "max"):
        raise OptionError(
            "A metric that is a function needs `direction`, 'min' or 'max'; received "
            f"{direction!r}."
        )
    return direction


def _bias_corrected(
    rows: Rows,
    predictions: NDArray[Any],
    direction: Direction,
    rule: Rule | None,
    n_bootstraps: int,
    level: float,
    seed: int,
    heard: Heard | None,
) -> BiasCorrected:
    """BBC-CV of candidates' predictions (C, P, n, ...)."""
    select = rule or best_of_samples
    check_bootstraps(n_bootstraps, level)
    winner, naive = winner_of(rows, predictions, direction, select)
    n_candidates, n_repeats = predictions.shape[:2]
    outcomes = []
    for counts in rows.samples(n_bootstraps, n_candidates * n_repeats, seed):
        best, scores = select_and_score(rows, predictions, direction, select, counts, heard=heard)
        outcomes.append((best, scores))
    best, scores = (np.concatenate(parts) for parts in zip(*outcomes, strict=True))
    return summary(
        scores,
        best,
        winner=winner,
        epoch=None,
        naive=naive,
        n_trials=n_candidates,
        level=level,
    )


def winner_of(
    rows: Rows, predictions: NDArray[Any], direction: Direction, select: Rule
) -> tuple[int, float]:
    """The candidate that all rows select, of predictions (C, P, n, ...), and its score on them.

    Raises
    ------
    ValueError : where no candidate has one.
    """
    once = np.ones((1, rows.n_rows), dtype=np.int64)
    on_all = mean_scores(rows, predictions, once)[0]
    losses = losses_of(on_all, direction)
    if not np.isfinite(losses).any():
        raise ValueError(
            "The bias correction needs a trial with finite predictions and a metric that is "
            "defined on the rows; received none. Leave out rows without a prediction, or choose "
            "another metric."
        )
    winner = int(select(losses[np.newaxis])[0])
    return winner, float(on_all[winner])


def summary(
    scores: Floats,
    selected: NDArray[np.int64],
    *,
    winner: int,
    epoch: int | None,
    naive: float,
    n_trials: int,
    level: float,
) -> BiasCorrected:
    """What the samples say: the mean of their scores, and their quantiles.

    Parameters
    ----------
    scores : (B,) out-of-bag scores of what the samples select, NaN where there is none.
    selected : (B,) the trials that they select.
    winner, epoch, naive, n_trials : as in ``BiasCorrected``; of ``shares``, T.
    """
    counted = np.isfinite(scores)
    _check_any(scores[counted], len(scores))
    low, high = _quantiles(scores[counted], level)
    return BiasCorrected(
        estimate=float(scores[counted].mean()),
        low=low,
        high=high,
        trial=winner,
        epoch=epoch,
        naive=naive,
        shares=np.bincount(selected[counted], minlength=n_trials) / counted.sum(),
        n_bootstraps=int(counted.sum()),
        n_skipped=int((~counted).sum()),
        scores=scores,
    )


def best_of_samples(losses: Floats) -> NDArray[np.int64]:
    """The candidate with the smallest loss in each sample."""
    return np.asarray(losses.argmin(axis=1), dtype=np.int64)


def select_and_score(
    rows: Rows,
    predictions: NDArray[Any],
    direction: Direction,
    select: Rule,
    counts: Counts,
    *,
    moved: Floats | float = 0.0,
    heard: Heard | None = None,
) -> tuple[NDArray[np.int64], Floats]:
    """The candidate that each sample selects, and its score on the rows left out, both (b,).

    The score is NaN where the metric is not defined on the rows drawn or on those left out.

    Parameters
    ----------
    moved : (b, C) added to the scores that select.
    heard : hears of the samples.
    """
    losses = losses_of(mean_scores(rows, predictions, counts) + moved, direction)
    best = select(losses)
    selects = np.isfinite(losses.min(axis=1))
    if heard is not None:
        heard(counts, np.where(selects, best, -1))
    scores = np.full(len(counts), np.nan)
    left_out = (counts == 0).astype(np.int64)
    for candidate in np.unique(best):
        chosen = best == candidate
        of_candidate = predictions[candidate, np.newaxis]
        scores[chosen] = mean_scores(rows, of_candidate, left_out[chosen])[:, 0]
    scores[~selects] = np.nan
    return best, scores


def mean_scores(rows: Rows, predictions: NDArray[Any], counts: Counts) -> Floats:
    """(b, C) scores of predictions (C, P, n, ...), each the mean over the repeats."""
    n_candidates, n_repeats = predictions.shape[:2]
    scores = rows.scores(predictions.reshape(-1, *predictions.shape[2:]), counts)
    return np.asarray(scores.reshape(len(counts), n_candidates, n_repeats).mean(axis=-1))


def check_bootstraps(n_bootstraps: int, level: float) -> None:
    """Refuse a number of samples or a coverage that has no meaning: OptionError."""
    check_share("level", level)
    if n_bootstraps < 1:
        raise OptionError(f"`n_bootstraps` must be at least 1; received {n_bootstraps}.")


def _check_any(scores: Floats, n_bootstraps: int) -> None:
    if not scores.size:
        raise ValueError(
            f"The metric is not defined on any of {n_bootstraps} bootstrap samples: too few rows, "
            "blocks or rows of a class. Choose another metric."
        )


def _quantiles(scores: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(scores, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _bca(rows: Rows, arrays: NDArray[Any], scores: Floats, level: float) -> tuple[float, float]:
    """Efron's interval from the samples' scores; scipy leaves out each block for the skewness."""
    from scipy.stats import bootstrap  # a slow import that most callers don't need

    if scores.min() == scores.max():
        return float(scores[0]), float(scores[0])

    def statistic(drawn: NDArray[np.int64], axis: int) -> Floats:
        blocks = drawn.reshape(-1, drawn.shape[axis])
        scores = rows.scores(arrays, rows.counts(blocks))
        return np.asarray(scores.reshape(drawn.shape[:-1]), dtype=np.float64)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of is that the limits are NaN
        interval = bootstrap(
            (np.arange(rows.n_blocks),),
            statistic,
            method="BCa",
            confidence_level=level,
            n_resamples=0,
            batch=max(1, CHUNK_BYTES // (8 * rows.n_rows)),
            bootstrap_result=SimpleNamespace(bootstrap_distribution=scores),
        ).confidence_interval
    if not np.isfinite([interval.low, interval.high]).all():
        raise ValueError(
            "`method='bca'` needs the metric without each row or block, and it is not defined "
            "there. Take 'percentile'."
        )
    return float(interval.low), float(interval.high)
