"""Figures of out-of-fold predictions, against hand calculations and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from hpsearch.report.parts.outcomes import _beyond_text
from hpsearch.report.predictions import (
    Predicted,
    calibration,
    confusion,
    fitted,
    jeffreys,
    residuals,
    roc,
    spread,
)

BINARY = {"labels": ["no", "yes"]}


def binary(truth, chance, repeat=0):
    n = len(truth)
    return pd.DataFrame(
        {"row": range(n), "repeat": repeat, "fold": 0, "y_true": truth, "y_pred": chance}
    )


def test_a_binary_confusion_matrix_cuts_at_one_half():
    table = binary(["no", "no", "yes", "yes", "yes"], [0.1, 0.5, 0.49, 0.9, 0.6])
    spec = confusion(Predicted.of(table, "binary", BINARY))
    assert spec["names"] == ["no", "yes"]
    assert spec["counts"] == [[1.0, 1.0], [1.0, 2.0]]
    assert spec["shares"] == [[0.5, 0.5], [0.3333, 0.6667]]


def test_counts_are_means_over_repeats():
    tables = [binary(["no", "yes"], [0.1, chance], r) for r, chance in enumerate([0.9, 0.2])]
    spec = confusion(Predicted.of(pd.concat(tables), "binary", BINARY))
    assert spec["counts"] == [[1.0, 0.0], [0.5, 0.5]]


def test_labels_that_a_table_changes_are_found_again():
    table = binary(["'=a", "b"], [0.2, 0.8])
    assert Predicted.of(table, "binary", {"labels": ["=a", "b"]}).truth.tolist() == [0, 1]
    table = binary([0, 1], [0.2, 0.8])
    assert Predicted.of(table, "binary", {"labels": ["0", "1"]}).truth.tolist() == [0, 1]
    table = binary([True, False], [0.8, 0.2])
    assert Predicted.of(table, "binary", {"labels": [False, True]}).truth.tolist() == [1, 0]


def test_without_a_schema_the_likelier_class_is_the_positive_one():
    predicted = Predicted.of(binary(["a", "b"], [0.9, 0.1]), "binary", {})
    assert predicted.names == ("b", "a")
    assert predicted.truth.tolist() == [1, 0]


def test_a_table_that_does_not_fit_the_problem_gives_nothing():
    table = binary(["other", "yes"], [0.1, 0.2])
    assert Predicted.of(table, "binary", BINARY) is None
    assert Predicted.of(pd.DataFrame(), "binary", BINARY) is None
    assert Predicted.of(table.drop(columns="y_pred"), "binary", BINARY) is None


def test_roc_has_a_curve_a_repeat_with_scikit_learns_area():
    rng = np.random.default_rng(0)
    tables = []
    for repeat in range(3):
        y = rng.integers(0, 2, 60)
        tables.append(
            binary(np.array(["no", "yes"])[y], np.clip(0.3 * y + rng.random(60), 0, 1), repeat)
        )
    spec = roc(Predicted.of(pd.concat(tables), "binary", BINARY))
    expected = [roc_auc_score(t["y_true"] == "yes", t["y_pred"]) for t in tables]
    assert [line["name"] for line in spec["series"]] == ["repeat 0", "repeat 1", "repeat 2"]
    assert [line["auc"] for line in spec["series"]] == pytest.approx(expected, abs=1e-4)


def test_roc_leaves_out_a_class_that_never_or_always_occurs():
    table = binary(["yes", "yes"], [0.5, 0.6])
    assert roc(Predicted.of(table, "binary", BINARY)) is None


def test_multiclass_predictions_take_the_likeliest_class():
    table = pd.DataFrame(
        {
            "row": [0, 1, 2],
            "repeat": 0,
            "fold": 0,
            "y_true": ["a", "b", "b"],
            "y_pred.a": [0.72, 0.58, 0.08],
            "y_pred.b": [0.28, 0.42, 0.92],
        }
    )
    predicted = Predicted.of(table, "multiclass", {})
    assert confusion(predicted)["counts"] == [[1.0, 0.0], [1.0, 1.0]]
    [part] = spread(predicted)["series"]  # 0.72, 0.42 and 0.92 of the true class
    assert [i for i, share in enumerate(part["shares"]) if share] == [8, 14, 18]


def test_calibration_has_mean_probability_and_share_of_each_group():
    chance = np.repeat([0.2, 0.8], 10)
    truth = np.array(["no"] * 8 + ["yes"] * 2 + ["yes"] * 9 + ["no"])
    spec = calibration(Predicted.of(binary(truth, chance), "binary", BINARY))
    assert [point[:2] for point in spec["points"]] == [[0.2, 0.2], [0.8, 0.9]]
    assert [point[4] for point in spec["points"]] == [10, 10]


def test_calibration_counts_a_row_once_however_many_repeats():
    table = binary(["no", "yes"] * 10, [0.3, 0.7] * 10)
    once = calibration(Predicted.of(table, "binary", BINARY))["points"]
    many = [table.assign(repeat=repeat) for repeat in range(5)]
    again = calibration(Predicted.of(pd.concat(many), "binary", BINARY))["points"]
    assert again == once


def test_jeffreys_interval_is_the_beta_posteriors():
    low, high = jeffreys(3, 10)
    assert (low, high) == pytest.approx(beta.ppf([0.025, 0.975], 3.5, 7.5))
    assert jeffreys(0, 10)[0] == 0
    assert jeffreys(10, 10)[1] == 1


def test_multilabel_figures_take_every_label():
    table = pd.DataFrame(
        {
            "row": [0, 1],
            "repeat": 0,
            "fold": 0,
            "y_true.a": [1, 0],
            "y_true.b": [0, 1],
            "y_pred.a": [0.9, 0.2],
            "y_pred.b": [0.4, 0.6],
        }
    )
    predicted = Predicted.of(table, "multilabel", {})
    assert [line["auc"] for line in roc(predicted)["series"]] == [1.0, 1.0]
    names = [line["name"] for line in spread(predicted)["series"]]
    assert names == ["without the label", "with the label"]
    assert confusion(predicted) is None


def values(truth, guess, **more):
    return pd.DataFrame(
        {"row": range(len(truth)), "repeat": 0, "fold": 0, "y_true": truth, "y_pred": guess, **more}
    )


def test_fitted_values_are_of_the_first_repeat_and_name_their_rows():
    table = pd.concat([values([1.0, 2.0], [1.5, 1.0]), values([1.0, 2.0], [9, 9], repeat=1)])
    spec = fitted(Predicted.of(table, "regression", {"names": ["price"]}))
    assert spec["name"] == "price"
    assert spec["points"] == [[1.0, 1.5, 0], [2.0, 1.0, 1]]


def test_many_rows_are_thinned(monkeypatch):
    monkeypatch.setattr("hpsearch.report.predictions.MOST_POINTS", 10)
    spec = fitted(Predicted.of(values(range(100), range(100)), "share", {}))
    assert len(spec["points"]) == 10
    assert spec["n_left_out"] == 90


def test_residuals_are_prediction_minus_truth_and_far_ones_are_in_the_last_bin():
    truth = np.zeros(41)
    guess = np.concatenate([np.linspace(-1, 1, 40), [1e9]])
    spec = residuals(Predicted.of(values(truth, guess), "regression", {}))
    assert sum(spec["counts"]) == pytest.approx(41)
    assert spec["edges"][0] == -1
    assert spec["edges"][-1] < 10
    assert spec["counts"][-1] >= 1


@pytest.mark.parametrize("guess", [[3.0, 3.0], [3.0, np.nan]])
def test_residuals_that_are_all_one_value_have_a_histogram(guess):
    spec = residuals(Predicted.of(values([2.0, 2.0], guess), "regression", {}))
    assert sum(spec["counts"]) == len([g for g in guess if np.isfinite(g)])


def test_several_targets_have_a_figure_each():
    table = pd.DataFrame(
        {"row": [0], "repeat": 0, "fold": 0, "y_true.n": [1.0], "y_true.s": [2.0]}
    ).assign(**{"y_pred.n": [1.5], "y_pred.s": [0.0]})
    predicted = Predicted.of(table, "regression", {"names": ["n", "s"]})
    assert fitted(predicted, 1)["points"] == [[2.0, 0.0, 0]]
    assert fitted(predicted, 1)["name"] == "s"


def test_residuals_beyond_the_axis_are_counted_apart():
    true = np.zeros(100)
    guess = np.linspace(-1, 1, 100)
    guess[[0, 1, -1]] = -50.0, -60.0, 70.0
    table = pd.DataFrame({"row": range(100), "repeat": 0, "y_true": true, "y_pred": guess})
    spec = residuals(Predicted.of(table, "regression", {}))
    assert (spec["below"], spec["above"], spec["reach"]) == (2.0, 1.0, [-60.0, 70.0])
    assert spec["edges"][0] > -10
    said = _beyond_text(spec)
    assert said.startswith(" The bars at the ends hold all beyond them: 2 below -")
    assert " and 1 above " in said


# -- rows that weigh


def repeated(table):
    """The same cases, each as often as it weighs."""
    return table.loc[table.index.repeat(table["weight"])].drop(columns="weight")


@pytest.fixture
def weighing():
    """Two repeats of rows that weigh whole numbers, some of them nothing."""
    rng = np.random.default_rng(3)
    y, weights, tables = rng.integers(0, 2, 80), rng.integers(0, 4, 80), []
    for repeat in range(2):
        chance = np.round(np.clip(0.4 * y + 0.6 * rng.random(80), 0, 1), 2)
        tables.append(binary(np.array(["no", "yes"])[y], chance, repeat).assign(weight=weights))
    return pd.concat(tables, ignore_index=True)


def test_a_row_of_weight_k_is_drawn_as_k_rows(weighing):
    one, other = (Predicted.of(t, "binary", BINARY) for t in (weighing, repeated(weighing)))
    assert confusion(one) == confusion(other)
    assert spread(one) == spread(other)
    for mine, theirs in zip(roc(one)["series"], roc(other)["series"], strict=True):
        assert mine["auc"] == theirs["auc"]


def test_calibration_weighs_what_came_true_and_counts_rows_by_what_they_are_worth(weighing):
    one = Predicted.of(weighing, "binary", BINARY)
    for mean, share, low, high, n in calibration(one)["points"]:
        assert low <= share <= high
        assert n < 8
        assert 0 < mean < 1
    known = weighing[weighing["weight"] > 0]
    total = sum(known["weight"] * (known["y_true"] == "yes")) / sum(known["weight"])
    assert one.mean(one.truth) == pytest.approx(total)


def test_numbers_are_drawn_by_what_they_weigh():
    rng = np.random.default_rng(4)
    truth, weights = rng.normal(size=50), rng.integers(0, 4, 50)
    table = pd.DataFrame({"row": range(50), "repeat": 0, "fold": 0, "weight": weights,
                          "y_true": truth, "y_pred": truth + rng.normal(size=50)})  # fmt: skip
    one, other = (Predicted.of(t, "regression", {}) for t in (table, repeated(table)))
    totals = [sum(residuals(each)["counts"]) for each in (one, other)]
    assert totals == [weights.sum(), weights.sum()]
    errors = [each.predicted[:, 0] - each.truth[:, 0] for each in (one, other)]
    assert one.quantiles(errors[0], 0.5) == pytest.approx(
        float(np.quantile(errors[1], 0.5, method="inverted_cdf"))
    )
    assert one.mean(errors[0]) == pytest.approx(errors[1].mean())


def test_rows_that_weigh_nothing_are_no_cases(weighing):
    assert Predicted.of(weighing.assign(weight=0.0), "binary", BINARY) is None
