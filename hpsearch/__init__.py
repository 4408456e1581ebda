"""Hyperparameter search and iterated K-fold cross-validation for Keras.

The public names are imported when they are first used, so that ``import hpsearch`` and
``hpsearch --help`` take no time and load no numerical library.
"""

from __future__ import annotations

import os

from hpsearch.versions import VERSION

# TensorFlow greets everybody who imports it, Keras included, with a page of lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

TYPE_CHECKING = False  # importing it takes longer than all else here
if TYPE_CHECKING:
    from typing import Any

    from hpsearch.data import load
    from hpsearch.data.dataset import Dataset
    from hpsearch.diagnoses import Diagnosis
    from hpsearch.errors import (
        BundleError,
        DataError,
        DataWarning,
        FoldError,
        HpsearchError,
        InputError,
        MetricError,
        ModelFileError,
        OptionError,
        OptionWarning,
        RunExistsError,
        RunLockedError,
        SearchFailedError,
        SpaceError,
        StorageError,
        TransformerError,
    )
    from hpsearch.estimators import (
        KerasClassifier,
        KerasEstimator,
        KerasRegressor,
        SearchClassifier,
        SearchRegressor,
    )
    from hpsearch.export.prediction import load_model, load_transformer, predict
    from hpsearch.folds import (
        HoldOut,
        IteratedGroupKFold,
        IteratedKFold,
        IteratedStratifiedGroupKFold,
        IteratedStratifiedKFold,
        TimeOrderedSplit,
    )
    from hpsearch.results import Run, open_run
    from hpsearch.results.comparing import TrialComparison, compare, compare_trials
    from hpsearch.results.leaderboard import Leaderboard, leaderboard
    from hpsearch.scoring.observer import Observer
    from hpsearch.search.cross_validation import cross_validate
    from hpsearch.search.execution import Search, resume
    from hpsearch.space.phases import Phase
    from hpsearch.tuner.tuner import KFoldTuner

__version__ = VERSION

__all__ = [
    "BundleError",
    "DataError",
    "DataWarning",
    "Dataset",
    "Diagnosis",
    "FoldError",
    "HoldOut",
    "HpsearchError",
    "InputError",
    "IteratedGroupKFold",
    "IteratedKFold",
    "IteratedStratifiedGroupKFold",
    "IteratedStratifiedKFold",
    "KFoldTuner",
    "KerasClassifier",
    "KerasEstimator",
    "KerasRegressor",
    "Leaderboard",
    "MetricError",
    "ModelFileError",
    "Observer",
    "OptionError",
    "OptionWarning",
    "Phase",
    "Run",
    "RunExistsError",
    "RunLockedError",
    "Search",
    "SearchClassifier",
    "SearchFailedError",
    "SearchRegressor",
    "SpaceError",
    "StorageError",
    "TimeOrderedSplit",
    "TransformerError",
    "TrialComparison",
    "__version__",
    "compare",
    "compare_trials",
    "cross_validate",
    "leaderboard",
    "load",
    "load_model",
    "load_transformer",
    "open_run",
    "predict",
    "resume",
]

_HOMES = {
    "hpsearch.results.comparing": ("TrialComparison", "compare", "compare_trials"),
    "hpsearch.data": ("load",),
    "hpsearch.data.dataset": ("Dataset",),
    "hpsearch.diagnoses": ("Diagnosis",),
    "hpsearch.errors": (
        "BundleError",
        "DataError",
        "DataWarning",
        "FoldError",
        "HpsearchError",
        "InputError",
        "MetricError",
        "ModelFileError",
        "OptionError",
        "OptionWarning",
        "RunExistsError",
        "RunLockedError",
        "SearchFailedError",
        "SpaceError",
        "StorageError",
        "TransformerError",
    ),
    "hpsearch.estimators": (
        "KerasClassifier",
        "KerasEstimator",
        "KerasRegressor",
        "SearchClassifier",
        "SearchRegressor",
    ),
    "hpsearch.folds": (
        "HoldOut",
        "IteratedGroupKFold",
        "IteratedKFold",
        "IteratedStratifiedGroupKFold",
        "IteratedStratifiedKFold",
        "TimeOrderedSplit",
    ),
    "hpsearch.export.prediction": ("load_model", "load_transformer", "predict"),
    "hpsearch.results": ("Run", "open_run"),
    "hpsearch.results.leaderboard": ("Leaderboard", "leaderboard"),
    "hpsearch.scoring.observer": ("Observer",),
    "hpsearch.search.execution": ("Search", "resume"),
    "hpsearch.search.cross_validation": ("cross_validate",),
    "hpsearch.space.phases": ("Phase",),
    "hpsearch.tuner.tuner": ("KFoldTuner",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = _HOME_OF[name]
    module = import_module(home)
    if home in ("hpsearch.search.execution", "hpsearch.tuner.tuner"):
        _show_what_searches_do()
    globals().update({public: getattr(module, public) for public in _HOMES[home]})
    return globals()[name]


def _show_what_searches_do() -> None:
    """Join what no layer may join: searches, and the console's way of showing them."""
    from hpsearch.console.notebook import observer_in_python
    from hpsearch.scoring.observer import heard_by

    heard_by(observer_in_python)


def __dir__() -> list[str]:
    return sorted(__all__)
