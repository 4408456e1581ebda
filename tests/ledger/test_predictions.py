"""Predictions of many trials, arranged: rows in order, repeats apart, blocks, limits."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import hpsearch
from hpsearch.folds import Fold, IteratedKFold, make_folds
from hpsearch.ledger.predictions import MAX_BYTES, arrange, limits, row_blocks, time_spans


def fold(repeat, number, validation, n=6):
    return Fold(repeat, number, np.setdiff1d(np.arange(n), validation), np.array(validation))


def of_folds(folds, epochs):
    """Predictions that tell their row, repeat and epoch: 100 repeat + row + epoch / 10."""
    return {
        at: {e: np.float32(100 * f.repeat + f.validation + e / 10) for e in epochs}
        for at, f in enumerate(folds)
    }


K_FOLD = [
    fold(0, 0, [0, 3, 5]),
    fold(0, 1, [1, 2, 4]),
    fold(1, 0, [4, 5]),
    fold(1, 1, [0, 1, 2, 3]),
]
BLOCKS = np.arange(6)


def test_each_repeat_has_its_rows_in_order():
    found = arrange([of_folds(K_FOLD, [1])], [[1]], K_FOLD, np.arange(6.0), BLOCKS)
    assert found.predictions.shape == (1, 1, 2, 6)
    expected = [np.arange(6) + 0.1, np.arange(6) + 100.1]
    np.testing.assert_allclose(found.predictions[0, 0], expected, rtol=1e-6)
    assert (found.n_rows, found.n_repeats) == (6, 2)


def test_hold_outs_of_other_rows_stand_side_by_side_and_rows_keep_together():
    folds = [fold(0, 0, [1, 4]), fold(1, 0, [0, 4])]
    found = arrange([of_folds(folds, [1])], [[1]], folds, np.arange(6.0), BLOCKS)
    assert found.predictions.shape == (1, 1, 1, 4)
    assert found.blocks.tolist() == [1, 4, 0, 4]
    assert found.y_true.tolist() == [1, 4, 0, 4]
    np.testing.assert_allclose(found.predictions[0, 0, 0], [1.1, 4.1, 100.1, 104.1], rtol=1e-6)
    assert (found.n_rows, found.n_repeats) == (3, 2)


def test_rows_that_are_never_validated_take_no_part():
    folds = [fold(0, 0, [2, 3]), fold(0, 1, [4, 5])]
    found = arrange([of_folds(folds, [1])], [[1]], folds, np.arange(6.0), BLOCKS)
    assert found.y_true.tolist() == [2, 3, 4, 5]


def test_epochs_that_a_fold_lacks_are_left_out():
    some = of_folds(K_FOLD, [2, 5, 7])
    del some[1][5]
    found = arrange(
        [of_folds(K_FOLD, [3, 1]), some], [[3, 1], [7, 5, 2]], K_FOLD, np.ones(6), BLOCKS
    )
    assert found.epochs.tolist() == [[3, 1], [7, 2]]
    assert np.isfinite(found.predictions).all()


def test_a_trial_of_fewer_epochs_is_filled_with_nothing():
    trials = [of_folds(K_FOLD, [1, 2]), of_folds(K_FOLD, [4])]
    found = arrange(trials, [[1, 2], [4]], K_FOLD, np.ones(6), BLOCKS)
    assert found.epochs.tolist() == [[1, 2], [4, 0]]
    assert np.isnan(found.predictions[1, 1]).all()
    assert np.isfinite(found.predictions[:, 0]).all()


def test_several_outputs_a_row_keep_their_axis():
    data = hpsearch.load("sklearn:iris")
    folds = make_folds(IteratedKFold(3, 2, random_state=0), data)
    rows = np.arange(150)[:, None] + np.array([0.0, 0.25, 0.5])
    trial = {at: {1: np.float32(rows[f.validation])} for at, f in enumerate(folds)}
    found = arrange([trial], [[1]], folds, data.y, np.arange(150))
    assert found.predictions.shape == (1, 1, 2, 150, 3)
    assert_array_equal(found.predictions[0, 0, 1], np.float32(rows))


def test_predictions_far_from_zero_keep_their_digits():
    far = {at: {1: f.validation + 2459000.1} for at, f in enumerate(K_FOLD)}
    found = arrange([far], [[1]], K_FOLD, np.arange(6.0), BLOCKS)
    assert_array_equal(found.predictions[0, 0, 0], np.arange(6) + 2459000.1)


# -- blocks


def table(**more):
    frame = pd.DataFrame({"x": [1.0, 2.0, 1.0, 3.0, 4.0, 5.0], "y": [0.1, 2.0, 3.5, 4.0, 5.5, 6.0]})
    return frame.assign(**more)


def test_rows_are_drawn_alone_where_nothing_keeps_them_together():
    data = hpsearch.load(table(), target="y")
    ids, name = row_blocks(data, together=False)
    assert (name, ids.tolist()) == ("rows", [0, 1, 2, 3, 4, 5])


def test_copies_of_a_row_are_drawn_together():
    ids, name = row_blocks(hpsearch.load(table(), target="y"), together=True)
    assert name == "copies"
    assert ids[0] == ids[2]
    assert len(set(ids)) == 5


def test_groups_and_copies_are_joined():
    data = hpsearch.load(table(g=[1, 1, 2, 3, 3, 4]), target="y", groups="g")
    ids, name = row_blocks(data, together=True)
    assert name == "groups and copies"
    assert ids[0] == ids[1] == ids[2]
    assert row_blocks(data, together=False)[1] == "groups"


def test_neighbours_in_time_are_drawn_together():
    days = pd.date_range("2024-01-01", periods=6)[::-1]
    ids, name = row_blocks(hpsearch.load(table(day=days), target="y", time="day"), together=True)
    assert name == "time spans"
    assert ids.tolist() == [2, 2, 1, 1, 0, 0]


def test_rows_of_one_time_share_a_span():
    assert time_spans([7, 7, 7, 7, 7, 7, 7, 8]).tolist() == [0] * 7 + [3]


# -- limits


def test_small_runs_are_not_limited():
    assert limits(20, 38, 1707, "roc_auc") == limits(20, 38, 1707, "log_loss")
    assert limits(20, 38, 1707, "log_loss").n_bootstraps == 1000


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
@pytest.mark.parametrize("cells", [100, 10_000, 10**6, 10**8])
@pytest.mark.parametrize("n_trials", [1, 30, 5000])
def test_a_limit_is_never_more_than_there_is_and_says_itself(metric, cells, n_trials):
    found = limits(n_trials, 40, cells, metric)
    assert 1 <= found.n_trials <= n_trials
    assert found.n_epochs == 1 or 10 <= found.n_epochs <= 40
    assert 300 <= found.n_bootstraps <= 1000
    assert len(found.notes) == (found.n_bootstraps < 1000) + (found.n_trials < n_trials)
    held = 4 * found.n_trials * found.n_epochs * cells
    assert held <= MAX_BYTES or (found.n_epochs == 1 and found.n_trials <= 20)


def test_each_prediction_knows_its_row_and_its_fold():
    found = arrange([of_folds(K_FOLD, [1])], [[1]], K_FOLD, np.arange(6.0), BLOCKS)
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.fold.tolist() == [[0, 1, 1, 0, 1, 0], [3, 3, 3, 3, 2, 2]]
