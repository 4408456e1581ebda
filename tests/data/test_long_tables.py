"""Long tables: a sequence for each series, windows of a forecast, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hpsearch.data import Schema, load
from hpsearch.data.rows import read_rows
from hpsearch.errors import DataError, FoldError, OptionError
from hpsearch.folds import IteratedKFold, choose_splitter, make_folds

LONG = pd.DataFrame(
    {
        "id": ["b", "a", "b", "a", "c", "b", "c"],
        "day": [f"{day:02}.01.2020" for day in (3, 1, 1, 2, 5, 2, 13)],
        "heat": ["3,5", "1,5", "2,5", "", "9", "4", "7"],
        "wet": [True, False, False, True, True, False, True],
        "ill": ["yes", "no", "yes", "no", "yes", "yes", "yes"],
    }
)
SEQUENCES = np.array(
    [
        [[2.5, 0.0], [4.0, 0.0], [3.5, 1.0]],
        [[1.5, 0.0], [np.nan, 1.0], [np.nan, np.nan]],
        [[9.0, 1.0], [7.0, 1.0], [np.nan, np.nan]],
    ]
)
BY_ID = {"target": "ill", "series": "id", "time": "day"}


def hours(n, **columns):
    """A table of so many hours."""
    times = pd.date_range("2020-01-01", periods=n, freq="h")
    return pd.DataFrame({"t": times, "v": np.arange(n) / 8, **columns})


FORECAST = {"target": "v", "time": "t", "window": 3, "horizon": 2}


# -- a sequence for each series


def test_each_series_is_a_row_whose_steps_follow_the_time():
    data = load(LONG, **BY_ID)
    assert_array_equal(data.arrays["sequence"], SEQUENCES)
    assert [data.target.labels[code] for code in data.y] == ["yes", "no", "yes"]
    assert data.time is None
    assert data.schema.long.names == ["heat", "wet"]
    assert (
        "steps of 3 sequences, one for each value of 'id', in the order of 'day'" in data.notes[0]
    )


def test_new_steps_are_read_as_the_others_were_and_named_by_their_series():
    schema = Schema.from_json(load(LONG, **BY_ID).schema.to_json())
    new = LONG[LONG["id"] != "b"].assign(day=lambda t: t["day"].where(t["id"] == "a", "06.01.2020"))
    new = new.drop(columns="ill").drop_duplicates(["id", "day"]).assign(more=1)
    rows = read_rows(new, schema)
    assert rows.labels.to_dict("list") == {"id": ["a", "c"]}
    assert_array_equal(rows.arrays["sequence"][0], SEQUENCES[1])
    assert rows.notes[0] == "Columns that the model does not use were ignored: more."


def test_groups_and_weights_belong_to_the_whole_series():
    table = LONG.assign(house=LONG["id"].map({"a": 1, "b": 2, "c": 2}), w=[2, 1, 2, 1, 3, 2, 3])
    data = load(table, groups="house", sample_weight="w", **BY_ID)
    assert data.groups.tolist() == [1, 0, 1]
    assert data.weights.tolist() == [2.0, 1.0, 3.0]


def test_test_rows_are_series_too():
    data = load(LONG, **BY_ID)
    test = load(LONG[LONG["id"] == "a"], schema=data.schema)
    assert_array_equal(test.arrays["sequence"], SEQUENCES[1:2])


def test_a_step_holds_numbers_and_what_is_not_is_left_out_with_a_warning():
    table = LONG.assign(place=["u", "v", "u", "v", "u", "u", "w"])
    data = load(table, **BY_ID)
    assert data.schema.long.names == ["heat", "wet"]
    assert "Column 'place' was left out: a step of a sequence holds numbers" in data.warnings[0]


# -- windows


def test_windows_hold_all_numbers_up_to_the_horizon_before_their_target():
    data = load(hours(7, w=[1, 2, 4, 8, 16, 32, 64]), **FORECAST)
    assert data.arrays["sequence"].shape == (3, 3, 2)
    assert_array_equal(data.arrays["sequence"][1], [[0.125, 2], [0.25, 4], [0.375, 8]])
    assert data.y.ravel().tolist() == [0.5, 0.625, 0.75]
    hour = 3_600_000_000
    assert (data.time - data.begins).tolist() == [4 * hour] * 3


def test_windows_stay_within_their_series_and_short_ones_are_left_out():
    table = pd.concat([hours(6, id="a"), hours(4, id="b"), hours(5, id="c")]).sample(
        frac=1, random_state=0
    )
    data = load(table, series="id", **FORECAST)
    assert data.arrays["sequence"][..., 0].tolist() in (
        [[0.0, 0.125, 0.25], [0.125, 0.25, 0.375], [0.0, 0.125, 0.25]],
        [[0.0, 0.125, 0.25], [0.0, 0.125, 0.25], [0.125, 0.25, 0.375]],
    )
    assert "1 series of fewer than 5 rows were left out." in data.notes


def test_windows_whose_target_is_missing_are_left_out_and_missing_values_within_are_kept():
    table = hours(9)
    table.loc[5, "v"] = np.nan
    data = load(table, **FORECAST)
    assert data.n_rows == 4
    assert np.isnan(data.arrays["sequence"]).sum() == 2
    assert "1 window without a target, or without any value, were left out." in data.notes


def test_the_class_of_a_later_row_can_be_forecast():
    table = hours(12, state=["low", "high", "low"] * 4)
    data = load(table, **{**FORECAST, "target": "state"})
    assert data.target.kind == "binary"
    assert data.schema.long.names == ["v"]


def test_a_forecast_is_made_from_the_last_window_of_each_series():
    table = pd.concat([hours(9, id="a"), hours(9, id="b")])
    schema = load(table, series="id", **FORECAST).schema
    schema = Schema.from_json(schema.to_json())
    new = pd.concat([hours(5, id="b"), hours(3, id="c")])
    rows = read_rows(new, schema)
    assert rows.labels["id"].tolist() == ["b", "c"]
    assert rows.labels["t"].astype(str).tolist() == ["2020-01-01 04:00:00", "2020-01-01 02:00:00"]
    assert rows.arrays["sequence"][..., 0].tolist() == [[0.25, 0.375, 0.5], [0.0, 0.125, 0.25]]
    test = load(new, schema=schema)  # of which the target is needed
    assert test.y.ravel().tolist() == [0.5]


@pytest.mark.parametrize("freq", ["D", "W", "MS", "ME", "QS", "YS", "B", "15min"])
def test_calendars_have_even_steps(freq):
    times = pd.date_range("2019-12-31", periods=30, freq=freq)
    data = load(hours(30).assign(t=times), **FORECAST)
    assert data.n_rows == 26
    new = hours(4).assign(t=pd.date_range("2030-02-28", periods=4, freq=freq))
    assert len(read_rows(new, data.schema).labels) == 1


def test_numbers_may_be_times():
    table = hours(9).assign(t=np.arange(9) * 0.1 + 5)
    assert load(table, **FORECAST).n_rows == 5


# -- folds


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_no_row_of_the_table_is_in_windows_on_both_sides_of_a_cut(data):
    window, horizon = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    lengths = data.draw(st.lists(st.integers(12, 40), min_size=1, max_size=3))
    starts = data.draw(st.lists(st.integers(0, 30), min_size=3, max_size=3))
    table = pd.concat(
        pd.DataFrame({"id": str(i), "t": np.arange(n) + start, "v": np.arange(n) + 100.0 * i})
        for i, (n, start) in enumerate(zip(lengths, starts, strict=False))
    )
    dataset = load(table, target="v", series="id", time="t", window=window, horizon=horizon)
    try:
        splitter, reason = choose_splitter(dataset, folds=data.draw(st.integers(1, 3)), repeats=1)
        folds = make_folds(splitter, dataset)
    except FoldError:
        return  # too few rows
    assert "windows across the cut left out" in reason
    rows = dataset.arrays["sequence"][..., 0]  # each value stands for a row
    used = [np.append(row, y) for row, y in zip(rows, dataset.y[:, 0], strict=True)]
    for fold in folds:
        seen = np.concatenate([used[row] for row in fold.train])
        assert not np.isin(seen, np.concatenate([used[row] for row in fold.validation])).any()
        assert dataset.time[fold.train].max() < dataset.begins[fold.validation].min()


def test_a_splitter_that_shuffles_windows_is_refused():
    data = load(hours(40), **FORECAST)
    with pytest.raises(FoldError, match=r"trains on \d+ windows that overlap in time with those"):
        make_folds(IteratedKFold(3, 1), data)


def test_windows_that_leave_nothing_to_train_on_are_refused():
    data = load(hours(12), **FORECAST)
    splitter, _ = choose_splitter(data, folds=4, repeats=1)
    with pytest.raises(FoldError, match="Lower --folds or --window, or give more rows"):
        make_folds(splitter, data)


# -- what is refused


def changed(table, row, **cells):
    table = table.astype(object)
    for name, cell in cells.items():
        table.loc[row, name] = cell
    return table


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        (changed(LONG, 0, ill="no"), BY_ID, "within 'b' of 'id' it differs: rows 0 ('no') and 2"),
        (changed(LONG, 0, day="01.01.2020"), BY_ID, "rows 0 and 2 have the same 'day'"),
        (changed(LONG, 0, id=None), BY_ID, "--series needs a value in every row; 'id' has 1"),
        (changed(LONG, 0, day=None), BY_ID, "--time needs a value in every row; 'day' has 1"),
        (LONG[["id", "day", "ill"]], BY_ID, "needs a column of numbers; 'table' has none besides"),
        (
            hours(9).drop(index=4),
            FORECAST,
            "01:00:00; 2020-01-01 05:00:00 follows 2020-01-01",
        ),
        (hours(4), FORECAST, "needs a series of 5 rows; the longest has 4. Lower --window"),
        (pd.concat([hours(9), hours(9)]), FORECAST, "tells series apart with --series"),
        (hours(9).assign(v=[1.0] * 4 + [np.nan] * 5), FORECAST, "A window needs a target; that of"),
    ],
)
def test_tables_that_cannot_be_sequences_are_one_line(table, options, said):
    with pytest.raises(DataError, match=re.escape(said)):
        load(table.reset_index(drop=True), **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizon": 2, "target": "v"}, "`horizon` says what a window predicts; give --window too"),
        ({"window": 3, "target": "v"}, "--window needs the order of its rows; name their column"),
        ({"series": "id", "target": "v"}, "--series needs the order of its rows"),
        ({**FORECAST, "window": 0}, "`window` must be a whole number of at least 1"),
        ({**FORECAST, "groups": "id"}, "--groups has no meaning beside --window"),
        ({**FORECAST, "kinds": {"x": "image"}}, "--array has no meaning beside --window"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(options, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        load(hours(9, id="a"), **options)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (hours(2), "needs the last 3 rows before it; the table has 2. Give as many."),
        (hours(9).drop(columns="v"), "'v' is missing. Columns received: t."),
        (hours(9).iloc[::2], "here of 01:00:00; 2020-01-01 02:00:00 follows 2020-01-01"),
        (changed(hours(4), 1, v="much"), "'v'"),
    ],
)
def test_new_rows_that_make_no_window_are_one_line(new, said):
    with pytest.raises(DataError, match=re.escape(said)):
        read_rows(new, load(hours(9), **FORECAST).schema)
