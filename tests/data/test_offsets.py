"""Numbers far from zero: what is taken off them, so that float32 keeps their digits."""

import json

import numpy as np
import pandas as pd
import pytest

from hpsearch.data import Schema, load
from hpsearch.data.offsets import FAR, offset_of
from hpsearch.preprocessing import Layout, design_rows, encode, fit_statistics
from hpsearch.task import Target

RNG = np.random.default_rng(0)
N = 60
SMALL = RNG.random(N)
Y = RNG.normal(size=N)
JULIAN = 2459000.0 + 0.3 * RNG.random(N)


def loaded(column, y=None, **options):
    return load(pd.DataFrame({"x": column, "z": RNG.random(N)}), Y if y is None else y, **options)


def standardised(data):
    layout = Layout.of(data.schema)
    encoded = encode(data.schema, data.frame, data.arrays, data.n_rows)
    statistics = fit_statistics(encoded, data.y, np.arange(N), layout, scale_target=False)
    return design_rows(encoded, layout, statistics)


@pytest.mark.parametrize(
    ("mean", "deviation", "offset"),
    [
        (2459000.53, 0.12, 2459000.0),
        (2459000.53, 0.012, 2459001.0),
        (-4.9e6, 80.0, -4.9e6),
        (1e-3, 1e-9, 0.001),
        (FAR, 1.0, 0.0),
        (5.0, 0.0, 0.0),
    ],
)
def test_the_offset_is_a_round_number_within_fifty_deviations_of_the_mean(mean, deviation, offset):
    assert offset_of(mean, deviation) == pytest.approx(offset, rel=1e-12)
    assert not offset or abs(mean - offset) <= 50 * deviation


def test_a_feature_far_from_zero_keeps_its_digits():
    data = loaded(JULIAN)
    assert data.schema.columns[0].offset == (2459000.0,)
    expected = (JULIAN - JULIAN.mean()) / JULIAN.std()
    np.testing.assert_allclose(standardised(data)[:, 0], expected, rtol=1e-4, atol=1e-5)
    assert data.warnings == ()
    assert any("'x' (2459000)" in note and "7 digits" in note for note in data.notes)


def test_times_of_one_hour_keep_their_seconds():
    seconds = RNG.integers(0, 3600, N)
    data = loaded(pd.Timestamp("2024-03-01 12:00") + pd.to_timedelta(seconds, unit="s"))
    expected = (seconds - seconds.mean()) / seconds.std()
    np.testing.assert_allclose(standardised(data)[:, 0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "column", [100.0 + SMALL, RNG.integers(2015, 2020, N), RNG.integers(9_999_000, 9_999_999, N)]
)
def test_what_float32_holds_stays_as_it_is(column):
    data = loaded(column)
    assert data.schema.columns[0].offset == ()
    assert data.notes == ()


def test_a_sequences_features_far_from_zero_keep_their_digits():
    series = np.stack([RNG.normal(size=(N, 5)), 1.7e9 + 60.0 * RNG.random((N, 5))], axis=2)
    data = load(series, SMALL)
    assert data.schema.columns[0].offset == (0.0, 1.7e9)
    rows, clock = standardised(data), series[:, :, 1]
    expected = (clock - clock.mean()) / clock.std()
    np.testing.assert_allclose(rows[:, :, 1], expected, rtol=1e-3, atol=1e-3)


def test_arrays_without_an_offset_are_float32_as_before():
    series = RNG.normal(size=(N, 5, 2))
    as_double, as_single = load(series, SMALL), load(series.astype(np.float32), SMALL)
    assert as_double.arrays["x"].dtype == np.float32
    assert as_double.fingerprint == as_single.fingerprint


def test_whole_numbers_that_float32_leaves_out_are_told_apart_in_arrays():
    series = 2**24 + RNG.integers(0, 20, (N, 5, 1))
    expected = (series - series.mean()) / series.std()
    np.testing.assert_allclose(standardised(load(series, SMALL)), expected, rtol=1e-5, atol=1e-6)


def test_each_value_of_a_target_has_its_own_offset():
    y = np.stack([JULIAN, 1e-12 * SMALL, 1e12 * (1 + SMALL)], axis=1)
    data = load(pd.DataFrame({"x": SMALL}), y)
    assert data.target.offset == (2459000.0, 0.0, 0.0)
    assert data.target.prediction_dtype is np.float64
    np.testing.assert_array_equal(data.y, y)  # itself as it is
    assert any("'y0' lies around 2459000" in note and "less 2459000" in note for note in data.notes)


def test_an_ordinary_target_has_none():
    target = loaded(SMALL).target
    assert target.offset == ()
    assert target.prediction_dtype is np.float32
    values = np.array([[1.5]], np.float32)
    assert target.plus_offset(values) is values


def test_an_offset_is_taken_off_and_given_back_in_float64():
    target = Target(("a", "b"), "regression", offset=(2459000.0, 0.0))
    assert target.less_offset(np.array([2459000.25, 3.0])).tolist() == [0.25, 3.0]
    back = target.plus_offset(np.array([[0.25, 3.0]], np.float32))
    assert back.dtype == np.float64
    assert back.tolist() == [[2459000.25, 3.0]]


def test_what_not_even_twelve_digits_keep_is_warned_about():
    [warning] = loaded(1e12 + RNG.random(N)).warnings
    assert "Column 'x' lies around 1e+12 and varies by 0." in warning
    assert "The target 'y' lies around 1e+12" in loaded(SMALL, 1e12 + RNG.random(N)).warnings[0]


def test_a_schema_keeps_its_offsets_in_json_and_one_without_them_can_be_read():
    schema = load(pd.DataFrame({"x": JULIAN}), JULIAN[::-1]).schema
    written = json.loads(json.dumps(schema.to_json()))
    assert Schema.from_json(written) == schema
    del written["target"]["offset"], written["columns"][0]["offset"]
    older = Schema.from_json(written)
    assert older.target.offset == older.columns[0].offset == ()


def test_rows_to_predict_are_read_with_the_offsets_of_training():
    data = loaded(JULIAN)
    one = load(pd.DataFrame({"x": JULIAN[:1], "z": SMALL[:1], "y": SMALL[:1]}), schema=data.schema)
    encoded = encode(data.schema, one.frame, one.arrays, 1)
    assert encoded.numbers[0, 0] == np.float32(JULIAN[0] - 2459000.0)
