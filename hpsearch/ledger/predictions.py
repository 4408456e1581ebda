"""Out-of-fold predictions of many trials, arranged for a bootstrap: rows, repeats, blocks, limits.

Owns which trials, epochs and rows can be compared with each other, what belongs together, and how
much of it all is worth its time and memory. Where predictions are kept belongs to the journal.

References
----------
Hall, P., Horowitz, J. L., Jing, B.-Y.: On blocking rules for the bootstrap with dependent data.
Biometrika 82 (1995) 561-574.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.data import Dataset
from hpsearch.folds import Fold
from hpsearch.folds.blocks import dataset_duplicates, join_blocks
from hpsearch.metrics import metric_named

BOOTSTRAPS: Final = 1000
FEWEST_BOOTSTRAPS: Final = 300
ENOUGH_EPOCHS: Final = 10
FEWEST_TRIALS: Final = 20
MAX_BYTES: Final = 32 * 2**20
"""Predictions that are compared, as float32; while they are stacked, there are two copies."""

MAX_WORK: Final = 3e10
"""Predictions times samples: about ten seconds of one core."""

MAX_ORDERED_WORK: Final = 3e9
"""The same for metrics that walk the rows in order."""

WORK_OF_A_CALL: Final = 3 * 10**6
"""What scoring one trial in one sample takes besides, where a function of Python is called."""

OfFold = Mapping[int, Mapping[int, NDArray[np.float32]]]
"""A trial's predictions: of each fold's position, after each epoch (from 1) that is kept."""


@dataclass(frozen=True, eq=False)
class Arranged:
    """Predictions of some trials on the same rows.

    Attributes
    ----------
    y_true : (n, ...) the rows' targets; blocks : (n,) what is drawn together.
    rows : (n,) their numbers in the table; fold : (P, n) the fold of each, its place in ``folds``.
    predictions : (T, E, P, n, ...), float32 or, for a target far from zero, float64; NaN where a
        trial has fewer epochs.
    epochs : (T, E) the epochs from 1, 0 where there is none.
    n_rows : different rows of the table among the n; n_repeats : P, or the repeats that the n
        entries stand for.
    trials : (T,) their numbers, where they are known.
    """

    y_true: NDArray[Any]
    blocks: NDArray[np.int64]
    rows: NDArray[np.int64]
    fold: NDArray[np.int64]
    predictions: NDArray[np.float32] = field(repr=False)
    epochs: NDArray[np.int64]
    n_rows: int
    n_repeats: int
    trials: tuple[int, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How much takes part.

    Attributes
    ----------
    n_trials, n_epochs, n_bootstraps : at most; notes : what was limited and why.
    """

    n_trials: int
    n_epochs: int
    n_bootstraps: int
    notes: tuple[str, ...] = ()


def limits(n_trials: int, n_epochs: int, cells: int, metric: str) -> Limits:
    """How many trials, epochs and samples a bias correction can afford.

    First there are fewer samples, down to 300, which costs little; then fewer epochs of each
    trial, down to 10, then the best one alone; at last fewer trials, the best ones.

    Parameters
    ----------
    n_trials, n_epochs : that there are. cells : numbers in one epoch's predictions of one trial.
    metric : a metric, or a key of ``hpsearch.metrics.METRICS``.

    Examples
    --------
    >>> limits(20, 38, 3 * 569, "log_loss")
    Limits(n_trials=20, n_epochs=38, n_bootstraps=1000, notes=())
    >>> limits(100, 1, 3 * 54_000, "roc_auc").n_bootstraps
    300
    """
    cost = metric_named(metric).cost
    work = MAX_ORDERED_WORK if cost == "ordered" else MAX_WORK
    each = cells + (WORK_OF_A_CALL if cost == "calls" else 0)

    def most_arrays(samples: int) -> int:
        """Arrays of predictions that so many samples can afford."""
        return int(min(work // samples // each, MAX_BYTES // 4 // cells))

    def fits(trials: int, epochs: int, samples: int) -> bool:
        return trials * epochs <= most_arrays(samples)

    samples = int(min(BOOTSTRAPS, max(FEWEST_BOOTSTRAPS, work // (n_trials * n_epochs * each))))
    most = most_arrays(samples) // n_trials
    epochs = n_epochs if fits(n_trials, n_epochs, samples) else most
    if epochs < min(n_epochs, ENOUGH_EPOCHS):
        epochs = 1
        samples = int(min(BOOTSTRAPS, max(FEWEST_BOOTSTRAPS, work // (n_trials * each))))
    trials = n_trials
    if not fits(trials, epochs, samples):
        trials = min(n_trials, max(FEWEST_TRIALS, most_arrays(samples)))
    notes = []
    if samples < BOOTSTRAPS:
        notes.append(f"{samples} samples in place of {BOOTSTRAPS:,}, to save time.")
    if trials < n_trials:
        notes.append(
            f"The {trials} best of {n_trials} trials took part, to save time and memory: others "
            "are hardly ever selected."
        )
    return Limits(trials, epochs, samples, tuple(notes))


def arrange(
    trials: Sequence[OfFold],
    best_first: Sequence[Sequence[int]],
    folds: Sequence[Fold],
    y: NDArray[Any],
    blocks: NDArray[np.int64],
) -> Arranged:
    """Stack the predictions of trials on the same rows.

    Where each repeat has a prediction of the same rows, they stay apart: a row is drawn with all
    of them, and a trial's score is the mean of its repeats' scores. Where repeats validate
    other rows, as hold-outs do, all their predictions stand side by side as one repeat, and a
    block holds every prediction of its rows.

    Parameters
    ----------
    trials : predictions of each trial, on each of ``folds`` by their positions there.
    best_first : of each trial, the epochs to take, the best one first; those that a fold lacks
        are left out.
    folds : the folds that all trials have.
    y, blocks : target and block of every row of the table.
    """
    by_repeat = _rows_of_repeats(folds)
    same = all(np.array_equal(rows, by_repeat[0]) for rows in by_repeat)
    rows = by_repeat[0] if same else np.concatenate(by_repeat)
    n_repeats = len(by_repeat) if same else 1
    epochs = [_kept(of_fold, wanted) for of_fold, wanted in zip(trials, best_first, strict=True)]
    n_epochs = max(len(kept) for kept in epochs)
    one = next(iter(next(iter(trials[0].values())).values()))
    shape = (len(trials), n_epochs, n_repeats, len(rows), *one.shape[1:])
    stacked = np.full(shape, np.nan, one.dtype)
    for number, (of_fold, kept) in enumerate(zip(trials, epochs, strict=True)):
        for place, epoch in enumerate(kept):
            entries = _in_row_order(folds, [of_fold[p][epoch] for p in range(len(folds))])
            stacked[number, place] = entries.reshape(shape[2:])
    places = [np.full(len(fold.validation), place) for place, fold in enumerate(folds)]
    return Arranged(
        y_true=y[rows],
        blocks=blocks[rows],
        rows=rows,
        fold=_in_row_order(folds, places).reshape(n_repeats, len(rows)),
        predictions=stacked,
        epochs=np.array([[*kept, *[0] * (n_epochs - len(kept))] for kept in epochs]),
        n_rows=len(np.unique(rows)),
        n_repeats=len(by_repeat),
    )


def row_blocks(dataset: Dataset, *, together: bool) -> tuple[NDArray[np.int64], str]:
    """What belongs together among a table's rows, as the folds keep it, and its name.

    Groups, and copies of a row where folds keep them together; in time order, spans of
    ``n ** (1 / 3)`` rows that follow each other, since neighbours are alike (Hall, Horowitz &
    Jing 1995).

    Parameters
    ----------
    together : whether copies of a row stay together.

    Returns
    -------
    A number for each row's block, and ``"rows"``, ``"groups"``, ``"copies"``,
    ``"groups and copies"`` or ``"time spans"``.

    Examples
    --------
    >>> import hpsearch
    >>> row_blocks(hpsearch.load("sklearn:iris"), together=True)[1]
    'copies'
    """
    if dataset.time is not None:
        return time_spans(dataset.time), "time spans"
    ids = np.arange(dataset.n_rows)
    names = []
    if dataset.groups is not None:
        ids = np.asarray(np.unique(dataset.groups, return_inverse=True)[1], dtype=np.int64)
        names.append("groups")
    if together:
        copies = dataset_duplicates(dataset)
        if len(np.unique(copies)) < dataset.n_rows:
            ids = join_blocks(copies, ids)
            names.append("copies")
    return ids, " and ".join(names) or "rows"


def time_spans(time: ArrayLike) -> NDArray[np.int64]:
    """Spans of ``ceil(n ** (1 / 3))`` rows in time order; rows of one time share a span.

    Examples
    --------
    >>> time_spans([5, 1, 2, 2, 4, 3, 9, 7]).tolist()
    [2, 0, 0, 0, 2, 1, 3, 3]
    """
    times = np.asarray(time)
    length = math.ceil(round(len(times) ** (1 / 3), 9))
    ordered = np.sort(times)
    first_of_its_time = np.searchsorted(ordered, times)
    return np.asarray(first_of_its_time // length, dtype=np.int64)


def _rows_of_repeats(folds: Sequence[Fold]) -> list[NDArray[np.int64]]:
    """The rows that each repeat validates, in order."""
    repeats = dict.fromkeys(fold.repeat for fold in folds)
    return [
        np.sort(np.concatenate([f.validation for f in folds if f.repeat == r])) for r in repeats
    ]


def _in_row_order(folds: Sequence[Fold], parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Predictions of every fold, repeat after repeat, each in the order of the rows."""
    repeats = dict.fromkeys(fold.repeat for fold in folds)
    return np.concatenate([_of_repeat(folds, parts, repeat) for repeat in repeats])


def _of_repeat(folds: Sequence[Fold], parts: Sequence[NDArray[Any]], repeat: int) -> NDArray[Any]:
    found = [(f.validation, p) for f, p in zip(folds, parts, strict=True) if f.repeat == repeat]
    rows = np.concatenate([rows for rows, _ in found])
    return np.concatenate([part for _, part in found])[np.argsort(rows, kind="stable")]


def _kept(of_fold: OfFold, wanted: Sequence[int]) -> list[int]:
    """Those of the epochs that every fold has predictions after."""
    return [epoch for epoch in wanted if all(epoch in kept for kept in of_fold.values())]


def ranked_epochs(curve: Sequence[float], best: int) -> Iterator[int]:
    """Epochs from 1, the best one first, then by their mean scores' losses.

    Parameters
    ----------
    curve : the losses of the mean curve, NaN where undefined.
    best : the trial's best epoch.

    Examples
    --------
    >>> list(ranked_epochs([0.3, 0.1, float("nan"), 0.2], best=2))
    [2, 4, 1, 3]
    """
    yield best
    for epoch in np.argsort(np.asarray(curve, dtype=np.float64), kind="stable") + 1:
        if epoch != best:
            yield int(epoch)
