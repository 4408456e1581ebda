"""Files that the units of a session read, under whatever folder they have on this machine.

The process that drives a search writes them once. On its own machine workers map them where they
are; on another machine they lie in a scratch folder that all of the session's processes there
share, and that the last one to leave removes, however the others ended.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

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


class SharedFolder:
    """A scratch folder of all processes of one session on one machine.

    Each holds a shared lock on a file in it, which the system takes back whatever ends a process.
    Linux and macOS have such locks.

    Parameters
    ----------
    session : a name that no other session has.
    """

    def __init__(self, session: str) -> None:
        self.path = Path(tempfile.gettempdir()) / f"hpsearch-{session}"
        self._lock = self._join()

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
        """Let go of the folder; the last one removes it. Safe to call twice."""
        import fcntl

        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        with suppress(BlockingIOError):  # others are still there
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(lock)

    def _join(self) -> int | None:
        import fcntl

        file = self.path / ".users"
        while True:
            with suppress(FileNotFoundError):  # the last of the others has just removed it
                self.path.mkdir(mode=0o700, exist_ok=True)
                lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(lock, fcntl.LOCK_SH)
                if file.exists() and os.path.samestat(os.fstat(lock), file.stat()):
                    return lock
                os.close(lock)
