"""Searches and single networks as scikit-learn's estimators.

Owns what scikit-learn asks of an estimator: parameters, checks of X and y, fitted attributes, tags,
pickles. Searching and training belong to ``hpsearch.search``. Imported when one of the public names
is first used, since scikit-learn is.
"""

from hpsearch.estimators.searches import SearchClassifier, SearchRegressor
from hpsearch.estimators.single import KerasClassifier, KerasEstimator, KerasRegressor

__all__ = [
    "KerasClassifier",
    "KerasEstimator",
    "KerasRegressor",
    "SearchClassifier",
    "SearchRegressor",
]
