"""Cross-validation of one Keras configuration: the K-fold harness for one's own code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hpsearch import defaults
from hpsearch.data import Dataset, load
from hpsearch.engines import AUTO, checked_option
from hpsearch.engines.contract import FitOptions
from hpsearch.engines.workers import Backend, check_backend
from hpsearch.errors import OptionError, SearchFailedError
from hpsearch.folds import IteratedKFold, choose_splitter, make_folds
from hpsearch.metrics import METRICS, resolve_metric
from hpsearch.results.tables import curves_table, folds_table, predictions_table
from hpsearch.scoring.session import ScaleTarget, Session, SessionPlan
from hpsearch.scoring.trials import TrialResult, prediction_parts
from hpsearch.search.execution import check_count
from hpsearch.space.hyperparameters import active_values
from hpsearch.space.space import Candidate, Space


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of one configuration on every fold.

    Attributes
    ----------
    metric, direction : the selecting metric, ``"min"`` or ``"max"``.
    score : its mean over all folds at the best epoch of the mean curve.
    score_se, ci_low, ci_high : standard error corrected for overlapping training rows (Nadeau &
        Bengio 2003) and its 95 % t interval.
    best_epoch : from 1.
    folds, curves, predictions : as in the files of the same names; the predictions are
        out-of-fold, at the best epoch.
    """

    metric: str
    direction: str
    score: float
    score_se: float
    ci_low: float
    ci_high: float
    best_epoch: int
    folds: pd.DataFrame
    curves: pd.DataFrame
    predictions: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"CrossValidation({self.metric} {self.score:.4g} ± {self.score_se:.2g}, 95 % interval "
            f"{self.ci_low:.4g} to {self.ci_high:.4g}, {len(self.folds)} folds, "
            f"best epoch {self.best_epoch})"
        )


def cross_validate(
    build: Callable[..., Any],
    data: Any,
    y: Any = None,
    *,
    cv: Any = None,
    values: Mapping[str, Any] | None = None,
    epochs: int = defaults.EPOCHS,
    batch_size: int = defaults.BATCH_SIZE,
    patience: int | None = None,
    metric: str | None = None,
    seed: int = defaults.SEED,
    jobs: int | None = None,
    backend: Backend = "loky",
    address: str | None = None,
    task: str | None = None,
    groups: Any = None,
    engine: str = AUTO,
    scale_target: ScaleTarget = "auto",
    max_levels: int = defaults.MAX_LEVELS,
    max_words: int = defaults.MAX_WORDS,
) -> CrossValidation:
    """Score one Keras configuration by iterated K-fold, statistics from training rows alone.

    Parameters
    ----------
    build : returns a compiled ``keras.Model``: ``build()``, ``build(hp)``, ``build(hp,
        problem)``, a ``HyperModel``, or a space's name.
    data, y : a ``Dataset``, or features and target as ``hpsearch.load`` takes them.
    cv : a splitter with scikit-learn's contract; or the number of folds, made once, as in
        scikit-learn; by default the folds and repeats that ``Search`` would take for the data.
    values : hyperparameters, by default the space's own defaults.
    epochs, batch_size, patience, metric, seed, jobs, backend, address, engine, scale_target : as in
        ``Search``, like max_levels and max_words.
    task, groups : as in ``hpsearch.load``.

    Raises
    ------
    InputError
        If the data, the network or an option is wrong; nothing was trained then.
    SearchFailedError
        If a training failed; the reason is in its message.
    """
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        check_count(name, value)
    for name, optional in (("patience", patience), ("jobs", jobs)):
        if optional is not None:
            check_count(name, optional)
    check_count("seed", seed, least=0)
    check_backend(backend, address)
    dataset = load(data, y, task=task, groups=groups)
    folds = make_folds(_splitter(cv, dataset, seed), dataset)
    metrics = resolve_metric(dataset.target.kind, metric)
    plan = SessionPlan(
        space=_space(build),
        fixes=dict(values or {}),
        engine=checked_option(engine),
        options=FitOptions(seed, epochs, batch_size, patience, metrics),
        jobs=jobs,
        scale_target=scale_target,
        max_levels=max_levels,
        max_words=max_words,
        must_save=False,
        backend=backend,
        address=address,
    )
    with Session(plan, dataset, folds) as session:
        declared = session.prepare()
        candidate = Candidate(0, active_values(declared, declared.values))
        [result] = session.score([candidate])
        if result.score is None:
            raise SearchFailedError(
                f"The training failed: {result.row['error']}.\n{result.traceback or ''}".rstrip()
            )
        return _cross_validation(result, session, metrics)


def _cross_validation(
    result: TrialResult, session: Session, metrics: tuple[str, ...]
) -> CrossValidation:
    row = result.row
    return CrossValidation(
        metric=metrics[0],
        direction=METRICS[metrics[0]].direction,
        score=row["score"],
        score_se=row["score_se"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        best_epoch=row["best_epoch"],
        folds=folds_table(result.folds, metrics=metrics).drop(columns="trial"),
        curves=curves_table(result.curves, metrics=metrics).drop(columns="trial"),
        predictions=predictions_table(prediction_parts(result, session.data)),
    )


def _space(build: Any) -> Space:
    """A space of anything that builds a network; ``build()`` without arguments included."""
    if inspect.isfunction(build) and not inspect.signature(build).parameters:

        def build_without_hp(hp: Any) -> Any:
            return build()

        return Space.load(build_without_hp)
    return Space.load(build)


def _splitter(cv: Any, dataset: Dataset, seed: int) -> Any:
    if cv is None or isinstance(cv, int):
        folds, repeats = (defaults.FOLDS, defaults.REPEATS) if cv is None else (cv, 1)
        check_count("cv", folds)
        splitter, _ = choose_splitter(dataset, folds=folds, repeats=repeats, seed=seed)
        return splitter
    if isinstance(cv, str) or not hasattr(cv, "split"):
        raise OptionError(
            "`cv` is a splitter with scikit-learn's split(X, y, groups), or a number of folds; "
            f"received {cv!r}. Use for example {IteratedKFold.__name__}(n_splits=5)."
        )
    return cv
