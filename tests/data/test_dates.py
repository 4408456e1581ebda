"""Dates are read in the forms in which people and programs write them."""

import datetime as dt

import pytest

from hpsearch.data.dates import learn_dates, look_like_dates, parse_date

DAY = dt.datetime(2021, 1, 31)
CLOCK = dt.datetime(2021, 1, 31, 14, 5)


@pytest.mark.parametrize(
    ("cell", "shape", "date"),
    [
        ("01/31/21", "month/day/year", DAY),
        ("31.01.21", "day.month.year", DAY),
        ("31. 1. 2021", "day.month.year", DAY),
        ("31-Jan-21", "day month year", DAY),
        ("31st January, 2021", "day month year", DAY),
        ("Sunday, January 31, 2021", "month day, year", DAY),
        ("31. Januar 2021", "day month year", DAY),
        ("31 de enero de 2021", "day month year", DAY),
        ("31 janvier 2021", "day month year", DAY),
        ("2021年1月31日", "年月日", DAY),
        ("21-1-31", "yy-month-day", DAY),
        ("2021-01", "year-month", DAY.replace(day=1)),
        ("01/2021", "month/year", DAY.replace(day=1)),
        ("March 2021", "month year", dt.datetime(2021, 3, 1)),
        ("1/31/2021 2:05 PM", "month/day/year", CLOCK),
        ("1/31/2021 02:05:00 p.m.", "month/day/year", CLOCK),
        ("1/31/2021 2 PM", "month/day/year", CLOCK.replace(minute=0)),
        ("1/31/2021 12:05 AM", "month/day/year", DAY.replace(minute=5)),
        ("2021-01-31 14:05:00 UTC", "year-month-day", CLOCK),
        ("2021-01-31T14:05Z", "year-month-day", CLOCK),
        ("2021-01-31 16:05+02:00", "year-month-day", CLOCK),
        ("2021-01-31 16:05 +0200", "year-month-day", CLOCK),
        ("2021-01-31 16:05+02", "year-month-day", CLOCK),
        ("2021-01-31 12:05 UTC-02:00", "year-month-day", CLOCK),
    ],
)
def test_dates_are_read(cell, shape, date):
    assert parse_date(cell, shape) == date


@pytest.mark.parametrize(("year", "whole"), [("68", 2068), ("69", 1969), ("00", 2000)])
def test_years_of_two_digits_lie_from_1969_to_2068(year, whole):
    assert parse_date(f"01/31/{year}", "month/day/year").year == whole


@pytest.mark.parametrize("cell", ["1/31/2021 13:05 PM", "1/31/2021 0:05 AM", "1/31/2021 9"])
def test_what_no_clock_shows_is_no_date(cell):
    assert parse_date(cell, "month/day/year") is None


def test_days_and_years_of_two_digits_that_could_be_swapped_are_ambiguous():
    assert learn_dates(["20-01-21", "27-01-21"]).shapes == ("day/month/year", "yy-month-day")


def test_dates_in_a_form_that_is_not_read_are_noticed():
    assert look_like_dates(["2021-01-31 10:00 CET", "2021-02-01 10:00 CET"])
    assert not look_like_dates(["10.10.10.10", "192.168.10.10", "1.2.3"])
