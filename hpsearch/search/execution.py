"""The story of a search, from a table to an exported model; and going on with it.

Owns ``Search``, ``resume`` and ``execute``, which joins the parts: the loop, the ledger's books,
baselines, nesting, refit, export and documents. What is decided before belongs to ``plan``, asking
and telling to ``loop``, options to ``options``, what must not have changed to ``resuming``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hpsearch.data import Dataset, load
from hpsearch.engines import importing
from hpsearch.errors import SearchFailedError
from hpsearch.ledger import Ledger
from hpsearch.logs import heard_beside
from hpsearch.options import documented, taking
from hpsearch.oracles import make_oracle
from hpsearch.report import model_card_text
from hpsearch.results import Run, RunFolder, free_name, open_run
from hpsearch.results.journal import Journal
from hpsearch.results.reporting import write_missing_texts
from hpsearch.results.tables import (
    baselines_table,
    importance_table,
    nested_table,
    predictions_table,
)
from hpsearch.scoring.observer import Observer, usual_observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import TrialResult, prediction_parts
from hpsearch.search import documents, telling
from hpsearch.search.baselines import BaselineScores, score_baselines
from hpsearch.search.bookkeeping import Books, positions_of
from hpsearch.search.budget import Budget
from hpsearch.search.column_importance import importance_of_columns
from hpsearch.search.deciding import Deciding
from hpsearch.search.ensembling import Ensembling, check_ensemble, check_size
from hpsearch.search.final_model import FinalModel
from hpsearch.search.loop import score_trials, select
from hpsearch.search.nesting import NestedOutcome, Nesting
from hpsearch.search.options import OPTIONS, RESUMABLE, Options
from hpsearch.search.pacing import UNLIMITED, Minutes, Pacing, now
from hpsearch.search.plan import SearchPlan, plan_search
from hpsearch.search.resuming import (
    Record,
    budget_of,
    check_growth,
    check_unchanged,
    data_of,
    executed_of,
    has_grown,
    options_of,
    own_metrics_of,
    record_of,
    recorded_in,
    space_of,
    test_data_of,
    transformer_of,
    with_more_time,
)
from hpsearch.search.scored import options_again
from hpsearch.search.trial_log import TrialLog
from hpsearch.space.files import named_files

RESULTS_ROOT: Final = "results"

MOST_SECONDS_OF_IMPORTS: Final = 15.0
"""What passes before the first trial beyond this is for the data, which are read once."""


@documented(OPTIONS)
@dataclass(frozen=True)
class Search(Options):
    """A hyperparameter search scored by iterated K-fold, from a table to an exported model.

    Parameters
    ----------
    observer : an ``hpsearch.Observer`` that hears what happens. By default what was understood, a
        line that is renewed and the result in a notebook, lines on a terminal, and nothing where
        standard output is neither.
    quiet : show nothing, wherever Python runs.
    began : the moment, by ``time.monotonic()``, from which ``minutes`` count; by default that of
        the call of ``run``.
    reports : whether the report is written at the end; ``Run.report`` writes it at any time.

    Examples
    --------
    >>> import hpsearch
    >>> search = hpsearch.Search(trials=20, folds=5, repeats=2, fix={"optimizer": "adam"})
    >>> search.n_replicas
    200
    """

    observer: Observer | None = field(default=None, kw_only=True, repr=False)
    quiet: bool = field(default=False, kw_only=True, repr=False)
    began: float | None = field(default=None, kw_only=True, repr=False)
    reports: bool = field(default=True, kw_only=True, repr=False)

    def run(self, data: Any) -> Run:
        """Search on a table, and leave the run's files.

        Each finished work unit is recorded in the run's journal, so that ``hpsearch.resume`` can
        go on after any interruption.

        Parameters
        ----------
        data : a ``Dataset``, or whatever ``hpsearch.load`` takes without further arguments.

        Returns
        -------
        The finished run, its tables read from disk.

        Raises
        ------
        InputError
            If the data, the space or an option is wrong; nothing was trained then.
        SearchFailedError
            If every trial failed.
        StorageError
            If the run's folder can't be written any more, as on a full disk; the journal is valid.
        """
        began = now() if self.began is None else self.began
        with (
            self.observer or usual_observer(quiet=self.quiet) as observer,
            importing(self.engine, self.cluster),
        ):
            dataset = load(data)
            planned = _Planned.of(self, dataset, began, Budget.of(self))
            planned = replace(planned, reports=self.reports)
            path = self.out or free_name(RESULTS_ROOT, dataset.name)
            with (
                heard_beside(observer, self.log) as heard,
                RunFolder.create(path, overwrite=self.overwrite) as folder,
            ):
                return execute(planned, folder, heard)


@taking(RESUMABLE, unset=True)
def resume(
    path: str | Path,
    data: Any = None,
    *,
    space: Any = None,
    test_data: Any = None,
    metric: Any = None,
    also: Any = None,
    preprocess: Any = None,
    accept_changes: bool = False,
    observer: Observer | None = None,
    quiet: bool = False,
    began: float | None = None,
    **options: Any,
) -> Run:
    """Go on with a run that was interrupted, or give a finished one more trials, repeats or time.

    Only what is new is trained, and the tables are those of one uninterrupted run. Where more
    repeats move a selected trial's best epoch, its predictions there may have to be made again.

    Parameters
    ----------
    path : the run's folder.
    data : where the table is now, as ``hpsearch.load`` takes it, or a ``Dataset``; by default
        where it was.
    space, test_data, metric, also, preprocess : to be given again where they were Python objects.
    accept_changes : go on although versions of Python or of packages changed.
    observer, quiet, began : as in ``Search``.
    options : options of ``Search``; those that may grow or change are below, further ones must be
        what they were. By default all are as they were.

    Raises
    ------
    InputError
        If the folder is in use or holds no run, or if the data, the space's source, an option or a
        version is not what the run began with; the message names it.
    SearchFailedError, StorageError
        As ``Search.run``.

    Examples
    --------
    >>> import hpsearch
    >>> run = hpsearch.resume("results/iris", trials=100)  # doctest: +SKIP
    """
    given = {name: value for name, value in options.items() if value is not None}
    began = now() if began is None else began
    with (
        observer or usual_observer(quiet=quiet) as observer,
        RunFolder.reopen(path) as folder,
        folder.journal() as journal,
    ):
        if folder.replaces:
            observer.note(
                "This goes on with the run that is to replace the one in the folder, which stays "
                f"until then; without {str(folder.place)!r} that one would be resumed."
            )
        was = recorded_in(journal)
        for executed in executed_of(was, space, preprocess):
            observer.note(executed)
        before = with_more_time(was, given)
        asked_before = options_of(before)
        scored = options_again(own_metrics_of(was), asked_before, {"metric": metric, "also": also})
        asked = Options(
            space_of(was, space),
            **{**asked_before, **given, **scored},
            test_data=test_data_of(was, test_data),
            preprocess=transformer_of(was, preprocess),
            out=path,
        )
        budget = Budget.of(asked, budget_of(was))
        if budget is None and "trials" not in given:
            budget = budget_of(was)
        with importing(was["engine"], asked.cluster):
            planned = _Planned.of(asked, data_of(was, data), began, budget)
            check_growth(before, planned.record)
            check_unchanged(before, planned.record, accept_versions=accept_changes)
            with heard_beside(observer, asked.log) as heard:
                if folder.is_finished and not has_grown(was, planned.record):
                    heard.note(telling.finished(planned.plan))
                    run = _with_texts(open_run(path), heard)
                    heard.run_started(run.path, run.settings)
                    heard.search_ended(run)
                    return run
                return execute(planned, folder, heard, journal)


@dataclass(frozen=True, eq=False)
class _Planned:
    """A search that may begin: its plan, the searches inside outer folds, when it began."""

    plan: SearchPlan
    nesting: Nesting | None
    began: float
    reports: bool = True

    @classmethod
    def of(
        cls, options: Options, dataset: Dataset, began: float, budget: Budget | None
    ) -> _Planned:
        plan = replace(plan_search(options, dataset), budget=budget)
        check_ensemble(plan)
        return cls(plan, Nesting.of(plan), began)

    @property
    def record(self) -> Record:
        """What is recorded of it."""
        return record_of(self.plan)

    def with_plan(self, plan: SearchPlan) -> _Planned:
        """The search of what time left of its plan."""
        return replace(self, plan=plan, nesting=self.nesting and replace(self.nesting, plan=plan))


def execute(
    planned: _Planned, folder: RunFolder, observer: Observer, journal: Journal | None = None
) -> Run:
    """The story of a search.

    Parameters
    ----------
    folder : where its files go.
    journal : what was done before, where the run goes on.
    """
    plan = planned.plan
    telling.tell_what_was_understood(plan, observer)
    if planned.nesting is not None:
        observer.note(planned.nesting.cost(plan.options.n_replicas))
    telling.tell_of_the_race(plan, observer)
    telling.tell_where_results_go(folder.path, observer)
    engine = None if journal is None else journal.settings["engine"]
    with Session(plan.for_the_session(engine), plan.dataset, plan.folds, observer.note) as session:
        observer.stage("check")
        declared = session.prepare()
        check_size(plan, session)
        if plan.test is not None:
            session.check_new_rows(plan.test)
        asked = plan.for_the_oracle(session.portfolio())
        telling.tell_of_what_comes_first(plan, declared, asked, observer)
        oracle = make_oracle(plan.options.oracle, declared, asked)
        telling.tell_how_networks_are_trained(session, observer)
        with _begin(planned, session, folder, observer, journal) as journal:
            log = TrialLog(plan.metrics, plan.direction, folder.write_tables)
            baselines = _Baselines(plan, session, folder, observer)
            pacing = _pacing(planned, session, folder, observer, journal, baselines)
            plan = score_trials(plan, session, oracle, journal, log, observer, pacing)
            planned = planned.with_plan(plan)
            best = session.restore_predictions(_select(plan, log, folder, observer), journal)
            books = Books.of(plan, log, best)
            deciding = Deciding.of(plan, books, Ensembling(plan, session, books, best, journal))
            refit = FinalModel(plan, session, best, deciding)
            corrected = deciding.bias_corrected(
                journal, lambda trial: session.restore_predictions(trial, journal)
            )
            _measure_columns(plan, session, best, journal, folder, observer)
        folder.write_tables(predictions=predictions_table(_prediction_parts(plan, session, best)))
        beside = baselines.scored(positions_of(best, plan.folds), refit.go_on)
        nested = _search_nested(planned, session, folder, observer)
        refitted, kind = refit.finish(folder, observer)
        session.crew.dismiss()
        decided = deciding.decided(corrected, nested.nested, plan.test, refitted)
        ledger = books.ledger(
            bias_corrected=corrected,
            baselines=beside,
            outer=nested.nested,
            nested_failures=nested.failures,
            test=plan.test,
            test_predictions=refitted.predictions,
            declared=declared,
            decided=decided,
        )
        made = (plan, best, refitted, refit.n_steps)
        said = (kind.keras_backend, decided, deciding.for_predicting, refit.transformer)
        manifest = documents.manifest(*made, *said)
        outcome = documents.best_document(*made, len(log), ledger)
        _write_outcome(folder, documents.run_document(plan, session), outcome, manifest, ledger)
        run = open_run(folder.path)
        if planned.reports:
            run = _with_texts(run, observer)
    observer.search_ended(run)
    return run


def _write_outcome(
    folder: RunFolder,
    asked: documents.Document,
    outcome: documents.Document,
    manifest: documents.Document,
    ledger: Ledger,
) -> None:
    """Write what became of the search, best.json last: with it the run is finished."""
    folder.write_json("model.json", manifest)
    text = model_card_text(asked, outcome, manifest, ledger)
    folder.write_file("model_card.md", text.encode("utf-8"))
    folder.finish(outcome)


def _begin(
    planned: _Planned,
    session: Session,
    folder: RunFolder,
    observer: Observer,
    journal: Journal | None,
) -> Journal:
    """Begin the run's journal, or go on with it, and say in run.json what is asked."""
    record = {**planned.record, **_of_session(session)}
    if journal is None:
        journal = folder.begin(record)
    else:
        of_session = {name: journal.settings.get(name) for name in _of_session(session)}
        was = {**planned.record, **of_session}  # all else was compared
        check_unchanged(was, record, accept_versions=True)
        telling.tell_what_is_recorded(journal, observer)
        folder.begin_again()
        journal.update(record)
    settings = documents.run_document(planned.plan, session)
    folder.write_settings(settings)
    observer.run_started(folder.place, settings)
    return journal


def _of_session(session: Session) -> dict[str, Any]:
    """What the journal holds of what was found before training."""
    found = {"engine": session.choice.engine, "files": named_files(session.declared)}
    prepared = session.prepared
    return found if prepared is None else {**found, "prepared": list(prepared.shape)}


def _pacing(
    planned: _Planned,
    session: Session,
    folder: RunFolder,
    observer: Observer,
    journal: Journal,
    baselines: _Baselines,
) -> Pacing:
    """For how many trials there is time; with a limit, baselines come first, which take some."""
    plan = planned.plan
    if plan.options.minutes is None:
        return UNLIMITED
    start_seconds = min(now() - planned.began, MOST_SECONDS_OF_IMPORTS)
    baselines.scored([at for at, fold in enumerate(plan.folds) if fold.repeat < plan.n_repeats])

    def keep(plan: SearchPlan) -> None:
        journal.update({**record_of(plan), **_of_session(session)})
        folder.write_settings(documents.run_document(plan, session))

    return Minutes(plan, session, observer, keep, began=planned.began, start_seconds=start_seconds)


def _select(plan: SearchPlan, log: TrialLog, folder: RunFolder, observer: Observer) -> TrialResult:
    try:
        return select(plan, log)
    except SearchFailedError as error:
        observer.search_ended(None)
        where = folder.place / "trials.csv"
        raise SearchFailedError(f"{error} See the column 'error' of {where}.") from error


def _measure_columns(
    plan: SearchPlan,
    session: Session,
    best: TrialResult,
    journal: Journal,
    folder: RunFolder,
    observer: Observer,
) -> None:
    """Measure what the winner's networks lose without each column, where that was asked for."""
    if plan.options.importance:
        observer.stage("importance of columns")
        rows = importance_of_columns(session, plan.dataset, best, journal)
        folder.write_tables(importance=importance_table(rows))


def _prediction_parts(plan: SearchPlan, session: Session, best: TrialResult) -> Any:
    for part in prediction_parts(best, session.data):
        yield part.assign(row=plan.rows[part["row"].to_numpy()])


class _Baselines:
    """Models that need no search on the folds of the selected trial; scored once."""

    def __init__(
        self, plan: SearchPlan, session: Session, folder: RunFolder, observer: Observer
    ) -> None:
        self._plan, self._session, self._folder = plan, session, folder
        self._observer = observer
        self._found: dict[tuple[int, ...], list[BaselineScores]] = {}

    def scored(
        self, positions: Sequence[int], meanwhile: Callable[[], None] = lambda: None
    ) -> list[BaselineScores]:
        """What they scored on these folds; nothing where they were not asked for.

        ``meanwhile`` is called now and then.
        """
        if not self._plan.options.baselines:
            return []
        key = tuple(positions)
        if key not in self._found:
            self._found[key] = self._score(key, meanwhile)
        return self._found[key]

    def _score(
        self, positions: tuple[int, ...], meanwhile: Callable[[], None]
    ) -> list[BaselineScores]:
        session, metrics = self._session, self._plan.metrics
        self._observer.stage("baselines")
        found = score_baselines(
            session.crew.helpers,
            session.job.data_path,
            session.data,
            positions,
            metrics,
            self._plan.options.seed,
            meanwhile,
        )
        rows = [row for scores in found for row in scores.rows]
        self._folder.write_tables(baselines=baselines_table(rows, metrics=metrics))
        return found


def _search_nested(
    planned: _Planned, session: Session, folder: RunFolder, observer: Observer
) -> NestedOutcome:
    """Do all of it again inside each outer fold, where that was asked for."""
    if planned.nesting is None:
        return NestedOutcome()
    outcome = planned.nesting.run(session, folder, planned.record, observer.stage)
    folder.write_tables(nested=nested_table(outcome.rows))
    return outcome


def _with_texts(run: Run, observer: Observer) -> Run:
    """A finished run with its texts; what goes wrong with them is only a warning."""
    try:
        write_missing_texts(run)
    except Exception as error:
        observer.warn(
            f"The report was not written ({type(error).__name__}: {error}). Everything else "
            f"is there; `hpsearch report {run.path}` tries again."
        )
    return run
