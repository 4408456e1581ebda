"""Scratch folders: removed by their process, or swept after it was killed, and nobody else's."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hpsearch.engines.workers import ScratchFolder, sweep
from hpsearch.errors import BundleError, OptionError, StorageError

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files of this test alone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_scratch_folder_goes_with_its_block(temporary):
    with ScratchFolder() as folder:
        (folder / "data").write_text("rows")
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []


KILLED = """
import os, sys, tempfile
from hpsearch.engines.workers import ScratchFolder

tempfile.tempdir = sys.argv[1]
with ScratchFolder() as folder:
    (folder / "data").mkdir()
    (folder / "data" / "rows").write_text("rows")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(temporary):
    command = [sys.executable, "-c", KILLED, temporary]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process, ScratchFolder() as ours:
        theirs = Path(process.stdout.readline().strip())
        sweep()
        assert theirs.is_dir()
        assert ours.is_dir()
        process.kill()
        process.wait()
        sweep()
        assert not theirs.exists()
        assert list(temporary.iterdir()) == [ours]


def left_behind(path):
    """A folder as a killed process leaves it."""
    path.mkdir()
    (path / ".users").touch()
    return path


def test_what_a_killed_sweep_left_is_swept(temporary):
    (temporary / "hpsearch-a.gone").mkdir()
    left_behind(temporary / "hpsearch-b.gone")
    sweep()
    assert list(temporary.iterdir()) == []


def test_nothing_is_swept_through_a_link_or_without_our_lock(temporary, tmp_path):
    precious = left_behind(tmp_path / "precious")
    (temporary / "hpsearch-link").symlink_to(precious)
    (temporary / "hpsearch-link.gone").symlink_to(precious)
    planted = temporary / "hpsearch-planted"
    planted.mkdir()
    (planted / ".users").symlink_to(precious / ".users")
    other = temporary / "hpsearch-of-something-else"
    other.mkdir()
    (temporary / "hpsearch-file").touch()
    before = sorted(temporary.iterdir())
    sweep()
    assert sorted(temporary.iterdir()) == before
    assert (precious / ".users").exists()


def test_what_links_within_a_folder_lead_to_stays(temporary, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (left_behind(temporary / "hpsearch-a") / "link").symlink_to(precious)
    sweep()
    assert list(temporary.iterdir()) == []
    assert precious.is_dir()


def test_what_belongs_to_another_user_stays(temporary, monkeypatch):
    left_behind(temporary / "hpsearch-a")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    sweep()
    assert (temporary / "hpsearch-a").is_dir()


def test_a_sweep_that_is_faster_than_the_lock_costs_another_folder(monkeypatch):
    made = []
    make = tempfile.mkdtemp

    def make_and_lose(**options):
        made.append(make(**options))
        return made[-1]

    def exists(path):
        return False if len(made) == 1 else os.path.exists(path)

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose)
    monkeypatch.setattr(Path, "exists", exists)
    with ScratchFolder() as folder:
        assert str(folder) == made[1]


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left"), OSError("9 requested and 1 written")],  # NumPy's
)
def test_a_full_folder_for_temporary_files_is_named(error, temporary, monkeypatch):
    full = shutil.disk_usage(temporary)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    said = rf"{temporary}, is full\. Free some space there, or set TMPDIR to another one\.$"
    with pytest.raises(StorageError, match=said) as raised, ScratchFolder(), ScratchFolder():
        raise error
    assert not hasattr(raised.value, "__notes__")  # it is said once
    assert list(temporary.iterdir()) == []


def test_what_failed_for_another_word_is_told_that_there_was_no_room(temporary, monkeypatch):
    full = shutil.disk_usage(temporary)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    error = BundleError("HDF5: file write failed")
    with pytest.raises(BundleError) as raised, ScratchFolder(), ScratchFolder():
        raise error
    [note] = raised.value.__notes__
    assert note.startswith(f"The folder for temporary files, {temporary}, is full.")


def test_a_quota_of_a_user_is_told_by_where_it_is_used_up(temporary):
    here = OSError(errno.EDQUOT, "Quota exceeded", str(temporary / "rows"))
    with pytest.raises(StorageError), ScratchFolder():
        raise here
    elsewhere = OSError(errno.EDQUOT, "Quota exceeded", "/home/me/run/journal.sqlite")
    with pytest.raises(OSError, match="Quota"), ScratchFolder():
        raise elsewhere


def test_another_error_stays_what_it_is(temporary):
    for error in (OSError(errno.ENOSPC, "No space left", "/another/disk"), ValueError("a bug")):
        with pytest.raises(type(error)) as raised, ScratchFolder():
            raise error
        assert raised.value is error


def test_no_folder_for_temporary_files_is_one_line(monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(OptionError, match=r"needs a folder .*found in \['/tmp'\]\. Set TMPDIR"):
        ScratchFolder().__enter__()


def test_a_sweep_of_many_other_files_is_quick(temporary):
    for number in range(2000):
        (temporary / f"file-{number}").touch()
    began = time.perf_counter()
    sweep()
    assert time.perf_counter() - began < 0.5
