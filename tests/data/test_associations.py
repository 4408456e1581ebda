"""Which columns go together: measured on cells of every kind."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.data.associations import associations, column_groups

N = 400


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, N))
    level = np.digitize(z, [-1.0, 0.0, 1.0])
    other = np.where(rng.random(N) < 0.05, rng.integers(0, 4, N), level)
    frame = pd.DataFrame(
        {
            "x": x,
            "cube": x**3 + 0.1 * rng.normal(size=N),
            "noise": rng.normal(size=N),
            "level": np.array(list("abcd"))[level],
            "z": z,
            "again": np.array(list("pqrs"))[other],
            "coin": rng.choice(["heads", "tails"], N),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N), "D"),
            "count": np.arange(N) + rng.integers(0, 20, N),
        }
    )
    return hpsearch.load(frame.assign(y=x), target="y")


def test_columns_that_say_the_same_are_one_group_whatever_their_kinds(data):
    assert column_groups(data) == (
        ("x", "cube"),
        ("noise",),
        ("level", "z", "again"),
        ("coin",),
        ("day", "count"),
    )


def test_any_two_of_a_group_go_together(data):
    found = associations(data, list(data.schema.columns))
    names = [column.name for column in data.schema.columns]
    np.testing.assert_array_equal(found, found.T)
    for group in column_groups(data, least=0.9):
        places = [names.index(name) for name in group]
        assert found[np.ix_(places, places)].min() >= 0.9


def test_spearman_correlation_and_cramers_v_are_those_of_scipy(data):
    from scipy import stats

    columns = [data.schema.columns[i] for i in (0, 2, 3, 5)]
    found = associations(data, columns)
    x, noise, level, again = (data.frame[c.name] for c in columns)
    assert found[0, 1] == pytest.approx(abs(stats.spearmanr(x, noise).statistic))
    v = stats.contingency.association(pd.crosstab(level, again), method="cramer")
    assert found[2, 3] == pytest.approx(v, abs=0.01), "corrected for chance"
    assert found[2, 0] < 0.1


def test_missing_cells_constant_columns_and_levels_of_one_row_go_with_nothing():
    x = np.arange(40.0)
    frame = pd.DataFrame(
        {
            "x": x,
            "gone": np.where(x < 38, np.nan, 1.0),
            "same": np.full(40, 7.0),
            "names": [f"person {i}" for i in range(40)],
            "half": np.where(x % 2, (x * 7) % 40, np.nan),
        }
    )
    data = hpsearch.load(frame.assign(y=x[::-1]), target="y")
    assert all(len(group) == 1 for group in column_groups(data))


def test_texts_and_arrays_are_groups_of_their_own():
    rng = np.random.default_rng(0)
    data = hpsearch.load(rng.normal(size=(30, 4, 4, 1)), rng.normal(size=30))
    assert column_groups(data) == (tuple(c.name for c in data.schema.columns),)
