"""The process of the command line: how it ends, on signals and without anybody who reads."""

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpsearch.console.process import Signals, Terminated, exit_code_of, saying_how_to_resume
from hpsearch.errors import OptionError

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HANDLERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def code_of(command):
    with Signals() as signals:
        return exit_code_of(command, signals)


# -- signals


@pytest.mark.parametrize(
    ("number", "code", "how"),
    [
        (signal.SIGINT, 130, "stopped by Ctrl-C."),
        (signal.SIGTERM, 143, "stopped by a termination signal."),
        (signal.SIGHUP, 129, "stopped, since its terminal was closed."),
    ],
)
def test_a_signal_ends_a_command_in_one_line_after_what_it_has_to_clear_up(
    number, code, how, capsys
):
    before = [signal.getsignal(n) for n in HANDLERS]
    cleared = []

    def command():
        try:
            with saying_how_to_resume():
                signal.raise_signal(number)
        finally:
            cleared.append("up")

    assert code_of(command) == code
    assert capsys.readouterr().err == f"error: {how} Nothing was trained yet.\n"
    assert cleared == ["up"]
    assert [signal.getsignal(n) for n in HANDLERS] == before


def test_three_signals_at_once_are_one(capsys):
    def command():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)

    assert code_of(command) == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C.\n"


def test_what_a_library_makes_of_a_signal_is_a_stop_all_the_same(capsys):
    def command():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated as stop:
            error = ImportError("a module was imported by half")
            error.add_note("`hpsearch resume run` goes on.")
            raise error from stop

    assert code_of(command) == 143
    said = "error: stopped by a termination signal. `hpsearch resume run` goes on.\n"
    assert capsys.readouterr().err == said


class SignalsWhenLetGoOf:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_python_drops_is_raised_again(capsys):
    def command():
        SignalsWhenLetGoOf()
        time.sleep(5)

    assert code_of(command) == 130
    assert capsys.readouterr().err == "error: stopped by Ctrl-C.\n"


def test_what_else_python_drops_is_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: told.append(dropped.exc_type))

    class Failing:
        def __del__(self):
            raise LookupError("a bug")

    def command():
        Failing()
        return 0

    assert code_of(command) == 0
    assert told == [LookupError]


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert code_of(lambda: signal.raise_signal(signal.SIGHUP) or 0) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


# -- a process of its own


PROGRAM = """
import atexit, os, signal, sys, threading, time
from hpsearch.console import process

def forever():
    while True:
        time.sleep(60)

def ready():
    os.write(2, b"ready")

def command():
    exec(os.environ["BODY"], globals())
    return 0

sys.exit(process.run(command))
"""


@contextmanager
def running(body, **options):
    """A process whose command has this body; it may say "ready" to be waited for."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**ENVIRONMENT, "BODY": body},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        yield process


def ended(body, *numbers, pause=0.0):
    """Exit code and standard error of a process that gets signals once it is ready."""
    with running(body) as process:
        said = process.stderr.read(5) if numbers else ""
        for number in numbers:
            process.send_signal(number)
            time.sleep(pause)
        _, rest = process.communicate(timeout=60)
    return process.returncode, (said + rest).removeprefix("ready")


SHORT_WAIT = "process.SECONDS_TO_LEAVE = 0.3\nprocess._SECONDS_BEFORE_A_WORD = 0.1\n"


def test_a_thread_that_never_ends_does_not_hold_the_process():
    code, said = ended(SHORT_WAIT + "threading.Thread(target=forever, name='lurker').start()")
    assert code == 0
    where = "for a thread that a space may have started (lurker).\n"
    assert said == f"note: waiting 0.3 s at most {where}"


def test_an_exit_handler_that_waits_does_not_hold_the_process():
    code, said = ended(SHORT_WAIT + "atexit.register(forever)")
    assert code == 0
    assert "at most for an exit handler (atexit), which a space may have registered" in said


def test_what_holds_the_process_changes_no_exit_code():
    lurker = "threading.Thread(target=forever).start()\n"
    code, _ = ended(f"{SHORT_WAIT}{lurker}ready()\nforever()", signal.SIGINT)
    assert code == 130
    code, said = ended(f"{SHORT_WAIT}{lurker}raise ZeroDivisionError('a bug')")
    assert code == 1
    assert "ZeroDivisionError: a bug" in said


def test_a_process_that_nothing_holds_says_nothing_more():
    assert ended("print('done')") == (0, "")


def test_a_second_signal_ends_a_process_that_does_not_get_done():
    body = """
process.SECONDS_OF_ONE_STOP = 0.2
try:
    ready()
    forever()
finally:
    forever()
"""
    code, said = ended(body, signal.SIGINT, signal.SIGINT, pause=1.0)
    assert code == 130
    assert said == "error: stopped by Ctrl-C, at once. A run keeps what it recorded.\n"


def test_a_signal_after_the_work_ends_a_process_that_waits_for_a_thread():
    body = "threading.Thread(target=forever).start()\nthreading.Timer(0.5, ready).start()"
    code, said = ended(body, signal.SIGTERM)
    assert code == 143
    assert "Traceback" not in said


# -- nobody reads


SEARCH = """
from hpsearch.console.observers import observer_for
with observer_for() as observer:
    for _ in range(3):
        observer.note("a line")
raise SystemExit(7)
"""


def shell(body, redirection):
    """Exit code and standard error of a process behind a redirection."""
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$PROGRAM" {redirection}'],
        env={**ENVIRONMENT, "PROGRAM": PROGRAM, "BODY": body},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "redirection", ["| head -0; exit ${PIPESTATUS[0]}", ">&-", "2>&-", ">/dev/full"]
)
def test_a_search_goes_on_when_its_display_is_gone(redirection):
    assert shell(SEARCH, redirection) == (7, "")


@pytest.mark.parametrize("how", ["write", "show"])
def test_what_was_asked_for_and_nobody_reads_ends_quietly(how):
    body = f"while True: process.{how}('text\\n')"
    assert shell(body, "| head -1; exit ${PIPESTATUS[0]}") == (1, "")


def test_what_was_asked_for_and_finds_no_room_is_an_error():
    code, said = shell("process.write('text')", ">/dev/full")
    assert code == 1
    assert said.startswith("error: the disk is full (")


def test_an_error_that_nobody_reads_has_its_exit_code():
    wrong = "from hpsearch.errors import OptionError\nraise OptionError('no')"
    assert shell(wrong, "2>&-") == (2, "")
    assert shell(wrong, "2>/dev/full") == (2, "")


def test_a_search_whose_terminal_is_gone_and_that_ignores_the_signal_goes_on():
    ours, theirs = pty.openpty()
    body = """
from hpsearch.console.observers import observer_for
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with observer_for() as observer:
    observer.note("a line")
    ready()
    time.sleep(0.5)
    for _ in range(3):
        observer.note("a line")
"""
    with running(body, stdin=theirs, stdout=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert process.stderr.read(5) == "ready"
        os.close(ours)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_an_error_of_a_command_is_one_line(capsys):
    def command():
        raise OptionError("two\nlines")

    assert code_of(command) == 2
    assert capsys.readouterr().err == "error: two lines\n"
