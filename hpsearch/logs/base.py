"""What a log is: an observer that keeps each trial, and the run at its end, somewhere else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpsearch.logs._records import TrialRecord, record_of, records_of
from hpsearch.scoring.observer import Observer

if TYPE_CHECKING:
    from hpsearch.results import Run
    from hpsearch.scoring.trials import TrialResult

Say = Callable[[str], None]


class RunLog(Observer):
    """Keeps each trial as soon as it is scored, and what the run's files hold at its end.

    The end is what counts: ``search_ended`` goes through the tables once more, so that a log holds
    what they hold, whatever it heard before. It must therefore know what it has.

    Attributes
    ----------
    name : what people call it.
    """

    name: str

    def trial_scored(self, trial: TrialResult) -> None:
        """Keep a trial while the search goes on."""
        self.keep(record_of(trial))

    def search_ended(self, run: Run | None) -> None:
        """Keep all that the run's files hold."""
        if run is not None:
            records = records_of(run)
            for record in records:
                self.keep(record)
            self.finish(run, records)

    @abstractmethod
    def keep(self, record: TrialRecord) -> None:
        """Keep a trial, in the place of what is kept under its number; nothing where it is kept."""

    @abstractmethod
    def finish(self, run: Run, records: list[TrialRecord]) -> None:
        """Keep what belongs to the run as a whole, whose trials are all kept."""


@dataclass(frozen=True)
class LogKind:
    """What is known of a log before it is made.

    Attributes
    ----------
    packages : what it imports; the extra that installs them has the log's name.
    make : makes one, given what tells people something.
    """

    packages: tuple[str, ...]
    make: Callable[[Say], Observer]
