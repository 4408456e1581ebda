"""A study of Optuna in a SQLite file: trials with distributions, and their scores after each epoch.

Optuna's dashboard shows it, and Optuna's own functions read it (importances, slices, contours). A
trial's number is hpsearch's. Completed trials are complete, stopped ones pruned, failed ones
failed. Intermediate values are the mean validation curve of the selecting metric; what else the
tables hold of a trial is in its user attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch import words
from hpsearch.errors import InputError
from hpsearch.export.formats.base import Format
from hpsearch.oracles._optuna import quiet
from hpsearch.results.contents import require_columns
from hpsearch.results.layout import BEST, CURVES, SETTINGS

if TYPE_CHECKING:
    import pandas as pd
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from hpsearch.results.run import Run

_OF_A_TRIAL: Final = ("score", "score_std", "score_se", "ci_low", "ci_high", "n_folds", "epochs")
_OF_THE_RUN: Final = ("data", "folds", "repeats", "epochs", "oracle", "seed", "split_reason")
_CLOSE: Final = 1e-8
"""How far from a step Optuna takes a number to be on it."""


def write(run: Run, path: Path) -> Sequence[str]:
    """Write the study, named as the run's folder is."""
    import optuna
    from sqlalchemy.engine import URL

    with run.reading():
        trials, attributes = list(_trials(run)), _attributes(run)
    name, metric, better = run.path.resolve().name, *_objective(run)
    storage = optuna.storages.RDBStorage(
        URL.create("sqlite", database=str(path)).render_as_string()
    )
    try:
        with quiet():
            study = optuna.create_study(storage=storage, study_name=name, direction=better)
            study.set_metric_names([metric])
            for key, value in attributes.items():
                study.set_user_attr(key, value)
            study.add_trials(trials)
    finally:
        storage.remove_session()
        storage.engine.dispose()
    held = words.counted(len(trials), "trial")
    return (f"The study {name!r} holds {held}; optuna-dashboard shows it.",)


def _objective(run: Run) -> tuple[str, str]:
    """The selecting metric, and Optuna's word for its direction."""
    metric, direction = run.best.get("metric"), run.best.get("direction")
    if metric is None or direction is None:
        raise InputError(
            f"{BEST} of a run says its metric and direction; that of {str(run.path)!r} does not. "
            f"`hpsearch resume {run.path}` makes it again."
        )
    return metric, "minimize" if direction == "min" else "maximize"


def _attributes(run: Run) -> dict[str, Any]:
    """What the study says of the run: what was asked, what was selected, what to expect."""
    settings, best = run.settings, run.best
    asked = {name: settings[name] for name in _OF_THE_RUN if settings.get(name) is not None}
    promise = run.ledger and run.ledger.promise
    expected = {} if not promise else {"on_new_rows": [promise.value, promise.low, promise.high]}
    versions = {"hpsearch": (settings.get("versions") or {}).get("hpsearch")}
    return {**asked, "selected_trial": best["trial"], **expected, **versions}


# -- trials


def _trials(run: Run) -> Iterator[FrozenTrial]:
    metric, _ = _objective(run)
    require_columns(run, CURVES, ("trial", "epoch", f"val_{metric}"))
    rows = [
        {str(name): value for name, value in row.items()}
        for row in run.trials.sort_values("trial").to_dict("records")
    ]
    declared = run.settings.get("space_hyperparameters") or []
    params = [_typed(words.hyperparameters(row), declared) for row in rows]
    distributions = _distributions(declared, params)
    curves = dict(iter(run.curves.groupby("trial")))
    folds = dict(iter(run.folds.groupby("trial")))
    seconds = dict(zip(run.timings["trial"], run.timings["seconds"], strict=True))
    began = datetime.fromtimestamp((run.path / SETTINGS).stat().st_mtime)
    for row, values in zip(rows, params, strict=True):
        trial = int(row["trial"])
        yield _trial(
            row,
            values,
            {name: distributions[name] for name in values},
            _intermediate(curves.get(trial), metric),
            _of_folds(folds.get(trial), metric),
            began,
            began + timedelta(seconds=float(seconds.get(trial, 0.0))),
        )


def _trial(
    row: Mapping[str, Any],
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    intermediate: dict[int, float],
    folds: list[dict[str, Any]],
    began: datetime,
    ended: datetime,
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    state = {
        "completed": TrialState.COMPLETE,
        "stopped": TrialState.PRUNED,
        "failed": TrialState.FAIL,
    }[row["status"]]
    score = None if words.is_missing(row["score"]) else float(row["score"])
    return FrozenTrial(
        number=int(row["trial"]),
        trial_id=int(row["trial"]),
        state=state,
        value=score if state is TrialState.COMPLETE else None,
        datetime_start=began,
        datetime_complete=ended,
        params=params,
        distributions=distributions,
        user_attrs={**_plain_cells(row), "per_fold": folds},
        system_attrs={"fail_reason": words.error_line(row["error"])}
        if state is TrialState.FAIL
        else {},
        intermediate_values=intermediate,
    )


def _plain_cells(row: Mapping[str, Any]) -> dict[str, Any]:
    """What ``trials.csv`` holds beside the configuration, without what is empty."""
    kept = {
        name: value
        for name, value in row.items()
        if not name.startswith("hp.") and name != "trial" and not words.is_missing(value)
    }
    return {name: _plain(value) for name, value in kept.items()}


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _intermediate(curve: pd.DataFrame | None, metric: str) -> dict[int, float]:
    if curve is None:
        return {}
    pairs = zip(curve["epoch"], curve[f"val_{metric}"], strict=True)
    return {int(epoch): float(value) for epoch, value in pairs if math.isfinite(value)}


def _of_folds(folds: pd.DataFrame | None, metric: str) -> list[dict[str, Any]]:
    """Each fold's score, at the trial's best epoch."""
    if folds is None:
        return []
    rows = folds[["repeat", "fold", f"val_{metric}"]].to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


# -- hyperparameters


def _typed(values: Mapping[str, Any], declared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values of a table's row as they were: whole numbers that a gap made fractions, texts."""
    kinds: dict[str, Mapping[str, Any]] = {each["name"]: each for each in declared}
    return {name: _of_type(value, kinds.get(name)) for name, value in values.items()}


def _of_type(value: Any, declared: Mapping[str, Any] | None) -> Any:
    value = value.item() if hasattr(value, "item") else value
    value = words.unguarded(value) if isinstance(value, str) else value
    if declared is None:
        return value
    if declared["type"] == "int":
        return int(value)
    if declared["type"] == "float":
        return float(value)
    return next((each for each in declared["values"] if _is_same(each, value)), value)


def _is_same(declared: Any, read: Any) -> bool:
    """Whether a table's cell holds a declared value, whatever the other cells made of it."""
    return bool(declared == read) or str(declared) == str(read)


def _distributions(
    declared: Sequence[Mapping[str, Any]], params: Sequence[Mapping[str, Any]]
) -> dict[str, BaseDistribution]:
    """A distribution for each name; a name of several branches has one that holds them all."""
    tried: dict[str, list[Any]] = {}
    for values in params:
        for name, value in values.items():
            tried.setdefault(name, []).append(value)
    return {
        name: _distribution([each for each in declared if each["name"] == name], values)
        for name, values in tried.items()
    }


def _distribution(declared: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> BaseDistribution:
    """What was declared under a name; of runs that did not say, the values that were tried."""
    from optuna.distributions import CategoricalDistribution

    kinds = {(each["type"], each.get("sampling") == "log") for each in declared}
    if len(kinds) == 1 and kinds <= {(kind, log) for kind in ("int", "float") for log in (0, 1)}:
        return _range(declared, values)
    listed = [value for each in declared for value in each.get("values") or ()]
    both = [*listed, *values]
    return CategoricalDistribution(
        [each for at, each in enumerate(both) if not _stands_before(both, at)]
    )


def _stands_before(values: Sequence[Any], at: int) -> bool:
    """Whether a value stands further to the front; 1 and true are two."""
    found = values[at]
    return any(type(each) is type(found) and each == found for each in values[:at])


def _range(declared: Sequence[Mapping[str, Any]], values: Sequence[Any]) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    low = min(each["low"] for each in declared)
    high = max(each["high"] for each in declared)
    is_log = declared[0]["sampling"] == "log"
    step = declared[0]["step"] if len(declared) == 1 and not is_log else None
    if step is not None:
        n_steps = math.floor((high - low) / step + _CLOSE)
        on_steps = all(abs((v - low) / step - round((v - low) / step)) < _CLOSE for v in values)
        last = low + n_steps * step
        step = step if on_steps and max(values) <= last + _CLOSE else None
        high = high if step is None else max(last, *values)
    if declared[0]["type"] == "int":
        return IntDistribution(int(low), int(high), log=is_log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=is_log, step=step)


FORMAT = Format("a study of Optuna", ".db", write, packages=("optuna",), extra="optuna")
