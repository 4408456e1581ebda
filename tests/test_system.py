"""Streams whose reader is gone or slow, and streams that are closed."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from hpsearch.system import Display

ROOT = Path(__file__).parent.parent


class Failing(io.StringIO):
    """A stream that raises from the second write on."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        if self.getvalue():
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EBADF])
def test_what_is_written_after_the_reader_left_goes_nowhere(number):
    stream = Failing(OSError(number, os.strerror(number)))
    display = Display(stream)
    assert display.write("one\n") == 4
    assert not display.is_lost
    assert display.write("two\n") == 4
    assert display.is_lost
    display.flush()
    assert stream.getvalue() == "one\n"
    assert not display.isatty()


def test_a_slow_reader_loses_a_part_and_reads_on():
    stream = Failing(BlockingIOError(errno.EAGAIN, "later"))
    display = Display(stream)
    display.write("one")
    display.write("two")
    assert not display.is_lost


def test_a_closed_stream_and_none_are_lost():
    stream = io.StringIO()
    stream.close()
    for display in (Display(stream), Display(None)):
        display.write("one")
        display.flush()
        assert display.is_lost
        assert not display.isatty()
        assert display.encoding == "utf-8"


def test_a_letter_that_the_encoding_lacks_is_a_question_mark():
    raw = io.BytesIO()
    display = Display(io.TextIOWrapper(raw, encoding="ascii"))
    display.write("0.5 ± 0.1\n")
    display.flush()
    assert raw.getvalue() == b"0.5 ? 0.1\n"


def test_rich_prints_to_a_display_that_is_lost():
    display = Display(Failing(BrokenPipeError(errno.EPIPE, "gone")))
    console = Console(file=display)
    for _ in range(3):
        console.print("[bold]a line[/bold]")
    assert display.is_lost


CLOSED = """
import os, sys
from hpsearch.system import open_standard_streams

open_standard_streams()
print("to nobody")
print("to nobody", file=sys.stderr)
kept = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
child = os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "echo to nobody; echo to nobody >&2"])
os.write(kept, f"{kept > 2} {child} {sys.stdin.read()!r}".encode())
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_number_of_a_closed_stream(closed, tmp_path):
    stdin = "" if "<" in closed else "</dev/null"
    command = f'"{sys.executable}" -c "$PROGRAM" found {stdin} {closed}'
    environment = {**os.environ, "PROGRAM": CLOSED, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    assert (tmp_path / "found").read_text() == "True 0 ''"


COPIED = """
import os, sys
from hpsearch.system import one_process

try:
    with one_process():
        if not os.fork() and sys.argv[1:] == ["raising"]:
            raise ValueError("in the copy")
finally:
    print("went on", flush=True)
os.wait()
"""


@pytest.mark.parametrize("arguments", [[], ["raising"]])
def test_a_copy_of_the_process_does_not_go_on(arguments):
    command = [sys.executable, "-c", COPIED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("went on\n", "")
