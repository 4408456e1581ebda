"""A short trial of both engines on the same few batches, for very large networks.

There the processor computes nearly all the time under either engine, and which one's kernels are
faster depends on the network and the machine. Both train the default network through their
contract; the difference between a long and a short training leaves building, tracing and
compiling out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpsearch.engines.contract import Engine, Job, WorkUnit
from hpsearch.engines.fit_data import FitData, read_fit_data, write_fit_data
from hpsearch.folds import Fold
from hpsearch.preprocessing import Statistics
from hpsearch.space.space import Candidate, fit_settings

LARGE_PARAMS = 300_000
"""Parameters from which a network is very large."""

LARGE_WORK = 1e13
"""Floating-point operations of one trial, about two minutes of one core: below, a trial of both
engines would cost more than it saves."""

MARGIN = 1.2
"""How much faster the fallback must be to be chosen; a tie must not depend on chance."""

_N_FOLDS = 2
_WORK = 1e11
_SHORT, _LONG = 1, 3


def is_very_large(n_params: int, data: FitData, epochs: int) -> bool:
    """Whether a trial of both engines pays: three passes over the weights for every row.

    Never with words, which touch a few of their layer's weights.
    """
    if data.layout.words or data.layout.tokens:
        return False
    n_rows = sum(len(fold.train) for fold in data.folds) * epochs
    return n_params >= LARGE_PARAMS and 6.0 * n_params * n_rows >= LARGE_WORK


def few_batches(job: Job, candidate: Candidate, n_params: int, folder: Path) -> Job:
    """A job on the first rows of the same data: a second or two of work an epoch."""
    data = read_fit_data(job.data_path)
    asked = fit_settings(candidate.values, job.options.batch_size, 1).batch_size
    batch_size = min(asked, data.encoded.n_rows // 2)
    n_batches = max(1, round(_WORK / (6.0 * n_params * batch_size * _N_FOLDS)))
    n_train = min(n_batches * batch_size, data.encoded.n_rows - batch_size)
    n_rows = min(n_train + batch_size, data.encoded.n_rows)
    rows = np.arange(n_rows)
    folds = tuple(Fold(0, fold, rows[:n_train], rows[n_train:]) for fold in range(_N_FOLDS))
    small = replace(
        data,
        encoded=data.encoded.take(slice(0, n_rows)),
        y=data.y[:n_rows],
        folds=folds,
        statistics=Statistics.stack([data.statistics[0]] * _N_FOLDS),
        fold_rows=None if data.fold_rows is None else data.fold_rows[: _N_FOLDS + 1, :n_rows],
        weights=data.weights and data.weights.of_first(n_rows),
        score_weights=None,
    )
    folder.mkdir()
    return replace(job, data_path=write_fit_data(small, folder))


def seconds_per_epoch(
    engine_of: Callable[[Job], Engine], job: Job, candidate: Candidate
) -> float | None:
    """Worker seconds of one more epoch, or None where the trial failed or showed nothing."""
    seconds = []
    unit = WorkUnit(candidate, tuple(range(_N_FOLDS)))
    for epochs in (_SHORT, _LONG):
        metric = job.options.metrics[:1]
        options = replace(job.options, epochs=epochs, patience=None, metrics=metric)
        results = list(engine_of(replace(job, options=options)).score([unit]))
        if any(result.error for result in results):
            return None
        seconds.append(sum(result.seconds for result in results))
    difference = (seconds[1] - seconds[0]) / (_LONG - _SHORT)
    return difference if difference > 0.0 else None


def verdict(name: str, chosen: float | None, fallback: float | None) -> tuple[bool, str]:
    """Whether the fallback of the chosen engine is to be taken, and the reason in a sentence.

    Examples
    --------
    >>> verdict("fused", 2.0, 1.0)
    (True, 'a short trial of both on this very large network took 2.0 s fused and 1.0 s not')
    """
    if chosen is None or fallback is None:
        return False, "a short trial of both on this very large network decided nothing"
    took = f"a short trial of both on this very large network took {chosen:.1f} s {name} and"
    return chosen > MARGIN * fallback, f"{took} {fallback:.1f} s not"
