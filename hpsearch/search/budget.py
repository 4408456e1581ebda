"""A budget of time: what was asked of it, and how far that came.

Owns ``Budget``, what stands of it in the journal and in run.json, and what options a search has
whose time is over. How long things take, and what is started, belongs to ``pacing``.

A search with ``minutes`` ends as one that was asked for so many trials as it started, without a
limit of time. From then on it is that search: going on, the ledger and the command that makes it
again know nothing of a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, TypeVar

from hpsearch.search.options import Options, default

_O = TypeVar("_O", bound=Options)

LIMITED: Final = ("trials", "until_decided", "max_repeats")
"""Options that the end of the time lowers."""


@dataclass(frozen=True)
class Budget:
    """What a search was asked to do in its time.

    Attributes
    ----------
    minutes : that it was given, over all commands.
    started : trials that were started in them.
    trials, until_decided, max_repeats : what was asked, of which time may have left less.
    """

    minutes: float
    started: int
    trials: int
    until_decided: bool
    max_repeats: int

    @classmethod
    def of(cls, options: Options, before: Budget | None = None) -> Budget | None:
        """The budget of a search that begins, or goes on; none where its time has no limit.

        Parameters
        ----------
        before : what was spent already.
        """
        if options.minutes is None:
            return None
        return cls(
            minutes=before.minutes if before else 0.0,
            started=before.started if before else 0,
            **{name: getattr(options, name) for name in LIMITED},
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any] | None) -> Budget | None:
        """What ``to_json`` gave."""
        if not record:
            return None
        return cls(**{each.name: record[each.name] for each in fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """As the journal and run.json hold it."""
        return asdict(self)

    @property
    def done(self) -> str:
        """What was started in which time, for people.

        Examples
        --------
        >>> Budget(10.0, 37, 60, until_decided=False, max_repeats=10).done
        '37 of 60 trials in 10 minutes'
        """
        trials = "trial" if self.trials == 1 else "trials"
        minutes = "minute" if self.minutes == 1 else "minutes"
        return f"{self.started} of {self.trials} {trials} in {self.minutes:g} {minutes}"

    def spent(self, minutes: float, n_trials: int) -> Budget:
        """The budget once its time is over."""
        return replace(self, minutes=self.minutes + minutes, started=n_trials)


def options_in_time(options: _O, n_trials: int) -> _O:
    """What a search was asked whose time allowed so many trials, and perhaps some more repeats."""
    minutes = options.minutes if options.until_decided else None
    return replace(options, trials=n_trials, minutes=minutes)


def options_undecided(options: _O, n_repeats: int) -> _O:
    """What a search was asked whose time was over after so many repeats of its leaders."""
    decides = n_repeats > options.repeats
    most = n_repeats if decides else default("max_repeats")
    return replace(options, until_decided=decides, max_repeats=most, minutes=None)


def as_asked(options: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """Recorded options, without what the end of the time made of them."""
    return {**options, **{name: getattr(budget, name) for name in LIMITED}}
