"""Files that the units of a session read, under whatever folder they have on this machine.

The process that drives a search writes them once. On its own machine workers map them where they
are; on another machine they lie in a scratch folder that all of the session's processes there
share, and that a process apart from them removes when the last one is gone, however it ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hpsearch.engines.workers.scratch import LOCK, PREFIX, check_ours, temporary_folder

_FOLDERS: dict[str, str] = {}


def here(path: str) -> str:
    """Where a file of the driving process lies for this process.

    Examples
    --------
    >>> here("/scratch/fit_data.joblib")
    '/scratch/fit_data.joblib'
    """
    folder, name = os.path.split(path)
    return os.path.join(_FOLDERS.get(folder, folder), name)


def lie_in(folders: Mapping[str, str]) -> None:
    """Tell this process where the driving process's folders lie here."""
    _FOLDERS.update(folders)


_REMOVE_AFTER_USE = """
import fcntl, os, shutil, sys
if os.fork():
    os._exit(0)  # no child of a process that may have its children killed
os.setsid()
folder = sys.argv[1]
fcntl.flock(os.open(folder + "/.users", os.O_RDWR), fcntl.LOCK_EX)
os.rename(folder, folder + ".gone")  # at once, so that nobody joins half of it
shutil.rmtree(folder + ".gone", ignore_errors=True)
"""


class SharedFolder:
    """A scratch folder of all processes of one session on one machine.

    Each holds a shared lock on a file in it, which the system takes back whatever ends a process.
    The process that makes the folder starts one that waits for all of them, and then removes it.
    Linux and macOS have such locks.

    Parameters
    ----------
    session : a name that no other session has.
    """

    def __init__(self, session: str) -> None:
        self.path = temporary_folder() / f"{PREFIX}{session}"
        self._lock: int | None = self._join()

    @property
    def identity(self) -> tuple[int, int]:
        """The same for processes that share the folder, and different on one machine otherwise."""
        status = self.path.stat()
        return status.st_dev, status.st_ino

    def write(self, folder: str, content: Mapping[str, bytes]) -> None:
        """Write a folder of files; it is there whole or not at all."""
        unfinished = Path(tempfile.mkdtemp(dir=self.path))
        for name, data in content.items():
            (unfinished / name).write_bytes(data)
        try:
            unfinished.rename(self.path / folder)
        except OSError:
            if not self.holds(folder):  # another process was faster otherwise
                raise
            shutil.rmtree(unfinished, ignore_errors=True)

    def holds(self, folder: str) -> bool:
        """Whether a folder was written, by any process of this machine."""
        return (self.path / folder).is_dir()

    def leave(self) -> None:
        """Let go of the folder; it is removed when all have. Safe to call twice."""
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)

    def _join(self) -> int:
        import fcntl

        users = self.path / LOCK
        while True:
            is_new = self._make()
            try:
                lock = os.open(users, os.O_RDWR | os.O_CREAT, 0o600)
            except FileNotFoundError:  # it was removed after the last of the others
                continue
            fcntl.flock(lock, fcntl.LOCK_SH)
            if is_new:
                command = [sys.executable, "-I", "-S", "-c", _REMOVE_AFTER_USE, str(self.path)]
                nowhere = subprocess.DEVNULL
                subprocess.run(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, check=True)
            if users.exists() and os.path.samestat(os.fstat(lock), users.stat()):
                return lock
            os.close(lock)

    def _make(self) -> bool:
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
            return True
        with suppress(FileNotFoundError):  # it was removed just now
            check_ours(self.path)
        return False
