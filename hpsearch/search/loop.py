"""The loop of a search: ask, score, record, tell, until the budget is spent; then select.

A run that goes on after an interruption takes the same loop: it asks again, and what the journal
holds is not trained again. A search inside an outer fold takes it too.
"""

from __future__ import annotations

from hpsearch.errors import SearchFailedError
from hpsearch.export.refit import refit_steps
from hpsearch.ledger.choice import select as select_row
from hpsearch.oracles import decides_by_scores
from hpsearch.oracles.base import Oracle, Outcome
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import Observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.stages import Bracket
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.options import Options
from hpsearch.search.pacing import UNLIMITED, Pacing
from hpsearch.search.plan import SearchPlan
from hpsearch.search.racing import Racing
from hpsearch.search.trial_log import TrialLog
from hpsearch.search.usual_budget import settings_of


def score_trials(
    plan: SearchPlan,
    session: Session,
    oracle: Oracle,
    journal: Journal,
    log: TrialLog,
    observer: Observer,
    pacing: Pacing = UNLIMITED,
) -> SearchPlan:
    """Score what an oracle proposes until the budget is spent.

    Parameters
    ----------
    session : what trains; journal : what remembers; log : takes each trial as it ends.
    observer : hears of it.
    pacing : says for how many there is time.

    Returns
    -------
    The plan, or where the time was over the plan of what there was time for.
    """
    options = plan.options
    racing = Racing(session, journal, observer, options.race, plan.n_repeats, pacing)
    observer.search_started(
        n_trials=options.trials,
        n_folds=plan.n_folds,
        metric=plan.metrics[0],
        direction=plan.direction,
        jobs=session.jobs,
    )
    try:
        while (remaining := options.trials - len(log)) and pacing.has_time():
            candidates = oracle.ask(_n_at_once(options, oracle.batch_size(remaining)))
            if not candidates:
                observer.note(_exhausted(len(log)))
                break
            outcomes: dict[int, Outcome] = {}
            n_rungs, earlier = max(oracle.n_rungs, options.rungs or 1), log.results
            for field in pacing.fields(candidates, racing.stages(n_rungs), racing.enter):
                log.begin(Bracket(tuple(each.trial for each in field), n_rungs))
                for result in racing.score(field, n_rungs, earlier):
                    if log.add(result):
                        observer.trial_scored(result)
                        observer.trial_done(result.row)
                    trial = result.row["trial"]
                    outcomes[trial] = Outcome(trial, result.score, result.status)
            if len(outcomes) < len(candidates):  # there is no time for the others
                break
            oracle.tell([outcomes[trial] for trial in sorted(outcomes)])
        pacing.trials_ended(len(log))
        if options.until_decided:
            n_rungs = options.rungs or 1
            for results in racing.play_off(log.results, plan.most_repeats, n_rungs):
                log.replace(results)
                for result in results:
                    observer.trial_scored(result)
            pacing.repeats_ended()
    finally:
        log.write()
    return pacing.left_of(plan)


def select(plan: SearchPlan, log: TrialLog) -> TrialResult:
    """The trial that the search selects, of those with the most folds.

    Raises
    ------
    SearchFailedError
        Every trial failed.
    """
    completed = [r for r in log.results if r.status == "completed"]
    if not completed:
        reasons = sorted({str(r.row.get("error")) for r in log.results})
        raise SearchFailedError(
            f"All {len(log)} trials failed, so nothing can be selected. The first "
            f"reason: {reasons[0].rstrip('.')}."
        )
    completed.sort(key=lambda r: r.candidate.trial)
    most = max(len(r.positions) for r in completed)
    leaders = [r for r in completed if len(r.positions) == most]
    return leaders[select_row([r.row for r in leaders], plan.options.select, plan.direction)]


def steps_of_refit(plan: SearchPlan, session: Session, best: TrialResult) -> int:
    """Optimizer steps that a selected trial trains on all rows."""
    settings = settings_of(plan.options, best.candidate.values)
    best_epoch = best.row["best_epoch"]
    return refit_steps(session.data, batch_size=settings.batch_size, best_epoch=best_epoch)


def _n_at_once(options: Options, batch: int) -> int:
    """Trials of the next bracket: a batch, or less where rungs compare its trials.

    A bracket's size follows from the options alone, and not from how many trials there are, so
    that a run which is given more of them goes on with the next bracket. An oracle that decides by
    the scores has batches of its own.
    """
    if (options.rungs or 1) == 1 or decides_by_scores(options.oracle):
        return batch
    return min(batch, options.bracket)


def _exhausted(n_trials: int) -> str:
    return (
        f"The space has no more than {n_trials} different configurations; all of them are scored."
    )
