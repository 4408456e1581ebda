"""Figures of trials, folds and curves: small tables, numbers worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from hpsearch.report.figures import (
    axes,
    heat_map,
    learning_curves,
    parallel,
    progress,
    ranked,
    shown_range,
    slices,
    thinned,
)
from hpsearch.report.material import FoldCurve, Material

MAE = {"metric": "mae", "direction": "min"}


def trials(**columns):
    n = len(next(iter(columns.values())))
    return pd.DataFrame(
        {"trial": range(n), "status": "completed", "rank": range(1, n + 1), **columns}
    )


def test_the_drawn_range_leaves_far_bad_scores_out_and_far_good_ones_in():
    # quartiles 2 and 4: far is beyond 4 + 3 * 2
    low, high = shown_range([1.0, 2.0, 3.0, 4.0, 11.0], "min", margin=0.0)
    assert (low, high) == (1.0, 4.0)
    low, high = shown_range([-7.0, 2.0, 3.0, 4.0, 5.0], "min", margin=0.0)
    assert (low, high) == (-7.0, 5.0)


def test_the_drawn_range_turns_where_large_scores_are_good():
    assert shown_range([0.9, 0.8, 0.7, 0.6, -5.0], "max", margin=0.0) == (0.6, 0.9)


@pytest.mark.parametrize("scores", [[], [np.nan], [3.0], [0.0, 0.0]])
def test_the_drawn_range_is_never_empty(scores):
    low, high = shown_range(scores, "min")
    assert np.isfinite([low, high]).all()
    assert low < high


def test_ranked_trials_come_by_rank_and_say_how_many_are_beyond():
    table = trials(
        score=[1.0, 2.0, 3.0, 4.0, 1e30],
        ci_low=[0.5, 1.5, 2.5, 3.5, 1e29],
        ci_high=[1.5, 2.5, 3.5, 4.5, 1e31],
        n_folds=[4, 4, 4, 4, 4],
    )
    spec = ranked(table, **MAE)
    assert [row["trial"] for row in spec["rows"]] == [0, 1, 2, 3, 4]
    assert spec["n_beyond"] == 1
    low, high = spec["range"]
    assert low <= 0.5
    assert 4.5 <= high < 10


def test_ranked_trials_need_a_score():
    assert ranked(trials(score=[1.0]).iloc[:0], **MAE) is None


def test_a_log_axis_a_linear_axis_and_levels_are_told_apart():
    n = 12
    table = pd.DataFrame(
        {
            "hp.rate": 10.0 ** -np.linspace(1, 4, n),
            "hp.size": [16, 32, 64] * 4,
            "hp.share": np.linspace(0.111111, 0.35, n),
            "hp.flag": [True, False, None] * 4,
            "hp.text": ["'=a", "b", "b"] * 4,
            "hp.one": 3,
        }
    )
    found = {axis.name: axis for axis in axes(table)}
    assert found.keys() == {"rate", "size", "share", "flag", "text"}
    assert found["rate"].scale == "log"
    assert found["share"].scale == "linear"
    assert found["size"].levels == ("16", "32", "64")
    assert found["flag"].levels == ("False", "True")
    assert found["flag"].values[:3] == (1, 0, None)
    assert found["text"].levels == ("=a", "b")


def test_parallel_coordinates_hold_each_trials_place_on_every_axis():
    table = trials(score=[0.1, 0.2], **{"hp.act": ["relu", "elu"], "hp.units": [8, None]})
    spec = parallel(table, axes(table), **MAE)
    assert [axis["name"] for axis in spec["axes"]] == ["act", "units"]
    assert spec["rows"] == [
        {"trial": 0, "values": [1, 0], "score": 0.1},
        {"trial": 1, "values": [0, None], "score": 0.2},
    ]


def test_parallel_coordinates_need_two_trials_and_a_hyperparameter():
    table = trials(score=[0.1, 0.2], **{"hp.act": ["relu", "elu"]})
    assert parallel(table.iloc[:1], axes(table), **MAE) is None
    assert parallel(table, [], **MAE) is None


def test_a_slice_holds_the_trials_in_which_its_hyperparameter_is_active():
    table = trials(score=[0.1, 0.2, 0.3], **{"hp.momentum": [0.5, None, 0.9]})
    table["status"] = ["completed", "completed", "stopped"]
    [spec] = slices(table, axes(table), **MAE)
    assert spec["points"] == [[0, 0.1, 0, 0], [1, 0.3, 2, 1]]  # level, score, trial, stopped


def test_a_hyperparameter_with_one_active_value_has_no_slice():
    table = trials(score=[0.1, 0.2], **{"hp.momentum": [0.5, None]})
    assert slices(table, axes(table), **MAE) == []


def test_progress_keeps_the_best_completed_score_in_the_order_of_the_trials():
    table = trials(score=[0.5, np.nan, 0.1, 0.4])
    table["status"] = ["completed", "failed", "stopped", "completed"]
    timings = pd.DataFrame({"trial": [0, 1, 2, 3], "seconds": [1.0, 2.0, 3.0, 4.0]})
    spec = progress(table.iloc[::-1], timings, **MAE)
    assert [point["trial"] for point in spec["points"]] == [0, 1, 2, 3]
    assert [point["best"] for point in spec["points"]] == [0.5, 0.5, 0.5, 0.4]
    assert [point["seconds"] for point in spec["points"]] == [1.0, 3.0, 6.0, 10.0]


def test_progress_goes_up_where_large_scores_are_good():
    spec = progress(trials(score=[0.5, 0.7]), pd.DataFrame(), metric="r2", direction="max")
    assert [point["best"] for point in spec["points"]] == [0.5, 0.7]
    assert not spec["has_seconds"]


def test_the_heat_map_has_a_column_a_trial_by_rank_and_a_row_a_fold():
    folds = pd.DataFrame(
        {"trial": [0, 0, 1], "repeat": [0, 1, 0], "fold": [0, 0, 0], "val_mae": [3.0, 4.0, 1.0]}
    )
    table = trials(score=[3.5, 1.0]).iloc[::-1]
    spec = heat_map(folds, table, **MAE)
    assert spec["trials"] == [1, 0]
    assert spec["folds"] == ["repeat 0, fold 0", "repeat 1, fold 0"]
    assert spec["cells"] == [[1, 0, 3.0], [1, 1, 4.0], [0, 0, 1.0]]


def curves_of(n_trials, n_epochs):
    rows = [
        {"trial": t, "epoch": e, "val_mae": t + 1 / e, "val_mae_se": 0.1, "train_mae": 1 / e}
        for t in range(n_trials)
        for e in range(1, n_epochs + 1)
    ]
    return pd.DataFrame(rows)


def test_learning_curves_begin_with_the_selected_trial():
    table = trials(score=[1.0, 2.0], best_epoch=[4, 3])
    folds = {1: [FoldCurve(0, 1, {"mae": np.array([9.0, 8.0])})]}
    spec = learning_curves(
        curves_of(2, 4), table, folds, metrics=["mae"], direction="min", selected=1
    )
    assert spec["order"] == ["1", "0"]
    drawn = spec["trials"]["1"]
    assert drawn["epochs"] == [1, 2, 3, 4]
    assert drawn["best"] == 3
    assert drawn["series"]["mae"]["val"] == [2.0, 1.5, 1.333333, 1.25]
    # a fold that stopped after two epochs has no more
    assert drawn["folds"] == [{"name": "repeat 0, fold 1", "values": [9.0, 8.0, None, None]}]
    assert "folds" not in spec["trials"]["0"]


def test_long_learning_curves_are_thinned_and_keep_the_best_epoch():
    table = trials(score=[1.0], best_epoch=[777])
    spec = learning_curves(
        curves_of(1, 1000), table, {}, metrics=["mae"], direction="min", selected=0
    )
    epochs = spec["trials"]["0"]["epochs"]
    assert len(epochs) <= 101
    assert {1, 777, 1000} <= set(epochs)


def test_curves_beyond_what_a_page_holds_are_counted(monkeypatch):
    monkeypatch.setattr("hpsearch.report.figures.MOST_CURVE_NUMBERS", 25)
    table = trials(score=[1.0, 2.0, 3.0], best_epoch=[1, 1, 1])
    spec = learning_curves(curves_of(3, 4), table, {}, metrics=["mae"], direction="min", selected=0)
    assert spec["order"] == ["0", "1"]  # 2 x 3 x 4 numbers fit
    assert spec["n_left_out"] == 1


def test_thinning_keeps_both_ends():
    for n in range(1, 40):
        kept = thinned(n, 7, also=3)
        assert kept[0] == 0
        assert kept[-1] == n - 1
        assert kept == sorted(set(kept))


def test_stopped_trials_come_after_completed_ones_and_unscored_ones_not_at_all():
    table = trials(score=[0.3, 0.2, 0.1, np.inf, np.nan])
    table["status"] = ["completed", "completed", "stopped", "completed", "failed"]
    table["rank"] = [2, 1, None, None, None]
    material = Material(table, best={"direction": "min"})
    assert list(material.scored["trial"]) == [1, 0, 2]


def test_of_stopped_trials_those_that_got_furthest_come_first():
    table = trials(score=[0.5, 0.2, 0.1, 0.3, 0.4])
    table["status"] = ["completed", *["stopped"] * 4]
    table["rank"] = [1, None, None, None, None]
    table["n_folds"], table["epochs"] = [12, 4, 4, 8, 4], [100, 100, 12, 100, 12]
    material = Material(table, best={"direction": "min"})
    assert list(material.scored["trial"]) == [0, 3, 1, 2, 4]


def test_every_specification_is_plain_json():
    table = trials(score=[0.1, 0.2, 1e300], **{"hp.act": ["a", "b", "a"], "hp.x": [0.1, 0.2, 0.3]})
    specs = [
        ranked(table, **MAE),
        parallel(table, axes(table), **MAE),
        *slices(table, axes(table), **MAE),
        progress(table, pd.DataFrame(), **MAE),
    ]
    assert all(json.loads(json.dumps(spec, allow_nan=False)) == spec for spec in specs)
