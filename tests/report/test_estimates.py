"""The estimates of a run with a ledger and without, and the command that makes it again."""

from types import SimpleNamespace

import pytest

from hpsearch.ledger import Baseline, BiasCorrection, Promise, Spread
from hpsearch.report.estimates import estimates, promised
from hpsearch.report.parts.worth import _baseline_sentence


def test_a_ledger_gives_every_estimate_that_it_has(made):
    found = estimates({}, made.ledger())
    assert [(e.key, e.value, e.low, e.high) for e in found] == [
        ("naive", 2.0, 1.9, 2.1),
        ("corrected", 2.0, 1.8, 2.2),
        ("bias_corrected", 2.1, 1.9, 2.4),
        ("foldwise", 2.2, None, None),
        ("nested", 2.3, 1.8, 2.8),
        ("test", 2.4, 2.0, 2.9),
        ("baseline", 3.0, 1.8, 2.2),
    ]
    assert found[-1].label == "Baseline: ridge regression"


def test_parts_that_a_ledger_lacks_are_left_out(made):
    missing = BiasCorrection(missing="the journal is gone")
    ledger = made.ledger(
        bias_corrected=missing, nested=None, foldwise=None, test=None, baselines=()
    )
    assert [e.key for e in estimates({}, ledger)] == ["naive", "corrected"]


@pytest.mark.parametrize(
    ("source", "key"),
    [("nested", "nested"), ("bias_corrected", "bias_corrected"), ("mean", "corrected")],
)
def test_what_is_promised_is_what_the_ledger_promises(made, source, key):
    assert promised({}, made.ledger(promise=Promise(source, 2.0, 1.8, 2.2))).key == key


def test_without_a_ledger_the_naive_interval_is_worked_out():
    best = {"metric": "mae", "score": 10.0, "score_std": 2.0, "n_folds": 4, "ci_low": 5.0}
    naive, corrected, test = estimates({**best, "ci_high": 15.0, "test": {"mae": 11.0}})
    # 10 -+ t(0.975, 3) * 2 / sqrt(4)
    assert (naive.low, naive.high) == pytest.approx((10 - 3.182446, 10 + 3.182446))
    assert (corrected.low, corrected.high) == (5.0, 15.0)
    assert (test.value, test.low) == (11.0, None)


def test_a_hold_out_has_one_estimate_without_an_interval():
    [only] = estimates({"metric": "mae", "score": 1.0, "score_std": None, "n_folds": 1})
    assert (only.label, only.low) == ("Score of the hold-out", None)


@pytest.mark.parametrize(
    ("gain", "is_beaten", "said"),
    [
        (1.0, True, "it beats the best baseline, ridge regression"),
        (0.1, False, "it is ahead of the best baseline, ridge regression, with 3.00, which may be"),
        (-0.1, False, "it does not beat the best baseline, ridge regression"),
    ],
)
def test_the_report_has_the_ledgers_verdict_on_the_best_baseline(made, gain, is_beaten, said):
    baseline = Baseline(
        "linear", "ridge regression", 3.0, Spread(0.1, 2.8, 3.2), gain=gain, is_beaten=is_beaten
    )
    ledger = made.ledger(baselines=(baseline,))
    material = SimpleNamespace(direction="min", ledger=ledger)
    found = [e for e in estimates({}, ledger) if e.key == "baseline"]
    assert said in _baseline_sentence(material, found)
