"""Estimates by hand: the mean, the correction, the promise, and what test rows say of it."""

import math

import numpy as np
import pytest

from hpsearch.ledger import BiasCorrection, FoldMean, NestedFold, Promise, Spread, estimates
from hpsearch.ledger.predictions import Arranged
from hpsearch.ledger.variance import variance


def test_the_mean_has_the_corrected_error_and_the_naive_one():
    mean = estimates.fold_mean([1.0, 2.0, 3.0, 4.0], [75] * 4, [25] * 4, [0, 0, 1, 1])
    assert (mean.value, mean.n_repeats, mean.n_folds, mean.n_scores) == (2.5, 2, 2, 4)
    s2 = 5 / 3
    assert mean.corrected.se == pytest.approx(math.sqrt((1 / 4 + 1 / 3) * s2))
    assert mean.naive.se == pytest.approx(math.sqrt(s2 / 4))
    assert mean.naive.high - 2.5 == pytest.approx(3.182446 * mean.naive.se, rel=1e-6)


def test_one_fold_has_no_error():
    mean = estimates.fold_mean([0.4], 75, 25, [0])
    assert mean.corrected == mean.naive == Spread(None, None, None)


def arranged(predictions, y, blocks=None):
    n = len(y)
    blocks = np.arange(n) if blocks is None else blocks
    n_trials, n_epochs, n_repeats = predictions.shape[:3]
    fold = np.zeros((n_repeats, n), dtype=np.int64)
    epochs = np.ones((n_trials, n_epochs))
    return Arranged(y, blocks, np.arange(n), fold, predictions, epochs, n, n_repeats)


def test_the_correction_takes_off_what_selecting_among_guesses_gained():
    rng = np.random.default_rng(0)
    y, guesses = rng.integers(0, 2, 200), rng.random((20, 3, 1, 200))
    said = estimates.bias_correction(arranged(guesses, y), "accuracy", "binary", blocks="rows")
    assert said.naive > 0.56
    assert abs(said.value - 0.5) < 0.04
    assert said.low < said.value < said.high
    assert (said.of_epochs, said.n_trials, said.n_epochs) == (True, 20, 3)


def test_a_correction_that_cannot_be_made_says_why():
    nothing = np.full((2, 1, 1, 4), np.nan)
    said = estimates.bias_correction(
        arranged(nothing, np.array([0, 1, 0, 1])), "accuracy", "binary", blocks="rows"
    )
    assert said.value is None
    assert "finite predictions" in said.missing


def test_the_folds_winners_tell_the_bias():
    said = estimates.foldwise([[0.2, 0.3], [0.4, 0.2], [math.nan, 0.1]], "log_loss")
    assert (said.value, said.n_trials) == (pytest.approx(0.3), 2)
    assert estimates.foldwise([[0.2, 0.3]], "log_loss") is None
    assert estimates.foldwise([[0.2], [0.3]], "log_loss") is None


def nested_fold(number, inner, outer):
    return NestedFold(number, 80, 20, 0, 5, inner, outer, {})


def test_a_nested_search_has_the_corrected_error_of_its_outer_folds():
    nested = estimates.nested([nested_fold(0, 0.2, 0.3), nested_fold(1, 0.2, 0.5)])
    assert (nested.value, nested.inner) == (pytest.approx(0.4), 0.2)
    assert nested.corrected.se == pytest.approx(math.sqrt((1 / 2 + 1 / 4) * 0.02))


MEAN = FoldMean(0.1, 1, 4, 4, Spread(0.01, 0.08, 0.12), Spread(0.005, 0.09, 0.11))
CORRECTED = BiasCorrection(0.15, 0.1, 0.2)


def test_the_promise_is_the_most_trustworthy_figure():
    nested = estimates.nested([nested_fold(0, 0.2, 0.3), nested_fold(1, 0.2, 0.5)])
    assert estimates.promise(MEAN, CORRECTED, nested).source == "nested"
    assert estimates.promise(MEAN, CORRECTED, None) == Promise("bias_corrected", 0.15, 0.1, 0.2)
    alone = estimates.promise(MEAN, BiasCorrection(missing="no"), None)
    assert alone == Promise("mean", 0.1, 0.08, 0.12)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.2, 0.3, "within"), (0.3, 0.4, "better"), (0.1, 0.2, "worse"), (None, None, "unknown")],
)
def test_a_test_score_lies_within_what_was_promised_or_not(low, high, verdict):
    y, predicted = np.zeros((40, 1)), np.tile([[0.2], [0.3]], (20, 1))
    said = estimates.on_test_rows(
        ["mae", "rmse"],
        y,
        predicted,
        "regression",
        blocks=np.arange(40),
        blocks_name="rows",
        promised=Promise("mean", 0.25, low, high),
    )
    assert said.value == pytest.approx(0.25)
    assert said.low < 0.25 < said.high
    assert said.verdict == verdict
    assert set(said.metrics) == {"mae", "rmse"}


def test_large_is_good_where_the_metric_says_so():
    y = np.array([0, 1] * 10)
    said = estimates.on_test_rows(
        ["accuracy"],
        y,
        y * 1.0,
        "binary",
        blocks=np.arange(20),
        blocks_name="rows",
        promised=Promise("mean", 0.8, 0.7, 0.9),
    )
    assert (said.verdict, said.overlaps) == ("better", False)


def test_a_metric_that_is_undefined_on_the_test_rows_gives_no_score():
    said = estimates.on_test_rows(
        ["roc_auc"],
        np.ones(5, int),
        np.full(5, 0.5),
        "binary",
        blocks=np.arange(5),
        blocks_name="rows",
        promised=Promise("mean", 0.8, 0.7, 0.9),
    )
    assert said is None


# -- variance


def test_the_parts_of_the_variance_by_hand():
    said = variance([0.80, 0.70, 0.90, 0.80], [0, 0, 1, 1])
    assert said.fold == pytest.approx(0.005)  # MS of folds: 2 x 0.05^2
    assert said.reshuffle == pytest.approx((2 * 0.005 - 0.005) / 2)
    assert said.seed is None
    assert sum(said.shares.values()) == pytest.approx(1)
    assert [more.what for more in said.more] == ["repeat", "fold"]
    assert "initial weights" in said.note


def test_one_repeat_cannot_tell_reshuffles():
    said = variance([0.80, 0.70, 0.75], [0, 0, 0])
    assert said.reshuffle is None
    assert said.shares == {"fold": 1.0}
    assert said.note.startswith("With one repeat")


def test_in_time_order_nothing_asks_for_repeats():
    said = variance([0.80, 0.70, 0.75], [0, 0, 0], in_time=True)
    assert [more.what for more in said.more] == ["fold"]
    assert said.advice.startswith("Raise --folds to 4")
    assert "reshuffle" not in said.note


def test_many_folds_and_repeats_leave_nothing_cheap():
    rng = np.random.default_rng(0)
    said = variance(rng.normal(size=400).tolist(), np.repeat(np.arange(20), 20).tolist())
    assert said.advice.startswith("Nothing that is cheap")


def test_equal_scores_leave_nothing_to_raise():
    assert "to 3: 1 training more for each trial takes" in variance([0.5, 0.7], [0, 0]).advice
    assert "All folds score the same" in variance([0.5] * 4, [0, 0, 1, 1]).advice


@pytest.mark.parametrize(
    ("scores", "repeats"),
    [([0.5], [0]), ([0.5, 0.6], [0, 1]), ([0.5, 0.6, 0.7], [0, 0, 1]), ([0.5, math.nan], [0, 0])],
)
def test_no_parts_without_two_folds_in_each_repeat(scores, repeats):
    assert variance(scores, repeats) is None
