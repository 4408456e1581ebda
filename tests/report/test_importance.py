"""Permutation importance finds what decides, and says when it can't tell."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.report.figures import axes
from hpsearch.report.importance import LEAST_TRIALS, importance


def searched(n, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "hp.rate": 10.0 ** rng.uniform(-4, -1, n),
            "hp.act": rng.choice(["relu", "elu", "tanh"], n),
            "hp.seedling": rng.uniform(size=n),
        }
    )
    return table, rng


@pytest.mark.parametrize("direction", ["min", "max"])
def test_what_decides_the_score_comes_first_and_clear_of_zero(direction):
    table, _ = searched(60)
    found = importance(axes(table), np.log10(table["hp.rate"].to_numpy()), direction)
    assert found.names[0] == "rate"
    assert found.lows[0] > 0
    assert found.r2 > 0.7
    assert found.is_telling
    assert abs(found.drops[-1]) < 0.1


def test_scores_that_no_hyperparameter_decides_tell_nothing():
    table, rng = searched(60)
    found = importance(axes(table), rng.normal(size=60), "min")
    assert not found.is_telling


def test_diverged_trials_weigh_by_their_rank_alone():
    table, _ = searched(60)
    scores = np.log10(table["hp.rate"].to_numpy())
    huge = np.where(scores == scores.max(), 1e300, scores)
    assert importance(axes(table), huge, "min") == importance(axes(table), scores, "min")


def test_few_trials_have_no_importance():
    table, rng = searched(LEAST_TRIALS - 1)
    assert importance(axes(table), rng.normal(size=len(table)), "min") is None


def test_a_conditional_hyperparameter_is_shuffled_where_it_is_active():
    table, rng = searched(80)
    table["hp.momentum"] = np.where(table["hp.act"] == "relu", rng.uniform(size=80), np.nan)
    scores = np.where(table["hp.act"] == "relu", 0.0, 1.0) + 0.001 * rng.normal(size=80)
    found = importance(axes(table), scores, "min")
    drops = dict(zip(found.names, found.drops, strict=True))
    # whether it is active tells all, but its value tells nothing
    assert abs(drops["momentum"]) < 0.1
