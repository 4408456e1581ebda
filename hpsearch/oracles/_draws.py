"""Independent draws from a space, without repeats, to a finite space's last configuration.

keras-tuner's ``RandomSearchOracle`` draws; only its ``populate_space`` is used, which touches no
disk, no lock and no clock. What is mended around it:

- Seed 0 means "any seed" there, and seeds s and s + d share proposals when d hyperparameters are
  active, because each draw adds one to the seed. Here the seed is spread by ``SeedSequence``.
- It takes a small space for exhausted after twenty repeats in a row, although some
  configurations may be missing. Here a finite space is proposed to the last one.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.space.hyperparameters import (
    Values,
    active_values,
    all_values,
    combinations,
    values_key,
)

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

MAX_REPEATS = 200
"""Draws in a row that bring nothing new before the rest of the space is listed instead."""

MAX_LISTED = 100_000
"""Configurations that are listed at most in order to find those not proposed yet."""


def configurations(
    hp: HyperParameters, seed: int, proposed: Collection[tuple[Any, ...]]
) -> Iterator[Values]:
    """The defaults, then draws; where only repeats come, what is left, shuffled.

    Parameters
    ----------
    hp : the declared space.
    seed : at least 0.
    proposed : keys of the configurations proposed so far, by anyone; they are left out. Whoever
        takes a configuration adds it there.
    """
    spread = spread_seed(seed)
    yield from _new([active_values(hp, {})], proposed)
    repeats = 0
    for values in _draws(hp, spread):
        is_new = values_key(values) not in proposed
        repeats = 0 if is_new else repeats + 1
        if repeats > MAX_REPEATS:
            break
        if is_new:
            yield values
    rest = list(_new(listed(hp, MAX_LISTED), proposed))
    random.Random(spread).shuffle(rest)
    yield from _new(rest, proposed)


def listed(hp: HyperParameters, most: int) -> list[Values]:
    """The first configurations of a finite space; none where a range is continuous."""
    if any(all_values(parameter) is None for parameter in hp.space):
        return []
    return list(itertools.islice(combinations(hp, lambda p: all_values(p) or ()), most))


def spread_seed(*seeds: int) -> int:
    """A seed of 128 bits, far from that of every other seed or seeds, and never 0."""
    words = np.random.SeedSequence(seeds).generate_state(4)
    return int.from_bytes(words.tobytes(), "little") + 1


def _draws(hp: HyperParameters, seed: int) -> Iterator[Values]:
    from keras_tuner.oracles import RandomSearchOracle

    oracle = RandomSearchOracle(hyperparameters=hp, seed=seed)
    while True:
        yield active_values(hp, oracle.populate_space("")["values"])


def _new(found: Collection[Values], proposed: Collection[tuple[Any, ...]]) -> Iterator[Values]:
    return (values for values in found if values_key(values) not in proposed)
