"""What searches and single networks share as estimators: predictions, scores' inputs, tags."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import d2_pinball_score, d2_tweedie_score
from sklearn.utils.validation import check_is_fitted

from hpsearch.data import Dataset
from hpsearch.errors import OptionError
from hpsearch.estimators import rows
from hpsearch.estimators.fitted import Exported, decided
from hpsearch.task import OF_VALUES, from_thresholds

_OF_COLUMNS: Final = ("text", "category", "words_as", "max_tokens", "kinds")
_OF_NUMBERS: Final = ("levels", "exposure")


class Fittable(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: how they read rows, and what their tags say."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags

    def _read(self, X: Any, y: Any, **options: Any) -> tuple[Dataset, rows.Target]:
        """The rows as a dataset, and their target; ``options`` are of ``hpsearch.load``."""
        if y is None:
            raise OptionError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        checked = rows.checked_rows(self, X, fits=True)
        target = self._target(y)
        options |= {name: getattr(self, name) for name in _OF_COLUMNS}
        options |= {name: getattr(self, name) for name in _OF_NUMBERS if hasattr(self, name)}
        return rows.read(checked, target, y, **options), target

    def _target(self, y: Any) -> rows.Target:
        raise NotImplementedError

    def _exported(self) -> Exported:
        """The fitted model.

        Raises
        ------
        NotFittedError
            It isn't fitted.
        """
        check_is_fitted(self)
        exported: Exported = self.exported_
        return exported

    @property
    def model_(self) -> Any:
        """The fitted ``keras.Model``, from raw cells to predictions."""
        return self._exported().bundle.model


class Classifying(ClassifierMixin, Fittable):  # type: ignore[misc]
    """What classifiers add: classes, and their probabilities."""

    def _target(self, y: Any) -> rows.Target:
        return rows.classes_target(y)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row (n_rows,), or 0 and 1 for each label (n_rows, n).

        Where a threshold was chosen, of two classes or of labels, what is predicted follows it.

        Parameters
        ----------
        X : rows with the columns that the estimator was fitted on, in their order.
        """
        probabilities, exported = self.predict_proba(X), self._exported()
        thresholds, order = exported.bundle.thresholds, exported.order
        if thresholds and order is not None:  # the model's second class is somewhere in ours
            second = from_thresholds(probabilities[:, order == 1][:, 0], thresholds)
            of_model: NDArray[Any] = self.classes_[np.argsort(order)]
            return of_model[second]
        return decided(probabilities, self.classes_, thresholds, several=order is None)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, in the order of ``classes_``, or of each label.

        Returns
        -------
        (n_rows, n_classes), rows of which add up to 1; or (n_rows, n_labels), of a 1 for each.
        """
        exported = self._exported()
        return exported.probabilities(rows.checked_rows(self, X, fits=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class Regressing(RegressorMixin, Fittable):  # type: ignore[misc]
    """What regressors add: numbers."""

    def _target(self, y: Any) -> rows.Target:
        if self.task not in (None, *OF_VALUES):
            raise OptionError(
                f"`task` of a regressor is {', '.join(OF_VALUES[:-1])} or {OF_VALUES[-1]}; "
                f"received {self.task!r}. Leave it out for a regression."
            )
        return rows.numbers_target(y, self.task or "regression")

    def predict(self, X: Any) -> NDArray[np.float64]:
        """A number for each row (n_rows,), or several (n_rows, n_outputs), in the target's units.

        Of quantiles a column for each level; of counts how many are expected.

        Parameters
        ----------
        X : rows with the columns that the estimator was fitted on, in their order.
        """
        exported = self._exported()
        return exported.values(rows.checked_rows(self, X, fits=False))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2; of counts and quantiles D2, the share of a constant's deviance that is gone.

        The constant of counts is their mean; of quantiles, whose levels count the same, the
        quantile of y.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``.
        """
        if self.task not in ("count", "quantile"):
            return float(super().score(X, y, sample_weight))
        truth, said = (np.asarray(v, np.float64).reshape(len(y), -1) for v in (y, self.predict(X)))
        if self.task == "count":
            pairs = zip(truth.T, said.T, strict=True)
            return float(
                np.mean(
                    [d2_tweedie_score(t, s, power=1, sample_weight=sample_weight) for t, s in pairs]
                )
            )
        levels = self._exported().bundle.schema.target.levels
        each = zip(said.T, levels, strict=True)
        return float(
            np.mean(
                [
                    d2_pinball_score(truth, s, alpha=level, sample_weight=sample_weight)
                    for s, level in each
                ]
            )
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
