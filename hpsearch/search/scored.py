"""What a search is scored by: the metrics that are asked for, loaded and checked.

Owns also how a metric of one's own is recorded, and found again when a run goes on. Its code
belongs to ``hpsearch.metrics.own``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hpsearch.data import Dataset
from hpsearch.engines.workers import limit_of_call
from hpsearch.errors import OptionError
from hpsearch.metrics import Metric, resolve_metric
from hpsearch.metrics.own import OwnMetric, check_own, is_own
from hpsearch.search.options import Options
from hpsearch.space.guards import time_limit
from hpsearch.space.local_modules import LocalModule
from hpsearch.space.source import SpaceSource
from hpsearch.transformers import OwnTransformer

Record = dict[str, Any]
Asked = TypeVar("Asked", bound=Options)


def loaded(options: Asked) -> Asked:
    """The options with the code of metrics and of a transformer of one's own read.

    Raises
    ------
    MetricError, TransformerError
        One can't be read.
    """
    also = tuple(_loaded(spec) for spec in options.also or ())
    given = options.preprocess
    preprocess = None if given is None else OwnTransformer.load(given)
    return replace(
        options, metric=_loaded(options.metric), also=also or None, preprocess=preprocess
    )


def _loaded(spec: Any) -> Any:
    return spec if spec is None or not is_own(spec) else OwnMetric.load(spec)


def metrics_of(options: Options, dataset: Dataset, *others: Dataset | None) -> tuple[Metric, ...]:
    """The metrics of a search, the selecting one first; its options are ``loaded``.

    Parameters
    ----------
    dataset : the table; others : further rows that are scored.

    Raises
    ------
    OptionError
        One doesn't suit the problem, or has no value for the target.
    MetricError
        One of one's own doesn't do with predictions that are made up, or with rows that weigh.
    """
    target = dataset.target
    with time_limit(limit_of_call(options.trial_timeout)):
        asked = [
            spec.of_target(target) if isinstance(spec, OwnMetric) else spec
            for spec in (options.metric, *(options.also or ()))
        ]
        metrics = resolve_metric(target.kind, asked[0], asked[1:])
        weighs = options.weigh_scores and any(
            rows.scored(by_weight=True).score_weights is not None
            for rows in filter(None, (dataset, *others))
        )
        for metric in metrics:
            check_own(metric, target, dataset.y, weighs=weighs)
    for rows in filter(None, (dataset, *others)):
        for metric in metrics:
            metric.check_target(rows.target, rows.y)
    return metrics


# -- when a run goes on


def record_of_own(metrics: Iterable[Metric]) -> Record:
    """The code of metrics of one's own, by their names, as JSON can hold it."""
    return {
        own.name: {
            **own.source.to_json(),
            "attribute": own.attribute,
            "sha256": own.sha256,
        }
        for own in (metric.own for metric in metrics)
        if own is not None
    }


def options_again(
    was: Mapping[str, Record], options: Mapping[str, Any], given: Mapping[str, Any]
) -> Record:
    """``metric`` and ``also`` of a run that goes on: given again, or as they were.

    Parameters
    ----------
    was : what ``record_of_own`` gave; options : the run's, by their names.
    given : those that are given again, which Python objects must be.

    Raises
    ------
    OptionError
        One was a Python object, and isn't given again.
    """
    again = {name: value for name, value in given.items() if value is not None}
    asked = {"metric": options.get("metric"), "also": options.get("also")} | again
    asked = {**asked, "also": tuple(asked["also"] or ()) or None}
    find = _finder(was)
    also = None if asked["also"] is None else tuple(map(find, asked["also"]))
    return {"metric": find(asked["metric"]), "also": also}


def _finder(was: Mapping[str, Record]) -> Any:
    def find(spec: Any) -> Any:
        record = was.get(spec) if isinstance(spec, str) else None
        return spec if record is None else _again(spec, record)

    return find


def _again(name: str, was: Record) -> OwnMetric:
    if was["is_object"]:
        raise OptionError(
            f"The metric {name!r} of this run was given as a Python object, which no file holds. "
            "Resume it from Python: hpsearch.resume(path, metric=...), or also=[...]."
        )
    path = was["path"]
    if path is not None and Path(path).is_file():
        return OwnMetric.load(f"{path}:{was['attribute']}")
    modules = tuple(LocalModule.from_json(module) for module in was["modules"])
    return OwnMetric(
        name, SpaceSource(was["name"], path, was["text"], modules=modules), was["attribute"]
    )
