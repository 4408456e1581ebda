"""What a search tells while it works, the silent observer, and who hears one that names nobody.

How it looks belongs to the console, which is above: it says through ``heard_by`` what the observer
is that suits where Python runs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from hpsearch.results import Run


class Observer(Protocol):
    """Hears what a search does; a context manager, so that a live display ends on any error."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None: ...

    def note(self, text: str) -> None:
        """What was taken for what, which engine runs, and why."""

    def warn(self, text: str) -> None:
        """What deserves attention."""

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """Training begins; ``n_folds`` is P x K, the replicas of one trial."""

    def training_started(self) -> None:
        """What was done so far came from the journal and took no time; now it begins to."""

    def ends_by(self, seconds: float) -> None:
        """Trials are started for so long at most, what follows them included."""

    def folds_done(self, trial: int, n: int) -> None:
        """``n`` more replicas of a trial are finished."""

    def trial_done(self, row: dict[str, Any]) -> None:
        """A trial ended: its row of ``trials.csv`` without the rank."""

    def stage(self, name: str) -> None:
        """What comes before the trials, ``check``, or after them.

        ``baselines``, ``nested search 1 of 5``, ``refit``, ``reload check``.
        """

    def search_ended(self, run: Run | None) -> None:
        """Everything is written, or nothing could be selected."""


class SilentObserver:
    """Hears everything and says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    def search_started(
        self, *, n_trials: int, n_folds: int, metric: str, direction: str, jobs: int
    ) -> None:
        """Say nothing."""

    def training_started(self) -> None:
        """Say nothing."""

    def ends_by(self, seconds: float) -> None:
        """Say nothing."""

    def folds_done(self, trial: int, n: int) -> None:
        """Say nothing."""

    def trial_done(self, row: dict[str, Any]) -> None:
        """Say nothing."""

    def stage(self, name: str) -> None:
        """Say nothing."""

    def search_ended(self, run: Run | None) -> None:
        """Say nothing."""


_suitable: Callable[[], Observer] = SilentObserver


def heard_by(make: Callable[[], Observer]) -> None:
    """Let ``make`` give the observer of each search that is started without one."""
    global _suitable
    _suitable = make


def usual_observer() -> Observer:
    """A new observer for a search that was given none; silent where ``heard_by`` named nobody."""
    return _suitable()
