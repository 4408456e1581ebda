"""The lock of a run's folder: one process works on it, and it ends with that process.

The one module that knows filelock. The system's own lock on ``.lock`` decides; ``.holder.json``
beside it only says who has it, for the process that comes second.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from hpsearch.errors import RunLockedError
from hpsearch.results.files import write_atomically

LOCK: Final = ".lock"
HOLDER: Final = ".holder.json"


class FolderLock:
    """The lock of a folder, held from ``acquire`` until ``release`` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FileLock(str(folder / LOCK), thread_local=False)

    def acquire(self) -> None:
        """Take the lock at once, and leave a note of who has it.

        Raises
        ------
        RunLockedError
            Another process has it, or another search of this one; the message names it.
        OSError
            The folder cannot be written.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunLockedError(locked_text(self._folder)) from None
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(" ", "seconds"),
        }
        try:
            write_atomically(self._folder / HOLDER, json.dumps(note).encode())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; safe to call twice."""
        if self._lock.is_locked:
            with suppress(OSError):
                (self._folder / HOLDER).unlink()
            self._lock.release()


def is_locked(folder: Path) -> bool:
    """Whether a process works on the folder."""
    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(str(folder / LOCK), thread_local=False)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False  # a folder that can't be written, so nobody works on it


def locked_text(folder: Path) -> str:
    """Who works on the folder, in one line."""
    try:
        note = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        holder = f"process {note['pid']} on {note['host']}, since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        holder = "it began just now"
    return (
        f"One process works on a run at a time; {str(folder)!r} is in use ({holder}). "
        "Wait for it, or end it."
    )
