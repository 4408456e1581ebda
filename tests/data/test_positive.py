"""Which of two labels is the positive one."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.data.loading import load_test
from hpsearch.errors import OptionError

TABLE = pd.DataFrame(
    {"x": [0.5, 1.5, 2.5, 3.5, 4.5], "state": ["bad", "good", "good", "bad", "good"]}
)


def test_the_second_label_in_their_order_is_the_positive_one():
    data = hpsearch.load(TABLE, target="state")
    assert data.target.labels == ("bad", "good")
    assert data.y.tolist() == [0, 1, 1, 0, 1]
    assert "The positive class of 'state' is 'good', the other 'bad'." in data.notes


def test_the_label_that_is_named_is_the_positive_one():
    data = hpsearch.load(TABLE, target="state", positive="bad")
    assert data.target.labels == ("good", "bad")
    assert data.y.tolist() == [1, 0, 0, 1, 0]
    assert "The positive class of 'state' is 'bad', the other 'good'." in data.notes
    assert not any("is 'good', the other" in note for note in data.notes)


def test_naming_the_second_label_changes_nothing():
    one, other = (hpsearch.load(TABLE, target="state", positive=p) for p in (None, "good"))
    assert one.fingerprint == other.fingerprint


def test_another_positive_label_is_another_set_of_data():
    one, other = (hpsearch.load(TABLE, target="state", positive=p) for p in (None, "bad"))
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize("positive", [0, "0", np.int64(0)])
def test_numbers_and_their_text_name_a_label(positive):
    frame = TABLE.assign(state=[0, 1, 1, 0, 1])
    data = hpsearch.load(frame, target="state", task="binary", positive=positive)
    assert data.target.labels == (1, 0)
    assert data.y.tolist() == [1, 0, 0, 1, 0]
    assert load_test(frame, data).y.tolist() == [1, 0, 0, 1, 0]


def test_test_rows_are_read_with_the_same_positive_label():
    data = hpsearch.load(TABLE, target="state", positive="bad")
    assert load_test(TABLE, data).y.tolist() == data.y.tolist()


def test_a_flag_may_be_positive_where_it_is_off():
    frame = TABLE.assign(state=TABLE["state"] == "good")
    data = hpsearch.load(frame, target="state", positive=False)
    assert data.target.labels == (True, False)
    assert load_test(frame, data).y.tolist() == data.y.tolist() == [1, 0, 0, 1, 0]


def test_a_label_that_there_is_not_is_refused():
    with pytest.raises(
        OptionError, match="a label of the target 'state', 'bad' or 'good'; received 'ugly'"
    ):
        hpsearch.load(TABLE, target="state", positive="ugly")


@pytest.mark.parametrize(
    ("target", "kind"), [([0.1, 0.2, 0.4, 0.3, 0.9], "regression"), ([0, 1, 2, 1, 0], "multiclass")]
)
def test_targets_without_two_labels_have_no_positive_one(target, kind):
    frame = pd.concat([TABLE.assign(state=target)] * 2, ignore_index=True)
    with pytest.raises(OptionError, match=f"one of two labels; the target state is {kind}"):
        hpsearch.load(frame, target="state", task=kind, positive="1")
