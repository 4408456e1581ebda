"""What a path leads to is known before anything is opened, and nothing is read that has no end."""

import os
import socket
from pathlib import Path

import pytest

from hpsearch.errors import DataError, InputError
from hpsearch.paths import expanded, found_at, opened, shown

LONG = "x" * 5000


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_files_folders_and_nothing_are_told_apart(tmp_path):
    (tmp_path / "file").touch()
    assert found_at(tmp_path / "file") == "a file"
    assert found_at(tmp_path) == "a folder"
    assert found_at(tmp_path / "none") is None
    assert found_at(tmp_path / "file" / "below") is None


def test_links_are_followed(tmp_path):
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "broken").symlink_to("nowhere")
    assert found_at(tmp_path / "device") == "a device"
    assert found_at(tmp_path / "broken") is None


def test_pipes_and_sockets_are_told_apart(tmp_path, pipe, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket has at most a hundred characters
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("end")
        assert found_at(Path("end")) == "a socket"
    assert found_at(pipe) == "a named pipe"


@pytest.mark.parametrize(
    ("path", "reason"),
    [(LONG, "too long"), ("/".join([LONG[:200]] * 40), "too long"), ("a\0", "null")],
)
def test_what_the_system_cannot_follow_is_refused(path, reason):
    with pytest.raises(DataError, match=reason) as refusal:
        found_at(Path(path), DataError)
    assert len(str(refusal.value)) < 400


def test_a_circle_of_links_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="symbolic links"):
        found_at(tmp_path / "loop")


def test_a_file_is_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"ab")
    with opened(tmp_path / "file") as file:
        assert file.read() == b"ab"


@pytest.mark.timeout(20)
def test_what_has_no_end_is_not_opened(tmp_path, pipe):
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for path, kind in ((pipe, "named pipe"), (tmp_path / "zeros", "device"), (tmp_path, "folder")):
        with pytest.raises(InputError, match=f"is a {kind}"), opened(path):
            pass


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"), opened(tmp_path / "none"):
        pass


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "log"
    path.write_text("a")
    with pytest.raises(InputError, match="changed while it was read"), opened(path):
        path.write_text("ab")


def test_a_file_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path):
    path = tmp_path / "table"
    path.write_text("old")
    with opened(path) as file:
        (tmp_path / "new").write_text("newer")
        (tmp_path / "new").rename(path)
        assert file.read() == b"old"


def test_a_change_explains_what_went_wrong_while_reading(tmp_path):
    path = tmp_path / "log"
    path.write_text("a")

    def read_while_it_grows():
        with opened(path):
            path.write_text("ab")
            raise KeyError("torn")

    with pytest.raises(InputError, match="changed while it was read"):
        read_while_it_grows()


def test_long_paths_are_shown_in_part():
    assert len(shown(LONG)) == 163
    assert shown("a b") == "'a b'"


def test_the_home_of_nobody_is_refused():
    with pytest.raises(InputError, match="home folder"):
        expanded("~nobody-of-this-name/t.csv")
