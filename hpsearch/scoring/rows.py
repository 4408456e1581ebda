"""The rows of a session: encoded once, with the statistics of every fold's training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.data.class_weights import ClassWeight
from hpsearch.engines.fit_data import FitData
from hpsearch.folds import Fold
from hpsearch.preprocessing import (
    Encoded,
    Layout,
    Statistics,
    beside_prepared,
    encode,
    fit_loss_weights,
    fit_statistics,
)


def encode_dataset(dataset: Dataset, prepared: NDArray[np.float32] | None = None) -> Encoded:
    """A dataset's rows as plain arrays.

    Parameters
    ----------
    prepared : what stands in place of all columns but arrays.
    """
    if prepared is None:
        return encode(dataset.schema, dataset.frame, dataset.arrays, dataset.n_rows)
    return replace(encode_beside(dataset), prepared=prepared)


def encode_beside(dataset: Dataset) -> Encoded:
    """The columns that stand beside prepared rows."""
    schema = beside_prepared(dataset.schema)
    return encode(schema, dataset.frame, dataset.arrays, dataset.n_rows)


def fit_data(
    dataset: Dataset,
    encoded: Encoded,
    folds: Sequence[Fold],
    layout: Layout,
    *,
    scale_target: bool,
    class_weight: ClassWeight | None = None,
    fold_rows: NDArray[np.float32] | None = None,
) -> FitData:
    """Everything that training needs: statistics fitted on each fold's training rows alone.

    Parameters
    ----------
    fold_rows : as in ``FitData``, where the layout has prepared rows.
    """

    def statistics(rows: Any) -> Statistics:
        return fit_statistics(
            encoded,
            dataset.y,
            rows,
            layout,
            scale_target=scale_target,
            counts=dataset.target.kind == "count",
            transform=dataset.target.transform,
        )

    every_row = np.arange(dataset.n_rows)
    training_rows = [*(fold.train for fold in folds), every_row]
    return FitData(
        encoded=encoded,
        y=dataset.y,
        target=dataset.target,
        layout=layout,
        folds=tuple(folds),
        statistics=Statistics.stack([statistics(fold.train) for fold in folds]),
        refit_statistics=statistics(every_row),
        weights=fit_loss_weights(
            dataset.weights,
            class_weight,
            dataset.target,
            dataset.y,
            training_rows,
            encoded.exposure,
        ),
        score_weights=dataset.score_weights,
        fold_rows=fold_rows,
    )
