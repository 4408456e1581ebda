import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from hpsearch.errors import OptionError
from hpsearch.oracles import (
    check_oracle,
    check_oracle_growth,
    make_oracle,
    oracle_names,
    oracle_remark,
)
from hpsearch.oracles.base import OraclePlan, Outcome, PlannedOracle

PLAN = {"seed": 0, "max_trials": 1, "epochs": 100, "direction": "min"}


def test_the_oracles_are_those_with_a_file():
    assert oracle_names() == ("bayesian", "gp", "grid", "hyperband", "random", "tpe")


def test_an_unknown_oracle_is_refused_with_the_known_ones():
    from keras_tuner import HyperParameters

    with pytest.raises(OptionError, match=r"called 'genetic'. Use one of bayesian, gp, grid, "):
        make_oracle("genetic", HyperParameters(), OraclePlan(**PLAN))


@pytest.mark.parametrize(("option", "value"), [("seed", -1), ("max_trials", 0), ("epochs", 0)])
def test_numbers_that_are_too_small_are_refused(option, value):
    with pytest.raises(OptionError, match=f"must be at least .*received {value}"):
        OraclePlan(**{**PLAN, option: value})


@pytest.mark.parametrize(
    ("name", "package", "remedy"),
    [
        ("tpe", "optuna", r"'tpe' needs optuna, not .* pip install 'hpsearch\[optuna\]'"),
        ("gp", "optuna", r"'gp' needs optuna(?: and torch)?, not .* pip install 'hpsearch\[gp\]'"),
        ("gp", "torch", r"needs .*torch, not .* pip install 'hpsearch\[gp\]'"),
    ],
)
def test_an_oracle_whose_package_is_missing_says_what_to_install(
    name, package, remedy, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    assert name in oracle_names()
    with pytest.raises(OptionError, match=remedy):
        check_oracle(name, epochs=100)


def test_the_extras_hold_what_the_oracles_need():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    for name in oracle_names():
        algorithm = import_module(f"hpsearch.oracles.{name}").ALGORITHM
        if algorithm.extra:
            declared = " ".join(extras[algorithm.extra])
            assert all(package in declared for package in algorithm.packages)


@pytest.mark.parametrize("name", ["bayesian", "gp", "hyperband", "tpe"])
def test_more_repeats_are_refused_where_scores_decide(name):
    check_oracle_growth(name, repeats=(2, 2))
    with pytest.raises(OptionError, match=rf"'{name}' decides by the scores.*--repeats 3 for a r"):
        check_oracle_growth(name, repeats=(2, 3))


@pytest.mark.parametrize("name", ["grid", "random"])
def test_more_repeats_are_fine_where_scores_do_not_decide(name):
    assert check_oracle_growth(name, repeats=(2, 3)) is None


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_completed_outcome_without_a_finite_score_is_a_failure(score):
    assert Outcome(0, score, "completed") == Outcome(0, None, "failed")


def test_a_failed_outcome_has_no_score():
    assert Outcome(0, 1.5, "failed").score is None


def test_a_stopped_outcome_keeps_its_score():
    assert Outcome(0, 1.5, "stopped").score == 1.5


def test_a_planned_oracle_skips_repeated_configurations():
    oracle = PlannedOracle([{"a": 1}, {"a": 1}, {"a": 2}], OraclePlan(**PLAN | {"max_trials": 9}))
    assert [candidate.values for candidate in oracle.ask(9)] == [{"a": 1}, {"a": 2}]


def test_a_planned_oracle_asks_for_all_that_remains():
    assert PlannedOracle([{"a": 1}], OraclePlan(**PLAN)).batch_size(7) == 7


@pytest.mark.parametrize("name", ["bayesian", "tpe", "gp"])
def test_an_oracle_that_learns_says_where_it_will_not(name):
    assert f"'{name}' proposes what 'random' does" in oracle_remark(name, 8)
    assert oracle_remark(name, 9) is None


@pytest.mark.parametrize("name", ["bayesian", "tpe", "gp"])
def test_an_oracle_learns_from_the_first_on_that_was_not_known_before(name):
    assert "it learns from 12 on" in oracle_remark(name, 12, n_first=12)
    assert oracle_remark(name, 13, n_first=12) is None


@pytest.mark.parametrize("name", ["random", "grid", "hyperband"])
def test_an_oracle_that_never_learns_has_nothing_to_say(name):
    assert oracle_remark(name, 1) is None
