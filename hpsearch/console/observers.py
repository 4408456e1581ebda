"""Observers: a search as it works, on a terminal, in a log, or in one line.

Owns what is shown while a search runs, and when. What a run looks like at its end belongs to
``views``; what happened belongs to the search, which calls the observer's methods.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hpsearch import words
from hpsearch.console.process import say
from hpsearch.console.views import answer_view, one_line_result
from hpsearch.scoring.observer import SilentObserver
from hpsearch.system import Display

if TYPE_CHECKING:
    from hpsearch.results import Run

SECONDS_BETWEEN_LINES: Final = 10.0
STAGES: Final = {
    "check": "building and trying the space's default network",
    "baselines": "scoring models that need no search on the same folds",
    "refit": "training the selected configuration on all rows",
    "refit of several": "making the networks whose mean is exported",
    "reload check": "loading the model in a fresh process and comparing its predictions",
    "logs": "handing the run to its logs",
}
_DIRECTIONS: Final = {"min": "lower is better", "max": "higher is better"}


def observer_for(
    *, quiet: bool = False, stream: TextIO | None = None
) -> LiveObserver | PlainObserver | QuietObserver:
    """The observer that suits a stream.

    Parameters
    ----------
    quiet : only one line with the result, at the end.
    stream : where to write; standard output by default. A live display where it is a terminal
        that can move its cursor, else plain lines without control characters. A search goes on
        where nobody reads it any more.
    """
    display = Display(sys.stdout if stream is None else stream)
    if quiet:
        return QuietObserver(display)
    console = Console(file=cast("TextIO", display))
    if display.isatty() and console.is_terminal and not console.is_dumb_terminal:
        return LiveObserver(console)
    return PlainObserver(display)


@dataclass
class Tally:
    """What has been done so far, and how long the rest may take."""

    n_trials: int
    n_folds: int
    metric: str
    direction: str
    jobs: int
    started: float
    ends: float | None = None
    best_score: float | None = None
    best_trial: int | None = None
    _ended: dict[int, str] = field(default_factory=dict)
    _folds_of: dict[int, int] = field(default_factory=dict)
    _n_recorded: int | None = None

    def start_clock(self, now: float) -> None:
        """Count time from now on: what is done by now was recorded. Later calls do nothing."""
        if self._n_recorded is None:
            self.started, self._n_recorded = now, self.n_replicas_done

    @property
    def n_replicas(self) -> int:
        """Trainings in all: trials times folds."""
        return self.n_trials * self.n_folds

    @property
    def n_replicas_done(self) -> int:
        """Trainings that are finished, or that a failed or stopped trial no longer needs."""
        return sum(self._folds_of.values())

    def add_folds(self, trial: int, n: int) -> None:
        """Count ``n`` more finished trainings of a trial."""
        self._folds_of[trial] = min(self.n_folds, self._folds_of.get(trial, 0) + n)

    @property
    def n_finished(self) -> int:
        """Trials that have ended."""
        return len(self._ended)

    @property
    def n_failed(self) -> int:
        """Trials that failed."""
        return sum(status == "failed" for status in self._ended.values())

    def add_trial(self, row: Mapping[str, Any]) -> bool:
        """Count a finished trial, once where it ends again; whether it is the best so far."""
        self._ended[row["trial"]] = row["status"]
        self._folds_of[row["trial"]] = self.n_folds
        if row["status"] != "completed" or words.is_missing(row.get("score")):
            return False
        value = float(row["score"])
        sign = 1 if self.direction == "min" else -1
        if self.best_score is not None and sign * value >= sign * self.best_score:
            return False
        self.best_score, self.best_trial = value, row["trial"]
        return True

    def seconds_left(self, now: float) -> float | None:
        """What the rest takes at the mean pace so far; None before the first fold is done."""
        done = self.n_replicas_done - (self._n_recorded or 0)
        if done == 0:
            return None
        left = (now - self.started) / done * (self.n_replicas - self.n_replicas_done)
        return left if self.ends is None else min(left, max(0.0, self.ends - now))

    def best_text(self) -> str:
        """The best score so far and whose it is; empty before there is one."""
        if self.best_score is None:
            return ""
        return f"best {self.metric} {words.score(self.best_score)} (trial {self.best_trial})"

    def time_text(self, now: float) -> str:
        """Time spent and, once it can be guessed, time left."""
        left = self.seconds_left(now)
        spent = words.duration(now - self.started)
        return spent if left is None else f"{spent}, about {words.duration(left)} left"

    def title(self) -> str:
        """What is about to be done, in one line."""
        better = _DIRECTIONS.get(self.direction, self.direction)
        return (
            f"{words.counted(self.n_trials, 'trial')} x {words.counted(self.n_folds, 'fold')}, "
            f"{self.metric} ({better}), {self.jobs} at a time"
        )


class QuietObserver(SilentObserver):
    """Says nothing but one line with the result, and warnings on standard error."""

    def __init__(self, stream: TextIO | Display) -> None:
        self._stream = stream

    def warn(self, text: str) -> None:
        """A line on standard error: a script that reads the result's line doesn't see it."""
        say("warning: ", "yellow", text)

    def search_ended(self, run: Run | None) -> None:
        """One line: the folder, the selected trial and its score."""
        if run is not None:
            print(one_line_result(run), file=self._stream, flush=True)


class _CountingObserver(SilentObserver):
    """What observers that show progress share: a tally, and a display that ends with them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tally: Tally | None = None
        self._ends: float | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what is on display; safe to call at any time, more than once."""

    def training_started(self) -> None:
        """The clock starts, for what is trained now."""
        self._require_tally().start_clock(self._clock())

    def ends_by(self, seconds: float) -> None:
        """What is left of the time that there is."""
        self._ends = self._clock() + seconds

    def _start(self, **what: Any) -> Tally:
        self._tally = Tally(**what, started=self._clock(), ends=self._ends)
        return self._tally

    def _require_tally(self) -> Tally:
        if self._tally is None:
            raise RuntimeError("search_started comes before trials and folds.")
        return self._tally


class PlainObserver(_CountingObserver):
    """Lines for logs: one for each trial, and one on the progress every ten seconds at most."""

    def __init__(
        self, stream: TextIO | Display, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._stream = stream
        self._last_line = -math.inf

    def note(self, text: str) -> None:
        """A line on what was taken for what."""
        self._line(text)

    def warn(self, text: str) -> None:
        """A line that deserves attention."""
        self._line(f"warning: {text}")

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """A line on what is about to be done."""
        tally = self._start(
            n_trials=n_trials, n_folds=n_folds, metric=metric, direction=direction, jobs=jobs
        )
        self._last_line = tally.started
        self._line(f"search: {tally.title()}")

    def folds_done(self, trial: int, n: int) -> None:
        """A line on the progress, where the last one is ten seconds old."""
        tally = self._require_tally()
        tally.add_folds(trial, n)
        now = self._clock()
        if now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        parts = [
            f"{tally.n_replicas_done}/{tally.n_replicas} folds",
            f"{tally.n_finished}/{tally.n_trials} trials",
            tally.best_text(),
            tally.time_text(now),
        ]
        self._line("progress: " + ", ".join(part for part in parts if part))

    def trial_done(self, row: dict[str, Any]) -> None:
        """A line with the trial's score, or why it failed."""
        tally = self._require_tally()
        is_best = tally.add_trial(row)
        label = f"trial {row['trial']}"
        configuration = words.configuration(words.hyperparameters(row))
        if row["status"] == "failed":
            self._line(f"{label}: failed: {words.error_line(row.get('error'))} [{configuration}]")
            return
        score = f"{tally.metric} {words.score(row.get('score'), row.get('score_se'))}"
        epoch = words.number(row.get("best_epoch"))
        at = "" if epoch == "-" else f", epoch {epoch}"
        early = "stopped early, " if row["status"] == "stopped" else ""
        mark = " best so far" if is_best else ""
        self._line(f"{label}: {early}{score}{at} [{configuration}]{mark}")

    def stage(self, name: str) -> None:
        """A line on what is done with the selected configuration."""
        self._line(f"{name}: {STAGES[name]}" if name in STAGES else name)

    def search_ended(self, run: Run | None) -> None:
        """What was found and written."""
        if run is not None:
            self._line("")
            console = Console(
                file=cast("TextIO", self._stream),
                force_terminal=False,
                force_jupyter=False,
                color_system=None,
            )
            console.print(answer_view(run))

    def _line(self, text: str) -> None:
        print(words.one_line(text), file=self._stream, flush=True)


class LiveObserver(_CountingObserver):
    """A live display: finished trials above, a progress bar and the best score below."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._stage: str | None = None
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def note(self, text: str) -> None:
        """A grey line above the display."""
        self._console.print(Text(words.one_line(text), style="dim"))

    def warn(self, text: str) -> None:
        """A yellow line above the display."""
        self._console.print(Text(f"warning: {words.one_line(text)}", style="yellow"))

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """What is about to be done, the head of the trials' table, and the display."""
        tally = self._start(
            n_trials=n_trials, n_folds=n_folds, metric=metric, direction=direction, jobs=jobs
        )
        self._stage = None
        self._console.print(Text(tally.title(), style="bold"))
        self._console.print()
        head = ("trial", f"{metric} ± se", "epoch", "configuration")
        self._console.print(self._row(*(Text(cell, style="bold") for cell in head)))
        self._open()

    def folds_done(self, trial: int, n: int) -> None:
        """The bar moves."""
        self._require_tally().add_folds(trial, n)

    def trial_done(self, row: dict[str, Any]) -> None:
        """A row above the display: green where it is the best so far, red where it failed."""
        is_best = self._require_tally().add_trial(row)
        number = Text(str(row["trial"]))
        if row["status"] == "failed":
            reason = Text(words.error_line(row.get("error")), style="red")
            self._console.print(self._row(number, Text("failed", style="red"), Text("-"), reason))
            return
        score = Text(words.score(row.get("score"), row.get("score_se")))
        score.stylize("bold green" if is_best else "")
        epoch = Text(words.number(row.get("best_epoch")))
        configuration = Text(words.configuration(words.hyperparameters(row)))
        if row["status"] == "stopped":
            cells = (number, score, epoch, Text.assemble("stopped early: ", configuration))
            self._console.print(self._row(*cells), style="dim")
            return
        self._console.print(self._row(number, score, epoch, configuration))

    def stage(self, name: str) -> None:
        """The display says what is done before the trials, or with the selected one."""
        self._stage = name
        self._open()

    def search_ended(self, run: Run | None) -> None:
        """The display goes; what was found and written comes."""
        self.close()
        if run is not None:
            self._console.print()
            self._console.print(answer_view(run))

    def close(self) -> None:
        """Take the display down and give the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The display as it is now; Rich asks for it a few times a second."""
        if self._stage is not None:
            yield self._with_spinner(Text(STAGES.get(self._stage, self._stage)))
        elif self._tally is not None:
            yield self._progress(self._tally)

    def _progress(self, tally: Tally) -> Group:
        now = self._clock()
        done, total = tally.n_replicas_done, tally.n_replicas
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(width=1)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        bar.add_row(self._spinner, ProgressBar(total, done), f"{done}/{total} folds")
        trials = f"{tally.n_finished}/{tally.n_trials} trials"
        failed = f"{tally.n_failed} failed" if tally.n_failed else ""
        parts = [trials, failed, tally.best_text(), tally.time_text(now)]
        line = Text("  " + ", ".join(part for part in parts if part), style="dim")
        return Group("", bar, _cut(line))

    def _with_spinner(self, text: Text) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, _cut(text))
        return line

    def _row(self, *cells: Text) -> Table:
        """One row of the trials' table; fixed widths, since rows are printed one at a time."""
        metric = self._require_tally().metric
        row = Table.grid(padding=(0, 2, 0, 0), expand=True)
        row.add_column(width=5, justify="right")
        row.add_column(width=max(19, len(metric) + 5), no_wrap=True, overflow="ellipsis")
        row.add_column(width=5, justify="right")
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_row(*cells)
        return row

    def _open(self) -> None:
        if self._live is None:
            self._live = Live(self, console=self._console, transient=True, refresh_per_second=6)
            self._live.start()


def _cut(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
