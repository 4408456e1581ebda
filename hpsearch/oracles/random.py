"""Random search: the space's defaults, then every hyperparameter drawn independently.

The first candidate is the configuration that the space's author declared as its default: a search
always has that baseline, and one trial of a textbook's space trains the textbook's network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hpsearch.oracles._draws import configurations
from hpsearch.oracles.base import Algorithm, OraclePlan, PlannedOracle
from hpsearch.space.hyperparameters import Values, values_key

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


def make(hp: HyperParameters, plan: OraclePlan) -> PlannedOracle:
    """The random oracle of a space.

    Parameters
    ----------
    hp : the declared space. Its default configuration comes first, whatever the seed.
    plan : its seed and its number of trials matter.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [16, 32, 64], default=32)
    >>> make(hp, OraclePlan(seed=0, max_trials=1, epochs=100, direction="min")).ask(1)
    [Candidate(trial=0, values={'units': 32})]
    """
    return PlannedOracle(draws(hp, plan.seed), plan)


def draws(hp: HyperParameters, seed: int) -> Iterator[Values]:
    """The configurations of a random search with this seed, the defaults first, none twice."""
    proposed: set[tuple[object, ...]] = set()
    for values in configurations(hp, seed, proposed):
        proposed.add(values_key(values))
        yield values


ALGORITHM = Algorithm(make)
