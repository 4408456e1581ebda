"""Levels of quantiles: how they are given, and what is refused in one line."""

import numpy as np
import pytest

from hpsearch.data import load
from hpsearch.data.quantile_levels import read_levels, write_levels
from hpsearch.errors import DataError, OptionError

X = np.random.default_rng(0).normal(size=(30, 2))


def test_levels_stand_in_the_target_and_make_other_data():
    data = load(X, X[:, 0], task="quantile", levels=[0.25, 0.75])
    assert data.target.kind == "quantile"
    assert data.target.levels == (0.25, 0.75)
    assert data.target.n_outputs == 2
    assert data.y.shape == (30, 1)
    other = load(X, X[:, 0], task="quantile")
    assert other.target.levels == (0.1, 0.5, 0.9)
    assert other.fingerprint != data.fingerprint


def test_one_level_is_enough():
    assert load(X, X[:, 0], task="quantile", levels=0.9).target.levels == (0.9,)


@pytest.mark.parametrize(
    "levels", [(0.0, 0.5), (0.5, 1.0), (0.9, 0.1), (0.5, 0.5), (np.nan,), ("a",), "half", (1.5,)]
)
def test_levels_rise_between_0_and_1(levels):
    with pytest.raises(OptionError, match="numbers between 0 and 1, each larger than the one"):
        load(X, X[:, 0], task="quantile", levels=levels)


@pytest.mark.parametrize("options", [{}, {"task": "regression"}, {"task": "count"}])
def test_levels_belong_to_quantiles(options):
    with pytest.raises(OptionError, match=r"belong to --task quantile; received 0\.1, 0\.9"):
        load(X, np.arange(30), levels=(0.1, 0.9), **options)


def test_several_targets_have_no_quantiles():
    with pytest.raises(DataError, match="--task quantile needs one column"):
        load(X, X, task="quantile")


def test_text_has_no_quantiles():
    with pytest.raises(DataError, match="--task quantile needs numbers"):
        load(X, list("abc") * 10, task="quantile")


def test_a_command_line_is_read_and_written():
    assert read_levels("0.1, 0.5,0.9") == (0.1, 0.5, 0.9)
    assert list(write_levels((0.1, 0.9))) == ["--levels", "0.1,0.9"]
    with pytest.raises(OptionError, match=r"Write for instance --levels 0\.1,0\.5,0\.9"):
        read_levels("0.1;0.5")
