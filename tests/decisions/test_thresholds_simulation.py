"""The simulation of thresholds: its figures in docs/ are those that it makes, and keep its word."""

import importlib.util
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from numpy.testing import assert_allclose

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
TABLE = pd.read_csv(ROOT / "docs/thresholds.csv")
LINES = {
    "truth": "true",
    "naive": "naive",
    "corrected for the threshold alone": "alone",
    "corrected for candidate and threshold": "corrected",
}


@pytest.fixture(scope="module")
def simulation():
    names = ("selection_bias", "thresholds")
    for name in names:
        spec = importlib.util.spec_from_file_location(name, ROOT / f"benchmarks/{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    yield sys.modules["thresholds"]
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("world", ["noise", "signal"])
def test_the_first_data_set_is_made_again(simulation, world):
    outcome = simulation.judge(world, 0)
    row = TABLE[(TABLE.world == world) & (TABLE.seed == 0)].iloc[0]
    for name in ("threshold", "naive", "alone", "corrected", "low", "high", "half", "true"):
        assert_allclose(getattr(outcome, name), row[name], atol=1e-6)


def test_the_figures_keep_what_is_promised(simulation):
    outcomes = [simulation.Outcome(**row) for row in TABLE.to_dict("records")]
    assert len(outcomes) == 2 * 40
    assert all(met for _, met in simulation.promises(outcomes))


def test_a_promise_that_is_broken_is_said(simulation):
    spoiled = TABLE.assign(corrected=TABLE.naive, low=TABLE.true + 0.1)
    outcomes = [simulation.Outcome(**row) for row in spoiled.to_dict("records")]
    assert simulation.summary(outcomes).count("FAILS") == 4


@pytest.mark.parametrize("line", LINES)
def test_the_page_says_these_figures(line):
    found = re.search(rf"^\| {line} \| ([\d.]+) \| (\S*) ?\| ([\d.]+) \| (\S*) ?\|$", PAGE, re.M)
    assert found, line
    for world, value, off in (("noise", found[1], found[2]), ("signal", found[3], found[4])):
        of_world = TABLE[TABLE.world == world]
        assert f"{100 * of_world[LINES[line]].mean():.1f}" == value
        if off:
            assert f"{100 * (of_world[LINES[line]] - of_world.true).mean():+.1f}" == off
