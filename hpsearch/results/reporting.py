"""What a report is made of, read from a run's folder, and the report written into it.

Owns the reading, which forgives: a table or journal that is missing or damaged leaves its section
out. What the page says and shows belongs to ``hpsearch.report``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from hpsearch.diagnoses import diagnose
from hpsearch.engines.contract import joined_curves
from hpsearch.errors import InputError, OptionError, StorageError
from hpsearch.paths import found_at
from hpsearch.report import FoldCurve, Material, model_card_text, report_html
from hpsearch.report.material import records
from hpsearch.results.contents import Contents
from hpsearch.results.files import write_atomically
from hpsearch.results.journal import read_units
from hpsearch.results.layout import JOURNAL, MODEL_CARD, REPORT
from hpsearch.results.tables import IMPORTANCE_COLUMNS, PREDICTING_COLUMNS
from hpsearch.versions import VERSION

_T = TypeVar("_T")

MOST_FOLD_CURVES = 3000
"""Curves of single folds that are read from the journal: those of the best trials."""


def write_report(run: Contents, path: str | os.PathLike[str] | None = None) -> Path:
    """Write a run's report and return its path; see ``Run.report``."""
    target = run.path / REPORT if path is None else Path(path)
    if found_at(target.parent, OptionError) != "a folder":
        raise OptionError(
            f"A report is written into a folder that is there; {str(target.parent)!r} is not. "
            "Make the folder, or choose another file."
        )
    found = found_at(target, OptionError)
    if found not in ("a file", None):
        raise OptionError(f"A report is a file; {str(target)!r} is {found}. Name a file instead.")
    run.require_unchanged()
    page = report_html(material_of(run), version=VERSION)
    try:
        write_atomically(target, page.encode("utf-8"))
    except OSError as error:
        raise StorageError(
            f"The report must be writable; {str(target)!r} is not ({error.strerror or error}). "
            "Choose another file."
        ) from error
    return target


def write_missing_texts(run: Contents) -> None:
    """Write the report and the model card where they are not there, for instance after a kill."""
    if not (run.path / MODEL_CARD).is_file():
        text = model_card_text(run.settings, run.best, run.manifest, run.ledger)
        write_atomically(run.path / MODEL_CARD, text.encode("utf-8"))
    if not (run.path / REPORT).is_file():
        write_report(run)


def material_of(run: Contents) -> Material:
    """What a report is made of, as far as the run has it.

    Raises
    ------
    InputError
        ``trials.csv`` is missing or damaged.
    """
    trials = _or(lambda: run.trials, pd.DataFrame())
    if not {"trial", "status", "score"} <= set(trials.columns) or trials.empty:
        raise InputError(
            f"A report is made from the trials of a run; {str(run.path / 'trials.csv')!r} is "
            "missing or holds none. Restore the file, or run the search again."
        )
    folds = _with("trial", "repeat", "fold", table=_or(lambda: run.folds, pd.DataFrame()))
    best: Mapping[str, Any] = _or(lambda: run.best, {})
    material = Material(
        trials=trials,
        folds=folds,
        curves=_with("trial", "epoch", table=_or(lambda: run.curves, pd.DataFrame())),
        predictions=_or(lambda: run.predictions, pd.DataFrame()),
        timings=_or(lambda: run.timings, pd.DataFrame()),
        importance=_with(*IMPORTANCE_COLUMNS, table=_asked_for(run, "importance")),
        predicting=_with(*PREDICTING_COLUMNS, table=_asked_for(run, "predicting")),
        settings=_or(lambda: run.settings, {}),
        best=best,
        manifest=_or(lambda: run.manifest, {}),
        ledger=_or(lambda: run.ledger, None),
        diagnoses=_or(lambda: diagnose(run.tables), ()),
    )
    return material if run.has_another_journal else _with_fold_curves(material, run.path)


def _asked_for(run: Contents, name: str) -> pd.DataFrame:
    found = _or(lambda: getattr(run, name), None)
    return pd.DataFrame() if found is None else found


def _or(read: Callable[[], _T], otherwise: _T) -> _T:
    """What is read, or something else where it is missing or damaged."""
    try:
        return read()
    except (InputError, OSError, LookupError, TypeError, ValueError):
        return otherwise  # pandas' parser errors are ValueErrors; a damaged table lacks columns


def _with(*columns: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table, or an empty one where it lacks a column."""
    return table if set(columns) <= set(table.columns) else pd.DataFrame()


def _with_fold_curves(material: Material, folder: Path) -> Material:
    if material.folds.empty:
        return material
    order = [int(trial) for trial in material.scored["trial"]]
    order.sort(key=lambda trial: trial != material.selected)
    places: dict[int, list[tuple[Any, Any]]] = {}
    for row in records(material.folds.sort_values(["repeat", "fold"])):
        places.setdefault(int(row["trial"]), []).append((row["repeat"], row["fold"]))
    wanted: list[int] = []
    n_curves = 0
    for trial in order:
        n_curves += len(places.get(trial, ()))
        if n_curves > MOST_FOLD_CURVES and wanted:
            break
        wanted.append(trial)
    units = read_units(folder / JOURNAL, set(wanted))
    curves = {t: _fold_curves(units.get(t, []), places.get(t, [])) for t in wanted}
    return replace(material, fold_curves=curves)


def _fold_curves(units: list[Any], places: list[tuple[Any, Any]]) -> list[FoldCurve]:
    """The curves of a trial's folds; ``places`` are their repeats and folds, in their order."""
    parts: dict[int, list[Any]] = {}
    for unit in units:
        for fold in unit.folds:  # spans of epochs of one fold come one after the other
            parts.setdefault(fold.position, []).append(fold.validation)
    if len(parts) != len(places):
        return []
    return [
        FoldCurve(int(repeat), int(fold), joined_curves(found))
        for (repeat, fold), (_, found) in zip(places, sorted(parts.items()), strict=True)
    ]
