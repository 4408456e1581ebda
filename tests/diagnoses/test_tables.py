"""What curves are measured by: the best constant prediction, and the noise of a curve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.diagnoses.shape import fall_of, level_around, level_at_end, noise_of
from hpsearch.diagnoses.tables import best_constant_score
from hpsearch.metrics import METRICS, score

CLASSES = np.array([0, 0, 0, 1, 2, 2])
LABELS = np.array([[1, 0], [1, 0], [0, 0], [1, 1]])
VALUES = np.array([[0.0], [0.0], [0.0], [4.0]])


@pytest.mark.parametrize(
    ("metric", "kind", "truth", "expected"),
    [
        ("accuracy", "multiclass", CLASSES, 1 / 2),
        ("balanced_accuracy", "multiclass", CLASSES, 1 / 3),
        ("log_loss", "binary", np.array([0, 0, 0, 1]), -0.75 * np.log(0.75) - 0.25 * np.log(0.25)),
        ("roc_auc", "binary", np.array([0, 0, 0, 1]), 0.5),
        ("average_precision", "binary", np.array([0, 0, 0, 1]), 0.25),
        ("f1", "binary", np.array([0, 0, 0, 1]), 0.4),
        ("brier", "binary", np.array([0, 0, 0, 1]), 0.1875),
        ("micro_f1", "multilabel", LABELS, 2 * 3 / (3 + 4 + 1)),
        ("mae", "regression", VALUES, 1.0),
        ("rmse", "regression", VALUES, np.sqrt(3)),
        ("r2", "regression", VALUES, 0.0),
    ],
)
def test_the_best_constant_prediction_is_that_of_the_metric(metric, kind, truth, expected):
    assert best_constant_score(metric, kind, truth) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "kind", "truth"),
    [
        *((name, "multiclass", CLASSES) for name in ("accuracy", "log_loss")),
        *((name, "multilabel", LABELS) for name in ("micro_f1", "log_loss")),
        *((name, "regression", VALUES) for name in ("mae", "rmse")),
    ],
)
def test_a_constant_is_measured_by_what_rows_weigh(metric, kind, truth):
    times = np.arange(len(truth)) % 3 + 1
    repeated = best_constant_score(metric, kind, np.repeat(truth, times, axis=0))
    assert best_constant_score(metric, kind, truth, times * 0.5) == pytest.approx(repeated)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_no_probability_guesses_better_than_the_constant_does(seed, probability):
    truth = np.random.default_rng(seed).integers(0, 2, 9)
    for name, metric in METRICS.items():
        if "binary" in metric.kinds:
            other = float(score(name, truth, np.full(9, probability), kind="binary"))
            best = best_constant_score(name, "binary", truth)
            if best is not None and np.isfinite(other):
                sign = 1 if metric.direction == "min" else -1
                assert sign * best <= sign * other + 1e-9


def test_noise_is_found_around_any_smooth_curve():
    smooth = 0.2 + 0.8 * 0.95 ** np.arange(400)
    noise = 0.03 * np.random.default_rng(0).normal(size=400)
    assert noise_of(smooth) < 1e-3
    assert noise_of(smooth + noise) == pytest.approx(0.03, rel=0.2)


def test_a_few_jumps_are_no_noise():
    curve = np.ones(60)
    curve[[35, 50]] = 9.0
    assert noise_of(curve) == 0.0
    assert fall_of(curve) == 0.0


@pytest.mark.parametrize("n_epochs", range(1, 5))
def test_short_curves_have_no_noise(n_epochs):
    assert noise_of(np.arange(n_epochs, dtype=float) ** 3) == 0.0


def test_levels_are_medians():
    assert level_at_end(np.array([9.0, 9, 9, 1, 2, 3])) == 2.0
    assert level_around(np.array([5.0, 1, 4, 9]), 1) == 4.0
    assert level_around(np.array([5.0]), 0) == 5.0
