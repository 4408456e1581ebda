"""Guards around a space's own code: one line for whatever it raises, and a bound on its time."""

import contextlib
import signal
import threading
import time

import pytest

from hpsearch import progress
from hpsearch.errors import SpaceError
from hpsearch.progress import telling
from hpsearch.space.guards import blame, text_of, time_limit


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class StrayError(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [GeneratorExit(), KeyboardInterrupt(), SystemExit(3), StrayError("gone"), StopIteration()],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_space_raises_is_one_line_that_names_it(error):
    message = (
        rf"^The space 's.py' raised {type(error).__name__} in its build \(.*py:\d+\)(: \w+)?\. "
    )
    with pytest.raises(SpaceError, match=message) as caught, blame("s.py", "build", {__file__}):
        raise error
    assert "\n" not in str(caught.value)


def test_an_error_of_many_lines_or_none_is_told_in_one():
    assert text_of(ValueError("in user code:\n\n    ValueError: too\tnarrow\n")) == "too narrow"
    assert text_of(SpeechlessError()) == "an error that cannot say what it is"
    assert len(text_of(ValueError("x" * 10_000))) < 600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_outside_is_not_the_spaces(number):
    class StoppedError(SystemExit):
        pass

    def interrupt(number, frame):
        raise StoppedError

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(StoppedError), blame("s.py", "build", ()):
            signal.raise_signal(number)
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)


def forever():
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


@pytest.mark.timeout(30, method="thread")  # an alarm is taken elsewhere
def test_a_call_without_end_is_ended_with_its_line():
    with (
        pytest.raises(SpaceError, match=r"build of .*must end within 0.2 s, .*py:\d+\)\. Look for"),
        time_limit(0.2),
        blame("s.py", "build", {__file__}),
    ):
        forever()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.timeout(30, method="thread")
def test_a_call_in_time_is_left_alone():
    with time_limit(0.2), blame("s.py", "build", ()):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0.0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    time.sleep(0.3)


def test_a_word_is_said_where_it_takes_long_and_somebody_listens(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_OF_WAITING", 0.05)
    heard, told = [], threading.Event()

    def listen(text):
        heard.append(text)
        told.set()

    with telling(listen), blame("s.py", "build", ()):
        assert told.wait(5)
    (text,) = heard
    assert text.startswith("Still waiting for the build of the space 's.py', since 0.05 s.")
    with telling(listen), blame("s.py", "build", ()):
        pass
    time.sleep(0.1)
    assert len(heard) == 1
