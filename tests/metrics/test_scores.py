"""Metrics: equal to scikit-learn's, over any leading axes, and never an exception for NaN."""

import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sk
from sklearn.exceptions import UndefinedMetricWarning

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, PROBABILITY_EPS, resolve_metric, score
from hpsearch.task import TASKS

PAIRS = [(metric.name, kind) for metric in METRICS.values() for kind in metric.kinds]


def classes(probabilities):
    return probabilities.argmax(axis=1)


def labels(probabilities):
    return (probabilities >= 0.5).astype(int)


def multilabel_log_loss(y, p):
    return np.mean([sk.log_loss(y[:, at], p[:, at], labels=[0, 1]) for at in range(y.shape[1])])


THEIRS = {
    ("log_loss", "binary"): lambda y, p: sk.log_loss(y, p, labels=[0, 1]),
    ("log_loss", "multiclass"): lambda y, p: sk.log_loss(y, p, labels=[0, 1, 2, 3]),
    ("log_loss", "multilabel"): multilabel_log_loss,
    ("accuracy", "binary"): lambda y, p: sk.accuracy_score(y, labels(p)),
    ("accuracy", "multiclass"): lambda y, p: sk.accuracy_score(y, classes(p)),
    ("balanced_accuracy", "binary"): lambda y, p: sk.balanced_accuracy_score(y, labels(p)),
    ("balanced_accuracy", "multiclass"): lambda y, p: sk.balanced_accuracy_score(y, classes(p)),
    ("roc_auc", "binary"): sk.roc_auc_score,
    ("average_precision", "binary"): sk.average_precision_score,
    ("brier", "binary"): lambda y, p: sk.brier_score_loss(y, p, pos_label=1),
    ("f1", "binary"): lambda y, p: sk.f1_score(y, labels(p), zero_division=0),
    ("micro_f1", "multilabel"): lambda y, p: sk.f1_score(
        y, labels(p), average="micro", zero_division=0
    ),
    ("macro_f1", "binary"): lambda y, p: sk.f1_score(y, labels(p), average="macro"),
    ("macro_f1", "multiclass"): lambda y, p: sk.f1_score(y, classes(p), average="macro"),
    ("macro_f1", "multilabel"): lambda y, p: sk.f1_score(
        y, labels(p), average="macro", zero_division=0
    ),
    ("mae", "regression"): sk.mean_absolute_error,
    ("mse", "regression"): sk.mean_squared_error,
    ("rmse", "regression"): sk.root_mean_squared_error,
    ("r2", "regression"): sk.r2_score,
}


def theirs(name, kind, y, p):
    """scikit-learn's score; its warnings about what a fold lacks are no part of the number."""
    kind = "regression" if kind == "share" else kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (UserWarning, UndefinedMetricWarning))
        return THEIRS[name, kind](y, p)


def predictions(kind, n, rng, leading=(), *, ties=False):
    """Random truth and canonical predictions; with ties, in few values that include 0 and 1."""
    n_outputs = {"binary": (), "multiclass": (4,), "multilabel": (3,)}.get(kind, (2,))
    shape = (*leading, n, *n_outputs)
    p = rng.integers(0, 5, shape) / 4 if ties else rng.random(shape)
    if kind == "multiclass":
        if ties:
            p = np.eye(4)[rng.integers(0, 4, shape[:-1])]
        p = p / p.sum(axis=-1, keepdims=True)
        return rng.integers(0, 4, n), p
    if kind in ("binary", "multilabel"):
        y = rng.integers(0, 2, (n, *n_outputs))
        if kind == "binary":
            y[:2] = [0, 1]
        return y, p
    return rng.normal(size=(n, *n_outputs)), p * 3 - 1


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), ties=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_score_is_scikit_learns(name, kind, seed, n, ties):
    y, p = predictions(kind, n, np.random.default_rng(seed), ties=ties)
    assert_allclose(score(name, y, p, kind=kind), theirs(name, kind, y, p), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
@pytest.mark.parametrize("ties", [True, False])
def test_leading_axes_give_the_bits_that_a_loop_gives(name, kind, leading, ties):
    y, p = predictions(kind, 143, np.random.default_rng(3), leading, ties=ties)
    together = score(name, y, p, kind=kind)
    assert together.shape == leading
    for at in np.ndindex(leading):
        assert_array_equal(together[at], score(name, y, p[at], kind=kind))


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_one_output_has_the_bits_that_a_loop_gives(name):
    rng = np.random.default_rng(6)
    y, p = rng.normal(size=(143, 1)), rng.normal(size=(20, 143, 1))
    assert_array_equal(score(name, y, p), [score(name, y, one) for one in p])


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_layout_in_memory_does_not_change_a_bit(name, kind):
    y, p = predictions(kind, 143, np.random.default_rng(7), (4,))
    assert_array_equal(
        score(name, y, np.asfortranarray(p), kind=kind), score(name, y, p, kind=kind)
    )


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_float32_predictions_are_scored_in_float64(name, kind):
    y, p = predictions(kind, 30, np.random.default_rng(4))
    p = p.astype(np.float32)
    result = score(name, y, p, kind=kind)
    assert result.dtype == np.float64
    assert_array_equal(result, score(name, y, p.astype(np.float64), kind=kind))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_gives_nan_for_its_epoch_alone(name, kind, bad):
    y, p = predictions(kind, 10, np.random.default_rng(5), (3,))
    p[(1, 4, *[0] * (p.ndim - 2))] = bad
    result = score(name, y, p, kind=kind)
    assert np.isnan(result[1])
    assert np.isfinite(result[[0, 2]]).all()


@pytest.mark.parametrize("code", [0, 1])
def test_the_area_under_the_curve_of_one_class_is_nan(code):
    assert np.isnan(score("roc_auc", np.full(4, code), np.array([0.1, 0.2, 0.3, 0.4])))


def test_tied_probabilities_count_half_in_the_area_under_the_curve():
    assert score("roc_auc", np.array([0, 1]), np.array([0.5, 0.5])) == 0.5


def test_a_certain_mistake_costs_the_logarithm_of_the_clip():
    y, p = np.array([1, 0]), np.array([0.0, 0.0])
    expected = (-np.log(PROBABILITY_EPS) - np.log(1 - PROBABILITY_EPS)) / 2
    assert_allclose(score("log_loss", y, p), expected, rtol=1e-15)


def test_a_certain_hit_costs_the_clip_as_in_scikit_learn():
    assert score("log_loss", np.array([1, 0]), np.array([1.0, 0.0])) == -np.log1p(-PROBABILITY_EPS)


def test_a_probability_of_one_half_counts_as_the_second_label():
    assert score("accuracy", np.array([1, 1]), np.array([0.5, 0.49])) == 0.5


def test_the_root_mean_squared_error_is_the_mean_of_the_outputs_roots():
    y, p = np.zeros((2, 2)), np.array([[1.0, 3.0], [1.0, 3.0]])
    assert score("rmse", y, p) == 2.0


@pytest.mark.parametrize(("off", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_r2_of_a_constant_truth_is_one_if_met_and_else_zero(off, expected):
    assert score("r2", np.full((3, 1), 2.0), np.full((3, 1), 2.0 + off)) == expected


def test_r2_of_one_row_is_nan():
    assert np.isnan(score("r2", np.ones((1, 1)), np.ones((1, 1))))


def test_f1_without_any_positive_is_zero():
    y, p = np.zeros((3, 2), dtype=int), np.zeros((3, 2))
    assert score("micro_f1", y, p) == 0.0


def test_average_precision_without_any_positive_is_zero():
    assert score("average_precision", np.zeros(3, dtype=int), np.array([0.1, 0.2, 0.3])) == 0.0


def test_values_in_one_dimension_are_one_output():
    y, p = np.array([1.0, 2.0]), np.array([[1.0, 4.0], [1.0, 2.0]])
    assert_array_equal(score("mae", y, p), [1.0, 0.0])


def test_as_many_epochs_as_rows_are_still_binary():
    y = np.array([0, 1, 1])
    assert score("accuracy", y, np.full((3, 3), 0.9)).shape == (3,)


def test_the_problem_type_tells_as_many_classes_as_rows_from_epochs():
    y = np.array([0, 1, 1])
    assert score("accuracy", y, np.eye(3), kind="multiclass").shape == ()


def test_the_curve_of_100_epochs_is_scored_far_below_a_millisecond_an_epoch():
    y, p = predictions("binary", 142, np.random.default_rng(0), (100,))
    start = time.process_time()
    for _ in range(10):
        score("log_loss", y, p, kind="binary")
    assert (time.process_time() - start) / 10 < 0.02  # 0.2 ms an epoch would be 0.02


def test_every_metric_of_a_problem_type_suits_it():
    for kind, task in TASKS.items():
        assert all(kind in METRICS[name].kinds for name in task.metrics)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_is_better_than_a_wrong_one(name):
    metric = METRICS[name]
    if metric.kinds[0] == "regression":
        y = np.array([[0.0], [1.0], [3.0]])
        perfect, wrong = y, y[::-1]
    elif metric.kinds[0] == "multilabel":
        y = np.array([[0, 1], [1, 0], [1, 1]])
        perfect, wrong = y.astype(float), 1.0 - y
    else:
        y = np.array([0, 1, 1])
        perfect, wrong = y.astype(float), 1.0 - y
    good, bad = score(name, y, perfect), score(name, y, wrong)
    assert good < bad if metric.direction == "min" else good > bad


def test_the_selecting_metric_comes_first_and_the_others_stay():
    assert resolve_metric("binary", "roc_auc") == ("roc_auc", "log_loss", "accuracy")


def test_an_unusual_metric_is_added_to_the_usual_ones():
    assert resolve_metric("multiclass", "macro_f1") == ("macro_f1", "log_loss", "accuracy")


@pytest.mark.parametrize("name", ["rmse", "auc"])
def test_a_metric_that_does_not_suit_is_refused_with_those_that_do(name):
    with pytest.raises(OptionError) as caught:
        resolve_metric("multilabel", name)
    assert str(caught.value) == (
        "`--metric` must suit a multilabel problem: log_loss, micro_f1, macro_f1; "
        f"received {name!r}. Take one of those."
    )


def test_scoring_with_a_metric_that_does_not_suit_is_refused():
    with pytest.raises(OptionError, match="must suit a regression problem"):
        score("accuracy", np.zeros((2, 1)), np.zeros((2, 1)), kind="regression")


def test_scoring_with_an_unknown_metric_is_refused():
    with pytest.raises(OptionError, match="received 'loss'"):
        score("loss", np.zeros(2), np.zeros(2))


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [
        ("accuracy", np.zeros(3, dtype=int), np.zeros(2)),
        ("mae", np.zeros((3, 2)), np.zeros((3, 1))),
        ("mae", np.zeros((0, 1)), np.zeros((0, 1))),
        ("micro_f1", np.zeros((3, 2), dtype=int), np.zeros((2, 2))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, y, p):
    with pytest.raises(ValueError, match="one row per row of y_true"):
        score(name, y, p)


def test_r2_of_a_constant_truth_whose_mean_is_rounded_is_0():
    y = np.full(3, 0.1)
    assert y.mean() != 0.1
    assert score("r2", y, np.array([0.1, 0.1, 0.2])) == 0
    assert score("r2", y, y) == 1
