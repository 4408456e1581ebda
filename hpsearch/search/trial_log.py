"""The trials of a search so far, and their tables, written in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from hpsearch.results.tables import curves_table, folds_table, timings_table, trials_table
from hpsearch.scoring.stages import Bracket
from hpsearch.scoring.trials import TrialResult
from hpsearch.task import Direction

SECONDS_BETWEEN_WRITES: Final = 5.0
"""The tables are written this often while trials end, and always when the last one has."""

SHARE_OF_WRITING: Final = 0.05
"""Large tables are written less often, so that writing takes no more of the time than this."""


def write_nothing(**tables: Any) -> None:
    """Leave no tables, as a search inside an outer fold."""


class TrialLog:
    """What the trials of a search gave, in the order in which they ended.

    Parameters
    ----------
    metrics, direction : those of the tables.
    write : takes tables by name and writes each whole or not at all.
    """

    def __init__(
        self,
        metrics: tuple[str, ...],
        direction: Direction,
        write: Callable[..., None] = write_nothing,
    ) -> None:
        self._results: dict[int, TrialResult] = {}
        self._brackets: dict[int, Bracket] = {}
        self._metrics = metrics
        self._direction = direction
        self._write = write
        self._next_write = 0.0

    @property
    def results(self) -> list[TrialResult]:
        """The trials as they ended, without predictions, which the journal has."""
        return list(self._results.values())

    @property
    def brackets(self) -> list[Bracket]:
        """The trials that raced with each other, the first ones first."""
        return [self._brackets[first] for first in sorted(self._brackets)]

    def __len__(self) -> int:
        return len(self._results)

    def begin(self, bracket: Bracket) -> None:
        """Note which trials race with each other, in place of fewer of the same that did before."""
        self._brackets[bracket.trials[0]] = bracket

    def add(self, result: TrialResult) -> bool:
        """Take a trial that ended; write the tables where that is due.

        Returns
        -------
        Whether it is new, or ended otherwise than before, when fewer others raced with it.
        """
        known = self._results.get(result.candidate.trial)
        if known is not None and _ended(known) == _ended(result):
            return False
        self._results.pop(result.candidate.trial, None)
        self._results[result.candidate.trial] = result.without_predictions()
        if time.monotonic() > self._next_write:
            self.write()
        return True

    def replace(self, results: Sequence[TrialResult]) -> None:
        """Put trials with more repeats in the place of what they were."""
        self._results |= {result.candidate.trial: result for result in results}
        self.write()

    def write(self) -> None:
        """Write whole tables of what is there."""
        began = time.monotonic()
        results = sorted(self.results, key=lambda r: r.candidate.trial)
        metrics = self._metrics
        self._write(
            trials=trials_table(
                (r.row for r in results), metrics=metrics, direction=self._direction
            ),
            folds=folds_table((row for r in results for row in r.folds), metrics=metrics),
            curves=curves_table((row for r in results for row in r.curves), metrics=metrics),
            timings=timings_table(
                {"trial": r.candidate.trial, "seconds": r.seconds} for r in results
            ),
        )
        took = time.monotonic() - began
        self._next_write = began + max(SECONDS_BETWEEN_WRITES, took / SHARE_OF_WRITING)


def _ended(trial: TrialResult) -> tuple[Any, ...]:
    """How and where a trial ended."""
    return trial.status, trial.stopped_after, trial.positions, trial.row.get("epochs")
