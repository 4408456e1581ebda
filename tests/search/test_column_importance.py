"""Importance of columns: what is known to matter matters, and the rest is not told apart."""

import re
import shutil
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hpsearch
from hpsearch.errors import HpsearchError, InputError
from hpsearch.folds import Fold
from hpsearch.report.material import Material
from hpsearch.report.parts.columns import columns_section
from hpsearch.results.reporting import material_of
from hpsearch.search.column_importance import importance_rows

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.2])


def build(hp, problem):
    raise NotImplementedError
"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A search on a table of which two columns matter, one twice, and one doesn't."""
    folder = tmp_path_factory.mktemp("importance")
    (folder / "space.py").write_text(SPACE)
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 120))
    twin = a + 0.05 * rng.normal(size=120)
    y = 3 * a + np.where(b > 0, 2.0, -2.0) + 0.3 * rng.normal(size=120)
    kind = np.where(b > 0, "yes", "no")
    frame = pd.DataFrame({"a": a, "kind": kind, "noise": c, "twin": twin, "y": y})
    data = hpsearch.load(frame, target="y")

    def search(name, **options):
        options = {"trials": 2, "folds": 3, "repeats": 2, "epochs": 8, "race": "off"} | options
        options |= {"engine": "pretended", "space": folder / "space.py", "out": folder / name}
        return hpsearch.Search(**options, baselines=False, quiet=True).run(data)

    return search, data


@pytest.fixture(scope="module")
def run(asked, pretend_here):
    search, _ = asked
    with pretend_here():
        return search("with", importance=True)


def test_columns_that_matter_come_first_and_the_others_are_not_told_apart(run):
    table = run.importance
    assert table["column"].tolist()[-1] == "noise"
    assert table["group"].tolist() == [1, 1, 2, 3]
    assert set(table["column"][:2]) == {"a", "twin"}, "which go together"
    assert table["told_apart"].tolist() == [True, True, True, False]
    assert (table["n_folds"] == 6).all()
    first, noise = table.iloc[0], table.iloc[-1]
    assert first["ci_low"] > 1.5, "mean absolute error without three times a normal number"
    assert noise["ci_low"] <= 0.0 <= noise["ci_high"] + 0.05


def test_one_seed_gives_the_same_table_and_it_is_sealed(run, asked, pretend_here):
    search, _ = asked
    with pretend_here():
        again = search("again", importance=True)
    assert (again.path / "importance.csv").read_bytes() == (
        run.path / "importance.csv"
    ).read_bytes()
    assert again.best["sha256"]["importance.csv"] == run.best["sha256"]["importance.csv"]


def test_a_finished_run_that_is_resumed_with_it_has_it_added(run, asked, pretend_here):
    search, data = asked
    with pretend_here():
        plain = search("without")
        assert plain.importance is None
        assert not (plain.path / "importance.csv").exists()
        added = hpsearch.resume(plain.path, data, importance=True, quiet=True)
        pd.testing.assert_frame_equal(added.importance, run.importance)
        more = hpsearch.resume(plain.path, data, trials=3, quiet=True)
    assert more.importance is not None, "as it was asked before"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("told_apart", "told", "it has no column 'told_apart'"),
        ("True", "maybe", "'told_apart' holds other than True or False"),
        ("\nkind,", "\nnoise,", "two of its rows have the same column"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(run, tmp_path, was, now, said):
    folder = tmp_path / "damaged"
    shutil.copytree(run.path, folder)
    text = (folder / "importance.csv").read_text()
    (folder / "importance.csv").write_text(text.replace(was, now, 1))
    with pytest.raises(InputError, match=re.escape(said)):
        print(hpsearch.open_run(folder).importance)


def test_the_report_draws_each_group_once_and_says_which_matter(run):
    section = columns_section(material_of(run))
    assert "a with twin and kind matter." in section.lead
    assert "One column or group is not told apart from none." in section.lead
    [chart] = section.charts
    assert [row["label"] for row in chart.spec["rows"]] == ["a with twin", "kind", "noise"]
    assert [row[-1].text for row in section.tables[0].rows] == [
        "matters",
        "matters",
        "not told apart from none",
    ]
    assert columns_section(Material(trials=run.trials)) is None


def test_show_has_a_line_for_each_group(run):
    from rich.console import Console

    from hpsearch.console.importance import importance_view

    console = Console(width=100, file=StringIO())
    console.print(importance_view(run.importance, "mae"))
    shown = console.file.getvalue()
    assert "a with twin" in shown
    assert shown.count("not told apart from none") == 1


def test_errors_are_those_of_scores_corrected_for_shared_rows():
    folds = [Fold(0, i, np.arange(i, 12, 4), np.arange(3)) for i in range(4)]
    losses = np.array([[0.1, 0.1, 0.1, 0.1], [1.0, 2.0, 3.0, 4.0]])
    first, second = importance_rows([("a",), ("b",)], losses, folds)
    assert (first["column"], first["importance"]) == ("b", 2.5)
    se = np.sqrt((1 / 4 + 3 / 3) * np.var([1, 2, 3, 4], ddof=1))
    assert first["importance_se"] == pytest.approx(se)
    assert first["ci_low"] == pytest.approx(2.5 - stats.t.ppf(0.975, 3) * se)
    assert (first["told_apart"], second["told_apart"]) == (False, True)


def test_one_fold_has_no_error_and_tells_nothing_apart():
    [row] = importance_rows([("a",)], np.array([[0.5]]), [Fold(0, 0, np.arange(9), np.arange(3))])
    assert (row["importance"], row["importance_se"], row["ci_low"]) == (0.5, None, None)
    assert row["told_apart"] is False
    table = pd.DataFrame([row])
    section = columns_section(Material(trials=pd.DataFrame(), importance=table))
    assert section.lead.endswith("With one fold nothing is known of the errors.")


def test_a_metric_that_is_undefined_for_a_group_leaves_its_cells_empty():
    folds = [Fold(0, i, np.arange(9), np.arange(3)) for i in range(2)]
    losses = np.array([[np.nan, 0.1], [0.2, 0.2]])
    first, second = importance_rows([("a",), ("b",)], losses, folds)
    assert [first["column"], second["column"]] == ["b", "a"]
    assert second["importance"] is None


def test_a_lost_worker_is_told_in_one_line(asked, pretend_here, monkeypatch):
    from hpsearch.engines.workers import Lost
    from hpsearch.search import column_importance

    def lose(self, function, tasks):
        if function is column_importance.losses_of_fold:
            return iter([Lost(tasks[0], 3)])
        return map(function, tasks)

    search, _ = asked
    with pretend_here():
        monkeypatch.setattr("tests.machines_here.MachinesHere.map_unordered", lose)
        with pytest.raises(HpsearchError, match=r"could not be measured: its worker process died"):
            search("lost", importance=True)
