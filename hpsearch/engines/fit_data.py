"""What all replicas of a search share: rows, folds and each fold's statistics, written once.

Workers map it into memory, so that a machine holds one copy however many processes it runs.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.buckets import Buckets
from hpsearch.engines.workers.files import here
from hpsearch.errors import StorageError
from hpsearch.folds import Fold
from hpsearch.metrics import score
from hpsearch.preprocessing import (
    Bags,
    Encoded,
    Inputs,
    Layout,
    LossWeights,
    RawRange,
    Statistics,
    per_exposure,
    raw_range,
)
from hpsearch.preprocessing.inputs import views_needed
from hpsearch.preprocessing.transforms import transformed
from hpsearch.preprocessing.views import fit_view
from hpsearch.task import OF_VALUES, Problem, Target


@dataclass(frozen=True, eq=False)
class FitData:
    """All that training needs of a table, shared by every replica and memory-mapped by workers.

    Attributes
    ----------
    encoded, y : every row of the search; ``y`` as in ``Dataset``.
    target, layout : label order and input layout.
    folds : the folds, in the order of (repeat, fold).
    statistics : of each fold's training rows, stacked along the first axis.
    refit_statistics : of all rows, for the refit.
    weights : what rows weigh in the loss, or None where all weigh the same.
    score_weights : (n_rows,) what rows weigh in scores, or None where all weigh the same.
    bags : the rows' words in pieces, where there are any, once the data were written.
    fold_rows : float32 (n_folds + 1, n_rows, *``layout.prepared``), each row as each fold's
        training rows have it prepared, and last as all rows do, for the refit; for what no
        statistics can say, such as a transformer fitted on a fold's training rows. None where there
        is nothing of the kind. They reach a network as they are, in place of all columns but array
        columns: ``layout`` is ``Layout.with_prepared(fold_rows.shape[2:])``, ``encoded`` a table's
        without what they replace. It may be a memory map, which is written to the disk in pieces.
    """

    encoded: Encoded
    y: NDArray[Any]
    target: Target
    layout: Layout
    folds: tuple[Fold, ...]
    statistics: Statistics
    refit_statistics: Statistics
    weights: LossWeights | None = None
    score_weights: NDArray[np.float64] | None = None
    bags: Bags | None = None
    fold_rows: NDArray[np.float32] | None = None

    def encoded_in(self, position: int | None) -> Encoded:
        """Every row as a fold's network takes it; as the refit's does, where there is no fold."""
        if self.fold_rows is None:
            return self.encoded
        return replace(self.encoded, prepared=self.fold_rows[-1 if position is None else position])

    @cached_property
    def raw_range(self) -> RawRange:
        """The smallest and largest raw value at each position of a network's input."""
        return raw_range(self.encoded, self.layout, self.fold_rows)

    def statistics_of(self, position: int | None, names: Sequence[str] = ()) -> Statistics:
        """A fold's statistics, or those of all rows for the refit.

        Parameters
        ----------
        names : of a network's inputs, whose views learn something more.
        """
        found = self.refit_statistics if position is None else self.statistics[position]
        views: dict[str, NDArray[np.float32]] = {}
        for view in views_needed(self.layout, names):
            if (position, view) not in self._views:
                self._views[position, view] = self._fit_view(position, view, found)
            views |= self._views[position, view]
        return replace(found, views=views) if views else found

    @cached_property
    def _views(self) -> dict[tuple[int | None, str], Mapping[str, NDArray[np.float32]]]:
        """What views learnt so far, of each fold and of all rows."""
        return {}

    def _fit_view(
        self, position: int | None, view: str, statistics: Statistics
    ) -> Mapping[str, NDArray[np.float32]]:
        rows = slice(None) if position is None else self.folds[position].train
        encoded, y = self.encoded, self.y[rows]
        if encoded.exposure is not None:
            y = per_exposure(y, encoded.exposure[rows])
        part = encoded.numbers[rows], encoded.codes[rows], y
        return fit_view(view, *part, statistics.category_slots, self.layout)

    @cached_property
    def buckets(self) -> Buckets | None:
        """Rows of like length, where sequences differ much in it."""
        return Buckets.of(self.encoded, self.layout)

    def loss_weights(self, position: int | None) -> NDArray[np.float32] | None:
        """What each row weighs (n_rows,) in a fold's loss, or in the refit's; None for the same."""
        return None if self.weights is None else self.weights.of(self.y, position)

    def scores(
        self,
        metric: str,
        rows: NDArray[np.integer[Any]],
        predictions: NDArray[Any],
        *,
        strict: bool = False,
    ) -> NDArray[np.float64]:
        """What predictions (..., n, ...) of some rows score, each row by what it weighs.

        The parameters are those of ``hpsearch.metrics.score``.
        """
        weights = None if self.score_weights is None else self.score_weights[rows]
        y, kind = self.y[rows], self.target.kind
        return score(metric, y, predictions, kind=kind, strict=strict, weights=weights)

    def without_features(self) -> FitData:
        """What the plan and the tables need; ``encoded`` has as many rows and no column."""
        return replace(self, encoded=self.encoded.without_features(), bags=None, fold_rows=None)


_DATA = "fit_data.joblib"


def write_fit_data(data: FitData, folder: Path) -> str:
    """Write the data once, so that every worker can map it into memory.

    The rows go into files of their own: NumPy's begin at a multiple of 64 bytes, which a device
    that is the processor itself can use as they are, so that all workers share one copy. All folds
    go into one, since a process may have only so many files open.
    """
    path, encoded = folder / _DATA, data.encoded
    dense = (encoded.numbers, encoded.codes, *encoded.arrays)
    for file, array in zip(_row_files(path, len(dense)), dense, strict=True):
        np.save(file, array)
    if data.fold_rows is not None and getattr(data.fold_rows, "filename", "") != _prepared_file(
        path
    ):
        np.save(_prepared_file(path), data.fold_rows)
    if encoded.tokens is not None:
        np.save(_token_file(path), encoded.tokens)
    sides = [side for fold in data.folds for side in (fold.train, fold.validation)]
    np.save(_fold_file(path), np.concatenate(sides))
    if encoded.words is not None:
        bags = Bags.of(encoded.words)
        for name, part in (("pieces", bags.pieces), ("first", bags.first)):
            np.save(_bag_file(path, name), part)
    sizes = [(f.repeat, f.fold, len(f.train), len(f.validation)) for f in data.folds]
    small = replace(data.without_features(), folds=())
    has = data.fold_rows is not None, encoded.tokens is not None
    joblib.dump((small, encoded.words, len(dense), sizes, has), path)
    return str(path)


def new_fold_rows(folder: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An empty ``FitData.fold_rows`` on the disk, where ``write_fit_data`` would put it.

    Parameters
    ----------
    folder : the one that the data will be written to.
    """
    file = _prepared_file(folder / _DATA)
    rows: NDArray[np.float32] = np.lib.format.open_memmap(file, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):  # else a disk that is full ends the process later
        try:
            with file.open("r+b") as held:
                os.posix_fallocate(held.fileno(), 0, file.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                return rows  # a file system that cannot reserve room
            raise StorageError(
                f"The rows of all folds, {rows.nbytes / 1e9:.1f} GB, must fit into the folder for "
                f"temporary files; {str(folder)!r} says: {error.strerror or error}. Free some "
                "space, or take fewer folds, repeats or features."
            ) from error
    return rows


@lru_cache(maxsize=4)  # the rows, and what frozen bases make of them
def read_fit_data(path: str) -> FitData:
    """The data, memory-mapped read-only."""
    data: FitData
    path = here(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib: small arrays are not mapped
        data, words, n_dense, sizes, has = joblib.load(path, mmap_mode="r")
    has_prepared, has_tokens = has
    folds = _folds_in(np.asarray(np.load(_fold_file(Path(path)), mmap_mode="r")), sizes)
    numbers, codes, *arrays = (np.load(f, mmap_mode="r") for f in _row_files(Path(path), n_dense))
    tokens = np.load(_token_file(Path(path)), mmap_mode="r") if has_tokens else None
    encoded = Encoded(numbers, codes, words, tuple(arrays), data.encoded.exposure, tokens=tokens)
    bags = None
    if words is not None:
        files = (_bag_file(Path(path), name) for name in ("pieces", "first"))
        bags = Bags(*(np.asarray(np.load(file, mmap_mode="r")) for file in files))
    prepared = np.load(_prepared_file(Path(path)), mmap_mode="r") if has_prepared else None
    return replace(data, encoded=encoded, folds=folds, bags=bags, fold_rows=prepared)


def _folds_in(
    rows: NDArray[np.int64], sizes: Sequence[tuple[int, int, int, int]]
) -> tuple[Fold, ...]:
    """The folds whose rows lie one after the other in an array."""
    folds, end = [], 0
    for repeat, fold, n_train, n_validation in sizes:
        begin, middle, end = end, end + n_train, end + n_train + n_validation
        folds.append(Fold.of_sorted(repeat, fold, rows[begin:middle], rows[middle:end]))
    return tuple(folds)


def _fold_file(path: Path) -> Path:
    return path.with_name("folds.npy")


def _prepared_file(path: Path) -> Path:
    return path.with_name("prepared.npy")


def _token_file(path: Path) -> Path:
    return path.with_name("tokens.npy")


def _bag_file(path: Path, name: str) -> Path:
    return path.with_name(f"bags-{name}.npy")


def _row_files(path: Path, n: int) -> list[Path]:
    return [path.with_name(f"rows-{number}.npy") for number in range(n)]


def training_target(data: FitData, statistics: Statistics) -> NDArray[Any]:
    """The target that the loss sees: scaled values, codes (n,), or 0/1 columns.

    Counts are learnt for one unit of exposure; the loss weighs them by it. Of quantiles the value
    stands there once for each level.
    """
    target, y = data.target, data.y
    if target.kind in OF_VALUES:
        rates = per_exposure(y, data.encoded.exposure)
        learnt = transformed(target.transform, rates, statistics.target_power)
        scaled = (learnt - statistics.target_centre) / statistics.target_scale
        same = np.repeat(scaled, max(1, len(target.levels)), axis=1)
        return same.astype(np.float32)
    if target.kind == "binary":
        return y.astype(np.float32).reshape(-1, 1)
    return y.astype(np.int32) if target.kind == "multiclass" else y.astype(np.float32)


def problem_of(target: Target, layout: Layout, *, n_train: int, epochs: int) -> Problem:
    """The problem as a space sees it."""
    task = target.task
    return Problem(
        kind=task.kind,
        input_shape=layout.input_shape,
        n_outputs=target.n_outputs,
        output_activation=task.output_activation,
        loss=target.loss,
        n_train=n_train,
        epochs=epochs,
        n_numbers=len(layout.numbers),
        n_words=sum(layout.word_slots),
        inputs=Inputs(layout),
    )


def smallest_training_set(folds: Sequence[Fold]) -> int:
    """Rows of the smallest training set of the first repeat: networks are built for so many.

    Of the first repeat, which is the same however many there are, so that more repeats leave the
    networks of the others as they are.
    """
    return min(len(fold.train) for fold in folds if fold.repeat == folds[0].repeat)
