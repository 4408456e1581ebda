"""The score of a race without its bias: bootstrap bias-corrected CV where trials ended early.

A race selects in steps. Who is left at the end was chosen on the same rows as the winner, so that
correcting for the last choice alone leaves what the earlier ones flatter. Each bootstrap sample
runs all steps again, on the rows drawn; who would have gone on then, and did not, takes the place
of one that did.

References
----------
Tsamardinos, I., Greasidou, E., Borboudakis, G.: Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation. Machine Learning 107 (2018) 1895-1922.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hpsearch.stats.base import Floats, losses_of
from hpsearch.stats.bootstrap import (
    BiasCorrected,
    Counts,
    Heard,
    Metric,
    Rows,
    Rule,
    best_of_samples,
    check_bootstraps,
    direction_of,
    mean_scores,
    select_and_score,
    summary,
    winner_of,
)
from hpsearch.task import Direction, ProblemKind

SAMPLES_OF_SLOPES: Final = 200
"""Samples that tell how much of a difference at one step is still there at the next one."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RaceStep:
    """A step of a race: the trials that got there, and which of them went on.

    Attributes
    ----------
    trials : (m,) their numbers.
    predictions : (m, E, P, n) or (m, E, P, n, outputs), after their epochs so far, in the repeats
        so far, of the first n rows that there are; NaN where a trial has fewer epochs.
    went_on : (m,) which of them went on.
    brackets : (m,) a number for those that were compared with each other.
    """

    trials: Integers
    predictions: NDArray[Any] = field(repr=False)
    went_on: NDArray[np.bool_]
    brackets: Integers


def bias_corrected_race(
    metric: Metric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    trials: ArrayLike,
    steps: Sequence[RaceStep],
    *,
    kind: ProblemKind | None = None,
    direction: Direction | None = None,
    blocks: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    rule: Rule | None = None,
    n_bootstraps: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    heard: Heard | None = None,
) -> BiasCorrected:
    """The score of "the winner of this race", without the bias of having won it.

    ``bias_corrected_cv_of_epochs`` where trials ended early. Each sample runs the steps again: at
    each one, of the trials of a bracket as many go on as really did, the best ones on the rows
    drawn, after their best epoch there. One that would have gone on, but was stopped, has no later
    predictions. It takes the place of one that went on and would have been stopped: from then on it
    has that one's scores, on the rows drawn and on those left out, moved by

    ``b (its score at this step - the other's score at this step)``.

    ``b`` is how much of a difference at one step is still there at the next one, when rows are
    drawn anew: the least-squares slope of scores there on scores here, over trials that have both,
    each sample's mean over them taken off, as rows that are easy for all select nobody. Where later
    predictions are those of before, ``b`` is 1, and who goes on is scored by what it predicted;
    where they have nothing to do with them, it is 0, and it is as good as any that went on.

    Parameters
    ----------
    metric, kind, direction, blocks, weights, n_bootstraps, level, seed, heard : as in
        ``bias_corrected_cv``.
    y_true : n rows, as ``hpsearch.metrics.score`` takes it.
    y_pred : (T, E, P, n) or (T, E, P, n, outputs), as in ``bias_corrected_cv_of_epochs``: of the
        trials that were trained to the end.
    trials : (T,) their numbers.
    steps : the steps before, at which some ended, in the order of the race.
    rule : as in ``bias_corrected_cv_of_epochs``, for the last choice.

    Raises
    ------
    OptionError, ValueError : as ``bias_corrected_cv`` does.

    Examples
    --------
    Sixty trials that guess. The ten best go on; of their second predictions, by which the best one
    wins, half are those of before.

    >>> rng = np.random.default_rng(0)
    >>> y_true, first = rng.integers(0, 2, 200), rng.random((60, 1, 1, 200))
    >>> best = np.argsort(-((first >= 0.5) == y_true).sum(axis=(1, 2, 3)), kind="stable")[:10]
    >>> again = rng.random((10, 1, 1, 200))
    >>> second = np.where(rng.random(again.shape) < 0.5, first[best], again)
    >>> every, went_on = np.arange(60), np.isin(np.arange(60), best)
    >>> step = RaceStep(every, first, went_on, brackets=np.zeros(60, dtype=np.int64))
    >>> last_choice = bias_corrected_race("accuracy", y_true, second, best, [])
    >>> said = bias_corrected_race("accuracy", y_true, second, best, [step])
    >>> print(f"{said.naive:.3f}, {last_choice.estimate:.3f}, corrected {said.estimate:.3f}")
    0.570, 0.515, corrected 0.510
    """
    truth, predictions = np.asarray(y_true), np.asarray(y_pred)
    if predictions.ndim < 4:
        raise ValueError(
            "`y_pred` must be (trials, epochs, repeats, rows, ...); received shape "
            f"{predictions.shape}."
        )
    check_bootstraps(n_bootstraps, level)
    sense = direction_of(metric, direction)
    rows = Rows(metric, truth, kind, blocks, weights)
    n_trials, n_epochs, n_repeats = predictions.shape[:3]
    candidates = predictions.reshape(-1, *predictions.shape[2:])
    select = rule or best_of_samples
    winner, naive = winner_of(rows, candidates, sense, select)
    before = [_Step.of(step, metric, truth, kind, rows.weights, sense) for step in steps]
    replay = _Replay([*before, _Step(rows, np.asarray(trials), predictions, sense)])
    n_arrays = max([len(candidates) * n_repeats, *(step.n_arrays for step in replay.steps)])
    for counts in rows.samples(min(n_bootstraps, SAMPLES_OF_SLOPES), n_arrays, seed):
        replay.learn(counts)
    outcomes = []
    for counts in rows.samples(n_bootstraps, n_arrays, seed):
        drawn, left_out = replay.moved(counts)
        moved = np.repeat(drawn, n_epochs, axis=1)
        best, scores = select_and_score(
            rows, candidates, sense, select, counts, moved=moved, heard=heard
        )
        outcomes.append((best, scores + left_out[np.arange(len(best)), best // n_epochs]))
    best, scores = (np.concatenate(parts) for parts in zip(*outcomes, strict=True))
    return summary(
        scores,
        best // n_epochs,
        winner=winner // n_epochs,
        epoch=winner % n_epochs,
        naive=naive,
        n_trials=n_trials,
        level=level,
    )


class _Step:
    """A step, or the end, and the scores of its trials."""

    def __init__(
        self,
        rows: Rows,
        trials: Integers,
        predictions: NDArray[Any],
        direction: Direction,
        step: RaceStep | None = None,
    ) -> None:
        self.trials, self.step = trials, step
        self._rows, self._direction = rows, direction
        self._shape = predictions.shape[:2]
        self._candidates = predictions.reshape(-1, *predictions.shape[2:])
        self.n_arrays = len(self._candidates) * predictions.shape[2]
        on_all = self._scores(np.ones((1, rows.n_rows), dtype=np.int64))[0]
        best, every = losses_of(on_all, direction).argmin(axis=1), np.arange(len(trials))
        self._best, self._of_best = predictions[every, best], on_all[every, best]

    @classmethod
    def of(
        cls,
        step: RaceStep,
        metric: Metric,
        truth: NDArray[Any],
        kind: ProblemKind | None,
        weights: Floats | None,
        direction: Direction,
    ) -> _Step:
        """A step on the first rows, as many as it has predictions of."""
        n = step.predictions.shape[3]
        rows = Rows(metric, truth[:n], kind, None, None if weights is None else weights[:n])
        return cls(rows, step.trials, step.predictions, direction, step)

    def deviations(self, counts: Counts) -> Floats:
        """(b, m) how much more each trial scores on rows that count so often than on all rows."""
        counts = counts[:, : self._rows.n_rows]
        return np.asarray(mean_scores(self._rows, self._best, counts) - self._of_best)

    def scores(self, counts: Counts) -> tuple[Floats, Floats]:
        """(b, m) scores on the rows drawn, after the best epoch there, and on those left out."""
        counts = counts[:, : self._rows.n_rows]
        drawn = self._scores(counts)
        best = losses_of(drawn, self._direction).argmin(axis=2)[..., np.newaxis]
        left_out = self._scores((counts == 0).astype(np.int64))
        inside, outside = (np.take_along_axis(s, best, axis=2)[..., 0] for s in (drawn, left_out))
        return inside, outside

    def survivors(self, drawn: Floats) -> tuple[Integers, Integers]:
        """Positions of those that really went on (k,), and of who has their places (b, k).

        Parameters
        ----------
        drawn : (b, m) the trials' scores on the rows drawn.
        """
        assert self.step is not None
        losses = losses_of(drawn, self._direction)
        places, owners = [], []
        for bracket in np.unique(self.step.brackets):
            here = np.flatnonzero(self.step.brackets == bracket)
            went_on = self.step.went_on[here]
            if went_on.any():
                places.append(here[went_on])
                owners.append(here[_places_taken(losses[:, here], went_on)])
        return np.concatenate(places), np.concatenate(owners, axis=1)

    def _scores(self, counts: Counts) -> Floats:
        """(b, m, E) scores of the trials after each epoch."""
        scores = mean_scores(self._rows, self._candidates, counts)
        return np.asarray(scores.reshape(len(counts), *self._shape))


def _places_taken(losses: Floats, went_on: NDArray[np.bool_]) -> Integers:
    """(b, k) who has the place of each of the k that really went on, of m with losses (b, m).

    The best k of a sample have the places; those of them that really went on have their own, the
    others, in their order, those of the ones that the sample stops.
    """
    k = int(went_on.sum())
    chosen = np.zeros(losses.shape, dtype=bool)
    best = np.argsort(losses, axis=1, kind="stable")[:, :k]
    np.put_along_axis(chosen, best, True, axis=1)
    taken = np.tile(np.flatnonzero(went_on), (len(losses), 1))
    new, gone = chosen & ~went_on, went_on & ~chosen
    taken[gone[:, went_on]] = np.nonzero(new)[1]
    return taken


class _Replay:
    """A race that samples run again; ``learn`` from some of them first.

    Attributes
    ----------
    steps : those at which trials ended, and the end.
    """

    def __init__(self, steps: Sequence[_Step]) -> None:
        self.steps = steps
        self._numbers = np.unique(np.concatenate([step.trials for step in steps]))
        self._products, self._squares = np.zeros(len(steps)), np.zeros(len(steps))

    def learn(self, counts: Counts) -> None:
        """See how differences at each step are still there at the next one."""
        deviations = [step.deviations(counts) for step in self.steps]
        for at, step in enumerate(self.steps[:-1]):
            following = self._following(at)
            both = np.intersect1d(step.trials, self.steps[following].trials)
            here, there = (
                deviations[i][:, np.searchsorted(self.steps[i].trials, both)]
                for i in (at, following)
            )
            if len(both) > 1:
                here = here - here.mean(axis=1, keepdims=True)
                there = there - there.mean(axis=1, keepdims=True)
            known = np.isfinite(here) & np.isfinite(there)
            self._products[at] += (here * there)[known].sum()
            self._squares[at] += (here * here)[known].sum()

    def moved(self, counts: Counts) -> tuple[Floats, Floats]:
        """(b, T) how much the scores of each trial at the end are moved by who has its place.

        On the rows drawn, and on those left out.
        """
        moves = np.zeros((2, len(counts), len(self._numbers)))
        for at, step in enumerate(self.steps[:-1]):
            own = np.searchsorted(self._numbers, step.trials)
            scores = np.stack(step.scores(counts))
            now = scores + moves[:, :, own]
            places, owners = step.survivors(now[0])
            of_owners = np.take_along_axis(now, np.broadcast_to(owners, (2, *owners.shape)), axis=2)
            moves[:, :, own[places]] = self._slope(at) * (of_owners - scores[:, :, places])
        drawn, left_out = moves[:, :, np.searchsorted(self._numbers, self.steps[-1].trials)]
        return drawn, left_out

    def _slope(self, at: int) -> float:
        squares = self._squares[at]
        return max(0.0, float(self._products[at] / squares)) if squares > 0 else 0.0

    def _following(self, at: int) -> int:
        """The next step that those who went on from a step got to."""
        step = self.steps[at].step
        assert step is not None
        went_on = step.trials[step.went_on]
        return next(
            i
            for i in range(at + 1, len(self.steps))
            if i == len(self.steps) - 1 or np.isin(went_on, self.steps[i].trials).any()
        )
