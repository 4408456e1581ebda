"""Single predictions that weigh as much as many others."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose

CALM = np.full(5, 0.3)


def predictions(truth, predicted):
    n = len(truth)
    return pd.DataFrame(
        {
            "row": np.arange(n) + 100,
            "repeat": 0,
            "fold": np.arange(n) * 2 // n,
            "y_true": truth,
            "y_pred": predicted,
        }
    )


def found_in(tables, truth, predicted, **more):
    made = tables(CALM, predictions=predictions(truth, predicted), **more)
    return [one for one in diagnose(made) if one.code == "dominating_row"]


@pytest.fixture
def prices():
    """True prices and what a fair network says of them."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(300, 18_000, 400)
    return truth, truth + rng.normal(0, 600, 400)


def test_one_absurd_prediction_is_named_with_what_it_costs(tables, prices):
    truth, predicted = prices
    truth[7], predicted[7] = 12_210, 140_685
    [found] = found_in(tables, truth, predicted)
    assert "Row 107 (repeat 0, fold 0) is 12210 and is predicted at 140685" in found.evidence
    assert found.severity == "problem"
    assert found.numbers["rows"][0][0] == 107
    assert found.numbers["share"] > 0.9
    assert found.numbers["score_without"] < 550 < found.numbers["score"]


def test_a_row_that_weighs_much_costs_as_much(tables, prices):
    table = predictions(*prices).assign(weight=np.where(np.arange(400) == 9, 2000.0, 1.0))
    [found] = [d for d in diagnose(tables(CALM, predictions=table)) if d.code == "dominating_row"]
    assert found.numbers["rows"][0][0] == 109
    assert not [
        d
        for d in diagnose(tables(CALM, predictions=table.assign(weight=2.0)))
        if d.code == "dominating_row"
    ]


def test_fair_predictions_have_no_such_row(tables, prices):
    assert found_in(tables, *prices) == []


def test_a_prediction_beyond_all_targets_counts_at_a_smaller_share(tables, prices):
    truth, predicted = prices
    noisy = truth + 8 * (predicted - truth)
    inside, beyond = noisy.copy(), noisy.copy()
    beyond[7] = 55_000
    assert found_in(tables, truth, inside) == []
    [found] = found_in(tables, truth, beyond)
    assert 0.05 < found.numbers["share"] < 0.25


def test_a_class_that_was_all_but_ruled_out_is_named(tables):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 200)
    chance = np.where(truth == 1, 0.97, 0.03)
    chance[5] = 1e-15 if truth[5] == 1 else 1 - 1e-15
    more = {"metric": "log_loss", "task": "binary", "labels": (0, 1)}
    [found] = found_in(tables, truth, chance, **more)
    assert "Row 105" in found.evidence
    assert "of the log loss of all 200 held-out predictions" in found.evidence


def test_few_predictions_have_large_shares_by_themselves(tables):
    truth = np.arange(20.0)
    predicted = truth.copy()
    predicted[3] = 900.0
    assert found_in(tables, truth, predicted) == []
