"""Counts and what they were counted over: what is read, and what is refused in one line."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.data import load
from hpsearch.errors import DataError, OptionError

FRAME = pd.DataFrame(
    {
        "age": [20.0, 31.0, 44.0, 52.0, 63.0],
        "years": [0.5, 1.0, 2.0, 1.5, 0.25],
        "claims": [0, 2, 1, 0, 3],
    }
)


def counted(**options):
    return load(FRAME, **{"target": "claims", "task": "count", "exposure": "years", **options})


def test_an_exposure_is_no_feature_and_stands_in_the_schema():
    data = counted()
    assert data.target.kind == "count"
    assert data.y.tolist() == [[0.0], [2.0], [1.0], [0.0], [3.0]]
    assert [(c.name, c.kind) for c in data.schema.columns] == [
        ("age", "number"),
        ("years", "exposure"),
    ]
    assert data.schema.n_features == 1
    assert data.frame["years"].tolist() == FRAME["years"].tolist()
    assert data.describe()[0].endswith("5 rows, 1 feature column")


def test_other_exposures_are_other_data():
    other = FRAME.assign(years=FRAME["years"] * 2)
    again = load(other, target="claims", task="count", exposure="years")
    assert again.fingerprint != counted().fingerprint


def test_exposures_are_read_in_the_form_of_their_table():
    texts = FRAME.assign(years=["0,5", "1,0", "2,0", "1,5", "0,25"])
    data = load(texts, target="claims", task="count", exposure="years")
    assert data.frame["years"].tolist() == FRAME["years"].tolist()


@pytest.mark.parametrize(
    ("changed", "options", "error", "said"),
    [
        ({"claims": [0, -2, 1, 0, 3]}, {}, DataError, r"0, 1, 2 or more; 'claims'.*row 1.*-2"),
        ({"claims": [0, 1.5, 1, 0, 3]}, {}, DataError, r"A count is 0, 1, 2.*row 1 \(1\.5\)"),
        (
            {"claims": [0, 0, 0, 0, 0]},
            {},
            DataError,
            "needs two different values; 'claims' is .*0.* rows with another value",
        ),
        ({"claims": list("abcde")}, {}, DataError, "--task count needs numbers"),
        ({"years": [1.0, 0.0, 1, 1, 1]}, {}, DataError, r"numbers above 0; column 'years'.*row 1"),
        ({"years": [1.0, -1.0, 1, 1, 1]}, {}, DataError, r"numbers above 0; column 'years'.*row 1"),
        ({"years": [1.0, 1e-50, 1, 1, 1]}, {}, DataError, "numbers above 0"),
        ({"years": [1.0, np.nan, 1, 1, 1]}, {}, DataError, "every row; 'years' has 1 missing"),
        ({"years": [1.0, np.inf, 1, 1, 1]}, {}, DataError, "must be finite"),
        ({"years": list("abcde")}, {}, DataError, "--exposure needs numbers; column 'years'"),
        ({}, {"exposure": "year"}, (DataError, OptionError), "--exposure.*'year'"),
        ({}, {"exposure": "claims"}, DataError, "named by --target and --exposure"),
        ({}, {"drop": "years"}, DataError, "named by --drop and --exposure"),
        ({}, {"sample_weight": "years"}, DataError, "named by --weights and --exposure"),
        ({}, {"task": "regression"}, OptionError, "--exposure belongs to --task count"),
        ({}, {"exposure": FRAME["years"]}, OptionError, "`exposure` names a column"),
    ],
)
def test_what_cannot_be_counted_so_is_refused(changed, options, error, said):
    asked = {"target": "claims", "task": "count", "exposure": "years", **options}
    with pytest.raises(error, match=said):
        load(FRAME.assign(**changed), **asked)


def test_new_rows_need_an_exposure_above_0():
    schema = counted().schema
    rows = hpsearch.data.read_rows(FRAME.drop(columns="claims"), schema)
    assert rows.frame["years"].tolist() == FRAME["years"].tolist()
    with pytest.raises(DataError, match=r"'years', which is missing. Add it, with 1 in each row"):
        hpsearch.data.read_rows(FRAME[["age"]], schema)
    with pytest.raises(DataError, match="numbers above 0"):
        hpsearch.data.read_rows(FRAME.assign(years=0.0), schema)


def test_test_rows_are_counts_too():
    with pytest.raises(DataError, match="A count is 0, 1, 2 or more"):
        load(FRAME.assign(claims=-1), schema=counted().schema)


@pytest.mark.parametrize(
    ("y", "is_said"),
    [
        (np.arange(30) % 25, True),  # whole numbers from 0 on
        (np.arange(30) + 7, False),
        (np.repeat([0, 1, 2, 3], [120, 40, 10, 2]), True),  # few, each rarer than the last
        (np.repeat([0, 1, 2, 3], 30), False),
        (np.repeat([0, 1], [90, 30]), False),
    ],
)
def test_a_target_that_looks_like_counts_is_noted(y, is_said):
    data = load(np.random.default_rng(0).normal(size=(len(y), 2)), y)
    assert data.target.kind != "count"
    assert any("use --task count" in note for note in data.notes) == is_said


def test_several_counts_share_their_exposure():
    frame = FRAME.assign(losses=[1, 0, 0, 4, 0])
    data = load(frame, target=["claims", "losses"], task="count", exposure="years")
    assert data.target.n_outputs == 2
