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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hpsearch import words
from hpsearch.stats.base import Floats, losses_of
from hpsearch.stats.bootstrap import Counts, Heard, Rows, mean_scores
from hpsearch.task import Direction, loss_sign

STEPS: Final = 20
"""Members that are chosen one after the other: no weight is finer than a 20th."""

SAMPLES: Final = 300
"""Bootstrap samples in which an ensemble of trials is chosen again, at most."""

FEWEST_SEEDS: Final = 3
FEWEST_SAMPLES: Final = 50
MAX_WORK: Final = 1.5e9
"""Numbers that are averaged and scored in all samples: some ten seconds of one core."""

LEAST_GAIN: Final = 1e-7
"""What one more member must better, as a share of the loss: less is float32's last digits."""

SHARES_OF_WORK: Final = {"sums": 1.0, "ordered": 0.05, "calls": 0.05}
"""What of it a metric can afford that walks the rows in order, or is a function of Python."""

FEWEST_ROWS: Final = 1000

Kind = Literal["folds", "seeds", "trials"]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class EnsembleMember:
    """A configuration of an ensemble.

    Attributes
    ----------
    trial : its number; epoch : its best epoch, from 1.
    weight : its share of the mean; n_networks : networks of it, which share that evenly.
    """

    trial: int
    epoch: int
    weight: float
    n_networks: int


@dataclass(frozen=True)
class Ensemble:
    """What is exported in place of a single network, and what that is worth.

    Scores are in the selecting metric, computed as ``BiasCorrection`` does; None where ``missing``
    says why there are none.

    Attributes
    ----------
    kind : ``"folds"``, the winner's networks of all folds; ``"seeds"``, networks of the winner's
        configuration on all rows; ``"trials"``, the best trials weighted, each on all rows.
    members : what is averaged.
    n_networks : in the exported file; n_averaged : whose average the estimate is of.
    naive : the score on the rows that chose it, not corrected; single_naive : the winner's.
    value, low, high : the estimate, decided and scored on other rows, and its 95 % interval.
    single : the winner's own estimate.
    gain, gain_low, gain_high : by how much the ensemble scores better than the single network on
        rows left out, paired, with a 95 % interval; below 0 where it is worse.
    n_bootstraps : samples in which it was decided again.
    n_params : parameters of all networks; single_n_params : of the winner's.
    n_bytes : of ``model.keras``.
    notes : what was limited, a sentence each.
    missing : why there is no estimate; empty where there is one.
    """

    kind: Kind
    members: tuple[EnsembleMember, ...]
    n_networks: int
    n_averaged: int = 1
    naive: float | None = None
    single_naive: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    single: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    n_bootstraps: int = 0
    n_params: int = 0
    single_n_params: int = 0
    n_bytes: int = 0
    notes: tuple[str, ...] = ()
    missing: str = ""

    @property
    def words(self) -> str:
        """What is exported, in a sentence.

        Examples
        --------
        >>> members = (EnsembleMember(7, 12, 0.75, 1), EnsembleMember(2, 30, 0.25, 1))
        >>> Ensemble("trials", members, n_networks=2).words
        'the weighted mean of the networks of trial 7 (75 %) and trial 2 (25 %)'
        >>> Ensemble("seeds", (EnsembleMember(7, 12, 1.0, 3),), n_networks=3).words
        "the mean of 3 networks of trial 7's configuration, each from a seed of its own"
        """
        first = self.members[0].trial
        if self.kind == "folds":
            return f"the mean of the networks of trial {first}'s {self.n_networks} folds"
        if self.kind == "seeds":
            return (
                f"the mean of {self.n_networks} networks of trial {first}'s configuration, each "
                "from a seed of its own"
            )
        if len(self.members) == 1:
            return f"the network of trial {first} alone"
        parts = [f"trial {member.trial} ({member.weight:.0%})" for member in self.members]
        shares = [part.replace("%", " %") for part in parts]
        return f"the weighted mean of the networks of {', '.join(shares[:-1])} and {shares[-1]}"

    @property
    def gained(self) -> str:
        """What averaging brings, a sentence; empty where nothing measures it."""
        if self.gain is None or self.gain_low is None or self.gain_high is None:
            return ""
        width = self.gain_high - self.gain_low
        amount, bounds = (
            words.within(abs(self.gain), width),
            words.interval(self.gain_low, self.gain_high),
        )
        verb = "better" if self.gain >= 0 else "worse"
        chance = self.gain_low <= 0 <= self.gain_high
        return (
            f"On rows left out it scores {amount} {verb} than the single network ({bounds})"
            f"{', which may be chance' if chance else ''}."
        )

    @property
    def costs(self) -> str:
        """What it costs, a sentence."""
        one = f", where one network has {self.single_n_params:,}" if self.single_n_params else ""
        networks = words.counted(self.n_networks, "network")
        return (
            f"The file has {networks} with {self.n_params:,} parameters{one}; "
            f"{self.n_bytes / 1e6:,.2f} MB."
        )

    def remarks(self) -> Iterator[str]:
        """What there is to say beside the figures, a sentence each."""
        if self.gained:
            yield self.gained
        if self.missing:
            yield self.missing
        yield from self.notes
        if self.n_bytes:
            yield self.costs


def time_of_predicting(times: Iterable[Any]) -> str:
    """How long predicting took, a sentence; empty where it was not measured.

    Parameters
    ----------
    times : rows of ``predicting.csv``.

    Examples
    --------
    >>> rows = [{"model": "exported", "n_rows": 1024, "seconds": 0.0123}]
    >>> time_of_predicting([*rows, {"model": "one network", "n_rows": 1024, "seconds": 0.004}])
    'Predicting 1,024 rows at once took 12.3 ms, 4 ms with one network.'
    """
    took = {str(row["model"]): row for row in times}
    if not {"exported", "one network"} <= took.keys():
        return ""
    mean, one = (f"{1000 * took[name]['seconds']:.3g} ms" for name in ("exported", "one network"))
    n_rows = int(took["exported"]["n_rows"])
    return f"Predicting {n_rows:,} rows at once took {mean}, {one} with one network."


@dataclass(frozen=True, eq=False)
class Gain:
    """What an ensemble scores, and how much better that is than the single network.

    Attributes
    ----------
    naive : its score on the rows that chose it; single_naive : the single network's.
    scores : (B,) its scores on the rows left out, in each sample that counts.
    differences : (B,) these less the single network's.
    """

    naive: float
    single_naive: float
    scores: Floats = field(repr=False)
    differences: Floats = field(repr=False)

    def estimate(self, single: float, direction: Direction) -> dict[str, Any]:
        """Fields of ``Ensemble``: the single network's estimate, and what averaging adds to it.

        The single network's is corrected for every step of a race, in more samples; the difference
        is paired, so that it needs few.

        Parameters
        ----------
        single : the single network's corrected score.
        """
        if not len(self.scores):
            return {"missing": "The metric is not defined on any sample that was drawn."}
        value = single + float(self.differences.mean())
        scores = self.scores + (value - self.scores.mean())
        gains = -loss_sign(direction) * self.differences
        low, high = np.quantile(scores, _TAILS)
        gain_low, gain_high = np.quantile(gains, _TAILS)
        return {
            "naive": self.naive,
            "single_naive": self.single_naive,
            "value": value,
            "low": float(low),
            "high": float(high),
            "single": single,
            "gain": float(gains.mean()),
            "gain_low": float(gain_low),
            "gain_high": float(gain_high),
            "n_bootstraps": len(self.scores),
        }


_TAILS: Final = (0.025, 0.975)


class Decide(Protocol):
    """How an ensemble is decided on some rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(P, n, ...) of an ensemble's predictions."""

    def means(self, counts: Counts, selected: Integers) -> Iterator[tuple[NDArray[Any], Integers]]:
        """The predictions (P, n, ...) that samples decide on, and the samples that do, (k,).

        Parameters
        ----------
        counts : (b, n) how often each row was drawn; selected : (b,) the candidate selected alone.
        """


class Samples:
    """Hears the samples of a bias-correcting bootstrap, and decides an ensemble again in each.

    Parameters
    ----------
    rows : the rows, with the metric that scores them.
    candidates : (C, P, n, ...) out-of-fold predictions that a sample selects one of.
    decide : how an ensemble is decided.
    most : samples that are heard; later ones are left out.
    places : (m,) of ``rows`` among those that are drawn; all by default.

    Attributes
    ----------
    means : (1, P, n, ...) the predictions of the ensemble that ``others`` hear of.
    others : decisions that come after, which hear of each ensemble as candidate 0.
    """

    def __init__(
        self,
        rows: Rows,
        candidates: NDArray[Any],
        decide: Decide,
        most: int | None = None,
        places: Integers | None = None,
    ) -> None:
        self._rows, self._candidates, self._decide = rows, candidates, decide
        self._left = most
        self.places = np.arange(rows.n_rows) if places is None else places
        self.means = np.full((1, *decide.shape), np.nan, candidates.dtype)
        self.others: Sequence[Heard] = ()
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
        counts = counts[:, self.places]
        left_out = (counts == 0).astype(np.int64)
        self._scores.append(self._of_ensembles(counts, left_out, selected, self.others))
        self._singles.append(self._of_single(left_out, selected))

    def gain(self, winner: int) -> Gain:
        """What was heard, and the same on all rows, which select ``winner``."""
        once = np.ones((1, self._rows.n_rows), dtype=np.int64)
        selected = np.array([winner])
        naive = self._of_ensembles(once, once, selected)[0]
        scores = np.concatenate([*self._scores, np.zeros(0)])
        singles = np.concatenate([*self._singles, np.zeros(0)])
        known = np.isfinite(scores) & np.isfinite(singles)
        return Gain(
            naive=float(naive),
            single_naive=float(self._of_single(once, selected)[0]),
            scores=scores[known],
            differences=(scores - singles)[known],
        )

    def _of_ensembles(
        self,
        counts: Counts,
        left_out: Counts,
        selected: Integers,
        others: Sequence[Heard] = (),
    ) -> Floats:
        """(b,) scores where rows count ``left_out`` times, of what they decide by ``counts``."""
        found = np.full(len(counts), np.nan)
        for mean, here in self._decide.means(counts, selected):
            self.means[0] = mean
            found[here] = mean_scores(self._rows, self.means, left_out[here])[:, 0]
            for heard in others:
                heard(counts[here], np.zeros(len(here), dtype=np.int64))
        return found

    def _of_single(self, counts: Counts, selected: Integers) -> Floats:
        found = np.full(len(selected), np.nan)
        for number in np.unique(selected):
            here = selected == number
            alone = self._candidates[number, np.newaxis]
            found[here] = mean_scores(self._rows, alone, counts[here])[:, 0]
        return found


@dataclass(frozen=True, eq=False)
class Repeats:
    """The average over the P repeats of what is selected: of P networks that saw none of a row.

    Attributes
    ----------
    candidates : as in ``Samples``.
    """

    candidates: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, n, ...)."""
        return (1, *self.candidates.shape[2:])

    def means(self, counts: Counts, selected: Integers) -> Iterator[tuple[NDArray[Any], Integers]]:
        """The average of what samples select, and the samples that do."""
        for number in np.unique(selected):
            mean = self.candidates[number].mean(axis=0, keepdims=True)
            yield mean, np.flatnonzero(selected == number)


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

    @property
    def shape(self) -> tuple[int, ...]:
        """(P, n, ...)."""
        return self.predictions.shape[2:]

    def means(self, counts: Counts, selected: Integers) -> Iterator[tuple[NDArray[Any], Integers]]:
        """What samples choose, and the samples that do; what they select alone plays no part."""
        members, times = self.chosen(counts)
        for numbers, of_each, here in _compositions(members, times):
            if of_each.sum():
                yield _weighted_sum(self.candidates, numbers, of_each) / of_each.sum(), here

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
            known = np.isfinite(loss)
            times[every[known], taken[known]] += 1
            better = known & (np.where(known, loss + LEAST_GAIN * np.abs(loss), 0.0) < best_loss)
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


def n_seeds(n_repeats: int) -> int:
    """Networks of ``seeds``: as many as predicted each row, so that just they are estimated.

    Where there is one repeat, nothing measures what averaging brings, and there are three.
    """
    return n_repeats if n_repeats > 1 else FEWEST_SEEDS


def affordable(
    library_size: int, n_rows: int, cells: int, cost: str, steps: int = STEPS
) -> tuple[int, int]:
    """Samples in which an ensemble can be chosen again, and rows of each that take part.

    First there are fewer samples, down to 50, then fewer rows, down to 1,000.

    Parameters
    ----------
    library_size : trials that are chosen from.
    cells : numbers that one of them predicts for a row, in all repeats.
    cost : the metric's, as ``hpsearch.metrics.Metric.cost`` has it.

    Examples
    --------
    >>> affordable(10, 500, 3, "sums"), affordable(20, 54_000, 3 * 7, "sums")
    ((300, 500), (50, 3571))
    """
    work = MAX_WORK * SHARES_OF_WORK[cost] / (steps * library_size * cells)
    samples = int(max(FEWEST_SAMPLES, min(SAMPLES, work // n_rows)))
    return samples, int(min(n_rows, max(FEWEST_ROWS, work // samples)))


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
