"""Random search: the space's defaults, then every hyperparameter drawn independently.

The first candidate is the configuration that the space's author declared as its default: a search
always has that baseline, and one trial of a textbook's space trains the textbook's network.

keras-tuner's ``RandomSearchOracle`` draws the others; only its ``populate_space`` is used, which
touches no disk, no lock and no clock. What is mended around it:

- Seed 0 means "any seed" there, and seeds s and s + d share proposals when d hyperparameters are
  active, because each draw adds one to the seed. Here the seed is spread by ``SeedSequence``.
- It takes a small space for exhausted after twenty repeats in a row, although some
  configurations may be missing. Here a finite space is proposed to the last one.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from hpsearch.hyperparameters import Values, active_values, all_values, combinations, values_key
from hpsearch.oracles.base import PlannedOracle

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

MAX_REPEATS = 200
"""Draws in a row that bring nothing new before the rest of the space is listed instead."""

MAX_LISTED = 100_000
"""Configurations that are listed at most in order to find those not proposed yet."""


def make(hp: HyperParameters, *, seed: int, max_trials: int) -> PlannedOracle:
    """The random oracle of a space.

    Parameters
    ----------
    hp : the declared space. Its default configuration comes first, whatever the seed.
    seed : at least 0; the same seed gives the same candidates.
    max_trials : candidates proposed at most.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [16, 32, 64], default=32)
    >>> make(hp, seed=0, max_trials=1).ask(1)
    [Candidate(trial=0, values={'units': 32})]
    """
    return PlannedOracle(_configurations(hp, seed), max_trials=max_trials)


def _configurations(hp: HyperParameters, seed: int) -> Iterator[Values]:
    """The defaults, then draws without repeats; where only repeats come, what is left, shuffled."""
    spread = _spread(seed)
    default = active_values(hp, {})
    yield default
    seen = {values_key(default)}
    repeats = 0
    for values in _draws(hp, spread):
        key = values_key(values)
        repeats = repeats + 1 if key in seen else 0
        if repeats > MAX_REPEATS:
            break
        if not repeats:
            seen.add(key)
            yield values
    rest = [values for values in _listed(hp) if values_key(values) not in seen]
    random.Random(spread).shuffle(rest)
    yield from rest


def _draws(hp: HyperParameters, seed: int) -> Iterator[Values]:
    from keras_tuner.oracles import RandomSearchOracle

    oracle = RandomSearchOracle(hyperparameters=hp, seed=seed)
    while True:
        yield active_values(hp, oracle.populate_space("")["values"])


def _listed(hp: HyperParameters) -> list[Values]:
    """The configurations of a finite space; none where a range is continuous."""
    if any(all_values(parameter) is None for parameter in hp.space):
        return []
    return list(itertools.islice(combinations(hp, lambda p: all_values(p) or ()), MAX_LISTED))


def _spread(seed: int) -> int:
    """A seed of 128 bits, far from that of every other seed and never 0."""
    words = np.random.SeedSequence(seed).generate_state(4)
    return int.from_bytes(words.tobytes(), "little") + 1
