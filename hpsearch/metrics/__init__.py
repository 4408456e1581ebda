"""Metrics: scores of canonical predictions.

``scores`` has every metric, its direction and the problem types that it suits; ``weighted`` scores
rows that count several times, which is what a bootstrap sample is. When predictions are made and
which epoch counts belongs to ``hpsearch.engines`` and ``hpsearch.stats``. Every module here is
imported: adding a metric is adding a file that calls ``scores.register``.
"""

import importlib
import pkgutil

from hpsearch.metrics.scores import METRICS, PROBABILITY_EPS, Metric, resolve_metric, score
from hpsearch.metrics.weighted import weighted_score

__all__ = ["METRICS", "PROBABILITY_EPS", "Metric", "resolve_metric", "score", "weighted_score"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
