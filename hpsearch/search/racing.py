"""Racing: how far each trial is trained, and which ones end early because they cannot win.

Candidates share folds and seeds, so their scores compare in pairs. A batch of candidates trains in
stages; after each, all of them are compared at once, and some end there as ``stopped``. Two kinds
of stages come one after the other:

- Rungs, within the first repeat: successive halving over epochs. Each rung trains three times as
  long as the one before, from the weights at which that ended, and a third of the trials goes on.
- Repeats: whole blocks of K folds. A trial ends where a rule says that it can't win.

After the last candidate, a play-off gives the leaders more repeats until the winner is clear.
Everything is decided from scores at the end of a stage, never from the order in which results
arrive, so that a run which goes on decides the same again. Owns the rules; what a stage is and
training belong to ``scoring``, the tests to ``stats``.

References
----------
Bergman, E., Purucker, L., Hutter, F.: Don't waste your time: early stopping cross-validation.
AutoML 2024, PMLR 256, section 3 ("forgiving").
Jamieson, K., Talwalkar, A.: Non-stochastic best arm identification and hyperparameter
optimization. AISTATS 2016, PMLR 51, 240-248 (successive halving).
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52 (2003) 239-281.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.folds import Fold
from hpsearch.metrics import metric_named
from hpsearch.oracles.base import HALVING_RATE
from hpsearch.results.journal import Recorder
from hpsearch.scoring.observer import Observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.stages import Stage, stages_of
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.options import Race
from hpsearch.search.pacing import UNLIMITED, Pacing
from hpsearch.space.space import Candidate
from hpsearch.stats import PairedTest, corrected_t_test, repeats_until_decided
from hpsearch.task import loss_sign

LEVEL: Final = 0.05
"""The corrected paired test stops a trial whose one-sided p value is below this; a winner is clear
where that of every other leader is."""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Racing:
    """Scores batches of candidates, ending early those that cannot win.

    Attributes
    ----------
    session, journal, observer : what trains, what remembers, and who hears of it.
    rule : ``"off"`` trains every repeat of every candidate; ``"forgiving"`` stops a trial whose
        mean over the finished folds is worse than the leader's worst fold (Bergman et al. 2024);
        ``"corrected-t"`` one that the corrected paired t-test finds worse than the leader.
    n_repeats : the repeats that a completed trial has.
    pacing : hears how far each trial has come, and knows how long there is time for more.
    """

    session: Session
    journal: Recorder
    observer: Observer
    rule: Race
    n_repeats: int
    pacing: Pacing = UNLIMITED

    def stages(self, n_rungs: int) -> list[Stage]:
        """The stages that a batch goes through."""
        return stages_of(self._base_folds(), n_rungs=n_rungs, by_repeat=self.rule != "off")

    def enter(self, candidates: Sequence[Candidate], stage: Stage) -> Iterator[TrialResult]:
        """Train candidates up to the end of a stage, for a race to find them there."""
        for trial in self._score(candidates, stage):
            self.pacing.heard(stage, trial)
            yield trial

    def score(
        self,
        candidates: Sequence[Candidate],
        n_rungs: int,
        earlier: Sequence[TrialResult] = (),
    ) -> Iterator[TrialResult]:
        """Score candidates; each comes as soon as it is completed, stopped or failed.

        Parameters
        ----------
        n_rungs : rungs of epochs in the first repeat; 1 for none.
        earlier : trials of earlier batches; the best of the completed ones races as well.
        """
        completed = [trial for trial in earlier if trial.status == "completed"]
        running = list(candidates)
        for number, stage in enumerate(self.stages(n_rungs)):
            ended = []
            for trial in self.enter(running, stage):
                if stage.is_last:
                    yield trial
                elif trial.status == "failed":
                    self.session.finish(trial, stage, self.journal)
                    yield trial
                else:
                    ended.append(trial.without_predictions())
            if stage.is_last:
                return
            ended.sort(key=lambda trial: trial.candidate.trial)
            kept = self._survivors(stage, ended, completed, len(running))
            for trial in ended:
                if trial not in kept:
                    self.session.finish(trial, stage, self.journal)
                    yield trial.stopped(number)
            running = [trial.asked for trial in kept]
            if not running:
                return

    def play_off(
        self, trials: Sequence[TrialResult], max_repeats: int, n_rungs: int
    ) -> Iterator[Sequence[TrialResult]]:
        """Give the leaders more repeats until the winner is clear, or tied with the next.

        Each round adds one repeat to every leader: the completed trials that the winner is not
        clearly better than. Where a leader fails, all the others play again. Yields a round's
        trials, to be put in the place of the old ones.

        Parameters
        ----------
        trials : all that ended; max_repeats : the most repeats that a trial may have.
        n_rungs : as the trials were trained.
        """
        field = leaders = [trial for trial in trials if trial.status == "completed"]
        for n_repeats in itertools.count(self.n_repeats):
            if not leaders:
                return
            leaders, verdict = self._leaders(leaders)
            if verdict is not None:
                self.observer.note(f"Decided after {_repeats(n_repeats)}: {verdict}.")
                return
            if n_repeats >= max_repeats:
                self.observer.note(self._undecided(leaders, n_repeats))
                return
            if not self.pacing.has_time_for_repeat(n_repeats, len(leaders)):
                self.observer.note(
                    f"Not decided after {_repeats(n_repeats)}, and there is no time for more. "
                    "More --minutes go on from here."
                )
                return
            self.observer.note(
                f"Not decided after {_repeats(n_repeats)}: {len(leaders)} leaders, trials "
                f"{_listed(leaders)}, get one more."
            )
            stage = Stage(self._folds_of(n_repeats + 1), n_rungs - 1, n_rungs)
            while True:
                candidates = [trial.asked for trial in leaders]
                results = list(self._score(candidates, stage))
                yield [trial.without_predictions() for trial in results]
                failed = {t.candidate.trial for t in results if t.status == "failed"}
                leaders = [trial for trial in results if trial.status == "completed"]
                if not failed:
                    break
                self.observer.note(f"Failed in another repeat: trials {_numbers(failed)}.")
                field = [trial for trial in field if trial.candidate.trial not in failed]
                if len(leaders) == len(field):
                    break
                leaders = field

    def _score(self, candidates: Sequence[Candidate], stage: Stage) -> Iterator[TrialResult]:
        return self.session.score(candidates, self.journal, self.observer, stage)

    def _survivors(
        self,
        stage: Stage,
        ended: Sequence[TrialResult],
        completed: Sequence[TrialResult],
        n_entered: int,
    ) -> list[TrialResult]:
        if not stage.is_whole:
            return _best(ended, self._loss, -(-n_entered // HALVING_RATE))
        if self.rule == "off" or not ended or len(stage.folds) < 2:
            return list(ended)
        [leader] = _best([*ended, *self._incumbent(completed, stage)], self._loss, 1)
        losses = self._losses(leader)
        return [
            trial
            for trial in ended
            if trial is leader or not self._is_beaten(self._losses(trial), losses, stage)
        ]

    def _incumbent(self, completed: Sequence[TrialResult], stage: Stage) -> list[TrialResult]:
        """The best trial of earlier batches as it stood after a stage, if there is one."""
        best = _best(completed, self._loss, 1)
        asked = [trial.asked for trial in best]
        return list(self._score(asked, stage))

    def _is_beaten(self, losses: Scores, leader: Scores, stage: Stage) -> bool:
        if self.rule == "forgiving":
            return bool(losses.mean() > leader.max())
        return _is_clear(self._test(leader, losses, stage.folds))

    def _leaders(self, trials: Sequence[TrialResult]) -> tuple[list[TrialResult], str | None]:
        """The winner and those it is not clearly better than; and what is decided, if it is."""
        winner, *others = _best(trials, self._loss, len(trials))
        if len(winner.positions) < 2:
            return [winner, *others], None if others else _alone(winner)
        losses = self._losses(winner)
        tests = [self._test(losses, self._losses(other), winner.positions) for other in others]
        unclear = [o for o, test in zip(others, tests, strict=True) if not _is_clear(test)]
        if not unclear:
            return [winner], _alone(winner)
        test = next(test for test in tests if not _is_clear(test))
        if abs(test.difference) <= test.se:
            return [winner, *unclear], (
                f"trials {winner.candidate.trial} and {unclear[0].candidate.trial} are within one "
                "standard error of their difference, which more repeats would hardly change"
            )
        return [winner, *unclear], None

    def _undecided(self, leaders: Sequence[TrialResult], n_repeats: int) -> str:
        winner, second = leaders[:2]
        sizes = self._sizes(winner.positions)
        decision = repeats_until_decided(
            self._losses(winner) - self._losses(second), n_repeats, *sizes, probability=1 - LEVEL
        )
        pair = f"trial {winner.candidate.trial} and trial {second.candidate.trial}"
        if decision.more is None:
            return (
                f"Not decided after {_repeats(n_repeats)}: no number of repeats would tell {pair} "
                "apart; more rows might."
            )
        return (
            f"Not decided after {_repeats(n_repeats)}, the most allowed: "
            f"{decision.more} more {'repeat' if decision.more == 1 else 'repeats'} would be needed "
            f"to tell {pair} apart. Raise --max-repeats."
        )

    def _test(self, better: Scores, worse: Scores, positions: Sequence[int]) -> PairedTest:
        return corrected_t_test(better, worse, *self._sizes(positions))

    def _sizes(self, positions: Sequence[int]) -> tuple[list[int], list[int]]:
        folds = [self.session.data.folds[position] for position in positions]
        return [len(fold.train) for fold in folds], [len(fold.validation) for fold in folds]

    def _losses(self, trial: TrialResult) -> Scores:
        """The selecting metric on each fold, turned so that less is better."""
        metric = metric_named(self.session.plan.options.metrics[0])
        scores = trial.fold_scores(metric.name)
        return loss_sign(metric.direction) * scores

    def _loss(self, trial: TrialResult) -> float:
        return float(self._losses(trial).mean())

    def _base_folds(self) -> tuple[Fold, ...]:
        folds = self.session.data.folds
        return tuple(fold for fold in folds if fold.repeat < self.n_repeats)

    def _folds_of(self, n_repeats: int) -> tuple[int, ...]:
        folds = enumerate(self.session.data.folds)
        return tuple(position for position, fold in folds if fold.repeat < n_repeats)


def _best(
    trials: Sequence[TrialResult], loss: Callable[[TrialResult], float], n: int
) -> list[TrialResult]:
    """The ``n`` best trials, the best first, ties by their numbers."""
    return sorted(trials, key=lambda trial: (loss(trial), trial.candidate.trial))[:n]


def _is_clear(test: PairedTest) -> bool:
    """Whether the first of two is better: less, with a one-sided p value below ``LEVEL``."""
    return test.difference < 0 and test.p_value / 2 < LEVEL


def _alone(winner: TrialResult) -> str:
    return f"trial {winner.candidate.trial} is better than every other"


def _repeats(n: int) -> str:
    return "1 repeat" if n == 1 else f"{n} repeats"


def _listed(trials: Sequence[TrialResult]) -> str:
    return _numbers(trial.candidate.trial for trial in trials)


def _numbers(trials: Iterable[int]) -> str:
    numbers = [str(trial) for trial in trials]
    shown = numbers[:8]
    more = len(numbers) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
