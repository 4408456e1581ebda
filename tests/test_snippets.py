"""What objects show in a notebook: escaped, readable on light and dark pages, without a request."""

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

import hpsearch
from hpsearch import snippets
from hpsearch.report.board import Group, Standing
from hpsearch.results.leaderboard import Leaderboard
from hpsearch.search.cross_validation import CrossValidation

WORKED = Path(__file__).parent.parent / "results/worked"
HOSTILE = "<img src=x onerror=alert(1)>"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<meta name="viewport" content="width=device-width"><style>body {{margin: 8px; color: {ink};
background: {paper}}}</style></head><body><main><h1>Notebook</h1>{parts}</main></body></html>"""


@pytest.fixture(scope="module")
def parts():
    """What each kind of object shows, with hostile names in it."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({HOSTILE: rng.normal(size=40), "b": rng.choice(["x", "y"], 40)})
    table["y"] = rng.normal(size=40)
    data = hpsearch.load(table, target="y", name=HOSTILE)
    facts = {"space": HOSTILE, "trials": "3"}
    one = Standing("results/a", 1, 0, 0.2, 0.01, 0.1, 0.3, 0.21, None, None, facts)
    board = Leaderboard((Group("A", HOSTILE, "mae", "min", "4 folds", (one,)),), ((HOSTILE, "no"),))
    empty = pd.DataFrame({"fold": [0, 1]})
    scored = CrossValidation("mae", "min", 0.2, 0.01, 0.1, 0.3, 7, empty, empty, empty)
    run = hpsearch.open_run(WORKED)
    shown = [each._repr_html_() for each in (data, run, board, scored)]
    return [*shown, snippets.progress(3, 9, "folds, 1/3 trials")]


@pytest.fixture
def visit(browser, parts, tmp_path):
    contexts, wrong = [], []

    def visit(*, ink, paper, width):
        path = tmp_path / "page.html"
        path.write_text(PAGE.format(ink=ink, paper=paper, parts="".join(parts)), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("request", lambda r: r.url.startswith("file:") or wrong.append(r.url))
        page.goto(path.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize(("ink", "paper"), [("#111", "#fff"), ("#eee", "#111")])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious_on_a_light_or_dark_page(visit, ink, paper, width):
    page = visit(ink=ink, paper=paper, width=width)
    found = Axe().run(page).response["violations"]
    grave = [
        (v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_names_cannot_become_markup(parts):
    assert not [part for part in parts if "<img" in part]
    assert "&lt;img" in parts[0]


def test_a_table_shows_what_describe_says(parts):
    data = hpsearch.load("sklearn:wine")
    shown = data._repr_html_()
    for column in data.schema.columns:
        assert column.name in shown
    assert repr(data).splitlines()[0] == "Dataset wine: 178 rows, 13 feature columns"


def test_a_wide_table_says_how_many_columns_are_not_shown():
    wide = pd.DataFrame(np.arange(2000.0).reshape(40, 50) % 17)
    wide.columns = [f"c{i}" for i in range(50)]
    shown = hpsearch.load(wide, target="c0", task="regression")._repr_html_()
    assert "and 19 more columns" in shown


def test_a_run_shows_its_score_its_trials_and_what_to_look_at():
    run = hpsearch.open_run(WORKED)
    shown = run._repr_html_()
    assert f"Run {WORKED}" in shown
    assert f"trial {run.best['trial']}" in shown
    assert "expect log_loss" in shown
    assert all(escape(text) in shown for text in run.warnings)
    assert f'href="{WORKED}/report.html"' in shown


def test_a_damaged_run_shows_what_is_wrong(tmp_path):
    for name in ("run.json", "best.json"):
        (tmp_path / name).write_text("{}" if name == "best.json" else '{"format": 3')
    from hpsearch.results import Run

    assert "damaged" in Run(tmp_path)._repr_html_()


def test_warnings_are_those_of_the_data_and_of_the_ledger():
    run = hpsearch.open_run(WORKED)
    assert run.warnings == [
        *run.settings["warnings"],
        *(warning.text for warning in run.ledger.warnings),
    ]
    assert run.warnings
