"""The report as a reader meets it, in headless Chromium."""

from dataclasses import replace
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe

from hpsearch.diagnoses import Diagnosis
from hpsearch.ledger import BiasCorrection, FoldMean, LedgerWarning, Promise, Spread
from hpsearch.report import report_html
from hpsearch.results.reporting import material_of

DRAWN = "html[data-drawn]"
PROBLEMS = ("binary", "multiclass", "multilabel", "regression", "several", "share")
PROBLEMS += ("count", "quantile")


@pytest.fixture(scope="module")
def report(made, tmp_path_factory):
    """The report of a run that has everything, with hostile names in it."""
    run = made.make_run(
        tmp_path_factory.mktemp("browser") / "run",
        n_trials=24,
        failed=(1,),
        stopped=(4, 5),
        huge=(2,),
        hostile=True,
    )
    found = Diagnosis("overfit", "Overfits", "e", "a", "problem", "curves", trial=3)
    mean = FoldMean(0.2, 2, 3, 6, Spread(0.05, 0.1, 0.3), Spread(None, None, None))
    ledger = made.ledger(
        mean=mean,
        bias_corrected=BiasCorrection(),
        foldwise=None,
        nested=None,
        test=None,
        promise=Promise("mean", 0.2, 0.1, 0.3),
        baselines=(),
        warnings=(LedgerWarning("x", made.HOSTILE, {}, "none"),),
    )
    path = run.path / "report.html"
    material = replace(material_of(run), diagnoses=[found], ledger=ledger)
    path.write_text(report_html(material), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser):
    """Open a report; at the end nothing may have gone wrong or to the network."""
    contexts, wrong = [], []

    def visit(path, *, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
        page.goto(path.as_uri())
        page.wait_for_selector(DRAWN)
        page.bring_to_front()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


def charts_without_marks(page):
    """Charts in which nothing visible was drawn."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".chart")].filter((box) =>
            !box.querySelector("canvas") && box.querySelectorAll("svg path, svg rect").length < 3)
            .map((box) => box.id)"""
    )


def grave(page):
    found = Axe().run(page).response["violations"]
    return [
        (v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]


def test_every_chart_is_drawn(visit, report):
    page = visit(report)
    n_charts = page.locator(".chart").count()
    assert n_charts > 15
    assert page.locator(".chart svg, .chart canvas").count() >= n_charts
    assert charts_without_marks(page) == []


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_types_charts_are_drawn(visit, made, tmp_path, problem):
    page = visit(made.make_run(tmp_path / "run", problem=problem, n_trials=3).report())
    assert page.locator("#predictions .chart").count() >= 2
    assert charts_without_marks(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(visit, report, scheme, width):
    page = visit(report, width=width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert grave(page) == []


def test_a_phone_never_scrolls_sideways(visit, report):
    page = visit(report, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_button_turns_dark_and_light_and_charts_follow(visit, report):
    page = visit(report, color_scheme="light")
    button = page.locator("#theme")
    colours = []
    for name in ("Dark", "Light", "Dark"):
        assert button.inner_text().endswith(name)
        page_colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        text = page.locator("#chart-ranked svg text").first
        colours.append((page_colour, text.get_attribute("fill")))
        button.click()
    assert colours[0] == colours[2]
    assert colours[0][0] != colours[1][0]
    assert colours[0][1] != colours[1][1]


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(visit, report):
    page = visit(report)
    stops = []
    for _ in range(100):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const e = document.activeElement, own = getComputedStyle(e);
            return e === document.body ? null : {name: e.id || e.textContent.trim().slice(0, 30),
                top: e.closest("main") ? e.getBoundingClientRect().top + scrollY : -1,
                is_outlined: own.outlineStyle !== "none"}; }"""
        )
        if stop is None:
            break
        stops.append(stop)
    names = [stop["name"] for stop in stops]
    assert names[:3] == ["Skip to the report", "theme", "Summary"]
    assert {"trial", "Copy"} <= set(names)
    assert all(stop["is_outlined"] for stop in stops)
    tops = [stop["top"] for stop in stops if stop["top"] >= 0]
    assert len(tops) > 20
    assert all(after >= before - 60 for before, after in pairwise(tops))  # columns of one row
    n_can = page.locator("a[href], button:visible, select, input, summary:visible").count()
    assert len(stops) >= n_can


def test_the_skip_link_leads_to_the_report(visit, report):
    page = visit(report)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_trial_is_chosen_by_name_by_row_and_by_a_diagnosis(visit, report):
    page = visit(report)
    choice = page.get_by_label("Trial", exact=True)
    other = choice.locator("option").nth(2).get_attribute("value")
    choice.select_option(other)
    assert page.locator("tr.chosen td").nth(1).inner_text().startswith(other)
    assert page.locator("#chart-curves svg").text_content().count(f"trial {other}") == 2
    page.locator("#trials-table-1 tbody tr").nth(4).click()
    trial = page.locator("#trials-table-1 tbody tr").nth(4).locator("td").nth(1)
    assert choice.input_value() == trial.get_attribute("data-sort").removesuffix(".0")
    page.get_by_role("link", name="See curves of trial 3").click()
    assert choice.input_value() == "3"


def place_of_a_dot(page):
    """Where the fourth best trial's dot is on the screen, and the trial's number."""
    page.locator("#chart-ranked").scroll_into_view_if_needed()
    return page.evaluate(
        """() => { const chart = echarts.getInstanceByDom(document.getElementById("chart-ranked"));
        const row = JSON.parse(document.getElementById("specs").textContent).ranked.rows[3];
        const box = document.getElementById("chart-ranked").getBoundingClientRect();
        const [x, y] = chart.convertToPixel({seriesIndex: 1}, [row.rank, row.score]);
        return [box.x + x, box.y + y, String(row.trial)]; }"""
    )


def test_a_click_on_a_dot_chooses_its_trial(visit, report):
    page = visit(report)
    before = page.get_by_label("Trial", exact=True).input_value()
    x, y, trial = place_of_a_dot(page)
    page.mouse.click(x, y)
    after = page.get_by_label("Trial", exact=True).input_value()
    assert after == trial != before


def test_a_dot_that_is_drawn_again_under_the_click_is_still_chosen(visit, report):
    """A browser sends no click to a mark that moved in the page between press and release."""
    page = visit(report)
    x, y, trial = place_of_a_dot(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(
        """() => { for (const mark of document.querySelectorAll("#chart-ranked svg path"))
        mark.parentNode.insertBefore(mark, mark.nextSibling); }"""
    )
    page.mouse.up()
    assert page.get_by_label("Trial", exact=True).input_value() == trial


def test_the_table_of_trials_sorts_and_unfolds(visit, report):
    page = visit(report)
    rows = page.locator("#trials-table-1 tbody tr:visible")
    assert rows.count() == 12
    page.get_by_role("button", name="Show all 24").click()
    assert rows.count() == 24
    heads = page.locator("#trials-table-1 th")
    heads.nth(1).get_by_role("button").click()
    trials = [
        float(t.get_attribute("data-sort"))
        for t in page.locator("#trials-table-1 td:nth-child(2)").all()
    ]
    assert trials == sorted(trials)
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    heads.nth(1).get_by_role("button").click()
    assert heads.nth(1).get_attribute("aria-sort") == "descending"


def test_controls_redraw_the_curves(visit, report):
    page = visit(report)
    lines = page.locator("#chart-curves svg path")
    with_folds = lines.count()
    page.get_by_label("single folds").uncheck()
    assert lines.count() < with_folds
    page.get_by_label("Compare with").select_option(index=2)
    assert page.locator("#chart-curves svg").text_content().count("validation, trial") == 2
    page.get_by_label("Metric").select_option("accuracy")
    assert "accuracy" in page.locator("#chart-curves svg").text_content()


def test_a_logarithmic_axis_fits_the_curves(visit, report):
    page = visit(report)
    page.get_by_label("logarithmic").check()
    texts = page.locator("#chart-curves svg text").all_inner_texts()
    low, high = page.evaluate(
        """() => { const spec = JSON.parse(document.getElementById("specs").textContent).curves;
        const { val, train } = spec.trials[spec.selected].series[spec.metrics[0]];
        return [Math.min(...val, ...train), Math.max(...val, ...train)]; }"""
    )
    axis = page.evaluate(
        """() => echarts.getInstanceByDom(document.getElementById("chart-curves"))
        .getModel().getComponent("yAxis").axis.scale.getExtent().map((end) => 10 ** end)"""
    )
    assert low * 0.8 < axis[0] < low < high < axis[1] < high * 1.25
    assert texts


def test_a_trial_is_not_compared_with_itself(visit, report):
    page = visit(report)
    other, trial = page.locator("#other"), page.locator("#trial")
    for _ in range(2):
        offered = other.evaluate(
            "(e) => [...e.options].filter((o) => !o.hidden).map((o) => o.value)"
        )
        assert trial.input_value() not in offered
        other.select_option(offered[1])
        trial.select_option(offered[1])
        assert other.input_value() == ""


def test_names_over_axes_are_broken_between_words_only(visit, report):
    page = visit(report)
    names = page.evaluate(
        """() => echarts.getInstanceByDom(document.getElementById("chart-parallel"))
        .getOption().parallelAxis.map((axis) => axis.name)"""
    )
    assert any("\n" in name for name in names)
    for name in names:
        assert all(line[-1] in "_ .-…" for line in name.split("\n")[:-1])


def test_without_javascript_the_tables_are_there(browser, report):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri())
    assert page.locator("#trials-table-1 tbody tr:visible").count() == 24
    assert "need JavaScript" in page.locator("noscript").inner_text()
    page.context.close()


def test_it_prints(visit, report):
    page = visit(report, color_scheme="dark")
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert 3 <= pdf.count(b"/Type /Page\n") <= 20
    # the screen is as it was
    assert page.evaluate("document.documentElement.className") == ""
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""


def test_a_large_report_is_small_and_opens(visit, made, tmp_path):
    path = made.make_run(tmp_path / "run", n_trials=200, n_repeats=3, n_folds=4).report()
    assert path.stat().st_size < 5e6
    assert charts_without_marks(visit(path)) == []


def test_a_range_on_an_axis_keeps_the_trials_within_and_says_how_many(visit, report):
    page = visit(report)
    chart = page.locator("#chart-parallel")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    x, top = box["x"] + 40, box["y"] + 80  # the first axis
    page.mouse.move(x, top)
    page.mouse.down()
    page.mouse.move(x, top + 150, steps=5)
    page.mouse.up()
    said = page.locator("#parallel [role=status]")
    said.filter(has_text="trials kept").wait_for()
    kept, _, n_trials = said.inner_text().split()[:3]
    assert n_trials == "23"  # one failed
    assert 0 < int(kept) < 23


def test_every_hyperparameter_fits_beside_the_others_when_asked(visit, report):
    page = visit(report)
    page.get_by_label("all 11 hyperparameters").check()
    scroller = page.locator("#chart-parallel").locator("..")
    assert scroller.get_attribute("tabindex") == "0"
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    assert grave(page) == []
