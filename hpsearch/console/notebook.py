"""A search that Python code starts: in a notebook lines and one that is renewed, and elsewhere.

What a search says on the command line belongs to ``observers``.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TextIO

from hpsearch import snippets, words
from hpsearch.console.observers import STAGES, PlainObserver
from hpsearch.scoring.observer import SilentObserver
from hpsearch.system import Display

if TYPE_CHECKING:
    from hpsearch.results import Run

SECONDS_BETWEEN_RENEWALS: Final = 0.5


class Line:
    """How far a search is: a bar with words in a notebook, else the words."""

    def __init__(self, done: int, total: int, text: str) -> None:
        self._done, self._total, self._text = done, total, text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        if not self._total:
            return snippets.shown(self._text)
        return snippets.progress(self._done, self._total, self._text)


def display_in_notebook(line: Line) -> Callable[[Line], Any]:
    """Show a line below the cell; what renews it."""
    from IPython.display import display

    handle: Any = display(line, display_id=True)  # type: ignore[no-untyped-call]
    return handle.update if handle is not None else lambda line: None


class NotebookObserver(PlainObserver):
    """Lines on what was understood and warnings, and one line on the progress that is renewed.

    Parameters
    ----------
    show : shows a line, and gives what renews it.
    """

    def __init__(
        self,
        stream: TextIO | Display,
        clock: Callable[[], float] = time.monotonic,
        show: Callable[[Line], Callable[[Line], Any]] = display_in_notebook,
    ) -> None:
        super().__init__(stream, clock)
        self._show = show
        self._renew: Callable[[Line], Any] | None = None
        self._renewed = -math.inf

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """The line appears."""
        self._start(
            n_trials=n_trials, n_folds=n_folds, metric=metric, direction=direction, jobs=jobs
        )
        self._say_how_far(now=True)

    def folds_done(self, trial: int, n: int) -> None:
        """The line is renewed, now and then."""
        self._require_tally().add_folds(trial, n)
        self._say_how_far()

    def trial_done(self, row: dict[str, Any]) -> None:
        """The line has the best score so far; a failure has a line of its own."""
        self._require_tally().add_trial(row)
        if row["status"] == "failed":
            self._line(f"trial {row['trial']}: failed: {words.error_line(row.get('error'))}")
        self._say_how_far()

    def stage(self, name: str) -> None:
        """The line says what is done before the trials, or with the selected one."""
        self._renewed_with(Line(0, 0, f"{STAGES.get(name, name)} ..."))

    def search_ended(self, run: Run | None) -> None:
        """The line says how long it took; what was found comes below."""
        tally = self._tally
        if tally is not None:
            self._say_how_far(now=True, is_over=True)
        super().search_ended(run)

    def _say_how_far(self, *, now: bool = False, is_over: bool = False) -> None:
        tally, moment = self._require_tally(), self._clock()
        if not now and moment - self._renewed < SECONDS_BETWEEN_RENEWALS:
            return
        self._renewed = moment
        failed = f"{tally.n_failed} failed" if tally.n_failed else ""
        spent = words.duration(moment - tally.started)
        parts = [
            f"{tally.n_replicas_done}/{tally.n_replicas} folds",
            f"{tally.n_finished}/{tally.n_trials} trials",
            failed,
            tally.best_text(),
            f"done in {spent}" if is_over else tally.time_text(moment),
        ]
        text = ", ".join(part for part in parts if part)
        self._renewed_with(Line(tally.n_replicas_done, tally.n_replicas, text))

    def _renewed_with(self, line: Line) -> None:
        if self._renew is None:
            self._renew = self._show(line)
        else:
            self._renew(line)


def observer_in_python() -> SilentObserver | PlainObserver:
    """The observer of a search that Python code starts without naming one.

    Plain lines on a terminal, in a notebook a line that is renewed. A program whose standard output
    is a file or a pipe has its own use for it, so there nothing is said.
    """
    stream = sys.stdout
    if stream is None or not (_is_terminal(stream) or _is_of_a_notebook(stream)):
        return SilentObserver()
    if _is_of_a_notebook(stream):
        return NotebookObserver(Display(stream))
    return PlainObserver(Display(stream))


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, OSError, ValueError):  # ValueError: it was closed
        return False


def _is_of_a_notebook(stream: TextIO) -> bool:
    """Whether what is written appears below a cell: Jupyter's kernels replace the stream."""
    return type(stream).__module__.partition(".")[0] == "ipykernel"
