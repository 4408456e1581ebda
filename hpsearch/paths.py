"""Paths that people give: what they lead to, found out before anything is opened.

Owns the refusal of what is no path at all (too long, a NUL in it, a circle of links), of what can
be read without end or holds up whoever opens it (a pipe, a socket, a device), and of a file that
changes while it is read. What should be there, and what it holds, belongs to whoever asks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from hpsearch.errors import InputError

_LONGEST_SHOWN: Final = 160
_KINDS: Final = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def shown(path: str | os.PathLike[str]) -> str:
    """A path in quotes for a message, without the middle of a very long one.

    Examples
    --------
    >>> shown("houses.csv"), len(shown("x" * 5000))
    ("'houses.csv'", 163)
    """
    text = os.fspath(path)
    if len(text) > _LONGEST_SHOWN:
        half = _LONGEST_SHOWN // 2
        text = f"{text[:half]}…{text[-half:]}"
    return repr(text)


def expanded(path: str | os.PathLike[str], error: type[InputError] = InputError) -> Path:
    """A path with ``~`` replaced by the home that it stands for.

    Raises
    ------
    InputError
        There is no such user; ``error`` is the class to raise.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError) as reason:  # ValueError: of a NUL in the user's name
        raise error(
            f"A path that begins with ~ needs a user's home folder; {shown(path)} has none here. "
            "Write the whole path."
        ) from reason


def found_at(path: Path, error: type[InputError] = InputError) -> str | None:
    """What a path leads to, links followed: ``"a file"``, ``"a folder"``, ...; None for nothing.

    Raises
    ------
    InputError
        The system can't follow the path; ``error`` is the class to raise.

    Examples
    --------
    >>> found_at(Path("no-such-folder/no-such-file")) is None
    True
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as reason:
        raise error(
            f"A path must be one that the system can follow; {shown(path)} is not "
            f"({_reason(reason)}). Give another path."
        ) from reason
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextmanager
def opened(path: Path, error: type[InputError] = InputError) -> Iterator[BinaryIO]:
    """A file that is there, open for reading; what is no plain file is not opened.

    Raises
    ------
    InputError
        It is a folder, a pipe, a socket or a device, may not be read, or was written to while it
        was open; ``error`` is the class to raise.
    """
    kind = found_at(path, error)
    if kind not in ("a file", None):
        raise error(
            f"Only plain files are read; {shown(path)} is {kind}. Give a file, or write what it "
            "holds into one."
        )
    try:
        file = path.open("rb")
    except OSError as reason:
        raise error(
            f"{shown(path)} cannot be read ({_reason(reason)}). Check the file and its permissions."
        ) from reason
    with file:
        before = _state(file)
        try:
            yield file
        finally:
            if _state(file) != before:
                raise error(
                    f"{shown(path)} changed while it was read. Wait until it is written, then try "
                    "again."
                )


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
