import json
import os
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


def test_overwriting_removes_what_hpsearch_wrote_and_keeps_the_rest(finished):
    (finished / "notes.txt").write_text("mine")
    for torn in (".trials.csv.123.tmp", ".journal.sqlite.1.tmp-journal", "journal.sqlite-wal"):
        (finished / torn).write_text("torn")
    with RunFolder.create(finished, overwrite=True) as folder, folder.begin({}):
        left = sorted(item.name for item in finished.iterdir())
    assert left == [".holder.json", ".lock", "journal.sqlite", "notes.txt"]


def test_an_old_run_stays_until_the_new_one_begins(finished):
    RunFolder.create(finished, overwrite=True).release()
    assert open_run(finished).best["trial"] == 1


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
    with pytest.raises(StorageError, match=r"\(No space left on device\).*hpsearch resume"):
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
    def read_only(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(folder.Path, "write_bytes", read_only)
    with pytest.raises(RunExistsError, match=r"must be writable.*\(Read-only file system\)"):
        RunFolder.create(tmp_path / "run")


def test_refusals_are_the_matching_built_in_errors(finished):
    with pytest.raises(FileExistsError):
        RunFolder.create(finished)
    with pytest.raises(ValueError, match="already holds"):
        RunFolder.create(finished)


def test_documents_are_canonical_json(tmp_path):
    RunFolder(tmp_path).write_json("best.json", {"b": float("nan"), "a": 1})
    assert json.loads((tmp_path / "best.json").read_text()) == {"a": 1, "b": None}
