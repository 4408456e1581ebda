"""The journal: one SQLite file that holds all that a run has done, and that resuming replays.

The parent process alone writes it. Each finished work unit is a row, committed when it arrives;
the tables are derived from the rows. Owns the file, its rows' binary form, and what becomes of a
damaged one. What a run is asked again after a restart belongs to the search, which asks its oracle
the same way each time and finds here what needs no training.

The file is safe at every instant:

- SQLite's rollback journal with ``synchronous=EXTRA``: a commit is on the disk when it returns,
  and what a killed process left half done is undone by whoever opens the file next. There is no
  write-ahead log, so between two commits the run is one file, which may be copied.
- A row carries the SHA-256 of its key and its content. A row that doesn't match is left out, and
  its unit trained again. Where the file's structure is damaged, the rows that can be read are
  moved to a new file. Only damaged settings make a journal unusable.

Arrays are stored as ``.npy`` bytes without pickling: the curves of a unit's folds as float64
(n_folds, 1 + 2 n_metrics, n_epochs), training loss first, then validation and training metrics;
its predictions as float32 (n_predicted, rows of all folds, ...).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines import with_present_names
from hpsearch.engines.contract import FoldResult, Span, UnitResult, WorkUnit
from hpsearch.errors import InputError, StorageError
from hpsearch.results.files import sync_folder, temporary_path
from hpsearch.results.layout import APPLICATION
from hpsearch.space.space import Candidate

FORMAT: Final = 2
_SCHEMA: Final = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT, digest BLOB) WITHOUT ROWID",
    "CREATE TABLE units (key INTEGER PRIMARY KEY, head TEXT, arrays BLOB, digest BLOB)",
)
_SYNCHRONOUS: Final = "EXTRA"
_MAX_FOLDS: Final = 2**20
_MAX_EPOCHS: Final = 2**20
_SECONDS_TO_WAIT: Final = 30.0


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
        self._connection = _connect(path)

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any]) -> Journal:
        """A new journal, there whole with its settings or not at all.

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        with _clear_stop(path):
            _write_new(path, _settings_row(settings), ())
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """An existing journal, every row of it checked; a damaged one is put in order.

        Raises
        ------
        InputError
            It is no journal, its settings cannot be read, or another version wrote it.
        StorageError
            The file cannot be read or written.
        """
        with _clear_stop(path):
            settings, units, is_sound = _read(path)
            if settings is None:
                raise InputError(
                    f"A run is resumed from its journal; {str(path)!r} is damaged, and what was "
                    "asked can't be read. Restore it from a copy, or run the search again with "
                    "--overwrite."
                )
            if not is_sound:
                _write_new(path, settings, units)
        return cls(path, was_damaged=not is_sound)

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
            self._connection.execute(_INSERT_SETTINGS, _settings_row(settings))

    def units(self, trial: int) -> list[UnitResult]:
        """The units of a trial that are there, in the order of their folds, then of epochs."""
        n_keys = _MAX_FOLDS * _MAX_EPOCHS
        with _clear_stop(self.path):
            rows = self._connection.execute(
                "SELECT head, arrays FROM units WHERE key BETWEEN ? AND ? ORDER BY key",
                (trial * n_keys, (trial + 1) * n_keys - 1),
            ).fetchall()
        return [_decoded(head, arrays) for head, arrays in rows]

    def record(self, results: Sequence[UnitResult]) -> None:
        """Write units in one transaction, in place of those with the same keys.

        Raises
        ------
        StorageError
            They cannot be written; the journal holds what it held.
        """
        rows = [_encoded(result) for result in results]
        with self._transaction():
            self._connection.executemany(_INSERT_UNIT, rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _clear_stop(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has ended the transaction already
                    self._connection.execute("ROLLBACK")
                raise


def check_asked(units: Sequence[UnitResult], asked: Candidate) -> None:
    """Raise ``InputError`` where units were recorded for another configuration than is asked."""
    for unit in units:
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
    return _text(values[name]) if name in values else "left out"


def read_units(path: Path, trials: Collection[int]) -> dict[int, list[UnitResult]]:
    """Units of some trials, in the order of their keys, the file being left as it is.

    For those who only look: a journal that is damaged, or that a process writes, is no error, and
    what can't be read is left out.
    """
    found: dict[int, list[UnitResult]] = {}
    with suppress(sqlite3.Error, OSError), closing(_read_only(path)) as connection:
        heads = connection.execute("SELECT key, head FROM units ORDER BY key").fetchall()
        for key, head in heads:
            with suppress(ValueError, KeyError, TypeError, EOFError):
                if (trial := json.loads(head)["trial"]) in trials:
                    [[arrays]] = connection.execute(_SELECT_ARRAYS, (key,))
                    unit = _decoded(head, arrays)
                    found.setdefault(trial, []).append(unit)
    return found


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


_INSERT_SETTINGS: Final = "INSERT OR REPLACE INTO settings VALUES ('run', ?, ?)"
_SELECT_ARRAYS: Final = "SELECT arrays FROM units WHERE key = ?"
_INSERT_UNIT: Final = "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)"

_SettingsRow = tuple[str, bytes]
_UnitRow = tuple[int, str, bytes, bytes]


def _connect(path: Path, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_SECONDS_TO_WAIT, isolation_level=None)
    try:
        for pragma in pragmas or ("journal_mode = DELETE", f"synchronous = {_SYNCHRONOUS}"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _write_new(path: Path, settings: _SettingsRow, units: Sequence[_UnitRow]) -> None:
    """A whole new journal in the place of whatever is there."""
    temporary = temporary_path(path.parent)
    try:
        open(temporary, "xb").close()  # SQLite would follow a link
        connection = _connect(temporary)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute(_INSERT_SETTINGS, settings)
            connection.executemany(_INSERT_UNIT, units)
            connection.execute("COMMIT")
        finally:
            connection.close()
        for file in companions(path):  # SQLite would bring them into the new file
            file.unlink(missing_ok=True)
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        for file in companions(temporary):
            file.unlink(missing_ok=True)


def companions(path: Path) -> list[Path]:
    """Files that SQLite keeps beside a database while it writes, or may have kept."""
    return [path.with_name(f"{path.name}-{end}") for end in ("journal", "wal", "shm")]


# -- reading what may be damaged


def _read(path: Path) -> tuple[_SettingsRow | None, list[_UnitRow], bool]:
    """The settings, the sound units, and whether nothing was found wrong."""
    if not path.is_file():
        raise InputError(
            f"A run is resumed from its {path.name}; {str(path.parent)!r} has none. "
            "Run the search again, with --overwrite where the folder holds an older run."
        )
    units: dict[int, _UnitRow] = {}
    is_sound = _has_our_header(path)
    try:
        connection = _connect(path, "writable_schema = ON")  # reads what lost its last pages
    except sqlite3.DatabaseError as error:
        _raise_unless_damage(error)
        return None, [], False
    try:
        settings = _read_settings(connection)
        if not _read_units(connection, "ASC", units):
            _read_units(connection, "DESC", units)  # from the other end: a bad page hides little
            is_sound = False
    finally:
        connection.close()
    is_sound = is_sound and settings is not None and _is_intact(path)
    if settings is not None:
        _check_format(path, settings)
    return settings, list(units.values()), is_sound


def _read_settings(connection: sqlite3.Connection) -> _SettingsRow | None:
    try:
        for value, digest in connection.execute(
            "SELECT value, digest FROM settings WHERE name = 'run'"
        ):
            if digest == _digest("settings", value):
                return value, digest
    except (sqlite3.DatabaseError, UnicodeError) as error:
        _raise_unless_damage(error)
    return None


def _read_units(connection: sqlite3.Connection, order: str, units: dict[int, _UnitRow]) -> bool:
    """Collect sound rows; whether all were."""
    is_sound = True
    try:
        rows = connection.execute(
            f"SELECT key, head, arrays, digest FROM units ORDER BY key {order}"
        )
        for key, head, arrays, digest in rows:
            if digest == _digest(key, head, arrays):
                units[key] = (key, head, arrays, digest)
            else:
                is_sound = False
    except (sqlite3.DatabaseError, UnicodeError, OverflowError) as error:
        _raise_unless_damage(error)
        return False
    return is_sound


def _is_intact(path: Path) -> bool:
    """Whether the file is as SQLite and this module would write it."""
    try:
        with closing(_connect(path)) as connection:
            statements = {sql for [sql] in connection.execute("SELECT sql FROM sqlite_master")}
            [[application]] = connection.execute("PRAGMA application_id")
            [[version]] = connection.execute("PRAGMA user_version")
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        _raise_unless_damage(error)
        return False
    expected = (set(_SCHEMA), APPLICATION, FORMAT, [("ok",)])
    return (statements, application, version, found) == expected


def _has_our_header(path: Path) -> bool:
    """Whether the bytes that SQLite acts on, or keeps for later versions, are as it wrote them.

    Offsets as in "The Database Header" of SQLite's file format.
    """
    with open(path, "rb") as stream:
        head = stream.read(100)
    return (
        head[:16] == b"SQLite format 3\0"
        and head[18:24] == bytes([1, 1, 0, 64, 32, 32])  # rollback journal, fixed fractions
        and head[44:48] == (4).to_bytes(4, "big")  # schema format
        and head[52:60] == (1).to_bytes(8, "big")  # no vacuum, UTF-8
        and head[64:68] == bytes(4)
        and head[72:92] == bytes(20)
    )


def _is_damage(error: Exception) -> bool:
    """Whether an error speaks of the file's content, not of a lock, the disk or the system."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _raise_unless_damage(error: Exception) -> None:
    if not _is_damage(error):
        raise error


def _check_format(path: Path, settings: _SettingsRow) -> None:
    written = json.loads(settings[0]).get("format")
    if written != FORMAT:
        raise InputError(
            f"A run is resumed by the version of hpsearch that it began with; {str(path)!r} has "
            f"the format {written!r}, this version writes {FORMAT}. Run the search again."
        )


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


# -- the form of a row


def _settings_row(settings: Mapping[str, Any]) -> _SettingsRow:
    text = _text({**settings, "format": FORMAT})
    return text, _digest("settings", text)


def _digest(*parts: Any) -> bytes:
    """SHA-256 of the parts, each with its type and length."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "replace")
        digest.update(f"{type(part).__name__} {len(content)}\n".encode())
        digest.update(content)
    return digest.digest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _key(unit: WorkUnit) -> int:
    trial, first_fold, since = unit.key
    return (trial * _MAX_FOLDS + first_fold) * _MAX_EPOCHS + since


def _encoded(result: UnitResult) -> _UnitRow:
    folds = result.folds
    head = {
        "trial": result.unit.candidate.trial,
        "folds": result.unit.folds,
        "since": result.unit.span.since,
        "until": result.unit.span.until,
        "block": result.unit.span.block,
        "asked": dict(result.unit.candidate.values),
        "values": dict(result.values),
        "n_params": result.n_params,
        "seconds": result.seconds,
        "error": result.error,
        "traceback": result.traceback,
        "positions": [fold.position for fold in folds],
        "seeds": [fold.seed for fold in folds],
        "metrics": list(folds[0].validation) if folds else [],
        "rows": [fold.predictions.shape[1] for fold in folds],
        "predicted": folds[0].predicted if folds else None,
    }
    key, text, arrays = _key(result.unit), _text(head), _array_bytes(folds)
    return key, text, arrays, _digest(key, text, arrays)


def _array_bytes(folds: Sequence[FoldResult]) -> bytes:
    if not folds:
        return b""
    curves = np.stack(
        [np.stack([f.train_loss, *f.validation.values(), *f.train.values()]) for f in folds]
    )
    stream = io.BytesIO()
    for array, dtype in (
        (curves, np.float64),
        (np.concatenate([fold.predictions for fold in folds], axis=1), np.float32),
    ):
        np.lib.format.write_array(stream, np.ascontiguousarray(array, dtype), allow_pickle=False)
    return stream.getvalue()


def _decoded(text: str, arrays: bytes) -> UnitResult:
    head = json.loads(text)
    candidate = Candidate(head["trial"], head["asked"])
    return UnitResult(
        WorkUnit(
            candidate, tuple(head["folds"]), Span(head["since"], head["until"], head["block"])
        ),
        folds=tuple(_decoded_folds(head, arrays)),
        values=head["values"],
        n_params=head["n_params"],
        seconds=head["seconds"],
        error=head["error"],
        traceback=head["traceback"],
    )


def _decoded_folds(head: Mapping[str, Any], arrays: bytes) -> Iterator[FoldResult]:
    if not head["positions"]:
        return
    stream = io.BytesIO(arrays)
    curves, predictions = (np.lib.format.read_array(stream, allow_pickle=False) for _ in range(2))
    metrics, predicted = head["metrics"], head["predicted"]
    ends = np.cumsum(head["rows"])
    for number, (position, seed) in enumerate(zip(head["positions"], head["seeds"], strict=True)):
        loss, *sides = curves[number]
        first, last = ends[number] - head["rows"][number], ends[number]
        yield FoldResult(
            position=position,
            seed=seed,
            epochs=len(loss),
            train_loss=loss,
            validation=_named(metrics, sides[: len(metrics)]),
            train=_named(metrics, sides[len(metrics) :]),
            predictions=predictions[:, first:last],
            predicted=None if predicted is None else tuple(predicted),
            since=head["since"],
        )


def _named(
    names: Sequence[str], curves: Sequence[NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    return dict(zip(names, curves, strict=True))
