"""Diagnoses of the training: what the tables of a finished run say about it, and what to try.

Pure functions of tables. Each rule is a generator in the module of its subject that yields a
``Diagnosis`` or nothing. A module here names its rules by what they look at: ``OF_CURVES`` takes
the learning curves of any trial, ``OF_THE_SELECTED`` the tables and the selected trial,
``OF_TABLES`` the tables alone; ``EXPLAINED_BY`` says which findings of others explain one of its
own, which is left out then. Adding a diagnosis is adding a file, or a rule to one.
``docs/diagnoses.md`` says why each threshold is what it is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from hpsearch.diagnoses.base import Chart, Diagnosis, Severity
from hpsearch.diagnoses.tables import Tables

__all__ = ["Chart", "Diagnosis", "Severity", "Tables", "diagnose", "diagnose_trial"]

_ORDER = ("problem", "hint", "note")

Rule = Callable[..., Iterator[Diagnosis]]


@cache
def _modules() -> tuple[Any, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in names)


def _rules(kind: str) -> list[Rule]:
    """The rules of one kind, in the alphabetical order of their modules."""
    return [rule for module in _modules() for rule in getattr(module, kind, ())]


def _explained_by(code: str) -> set[str]:
    found = [getattr(module, "EXPLAINED_BY", {}).get(code, set()) for module in _modules()]
    return set().union(*found)


def diagnose(tables: Tables) -> tuple[Diagnosis, ...]:
    """All that is found about a run's selected trial and about its search, what matters most first.

    Parameters
    ----------
    tables : of a finished run.
    """
    trial = tables.trial(tables.selected)
    found: list[Diagnosis] = []
    if trial is not None:
        for of_curves in _rules("OF_CURVES"):
            found += of_curves(trial)
        for of_selected in _rules("OF_THE_SELECTED"):
            found += of_selected(tables, trial)
    for of_tables in _rules("OF_TABLES"):
        found += of_tables(tables)
    return tuple(_in_order(found))


def diagnose_trial(tables: Tables, number: int) -> tuple[Diagnosis, ...]:
    """What the learning curves of any trial say; nothing where it has none."""
    trial = tables.trial(number)
    if trial is None:
        return ()
    return tuple(_in_order([one for rule in _rules("OF_CURVES") for one in rule(trial)]))


def _in_order(found: list[Diagnosis]) -> Iterator[Diagnosis]:
    codes = {one.code for one in found}
    for severity in _ORDER:
        for one in found:
            if one.severity == severity and not _explained_by(one.code) & codes:
                yield one
