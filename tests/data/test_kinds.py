"""What each feature column is taken for."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.kinds import read_feature
from hpsearch.data.understood import Places
from hpsearch.errors import DataError


def read(*cells, dtype=None, **kwargs):
    series = cells[0] if isinstance(cells[0], pd.Series) else pd.Series(cells, dtype=dtype)
    return read_feature(series, "c", Places(), **kwargs)


def words(n, *, prefix="w"):
    return [f"{prefix}{i}" for i in range(n)]


def test_numbers_are_float64_with_nan_where_missing():
    feature = read(1, None, 3, dtype="Int64")
    assert feature.column.kind == "number"
    assert feature.column.has_missing
    assert feature.series.dtype == np.float64


def test_missing_words_in_numbers_are_said():
    assert read("1", "?", "2").notes == ("Column 'c': '?' was read as missing.",)


def test_text_is_a_category_of_sorted_levels():
    feature = read("b", "a", None, "b")
    assert feature.column.kind == "category"
    assert feature.column.levels == ("a", "b")
    assert feature.column.has_missing
    assert feature.series.dtype == "str"


def test_booleans_are_a_category_of_false_and_true():
    assert read(True, False).column.levels == ("False", "True")
    assert read("true", "false").column.levels == ("False", "True")


def test_a_declared_category_of_integers_is_a_category():
    assert read(pd.Series([2, 10, 2], dtype="category")).column.levels == ("10", "2")


def test_missing_words_in_categories_are_levels_and_said():
    feature = read("NA", "low", "", "low")
    assert feature.column.levels == ("NA", "low")
    assert "'NA' is a level like any other" in feature.notes[0]


def test_leading_zeros_make_a_category_and_are_said():
    feature = read("007", "123", "123")
    assert feature.column.levels == ("007", "123")
    assert "'007'" in feature.notes[0]


def test_text_with_some_numbers_is_a_category_and_said():
    feature = read("a", "b", "3", "a")
    assert feature.column.levels == ("3", "a", "b")
    assert "some numbers" in feature.notes[0]


def test_dates_know_whether_they_have_a_time_of_day():
    assert not read("2024-01-01", "2024-01-02").column.has_clock
    column = read("2024-01-01 00:00", "2024-01-02 12:00").column
    assert column.has_clock
    assert column.date_format == "year-month-day"


def test_dates_with_a_time_zone_are_said():
    assert "UTC" in read("2024-01-01T00:00Z", "2024-01-02T00:00Z").notes[0]


def test_ambiguous_dates_are_warned_about():
    assert "may be day/month/year or month/day/year" in read("01/02/2024", "03/04/2024").warnings[0]


@pytest.mark.parametrize("cells", [("", ""), (None, None), ("NA", "?"), (np.nan, np.nan)])
def test_a_column_without_values_is_left_out_and_said(cells):
    feature = read(*cells)
    assert feature.column is None
    assert "none of its cells is filled" in feature.notes[0]


@pytest.mark.parametrize(("cells", "shown"), [((3, 3), "3 in"), (("x", "x"), "'x' in")])
def test_a_constant_column_is_left_out_and_said(cells, shown):
    feature = read(*cells)
    assert feature.column is None
    assert shown in feature.notes[0]


def test_a_constant_with_missing_cells_is_kept():
    assert read(1.0, None, 1.0).column.has_missing


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e400"])
def test_infinite_text_is_refused_with_its_row(cell):
    with pytest.raises(DataError, match=r"must be finite; column 'c' is not in row 1"):
        read("1", cell, "3")


def test_infinite_numbers_are_refused():
    with pytest.raises(DataError, match="must be finite"):
        read(1.0, np.inf)


def test_numbers_beyond_float32_are_refused():
    with pytest.raises(DataError, match=r"within float32's range.*row 0 \(1e\+39\)"):
        read(1e39, 1.0)


def test_huge_integers_that_all_differ_are_left_out_as_identifiers():
    feature = read("9007199254740993", "9007199254740995")
    assert feature.column is None
    assert "as identifiers do" in feature.notes[0]


def test_huge_integers_that_float64_takes_for_one_are_not_constant():
    feature = read(2**53 + 1, 2**53, 2**53 + 1)
    assert feature.column.levels == ("9007199254740992", "9007199254740993")


def test_huge_integers_that_are_one_are_constant():
    assert "its value is 9007199254740993 in every row" in read(*[2**53 + 1] * 2).notes[0]


def test_huge_integers_that_repeat_are_a_category_of_their_digits():
    feature = read(2**53 + 1, 2**53 + 1, 5)
    assert feature.column.levels == ("5", "9007199254740993")
    assert "beyond 2**53" in feature.notes[0]


def test_text_that_differs_in_every_row_is_left_out_as_an_identifier():
    feature = read(*words(20))
    assert feature.column is None
    assert "--text c" in feature.notes[0]


def test_few_rows_are_not_enough_to_call_a_column_an_identifier():
    assert read(*words(19)).column.kind == "category"


def test_many_words_in_most_rows_are_left_out_as_free_text_with_a_warning():
    feature = read(*(f"the film number {i} was long" for i in range(20)))
    assert feature.column is None
    assert "looks like free text" in feature.warnings[0]
    assert "--text c" in feature.warnings[0]


def test_long_labels_that_repeat_are_a_category():
    feature = read(*(["rather a long label"] * 20 + ["one more long label"] * 20))
    assert feature.column.kind == "category"


def test_commas_that_may_be_decimal_signs_are_warned_about_with_their_rows():
    feature = read("1,200", "3,400", "1,200")
    assert feature.series.tolist() == [1200, 3400, 1200]
    assert (
        "rows 0 ('1,200'), 1 ('3,400') and 2 ('1,200'); it was taken for a separator"
        in (feature.warnings[0])
    )


def test_cells_that_contradict_the_others_are_refused_with_their_rows():
    with pytest.raises(DataError, match=r"with a point: row 2 \('2\.5'\).*--text c.*--drop c"):
        read("1,5", "3,25", "2.5")
    with pytest.raises(DataError, match=r"mostly numbers, but row 2 \('oops'\) is not.*--text c"):
        read("1", "2", "oops", "4")
    with pytest.raises(DataError, match=r"mostly dates.*row 1 \('2024-13-45'\)"):
        read("2024-01-01", "2024-13-45", "2024-01-03")


@pytest.mark.parametrize(
    "cells",
    [
        [*(f"{i} kg" for i in range(30)), "500 g"],
        [f"{i} Stück" for i in range(30)],
        [f"({i}.5)" for i in range(30)],
        ["1:30:00", *(f"00:{i}" for i in range(10, 40))],
        [*(f"{i} kg" for i in range(30)), "heavy"],
        [f"2021-01-{i:02d} 10:00 CET" for i in range(1, 31)],
        [f"{i:02d}-01-21" for i in range(1, 29)],
    ],
)
def test_what_looks_like_numbers_or_dates_never_goes_without_a_warning(cells):
    feature = read(*cells)
    assert feature.column is None or feature.column.kind == "category"
    assert "was not read as" in feature.warnings[0]


def test_a_category_of_10_000_levels_is_kept_with_a_warning():
    feature = read(*words(10_000), *words(10_000))
    assert len(feature.column.levels) == 10_000
    assert "10,000 levels" in feature.warnings[0]


def test_text_is_read_as_words_where_asked():
    feature = read("Good film", "bad, bad film", None, as_text=True)
    assert feature.column.kind == "text"
    assert feature.column.levels == ("bad", "film", "good")
    assert feature.column.has_missing


def test_numbers_are_read_as_words_where_asked():
    assert read(12345, 678, as_text=True).column.levels == ("12345", "678")


def test_text_without_words_is_left_out():
    feature = read("...", "!", as_text=True)
    assert feature.column is None
    assert "no words" in feature.notes[0]


def test_a_column_that_counts_the_rows_is_warned_about():
    assert "counts the rows" in read(*range(5, 25)).warnings[0]
    assert read(*range(0, 40, 2)).warnings == ()


def test_trimmed_cells_are_reported():
    assert read(" a", "b").trimmed
    assert not read("a", "b").trimmed


def test_text_without_spaces_between_words_is_free_text_and_said_to_be_split():
    texts = [f"我觉得这个电影{a}{b}" for a in "好坏长短新旧" for b in "啊呢吧了"]
    assert "looks like free text" in read(*texts).warnings[0]
    feature = read(*texts, as_text=True)
    assert feature.column.word_rule == "scripts"
    assert "pairs of neighbours were taken for words" in feature.warnings[0]
