"""Configurations that people give: read as a space declares them, and completed.

Owns what becomes of names and values that somebody wrote down; the rules for a single value belong
to ``hyperparameters``, files that hold configurations to ``hpsearch.search.tried``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError
from hpsearch.space.hyperparameters import Values, is_active, nearest, parse, plain

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

Given = Mapping[str, Any]
"""Names and values of a configuration, the values as text or in their own type."""


@dataclass(frozen=True)
class Configured:
    """A configuration that was given, as a candidate holds it.

    Attributes
    ----------
    values : of all active hyperparameters.
    by_default : names of those that were not given.
    idle : names that were given and are not active beside the others.
    """

    values: Values
    by_default: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


def configured(hp: HyperParameters, given: Given) -> Configured:
    """A configuration that somebody wrote down, for a declared space.

    What was not given has its default. What was given and is not active beside the rest counts for
    nothing.

    Raises
    ------
    SpaceError
        A name is not declared, or a value not allowed.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("optimizer", ["sgd", "adam"]), hp.Int("units", 8, 64, default=32)
    >>> with hp.conditional_scope("optimizer", ["sgd"]):
    ...     _ = hp.Float("momentum", 0.0, 0.9)
    >>> configured(hp, {"optimizer": "adam", "momentum": "0.5"})
    Configured(values={'optimizer': 'adam', 'units': 32}, by_default=('units',), idle=('momentum',))
    """
    declared = list(dict.fromkeys(parameter.name for parameter in hp.space))
    for name in given:
        if name not in declared:
            raise SpaceError(
                f"The space declares no hyperparameter '{name}'.{nearest(name, declared)} "
                f"Declared: {', '.join(declared) or 'none'}."
            )
    values: Values = {}
    by_default = []
    for parameter in hp.space:
        name = parameter.name
        if name in values or not is_active(parameter, values):
            continue
        if name in given:
            values[name] = parse(parameter, given[name])
        else:
            values[name] = plain(parameter, parameter.default)
            by_default.append(name)
    idle = tuple(name for name in given if name not in values)
    return Configured(values, tuple(by_default), idle)
