"""Transforms of a target: the formulas, the way back, and that training rows alone fit them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import PowerTransformer

import hpsearch
from hpsearch.engines.network import numpy_links
from hpsearch.errors import OptionError
from hpsearch.preprocessing.transforms import (
    TRANSFORMS,
    check_transform,
    fit_powers,
    restored,
    transformed,
)
from hpsearch.scoring.rows import encode_dataset, fit_data
from hpsearch.task import Target

RNG = np.random.default_rng(0)
SKEWED = 5.0 * RNG.gamma(2.0, size=(40, 2))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_way_back_gives_the_values(name):
    y = SKEWED - (0.5 if name == "yeo-johnson" else 0.0)
    powers = fit_powers(name, y)
    there = transformed(name, y, powers)
    assert_allclose(restored(numpy_links, name, there, powers), y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("power", [-2.0, -0.5, 0.0, 1e-9, 0.5, 1.0, 2.0, 2.0 + 1e-9, 3.0])
def test_every_power_of_yeo_johnson_has_its_way_back(power):
    y, powers = RNG.normal(size=(50, 1)), np.array([power])
    there = transformed("yeo-johnson", y, powers)
    assert_allclose(restored(numpy_links, "yeo-johnson", there, powers), y, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("sign", "power"), [(1.0, 0.0), (-1.0, 2.0)])
def test_whatever_is_predicted_has_a_value(sign, power):
    y = sign * np.exp(2.0 * np.random.default_rng(0).normal(size=(200, 1)))
    powers = fit_powers("yeo-johnson", y)
    assert powers.tolist() == [power]  # its likelihood is largest beyond
    far = np.array([[-12.0], [12.0]])
    assert np.isfinite(restored(numpy_links, "yeo-johnson", far, powers)).all()


def test_yeo_johnsons_power_is_scikit_learns():
    expected = PowerTransformer("yeo-johnson", standardize=False).fit(SKEWED)
    powers = fit_powers("yeo-johnson", SKEWED)
    assert_allclose(powers, expected.lambdas_, rtol=1e-3)
    there = transformed("yeo-johnson", SKEWED, expected.lambdas_)
    assert_allclose(there, expected.transform(SKEWED), rtol=1e-9)


def test_a_constant_column_is_not_bent():
    assert fit_powers("yeo-johnson", np.full((5, 1), 3.0)).tolist() == [1.0]


def test_statistics_of_a_transformed_target_know_training_rows_alone():
    def fitted(y):
        data = hpsearch.load(np.arange(40.0).reshape(-1, 1), y).learnt_as("yeo-johnson")
        folds = hpsearch.folds.make_folds(hpsearch.IteratedKFold(4, random_state=0), data)
        layout = hpsearch.preprocessing.Layout.of(data.schema)
        return fit_data(data, encode_dataset(data), folds, layout, scale_target=True)

    one = fitted(SKEWED[:, 0])
    changed = SKEWED[:, 0].copy()
    changed[one.folds[1].validation] *= 50.0
    other = fitted(changed)
    for name in ("target_power", "target_centre", "target_scale"):
        mine, theirs = (getattr(data.statistics, name) for data in (one, other))
        assert_array_equal(mine[1], theirs[1])
        assert (mine[0] != theirs[0]).all()
    assert abs(one.statistics.target_power[1] - 1.0).min() > 0.1


NUMBERS = Target(("y",), "regression")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("log", [[1.0], [0.0]], "log needs values above 0; received 0"),
        ("log1p", [[1.0], [-1.0], [-3.0]], "log1p needs values above -1; received -3 and 1 more"),
        ("sqrt", [[0.0], [-0.5]], "sqrt needs values of at least 0; received -0.5"),
    ],
)
def test_values_that_a_transform_does_not_have_are_refused_with_one_that_has(name, values, message):
    with pytest.raises(OptionError, match=message):
        check_transform(name, NUMBERS, np.ones((3, 1)), np.array(values))
    check_transform("yeo-johnson", NUMBERS, np.array(values))
    check_transform(None, NUMBERS, np.array(values))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(("y",), "binary", ("no", "yes")), "received a target of binary"),
        (Target(("y",), "regression", offset=(1e9,)), "as far from zero"),
    ],
)
def test_a_target_that_cannot_be_bent_is_refused(target, message):
    with pytest.raises(OptionError, match=message):
        check_transform("log1p", target, np.ones((3, 1)))
