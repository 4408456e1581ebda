"""The simulation of ensembles: its figures keep what is promised, and the page says them."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
TABLE = pd.read_csv(ROOT / "docs/ensembles.csv", dtype={"ensemble": str})
SEARCHES = {"to the end": "every trial to the end", "race": "race"}
ENSEMBLES = {
    "single": "one network",
    "folds": "`folds`",
    "seeds": "`seeds`",
    "5": "`5`",
    "20": "`20`",
}


def of(world, search, ensemble):
    return TABLE[(TABLE.world == world) & (TABLE.search == search) & (TABLE.ensemble == ensemble)]


def error(rows, estimate):
    """Mean error in points of accuracy."""
    return 100 * (rows[estimate] - rows["true"]).mean()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_the_page_says_these_figures(search, ensemble):
    start = re.escape(f"| {SEARCHES[search]}: {ENSEMBLES[ensemble]} | ")
    (line,) = re.findall(rf"^{start}(.*) \|$", PAGE, re.M)
    said = [float(cell) for cell in line.split("|") if cell.strip()]
    noise, signal = (of(world, search, ensemble) for world in ("noise", "signal"))
    expected = [error(rows, each) for rows in (noise, signal) for each in ("naive", "corrected")]
    if ensemble != "single":
        expected += [100 * signal[each].mean() for each in ("gain", "true_gain")]
    assert said == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize("world", ["noise", "signal"])
@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("ensemble", ["folds", "seeds", "5", "20"])
def test_the_promise_leaves_less_than_a_third_of_the_error(world, search, ensemble):
    rows = of(world, search, ensemble)
    assert len(rows) == 40
    assert abs(error(rows, "corrected")) < error(rows, "naive") / 3
    assert ((rows["low"] <= rows["true"]) & (rows["true"] <= rows["high"])).sum() >= 36
