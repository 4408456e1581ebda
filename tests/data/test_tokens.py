"""Words in their order: which columns keep it, how words are numbered, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import hpsearch
from hpsearch.data import Schema
from hpsearch.data.rows import read_rows
from hpsearch.errors import InputError

FRAME = pd.DataFrame(
    {"note": ["Good film", "bad", "not good at all", None], "more": ["x"] * 4, "y": [1, 0, 0, 1]}
)
LISTS, Y = [[1, 2, 3], [2], [5, 9, 3, 1], [4]], [0.5, 1.0, 2.0, 1.5]


def loaded(**options):
    return hpsearch.load(FRAME, target="y", text="note", words_as="tokens", **options)


def column_of(data, name):
    [column] = [column for column in data.schema.columns if column.name == name]
    return column


def test_a_texts_words_keep_their_order_up_to_the_longest_row():
    column = column_of(loaded(), "note")
    assert (column.kind, column.width) == ("text", 4)
    assert column.levels == ("all", "at", "bad", "film", "good", "not")


def test_more_words_than_are_kept_are_cut_and_it_is_said():
    data = loaded(max_tokens=2)
    assert column_of(data, "note").width == 2
    assert any("1 row has more than 2 words, of which the first" in note for note in data.notes)


def test_words_are_a_bag_unless_it_is_asked_otherwise():
    data = hpsearch.load(FRAME, target="y", text=["note", "more"], words_as={"note": "tokens"})
    assert [c.name for c in data.schema.tokens] == ["note"]
    assert [c.name for c in data.schema.bags] == ["more"]
    assert hpsearch.load(FRAME, target="y", text="note", words_as="words").schema.tokens == ()


def test_a_schema_with_tokens_goes_through_json():
    schema = loaded().schema
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    "x",
    [
        LISTS,
        np.array(LISTS, dtype=object),
        {"x": LISTS},
        pd.DataFrame({"x": pd.Series(LISTS)}),
    ],
)
def test_rows_of_word_numbers_keep_their_order(x):
    data = hpsearch.load(x, Y, words_as={"x": "tokens"}, max_tokens=3)
    column = column_of(data, "x")
    assert (column.kind, column.shape, column.width) == ("words", (10,), 3)
    expected = [[3, 4, 5], [4, 0, 0], [7, 11, 5], [6, 0, 0]]
    assert_array_equal(data.arrays["x"], np.array(expected, np.int32))


def test_a_padded_array_of_word_numbers_says_what_its_padding_is():
    padded = np.array([[1, 2], [2, 0], [0, 3], [0, 0]])
    data = hpsearch.load(padded, Y, words_as="tokens", padding=0)
    assert_array_equal(data.arrays["x"], [[3, 4], [4, 0], [5, 0], [1, 0]])
    new = read_rows(np.array([[0, 2]]), data.schema)
    assert_array_equal(new.arrays["x"], [[4, 0]])


def test_new_rows_are_cut_and_unknown_numbers_told_of():
    data = hpsearch.load(LISTS, Y, words_as="tokens", max_tokens=3)
    rows = read_rows([[1, 99, 2, 3], []], data.schema)
    assert_array_equal(rows.arrays["x"], [[3, 1, 4], [1, 0, 0]])
    assert rows.unseen == (
        "Column 'x': 1 row has more than 3 words, of which the first ones were kept.",
        "Column 'x': 1 word number beyond the 10 known ones.",
    )


def test_new_texts_are_cut_and_it_is_told():
    rows = read_rows(pd.DataFrame({"note": ["good " * 5]}), loaded().schema)
    assert any("1 row has more than 4 words" in said for said in rows.unseen)


def test_the_order_of_words_is_part_of_the_fingerprint():
    bag = hpsearch.load(FRAME, target="y", text="note")
    assert len({bag.fingerprint, loaded().fingerprint, loaded(max_tokens=2).fingerprint}) == 3


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (
            FRAME,
            {"text": "note", "words_as": "token"},
            "--as is words .* or tokens .* received 'token'",
        ),
        (FRAME, {"text": "note", "words_as": {"nte": "tokens"}}, "no 'nte'. Did you mean 'note'"),
        (FRAME, {"words_as": "tokens"}, "columns of text, and there is none. Name one with --text"),
        (FRAME, {"text": "note", "max_tokens": 5}, "--max-tokens belongs to words that keep"),
        (
            FRAME,
            {"text": "note", "words_as": "tokens", "max_tokens": 0},
            "whole number of at least 1",
        ),
        (FRAME, {"text": "note", "words_as": 3}, "`words_as` is a dictionary"),
    ],
)
def test_options_without_a_meaning_are_refused_in_one_line(source, options, said):
    with pytest.raises(InputError, match=said) as caught:
        hpsearch.load(source, target="y", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([[1, -2], [3]], "Word numbers count from 0; received -2"),
        ([[1.5, 2.0], [3.0]], "word numbers .whole numbers."),
        (np.eye(2, dtype=np.float32), "no column of text|there is none"),
    ],
)
def test_rows_that_are_no_words_are_refused(x, said):
    with pytest.raises(InputError, match=said):
        hpsearch.load(x, [0.0, 1.0], words_as="tokens")


def test_which_words_occur_says_nothing_of_their_order():
    from scipy import sparse

    marks = sparse.csr_array(np.eye(4))
    with pytest.raises(InputError, match="Tokens are words in their order; column 'x' says which"):
        hpsearch.load(marks, Y, words_as="tokens")
    known = hpsearch.load(LISTS, Y, words_as="tokens").schema
    with pytest.raises(InputError, match="column 'x' says which words occur"):
        read_rows(sparse.csr_array(np.eye(4, 10)), known)
    with pytest.raises(InputError, match="'x' holds word numbers; received one cell per row"):
        read_rows(pd.DataFrame({"x": ["a"]}), known)
