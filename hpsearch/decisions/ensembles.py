"""Ensembles: several networks averaged, and what that scores on rows that chose none of it.

Owns which trials an ensemble takes and how often, Caruana's selection by out-of-fold predictions,
and its honest estimate: in each sample of the bias-correcting bootstrap an ensemble is chosen again
on the rows drawn, and scored on those left out. Pure functions of predictions; training members
belongs to the engines, putting them into one file to ``hpsearch.export``.

What is averaged are canonical predictions, probabilities of classes or values in the target's own
units: these are what is scored. Logits and standardised values of two networks have no common
scale.

References
----------
Caruana, R., Niculescu-Mizil, A., Crew, G., Ksikes, A.: Ensemble selection from libraries of models.
Proceedings of the 21st International Conference on Machine Learning (2004).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hpsearch.stats.base import Floats, losses_of
from hpsearch.stats.bootstrap import Counts, Rows, mean_scores
from hpsearch.task import Direction

STEPS: Final = 20
"""Members that are chosen one after the other: no weight is finer than a 20th."""

SAMPLES: Final = 300
"""Bootstrap samples in which an ensemble of trials is chosen again, at most."""

FEWEST_SAMPLES: Final = 50
MAX_WORK: Final = 1.5e9
"""Numbers that are averaged and scored in all samples: some ten seconds of one core."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """What an ensemble scores, and what that is better than the single network.

    Attributes
    ----------
    naive : its score on the rows that chose it; single_naive : the single network's.
    gains : (B,) by how much its score is better on the rows left out, in each sample that counts.
    scores : (B,) its score there.
    """

    naive: float
    single_naive: float
    gains: Floats
    scores: Floats


class Decide(Protocol):
    """How an ensemble is decided on some rows, and scored on others."""

    def scores(self, counts: Counts, left_out: Counts, selected: Integers) -> Floats:
        """(b,) scores where rows count ``left_out`` times, of what they decide by ``counts``."""


class Samples:
    """Hears the samples of a bias-correcting bootstrap, and decides an ensemble again in each.

    Parameters
    ----------
    rows : the rows, with the metric that scores them.
    candidates : (C, P, n, ...) out-of-fold predictions that a sample selects one of.
    decide : how an ensemble is decided.
    most : samples that are heard; later ones are left out.
    """

    def __init__(
        self,
        rows: Rows,
        candidates: NDArray[Any],
        direction: Direction,
        decide: Decide,
        most: int | None = None,
    ) -> None:
        self._rows, self._candidates, self._decide = rows, candidates, decide
        self._sign = -1.0 if direction == "min" else 1.0
        self._left = most
        self._scores: list[Floats] = []
        self._singles: list[Floats] = []

    def __call__(self, counts: Counts, selected: Integers) -> None:
        """Hear of samples: how often each row was drawn (b, n), and what each selects (b,)."""
        if self._left is not None:
            counts, selected = counts[: self._left], selected[: self._left]
            self._left -= len(counts)
        there = selected >= 0
        counts, selected = counts[there], selected[there]
        if not len(counts):
            return
        left_out = (counts == 0).astype(np.int64)
        self._scores.append(self._decide.scores(counts, left_out, selected))
        self._singles.append(self._of_single(left_out, selected))

    def gain(self, winner: int) -> Gain:
        """What was heard, and the same on all rows, which select ``winner``."""
        once = np.ones((1, self._rows.n_rows), dtype=np.int64)
        selected = np.array([winner])
        naive = self._decide.scores(once, once, selected)[0]
        scores = np.concatenate([*self._scores, np.zeros(0)])
        singles = np.concatenate([*self._singles, np.zeros(0)])
        known = np.isfinite(scores) & np.isfinite(singles)
        return Gain(
            naive=float(naive),
            single_naive=float(self._of_single(once, selected)[0]),
            gains=self._sign * (scores - singles)[known],
            scores=scores[known],
        )

    def _of_single(self, counts: Counts, selected: Integers) -> Floats:
        return _in_groups(
            self._rows, selected, counts, lambda number: self._candidates[number, np.newaxis]
        )


@dataclass(frozen=True, eq=False)
class Repeats:
    """The average over the P repeats of what is selected: of P networks that saw none of a row.

    Attributes
    ----------
    rows, candidates : as in ``Samples``.
    """

    rows: Rows
    candidates: NDArray[Any]

    def scores(self, counts: Counts, left_out: Counts, selected: Integers) -> Floats:
        """(b,) scores of the averages."""

        def averaged(number: int) -> NDArray[Any]:
            return np.asarray(self.candidates[number].mean(axis=0))[np.newaxis, np.newaxis]

        return _in_groups(self.rows, selected, left_out, averaged)


@dataclass(frozen=True, eq=False)
class Library:
    """The best trials, weighted by Caruana's selection.

    Attributes
    ----------
    rows : the rows, with the metric that scores them.
    predictions : (T, E, P, n, ...) out-of-fold predictions; a trial takes part with its best epoch.
    direction : whether small or large scores are good.
    n_members : how many of the best trials are in the library.
    steps : members that are chosen one after the other.
    """

    rows: Rows
    predictions: NDArray[Any]
    direction: Direction
    n_members: int
    steps: int = STEPS

    @property
    def candidates(self) -> NDArray[Any]:
        """(T E, P, n, ...)."""
        return self.predictions.reshape(-1, *self.predictions.shape[2:])

    def scores(self, counts: Counts, left_out: Counts, selected: Integers) -> Floats:
        """(b,) scores of the ensembles; what is selected alone plays no part."""
        members, times = self.chosen(counts)
        found = np.full(len(counts), np.nan)
        for numbers, of_each, here in _compositions(members, times):
            if of_each.sum():
                averaged = _averaged(self.candidates, numbers, of_each)
                found[here] = mean_scores(self.rows, averaged[np.newaxis], left_out[here])[:, 0]
        return found

    def chosen(self, counts: Counts) -> tuple[Integers, Integers]:
        """The library of each sample, and how often each of it is chosen: both (b, N).

        The library holds the candidates (flat indices) of the N best trials on the rows drawn,
        each after its best epoch there, the best one first. The selection begins with nothing, and
        adds, ``steps`` times, the member with which the average scores best; it ends with the
        average that scored best of all, the one of fewest members among equals. Where nothing has
        a score, nothing is chosen.

        Parameters
        ----------
        counts : (b, n) how often each row was drawn.
        """
        n_trials, n_epochs = self.predictions.shape[:2]
        losses = losses_of(mean_scores(self.rows, self.candidates, counts), self.direction)
        by_epoch = losses.reshape(len(counts), n_trials, n_epochs)
        epochs, of_trials = by_epoch.argmin(axis=2), by_epoch.min(axis=2)
        trials = np.argsort(of_trials, axis=1, kind="stable")[:, : self.n_members]
        members = trials * n_epochs + np.take_along_axis(epochs, trials, axis=1)
        alone = np.take_along_axis(of_trials, trials, axis=1)
        return members, self._times(members, alone, counts)

    def _times(self, members: Integers, alone: Floats, counts: Counts) -> Integers:
        """How often each of the libraries is chosen, (b, N); ``alone`` are their own losses."""
        every = np.arange(len(members))
        times = np.zeros_like(members)
        best, best_loss = times.copy(), np.full(len(members), np.inf)
        losses = alone
        for step in range(self.steps):
            if step:
                losses = self._with_one_more(members, times, alone, counts)
            taken = losses.argmin(axis=1)
            loss = losses[every, taken]
            times[every[np.isfinite(loss)], taken[np.isfinite(loss)]] += 1
            better = loss < best_loss
            best[better], best_loss[better] = times[better], loss[better]
        return best

    def _with_one_more(
        self, members: Integers, times: Integers, alone: Floats, counts: Counts
    ) -> Floats:
        """(b, N) losses of what was chosen with one more of each member."""
        found = np.full(members.shape, np.inf)
        for numbers, of_each, here in _compositions(members, times):
            known = np.isfinite(alone[here]).any(axis=0)
            arrays = self.candidates[numbers[known]]
            so_far = _weighted_sum(self.candidates, numbers, of_each)
            arrays = (arrays + so_far) / (of_each.sum() + 1)
            scores = mean_scores(self.rows, arrays, counts[here])
            found[np.ix_(here, np.flatnonzero(known))] = losses_of(scores, self.direction)
        return found


def samples_affordable(library_size: int, cells: int, steps: int = STEPS) -> int:
    """Samples in which an ensemble can be chosen again, 50 to 300.

    Parameters
    ----------
    library_size : trials that are chosen from; cells : numbers predicted by one of them.

    Examples
    --------
    >>> samples_affordable(10, 3 * 500), samples_affordable(20, 3 * 54_000)
    (300, 50)
    """
    work = steps * library_size * cells
    return int(max(FEWEST_SAMPLES, min(SAMPLES, MAX_WORK // work)))


def _compositions(
    members: Integers, times: Integers
) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Each different choice: a library, how often each of it is chosen, and in which samples."""
    n = members.shape[1]
    keys, group = np.unique(np.concatenate([members, times], axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(group.ravel(), minlength=len(keys)))
    for key, here in zip(keys, np.split(order, ends[:-1]), strict=True):
        yield key[:n], key[n:], here


def _weighted_sum(candidates: NDArray[Any], numbers: Integers, times: Integers) -> NDArray[Any]:
    """(P, n, ...) the sum of those that are chosen, each as often as it is."""
    taken = times > 0
    total = np.zeros(candidates.shape[1:], candidates.dtype)
    for number, of_it in zip(numbers[taken], times[taken], strict=True):
        total += candidates.dtype.type(of_it) * candidates[number]
    return total


def _averaged(candidates: NDArray[Any], numbers: Integers, times: Integers) -> NDArray[Any]:
    """(P, n, ...) weighted means, each repeat's of its own."""
    return np.asarray(_weighted_sum(candidates, numbers, times) / times.sum())


def _in_groups(rows: Rows, selected: Integers, counts: Counts, predictions: Any) -> Floats:
    """(b,) scores of what each sample selects; ``predictions`` gives it, (1, P, n, ...)."""
    found = np.full(len(selected), np.nan)
    for number in np.unique(selected):
        here = selected == number
        found[here] = mean_scores(rows, predictions(number), counts[here])[:, 0]
    return found
