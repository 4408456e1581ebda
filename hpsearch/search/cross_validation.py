"""Cross-validation of one Keras configuration: the K-fold harness for one's own code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from hpsearch import options as rules
from hpsearch import snippets, words
from hpsearch.data import Dataset, load
from hpsearch.engines import importing
from hpsearch.errors import OptionError, SearchFailedError
from hpsearch.folds import Fold, IteratedKFold, choose_splitter, make_folds
from hpsearch.metrics import Metric
from hpsearch.options import MOST_FOLDS, check_options, count, taking
from hpsearch.results.tables import curves_table, folds_table, predictions_table
from hpsearch.scoring.observer import Observer, usual_observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.scoring.trials import TrialResult, prediction_parts
from hpsearch.search.options import FOR_ONE_NETWORK, Options
from hpsearch.search.plan import as_learnt, session_plan
from hpsearch.search.scored import loaded, metrics_of
from hpsearch.search.telling import weighing_told
from hpsearch.search.usual_budget import with_budget
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
    best_epoch : from 1; the last one where the scores are read there.
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

    def _repr_html_(self) -> str:
        """The score in short, as a notebook shows it."""
        better = "lower" if self.direction == "min" else "higher"
        return snippets.shown(
            f"{self.metric} {words.score(self.score, self.score_se)}",
            snippets.facts(
                {
                    "95 % interval": words.interval(self.ci_low, self.ci_high),
                    "metric": f"{self.metric}, {better} is better",
                    "folds": str(len(self.folds)),
                    "best epoch": str(self.best_epoch),
                }
            ),
        )

    def __repr__(self) -> str:
        return (
            f"CrossValidation({self.metric} {self.score:.4g} ± {self.score_se:.2g}, 95 % interval "
            f"{self.ci_low:.4g} to {self.ci_high:.4g}, {len(self.folds)} folds, "
            f"best epoch {self.best_epoch})"
        )


@taking(FOR_ONE_NETWORK)
def cross_validate(
    build: Any,
    data: Any,
    y: Any = None,
    *,
    cv: Any = None,
    values: Mapping[str, Any] | None = None,
    task: str | None = None,
    groups: Any = None,
    sample_weight: Any = None,
    epoch: str = "best",
    observer: Observer | None = None,
    quiet: bool = False,
    **options: Any,
) -> CrossValidation:
    """Score one Keras configuration by iterated K-fold, statistics from training rows alone.

    Parameters
    ----------
    build : returns a compiled ``keras.Model``: ``build()``, ``build(hp)``, ``build(hp,
        problem)``, a ``HyperModel``, or a space's name. Or a ``KerasClassifier`` or
        ``KerasRegressor``, which has values, task and options of its own.
    data, y : a ``Dataset``, or features and target as ``hpsearch.load`` takes them.
    cv : a splitter with scikit-learn's contract; the number of folds, made once, as in
        scikit-learn; or the folds, pairs of row numbers to train and to validate on. By default the
        folds and repeats that ``Search`` would take for the data.
    values : hyperparameters, by default the space's own defaults.
    task, groups, sample_weight : as in ``hpsearch.load``.
    epoch : where the scores are read: ``"best"``, the best epoch of the mean curve, or ``"last"``.
    observer, quiet : as in ``Search``; by default warnings, and how far it is.

    Raises
    ------
    InputError
        If the data, the network or an option is wrong; nothing was trained then.
    SearchFailedError
        If a training failed; the reason is in its message.
    """
    check_options("cross_validate", options, FOR_ONE_NETWORK)
    if hasattr(build, "cross_validate"):
        own = {"values": values, "task": task}
        given = [name for name, value in own.items() if value is not None]
        if given:
            raise OptionError(
                f"{type(build).__name__} has {' and '.join(given)} of its own; leave "
                f"{'them' if len(given) > 1 else 'it'} out, or use set_params."
            )
        by_row = {"groups": groups, "sample_weight": sample_weight}
        how = {"epoch": epoch, "observer": observer, "quiet": quiet, **options}
        found: CrossValidation = build.cross_validate(data, y, cv=cv, **by_row, **how)
        return found
    at_end = rules.one_of(("best", "last"))("epoch", epoch) == "last"
    asked = loaded(Options(space_of(build), fix=values, **options))
    with (
        observer or usual_observer(quiet=quiet) as observer,
        importing(asked.engine, asked.cluster),
    ):
        dataset = load(data, y, task=task, groups=groups, sample_weight=sample_weight)
        dataset, _ = as_learnt(asked, dataset.scored(by_weight=asked.weigh_scores))
        folds = make_folds(_splitter(cv, dataset, asked), dataset)
        metrics = metrics_of(asked, dataset)
        asked = with_budget(asked, dataset.n_rows)
        plan = session_plan(asked, asked.space, metrics, must_save=False)
        return _scored(replace(plan, at_end=at_end), dataset, folds, metrics, observer)


def _scored(
    plan: SessionPlan,
    dataset: Dataset,
    folds: Sequence[Fold],
    metrics: tuple[Metric, ...],
    observer: Observer,
) -> CrossValidation:
    for text in dataset.warnings:
        observer.warn(text)
    for text in weighing_told(dataset):
        observer.note(text)
    with Session(plan, dataset, folds) as session:
        declared = session.prepare()
        for text in session.warnings:
            observer.warn(text)
        candidate = Candidate(0, active_values(declared, declared.values))
        observer.search_started(
            n_trials=1,
            n_folds=len(folds),
            metric=metrics[0],
            direction=metrics[0].direction,
            jobs=session.jobs,
        )
        [result] = session.score([candidate], observer=observer)
        observer.trial_scored(result)
        observer.trial_done(result.row)
        observer.search_ended(None)
        if result.score is None:
            raise SearchFailedError(
                f"The training failed: {result.row['error']}.\n{result.traceback or ''}".rstrip()
            )
        return _cross_validation(result, session, metrics)


def _cross_validation(
    result: TrialResult, session: Session, metrics: tuple[Metric, ...]
) -> CrossValidation:
    row = result.row
    return CrossValidation(
        metric=metrics[0].name,
        direction=metrics[0].direction,
        score=row["score"],
        score_se=row["score_se"],
        ci_low=row["ci_low"],
        ci_high=row["ci_high"],
        best_epoch=row["best_epoch"],
        folds=folds_table(result.folds, metrics=metrics).drop(columns="trial"),
        curves=curves_table(result.curves, metrics=metrics).drop(columns="trial"),
        predictions=predictions_table(prediction_parts(result, session.data)),
    )


def space_of(build: Any) -> Space:
    """A space of anything that builds a network; ``build()`` without arguments included."""
    if inspect.isfunction(build) and not inspect.signature(build).parameters:

        def build_without_hp(hp: Any) -> Any:
            return build()

        return Space.load(build_without_hp)
    return Space.load(build)


def _splitter(cv: Any, dataset: Dataset, options: Options) -> Any:
    if cv is None or isinstance(cv, int):
        folds, repeats = options.folds, options.repeats
        if cv is not None:
            folds, repeats = count(most=MOST_FOLDS)("cv", cv), 1
        splitter, _ = choose_splitter(dataset, folds=folds, repeats=repeats, seed=options.seed)
        return splitter
    if hasattr(cv, "split") and not isinstance(cv, str):
        return cv
    pairs = list(cv) if isinstance(cv, Iterable) and not isinstance(cv, str) else []
    if not pairs or any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise OptionError(
            "`cv` is a splitter with scikit-learn's split(X, y, groups), a number of folds, or "
            "folds, each a pair of row numbers to train and to validate on; "
            f"received {cv!r}. Use for example {IteratedKFold.__name__}(n_splits=5)."
        )
    from sklearn.model_selection import check_cv

    return check_cv(pairs)
