"""The engine contract: what goes in, what comes out.

An engine takes work units, each some replicas of one candidate, and gives a ``UnitResult`` for
each, in any order. How work is cut and seeded belongs to ``plan``, what all replicas share to
``fit_data``; which engine runs to ``choose``; what scores mean to the search to
``hpsearch.search.execution``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hpsearch.oracles.base import HALVING_RATE
from hpsearch.space.space import Candidate


@dataclass(frozen=True)
class FitOptions:
    """How candidates are trained and scored.

    Attributes
    ----------
    seed : the run's seed.
    epochs, batch_size : budget and default; a space may declare both.
    patience : epochs without improvement of the mean validation curve after which all replicas
        of a trial stop together; None trains every epoch.
    metrics : the metrics, or names of ours; the first selects.
    """

    seed: int
    epochs: int
    batch_size: int
    patience: int | None
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """Epochs of a training: those after ``since``, up to ``until``.

    Attributes
    ----------
    since : epochs trained before, whose curves are known.
    until : the last epoch; None for the candidate's budget.
    block : with rungs, the epochs of the first one, of which every rung is a multiple. A program
        trains so many at a time, or a divisor of them, so that stopping at a rung and going on
        changes no bit. None without rungs.
    """

    since: int = 0
    until: int | None = None
    block: int | None = None

    def end(self, epochs: int) -> int:
        """The last epoch, where the budget is ``epochs``."""
        return epochs if self.until is None else min(self.until, epochs)

    def before_the_last_rung(self, epochs: int) -> int:
        """The epochs of all rungs but the last, where the budget is ``epochs``; 0 without rungs.

        Examples
        --------
        >>> Span(block=12).before_the_last_rung(100), Span().before_the_last_rung(100)
        (36, 0)
        """
        if self.block is None:
            return 0
        ends = (self.block * int(HALVING_RATE**rung) for rung in itertools.count())
        return max(itertools.takewhile(lambda end: end < epochs, ends), default=0)


WHOLE = Span()

ReplicaState = Sequence[Any]
"""A replica's variables between two epochs, as its engine orders them; arrays, nested or not."""


@dataclass(frozen=True)
class WorkUnit:
    """Replicas of one candidate that one worker trains.

    Attributes
    ----------
    folds : positions in ``FitData.folds``.
    span : the epochs whose curves and predictions are wanted.
    states : each fold's state after ``span.since`` epochs, by position. Without them those epochs
        are trained again, with the same numbers.
    keeps_networks : whether each fold's network is wanted, as it stands after the last epoch.
    """

    candidate: Candidate
    folds: tuple[int, ...]
    span: Span = WHOLE
    states: Mapping[int, ReplicaState] | None = field(default=None, repr=False, compare=False)
    keeps_networks: bool = False

    @property
    def key(self) -> tuple[int, int, int]:
        """Sorts units in the order of the plan."""
        return self.candidate.trial, self.folds[0], self.span.since

    @property
    def first_epoch(self) -> int:
        """Epochs that need not be trained."""
        return 0 if self.states is None else self.span.since

    def of(self, folds: Sequence[int]) -> WorkUnit:
        """The part of the unit on some of its folds."""
        positions = tuple(folds)
        states = self.states and {position: self.states[position] for position in positions}
        return replace(self, folds=positions, states=states)

    def without_states(self) -> WorkUnit:
        """The unit as a result names it."""
        return replace(self, states=None)


@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """A trained network, as a process with the right Keras backend can make it again.

    Attributes
    ----------
    engine : the name of the engine that trained it, whose workers have that backend.
    weights : arrays in the order of ``network.get_weights()``, moving means of batch normalisation
        among them; of an optimizer that averages weights, the averages that a training ends with.
    """

    engine: str
    weights: tuple[NDArray[Any], ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One replica's curves and predictions.

    Attributes
    ----------
    position : the fold's position in ``FitData.folds``.
    seed : the replica's seed.
    epochs : epochs whose curves are here.
    train_loss : float64 (epochs,), as Keras reports it while fitting.
    validation, train : metric name to float64 (epochs,), in inference mode, in target units.
    predictions : canonical predictions of the validation rows after the epochs in ``predicted``,
        float32, or float64 for a target far from zero, (n_predicted, n_validation, ...).
    predicted : the epochs, from 1, that ``predictions`` holds; None where it holds each.
    since : epochs before those whose curves are here.
    state : where the training stood after them, if it may go on; the journal doesn't keep it.
    network : the network after them, where it was asked for; the journal doesn't keep it either.
    """

    position: int
    seed: int
    epochs: int
    train_loss: NDArray[np.float64]
    validation: Mapping[str, NDArray[np.float64]]
    train: Mapping[str, NDArray[np.float64]]
    predictions: NDArray[np.float32]
    predicted: tuple[int, ...] | None = None
    since: int = 0
    state: ReplicaState | None = field(default=None, repr=False)
    network: NetworkWeights | None = field(default=None, repr=False)

    @property
    def until(self) -> int:
        """The last epoch whose curves are here."""
        return self.since + self.epochs

    @property
    def predicted_epochs(self) -> tuple[int, ...]:
        """The epochs, from 1, that ``predictions`` holds."""
        every = tuple(range(self.since + 1, self.until + 1))
        return every if self.predicted is None else self.predicted

    def predictions_after(self, epoch: int) -> NDArray[np.float32] | None:
        """Predictions of the validation rows after an epoch, or None where they are not kept."""
        epochs = self.predicted_epochs
        if epoch not in epochs:
            return None
        after: NDArray[np.float32] = self.predictions[epochs.index(epoch)]
        return after

    def between(self, since: int, until: int) -> FoldResult:
        """The part of the curves and predictions after one epoch, up to another."""
        first, last = since - self.since, until - self.since
        chosen = [i for i, e in enumerate(self.predicted_epochs) if since < e <= until]
        epochs = tuple(self.predicted_epochs[i] for i in chosen)
        return replace(
            self,
            epochs=last - first,
            train_loss=self.train_loss[first:last],
            validation={name: curve[first:last] for name, curve in self.validation.items()},
            train={name: curve[first:last] for name, curve in self.train.items()},
            predictions=self.predictions[chosen],
            predicted=None if self.predicted is None else epochs,
            since=since,
        )

    @staticmethod
    def joined(parts: Sequence[FoldResult]) -> FoldResult:
        """One replica's results, one span after the other, as one."""
        if len(parts) == 1:
            return parts[0]
        first, last = parts[0], parts[-1]
        every = all(part.predicted is None for part in parts)
        predicted = tuple(epoch for part in parts for epoch in part.predicted_epochs)
        return replace(
            first,
            epochs=last.until - first.since,
            train_loss=np.concatenate([part.train_loss for part in parts]),
            validation=joined_curves([part.validation for part in parts]),
            train=joined_curves([part.train for part in parts]),
            predictions=np.concatenate([part.predictions for part in parts]),
            predicted=None if every else predicted,
            state=last.state,
            network=last.network,
        )


def joined_curves(
    parts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Each metric's curve over spans of epochs that come one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, eq=False)
class UnitResult:
    """What a unit gave: fold results, or the reason why its trial failed.

    ``values`` are the hyperparameters that the build really used; ``traceback`` is for people;
    ``phases`` has the last epoch of each phase of the training, and is empty where there is one.
    """

    unit: WorkUnit
    folds: tuple[FoldResult, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    n_params: int | None = None
    seconds: float = 0.0
    error: str | None = None
    traceback: str | None = None
    phases: tuple[int, ...] = ()


@dataclass(frozen=True)
class Job:
    """Everything a worker needs beside the unit: small, and the same for the whole search.

    Attributes
    ----------
    data_path : ``FitData`` written by ``write_fit_data``; workers memory-map it.
    space : ``Space.to_bytes()``; fixes : hyperparameters that are held.
    options : how to train.
    must_save : whether each network must be loadable without the space's code.
    """

    data_path: str
    space: bytes
    fixes: tuple[tuple[str, Any], ...]
    options: FitOptions
    must_save: bool = False


class Engine(Protocol):
    """Trains replicas; results come back in any order, cut into units as the engine likes.

    A replica's numbers don't depend on the unit or the call that it comes in, so that a search
    which is resumed, or given more trials or repeats, trains nothing twice.
    """

    def score(self, work: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Train the given folds of each candidate; yield results as soon as they are there."""
        ...
