"""The benchmark that chooses first candidates: its figures follow from its table by hand."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import portfolio

        yield portfolio
    for name in ("portfolio", "tables_data", "printing"):
        sys.modules.pop(name, None)


def rows_of(scores):
    return pd.DataFrame(
        [
            {"table": table, "configuration": number, "score": score, "hyperparameters": "{}"}
            for table, scored in scores.items()
            for number, score in enumerate(scored)
        ]
    )


def test_regret_goes_from_the_best_to_the_median_and_a_failed_trial_has_1(benchmark):
    rows = rows_of({"a": [3.0, 1.0, 2.0, 9.0, 5.0], "b": [10.0, 30.0, 20.0, np.nan, 40.0]})
    found = benchmark.regrets_of(rows).to_numpy()
    assert_allclose(found, [[1.0, 0.0, 0.5, 1.0, 1.0], [0.0, 1.0, 0.5, 1.0, 1.0]])


def test_a_portfolio_grows_by_what_lowers_the_mean_regret_most(benchmark):
    regrets = np.array([[1.0, 0.2, 0.0, 0.6], [1.0, 0.2, 1.0, 0.0], [0.0, 1.0, 1.0, 0.1]])
    assert benchmark.chosen(regrets, 9) == [0, 1, 3, 2]
    assert benchmark.chosen(regrets, 2) == [0, 1]


def test_what_random_ones_leave_is_the_mean_over_all_subsets(benchmark):
    regrets = np.random.default_rng(0).uniform(size=(3, 7))
    subsets = itertools.combinations(range(1, 7), 3)
    expected = [np.minimum(regrets[:, 0], regrets[:, list(s)].min(axis=1)) for s in subsets]
    assert_allclose(benchmark.left_by_random(regrets, 4), np.mean(expected, axis=0))
    assert_allclose(benchmark.left_by_random(regrets, 1), regrets[:, 0])


def test_the_table_that_is_left_out_has_no_say(benchmark):
    regrets = np.array([[1.0, 0.5, 0.0, 1.0], [1.0, 0.0, 1.0, 0.5], [1.0, 0.0, 1.0, 0.5]])
    assert_allclose(benchmark.left_by_others(regrets, 2)[0], [1.0, 0.5])
