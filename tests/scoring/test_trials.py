"""Trials: one best epoch for all folds, corrected errors, and failures that are told."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.contract import FoldResult, Span, UnitResult, WorkUnit
from hpsearch.folds import Fold
from hpsearch.scoring import trials
from hpsearch.scoring.trials import combine, prediction_parts, slimmed
from hpsearch.space.space import Candidate
from hpsearch.task import Target

N_ROWS = 8
CANDIDATE = Candidate(5, {"units": 8})
FIRST, SECOND = [1.0, 3.0, 5.0], [5.0, 2.0, 4.0]  # their mean, 3, 2.5, 4.5, is best in epoch 2


def data_of(n_folds):
    """Row numbers and target; each fold validates two rows of eight."""
    rows = np.arange(N_ROWS)
    folds = tuple(
        Fold(0, fold, np.setdiff1d(rows, part), part)
        for fold, part in enumerate(np.split(rows, 4)[:n_folds])
    )
    return data_with(folds, rows)


def data_with(folds, rows):
    target = Target(("y",), "regression")
    return SimpleNamespace(folds=folds, target=target, y=rows[:, None] / 10, score_weights=None)


def fold_result(position, curve, *, metric="mae"):
    curve = np.array(curve)
    predictions = np.arange(len(curve))[:, None, None] + np.zeros((len(curve), 2, 1), np.float32)
    return FoldResult(
        position=position,
        seed=100 + position,
        epochs=len(curve),
        train_loss=curve / 10,
        validation={metric: curve, "r2": -curve},
        train={metric: curve / 2, "r2": -curve / 2},
        predictions=predictions + 10 * position,
    )


def unit_result(*folds, **options):
    unit = WorkUnit(CANDIDATE, tuple(fold.position for fold in folds) or (0,))
    return UnitResult(unit, folds=folds, **({"n_params": 7, "seconds": 1.5} | options))


def combined(*curves, metric="mae"):
    folds = (fold_result(i, curve, metric=metric) for i, curve in enumerate(curves))
    return combine(CANDIDATE, [unit_result(*folds)], data_of(len(curves)), (metric, "r2"))


def test_the_score_is_the_mean_of_all_folds_at_one_common_epoch():
    trial = combined(FIRST, SECOND)
    assert trial.row["best_epoch"] == 2
    assert trial.score == trial.row["score"] == 2.5  # each fold's own best would give 1.5
    assert trial.row["metric.mae"] == 2.5
    assert trial.row["metric.r2"] == -2.5
    assert (trial.row["epochs"], trial.row["n_folds"], trial.row["n_params"]) == (3, 2, 7)


def test_a_metric_to_maximise_is_best_where_its_mean_is_largest():
    assert combined(FIRST, SECOND, metric="accuracy").row["best_epoch"] == 3


def test_the_first_of_equally_good_epochs_is_the_best():
    assert combined([2.0, 1.0, 1.0]).row["best_epoch"] == 2


def test_errors_are_corrected_for_shared_training_rows():
    row = combined(FIRST, SECOND).row
    deviation = math.sqrt(0.5)  # of 3 and 2, with the divisor n - 1
    se = math.sqrt((1 / 2 + 2 / 6) * 0.5)  # Nadeau and Bengio: 2 rows validate, 6 train
    assert_allclose([row["score_std"], row["score_se"]], [deviation, se])
    t = 12.706204736  # the 97.5 % quantile of Student's t, 1 degree of freedom
    assert_allclose([row["ci_low"], row["ci_high"]], [2.5 - t * se, 2.5 + t * se])


def test_one_fold_gives_a_score_without_an_error():
    row = combined(SECOND).row
    assert row["score"] == 2.0
    assert np.isnan([row[name] for name in ("score_std", "score_se", "ci_low", "ci_high")]).all()


def test_fold_rows_hold_both_sides_at_the_best_epoch():
    place = {"trial": 5, "repeat": 0, "fold": 1, "seed": 101}
    size = {"n_train": 6, "n_val": 2, "epochs": 3}
    scores = {"val_mae": 2.0, "val_r2": -2.0, "train_mae": 1.0, "train_r2": -1.0}
    assert combined(FIRST, SECOND).folds[1] == place | size | scores


def test_curve_rows_hold_the_means_over_folds_of_every_epoch():
    rows = combined(FIRST, SECOND).curves
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert [row["val_mae"] for row in rows] == [3.0, 2.5, 4.5]
    assert [row["train_mae"] for row in rows] == [1.5, 1.25, 2.25]
    assert_allclose([row["train_loss"] for row in rows], [0.3, 0.25, 0.45])
    assert_allclose(rows[0]["val_mae_se"], math.sqrt((1 / 2 + 2 / 6) * 8))
    assert {row["n_folds"] for row in rows} == {2}


def test_predictions_are_those_of_the_best_epoch_in_the_order_of_folds():
    trial = combined(FIRST, SECOND)
    assert [float(fold[0, 0]) for fold in trial.predictions] == [1.0, 11.0]
    assert all(fold.base is None for fold in trial.predictions)  # else every epoch's would stay
    first, second = prediction_parts(trial, data_of(2))
    assert_array_equal(first["row"], [0, 1])
    assert_array_equal(second["y_true"], [0.2, 0.3])
    assert_array_equal(second["y_pred"], [11.0, 11.0])


@pytest.mark.parametrize(
    ("kept_bytes", "kept"), [(0, (2,)), (16, (2,)), (40, (1, 2)), (1000, (1, 2, 3))]
)
def test_the_best_epochs_that_fit_keep_their_predictions(monkeypatch, kept_bytes, kept):
    monkeypatch.setattr(trials, "KEPT_BYTES", kept_bytes)  # an epoch's are 2 folds x 2 rows x 4
    data, metrics = data_of(2), ("mae", "r2")
    units = [unit_result(fold_result(0, FIRST)), unit_result(fold_result(1, SECOND))]
    trial = combine(CANDIDATE, units, data, metrics)
    slim = slimmed(trial, units, data, metrics)
    again = combine(CANDIDATE, slim, data, metrics)
    assert (again.row, again.folds, again.curves) == (trial.row, trial.folds, trial.curves)
    for before, after in zip(trial.predictions, again.predictions, strict=True):
        assert_array_equal(before, after)
    for unit, whole in zip(slim, units, strict=True):
        [fold], [before] = unit.folds, whole.folds
        assert fold.predicted == kept
        for epoch in (1, 2, 3):
            expected = before.predictions_after(epoch) if epoch in kept else None
            assert_array_equal(fold.predictions_after(epoch), expected)


def test_what_a_rung_compared_keeps_its_predictions_whatever_spans_it_was_trained_in(monkeypatch):
    monkeypatch.setattr(trials, "KEPT_BYTES", 0)
    rows, metrics = np.arange(N_ROWS), ("mae", "r2")
    folds = tuple(Fold(repeat, 0, rows[2:], rows[:2]) for repeat in range(2))
    data = data_with(folds, rows)
    first, second = [5.0, 4.0, 3.0, 6.0, 2.0], [9.0, 9.0, 9.0, 9.0, 9.0]

    def unit(position, fold, since=0):
        until = None if fold.until == 5 else fold.until
        work = WorkUnit(CANDIDATE, (position,), Span(since, until, block=2))
        return UnitResult(work, folds=(fold,), n_params=7, seconds=1.5)

    whole = fold_result(0, first)
    spans = [unit(0, whole.between(0, 2)), unit(0, whole.between(2, 5), since=2)]
    for of_first in (spans, [unit(0, whole)]):
        units = [*of_first, unit(1, fold_result(1, second))]
        slim = slimmed(combine(CANDIDATE, units, data, metrics), units, data, metrics)
        kept = {0: [], 1: []}
        for result in slim:
            for fold in result.folds:
                kept[fold.position] += fold.predicted_epochs
        assert kept == {0: [2, 5], 1: [5]}  # the best of two epochs, and the best of all


def test_a_trial_whose_best_epoch_moved_says_whose_predictions_are_gone():
    data, metrics = data_of(3), ("mae", "r2")
    old = [unit_result(fold_result(0, FIRST)), unit_result(fold_result(1, SECOND))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "KEPT_BYTES", 0)
        slim = slimmed(combine(CANDIDATE, old, data, metrics), old, data, metrics)
    trial = combine(CANDIDATE, [*slim, unit_result(fold_result(2, [0, 9, 9]))], data, metrics)
    assert trial.row["best_epoch"] == 1
    assert [array is None for array in trial.predictions] == [True, True, False]
    with pytest.raises(ValueError, match="has no predictions of some folds"):
        list(prediction_parts(trial, data))


def test_a_failed_trial_keeps_curves_and_no_predictions():
    units = [unit_result(fold_result(0, FIRST)), unit_result(error="no")]
    data, metrics = data_of(2), ("mae", "r2")
    first, second = slimmed(combine(CANDIDATE, units, data, metrics), units, data, metrics)
    assert first.folds[0].predictions.shape == (0, 2, 1)
    assert_array_equal(first.folds[0].train_loss, units[0].folds[0].train_loss)
    assert second.error == "no"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_units_may_arrive_in_any_order(order):
    curves = [FIRST, SECOND, [0.5, 1.5, 2.5]]
    units = [unit_result(fold_result(i, curve)) for i, curve in enumerate(curves)]
    trial = combine(CANDIDATE, [units[i] for i in order], data_of(3), ("mae", "r2"))
    assert [row["fold"] for row in trial.folds] == [0, 1, 2]
    assert trial.row == combined(*curves).row
    assert trial.seconds == 4.5


def test_the_hyperparameters_of_a_row_are_those_that_the_build_used():
    units = [unit_result(fold_result(0, FIRST), values={"units": 8, "rate": 0.1})]
    trial = combine(CANDIDATE, units, data_of(1), ("mae", "r2"))
    assert trial.candidate == Candidate(5, {"units": 8, "rate": 0.1})
    assert {k: v for k, v in trial.row.items() if k.startswith("hp.")} == {
        "hp.rate": 0.1,
        "hp.units": 8,
    }


def test_one_failed_unit_fails_the_trial_with_its_reason():
    units = [
        unit_result(fold_result(0, FIRST)),
        unit_result(error="ValueError: no", traceback="Traceback", values={"units": 8}),
    ]
    trial = combine(CANDIDATE, units, data_of(2), ("mae", "r2"))
    assert trial.row == {"trial": 5, "status": "failed", "error": "ValueError: no", "hp.units": 8}
    assert trial.score is None
    assert (trial.folds, trial.curves, trial.predictions) == ((), (), ())
    assert trial.traceback == "Traceback"
    assert trial.seconds == 3.0


def test_a_metric_that_is_undefined_in_a_fold_fails_the_trial_with_a_remedy():
    trial = combined(FIRST, [math.nan] * 3)
    assert trial.row["status"] == "failed"
    assert trial.row["error"] == (
        "mae is undefined on the validation rows of a fold; choose another --metric"
    )


def test_an_epoch_without_a_defined_mean_is_never_the_best():
    assert combined([math.nan, 3.0, 2.0], [0.0, 3.0, 4.0]).row["best_epoch"] == 2
