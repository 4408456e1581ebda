"""Epochs, rows a step and the space that a search takes where none was asked for."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.search.command import command
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search
from hpsearch.search.usual_budget import budget_of


def rows(n):
    return pd.DataFrame({"x": np.arange(float(n)), "y": np.arange(n) % 2})


@pytest.mark.parametrize(
    ("n", "epochs", "batch_size"),
    [(40, 100, 32), (2_000, 100, 32), (2_001, 60, 32), (5_001, 60, 64), (20_001, 30, 128)],
)
def test_the_budget_follows_from_the_rows(n, epochs, batch_size):
    plan = plan_search(Options(trials=1), hpsearch.load(rows(n), target="y"))
    assert (plan.options.epochs, plan.options.batch_size) == (epochs, batch_size)
    assert plan.for_the_oracle().epochs == epochs
    assert plan.for_the_session().options.batch_size == batch_size


def test_what_is_asked_for_is_taken():
    asked = Options(trials=1, epochs=7, batch_size=5)
    plan = plan_search(asked, hpsearch.load(rows(3_000), target="y"))
    assert budget_of(plan.options) == budget_of(asked)


def test_rungs_are_held_against_the_budget_that_the_rows_ask_for():
    with pytest.raises(OptionError, match="so 60 epochs allow at most 5; received --rungs 6"):
        plan_search(Options(rungs=6), hpsearch.load(rows(3_000), target="y"))


def test_the_command_that_makes_a_run_again_names_what_became_of_it():
    line = command(plan_search(Options(), hpsearch.load("sklearn:iris")))
    assert "--space tabular" in line
    assert "--epochs 100 --batch-size 32" in line


@pytest.mark.parametrize(
    ("table", "space"),
    [
        ({"x": np.arange(40.0), "town": ["a", "b"] * 20}, "tabular"),
        ({"x": np.arange(40.0), "said": [f"word{n} and others again" for n in range(40)]}, "mlp"),
    ],
)
def test_the_space_follows_from_the_columns(table, space):
    data = hpsearch.load(
        pd.DataFrame({**table, "y": np.arange(40) % 2}),
        target="y",
        text=[n for n in ("said",) if n in table],
    )
    assert plan_search(Options(), data).space.name == space
    assert plan_search(Options("mlp"), data).space.name == "mlp"


def test_images_and_sequences_go_to_the_perceptron():
    data = hpsearch.load(np.random.default_rng(0).random((40, 8, 8)), np.arange(40) % 2)
    assert plan_search(Options(), data).space.name == "mlp"
