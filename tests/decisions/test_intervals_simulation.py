"""The simulation of ranges and sets: they hold what is asked, and the page says these figures."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
MEANS = pd.read_csv(ROOT / "docs/intervals.csv").groupby(["world", "level"], sort=False)


def test_ranges_and_sets_hold_what_is_asked_within_two_points():
    assert (MEANS.size() == 40).all()
    held = MEANS["new_rows"].mean()
    assert (held - held.index.get_level_values("level")).abs().max() < 0.02


def test_the_page_says_these_figures():
    section = PAGE.partition("## How often ranges and sets hold")[2].partition("\n## ")[0]
    lines = re.findall(
        r"^\| .*\| ([\d.]+) % \| ([\d.]+) % \| [\d.]+ % \| ([\d.]+) % \|", section, re.M
    )
    said = [tuple(float(share) / 100 for share in line) for line in lines]
    means = MEANS[["new_rows", "out_of_fold"]].mean()
    assert len(said) == len(means) == 21
    for (asked, held, told), ((_, level), row) in zip(said, means.iterrows(), strict=True):
        assert asked == level
        assert (held, told) == pytest.approx(tuple(row), abs=6e-4)
