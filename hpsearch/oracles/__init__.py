"""Oracles by name: each module here that does not begin with an underscore, but for ``base``.

Such a module defines ``ALGORITHM``, an ``hpsearch.oracles.base.Algorithm``. Adding an algorithm is
adding one file; the tests of the contract then run through it as well.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hpsearch.errors import OptionError

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from hpsearch.oracles.base import Algorithm, Oracle, OraclePlan
    from hpsearch.space.configurations import Given
    from hpsearch.space.hyperparameters import Values
    from hpsearch.space.space import Candidate


def oracle_names() -> tuple[str, ...]:
    """Names of the oracles, in alphabetical order, whether what they need is installed or not."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


def check_oracle(name: str, *, epochs: int) -> None:
    """Raise ``OptionError`` unless there is such an oracle, and it can be used here.

    Parameters
    ----------
    name : one of ``oracle_names()``.
    epochs : epochs that a trial trains to its end.
    """
    algorithm = _algorithm(name)
    missing = [
        package for package in algorithm.packages if algorithm.extra and not find_spec(package)
    ]
    if missing:
        raise OptionError(
            f"The oracle '{name}' needs {' and '.join(missing)}, not installed here. "
            f"Run pip install 'hpsearch[{algorithm.extra}]', or choose another --oracle."
        )
    if epochs < algorithm.least_epochs:
        raise OptionError(
            f"The oracle '{name}' needs at least {algorithm.least_epochs} epochs; received "
            f"--epochs {epochs}. Raise it, or choose --oracle random."
        )


def check_oracle_growth(name: str, *, repeats: tuple[int, int]) -> None:
    """Raise ``OptionError`` where a run with this oracle can't be given more repeats.

    Parameters
    ----------
    name : one of ``oracle_names()``.
    repeats : what the run had, and what it is to have.
    """
    if repeats[1] > repeats[0] and _algorithm(name).uses_scores:
        raise OptionError(
            f"The oracle '{name}' decides by the scores, which more repeats would change; received "
            f"--repeats {repeats[1]} for a run of {repeats[0]}. Run another search with --out."
        )


def decides_by_scores(name: str) -> bool:
    """Whether scores decide what an oracle proposes, or how long its candidates train."""
    return _algorithm(name).uses_scores


def oracle_packages(name: str) -> tuple[str, ...]:
    """Distributions whose versions decide what an oracle proposes, beyond hpsearch's usual ones."""
    return _algorithm(name).packages


def oracle_remark(name: str, trials: int, n_first: int = 1) -> str | None:
    """What a search of so many trials with this oracle should say, or None.

    Parameters
    ----------
    n_first : configurations that are proposed before all others, see ``proposed_first``.

    Examples
    --------
    >>> oracle_remark("bayesian", 8)
    "With 8 trials the oracle 'bayesian' proposes what 'random' does: it learns from 8 on."
    """
    n_drawn = _algorithm(name).n_drawn
    if n_drawn:
        n_drawn = max(n_drawn, n_first)
    if trials > n_drawn:
        return None
    n_trials = "1 trial" if trials == 1 else f"{trials} trials"
    return (
        f"With {n_trials} the oracle '{name}' proposes what 'random' does: "
        f"it learns from {n_drawn} on."
    )


def make_oracle(name: str, hp: HyperParameters, plan: OraclePlan) -> Oracle:
    """The oracle of this name for a declared space.

    Parameters
    ----------
    name : one of ``oracle_names()``.
    hp : the space, as ``Space.declared`` gives it.
    plan : what the search asks of it.

    Raises
    ------
    OptionError
        If there is no such oracle, or if it can't be used here.
    SpaceError
        If the space does not have a configuration that is to come first.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> from hpsearch.oracles.base import OraclePlan
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [8, 16, 32])
    >>> plan = OraclePlan(seed=0, max_trials=2, epochs=100, direction="min")
    >>> [candidate.values for candidate in make_oracle("grid", hp, plan).ask(9)]
    [{'units': 8}, {'units': 16}]
    """
    check_oracle(name, epochs=plan.epochs)
    return _algorithm(name).make(hp, replace(plan, first=proposed_first(hp, plan.first)))


def proposed_first(hp: HyperParameters, first: Sequence[Given]) -> tuple[Values, ...]:
    """What a search begins with, whoever proposes the rest: each configuration once, completed.

    Parameters
    ----------
    hp : the space, as ``Space.declared`` gives it.
    first : as ``OraclePlan`` has them; the defaults come last where they are not among them.

    Raises
    ------
    SpaceError
        If the space does not have one of them.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [8, 16, 32])
    >>> proposed_first(hp, [{"units": 32}, {}, {"units": 8}])
    ({'units': 32}, {'units': 8})
    """
    from hpsearch.oracles.base import distinct
    from hpsearch.space.configurations import configured

    return tuple(distinct(configured(hp, each).values for each in (*first, {})))


def sample(hp: HyperParameters, n: int, seed: int, first: Sequence[Given] = ()) -> list[Candidate]:
    """The first ``n`` candidates that a random search with this seed scores.

    Parameters
    ----------
    first : what comes before all others, see ``proposed_first``; by default the defaults alone.
    """
    from hpsearch.oracles.base import OraclePlan

    plan = OraclePlan(seed=seed, max_trials=n, epochs=1, direction="min", first=tuple(first))
    return make_oracle("random", hp, plan).ask(n)


def _algorithm(name: str) -> Algorithm:
    if not isinstance(name, str) or name not in oracle_names():
        raise OptionError(
            f"There is no oracle called '{name}'. Use one of {', '.join(oracle_names())}."
        )
    algorithm: Algorithm = importlib.import_module(f"{__name__}.{name}").ALGORITHM
    return algorithm
