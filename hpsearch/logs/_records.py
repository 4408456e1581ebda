"""One trial as a log keeps it: the same whether a search tells it or the run's tables hold it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hpsearch import words
from hpsearch.results.tables import SIGNIFICANT_DIGITS, TRIAL_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.results import Run
    from hpsearch.scoring.trials import TrialResult

_SCORES: Final = tuple(c for c in TRIAL_COLUMNS if c not in ("trial", "status", "rank", "error"))
_PLACE: Final = ("trial", "repeat", "fold", "epoch")

Cells = dict[str, Any]


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes
    ----------
    trial, status, error : as in ``trials.csv``; no error is "".
    hyperparameters : name to a number, truth value or text.
    scores : the numbers of its row there, those that are missing left out.
    folds, curves : its rows of ``folds.csv`` and ``curves.csv``, in their order, likewise.
    seconds : of training, summed over its replicas.
    rank : its place among the completed trials, where that is known already.
    """

    trial: int
    status: str
    error: str
    hyperparameters: Cells
    scores: Cells
    folds: tuple[Cells, ...]
    curves: tuple[Cells, ...]
    seconds: float = field(default=0.0, compare=False)
    rank: int | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it but time and rank: what is kept already is known by it."""
        held = (self.trial, self.status, self.error, self.hyperparameters, self.scores)
        text = json.dumps([*held, self.folds, self.curves], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def record_of(trial: TrialResult) -> TrialRecord:
    """A trial as a search tells it."""
    return _record(trial.row, trial.folds, trial.curves, trial.seconds)


def records_of(run: Run) -> list[TrialRecord]:
    """The trials of a finished run, the best first."""
    folds, curves = _by_trial(run.folds), _by_trial(run.curves)
    seconds = dict(zip(run.timings["trial"], run.timings["seconds"], strict=True))
    return [
        _record(row, folds.get(row["trial"], ()), curves.get(row["trial"], ()), seconds, row)
        for row in _rows(run.trials)
    ]


def _record(
    row: Mapping[str, Any],
    folds: Iterable[Mapping[str, Any]],
    curves: Iterable[Mapping[str, Any]],
    seconds: float | Mapping[int, float],
    ranked: Mapping[str, Any] | None = None,
) -> TrialRecord:
    there = {words.unguarded(str(n)): plain(v) for n, v in row.items() if not words.is_missing(v)}
    trial = int(there["trial"])
    scores = {n: v for n, v in there.items() if n in _SCORES or n.startswith("metric.")}
    of_trial = seconds.get(trial, 0.0) if isinstance(seconds, Mapping) else seconds
    rank = None if ranked is None else ranked.get("rank")
    return TrialRecord(
        trial=trial,
        status=str(there["status"]),
        error=words.error_line(there["error"]) if there.get("error") else "",
        hyperparameters=words.hyperparameters(there),
        scores=_numbers(scores),
        folds=tuple(_numbers(each, leave_out="trial") for each in folds),
        curves=tuple(_numbers(each, leave_out="trial") for each in curves),
        seconds=float(of_trial),
        rank=None if words.is_missing(rank) else int(rank),  # type: ignore[arg-type]
    )


def _numbers(cells: Mapping[str, Any], leave_out: str = "") -> Cells:
    """The finite numbers among cells."""
    found = {n: plain(v) for n, v in cells.items() if n != leave_out and not words.is_missing(v)}
    return {n: v for n, v in found.items() if not isinstance(v, str) and math.isfinite(v)}


def plain(value: Any) -> bool | int | float | str:
    """A cell as plain Python has it, with the digits that a table has.

    Examples
    --------
    >>> plain(64.0), plain(0.1 + 0.2), plain("'=A1"), plain(True)
    (64, 0.3, '=A1', True)
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        short = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 2**53 else short
    return words.unguarded(str(value))


def _by_trial(table: pd.DataFrame) -> dict[Any, list[Mapping[str, Any]]]:
    return {trial: _rows(part) for trial, part in table.groupby("trial", sort=False)}


def _rows(table: pd.DataFrame) -> list[Mapping[str, Any]]:
    return [{str(n): cell for n, cell in row.items()} for row in table.to_dict("records")]
