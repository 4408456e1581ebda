"""README keeps its word: its Python runs, its options exist, its tables have those columns."""

import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import typer

import hpsearch
from hpsearch.cli import app
from hpsearch.space.space import Space
from hpsearch.task import TASKS, Problem

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")

SMALL = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 1, "engine": "reference"}
SMALL_VALIDATION = {"cv": 2, "epochs": 1, "engine": "reference"}


def read_blocks(text):
    """Fenced blocks as (language, the HTML comment above or "", code), and the text between."""
    found, prose, code, language, above = [], [], None, "", ""
    for line in text.splitlines():
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


BLOCKS, PROSE = read_blocks(TEXT)
SPANS = re.findall(r"`([^`]+)`", PROSE)
PYTHON = "\n".join(code for language, above, code in BLOCKS if language == "python" and not above)
FILES = {
    above.removeprefix("file: "): code for _, above, code in BLOCKS if above.startswith("file: ")
}


def commands():
    """Every ``hpsearch ...`` of README, in code blocks and in sentences, as words."""
    lines = [
        line
        for language, above, code in BLOCKS
        if not (language or above)
        for line in code.splitlines()
    ]
    found = [shlex.split(part) for text in [*lines, *SPANS] for part in text.split("&&")]
    return [
        w for w in found if len(w) > 1 and w[0].rpartition("/")[2] == "hpsearch" and w[1] != "..."
    ]


def options_in_sentences():
    """Every ``--option`` between single backticks."""
    return {word for span in SPANS for word in span.split() if word.startswith("--")}


def options_of(command):
    parameters = typer.main.get_command(app).commands[command].params
    return {option for p in parameters for option in (*p.opts, *p.secondary_opts)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the tables where README finds them in a checkout."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "tests/data/tables", folder / "tests/data/tables")
    return folder


@pytest.fixture(scope="module")
def results(folder, train_here):
    """The names that README's Python leaves, with small budgets."""
    search, validate = hpsearch.Search, hpsearch.cross_validate
    names = {}
    with train_here(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(vars(hpsearch), "Search", lambda space, **o: search(space, **{**o, **SMALL}))
        patch.setitem(
            vars(hpsearch),
            "cross_validate",
            lambda build, data, **o: validate(build, data, **{**o, **SMALL_VALIDATION}),
        )
        exec(compile(PYTHON, "README.md", "exec"), names)
    return names


def test_the_two_commands_stand_at_the_top():
    lines = TEXT.splitlines()
    for line in (
        "python3 -m venv .venv && .venv/bin/pip install . && "
        ".venv/bin/hpsearch run sklearn:breast_cancer",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && "
        ".venv/bin/pytest -n 2 --dist loadfile",
    ):
        assert lines.index(line) < 25


def test_every_command_and_its_options_exist():
    assert len(commands()) > 10
    for _, command, *words in commands():
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= options_of(command), command


def test_every_option_in_a_sentence_exists():
    assert len(options_in_sentences()) > 10
    commands = ("run", "resume", "predict")
    assert options_in_sentences() <= set().union(*map(options_of, commands))


def test_the_python_of_readme_runs(results, folder):
    assert results["result"].metric == "mae"
    assert len(results["scores"]) == 12
    run = hpsearch.open_run(folder / "results/houses")
    assert run.best["hyperparameters"]["optimizer"] == "rmsprop"


NAMES = ["trials", "folds", "curves", "predictions", "baselines", "timings"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("results")
def test_a_table_has_the_columns_that_readme_lists(folder, name):
    [cells] = re.findall(rf"^\| `{name}\.csv` \|.*\| (.*) \|$", TEXT, flags=re.MULTILINE)
    listed = [column for column in re.findall(r"`([^`]+)`", cells) if ".<" not in column]
    expected = {
        column.replace("<metric>", metric) for column in listed for metric in ("mae", "rmse", "r2")
    }
    columns = pd.read_csv(folder / "results/houses" / f"{name}.csv").columns
    others = {column for column in columns if column.startswith(("metric.", "hp."))}
    assert expected == set(columns) - others
    assert bool(others) == (name == "trials")


def test_the_table_of_problems_is_the_codes_own():
    for task in TASKS.values():
        [row] = re.findall(rf"^\| `{task.kind}` \|.*$", TEXT, flags=re.MULTILINE)
        assert row.endswith(f"| {task.loss} | {', '.join(task.metrics)} |")
        assert f", {task.output_activation} |" in row


def test_the_space_of_readme_builds_each_of_its_optimizers(folder):
    [(name, code)] = FILES.items()
    (folder / name).write_text(code, encoding="utf-8")
    problem = Problem("binary", (5,), 1, "sigmoid", "binary_crossentropy", n_train=90, epochs=2)
    space = Space.load(folder / name)
    for optimizer in ("adam", "sgd"):
        declared = space.declared(problem, {"optimizer": optimizer})
        assert space.build(declared.values, problem).optimizer.name.lower() == optimizer


def test_the_files_that_readme_links_to_are_there():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 3
    assert all((ROOT / link).is_file() for link in links)
