"""The ledger on a terminal: at any width, with styles and without."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from hpsearch.console.ledger import LedgerView
from hpsearch.ledger import (
    Baseline,
    BiasCorrection,
    Choice,
    FoldMean,
    Foldwise,
    Ledger,
    LedgerWarning,
    Nested,
    NestedFold,
    Promise,
    Spread,
    TestScore,
    Variance,
)

CORRECTED = Spread(0.0174, 0.0482, 0.1291)
OUTER = NestedFold(0, 8, 2, 1, 3, 0.1, 0.1, {})
SHARES = {"fold": 0.75, "reshuffle": 0.25}
LEDGER = Ledger(
    trial=4,
    epoch=12,
    metric="log_loss",
    direction="min",
    mean=FoldMean(0.0886, 2, 4, 8, CORRECTED, Spread(0.009, 0.067, 0.110)),
    bias_corrected=BiasCorrection(
        0.0927, 0.046, 0.145, 0.088, True, 6, 12, 455, 2, "copies", 990, 10
    ),
    foldwise=Foldwise(0.0940, 0.005, 6),
    nested=Nested(0.109, Spread(0.013, 0.053, 0.165), CORRECTED, 0.09, (OUTER,) * 3),
    promise=Promise("nested", 0.109, 0.053, 0.165),
    test=TestScore(0.082, 0.043, 0.128, 114, "rows", "within", True, {"accuracy": 0.97}),
    choice=Choice("best", "Trial 4 has the best score.", 4, 0.09, 0.09, 0.0, 0.01, 3, 6, 9, 9),
    variance=Variance(0.0, 0.01, None, SHARES, 0.02, (), "Raise it.", "So."),
    baselines=(
        Baseline(
            "constant",
            "class frequencies",
            0.661,
            CORRECTED,
            {},
            8,
            0.572,
            0.53,
            0.61,
            is_beaten=True,
        ),
        Baseline("linear", "logistic regression", 0.096, CORRECTED, {}, 8, 0.007, -0.02, 0.04, 0.5),
        Baseline("trees", "boosted trees", missing="It would take too long."),
        Baseline("small_trees", "small boosted trees", missing="It would take too long."),
    ),
    warnings=(
        LedgerWarning("baseline_not_beaten", "One may be chance.", {}, "Take the simpler one."),
        LedgerWarning("baseline_not_beaten", "Two may be chance.", {}, "Take the simpler one."),
        LedgerWarning("ties", "Two tie.", {}, "Take a finer metric."),
    ),
)


def shown(ledger=LEDGER, width=80, metrics=None, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(LedgerView(ledger, metrics or {"log_loss": 0.0886, "accuracy": 0.9725}))
    return console.file.getvalue()


def squeezed(text):
    return re.sub(" +", " ", text)


def test_every_figure_has_its_line_and_all_scores_the_same_decimals():
    text = squeezed(shown(width=120))
    for line in (
        "on new rows expect log_loss 0.109, 0.053 to 0.165 (from the nested search)",
        "mean of 2 x 4 folds 0.089 0.017 0.048 to 0.129",
        "corrected for choosing trial and epoch 0.093 0.046 to 0.145",
        "after Tibshirani & Tibshirani 0.094",
        "nested in 3 outer folds 0.109 0.013 0.053 to 0.165",
        "114 test rows 0.082 0.043 to 0.128",
        "The score on the test rows is within what was promised.",
        "corrected by 990 bootstraps of 455 rows, copies together, 10 skipped; 6 trials x 12 ep",
        "nested: inside the outer folds the winners scored 0.090",
        "also: accuracy 0.9725",
        "on the test rows: accuracy 0.9700",
        "Trial 4 has the best score. Within one standard error of the best: 3 of 6 trials.",
        "class frequencies 0.661 ± 0.017 0.572 (0.530 to 0.610)",
        "logistic regression 0.096 ± 0.017 0.007 (-0.020 to 0.040) may be chance",
        "the best of 2, logistic regression: may be chance",
        "boosted trees, small boosted trees left out: It would take too long.",
        "variance of the scores folds 75 %, reshuffles 25 %",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("share", "why"),
    [(None, "number."), (0.75, "number, and for the rows that the folds did not train on.")],
)
def test_what_was_expected_of_the_test_rows_and_why(share, why):
    test = replace(LEDGER.test, expected_low=0.04, expected_high=0.19)
    promise = replace(LEDGER.promise, share_trained=share, best=0.0)
    text = squeezed(shown(replace(LEDGER, test=test, promise=promise), width=160))
    expected = "Of 114 test rows a score from 0.040 to 0.190 was expected, which allows for their "
    assert expected + why in text


def test_the_naive_error_is_struck_through_where_the_terminal_can():
    styled = shown(force_terminal=True, color_system="standard")
    [line] = [line for line in styled.splitlines() if "folds were independent" in line]
    assert "~~" not in line
    assert re.search("\x1b\\[[0-9;]*9m0.009\x1b", line)


def test_the_naive_error_stands_between_tildes_where_it_cannot():
    text = shown(color_system=None)
    assert "\x1b" not in text
    assert "~~0.009~~" in text
    assert "~~0.067 to 0.110~~" in text


def test_without_colour_it_is_still_struck_through(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    styled = shown(force_terminal=True, color_system="standard")
    assert re.search("\x1b\\[[0-9;]*9m0.009\x1b", styled)
    assert "\x1b[33m" not in styled


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_it_stays_inside_any_width(width):
    assert max(map(len, shown(width=width).splitlines())) <= width


def test_each_estimate_is_one_line_of_80_columns():
    lines = shown(width=80).splitlines()
    assert sum("0.053 to 0.165" in line and "nested in" in line for line in lines) == 1
    assert any("~~0.067 to 0.110~~" in line and "independent" in line for line in lines)


def test_a_remedy_that_several_share_is_said_once():
    text = shown()
    assert text.count("Take the simpler one.") == 1
    assert text.count("! ") == 3


def test_what_a_run_does_not_have_is_left_out():
    parts = {"nested": None, "test": None, "variance": None, "foldwise": None}
    bare = replace(
        LEDGER,
        **parts,
        baselines=(),
        warnings=(),
        bias_corrected=BiasCorrection(missing="too few rows."),
        promise=Promise("mean", 0.0886, None, None),
        mean=FoldMean(0.0886, 1, 1, 1, Spread(None, None, None), Spread(None, None, None)),
    )
    text = shown(bare)
    assert "no bias-corrected estimate: too few rows." in text
    for absent in ("nested in", "test row", "variance", "baseline ", "independent", "look at"):
        assert absent not in text
    assert "on new rows expect log_loss 0.08860 (the mean over the folds" in text


def test_the_rules_cost_is_shown():
    choice = replace(LEDGER.choice, rule="one-se", reason="Trial 2 is simpler.", cost=0.0123)
    assert "Trial 2 is simpler. It costs 0.012 of log_loss." in shown(
        replace(LEDGER, choice=choice)
    )


def test_a_score_that_is_worse_on_test_rows_is_said():
    test = replace(LEDGER.test, verdict="worse")
    assert "test rows is worse than was promised" in shown(replace(LEDGER, test=test))


def test_one_test_row_is_one():
    text = shown(replace(LEDGER, test=replace(LEDGER.test, n_rows=1)))
    assert "1 test row " in text


def test_with_one_completed_trial_no_correction_for_the_choice_is_claimed():
    alone = replace(LEDGER.bias_corrected, n_trials=1)
    promise = Promise("bias_corrected", 0.0927, 0.046, 0.145)
    said = squeezed(shown(replace(LEDGER, bias_corrected=alone, promise=promise), width=120))
    assert "not corrected for the choice among trials: one was completed" in said
    assert "corrected for choosing the epoch alone" in said
