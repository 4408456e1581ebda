"""Nesting: the whole search inside each of some outer folds, its winner scored outside.

Owns the outer folds, what is recorded of them, and the rows of ``nested.csv``. The search inside is
the search's own; the estimate that comes of it belongs to ``hpsearch.ledger``.

Each outer fold has a journal of its own under the run's folder, ``nested/outer-0-of-5.sqlite``: the
inner search is recorded there and replayed from there as any other. Where it ended, the journal's
settings hold the outcome, so that it is not even replayed.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import figures_at
from hpsearch.errors import FoldError, InputError, SearchFailedError
from hpsearch.export.refit import refit_and_predict
from hpsearch.folds import Fold, choose_splitter, make_folds
from hpsearch.ledger import Nested, NestedFold, estimates
from hpsearch.ledger.record import known
from hpsearch.metrics import score
from hpsearch.oracles import make_oracle
from hpsearch.results import RunFolder, forms
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import Row, TrialResult
from hpsearch.search.bookkeeping import Books
from hpsearch.search.deciding import Deciding, decides
from hpsearch.search.ensembling import Ensembling
from hpsearch.search.loop import score_trials, select
from hpsearch.search.plan import SearchPlan, plan_search
from hpsearch.search.trial_log import TrialLog

SECONDS_BETWEEN_LINES: Final = 10.0
"""An inner search says how far it has come this often."""


@dataclass(frozen=True)
class NestedOutcome:
    """What the nested search gave.

    Attributes
    ----------
    rows : of ``nested.csv``.
    nested : the estimate, None where an outer fold has no score.
    failures : why, a sentence for each such fold.
    """

    rows: tuple[Row, ...] = ()
    nested: Nested | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Nesting:
    """The outer folds of a search, and a search inside each of them.

    Attributes
    ----------
    plan : of the search around.
    folds : the outer folds.
    """

    plan: SearchPlan
    folds: tuple[Fold, ...]

    @classmethod
    def of(cls, plan: SearchPlan) -> Nesting | None:
        """The nesting that a search asks for, each outer fold planned; None where it asks for none.

        Raises
        ------
        InputError
            The rows do not allow the outer folds, or the folds inside one.
        """
        if plan.options.nested is None:
            return None
        nesting = cls(plan, _outer_folds(plan, plan.options.nested))
        for fold in nesting.folds:
            nesting.inner_plan(fold)
        return nesting

    def inner_plan(self, fold: Fold) -> SearchPlan:
        """The search on the training rows of an outer fold: the same, but for what comes after."""
        options = self.plan.options
        asked = replace(
            options,
            space=self.plan.space,
            nested=None,
            minutes=None,
            test_data=None,
            test_size=options.test_size if options.holds_out else None,
        )
        try:
            return plan_search(asked, self.plan.dataset.take(fold.train))
        except FoldError as error:
            raise FoldError(
                f"`--nested {len(self.folds)}` searches on the training rows of each outer fold; "
                f"those of outer fold {fold.fold} cannot be dealt: {error}"
            ) from error

    def cost(self, n_replicas: int) -> str:
        """What it adds to a search of so many trainings, a sentence for people."""
        n_folds, options = len(self.folds), self.plan.options
        at_most = "at most " if options.races or (options.rungs or 1) > 1 else ""
        return (
            f"Nested: {n_folds} more searches follow, one in each outer fold: "
            f"{at_most}{n_folds * n_replicas:,} trainings beside the {n_replicas:,}."
        )

    def run(
        self, session: Session, folder: RunFolder, record: Row, said: Callable[[str], None]
    ) -> NestedOutcome:
        """Search inside each outer fold, or read what is recorded of it.

        Parameters
        ----------
        session : the outer search's, whose workers do the work; folder : the run's.
        record : what the run is asked (``resuming.record_of``): an outcome of other options does
            not count.
        said : hears what is done.
        """
        rows: list[Row] = []
        found: list[NestedFold] = []
        for fold in self.folds:
            progress = _Progress(f"nested search {fold.fold + 1} of {len(self.folds)}", said)
            asked = {"options": record["options"], "outer": _identity(fold, len(self.folds))}
            with folder.nested_journal(fold.fold, len(self.folds), asked) as journal:
                if journal.was_damaged:
                    said(f"outer fold {fold.fold}: its journal was damaged; what is lost is redone")
                try:
                    done = _recorded(journal, asked) or self._searched(
                        fold, session, journal, progress
                    )
                except SearchFailedError as error:
                    rows.append(_failed(fold, error))
                    continue
                journal.update({**asked, **_shape_in(journal), "outcome": asdict(done)})
            found.append(done)
            rows.append(_row(done))
        failures = tuple(row["error"] for row in rows if row.get("error"))
        return NestedOutcome(tuple(rows), None if failures else estimates.nested(found), failures)

    def _searched(
        self,
        fold: Fold,
        session: Session,
        journal: Journal,
        progress: Observer,
    ) -> NestedFold:
        """Search on the training rows of an outer fold, and score the winner on the others."""
        outside = self.plan.dataset.take(fold.validation)
        found = search_within(self.inner_plan(fold), session, journal, progress, outside)
        best, predictions = found.best, found.predictions
        metric = self.plan.metrics[0]
        value = float(
            score(
                metric,
                outside.y,
                predictions,
                kind=outside.target.kind,
                weights=outside.score_weights,
            )
        )
        if not math.isfinite(value):
            raise SearchFailedError(
                f"The winner of outer fold {fold.fold}, trial {best.candidate.trial}, has no "
                f"{metric} on its validation rows: its refit diverged, or the metric is not "
                "defined there."
            )
        return NestedFold(
            fold=fold.fold,
            n_train=len(fold.train),
            n_test=len(fold.validation),
            trial=best.candidate.trial,
            epoch=best.row["best_epoch"],
            inner_score=best.row["score"],
            outer_score=value,
            hyperparameters=dict(best.candidate.values),
            thresholds=found.thresholds,
            threshold_score=found.threshold_score(outside),
        )


@dataclass(frozen=True, eq=False)
class FoundWithin:
    """What a search within another one gave.

    Attributes
    ----------
    best : its winner, and predictions : what it says of other rows.
    rule, thresholds : from which probabilities on labels are predicted, and how that was chosen;
        None and empty where it was not asked for.
    """

    best: TrialResult
    predictions: NDArray[np.float32]
    rule: ThresholdRule | None
    thresholds: tuple[float, ...]

    def threshold_score(self, rows: Dataset) -> float | None:
        """The rule's figure of the rows that were predicted; None where it is not defined."""
        if self.rule is None:
            return None
        found = figures_at(self.rule, self.thresholds, rows.y, self.predictions, rows.score_weights)
        return known(found[self.rule.name])


def search_within(
    plan: SearchPlan, around: Session, journal: Journal, observer: Observer, new_rows: Dataset
) -> FoundWithin:
    """Search without leaving any file: the winner, and what it predicts of other rows.

    Parameters
    ----------
    around : an open session on more rows of the same table, whose workers do the work.
    journal : where the trials are recorded; observer : hears of them.
    new_rows : what is predicted by the winner, trained on all rows of this search.

    Raises
    ------
    SearchFailedError
        Every trial failed.
    """
    with around.within(plan.for_the_session(), plan.dataset, plan.folds) as session:
        declared = session.prepare()
        asked = plan.for_the_oracle(session.portfolio())
        oracle = make_oracle(plan.options.oracle, declared, asked)
        _keep_shape(session, journal)
        log = TrialLog(plan.metrics, plan.direction)
        score_trials(plan, session, oracle, journal, log, observer)
        best = select(plan, log)
        if decides(plan.options):
            best = session.restore_predictions(best, journal)
        books = Books.of(plan, log, best)
        ensembling = Ensembling(plan, session, books, best, journal)
        members, deciding = ensembling.members, Deciding.of(plan, books, ensembling)
        rows = session.encoded_rows(new_rows)
        refit = session.crew.begin_refit(
            refit_and_predict, session.job, members, rows, n_networks=len(members)
        )
        threshold = deciding.threshold
        values = () if threshold is None else threshold.values
        predictions, _ = refit.result()
        return FoundWithin(best, deciding.calibrated(predictions), deciding.rule, values)


def _keep_shape(session: Session, journal: Journal) -> None:
    """Hold the rows' shape, as a transformer of one's own gives them, against the recorded one."""
    if session.prepared is None:
        return
    shape, was = list(session.prepared.shape), _shape_in(journal).get("prepared")
    if was is not None and was != shape:
        raise InputError(
            "A nested search goes on with rows of the shape that it began with; the transformer "
            f"gives {shape} with the folds of more repeats, and gave {was}. Run another search "
            "with --out."
        )
    journal.update({**journal.settings, "prepared": shape})


def _shape_in(journal: Journal) -> Row:
    settings = journal.settings
    return {"prepared": settings["prepared"]} if "prepared" in settings else {}


class _Progress(SilentObserver):
    """Says that an inner search begins, and now and then how far it has come."""

    def __init__(self, name: str, said: Callable[[str], None]) -> None:
        self._name, self._said = name, said
        self._n_replicas = self._n_done = 0
        self._last_line = time.monotonic()
        said(name)

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """Count what there is to do."""
        self._n_replicas = n_trials * n_folds

    def folds_done(self, trial: int, n: int) -> None:
        """Count, and say so where the last line is some seconds old."""
        self._n_done += n
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._said(f"{self._name}: {self._n_done} of {self._n_replicas} trainings")


def _outer_folds(plan: SearchPlan, n_folds: int) -> tuple[Fold, ...]:
    """The outer folds, by the kind of splitter that the search itself uses."""
    options = plan.options
    splitter, _ = choose_splitter(
        plan.dataset,
        split="auto" if options.split == "holdout" else options.split,
        folds=n_folds,
        repeats=1,
        gap=options.gap,
        seed=options.seed,
        duplicates=options.duplicates,
    )
    try:
        return make_folds(splitter, plan.dataset)
    except FoldError as error:
        raise FoldError(
            f"`--nested {n_folds}` deals outer folds as --folds deals inner ones: {error}"
        ) from error


def _identity(fold: Fold, n_folds: int) -> Row:
    digest = hashlib.sha256(fold.train.tobytes() + fold.validation.tobytes()).hexdigest()
    return {"fold": fold.fold, "of": n_folds, "rows": digest}


def _recorded(journal: Journal, asked: Row) -> NestedFold | None:
    """The outcome that a journal holds, if it is of what is asked."""
    was = journal.settings
    if was.get("outer") != asked["outer"]:
        raise InputError(
            f"A nested search goes on with the outer folds that it began with; "
            f"{str(journal.path)!r} holds others. Remove the file, and it is searched again."
        )
    if was.get("options") != asked["options"]:  # more trials or repeats: replayed, and more added
        journal.update({**asked, **_shape_in(journal)})
        return None
    outcome = was.get("outcome") or {}
    try:
        _OUTCOME(outcome, "")
    except ValueError:  # it did not end, or something else stands there: it is replayed
        return None
    there = {each.name: outcome[each.name] for each in fields(NestedFold) if each.name in outcome}
    return NestedFold(**{**there, "thresholds": tuple(there.get("thresholds", ()))})


_OUTCOME: Final = forms.record(
    {
        **forms.each(forms.count, "fold n_train n_test trial epoch"),
        **forms.each(forms.number, "inner_score outer_score"),
        "hyperparameters": forms.mapping(forms.scalar),
        "thresholds": forms.listed(forms.number),
        "threshold_score": forms.number,
    },
    needs=[each.name for each in fields(NestedFold) if each.default is MISSING],
)


def _row(done: NestedFold) -> Row:
    values = {f"hp.{name}": value for name, value in done.hyperparameters.items()}
    apart = ("hyperparameters", "thresholds", "threshold_score")
    row = {name: value for name, value in asdict(done).items() if name not in apart}
    if done.thresholds:
        several = " ".join(f"{value:.12g}" for value in done.thresholds)
        row["threshold"] = done.thresholds[0] if len(done.thresholds) == 1 else several
        row["threshold_score"] = done.threshold_score
    return {**row, **values}


def _failed(fold: Fold, error: Exception) -> Row:
    return {
        "fold": fold.fold,
        "n_train": len(fold.train),
        "n_test": len(fold.validation),
        "error": f"{error}",
    }
