"""Declared hyperparameters: which are active, which values they take, how a search narrows them.

Owns every rule about ``keras_tuner.HyperParameters`` that does not need a network: resolving
active values, listing combinations, applying ``--fix`` and describing a space to people.
Where the declarations come from belongs to ``hpsearch.space.space``; which values are tried, and in
which order, belongs to ``hpsearch.oracles``.

keras-tuner keeps only one value a name and loses it where the name is declared in two branches
(``HyperParameters.ensure_active_values``). The functions here resolve declarations in order and
keep the value of the first active one, so such spaces work.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError
from hpsearch.options import MOST_TRIALS

if TYPE_CHECKING:
    from keras_tuner import HyperParameter, HyperParameters

Values = dict[str, Any]
ConditionKey = tuple[tuple[str, tuple[Any, ...]], ...]

SIGNIFICANT_DIGITS = 12
"""Digits kept of a sampled float: what the tables write, so that they read back exactly."""

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Parameter:
    """One declared hyperparameter, described for people.

    Attributes
    ----------
    name : the hyperparameter's name.
    type : ``choice``, ``int``, ``float``, ``boolean`` or ``fixed``.
    domain : the choices, or the range with its step and sampling.
    default : the value that keras-tuner starts from.
    condition : when it is active, for instance ``optimizer is sgd``; empty where always.
    """

    name: str
    type: str
    domain: str
    default: Any
    condition: str


def describe(hp: HyperParameters) -> list[Parameter]:
    """Every declared hyperparameter in the order of declaration.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("optimizer", ["sgd", "adam"])
    >>> with hp.conditional_scope("optimizer", ["sgd"]):
    ...     _ = hp.Float("momentum", 0.0, 0.9, step=0.3)
    >>> [(p.name, p.domain, p.condition) for p in describe(hp)]
    [('optimizer', 'sgd, adam', ''), ('momentum', '0 to 0.9, step 0.3', 'optimizer is sgd')]
    """
    return [
        Parameter(
            name=parameter.name,
            type=kind_of(parameter),
            domain=_domain(parameter),
            default=plain(parameter, parameter.default),
            condition=_condition(parameter),
        )
        for parameter in hp.space
    ]


@dataclass(frozen=True)
class Range:
    """The numbers that an active hyperparameter may take.

    Attributes
    ----------
    low, high : its ends.
    is_log : whether it is sampled on a logarithmic scale.
    values : all of its numbers in ascending order, where they are few; else empty.
    """

    low: float
    high: float
    is_log: bool = False
    values: tuple[float, ...] = ()


MANY_VALUES = 20
"""A range with more values than this counts as continuous."""


def active_ranges(hp: HyperParameters, values: Mapping[str, Any]) -> dict[str, Range]:
    """The ranges of the hyperparameters that are active for some values and take several numbers.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("units", [64, 16, 32]), hp.Choice("act", ["relu"]), hp.Float("rate", 0.0, 1.0)
    >>> active_ranges(hp, {})
    {'units': Range(low=16.0, high=64.0, is_log=False, values=(16.0, 32.0, 64.0)), \
'rate': Range(low=0.0, high=1.0, is_log=False, values=())}
    """
    resolved: Values = {}
    found: dict[str, Range] = {}
    for parameter in hp.space:
        if parameter.name in resolved or not is_active(parameter, resolved):
            continue
        value = values.get(parameter.name, parameter.default)
        resolved[parameter.name] = value
        numbers = _range_of(parameter)
        if numbers is not None:
            found[parameter.name] = numbers
    return found


def _range_of(parameter: HyperParameter) -> Range | None:
    """The parameter's numbers, or None where it has fewer than two or takes something else."""
    if kind_of(parameter) in ("boolean", "fixed"):
        return None
    listed = all_values(parameter)
    few = [] if listed is None or len(listed) > MANY_VALUES else list(listed)
    if kind_of(parameter) == "choice":
        few = list(parameter.values)
        if any(isinstance(value, str | bool) for value in few):
            return None
    # By its values: keras-tuner never proposes the last step of Float(0.0, 0.5, step=0.1).
    ends = (min(few), max(few)) if few else (parameter.min_value, parameter.max_value)
    if ends[0] == ends[1]:
        return None
    is_log = getattr(parameter, "sampling", "linear") in ("log", "reverse_log")
    return Range(float(ends[0]), float(ends[1]), is_log, tuple(sorted(map(float, few))))


def kind_of(parameter: HyperParameter) -> str:
    """``choice``, ``int``, ``float``, ``boolean`` or ``fixed``."""
    return type(parameter).__name__.lower()


def is_active(parameter: HyperParameter, values: Mapping[str, Any]) -> bool:
    """Whether all conditions of a declaration hold for these values."""
    return all(condition.is_active(values) for condition in parameter.conditions)


def condition_key(conditions: Iterable[Any]) -> ConditionKey:
    """Hashable form of a list of conditions; a declaration is its name and this key."""
    return tuple((condition.name, tuple(condition.values)) for condition in conditions)


def plain(parameter: HyperParameter, value: Any) -> Any:
    """A value as a plain Python scalar of the parameter's type, inside its range.

    Floats keep twelve significant digits (see ``SIGNIFICANT_DIGITS``); the float that keras-tuner
    makes of an integer with logarithmic steps becomes an integer.
    """
    kind = kind_of(parameter)
    if kind == "int":
        return min(max(int(value), parameter.min_value), parameter.max_value)
    if kind == "float":
        rounded = float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")
        return min(max(rounded, parameter.min_value), parameter.max_value)
    return value


def active_values(hp: HyperParameters, values: Mapping[str, Any]) -> Values:
    """The active hyperparameters' values; one that ``values`` lacks gets its default.

    Names that are inactive or not declared are left out. Where several active declarations share
    a name, the first one decides.
    """
    resolved: Values = {}
    for parameter in hp.space:
        if parameter.name not in resolved and is_active(parameter, resolved):
            value = values.get(parameter.name, parameter.default)
            resolved[parameter.name] = plain(parameter, value)
    return resolved


def values_key(values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Hashable form of a configuration, whatever the order of its names."""
    return tuple(sorted(values.items()))


def combinations(
    hp: HyperParameters, values_of: Callable[[HyperParameter], Sequence[Any]]
) -> Iterator[Values]:
    """Every combination of active values, lazily, the last declared parameter turning fastest.

    Parameters
    ----------
    hp : the declared space.
    values_of : the values to take for a declaration, in order, for instance ``grid_values``.
    """
    listed = [(parameter, values_of(parameter)) for parameter in hp.space]

    def extend(values: Values, position: int) -> Iterator[Values]:
        if position == len(listed):
            yield dict(values)
            return
        parameter, candidates = listed[position]
        if parameter.name in values or not is_active(parameter, values):
            yield from extend(values, position + 1)
            return
        for value in candidates:
            yield from extend({**values, parameter.name: value}, position + 1)

    return extend({}, 0)


def grid_values(parameter: HyperParameter) -> list[Any]:
    """The values a grid takes: the default, then the others in keras-tuner's order.

    A range without a step has, as in keras-tuner, ten values spread evenly over it, here in
    ascending order (keras-tuner leaves their order to a set). Of a range with very many steps no
    more than the largest search can try.
    """
    few = islice(parameter.values, MOST_TRIALS)
    values = [plain(parameter, value) for value in few]
    if getattr(parameter, "step", 1) is None:
        values = sorted(values)
    return list(dict.fromkeys([plain(parameter, parameter.default), *values]))


MOST_STEPS = 1_000_000
"""Steps of a range of decimals that are listed; one of more is as good as continuous."""


def all_values(parameter: HyperParameter) -> Sequence[Any] | None:
    """Every value that sampling can give, or None for a continuous range."""
    kind, step = kind_of(parameter), getattr(parameter, "step", None)
    if kind == "int" and (step is None or parameter.sampling == "linear"):
        return range(parameter.min_value, parameter.max_value + 1, step or 1)
    if kind == "float":
        if parameter.min_value == parameter.max_value:
            return [parameter.min_value]
        if step is None or (parameter.max_value - parameter.min_value) / step > MOST_STEPS:
            return None
    return list(dict.fromkeys(plain(parameter, value) for value in parameter.values))


def check_declared(parameter: HyperParameter) -> None:
    """Refuse a declaration that keras-tuner takes and that has no value to give.

    Raises
    ------
    SpaceError
        If its name is no text, an end of its range is no number, or its step leads nowhere.
    """
    if not isinstance(parameter.name, str) or not parameter.name:
        raise SpaceError(
            f"A hyperparameter has a name; received {parameter.name!r}. Give it a text that is not "
            "empty."
        )
    if kind_of(parameter) not in ("int", "float"):
        return
    if not all(map(math.isfinite, (parameter.min_value, parameter.max_value))):
        raise SpaceError(
            f"The range of hyperparameter '{parameter.name}' needs two ends; received "
            f"{parameter.min_value:g} to {parameter.max_value:g}. Give it finite numbers."
        )
    if parameter.step is not None and not parameter.step > 0:
        raise SpaceError(
            f"The step of hyperparameter '{parameter.name}' must be above 0; received "
            f"{parameter.step:g}. Give it another, or none."
        )


def narrow(hp: HyperParameters, fixes: Mapping[str, Any]) -> HyperParameters:
    """A copy of a space in which some hyperparameters have one value.

    A fixed hyperparameter keeps its conditions; branches that cannot become active any more are
    removed. Values may be text, which is read by the hyperparameter's type. A value between the
    ends of a range is taken even where it is not on the range's steps, and any text in place of one
    that the space itself fixes, such as the path of a file.

    Raises
    ------
    SpaceError
        If a name is not declared, a value is not allowed, or the fixes contradict each other.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("optimizer", ["sgd", "adam"])
    >>> with hp.conditional_scope("optimizer", ["sgd"]):
    ...     _ = hp.Float("momentum", 0.0, 0.9)
    >>> [parameter.name for parameter in narrow(hp, {"optimizer": "adam"}).space]
    ['optimizer']
    """
    from keras_tuner import HyperParameters

    _check_names(hp, fixes)
    kept = _reachable([_fixed(parameter, fixes) for parameter in hp.space])
    _check_reachable(hp, kept, fixes)
    narrowed = HyperParameters()
    narrowed.merge(kept)
    narrowed.values = active_values(narrowed, {})
    return narrowed


def parse(parameter: HyperParameter, value: Any) -> Any:
    """A value given by a person, as text or not, in the hyperparameter's own type.

    Raises
    ------
    SpaceError
        If the value cannot be read as that type or is not among the allowed ones.
    """
    kind = kind_of(parameter)
    try:
        if kind in ("int", "float"):
            read = (_to_int if kind == "int" else _to_float)(value)
            allowed = parameter.min_value <= read <= parameter.max_value
        else:
            read = _reader(parameter.values)(value)
            allowed = read in parameter.values
    except (ValueError, TypeError):
        allowed = False
    if not allowed:
        rule = "cannot be changed from" if kind == "fixed" else "allows"
        raise SpaceError(
            f"Hyperparameter '{parameter.name}' {rule} {_domain(parameter)}; "
            f"received {value!r}. Fix it to an allowed value or change the space."
        )
    return plain(parameter, read)


def nearest(name: str, names: Iterable[str]) -> str:
    """' Did you mean X?' for the closest known name, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise ValueError(value)


def _to_int(value: Any) -> int:
    number = _to_float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


_READERS: dict[type, Callable[[Any], Any]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: str,
}


def _reader(values: Sequence[Any]) -> Callable[[Any], Any]:
    """What reads one of these values; keras-tuner holds True and False of a choice as 1 and 0."""
    if type(values[0]) is int and set(values) <= {0, 1}:
        return lambda value: int(_to_bool(value))
    return _READERS[type(values[0])]


def _check_names(hp: HyperParameters, fixes: Mapping[str, Any]) -> None:
    names = list(dict.fromkeys(parameter.name for parameter in hp.space))
    for name in fixes:
        if name not in names:
            listed = ", ".join(names) or "none"
            raise SpaceError(
                f"The space declares no hyperparameter '{name}'.{nearest(name, names)} "
                f"Declared: {listed}."
            )


def _fixed(parameter: HyperParameter, fixes: Mapping[str, Any]) -> HyperParameter:
    if parameter.name not in fixes:
        return parameter
    from keras_tuner.engine.hyperparameters import Fixed

    given = fixes[parameter.name]
    is_text = kind_of(parameter) == "fixed" and isinstance(parameter.value, str)
    if not is_text or not isinstance(given, str):  # a text, such as a file's path, may be another
        given = parse(parameter, given)
    return Fixed(parameter.name, given, conditions=list(parameter.conditions))


def _reachable(space: Iterable[HyperParameter]) -> list[HyperParameter]:
    """The declarations whose every condition some kept parent can meet; parents come first."""
    kept: list[HyperParameter] = []
    for parameter in space:
        if all(
            any(parent.name == condition.name and _can_be(parent, condition) for parent in kept)
            for condition in parameter.conditions
        ):
            kept.append(parameter)
    return kept


def _can_be(parent: HyperParameter, condition: Any) -> bool:
    if kind_of(parent) in ("int", "float"):
        return any(parent.min_value <= value <= parent.max_value for value in condition.values)
    return any(value in parent.values for value in condition.values)


def _check_reachable(
    hp: HyperParameters, kept: Iterable[HyperParameter], fixes: Mapping[str, Any]
) -> None:
    kept_names = {parameter.name for parameter in kept}
    for name in fixes:
        if name not in kept_names:
            conditions = " or ".join(
                dict.fromkeys(_condition(p) for p in hp.space if p.name == name)
            )
            others = ", ".join(f"{k}={v}" for k, v in fixes.items() if k != name) or "no other"
            raise SpaceError(
                f"Hyperparameter '{name}' exists only where {conditions}; received the fixes "
                f"{others}. Drop the fix of '{name}' or change the others."
            )


def _domain(parameter: HyperParameter) -> str:
    if kind_of(parameter) in ("int", "float"):
        text = f"{_show(parameter.min_value)} to {_show(parameter.max_value)}"
        if parameter.step not in (None, 1):
            text += f", step {_show(parameter.step)}"
        if parameter.sampling != "linear":
            text += f", {parameter.sampling.replace('_', ' ')}"
        return text
    return ", ".join(_show(value) for value in parameter.values)


def _condition(parameter: HyperParameter) -> str:
    return " and ".join(
        f"{condition.name} is {_either(condition.values)}" for condition in parameter.conditions
    )


def _either(values: Iterable[Any]) -> str:
    *others, last = [_show(value) for value in values]
    return f"{', '.join(others)} or {last}" if others else last


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
