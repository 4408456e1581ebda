"""What a search says in sentences before it trains: what it understood, and how it will train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpsearch.data import Dataset
from hpsearch.data.names import listed
from hpsearch.folds.weighing import effective_rows
from hpsearch.oracles import oracle_remark, proposed_first
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import Observer
from hpsearch.scoring.session import Session
from hpsearch.search.plan import SearchPlan
from hpsearch.search.tried import told
from hpsearch.search.usual_space import OF_OTHERS, OF_TABLES
from hpsearch.task import Target
from hpsearch.words import counted

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from hpsearch.oracles.base import OraclePlan

OF_FREQUENCIES: Final = ("log_loss", "brier", "calibration_error")
"""Metrics that are best where probabilities are how often classes come."""


_PICTURES: Final = ("image", "video")

_READ_TOKENS: Final = ("tokens", "Embedding")
"""Words of code that reads words in their order."""


def tell_what_was_understood(plan: SearchPlan, observer: Observer) -> None:
    """The table, the split and the test rows."""
    source, test = plan.source, plan.test
    for line in (*source.taken_for(), *source.notes):
        observer.note(line)
    for line in (*weighing_told(plan.dataset), *class_weights_told(plan), *images_told(plan)):
        observer.note(line)
    for text in (*source.warnings, *tokens_told(plan)):
        observer.warn(text)
    observer.note(f"Split: {plan.split_reason}")
    if test is not None:
        observer.note(f"Test: {test.n_rows} rows, scored once, after everything is decided.")
        if plan.dataset.score_weights is not None and test.weights is None:
            observer.warn(
                "The test rows have no weights, so that each counts the same in their score, and "
                "in no other one. That is right where they are drawn as new rows will be; else "
                "give them the column."
            )
        is_given = plan.options.test_data is not None
        for text in test.notes if is_given else ():
            observer.note(f"Test: {text}")
        for text in test.warnings if is_given else ():
            observer.warn(f"Test: {text}")


def weighing_told(data: Dataset) -> Iterator[str]:
    """What the rows' weights count in, a sentence where they have some."""
    if data.weights is None:
        return
    by = f" by {data.weights_name!r}" if data.weights_name else ""
    if data.score_weights is not None:
        worth = effective_rows(data.score_weights)
        yield (
            f"Rows weigh in all scores as in the loss{by}: they tell as much as {worth:,.0f} rows "
            "that weigh the same."
        )
    elif data.weighs_scores:
        yield f"All rows weigh the same{by}."
    else:
        yield f"Rows weigh in the loss alone{by}; scores weigh all of them the same."


def class_weights_told(plan: SearchPlan) -> Iterator[str]:
    """Where classes weigh, and what selects reads probabilities as frequencies, a sentence."""
    metric, kind = plan.metrics[0], plan.dataset.target.kind
    if plan.options.class_weight is None or metric not in OF_FREQUENCIES:
        return
    instead = ", or take --threshold in place of weights" if kind == "binary" else ""
    yield (
        f"Classes weigh in the loss, which moves probabilities away from how often classes come; "
        f"{metric}, which selects, wants them close. Select by --metric balanced_accuracy{instead}."
    )


def images_told(plan: SearchPlan) -> Iterator[str]:
    """That a space for tables sees no picture in pixels, where there are some."""
    arrays = plan.dataset.schema.of_kind("array")
    flat = plan.space.name in (OF_TABLES, OF_OTHERS)
    if flat and any(column.array_kind in _PICTURES for column in arrays):
        yield (
            f"The space {plan.space.name!r} gets images as flat rows of pixels; --space image "
            "searches convolutional networks."
        )


def tokens_told(plan: SearchPlan) -> Iterator[str]:
    """That a space reads no words in their order, where there are some."""
    schema, space = plan.dataset.schema, plan.space
    names = [column.name for column in schema.tokens]
    by_name = [f"{quote}{name}{quote}" for name in names for quote in "'\""]
    if not names or any(map(space.mentions, (*_READ_TOKENS, *by_name))):
        return
    beside = len(schema.tokens) < len(schema.columns)
    becomes = "does not get them" if beside else "takes their numbers for quantities"
    yield (
        f"The words of {listed([repr(name) for name in names])} keep their order, and the space "
        f"{space.name!r} {becomes}. Take --space text, or leave out --as tokens."
    )


def tell_where_results_go(folder: Path, observer: Observer) -> None:
    """The run's folder."""
    observer.note(f"Results: {folder}")


def tell_of_the_race(plan: SearchPlan, observer: Observer) -> None:
    """Which race the search takes, where none was asked for."""
    if plan.settled_note:
        observer.note(plan.settled_note)


def tell_of_what_comes_first(
    plan: SearchPlan, declared: HyperParameters, asked: OraclePlan, observer: Observer
) -> None:
    """Which configurations come first, and that an oracle will not learn anything, where so.

    Parameters
    ----------
    asked : what the oracle is asked.

    Raises
    ------
    OptionError
        The space does not have one that was given.
    """
    options = plan.options
    for text in told(declared, options.tried, options.trials) if options.tried else ():
        observer.note(text)
    first = proposed_first(declared, asked.first)
    n_before = len(proposed_first(declared, options.tried or ()))
    scored, n_own = min(options.trials, len(first)) - n_before, len(first) - n_before
    if scored > 0:
        cut = "" if scored == n_own else f" of {n_own}, and --trials is no more"
        observer.note(
            f"After the defaults {'comes' if scored == 1 else 'come'} "
            f"{counted(scored, 'configuration')} of the space's portfolio{cut}."
        )
    remark = oracle_remark(options.oracle, options.trials, len(first))
    if remark is not None:
        observer.note(remark)


def tell_how_networks_are_trained(session: Session, observer: Observer) -> None:
    """What trying the default network found, and the engine."""
    for text in session.warnings:
        observer.warn(text)
    if transform := session.data.target.transform:
        observer.note(
            f"Networks learn the target's {transform}; scores and predictions are in its own "
            f"units. {_of_the_way_back(session.data.target)}"
        )
    if session.scales_target:
        is_count = session.data.target.kind == "count"
        what = "divided by its mean in" if is_count else "standardised with"
        observer.note(
            f"The target is {what} each fold's training rows; scores and predictions are in its "
            "own units."
        )
    elif session.data.target.offset:
        observer.warn(
            "The target lies far from zero and is not standardised, so that networks learn it in "
            "float32, which keeps 7 digits. Use a linear last layer and a loss that measures a "
            "distance, such as mse, or subtract a constant from it beforehand."
        )
    if phases := session.probe.phases:
        observer.note(
            f"Networks train in phases, here of {session.probe.n_params:,} parameters: "
            f"{'; '.join(phase.words for phase in phases)}."
        )
    if n_params := session.probe.run_once:
        when = "in the first phase " if session.probe.phases else ""
        observer.note(
            f"A base of {n_params:,} parameters is frozen {when}and draws nothing: it is run once "
            "over the table, and what follows trains on its outputs."
        )
    processes = "1 process" if session.jobs == 1 else f"{session.jobs} processes"
    observer.note(
        f"Engine: {session.choice.engine}, {processes} of one thread: {session.choice.reason}."
    )


def _of_the_way_back(target: Target) -> str:
    """What becomes of predictions when a transform is undone."""
    if target.kind == "quantile":
        return "Quantiles stay what they are under a transform that rises."
    return "What is learnt best there is nearer to the target's median than to its mean."


def finished(plan: SearchPlan) -> str:
    """That a run is finished, and what would give it more."""
    done = "" if plan.budget is None else f", {plan.budget.done}"
    more = "--trials or --repeats" if plan.budget is None else "--minutes, --trials or --repeats"
    return f"The run is finished{done}; {more} would give it more."


def tell_what_is_recorded(journal: Journal, observer: Observer) -> None:
    """What a run that goes on has already."""
    if journal.was_damaged:
        observer.warn(
            "The journal was damaged. What could not be read is trained again; the rest stays."
        )
    observer.note(f"Journal: {journal.n_units} work units are recorded and kept.")
