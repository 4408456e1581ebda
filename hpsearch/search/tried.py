"""``--try``: configurations that somebody knows to be good, which are scored before all others.

Owns reading them, from a file, a text or Python, and what a search says of them. What a space makes
of one belongs to ``hpsearch.space.configurations``, when it is proposed to the oracles.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hpsearch.errors import InputError, OptionError
from hpsearch.paths import expanded, found_at, opened, shown
from hpsearch.space.configurations import Configured, Given, configured
from hpsearch.words import counted, unguarded

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

Tried = tuple[dict[str, Any], ...]

MOST_TRIED: Final = 10_000
"""They stand in the journal and in run.json."""

_OF_A_RUN: Final = "hp."
"""What hyperparameters' names begin with in the tables of a run."""

_OF_KERAS_TUNER: Final = "tuner/"
"""Names that keras-tuner's Hyperband keeps its books under, beside the hyperparameters."""


def read_tried(name: str, value: Any) -> Tried | None:
    """An option's value as configurations: names and values, as they were written.

    Parameters
    ----------
    name : the option's.
    value : the path of a .json or .csv file, JSON itself, a table, a mapping of names to values, a
        keras-tuner ``HyperParameters``, a sequence of these two, or None.

    Raises
    ------
    OptionError
        It is none of these, or holds no configuration.

    Examples
    --------
    >>> read_tried("tried", '[{"units": 32}, {"units": 64, "rate": null}]')
    ({'units': 32}, {'units': 64})
    """
    if value is None:
        return None
    found = tuple(_one(each) for each in _listed(value))
    if not found or len(found) > MOST_TRIED:
        raise OptionError(
            f"--try takes from 1 to {MOST_TRIED:,} configurations; received {len(found):,}. "
            "Leave it out, or give those that matter."
        )
    return found


def as_json(value: Tried | None) -> list[dict[str, Any]] | None:
    """Configurations as a journal holds them."""
    return None if value is None else [dict(each) for each in value]


def as_words(value: Tried) -> Iterator[str]:
    """Configurations as words of a command line."""
    yield from ("--try", json.dumps(as_json(value), sort_keys=True))  # as the journal has them


def configured_for(hp: HyperParameters, given: Sequence[Given]) -> list[Configured]:
    """The configurations as the space has them.

    Raises
    ------
    OptionError
        The space does not have one; it is named by its place, from 1.
    """
    found = []
    for number, each in enumerate(given, start=1):
        try:
            found.append(configured(hp, each))
        except InputError as error:
            raise OptionError(f"--try, configuration {number} of {len(given)}: {error}") from error
    return found


def told(hp: HyperParameters, given: Sequence[Given], n_trials: int) -> Iterator[str]:
    """What a search says of them, a sentence each.

    Parameters
    ----------
    n_trials : how many the search has.
    """
    found = configured_for(hp, given)
    scored = min(n_trials, len(found))
    of_all = "" if scored == len(found) else f" of {len(found):,}, and --trials is no more"
    yield (
        f"Tried first: {counted(scored, 'configuration')} of --try{of_all}; "
        "then come the space's defaults."
    )
    by_default = _union(each.by_default for each in found)
    if by_default:
        yield f"--try leaves out {by_default} at times, which then have the space's defaults."
    idle = _union(each.idle for each in found)
    if idle:
        yield f"--try gives {idle} where that is not active, so it counts for nothing there."


def _union(names: Iterable[Sequence[str]]) -> str:
    return ", ".join(dict.fromkeys(name for each in names for name in each))


# -- where they come from


def _listed(value: Any) -> Iterable[Any]:
    """The configurations of whatever was given, one by one."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        return _of_json(value, "its text")
    if isinstance(value, str | os.PathLike):
        return _of_file(value)
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a table of pandas
        return list(_of_rows(value.to_dict("records")))
    if isinstance(value, Mapping) or _is_hyperparameters(value):
        return [value]
    if isinstance(value, Sequence):
        return value
    raise OptionError(
        "--try is a .json or .csv file, in Python also a list of dictionaries, one for each "
        f"configuration; received {type(value).__name__}."
    )


def _of_file(given: str | os.PathLike[str]) -> Iterable[Any]:
    path = expanded(given, OptionError)
    suffix = path.suffix.lower()
    if suffix not in (".json", ".csv"):
        raise OptionError(
            f"--try is a file that ends in .json or .csv; received {shown(given)}. A run's "
            "trials.csv or best.json serves, too."
        )
    if found_at(path, OptionError) is None:
        raise OptionError(f"--try names a file that is there; {shown(given)} is not.")
    try:
        with opened(path, OptionError) as file:
            text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(f"--try is a text in UTF-8; {shown(given)} is not ({error}).") from error
    if suffix == ".json":
        return _of_json(text, shown(given))
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True, restkey=""))
    except csv.Error as error:
        raise OptionError(
            f"--try is a table with a line for each configuration; {shown(given)} cannot be read "
            f"({error})."
        ) from error
    if any("" in row for row in rows):
        raise OptionError(
            f"--try is a table whose columns have names; {shown(given)} has cells without one. "
            "Give each column the name of a hyperparameter."
        )
    return list(_of_rows(rows))


def _of_json(text: str, place: str) -> Iterable[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"--try is JSON, a list of objects of names and values; {place} cannot be read "
            f"({error})."
        ) from error
    if isinstance(value, Mapping):
        inner = value.get("hyperparameters")  # what best.json, and whoever writes alike, calls them
        return [inner if isinstance(inner, Mapping) else value]
    return value if isinstance(value, list) else [value]


def _of_rows(rows: Iterable[Mapping[Any, Any]]) -> Iterator[Mapping[str, Any]]:
    """Rows of a table; of a run's own, the hyperparameters of trials that did not fail."""
    for row in rows:
        of_a_run = {str(k): v for k, v in row.items() if str(k).startswith(_OF_A_RUN)}
        if not of_a_run:
            yield {str(name): _cell(value) for name, value in row.items()}
        elif row.get("status") != "failed":
            yield {name.removeprefix(_OF_A_RUN): _cell(v) for name, v in of_a_run.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return unguarded(value.strip()) or None
    return value


def _one(given: Any) -> dict[str, Any]:
    """One configuration: names with values, those without left out."""
    values = given.values if _is_hyperparameters(given) else given
    if not isinstance(values, Mapping):
        raise OptionError(
            "--try takes names and values for each configuration, such as "
            f'{{"units": 32, "rate": 0.01}}; received {given!r}.'
        )
    pairs = {str(name): _plain(str(name), value) for name, value in values.items()}
    found = {n: v for n, v in pairs.items() if v is not None and not n.startswith(_OF_KERAS_TUNER)}
    if not found:
        raise OptionError(
            f"--try takes names and values for each configuration; received {dict(values)!r}, "
            "which has none."
        )
    return found


def _plain(name: str, value: Any) -> Any:
    """A value as JSON holds it; None where there is none."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    is_value = isinstance(value, bool | int | float | str)
    if not is_value or (isinstance(value, float) and math.isinf(value)):
        raise OptionError(
            f"--try gives each hyperparameter a text, a number, true or false; {name!r} has "
            f"{value!r}."
        )
    return value


def _is_hyperparameters(value: Any) -> bool:
    return type(value).__name__ == "HyperParameters"
