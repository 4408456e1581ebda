"""Observers beside the display: they hear what it hears, and a search goes on without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from hpsearch import words
from hpsearch.errors import HpsearchError, OptionError
from hpsearch.logs.base import RunLog
from hpsearch.scoring.observer import Observer


class Beside(Observer):
    """A display and further observers.

    One of these that raises is heard of in one warning, and hears no more itself. Where it raises
    on being entered, which comes before any work, the search is refused.
    """

    def __init__(self, shown: Observer, others: Sequence[Observer]) -> None:
        self._shown = shown
        self._others: list[Observer] = []
        self._waiting = list(others)

    def __enter__(self) -> Self:
        while self._waiting:
            other = self._waiting.pop(0)
            try:
                other.__enter__()
            except Exception as error:
                self.__exit__(type(error), error, error.__traceback__)
                if isinstance(error, HpsearchError):
                    raise
                raise OptionError(
                    f"What is given in `log` must work before a search begins; {_named(other)} "
                    f"raised {_told(error)}. Mend it, or leave it out; a run that goes on does "
                    "so without the logs it had by --log none."
                ) from error
            self._others.append(other)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tell(lambda other: other.__exit__(kind, error, traceback))

    def _tell(self, event: Callable[[Observer], Any]) -> None:
        for other in list(self._others):
            try:
                event(other)
            except Exception as error:
                self._others.remove(other)
                self._shown.warn(
                    f"{_named(other)} failed and hears no more ({_told(error)}). The search goes "
                    "on without it; `hpsearch resume` of the run gives it what it missed."
                )


def _named(other: Observer) -> str:
    return other.name if isinstance(other, RunLog) else type(other).__name__


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {words.error_line(error)}"


def _event(name: str) -> Callable[..., None]:
    """A method that tells the display, then the others; at the end the display comes last."""

    def method(self: Beside, *values: Any, **named: Any) -> None:
        if name == "search_ended" and self._others:
            self._shown.stage("logs")
            self._tell(lambda other: other.search_ended(*values, **named))
        getattr(self._shown, name)(*values, **named)
        if name != "search_ended":
            self._tell(lambda other: getattr(other, name)(*values, **named))

    return method


for _name in vars(Observer):
    if not _name.startswith("_"):
        setattr(Beside, _name, _event(_name))
