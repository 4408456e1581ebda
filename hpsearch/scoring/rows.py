"""The rows of a session: encoded once, with the statistics of every fold's training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpsearch.data import Dataset
from hpsearch.data.class_weights import ClassWeight
from hpsearch.engines.fit_data import FitData
from hpsearch.folds import Fold
from hpsearch.preprocessing import (
    Encoded,
    Layout,
    Statistics,
    encode,
    fit_loss_weights,
    fit_statistics,
)


def encode_dataset(dataset: Dataset) -> Encoded:
    """A dataset's rows as plain arrays."""
    return encode(dataset.schema, dataset.frame, dataset.arrays, dataset.n_rows)


def fit_data(
    dataset: Dataset,
    encoded: Encoded,
    folds: Sequence[Fold],
    layout: Layout,
    *,
    scale_target: bool,
    class_weight: ClassWeight | None = None,
) -> FitData:
    """Everything that training needs: statistics fitted on each fold's training rows alone."""

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
    )
