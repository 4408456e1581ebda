"""Grid search: every combination of values once, in order, the defaults first.

keras-tuner's ``GridSearchOracle`` makes each combination from a trial that has *ended*: asked for
a batch it gives two candidates and then none until it is told a score. A declared space needs no
such wait, so the combinations are listed here. Told after every ask, keras-tuner's oracle gives
the same ones in the same order; the tests hold both side by side. Two differences are meant: a
continuous range's ten values come in ascending order, and a name declared in two branches is
kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpsearch.oracles.base import Algorithm, OraclePlan, PlannedOracle
from hpsearch.space.hyperparameters import combinations, grid_values

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


def make(hp: HyperParameters, plan: OraclePlan) -> PlannedOracle:
    """The grid oracle of a space.

    Parameters
    ----------
    hp : the declared space. A range without a step gives its default and ten values more.
    plan : its number of trials matters; a grid has one order, whatever the seed.
    """
    return PlannedOracle(combinations(hp, grid_values), plan)


ALGORITHM = Algorithm(make)
