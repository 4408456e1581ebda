"""Discovery: finding every hyperparameter that a function declares, by calling it.

Owns which values each call gets so that every conditional scope and every choice is met once.
What is called, a ``declare`` or a ``build`` with its networks, belongs to ``hpsearch.space.space``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError
from hpsearch.space.hyperparameters import (
    ConditionKey,
    Values,
    active_values,
    all_values,
    condition_key,
    is_active,
    kind_of,
)

if TYPE_CHECKING:
    from keras_tuner import HyperParameter, HyperParameters

_Call = tuple[Values, set[tuple[str, ConditionKey]]]
"""The values that a call of ``declare`` ended with, and what it declared."""

_MAX_VALUES_EXPLORED = 32
"""An integer range with more values than this has only its ends explored."""


@dataclass(frozen=True)
class Discovery:
    """What building a space's networks declared.

    Attributes
    ----------
    hyperparameters : everything that was declared.
    under_if : names declared only in some builds although their conditions held, thus under a
        Python ``if`` or loop: every candidate carries a value for them, used or not.
    failures : what builds other than the first raised; such a configuration is a failed trial.
    complete : whether the limit on the number of builds was enough to try every branch.
    """

    hyperparameters: HyperParameters
    under_if: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    complete: bool = True


def explore(declare: Callable[[HyperParameters], object], *, limit: int) -> Discovery:
    """Call ``declare`` until every scope was active and every choice taken once.

    keras-tuner's tuner activates conditional scopes one after the other and never sees what is
    declared under a Python ``if``. Here each call takes untried values of all discrete
    parameters at once, so that the number of calls is about the longest list of choices.

    Parameters
    ----------
    declare : declares into a fresh ``HyperParameters`` that already holds values.
    limit : calls at most.

    Raises
    ------
    SpaceError
        If the first call raises one; what later calls raise is collected.
    """
    from keras_tuner import HyperParameters

    found = HyperParameters()
    plan = _ExplorationPlan()
    calls: list[_Call] = []
    failures: list[str] = []
    values: Values | None = {}
    while values is not None and len(calls) + len(failures) < limit:
        hp = HyperParameters()
        hp.values = dict(values)
        try:
            declare(hp)
            calls.append((dict(hp.values), {_declaration(p) for p in hp.space}))
        except SpaceError as error:
            if not calls:
                raise
            failures.append(str(error))
            hp.values = dict(hp.values) if isinstance(hp.values, dict) else {}
        found.merge(hp.space, overwrite=False)
        plan.record(hp)
        values = plan.next_values(found)
    found.values = active_values(found, {})
    return Discovery(
        hyperparameters=found,
        under_if=tuple(
            dict.fromkeys(p.name for p in found.space if _is_sometimes_missing(p, calls))
        ),
        failures=tuple(dict.fromkeys(failures)),
        complete=values is None,
    )


class _ExplorationPlan:
    """Which scopes and values have been tried, and which to try next."""

    def __init__(self) -> None:
        self._scopes_tried: set[ConditionKey] = set()
        self._scopes_pending: dict[ConditionKey, Values] = {}
        self._values_tried: set[tuple[str, ConditionKey, Any]] = set()

    def record(self, hp: HyperParameters) -> None:
        for scope in hp.active_scopes:
            self._scopes_tried.add(condition_key(scope))
        for scope in hp.inactive_scopes:
            self._scopes_pending.setdefault(
                condition_key(scope), {c.name: c.values[0] for c in scope}
            )
        for parameter in hp.space:
            # A space that fails may have taken values away.
            if is_active(parameter, hp.values) and parameter.name in hp.values:
                self._values_tried.add((*_declaration(parameter), hp.values[parameter.name]))

    def next_values(self, found: HyperParameters) -> Values | None:
        """Values for the next call, or None when nothing is left to try."""
        forced = self._next_scope()
        values: Values = dict(forced or {})
        is_new = forced is not None
        for parameter in found.space:
            if parameter.name in values or not is_active(parameter, values):
                continue
            untried = self._untried(parameter)
            values[parameter.name] = untried[0] if untried else parameter.default
            is_new = is_new or bool(untried)
            # Marked here already: a value that a call then ignores is not tried for ever.
            self._values_tried.add((*_declaration(parameter), values[parameter.name]))
        return values if is_new else None

    def _next_scope(self) -> Values | None:
        for key, values in self._scopes_pending.items():
            if key not in self._scopes_tried:
                self._scopes_tried.add(key)
                return values
        return None

    def _untried(self, parameter: HyperParameter) -> list[Any]:
        declaration = _declaration(parameter)
        return [
            value
            for value in _values_to_explore(parameter)
            if (*declaration, value) not in self._values_tried
        ]


def _values_to_explore(parameter: HyperParameter) -> list[Any]:
    """Discrete values, the largest integer first: a loop over layers then declares them all."""
    if kind_of(parameter) == "float":
        return []
    if kind_of(parameter) != "int":
        return list(parameter.values)
    values = all_values(parameter) or ()
    between = values[1:-1] if len(values) <= _MAX_VALUES_EXPLORED else ()
    return list(dict.fromkeys([values[-1], values[0], *between]))


def _declaration(parameter: HyperParameter) -> tuple[str, ConditionKey]:
    return parameter.name, condition_key(parameter.conditions)


def _is_sometimes_missing(parameter: HyperParameter, calls: list[_Call]) -> bool:
    return any(
        is_active(parameter, values) and _declaration(parameter) not in declared
        for values, declared in calls
    )
