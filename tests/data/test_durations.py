"""Durations and times of day are read alone, each in a style that is known."""

import pytest

from hpsearch.data.durations import CLOCK, SECONDS, SMALLER, are_mixed, duration, style_of


@pytest.mark.parametrize(
    ("cell", "style", "number"),
    [
        ("1:30:00", SECONDS, 5400),
        ("-1:30:00", SECONDS, -5400),
        ("100:00:00.5", SECONDS, 360000.5),
        ("2 days 01:00:00", SECONDS, 176400),
        ("2h 30m", SECONDS, 9000),
        ("2 hours, 30 minutes and 5 s", SECONDS, 9005),
        ("1,5 h", SECONDS, 5400),
        ("250 ms", SECONDS, 0.25),
        ("1w 1d", SECONDS, 691200),
        ("PT1H30M", SECONDS, 5400),
        ("P1DT1S", SECONDS, 86401),
        ("00:45", SMALLER, 45),
        ("-1:30.5", SMALLER, -90.5),
        ("12:00 AM", CLOCK, 0),
        ("12:00 PM", CLOCK, 43200),
        ("9pm", CLOCK, 75600),
        ("9:05:30 p.m.", CLOCK, 75930),
    ],
)
def test_durations_are_read(cell, style, number):
    assert duration(cell, style) == number


@pytest.mark.parametrize(
    "cell", ["", "P", "PT", "5", "5 x", "1:5:00", "1:60:00", "2h x", "h", "9" * 100_000 + "h"]
)
def test_what_is_no_duration_is_none(cell):
    assert duration(cell, SECONDS) is None


@pytest.mark.parametrize("cell", ["2:1", "16:9", "1:60", "1:30:00"])
def test_scores_and_ratios_are_no_times(cell):
    assert duration(cell, SMALLER) is None


@pytest.mark.parametrize("cell", ["13:00 PM", "0:60 AM", "9", "AM"])
def test_what_no_clock_shows_is_no_time_of_day(cell):
    assert duration(cell, CLOCK) is None


def test_times_of_two_and_of_three_parts_have_no_style_in_common():
    assert style_of(["1:30:00", "00:45"]) is None
    assert are_mixed(["1:30:00", "00:45"])
    assert not are_mixed(["1:30:00", "soon"])
