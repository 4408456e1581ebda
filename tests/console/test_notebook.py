"""A search in a notebook: one line that is renewed, and the page in docs runs as it stands."""

import io
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from hpsearch.console.notebook import (
    SECONDS_BETWEEN_RENEWALS,
    NotebookObserver,
    observer_in_python,
)
from hpsearch.console.observers import PlainObserver
from hpsearch.scoring.observer import SilentObserver, heard_by, usual_observer

ROOT = Path(__file__).parent.parent.parent


class Cell:
    """What is below a cell: lines, and one that is renewed."""

    def __init__(self):
        self.now, self.stream, self.lines = 0.0, io.StringIO(), []
        self.n_shown = 0
        self.observer = NotebookObserver(self.stream, clock=lambda: self.now, show=self.show)

    def show(self, line):
        self.n_shown += 1
        self.lines.append(repr(line))
        return lambda line: self.lines.append(repr(line))


def row(trial, score=None, status="completed", **more):
    return {"trial": trial, "status": status, "score": score, **more}


@pytest.fixture
def cell():
    cell = Cell()
    cell.observer.search_started(n_trials=2, n_folds=4, metric="mae", direction="min", jobs=1)
    return cell


def test_progress_is_one_line_that_is_renewed(cell):
    cell.now = 3.0
    cell.observer.folds_done(0, 4)
    cell.observer.trial_done(row(0, 0.25))
    cell.now = 6.0
    cell.observer.folds_done(1, 2)
    assert cell.n_shown == 1
    assert cell.lines[-1] == (
        "6/8 folds, 1/2 trials, best mae 0.2500 (trial 0), 6 s, about 2 s left"
    )
    assert cell.stream.getvalue() == ""


def test_it_is_renewed_now_and_then_and_at_the_end(cell):
    for n in range(1, 5):
        cell.now += SECONDS_BETWEEN_RENEWALS / 3
        cell.observer.folds_done(0, n)
    assert len(cell.lines) == 2
    cell.observer.search_ended(None)
    assert cell.lines[-1].endswith("done in 1 s")


def test_warnings_notes_and_failures_are_lines_of_their_own(cell):
    cell.observer.note("Split: 4 folds.")
    cell.observer.warn("A column gives the target away.")
    cell.observer.trial_done(row(1, status="failed", error="ValueError: no units"))
    assert cell.stream.getvalue().splitlines() == [
        "Split: 4 folds.",
        "warning: A column gives the target away.",
        "trial 1: failed: ValueError: no units",
    ]


def test_stages_take_the_place_of_the_line(cell):
    cell.observer.stage("refit")
    assert cell.lines[-1] == "training the selected configuration on all rows ..."


def test_a_notebook_gets_the_renewed_line_and_a_terminal_lines(monkeypatch):
    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    monkeypatch.setattr(sys, "stdout", OutStream())
    assert isinstance(observer_in_python(), NotebookObserver)
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    assert type(observer_in_python()) is PlainObserver


def test_quiet_is_silent_wherever_python_runs(monkeypatch):
    from hpsearch.scoring import observer

    monkeypatch.setattr(observer, "_suitable", observer._suitable)
    heard_by(lambda: NotebookObserver(io.StringIO()))
    assert isinstance(usual_observer(), NotebookObserver)
    assert isinstance(usual_observer(quiet=True), SilentObserver)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The page in docs, executed in a fresh kernel."""
    notebook = nbformat.read(ROOT / "docs/notebook.ipynb", 4)
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("KERAS_BACKEND", "numpy")  # the kernel plans and predicts, workers train
        patch.delenv("TF_CPP_MIN_LOG_LEVEL")
        client = NotebookClient(
            notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
    return notebook, folder


def outputs_of(notebook, kind):
    return [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == kind]


@pytest.mark.filterwarnings("ignore")  # of the kernel's client
def test_the_page_runs_as_it_stands(executed):
    notebook, folder = executed
    assert (folder / "results/wine/best.json").is_file()
    shown = [o.data.get("text/html", "") for o in outputs_of(notebook, "execute_result")]
    assert "wine: 178 rows, 13 feature columns" in shown[0]
    assert "Run results/wine" in shown[1]


@pytest.mark.filterwarnings("ignore")
def test_what_libraries_say_on_being_imported_stays_away(executed):
    streams = outputs_of(executed[0], "stream")
    assert [o.text for o in streams if o.name == "stderr"] == []


@pytest.mark.filterwarnings("ignore")
def test_its_progress_is_one_display(executed):
    [display] = outputs_of(executed[0], "display_data")
    assert display.data["text/plain"].startswith("9/9 folds, 3/3 trials, best log_loss")
    assert "<progress" in display.data["text/html"]


def test_the_page_was_saved_without_an_error():
    saved = nbformat.read(ROOT / "docs/notebook.ipynb", 4)
    assert outputs_of(saved, "error") == []
    assert outputs_of(saved, "execute_result")
