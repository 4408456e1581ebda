"""The command line that makes a run again."""

import shlex

import pytest
from typer.main import get_command

import hpsearch
from hpsearch.cli import app
from hpsearch.search.command import command, command_line
from hpsearch.search.options import OPTIONS, Options
from hpsearch.search.plan import plan_search

# For each option that a run records, a value that is not its default, as the command line reads it.
OTHER = {
    "space": "boston_housing",
    "test_data": "test.csv",
    "test_size": 0.25,
    "max_levels": 3,
    "max_words": 4,
    "folds": 5,
    "repeats": 7,
    "split": "kfold",
    "gap": 2,
    "duplicates": "ignore",
    "trials": 6,
    "minutes": 1.5,
    "oracle": "grid",
    "tried": ({"units_1": 8, "optimizer": "a b"}, {"rate": 0.1, "bias": True}),
    "fix": {"units_1": "8", "note": "a b"},
    "metric": "accuracy",
    "also": ("f1", "brier"),
    "race": "forgiving",
    "rungs": 2,
    "bracket": 9,
    "until_decided": True,
    "max_repeats": 12,
    "select": "one-se",
    "nested": 3,
    "importance": True,
    "baselines": False,
    "weigh_scores": False,
    "seed": 9,
    "epochs": 11,
    "batch_size": 13,
    "patience": 14,
    "scale_target": False,
    "transform": "log1p",
    "class_weight": {"a b": 2.5, "c": 1e-05},
    "calibrate": "auto",
    "threshold": "recall>=0.9",
    "ensemble": 4,
    "engine": "fused",
    "trial_timeout": 15.0,
    "log": ("tensorboard", "mlflow"),
}


def read_again(line):
    """What the program makes of a command line."""
    program, name, *words = shlex.split(line)
    assert (program, name) == ("hpsearch", "run")
    command = get_command(app).commands["run"]
    return command.make_context("run", words).params


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "my trees.csv"
    rows = "\n".join(f"{i},{i * 7 % 41},{'ab'[i % 2]},{i // 4}" for i in range(40))
    path.write_text(f'"x,1",z,y,w\n{rows}\n')
    return path


@pytest.mark.parametrize(
    "each", [each for each in OPTIONS if each.name in OTHER], ids=lambda each: each.name
)
@pytest.mark.parametrize("scale_target", [True, False])
def test_every_option_comes_back_from_the_command_line(each, scale_target):
    value = scale_target if each.name == "scale_target" else OTHER[each.name]
    params = read_again(command_line("a.csv", {}, {each.name: value}))
    given = params[each.name]
    assert (each.read(given) if each.read else given) == value


def test_every_option_that_is_recorded_is_tried_here():
    recorded = {each.name for each in OPTIONS if each.resumed.is_recorded}
    assert recorded <= set(OTHER)


def test_options_at_their_defaults_are_left_out_but_for_the_seed():
    asked = {each.name: each.default for each in OPTIONS}
    assert command_line("sklearn:iris", {}, asked) == "hpsearch run sklearn:iris --seed 0"


def test_the_table_is_read_as_it_was(table):
    data = hpsearch.load(table, target="y", drop=["x,1"], groups="w", task="binary")
    params = read_again(command(plan_search(Options(folds=2), data)))
    assert params["data"] == str(table)
    assert params["target"] == ["y"]
    assert params["drop"] == ['"x,1"']
    assert (params["groups"], params["task"], params["folds"]) == ("w", "binary", 2)


def test_a_named_set_and_a_shipped_space_go_by_their_names():
    line = command(plan_search(Options(), hpsearch.load("sklearn:iris")))
    assert line == (
        "hpsearch run sklearn:iris --target species --space tabular --race corrected-t "
        "--rungs 3 --seed 0 --epochs 100 --batch-size 32"
    )


def test_what_was_in_memory_stands_in_capitals():
    def build(hp):
        raise AssertionError

    data = hpsearch.load([[1.0, 2.0], [3.0, 1.0], [5.0, 9.0], [2.0, 8.0]], [0.1, 0.7, 1.9, 0.3])
    options = Options(build, test_data=data, folds=2)
    words = command(plan_search(options, data)).split()
    assert words[2] == "DATA"
    assert words[words.index("--space") + 1] == "SPACE.py"
    assert words[words.index("--test-data") + 1] == "FILE"
