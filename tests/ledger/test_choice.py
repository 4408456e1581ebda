"""What a search selects, and why: the best score, or the smallest model that is near it."""

import numpy as np
import pytest

from hpsearch.ledger.choice import choice, rule_of_samples, select, simplicity
from hpsearch.stats import bias_corrected_cv_of_epochs


def row(trial, score, n_params=10, se=0.1, **more):
    return {"trial": trial, "score": score, "score_se": se, "n_params": n_params, **more}


ROWS = [row(0, 0.50, 900), row(1, 0.55, 40), row(2, 0.59, 40), row(3, 0.61, 5)]


def test_the_best_score_is_selected_and_the_first_of_equal_ones():
    assert select(ROWS, "best", "min") == 0
    assert select(ROWS, "best", "max") == 3
    assert select([row(0, 0.2), row(1, 0.1), row(2, 0.1)], "best", "min") == 1


def test_the_smallest_model_within_one_standard_error_is_selected():
    assert select(ROWS, "one-se", "min") == 1  # 0.61 is further than 0.1 from 0.50
    assert select(ROWS, "one-se", "max") == 3


def test_an_unknown_standard_error_leaves_the_best():
    assert select([row(0, 0.5, 900, se=None), row(1, 0.51, 5)], "one-se", "min") == 0


@pytest.mark.parametrize(
    ("simpler", "other"),
    [
        ({"n_params": 5}, {"n_params": 6, "hp.l2": 1.0}),
        ({"hp.l1": 0.1, "hp.l2": 0.1}, {"hp.l2": 0.1}),
        ({"hp.weight_decay": 0.1}, {"hp.dropout_1": 0.5}),
        ({"hp.dropout_1": 0.2, "hp.dropout_2": 0.2}, {"hp.dropout_1": 0.3, "best_epoch": 1}),
        ({"best_epoch": 3}, {"best_epoch": 4}),
    ],
)
def test_what_is_simpler_by_parameters_penalties_dropout_and_epochs(simpler, other):
    assert simplicity({"n_params": 6, **simpler}) < simplicity({"n_params": 6, **other})


def test_names_alone_are_no_strength():
    assert simplicity({"n_params": 6, "hp.regularization": "l2", "hp.l2": None})[1:3] == (0, 0)


def test_the_reason_names_the_rule_and_its_cost():
    plain = choice(ROWS, 0, "best", "min")
    assert plain.reason == "Trial 0 has the best score."
    assert (plain.cost, plain.n_near, plain.n_completed) == (0.0, 3, 4)
    simple = choice(ROWS, 1, "one-se", "min")
    assert "40 parameters in place of 900" in simple.reason
    assert (simple.best_trial, simple.tolerance) == (0, 0.1)
    assert simple.cost == pytest.approx(0.05)
    assert "no simpler model" in choice(ROWS[:1], 0, "one-se", "min").reason


def test_a_sample_selects_by_the_rule_that_all_rows_do():
    losses = np.array([[0.50, 0.55, 0.59, 0.61], [0.7, 0.8, 0.75, 0.3], [np.inf, 0.2, 0.2, np.inf]])
    assert rule_of_samples(ROWS, "one-se")(losses).tolist() == [1, 3, 1]
    assert rule_of_samples(ROWS, "best") is None


def test_a_sample_takes_the_simple_trials_best_epoch():
    rule = rule_of_samples(ROWS[:2], "one-se", n_epochs=3)
    assert rule(np.array([[0.5, 0.6, 0.7, 0.9, 0.58, 0.59]])).tolist() == [4]


def test_the_correction_follows_the_rule():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 1))
    good, small = y + rng.normal(0, 0.1, (60, 1)), y + rng.normal(0, 0.3, (60, 1))
    predictions = np.stack([good, small]).reshape(2, 1, 1, 60, 1)
    rows = [row(0, 0.08, 900, se=9.0), row(1, 0.24, 40, se=9.0)]
    best = bias_corrected_cv_of_epochs("mae", y, predictions)
    simple = bias_corrected_cv_of_epochs(
        "mae", y, predictions, rule=rule_of_samples(rows, "one-se")
    )
    assert (best.trial, simple.trial) == (0, 1)
    assert simple.shares.tolist() == [0.0, 1.0]
    assert simple.estimate > 2 * best.estimate
