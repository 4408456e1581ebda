"""Oracles by name: each module here that does not begin with an underscore, but for ``base``.

Such a module defines ``make(hp, *, seed, max_trials)`` and returns an ``Oracle``. Adding an
algorithm is adding one file; the tests of the contract then run through it as well.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from hpsearch.errors import OptionError

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from hpsearch.oracles.base import Oracle
    from hpsearch.space import Candidate


def oracle_names() -> tuple[str, ...]:
    """Names of the oracles, in alphabetical order; imports none of them."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


def make_oracle(name: str, hp: HyperParameters, *, seed: int, max_trials: int) -> Oracle:
    """The oracle of this name for a declared space.

    Parameters
    ----------
    name : one of ``oracle_names()``.
    hp : the space, as ``Space.declared`` gives it.
    seed : whole number of at least 0.
    max_trials : candidates proposed at most, at least 1.

    Raises
    ------
    OptionError
        If there is no such oracle, or a number is too small.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [8, 16, 32])
    >>> [candidate.values for candidate in make_oracle("grid", hp, seed=0, max_trials=2).ask(9)]
    [{'units': 8}, {'units': 16}]
    """
    if name not in oracle_names():
        raise OptionError(
            f"There is no oracle called '{name}'. Use one of {', '.join(oracle_names())}."
        )
    for option, value, least in (("seed", seed, 0), ("trials", max_trials, 1)):
        if value < least:
            raise OptionError(f"`{option}` must be at least {least}; received {value}. Raise it.")
    module = importlib.import_module(f"{__name__}.{name}")
    oracle: Oracle = module.make(hp, seed=seed, max_trials=max_trials)
    return oracle


def sample(hp: HyperParameters, n: int, seed: int) -> list[Candidate]:
    """The first ``n`` candidates that a random search with this seed scores, the defaults first."""
    return make_oracle("random", hp, seed=seed, max_trials=n).ask(n)
