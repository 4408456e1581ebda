"""The folder of a run while it is filled: made, locked, and written file by file.

Owns the refusal to write over what is there, and what can be done with a run that was stopped. What
stands in the tables belongs to ``tables``, what the run did and was asked to ``journal``, who works
on the folder to ``lock``, how a run takes the place of another to ``replacing``, the names to
``layout``; the search fills them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hpsearch.errors import (
    HpsearchError,
    InputError,
    JournalError,
    RunExistsError,
    RunLockedError,
    StorageError,
)
from hpsearch.paths import found_at
from hpsearch.results import layout
from hpsearch.results.contents import Contents
from hpsearch.results.files import sweep, temporary_path
from hpsearch.results.layout import is_journal, is_run, require_run
from hpsearch.results.lock import HOLDER, LOCK, FolderLock, is_locked, locked_text
from hpsearch.results.replacing import drop_next, other_file, remove_code, remove_run, settle

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.results.journal import Journal


class RunFolder:
    """A folder that this process fills with one run; no other process may meanwhile.

    A context manager: at its end the folder is given back, and taken away again where ``create``
    made it and nothing was written to it. A stop from outside and a disk that can't be written any
    more get a note of what can be done with the run (``BaseException.__notes__``).

    Attributes
    ----------
    path : the folder.
    place : where the run's files are: ``path``, or while an older run stays there ``path/.next``.
    is_new : whether ``create`` made it.
    """

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        self.path = self.place = path
        self.is_new = is_new
        self._has_begun = False
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
        stops = (KeyboardInterrupt, SystemExit, OSError)
        if isinstance(error, stops) and not isinstance(error, InputError):
            error.add_note(self.what_is_left())
        self.release()

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunFolder:
        """Make the folder and its parents, or take it over where that is safe.

        A folder that is empty, or in which a search was killed before it began, is taken as it is.
        A folder with a run is taken with ``overwrite``; that run stays until the new one ends.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        RunExistsError
            The folder holds a run (without ``overwrite``) or something that is no run, is a
            file, or cannot be made or written.
        """
        path = Path(path)
        with _clear_refusal(path):
            _refuse_foreign(path)
            is_new = not path.is_dir()
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, is_new=is_new)
            try:
                _refuse_used(path, overwrite=overwrite)
                _try_writing(path)
                folder._tidy()
            except BaseException:
                folder.release()
                raise
        return folder

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Take the folder of a run in order to go on with it.

        Where a new run was interrupted that is to replace the one in the folder, it is the new one.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        InputError
            There is no such folder, it holds no run, or it cannot be written.
        """
        path = Path(path)
        require_run(path)
        with _clear_refusal(path):
            folder = cls(path)
            try:
                folder._tidy()
            except BaseException:
                folder.release()
                raise
        after = path / layout.NEXT
        if is_journal(after / layout.JOURNAL) and not after.is_symlink():
            folder.place = after
        folder._has_begun = True
        return folder

    def _tidy(self) -> None:
        """Finish what a killed process left half done."""
        settle(self.path)
        after = self.path / layout.NEXT
        for folder in (self.path, self.path / layout.NESTED, after, after / layout.NESTED):
            if folder.is_dir() and not folder.is_symlink():
                sweep(folder)

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

    def what_is_left(self) -> str:
        """What can be done with the run as it is on the disk now, a sentence for people."""
        if not self._has_begun:
            return "Nothing was trained yet."
        if self.is_finished:
            return f"The run in {str(self.path)!r} is finished."
        if not is_journal(self.place / layout.JOURNAL):
            return (
                f"Its journal is not in {str(self.place)!r} any more, so it cannot be resumed: "
                "run the search again."
            )
        older = "" if self.place == self.path else "; the older run stays there until it ends"
        return f"`hpsearch resume {shlex.quote(str(self.path))}` goes on{older}."

    @property
    def replaces(self) -> bool:
        """Whether the run is to replace an older one, which stays in ``path`` until it ends."""
        return self.place != self.path

    @property
    def is_finished(self) -> bool:
        """Whether the run that is there has ended, and all of it is as it wrote it."""
        names = (*layout.OUTCOME, *layout.TABLES, layout.SETTINGS)
        try:
            return (
                all((self.place / name).is_file() for name in names)
                and not Contents(self.place).changed()
            )
        except InputError:
            return False

    def begin(self, asked: Mapping[str, Any]) -> Journal:
        """Begin the run: make place for it, and make its journal.

        The journal marks the folder as a run. A run that is there stays, whole, until ``finish``
        of the new one; files that hpsearch did not write are kept.

        Parameters
        ----------
        asked : what the run is resumed by; it is kept in the journal.
        """
        from hpsearch.results.journal import Journal

        with self._writing():
            drop_next(self.path)
            if is_run(self.path):
                self.place = self.path / layout.NEXT
                self.place.mkdir()
            else:
                remove_run(self.path)
            journal = Journal.create(self.place / layout.JOURNAL, asked)
        self._has_begun = True
        return journal

    def nested_journal(self, fold: int, n_folds: int, asked: Mapping[str, Any]) -> Journal:
        """The journal of one outer fold's search, new where there is none.

        One that is damaged beyond use costs its outer fold, which is searched again; the new one
        says that it ``was_damaged``.

        Parameters
        ----------
        fold, n_folds : which of how many.
        asked : what a new one is to keep.
        """
        from hpsearch.results.journal import Journal

        path = self.place / layout.NESTED / f"outer-{fold}-of-{n_folds}.sqlite"
        if path.is_file():
            try:
                return Journal.open(path)
            except JournalError:
                return Journal.create(path, asked, was_damaged=True)
        with self._writing():
            path.parent.mkdir(exist_ok=True)
        return Journal.create(path, asked)

    def journal(self) -> Journal:
        """The journal of the run that is there.

        Raises
        ------
        InputError
            There is none, it is damaged beyond use, or it is another run's.
        """
        from hpsearch.results.journal import Journal

        self._refuse_another_journal()
        return Journal.open(self.place / layout.JOURNAL)

    def _refuse_another_journal(self) -> None:
        """Refuse a journal that is not of the run in ``run.json``, which nobody has changed."""
        there = Contents(self.place)
        if not there.has_another_journal:
            return
        with suppress(InputError):
            if there.changed(layout.SETTINGS):
                return  # the journal is the run's own, and run.json is made again out of it
        raise JournalError(
            f"A run is resumed from its own journal; {layout.JOURNAL} in {str(self.place)!r} is of "
            f"another run than {layout.SETTINGS}: its data, space or options differ. Put the run's "
            f"own journal back; without {layout.SETTINGS} the journal's run goes on."
        )

    def begin_again(self) -> None:
        """Take away what says that the run is finished."""
        with self._writing():
            made = (*layout.OUTCOME, *layout.TRANSFORMERS, *layout.TEXTS, *layout.TABLES_ASKED_FOR)
            for name in made:
                (self.place / name).unlink(missing_ok=True)
            (self.place / layout.PREDICTIONS).unlink(missing_ok=True)
            remove_code(self.place)

    def finish(self, best: Mapping[str, Any]) -> None:
        """Write ``best.json``, which says that the run has ended: everything else is there.

        Where the run replaces an older one, it takes its place now.
        """
        with self._writing():
            sealed = Contents(self.place).seal(best)
        self.write_json(layout.BEST, sealed)
        if self.replaces:
            with self._writing():
                settle(self.path)
            self.place = self.path

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        self.write_json(layout.SETTINGS, {**settings, "format": layout.RUN_FORMAT})

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a document in canonical JSON (``files.to_json_text``), whole or not at all."""
        from hpsearch.results.files import to_json_text

        self.write_file(name, to_json_text(value).encode("utf-8"))

    def write_file(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Parameters
        ----------
        name : its path in the run's folder; folders in between are made.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        from hpsearch.results.files import write_atomically

        with self._writing():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.place / name, content)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, HpsearchError):
                raise
            raise StorageError(
                f"The results folder must stay writable; {str(self.path)!r} is not any more "
                f"({error.strerror or error}). Free some space or mend the disk."
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
        importance: pd.DataFrame | None = None,
        predicting: pd.DataFrame | None = None,
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
            layout.IMPORTANCE: importance,
            layout.PREDICTING: predicting,
        }
        with self._writing():
            for name, table in given.items():
                if table is not None:
                    write_table(self.place / name, table)


@contextmanager
def _clear_refusal(path: Path) -> Iterator[None]:
    """Turn what the system says of a folder that can't be taken into one line."""
    try:
        yield
    except OSError as error:
        if isinstance(error, RunExistsError):
            raise
        reason = error.strerror or str(error)
        raise RunExistsError(
            f"The results folder must be writable; {str(path)!r} is not ({reason}). "
            "Choose another --out, or free the place."
        ) from error


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
    other = other_file(path)
    if other is None or is_run(path):  # another process may just have begun one
        return
    if is_locked(path):
        raise RunLockedError(locked_text(path))
    raise RunExistsError(
        f"A run is written into a new or empty folder; {str(path)!r} holds other files, "
        f"such as {other!r}. Choose another --out."
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
    probe = temporary_path(path)
    try:
        with open(probe, "xb") as stream:
            stream.write(b"hpsearch")
    finally:
        probe.unlink(missing_ok=True)
