"""The simulation: its figures in docs/ are those that it makes, and its parts do what they say."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
TABLE = pd.read_csv(ROOT / "docs/selection_bias.csv")
SEARCHES = pd.read_csv(ROOT / "docs/selection_bias_search.csv")
FULL_SEARCHES = pd.read_csv(ROOT / "docs/selection_bias_full_search.csv")
OF_SEARCHES = {
    "its naive score": "naive",
    "its corrected score": "corrected",
    "its correction by folds": "tibshirani",
}
OF_FULL_SEARCHES = {
    "naive score, without a race": "naive",
    "corrected score, without a race": "corrected",
    "correction by folds, without a race": "tibshirani",
}
ESTIMATES = {
    "naive": "naive",
    "bias-corrected": "corrected",
    "Tibshirani & Tibshirani": "tibshirani",
    "nested": "nested",
}


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location(
        "selection_bias", ROOT / "benchmarks/selection_bias.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["selection_bias"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["selection_bias"]


def outcomes(simulation, table):
    return [simulation.Outcome(**row) for row in table.to_dict("records")]


def test_the_first_data_set_is_made_again(simulation):
    outcome = simulation.judge("noise", 0, simulation.linear_candidates, 60)
    row = TABLE[(TABLE.world == "noise") & (TABLE.seed == 0)].iloc[0]
    for name in ("naive", "naive_low", "corrected", "low", "high", "tibshirani", "nested", "true"):
        assert_allclose(getattr(outcome, name), row[name], atol=1e-6)


@pytest.mark.parametrize(
    "table", [TABLE, SEARCHES, FULL_SEARCHES], ids=["linear", "search", "full-search"]
)
def test_the_figures_keep_what_is_promised(simulation, table):
    assert all(met for _, met in simulation.promises(outcomes(simulation, table)))


def test_a_promise_that_is_broken_is_said(simulation):
    spoiled = TABLE.assign(corrected=TABLE.naive, low=TABLE.true + 0.1)
    made = outcomes(simulation, spoiled)
    assert not any(met for _, met in simulation.promises(made))
    assert simulation.summary(made).count("FAILS") == 4


@pytest.mark.parametrize(
    ("name", "column", "table"),
    [
        *((name, column, TABLE) for name, column in ESTIMATES.items()),
        *((name, column, SEARCHES) for name, column in OF_SEARCHES.items()),
        *((name, column, FULL_SEARCHES) for name, column in OF_FULL_SEARCHES.items()),
    ],
    ids=[*ESTIMATES, *OF_SEARCHES, *OF_FULL_SEARCHES],
)
def test_the_page_has_the_figures_of_the_table(name, column, table):
    cells = [cell.strip() for cell in re.search(rf"\| {name} \|(.*)\|", PAGE).group(1).split("|")]
    expected = []
    for world in ("noise", "signal"):
        here = table[table.world == world]
        estimate = here[column]
        expected += [
            f"{100 * estimate.mean():.1f} %",
            f"{100 * (estimate - here.true).mean():+.1f}",
        ]
    assert cells == expected


@pytest.mark.parametrize(
    ("said", "table"),
    [
        (r"truth on (\d+) and on (\d+) of 100 .*?naive score on (\d+) and (\d+)", TABLE),
        (r"truth on (\d+) and on (\d+) of 40 .*?naive score on (\d+) and (\d+)", SEARCHES),
        (r"truth on (\d+) and on (\d+) of 20 .*?\nscore on (\d+) and (\d+)", FULL_SEARCHES),
    ],
    ids=["linear", "search", "full-search"],
)
def test_the_page_has_the_coverage_of_the_table(said, table):
    def covered(world, low, high):
        here = table[table.world == world]
        return int(((here[low] <= here.true) & (here.true <= here[high])).sum())

    worlds = ("noise", "signal")
    expected = [covered(world, "low", "high") for world in worlds]
    expected += [covered(world, "naive_low", "naive_high") for world in worlds]
    found = re.search(said, PAGE, re.S)
    assert [int(number) for number in found.groups()] == expected


def test_labels_are_balanced_and_independent_of_the_features_in_noise(simulation):
    world = simulation.make_world("noise", 3)
    assert world.y.sum() == 100
    assert world.y_test.sum() == 10_000
    correlations = [np.corrcoef(x, world.y_test)[0, 1] for x in world.x_test.T]
    assert np.abs(correlations).max() < 0.03
    signal = simulation.make_world("signal", 3)
    assert np.corrcoef(signal.x_test[:, 0], signal.y_test)[0, 1] > 0.15


@pytest.mark.parametrize("source", ["linear", "networks"])
def test_candidates_find_what_there_is(simulation, source):
    world = simulation.make_world("signal", 1)
    best = max(
        simulation.accuracy(world.y_test, candidate(world.x, world.y, world.x_test))
        for candidate in simulation.SOURCES[source](10, 0)
    )
    assert best > 0.57
