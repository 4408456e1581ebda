"""``SearchClassifier`` and ``SearchRegressor``: a search as an estimator of scikit-learn's."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.console.notebook import observer_in_python
from hpsearch.data import Dataset
from hpsearch.engines.workers.fork_server import staying
from hpsearch.errors import RunExistsError
from hpsearch.estimators import rows
from hpsearch.estimators.base import Classifying, Fittable, Regressing
from hpsearch.estimators.fitted import Exported
from hpsearch.estimators.parameters import (
    asked_of,
    constructed_with,
    for_classifiers,
    for_regressors,
)
from hpsearch.estimators.results import cv_results
from hpsearch.estimators.single import READING, KerasClassifier, KerasRegressor
from hpsearch.export.bundle import Bundle
from hpsearch.results import Run, free_name
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.search.execution import Search
from hpsearch.search.options import OPTIONS, Options
from hpsearch.search.scored import loaded, metrics_of
from hpsearch.task import loss_sign

_PARAMETERS = (*(each for each in OPTIONS if each.name != "space"), *READING)


class _Search(Fittable):
    """A search that fits as an estimator does."""

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None, time: Any = None
    ) -> Any:
        """Search on the rows, and train the best configuration on all of them.

        Parameters
        ----------
        X : a frame of pandas or polars, columns of text included; an array (n_rows, n_features) or
            of more axes; a sparse matrix.
        y : (n_rows,); or (n_rows, n) of 0 and 1 for several labels, of numbers for several outputs.
        sample_weight : (n_rows,); what each row weighs in the loss, and in scores with
            ``weigh_scores``.
        groups : (n_rows,); rows of one group stay on one side of each fold.
        time : (n_rows,) of dates or numbers; folds train on earlier rows than they validate on.

        Returns
        -------
        self

        Raises
        ------
        InputError
            The rows or a parameter has no meaning; nothing was trained then.
        SearchFailedError
            Every trial failed.
        """
        options = asked_of(self, OPTIONS)
        asked = loaded(Options(**options))
        by_row = {"sample_weight": sample_weight, "groups": groups, "time": time}
        data, target = self._read(X, y, **by_row)
        options["class_weight"] = target.by_label(options["class_weight"])
        metrics, tried = metrics_of(asked, data), _Tried()
        options["log"] = (*(asked.log or ()), tried)
        run = self._run = self._searched(options, data)
        self._keep(run, data, target)
        self.cv_results_ = cv_results(run, metrics, tried.hyperparameters)
        self.ledger_ = run.ledger
        best = run.best
        self.best_index_ = int(best["trial"])
        self.best_params_ = dict(best["hyperparameters"])
        self.best_score_ = float(-loss_sign(best["direction"]) * best["score"])
        self.n_splits_ = int(best["n_folds"])
        return self

    def _searched(self, options: dict[str, Any], data: Dataset) -> Run:
        """The run, in the folder that was asked for, or in one that ends with this object."""
        observer = observer_in_python() if self.verbose else SilentObserver()

        def search(path: Path, *, reports: bool = True) -> Run:
            asked = {**options, "out": path}
            return Search(**asked, observer=observer, reports=reports).run(data)

        with staying():
            if self.out is None:  # nobody opens a report there; run_.report() writes one
                return search(self._temporary_folder() / "run", reports=False)
            asked = Path(self.out)
            while True:
                path = asked if self.overwrite else free_name(asked.parent, asked.name)
                try:
                    return search(path)
                except RunExistsError:  # of a process that fits a clone, and was here first
                    if self.overwrite or not path.exists():
                        raise

    def _temporary_folder(self) -> Path:
        """A new folder that ends with this object, or when it is fitted again."""
        if ends := vars(self).get("_ends"):
            ends()
        folder = tempfile.mkdtemp(prefix="hpsearch-")
        self._ends = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def _keep(self, run: Run, data: Dataset, target: rows.Target) -> None:
        """Take the winner for one's own, as an estimator that is fitted."""
        best, bundle = run.best, Bundle.of(run)
        own = bundle.code, bundle.transformer
        exported = Exported.of(bundle.content, bundle.manifest, data, target, *own)
        parameters = {
            name: getattr(self, name)
            for name in self._winner().get_params()
            if name not in ("build", "values")
        }
        winner = self._winner(self.space, values=dict(best["hyperparameters"]), **parameters)
        winner.set_params(epochs=int(best["best_epoch"]))
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self, name):
                setattr(winner, name, getattr(self, name))
        self.best_estimator_ = winner.keep(exported, target)
        self.exported_ = exported
        if target.classes is not None:
            self.classes_ = target.classes

    @property
    def run_(self) -> Run:
        """The run: its tables, its report, its ledger; in the folder ``out``.

        Raises
        ------
        AttributeError
            The estimator isn't fitted, or it was copied or pickled, and ``out`` names no folder.
        """
        if "_run" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has a run once it is fitted. Without `out`, its folder is "
                "a temporary one, and stays behind where the estimator is copied or pickled."
            )
        run: Run = self._run
        return run

    def __getstate__(self) -> dict[str, Any]:
        """Without a temporary folder, which ends with the object that made it."""
        state = dict(super().__getstate__())
        if state.pop("_ends", None) is not None:
            state.pop("_run", None)
        return state


class _Tried(Observer):
    """Notes the hyperparameters of each trial in their own types, which tables don't keep."""

    def __init__(self) -> None:
        self.hyperparameters: dict[int, dict[str, Any]] = {}

    def trial_done(self, row: dict[str, Any]) -> None:
        """Note what a trial was."""
        named = {name.removeprefix("hp."): v for name, v in row.items() if name.startswith("hp.")}
        self.hyperparameters[row["trial"]] = named


@constructed_with(
    for_classifiers(_PARAMETERS),
    first=("space", None),
    undocumented=("out", "overwrite"),
    verbose=False,
)
class SearchClassifier(Classifying, _Search):
    """A hyperparameter search as a classifier of scikit-learn's, preprocessing included.

    ``fit`` searches and trains the winner on all rows. Inside ``cross_val_score`` each outer fold
    has a search of its own, so that its scores are those of a nested search.

    Parameters
    ----------
    space : what to search: a shipped space's name, a .py file, ``build(hp, problem)``,
        keras-tuner's ``build(hp)`` or a ``HyperModel``. By default ``tabular`` for numbers and
        categories, ``mlp`` where there are words or arrays.
    verbose : whether ``fit`` shows what a search shows, where there is a terminal or a notebook.
    out : the folder of the run, numbered where it is taken. By default a temporary one, which is
        gone with the estimator.
    overwrite : replace the run that is in ``out``.

    Attributes
    ----------
    classes_ : the classes, sorted; of several labels their numbers.
    best_estimator_ : a fitted ``KerasClassifier`` with the winner's hyperparameters.
    best_params_, best_index_, n_splits_, cv_results_ : as in scikit-learn's ``GridSearchCV``.
    best_score_ : the winner's mean over all folds; more is better, so that of a loss is below 0.
    ledger_ : what that is worth.
    run_ : the run, which has the tables and the report.
    exported_ : the fitted model: its ``content`` is that of a file ``model.keras``.
    model_ : the fitted ``keras.Model``, from raw cells to predictions.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Examples
    --------
    >>> import hpsearch
    >>> hpsearch.SearchClassifier(trials=5, folds=3)
    SearchClassifier(folds=3, trials=5)
    """

    _winner = KerasClassifier

    def predict_set(self, X: Any, level: float = 0.9) -> NDArray[np.bool_]:
        """The classes of each row that hold the right one with a chosen probability.

        Parameters
        ----------
        X : as in ``predict``; level : that probability, above 0 and below 1.

        Returns
        -------
        (n_rows, n_classes), True for the classes in a row's set, in the order of ``classes_``.

        Raises
        ------
        InputError
            The level is none, or the search had too few rows for it, or rows have several labels.
        """
        exported = self._exported()
        return exported.sets(rows.checked_rows(self, X, fits=False), level)


@constructed_with(
    for_regressors(_PARAMETERS),
    first=("space", None),
    undocumented=("out", "overwrite"),
    verbose=False,
)
class SearchRegressor(Regressing, _Search):
    """A hyperparameter search as a regressor of scikit-learn's, preprocessing included.

    ``fit`` searches and trains the winner on all rows. Inside ``cross_val_score`` each outer fold
    has a search of its own, so that its scores are those of a nested search.

    Parameters
    ----------
    space : what to search: a shipped space's name, a .py file, ``build(hp, problem)``,
        keras-tuner's ``build(hp)`` or a ``HyperModel``. By default ``tabular`` for numbers and
        categories, ``mlp`` where there are words or arrays.
    verbose : whether ``fit`` shows what a search shows, where there is a terminal or a notebook.
    out : the folder of the run, numbered where it is taken. By default a temporary one, which is
        gone with the estimator.
    overwrite : replace the run that is in ``out``.

    Attributes
    ----------
    best_estimator_ : a fitted ``KerasRegressor`` with the winner's hyperparameters.
    best_params_, best_index_, n_splits_, cv_results_ : as in scikit-learn's ``GridSearchCV``.
    best_score_ : the winner's mean over all folds; more is better, so that of a loss is below 0.
    ledger_ : what that is worth.
    run_ : the run, which has the tables and the report.
    exported_ : the fitted model: its ``content`` is that of a file ``model.keras``.
    model_ : the fitted ``keras.Model``, from raw cells to predictions.
    n_features_in_, feature_names_in_ : as in scikit-learn.

    Examples
    --------
    >>> import hpsearch
    >>> hpsearch.SearchRegressor(trials=5, metric="rmse")
    SearchRegressor(metric='rmse', trials=5)
    """

    _winner = KerasRegressor

    def predict_interval(self, X: Any, level: float = 0.9) -> NDArray[np.float64]:
        """The range of each row that holds its number with a chosen probability.

        Parameters
        ----------
        X : as in ``predict``; level : that probability, above 0 and below 1.

        Returns
        -------
        (n_rows, 2), the lower and the upper end; of several numbers (n_rows, n_outputs, 2).

        Raises
        ------
        InputError
            The level is none, or the search had too few rows for it.
        """
        exported = self._exported()
        return exported.ranges(rows.checked_rows(self, X, fits=False), level)
