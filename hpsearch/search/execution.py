"""The search: ask, score, record, tell, until the budget is spent; then select, refit, export.

Owns the one loop, the options it is configured with, and what a run's documents say. A run that
goes on after an interruption takes the same loop: it asks again, and what the journal holds is not
trained again. Scoring belongs to ``scoring``, proposing to ``oracles``, the tables' form and the
journal to ``results``, what must not have changed to ``resuming``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import defaults
from hpsearch.data import Dataset, load
from hpsearch.engines import AUTO, checked_option
from hpsearch.engines.contract import FitOptions
from hpsearch.engines.workers import Backend, check_backend
from hpsearch.errors import OptionError, SearchFailedError
from hpsearch.export.bundle import BUNDLE_FORMAT, seen_ranges
from hpsearch.export.refit import (
    Refitted,
    ReloadCheck,
    refit_and_export,
    refit_and_predict,
    refit_steps,
)
from hpsearch.folds import Fold, Splitter, choose_splitter, hold_back, make_folds
from hpsearch.folds.plan import Split
from hpsearch.folds.splitters import Duplicates
from hpsearch.ledger import Ledger
from hpsearch.ledger.choice import RULES, select
from hpsearch.ledger.record import Rule
from hpsearch.metrics import METRICS, resolve_metric, score
from hpsearch.oracles import check_oracle, make_oracle, oracle_packages
from hpsearch.oracles.base import Oracle, OraclePlan, Outcome
from hpsearch.preprocessing import Encoded
from hpsearch.report import model_card_text
from hpsearch.results import Run, RunFolder, free_name, open_run
from hpsearch.results.journal import Journal
from hpsearch.results.tables import (
    baselines_table,
    curves_table,
    folds_table,
    nested_table,
    predictions_table,
    timings_table,
    trials_table,
)
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.scoring.session import ScaleTarget, Session, SessionPlan, encode_dataset
from hpsearch.scoring.trials import TrialResult, prediction_parts
from hpsearch.search.baselines import BaselineScores, score_baselines
from hpsearch.search.bookkeeping import Books, positions_of
from hpsearch.search.nesting import NestedOutcome, Nesting, NoFolder
from hpsearch.search.racing import RACES, Race, Racing, most_rungs
from hpsearch.search.resuming import (
    check_growth,
    check_unchanged,
    data_of,
    has_grown,
    record_of,
    space_of,
    test_data_of,
)
from hpsearch.space.space import Candidate, Space, fit_settings
from hpsearch.versions import versions

SECONDS_BETWEEN_WRITES = 5.0
"""The tables are written this often while trials end, and always when the last one has."""

SHARE_OF_WRITING = 0.05
"""Large tables are written less often, so that writing takes no more of the time than this."""


@dataclass(frozen=True)
class Search:
    """A hyperparameter search scored by iterated K-fold, from a table to an exported model.

    Parameters
    ----------
    space : a shipped space's name, a ``.py`` file, ``build(hp, problem)``, keras-tuner's
        ``build(hp)`` or a ``HyperModel``.
    trials : candidates to score.
    folds, repeats : K folds, reshuffled P times; ``folds=1`` is a hold-out of ``test_size``.
    epochs, batch_size : passes over the training rows, and rows per step; a space may declare
        hyperparameters of these names.
    seed : everything random follows from it: one seed, one machine, the same tables.
    out : the run's folder; by default ``results/NAME``, or ``NAME-2`` where that is taken.
    oracle : who proposes, beginning with the space's default configuration: ``"random"``,
        ``"grid"``, ``"hyperband"``, ``"bayesian"``, or Optuna's ``"tpe"`` and ``"gp"``, which are
        extras of the installation. All but the first two decide by the scores.
    engine : ``"fused"``, ``"reference"``, or ``"auto"``, which takes the fused one where it
        applies.
    jobs : units trained at the same time, by default one per core, or as many as a cluster takes;
        the tables don't depend on it.
    backend : where units are trained: ``"loky"``, processes on this machine, or the workers of a
        ``"dask"`` or ``"ray"`` cluster; the tables don't depend on it.
    address : the cluster's, such as ``"tcp://10.0.0.1:8786"`` of a Dask scheduler,
        ``"10.0.0.1:6379"``, ``"ray://10.0.0.1:10001"`` or ``"auto"``; without
        one, Ray starts on this machine.
    patience : stop all replicas of a trial after so many epochs without improvement of their
        mean validation curve; None trains every epoch.
    race : after each repeat, end the trials that can't win: ``"forgiving"`` those whose mean is
        worse than the leader's worst fold, ``"corrected-t"`` those that a corrected paired t-test
        finds worse than the leader; ``"off"`` gives every trial every repeat.
    rungs : levels of successive halving over epochs, within the first repeat: a third of the
        trials of a batch goes on from one to the next, which is three times as long. 1 for none.
    until_decided : at the end, give the leading trials more repeats, up to ``max_repeats`` in
        all, until the winner is clear or within one standard error of the next.
    metric : the metric that selects; by default the problem type's first.
    split : how rows are dealt to folds; ``"auto"`` follows from the data.
    gap : rows left out between training and validation rows in time order.
    duplicates : whether exact copies of a row stay on one side of every fold (``"together"``) or
        are dealt like other rows (``"ignore"``).
    fix : hyperparameters to hold, by name.
    test_data : rows scored once, after everything is decided: a file, a table or a ``Dataset``.
    test_size : share of the rows held back for that instead.
    scale_target : whether a regression target is standardised; ``"auto"`` asks the network.
    select : what is selected, ``"best"``, the trial with the best score, or ``"one-se"``, the
        smallest model within one corrected standard error of it.
    nested : also search inside each of so many outer folds and score the winners outside: an
        estimate that no selection flatters, at the cost of so many more searches. None for none.
    baselines : whether a constant, a linear model and boosted trees are scored on the same folds.
    trial_timeout : seconds that a work unit, some folds of a trial, may take; it is tried twice
        before its trial fails. None for any time.
    max_levels, max_words : features at most for a category or text column; rarer levels share
        one, rarer words are left out, as counted on a fold's training rows.
    overwrite : replace the run that ``out`` holds.
    observer : hears what happens; see ``hpsearch.scoring.observer``.

    Examples
    --------
    >>> import hpsearch
    >>> search = hpsearch.Search(trials=20, folds=5, repeats=2, fix={"optimizer": "adam"})
    >>> search.n_replicas
    200
    """

    space: Any = defaults.SPACE
    trials: int = field(default=defaults.TRIALS, kw_only=True)
    folds: int = field(default=defaults.FOLDS, kw_only=True)
    repeats: int = field(default=defaults.REPEATS, kw_only=True)
    epochs: int = field(default=defaults.EPOCHS, kw_only=True)
    batch_size: int = field(default=defaults.BATCH_SIZE, kw_only=True)
    seed: int = field(default=defaults.SEED, kw_only=True)
    out: str | Path | None = field(default=None, kw_only=True)
    oracle: str = field(default="random", kw_only=True)
    engine: str = field(default=AUTO, kw_only=True)
    jobs: int | None = field(default=None, kw_only=True)
    backend: Backend = field(default="loky", kw_only=True)
    address: str | None = field(default=None, kw_only=True)
    patience: int | None = field(default=None, kw_only=True)
    race: Race = field(default="off", kw_only=True)
    rungs: int = field(default=1, kw_only=True)
    until_decided: bool = field(default=False, kw_only=True)
    max_repeats: int = field(default=defaults.MAX_REPEATS, kw_only=True)
    metric: str | None = field(default=None, kw_only=True)
    split: Split = field(default="auto", kw_only=True)
    gap: int = field(default=0, kw_only=True)
    duplicates: Duplicates = field(default="together", kw_only=True)
    fix: Mapping[str, Any] | None = field(default=None, kw_only=True)
    test_data: Any = field(default=None, kw_only=True)
    test_size: float | None = field(default=None, kw_only=True)
    scale_target: ScaleTarget = field(default="auto", kw_only=True)
    max_levels: int = field(default=defaults.MAX_LEVELS, kw_only=True)
    max_words: int = field(default=defaults.MAX_WORDS, kw_only=True)
    select: Rule = field(default="best", kw_only=True)
    nested: int | None = field(default=None, kw_only=True)
    baselines: bool = field(default=True, kw_only=True)
    trial_timeout: float | None = field(default=None, kw_only=True)
    overwrite: bool = field(default=False, kw_only=True)
    observer: Observer = field(default_factory=SilentObserver, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        for name in ("trials", "folds", "repeats", "epochs", "batch_size", "max_levels"):
            check_count(name, getattr(self, name))
        for name in ("max_words", "rungs", "max_repeats"):
            check_count(name, getattr(self, name))
        check_count("seed", self.seed, least=0)
        for name in ("jobs", "patience"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_seconds("trial_timeout", self.trial_timeout)
        check_backend(self.backend, self.address)
        if self.nested is not None:
            check_count("nested", self.nested, least=2)
        if self.select not in RULES:
            raise OptionError(f"`select` is {' or '.join(RULES)}; received {self.select!r}.")
        object.__setattr__(self, "engine", checked_option(self.engine))
        check_oracle(self.oracle, epochs=self.epochs)
        self._check_racing()
        if self.test_data is not None and self.test_size is not None and not self.holds_out:
            raise OptionError(
                "The test rows come from `test_data` or from `test_size`; received both. "
                "Leave one out."
            )

    def _check_racing(self) -> None:
        if self.race not in RACES:
            raise OptionError(f"`race` is one of {', '.join(RACES)}; received {self.race!r}.")
        if self.race != "off" and self.repeats == 1:
            raise OptionError(
                "A race compares trials after each repeat, and there is one; received "
                f"--race {self.race} --repeats 1. Raise --repeats, or use --rungs."
            )
        if self.rungs > 1 and self.oracle == "hyperband":
            raise OptionError(
                f"The hyperband oracle sets the rungs itself; received --rungs {self.rungs}. "
                "Leave --rungs out."
            )
        if self.rungs > most_rungs(self.epochs):
            raise OptionError(
                f"Each rung trains longer than the one before it, so --epochs {self.epochs} allows "
                f"at most {most_rungs(self.epochs)}; received --rungs {self.rungs}. "
                "Raise --epochs, or lower --rungs."
            )
        if not self.until_decided and self.max_repeats != defaults.MAX_REPEATS:
            raise OptionError(
                "--max-repeats is how far --until-decided goes, which is missing; received "
                f"--max-repeats {self.max_repeats}. Add --until-decided, or leave it out."
            )
        if self.until_decided and self.max_repeats <= self.repeats:
            raise OptionError(
                "--until-decided adds repeats up to --max-repeats, which must be above --repeats; "
                f"received {self.max_repeats} and {self.repeats}."
            )
        if self.patience is None:
            return
        for option, is_on in (
            ("--race", self.race != "off"),
            ("--rungs", self.rungs > 1),
            ("--until-decided", self.until_decided),
            ("--oracle hyperband", self.oracle == "hyperband"),
        ):
            if is_on:
                raise OptionError(
                    "With --patience all folds of a trial stop together, which "
                    f"{option} would take apart; received both. Leave one out."
                )

    @property
    def n_replicas(self) -> int:
        """Trainings of the whole search at most, refit and --until-decided aside."""
        return self.trials * self.repeats * self.folds

    @property
    def holds_out(self) -> bool:
        """Whether one share of the rows validates, in place of folds."""
        return self.folds == 1 or self.split == "holdout"

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
        with self.observer:
            run = _Run(self, load(data))
            path = self.out or free_name(defaults.RESULTS_ROOT, run.dataset.name)
            with RunFolder.create(path, overwrite=self.overwrite) as folder:
                return run.execute(folder)


def resume(
    path: str | Path,
    data: Any = None,
    *,
    trials: int | None = None,
    repeats: int | None = None,
    max_repeats: int | None = None,
    space: Any = None,
    test_data: Any = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    address: str | None = None,
    trial_timeout: float | None = None,
    accept_changes: bool = False,
    observer: Observer | None = None,
    **options: Any,
) -> Run:
    """Go on with a run that was interrupted, or give a finished one more trials or repeats.

    Only what is new is trained, and the tables are those of one uninterrupted run. Where more
    repeats move a selected trial's best epoch, its predictions there may have to be made again.

    Parameters
    ----------
    path : the run's folder.
    data : where the table is now, as ``hpsearch.load`` takes it, or a ``Dataset``; by default
        where it was.
    trials, repeats, max_repeats : the run's new size; by default what it was asked.
    space, test_data : to be given again where they were Python objects.
    jobs, backend, address, observer : as in ``Search``; trial_timeout : by default as it was.
    accept_changes : go on although versions of Python or of packages changed.
    options : further options of ``Search``, if any, must be what they were.

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
    given = {
        "trials": trials,
        "repeats": repeats,
        "max_repeats": max_repeats,
        "trial_timeout": trial_timeout,
    }
    given = {name: value for name, value in given.items() if value is not None}
    observer = observer or SilentObserver()
    with observer, RunFolder.reopen(path) as folder, folder.journal() as journal:
        was = journal.settings
        search = Search(
            space_of(was, space),
            **{**was["options"], **options, **given},
            test_data=test_data_of(was, test_data),
            jobs=jobs,
            backend=backend,
            address=address,
            out=path,
            observer=observer,
        )
        run = _Run(search, data_of(was, data))
        check_growth(was, run.record)
        check_unchanged(was, run.record, accept_versions=accept_changes)
        if folder.is_finished and not has_grown(was, run.record):
            observer.note("The run is finished; --trials or --repeats would give it more.")
            finished = open_run(path)
            observer.search_ended(finished)
            return finished
        return run.execute(folder, journal)


class _Run:
    """One execution of a search: the state that the loop passes from step to step."""

    def __init__(self, search: Search, dataset: Dataset) -> None:
        self.search = search
        self.observer = search.observer
        self.space = Space.load(search.space)
        self.metrics = resolve_metric(dataset.target.kind, search.metric)
        self.direction = METRICS[self.metrics[0]].direction
        self.results: list[TrialResult] = []
        self._next_write = 0.0
        self.source = dataset
        self.dataset, self.rows, self.test = self._part_test_rows(dataset)
        self.folds, self.split_reason = self._make_folds()
        self.nesting = Nesting.of(search, self.dataset, self.metrics[0], _Run)
        self.record = record_of(search, dataset, self.space, self.test)

    def execute(self, folder: RunFolder, journal: Journal | None = None) -> Run:
        """The story of a search.

        Parameters
        ----------
        folder : where its files go.
        journal : what was done before, where the run goes on.
        """
        self.folder = folder
        self._say_what_was_understood()
        note = self.observer.note
        with Session(self._plan(journal), self.dataset, self.folds, note) as session:
            self.session = session
            self.observer.stage("check")
            oracle = self._oracle()
            self._say_how_networks_are_trained()
            with self._begin(journal) as self.journal:
                self._score_trials(oracle)
                best = self.session.restore_predictions(self._select(), self.journal)
                books = self._books(best)
                corrected = books.bias_corrected(self.journal, self._restore)
            self.folder.write_tables(predictions=predictions_table(self._prediction_parts(best)))
            baselines, nested = self._score_baselines(best), self._search_nested()
            refitted, steps = self._refit(best)
            ledger = books.ledger(
                bias_corrected=corrected,
                baselines=baselines,
                outer=nested.nested,
                nested_failures=nested.failures,
                test=self.test,
                test_predictions=refitted.predictions,
                declared=self.declared,
            )
            self._write_documents(best, refitted, steps, ledger)
        run = open_run(self.folder.path)
        self._report(run)
        self.observer.search_ended(run)
        return run

    def _oracle(self) -> Oracle:
        self.declared = self.session.prepare()
        return make_oracle(self.search.oracle, self.declared, self._oracle_plan())

    def _report(self, run: Run) -> None:
        """Write the report; the run is finished, so what goes wrong here is only a warning."""
        try:
            run.report()
        except Exception as error:
            self.observer.warn(
                f"The report was not written ({type(error).__name__}: {error}). Everything else "
                f"is there; `hpsearch report {self.folder.path}` tries again."
            )

    def _begin(self, journal: Journal | None) -> Journal:
        """Begin the run's journal, or go on with it, and say in run.json what is asked."""
        record = {**self.record, "engine": self.session.choice.engine}
        if journal is None:
            journal = self.folder.begin(record)
        else:
            check_unchanged(journal.settings, record, accept_versions=True)
            self._say_what_is_recorded(journal)
            self.folder.begin_again()
            journal.update(record)
        self.folder.write_settings(self._settings())
        return journal

    def _score_trials(self, oracle: Oracle) -> None:
        search = self.search
        n_repeats = min(search.repeats, self.n_repeats)
        racing = Racing(self.session, self.journal, self.observer, search.race, n_repeats)
        self.observer.search_started(
            n_trials=search.trials,
            n_folds=sum(fold.repeat < n_repeats for fold in self.folds),
            metric=self.metrics[0],
            direction=self.direction,
            jobs=self.session.jobs,
        )
        try:
            while remaining := search.trials - len(self.results):
                candidates = oracle.ask(oracle.batch_size(remaining))
                if not candidates:
                    self.observer.note(
                        f"The space has no more than {len(self.results)} different "
                        "configurations; all of them are scored."
                    )
                    break
                n_rungs = max(oracle.n_rungs, search.rungs)
                oracle.tell(self._score(racing, candidates, n_rungs))
            if search.until_decided:
                for results in racing.play_off(self.results, self.n_repeats, search.rungs):
                    self._replace(results)
        finally:
            self._write_tables()

    def _score(
        self, racing: Racing, candidates: Sequence[Candidate], n_rungs: int
    ) -> list[Outcome]:
        """Score and record candidates; outcomes in the order of their trials."""
        outcomes = []
        for result in racing.score(candidates, n_rungs, tuple(self.results)):
            self._add(result)
            outcomes.append(Outcome(result.row["trial"], result.score, result.status))
        return sorted(outcomes, key=lambda outcome: outcome.trial)

    def _replace(self, results: Sequence[TrialResult]) -> None:
        """Put trials with more repeats in the place of what they were."""
        new = {result.candidate.trial: result for result in results}
        self.results = [new.get(r.candidate.trial, r) for r in self.results]
        self._write_tables()

    def _add(self, result: TrialResult) -> None:
        self.results.append(result.without_predictions())  # the journal has them
        if time.monotonic() > self._next_write:
            self._write_tables()
        self.observer.trial_done(result.row)

    def _write_tables(self) -> None:
        """Write what is there; whole tables, so not after each of many short trials."""
        began = time.monotonic()
        results = sorted(self.results, key=lambda r: r.candidate.trial)
        metrics = self.metrics
        self.folder.write_tables(
            trials=trials_table(
                (r.row for r in results), metrics=metrics, direction=self.direction
            ),
            folds=folds_table((row for r in results for row in r.folds), metrics=metrics),
            curves=curves_table((row for r in results for row in r.curves), metrics=metrics),
            timings=timings_table(
                {"trial": r.candidate.trial, "seconds": r.seconds} for r in results
            ),
        )
        took = time.monotonic() - began
        self._next_write = began + max(SECONDS_BETWEEN_WRITES, took / SHARE_OF_WRITING)

    def _select(self) -> TrialResult:
        completed = [r for r in self.results if r.status == "completed"]
        if not completed:
            self.observer.search_ended(None)
            reasons = sorted({str(r.row.get("error")) for r in self.results})
            raise SearchFailedError(
                f"All {len(self.results)} trials failed, so nothing can be selected. The first "
                f"reason: {reasons[0]}. See the column 'error' of "
                f"{self.folder.path / 'trials.csv'}."
            )
        completed.sort(key=lambda r: r.candidate.trial)
        most = max(len(r.positions) for r in completed)
        leaders = [r for r in completed if len(r.positions) == most]
        return leaders[select([r.row for r in leaders], self.search.select, self.direction)]

    def _books(self, best: TrialResult) -> Books:
        return Books(
            results=tuple(self.results),
            best=best,
            dataset=self.dataset,
            folds=self.folds,
            metrics=self.metrics,
            rule=self.search.select,
            keeps_copies_together=self.search.duplicates == "together",
            seed=self.search.seed,
        )

    def _restore(self, trial: TrialResult) -> TrialResult:
        """A trial with its predictions, which the ledger compares."""
        return self.session.restore_predictions(trial, self.journal)

    def _score_baselines(self, best: TrialResult) -> list[BaselineScores]:
        """Score models that need no search on the folds of the selected trial."""
        if not self.search.baselines:
            return []
        self.observer.stage("baselines")
        session = self.session
        found = score_baselines(
            session.workers,
            session.job.data_path,
            session.data,
            positions_of(best, self.folds),
            self.metrics,
            self.search.seed,
        )
        rows = [row for scores in found for row in scores.rows]
        self.folder.write_tables(baselines=baselines_table(rows, metrics=self.metrics))
        return found

    def _search_nested(self) -> NestedOutcome:
        """Do all of it again inside each outer fold, where that was asked for."""
        if self.nesting is None:
            return NestedOutcome()
        outcome = self.nesting.run(self.session, self.folder, self.record, self.observer.stage)
        self.folder.write_tables(nested=nested_table(outcome.rows))
        return outcome

    def search_within(
        self, like: Session, journal: Journal, new_rows: Dataset
    ) -> tuple[TrialResult, NDArray[np.float32]]:
        """Search without leaving any file: the winner, and what it predicts of other rows.

        Parameters
        ----------
        like : an open session on more rows of the same table, whose workers do the work.
        journal : where the trials are recorded.
        new_rows : what is predicted by the winner, trained on all rows of this search.
        """
        self.journal, self.folder = journal, NoFolder()
        with Session(self._plan(None), self.dataset, self.folds, like=like) as self.session:
            self._score_trials(self._oracle())
            best = self._select()
            return best, self.session.workers.call(
                refit_and_predict,
                self.session.choice.kind.train_on_all_rows,
                self.session.job,
                best.candidate,
                self._refit_steps(best),
                encode_dataset(new_rows),
            )

    def _refit(self, best: TrialResult) -> tuple[Refitted, int]:
        self.observer.stage("refit")
        unchecked = self.session.scratch / "model.keras"
        check = self.session.scratch / "check.npz"
        steps = self._refit_steps(best)
        kind = self.session.choice.kind
        with ReloadCheck(kind.environment) as reload_check:
            refitted = self.session.workers.call(
                refit_and_export,
                kind.train_on_all_rows,
                self.session.job,
                best.candidate,
                steps,
                self.dataset.schema,
                str(unchecked),
                str(check),
                self._encoded_test_rows(),
            )
            self.observer.stage("reload check")
            reload_check.verify(unchecked, check)
        self.folder.write_file("model.keras", unchecked.read_bytes())
        return refitted, steps

    def _refit_steps(self, best: TrialResult) -> int:
        settings = fit_settings(best.candidate.values, self.search.batch_size, self.search.epochs)
        return refit_steps(
            self.session.data,
            best.positions,
            batch_size=settings.batch_size,
            best_epoch=best.row["best_epoch"],
        )

    def _encoded_test_rows(self) -> Encoded | None:
        return None if self.test is None else encode_dataset(self.test)

    def _prediction_parts(self, best: TrialResult) -> Any:
        for part in prediction_parts(best, self.session.data):
            yield part.assign(row=self.rows[part["row"].to_numpy()])

    def _part_test_rows(
        self, dataset: Dataset
    ) -> tuple[Dataset, NDArray[np.int64], Dataset | None]:
        """The rows to search on, their numbers in the table, and the test rows."""
        search = self.search
        every_row = np.arange(dataset.n_rows)
        if search.test_data is not None:
            return dataset, every_row, _test_rows(search.test_data, dataset)
        if search.test_size is not None and not search.holds_out:
            rows, test_rows = hold_back(
                dataset,
                search.test_size,
                search.seed,
                gap=search.gap,
                duplicates=search.duplicates,
            )
            return dataset.take(rows), rows, dataset.take(test_rows)
        return dataset, every_row, dataset.test

    def _make_folds(self) -> tuple[tuple[Fold, ...], str]:
        search = self.search
        splitter: Splitter
        splitter, reason = choose_splitter(
            self.dataset,
            split=search.split,
            folds=search.folds,
            repeats=search.max_repeats if search.until_decided else search.repeats,
            gap=search.gap,
            test_size=search.test_size if search.holds_out else None,
            seed=search.seed,
            duplicates=search.duplicates,
            at_most=search.until_decided,
        )
        folds = make_folds(splitter, self.dataset)
        self.n_repeats = max(fold.repeat for fold in folds) + 1
        if self.n_repeats == 1 and (search.race != "off" or search.until_decided):
            raise OptionError(
                "This split has one repeat, so there is nothing to race over and nothing to add; "
                f"received {'--until-decided' if search.until_decided else '--race'} with the "
                f"split: {reason} Leave the option out, or use --rungs."
            )
        return folds, reason

    def _plan(self, journal: Journal | None) -> SessionPlan:
        """How to score; a run that goes on keeps the engine that it began with."""
        search = self.search
        engine = search.engine
        if journal is not None and engine == AUTO:
            engine = journal.settings["engine"]
        return SessionPlan(
            space=self.space,
            fixes=dict(search.fix or {}),
            engine=engine,
            options=FitOptions(
                seed=search.seed,
                epochs=search.epochs,
                batch_size=search.batch_size,
                patience=search.patience,
                metrics=self.metrics,
            ),
            jobs=search.jobs,
            scale_target=search.scale_target,
            max_levels=search.max_levels,
            max_words=search.max_words,
            must_save=True,
            trial_timeout=search.trial_timeout,
            backend=search.backend,
            address=search.address,
        )

    def _oracle_plan(self) -> OraclePlan:
        search = self.search
        return OraclePlan(
            seed=search.seed,
            max_trials=search.trials,
            epochs=search.epochs,
            direction=self.direction,
        )

    def _say_what_was_understood(self) -> None:
        for line in self.source.describe():
            self.observer.note(line)
        for text in self.source.notes:
            self.observer.note(text)
        for text in self.source.warnings:
            self.observer.warn(text)
        self.observer.note(f"Split: {self.split_reason}")
        if self.test is not None:
            self.observer.note(
                f"Test: {self.test.n_rows} rows, scored once, after everything is decided."
            )
            for text in self.test.notes if self.search.test_data is not None else ():
                self.observer.note(f"Test: {text}")
        if self.nesting is not None:
            self.observer.note(self.nesting.cost(self.search.n_replicas))
        self.observer.note(f"Results: {self.folder.path}")

    def _say_what_is_recorded(self, journal: Journal) -> None:
        if journal.was_damaged:
            self.observer.warn(
                "The journal was damaged. What could not be read is trained again; the rest stays."
            )
        self.observer.note(f"Journal: {journal.n_units} work units are recorded and kept.")

    def _say_how_networks_are_trained(self) -> None:
        for text in self.session.probe.warnings:
            self.observer.warn(text)
        if self.session.scales_target:
            self.observer.note(
                "The target is standardised with each fold's training rows; scores and "
                "predictions are in its own units."
            )
        n_jobs = self.session.jobs
        self.observer.note(
            f"Engine: {self.session.choice.engine}, {n_jobs} process{'' if n_jobs == 1 else 'es'} "
            f"of one thread: {self.session.choice.reason}."
        )

    def _settings(self) -> dict[str, Any]:
        search, data = self.search, self.source
        return {
            "data": {
                "name": data.name,
                "n_rows": data.n_rows,
                "n_columns": len(data.schema.columns),
                "fingerprint": data.fingerprint,
                "task": data.target.kind,
                "target": list(data.target.names),
                "groups": data.groups_name or None,
                "time": data.time_name or None,
            },
            "warnings": [*data.warnings, *self.session.probe.warnings],
            "space": self.space.name,
            "space_sha256": self.space.sha256,
            "fix": dict(search.fix or {}),
            "oracle": search.oracle,
            "engine": self.session.choice.engine,
            "select": search.select,
            "nested": search.nested,
            "baselines": search.baselines,
            "metric": self.metrics[0],
            "direction": self.direction,
            "metrics": list(self.metrics),
            "trials": search.trials,
            "folds": search.folds,
            "repeats": min(search.repeats, self.n_repeats),
            "race": search.race,
            "rungs": search.rungs,
            "until_decided": search.until_decided,
            "max_repeats": self.n_repeats if search.until_decided else None,
            "epochs": search.epochs,
            "batch_size": search.batch_size,
            "patience": search.patience,
            "split": search.split,
            "split_reason": self.split_reason,
            "gap": search.gap,
            "duplicates": search.duplicates,
            "test_size": search.test_size,
            "test_rows": 0 if self.test is None else self.test.n_rows,
            "scale_target": self.session.scales_target,
            "max_levels": search.max_levels,
            "max_words": search.max_words,
            "seed": search.seed,
            "worker_environment": dict(self.session.choice.kind.environment),
            "versions": versions(oracle_packages(search.oracle)),
        }

    def _write_documents(
        self, best: TrialResult, refitted: Refitted, steps: int, ledger: Ledger
    ) -> None:
        names = ("trial", "score", "score_std", "score_se", "ci_low", "ci_high", "n_folds")
        outcome = {
            **{name: best.row[name] for name in names},
            "best_epoch": best.row["best_epoch"],
            "metric": self.metrics[0],
            "direction": self.direction,
            "metrics": {name: best.row[f"metric.{name}"] for name in self.metrics},
            "hyperparameters": dict(best.candidate.values),
            "n_params": refitted.n_params,
            "n_trials": len(self.results),
            "refit": {"n_rows": self.dataset.n_rows, "n_steps": steps},
            "test": self._test_scores(refitted),
            **refitted.inspected,
            "selected_by": {"rule": ledger.choice.rule, "reason": ledger.choice.reason},
            "ledger": ledger.to_json(),
        }
        manifest = self._manifest(best, refitted, steps)
        self.folder.write_json("model.json", manifest)
        text = model_card_text(self._settings(), outcome, manifest, ledger)
        self.folder.write_file("model_card.md", text.encode("utf-8"))
        self.folder.finish(outcome)

    def _test_scores(self, refitted: Refitted) -> dict[str, float] | None:
        if self.test is None or refitted.predictions is None:
            return None
        kind, y = self.test.target.kind, self.test.y
        return {
            name: float(score(name, y, refitted.predictions, kind=kind)) for name in self.metrics
        }

    def _manifest(self, best: TrialResult, refitted: Refitted, steps: int) -> dict[str, Any]:
        return {
            "format": BUNDLE_FORMAT,
            "backend": self.session.choice.backend,
            "sha256": refitted.sha256,
            "schema": self.dataset.schema.to_json(),
            "ranges": seen_ranges(self.dataset),
            "limits": {
                "max_levels": self.search.max_levels,
                "max_words": self.search.max_words,
            },
            "word_slots": list(refitted.word_slots),
            "trial": best.candidate.trial,
            "hyperparameters": dict(best.candidate.values),
            "n_params": refitted.n_params,
            "trained_on": {"n_rows": self.dataset.n_rows, "n_steps": steps},
            "checks": [
                "the exported graph predicts what the trained network predicts",
                "a fresh process reloads it in safe mode and predicts the same bits",
            ],
        }


def _test_rows(source: Any, dataset: Dataset) -> Dataset:
    """Test rows under the schema of the rows to search on."""
    if not isinstance(source, Dataset):
        return load(source, schema=dataset.schema)
    if source.schema != dataset.schema:
        raise OptionError(
            "`test_data` must have been read under the schema of the data; received a Dataset "
            "with another one. Give its file or table instead, or load it with "
            "hpsearch.load(..., schema=data.schema)."
        )
    return source


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """Raise ``OptionError`` unless an option is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise OptionError(
            f"`{name}` must be a whole number of at least {least}; received {value!r}."
        )


def check_seconds(name: str, value: Any) -> None:
    """Raise ``OptionError`` unless an option is a positive number or None."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise OptionError(f"`{name}` is a number of seconds above 0; received {value!r}.")
