"""Reading a journal that may be damaged, or that somebody prepared.

Owns what is believed of a file that says it is a journal. Each row carries a SHA-256, and a row
that doesn't match is left out. What SQLite would run by itself, views, triggers, generated columns,
is never reached: rows are read only where the file's schema is the journal's own, word for word.
Where it isn't, or the first page can't be read, the rows are read from a copy with the first page
that every journal has; where a tree of pages is broken, from both its ends.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hpsearch.results.files import temporary_path
from hpsearch.results.layout import APPLICATION
from hpsearch.results.units import Row, digest

FORMAT: Final = 3
SCHEMA: Final = (
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT, digest BLOB) WITHOUT ROWID",
    "CREATE TABLE units (key INTEGER PRIMARY KEY, head TEXT, arrays BLOB, digest BLOB)",
    "CREATE TABLE settings_again (name TEXT PRIMARY KEY, value TEXT, digest BLOB) WITHOUT ROWID",
)
"""The settings stand twice, on different pages, since nothing else can say them again."""

SCHEMAS: Final = {FORMAT: SCHEMA, 2: SCHEMA[:2]}
"""Of each format that is read; an older one is written anew."""

SETTINGS_TABLES: Final = ("settings", "settings_again")

SettingsRow = tuple[str, bytes]

SECONDS_TO_WAIT: Final = 30.0
"""For another process that holds the file."""

SECONDS_TO_READ: Final = 120.0
BYTES_A_SECOND: Final = 1e6
"""A statement that takes longer than both allow is ended: no journal of that size takes so long."""

_STEPS_BETWEEN_LOOKS: Final = 100_000
USUAL_PAGE_SIZE: Final = 4096
_PAGE_SIZES: Final = tuple(2**power for power in range(9, 17))


@dataclass
class Found:
    """What could be read of a journal.

    Attributes
    ----------
    settings : the row that says what was asked, or None.
    units : the sound rows, by key.
    is_sound : whether nothing was found wrong.
    version : the format that the settings name.
    """

    settings: SettingsRow | None = None
    units: dict[int, Row] = field(default_factory=dict)
    is_sound: bool = True
    version: int | None = None


def connect(path: Path, *, only_to_read: bool = False) -> sqlite3.Connection:
    """A connection that runs nothing of what a file's schema says."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if only_to_read else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=SECONDS_TO_WAIT, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def read_journal(path: Path) -> Found:
    """Everything that can be believed of a journal.

    Raises
    ------
    sqlite3.Error, OSError
        The system can't read the file; nothing is said of what it holds.
    """
    found = Found(is_sound=_has_our_header(path))
    version = _version_of_schema(path)
    if version is None:
        found.is_sound = False
        with _with_our_first_page(path) as copies:
            for copy in copies:
                _read_rows(copy, found)
                if found.settings is not None:
                    break
    else:
        _read_rows(path, found)
        found.is_sound = found.is_sound and _is_intact(path)
    if found.settings is None:
        found.is_sound = False
    else:
        version = json.loads(found.settings[0]).get("format")
        found.version = version if isinstance(version, int) else None
    return found


def has_our_schema(connection: sqlite3.Connection) -> bool:
    """Whether a file has the tables of a journal and nothing else."""
    return _version_of(connection) is not None


@contextmanager
def bounded(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """The connection, on which a statement ends that goes on for longer than any journal takes."""
    end = time.monotonic() + SECONDS_TO_READ + path.stat().st_size / BYTES_A_SECOND
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
    try:
        yield connection
    finally:
        connection.set_progress_handler(None, 0)


def is_damage(error: Exception) -> bool:
    """Whether an error speaks of the file's content, not of a lock, the disk or the system."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    damage = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return code in (*damage, sqlite3.SQLITE_INTERRUPT)


def _raise_unless_damage(error: Exception) -> None:
    if not is_damage(error):
        raise error


def _version_of_schema(path: Path) -> int | None:
    """The format whose schema the file has; None where it has another one, or can't be read."""
    try:
        with closing(connect(path)) as connection:
            return _version_of(connection)
    except (sqlite3.DatabaseError, UnicodeError) as error:
        _raise_unless_damage(error)
        return None


def _version_of(connection: sqlite3.Connection) -> int | None:
    statements = connection.execute("SELECT sql FROM sqlite_master LIMIT 9").fetchall()
    for version, schema in SCHEMAS.items():
        if sorted(map(str, (sql for [sql] in statements))) == sorted(schema):
            return version
    return None


def _read_rows(path: Path, found: Found) -> None:
    """Add what a file holds to what was found."""
    try:
        with closing(connect(path)) as connection, bounded(connection, path):
            # reads what lost its last pages
            connection.execute("PRAGMA writable_schema = ON")
            _read_settings(connection, found)
            if not _read_units(connection, "ASC", found.units):
                found.is_sound = False  # from the other end: a bad page hides little
                _read_units(connection, "DESC", found.units)
    except (sqlite3.DatabaseError, UnicodeError) as error:
        _raise_unless_damage(error)
        found.is_sound = False


def _read_settings(connection: sqlite3.Connection, found: Found) -> None:
    copies = []
    for table in SETTINGS_TABLES:
        try:
            rows = connection.execute(
                f"SELECT value, digest FROM {table} WHERE name = 'run' LIMIT 1"
            ).fetchall()
        except (sqlite3.DatabaseError, UnicodeError) as error:
            _raise_unless_damage(error)
            rows = []
        copies += [row for row in rows if row[1] == digest("settings", row[0])]
    if copies:
        found.settings = copies[0]
    has_both = _version_of(connection) != FORMAT or len(copies) == len(SETTINGS_TABLES)
    found.is_sound = found.is_sound and has_both and len(set(copies)) == 1


def _read_units(connection: sqlite3.Connection, order: str, units: dict[int, Row]) -> bool:
    """Collect sound rows; whether all were."""
    is_sound, last = True, None
    try:
        rows = connection.execute(
            f"SELECT key, head, arrays, digest FROM units ORDER BY key {order}"
        )
        for key, head, arrays, said in rows:
            if last is not None and (key > last) != (order == "ASC"):
                return False  # a circle of pages, which has no end
            last = key
            if said == digest(key, head, arrays):
                units[key] = (key, head, arrays, said)
            else:
                is_sound = False
    except (sqlite3.DatabaseError, UnicodeError, OverflowError, TypeError) as error:
        _raise_unless_damage(error)
        return False
    return is_sound


def _is_intact(path: Path) -> bool:
    """Whether the file is as SQLite and a version of hpsearch would write it."""
    try:
        with closing(connect(path)) as connection, bounded(connection, path):
            version = _version_of(connection)
            [[application]] = connection.execute("PRAGMA application_id")
            [[written]] = connection.execute("PRAGMA user_version")
            found = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        _raise_unless_damage(error)
        return False
    return (application, written, found) == (APPLICATION, version, [("ok",)])


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


# -- the first page, which is the same in every journal


@contextmanager
def _with_our_first_page(path: Path) -> Iterator[Iterator[Path]]:
    """Copies of the file with the first page of each format, one after the other."""
    temporary = temporary_path(path.parent)

    def copies() -> Iterator[Path]:
        with open(path, "rb") as source, open(temporary, "xb") as stream:
            sizes = _likely_page_sizes(source.read(18))
            source.seek(0)
            shutil.copyfileobj(source, stream)
            n_bytes = stream.tell()
        for schema in SCHEMAS.values():
            for size in sizes:
                with open(temporary, "r+b") as stream:
                    stream.write(_first_page(schema, size, n_bytes // size))
                yield temporary

    try:
        yield copies()
    finally:
        for file in (temporary, *companions(temporary)):
            file.unlink(missing_ok=True)


def companions(path: Path) -> list[Path]:
    """Files that SQLite keeps beside a database while it writes, or may have kept."""
    return [path.with_name(f"{path.name}-{end}") for end in ("journal", "wal", "shm")]


def _likely_page_sizes(head: bytes) -> Sequence[int]:
    """The usual size, and the one that the header says where it may be so."""
    said = int.from_bytes(head[16:18], "big")
    said = 65536 if said == 1 else said
    return tuple(dict.fromkeys([USUAL_PAGE_SIZE, *([said] if said in _PAGE_SIZES else [])]))


def _first_page(schema: Sequence[str], size: int, n_pages: int) -> bytes:
    """The first page of a journal with so many pages, its list of free ones forgotten."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {size}")
        for statement in schema:
            connection.execute(statement)
        page = bytearray(connection.serialize()[:size])
    page[28:32] = n_pages.to_bytes(4, "big")
    page[92:96] = page[24:28]  # so that the number of pages is believed
    page[32:40] = bytes(8)
    return bytes(page)
