"""Levels that look the same are one; levels that nearly do are named."""

import pandas as pd
import pytest

from hpsearch.data import load, read_rows
from hpsearch.data.characters import visible
from hpsearch.data.variants import as_seen, merged

N = 60


def of(*cells):
    return merged(pd.Series(cells, dtype="str"))


def table(labels, **columns):
    return pd.DataFrame(
        {"x": [i * 0.5 for i in range(N)], "y": [labels[i % len(labels)] for i in range(N)]}
        | {name: [cells[i % len(cells)] for i in range(N)] for name, cells in columns.items()}
    )


@pytest.mark.parametrize(
    ("level", "variant"),
    [
        ("New York", "New\u00a0York"),
        ("New York", "New  York"),
        ("New York", "New\u202fYork"),
        ("café", "cafe\u0301"),
        ("cat", "cat\u200b"),
        ("cat", "\ufeffcat"),
        ("cat", "\u200ecat"),
        ("cat", "ca\u00adt"),
        ("cat", "cat\u200d"),
        ("cat", "cat\x07"),
    ],
)
def test_levels_that_look_the_same_are_one(level, variant):
    found = of(level, level, variant)
    assert found.levels.tolist() == [level] * 3
    assert ascii(variant) in found.notes[0]


@pytest.mark.parametrize(
    ("one", "other"), [("می\u200cخواهم", "میخواهم"), ("👨\u200d👩", "👨👩"), ("a b", "ab")]
)
def test_what_can_be_seen_stays_apart(one, other):
    assert of(one, other).levels.tolist() == [one, other]


def test_the_variant_of_most_rows_is_kept_and_at_a_draw_the_plain_one():
    assert set(of("cafe\u0301", "cafe\u0301", "café").levels) == {"cafe\u0301"}
    assert set(of("a\u00a0b", "a b").levels) == {"a b"}


def test_cells_that_show_nothing_are_missing_and_said():
    found = of("a", "\u200b")
    assert found.levels.isna().tolist() == [False, True]
    assert "show nothing" in found.notes[0]


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("yes", "Yes", "case alone"),
        ("don't", "don\u2019t", "quotes"),
        ("a-b", "a\u2013b", "dashes"),
        ("\uff21", "A", "widths"),
    ],
)
def test_levels_that_nearly_look_the_same_are_kept_apart_and_named(one, other, what):
    found = of(one, other, one)
    assert found.levels.tolist() == [one, other, one]
    assert f"{one!r} (2 rows)" in found.warnings[0]
    assert what in found.warnings[0]


def test_ordinary_levels_are_left_alone():
    series = pd.Series(["a", None, "b"], dtype="str")
    found = merged(series)
    assert found.levels is series
    assert found.notes == found.warnings == ()


def test_variants_of_labels_are_one_class():
    data = load(table(["New York", "New\u00a0York", "Rome"]), target="y")
    assert data.target.labels == ("New York", "Rome")
    assert "The target 'y' has levels that look the same" in " ".join(data.notes)


def test_labels_that_differ_in_case_are_warned_about():
    data = load(table(["yes", "Yes", "no", "NO"]), target="y")
    assert data.target.labels == ("NO", "Yes", "no", "yes")
    assert (
        "The target 'y' has levels that differ in case alone: 'NO' (15 rows)" in (data.warnings[0])
    )


def test_a_new_cell_finds_the_level_that_it_shows():
    data = load(table(["a", "b"], city=["New York", "Rome", "Ca\u0301diz"]), target="y")
    rows = pd.DataFrame({"x": [1.0] * 3, "city": ["New\u00a0York", "Rome\u200b", "C\u00e1diz"]})
    assert read_rows(rows, data.schema).frame["city"].tolist() == [
        "New York",
        "Rome",
        "Ca\u0301diz",
    ]


def test_levels_of_older_models_that_look_the_same_are_found_by_their_characters_alone():
    assert as_seen(["a b", "a\u00a0b", "c"]) == {"c": "c"}


def test_groups_that_look_the_same_are_one_group():
    data = load(table(["a", "b"], shop=["x", "x\u200b", "z"]), target="y", groups="shop")
    assert set(data.groups) == {0, 1}


def test_a_column_that_shows_nothing_is_left_out():
    data = load(table(["a", "b"], empty=["\u200b", "\ufeff"]), target="y")
    assert "Column 'empty' was left out: none of its cells is filled." in data.notes


def test_visible_text_is_its_own_visible_form():
    assert visible(visible(" a\u00a0\u200bb ")) == visible(" a\u00a0\u200bb ") == "a b"


def test_a_new_cell_that_shows_nothing_is_missing():
    data = load(table(["a", "b"], city=["x", "z"]), target="y")
    rows = pd.DataFrame({"x": [1.0], "city": ["\u200b"]})
    assert read_rows(rows, data.schema).frame["city"].isna().all()
