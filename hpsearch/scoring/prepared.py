"""Rows as a transformer of one's own prepares them, fitted on each fold's training rows.

The worker's half fits it on one fold; the parent's half hands out the folds, and puts the rows that
they give together as ``FitData.fold_rows``. Which rows a fold has, and nothing else, decides what
it gives: folds with the same training rows share them, and so do all candidates. What a
transformer may give belongs to ``hpsearch.transformers``, its file to ``export.transformer``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.engines.fit_data import new_fold_rows
from hpsearch.engines.workers import Lost, Workers
from hpsearch.engines.workers.files import here
from hpsearch.errors import TransformerError
from hpsearch.export.transformer import Kept, kept
from hpsearch.folds import Fold
from hpsearch.progress import waiting_for
from hpsearch.transformers import Fitted, OwnTransformer, RawRows, fit_rows
from hpsearch.transformers.fitting import feature_frame, padded, transformed

ALL_ROWS: Final = "all rows"
_RAW: Final = "raw_rows.joblib"


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a transformer gave for every fold.

    Attributes
    ----------
    fold_rows : as in ``FitData``.
    kept : the transformer, fitted on all rows; None where it is not to be saved.
    tasks : how it is fitted again on each fold.
    notes, warnings : what there is to say, a sentence each.
    """

    fold_rows: NDArray[np.float32]
    kept: Kept | None
    tasks: tuple[FitTask, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.fold_rows.shape[2:]

    def rows_of(self, dataset: Dataset, workers: Workers, where: str) -> NDArray[np.float32]:
        """Other rows of the table (n_rows, *shape), as the transformer of all rows gives them."""
        frame = feature_frame(dataset.schema, dataset.frame)
        found = workers.call(_prepared, self.kept, frame, where)
        if isinstance(found, str):
            raise TransformerError(found)
        return found


def write_raw_rows(dataset: Dataset, folder: Path) -> str:
    """Write what transformers get of a table, once for all workers."""
    path = folder / _RAW
    joblib.dump(RawRows.of(dataset), path)
    return str(path)


def prepare_rows(
    own: OwnTransformer,
    raw_path: str,
    folds: Sequence[Fold],
    workers: Workers,
    folder: Path,
    *,
    n_rows: int,
    seed: int,
    keeps: bool = True,
) -> Prepared:
    """Fit a transformer on the training rows of each fold, and on all rows.

    Parameters
    ----------
    raw_path : of ``write_raw_rows``, where all workers find it.
    folder : the one that the data will be written to.
    seed : what random numbers follow from.
    keeps : whether the transformer of all rows is to be saved.

    Raises
    ------
    TransformerError
        It raises on a fold, or what it gives there can't be used; the message names the fold.
    """
    places = [(f"fold {fold.fold} of repeat {fold.repeat}", fold.train) for fold in folds]
    places.append((ALL_ROWS, np.arange(n_rows)))
    keys = [rows.tobytes() for _, rows in places]
    first = {key: position for position, key in reversed(list(enumerate(keys)))}
    of_folds = [FitTask(own, raw_path, *place, seed, len(places)) for place in places]
    tasks = [
        replace(of_folds[position], is_first=position == 0, keeps=keeps and key == keys[-1])
        for key, position in first.items()
    ]
    found: dict[str, FoldOutcome] = {}
    with waiting_for(f"the transformer '{own.name}', which is fitted on {len(tasks)} sets of rows"):
        for outcome in workers.map_unordered(fit_fold, tasks):
            if isinstance(outcome, Lost):
                raise TransformerError(
                    f"The transformer '{own.name}' must be fitted on every fold; on "
                    f"{outcome.task.where} it could not be: {outcome.reason}. Let it take less "
                    "time or memory."
                )
            found[outcome.where] = outcome
    outcomes = [found[places[first[key]][0]] for key in keys]
    refused = next((outcome.error for outcome in outcomes if outcome.error), "")
    if refused:
        raise TransformerError(refused)
    return replace(_joined(own, outcomes, folder), tasks=tuple(of_folds[:-1]))


def _joined(own: OwnTransformer, outcomes: Sequence[FoldOutcome], folder: Path) -> Prepared:
    """The rows of all folds in one array, the last for all rows."""
    shapes = [outcome.rows.shape[1:] for outcome in outcomes]
    widths = sorted({shape[-1] for shape in shapes})
    if len({shape[:-1] for shape in shapes}) > 1 or (len(shapes[0]) > 1 and len(widths) > 1):
        other = next(at for at, shape in enumerate(shapes) if shape != shapes[-1])
        raise TransformerError(
            f"The transformer '{own.name}' gives rows of one shape, or of one axis; in "
            f"{outcomes[other].where} they have {shapes[other]}, and {shapes[-1]} in all rows. "
            "Have it give the same shape, whichever rows it is fitted on."
        )
    shape = (*shapes[0][:-1], widths[-1])
    fold_rows = new_fold_rows(folder, (len(outcomes), len(outcomes[0].rows), *shape))
    for held, outcome in zip(fold_rows, outcomes, strict=True):
        held[:] = padded(outcome.rows, shape)
    kept = outcomes[-1].kept
    warned = dict.fromkeys(text for outcome in outcomes for text in outcome.warnings)
    return Prepared(
        fold_rows,
        kept and replace(kept, shape=shape),
        notes=tuple(_told(own, shape, widths)),
        warnings=tuple(f"The transformer '{own.name}' warned: {text}" for text in warned),
    )


def _told(own: OwnTransformer, shape: tuple[int, ...], widths: Sequence[int]) -> Iterator[str]:
    size = f"{shape[0]:,} features" if len(shape) == 1 else f"rows of shape {shape}"
    yield (
        f"Preprocessing: '{own.name}', fitted on each fold's training rows, gives {size} in place "
        "of all columns but arrays."
    )
    if len(widths) > 1:
        yield (
            f"It gives {widths[0]:,} to {widths[-1]:,} features, as the fold has it; narrower rows "
            "end in zeros."
        )


# -- the worker's half


@dataclass(frozen=True, eq=False)
class FitTask:
    """What a worker is to do: fit on the training rows of one fold.

    Attributes
    ----------
    where : the fold, for messages; ``training_rows`` are its own.
    n_copies : how many folds' rows are held at the same time.
    is_first : it is fitted twice, to see that nothing but the seed decides what it gives.
    keeps : whether the fitted transformer is to be saved.
    """

    own: OwnTransformer
    raw_path: str
    where: str
    training_rows: NDArray[np.int64]
    seed: int
    n_copies: int = 1
    is_first: bool = False
    keeps: bool = False

    def fitted(self) -> Fitted:
        """The transformer, fitted on the fold's training rows; all rows as it gives them."""
        return fit_rows(
            self.own,
            raw_rows(self.raw_path),
            self.training_rows,
            seed=self.seed,
            where=self.where,
            n_copies=self.n_copies,
        )


@dataclass(frozen=True, eq=False)
class Again:
    """A transformer that was fitted on a fold again, in a worker, for rows with other cells.

    Attributes
    ----------
    task : the fold; shape : of a row as its network takes it.
    """

    task: FitTask
    shape: tuple[int, ...]

    @cached_property
    def _transformer(self) -> Any:
        return self.task.fitted().transformer

    def shuffled(
        self,
        rows: NDArray[np.integer[Any]],
        columns: Sequence[str],
        order: NDArray[np.integer[Any]],
    ) -> NDArray[np.float32]:
        """Some rows (n_rows, *shape) whose cells in some columns come from others of them.

        Parameters
        ----------
        rows : their numbers; order : (n_rows,) for each the place of the one that it takes them
            from.

        Raises
        ------
        TransformerError
            It raises, or gives anything but finite numbers.
        """
        frame = raw_rows(self.task.raw_path).frame.iloc[rows].reset_index(drop=True)
        moved = {name: frame[name].iloc[order].array for name in columns if name in frame}
        task = self.task
        where = f"{task.where}, whose cells were shuffled"
        given = transformed(task.own, self._transformer, frame.assign(**moved), where)
        return padded(given, self.shape)


_NO_ROWS: Final = np.empty((0, 0), np.float32)


@dataclass(frozen=True, eq=False)
class FoldOutcome:
    """What a fold gave; ``error`` says why it gave nothing."""

    where: str
    rows: NDArray[np.float32] = field(default_factory=lambda: _NO_ROWS)
    warnings: tuple[str, ...] = ()
    kept: Kept | None = None
    error: str = ""


def fit_fold(task: FitTask) -> FoldOutcome:
    """Fit a transformer on a fold; runs in a worker."""
    own = task.own
    try:
        found = task.fitted()
        if task.is_first and not np.array_equal(found.rows, task.fitted().rows):
            raise TransformerError(
                f"The transformer '{own.name}' must give the same when it is fitted on the same "
                f"rows again; on {task.where} it gave others. Have its random numbers follow from "
                "a random_state; where it is not set, it is the run's seed."
            )
        file = kept(own, found, raw_rows(task.raw_path).frame) if task.keeps else None
    except TransformerError as error:
        return FoldOutcome(task.where, error=str(error))
    return FoldOutcome(task.where, found.rows, found.warnings, file)


@lru_cache(maxsize=1)
def raw_rows(path: str) -> RawRows:
    """The raw rows of a session, in a worker."""
    found: RawRows = joblib.load(here(path))
    return found


def _prepared(kept: Kept, frame: Any, where: str) -> NDArray[np.float32] | str:
    """Rows as a transformer gives them that this very search wrote, or why it gives none."""
    try:
        return kept.prepared(frame, where, trusts=True)
    except TransformerError as error:
        return str(error)
