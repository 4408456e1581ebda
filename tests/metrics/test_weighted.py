"""Counted rows: a metric of them is the metric of the rows repeated."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sk

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, Metric, ordered, score, weighted, weighted_score

PAIRS = [
    (metric.name, kind)
    for metric in METRICS.every_kind()
    for kind in metric.kinds
    if kind not in ("count", "quantile")  # a regression's functions, and test_quantiles.py
]


def made_up(kind, n, rng, leading=(), *, ties=False, name=""):
    """Random truth and canonical predictions; with ties, in few values.

    Numbers are above 0 where the metric asks that of the target.
    """
    n_outputs = {"binary": (), "multiclass": (3,), "multilabel": (3,)}.get(kind, (2,))
    p = rng.random((*leading, n, *n_outputs))
    if ties:
        p = np.round(p * 4) / 4
    if kind == "multiclass":
        p = (p + 0.01) / (p + 0.01).sum(axis=-1, keepdims=True)
        return rng.integers(0, 3, n), p
    y = rng.integers(0, 2, (n, *n_outputs)) if kind in ("binary", "multilabel") else None
    if y is not None:
        return y, p
    y = rng.normal(size=(n, *n_outputs))
    return (np.abs(y) + 0.01 if name and METRICS[name].rule is not None else y), p


def of_repeated_rows(name, kind, y, p, counts):
    """The metric of the rows themselves, each as often as it counts."""
    rows = np.repeat(np.arange(len(y)), counts)
    at = p[..., rows] if kind == "binary" else p[..., rows, :]
    return score(name, y[rows], at, kind=kind)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 25), ties=st.booleans())
def test_counted_rows_score_as_repeated_rows(name, kind, seed, n, ties):
    rng = np.random.default_rng(seed)
    y, p = made_up(kind, n, rng, (2, 3), ties=ties, name=name)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=4)
    scores = weighted_score(name, y, p, counts, kind=kind)
    assert scores.shape == (4, 2, 3)
    expected = [of_repeated_rows(name, kind, y, p, times) for times in counts]
    assert_allclose(scores, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("roc_auc", sk.roc_auc_score),
        ("average_precision", sk.average_precision_score),
        ("r2", sk.r2_score),
        ("rmse", sk.root_mean_squared_error),
    ],
)
def test_counts_are_scikit_learns_sample_weights(name, theirs):
    rng = np.random.default_rng(3)
    kind = METRICS[name].kinds[0]
    y, p = made_up("binary", 60, rng, ties=True)
    y = y if kind == "binary" else y + rng.normal(size=60)
    counts = rng.integers(0, 4, (5, 60))
    expected = [theirs(y, p, sample_weight=times) for times in counts]
    assert_allclose(weighted_score(name, y, p, counts, kind=kind), expected, rtol=1e-10)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_rows_that_weigh_are_drawn_with_their_weights(name, kind):
    rng = np.random.default_rng(4)
    y, p = made_up(kind, 25, rng, (2,), ties=True, name=name)
    counts, weights = rng.multinomial(25, np.full(25, 1 / 25), size=4), rng.uniform(0, 5, 25)
    scores = weighted_score(name, y, p, counts, kind=kind, weights=weights)
    expected = [score(name, y, p, kind=kind, weights=times * weights) for times in counts]
    assert_allclose(scores, expected, rtol=1e-9, atol=1e-12)
    equal = weighted_score(name, y, p, counts, kind=kind, weights=np.full(25, 0.1))
    assert_array_equal(equal, weighted_score(name, y, p, counts, kind=kind))


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_no_row_has_no_score(name, kind):
    y, p = made_up(kind, 6, np.random.default_rng(0), name=name)
    assert np.isnan(weighted_score(name, y, p, np.zeros((1, 6), int), kind=kind)).all()


def test_one_class_has_no_auc():
    scores = weighted_score("roc_auc", [0, 1, 1], np.array([0.1, 0.5, 0.9]), [[0, 2, 1], [1, 1, 1]])
    assert_array_equal(scores, [np.nan, 1.0])


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_an_array_with_a_prediction_that_is_not_finite_has_no_score_and_harms_no_other(name, kind):
    y, p = made_up(kind, 8, np.random.default_rng(1), (3,), name=name)
    counts = np.array([[1, 1, 1, 1, 1, 1, 2, 0], [0, 2, 1, 1, 1, 1, 1, 1]])
    clean = weighted_score(name, y, p, counts, kind=kind)
    p[1].flat[0] = np.nan
    scores = weighted_score(name, y, p, counts, kind=kind)
    assert np.isnan(scores[:, 1]).all()
    assert_array_equal(scores[:, [0, 2]], clean[:, [0, 2]])


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_small_blocks_of_memory_change_nothing_that_counts(name, kind, monkeypatch):
    rng = np.random.default_rng(2)
    y, p = made_up(kind, 30, rng, (7,), name=name)
    counts = rng.integers(0, 3, (11, 30))
    whole = weighted_score(name, y, p, counts, kind=kind)
    monkeypatch.setattr(weighted, "BLOCK_BYTES", 1)
    monkeypatch.setattr(ordered, "SAMPLES_AT_A_TIME", 2)
    assert_allclose(weighted_score(name, y, p, counts, kind=kind), whole, rtol=1e-12)


@pytest.mark.parametrize("counts", [[1, 1, 1], [[1, 1]]])
def test_counts_need_one_column_per_row(counts):
    with pytest.raises(ValueError, match=r"\(samples, 3\)"):
        weighted_score("accuracy", [0, 1, 1], np.array([0.2, 0.7, 0.9]), counts)


def test_an_unknown_metric_is_refused():
    with pytest.raises(OptionError, match="received 'gini'"):
        weighted_score("gini", [0, 1], np.array([0.2, 0.7]), [[1, 1]])


def test_two_hundred_samples_of_sixty_arrays_take_no_time():
    rng = np.random.default_rng(0)
    y, p = made_up("binary", 2_000, rng, (60,))
    counts = rng.multinomial(2_000, np.full(2_000, 1 / 2_000), size=200)
    for name, limit_seconds in [("log_loss", 1.0), ("f1", 2.0), ("roc_auc", 4.0)]:
        start = time.perf_counter()
        weighted_score(name, y, p, counts)
        assert time.perf_counter() - start < limit_seconds


def test_a_metric_without_a_fast_form_scores_samples_that_are_made():
    largest_error = Metric(
        "largest_error",
        "min",
        ("regression",),
        words="The largest error.",
        bounds=(0, np.inf),
        function=lambda kind, y, p: np.abs(p - y).max(axis=(-1, -2)),
    )
    truth, predicted = np.zeros((3, 1)), np.array([[[1.0], [2.0], [3.0]]])
    found = weighted_score(largest_error, truth, predicted, [[1, 1, 1], [2, 1, 0], [0, 0, 0]])
    assert found[:2].ravel().tolist() == [3.0, 2.0]
    assert np.isnan(found[2]).all()
    with pytest.raises(OptionError, match="doesn't take what they weigh"):
        weighted_score(largest_error, truth, predicted, [[1, 1, 1]], weights=[1.0, 2.0, 3.0])
