"""Importance of columns: what the folds' networks lose when a column's cells come from other rows.

The worker's half has one fold's network predict the fold's validation rows, as they are and with
the raw cells of some columns shuffled among them; the parent's half hands out the folds and makes
the rows of ``importance.csv``. Columns that go together are shuffled together
(``hpsearch.data.associations``): alone, each would seem to matter little, as the others stand in
for it. Nothing is learnt from the rows that are shuffled: they took no part in the fold's training.

What a fold's network loses is the mean over some shuffles, in the selecting metric, of how much
worse it scores; over the folds the error is corrected for the rows that training sets share, as
that of the score is. The importance is the network's: a column that it doesn't use has none, even
if the target depends on it.

References
----------
Breiman, L.: Random forests. Machine Learning 45 (2001) 5-32.
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.data.associations import column_groups
from hpsearch.engines.contract import Job
from hpsearch.engines.workers import Lost
from hpsearch.errors import HpsearchError, TransformerError
from hpsearch.folds import Fold
from hpsearch.metrics import metric_named
from hpsearch.preprocessing import Encoded, beside_prepared
from hpsearch.preprocessing.columns import ColumnParts
from hpsearch.results.journal import Recorder
from hpsearch.scoring.fold_networks import FoldModel, FoldNetwork
from hpsearch.scoring.prepared import Again, FitTask
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import Row, TrialResult
from hpsearch.space.space import Candidate
from hpsearch.stats import corrected_se, t_interval
from hpsearch.task import loss_sign

SHUFFLES: Final = 5
"""Shuffles of each group of columns in each fold."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShufflingTask:
    """What a worker is to do: all groups of columns on one fold.

    Attributes
    ----------
    job, candidate, fold : what ``FoldModel`` takes.
    groups : names of the columns that are shuffled together, and their parts of encoded rows.
    transformer : one of one's own as it is fitted on the fold, or None.
    """

    job: Job
    candidate: Candidate
    fold: FoldNetwork
    groups: tuple[tuple[tuple[str, ...], ColumnParts], ...]
    transformer: FitTask | None = None


def importance_of_columns(
    session: Session, dataset: Dataset, trial: TrialResult, journal: Recorder
) -> list[Row]:
    """Rows of ``importance.csv``: of each column, what the trial's networks lose without it.

    Parameters
    ----------
    session : an open session, in which the trial was scored on the dataset's rows.
    journal : where its folds are recorded.

    Raises
    ------
    HpsearchError
        If a fold's training fails this time, or a worker is lost.
    """
    groups, prepared = column_groups(dataset), session.prepared
    schema = dataset.schema if prepared is None else beside_prepared(dataset.schema)
    parts = tuple((names, ColumnParts.of(schema, names)) for names in groups)
    networks = session.networks_of_folds(trial, journal)
    tasks = [
        ShufflingTask(
            session.job,
            networks.candidate,
            fold,
            parts,
            None if prepared is None else prepared.tasks[fold.position],
        )
        for fold in networks.folds
    ]
    found: dict[int, Floats] = {}
    workers = session.crew.workers_of(networks.engine)
    for outcome in workers.map_unordered(losses_of_fold, tasks):
        if isinstance(outcome, Lost):
            raise HpsearchError(
                f"The importance of columns could not be measured: {outcome.reason}."
            )
        position, losses, error = outcome
        if error:
            raise HpsearchError(f"The importance of columns could not be measured: {error}")
        found[position] = losses
    positions = sorted(found)
    of_folds = np.stack([found[position] for position in positions], axis=-1)
    return importance_rows(groups, of_folds, [session.data.folds[p] for p in positions])


def importance_rows(
    groups: Sequence[Sequence[str]], losses: Floats, folds: Sequence[Fold]
) -> list[Row]:
    """Rows of ``importance.csv``, the columns that matter most first.

    Parameters
    ----------
    losses : (n_groups, n_folds) how much worse each fold's network scores.
    """
    n_train = [len(fold.train) for fold in folds]
    n_validation = [len(fold.validation) for fold in folds]
    means = losses.mean(axis=1)
    errors = corrected_se(losses, n_train, n_validation)
    lows, highs = t_interval(means, errors, len(folds) - 1)
    order = np.argsort(np.where(np.isfinite(means), -means, np.inf), kind="stable")
    return [
        {
            "column": name,
            "group": rank,
            "importance": _known(means[number]),
            "importance_se": _known(errors[number]),
            "ci_low": _known(lows[number]),
            "ci_high": _known(highs[number]),
            "n_folds": len(folds),
            "told_apart": bool(lows[number] > 0.0),
        }
        for rank, number in enumerate(order.tolist(), start=1)
        for name in groups[number]
    ]


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


# -- the worker's half


def losses_of_fold(task: ShufflingTask) -> tuple[int, Floats, str]:
    """How much worse a fold's network scores without each group; runs in a worker.

    Returns
    -------
    The fold's position; (n_groups,) means over the shuffles, in the selecting metric; and why there
    is none, or nothing.
    """
    try:
        return task.fold.position, _losses(task), ""
    except TransformerError as error:  # which new rows may be, too, that it has not seen
        return task.fold.position, np.zeros(len(task.groups)), str(error)


def _losses(task: ShufflingTask) -> Floats:
    model = FoldModel.of(task.job, task.candidate, task.fold)
    data, metric = model.data, task.job.options.metrics[0]
    fold = data.folds[task.fold.position]
    encoded, seed = data.encoded_in(task.fold.position), task.job.options.seed
    rows = encoded.take(fold.validation)
    generator = np.random.default_rng([seed, fold.repeat, fold.fold])
    orders = [generator.permutation(rows.n_rows) for _ in range(SHUFFLES)]
    whole = float(data.scores(metric, fold.validation, model.predict(rows)))
    sign = loss_sign(metric_named(metric).direction)
    losses = np.zeros(len(task.groups))
    again = None if task.transformer is None else Again(task.transformer, data.layout.prepared)
    for number, (names, parts) in enumerate(task.groups):
        shuffled = (
            model.predict(_shuffled(rows, parts, order, again, fold.validation, names))
            for order in orders
        )
        scores = [data.scores(metric, fold.validation, said) for said in shuffled]
        losses[number] = sign * (np.mean(scores) - whole)
    return losses


def _shuffled(
    rows: Encoded,
    parts: ColumnParts,
    order: NDArray[np.integer[Any]],
    again: Again | None,
    numbers: NDArray[np.integer[Any]],
    names: Sequence[str],
) -> Encoded:
    """Rows whose cells in some columns come from others of them.

    Parameters
    ----------
    again : the transformer that prepares them, or None; numbers : the rows'.
    """
    moved = parts.taken_from(rows, order)
    if again is None:
        return moved
    return replace(moved, prepared=again.shuffled(numbers, names, order))
