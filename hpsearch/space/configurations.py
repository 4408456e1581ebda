"""Configurations that people give: read as a space declares them, and completed.

Owns what becomes of names and values that somebody wrote down, for a search or as a space's
``portfolio``; the rules for a single value belong to ``hyperparameters``, files that hold
configurations to ``hpsearch.search.tried``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError
from hpsearch.space.hyperparameters import Values, is_active, nearest, parse, plain, values_key

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


def portfolio_of(
    name: str, given: Any, hp: HyperParameters, narrowed: HyperParameters
) -> tuple[Values, ...]:
    """What the ``portfolio`` of a space gave, as a search proposes it: each configuration once.

    A configuration was written down without knowing what somebody fixes. Where that changes what
    is active or allowed, the fixed value holds, then as much of the configuration as it leaves.

    Parameters
    ----------
    name : the space's, for messages.
    hp, narrowed : the space as it is declared, and with the search's fixes.

    Raises
    ------
    SpaceError
        It is no list of dictionaries, or the space does not have one of them.
    """
    listed = given if isinstance(given, list | tuple) else None
    if listed is None or not all(map(_is_given, listed)):
        shown = [type(each).__name__ for each in listed or () if not _is_given(each)][:1]
        what = type(given).__name__ if listed is None else f"one with {shown[0]}"
        raise SpaceError(
            f"portfolio of '{name}' must return a list of dictionaries of hyperparameters' names "
            f"and values; it returned {what}. Return such a list."
        )
    found: dict[tuple[tuple[str, Any], ...], Values] = {}
    for number, each in enumerate(listed, start=1):
        try:
            configured(hp, each)
        except SpaceError as error:
            raise SpaceError(
                f"portfolio of '{name}', configuration {number} of {len(listed)}: {error}"
            ) from error
        values = _as_far_as_allowed(narrowed, each)
        found.setdefault(values_key(values), values)
    return tuple(found.values())


def _is_given(each: Any) -> bool:
    return isinstance(each, Mapping) and all(isinstance(name, str) for name in each)


def _as_far_as_allowed(hp: HyperParameters, given: Given) -> Values:
    """All active values; what was given and is not allowed has its default."""
    values: Values = {}
    for parameter in hp.space:
        if parameter.name in values or not is_active(parameter, values):
            continue
        values[parameter.name] = plain(parameter, parameter.default)
        if parameter.name in given:
            with suppress(SpaceError):
                values[parameter.name] = parse(parameter, given[parameter.name])
    return values
