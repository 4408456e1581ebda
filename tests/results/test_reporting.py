"""Writing a report into a run's folder, and reading a journal without touching it."""

import importlib.util
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from hpsearch.engines.contract import FoldResult, UnitResult, WorkUnit
from hpsearch.errors import InputError, OptionError, StorageError
from hpsearch.results.journal import Journal, read_units
from hpsearch.results.reporting import material_of
from hpsearch.space.space import Candidate


@pytest.fixture(scope="module")
def made():
    path = Path(__file__).parent.parent / "report/made.py"
    spec = importlib.util.spec_from_file_location("made_for_reporting", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(made, tmp_path):
    return made.make_run(tmp_path / "run", n_trials=3)


def test_a_report_goes_into_the_runs_folder(run):
    assert run.report() == run.path / "report.html"
    assert (run.path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_report_goes_where_it_is_told_and_replaces_what_is_there(run, tmp_path):
    target = tmp_path / "mine.html"
    target.write_text("old")
    assert run.report(target) == target
    assert "trees" in target.read_text(encoding="utf-8")
    assert not (run.path / "report.html").exists()


def test_a_report_needs_a_folder_that_is_there(run, tmp_path):
    with pytest.raises(OptionError, match=r"is not\. Make the folder"):
        run.report(tmp_path / "no/report.html")
    with pytest.raises(OptionError, match=r"is a folder\. Name a file"):
        run.report(tmp_path)


def test_a_full_disk_is_one_line(run, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hpsearch.results.reporting.write_atomically", full)
    with pytest.raises(StorageError, match="is not \\(No space left on device\\)"):
        run.report()


def test_without_trials_there_is_no_report(run):
    (run.path / "trials.csv").unlink()
    with pytest.raises(InputError, match=r"trials.csv' is missing or holds none"):
        run.report()


def unit(trial, positions, values, epochs=3):
    folds = [
        FoldResult(
            position=p,
            seed=p,
            epochs=epochs,
            train_loss=np.zeros(epochs),
            validation={"mae": values + p + np.arange(epochs)},
            train={"mae": np.zeros(epochs)},
            predictions=np.zeros((0, 1), np.float32),
            predicted=(),
        )
        for p in positions
    ]
    return UnitResult(WorkUnit(Candidate(trial, {"x": 1}), tuple(positions)), folds=tuple(folds))


def test_units_are_read_without_touching_the_journal(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal.create(path, {}) as journal:
        journal.record([unit(1, (0, 1), 5.0), unit(2, (0,), 7.0)])
    before = path.read_bytes()
    [found] = read_units(path, {1, 3})[1]
    assert [fold.validation["mae"].tolist() for fold in found.folds] == [[5, 6, 7], [6, 7, 8]]
    assert read_units(path, {3}) == {}
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["journal.sqlite"]


@pytest.mark.parametrize("content", [b"", b"no journal", b"SQLite format 3\0" + bytes(200)])
def test_a_journal_that_cannot_be_read_has_no_units(tmp_path, content):
    path = tmp_path / "journal.sqlite"
    assert read_units(path, {0}) == {}
    path.write_bytes(content)
    assert read_units(path, {0}) == {}


def test_a_unit_that_is_damaged_is_no_unit(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal.create(path, {}) as journal:
        journal.record([unit(0, (0,), 5.0), unit(1, (0,), 5.0)])
    with sqlite3.connect(path) as connection:
        first = "(SELECT min(key) FROM units)"
        connection.execute(f"UPDATE units SET arrays = x'00' WHERE key = {first}")
    connection.close()
    assert list(read_units(path, {0, 1})) == [1]


def test_curves_of_folds_are_those_of_the_best_trials(made, tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.results.reporting.MOST_FOLD_CURVES", 6 * 2)
    run = made.make_run(tmp_path / "many", n_trials=4)  # of 6 folds each
    material = material_of(run)
    assert list(material.fold_curves) == run.trials["trial"].tolist()[:2]
    [first, *_] = material.fold_curves[material.selected]
    table = run.folds[run.folds["trial"] == material.selected]
    best = run.best["best_epoch"] - 1
    assert first.validation["log_loss"][best] == pytest.approx(table["val_log_loss"].iloc[0])


def test_a_journal_of_other_folds_gives_no_curves(run):
    path = run.path / "journal.sqlite"
    path.unlink()
    with Journal.create(path, {}) as journal:
        journal.record([unit(trial, (0,), 1.0) for trial in range(3)])
    assert all(curves == [] for curves in material_of(run).fold_curves.values())
