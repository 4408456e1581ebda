"""A ledger's records: to JSON and back, and what a damaged one is refused with."""

import json
import math

import pytest

from hpsearch.ledger import (
    Baseline,
    BiasCorrection,
    Choice,
    FoldMean,
    Foldwise,
    Ledger,
    LedgerWarning,
    More,
    Nested,
    NestedFold,
    Promise,
    Spread,
    TestScore,
    Variance,
)


@pytest.fixture
def ledger():
    """A ledger with every part."""
    spread = Spread(0.02, 0.1, 0.2)
    return Ledger(
        trial=3,
        epoch=7,
        metric="mae",
        direction="min",
        mean=FoldMean(0.15, 3, 4, 12, spread, Spread(0.01, 0.13, 0.17)),
        bias_corrected=BiasCorrection(
            0.16, 0.12, 0.2, 0.15, True, 20, 38, 100, 3, "groups", 998, 2, ("One trial failed.",)
        ),
        foldwise=Foldwise(0.17, 0.02, 20),
        nested=Nested(
            0.16, spread, spread, 0.15, (NestedFold(0, 80, 20, 4, 9, 0.15, 0.16, {"units": 8}),)
        ),
        promise=Promise("nested", 0.16, 0.1, 0.2),
        test=TestScore(0.15, 0.1, 0.2, 50, "rows", "within", True, {"mae": 0.15}),
        choice=Choice("best", "It scored best.", 3, 0.15, 0.15, 0.0, 0.02, 5, 19, 90, 90),
        variance=Variance(None, 0.01, None, {"fold": 1.0}, 0.02, (More("fold", 3, 0.01),), "", ""),
        baselines=(
            Baseline("linear", "linear regression", 0.2, spread, {"mae": 0.2}, 12, 0.05),
            Baseline("trees", "boosted trees", missing="It was too large."),
        ),
        warnings=(LedgerWarning("ties", "Two tie.", {"trials": [1, 3]}, "Take a finer metric."),),
    )


def test_a_ledger_comes_back_from_its_json(ledger):
    assert Ledger.from_json(json.loads(json.dumps(ledger.to_json(), allow_nan=False))) == ledger


def test_parts_that_a_run_cannot_give_come_back_as_none(ledger):
    text = json.dumps({**ledger.to_json(), "nested": None, "test": None, "variance": None})
    back = Ledger.from_json(json.loads(text))
    assert (back.nested, back.test, back.variance) == (None, None, None)


def test_what_is_not_finite_is_none_in_json(ledger):
    parts = {**vars(ledger), "mean": FoldMean(0.1, 1, 1, 1, Spread(math.nan, None, math.inf), None)}
    assert Ledger(**parts).to_json()["mean"]["corrected"] == {"se": None, "low": None, "high": None}


def test_keys_of_a_later_version_are_ignored(ledger):
    assert Ledger.from_json({**ledger.to_json(), "later": 1}) == ledger


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trial", "three", "holds int"),
        ("direction", "up", "one of"),
        ("mean", [1], "holds FoldMean"),
        ("mean", {"value": 1.0}, "FoldMean of a ledger is incomplete"),
        ("warnings", "none", "holds a list"),
    ],
)
def test_another_type_is_refused(ledger, key, value, said):
    with pytest.raises(ValueError, match=said):
        Ledger.from_json({**ledger.to_json(), key: value})


def test_a_part_of_the_variance_has_a_share_each(ledger):
    said = ledger.to_json()
    said["variance"]["shares"] = "all"
    with pytest.raises(ValueError, match="holds an object there; received 'all'"):
        Ledger.from_json(said)
