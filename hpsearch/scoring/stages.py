"""Stages: how far trials are trained before they are compared.

Two kinds come one after the other: rungs of epochs within the first repeat, then repeat after
repeat. Who goes on after a stage belongs to ``hpsearch.search.racing``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.engines.contract import Span
from hpsearch.folds import Fold
from hpsearch.oracles.base import HALVING_RATE


@dataclass(frozen=True)
class Bracket:
    """Trials that the stages compare with each other.

    Attributes
    ----------
    trials : their numbers.
    n_rungs : rungs of epochs that they go through; 1 for none.
    """

    trials: tuple[int, ...]
    n_rungs: int


@dataclass(frozen=True)
class Stage:
    """How far trials are trained before they are compared.

    Attributes
    ----------
    folds : positions in ``FitData.folds``, those of earlier stages included.
    rung : with several rungs of epochs, the number of this one, from 0; the last is the budget.
    n_rungs : how many there are.
    is_last : whether no stage comes after it.
    """

    folds: tuple[int, ...]
    rung: int = 0
    n_rungs: int = 1
    is_last: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether its folds are trained for all epochs."""
        return self.rung == self.n_rungs - 1

    def span(self, epochs: int) -> Span:
        """The epochs from the first one to its last, for a budget.

        The first rung has ``ceil(epochs / HALVING_RATE ** (n_rungs - 1))`` epochs, and each rung
        ``HALVING_RATE`` times those of the one before it, at most the budget.

        Examples
        --------
        >>> [Stage((0, 1), rung, n_rungs=3).span(100).end(100) for rung in range(3)]
        [12, 36, 100]
        """
        if self.n_rungs == 1:
            return Span()
        block = -(-epochs // HALVING_RATE ** (self.n_rungs - 1))
        return Span(0, None if self.is_whole else block * HALVING_RATE**self.rung, block)


def stages_of(folds: Sequence[Fold], *, n_rungs: int, by_repeat: bool) -> list[Stage]:
    """The stages that a batch goes through.

    Parameters
    ----------
    folds : those of a completed trial, repeat after repeat.
    n_rungs : rungs of epochs in the first repeat; 1 for none.
    by_repeat : whether trials are compared after every repeat.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.arange(4)
    >>> folds = [Fold(repeat, 0, rows[:3], rows[3:]) for repeat in range(2)]
    >>> for stage in stages_of(folds, n_rungs=2, by_repeat=True):
    ...     print(stage)
    Stage(folds=(0,), rung=0, n_rungs=2, is_last=False)
    Stage(folds=(0,), rung=1, n_rungs=2, is_last=False)
    Stage(folds=(0, 1), rung=1, n_rungs=2, is_last=True)
    """
    last = n_rungs - 1
    ends = [i for i, fold in enumerate(folds, start=1) if _ends_repeat(folds, i, fold)]
    first = tuple(range(ends[0]))
    rungs = [Stage(first, rung, n_rungs, is_last=False) for rung in range(last)]
    *earlier, whole = ends if by_repeat else ends[-1:]
    repeats = [Stage(tuple(range(n)), last, n_rungs, is_last=False) for n in earlier]
    return [*rungs, *repeats, Stage(tuple(range(whole)), last, n_rungs)]


def ends_of_rungs(block: int, epochs: int) -> tuple[int, ...]:
    """The last epochs of the rungs before a training's end.

    Parameters
    ----------
    block : epochs of the first rung; epochs : at which the training ended.

    Examples
    --------
    >>> ends_of_rungs(12, 100), ends_of_rungs(12, 36), ends_of_rungs(12, 12)
    ((12, 36), (12,), ())
    """
    ends = itertools.takewhile(
        lambda end: end < epochs, (block * HALVING_RATE**rung for rung in itertools.count())
    )
    return tuple(ends)


def most_rungs(epochs: int) -> int:
    """How many rungs a number of epochs has, when each is to train longer than the one before.

    Examples
    --------
    >>> [most_rungs(epochs) for epochs in (1, 2, 3, 4, 100)]
    [1, 2, 2, 3, 6]
    """
    return next(n for n in itertools.count(1) if HALVING_RATE ** (n - 1) >= epochs)


def _ends_repeat(folds: Sequence[Fold], following: int, fold: Fold) -> bool:
    return following == len(folds) or folds[following].repeat != fold.repeat
