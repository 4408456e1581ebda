"""A level that is written otherwise is found, where it is the only one that is meant."""

import pandas as pd
import pytest

from hpsearch.data import load, read_rows
from hpsearch.data.levels import form_note, known_forms

PAIRS = [("False", "True"), ("no", "yes"), ("N", "Y"), ("f", "t"), ("off", "ON"), ("0", "1")]


@pytest.mark.parametrize("levels", PAIRS)
@pytest.mark.parametrize("cells", PAIRS)
def test_every_pair_of_words_for_false_and_true_means_every_other(levels, cells):
    forms = known_forms(cells, levels)
    assert [forms.get(cell, cell) for cell in cells] == list(levels)


def test_case_plays_no_part_in_words_for_true_and_false():
    assert known_forms(["TRUE", "nO"], ["True", "False"]) == {"TRUE": "True", "nO": "False"}


def test_other_levels_keep_their_case():
    assert known_forms(["XL", "Xl"], ["xl", "s"]) == {}


def test_words_for_true_and_false_are_nothing_among_other_levels():
    assert known_forms(["1", "True"], ["yes", "no", "perhaps"]) == {}
    assert known_forms(["1", "True"], ["n", "s", "e", "w"]) == {}


def test_a_single_letter_is_no_word_for_true():
    assert known_forms(["no", "0"], ["N"]) == {}
    assert known_forms(["1"], ["yes"]) == {"1": "yes"}


def test_the_other_side_of_a_single_level_is_unseen():
    assert known_forms(["0", "no"], ["yes"]) == {}


def test_two_spellings_of_one_side_are_left_alone():
    assert known_forms(["1"], ["yes", "Yes"]) == {}


@pytest.mark.parametrize("cell", ["3.0", "3.00", "+3"])
def test_a_whole_number_means_its_level(cell):
    assert known_forms([cell], ["3", "4"]) == {cell: "3"}


def test_codes_and_versions_are_no_numbers():
    assert known_forms(["7", "007", "1.1", "1.10", "2.5"], ["07", "1.100", "2.50"]) == {}


def test_words_for_missing_are_missing_where_levels_are_true_and_false():
    assert known_forms(["NA", "?"], ["False", "True"]) == {"NA": None, "?": None}
    assert known_forms(["NA"], ["no", "yes"]) == {}


def test_words_for_missing_are_missing_among_huge_numbers():
    assert known_forms(["NA"], ["9007199254740993", "5"]) == {"NA": None}
    assert known_forms(["NA"], ["007", "5"]) == {}


def test_a_control_character_reads_as_it_did_in_training():
    column = pd.Series(["a\x1fb", "a\x1fb", "c", "d"], dtype="str")
    table = pd.DataFrame({"t": column, "y": [1.0, 2.0, 4.0, 8.0]})
    data = load(table, target="y")
    rows = read_rows(table, data.schema)
    assert rows.frame["t"].tolist() == data.frame["t"].tolist() == ["a b", "a b", "c", "d"]


def test_only_other_words_for_true_and_false_are_told():
    assert form_note({"New\u00a0York": "New York", "3.0": "3", "YES": "yes", "NA": None}, "c") == ()
    assert form_note({"1.0": "True"}, "c") == ("Column 'c': '1.0' was read as 'True'.",)
