"""Predictions that are made already, as estimators that scikit-learn's scorers can ask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from hpsearch.estimators.fitted import decided


class MadeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probabilities of some rows (n_rows, n), whatever rows are given."""

    def __init__(self, probabilities: NDArray[np.float64], classes: Any, several: bool) -> None:
        self.probabilities, self.classes_, self.several = probabilities, classes, several

    def __sklearn_is_fitted__(self) -> bool:
        """It is."""
        return True

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probabilities."""
        return self.probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable classes, or labels."""
        return decided(self.probabilities, self.classes_, several=self.several)


class MadeRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers predicted of some rows, whatever rows are given."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    def __sklearn_is_fitted__(self) -> bool:
        """It is."""
        return True

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The numbers."""
        return self.values
