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

from hpsearch.errors import HpsearchError, OptionError, StorageError

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
    StorageError
        On leaving, for what failed in the block because that folder is full.
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
        root = self._path.parent
        is_cause = isinstance(error, OSError) and _is_full(root, error)
        may_be_cause = isinstance(error, HpsearchError) and _has_no_room(root)
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._lock)
        said = (
            f"The folder for temporary files, {root}, is full. Free some space there, or set "
            "TMPDIR to another one."
        )
        if is_cause:
            raise StorageError(said) from error
        if may_be_cause and said not in (str(error), *getattr(error, "__notes__", ())):
            error.add_note(said)  # type: ignore[union-attr]


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


def _is_full(root: Path, error: OSError) -> bool:
    """Whether an error means that a folder has no room; NumPy's own have no number."""
    if error.errno == errno.EDQUOT:
        return str(error.filename or root).startswith(str(root))
    return error.errno in (errno.ENOSPC, None) and _has_no_room(root)


def _has_no_room(root: Path) -> bool:
    return shutil.disk_usage(root).free < _ROOM_BYTES
