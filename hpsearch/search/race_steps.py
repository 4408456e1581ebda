"""The steps of a race, for the correction of what they flatter: who got there, and what was kept.

A step is a stage of some brackets after which trials ended early. Predictions come from the
journal. Stages belong to ``scoring``, running them again on samples to ``hpsearch.stats``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.contract import UnitResult
from hpsearch.folds import Fold
from hpsearch.ledger.predictions import OfFold, arrange
from hpsearch.oracles.base import HALVING_RATE
from hpsearch.scoring.stages import Bracket, Stage, stages_of
from hpsearch.scoring.trials import TrialResult, joined_folds
from hpsearch.stats import RaceStep

Arrays = Mapping[int, Mapping[int, NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class Raced:
    """A race that has ended, and what is kept of it.

    Attributes
    ----------
    trials : those that were completed or stopped, in the order of their numbers.
    units : what the journal has of each, by its number.
    brackets : the trials that were compared with each other.
    folds : those of a completed trial, repeat after repeat.
    by_repeat : whether trials were compared after each repeat.
    metric, sign : the selecting metric, and 1 where small scores are good, else -1.
    y : the target of every row of the table.
    """

    trials: Sequence[TrialResult]
    units: Mapping[int, Sequence[UnitResult]] = field(repr=False)
    brackets: Sequence[Bracket]
    folds: Sequence[Fold]
    by_repeat: bool
    metric: str
    sign: float
    y: NDArray[np.float64]

    def steps(self, n_epochs: int) -> Iterator[RaceStep]:
        """The steps at which trials ended.

        Parameters
        ----------
        n_epochs : of each trial that take part at most, the best ones up to the step.
        """
        for n_rungs in sorted({bracket.n_rungs for bracket in self.brackets}):
            of_bracket = {
                trial: number
                for number, bracket in enumerate(self.brackets)
                if bracket.n_rungs == n_rungs
                for trial in bracket.trials
            }
            racing = [trial for trial in self.trials if trial.candidate.trial in of_bracket]
            *stages, _ = stages_of(self.folds, n_rungs=n_rungs, by_repeat=self.by_repeat)
            for number, stage in enumerate(stages):
                entered = [trial for trial in racing if _went_through(trial, number)]
                if any(trial.stopped_after == number for trial in entered):
                    yield self._step(entered, number, stage, n_epochs, of_bracket)

    def _step(
        self,
        entered: Sequence[TrialResult],
        number: int,
        stage: Stage,
        n_epochs: int,
        of_bracket: Mapping[int, int],
    ) -> RaceStep:
        folds = [self.folds[position] for position in stage.folds]
        found = [self._up_to(trial, stage, n_epochs) for trial in entered]
        there = [at for at, (_, epochs) in enumerate(found) if epochs]
        trials = [entered[at] for at in there]
        arranged = arrange(
            [found[at][0] for at in there],
            [found[at][1] for at in there],
            folds,
            self.y,
            np.arange(len(self.y)),
        )
        numbers = [trial.candidate.trial for trial in trials]
        return RaceStep(
            trials=np.array(numbers),
            predictions=arranged.predictions,
            went_on=np.array([_went_through(trial, number + 1) for trial in trials]),
            brackets=np.array([of_bracket[trial] for trial in numbers]),
        )

    def _up_to(
        self, trial: TrialResult, stage: Stage, n_epochs: int
    ) -> tuple[OfFold, tuple[int, ...]]:
        """A trial's predictions on the folds of a stage, and its best epochs up to there."""
        units, last = self.units[trial.candidate.trial], int(trial.row["epochs"])
        blocks = [unit.unit.span.block for unit in units if unit.unit.span.block is not None]
        if blocks and not stage.is_whole:
            last = min(last, blocks[0] * HALVING_RATE**stage.rung)
        folds = {fold.position: fold for fold in joined_folds(units)}
        of_stage = [folds[position] for position in stage.folds]
        curve = self.sign * np.mean([f.validation[self.metric][:last] for f in of_stage], axis=0)
        found: dict[int, dict[int, NDArray[np.float32]]] = {}
        for place, fold in enumerate(of_stage):
            kept = ((epoch, fold.predictions_after(epoch)) for epoch in fold.predicted_epochs)
            found[place] = {epoch: array for epoch, array in kept if array is not None}
        there = set.intersection(*({*of_fold} for of_fold in found.values()))
        ranked = (int(epoch) + 1 for epoch in np.argsort(curve, kind="stable"))
        return found, tuple(epoch for epoch in ranked if epoch in there)[:n_epochs]


def _went_through(trial: TrialResult, number: int) -> bool:
    """Whether a trial was trained as far as the stage of a number asks, from 0."""
    return trial.stopped_after is None or trial.stopped_after >= number
