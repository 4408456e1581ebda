"""The command line: what it hands to the Python API, what it prints, how it ends."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import keras  # noqa: F401  (on TensorFlow: commands would have it on NumPy, for all later tests)
import pandas as pd
import pytest
import typer

import hpsearch
from hpsearch import cli
from hpsearch.cli import main
from hpsearch.console import process
from hpsearch.data.options import read_names
from hpsearch.engines.workers import WORKER_ENVIRONMENTS
from hpsearch.errors import BundleError, DataError, OptionError
from hpsearch.export.prediction import Predicted
from hpsearch.oracles import oracle_names
from hpsearch.results import RunFolder
from hpsearch.results.comparing import Contender, TrialComparison
from hpsearch.search.execution import Search
from hpsearch.search.option_rules import read_fixes
from hpsearch.search.options import OPTIONS, RESUMABLE
from hpsearch.stats import Comparison, PairedTest

ROOT = Path(__file__).parent.parent


class FakeData:
    name = "wine"


@pytest.fixture(autouse=True)
def _process_state(monkeypatch, tmp_path):
    """What a command changes in its process, put back; and a folder to write in."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def replace(monkeypatch):
    """Put something in the place of a public name."""
    return lambda name, value: monkeypatch.setitem(vars(hpsearch), name, value)


@pytest.fixture
def calls(replace):
    """What ``hpsearch run`` hands to ``load`` and ``Search``, neither of which runs."""
    seen = {}

    class FakeSearch:
        def __init__(self, space, **options):
            seen["search"] = {"space": space, **options}

        def run(self, data):
            seen["ran_on"] = data

    def fake_load(source, **options):
        seen["load"] = {"source": source, **options}
        return FakeData()

    replace("load", fake_load)
    replace("Search", FakeSearch)
    return seen


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


def one_line_error(capsys):
    """The error line; nothing else may be printed."""
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


# --- run


def test_run_without_options_uses_the_defaults_of_the_python_api(calls):
    assert main(["run", "wine.csv"]) == 0
    search = calls["search"]
    assert search.pop("observer") is not None
    assert search.pop("began") > 0.0
    given = {**search, "fix": search["fix"] or None}
    assert given == {each.name: each.default for each in OPTIONS} | {"out": Path("results/wine")}


def test_run_hands_the_datas_options_to_load(calls):
    arguments = (
        "run a.csv --target x,y --target z --task regression --drop a,b --text note "
        "--array sequence --positive yes --levels 0.1,0.9 --exposure e --image i,j --size 9x8 "
        "--as note=tokens --max-tokens 9 --category c"
    )
    assert (
        main(
            [
                *arguments.split(),
                "--groups",
                "g",
                "--time",
                "t",
                "--path",
                "f.npz",
                "--weights",
                "w",
            ]
        )
        == 0
    )
    assert {k: v for k, v in calls["load"].items() if v is not None} == {
        "source": "a.csv",
        "target": ["x", "y", "z"],
        "levels": (0.1, 0.9),
        "exposure": "e",
        "task": "regression",
        "positive": "yes",
        "drop": ["a", "b"],
        "text": ["note"],
        "category": ["c"],
        "words_as": {"note": "tokens"},
        "max_tokens": 9,
        "image": ["i", "j"],
        "size": "9x8",
        "groups": "g",
        "time": "t",
        "path": "f.npz",
        "kinds": {"x": "sequence"},
        "sample_weight": "w",
    }
    assert isinstance(calls["ran_on"], FakeData)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--space my.py", {"space": "my.py"}),
        ("--trials 3", {"trials": 3}),
        ("--folds 5 --repeats 7", {"folds": 5, "repeats": 7}),
        ("--epochs 9 --batch-size 16 --patience 4", {"epochs": 9, "batch_size": 16, "patience": 4}),
        ("--race forgiving --rungs 2", {"race": "forgiving", "rungs": 2}),
        ("--until-decided --max-repeats 9", {"until_decided": True, "max_repeats": 9}),
        ("--seed 1", {"seed": 1}),
        ("--out here", {"out": Path("here")}),
        ("--split time --gap 2", {"split": "time", "gap": 2}),
        ("--duplicates ignore", {"duplicates": "ignore"}),
        ("--metric accuracy", {"metric": "accuracy"}),
        ("--fix a=1 --fix b=x=y", {"fix": {"a": "1", "b": "x=y"}}),
        (
            "--oracle grid --engine reference --jobs 2",
            {"oracle": "grid", "engine": "reference", "jobs": 2},
        ),
        ("--test-data t.csv", {"test_data": "t.csv"}),
        ("--test-size 0.2", {"test_size": 0.2}),
        ("--scale-target", {"scale_target": True}),
        ("--no-scale-target", {"scale_target": False}),
        ("--max-levels 5 --max-words 6", {"max_levels": 5, "max_words": 6}),
        ("--select one-se --nested 5", {"select": "one-se", "nested": 5}),
        ("--no-baselines", {"baselines": False}),
        ("--transform log1p", {"transform": "log1p"}),
        ("--class-weight balanced", {"class_weight": "balanced"}),
        ("--class-weight a=5,b=0.5", {"class_weight": {"a": 5.0, "b": 0.5}}),
        ("--trial-timeout 90", {"trial_timeout": 90.0}),
        ("--overwrite", {"overwrite": True}),
    ],
)
def test_run_hands_the_searchs_options_to_search(calls, arguments, expected):
    assert main(["run", "a.csv", *arguments.split()]) == 0
    assert {name: calls["search"][name] for name in expected} == expected


def test_every_option_of_a_search_has_an_option_here():
    command = typer.main.get_command(cli.app).commands["run"]
    offered = {parameter.name for parameter in command.params}
    of_python = {"observer", "quiet", "began", "reports"}
    assert {field.name for field in fields(Search)} - of_python <= offered


def test_run_takes_a_free_name_under_results(calls):
    Path("results/wine").mkdir(parents=True)
    assert main(["run", "a.csv"]) == 0
    assert calls["search"]["out"] == Path("results/wine-2")


def test_run_plans_with_the_backend_that_loads_fastest(calls, monkeypatch):
    assert main(["run", "a.csv"]) == 0
    assert os.environ["KERAS_BACKEND"] == "tensorflow"  # Keras is there, and stays as it is
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setitem(sys.modules, "matplotlib", sys)  # which it would hide
    monkeypatch.setenv("KERAS_NNX_ENABLED", "false")
    monkeypatch.setattr("hpsearch.engines.backend.spare", lambda *names: None)
    assert main(["run", "a.csv"]) == 0
    assert os.environ["KERAS_BACKEND"] == "numpy"


# --- the ends of a command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'DATA'"),
        (["run", "a.csv", "--trails", "3"], "No such option: --trails"),
        (["run", "a.csv", "--trials", "many"], "Invalid value for '--trials'"),
        (["run", "a.csv", "--test-size", "big"], "Invalid value for '--test-size'"),
        (["run", "a.csv", "--fix", "optimizer"], "--fix is NAME=VALUE; received 'optimizer'"),
        (["run", "a.csv", "--fix", "a=1", "--fix", "a=2"], "received 'a' twice"),
        (["rum"], "No such command 'rum'"),
        (["show"], "Missing argument 'RUN'"),
        (["show", "nowhere"], "'nowhere' is not there"),
        (["show", "nowhere", "--trials", "0"], "Invalid value for '--trials'"),
        (["show", "r", "3", "7"], "Two trials and --rope belong to --compare"),
        (["show", "r", "--rope", "0.1"], "Two trials and --rope belong to --compare"),
        (["show", "r", "--compare", "3"], "--compare takes two trials"),
        (["show", "r", "--compare", "3", "x"], "Invalid value for 'TRIAL TRIAL'"),
        (["compare"], "Missing argument"),
        (["compare", "nowhere"], "Runs are compared with each other; received one, 'nowhere'"),
        (["compare", "nowhere", "--html", "a.txt"], "--html is a file that ends in .html"),
        (["compare", "nowhere", "--html", "a.html"], "needs finished runs; received none"),
        (["compare", "a", "b", "c"], "needs finished runs; received none"),
        (["compare", "nowhere", "r"], "'nowhere' is not there"),
        (["predict", "nowhere", "a.csv"], "'nowhere' is not there"),
        (["predict", "r", "a.csv", "-o", "out.xlsx"], "ends in .csv or .parquet"),
        (["predict", "r", "a.csv", "-o", "no/out.csv"], "'no' is not"),
        (["report", "nowhere"], "'nowhere' is not there"),
        (["report", "r", "-o", "out.pdf"], "ends in .html or .htm"),
        (["space", "no_such_space"], "There is no space called 'no_such_space'"),
        (["space", "mlp", "--fix", "="], "--fix is NAME=VALUE"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(calls, capsys, arguments, message):
    assert main(arguments) == 2
    assert message in one_line_error(capsys)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("the target has\ntwo lines"), 2),
        (OptionError("no"), 2),
        (BundleError("no"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_kind_of_error_is_one_line_and_has_its_exit_code(replace, capsys, error, code):
    replace("load", raising(error))
    assert main(["run", "a.csv"]) == code
    assert one_line_error(capsys)


def test_an_option_that_was_replaced_is_refused_with_what_to_write(calls, capsys):
    assert main(["run", "a.csv", "--backend", "dask", "--address", "tcp://a:8786"]) == 2
    said = one_line_error(capsys)
    assert said.startswith("`backend` is no option any more; `cluster` took its place.")
    assert "tcp://HOST:8786" in said


def test_a_programming_error_is_raised_with_its_traceback(replace):
    replace("load", raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["run", "a.csv"])


@pytest.mark.parametrize(
    ("stop", "code", "how"),
    [
        (KeyboardInterrupt, 130, "stopped by Ctrl-C. "),
        (process.Terminated, 143, "stopped by a termination signal. "),
        (
            partial(process.Terminated, signal.SIGHUP),
            129,
            "stopped, since its terminal was closed. ",
        ),
    ],
)
@pytest.mark.parametrize("has_begun", [False, True])
def test_a_stopped_run_says_how_to_go_on(calls, monkeypatch, capsys, stop, code, how, has_begun):
    def run(search, data):
        if has_begun:
            with RunFolder.create("my run") as folder, folder.begin({}):
                raise stop()
        raise stop()

    monkeypatch.setattr(hpsearch.Search, "run", run)
    assert main(["run", "a.csv", "--out", "my run"]) == code
    left = "`hpsearch resume 'my run'` goes on." if has_begun else "Nothing was trained yet."
    assert one_line_error(capsys) == how + left


def test_a_disk_that_fills_up_while_a_run_works_is_one_line_that_says_how_to_go_on(
    calls, monkeypatch, capsys
):
    def run(search, data):
        with RunFolder.create("run") as folder, folder.begin({}):
            raise OSError(28, "No space left on device", "/tmp/scratch")

    monkeypatch.setattr(hpsearch.Search, "run", run)
    assert main(["run", "a.csv", "--out", "run"]) == 1
    said = one_line_error(capsys)
    assert said.startswith("the disk is full (")
    assert said.endswith("`hpsearch resume run` goes on.")


def test_a_full_disk_is_one_line(replace, capsys):
    replace("load", raising(OSError(28, "No space left on device")))
    assert main(["run", "a.csv"]) == 1
    assert one_line_error(capsys).startswith("the disk is full (")


# --- resume


@pytest.fixture
def resumed(replace):
    """What ``hpsearch resume`` hands to the Python API."""
    seen = {}

    def resume(path, data, **options):
        seen.update(options, path=path, data=data)
        assert options.pop("observer") is not None

    replace("resume", resume)
    return seen


def test_resume_needs_nothing_but_the_folder(resumed):
    assert main(["resume", "results/wine"]) == 0
    del resumed["observer"], resumed["began"]
    own = {"path": Path("results/wine"), "data": None, "test_data": None, "accept_changes": False}
    assert resumed == {each.name: None for each in RESUMABLE} | own


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--trials 100 --repeats 5", {"trials": 100, "repeats": 5}),
        ("--max-repeats 20", {"max_repeats": 20}),
        ("--data a.csv --test-data b.csv", {"data": "a.csv", "test_data": "b.csv"}),
        ("--jobs 1 --trial-timeout 9.5", {"jobs": 1, "trial_timeout": 9.5}),
        ("--accept-changes --quiet", {"accept_changes": True}),
    ],
)
def test_resume_hands_its_options_on(resumed, arguments, expected):
    assert main(["resume", "results/wine", *arguments.split()]) == 0
    assert {name: resumed[name] for name in expected} == expected


def test_a_resume_stopped_before_it_took_the_folder_changed_nothing(replace, capsys):
    replace("resume", raising(KeyboardInterrupt()))
    assert main(["resume", "."]) == 130
    assert one_line_error(capsys) == "stopped by Ctrl-C. Nothing was changed."


def test_resume_of_nothing_is_one_line(capsys):
    assert main(["resume", "nowhere"]) == 2
    assert "'nowhere' is not there" in one_line_error(capsys)


def test_show_says_that_an_unfinished_run_can_be_resumed(capsys):
    with RunFolder.create("half") as folder, folder.begin({}):
        folder.write_settings({})
    assert main(["show", "half"]) == 2
    assert "`hpsearch resume half` goes on from its journal" in one_line_error(capsys)


def test_the_debug_variable_adds_the_traceback(replace, monkeypatch, capsys):
    monkeypatch.setenv("HPSEARCH_DEBUG", "1")
    replace("load", raising(DataError("no rows")))
    assert main(["run", "a.csv"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback")
    assert text.endswith("error: no rows\n")


def test_a_reader_that_goes_away_causes_no_traceback():
    command = f"{sys.executable} -m hpsearch datasets"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("run", "resume", "show", "compare", "predict", "space"))


def test_the_help_of_run_has_a_line_for_each_oracle(capsys):
    assert main(["run", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in oracle_names():
        assert any(f" {name}: " in line for line in lines), name


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_an_oracle_that_is_not_installed_is_refused_before_any_work(name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["run", "sklearn:iris", "--oracle", name]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(rf"The oracle '{name}' needs optuna(?: and torch)?, not installed here", said)
    assert "pip install 'hpsearch[" in said
    assert not Path("results").exists()


def test_no_command_prints_the_help(capsys):
    assert main([]) == 0
    assert "Usage: hpsearch" in capsys.readouterr().out


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{hpsearch.__version__}\n"


def test_the_package_is_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", "--version"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == hpsearch.__version__


# --- show, report, predict


@pytest.fixture
def run(tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_settings({"data": {"name": "wine"}})
    rows = {"trial": [1, 0], "status": "completed", "rank": [1, 2], "score": [0.25, 0.5]}
    folder.write_tables(trials=pd.DataFrame(rows))
    folder.write_json("best.json", {"trial": 1, "metric": "log_loss", "score": 0.25})
    folder.write_json("model.json", {"backend": "jax"})
    return str(folder.path)


def test_report_writes_into_the_run_and_says_where(run, capsys):
    assert main(["report", run]) == 0
    written = Path(run) / "report.html"
    assert capsys.readouterr().out == f"{written}\n"
    assert "wine" in written.read_text(encoding="utf-8")


def test_report_replaces_another_file_only_when_told(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.html").write_text("mine")
    assert main(["report", run, "-o", "mine.html"]) == 2
    assert "never replaces a file by itself" in capsys.readouterr().err
    assert main(["report", run, "-o", "mine.html", "--overwrite"]) == 0
    assert "wine" in Path("mine.html").read_text(encoding="utf-8")


@pytest.fixture
def predictions(monkeypatch):
    """The CSV of what ``predict`` is made to give; Keras is not imported."""
    for name in ("import_keras", "keep_compiled_programs"):
        monkeypatch.setattr(f"hpsearch.engines.backend.{name}", lambda **options: None)
    frame = pd.DataFrame({"prediction": ["yes", "=no"], "probability.yes": [0.75, 1 / 3]})
    notes, unseen = "Column 'city': '1' was read as 'yes'.", "Column 'city': 'Rome' did not occur."
    predicted = Predicted(frame, (notes,), (unseen,))

    def predict_rows(run, data, interval, *, trust=False):
        return predicted if interval is None else Predicted(frame.assign(asked=interval))

    monkeypatch.setattr("hpsearch.export.prediction.predict_rows", predict_rows)
    return "prediction,probability.yes\nyes,0.75\n'=no,0.333333333333\n"


def test_show_prints_a_run(run, capsys):
    assert main(["show", run]) == 0
    text = capsys.readouterr().out
    assert "selected: trial 1" in text
    assert "wine" in text


def test_show_lists_as_many_trials_as_it_is_told(run, capsys):
    assert main(["show", run, "--trials", "1"]) == 0
    assert "and 1 more trial" in capsys.readouterr().out


@pytest.fixture
def compared(replace):
    """What the comparing commands hand to the Python API, with a comparison that they get."""
    seen = []
    sides = Contender("results/a", 3, 0.5), Contender("results/b", 7, 0.25)
    test = PairedTest(0.25, 0.1, 2.5, 11, 0.03, 0.03, 0.47)
    shares = Comparison(0.9, 0.06, 0.04)
    one = TrialComparison(*sides, "accuracy", "max", 12, 3, test, shares, 0.01, 0.06)

    def fake_compare(*runs, **options):
        seen.append(("compare", *map(str, runs), options))
        return one

    def fake_compare_trials(run, **options):
        seen.append(("compare_trials", str(run), options))
        return (one,)

    replace("compare", fake_compare)
    replace("compare_trials", fake_compare_trials)
    return seen


def test_more_runs_than_two_are_a_leaderboard(replace, capsys, tmp_path):
    class Board:
        left_out = (("c", "no run"),)

        def html(self, path):
            return path

    seen = []
    replace("leaderboard", lambda runs, **options: seen.append((runs, options)) or Board())
    page = tmp_path / "board.html"
    assert main(["compare", "a", "b", "c", "--html", str(page)]) == 0
    assert seen == [([Path("a"), Path("b"), Path("c")], {"rope": None})]
    said = capsys.readouterr()
    assert said.out == f"{page}\n"
    assert said.err == "left out: c: no run\n"


def test_compare_hands_both_runs_to_the_python_api(compared, capsys):
    assert main(["compare", "a", "b", "--rope", "0.02"]) == 0
    assert compared == [("compare", "a", "b", {"rope": 0.02})]
    text = capsys.readouterr().out
    assert "90.0 %" in text
    assert "p = 0.030" in text


@pytest.mark.parametrize(
    "arguments", [["--compare", "3", "7"], ["3", "7", "--compare"], ["3", "--compare", "7"]]
)
def test_show_compares_two_trials(arguments, compared):
    assert main(["show", "r", *arguments]) == 0
    assert compared == [("compare", "r", "r", {"trial_a": 3, "trial_b": 7, "rope": None})]


def test_show_compares_the_selected_trial_with_the_others(compared, capsys):
    assert main(["show", "r", "--compare"]) == 0
    assert compared == [("compare_trials", "r", {"rope": None})]
    assert "0.060" in capsys.readouterr().out


def test_predict_prints_csv(run, predictions, capsys):
    assert main(["predict", run, "new.csv"]) == 0
    assert capsys.readouterr().out == predictions


def test_predict_says_on_standard_error_what_it_noticed(run, predictions, capsys):
    assert main(["predict", run, "new.csv"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: Column 'city': '1' was read as 'yes'.",
        "warning: Column 'city': 'Rome' did not occur.",
    ]


def test_predict_asks_for_ranges_or_sets(run, predictions, capsys):
    assert main(["predict", run, "new.csv", "--interval", "0.9"]) == 0
    assert "yes,0.75,0.9" in capsys.readouterr().out


def test_predict_writes_csv(run, predictions, capsys):
    assert main(["predict", run, "new.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_text(encoding="utf-8") == predictions
    assert capsys.readouterr().out == ""


def test_predict_writes_parquet(run, predictions):
    assert main(["predict", run, "new.csv", "-o", "out.parquet"]) == 0
    assert pd.read_parquet("out.parquet")["prediction"].tolist() == ["yes", "=no"]


def test_predict_replaces_no_file_by_itself(run, predictions, capsys):
    Path("out.csv").write_text("mine")
    assert main(["predict", run, "new.csv", "-o", "out.csv"]) == 2
    assert "add --overwrite" in one_line_error(capsys)
    assert Path("out.csv").read_text() == "mine"


def test_predict_replaces_a_file_when_told(run, predictions):
    Path("out.csv").write_text("mine")
    assert main(["predict", run, "new.csv", "-o", "out.csv", "--overwrite"]) == 0
    assert Path("out.csv").read_text(encoding="utf-8") == predictions


def test_predict_runs_the_model_as_the_workers_do(run, predictions):
    assert main(["predict", run, "new.csv"]) == 0
    assert WORKER_ENVIRONMENTS["jax"].items() <= os.environ.items()


@pytest.mark.parametrize(
    "options",
    [
        "--target nothing",
        "--target ill --space no_such_space",
        "--target ill --metric rmse",
        "--target ill --folds 500",
        "--target ill --trials 0",
        "--target ill --out visits.csv",
        "--target ill --test-data nowhere.csv",
    ],
)
def test_what_the_table_or_the_files_do_not_allow_is_one_line_and_exit_code_2(options, capsys):
    table = pd.DataFrame({"age": range(60), "ill": ["yes", "no", "no"] * 20})
    table.to_csv("visits.csv", index=False)
    assert main(["run", "visits.csv", *options.split()]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


# --- space, datasets


def hpsearch_in_a_process(*arguments):
    command = [sys.executable, "-m", "hpsearch", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


LONG = "x" * 5000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", f"{LONG}.csv", "--target", "y"],
        ["run", "sklearn:iris", "--out", LONG],
        ["run", "sklearn:iris", "--space", f"{LONG}.py"],
        ["run", "sklearn:iris", "--test-data", f"{LONG}.csv"],
        ["show", LONG],
        ["report", LONG],
        ["resume", LONG],
        ["predict", LONG, "new.csv"],
        ["compare", LONG, LONG],
        ["space", f"{LONG}.py"],
    ],
    ids=lambda arguments: " ".join(a for a in arguments if LONG not in a),
)
def test_a_path_that_is_too_long_is_one_short_line(arguments, capsys):
    assert main(arguments) == 2
    line = one_line_error(capsys)
    assert "too long" in line
    assert len(line) < 400


@pytest.mark.parametrize("command", ["report", "predict"])
def test_an_output_that_is_too_long_is_one_short_line(command, run, capsys):
    rest = ["new.csv", "-o", f"{LONG}.csv"] if command == "predict" else ["-o", f"{LONG}.html"]
    assert main([command, run, *rest]) == 2
    assert "too long" in one_line_error(capsys)


@pytest.mark.timeout(60)
def test_a_pipe_is_no_space_and_no_run(tmp_path, capsys):
    os.mkfifo(tmp_path / "space.py")
    assert main(["space", str(tmp_path / "space.py")]) == 2
    assert "is a named pipe" in one_line_error(capsys)
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "run.json")
    assert main(["show", str(tmp_path / "run")]) == 2
    assert "holds a run.json written by hpsearch" in one_line_error(capsys)


def test_space_lists_the_shipped_spaces(capsys):
    assert main(["space"]) == 0
    assert "mlp" in capsys.readouterr().out


def test_space_lists_hyperparameters_narrowed_by_fixes(capsys):
    assert main(["space", "mlp", "--fix", "optimizer=adam"]) == 0
    text = capsys.readouterr().out
    assert "learning_rate" in text
    assert "momentum" not in text


def test_space_counts_the_portfolio_and_samples_it_after_the_defaults(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "def declare(hp, problem):\n    hp.Choice('units', [4, 8, 16])\n"
        "    hp.Choice('act', ['a', 'b'])\n"
        "def build(hp, problem):\n    pass\n"
        "def portfolio(problem):\n    return [{'units': 16}, {'units': 8, 'act': 'b'}, {}]\n"
    )
    assert main(["space", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "begins with the defaults and 2 configurations of the space's portfolio" in said
    assert main(["space", str(path), "--sample", "3"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["0", "act=a", "units=4"],
        ["1", "act=a", "units=16"],
        ["2", "act=b", "units=8"],
    ]
    assert main(["space", str(path), "--fix", "units=8", "--fix", "act=a"]) == 0
    assert "portfolio" not in capsys.readouterr().out


def test_space_draws_configurations_by_seed_in_any_process(capsys):
    command = ["space", "mlp", "--sample", "2", "--seed"]
    drawn = {}
    for seed in "12":
        assert main([*command, seed]) == 0
        drawn[seed] = capsys.readouterr().out
    assert hpsearch_in_a_process(*command, "1") == drawn["1"] != drawn["2"]
    assert "optimizer=" in drawn["1"]


def test_datasets_lists_the_named_sets(capsys):
    assert main(["datasets"]) == 0
    assert "sklearn:breast_cancer" in capsys.readouterr().out


# --- reading values


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (None, []),
        (["a"], ["a"]),
        (["a, b", "c"], ["a", "b", "c"]),
        (['"a,b",c'], ["a,b", "c"]),
        (["a,,b", ""], ["a", "b"]),
        (["first name"], ["first name"]),
        (["a\nb"], ["a", "b"]),
        (['"a\nb",c'], ["a\nb", "c"]),
    ],
)
def test_names_are_split_at_commas_outside_quotes(values, names):
    assert read_names(values) == names


def test_a_value_that_is_no_list_of_names_is_refused():
    with pytest.raises(OptionError, match="separated by commas"):
        read_names(["x" * 200_000])


def test_a_fix_keeps_what_follows_the_first_equals_sign():
    assert read_fixes(["a = b=c", "d="]) == {"a": "b=c", "d": ""}
