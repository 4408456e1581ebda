"""A run that goes on: the tables of one run, no work done twice, and what is refused."""

import json
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import (
    InputError,
    JournalError,
    OptionError,
    SearchFailedError,
    StorageError,
)
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.resuming import recorded_in

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 4, "folds": 2, "repeats": 2, "epochs": 3, "batch_size": 12, "jobs": 1}
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv")
SPACE = """
def declare(hp, problem):
    hp.Choice("units", [2, 3, 4, 5, 6])
    hp.Choice("rate", [0.1, 0.2, 0.5, 0.8, 1.0])  # the last one fails


def build(hp, problem):
    raise NotImplementedError
"""
NETWORKS = """
def build(hp, problem):
    import keras

    units = hp.Choice("units", [2, 3, 4, 5, 6])
    if units == 3:
        raise RuntimeError("this configuration cannot be built")
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(units, "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.5)), problem.loss, run_eagerly=True)
    return model
"""


def visits(n=40):
    rng = np.random.default_rng(0)
    age, size = rng.normal(50, 10, n).round(1), rng.normal(0, 1, n).round(2)
    ill = np.where(age + 8 * size + rng.normal(0, 3, n) > 50, "yes", "no")
    return pd.DataFrame({"age": age, "size": size, "note": "no use", "ill": ill})


@pytest.fixture
def folder(tmp_path):
    """A folder with a table and a space file."""
    visits().to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "networks.py").write_text(NETWORKS)
    return tmp_path


@pytest.fixture
def trained(monkeypatch, pretended):
    """The (trial, fold position) pairs that are trained, in order; filled as it goes."""
    done, train = [], pretended.train

    def counting(job, unit):
        done.extend((unit.candidate.trial, position) for position in unit.folds)
        return train(job, unit)

    monkeypatch.setattr(pretended, "train", counting)
    return done


@pytest.fixture
def search(folder, pretend_here):
    """Search in this process; the results go to a folder of the given name."""

    def search(name, *, data=None, space="space.py", training=pretend_here, **options):
        data = data or hpsearch.load(folder / "visits.csv", target="ill", drop="note")
        with training() as engine:
            options = BUDGET | {"engine": engine, "out": folder / name} | options
            space = folder / space if isinstance(space, str) else space
            return hpsearch.Search(space, **options).run(data)

    return search


@pytest.fixture
def resume(folder, pretend_here):
    def resume(name, *arguments, training=pretend_here, **options):
        with training():
            return hpsearch.resume(folder / name, *arguments, **options)

    return resume


def tables_of(run):
    documents = ("run.json", "best.json")
    return {name: (run.path / name).read_bytes() for name in (*TABLES, *documents)}


class StopAfter(SilentObserver):
    """Presses Ctrl-C when so many work units are done."""

    def __init__(self, n_units):
        self.n_left = n_units

    def folds_done(self, trial, n):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


class Notes(SilentObserver):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)

    warn = note


# -- after an interruption


def test_a_search_stopped_after_any_unit_goes_on_to_the_same_tables(
    folder, search, resume, trained
):
    whole = search("whole", trials=3)
    everything = sorted(trained)
    for n_units in (1, 2, 5, 8, 11):
        name = f"stopped {n_units}"
        trained.clear()
        with pytest.raises(KeyboardInterrupt):
            search(name, trials=3, observer=StopAfter(n_units))
        assert (folder / name / "journal.sqlite").is_file()
        assert not (folder / name / "best.json").exists()
        assert tables_of(resume(name)) == tables_of(whole)
        assert sorted(trained) == everything  # nothing twice
        shutil.rmtree(folder / name)


def test_a_search_of_real_networks_goes_on_to_the_same_tables(search, resume, train_here):
    options = {"trials": 2, "space": "networks.py", "training": train_here}
    whole = search("whole", **options)
    with pytest.raises(KeyboardInterrupt):
        search("part", **options, observer=StopAfter(3))
    assert tables_of(resume("part", training=train_here)) == tables_of(whole)


def test_a_run_can_be_stopped_again_and_again(search, resume, trained):
    whole = search("whole", trials=6)
    assert "failed" in set(whole.trials["status"])
    everything = sorted(trained)
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        search("part", trials=6, observer=StopAfter(2))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            resume("part", observer=StopAfter(3))
    assert tables_of(resume("part")) == tables_of(whole)
    assert sorted(trained) == everything


def test_a_run_stopped_while_it_exports_only_exports(search, resume, trained, pretended):
    whole = search("whole", trials=2)

    def stop(*arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretended, "refit_and_export", stop)
        with pytest.raises(KeyboardInterrupt):
            search("part", trials=2)
    trained.clear()
    assert tables_of(resume("part")) == tables_of(whole)
    assert trained == []


def test_a_damaged_unit_is_trained_again(folder, search, resume, monkeypatch):
    whole, part = search("whole", trials=2), search("part", trials=2)
    (part.path / "best.json").unlink()
    with closing(sqlite3.connect(part.path / "journal.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE units SET arrays = zeroblob(length(arrays)) WHERE key = 2 * 1048576"
        )
    notes = Notes()
    assert tables_of(resume("part", observer=notes)) == tables_of(whole)
    assert any("The journal was damaged" in text for text in notes.texts)


def test_a_full_disk_ends_a_run_in_one_line_and_it_goes_on(search, resume, monkeypatch):
    whole = search("whole", trials=2)

    def full(path, frame):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hpsearch.results.tables.write_table", full)
    with pytest.raises(
        StorageError, match=r"(?s)No space left on device.*`hpsearch resume .*part`"
    ):
        search("part", trials=2)
    monkeypatch.undo()
    assert tables_of(resume("part")) == tables_of(whole)


def test_a_full_journal_ends_a_run_in_one_line_and_it_goes_on(search, resume, monkeypatch):
    whole, record, n_records = search("whole", trials=2), Journal.record, 0

    def full(self, results):
        nonlocal n_records
        n_records += 1
        if n_records > 3:
            self._connection.execute("PRAGMA max_page_count = 1")
        record(self, results)

    monkeypatch.setattr(Journal, "record", full)
    with pytest.raises(StorageError, match=r"journal .*disk is full"):
        search("part", trials=2)
    monkeypatch.undo()
    assert tables_of(resume("part")) == tables_of(whole)


# -- more of it


def test_more_trials_cost_only_themselves(search, resume, trained):
    whole, small = search("whole", trials=4), search("part", trials=2)
    trained.clear()
    larger = resume("part", trials=4)
    assert tables_of(larger) == tables_of(whole)
    assert {trial for trial, _ in trained} == {2, 3}
    assert larger.settings["trials"] == 4
    assert small.path == larger.path


@pytest.mark.parametrize("options", [{}, {"folds": 1, "test_size": 0.3}, {"test_size": 0.2}])
def test_more_repeats_cost_only_themselves(search, resume, trained, options):
    whole = search("whole", repeats=4, trials=3, **options)
    search("part", repeats=2, trials=3, **options)
    n_folds = options.get("folds", 2)
    trained.clear()
    assert tables_of(resume("part", repeats=4)) == tables_of(whole)
    assert {position // n_folds for _, position in trained} == {2, 3}


def test_an_interrupted_extension_goes_on_to_what_was_asked_of_it(search, resume):
    whole = search("whole", repeats=3, trials=4)
    search("part", repeats=2, trials=2)
    with pytest.raises(KeyboardInterrupt):
        resume("part", repeats=3, trials=4, observer=StopAfter(4))
    with pytest.raises(InputError, match="hpsearch resume"):
        hpsearch.open_run(whole.path.parent / "part")
    assert tables_of(resume("part")) == tables_of(whole)


def test_predictions_that_were_let_go_are_made_again_for_the_selected_trial(
    search, resume, trained, monkeypatch
):
    monkeypatch.setattr("hpsearch.scoring.trials.KEPT_BYTES", 1)
    budget = {"trials": 1, "epochs": 9, "folds": 3, "fix": {"rate": 0.8}, "batch_size": 1}
    whole, small = search("whole", repeats=4, **budget), search("part", repeats=1, **budget)
    assert whole.best["best_epoch"] != small.best["best_epoch"]
    trained.clear()
    assert tables_of(resume("part", repeats=4)) == tables_of(whole)
    assert sorted(trained) == [(0, position) for position in range(12)]  # each once


def test_a_finished_run_without_more_is_left_as_it_is(search, resume, trained):
    before = tables_of(search("run", trials=1))
    trained.clear()
    notes = Notes()
    assert tables_of(resume("run", observer=notes)) == before
    assert trained == []
    executed, finished = notes.texts
    assert executed.startswith("The space 'space.py' is executed, from the file ")
    assert finished == "The run is finished; --trials or --repeats would give it more."


def test_a_text_that_a_kill_left_out_is_written_without_training(search, resume, trained):
    run = search("run", trials=1)
    card = (run.path / "model_card.md").read_bytes()
    for name in ("report.html", "model_card.md"):
        (run.path / name).unlink()
    trained.clear()
    resume("run")
    assert trained == []
    assert (run.path / "model_card.md").read_bytes() == card
    assert (run.path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_search_that_is_to_overwrite_a_run_goes_on_beside_it(search, resume):
    whole = search("whole", trials=3)
    before = tables_of(search("part", trials=1))
    with pytest.raises(KeyboardInterrupt) as stop:
        search("part", trials=3, overwrite=True, observer=StopAfter(4))
    assert "the older run stays there until it ends" in stop.value.__notes__[0]
    assert tables_of(hpsearch.open_run(whole.path.with_name("part"))) == before
    notes = Notes()
    assert tables_of(resume("part", observer=notes)) == tables_of(whole)
    assert any("This goes on with the run that is to replace" in text for text in notes.texts)


def test_a_table_that_was_deleted_is_derived_from_the_journal_again(search, resume, trained):
    run = search("run", trials=2)
    before = tables_of(run)
    (run.path / "folds.csv").unlink()
    trained.clear()
    assert tables_of(resume("run")) == before
    assert trained == []


def test_a_file_that_somebody_edited_is_made_again(search, resume, trained):
    run = search("run", trials=2)
    before, best = tables_of(run), (run.path / "best.json").read_bytes()
    model = (run.path / "model.keras").read_bytes()
    trials = (run.path / "trials.csv").read_text()
    (run.path / "trials.csv").write_text(trials.replace("completed", "stopped"))
    (run.path / "run.json").write_text("{}")
    (run.path / "model.keras").write_bytes(b"another")
    trained.clear()
    assert tables_of(resume("run")) == before
    assert (run.path / "best.json").read_bytes() == best
    assert (run.path / "model.keras").read_bytes() == model
    assert trained == []


def test_a_search_whose_trials_all_failed_fails_again_without_training(search, resume, trained):
    with pytest.raises(SearchFailedError):
        search("run", trials=2, fix={"rate": 1.0})
    trained.clear()
    with pytest.raises(SearchFailedError, match="All 2 trials failed"):
        resume("run")
    assert trained == []


# -- where things are


def test_the_folder_and_the_data_may_move_and_the_space_file_may_go(folder, search, resume):
    whole = search("whole", trials=2)
    with pytest.raises(KeyboardInterrupt):
        search("part", trials=2, observer=StopAfter(1))
    (folder / "elsewhere").mkdir()
    (folder / "part").rename(folder / "elsewhere/run")
    (folder / "visits.csv").rename(folder / "elsewhere/table.csv")
    (folder / "space.py").unlink()
    with pytest.raises(OptionError, match=r"visits\.csv' is not there any more.*--data"):
        resume("elsewhere/run")
    moved = tables_of(resume("elsewhere/run", folder / "elsewhere/table.csv"))
    expected = tables_of(whole)
    asked, was = (json.loads(files.pop("run.json")) for files in (moved, expected))
    assert asked.pop("command").replace("elsewhere/table.csv", "visits.csv") == was.pop("command")
    assert asked == was
    best, best_was = (json.loads(files.pop("best.json")) for files in (moved, expected))
    assert best.pop("sha256").keys() == best_was.pop("sha256").keys()  # run.json is another
    assert (best, moved) == (best_was, expected)


def test_a_run_on_a_table_in_memory_takes_it_again(search, resume):
    data = hpsearch.load(visits(), target="ill", drop="note", name="visits")
    whole = search("whole", trials=2, data=data, test_data=visits(10))
    with pytest.raises(KeyboardInterrupt):
        search("part", trials=2, data=data, test_data=visits(10), observer=StopAfter(1))
    with pytest.raises(OptionError, match="test rows of this run were in memory"):
        resume("part", visits())
    with pytest.raises(OptionError, match="'visits' of this run was in memory"):
        resume("part", test_data=visits(10))
    assert tables_of(resume("part", visits(), test_data=visits(10))) == tables_of(whole)


def test_a_run_on_arrays_takes_a_dataset(search, resume):
    data = hpsearch.load(np.arange(40.0).reshape(20, 2), np.arange(20.0), name="line")
    search("run", trials=1, data=data)
    with pytest.raises(OptionError, match="with the Dataset"):
        resume("run", np.zeros((3, 2)), trials=2)
    assert len(resume("run", data, trials=2).trials) == 2


def one_layer(hp, problem):
    import keras

    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.1), problem.loss, run_eagerly=True)
    return model


def test_a_space_of_python_objects_is_given_again(search, resume, train_here):
    search("run", trials=1, space=one_layer, training=train_here)
    with pytest.raises(OptionError, match=r"'one_layer' of this run was given as a Python object"):
        resume("run", repeats=3)
    run = resume("run", repeats=3, space=one_layer, training=train_here)
    assert run.trials["n_folds"].tolist() == [6]


# -- what changed


def test_changed_data_are_refused(folder, search, resume):
    search("run", trials=1)
    table = visits()
    table.loc[3, "age"] += 1
    table.to_csv(folder / "visits.csv", index=False)
    with pytest.raises(InputError, match=r"changed: the data \(40 rows, 2 columns, fingerprint "):
        resume("run", trials=2)
    visits(39).to_csv(folder / "visits.csv", index=False)
    with pytest.raises(InputError, match=r"the data \(40 rows.*; now 39 rows"):
        resume("run", trials=2)


def test_changed_test_rows_are_refused(folder, search, resume):
    visits(12).to_csv(folder / "test.csv", index=False)
    search("run", trials=1, test_data=folder / "test.csv")
    visits(11).to_csv(folder / "test.csv", index=False)
    with pytest.raises(InputError, match=r"changed: the test rows \(12 rows.*; now 11 rows"):
        resume("run", trials=2)


def test_a_changed_space_is_refused_with_its_line(folder, search, resume):
    search("run", trials=1)
    (folder / "space.py").write_text(SPACE.replace("0.5", "0.6"))
    line = 1 + next(n for n, text in enumerate(SPACE.splitlines()) if "0.5" in text)
    said = rf"the source of the space 'space\.py', from line {line} on\. Restore"
    with pytest.raises(InputError, match=said):
        resume("run", trials=2)


def test_a_file_that_a_hyperparameter_names_is_held_to_what_it_was(folder, search, resume):
    base = folder / "base.keras"
    base.write_bytes(b"one")
    named = f'hp.Fixed("base", {str(base)!r})'
    first = 'hp.Choice("units"'
    (folder / "fixed.py").write_text(SPACE.replace(first, f"{named}\n    {first}"))
    search("run", space="fixed.py", trials=1)
    base.write_bytes(b"another")
    with pytest.raises(InputError, match=r"changed: what the file '.*base\.keras' holds\. Restore"):
        resume("run", trials=2)
    base.unlink()
    with pytest.raises(InputError, match=r"changed: the file '.*base\.keras', which is gone\."):
        resume("run", trials=2)
    base.write_bytes(b"one")
    assert len(resume("run", trials=2).trials) == 2


@pytest.fixture
def with_module(folder):
    """A space whose hyperparameters are in a module beside it."""
    (folder / "sizes.py").write_text("UNITS = [2, 3, 4, 5, 6]\n")
    text = SPACE.replace("[2, 3, 4, 5, 6]", "UNITS")
    (folder / "space.py").write_text(f"from sizes import UNITS\n{text}")
    return folder


def test_a_changed_module_of_the_space_is_refused_and_named(with_module, search, resume):
    search("run")
    (with_module / "sizes.py").write_text("UNITS = [2, 3, 4, 5, 7]\n")
    said = r"changed: sizes\.py, imported by the space 'space\.py', from line 1 on\. Restore"
    with pytest.raises(InputError, match=said):
        resume("run", trials=6)
    (with_module / "space.py").write_text(SPACE)
    said = r"source of .*line 1 on; sizes\.py, which is imported no more by the space 'space\.py'"
    with pytest.raises(InputError, match=said):
        resume("run", trials=6)


def test_modules_of_the_space_are_remembered(with_module, search, resume):
    expected = tables_of(search("expected", trials=5))
    assert search("run").settings["space_modules"].keys() == {"sizes.py"}
    (with_module / "sizes.py").unlink()
    resumed = tables_of(resume("run", trials=5))
    assert all(resumed[name] == expected[name] for name in TABLES)


def test_a_changed_option_is_refused(search, resume):
    search("run", trials=1)
    with pytest.raises(InputError, match=r"changed: option epochs \(3; now 4\); option seed \(0; "):
        resume("run", trials=2, epochs=4, seed=1)


def test_changed_versions_are_refused_unless_accepted(search, resume, monkeypatch):
    whole = search("whole", trials=2)
    search("run", trials=1)
    now = {**whole.settings["versions"], "keras": "9.9"}
    monkeypatch.setattr("hpsearch.search.resuming.versions", lambda oracle: now)
    with pytest.raises(InputError, match=r"version of keras \([\d.]+; now 9\.9\)\. .*--accept-ch"):
        resume("run", trials=2)
    with pytest.raises(InputError, match=r"option seed .*version of keras .*Restore"):
        resume("run", trials=2, seed=1, accept_changes=True)
    run = resume("run", trials=2, accept_changes=True)
    assert {name: tables_of(run)[name] for name in TABLES} == {
        name: tables_of(whole)[name] for name in TABLES
    }


def test_another_engine_is_refused(search, resume, monkeypatch):
    search("run", trials=1)
    update = "hpsearch.results.journal.Journal.settings"
    settings = Journal.settings.fget
    monkeypatch.setattr(update, property(lambda self: {**settings(self), "engine": "fused"}))
    with pytest.raises(InputError, match=r"changed: engine \(fused; now pretended\)"):
        resume("run", trials=2)


def test_a_run_that_recorded_an_older_name_of_its_engine_goes_on(
    folder, search, resume, train_here
):
    options = {"space": "networks.py", "training": train_here}
    search("run", trials=1, **options)
    with Journal.open(folder / "run" / "journal.sqlite") as journal:
        was = journal.settings
        journal.update(was | {"engine": "keras", "options": was["options"] | {"engine": "keras"}})
    text = (folder / "run" / "run.json").read_text()
    (folder / "run" / "run.json").write_text(text.replace('"reference"', '"keras"'))
    assert hpsearch.open_run(folder / "run").settings["engine"] == "reference"
    run = resume("run", trials=2, training=train_here)
    assert len(run.trials) == 2
    assert '"engine": "reference"' in (folder / "run" / "run.json").read_text()


@pytest.mark.parametrize("smaller", [{"trials": 1}, {"repeats": 1}])
def test_a_run_does_not_shrink(search, resume, smaller):
    search("run", trials=2)
    [[name, value]] = smaller.items()
    with pytest.raises(OptionError, match=rf"it has 2 {name}, received --{name} {value}\."):
        resume("run", **smaller)


def test_more_repeats_are_refused_where_all_folds_stop_together(search, resume, train_here):
    options = {"space": "networks.py", "training": train_here}
    before = tables_of(search("run", trials=1, patience=2, **options))
    with pytest.raises(OptionError, match="all folds of a trial stop together"):
        resume("run", repeats=3)
    assert len(resume("run", trials=2, training=train_here).trials) == 2
    assert before["run.json"] != (resume("run").path / "run.json").read_bytes()


@pytest.mark.parametrize("oracle", ["bayesian", "tpe"])
def test_a_run_whose_oracle_learns_grows_to_the_tables_of_a_larger_one(
    search, resume, trained, oracle
):
    """The last batch of the smaller one was cut short: the larger one's begins in the same way."""
    options = {"oracle": oracle, "repeats": 1, "epochs": 1}
    whole = search("whole", trials=12, **options)
    everything = sorted(trained)
    trained.clear()
    search("run", trials=10, **options)
    assert tables_of(resume("run", trials=12)) == tables_of(whole)
    assert sorted(trained) == everything


def test_more_repeats_are_refused_where_the_oracle_learns(search, resume):
    search("run", trials=1, oracle="bayesian")
    with pytest.raises(OptionError, match=r"'bayesian' decides by the scores, .* --repeats 3"):
        resume("run", repeats=3)


def test_a_run_that_ended_inside_a_bracket_grows_to_the_tables_of_a_larger_one(search, resume):
    options = {"epochs": 9, "repeats": 1, "oracle": "hyperband"}
    whole = search("whole", trials=6, **options)
    search("run", trials=2, **options)
    assert tables_of(resume("run", trials=6)) == tables_of(whole)


def test_a_recorded_trial_that_the_oracle_would_not_ask_for_is_refused(search, resume, monkeypatch):
    search("run", trials=1, fix={"units": 4})
    settings = Journal.settings.fget

    def other_fix(self):
        found = settings(self)
        return {**found, "options": {**found["options"], "fix": {"units": 5}}}

    monkeypatch.setattr("hpsearch.results.journal.Journal.settings", property(other_fix))
    with pytest.raises(InputError, match=r"trial 0 was recorded with units 4, .* proposes 5\."):
        resume("run", trials=2)


def test_a_run_of_an_older_version_without_a_journal_is_refused(search, resume):
    run = search("run", trials=1)
    (run.path / "journal.sqlite").unlink()
    with pytest.raises(InputError, match=r"resumed from its journal\.sqlite; .* has none"):
        resume("run", trials=2)


# -- in worker processes


def test_the_fused_engine_gives_the_same_bits_to_a_run_that_grew(folder):
    data = hpsearch.load(folder / "visits.csv", target="ill", drop="note")
    options = {"epochs": 3, "folds": 2, "fix": {"n_layers": 1}, "engine": "fused"}
    whole = hpsearch.Search(trials=3, repeats=3, jobs=2, out=folder / "whole", **options).run(data)
    hpsearch.Search(trials=2, repeats=2, jobs=1, out=folder / "part", **options).run(data)
    larger = hpsearch.resume(folder / "part", trials=3, repeats=3, jobs=1)
    assert tables_of(larger) == tables_of(whole)
    for name in ("model.keras", "model.json"):
        assert (larger.path / name).read_bytes() == (whole.path / name).read_bytes()


@pytest.mark.parametrize(
    ("modules", "said"),
    [(7, r"space\.modules is a list"), ([{"name": "parts"}], r"space\.modules\[0\]\.\w+ is there")],
)
def test_modules_that_a_journal_says_in_another_form_are_refused(modules, said):
    space = {"name": "s", "path": None, "text": "", "sha256": "", "is_object": False}
    data = {"name": "d", "fingerprint": "", "n_rows": 1, "n_columns": 1}
    was = {"options": {}, "data": data, "test": None, "test_data": {"is_given": False}}
    was |= {"versions": {}, "engine": "fused", "space": {**space, "modules": modules}}
    with pytest.raises(JournalError, match=said):
        recorded_in(SimpleNamespace(settings=was, path="journal.sqlite"))
