"""The page as text: it degrades, escapes, needs no network, and is the same each time."""

import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from hpsearch.diagnoses import Diagnosis
from hpsearch.ledger import LedgerWarning
from hpsearch.report import Material, report_html
from hpsearch.report.page import LIBRARY, asset
from hpsearch.results.reporting import material_of

ALL = ["estimates", "trials", "curves", "parallel", "slices", "importance", "search", "folds"]


class Page(HTMLParser):
    """Every element's name and attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.in_script = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.in_script = tag == "script"
        if self.in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.in_script = False

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1] += data

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    def sections(self):
        return [attrs["id"] for tag, attrs in self.elements if tag == "section"]

    def specs(self):
        return json.loads(self.scripts[0])


def page_of(run):
    return Page(report_html(material_of(run)))


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    run = made.make_run(
        tmp_path_factory.mktemp("whole") / "run", n_trials=20, failed=(1,), stopped=(4,), huge=(2,)
    )
    return run, report_html(material_of(run))


def test_a_whole_run_has_every_section_in_order(whole):
    page = Page(whole[1])
    assert page.sections() == ["summary", *ALL, "predictions", "again"]


def test_links_lead_somewhere_and_ids_are_unique(whole):
    page = Page(whole[1])
    ids = page.ids()
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_every_chart_has_a_specification_and_a_description(whole):
    page = Page(whole[1])
    charts = [attrs for _, attrs in page.elements if attrs.get("role") == "img"]
    assert {attrs["data-chart"] for attrs in charts} == set(page.specs())
    assert all(attrs["aria-label"].strip() for attrs in charts)


def test_nothing_comes_from_elsewhere(whole):
    page = Page(whole[1])
    for _, attrs in page.elements:
        for name in ("src", "href", "data", "action"):
            assert attrs.get(name, "#").startswith(("#", "data:,"))
    assert "@import" not in asset("report.css")
    assert "url(" not in asset("report.css")


def test_the_same_run_gives_the_same_page(whole):
    run, text = whole
    assert report_html(material_of(run)) == text


def test_the_library_is_the_published_file_with_its_licence():
    assert asset(LIBRARY).lstrip().startswith("/*\n* Licensed to the Apache Software Foundation")
    assert "Apache License" in asset("echarts.LICENSE")
    assert "Apache ECharts" in asset("echarts.NOTICE")


def test_names_cannot_become_markup(made, tmp_path):
    run = made.make_run(tmp_path / "run", hostile=True, failed=(1,))
    text = report_html(material_of(run))
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag in ("img", "b", "iframe")]
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert text.count("</script>") == 3
    assert made.HOSTILE in [axis["name"] for axis in page.specs()["parallel"]["axes"]]


def test_only_known_scripts_may_run(whole):
    page = Page(whole[1])
    [policy] = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    allowed = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in page.scripts[1:]
    }
    assert set(rules["script-src"].split()) == allowed


@pytest.mark.parametrize(
    "problem",
    [
        *("binary", "multiclass", "multilabel"),
        *("regression", "several", "share", "count", "quantile"),
    ],
)
def test_every_problem_type_has_its_predictions(made, tmp_path, problem):
    page = page_of(made.make_run(tmp_path / "run", problem=problem, n_trials=3))
    drawn = {name.split("-")[0] for name in page.specs()}
    if problem in ("regression", "several", "share", "count"):
        assert {"fitted", "residuals"} <= drawn
        n_targets = 2 if problem == "several" else 1
        assert len([name for name in page.specs() if name.startswith("fitted")]) == n_targets
    elif problem == "quantile":
        assert {"coverage", "fan"} <= drawn
    else:
        assert {"roc", "calibration", "probabilities"} <= drawn
        assert ("confusion" in drawn) == (problem != "multilabel")


def test_single_folds_come_from_the_journal(made, tmp_path):
    run = made.make_run(tmp_path / "with", n_trials=2)
    [entry, _] = page_of(run).specs()["curves"]["trials"].values()
    assert [fold["name"] for fold in entry["folds"]] == [
        f"repeat {repeat}, fold {fold}" for repeat in range(2) for fold in range(3)
    ]
    run = made.make_run(tmp_path / "without", n_trials=2, with_journal=False)
    assert "folds" not in next(iter(page_of(run).specs()["curves"]["trials"].values()))


@pytest.mark.parametrize("name", ["folds.csv", "curves.csv", "predictions.csv", "timings.csv"])
@pytest.mark.parametrize("damage", ["gone", "empty", "other"])
def test_a_missing_or_damaged_table_leaves_its_section_out(made, tmp_path, name, damage):
    run = made.make_run(tmp_path / "run", n_trials=4)
    if damage == "gone":
        (run.path / name).unlink()
    else:
        (run.path / name).write_text({"empty": "", "other": "a,b\n1,2\n"}[damage])
    section = {"folds.csv": "folds", "curves.csv": "curves", "predictions.csv": "predictions"}
    sections = page_of(type(run)(run.path)).sections()
    assert section.get(name) not in sections
    assert "trials" in sections


@pytest.mark.parametrize("name", ["run.json", "best.json", "model.json", "journal.sqlite"])
def test_a_missing_document_costs_only_what_it_says(made, tmp_path, name):
    run = made.make_run(tmp_path / "run", n_trials=4)
    (run.path / name).unlink()
    sections = page_of(type(run)(run.path)).sections()
    assert {"trials", "curves", "slices", "folds"} <= set(sections)


def test_one_trial_on_one_fold_is_a_report(made, tmp_path):
    run = made.make_run(tmp_path / "run", n_trials=1, n_repeats=1, n_folds=1, with_test=False)
    sections = page_of(run).sections()
    assert sections == ["summary", "estimates", "trials", "curves", "predictions", "again"]


def test_all_trials_but_one_failed(made, tmp_path):
    run = made.make_run(tmp_path / "run", n_trials=5, failed=(0, 1, 2, 4))
    page = page_of(run)
    assert "slices" not in page.sections()
    text = report_html(material_of(run))
    assert text.count('<span class="badge failed">') == 4
    assert "ValueError: no such layer" in text


def test_a_table_of_trials_alone_is_a_report(made, tmp_path):
    trials = made.make_run(tmp_path / "run", n_trials=3).trials
    assert Page(report_html(Material(trials))).sections()[:2] == ["summary", "trials"]


def test_huge_scores_leave_the_others_visible(made, tmp_path):
    spec = page_of(made.make_run(tmp_path / "run", huge=(2, 3))).specs()["ranked"]
    assert spec["n_beyond"] == 2
    assert spec["range"][1] < 10


def test_diagnoses_link_to_their_charts(made, tmp_path):
    found = Diagnosis("overfit", "Overfits", "e", "a", "problem", "curves", trial=3)
    warning = LedgerWarning("edge_of_range", "at the edge", {}, "widen")
    ledger = made.ledger(warnings=(warning,))
    run = made.make_run(tmp_path / "run", n_trials=4)
    page = Page(report_html(replace(material_of(run), diagnoses=[found], ledger=ledger)))
    links = [attrs for tag, attrs in page.elements if tag == "a" and "data-trial" in attrs]
    assert links == [{"href": "#curves", "data-trial": "3"}]
    assert "findings" in page.sections()


def test_a_diagnosis_of_what_the_run_does_not_have_has_no_link(made, tmp_path):
    found = Diagnosis("x", "t", "e", "a", "note", "predictions")
    run = made.make_run(tmp_path / "run", n_trials=2)
    (run.path / "predictions.csv").unlink()
    page = Page(report_html(replace(material_of(run), diagnoses=[found])))
    assert "predictions" not in page.ids()
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert "#predictions" not in links
