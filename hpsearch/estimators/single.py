"""``KerasClassifier`` and ``KerasRegressor``: one Keras configuration as an estimator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing

from hpsearch.data import Dataset
from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.engines.workers.fork_server import staying
from hpsearch.errors import OptionError
from hpsearch.estimators import rows
from hpsearch.estimators.base import Classifying, Fittable, Regressing
from hpsearch.estimators.fitted import Exported, as_target, in_order
from hpsearch.estimators.made import MadeClassifier, MadeRegressor
from hpsearch.estimators.parameters import (
    asked_of,
    constructed_with,
    for_classifiers,
    for_regressors,
)
from hpsearch.options import one_of
from hpsearch.search.cross_validation import CrossValidation, cross_validate, space_of
from hpsearch.search.options import FOR_ONE_NETWORK, Options
from hpsearch.search.single import train
from hpsearch.search.usual_space import space_asked
from hpsearch.space.space import Space

_NOT_OF_A_FIT = ("metric", "also", "weigh_scores", "patience", "jobs", "cluster")
OF_A_FIT: Final = tuple(each for each in FOR_ONE_NETWORK if each.name not in _NOT_OF_A_FIT)
READING: Final = tuple(
    each
    for each in TABLE_OPTIONS
    if each.name
    in ("text", "category", "words_as", "max_tokens", "kinds", "task", "levels", "exposure")
)
"""How frames, arrays and numbers are read, where they don't say it themselves."""

_PARAMETERS = (*OF_A_FIT, *READING)


class _Keras(Fittable):
    """A Keras configuration that fits as an estimator does."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train the network on all rows, its preprocessing learnt from them.

        Parameters
        ----------
        X : a frame of pandas or polars, columns of text included; an array (n_rows, n_features) or
            of more axes; a sparse matrix.
        y : (n_rows,); or (n_rows, n) of 0 and 1 for several labels, of numbers for several outputs.
        sample_weight : (n_rows,); what each row weighs in the loss.

        Returns
        -------
        self

        Raises
        ------
        InputError
            The rows, the network or a parameter has no meaning; nothing was trained then.
        BundleError
            The training failed or diverged.
        """
        asked = self._options()
        Options(fix=self.values, **asked)
        with staying():
            data, target = self._read(X, y, sample_weight=sample_weight)
            asked["class_weight"] = target.by_label(asked["class_weight"])
            space = self._space(data)
            trained = train(space, data, Options(space, fix=self.values, **asked))
        own = trained.code, trained.transformer
        exported = Exported.of(trained.content, trained.manifest, data, target, *own)
        return self.keep(exported, target)

    def _space(self, data: Dataset) -> Space:
        """The network that was asked for, or the usual space's defaults."""
        return space_asked(None, data.schema) if self.build is None else space_of(self.build)

    def _options(self) -> dict[str, Any]:
        """Options of a search that its parameters are; a regressor has none of classes."""
        return asked_of(self, OF_A_FIT)

    def keep(self, exported: Exported, target: rows.Target) -> Any:
        """Be fitted, by a model that was trained elsewhere."""
        if target.classes is not None:
            self.classes_ = target.classes
        self.exported_ = exported
        return self

    def cross_validate(
        self,
        X: Any,
        y: Any,
        *,
        cv: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> CrossValidation:
        """Score the configuration by iterated K-fold, all folds trained together where they can be.

        Nothing is learnt from validation rows, and this estimator stays as it is.

        Parameters
        ----------
        X, y, sample_weight : as in ``fit``.
        cv, groups : as in ``hpsearch.cross_validate``.
        options : more of ``hpsearch.cross_validate``: ``metric``, ``also``, ``weigh_scores``,
            ``patience``, ``jobs``, ``cluster``, ``epoch``, ``observer``, ``quiet``, which is on
            unless given.
        """
        with staying():
            by_row = {"groups": groups, "sample_weight": sample_weight}
            return self._cross_validated(X, y, cv, by_row, options)[0]

    def _cross_validated(
        self, X: Any, y: Any, cv: Any, by_row: dict[str, Any], options: dict[str, Any]
    ) -> tuple[CrossValidation, Dataset, rows.Target]:
        twice = sorted(set(options) & {*self._options(), *self.get_params()})
        if twice:
            raise OptionError(
                f"{type(self).__name__} has {twice[0]!r} of its own; received another one for the "
                "folds. Use set_params."
            )
        asked = {"quiet": True, **self._options(), **options}
        data, target = clone(self)._read(X, y, **by_row)
        asked["class_weight"] = target.by_label(asked["class_weight"])
        result = cross_validate(self._space(data), data, cv=cv, values=self.values, **asked)
        return result, data, target

    def cross_val_score(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        scoring: Any = None,
        cv: Any = None,
        **options: Any,
    ) -> NDArray[np.float64]:
        """What ``sklearn.model_selection.cross_val_score`` gives, with all folds trained together.

        Scores are those after the last epoch, and weigh all rows the same, as there. ``options``
        and ``cv`` are as in ``cross_validate``.

        Parameters
        ----------
        X, y, groups, sample_weight : as in ``cross_validate``.
        scoring : as in scikit-learn: a name, a scorer, or None for accuracy or R2.

        Returns
        -------
        (n_folds,), in the order of the folds; more is better.

        Examples
        --------
        >>> import hpsearch
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> hpsearch.KerasClassifier(epochs=5).cross_val_score(X, y, cv=3).shape  # doctest: +SKIP
        (3,)
        """
        scorer = check_scoring(self, scoring=scoring)
        with staying():
            asked = {**options, "epoch": "last"}
            by_row = {"groups": groups, "sample_weight": sample_weight}
            result, data, target = self._cross_validated(X, y, cv, by_row, asked)
        order, scores = rows.class_order(data, target), []
        for numbers, predictions in _by_fold(result):
            made = _made(predictions, target, order)
            scores.append(scorer(made, _safe_indexing(X, numbers), target.values[numbers]))
        return np.array(scores)


def _made(
    predictions: NDArray[np.float64], target: rows.Target, order: NDArray[np.int64] | None
) -> Any:
    """Canonical predictions as a fitted estimator."""
    if target.classes is None:
        return MadeRegressor(as_target(predictions, as_column=target.values.ndim == 2))
    probabilities = in_order(predictions, order)
    return MadeClassifier(probabilities, target.classes, several=order is None)


def _by_fold(result: CrossValidation) -> Iterator[tuple[NDArray[Any], NDArray[np.float64]]]:
    """The validation rows of each fold, and the predictions of them."""
    named = [name for name in result.predictions if str(name).startswith("y_pred")]
    for _, fold in result.predictions.groupby(["repeat", "fold"]):
        predictions = fold[named].to_numpy(dtype=np.float64)
        yield fold["row"].to_numpy(), predictions[:, 0] if len(named) == 1 else predictions


@constructed_with(for_classifiers(_PARAMETERS), first=("build", None), values=None)
class KerasClassifier(Classifying, _Keras):
    """One Keras configuration as a classifier of scikit-learn's, preprocessing included.

    It trains for ``epochs`` epochs on all rows that ``fit`` is given, in a process of its own, and
    nothing of them is held back. The same seed gives the same predictions.

    Parameters
    ----------
    build : returns a compiled ``keras.Model``: ``build()``, ``build(hp)``, ``build(hp, problem)``,
        a ``HyperModel``, or a space's name. By default ``tabular`` for numbers and categories,
        ``mlp`` where there are words or arrays.
    values : hyperparameters, by default the space's own defaults.
    epochs : passes over the training rows; by default what their number asks for, see
        docs/options.md.

    Attributes
    ----------
    classes_ : the classes, sorted; of several labels their numbers.
    n_features_in_, feature_names_in_ : as in scikit-learn.
    exported_ : the fitted model: its ``content`` is that of a file ``model.keras``.
    model_ : the fitted ``keras.Model``, from raw cells to predictions.

    Examples
    --------
    >>> import hpsearch
    >>> hpsearch.KerasClassifier("mlp", values={"units_1": 16}, epochs=20)
    KerasClassifier(build='mlp', epochs=20, values={'units_1': 16})
    """


@constructed_with(for_regressors(_PARAMETERS), first=("build", None), values=None)
class KerasRegressor(Regressing, _Keras):
    """One Keras configuration as a regressor of scikit-learn's, preprocessing included.

    It trains for ``epochs`` epochs on all rows that ``fit`` is given, in a process of its own, and
    nothing of them is held back. The same seed gives the same predictions.

    Parameters
    ----------
    build : returns a compiled ``keras.Model``: ``build()``, ``build(hp)``, ``build(hp, problem)``,
        a ``HyperModel``, or a space's name. By default ``tabular`` for numbers and categories,
        ``mlp`` where there are words or arrays.
    values : hyperparameters, by default the space's own defaults.
    epochs : passes over the training rows; by default what their number asks for, see
        docs/options.md.

    Attributes
    ----------
    n_features_in_, feature_names_in_ : as in scikit-learn.
    exported_ : the fitted model: its ``content`` is that of a file ``model.keras``.
    model_ : the fitted ``keras.Model``, from raw cells to predictions.

    Examples
    --------
    >>> import hpsearch
    >>> hpsearch.KerasRegressor("mlp", epochs=20).get_params()["epochs"]
    20
    """


def KerasEstimator(  # noqa: N802 (used as the classes are, of which it makes one)
    build: Any = None, *, task: str, **parameters: Any
) -> Any:
    """The classifier or the regressor of a network, as ``task`` says.

    scikit-learn asks an estimator what it is before it has seen a target, to deal classes evenly
    to folds, so that this can't follow from y.

    Parameters
    ----------
    build : as in ``KerasClassifier``.
    task : ``"classification"`` or ``"regression"``.
    parameters : of ``KerasClassifier`` or ``KerasRegressor``, which are the same.

    Examples
    --------
    >>> import hpsearch
    >>> hpsearch.KerasEstimator("mlp", task="regression", epochs=20)
    KerasRegressor(build='mlp', epochs=20)
    """
    kinds = {"classification": KerasClassifier, "regression": KerasRegressor}
    return kinds[one_of(tuple(kinds))("task", task)](build, **parameters)
