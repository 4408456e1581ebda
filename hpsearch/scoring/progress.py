"""What of a stage is recorded, and what is missing: pure functions of units.

A unit's result may hold more than a stage asks for, or less. Which units there are belongs to the
journal, training what is missing to ``session``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hpsearch.engines.contract import FoldResult, Span, UnitResult, WorkUnit
from hpsearch.scoring.stages import Stage
from hpsearch.scoring.states import States
from hpsearch.space.space import Candidate


@dataclass(frozen=True)
class Goal:
    """How far a stage trains one candidate.

    Attributes
    ----------
    candidate : what is trained; stage : how far.
    epochs : the candidate's budget.
    stops_together : whether all its folds stop at one epoch, found while they train (patience).
    """

    candidate: Candidate
    stage: Stage
    epochs: int
    stops_together: bool = False

    @property
    def span(self) -> Span:
        """The epochs that are asked for."""
        return self.stage.span(self.epochs)

    @property
    def end(self) -> int:
        """The last of them."""
        return self.span.end(self.epochs)

    def parts_of(self, units: Sequence[UnitResult]) -> list[UnitResult]:
        """What is asked for, out of what there is."""
        parts = (
            _part_of(unit, self.stage.folds, self.end)
            for unit in units
            if unit.unit.span.since < self.end
        )
        return [part for part in parts if part.unit.folds]

    def recorded(self, units: Sequence[UnitResult], states: States) -> list[UnitResult]:
        """What need not be trained again; no part of it where all folds stop together."""
        found = self.parts_of(units)
        missing = self.missing(found, states)
        if self.stops_together and missing:
            return []
        # What comes after epochs that are missing is trained again with them.
        again = {position: unit.span.since for unit in missing for position in unit.folds}
        return [
            part
            for part in found
            if all(part.unit.span.since < again.get(p, math.inf) for p in part.unit.folds)
        ]

    def missing(self, units: Sequence[UnitResult], states: States) -> list[WorkUnit]:
        """What has to be trained; folds that stand at the same epoch go together."""
        trial = self.candidate.trial
        groups: dict[tuple[int, bool], list[int]] = {}
        for position, since in self._reached(units).items():
            if since < self.end:
                has_state = states.has(trial, position, since)
                groups.setdefault((since, has_state), []).append(position)
        return [
            WorkUnit(
                self.candidate,
                tuple(positions),
                replace(self.span, since=since),
                states.read(trial, positions) if has_state else None,
            )
            for (since, has_state), positions in groups.items()
        ]

    def _reached(self, units: Sequence[UnitResult]) -> dict[int, int]:
        """The epoch at which each fold stands."""
        reached = dict.fromkeys(self.stage.folds, 0)
        for unit in sorted(units, key=lambda unit: unit.unit.span.since):
            if unit.error is not None or self.stops_together:
                reached |= dict.fromkeys(unit.unit.folds, self.epochs)
            for fold in unit.folds:
                if fold.since == reached[fold.position]:
                    reached[fold.position] = fold.until
        return reached


def made_again(units: Sequence[UnitResult], made: Mapping[int, FoldResult]) -> list[UnitResult]:
    """Recorded units, their folds out of whole trainings where there are such."""
    return [replace(u, folds=tuple(_again(fold, made) for fold in u.folds)) for u in units]


def _again(fold: FoldResult, made: Mapping[int, FoldResult]) -> FoldResult:
    """A recorded part of a fold, out of a training of the whole fold where there is one."""
    whole = made.get(fold.position)
    return fold if whole is None else whole.between(fold.since, fold.until)


def _part_of(result: UnitResult, positions: Sequence[int], end: int) -> UnitResult:
    """The part of a result on some folds, up to an epoch; the result itself where that is all."""
    unit = result.unit
    folds = tuple(position for position in unit.folds if position in positions)
    if folds == unit.folds and all(fold.until <= end for fold in result.folds):
        return result
    kept = (fold for fold in result.folds if fold.position in positions)
    cut = tuple(fold if fold.until <= end else fold.between(fold.since, end) for fold in kept)
    return replace(result, unit=replace(unit, folds=folds), folds=cut)
