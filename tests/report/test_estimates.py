"""The estimates of a run with a ledger and without, and the command that makes it again."""

from dataclasses import replace

import pandas as pd
import pytest

from hpsearch.ledger import Baseline, BiasCorrection, FoldMean, Promise, Spread
from hpsearch.report import Material
from hpsearch.report.estimates import baseline_verdict, estimates, promised
from hpsearch.report.parts.summary import head
from hpsearch.report.parts.worth import estimates_section


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
    assert said in baseline_verdict(ledger, 2)


def test_the_verdict_is_on_the_best_of_several_and_names_others_that_are_not_beaten(made):
    trees = Baseline("trees", "boosted trees", 3.2, gain=0.9, is_beaten=False)
    small = Baseline("small_trees", "small boosted trees", 3.0, gain=0.7, is_beaten=True)
    gone = Baseline("linear", "ridge regression", missing="too few rows")
    assert baseline_verdict(made.ledger(baselines=(gone, trees, small)), 2) == (
        "On its folds it beats the best of 2 baselines, small boosted trees, with 3.00. "
        "Having been picked by that score flatters this baseline a little. "
        "It is not shown to beat boosted trees."
    )
    ledger = made.ledger(baselines=(trees, small), direction="max")
    assert ledger.best_baseline == trees
    assert "is ahead of the best of 2 baselines, boosted trees" in baseline_verdict(ledger, 2)
    assert baseline_verdict(made.ledger(baselines=(gone,)), 2) == ""


def test_intervals_of_losses_end_at_0_and_that_is_said(made):
    mean = FoldMean(0.2, 2, 3, 6, Spread(0.1, -0.06, 0.46), Spread(0.05, 0.1, 0.3))
    ledger = made.ledger(mean=mean, nested=None, foldwise=None, test=None, baselines=())
    ledger = replace(ledger, promise=Promise("mean", 0.2, -0.06, 0.46))
    naive, corrected, *_ = estimates({}, ledger)
    assert (naive.low, naive.is_cut) == (0.1, False)
    assert (corrected.low, corrected.high, corrected.is_cut) == (0.0, 0.46, True)
    best = {"metric": "mae", "direction": "min", "score": 0.2, "score_se": 0.1}
    material = Material(pd.DataFrame(), best=best, ledger=ledger)
    [chart] = estimates_section(material).charts
    assert "Intervals are cut at 0: mae is never less." in chart.caption


def test_a_metric_of_ones_own_has_no_bounds(made):
    ledger = made.ledger(metric="r2", mean=replace(made.ledger().mean, value=-3.0))
    assert estimates({}, ledger)[1].low == 1.0  # 1.8 is more than r2 can be
    assert estimates({"metric": "own", "score": 1.0, "ci_low": -2.0, "ci_high": 4.0})[0].low == -2.0


def test_all_estimates_have_the_digits_of_the_means_error(made):
    ledger = made.ledger(bias_corrected=BiasCorrection(2.6481, 2.1, 3.3))  # the mean's error is 0.1
    assert [e.shown for e in estimates({}, ledger)][:4] == ["2.00", "2.00", "2.65", "2.20"]
    assert estimates({}, ledger)[2].interval == "2.10 to 3.30"


def test_intervals_of_another_kind_are_told_apart(made):
    best = {"metric": "mae", "direction": "min"}
    material = Material(pd.DataFrame(), best=best, ledger=made.ledger())
    [chart] = estimates_section(material).charts
    assert "those of the corrected estimate and the test score from resampled rows" in chart.caption


def test_the_head_has_what_is_promised_and_the_mean_beside_it(made):
    best = {"metric": "mae", "direction": "min", "score": 2.0, "score_se": 0.1}
    trials = pd.DataFrame({"trial": [0], "status": ["completed"], "score": [2.0]})
    first, second, *_ = head(Material(trials, best=best, ledger=made.ledger()))
    assert (first.name, first.value) == ("mae to expect on new rows", "2.30")
    assert first.about == "95 % interval 1.80 to 2.80; lower is better"
    assert (second.name, second.value) == ("mean of the folds", "2.00 ± 0.10")


def test_scores_have_the_decimals_of_the_selected_ones_error_whatever_their_size():
    material = Material(pd.DataFrame(), best={"score": 17298.4, "score_se": 812.0})
    assert [material.score(v) for v in (17298.4, 17812.3, 902.26, None)] == [
        "17298",
        "17812",
        "902",
        "-",
    ]
