"""Words in their order as a network gets them: what a fold knows, and how far its rows reach."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from hpsearch.data import Column, Schema
from hpsearch.preprocessing import Inputs, Layout, encode, fit_statistics
from hpsearch.preprocessing.columns import ColumnParts
from hpsearch.preprocessing.design import bag_of_tokens
from hpsearch.preprocessing.inputs import design_inputs, input_rows
from hpsearch.task import Input, Target

WORDS = ("bad", "film", "good", "not")
SCHEMA = Schema(
    (
        Column("note", "text", levels=WORDS, width=4, word_rule="scripts"),
        Column("ids", "words", shape=(3,), width=2),
    ),
    Target(("y",), "regression"),
)
TEXTS = ["good film", "not good, not bad", "good awful film", None]
IDS = np.array([[2, 0], [4, 3], [1, 0], [2, 4]], np.int32)
ROWS = encode(SCHEMA, pd.DataFrame({"note": pd.Series(TEXTS, dtype="str")}), {"ids": IDS}, 4)
LAYOUT = Layout.of(SCHEMA, max_words=2)


def learnt(*rows):
    return fit_statistics(ROWS, np.zeros((4, 1)), np.array(rows), LAYOUT, scale_target=False)


def given(statistics, *names):
    return input_rows(ROWS, LAYOUT, statistics, names)


def test_a_fold_knows_the_most_frequent_words_of_its_training_rows():
    [notes] = given(learnt(0, 2, 3), "note")  # good and film twice; not and bad are never seen
    assert_array_equal(notes, [[3, 2, 0, 0], [1, 3, 1, 0], [3, 1, 2, 0], [1, 0, 0, 0]])


def test_rows_reach_as_far_as_the_longest_training_row():
    [notes] = given(learnt(0, 3), "note")
    assert_array_equal(notes, [[3, 2, 0, 0], [1, 3, 0, 0], [3, 1, 0, 0], [1, 0, 0, 0]])


def test_each_column_has_words_of_its_own():
    assert_array_equal(given(learnt(0, 1), "ids")[0], [[2, 0], [1, 3], [1, 0], [2, 1]])
    assert_array_equal(learnt(0, 1).token_slots[6:], [0, 1, 2, 3, 1])


def test_an_input_tells_its_width_and_its_numbers():
    inputs = Inputs(LAYOUT)
    assert inputs["note"] == Input((4,), "int32", 4, is_tokens=True)
    assert inputs["ids"] == Input((2,), "int32", 4, is_tokens=True)
    assert "tokens" not in inputs  # which of the two would it be
    assert list(inputs) == ["note", "ids"]


def test_one_column_alone_is_what_tokens_are():
    layout = Layout.of(Schema(SCHEMA.columns[:1], SCHEMA.target))
    assert (
        Inputs(layout)["tokens"]
        == Inputs(layout)["note"]
        == Input((4,), "int32", 6, is_tokens=True)
    )
    assert layout.input_shape == (4,)
    assert Inputs(layout).only == "note"


@pytest.mark.parametrize("xp", ["jax.numpy", "keras.ops"])
def test_jax_and_keras_make_what_numpy_makes(xp):
    module = pytest.importorskip(xp.split(".")[0])
    ops = getattr(module, xp.split(".")[1])
    statistics = learnt(0, 1, 2)
    found = design_inputs(ops, LAYOUT, statistics, ("ids", "note"), tokens=ROWS.tokens)
    for one, other in zip(found, given(statistics, "ids", "note"), strict=True):
        assert "int32" in str(one.dtype)
        assert_array_equal(np.asarray(one), other)


def test_a_bag_of_tokens_says_which_known_words_occur():
    bag = bag_of_tokens(ROWS.tokens, LAYOUT, learnt(0, 1, 2, 3)).toarray()
    assert_array_equal(bag, [[1, 1, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]])


def test_a_columns_words_come_from_other_rows_alone():
    parts = ColumnParts.of(SCHEMA, ["ids"])
    shuffled = parts.taken_from(ROWS, np.array([1, 0, 3, 2]))
    assert_array_equal(shuffled.tokens[:, :4], ROWS.tokens[:, :4])
    assert_array_equal(shuffled.tokens[:, 4:], IDS[[1, 0, 3, 2]])
