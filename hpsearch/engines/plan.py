"""How work is cut, seeded and ordered: from the plan alone.

So results don't depend on how many workers there are, or in which order they finish.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.contract import WorkUnit
from hpsearch.folds import Fold

REFIT = 2**31 - 1
"""The repeat that stands for training on all rows, in the seeds of a refit."""

MANY_UNITS = 8
"""Units that keep a few workers busy to the end; a batch is cut no finer than that needs."""


def plan_units(
    work: Sequence[WorkUnit], folds: Sequence[Fold], *, patience: int | None
) -> list[WorkUnit]:
    """The work of some candidates, cut by the plan alone, whatever the number of workers.

    A network is traced once a unit, so a unit is a whole trial where there are many, else a
    repeat, else a fold. With ``patience`` it is always a trial, whose folds stop together.
    """
    by_trial, by_repeat = [0] * len(folds), [fold.repeat for fold in folds]
    cuts = [by_trial, by_repeat, list(range(len(folds)))]
    cut = next((c for c in cuts if len(work) * len(set(c)) >= MANY_UNITS), cuts[-1])
    units = []
    for unit in work:
        parts: dict[int, list[int]] = {}
        for position in unit.folds:
            part = 0 if patience else cut[position]
            parts.setdefault(part, []).append(position)
        units += [unit.of(positions) for positions in parts.values()]
    return units


def replica_seed(run_seed: int, trial: int, repeat: int, fold: int) -> int:
    """The seed of one replica, below 2**31: initial weights, dropout and batch order follow it."""
    state = np.random.SeedSequence([run_seed, trial, repeat, fold]).generate_state(1)
    return int(state[0] >> 1)


def batch_order(seed: int, epoch: int, n_rows: int) -> NDArray[np.int32]:
    """The order in which an epoch visits its training rows, a permutation of ``n_rows``."""
    generator = np.random.default_rng([seed, epoch])
    return generator.permutation(n_rows).astype(np.int32)
