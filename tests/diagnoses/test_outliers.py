"""Folds that stand out, and the rows in them."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CALM = np.full(5, 0.3)


def codes(tables):
    return [found.code for found in diagnose(tables)]


def test_a_slip_of_the_decimal_point_makes_its_folds_stand_out(search_here, space, found_in):
    rng = np.random.default_rng(0)
    x = rng.normal(size=48)
    frame = pd.DataFrame({"a": x, "y": 3 * x + 0.1 * rng.normal(size=48)})
    frame.loc[7, "y"] = 400.0
    robust = space(loss="mae", optimizer=lambda keras: keras.optimizers.Adam(0.05))
    options = {"epochs": 16, "folds": 4, "repeats": 2, "scale_target": False}
    run = search_here(frame, robust, **options)
    found = found_in(run, "outlier_folds")
    in_predictions = run.predictions.query("row == 7")[["repeat", "fold"]].to_numpy().tolist()
    assert sorted(place[:2] for place in found.numbers["folds"]) == sorted(in_predictions)
    row, times, error = found.numbers["rows"][0]
    assert (row, times) == (7, 2)
    assert error > 300
    assert "Without row 7, its most wrong one, mae there is 0." in found.evidence


EVEN = [0.28, 0.30, 0.31, 0.29, 0.33, 0.27, 0.30]


def test_a_fold_beyond_seven_robust_deviations_stands_out(tables):
    """The median is 0.30, the median absolute deviation 0.015 or so."""
    assert codes(tables(CALM, fold_scores=[*EVEN, 0.40])) == []
    assert codes(tables(CALM, fold_scores=[*EVEN, 0.60])) == ["outlier_folds"]


def test_a_fold_that_is_far_better_is_no_finding(tables):
    assert codes(tables(CALM, fold_scores=[*EVEN, 0.0])) == []


def test_five_folds_have_no_outlier(tables):
    assert codes(tables(CALM, fold_scores=[0.3, 0.3, 0.31, 0.3, 9.0])) == []


def test_folds_that_grow_in_time_are_not_compared(tables):
    growing = tables(CALM, fold_scores=[*EVEN, 9.0])
    growing.folds["n_train"] = np.arange(10, 90, 10)
    assert codes(growing) == []
