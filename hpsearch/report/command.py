"""How to make a run again: the command line, or the Python call, that asks for the same."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hpsearch import defaults
from hpsearch.task import TASKS

_DEFAULTS: Final = {
    "trials": defaults.TRIALS,
    "folds": defaults.FOLDS,
    "repeats": defaults.REPEATS,
    "epochs": defaults.EPOCHS,
    "batch_size": defaults.BATCH_SIZE,
    "seed": None,  # always said
    "oracle": "random",
    "engine": None,
    "patience": None,
    "split": "auto",
    "gap": 0,
    "duplicates": "together",
    "test_size": None,
    "max_levels": defaults.MAX_LEVELS,
    "max_words": defaults.MAX_WORDS,
    "race": "off",
    "rungs": 1,
    "until_decided": False,
    "max_repeats": None,
    "select": "best",
    "nested": None,
    "baselines": True,
}


def command(settings: Mapping[str, Any]) -> str:
    """The command line of a run, from its ``run.json``; options at their defaults are left out.

    What the settings can't give back, such as a table that was in memory, stands in capitals.

    Examples
    --------
    >>> command({"data": {"source": "sklearn:iris"}, "trials": 3, "folds": 4, "seed": 0})
    'hpsearch run sklearn:iris --trials 3 --seed 0'
    """
    return " ".join(["hpsearch", "run", *_words(settings)])


def _words(settings: Mapping[str, Any]) -> Iterator[str]:
    data = settings.get("data") or {}
    how = data.get("load") or {}
    source = data.get("source")
    yield shlex.quote(source) if source else "DATA"
    names = how.get("target") or ([] if str(source).startswith(("sklearn:", "keras:")) else None)
    for name in data.get("target") or () if names is None else names:
        yield f"--target {_name(name)}"
    for option in ("drop", "text"):
        for name in how.get(option) or ():
            yield f"--{option} {_name(name)}"
    for option in ("groups", "time"):
        if name := how.get(option) or data.get(option):
            yield f"--{option} {shlex.quote(str(name))}"
    for option in ("task", "path"):
        if how.get(option):
            yield f"--{option} {shlex.quote(str(how[option]))}"
    space = "SPACE.py" if settings.get("space_is_object") else settings.get("space")
    if space not in (None, defaults.SPACE):
        yield f"--space {shlex.quote(str(space))}"
    yield from _options(settings)


def _options(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in (settings.get("fix") or {}).items():
        yield f"--fix {shlex.quote(f'{name}={value}')}"
    for option, default in _DEFAULTS.items():
        value = settings.get(option)
        name = option.replace("_", "-")
        if value is None or value == default:
            continue
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        else:
            yield f"--{name} {shlex.quote(str(value))}"
    task, metric = (settings.get("data") or {}).get("task"), settings.get("metric")
    if task in TASKS and metric not in (None, TASKS[task].metrics[0]):
        yield f"--metric {shlex.quote(str(metric))}"
    if settings.get("test_rows") and settings.get("test_size") is None:
        yield "--test-data FILE"


def _name(name: Any) -> str:
    """A column's name as an option that takes several, separated by commas, reads it."""
    text = str(name)
    return shlex.quote('"' + text.replace('"', '""') + '"' if "," in text else text)
