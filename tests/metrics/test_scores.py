"""Metrics: equal to scikit-learn's, over any leading axes, and never an exception for NaN."""

import pickle
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from sklearn.exceptions import UndefinedMetricWarning

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, PROBABILITY_EPS, metric_named, resolve_metric, score
from hpsearch.metrics.base import tables
from hpsearch.task import TASKS, Target

PAIRS = [
    (metric.name, kind)
    for metric in METRICS.every_kind()
    for kind in metric.kinds
    if kind not in ("count", "quantile")  # a regression's functions, and test_quantiles.py
]


def classes(probabilities):
    return probabilities.argmax(axis=1)


def labels(probabilities):
    return (probabilities >= 0.5).astype(int)


def multilabel_log_loss(y, p, **w):
    each = (sk.log_loss(y[:, at], p[:, at], labels=[0, 1], **w) for at in range(y.shape[1]))
    return np.mean(list(each))


def one_hot(y, n_classes=4):
    return (y[:, np.newaxis] == np.arange(n_classes)).astype(int)


def of_each_value(metric):
    """A metric of scikit-learn that takes one value, over several: the mean."""
    return lambda y, p, **w: np.mean([metric(y[:, at], p[:, at], **w) for at in range(y.shape[1])])


def smape(y, p, sample_weight=None):
    rows = [2 * abs(a - b) / (abs(a) + abs(b)) if a or b else 0 for a, b in zip(y, p, strict=True)]
    return np.average(rows, weights=sample_weight)


def max_error(y, p, sample_weight=None):
    """scikit-learn's has no weights; a row that weighs more is no further off."""
    return sk.max_error(y, p)


def spearman(y, p, sample_weight=None):
    """SciPy's has no weights: Pearson's correlation of the ranks in a table of repeated rows."""
    if sample_weight is None:
        return stats.spearmanr(y, p).statistic
    w = sample_weight
    below = [[(w * (v < at)).sum() + (w * (v == at)).sum() / 2 for at in v] for v in (y, p)]
    first, second = (np.array(v) - np.average(v, weights=w) for v in below)
    return (w * first * second).sum() / np.sqrt((w * first**2).sum() * (w * second**2).sum())


def of_curve(wanted, given, least):
    """The largest of one, precision (0) or recall (1), where the other is large enough."""

    def best(y, p, **w):
        if not y.any():
            return np.nan
        curve = sk.precision_recall_curve(y, p, **w)
        near = least - 1e-9  # sums of weights are rounded
        return max(a for a, b in zip(curve[wanted], curve[given], strict=True) if b >= near)

    return best


def calibration_error(hits, confidence, sample_weight=None):
    """By scikit-learn's own curve, its bins weighted by their rows; of weights, bin by bin."""
    bins = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
    if sample_weight is None:
        share, said = calibration_curve(hits, confidence, n_bins=15)
        return np.abs(share - said) @ (np.bincount(bins, minlength=15) / len(bins))[np.unique(bins)]
    gaps = [abs((sample_weight * (hits - confidence))[bins == at].sum()) for at in range(15)]
    return sum(gaps) / sample_weight.sum()


def on_labels(metric, **more):
    return lambda y, p, **w: metric(y, labels(p), **more, **w)


def on_classes(metric, **more):
    return lambda y, p, **w: metric(y, classes(p), **more, **w)


def averaged(metric, average, answers):
    return answers(metric, average=average, zero_division=0)


F1, AUC, AP = sk.f1_score, sk.roc_auc_score, sk.average_precision_score
KAPPA = sk.cohen_kappa_score
CLASSES = {"labels": [0, 1, 2, 3]}
THEIRS = {
    ("log_loss", "binary"): lambda y, p, **w: sk.log_loss(y, p, labels=[0, 1], **w),
    ("log_loss", "multiclass"): lambda y, p, **w: sk.log_loss(y, p, **CLASSES, **w),
    ("log_loss", "multilabel"): multilabel_log_loss,
    ("accuracy", "binary"): on_labels(sk.accuracy_score),
    ("accuracy", "multiclass"): on_classes(sk.accuracy_score),
    ("balanced_accuracy", "binary"): on_labels(sk.balanced_accuracy_score),
    ("balanced_accuracy", "multiclass"): on_classes(sk.balanced_accuracy_score),
    ("adjusted_balanced_accuracy", "binary"): on_labels(sk.balanced_accuracy_score, adjusted=True),
    ("adjusted_balanced_accuracy", "multiclass"): on_classes(
        sk.balanced_accuracy_score, adjusted=True
    ),
    ("hamming_loss", "multilabel"): on_labels(sk.hamming_loss),
    ("roc_auc", "binary"): AUC,
    ("roc_auc", "multilabel"): AUC,
    ("roc_auc_ovr", "multiclass"): lambda y, p, **w: AUC(y, p, multi_class="ovr", **CLASSES, **w),
    ("roc_auc_ovr_weighted", "multiclass"): lambda y, p, **w: AUC(
        y, p, multi_class="ovr", average="weighted", **CLASSES, **w
    ),
    ("average_precision", "binary"): AP,
    ("average_precision", "multiclass"): lambda y, p, **w: AP(one_hot(y), p, **w),
    ("average_precision", "multilabel"): AP,
    ("precision_at_recall_0.5", "binary"): of_curve(0, 1, 0.5),
    ("precision_at_recall_0.9", "binary"): of_curve(0, 1, 0.9),
    ("recall_at_precision_0.5", "binary"): of_curve(1, 0, 0.5),
    ("recall_at_precision_0.9", "binary"): of_curve(1, 0, 0.9),
    ("brier", "binary"): lambda y, p, **w: sk.brier_score_loss(y, p, pos_label=1, **w),
    ("brier", "multiclass"): lambda y, p, **w: sk.brier_score_loss(
        y, p, scale_by_half=True, **CLASSES, **w
    ),
    ("calibration_error", "binary"): calibration_error,
    ("calibration_error", "multiclass"): lambda y, p, **w: calibration_error(
        classes(p) == y, p.max(axis=1), **w
    ),
    ("top_k_accuracy_2", "multiclass"): lambda y, p, **w: sk.top_k_accuracy_score(
        y, p, k=2, **CLASSES, **w
    ),
    ("top_k_accuracy_3", "multiclass"): lambda y, p, **w: sk.top_k_accuracy_score(
        y, p, k=3, **CLASSES, **w
    ),
    ("f1", "binary"): on_labels(F1, zero_division=0),
    ("f_beta_0.5", "binary"): on_labels(sk.fbeta_score, beta=0.5, zero_division=0),
    ("f_beta_2", "binary"): on_labels(sk.fbeta_score, beta=2, zero_division=0),
    ("precision", "binary"): on_labels(sk.precision_score, zero_division=0),
    ("recall", "binary"): on_labels(sk.recall_score, zero_division=0),
    ("micro_f1", "multilabel"): averaged(F1, "micro", on_labels),
    ("macro_f1", "binary"): averaged(F1, "macro", on_labels),
    ("macro_f1", "multiclass"): averaged(F1, "macro", on_classes),
    ("macro_f1", "multilabel"): averaged(F1, "macro", on_labels),
    ("weighted_f1", "binary"): averaged(F1, "weighted", on_labels),
    ("weighted_f1", "multiclass"): averaged(F1, "weighted", on_classes),
    ("weighted_f1", "multilabel"): averaged(F1, "weighted", on_labels),
    ("matthews", "binary"): on_labels(sk.matthews_corrcoef),
    ("matthews", "multiclass"): on_classes(sk.matthews_corrcoef),
    ("cohen_kappa", "binary"): on_labels(KAPPA, labels=[0, 1]),
    ("cohen_kappa", "multiclass"): on_classes(KAPPA, **CLASSES),
    ("quadratic_kappa", "binary"): on_labels(KAPPA, labels=[0, 1], weights="quadratic"),
    ("quadratic_kappa", "multiclass"): on_classes(KAPPA, weights="quadratic", **CLASSES),
    ("mae", "regression"): sk.mean_absolute_error,
    ("mse", "regression"): sk.mean_squared_error,
    ("rmse", "regression"): sk.root_mean_squared_error,
    ("mape", "regression"): sk.mean_absolute_percentage_error,
    ("smape", "regression"): of_each_value(smape),
    ("msle", "regression"): sk.mean_squared_log_error,
    ("rmsle", "regression"): sk.root_mean_squared_log_error,
    ("pinball_0.1", "regression"): lambda y, p, **w: sk.mean_pinball_loss(y, p, alpha=0.1, **w),
    ("pinball_0.9", "regression"): lambda y, p, **w: sk.mean_pinball_loss(y, p, alpha=0.9, **w),
    ("r2", "regression"): sk.r2_score,
    ("explained_variance", "regression"): sk.explained_variance_score,
    ("median_absolute_error", "regression"): sk.median_absolute_error,
    ("max_error", "regression"): of_each_value(max_error),
    ("spearman", "regression"): of_each_value(spearman),
    ("poisson_deviance", "regression"): of_each_value(sk.mean_poisson_deviance),
    ("gamma_deviance", "regression"): of_each_value(sk.mean_gamma_deviance),
    ("tweedie_deviance_1.5", "regression"): of_each_value(
        lambda y, p, **w: sk.mean_tweedie_deviance(y, p, power=1.5, **w)
    ),
    ("tweedie_deviance_2.5", "regression"): of_each_value(
        lambda y, p, **w: sk.mean_tweedie_deviance(y, p, power=2.5, **w)
    ),
}


def theirs(name, kind, y, p, **weights):
    """scikit-learn's score; its warnings about what a fold lacks are no part of the number."""
    kind = "regression" if kind == "share" else kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (UserWarning, UndefinedMetricWarning))
        warnings.simplefilter("ignore", (stats.ConstantInputWarning, RuntimeWarning))
        score = THEIRS[name, kind](y, p, **weights)
    return score if np.isfinite(score) else np.nan


def predictions(kind, n, rng, leading=(), *, ties=False, name=""):
    """Random truth and canonical predictions; with ties, in few values that include 0 and 1.

    Numbers are above 0 where the metric asks that of the target.
    """
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
    y, p = rng.normal(size=(n, *n_outputs)), p * 3 - 1
    if name and METRICS[name].rule is not None:
        return np.abs(y) + 0.01, np.abs(p) + 0.01
    return y, p


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), ties=st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_score_is_scikit_learns(name, kind, seed, n, ties):
    y, p = predictions(kind, n, np.random.default_rng(seed), ties=ties, name=name)
    assert_allclose(score(name, y, p, kind=kind), theirs(name, kind, y, p), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), ties=st.booleans())
@settings(max_examples=6, deadline=None)
def test_rows_weigh_as_scikit_learns_sample_weight(name, kind, seed, n, ties):
    rng = np.random.default_rng(seed)
    y, p = predictions(kind, n, rng, ties=ties, name=name)
    weights = rng.uniform(0.05, 20.0, n)
    expected = theirs(name, kind, y, p, sample_weight=weights)
    scores = [score(name, y, p, kind=kind, weights=unit * weights) for unit in (1.0, 1e-3, 1e4)]
    assert_allclose(scores, [expected] * 3, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_whole_weights_are_repeated_rows_and_rows_of_no_weight_none(name, kind):
    rng = np.random.default_rng(8)
    y, p = predictions(kind, 30, rng, (3,), ties=True, name=name)
    times = rng.integers(0, 4, 30)
    axis = -1 if kind == "binary" else -2
    repeated = score(name, np.repeat(y, times, axis=0), np.repeat(p, times, axis=axis), kind=kind)
    assert_allclose(score(name, y, p, kind=kind, weights=times), repeated, rtol=1e-10, atol=1e-12)
    some = times > 0
    left = score(name, y[some], np.compress(some, p, axis=axis), kind=kind)
    assert_array_equal(score(name, y, p, kind=kind, weights=0.7 * some), left)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_equal_weights_give_the_bits_of_none_and_no_weight_no_score(name, kind):
    y, p = predictions(kind, 30, np.random.default_rng(9), (3,), name=name)
    plain = score(name, y, p, kind=kind)
    assert_array_equal(score(name, y, p, kind=kind, weights=np.full(30, 0.3)), plain)
    assert np.isnan(score(name, y, p, kind=kind, weights=np.zeros(30))).all()


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 1], [1, np.inf, 1], [1, np.nan, 1]])
def test_what_rows_cannot_weigh_is_refused(weights):
    with pytest.raises(ValueError, match="finite number of 0 or above for each of 3 rows"):
        score("accuracy", np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]), weights=weights)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
@pytest.mark.parametrize("ties", [True, False])
def test_leading_axes_give_the_bits_that_a_loop_gives(name, kind, leading, ties):
    y, p = predictions(kind, 143, np.random.default_rng(3), leading, ties=ties, name=name)
    weights = np.random.default_rng(4).uniform(0.0, 3.0, 143)
    for each in (None, weights):
        together = score(name, y, p, kind=kind, weights=each)
        assert together.shape == leading
        for at in np.ndindex(leading):
            assert_array_equal(together[at], score(name, y, p[at], kind=kind, weights=each))


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_one_output_has_the_bits_that_a_loop_gives(name):
    rng = np.random.default_rng(6)
    y, p = rng.normal(size=(143, 1)), rng.normal(size=(20, 143, 1))
    assert_array_equal(score(name, y, p), [score(name, y, one) for one in p])


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_layout_in_memory_does_not_change_a_bit(name, kind):
    y, p = predictions(kind, 143, np.random.default_rng(7), (4,), name=name)
    assert_array_equal(
        score(name, y, np.asfortranarray(p), kind=kind), score(name, y, p, kind=kind)
    )


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_float32_predictions_are_scored_in_float64(name, kind):
    y, p = predictions(kind, 30, np.random.default_rng(4), name=name)
    p = p.astype(np.float32)
    result = score(name, y, p, kind=kind)
    assert result.dtype == np.float64
    assert_array_equal(result, score(name, y, p.astype(np.float64), kind=kind))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_no_number_gives_nan_for_its_epoch_alone(name, kind, bad):
    y, p = predictions(kind, 30, np.random.default_rng(5), (3,), name=name)
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


OF_ONE_PREDICTION = [metric for metric in METRICS.every_kind() if metric.kinds != ("quantile",)]


@pytest.mark.parametrize("metric", OF_ONE_PREDICTION, ids=lambda metric: metric.name)
def test_a_perfect_prediction_is_better_than_a_wrong_one(metric):
    kind = metric.kinds[0]
    if kind == "regression":
        y = np.array([[1.0], [2.0], [4.0]])
        perfect, wrong = y, y[::-1]
    elif kind == "multilabel":
        y = np.array([[0, 1], [1, 0], [1, 1]])
        perfect, wrong = y.astype(float), 1.0 - y
    elif kind == "multiclass":
        y = np.array([0, 1, 2, 3])
        perfect, wrong = np.eye(4), np.eye(4)[[1, 2, 3, 0]]
    else:
        y = np.array([0, 0, 0, 1])
        perfect, wrong = y.astype(float), 1.0 - y
    good, bad = score(metric, y, perfect, kind=kind), score(metric, y, wrong, kind=kind)
    assert good < bad if metric.direction == "min" else good > bad
    low, high = metric.bounds
    assert low <= min(good, bad)
    assert max(good, bad) <= high
    assert good == pytest.approx(low if metric.direction == "min" else high, abs=1e-15)


def test_the_selecting_metric_comes_first_and_the_others_stay():
    assert resolve_metric("binary", "roc_auc") == ("roc_auc", "log_loss", "accuracy")


def test_an_unusual_metric_is_added_to_the_usual_ones():
    assert resolve_metric("multiclass", "macro_f1") == ("macro_f1", "log_loss", "accuracy")


@pytest.mark.parametrize("name", ["rmse", "auc"])
def test_a_metric_that_does_not_suit_is_refused_with_those_that_do(name):
    with pytest.raises(OptionError) as caught:
        resolve_metric("multilabel", name)
    assert str(caught.value) == (
        "`--metric` must suit a multilabel problem: hamming_loss, micro_f1, macro_f1, weighted_f1, "
        f"log_loss, roc_auc, average_precision; received {name!r}. Take one of those, "
        "or FILE.py:NAME with one of your own."
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


def test_a_number_ends_the_name_of_a_metric_and_is_written_in_one_way():
    assert resolve_metric("regression", "pinball_0.90")[0] == "pinball_0.9"
    assert METRICS["pinball_0.90"] is METRICS["pinball_0.9"]


@pytest.mark.parametrize(
    ("name", "needs", "example"),
    [
        ("pinball", "pinball_SHARE ends in a share between 0 and 1", "pinball_0.1"),
        ("pinball_1.5", "pinball_SHARE ends in a share between 0 and 1", "pinball_0.1"),
        ("f_beta_0", "f_beta_BETA ends in a number above 0", "f_beta_0.5"),
        ("top_k_accuracy_2.5", "top_k_accuracy_K ends in a whole number", "top_k_accuracy_2"),
        ("recall_at_precision_90", "recall_at_precision_SHARE ends in a share", "recall_at_p"),
        ("tweedie_deviance_x", "tweedie_deviance_POWER ends in a power", "tweedie_deviance_1.5"),
    ],
)
def test_a_wrong_number_at_the_end_of_a_name_is_refused_with_what_it_may_be(name, needs, example):
    for refused in (lambda: resolve_metric("regression", name), lambda: metric_named(name)):
        with pytest.raises(OptionError) as caught:
            refused()
        assert needs in str(caught.value)
        assert f"received {name!r}. Write for instance {example}" in str(caught.value)


VALUES = Target(("y",), "regression")


@pytest.mark.parametrize(
    ("name", "y", "received"),
    [
        ("gamma_deviance", [1.0, 0.0, -2.0], "above 0; received 2 that are not, such as 0."),
        ("tweedie_deviance_2.5", [0.0, 1.0], "above 0; received 1 that is not, such as 0."),
        ("poisson_deviance", [0.0, -1.0], "of 0 or more; received 1 that is not, such as -1."),
        ("tweedie_deviance_1.5", [0.0, -1.0], "of 0 or more; received 1 that is not, such as -1."),
        ("msle", [0.0, -1.0], "above -1; received 1 that is not, such as -1."),
        ("rmsle", [0.0, -1.5], "above -1; received 1 that is not, such as -1.5."),
        ("mape", [0.0, -1.5], "other than 0; received 1 that is not, such as 0."),
    ],
)
def test_a_target_outside_a_metrics_domain_is_refused(name, y, received):
    METRICS[name].check_target(VALUES, np.abs(y) + 0.5)
    with pytest.raises(OptionError) as caught:
        METRICS[name].check_target(VALUES, np.array(y)[:, np.newaxis])
    assert f"The metric {name} needs target values {received}" in str(caught.value)


def test_as_many_top_classes_as_there_are_are_refused():
    target = Target(("y",), "multiclass", ("a", "b", "c"))
    METRICS["top_k_accuracy_2"].check_target(target, np.arange(3))
    with pytest.raises(OptionError, match="needs more than 3 classes; received a target of 3"):
        METRICS["top_k_accuracy_3"].check_target(target, np.arange(3))


@pytest.mark.parametrize(
    "name", ["msle", "poisson_deviance", "gamma_deviance", "tweedie_deviance_1.5"]
)
def test_a_prediction_outside_a_metrics_domain_costs_much_and_is_no_nan(name):
    y, p = np.array([[1.0], [2.0]]), np.array([[[1.0], [2.0]], [[1.0], [1e-3]], [[1.0], [-5.0]]])
    met, small, outside = score(name, y, p)
    assert met == pytest.approx(0, abs=1e-12)
    assert small < outside < np.inf
    assert outside == score(name, y, np.array([[1.0], [-1.0]]))


UNDEFINED = [
    ("cohen_kappa", "binary", [1, 1], [0.9, 0.8]),
    ("quadratic_kappa", "multiclass", [0, 0], [[0.9, 0.1, 0.0]] * 2),
    ("adjusted_balanced_accuracy", "binary", [1, 1], [0.9, 0.2]),
    ("roc_auc", "multilabel", [[0, 1], [0, 0]], [[0.1, 0.2], [0.3, 0.4]]),
    ("roc_auc_ovr", "multiclass", [0, 1], [[0.5, 0.3, 0.2]] * 2),
    ("precision_at_recall_0.5", "binary", [0, 0], [0.9, 0.2]),
    ("recall_at_precision_0.5", "binary", [0, 0], [0.9, 0.2]),
    ("spearman", "regression", [1.0, 2.0], [3.0, 3.0]),
    ("spearman", "regression", [1.0, 1.0], [2.0, 3.0]),
    ("explained_variance", "regression", [1.0], [1.0]),
    ("gamma_deviance", "regression", [1.0, 0.0], [1.0, 1.0]),
    ("poisson_deviance", "regression", [1.0, -1.0], [1.0, 1.0]),
]


@pytest.mark.parametrize(("name", "kind", "y", "p"), UNDEFINED)
def test_a_metric_that_is_not_defined_is_nan(name, kind, y, p):
    assert np.isnan(score(name, np.array(y), np.array(p), kind=kind))


@pytest.mark.parametrize("metric", METRICS.every_kind(), ids=lambda metric: metric.name)
def test_a_metric_that_is_pickled_is_the_same_one(metric):
    assert pickle.loads(pickle.dumps(metric)) == metric


def test_the_docs_tables_are_made_of_the_declarations():
    page = Path(__file__).parents[2] / "docs/metrics.md"
    assert tables() in page.read_text(encoding="utf-8"), (
        "make docs/metrics.md again: python -m hpsearch.metrics"
    )
