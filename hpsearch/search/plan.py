"""The plan of a search: what is decided before anything is trained.

Owns ``SearchPlan``, the rows, folds, metrics and space that a search is about, and what the parts
that it calls are asked. Frozen: what happens later stands in ``trial_log`` and in the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.data.loading import load_test
from hpsearch.decisions.calibration import check_calibrates
from hpsearch.decisions.ensembles import STEPS, n_seeds
from hpsearch.decisions.rules import ThresholdRule, check_suits
from hpsearch.engines import AUTO
from hpsearch.engines.contract import FitOptions
from hpsearch.engines.workers import Cluster, limit_of_call
from hpsearch.errors import FoldError, OptionError
from hpsearch.folds import Fold, choose_splitter, hold_back, make_folds
from hpsearch.folds.weighing import check_test_weights
from hpsearch.metrics import Metric
from hpsearch.oracles import oracle_packages
from hpsearch.oracles.base import OraclePlan
from hpsearch.preprocessing.transforms import check_transform
from hpsearch.preprocessing.weights import check_class_weight
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.search.budget import Budget
from hpsearch.search.options import Options
from hpsearch.search.scored import loaded, metrics_of
from hpsearch.search.usual_budget import budget_note, budget_of, with_budget
from hpsearch.search.usual_race import settled
from hpsearch.search.usual_space import space_asked
from hpsearch.space.guards import time_limit
from hpsearch.space.hyperparameters import Values
from hpsearch.space.space import Space
from hpsearch.task import Direction, Target

MOST_ROW_NUMBERS = 250_000_000
"""Of the rows of all folds together: 2 GB."""

MOST_PREDICTED_BYTES = 8 * 2**30
"""Of the validation predictions after every epoch that one repeat of a trial has."""


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """What a search is about.

    Attributes
    ----------
    options : what was asked, and what became of what was not (``usual_budget``, ``usual_race``).
    space : the networks.
    metrics : the metrics, the selecting one first.
    source : the table as it was loaded.
    dataset : the rows to search on; rows : their numbers in the table (n_rows,).
    test : the rows that score the final model, or None.
    folds : all folds, repeat after repeat; split_reason : why they are dealt so, a sentence.
    settled_note : what the search takes where nothing was asked for, in sentences.
    budget : of time, where there is one.
    """

    options: Options
    space: Space
    metrics: tuple[Metric, ...]
    source: Dataset
    dataset: Dataset
    rows: NDArray[np.int64]
    test: Dataset | None
    folds: tuple[Fold, ...]
    split_reason: str
    budget: Budget | None = None
    settled_note: str = ""

    @property
    def direction(self) -> Direction:
        """Whether small or large scores are good."""
        return self.metrics[0].direction

    @property
    def most_repeats(self) -> int:
        """Repeats that a trial may have, those of ``until_decided`` included."""
        dealt = max(fold.repeat for fold in self.folds) + 1
        return min(dealt, self.options.max_repeats) if self.options.until_decided else dealt

    @property
    def n_repeats(self) -> int:
        """Repeats that a completed trial has."""
        return min(self.options.repeats, self.most_repeats)

    @property
    def n_folds(self) -> int:
        """Folds that a completed trial is trained on, P x K."""
        return sum(fold.repeat < self.n_repeats for fold in self.folds)

    @property
    def n_exported(self) -> int:
        """Networks in the exported model; of the best trials the most that there can be."""
        asked = self.options.ensemble
        if asked is None:
            return 1
        if isinstance(asked, int):
            return min(asked, STEPS)
        return self.n_folds if asked == "folds" else n_seeds(self.n_repeats)

    def for_the_oracle(self, portfolio: Sequence[Values] = ()) -> OraclePlan:
        """What the oracle is asked.

        Parameters
        ----------
        portfolio : the space's, which comes after what was given and the defaults.
        """
        options = self.options
        return OraclePlan(
            seed=options.seed,
            max_trials=options.trials,
            epochs=budget_of(options).epochs,
            direction=self.direction,
            first=(*(options.tried or ()), {}, *portfolio),
        )

    def for_the_session(self, engine: str | None = None) -> SessionPlan:
        """How candidates are scored.

        Parameters
        ----------
        engine : the one that the run began with, where it goes on.
        """
        n = self.options.trials
        return session_plan(self.options, self.space, self.metrics, engine=engine, n_candidates=n)


def packages_of(options: Options) -> tuple[str, ...]:
    """Packages that numbers of a search depend on, beside those that all do."""
    of_transformers = () if options.preprocess is None else ("scikit-learn", "scipy")
    return (*oracle_packages(options.oracle), *of_transformers)


def plan_search(options: Options, source: Dataset) -> SearchPlan:
    """Plan a search of a table.

    Raises
    ------
    InputError
        The space can't be loaded, or the rows don't allow the folds that are asked for.
    """
    with time_limit(limit_of_call(options.trial_timeout)):
        space = space_asked(options.space, source.schema)
    options = loaded(options)
    source = source.scored(by_weight=options.weigh_scores)
    dataset, rows, test = _part_test_rows(options, source)
    if test is not None:
        check_test_weights(test)
    dataset, test = as_learnt(options, dataset, test)
    check_decisions(options, dataset.target)
    asked_epochs, options = options.epochs, with_budget(options, dataset.n_rows)
    metrics = metrics_of(options, source, test)
    folds, reason = _deal(options, dataset)
    options, note = settled(options, n_repeats=max(fold.repeat for fold in folds) + 1)
    if asked_epochs is None and (said := budget_note(options, dataset.n_rows)):
        note = f"{note} {said}".lstrip()
    return SearchPlan(
        options, space, metrics, source, dataset, rows, test, folds, reason, settled_note=note
    )


def as_learnt(
    options: Options, dataset: Dataset, test: Dataset | None = None
) -> tuple[Dataset, Dataset | None]:
    """The rows to train on, and test rows, with what networks learn of their target.

    Raises
    ------
    OptionError
        The target doesn't allow what is asked of its classes' weights or of its values.
    """
    check_class_weight(options.class_weight, dataset.target)
    targets = [rows.y for rows in (dataset, test) if rows is not None]
    check_transform(options.transform, dataset.target, *targets)
    if options.transform is None:
        return dataset, test
    return dataset.learnt_as(options.transform), test and test.learnt_as(options.transform)


def check_decisions(options: Options, target: Target) -> None:
    """Refuse what can't be decided of a target: OptionError."""
    check_calibrates(options.calibrate, target)
    if options.threshold is not None:
        check_suits(ThresholdRule.of(options.threshold), target)


def plan_in_time(plan: SearchPlan, options: Options, budget: Budget) -> SearchPlan:
    """The plan of what time left of a search.

    Parameters
    ----------
    options : those of the plan, with fewer trials or repeats; budget : what was spent for them.
    """
    folds, reason = _deal(options, plan.dataset)
    return replace(plan, options=options, budget=budget, folds=folds, split_reason=reason)


def session_plan(
    options: Options,
    space: Space,
    metrics: tuple[Metric, ...],
    *,
    engine: str | None = None,
    must_save: bool = True,
    n_candidates: int = 1,
) -> SessionPlan:
    """How candidates are scored.

    Parameters
    ----------
    options : ``scored.loaded``, with a budget (``usual_budget``).
    engine : what ``auto`` became when the run began; None where it begins.
    must_save : whether networks must be loadable without the space's code.
    n_candidates : how many at most.
    """
    budget = budget_of(options)
    asked = options.engine if engine is None or options.engine != AUTO else engine
    return SessionPlan(
        space=space,
        fixes=dict(options.fix or {}),
        engine=asked,
        options=FitOptions(
            seed=options.seed,
            epochs=budget.epochs,
            batch_size=budget.batch_size,
            patience=options.patience,
            metrics=metrics,
        ),
        jobs=options.jobs,
        scale_target=options.scale_target,
        max_levels=options.max_levels,
        max_words=options.max_words,
        must_save=must_save,
        n_candidates=n_candidates,
        trial_timeout=options.trial_timeout,
        cluster=Cluster.parse(options.cluster),
        class_weight=options.class_weight,
        transformer=options.preprocess,
    )


def _part_test_rows(
    options: Options, source: Dataset
) -> tuple[Dataset, NDArray[np.int64], Dataset | None]:
    """The rows to search on, their numbers in the table, and the test rows."""
    every_row = np.arange(source.n_rows)
    if options.test_data is not None:
        test = _test_rows(options.test_data, source)
        return source, every_row, test.scored(by_weight=options.weigh_scores)
    if options.test_size is not None and not options.holds_out:
        rows, test_rows = hold_back(
            source,
            options.test_size,
            options.seed,
            gap=options.gap,
            duplicates=options.duplicates,
        )
        return source.take(rows), rows, source.take(test_rows)
    return source, every_row, source.test


def _test_rows(given: Any, dataset: Dataset) -> Dataset:
    """Test rows under the schema of the rows to search on."""
    if not isinstance(given, Dataset):
        return load_test(given, dataset)
    if given.schema != dataset.schema:
        raise OptionError(
            "`test_data` must have been read under the schema of the data; received a Dataset "
            "with another one. Give its file or table instead, or load it with "
            "hpsearch.load(..., schema=data.schema)."
        )
    return given


def check_sizes(options: Options, dataset: Dataset) -> None:
    """Raise ``InputError`` where the folds or the predictions of a table would fill the memory."""
    option = "--max-repeats" if options.until_decided else "--repeats"
    repeats = options.max_repeats if options.until_decided else options.repeats
    n = options.folds * repeats * dataset.n_rows
    if n > MOST_ROW_NUMBERS:
        raise FoldError(
            f"{options.folds} folds, {repeats} times, of {dataset.n_rows:,} rows are {n:,} numbers "
            f"of rows to remember, and {MOST_ROW_NUMBERS:,} are the most. Lower {option}."
        )
    epochs = budget_of(options).epochs
    size = 4 * epochs * dataset.n_rows * max(1, dataset.target.n_outputs)
    if size > MOST_PREDICTED_BYTES:
        raise OptionError(
            "The validation predictions after every epoch are kept until a trial is complete: "
            f"--epochs {epochs} on {dataset.n_rows:,} rows make {size / 2**30:,.0f} GB a "
            f"repeat, and {MOST_PREDICTED_BYTES / 2**30:.0f} GB are the most. Lower --epochs."
        )


def _deal(options: Options, dataset: Dataset) -> tuple[tuple[Fold, ...], str]:
    check_sizes(options, dataset)
    splitter, reason = choose_splitter(
        dataset,
        split=options.split,
        folds=options.folds,
        repeats=options.max_repeats if options.until_decided else options.repeats,
        at_most=options.until_decided,
        gap=options.gap,
        test_size=options.test_size if options.holds_out else None,
        seed=options.seed,
        duplicates=options.duplicates,
    )
    folds = make_folds(splitter, dataset)
    races = options.races or options.until_decided
    if races and all(fold.repeat == 0 for fold in folds):
        raise OptionError(
            "This split has one repeat, so there is nothing to race over and nothing to add; "
            f"received {'--until-decided' if options.until_decided else '--race'} with the "
            f"split: {reason} Leave the option out, or use --rungs."
        )
    return folds, reason
