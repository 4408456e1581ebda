"""The journal: one SQLite file that holds all that a run has done, and that resuming replays.

The parent process alone writes it. Each finished work unit is a row, committed when it arrives;
the tables are derived from the rows. Owns the file. A row's form belongs to ``units``, what is
believed of a file that may be damaged to ``recovery``. What a run is asked again after a restart
belongs to the search, which asks its oracle the same way each time and finds here what needs no
training.

The file is safe at every instant:

- SQLite's rollback journal with ``synchronous=EXTRA``: a commit is on the disk when it returns,
  and what a killed process left half done is undone by whoever opens the file next. There is no
  write-ahead log, so between two commits the run is one file, which may be copied.
- A row carries the SHA-256 of its key and its content. A row that doesn't match is left out, and
  its unit trained again. Where the file's structure is damaged, the rows that can be read are
  moved to a new file. The settings, which nothing else could say again, stand twice.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from hpsearch.engines import with_present_names
from hpsearch.engines.contract import UnitResult
from hpsearch.errors import InputError, JournalError, StorageError
from hpsearch.results.files import sync_folder, temporary_path
from hpsearch.results.layout import APPLICATION
from hpsearch.results.recovery import (
    FORMAT,
    SCHEMA,
    SCHEMAS,
    SETTINGS_TABLES,
    USUAL_PAGE_SIZE,
    SettingsRow,
    bounded,
    companions,
    connect,
    has_our_schema,
    read_journal,
)
from hpsearch.results.units import Row, compact_json, decoded, digest, encoded, keys_of
from hpsearch.space.space import Candidate

_SYNCHRONOUS: Final = "EXTRA"


class Recorder(Protocol):
    """What remembers finished work units."""

    def units(self, trial: int) -> list[UnitResult]:
        """The units of a trial that are there, in the order of their folds."""
        ...

    def record(self, results: Sequence[UnitResult]) -> None:
        """Remember units, in place of those with the same keys."""
        ...


class NoJournal:
    """Remembers nothing: every unit is trained."""

    def units(self, trial: int) -> list[UnitResult]:
        """No units."""
        return []

    def record(self, results: Sequence[UnitResult]) -> None:
        """Forget them."""


class Journal:
    """An open journal; see the module. ``create`` or ``open`` makes one.

    Attributes
    ----------
    path : the file.
    was_damaged : whether something could not be read when it was opened, and was left out.
    """

    def __init__(self, path: Path, *, was_damaged: bool = False) -> None:
        self.path = path
        self.was_damaged = was_damaged
        with _clear_stop(path):
            self._connection = connect(path)
            self._connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            self._file = _identity(path)

    @classmethod
    def create(
        cls, path: Path, settings: Mapping[str, Any], *, was_damaged: bool = False
    ) -> Journal:
        """A new journal, there whole with its settings or not at all.

        Parameters
        ----------
        was_damaged : whether it stands for one that was beyond use.

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        with _clear_stop(path):
            _write_new(path, _settings_row(settings), ())
        return cls(path, was_damaged=was_damaged)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """An existing journal, every row of it checked; a damaged one is put in order.

        Raises
        ------
        InputError
            There is none, or another version wrote it; a ``JournalError`` where it is damaged so
            much that its settings cannot be read.
        StorageError
            The file cannot be read or written.
        """
        _refuse_absence(path)
        with _clear_stop(path):
            for file in companions(path):
                if file.is_symlink():  # SQLite would write through it
                    file.unlink()
            found = read_journal(path)
            if found.settings is None:
                raise JournalError(
                    f"A run is resumed from its journal; {str(path)!r} is damaged, and what was "
                    "asked can't be read. Restore it from a copy, or run the search again with "
                    "--overwrite."
                )
            if found.version not in SCHEMAS:
                raise InputError(
                    "A run is resumed by the version of hpsearch that it began with; "
                    f"{str(path)!r} has the format {found.version!r}, this version writes "
                    f"{FORMAT}. Run the search again."
                )
            if not found.is_sound or found.version != FORMAT:
                settings = _settings_row(json.loads(found.settings[0]))
                _write_new(path, settings, list(found.units.values()))
        return cls(path, was_damaged=not found.is_sound)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was asked, as it was given to ``create`` or ``update``."""
        with _clear_stop(self.path):
            [[text]] = self._connection.execute("SELECT value FROM settings WHERE name = 'run'")
        return with_present_names(json.loads(text))

    @property
    def n_units(self) -> int:
        """Units that are recorded."""
        with _clear_stop(self.path):
            [[n_units]] = self._connection.execute("SELECT count(*) FROM units")
        return int(n_units)

    def update(self, settings: Mapping[str, Any]) -> None:
        """Put other settings in place of those that are there."""
        with self._transaction():
            _put_settings(self._connection, _settings_row(settings))

    def units(self, trial: int) -> list[UnitResult]:
        """The units of a trial that are there, in the order of their folds, then of epochs.

        Raises
        ------
        JournalError
            One is not in the form in which hpsearch writes units.
        """
        with _clear_stop(self.path):
            rows = self._connection.execute(_SELECT_UNITS, keys_of(trial)).fetchall()
        try:
            return [decoded(head, arrays) for _, head, arrays, _ in rows]
        except ValueError as error:
            raise JournalError(
                f"A run is resumed from what hpsearch wrote; {str(self.path)!r} holds a unit of "
                f"trial {trial} in another form ({error}). Run the search again with --overwrite."
            ) from error

    def record(self, results: Sequence[UnitResult]) -> None:
        """Write units in one transaction, in place of those with the same keys.

        Raises
        ------
        StorageError
            They cannot be written; the journal holds what it held.
        """
        rows = [encoded(result) for result in results]
        with self._transaction():
            self._connection.executemany(_INSERT_UNIT, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if _identity(self.path) != self._file:
            raise StorageError(
                f"The journal must stay where it is while a search works; {str(self.path)!r} was "
                "removed or replaced."
            )
        with _clear_stop(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has ended the transaction already
                    self._connection.execute("ROLLBACK")
                raise


def check_asked(
    units: Sequence[UnitResult],
    asked: Candidate,
    *,
    metrics: Sequence[str],
    n_validation: Sequence[int],
) -> None:
    """Raise ``InputError`` where units were recorded for something else than is asked.

    Parameters
    ----------
    asked : the candidate. metrics, n_validation : the metrics that are scored, and the validation
        rows of each fold.
    """
    for unit in units:
        for fold in unit.folds:
            is_fold = fold.position < len(n_validation)
            n_rows = n_validation[fold.position] if is_fold else None
            if fold.predictions.shape[1] != n_rows or set(fold.validation) != set(metrics):
                raise JournalError(
                    "A run is resumed on the folds and metrics that it began with; trial "
                    f"{asked.trial} was recorded with others. Run the search again with "
                    "--overwrite."
                )
        recorded = unit.unit.candidate.values
        for name in sorted({*recorded, *asked.values}):
            was, now = _said(recorded, name), _said(asked.values, name)
            if was != now:
                raise InputError(_other_candidate(asked.trial, name, was, now))


def _other_candidate(trial: int, name: str, was: str, now: str) -> str:
    return (
        f"A run is resumed by asking for the same candidates again; trial {trial} was "
        f"recorded with {name} {was}, and the search now proposes {now}. Resume with the "
        "versions and the space that the run began with, or run the search again with --overwrite."
    )


def _said(values: Mapping[str, Any], name: str) -> str:
    return compact_json(values[name]) if name in values else "left out"


def read_units(path: Path, trials: Collection[int]) -> dict[int, list[UnitResult]]:
    """Units of some trials, in the order of their keys, the file being left as it is.

    For those who only look: a journal that is damaged, or that a process writes, is no error, and
    what can't be read is left out.
    """
    found: dict[int, list[UnitResult]] = {}
    if not path.is_file():
        return found
    with (
        suppress(sqlite3.Error, OSError, UnicodeError, OverflowError),
        closing(connect(path, only_to_read=True)) as connection,
        bounded(connection, path),
    ):
        for trial in sorted(trials) if has_our_schema(connection) else ():
            for key, head, arrays, said in connection.execute(_SELECT_UNITS, keys_of(trial)):
                with suppress(ValueError):
                    if said == digest(key, head, arrays):
                        unit = decoded(head, arrays)
                        found.setdefault(trial, []).append(unit)
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """What a journal was asked, the file being left as it is; nothing where it can't be read."""
    asked: Any = {}
    if not path.is_file():
        return {}
    with (
        suppress(sqlite3.Error, OSError, ValueError, OverflowError, RecursionError),
        closing(connect(path, only_to_read=True)) as connection,
        bounded(connection, path),
    ):
        if has_our_schema(connection):
            for text, said in connection.execute("SELECT value, digest FROM settings LIMIT 1"):
                asked = json.loads(text) if said == digest("settings", text) else {}
    return with_present_names(asked) if isinstance(asked, dict) else {}


def _write_new(path: Path, settings: SettingsRow, units: Sequence[Row]) -> None:
    """A whole new journal in the place of whatever is there."""
    temporary = temporary_path(path.parent)
    try:
        open(temporary, "xb").close()  # SQLite would follow a link
        with closing(connect(temporary)) as connection:
            connection.execute(f"PRAGMA page_size = {USUAL_PAGE_SIZE}")
            connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA:
                connection.execute(statement)
            _put_settings(connection, settings)
            connection.executemany(_INSERT_UNIT, units)
            connection.execute("COMMIT")
        for file in companions(path):  # SQLite would bring them into the new file
            file.unlink(missing_ok=True)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        for file in (temporary, *companions(temporary)):
            file.unlink(missing_ok=True)


def _put_settings(connection: sqlite3.Connection, settings: SettingsRow) -> None:
    """Put the settings, each copy of them, in the place of those that are there."""
    for table in SETTINGS_TABLES:
        connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ('run', ?, ?)", settings)


def _refuse_absence(path: Path) -> None:
    if path.is_symlink():
        raise InputError(
            f"A run's journal is a file of its own; {str(path)!r} is a link. Put the file itself "
            "there."
        )
    if not path.is_file():
        raise InputError(
            f"A run is resumed from its {path.name}; {str(path.parent)!r} has none. "
            "Run the search again, with --overwrite where the folder holds an older run."
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to, so that another one there can be told from it."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _settings_row(settings: Mapping[str, Any]) -> SettingsRow:
    text = compact_json({**settings, "format": FORMAT})
    return text, digest("settings", text)


_SELECT_UNITS: Final = "SELECT * FROM units WHERE key BETWEEN ? AND ? ORDER BY key"
_INSERT_UNIT: Final = "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)"


@contextmanager
def _clear_stop(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say of the file into one line."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, StorageError | InputError):
            raise
        raise StorageError(
            f"The journal must be readable and writable; {str(path)!r} is not any more ({error}). "
            "Free some space or mend the disk; what the journal holds is kept."
        ) from error
