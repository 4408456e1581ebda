"""What a search tells while it works, the observer that says nothing, and who hears by default.

``Observer`` is public, as ``hpsearch.Observer``: who wants to hear of a search inherits from it.
How a search looks belongs to the console, which is above: it says through ``heard_by`` what the
observer is that suits where Python runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from hpsearch.results import Run
    from hpsearch.scoring.trials import TrialResult


class Observer:
    """Hears what a search does, and does nothing: the base of every observer.

    Inherit, and define what you want to hear of; what you leave out stays silent. A search calls
    all methods in its own process, in order, and waits for them. It is a context manager, so that
    what it opened can be closed whatever ends the search.

    Given as ``observer=`` it takes the place of the display, and what it raises ends the search,
    which can be resumed. Given in ``log=`` it hears beside the display, and the search goes on
    without it after it raised.

    Examples
    --------
    >>> class Best(Observer):
    ...     "Keeps the score of the best trial so far, for a metric of which little is good."
    ...
    ...     score = float("inf")
    ...
    ...     def trial_done(self, row):
    ...         if row["status"] == "completed":
    ...             self.score = min(self.score, row["score"])
    >>> best = Best()
    >>> best.trial_done({"trial": 0, "status": "completed", "score": 0.25})
    >>> best.stage("refit")  # nothing was defined for it
    >>> best.score
    0.25
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return None

    def note(self, text: str) -> None:
        """What was taken for what, which engine runs, and why: a sentence."""

    def warn(self, text: str) -> None:
        """What deserves attention: a sentence."""

    def run_started(self, path: Path, settings: Mapping[str, Any]) -> None:
        """The run has its folder and ``run.json``; also where it goes on, or is finished already.

        Parameters
        ----------
        path : where the run's files are while it works; a run that replaces an older one moves from
            there at its end.
        settings : what ``run.json`` holds.
        """

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """Trials are about to be scored.

        Parameters
        ----------
        n_folds : P x K, the replicas of one trial.
        direction : ``min`` where a smaller score is better, else ``max``.
        jobs : units that are trained at the same time.
        """

    def training_started(self) -> None:
        """What was done so far came from the journal and took no time; now it begins to."""

    def ends_by(self, seconds: float) -> None:
        """Trials are started for so long at most, what follows them included."""

    def folds_done(self, trial: int, n: int) -> None:
        """``n`` more replicas of a trial are finished."""

    def trial_scored(self, trial: TrialResult) -> None:
        """A trial ended, with its rows of ``folds.csv`` and ``curves.csv``; before ``trial_done``.

        Again where it got more repeats, or ended otherwise because more others raced with it; and
        for each recorded trial of a run that goes on.
        """

    def trial_done(self, row: dict[str, Any]) -> None:
        """A trial ended: its row of ``trials.csv`` without the rank."""

    def stage(self, name: str) -> None:
        """What comes before the trials, ``check``, or after them.

        ``baselines``, ``nested search 1 of 5``, ``refit``, ``reload check``, ``logs``.
        """

    def search_ended(self, run: Run | None) -> None:
        """Everything is written, or nothing could be selected (None)."""


class SilentObserver(Observer):
    """Says nothing, wherever Python runs."""


_suitable: Callable[[], Observer] = SilentObserver


def heard_by(make: Callable[[], Observer]) -> None:
    """Let ``make`` give the observer of each search that is started without one."""
    global _suitable
    _suitable = make


def usual_observer(*, quiet: bool = False) -> Observer:
    """A new observer for a search that was given none; silent where ``heard_by`` named nobody.

    Parameters
    ----------
    quiet : silent wherever Python runs.
    """
    return SilentObserver() if quiet else _suitable()
