"""Metrics: scores of canonical predictions.

``base`` says what a metric is and knows all by name, ``scores`` scores predictions, ``weighted``
rows that count several times, which is what a bootstrap sample is. The formulas stand in a file a
family: ``labels``, ``probabilities``, ``ranking``, ``values``, ``deviances``; ``sums`` and
``ordered`` make them quick for many samples. When predictions are made and which epoch counts
belongs to ``hpsearch.engines`` and ``hpsearch.stats``; ``own`` reads metrics of one's own. Every
module here is imported: adding a metric is adding a file that calls ``base.register``.
"""

import importlib
import pkgutil

from hpsearch.metrics.base import METRICS, PROBABILITY_EPS, Metric
from hpsearch.metrics.scores import direction_said, metric_named, resolve_metric, score
from hpsearch.metrics.weighted import weighted_score

__all__ = [
    "METRICS",
    "PROBABILITY_EPS",
    "Metric",
    "direction_said",
    "metric_named",
    "resolve_metric",
    "score",
    "weighted_score",
]

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("_"):
        importlib.import_module(f"{__name__}.{_module.name}")
