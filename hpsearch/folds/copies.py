"""Copies: what exact copies of rows do to a split, in sentences for people.

Owns those sentences. Which rows are copies belongs to ``blocks``, what becomes of them to ``deal``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.folds.blocks import duplicate_ids, join_blocks
from hpsearch.folds.deal import is_beyond

if TYPE_CHECKING:
    from hpsearch.data.dataset import Dataset

Rows = NDArray[np.int64]


def said_of_copies(dataset: Dataset, ids: Rows, validation: Sequence[Rows]) -> str:
    """How many rows are copies, whether that spoils the balance of the folds, and what helps.

    Parameters
    ----------
    ids : equal numbers for copies of a row, from ``dataset_duplicates``.
    validation : the validation rows of the folds of one repeat, copies on one side; empty where
        they stay where they are, in time order.

    Returns
    -------
    Sentences, each with a space before it; empty where no row is a copy.
    """
    sizes = np.bincount(ids)
    n_copied, n_copies = int((sizes > 1).sum()), len(ids) - len(sizes)
    if not n_copies:
        return ""
    are = "row is a copy of" if n_copies == 1 else "rows are copies of"
    if _have_more_than_images(dataset):
        are = "row shares its image with" if n_copies == 1 else "rows share their images with"
    counts = f" {n_copies:,} {are} {n_copied:,} other{'s' if n_copied > 1 else ''}"
    if not validation:
        return f"{counts}; they stay at their times."
    said = f"{counts}, and copies stay on one side"
    skewed = _skewed(dataset, validation)
    said += f", so {skewed}." if skewed else "."
    if dataset.groups is not None:
        n_groups = len(np.unique(dataset.groups))
        n_blocks = int(join_blocks(ids, np.unique(dataset.groups, return_inverse=True)[1]).max())
        if n_blocks + 1 < n_groups:
            said += f" Groups that share a copy go together: {n_groups:,} make {n_blocks + 1:,}."
    if skewed or 2 * len(sizes) <= len(ids):
        said += _advice(ids, n_copied, dataset.y)
    return said


def _have_more_than_images(dataset: Dataset) -> bool:
    """Whether rows hold the images of files, and something beside them."""
    columns = dataset.schema.columns
    return len(columns) > 1 and any(column.image_form for column in columns)


def _skewed(dataset: Dataset, validation: Sequence[Rows]) -> str:
    """How the folds differ, where they differ by more than chance and rounding do."""
    lengths = np.array([len(rows) for rows in validation])
    if dataset.target.is_classification:
        n_classes = len(dataset.target.labels)
        counts = np.stack([np.bincount(dataset.y[v], minlength=n_classes) for v in validation])
        shares = np.bincount(dataset.y, minlength=n_classes) / dataset.n_rows
        wanted = lengths[:, np.newaxis] * shares
        if is_beyond(np.abs(counts - wanted), wanted).any():
            found = counts / np.maximum(lengths, 1)[:, np.newaxis]
            worst = int(np.argmax(np.abs(found - shares).max(axis=0)))
            worst = 1 if dataset.target.kind == "binary" else worst
            return (
                f"the share of {dataset.target.labels[worst]!r} in the validation rows is "
                f"{_range(found[:, worst])}, {shares[worst]:.2f} in the table"
            )
    if is_beyond(np.ptp(lengths), lengths.mean()):
        return f"folds hold {lengths.min():,} to {lengths.max():,} rows"
    return ""


def _range(values: NDArray[Any]) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _advice(ids: Rows, n_copied: int, y: NDArray[Any]) -> str:
    """What helps where copies are many: it depends on whether they agree in their targets."""
    with_target = duplicate_ids(np.column_stack([ids, duplicate_ids(y)]))
    first = np.unique(with_target, return_index=True)[1]  # a row of each pair of row and target
    n_differ = int((np.bincount(ids[first]) > 1).sum())
    if 2 * n_differ >= n_copied:
        return (
            " Copies whose targets differ are repeated measurements, and here every fold is judged "
            "on rows the like of which did not train: --duplicates ignore deals them like others."
        )
    return " Most copies have one target, too: leave one of each, or pass --duplicates ignore."
