"""The folder of a run while it is filled: made, locked, and written file by file.

Owns the refusal to write over what is there. What stands in the tables belongs to ``tables``, what
the run did and was asked to ``journal``, who works on the folder to ``lock``, the files' names to
``layout``; the search fills them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hpsearch.errors import HpsearchError, RunExistsError, StorageError
from hpsearch.paths import found_at
from hpsearch.results import layout
from hpsearch.results.layout import is_run, require_run
from hpsearch.results.lock import HOLDER, LOCK, FolderLock

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.results.journal import Journal

_TEMPORARY: Final = re.compile(
    r"\.(" + "|".join(map(re.escape, (*layout.RUN_FILES, HOLDER))) + r")\.\d+\.tmp(-journal)?"
)


class RunFolder:
    """A folder that this process fills with one run; no other process may meanwhile.

    A context manager: at its end the folder is given back, and taken away again where ``create``
    made it and nothing was written to it.

    Attributes
    ----------
    path : the folder.
    is_new : whether ``create`` made it.
    """

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        self.path = path
        self.is_new = is_new
        self._lock = FolderLock(path)
        self._lock.acquire()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunFolder:
        """Make the folder and its parents, or take it over where that is safe.

        An empty folder is taken as it is. A folder with a run is taken with ``overwrite``; the
        old run stays until ``begin`` makes place for the new one.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        RunExistsError
            The folder holds a run (without ``overwrite``) or something that is no run, is a
            file, or cannot be made or written.
        """
        path = Path(path)
        try:
            _refuse_foreign(path)
            is_new = not path.is_dir()
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, is_new=is_new)
            try:
                _refuse_used(path, overwrite=overwrite)
                _try_writing(path)
            except BaseException:
                folder.release()
                raise
        except OSError as error:
            if isinstance(error, RunExistsError):
                raise
            raise RunExistsError(_unwritable(path, error)) from error
        return folder

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Take the folder of a run in order to go on with it.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        InputError
            There is no such folder, it holds no run, or it cannot be written.
        """
        path = Path(path)
        require_run(path)
        try:
            return cls(path)
        except OSError as error:
            if isinstance(error, RunExistsError):
                raise
            raise RunExistsError(_unwritable(path, error)) from error

    def release(self) -> None:
        """Give the folder back; safe to call twice."""
        if self.is_new:
            self.is_new = False
            with suppress(OSError):
                if {item.name for item in self.path.iterdir()} <= {LOCK, HOLDER}:
                    (self.path / HOLDER).unlink(missing_ok=True)
                    (self.path / LOCK).unlink()
                    self.path.rmdir()
        self._lock.release()

    @property
    def is_finished(self) -> bool:
        """Whether the run that is there has ended, and nothing of it is gone."""
        return all(
            (self.path / name).is_file()
            for name in (*layout.OUTCOME, *layout.TABLES, layout.SETTINGS)
        )

    def begin(self, asked: Mapping[str, Any]) -> Journal:
        """Begin the run: remove what an old one left, and make the journal.

        The journal marks the folder as a run. Files that hpsearch did not write are kept.

        Parameters
        ----------
        asked : what the run is resumed by; it is kept in the journal.
        """
        from hpsearch.results.journal import Journal

        with self._writing():
            _remove_run(self.path)
            return Journal.create(self.path / layout.JOURNAL, asked)

    def nested_journal(self, fold: int, n_folds: int, asked: Mapping[str, Any]) -> Journal:
        """The journal of one outer fold's search, new where there is none.

        Parameters
        ----------
        fold, n_folds : which of how many.
        asked : what a new one is to keep.

        Raises
        ------
        InputError
            The one that is there is damaged beyond use.
        """
        from hpsearch.results.journal import Journal

        path = self.path / layout.NESTED / f"outer-{fold}-of-{n_folds}.sqlite"
        if path.is_file():
            return Journal.open(path)
        with self._writing():
            path.parent.mkdir(exist_ok=True)
        return Journal.create(path, asked)

    def journal(self) -> Journal:
        """The journal of the run that is there.

        Raises
        ------
        InputError
            There is none, or it is damaged beyond use.
        """
        from hpsearch.results.journal import Journal

        return Journal.open(self.path / layout.JOURNAL)

    def begin_again(self) -> None:
        """Take away what says that the run is finished."""
        with self._writing():
            for name in (
                *layout.OUTCOME,
                *layout.TEXTS,
                *layout.TABLES_ASKED_FOR,
                layout.PREDICTIONS,
            ):
                (self.path / name).unlink(missing_ok=True)

    def finish(self, best: Mapping[str, Any]) -> None:
        """Write ``best.json``, which says that the run has ended: everything else is there."""
        self.write_json(layout.BEST, best)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        self.write_json(layout.SETTINGS, {**settings, "format": layout.RUN_FORMAT})

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a document in canonical JSON (``files.to_json_text``), whole or not at all."""
        from hpsearch.results.files import to_json_text

        self.write_file(name, to_json_text(value).encode("utf-8"))

    def write_file(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        from hpsearch.results.files import write_atomically

        with self._writing():
            write_atomically(self.path / name, content)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, HpsearchError):
                raise
            raise StorageError(
                f"The results folder must stay writable; {str(self.path)!r} is not any more "
                f"({error.strerror or error}). Free some space or mend the disk; then "
                f"`hpsearch resume {self.path}` goes on from its journal."
            ) from error

    def write_tables(
        self,
        *,
        trials: pd.DataFrame | None = None,
        folds: pd.DataFrame | None = None,
        curves: pd.DataFrame | None = None,
        predictions: pd.DataFrame | None = None,
        timings: pd.DataFrame | None = None,
        baselines: pd.DataFrame | None = None,
        nested: pd.DataFrame | None = None,
    ) -> None:
        """Write the tables that are given, each whole or not at all."""
        from hpsearch.results.tables import write_table

        given = {
            layout.TRIALS: trials,
            layout.FOLDS: folds,
            layout.CURVES: curves,
            layout.PREDICTIONS: predictions,
            layout.TIMINGS: timings,
            layout.BASELINES: baselines,
            layout.NESTED_TABLE: nested,
        }
        with self._writing():
            for name, table in given.items():
                if table is not None:
                    write_table(self.path / name, table)


def _refuse_foreign(path: Path) -> None:
    """Refuse a place that is neither free nor a run."""
    found = found_at(path, RunExistsError)
    if found not in ("a folder", None):
        raise RunExistsError(
            f"A run is written into a folder of its own; {str(path)!r} is {found}. "
            "Choose another --out."
        )
    if found is None or is_run(path):
        return
    others = {item.name for item in path.iterdir()} - {LOCK, HOLDER}
    if others:
        raise RunExistsError(
            f"A run is written into a new or empty folder; {str(path)!r} holds other files, "
            f"such as {min(others)!r}. Choose another --out."
        )


def _refuse_used(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a run without being told to."""
    if overwrite or not is_run(path):
        return
    raise RunExistsError(
        f"A run never replaces another one by itself; {str(path)!r} already holds a run. "
        f"Choose another --out, go on with it by `hpsearch resume {path}`, or add --overwrite "
        "to replace it."
    )


def _try_writing(path: Path) -> None:
    """Write and remove a small file: permissions alone do not tell on every file system."""
    probe = path / f".hpsearch-{os.getpid()}.tmp"
    try:
        probe.write_bytes(b"hpsearch")
    finally:
        probe.unlink(missing_ok=True)


def _remove_run(path: Path) -> None:
    for name in layout.RUN_FILES:
        (path / name).unlink(missing_ok=True)
    for item in path.glob(f"{layout.NESTED}/*outer-*.sqlite*"):
        item.unlink(missing_ok=True)
    with suppress(OSError):  # it isn't there, or holds what hpsearch did not write
        (path / layout.NESTED).rmdir()
    for item in path.iterdir():
        if _TEMPORARY.fullmatch(item.name):
            item.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return (
        f"The results folder must be writable; {str(path)!r} is not ({reason}). "
        "Choose another --out, or free the place."
    )
