"""Calibrators: what fits them, that NumPy and Keras give the same, and that they stay finite."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit, softmax

from hpsearch.decisions.calibrators import METHODS, Calibrator, Cases
from hpsearch.task import Target

BINARY = Target(("ill",), "binary", ("no", "yes"))
CLASSES = Target(("kind",), "multiclass", ("a", "b", "c"))
LABELS = Target(("a", "b"), "multilabel", ("a", "b"))


def over_confident(kind, n=1500, n_repeats=2, seed=0):
    """Targets, and predictions whose logits are twice what they should be, with a shift."""
    rng = np.random.default_rng(seed)
    if kind == "multiclass":
        z = rng.normal(size=(n, 3))
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        noise = 0.1 * rng.normal(size=(n_repeats, n, 3))
        return CLASSES, y, softmax(2 * z + [0.0, 1.0, 0.0] + noise, axis=-1).astype(np.float32)
    shape = (n, 2) if kind == "multilabel" else (n,)
    z = rng.normal(size=shape) - 1
    y = (rng.random(shape) < expit(z)).astype(int)
    p = expit(2 * z + 1 + 0.1 * rng.normal(size=(n_repeats, *shape))).astype(np.float32)
    return (LABELS if kind == "multilabel" else BINARY), y, p


KINDS = ("binary", "multiclass", "multilabel")


def loss(target, y, p):
    if target.kind == "multiclass":
        return -np.log(p[:, np.arange(len(y)), y]).mean()
    return -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_each_betters_predictions_that_are_too_sure(kind, method):
    target, y, p = over_confident(kind)
    calibrator = Cases.of(target, y, p).fitted(method, np.ones(len(y)))
    _, new_y, new_p = over_confident(kind, seed=1)
    made = calibrator.predictions(new_p).astype(np.float64)
    assert made.shape == new_p.shape
    assert loss(target, new_y, made) < loss(target, new_y, new_p.astype(np.float64)) - 0.02


def test_platts_slope_and_intercept_are_found_again():
    target, y, p = over_confident("binary", n=20_000, n_repeats=1)
    calibrator = Cases.of(target, y, p).fitted("platt", np.ones(len(y)))
    # what made them is 2 z + 1, so that z is half of it, less a half
    assert_allclose([calibrator.slopes[0], calibrator.intercepts[0]], [0.5, -0.5], atol=0.04)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_keras_gives_what_numpy_gives_and_the_ends_are_finite(kind, method):
    target, y, p = over_confident(kind, n=300)
    calibrator = Cases.of(target, y, p).fitted(method, np.ones(len(y)))
    columns = p[0].reshape(len(y), -1)
    ends = np.concatenate([np.eye(columns.shape[1]), columns[:50]]).astype(np.float32)
    found = np.asarray(calibrator.columns(keras.ops, ends))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert_allclose(found, calibrator.columns(np, ends.astype(np.float64)), atol=1e-5)
    if target.kind == "multiclass":
        assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "method"),
    [("binary", "platt"), ("multiclass", "isotonic"), ("multilabel", "isotonic")],
)
def test_plain_keras_loads_a_model_that_has_one(kind, method, tmp_path):
    target, y, p = over_confident(kind, n=200)
    calibrator = Cases.of(target, y, p).fitted(method, np.ones(len(y)))
    columns = p[0].reshape(len(y), -1)
    given = keras.Input((columns.shape[1],))
    model = keras.Model(given, calibrator.columns(keras.ops, given))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    found = loaded.predict_on_batch(columns)
    assert_array_equal(found, model.predict_on_batch(columns))
    assert_allclose(found, calibrator.columns(np, columns.astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_order_is_kept(method):
    target, y, p = over_confident("binary")
    calibrator = Cases.of(target, y, p).fitted(method, np.ones(len(y)))
    even = calibrator.predictions(np.linspace(0, 1, 200))
    assert (np.diff(even) >= 0).all()


def test_isotonic_lines_are_never_so_steep_that_a_rounding_shows():
    y = np.array([0] * 50 + [1] * 50)
    p = np.linspace(0.5, 0.5001, 100)[np.newaxis]
    calibrator = Cases.of(BINARY, y, p).fitted("isotonic", np.ones(100))
    slopes = np.diff(calibrator.values[0]) / np.diff(calibrator.knots[0])
    assert (slopes <= 100).all()


def test_rows_that_all_tell_apart_leave_a_finite_slope():
    y, p = np.repeat([0, 1], 20), np.repeat([0.3, 0.7], 20)[np.newaxis]
    for method in METHODS:
        made = Cases.of(BINARY, y, p).fitted(method, np.ones(40)).predictions(p)
        assert ((made > 0) & (made < 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_samples_are_fitted_as_their_rows_alone_are(kind, method):
    target, y, p = over_confident(kind, n=200)
    cases, n = Cases.of(target, y, p), len(y)
    start = cases.fitted(method, np.ones(n))
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=3).astype(float)
    many = cases.fitted_to_samples(method, counts, start)
    for of_sample, found in zip(counts, many, strict=True):
        drawn = np.repeat(np.arange(n), of_sample.astype(int))
        alone = Cases.of(target, y[drawn], p[:, drawn]).fitted(method, np.ones(n))
        assert_allclose(found.predictions(p), alone.predictions(p), atol=2e-4)


def test_a_label_that_never_occurs_has_no_calibrator():
    cases = Cases.of(BINARY, np.zeros(10, int), np.full((1, 10), 0.3))
    assert cases.fitted("platt", np.ones(10)) is None
    start = Calibrator("platt", False, (1.0,), (0.0,))
    assert cases.fitted_to_samples("platt", np.ones((2, 10)), start) == [None, None]


@pytest.mark.parametrize("method", METHODS)
def test_it_reads_back_from_a_manifest(method):
    target, y, p = over_confident("multilabel", n=100)
    calibrator = Cases.of(target, y, p).fitted(method, np.ones(len(y)))
    assert Calibrator.from_json(calibrator.to_json()) == calibrator


def test_a_temperature_divides_logits():
    half = Calibrator("temperature", False, (0.5,), (0.0,))
    p = np.array([0.1, 0.9])
    assert_allclose(logit(half.predictions(p)), logit(p) / 2)
