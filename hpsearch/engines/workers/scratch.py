"""Scratch folders: files that nobody keeps, also not after a process that was killed.

Each holds a lock on a file in it, which the system takes back whatever ends a process. So what a
killed process left behind can be told from what is in use, and the next search of the same user
sweeps it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from hpsearch.errors import OptionError

PREFIX = "hpsearch-"
LOCK = ".users"
GONE = ".gone"
_ROOM_BYTES = 2**20


class ScratchFolder:
    """A folder for files that nobody keeps; a context manager that removes it.

    Raises
    ------
    OptionError
        On entering, if there is no folder for temporary files.
    """

    def __enter__(self) -> Path:
        root = temporary_folder()
        while True:
            self._path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
            self._lock = _locked(self._path)
            if (self._path / LOCK).exists():  # else a sweep was faster than the lock
                return self._path
            os.close(self._lock)

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            root = self._path.parent
            if shutil.disk_usage(root).free < _ROOM_BYTES:
                error.add_note(f"{root}, for temporary files, is full; TMPDIR may name another.")
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._lock)


def temporary_folder() -> Path:
    """The folder in which scratch folders are made."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise OptionError(
            "A search needs a folder for temporary files that it can write; the system says: "
            f"{error.strerror}. Set TMPDIR to one."
        ) from None


def sweep() -> None:
    """Remove the scratch folders that killed processes of this user left on this machine."""
    with suppress(OSError), os.scandir(temporary_folder()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with suppress(OSError, ImportError):
                    _remove_unless_used(Path(entry.path))


def check_ours(folder: Path) -> None:
    """Raise ``PermissionError`` unless a path is a folder, no link, and this user's own."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "not a folder of this user", str(folder))


def _remove_unless_used(folder: Path) -> None:
    import fcntl

    check_ours(folder)
    if folder.suffix == GONE:
        shutil.rmtree(folder, ignore_errors=True)
        return
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = folder.with_name(folder.name + GONE)
        folder.rename(gone)  # at once, so that nobody joins half of it
        shutil.rmtree(gone, ignore_errors=True)
    finally:
        os.close(lock)


def _locked(folder: Path) -> int:
    """A lock on a folder, that others may share."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with suppress(ImportError):  # elsewhere nothing is swept
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_SH)
    return lock
