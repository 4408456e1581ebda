"""What a column of raw cells is understood as."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.data.cells import as_dates, as_levels, as_numbers, interpret
from hpsearch.data.understood import Places
from hpsearch.errors import DataError


def read(cells, **kwargs):
    series = cells if isinstance(cells, pd.Series) else pd.Series(cells)
    return interpret(series, "c", **kwargs)


def text(*cells):
    return pd.Series(cells, dtype="str")


def test_text_that_is_all_numbers_is_numbers():
    cells = read(text("1", "-2.5", "+3e2", ".5", "4."))
    assert cells.form == "number"
    assert cells.series.tolist() == [1.0, -2.5, 300.0, 0.5, 4.0]
    assert not cells.whole


def test_text_of_integers_is_whole_numbers():
    assert read(text("1", "-2", "+3")).whole


@pytest.mark.parametrize("cell", ["1_000", "0x10", "1,000", "१२", "1 2", "1e", "--1"])
def test_what_only_python_or_people_read_as_a_number_is_text(cell):
    assert read(text(cell, "word")).form == "string"


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_read_back_exactly_from_text(values):
    cells = read(pd.Series([repr(value) for value in values], dtype="str"))
    assert cells.series.tolist() == values


@pytest.mark.parametrize("word", ["?", "NA", "n/a", "NaN", "null", "None", "-", "", " "])
def test_missing_words_among_numbers_are_missing(word):
    cells = read(text("1", word, "2"))
    assert cells.form == "number"
    assert cells.is_missing.tolist() == [False, True, False]


@pytest.mark.parametrize("word", ["?", "NA", "n/a", "null", "None", "nan"])
def test_missing_words_among_text_stay_text(word):
    cells = read(text("low", word, "high"))
    assert cells.series.tolist() == ["low", word, "high"]


def test_empty_cells_among_text_are_missing():
    assert read(text("low", "", "  ", None)).is_missing.tolist() == [False, True, True, True]


def test_only_missing_words_are_no_value_at_all():
    assert read(text("NA", "?", "")).form == "missing"


def test_spaces_around_cells_are_removed_and_reported():
    cells = read(text(" low", "high "))
    assert cells.series.tolist() == ["low", "high"]
    assert cells.trimmed


def test_leading_zeros_keep_digits_text():
    cells = read(text("007", "123"))
    assert cells.form == "string"
    assert cells.leading_zeros


def test_a_zero_before_the_point_is_no_leading_zero():
    assert read(text("0.5", "0", "-0.25")).form == "number"


def test_numbers_with_a_few_words_are_text_whose_odd_cells_are_known():
    found = read(text("1", "2", "oops", "4"))
    assert found.form == "string"
    assert found.doubt.wrong
    assert found.doubt.told(Places(), found.text) == (
        "is mostly numbers, but row 2 ('oops') is not"
    )


def test_words_with_a_few_numbers_are_text():
    cells = read(text("a", "b", "3"))
    assert cells.form == "string"
    assert cells.mixed


def test_integers_beyond_2_to_the_53_are_huge_and_keep_their_digits():
    cells = read(text("9007199254740993", "1"))
    assert cells.huge
    assert cells.digits.tolist() == ["9007199254740993", "1"]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(["1" + "0" * 5000, "1"], dtype="str"),
        pd.Series([10**5000, 1], dtype=object),
    ],
)
def test_integers_of_thousands_of_digits_are_huge_and_no_error(series):
    cells = read(series)
    assert cells.huge
    assert cells.digits.tolist() == ["1" + "0" * 5000, "1"]
    assert cells.series[0] == np.inf


def test_a_long_cell_is_shortened_in_messages():
    with pytest.raises(DataError, match="9999…") as refused:
        as_numbers(text("1", "9" * 5000 + "x"), "c", Places())
    assert len(str(refused.value)) < 300


def test_2_to_the_53_itself_is_not_huge():
    assert not read(text("9007199254740992", "-9007199254740992")).huge


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([2**53 + 1, 1]),
        pd.Series([2**53 + 1, None], dtype="Int64"),
        pd.Series([2**70, 1], dtype=object),
        pd.Series([2**53 + 1, 1], dtype=pd.ArrowDtype(pa.int64())),
    ],
)
def test_huge_integers_are_found_in_every_integer_type(series):
    cells = read(series)
    assert cells.huge
    assert cells.digits.iloc[0] == str(series.iloc[0])


def test_true_and_false_in_any_case_are_flags():
    cells = read(text("true", "FALSE", "True", ""))
    assert cells.form == "flag"
    assert cells.series.tolist()[:3] == ["True", "False", "True"]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([True, False]),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([True, False, None], dtype=object),
    ],
)
def test_booleans_are_flags(series):
    assert read(series).series.tolist()[:2] == ["True", "False"]


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (("2024-01-31", "2024-2-1"), "year-month-day"),
        (("2024/01/31", "2024/02/01"), "year-month-day"),
        (("31.01.2024", "01.02.2024"), "day.month.year"),
        (("31/01/2024", "01/02/2024"), "day/month/year"),
        (("01/31/2024", "02/01/2024"), "month/day/year"),
        (("31 January 2024", "1 Feb 2024"), "day month year"),
        (("Jan 31, 2024", "February 1 2024"), "month day, year"),
    ],
)
def test_dates_are_read_in_common_forms(cells, form):
    found = read(text(*cells))
    assert found.form == "date"
    assert found.date_format == form
    assert found.series.tolist() == [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]


def test_a_time_of_day_and_a_time_zone_are_read():
    found = read(text("2024-01-31 12:30", "2024-01-31T12:30:05.25+02:00", "2024-01-31T00:00Z"))
    assert found.with_zone
    assert found.series.tolist() == [
        pd.Timestamp("2024-01-31 12:30"),
        pd.Timestamp("2024-01-31 10:30:05.25"),
        pd.Timestamp("2024-01-31"),
    ]


def test_days_and_months_that_could_be_swapped_are_not_guessed():
    found = read(text("01/02/2024", "03/04/2024"))
    assert found.form == "string"
    assert "may be day/month/year or month/day/year" in found.doubt.why
    assert not found.doubt.wrong


def test_a_cell_that_is_no_date_among_dates_is_known():
    doubt = read(text("2024-01-01", "2024-13-45", "2024-01-03")).doubt
    assert doubt.why == "is mostly dates written as year-month-day"
    assert doubt.rows.tolist() == [False, True, False]
    assert doubt.wrong


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.to_datetime(["2024-01-31"])),
        pd.Series(pd.to_datetime(["2024-01-31T01:00+01:00"])),
        pd.Series([dt.date(2024, 1, 31)], dtype=object),
        pd.Series([dt.datetime(2024, 1, 31)], dtype=object),
        pd.Series(pd.PeriodIndex(["2024-01-31"], freq="D")),
        pd.Series([dt.date(2024, 1, 31)], dtype=pd.ArrowDtype(pa.date32())),
    ],
)
def test_every_date_type_gives_the_same_dates(series):
    found = read(series)
    assert found.series.dtype == "datetime64[us]"
    assert found.series.tolist() == [pd.Timestamp("2024-01-31")]


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([1, 2], dtype="int8"),
        pd.Series([1, 2], dtype="uint64"),
        pd.Series([1, 2], dtype="Int32"),
        pd.Series([1, 2], dtype="float32"),
        pd.Series([1, 2], dtype=object),
        pd.Series([Decimal(1), 2.0], dtype=object),
        pd.Series(pd.arrays.SparseArray([1, 2])),
        pd.Series([1, 2], dtype=pd.ArrowDtype(pa.int16())),
    ],
)
def test_every_number_type_gives_float64(series):
    found = read(series)
    assert found.series.dtype == np.float64
    assert found.series.tolist() == [1.0, 2.0]


def test_a_length_of_time_is_its_seconds():
    assert read(pd.Series(pd.to_timedelta(["1min"]))).series.tolist() == [60.0]


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, b"raw", 1 + 2j])
def test_cells_that_are_no_cells_are_refused(cell):
    with pytest.raises(DataError, match="column 'c' holds"):
        read(pd.Series([cell, cell], dtype=object))


def test_complex_numbers_are_refused():
    with pytest.raises(DataError, match="complex"):
        read(pd.Series([1j]))


def test_a_declared_category_of_integers_is_declared():
    assert read(pd.Series([1, 2, 1], dtype="category")).declared


def test_a_declared_category_of_intervals_is_text():
    cells = read(pd.cut(pd.Series([1, 5, 9]), [0, 4, 10]))
    assert cells.series.tolist() == ["(0, 4]", "(4, 10]", "(4, 10]"]


def test_levels_are_written_alike_from_every_type():
    assert as_levels(pd.Series([1.0, None, 2.5])).dropna().tolist() == ["1", "2.5"]
    assert as_levels(pd.Series([1, 2])).tolist() == ["1", "2"]
    assert as_levels(pd.Series([True, False])).tolist() == ["True", "False"]
    assert as_levels(text(" a ", "1.0")).tolist() == ["a", "1.0"]
    assert as_levels(pd.Series([1, 2], dtype="category")).tolist() == ["1", "2"]
    assert as_levels(pd.Series(pd.to_datetime(["2024-01-31"]))).tolist() == ["2024-01-31"]
    assert as_levels(pd.Series([float("inf")])).tolist() == ["inf"]


def test_a_known_level_is_recognised_in_another_form():
    assert as_levels(text("1.0", "2"), known=["1", "2"]).tolist() == ["1", "2"]
    assert as_levels(text("true", "FALSE"), known=["False", "True"]).tolist() == ["True", "False"]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_dates_beyond_the_calendar_are_refused(unit):
    far = np.array([0, 2**61 if unit != "s" else 2**45], dtype=f"datetime64[{unit}]")
    for series in (pd.Series(far), pd.Series(far).dt.tz_localize("UTC")):
        with pytest.raises(DataError, match=r"years 1 to 9999; column 'd' has others in row 1"):
            interpret(series, "d")


def test_text_that_is_no_unicode_is_refused():
    with pytest.raises(DataError, match=r"column 'd' has a cell that is none .*'\\ud800'"):
        interpret(pd.Series(["a", "\ud800"], dtype=object, name="d"), "d")


def test_levels_that_only_look_alike_stay_apart():
    assert as_levels(text("1.10", "1.1", "01"), known=["1.1", "1"]).tolist() == [
        "1.10",
        "1.1",
        "01",
    ]


def test_numbers_known_to_be_numbers_refuse_text_with_its_row():
    with pytest.raises(DataError, match=r"row 1 \('x'\) is no number"):
        as_numbers(text("1", "x"), "c", Places())


def test_numbers_known_to_be_numbers_read_leading_zeros_flags_and_missing_words():
    assert as_numbers(text("007", "1"), "c", Places()).tolist() == [7.0, 1.0]
    assert as_numbers(pd.Series([True, False]), "c", Places()).tolist() == [1.0, 0.0]
    assert np.isnan(as_numbers(text("?", ""), "c", Places())).all()


def test_numbers_known_in_a_form_are_read_by_it_alone():
    cells = text("2.213", "1.234,50 €", "0,5", "?", "7")
    read_back = as_numbers(cells, "c", Places(), "1.234,5 €")
    assert read_back.tolist()[:3] == [2213, 1234.5, 0.5]
    assert np.isnan(read_back[3])
    assert read_back[4] == 7


@pytest.mark.parametrize(
    ("cell", "form", "said"),
    [
        ("2,213", "", "row 0 ('2,213') has a comma or point that may be"),
        ("2.213", "1234,5 kg", "row 0 ('2.213') has a comma or point that may be"),
        (
            "2.213 $",
            "1.234,5 €",
            "written like '1.234,5 €'; row 0 ('2.213 $') is no number in this",
        ),
        ("5 kg", "", "row 0 ('5 kg') is no number. Correct"),
        ("1:30", "1:30:00", "is no number in this form"),
    ],
)
def test_cells_that_a_form_cannot_read_are_refused_with_the_reason(cell, form, said):
    with pytest.raises(DataError) as refused:
        as_numbers(text(cell), "c", Places(), form)
    assert said in str(refused.value)


def test_numbers_known_to_be_numbers_refuse_dates():
    with pytest.raises(DataError, match="received dates"):
        as_numbers(pd.Series(pd.to_datetime(["2024-01-31"])), "c", Places())


def test_dates_known_to_be_dates_use_the_form_they_were_written_in():
    dates = as_dates(text("01/02/2024", "", "2024-03-04"), "c", Places(), "month/day/year")
    assert dates.tolist()[0] == pd.Timestamp("2024-01-02")
    assert dates.isna().tolist() == [False, True, False]


def test_dates_known_to_be_dates_refuse_other_cells():
    with pytest.raises(DataError, match=r"row 0 \('soon'\).*YYYY-MM-DD"):
        as_dates(text("soon"), "c", Places())
    with pytest.raises(DataError, match="another type"):
        as_dates(pd.Series([1, 2]), "c", Places())


def test_dates_known_to_be_dates_may_be_a_declared_category():
    series = pd.Series(["2024-01-31", None], dtype="category")
    assert as_dates(series, "c", Places()).tolist()[0] == pd.Timestamp("2024-01-31")


def test_places_count_what_they_do_not_show():
    assert Places()(np.ones(8, dtype=bool)) == "rows 0, 1, 2, 3, 4 and 3 more"


def test_places_name_lines_of_a_file():
    places = Places(np.array([2, 5]))
    assert places.with_cells(np.array([False, True]), ["a", "b"]) == "line 5 ('b')"
    assert places(np.array([True, True])) == "lines 2 and 5"


def test_huge_integers_keep_the_characters_that_they_are_written_in():
    found = read(text("'9007199254740993'", "１"))
    assert found.huge
    assert found.digits.tolist() == ["'9007199254740993'", "１"]


def test_cells_that_differ_in_quotes_alone_are_read_alike():
    assert read(text("5,5", "“5,5”", "6,5")).series.tolist() == [5.5, 5.5, 6.5]
    dates = read(text("2024-01-31", "“2024-01-31”", "2024-02-01"))
    assert dates.form == "date"


def test_grouped_numbers_are_whole_where_float64_keeps_them():
    assert read(text("1,234,567", "2")).whole
    assert not read(text("9,007,199,254,740,993", "2")).whole
    assert not read(text("1,0", "2,0")).whole
