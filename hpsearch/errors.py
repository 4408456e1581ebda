"""Every error that hpsearch raises on purpose, and every warning that it gives; nothing else.

Each message names the rule, what was received and the remedy, in one or two sentences.
``InputError`` and its children mean that the data or the options are wrong: the command line
prints their text without a traceback and exits with 2. The other errors exit with 1. A message
is one line, whatever it quotes: its line ends become spaces, and long quotations lose their middle.
"""

from __future__ import annotations

import re
from typing import Any, Final, Self

_LONGEST_WORD: Final = 200
_LONGEST_MESSAGE: Final = 1_500
_LONG_WORD: Final = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")


def _line(message: str) -> str:
    r"""A message in one line of a length that people read.

    Examples
    --------
    >>> _line("two\n lines"), len(_line("x" * 5000)), len(_line("word " * 5000))
    ('two lines', 201, 1501)
    """
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    line = _LONG_WORD.sub(lambda word: _without_middle(word[0], _LONGEST_WORD), line)
    return _without_middle(line, _LONGEST_MESSAGE)


def _without_middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end]}…{text[-end:]}"


class HpsearchError(Exception):
    """Base class of every error that hpsearch raises on purpose."""

    def __init__(self, message: str = "", *more: Any) -> None:
        super().__init__(_line(str(message)), *more)


class InputError(HpsearchError, ValueError):
    """The data, the space or an option breaks a rule; found before any training starts."""


class DataError(InputError):
    """A table, a column, a target or a named set cannot be used as it is."""


class FoldError(InputError):
    """The rows, classes, groups or times do not allow the folds that were asked for."""


class SpaceError(InputError):
    """A space cannot be loaded, raises, returns no compiled model, or cannot be saved."""


class MetricError(InputError):
    """A metric of one's own cannot be loaded, raises, or gives no number.

    Attributes
    ----------
    number : which of several arrays of predictions it failed on.
    """

    number: int = 0


class TransformerError(InputError):
    """A transformer of one's own cannot be loaded, raises, or gives no rows of finite numbers."""


class OptionError(InputError):
    """An option, or a combination of options, has no meaning."""


class RunExistsError(InputError, FileExistsError):
    """The results folder already holds a run, or cannot be written."""

    def __new__(cls, *args: Any) -> Self:
        """Made as the one of its bases is made that needs it; tblib calls this by itself."""
        return FileExistsError.__new__(cls, *args)


class RunLockedError(RunExistsError):
    """Another process works on the results folder."""


class JournalError(InputError):
    """A run's journal is damaged beyond use, or was not written by hpsearch."""


class StorageError(HpsearchError, OSError):
    """The results folder can't be written any more, for instance because the disk is full."""


class BundleError(HpsearchError, RuntimeError):
    """An exported model is missing, damaged, or does not predict as it did before."""


class ModelFileError(BundleError, InputError):
    """The exported model of a run is missing, damaged, or not the one that the run wrote."""


class SearchFailedError(HpsearchError, RuntimeError):
    """Every trial failed, so nothing can be selected."""


class OptionWarning(UserWarning):
    """What was asked for is done in another way than the name says, or has no effect."""


class DataWarning(UserWarning):
    """New rows hold what the training rows did not; they were predicted all the same."""
