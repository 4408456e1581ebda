"""Every warning, provoked and silent."""

import numpy as np
import pytest

from hpsearch.folds import Fold
from hpsearch.ledger import Baseline, TestScore, cautions
from hpsearch.space.hyperparameters import Range
from hpsearch.task import Target

RATE = Range(1e-4, 1e-1, is_log=True)
UNITS = Range(16, 256, values=(16.0, 32.0, 64.0, 128.0, 256.0))


def codes(warnings):
    return [warning.code for warning in warnings]


def rows(*values, name="rate"):
    return [{"trial": number, f"hp.{name}": value} for number, value in enumerate(values)]


INSIDE = [0.01, 0.02, 0.005, 0.001, 0.03, 0.002, 0.015, 0.004, 0.008]

# -- edges


def test_a_best_value_on_the_edge_names_hyperparameter_and_range():
    [warning] = cautions.edges(rows(0.09, 0.08, 0.095, *INSIDE), {"rate": RATE})
    assert warning.code == "edge_of_range"
    assert "rate is 0.09, at the upper end of its range from 0.0001 to 0.1" in warning.text
    assert warning.evidence["best_trials_at_this_end"] == 3
    assert "Widen the upper end of rate" in warning.remedy


def test_the_lower_edge_counts_too():
    [warning] = cautions.edges(rows(1.1e-4, 1.2e-4, 1.1e-4, *INSIDE), {"rate": RATE})
    assert "lower end" in warning.text


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ([0.01, 0.09, 0.09], RATE),  # the winner is inside
        ([0.09, 0.01, 0.002], RATE),  # the other good ones are inside
        ([0.0], Range(0.0, 0.5)),  # no dropout below 0
        ([1], Range(1, 6, values=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))),  # no fewer layers than 1
        ([128], UNITS),
        ([2.0], Range(1.0, 2.0, values=(1.0, 2.0))),  # two values have no inside
        (["relu"], RATE),
        ([None], RATE),
    ],
)
def test_a_best_value_inside_its_range_is_no_matter(values, span):
    assert not list(cautions.edges(rows(*values), {"rate": span}))


def test_the_last_of_some_values_is_an_edge():
    tried = rows(*[256] * 3, *[64, 32, 128] * 3, name="units")
    assert codes(cautions.edges(tried, {"units": UNITS})) == ["edge_of_range"]


@pytest.mark.parametrize("values", [[0.09], [0.09, 0.01], [0.09, 0.09, 0.01, 0.001]])
def test_few_trials_say_nothing_about_an_edge(values):
    assert not list(cautions.edges(rows(*values), {"rate": RATE}))


def test_where_most_trials_lie_at_an_edge_the_best_ones_say_nothing():
    assert not list(cautions.edges(rows(*[0.09] * 9, 0.01), {"rate": RATE}))


# -- trials


def test_fewer_trials_than_hyperparameters():
    [warning] = cautions.few_trials(3, ["a", "b", "c", "d"])
    assert (warning.code, warning.evidence["n_hyperparameters"]) == ("few_trials", 4)
    assert not list(cautions.few_trials(4, ["a", "b", "c", "d"]))
    [warning] = cautions.few_trials(1, ["a", "b"])
    assert warning.text.startswith("1 trial for 2 hyperparameters")


# -- folds


def fold(*validation):
    return Fold(0, 0, np.array([10_000]), np.array(validation))


NUMBERS = Target(("y",), "regression")
CLASSES = Target(("y",), "multiclass", ("a", "b", "c"))


def test_small_validation_folds():
    y = np.zeros((40, 1))
    [warning] = cautions.small_folds([fold(*range(19)), fold(*range(19, 40))], y, NUMBERS)
    assert (warning.code, warning.evidence["smallest"]) == ("small_folds", 19)
    assert not list(cautions.small_folds([fold(*range(20))], y, NUMBERS))


def test_validation_rows_that_weigh_as_much_as_few():
    y, weights = np.zeros((40, 1)), np.ones(40)
    assert not list(cautions.small_folds([fold(*range(40))], y, NUMBERS, weights))
    weights[3] = 20.0
    [warning] = cautions.small_folds([fold(*range(40))], y, NUMBERS, weights)
    assert (warning.code, warning.evidence["smallest"]) == ("small_folds", 7.9)
    assert "tell as much as 7.9 of equal weight" in warning.text
    weights = (np.arange(40) < 10).astype(float)
    [warning] = cautions.small_folds([fold(*range(40))], y, NUMBERS, weights)
    assert "A fold has 10 validation rows" in warning.text
    of_classes = np.repeat([0, 1, 2], 40)
    weights = np.where(np.arange(120) < 83, 1.0, 0.0)
    [warning] = cautions.small_folds([fold(*range(120))], of_classes, CLASSES, weights)
    assert (warning.code, warning.evidence["smallest"]) == ("small_class", 3)


def test_few_validation_rows_of_a_class_or_label():
    y = np.array([0] * 20 + [1] * 20 + [2] * 4)
    [warning] = cautions.small_folds([fold(*range(44))], y, CLASSES)
    assert (warning.code, warning.evidence["label"]) == ("small_class", "c")
    assert not list(cautions.small_folds([fold(*range(45))], np.append(y, 2), CLASSES))
    labels = Target(("p", "q"), "multilabel", ("p", "q"))
    [warning] = cautions.small_folds([fold(*range(30))], np.repeat([[1.0, 0.0]], 30, 0), labels)
    assert (warning.code, warning.evidence["smallest"]) == ("small_class", 0)


# -- ties, baselines, test rows, nesting


def test_trials_that_tie_with_the_winner():
    scores = [{"trial": t, "score": s} for t, s in enumerate([0.5, 0.25, 0.25, 0.25 + 1e-12])]
    [warning] = cautions.ties(scores, 1)
    assert (warning.code, warning.evidence) == ("ties", {"trials": [2, 3]})
    assert not list(cautions.ties(scores, 0))


def test_the_best_baseline_is_not_beaten():
    chance = Baseline("linear", "logistic regression", 0.3, gain=0.01, gain_low=-0.1)
    [found] = cautions.not_beaten(chance)
    assert found.code == "baseline_not_beaten"
    assert found.text == "The winner beats logistic regression by 0.01, which may be chance."
    better = Baseline("trees", "boosted trees", 0.2, gain=-0.1)
    [found] = cautions.not_beaten(better)
    assert found.text == "The winner does no better than boosted trees."


def test_of_several_baselines_it_is_said_of_how_many():
    chance = Baseline("small_trees", "small boosted trees", 0.28, gain=0.005, gain_low=-0.1)
    [found] = cautions.not_beaten(chance, n_baselines=3)
    said = "beats the best of 3 baselines, small boosted trees, by 0.005, which may be chance."
    assert said in found.text
    better = Baseline("trees", "boosted trees", 0.2, gain=-0.1)
    [found] = cautions.not_beaten(better, n_baselines=2)
    assert found.text == "The winner does no better than the best of 2 baselines, boosted trees."


def test_where_the_best_baseline_is_beaten_or_missing_nothing_is_said():
    beaten = Baseline("constant", "class frequencies", 0.5, gain=0.2, is_beaten=True)
    assert not list(cautions.not_beaten(beaten, n_baselines=4))
    assert not list(cautions.not_beaten(None))


def test_in_time_order_no_caution_asks_for_repeats():
    chance = Baseline("linear", "ridge regression", value=0.3, gain=0.1, gain_low=-0.1)
    [found] = cautions.not_beaten(chance, in_time=True)
    assert found.remedy == "Take the simpler model, or raise --folds if the difference matters."


def on_test(verdict, overlaps=False):
    return TestScore(0.3, 0.2, 0.4, 50, "rows", verdict, overlaps, {})


def test_test_rows_that_score_worse():
    [warning] = cautions.worse_on_test(on_test("worse", overlaps=True))
    assert warning.code == "worse_on_test"
    assert "reaches into it" in warning.text
    for silent in (None, on_test("within"), on_test("better"), on_test("unknown")):
        assert not list(cautions.worse_on_test(silent))


def test_outer_folds_without_a_score():
    [warning] = cautions.nested_failed(["All 2 trials failed."])
    assert warning.evidence == {"reasons": ["All 2 trials failed."]}
    assert not list(cautions.nested_failed([]))
