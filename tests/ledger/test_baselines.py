"""Baselines beside the winner, by hand."""

import pytest

from hpsearch.ledger.baselines import compared
from hpsearch.stats import corrected_t_test


def rows(scores, metric="mae"):
    return [
        {"repeat": 0, "fold": k, "n_train": 30, "n_val": 10, f"val_{metric}": score}
        for k, score in enumerate(scores)
    ]


def test_the_gain_is_positive_where_the_winner_is_better():
    said = compared("linear", "ridge", rows([0.5, 0.6, 0.9]), rows([0.4, 0.5, 0.6]), ["mae"])
    test = corrected_t_test([0.5, 0.6, 0.9], [0.4, 0.5, 0.6], 30, 10)
    assert said.gain == pytest.approx(0.5 / 3)
    assert (said.gain_low, said.gain_high, said.p_value) == (test.low, test.high, test.p_value)
    assert said.value == pytest.approx(2 / 3)
    assert (said.is_beaten, said.n_folds) == (False, 3)


def test_a_metric_of_which_much_is_good_turns_the_gain():
    ours, theirs = rows([0.9, 0.92], "accuracy"), rows([0.7, 0.72], "accuracy")
    said = compared("constant", "frequencies", theirs, ours, ["accuracy"])
    assert said.gain == pytest.approx(0.2)
    assert said.is_beaten


def test_only_folds_that_both_have_are_compared():
    said = compared("linear", "ridge", rows([0.5, 0.6]), rows([0.4]), ["mae"])
    assert (said.n_folds, said.gain_low, said.is_beaten) == (1, None, False)
    assert said.value == 0.5


def test_an_undefined_metric_leaves_the_baseline_out():
    said = compared("linear", "ridge", rows([0.5, None]), rows([0.4, 0.3]), ["mae"])
    assert said.missing == "mae is not defined on a fold."
    assert compared("linear", "ridge", [], rows([0.4]), ["mae"]).missing
