"""Numbers are read in the forms in which people and programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.characters import straightened
from hpsearch.data.durations import STYLES, duration
from hpsearch.data.numerals import (
    PLAIN,
    Learnt,
    NumberForm,
    Unclear,
    either_by_point,
    learn,
    numeral,
    read_number,
)
from hpsearch.errors import DataError


def read(*cells):
    """The numbers of a column's cells in the form that they teach, and that form as text."""
    straight = [straightened(cell) for cell in cells]
    learnt = learn(straight)
    assert isinstance(learnt, Learnt)
    return [read_number(cell, learnt.form) for cell in straight], str(learnt.form)


@pytest.mark.parametrize(
    ("cells", "numbers", "form"),
    [
        (("5,5", "12", ",25"), [5.5, 12, 0.25], "1234,5"),
        (("900,50", "1.270,50"), [900.5, 1270.5], "1.234,5"),
        (("900.50", "1,270.50"), [900.5, 1270.5], "1,234.5"),
        (("1.234.567", "900"), [1234567, 900], "1.234,5"),
        (("1,234,567", "2,345"), [1234567, 2345], "1,234.5"),
        (("₹1,23,456.50", "₹900"), [123456.5, 900], "1,234.5 ₹"),
        (("1\u00a0234,5", "12"), [1234.5, 12], "1 234,5"),
        (("1\u202f234", "12"), [1234, 12], "1 234.5"),
        (("1 234,567", "12"), [1234.567, 12], "1 234,5"),
        (("1'234.5", "12"), [1234.5, 12], "1'234.5"),
        (("1’234.5", "12"), [1234.5, 12], "1'234.5"),
        (("\u22125,5", "5,5"), [-5.5, 5.5], "1234,5"),
        (("(1,234.50)", "99.5"), [-1234.5, 99.5], "(1,234.5)"),
        (("($5.00)", "$1,234.50", "-$2.00"), [-5, 1234.5, -2], "(1,234.5) $"),
        (("5,5 €", "6 €"), [5.5, 6], "1234,5 €"),
        (("EUR 5,5", "6,25 Euro"), [5.5, 6.25], "1234,5 €"),
        (("£3.20", "£4"), [3.2, 4], "1234.5 £"),
        (("100 kr", "kr. 1.234,50"), [100, 1234.5], "1.234,5 kr"),
        (("5,5 %", "12 %"), [5.5, 12], "1234,5 %"),
        (("5%", "0"), [5, 0], "1234.5 %"),
        (("12 km", "3.5km"), [12, 3.5], "1234.5 km"),
        (("1 year", "2 years"), [1, 2], "1234.5 year"),
        (("12 A", "3 A"), [12, 3], "1234.5 A"),
        (("“5,5”", "“6,5”"), [5.5, 6.5], "1234,5"),
        (("1,5e3", "2,5"), [1500, 2.5], "1234,5"),
        (("１２，５", "３，５"), [12.5, 3.5], "1234,5"),
        (("1:30:00", "0:00:05.5"), [5400, 5.5], "1:30:00"),
        (("2h 30m", "45 min", "10 s"), [9000, 2700, 10], "1:30:00"),
        (("0 days 00:01:30", "1 days 00:00:00"), [90, 86400], "1:30:00"),
        (("00:45", "1:30"), [45, 90], "1:30"),
        (("9:05 AM", "12:30 am", "1:00 p.m."), [32700, 1800, 46800], "1:30 PM"),
    ],
)
def test_numbers_are_read_in_the_form_that_their_column_teaches(cells, numbers, form):
    assert read(*cells) == (numbers, form)


@pytest.mark.parametrize(
    ("cells", "why", "named"),
    [
        (("1,5", "2,5", "3.5"), "with a comma and with a point", {"3.5"}),
        (("1.234.567", "2,345,678", "1.234.568"), "separates thousands in several", {"2,345,678"}),
        (("1.234.567", "2.5"), "by what are decimal signs in other", {"2.5"}),
        (("1,234", "5.678", "6.789"), "may be decimal signs", {"1,234"}),
        (("1'234.5", "1,821", "2,345"), "in several ways", {"1'234.5"}),
    ],
)
def test_cells_that_contradict_the_others_are_wrong(cells, why, named):
    unclear = learn(cells)
    assert isinstance(unclear, Unclear)
    assert why in unclear.why
    assert unclear.wrong
    assert unclear.cells == named


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (("5 kg", "500 g"), "different units"),
        (("5%", "0.05"), "different units"),
        (("(5)", "(6)"), "parentheses alone"),
        (("1:30:00", "00:45"), "times of three parts"),
        (("5 kg", "6 kg", "heavy"), "some cells are none"),
        (("1 Stück", "2 Stück", "3 Stück"), "unit 'Stück', which is not known"),
    ],
)
def test_what_only_looks_like_numbers_is_unclear_and_not_wrong(cells, why):
    unclear = learn(cells)
    assert isinstance(unclear, Unclear)
    assert why in unclear.why
    assert not unclear.wrong


@pytest.mark.parametrize(
    "cells", [("a", "b"), ("1st", "2nd"), ("3D", "2D"), ("Class 1", "Class 2"), ("v1.2", "v1.3")]
)
def test_words_and_codes_are_no_numbers(cells):
    assert learn(cells) is None


@pytest.mark.parametrize("cell", ["1,23", "12,34,567", "1,234.5", "1.234,5", "0,123", "1234,567"])
def test_a_comma_that_can_be_one_thing_only_is_read_in_every_form(cell):
    value = read_number(cell, PLAIN)
    assert value is not None
    for form in ("1234,5", "1.234,5", "1,234.5", "1 234,5"):
        assert read_number(cell, NumberForm.of(form)) == value


def test_a_sign_that_may_be_two_things_needs_a_form_that_decides():
    assert read_number("2.213", NumberForm.of("1.234,5")) == 2213
    assert read_number("2.213", PLAIN) == 2.213
    assert read_number("2.213", NumberForm.of("1234,5")) is None
    assert read_number("2,213", PLAIN) is None
    assert read_number("2,213", NumberForm.of("1234,5")) == 2.213


def test_a_unit_may_be_left_out_but_not_be_another():
    form = NumberForm.of("1234.5 kg")
    assert read_number("12", form) == 12
    assert read_number("12 kg", form) == 12
    assert read_number("12 g", form) is None
    assert read_number("12 kg", PLAIN) is None


def test_parentheses_are_negative_only_where_the_column_has_them():
    assert read_number("(5)", NumberForm.of("(1234.5)")) == -5
    assert read_number("(5)", PLAIN) is None


def test_either_sign_is_left_open():
    assert learn(["2,213", "900"]).either == ","
    assert learn(["2,213", "900"]).resolved(".") == NumberForm(".", ",")
    assert either_by_point(["2.213", "900"])
    assert not either_by_point(["0.213", "900"])
    assert not either_by_point(["2.5", "900"])
    assert not either_by_point(["900"])


FORMS = st.builds(
    NumberForm,
    st.sampled_from([".", ","]),
    st.sampled_from(["", " ", "'"]),
    st.sampled_from(["", "€", "kg", "%", "US$", "sqft"]),
    st.booleans(),
)


@given(FORMS)
def test_a_form_reads_back_from_its_text(form):
    assert NumberForm.of(str(form)) == form


@given(st.integers(-(10**9), 10**9), st.sampled_from([",.", ".,", " .", " ,", "'."]))
def test_grouped_numbers_read_back(value, signs):
    cell = f"{value / 4:,.2f}".translate({ord(","): signs[0], ord("."): signs[1]})
    assert read_number(cell, NumberForm(signs[1], signs[0])) == round(value / 4, 2)


@pytest.mark.parametrize("text", ["1234", "1.234.5", "x", "1,234,5"])
def test_a_text_that_names_no_form_is_refused(text):
    with pytest.raises(DataError, match="written like"):
        NumberForm.of(text)


@pytest.mark.parametrize("cell", ["9" * 5000, "1," * 5000, "(" * 5000, "1 " * 5000, "$" * 5000])
def test_long_cells_are_no_numerals_at_once(cell):
    assert numeral(cell) is None


@pytest.mark.timeout(20)
def test_a_long_cell_is_no_duration_and_takes_no_time():
    assert all(duration("9" * 200_000, style) is None for style in STYLES)
