"""A training in phases, whichever engine trains it: which epochs of a unit are in which phase.

A phase is a training of its own, which begins with the weights that the one before ended with.
Owns cutting a unit at the changes and joining what its parts gave. What a phase does to a network
belongs to ``hpsearch.space.phases``, moving the weights to each engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import FoldResult, ReplicaState, UnitResult, WorkUnit
from hpsearch.engines.fit_data import FitData
from hpsearch.space.phases import steps_of

Spans = Sequence[tuple[int, int]]
"""The epochs of each phase: those after the first number, up to the second."""


@dataclass(frozen=True)
class Cut:
    """The part of a work unit that lies in one phase.

    Attributes
    ----------
    number : of the phase, from 0.
    since, until : its epochs, of those to train.
    begins : whether the phase begins with it, so that its states come from the phase before.
    """

    number: int
    since: int
    until: int
    begins: bool

    def unit(self, unit: WorkUnit, states: Mapping[int, ReplicaState] | None) -> WorkUnit:
        """The unit of these epochs.

        Parameters
        ----------
        states : of this phase, by position; None where the training begins.
        """
        span = replace(unit.span, since=self.since, until=self.until)
        keeps = unit.keeps_networks and self.until == unit.span.until
        return replace(unit, span=span, states=states, keeps_networks=keeps)


def cuts(unit: WorkUnit, spans: Spans) -> Iterator[Cut]:
    """The parts of the epochs that a unit has to train, phase by phase.

    Examples
    --------
    >>> from hpsearch.engines.contract import Span, WorkUnit
    >>> from hpsearch.space.space import Candidate
    >>> unit = WorkUnit(Candidate(0, {}), (0,), Span(since=0, until=7))
    >>> [(cut.number, cut.since, cut.until) for cut in cuts(unit, [(0, 4), (4, 9)])]
    [(0, 0, 4), (1, 4, 7)]
    """
    end = unit.span.end(spans[-1][1])
    for number, (first, last) in enumerate(spans):
        since, until = max(first, unit.first_epoch), min(last, end)
        if since < until:
            yield Cut(number, since, until, begins=bool(number) and since == first)


def steps_on_all_rows(configuration: Configuration, data: FitData, n_steps: int) -> list[int]:
    """Optimizer steps of each phase that a training on all rows comes to; all where there is one.

    Parameters
    ----------
    configuration : whose network was built.
    """
    if not configuration.phases:
        return [n_steps]
    per_epoch = -(-data.encoded.n_rows // configuration.settings.batch_size)
    return steps_of(configuration.phases, n_steps, per_epoch)


def states_of(result: UnitResult) -> dict[int, ReplicaState]:
    """Where each fold's training stands, by position."""
    return {fold.position: fold.state for fold in result.folds if fold.state is not None}


def joined(unit: WorkUnit, parts: Sequence[UnitResult], spans: Spans) -> UnitResult:
    """What the parts of a unit gave, one after the other, as its result; or the first failure."""
    ends = tuple(last for _, last in spans)
    failed = next((part for part in parts if part.error is not None), None)
    whole = replace(failed or parts[-1], unit=unit.without_states(), phases=ends)
    whole = replace(whole, seconds=sum(part.seconds for part in parts))
    if failed is not None:
        return whole
    by_fold: dict[int, list[FoldResult]] = {}
    for part in parts:
        for fold in part.folds:
            by_fold.setdefault(fold.position, []).append(fold)
    folds = (FoldResult.joined(by_fold[position]) for position in unit.folds)
    wanted = (fold.between(unit.span.since, fold.until) for fold in folds)
    return replace(whole, folds=tuple(wanted))
