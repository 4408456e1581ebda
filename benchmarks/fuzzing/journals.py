"""Journals that are damaged or prepared, and the runs that are resumed from them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.base import Attempt, WrongError, one_of
from benchmarks.fuzzing.mutations import damaged
from benchmarks.fuzzing.runs import (
    TABLES,
    changed_json,
    command,
    copied,
    finished_run,
    pretending,
)
from hpsearch.results.recovery import SETTINGS_TABLES
from hpsearch.results.units import digest

Rng = np.random.Generator

ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n)"
VIEW = f"{ENDLESS} SELECT i AS key, '{{}}' AS head, x'00' AS arrays, x'00' AS digest FROM n"
PREPARED = (
    ("ALTER TABLE units RENAME TO u", f"CREATE VIEW units AS {VIEW}"),
    ("ALTER TABLE settings RENAME TO s", f"CREATE VIEW settings AS {VIEW}"),
    (f"CREATE VIEW more AS {VIEW}",),
    (
        "CREATE TRIGGER t BEFORE INSERT ON units BEGIN "
        f"DELETE FROM settings WHERE name IN (SELECT i FROM ({ENDLESS} SELECT i FROM n)); END",
    ),
    ("CREATE INDEX i ON units (head)", "DROP TABLE settings_again"),
    ("DROP TABLE units", "CREATE TABLE units (key, head, arrays, digest)"),
    ("DELETE FROM settings",),
    ("DELETE FROM units WHERE key % 3 = 0", "PRAGMA user_version = 99"),
    ("UPDATE units SET head = arrays, arrays = head",),
    ("PRAGMA journal_mode = WAL",),
    ("ALTER TABLE units ADD COLUMN more TEXT GENERATED ALWAYS AS (head || head)",),
)


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A run that did not finish, its journal damaged or prepared, and how it is resumed."""
    run = copied(folder)
    for name in ("best.json", "trials.csv"):
        (run / name).unlink()
    nested = sorted((run / "nested").glob("*.sqlite"))
    path = one_of(rng, [run / "journal.sqlite"] * 4 + nested)
    kind = one_of(rng, ("bytes", "bytes", "bytes", "statements", "settings", "unit", "unit"))
    if kind == "bytes":
        content, said = damaged(rng, path.read_bytes())
        path.write_bytes(content)
    elif kind == "statements":
        statements = one_of(rng, PREPARED)
        said = _execute(path, statements)
    else:
        said = _changed_settings(rng, path) if kind == "settings" else _changed_unit(rng, path)
    must_be_right = kind in ("bytes", "statements")
    what = f"{path.relative_to(run)}: {said}"
    return Attempt(what, partial(_resume, run, must_be_right=must_be_right))


def _execute(path: Path, statements: tuple[str, ...]) -> str:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return statements[-1]


def _changed_settings(rng: Rng, path: Path) -> str:
    """What was asked is something else, with digests that match."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        [[text]] = connection.execute("SELECT value FROM settings")
        value, said = changed_json(rng, json.loads(text))
        text = json.dumps(value)
        for table in SETTINGS_TABLES:
            row = (text, digest("settings", text))
            connection.execute(f"UPDATE {table} SET value = ?, digest = ?", row)
    return f"settings: {said}"


def _changed_unit(rng: Rng, path: Path) -> str:
    """The head or the arrays of a unit are something else, with a digest that matches."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = connection.execute("SELECT key, head, arrays FROM units").fetchall()
        key, head, arrays = one_of(rng, rows)
        if rng.random() < 0.7:
            value, said = changed_json(rng, json.loads(head))
            head = json.dumps(value)
        else:
            arrays, said = damaged(rng, arrays)
        row: tuple[Any, ...] = (head, arrays, digest(key, head, arrays), key)
        connection.execute("UPDATE units SET head = ?, arrays = ?, digest = ? WHERE key = ?", row)
    return f"unit {key}: {said}"


def _resume(run: Path, *, must_be_right: bool) -> str:
    with pretending():
        said = command("resume", run)
    if must_be_right:
        for name in TABLES:
            if (run / name).read_bytes() != (finished_run() / name).read_bytes():
                raise WrongError(f"{name} is not what the run gave")
    return said
