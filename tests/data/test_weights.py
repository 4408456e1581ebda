"""Weights of rows: which column, what it may hold, what stands apart from the table."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import hpsearch
from hpsearch.data.fingerprint import fingerprint_of_weights
from hpsearch.errors import DataError


def frame(**columns):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=6), "y": rng.normal(size=6), **columns})


def test_a_column_of_weights_is_no_feature():
    data = hpsearch.load(frame(w=[1, 2, 0.5, 4, 1, 1]), target="y", sample_weight="w")
    assert [column.name for column in data.schema.columns] == ["x"]
    assert_array_equal(data.weights, [1, 2, 0.5, 4, 1, 1])
    assert "weights: w, 0.5 to 4" in data.describe()
    assert_array_equal(data.take(np.array([3, 0])).weights, [4, 1])


def test_weights_are_given_by_row_as_well():
    table = frame()
    data = hpsearch.load(table[["x"]], table["y"], sample_weight=[1, 2, 3, 1, 2, 3])
    assert_array_equal(data.weights, [1, 2, 3, 1, 2, 3])
    with pytest.raises(DataError, match="`sample_weight` needs a value for each row"):
        hpsearch.load(table[["x"]], table["y"], sample_weight=[1, 2])


def test_weights_are_read_as_any_number_is():
    text = "x;w;y\n1,5;1.000,5;1\n2,5;2.000,25;2\n3,25;3.000,75;3\n"
    data = hpsearch.load(pd.read_csv(pd.io.common.StringIO(text), sep=";", dtype=str), target="y",
                         sample_weight="w")  # fmt: skip
    assert_array_equal(data.weights, [1000.5, 2000.25, 3000.75])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, None, 1, 1, 1], "--weights needs a value in every row; 'w' has 1 missing"),
        ([1, 2, -3, 1, 1, 1], "not negative; column 'w' has some in row 2"),
        ([1, 2, np.inf, 1, 1, 1], "'w'"),
        ([1, 2, 1e-60, 1, 1, 1], "float32 can hold; column 'w' has smaller ones in row 2"),
        ([1, 2, 1e60, 1, 1, 1], "'w'"),
        ([0] * 6, "some row that weighs more than zero"),
        (list("abcdef"), "--weights needs numbers; column 'w'"),
    ],
)
def test_what_weighs_nothing_sensible_is_refused_with_its_rows(weights, message):
    with pytest.raises(DataError, match=message):
        hpsearch.load(frame(w=weights), target="y", sample_weight="w")


@pytest.mark.parametrize(("unit", "said"), [(1e-3, "small"), (1, None), (1e3, "large")])
def test_a_unit_of_weights_that_networks_learn_too_little_in_is_warned_of(unit, said):
    data = hpsearch.load(frame(w=unit * np.arange(1, 7)), target="y", sample_weight="w")
    texts = [text for text in data.warnings if "divide the weights by their mean" in text]
    assert len(texts) == (said is not None)
    assert all(f"losses are that {said}" in text for text in texts)


def test_rows_that_weigh_nothing_are_warned_of():
    data = hpsearch.load(frame(w=[0, 2, 0, 1, 1, 1]), target="y", sample_weight="w")
    assert [text for text in data.warnings if "2 rows weigh nothing by 'w'" in text]


def test_new_rows_have_weights_where_they_are_asked_for():
    data = hpsearch.load(frame(w=[1, 2, 0.5, 4, 1, 1]), target="y", sample_weight="w")
    rows = hpsearch.load(frame(w=[3, 2, 1, 1, 1, 1]), schema=data.schema, sample_weight="w")
    assert_array_equal(rows.weights, [3, 2, 1, 1, 1, 1])
    assert not rows.notes  # the column is no stranger
    given = hpsearch.load(frame(), schema=data.schema, sample_weight=range(6))
    assert_array_equal(given.weights, range(6))
    with pytest.raises(DataError, match="'w'"):
        hpsearch.load(frame(), schema=data.schema, sample_weight="w")
    with pytest.raises(DataError, match="'x' is a column of the model"):
        hpsearch.load(frame(), schema=data.schema, sample_weight="x")


def test_equal_weights_weigh_in_no_score():
    data = hpsearch.load(frame(w=[2.5] * 6), target="y", sample_weight="w")
    assert data.score_weights is None
    data = hpsearch.load(frame(w=range(1, 7)), target="y", sample_weight="w")
    assert_array_equal(data.score_weights, range(1, 7))
    assert data.scored(by_weight=False).take(np.arange(3)).score_weights is None


def test_a_column_plays_one_part():
    with pytest.raises(DataError, match="'w' is named by --groups and --weights"):
        hpsearch.load(frame(w=range(1, 7)), target="y", sample_weight="w", groups="w")


def test_weights_stand_apart_from_the_fingerprint_of_the_rows():
    table = frame(w=range(1, 7))
    weighted = hpsearch.load(table, target="y", sample_weight="w")
    plain = hpsearch.load(table, target="y", drop=["w"])
    assert weighted.fingerprint == plain.fingerprint
    other = hpsearch.load(table.assign(w=2), target="y", sample_weight="w")
    prints = {fingerprint_of_weights(data) for data in (weighted, plain, other)}
    assert len(prints) == 3
    assert None in prints
