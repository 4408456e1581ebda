"""The journal: what is read is what was written, or it is left out; never anything else."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hpsearch.engines.contract import FoldResult, UnitResult, WorkUnit
from hpsearch.errors import InputError, StorageError
from hpsearch.results import journal as module
from hpsearch.results.journal import Journal, check_asked
from hpsearch.results.layout import is_journal
from hpsearch.results.recovery import FORMAT
from hpsearch.space.space import Candidate

ROOT = Path(__file__).parent.parent.parent
SETTINGS = {"options": {"trials": 3}, "note": "ü ☃ \ud800", "text": "def build(): ... " * 600}
VALUES = {"units": 64, "rate": 0.1 + 0.2, "act": "relu", "bias": True, "l2": None, "one": 1.0}


def fold(position, *, epochs=4, n_rows=3, predicted=None):
    rng = np.random.default_rng(position)
    n_predicted = epochs if predicted is None else len(predicted)
    return FoldResult(
        position=position,
        seed=1000 + position,
        epochs=epochs,
        train_loss=rng.normal(size=epochs),
        validation={"log_loss": rng.normal(size=epochs), "auc": np.full(epochs, np.nan)},
        train={"log_loss": rng.normal(size=epochs), "auc": rng.normal(size=epochs)},
        predictions=rng.normal(size=(n_predicted, n_rows, 2)).astype(np.float32),
        predicted=predicted,
    )


def unit(trial=0, folds=(0, 1), **options):
    return UnitResult(
        WorkUnit(Candidate(trial, VALUES), tuple(folds)),
        folds=tuple(fold(p, n_rows=3 + p % 2, **options) for p in folds),
        values={**VALUES, "added": 3},
        n_params=17,
        seconds=0.25,
    )


def failure(trial):
    return UnitResult(WorkUnit(Candidate(trial, {}), (0, 1)), error="no", traceback="at ☃\n")


def assert_same(one, other):
    assert one.unit == other.unit
    for name in ("values", "n_params", "seconds", "error", "traceback"):
        assert getattr(one, name) == getattr(other, name)
        assert type(getattr(one, name)) is type(getattr(other, name))
    assert len(one.folds) == len(other.folds)
    for a, b in zip(one.folds, other.folds, strict=True):
        assert (a.position, a.seed, a.epochs, a.predicted) == (
            *(b.position, b.seed, b.epochs, b.predicted),
        )
        assert_array_equal(a.train_loss, b.train_loss)
        assert_array_equal(a.predictions, b.predictions)
        assert a.predictions.dtype == b.predictions.dtype
        for side in ("validation", "train"):
            assert list(getattr(a, side)) == list(getattr(b, side))
            for metric, curve in getattr(a, side).items():
                assert_array_equal(curve, getattr(b, side)[metric])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


# -- what is written comes back


def test_units_come_back_to_the_bit_in_the_order_of_their_folds(path):
    results = [unit(0, (2, 3)), unit(0, (0, 1)), unit(1, (0,), predicted=(2, 3)), failure(2)]
    with Journal.create(path, SETTINGS) as journal:
        for result in results:
            journal.record([result])
        journal.close()
    with Journal.open(path) as journal:
        assert not journal.was_damaged
        assert journal.n_units == 4
        assert journal.settings == {**SETTINGS, "format": FORMAT}
        first, second = journal.units(0)
        assert_same(first, results[1])
        assert_same(second, results[0])
        assert_same(journal.units(1)[0], results[2])
        assert_same(journal.units(2)[0], results[3])
        assert journal.units(3) == []


def test_predictions_of_a_target_far_from_zero_come_back_to_the_bit(path):
    result = unit(0, (0, 1))
    wide = (replace(f, predictions=f.predictions + np.float64(2459000.1)) for f in result.folds)
    result = replace(result, folds=tuple(wide))
    with Journal.create(path, SETTINGS) as journal:
        journal.record([result])
        journal.close()
    with Journal.open(path) as journal:
        [found] = journal.units(0)
        assert_same(found, result)
        assert found.folds[0].predictions.dtype == np.float64


def test_recording_a_unit_again_replaces_it(path):
    with Journal.create(path, SETTINGS) as journal:
        journal.record([unit(0, (0, 1)), unit(1, (0, 1))])
        journal.record([unit(0, (0, 1), predicted=(4,))])
        assert journal.n_units == 2
        assert journal.units(0)[0].folds[0].predicted == (4,)


def test_settings_can_be_updated(path):
    with Journal.create(path, SETTINGS) as journal:
        journal.update({"options": {"trials": 9}})
    with Journal.open(path) as journal:
        assert journal.settings["options"] == {"trials": 9}


def test_the_journal_is_one_file_between_two_commits(path):
    with Journal.create(path, SETTINGS) as journal:
        journal.record([unit()])
        assert [item.name for item in path.parent.iterdir()] == [path.name]
        shutil.copy(path, path.with_name("copy"))
    with Journal.open(path.with_name("copy")) as copy:
        assert_same(copy.units(0)[0], unit())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({**VALUES, "units": 32}, r"trial 0 was recorded with units 64, and .* proposes 32"),
        ({**VALUES, "one": 1}, r"one 1\.0, and .* proposes 1\."),
        ({k: v for k, v in VALUES.items() if k != "act"}, r'act "relu", and .* proposes left out'),
    ],
)
def test_a_unit_of_another_configuration_is_refused(values, said):
    asked = {"metrics": ("log_loss", "auc"), "n_validation": (3, 4)}
    check_asked([unit()], Candidate(0, dict(reversed(VALUES.items()))), **asked)
    with pytest.raises(InputError, match=said):
        check_asked([unit()], Candidate(0, values), **asked)


@pytest.mark.parametrize(
    ("metrics", "n_validation"),
    [(("log_loss",), (3, 4)), (("log_loss", "auc"), (3,)), (("log_loss", "auc"), (3, 3))],
)
def test_a_unit_of_other_folds_or_metrics_is_refused(metrics, n_validation):
    with pytest.raises(InputError, match="on the folds and metrics that it began with"):
        check_asked([unit()], Candidate(0, VALUES), metrics=metrics, n_validation=n_validation)


def test_what_is_no_journal_is_not_taken_for_one(path):
    path.write_bytes(b"SQLite format 3\0" + bytes(84))
    assert not is_journal(path)
    assert not is_journal(path.with_name("gone"))
    path.unlink()
    Journal.create(path, SETTINGS).close()
    assert is_journal(path)


def test_a_journal_that_is_not_there_is_refused(path):
    with pytest.raises(InputError, match=r"has none\. Run the search again"):
        Journal.open(path)


def test_the_format_of_another_version_is_refused(path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 7)
    Journal.create(path, SETTINGS).close()
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"has the format 7, this version writes 3"):
        Journal.open(path)


def test_a_format_that_is_no_number_is_another_version(path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 3)
    monkeypatch.setattr(module, "compact_json", lambda value: json.dumps({**value, "format": [3]}))
    Journal.create(path, SETTINGS).close()
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"has the format None, this version writes 3"):
        Journal.open(path)


# -- damage


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The bytes of a journal with eight units, and its rows."""
    path = tmp_path_factory.mktemp("sound") / "journal.sqlite"
    with Journal.create(path, SETTINGS) as journal:
        for trial in range(4):
            journal.record([unit(trial, (0, 1))])
        for trial in range(4):
            journal.record([unit(trial, (0, 1)), unit(trial, (2, 3))])
        return path.read_bytes(), rows_of(journal)


def rows_of(journal):
    return set(journal._connection.execute("SELECT * FROM units"))


def open_damaged(path, content, rows, *, goes_on=True):
    """Open a damaged journal: what comes out was written. Number of units, None where refused."""
    path.write_bytes(content)
    try:
        journal = Journal.open(path)
    except InputError as error:
        return None if "\n" not in str(error) else -1
    with journal:
        assert journal.settings == {**SETTINGS, "format": FORMAT}
        found = rows_of(journal)
        assert found <= rows
        assert found == rows or journal.was_damaged
        if goes_on:
            journal.record([unit(3, (2, 3))])
            assert_same(journal.units(3)[-1], unit(3, (2, 3)))
    if goes_on:
        with Journal.open(path) as again:
            assert not again.was_damaged
    return len(found)


def test_a_journal_cut_anywhere_in_its_last_page_gives_what_is_whole(path, sound, monkeypatch):
    monkeypatch.setattr(module, "_SYNCHRONOUS", "OFF")  # speed: the disk plays no part here
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    content, rows = sound
    page_size = int.from_bytes(content[16:18], "big")
    outcomes = [
        open_damaged(path, content[: len(content) - n], rows, goes_on=n % 64 == 0)
        for n in range(1, page_size + 1)
    ]
    assert None not in outcomes
    assert min(outcomes) >= 4


def test_a_flipped_byte_loses_what_it_hits_and_never_the_run(path, sound, monkeypatch):
    monkeypatch.setattr(module, "_SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    content, rows = sound
    rng = np.random.default_rng(0)
    outcomes = []
    for place in [*range(100), *rng.integers(0, len(content), 900)]:
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        outcomes.append(open_damaged(path, bytes(damaged), rows))
    assert len(outcomes) == 1000
    assert None not in outcomes
    assert -1 not in outcomes
    assert {7, 8} <= set(outcomes)


def test_a_file_of_anything_else_is_refused_in_one_line(path):
    for content in (b"", b"not a database at all", bytes(8192)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged, and what was asked can't be read"):
            Journal.open(path)


def test_a_row_that_says_something_else_than_its_digest_is_left_out(path):
    with Journal.create(path, SETTINGS) as journal:
        journal.record([unit(0), unit(1)])
    with sqlite3.connect(path) as connection:
        [[head]] = connection.execute("SELECT head FROM units WHERE key = 0")
        changed = json.dumps({**json.loads(head), "n_params": 18})
        connection.execute("UPDATE units SET head = ? WHERE key = 0", (changed,))
    connection.close()
    with Journal.open(path) as journal:
        assert journal.was_damaged
        assert journal.units(0) == []
        assert_same(journal.units(1)[0], unit(1))


# -- the disk


def test_a_full_disk_is_one_line_and_leaves_what_was_there(path):
    with Journal.create(path, SETTINGS) as journal:
        journal.record([unit(0)])
        [[pages]] = journal._connection.execute("PRAGMA page_count")
        journal._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match=r"not any more \(database or disk is full\)"):
            journal.record([unit(trial) for trial in range(1, 40)])
        assert_same(journal.units(0)[0], unit(0))
        journal.record([])
    with Journal.open(path) as journal:
        assert not journal.was_damaged
        assert journal.n_units == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(StorageError, match="must be readable and writable"):
        Journal.create(tmp_path / "gone" / "journal.sqlite", SETTINGS)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_journal import SETTINGS, unit
from hpsearch.results.journal import Journal
journal = Journal.create(Path(sys.argv[1]), SETTINGS)
print("ready", flush=True)
for trial in range(10**6):
    journal.record([unit(trial, (0, 1))])
    print(trial, flush=True)
"""


def test_a_killed_writer_leaves_every_unit_that_it_committed(tmp_path):
    path = tmp_path / "journal.sqlite"
    script = WRITER.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for n_units in (0, 3, 11, 30):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            for _ in range(n_units + 1):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        with Journal.open(path) as journal:
            assert not journal.was_damaged
            assert journal.n_units >= n_units
            for trial in range(journal.n_units):
                assert_same(journal.units(trial)[0], unit(trial, (0, 1)))
