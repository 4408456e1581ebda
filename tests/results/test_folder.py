import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.errors import InputError, RunExistsError, RunLockedError, StorageError
from hpsearch.results import RunFolder, folder, open_run

ROOT = Path(__file__).parent.parent.parent


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    folder = RunFolder.create(tmp_path / "results" / "deep" / "run")
    assert folder.path.is_dir()
    assert {item.name for item in folder.path.iterdir()} <= {".lock", ".holder.json"}


def test_an_empty_folder_is_taken(tmp_path):
    assert RunFolder.create(tmp_path).path == tmp_path


def test_a_folder_with_a_run_is_refused(finished):
    with pytest.raises(RunExistsError, match=r"already holds a run.*--overwrite"):
        RunFolder.create(finished)
    assert open_run(finished).best["trial"] == 1


def test_a_folder_with_a_started_run_is_refused(tmp_path):
    RunFolder.create(tmp_path / "run").write_settings({"trials": 2})
    with pytest.raises(RunExistsError, match="already holds a run"):
        RunFolder.create(tmp_path / "run")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["thesis.tex", "best.json", "run.json"])
def test_a_folder_with_other_files_is_never_taken(tmp_path, name, overwrite):
    (tmp_path / name).write_text("{}")
    with pytest.raises(RunExistsError, match=f"holds other files, such as '{name}'"):
        RunFolder.create(tmp_path, overwrite=overwrite)
    assert (tmp_path / name).read_text() == "{}"


def test_temporary_files_of_processes_that_are_gone_are_swept(finished):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stale = [
        f".hpsearch-{gone.pid}-{'a' * 16}.tmp",
        f".hpsearch-{gone.pid}-{'b' * 16}.tmp-journal",
        f".trials.csv.{gone.pid}.tmp",
    ]
    kept = [f".hpsearch-{os.getppid()}-{'a' * 16}.tmp", ".hpsearch-notes.tmp", "notes.txt"]
    for name in (*stale, *kept):
        (finished / name).write_text("torn")
    RunFolder.reopen(finished).release()
    left = {item.name for item in finished.iterdir()}
    assert left >= set(kept)
    assert not left & set(stale)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_which_a_search_was_killed_before_it_began_is_taken(tmp_path, overwrite):
    pid = subprocess.Popen([sys.executable, "-c", ""])
    pid.wait()
    for name in (".lock", ".holder.json", f".hpsearch-{pid.pid}-{'0' * 16}.tmp"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested/outer-0-of-2.sqlite").write_text("torn")
    with pytest.raises(InputError, match=r"has none\. Give the folder"):
        RunFolder.reopen(tmp_path)
    with RunFolder.create(tmp_path, overwrite=overwrite) as folder, folder.begin({}):
        left = sorted(item.name for item in tmp_path.iterdir())
    assert left == [".holder.json", ".lock", "journal.sqlite"]


def test_a_folder_that_another_process_is_filling_just_now_is_in_use(tmp_path, monkeypatch):
    with RunFolder.create(tmp_path / "run") as first:
        (first.path / "journal.sqlite").write_text("half of it")
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on"):
            RunFolder.create(tmp_path / "run")


def test_a_new_folder_that_nothing_was_written_to_is_taken_away(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder:
        assert folder.path.is_dir()
    assert not (tmp_path / "run").exists()


def test_neither_a_begun_run_nor_a_folder_of_the_user_is_taken_away(tmp_path):
    with RunFolder.create(tmp_path / "run") as begun, begun.begin({}):
        pass
    (tmp_path / "empty").mkdir()
    RunFolder.create(tmp_path / "empty").release()
    assert (tmp_path / "run").is_dir()
    assert (tmp_path / "empty").is_dir()


def test_a_journal_without_settings_is_a_run_that_can_be_resumed(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder, folder.begin({"seed": 1}):
        pass
    with pytest.raises(RunExistsError, match=r"go on with it by `hpsearch resume "):
        RunFolder.create(tmp_path / "run")
    with RunFolder.reopen(tmp_path / "run") as folder, folder.journal() as journal:
        assert journal.settings["seed"] == 1


def test_a_folder_in_use_is_refused_and_its_holder_named(tmp_path):
    holder = f"process {os.getpid()} on {socket.gethostname()}, since 20"
    with RunFolder.create(tmp_path / "run") as folder:
        folder.begin({}).close()
        for attempt in (RunFolder.create, RunFolder.reopen):
            with pytest.raises(RunLockedError, match=holder):
                attempt(tmp_path / "run")
        with pytest.raises(InputError, match=f"still going on.*{holder}"):
            open_run(tmp_path / "run")
    RunFolder.reopen(tmp_path / "run").release()


HOLDER = """
import sys, time
from hpsearch.results import RunFolder
folder = RunFolder.create(sys.argv[1])
folder.begin({}).close()
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(RunLockedError, match=f"process {holder.pid} on"):
            RunFolder.reopen(path)
        holder.kill()
    RunFolder.reopen(path).release()


def test_a_folder_that_can_no_longer_be_written_is_one_line(finished, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    folder = RunFolder.reopen(finished)
    monkeypatch.setattr("hpsearch.results.files.write_atomically", full)
    with pytest.raises(StorageError, match=r"\(No space left on device\)"):
        folder.write_json("best.json", {})
    assert open_run(finished).best["trial"] == 1


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunExistsError, match=r"is a file\. Choose another --out"):
        RunFolder.create(tmp_path / "run", overwrite=True)


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunExistsError, match=r"must be writable.*Not a directory.*--out"):
        RunFolder.create(tmp_path / "file" / "run")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def read_only(path, mode="r"):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(folder, "open", read_only, raising=False)
    with pytest.raises(RunExistsError, match=r"must be writable.*\(Read-only file system\)"):
        RunFolder.create(tmp_path / "run")


# -- what can be done with a run that was stopped


def stopped(folder, error=KeyboardInterrupt):
    """What is noted of a run whose process is stopped."""
    with pytest.raises(error) as stop, folder:
        raise stop_error(error)
    return stop.value.__notes__


def stop_error(kind):
    return kind(28, "No space left on device") if kind is OSError else kind()


def test_a_stop_before_a_run_begins_says_so(tmp_path):
    assert stopped(RunFolder.create(tmp_path / "run")) == ["Nothing was trained yet."]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError])
def test_a_stopped_run_says_how_it_is_resumed(tmp_path, error):
    folder = RunFolder.create(tmp_path / "a run")
    folder.begin({}).close()
    assert stopped(folder, error) == [f"`hpsearch resume '{tmp_path}/a run'` goes on."]
    assert stopped(RunFolder.reopen(tmp_path / "a run"), error) == [
        f"`hpsearch resume '{tmp_path}/a run'` goes on."
    ]


@pytest.mark.parametrize("gone", ["journal.sqlite", "."])
def test_a_run_whose_journal_is_gone_does_not_say_that_it_can_be_resumed(tmp_path, gone):
    folder = RunFolder.create(tmp_path / "run")
    folder.begin({}).close()
    shutil.rmtree(folder.path) if gone == "." else (folder.path / gone).unlink()
    [note] = stopped(folder)
    assert "cannot be resumed: run the search again" in note


def test_a_stop_before_the_new_run_begins_leaves_the_older_one_and_says_so(finished):
    assert stopped(RunFolder.create(finished, overwrite=True)) == ["Nothing was trained yet."]
    assert open_run(finished).best["trial"] == 1


def test_a_stop_after_the_end_says_that_the_run_is_finished(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.begin({}).close()
    write_whole(folder, trial=3)
    assert stopped(folder) == [f"The run in '{tmp_path}/run' is finished."]


# -- one run in the place of another


def write_whole(folder, trial):
    """Every file that a finished run has."""
    names = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "timings.csv")
    for name in (*names, "model.keras", "model.json", "model_card.md"):
        folder.write_file(name, f"{trial}".encode())
    folder.write_settings({"seed": trial})
    folder.finish({"trial": trial})


@pytest.fixture
def older(tmp_path):
    """The folder of a finished run, trial 1, with a nested search and a file of the user's."""
    with RunFolder.create(tmp_path / "run") as folder:
        folder.begin({"seed": 1}).close()
        folder.nested_journal(0, 2, {}).close()
        write_whole(folder, trial=1)
        folder.write_file("nested.csv", b"1")
        folder.write_file("report.html", b"1")
    (folder.path / "notes.txt").write_text("mine")
    return folder.path


def files_of(path):
    """Relative names and contents, the lock and who holds it aside."""
    files = (item for item in path.rglob("*") if item.is_file())
    names = {item.relative_to(path).as_posix(): item.read_bytes() for item in files}
    return {name: c for name, c in names.items() if name not in (".lock", ".holder.json")}


def test_the_older_run_stays_whole_until_the_new_one_has_ended(older):
    before = files_of(older)
    with RunFolder.create(older, overwrite=True) as folder, folder.begin({"seed": 2}):
        folder.write_file("trials.csv", b"2")
        folder.nested_journal(1, 3, {}).close()
        now = files_of(older)
    assert {name: c for name, c in now.items() if not name.startswith(".next/")} == before
    assert open_run(older).best["trial"] == 1


def test_the_new_run_takes_the_place_of_the_older_one_when_it_ends(older):
    with RunFolder.create(older, overwrite=True) as folder:
        assert not folder.replaces
        folder.begin({"seed": 2}).close()
        assert folder.replaces
        folder.nested_journal(1, 3, {}).close()
        write_whole(folder, trial=2)
        assert not folder.replaces
        assert folder.is_finished
    assert open_run(older).best["trial"] == 2
    left = files_of(older)
    assert left["trials.csv"] == b"2"
    assert left["notes.txt"] == b"mine"
    assert "nested/outer-1-of-3.sqlite" in left
    assert not {"nested/outer-0-of-2.sqlite", "nested.csv", "report.html"} & set(left)
    assert not any(name.startswith(".") for name in left)
    with RunFolder.reopen(older) as folder, folder.journal() as journal:
        assert journal.settings["seed"] == 2


def test_a_stopped_new_run_is_what_is_resumed_and_says_that_the_older_one_stays(older):
    folder = RunFolder.create(older, overwrite=True)
    folder.begin({"seed": 2}).close()
    [note] = stopped(folder)
    assert note == (f"`hpsearch resume {older}` goes on; the older run stays there until it ends.")
    with RunFolder.reopen(older) as folder, folder.journal() as journal:
        assert folder.replaces
        assert journal.settings["seed"] == 2
        write_whole(folder, trial=2)
    assert open_run(older).best["trial"] == 2


def test_a_new_run_that_was_given_up_is_replaced_by_the_next(older):
    for seed in (2, 3):
        with RunFolder.create(older, overwrite=True) as folder:
            folder.begin({"seed": seed}).close()
    with RunFolder.reopen(older) as folder, folder.journal() as journal:
        assert journal.settings["seed"] == 3


@pytest.mark.parametrize("n_steps", range(24))
def test_a_kill_while_runs_are_exchanged_leaves_one_of_them_whole(older, monkeypatch, n_steps):
    class Killed(BaseException):
        pass

    steps = 0

    def or_die(call):
        def step(*arguments, **options):
            nonlocal steps
            if steps == n_steps:
                raise Killed
            steps += 1
            return call(*arguments, **options)

        return step

    folder = RunFolder.create(older, overwrite=True)
    folder.begin({"seed": 2}).close()
    folder.nested_journal(1, 3, {}).close()
    folder.write_file("trials.csv", b"2")
    for name in ("folds.csv", "curves.csv", "predictions.csv", "timings.csv", "model.keras"):
        folder.write_file(name, b"2")
    folder.write_file("model.json", b"2")
    folder.write_settings({"seed": 2})
    with monkeypatch.context() as patch:
        for name in ("replace", "rename"):
            patch.setattr(os, name, or_die(getattr(os, name)))
        for name in ("unlink", "rmdir"):
            patch.setattr(Path, name, or_die(getattr(Path, name)))
        with contextlib.suppress(Killed):
            folder.finish({"trial": 2})
    folder._lock.release()  # which the system does at the end of a process
    (older / ".holder.json").unlink(missing_ok=True)

    with contextlib.suppress(InputError):  # while its files are exchanged, a run can't be opened
        assert open_run(older).best["trial"] in (1, 2)
    with RunFolder.reopen(older) as again, again.journal() as journal:
        assert journal.settings["seed"] == 2
        was_finished = again.is_finished and not again.replaces
    if was_finished:
        left = files_of(older)
        assert open_run(older).best["trial"] == 2
        assert left["folds.csv"] == b"2"
        assert left["notes.txt"] == b"mine"
        assert not {"nested/outer-0-of-2.sqlite", "nested.csv", "report.html"} & set(left)
        assert not any(name.startswith(".") for name in left)
    else:  # it was killed before best.json was there
        assert n_steps == 0
        assert open_run(older).best["trial"] == 1


# -- links that somebody put into the folder


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(finished, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    for name in ("trials.csv", "report.html", "best.json"):
        (finished / name).unlink(missing_ok=True)
        (finished / name).symlink_to(mine)
    with RunFolder.reopen(finished) as folder:
        for name in ("trials.csv", "report.html", "best.json"):
            folder.write_file(name, b"new")
            assert (finished / name).read_bytes() == b"new"
    assert mine.read_text() == "mine"


def test_a_linked_folder_of_nested_journals_is_taken_away_and_not_emptied(older, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (older / "nested").rename(elsewhere)
    (older / "nested").symlink_to(elsewhere)
    with RunFolder.create(older, overwrite=True) as folder:
        folder.begin({"seed": 2}).close()
        write_whole(folder, trial=2)
    assert [item.name for item in elsewhere.iterdir()] == ["outer-0-of-2.sqlite"]
    assert not (older / "nested").exists()


def test_a_link_in_the_place_of_the_next_run_is_not_followed(older, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    with RunFolder.create(elsewhere) as other:
        other.begin({"seed": 9}).close()
        write_whole(other, trial=9)
    before = files_of(elsewhere)
    (older / ".next").symlink_to(elsewhere)
    with RunFolder.reopen(older) as folder, folder.journal() as journal:
        assert journal.settings["seed"] == 1
    with RunFolder.create(older, overwrite=True) as folder:
        folder.begin({"seed": 2}).close()
    assert files_of(elsewhere) == before


def test_refusals_are_the_matching_built_in_errors(finished):
    with pytest.raises(FileExistsError):
        RunFolder.create(finished)
    with pytest.raises(ValueError, match="already holds"):
        RunFolder.create(finished)


def test_documents_are_canonical_json(tmp_path):
    RunFolder(tmp_path).write_json("best.json", {"b": float("nan"), "a": 1})
    assert json.loads((tmp_path / "best.json").read_text()) == {"a": 1, "b": None}
