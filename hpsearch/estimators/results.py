"""``cv_results_``: the tables of a run as scikit-learn's searches give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.metrics import Metric
from hpsearch.results import Run
from hpsearch.task import loss_sign

Columns = dict[str, Any]


def cv_results(
    run: Run, metrics: Sequence[Metric], hyperparameters: Mapping[int, Mapping[str, Any]]
) -> Columns:
    """The columns of ``GridSearchCV.cv_results_``, a row for each trial, in their order.

    Scores are such that more is better: those of losses have their sign turned. What a trial was
    not trained on, because it was stopped or failed, is nan.

    Parameters
    ----------
    metrics : those of the run, the selecting one first: its columns end in ``score``; those of
        each one end in its name, with ``neg_`` before that of a loss.
    hyperparameters : of each trial, in their own types.
    """
    trials = run.trials.sort_values("trial")
    params = [dict(hyperparameters.get(int(trial), {})) for trial in trials["trial"]]
    folds = run.folds.pivot(index="trial", columns=["repeat", "fold"]).reindex(trials["trial"])
    seconds = run.timings.set_index("trial")["seconds"].reindex(trials["trial"])
    n_trained = trials["n_folds"].to_numpy(dtype=np.float64)
    results: Columns = {
        "mean_fit_time": seconds.to_numpy() / np.where(n_trained > 0, n_trained, np.nan),
        "std_fit_time": np.zeros(len(trials)),
        "mean_score_time": np.zeros(len(trials)),
        "std_score_time": np.zeros(len(trials)),
    }
    for name in sorted({name for each in params for name in each}):
        results[f"param_{name}"] = _masked([each.get(name) for each in params])
    results["params"] = params
    ranks = trials["rank"].to_numpy(dtype=np.float64)
    last = np.nanmax(ranks, initial=0) + 1
    ranks = np.where(np.isnan(ranks), last, ranks).astype(np.int32)
    for suffix, metric in _suffixes(metrics):
        sign = -loss_sign(metric.direction)
        for side, prefix in (("test", "val"), ("train", "train")):
            scores = sign * folds[f"{prefix}_{metric.name}"].to_numpy(dtype=np.float64)
            for number, column in enumerate(scores.T):
                results[f"split{number}_{side}_{suffix}"] = column
            results[f"mean_{side}_{suffix}"] = _over_trained(np.mean, scores)
            results[f"std_{side}_{suffix}"] = _over_trained(np.std, scores)
        results[f"rank_test_{suffix}"] = ranks
    return results


def _suffixes(metrics: Sequence[Metric]) -> Iterator[tuple[str, Metric]]:
    yield "score", metrics[0]
    for metric in metrics:
        yield ("neg_" if metric.direction == "min" else "") + metric.name, metric


def _over_trained(function: Any, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """A function of each trial's folds that it was trained on; nan where there are none."""
    trained = [row[~np.isnan(row)] for row in scores]
    return np.array([function(row) if len(row) else np.nan for row in trained])


def _masked(values: list[Any]) -> Any:
    """Values of a hyperparameter, masked where it was not active."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return np.ma.MaskedArray(array, mask=[value is None for value in values])
