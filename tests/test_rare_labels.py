"""The page on rare labels: its figures are the means of the benchmark's table."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/rare_labels.md").read_text(encoding="utf-8")
MEANS = (
    pd.read_csv(ROOT / "docs/imbalanced.csv")
    .drop(columns=["cut"])
    .groupby(["table", "setting"])
    .mean()
)


@pytest.mark.parametrize(("table", "setting"), list(MEANS.index))
def test_the_page_says_these_figures(table, setting):
    section = PAGE.partition(f"\n## {table.capitalize()}")[2].partition("\n## ")[0]
    (head,) = re.findall(r"^\| setting \| (.*) \|$", section, re.M)
    (line,) = re.findall(rf"^\| {setting} \| (.*) \|$", section, re.M)
    figures = dict(zip(head.split(" | "), line.split(" | "), strict=True))
    assert {"F1", "recall", "precision", "log loss", "promised F1", "naive F1"} <= figures.keys()
    for name, figure in figures.items():
        assert float(figure) == pytest.approx(MEANS.loc[(table, setting), name], rel=6e-3), name


def test_every_table_has_every_setting_on_every_cut():
    rows = pd.read_csv(ROOT / "docs/imbalanced.csv")
    assert rows.groupby(["table", "cut"]).size().tolist() == [8] * 9
