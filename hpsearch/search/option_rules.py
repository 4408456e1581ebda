"""Rules of single options of a search, and how ``--fix`` is read and written.

Rules that any option may have belong to ``hpsearch.options``; which option has which, to
``hpsearch.search.options``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from hpsearch.errors import OptionError

ScaleTarget = Literal["auto", True, False]
EnsembleChoice = int | Literal["folds", "seeds"] | None

MOST_MEMBERS: Final = 100
"""Trials that an ensemble may take."""

ORACLES: Final = """Who proposes them, after --try, the space's defaults and its portfolio.

random: each hyperparameter drawn by itself.

grid: every combination, in order.

hyperband: random, in brackets that train the best ones longer.

bayesian: a Gaussian process of the scores proposes.

tpe: Optuna's densities of the best and of the others propose; needs the extra optuna.

gp: Optuna's Gaussian process, slower; needs the extra gp.
"""
"""What each of them does, for people."""


def transformer(name: str, value: Any) -> Any:
    """A file, or an object that is fitted; what it is, is seen when it is loaded."""
    if isinstance(value, str | os.PathLike) or hasattr(value, "fit") or hasattr(value, "made"):
        return value
    raise OptionError(
        f"`{name}` is a .py file with a function make(), or a transformer of scikit-learn's kind; "
        f"received {value!r}."
    )


def target_scaling(name: str, value: Any) -> ScaleTarget:
    """'auto', on or off."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    if type(value).__name__ == "bool":
        return bool(value)
    raise OptionError(f"`{name}` is 'auto', True or False; received {value!r}.")


def ensemble_choice(name: str, value: Any) -> EnsembleChoice:
    """'folds', 'seeds', or how many trials; None or 'none' for one network."""
    if value is None or value == "none":
        return None
    if value in ("folds", "seeds"):
        return "folds" if value == "folds" else "seeds"
    value = read_ensemble(value)
    number = getattr(value, "__index__", lambda: None)()
    if number is None or isinstance(value, bool):
        raise OptionError(
            f"`{name}` is folds, seeds, none or how many of the best trials are averaged; received "
            f"{value!r}."
        )
    if not 2 <= number <= MOST_MEMBERS:
        raise OptionError(
            f"`{name}` averages 2 to {MOST_MEMBERS} trials; received {number:,}. Give such a "
            "number, or none for one network."
        )
    return int(number)


def read_ensemble(given: Any) -> Any:
    """A number of trials where a text is one; else as it is.

    Examples
    --------
    >>> read_ensemble("5"), read_ensemble("seeds")
    (5, 'seeds')
    """
    is_number = isinstance(given, str) and given.strip().lstrip("+-").isdecimal()
    return int(given[:20]) if is_number else given  # of more digits Python may read none


def splits() -> Sequence[str]:
    """How rows can be dealt to folds."""
    from hpsearch.folds.plan import SPLITS

    return SPLITS


def transforms() -> Sequence[str]:
    """What a number to predict can be transformed by."""
    from hpsearch.preprocessing.transforms import TRANSFORMS

    return list(TRANSFORMS)


def calibrations() -> Sequence[str]:
    """How probabilities can be calibrated."""
    from hpsearch.decisions.calibrators import ASKED

    return ASKED


def engine_name(name: str, value: Any) -> str:
    """What trains."""
    from hpsearch.engines import checked_option

    return checked_option(value)


def cluster_address(name: str, value: Any) -> Any:
    """Whose workers train."""
    from hpsearch.engines.workers import check_cluster

    check_cluster(value)
    return value


def read_fixes(values: Sequence[str] | None) -> dict[str, str]:
    """Hyperparameters and their values from ``NAME=VALUE`` texts.

    Raises
    ------
    OptionError
        If one has no ``=`` or no name, or a name comes twice.

    Examples
    --------
    >>> read_fixes(["optimizer=adam", "units_1=64"])
    {'optimizer': 'adam', 'units_1': '64'}
    """
    fixes: dict[str, str] = {}
    for value in values or ():
        name, equals, setting = (part.strip() for part in value.partition("="))
        if not name or not equals:
            raise OptionError(
                f"--fix is NAME=VALUE; received {value!r}. Write for instance --fix optimizer=adam."
            )
        if name in fixes:
            raise OptionError(
                f"--fix gives each hyperparameter one value; received {name!r} twice. Drop one."
            )
        fixes[name] = setting
    return fixes


def write_fixes(fixes: Mapping[str, Any]) -> Iterator[str]:
    """Hyperparameters and their values as words of a command line."""
    for name, value in fixes.items():
        yield from ("--fix", f"{name}={value}")
