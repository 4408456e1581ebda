"""Calibration: kept where rows that did not fit it say so, and scored on rows left out."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit

from hpsearch.decisions import calibration
from hpsearch.decisions.calibration import (
    CalibrationSamples,
    check_calibrates,
    decide_calibration,
    method_of,
    without_folds,
)
from hpsearch.decisions.calibrators import Cases
from hpsearch.decisions.intervals import Conformity, intervals
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import ThresholdSamples, figures_at
from hpsearch.errors import OptionError
from hpsearch.metrics import score
from hpsearch.stats import bias_corrected_cv, corrected_t_test
from hpsearch.stats.bootstrap import Rows
from hpsearch.stats.gains import gained
from hpsearch.task import Target

BINARY = Target(("ill",), "binary", ("no", "yes"))


def predicted(sharpness=1.0, n=400, n_folds=4, n_repeats=2, seed=0, weights=None):
    """Out-of-fold predictions whose logits are so many times the true ones."""
    rng = np.random.default_rng(seed)
    z = 1.5 * rng.normal(size=n) - 1
    y = (rng.random(n) < expit(z)).astype(int)
    p = expit(sharpness * z + 0.1 * rng.normal(size=(n_repeats, n)))
    fold = np.stack([rng.permutation(n) % n_folds + n_folds * r for r in range(n_repeats)])
    every = np.arange(n)
    return OutOfFold(BINARY, y, p.astype(np.float32), fold, every, every, weights)


def test_auto_keeps_what_betters_and_leaves_what_is_right():
    kept = decide_calibration("auto", "temperature", predicted(3.0))
    assert kept.is_kept
    assert kept.gain_low > 0
    assert_allclose(kept.calibrator.slopes[0], 1 / 3, atol=0.06)
    assert kept.after.log_loss < kept.before.log_loss
    assert kept.after.error < kept.before.error
    left = decide_calibration("auto", "temperature", predicted(1.0))
    assert not left.is_kept
    assert left.calibrator is None
    assert "left as they are" in left.verdict


def test_what_is_asked_for_is_kept_and_its_worth_is_said():
    asked = decide_calibration("platt", "platt", predicted(1.0))
    assert asked.is_kept
    assert asked.gain_low < 0
    assert "may be chance" in asked.reason


def test_each_fold_is_calibrated_by_rows_that_are_not_in_it():
    """By hand, and for a fold whose labels are spoiled: its own predictions stay what they were."""
    there = predicted(3.0, n=80)
    made = decide_calibration("platt", "platt", there)
    cases, losses = Cases.of(BINARY, there.y, there.predictions), []
    for number in np.unique(there.fold):
        repeat, _ = divmod(number, 4)
        inside = there.fold[repeat] == number
        calibrator = cases.fitted("platt", (~inside).astype(float))
        own = calibrator.predictions(there.predictions[repeat, inside])
        losses.append(score("log_loss", there.y[inside], own))
    assert_allclose(made.after.log_loss, np.mean(losses), rtol=1e-5)


def test_the_gain_is_the_paired_test_over_folds():
    there = predicted(3.0)
    made = decide_calibration("temperature", "temperature", there)
    before = [
        score(
            "log_loss",
            there.y[there.fold[k // 4] == k],
            there.predictions[k // 4][there.fold[k // 4] == k],
        )
        for k in range(8)
    ]
    assert_allclose(made.before.log_loss, np.mean(before), rtol=1e-6)
    assert_allclose(made.gain, made.before.log_loss - made.after.log_loss, rtol=1e-6)
    assert made.n_folds == 8


def test_of_hold_outs_that_share_rows_the_test_counts_each_row_once():
    """Ten times 30 rows: those that are not in one count once, however often each stands there."""
    whole, rng = predicted(3.0, n=100, n_repeats=1), np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(100)[:30] for _ in range(10)])
    there = OutOfFold(
        BINARY,
        whole.y[rows],
        whole.predictions[:, rows],
        np.repeat(np.arange(10), 30)[np.newaxis],
        rows,
        rows,
    )
    made = decide_calibration("temperature", "temperature", there)
    losses = np.zeros((2, 10))
    for number in range(10):
        part = slice(30 * number, 30 * number + 30)
        told = without_folds(there, made.calibrator)(number)
        for at, p in enumerate((there.predictions, told.predictions)):
            losses[at, number] = score("log_loss", there.y[part], p[0, part])
    n_all = len(np.unique(rows))
    said = corrected_t_test(*losses, [n_all - 30] * 10, [30] * 10)
    assert_allclose((made.gain_low, made.gain_high), (said.low, said.high), rtol=1e-4)
    assert_allclose(sum(made.before.n_rows), n_all)


def test_one_fold_says_nothing_and_auto_leaves_it():
    there = predicted(3.0, n_folds=1, n_repeats=1)
    assert decide_calibration("auto", "temperature", there).calibrator is None
    asked = decide_calibration("temperature", "temperature", there)
    assert asked.is_kept
    assert asked.after is None
    assert "No other rows" in asked.reason


def test_rows_that_weigh_nothing_fit_nothing():
    there = predicted(3.0, n=200)
    weights = np.where(np.arange(200) < 100, 1.0, 0.0)
    weighed = predicted(3.0, n=200, weights=weights)
    first = Cases.of(BINARY, there.y[:100], there.predictions[:, :100])
    made = decide_calibration("platt", "platt", weighed).calibrator
    assert_allclose(made.slopes, first.fitted("platt", np.ones(100)).slopes, rtol=1e-4)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_the_unit_in_which_rows_weigh_calibrates_nothing(method):
    """Smoothing follows how many rows there are: shares that add up to 1 are no single row."""
    weights = np.random.default_rng(0).integers(1, 3, 400) * 1.0
    made = [
        decide_calibration(method, method, predicted(3.0, weights=unit * weights))
        for unit in (1.0, 1 / weights.sum(), 1e4)
    ]
    for other in made[1:]:
        assert_allclose(other.calibrator.slopes, made[0].calibrator.slopes)
        assert_allclose(other.calibrator.intercepts, made[0].calibrator.intercepts)
        for one, two in zip(other.calibrator.values, made[0].calibrator.values, strict=True):
            assert_allclose(one, two)
        assert_allclose(other.gain, made[0].gain, rtol=1e-4)  # predictions are float32
    assert made[0].gain_low > 0


@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_samples_are_fitted_alike_in_any_unit_of_weights(unit):
    there = predicted(3.0, n=120)
    first = decide_calibration("platt", "platt", there).calibrator
    weights = np.random.default_rng(0).integers(1, 3, 120) * 1.0
    counts = np.random.default_rng(1).multinomial(120, np.full(120, 1 / 120), size=5)
    gains = []
    for each in (weights, unit * weights):
        rows = Rows("log_loss", there.y, "binary", None, each)
        samples = CalibrationSamples(first, BINARY, rows, there.y, there.predictions[np.newaxis])
        samples(counts, np.zeros(5, dtype=np.int64))
        gains.append(samples.gains)
    assert_allclose(*gains)


def test_reliability_counts_rows_as_they_weigh():
    """A row of weight 0 is no case, and rows that weigh unlike are worth fewer."""
    there, rows = predicted(1.0), np.arange(100, 400)
    part = replace(
        there,
        y=there.y[rows],
        predictions=there.predictions[:, rows],
        fold=there.fold[:, rows],
        rows=rows,
    )
    weights = np.where(np.arange(400) < 100, 0.0, 1.0)
    whole = replace(there, weights=weights)
    found, expected = (decide_calibration("platt", "platt", t).before for t in (whole, part))
    assert_allclose(found.error, expected.error)
    assert_allclose(found.came_true, expected.came_true)
    assert_allclose(sum(found.n_rows), 300)
    unlike = replace(there, weights=np.where(np.arange(400) % 2, 5.0, weights))
    fewer = decide_calibration("platt", "platt", unlike).before
    assert sum(fewer.n_rows) < 300


def test_a_log_loss_that_grows_is_not_called_better():
    asked = decide_calibration("platt", "platt", predicted(1.0))
    assert asked.gain < 0
    bounds = f"({-asked.gain_high:.2g} to {-asked.gain_low:.2g})"
    assert asked.reason.startswith(f"It worsens the log loss by {-asked.gain:.2g} {bounds}")


def test_what_nothing_tells_is_not_called_no_better():
    there = predicted(3.0, n_folds=1, n_repeats=1)
    assert "is not shown to be better" in decide_calibration("auto", "temperature", there).verdict


def test_auto_has_an_intercept_where_shares_are_moved():
    assert method_of("auto", moves_shares=True) == "platt"
    assert method_of("auto", moves_shares=False) == "temperature"
    assert method_of("isotonic", moves_shares=True) == "isotonic"


def test_samples_are_scored_on_rows_that_did_not_fit_their_calibrator():
    there = predicted(3.0, n=120)
    candidates = np.stack([there.predictions, predicted(2.0, n=120, seed=0).predictions])
    first = decide_calibration("platt", "platt", there).calibrator
    rows = Rows("log_loss", there.y, "binary", None)
    samples = CalibrationSamples(first, BINARY, rows, there.y, candidates)
    heard = []

    def hear(counts, selected):
        samples(counts, selected)
        heard.append((counts, selected))

    said = bias_corrected_cv("log_loss", there.y, candidates, heard=hear, n_bootstraps=6)
    counts, selected = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    for number in range(6):
        drawn, left_out = counts[number] > 0, counts[number] == 0
        p = candidates[selected[number]]
        cases = Cases.of(BINARY, there.y[drawn], p[:, drawn])
        calibrator = cases.fitted("platt", counts[number][drawn].astype(float))
        own = calibrator.predictions(p[:, left_out])
        wanted = np.mean([score("log_loss", there.y[left_out], each) for each in own])
        assert_allclose(said.scores[number] + samples.gains[number], wanted, rtol=1e-4)
    with_it = gained(said, samples.gains)
    assert_allclose(with_it.estimate, (said.scores + samples.gains).mean())
    assert with_it.estimate < said.estimate


def test_thresholds_of_samples_are_of_their_calibrated_predictions():
    there = predicted(3.0, n=150)
    candidates = there.predictions[np.newaxis]
    first = decide_calibration("platt", "platt", there).calibrator
    rows = Rows("log_loss", there.y, "binary", None)
    fits = CalibrationSamples(first, BINARY, rows, there.y, candidates)
    rule = ThresholdRule.of("f1")
    samples = ThresholdSamples(rule, there.y, candidates, None, lambda: fits.latest)
    counts = np.random.default_rng(1).multinomial(150, np.full(150, 1 / 150), size=4)
    for hears in (fits, samples):
        hears(counts, np.array([0, 0, -1, 0]))
    assert np.isnan(samples.scores[2]).all()
    calibrated = fits.latest[0].predictions(there.predictions)
    left_out = counts[0] == 0
    found = figures_at(rule, samples.thresholds[0], there.y[left_out], calibrated[:, left_out])
    assert_allclose(samples.scores[0, 0, 0], found["f1"])
    at_half = figures_at(rule, [0.5], there.y[left_out], calibrated[:, left_out])
    assert_allclose(samples.scores[0, 1, 0], at_half["f1"])


def test_samples_without_time_gain_what_the_others_do_and_are_not_called_skipped(monkeypatch):
    """With the threshold, which is chosen in those samples alone that have a calibrator."""
    monkeypatch.setattr(calibration, "MAX_WORK", 1)
    monkeypatch.setattr(calibration, "_FEWEST_SAMPLES", 8)
    there = predicted(3.0, n=120)
    candidates, rows = there.predictions[np.newaxis], Rows("log_loss", there.y, "binary", None)
    first = decide_calibration("platt", "platt", there).calibrator
    fits = CalibrationSamples(first, BINARY, rows, there.y, candidates)
    chosen = ThresholdSamples(
        ThresholdRule.of("f1"), there.y, candidates, None, lambda: fits.latest
    )

    def hear(counts, selected):
        for first_of in range(0, len(counts), 5):
            part = slice(first_of, first_of + 5)
            for hears in (fits, chosen):
                hears(counts[part], selected[part])

    said = bias_corrected_cv("log_loss", there.y, candidates, heard=hear, n_bootstraps=20)
    with_it = gained(said, fits.gains)
    assert len(fits.gains) == len(chosen.scores) == 8
    assert np.isfinite(chosen.scores).all()
    assert (with_it.n_bootstraps, with_it.n_skipped) == (20, 0)
    assert_allclose(with_it.estimate, said.estimate + fits.gains.mean())


def test_what_sets_hold_is_measured_with_calibrators_that_did_not_see_the_rows():
    """By hand for one fold, whose labels are spoiled: they reach neither side of what it holds."""
    there = predicted(2.0, n=100, n_folds=4, n_repeats=1)
    calibrator = decide_calibration("isotonic", "isotonic", there).calibrator
    whole = replace(there, predictions=calibrator.predictions(there.predictions))
    without = without_folds(there, calibrator)
    inside = there.fold[0] == 2
    others = Cases.of(BINARY, there.y, there.predictions).fitted(
        "isotonic", (~inside).astype(float)
    )
    assert_allclose(without(2).predictions, others.predictions(there.predictions))
    spoiled = without_folds(replace(there, y=np.where(inside, 1 - there.y, there.y)), calibrator)
    assert_allclose(spoiled(2).predictions, without(2).predictions)
    held = intervals(whole, np.ones(1), in_time=False, without=without).at(0.9)[0].share
    by_hand = np.zeros(100)
    for number in range(4):
        of_fold, told = there.fold[0] == number, without(number)
        rest = ~of_fold
        part = replace(
            told,
            y=told.y[rest],
            predictions=told.predictions[:, rest],
            fold=told.fold[:, rest],
            rows=told.rows[rest],
            blocks=told.blocks[rest],
        )
        sets = Conformity.of(part, np.ones(1)).sets(BINARY, told.predictions[0, of_fold], 0.9)
        by_hand[of_fold] = sets[np.arange(of_fold.sum()), there.y[of_fold]]
    assert_allclose(held, by_hand.mean())


def test_sets_of_an_isotonic_model_hold_of_new_rows_what_is_said():
    """On 60 rows calibrators that had seen them said 3 points more."""
    said, true = [], []
    for seed in range(40):
        whole = predicted(2.0, n=1060, n_repeats=1, n_folds=5, seed=seed)
        few = replace(
            whole,
            y=whole.y[:60],
            predictions=whole.predictions[:, :60],
            fold=np.random.default_rng(seed).permutation(60)[np.newaxis] % 5,
            rows=whole.rows[:60],
            blocks=whole.blocks[:60],
        )
        calibrator = decide_calibration("isotonic", "isotonic", few).calibrator
        made = replace(few, predictions=calibrator.predictions(few.predictions))
        without = without_folds(few, calibrator)
        said.append(intervals(made, np.ones(1), in_time=False, without=without).at(0.8)[0].share)
        new = calibrator.predictions(whole.predictions[0, 60:])
        sets = Conformity.of(made, np.ones(1)).sets(BINARY, new, 0.8)
        true.append(sets[np.arange(1000), whole.y[60:]].mean())
    assert abs(np.mean(said) - np.mean(true)) < 0.015


@pytest.mark.parametrize("kind", ["regression", "share"])
def test_numbers_have_no_probabilities(kind):
    with pytest.raises(OptionError, match="must have classes or labels"):
        check_calibrates("auto", Target(("y",), kind))
    check_calibrates("none", Target(("y",), kind))
