"""A fitted model as an estimator holds it, which travels in pickles and needs no folder.

Owns the exported file's bytes, and how its labels stand for scikit-learn's classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset, read_rows
from hpsearch.estimators import rows
from hpsearch.export.bundle import Bundle
from hpsearch.export.code import Code
from hpsearch.export.transformer import Kept
from hpsearch.task import from_thresholds


@dataclass(frozen=True, eq=False)
class Exported:
    """An exported model.

    Attributes
    ----------
    content : the bytes of ``model.keras``, preprocessing included.
    manifest : what it expects and gives, as in ``model.json``.
    order : for each class, in scikit-learn's order, its number in the model's, or None.
    as_column : whether predictions are (n_rows, 1), as the target was.
    code : what of the space's code the model needs, or None.
    transformer : one of one's own, fitted on all rows, or None. It is as trusted as the pickle that
        holds this object, which runs code itself.
    """

    content: bytes
    manifest: Mapping[str, Any]
    order: NDArray[np.int64] | None = None
    as_column: bool = False
    code: Code | None = None
    transformer: Kept | None = None

    @classmethod
    def of(
        cls,
        content: bytes,
        manifest: Mapping[str, Any],
        data: Dataset,
        target: rows.Target,
        code: Code | None = None,
        transformer: Kept | None = None,
    ) -> Exported:
        """The model that was trained on rows."""
        order = rows.class_order(data, target)
        own = transformer and replace(transformer, sample=None)
        return cls(content, manifest, order, target.values.ndim == 2, code, own)

    @cached_property
    def bundle(self) -> Bundle:
        """The model, opened for prediction; it is loaded when it first predicts."""
        model = Path("model.keras"), self.content, self.manifest
        return Bundle(*model, True, self.code, self.transformer, trusts=True)

    def __getstate__(self) -> dict[str, Any]:
        """Without what was opened."""
        names = ("content", "manifest", "order", "as_column", "code", "transformer")
        return {name: vars(self)[name] for name in names}

    def values(self, X: Any) -> NDArray[np.float64]:
        """Predicted numbers (n_rows,) or (n_rows, n_outputs)."""
        return as_target(self._canonical(X), as_column=self.as_column)

    def probabilities(self, X: Any) -> NDArray[np.float64]:
        """Of each class, or of each label, (n_rows, n)."""
        return in_order(self._canonical(X), self.order)

    def ranges(self, X: Any, level: float) -> NDArray[np.float64]:
        """The ends (n_rows, 2) of each number's range, or (n_rows, n_outputs, 2) of several."""
        conformity = self.bundle.conformity
        conformity.quantiles(level)  # refused before anything is predicted
        ends = conformity.ranges(self.bundle.schema.target, self._canonical(X), level)
        found = np.stack(ends, axis=-1)
        return found if self.as_column or found.shape[1] > 1 else found[:, 0]

    def sets(self, X: Any, level: float) -> NDArray[np.bool_]:
        """Which classes (n_rows, n_classes) each row's set holds, in scikit-learn's order."""
        conformity = self.bundle.conformity
        conformity.quantiles(level)
        members = conformity.sets(self.bundle.schema.target, self._canonical(X), level)
        return members if self.order is None else members[:, self.order]

    def _canonical(self, X: Any) -> NDArray[np.float64]:
        """Canonical predictions; what rows hold that the training rows didn't is no matter here."""
        bundle = self.bundle
        read = read_rows(X, bundle.schema)
        return bundle.predict(bundle.encoded(read.frame, read.arrays)).astype(np.float64)


def as_target(values: NDArray[Any], *, as_column: bool) -> NDArray[np.float64]:
    """Predicted numbers in the shape that the target had."""
    columns = values.reshape(len(values), -1).astype(np.float64)
    return columns if as_column or columns.shape[1] > 1 else columns[:, 0]


def in_order(predictions: NDArray[Any], order: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Canonical predictions of classes (n_rows,) or (n_rows, n) as scikit-learn has them.

    Examples
    --------
    >>> in_order(np.array([0.25, 1.0]), np.array([1, 0])).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    """
    found = predictions.astype(np.float64)
    if found.ndim == 1:
        found = np.stack([1.0 - found, found], axis=1)
    return found if order is None else found[:, order]


def decided(
    probabilities: NDArray[np.float64],
    classes: NDArray[Any],
    thresholds: Sequence[float] = (),
    *,
    several: bool,
) -> NDArray[Any]:
    """Predictions of classes (n_rows,), or 0 and 1 for each of several labels (n_rows, n).

    Parameters
    ----------
    thresholds : of each of several labels; by default 0.5.
    """
    if several:
        return from_thresholds(probabilities, thresholds)
    found: NDArray[Any] = classes[probabilities.argmax(axis=1)]
    return found
