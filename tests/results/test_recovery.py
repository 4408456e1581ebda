"""Journals that somebody prepared, and those of an older format."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hpsearch.engines.contract import FoldResult, UnitResult, WorkUnit
from hpsearch.errors import InputError, JournalError, StorageError
from hpsearch.results import RunFolder
from hpsearch.results.journal import Journal, read_units
from hpsearch.results.recovery import SCHEMAS, connect
from hpsearch.results.units import digest, encoded
from hpsearch.space.space import Candidate

SETTINGS = {"options": {"trials": 3}}


def unit(trial):
    fold = FoldResult(
        position=0,
        seed=1,
        epochs=2,
        train_loss=np.zeros(2),
        validation={"mae": np.ones(2)},
        train={"mae": np.ones(2)},
        predictions=np.ones((2, 3, 1), np.float32),
    )
    return UnitResult(WorkUnit(Candidate(trial, {"rate": 0.5}), (0,)), (fold,), {"rate": 0.5})


@pytest.fixture
def path(tmp_path):
    """A journal with two units."""
    path = tmp_path / "journal.sqlite"
    with Journal.create(path, SETTINGS) as journal:
        journal.record([unit(0), unit(1)])
    return path


def change(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))


ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n)"
AS_A_VIEW = f"{ENDLESS} SELECT i AS key, '{{}}' AS head, x'' AS arrays, x'' AS digest FROM n"


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE units RENAME TO u", f"CREATE VIEW units AS {AS_A_VIEW}"),
        (
            "ALTER TABLE settings RENAME TO s",
            f"CREATE VIEW settings AS {ENDLESS} SELECT 'run' AS name, i AS value, i digest FROM n",
        ),
        (f"CREATE VIEW more AS {AS_A_VIEW}",),
        (
            "CREATE TRIGGER t AFTER INSERT ON units BEGIN "
            f"DELETE FROM units WHERE key IN (SELECT key FROM ({AS_A_VIEW})); END",
        ),
    ],
    ids=["units", "settings", "more", "trigger"],
)
def test_what_a_journal_would_have_sqlite_run_is_never_run(path, statements):
    change(path, *statements)
    began = time.monotonic()
    assert read_units(path, {0, 1}) == {}
    with Journal.open(path) as journal:
        assert journal.was_damaged
        assert journal.settings["options"] == {"trials": 3}
        assert [len(journal.units(trial)) for trial in (0, 1)] == [1, 1]
        journal.record([unit(2)])
        assert journal.n_units == 3
    assert time.monotonic() - began < 20
    with Journal.open(path) as journal:
        assert not journal.was_damaged


def test_a_circle_of_pages_ends(path):
    with Journal.open(path) as journal:
        journal.record([unit(trial) for trial in range(200)])
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    for number in range(1, len(content) // size):
        page = memoryview(content)[number * size : (number + 1) * size]
        if page[0] == 5:  # an inner page of a table: each of its children becomes its first
            n_cells = int.from_bytes(page[3:5], "big")
            cells = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(n_cells)]
            for cell in cells:
                page[cell : cell + 4] = page[cells[0] : cells[0] + 4]
    path.write_bytes(content)
    with Journal.open(path) as journal:
        assert journal.was_damaged
        assert 0 < journal.n_units < 200


@pytest.mark.parametrize("table", ["settings", "settings_again"])
def test_one_copy_of_the_settings_is_enough(path, table):
    change(path, f"UPDATE {table} SET value = replace(value, '3', '4')")
    with Journal.open(path) as journal:
        assert journal.was_damaged
        assert journal.settings["options"] == {"trials": 3}
    with Journal.open(path) as journal:
        assert not journal.was_damaged


def test_both_copies_of_the_settings_change_together(path):
    with Journal.open(path) as journal:
        journal.update({"options": {"trials": 9}})
    with closing(sqlite3.connect(path)) as connection:
        rows = [
            connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("settings", "settings_again")
        ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 1


def test_a_journal_of_the_format_before_is_read_and_written_anew(tmp_path):
    path = tmp_path / "journal.sqlite"
    text = json.dumps({**SETTINGS, "format": 2})
    change(
        path,
        "PRAGMA application_id = 0x68707372",
        "PRAGMA user_version = 2",
        *SCHEMAS[2],
        ("INSERT INTO settings VALUES ('run', ?, ?)", (text, digest("settings", text))),
        ("INSERT INTO units VALUES (?, ?, ?, ?)", encoded(unit(0))),
    )
    for _ in range(2):
        with Journal.open(path) as journal:
            assert not journal.was_damaged
            assert journal.settings["options"] == {"trials": 3}
            assert len(journal.units(0)) == 1


CRAFTED = [
    {"trial": -1},
    {"folds": "abc"},
    {"folds": []},
    {"positions": [0, 5]},
    {"metrics": ["mae", "rmse"]},
    {"metrics": 3},
    {"rows": [10**9]},
    {"rows": [-3]},
    {"values": [1]},
    {"seconds": "1"},
    {"error": {"a": 1}},
    {"until": []},
    {"predicted": [1]},
    {"predicted": 7},
]


@pytest.mark.parametrize("change_of_head", CRAFTED, ids=str)
def test_a_unit_in_another_form_is_one_line(path, change_of_head):
    key, head, arrays, _ = encoded(unit(0))
    head = json.dumps({**json.loads(head), **change_of_head})
    row = (key, head, arrays, digest(key, head, arrays))
    change(path, ("INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)", row))
    with Journal.open(path) as journal, pytest.raises(JournalError, match="in another form"):
        journal.units(0)
    assert list(read_units(path, {0, 1})) == [1]


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        b"__import__('os').abort()",
    ],
)
def test_arrays_that_were_prepared_are_one_line(path, header):
    key, head, _, _ = encoded(unit(0))
    arrays = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    row = (key, head, arrays, digest(key, head, arrays))
    change(path, ("INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)", row))
    with Journal.open(path) as journal, pytest.raises(JournalError, match="in another form"):
        journal.units(0)


# -- links, and files that go


def test_a_linked_journal_is_refused(path):
    shutil.move(path, path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(InputError, match="is a link"):
        Journal.open(path)


def test_a_link_in_the_place_of_sqlites_own_journal_is_taken_away(path, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    Path(f"{path}-journal").symlink_to(mine)
    with Journal.open(path) as journal:
        journal.record([unit(2)])
        assert journal.n_units == 3
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_journal_that_goes_while_a_search_works_ends_it_at_the_next_unit(path, is_replaced):
    with Journal.open(path) as journal:
        content = path.read_bytes()
        path.unlink()
        if is_replaced:
            path.with_name("other").write_bytes(content)
            path.with_name("other").rename(path)
        with pytest.raises(StorageError, match="was removed or replaced"):
            journal.record([unit(2)])


def test_a_ruined_nested_journal_costs_its_outer_fold_alone(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder, folder.begin({}):
        folder.nested_journal(0, 2, {"outer": 0}).close()
        with folder.nested_journal(1, 2, {"outer": 1}) as journal:
            journal.record([unit(0)])
        (folder.path / "nested/outer-1-of-2.sqlite").write_bytes(bytes(5000))
        with folder.nested_journal(0, 2, {"outer": 7}) as journal:
            assert not journal.was_damaged
            assert journal.settings["outer"] == 0
        with folder.nested_journal(1, 2, {"outer": 1}) as journal:
            assert journal.was_damaged
            assert journal.n_units == 0


def test_a_statement_without_end_is_ended(path, monkeypatch):
    from hpsearch.results import recovery

    monkeypatch.setattr(recovery, "SECONDS_TO_READ", 0.2)
    with (
        closing(connect(path)) as connection,
        recovery.bounded(connection, path),
        pytest.raises(sqlite3.OperationalError, match="interrupted"),
    ):
        connection.execute(f"{ENDLESS} SELECT count(*) FROM n").fetchall()
