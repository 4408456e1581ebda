"""The leaderboard as a reader meets it, in headless Chromium: it needs no network."""

from html.parser import HTMLParser

import pytest
from axe_playwright_python.sync_playwright import Axe

from hpsearch.report.board import Duel, Group, Standing, board_html

HOSTILE = "</script><img src=x onerror=alert(1)>"


def standing(rank, **more):
    facts = {"space": "mlp" if rank % 2 else HOSTILE, "oracle": "random", "folds": "3 x 4"}
    given = {
        "run": f"results/run-{rank}",
        "rank": rank,
        "trial": 3,
        "score": 0.1 * rank,
        "se": 0.01,
        "low": 0.1 * rank - 0.03,
        "high": 0.1 * rank + 0.03,
        "expected": 0.1 * rank + 0.01,
        "expected_low": None,
        "expected_high": None,
        "facts": {**facts, "trials": "20", "parameters": "1,234"},
        "report": f"run-{rank}/report.html" if rank == 1 else "",
    }
    return Standing(**{**given, **more})


def boards():
    duels = (
        Duel(1, 2, -0.1, -0.2, -0.01, 0.01, 0.9, 0.05, 0.05, winner=1),
        Duel(1, 3, missing="no common folds"),
        Duel(2, 3, -0.1, -0.2, 0.1, 0.4, 0.5, 0.2, 0.3),
    )
    first = standing(1, better_than=(2,))
    second = standing(2, worse_than=(1,), run=HOSTILE)
    several = Group("A", "visits", "mae", "min", "4 folds", (first, second, standing(3)), duels)
    alone = Group("B", HOSTILE, "log_loss", "min", "5 folds", (standing(1, low=None, high=None),))
    return several, alone


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    path = tmp_path_factory.mktemp("board") / "board.html"
    path.write_text(board_html(boards(), [("results/README.md", HOSTILE)]), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser, board):
    """Open the page; at the end nothing may have gone wrong or to the network."""
    contexts, wrong = [], []

    def visit(*, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
        page.goto(board.as_uri())
        page.wait_for_selector("html[data-drawn]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


def shown(page):
    return page.locator("#runs tbody tr:visible td:nth-child(3)").all_inner_texts()


def test_names_cannot_become_markup(board):
    found = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append(tag)

    text = board.read_text(encoding="utf-8")
    Tags().feed(text)
    assert "img" not in found
    assert text.count("</script>") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious_and_a_phone_never_scrolls_sideways(visit, scheme, width):
    page = visit(width=width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = Axe().run(page).response["violations"]
    grave = [
        (v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_filters_leave_the_runs_that_fit(visit):
    page = visit()
    assert len(shown(page)) == 4
    page.locator("#filters").get_by_label("Group").select_option("A")
    assert len(shown(page)) == 3
    assert page.locator("#shown").inner_text() == "3 of 4 runs"
    page.locator("#filters").get_by_label("Space").select_option("mlp")
    assert shown(page) == ["results/run-1", "results/run-3"]
    page.locator("#filters").get_by_label("Words").fill("RUN-3 visits")
    assert shown(page) == ["results/run-3"]
    page.locator("#filters").get_by_label("Group").select_option("")
    page.locator("#filters").get_by_label("Space").select_option("")
    page.locator("#filters").get_by_label("Words").fill("")
    assert page.locator("#shown").inner_text() == "4 runs"


def test_rows_are_sorted_by_a_column_that_is_pressed(visit):
    page = visit()
    page.get_by_role("button", name="mean ± se").click()
    page.get_by_role("button", name="mean ± se").click()
    assert shown(page)[0] == "results/run-3"


def test_each_pair_says_whether_it_is_told_apart(visit):
    page = visit()
    cells = page.locator(".matrix tbody td").all_inner_texts()
    assert cells == [
        *("", "better, p 0.010", "not compared"),
        *("worse, p 0.010", "", "p 0.400"),
        *("not compared", "p 0.400", ""),
    ]
    assert page.locator("#group-B").count() == 0, "a run alone has no pairs"


def test_the_page_turns_dark_and_back(visit):
    page = visit(color_scheme="light")
    colours = []
    for name in ("Dark", "Light", "Dark"):
        assert page.locator("#theme").inner_text().endswith(name)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.locator("#theme").click()
    assert colours[0] == colours[2] != colours[1]
