"""What training rows never held is said, and what they held is not."""

import numpy as np
import pandas as pd

from hpsearch.data.dataset import Column
from hpsearch.data.unseen import beyond_ranges, unseen_gaps, unseen_levels, unseen_words


def text(*cells):
    return pd.Series(cells, dtype="str")


def test_known_and_missing_levels_are_nothing_new():
    assert unseen_levels(text("u", None), Column("c", "category", levels=("u", "v"))) == ()


def test_many_new_levels_are_counted():
    [said] = unseen_levels(text(*"abcdefg"), Column("c", "category", levels=("u",)))
    assert said == (
        "Column 'c': 'a', 'b', 'c', 'd', 'e' and 2 more did not occur in the training data "
        "(7 rows)."
    )


def test_texts_without_a_known_word_are_counted():
    column = Column("t", "text", levels=("good", "bad"))
    assert unseen_words(text("Good, new", "", None), column) == ()
    [said] = unseen_words(text("all new", "good", "other"), column)
    assert "none of the words of 2 rows" in said


def test_gaps_are_said_where_there_were_none():
    frame = pd.DataFrame({"a": [np.nan, 1], "b": [np.nan, np.nan], "c": [np.nan, 1]})
    columns = [
        Column("a", "number"),
        Column("b", "number"),
        Column("c", "number", has_missing=True),
    ]
    assert unseen_gaps(frame, columns) == (
        "Missing cells in 'a' (1 row), 'b' (2 rows): no cell of these columns was missing in the "
        "training data.",
    )
    assert unseen_gaps(frame[["c"]], columns) == ()


def test_numbers_inside_the_range_are_nothing_new():
    frame = pd.DataFrame({"a": [0.1, 0.3, np.nan], "b": [1.0, 2, 3]})
    ranges = {"a": [0.1 + 1e-12, 0.3 - 1e-12], "b": [None, None], "gone": [1, 2]}
    assert beyond_ranges(frame, ranges) == ()


def test_numbers_beyond_the_range_are_said_on_both_sides():
    frame = pd.DataFrame({"a": [-5.0, 1, 7.25], "b": [1.0, 1, 1]})
    assert beyond_ranges(frame, {"a": [0, 2], "b": [2, 3]}) == (
        "Outside what the training data held: 'a' in 2 rows, down to -5 and up to 7.25 (0 to 2), "
        "'b' in 3 rows, down to 1 (2 to 3).",
    )


def test_dates_beyond_the_range_are_said():
    frame = pd.DataFrame({"d": pd.to_datetime(["2031-05-01 12:00", None])})
    [said] = beyond_ranges(frame, {"d": ["2020-01-01T00:00:00", "2024-01-01T00:00:00"]})
    assert "'d' in 1 row, up to 2031-05-01T12:00:00 (2020-01-01 to 2024-01-01)" in said
