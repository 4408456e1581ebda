"""README and the pages keep their word: Python runs, options exist, tables have those columns."""

import io
import re
import shlex
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import hpsearch
from hpsearch.cli import app
from hpsearch.space.space import Space
from hpsearch.task import TASKS, Problem

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SMALL = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 1}
SMALL |= {"engine": "reference", "overwrite": True}
SMALL_ESTIMATORS = [
    ("Search", {**SMALL, "baselines": False, "race": "off", "rungs": 1}),
    ("Keras", {"epochs": 1, "engine": "reference"}),
]
KINDS = ("Classifier", "Regressor")
SMALL_VALIDATION = {"cv": 2, "epochs": 1, "engine": "reference"}


@dataclass(frozen=True)
class Page:
    """A page of Markdown, taken apart."""

    path: Path

    @property
    def name(self):
        """Its path below docs/, or its file's name elsewhere."""
        home = DOCS if DOCS in self.path.parents else self.path.parent
        return self.path.relative_to(home).as_posix()

    @cached_property
    def text(self):
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self):
        """Fenced blocks as (language, the HTML comment above or "", code)."""
        return self._parts[0]

    @cached_property
    def spans(self):
        """What stands between single backticks."""
        return re.findall(r"`([^`]+)`", self._parts[1])

    @cached_property
    def python(self):
        """All Python that a reader would run, one block after the other."""
        return "\n".join(
            code for language, above, code in self.blocks if language == "python" and not above
        )

    @cached_property
    def files(self):
        """Files that the page shows, by name."""
        return {
            above.removeprefix("file: "): code
            for _, above, code in self.blocks
            if above.startswith("file: ")
        }

    @cached_property
    def commands(self):
        """Every ``hpsearch ...``, in code blocks and in sentences, as words."""
        lines = [
            line
            for language, above, code in self.blocks
            if not (language or above)
            for line in code.splitlines()
        ]
        found = [
            shlex.split(part)
            for text in [*lines, *self.spans]
            if "hpsearch " in text
            for part in text.split("&&")
        ]
        return [
            w
            for w in found
            if len(w) > 1
            and w[0].rpartition("/")[2] == "hpsearch"
            and w[1] not in ("...", "--help")
        ]

    @cached_property
    def links(self):
        """Targets of links to files, with what follows the ``#``."""
        return [
            tuple(target.partition("#")[::2])
            for target in re.findall(r"\]\(([^)]+)\)", self.text)
            if "://" not in target
        ]

    @cached_property
    def anchors(self):
        """What a link to one of its headings has behind the ``#``."""
        headings = re.findall(r"^#+ (.*)$", self.text, flags=re.MULTILINE)
        return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}

    @cached_property
    def _parts(self):
        found, prose, code, language, above = [], [], None, "", ""
        for line in self.text.splitlines():
            if code is None and line.startswith("```"):
                code, language = [], line.removeprefix("```")
            elif code is not None and line == "```":
                comment = above.removeprefix("<!-- ").removesuffix(" -->")
                found.append((language, comment, "\n".join(code)))
                code, above = None, ""
            elif code is not None:
                code.append(line)
            else:
                prose.append(line)
                above = line if line.startswith("<!-- ") else ""
        return found, "\n".join(prose)


README = Page(ROOT / "README.md")
PAGES = [
    README,
    *(Page(path) for path in sorted(DOCS.rglob("*.md"))),
    Page(ROOT / "CONTRIBUTING.md"),
]
BY_NAME = {page.name: page for page in PAGES}
WITH_PYTHON = [page for page in PAGES if page.python]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def options_of(command):
    parameters = typer.main.get_command(app).commands[command].params
    return {option for p in parameters for option in (*p.opts, *p.secondary_opts)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the tables where the pages find them in a checkout, and some pictures."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(ROOT / "tests/data/tables", folder / "tests/data/tables")
    _write_pictures(folder / "pictures")
    return folder


def _write_pictures(folder):
    """Ten PNG files of each of two classes, a folder a class."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for n in range(10):
            pixels = rng.integers(256, size=(40, 30, 3), dtype=np.uint8)
            (folder / name / f"{n}.png").write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Small files in the form of those that Keras downloads; the houses are all there."""
    folder, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    houses = pd.read_csv(ROOT / "tests/data/tables/boston_housing.csv")
    np.savez(folder / "boston_housing.npz", x=houses.drop(columns="medv"), y=houses["medv"])
    words = np.empty(60, dtype=object)
    words[:] = [rng.integers(1, 50, size=rng.integers(3, 9)).tolist() for _ in words]
    np.savez(folder / "reuters.npz", x=words, y=np.arange(60) % 3)
    pixels = rng.integers(256, size=(60, 28, 28), dtype=np.uint8)
    for name, x, y in (("imdb", words, np.arange(60) % 2), ("mnist", pixels, np.arange(60) % 10)):
        parts = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
        np.savez(folder / f"{name}.npz", **parts)
    return folder


def smaller(kind, small):
    return lambda *given, **options: kind(*given, **{**options, **small})


@pytest.fixture(scope="module")
def as_reader(folder, sets, train_here):
    """A context in which searches train here, in the folder, and Keras downloads small sets."""

    @contextmanager
    def as_reader():
        with train_here(), pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for name in ("boston_housing", "imdb", "reuters", "mnist"):
                patch.setattr(
                    f"keras.src.datasets.{name}.get_file",
                    lambda fname=None, *_, **__: str(sets / fname),
                )
            yield patch

    return as_reader


@pytest.fixture(scope="module")
def run_page(as_reader):
    """Runs a page's Python with small budgets, once; the names that it leaves."""
    done, printed = {}, {}

    def run(page):
        if page.path in done:
            return done[page.path]
        names = {}
        if "results/houses" in page.python and 'out="results/houses"' not in page.python:
            run(BY_NAME["python.md"])  # it looks at the run that another page made
        if "results/credit" in page.python and 'out="results/credit"' not in page.python:
            run(BY_NAME["index.md"])
        with as_reader() as patch:
            small = {**SMALL, "baselines": "results/houses" in page.python}
            kinds = {
                "Search": small,
                "KFoldTuner": {**small, "max_trials": 2},
                **{f"{a}{b}": least for a, least in SMALL_ESTIMATORS for b in KINDS},
                "cross_validate": SMALL_VALIDATION,
            }
            del kinds["KFoldTuner"]["trials"]
            for name, least in kinds.items():
                patch.setitem(vars(hpsearch), name, smaller(getattr(hpsearch, name), least))
            patch.setattr(sys, "stdout", io.StringIO())
            exec(compile(page.python, page.name, "exec"), names)
            printed[page.name] = sys.stdout.getvalue()
        done[page.path] = names
        return names

    run.printed = printed
    return run


def test_the_two_commands_stand_at_the_top():
    lines = README.text.splitlines()
    for line in (
        "python3 -m venv .venv && .venv/bin/pip install . && "
        ".venv/bin/hpsearch run sklearn:breast_cancer",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && "
        ".venv/bin/pytest -n 2 --dist loadfile",
    ):
        assert lines.index(line) < 25


def test_readme_is_a_front_door():
    assert len(README.text.splitlines()) <= 150
    linked = {Path(target).name for target, _ in README.links}
    assert {"index.md", "first-run.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= linked


@each_page
def test_every_command_and_its_options_exist(page):
    for _, command, *words in page.commands:
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= options_of(command), command


@each_page
def test_every_link_leads_somewhere(page):
    for target, anchor in page.links:
        linked = page.path.parent / target if target else page.path
        assert linked.exists(), target
        if anchor:
            assert anchor in Page(linked.resolve()).anchors, f"{target}#{anchor}"


def test_pages_name_many_commands_and_options():
    assert sum(len(page.commands) for page in PAGES) > 25


USER_PAGES = (
    "data.md",
    "folds.md",
    "searching.md",
    "afterwards.md",
    "exporting.md",
    "resuming.md",
    "spaces.md",
)


@pytest.mark.parametrize("name", USER_PAGES)
def test_every_option_in_a_sentence_exists(name):
    spans = BY_NAME[name].spans
    given = {word for span in spans for word in span.split() if word.startswith("--")}
    commands = ("run", "resume", "predict", "show", "report", "space", "compare", "export")
    assert given <= set().union(*map(options_of, commands))


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, run_page):
    assert run_page(page)


GUIDES = [page for page in PAGES if page.name.startswith(("guides/", "tutorial/"))]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_the_searches_of_a_guide_run(page, run_page, as_reader, folder):
    run_page(page)
    for name, code in page.files.items():
        (folder / name).write_text(code, encoding="utf-8")
    small = [word for name in SMALL for word in (f"--{name}", str(SMALL[name])) if word != "True"]
    with as_reader():
        for words in page.commands:
            if words[1:2] == ["run"] and len(words) > 2:
                done = CliRunner().invoke(app, [*words[1:], *small, "--no-baselines"])
                assert done.exit_code == 0, done.output


DESCRIBED = "output: data.describe()"
DESCRIBING = [page for page in PAGES if DESCRIBED in [above for _, above, _ in page.blocks]]


@pytest.mark.parametrize("page", DESCRIBING, ids=lambda page: page.name)
def test_data_are_described_as_the_page_shows(page, run_page):
    run_page(page)
    for _, above, text in page.blocks:
        assert above != DESCRIBED or text in run_page.printed[page.name]


def test_the_python_page_finds_what_it_says(run_page, folder):
    names = run_page(BY_NAME["python.md"])
    assert names["result"].metric == "mae"
    assert len(names["scores"]) == 12
    run = hpsearch.open_run(folder / "results/houses")
    assert run.best["hyperparameters"]["optimizer"] == "rmsprop"


def test_models_without_hpsearch_predict_what_hpsearch_does(run_page, folder):
    names = run_page(BY_NAME["exporting.md"])
    expected = hpsearch.predict(folder / "results/credit", names["rows"])["probability.good"]
    assert_allclose(names["of_good"][:, 0], expected, rtol=1e-5)
    assert_allclose(names["values"][:, 0], expected[:1], rtol=1e-6)


NAMES = ["trials", "folds", "curves", "predictions", "baselines", "timings"]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_columns_that_the_page_lists(folder, name, run_page):
    run_page(BY_NAME["python.md"])
    text = BY_NAME["results.md"].text
    [cells] = re.findall(rf"^\| `{name}\.csv` \|.*\| (.*) \|$", text, flags=re.MULTILINE)
    names = re.findall(r"`([^`]+)`", cells)
    listed = [column for column in names if not re.search("<(?!metric>)", column)]
    expected = {
        column.replace("<metric>", metric) for column in listed for metric in ("mae", "rmse", "r2")
    }
    columns = pd.read_csv(folder / "results/houses" / f"{name}.csv").columns
    others = {column for column in columns if column.startswith(("metric.", "hp."))}
    assert expected == set(columns) - others
    assert bool(others) == (name == "trials")


def test_the_table_of_problems_is_the_codes_own():
    for task in TASKS.values():
        [row] = re.findall(rf"^\| `{task.kind}` \|.*$", BY_NAME["data.md"].text, flags=re.MULTILINE)
        assert row.endswith(f"| {task.loss} | {', '.join(task.metrics)} |")
        assert f", {task.output_activation} |" in row


def test_the_portfolio_of_the_page_is_one_of_its_space(tmp_path):
    files = BY_NAME["spaces.md"].files
    code = f"{files['my_space.py']}\n\n\n{files['at the end of my_space.py']}\n"
    (tmp_path / "my_space.py").write_text(code, encoding="utf-8")
    problem = Problem("binary", (5,), 1, "sigmoid", "binary_crossentropy", n_train=90, epochs=2)
    space = Space.load(tmp_path / "my_space.py")
    found = space.portfolio(problem, space.declared(problem))
    assert [(values["units"], values["optimizer"]) for values in found] == [
        (128, "adam"),
        (64, "sgd"),
    ]


def test_the_space_of_the_page_builds_each_of_its_optimizers(folder):
    name = "my_space.py"
    code = BY_NAME["spaces.md"].files[name]
    (folder / name).write_text(code, encoding="utf-8")
    problem = Problem("binary", (5,), 1, "sigmoid", "binary_crossentropy", n_train=90, epochs=2)
    space = Space.load(folder / name)
    for optimizer in ("adam", "sgd"):
        declared = space.declared(problem, {"optimizer": optimizer})
        built = space.build(declared.values, problem)
        assert type(built.optimizer).__name__.lower() == optimizer
