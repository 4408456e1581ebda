import pytest

from hpsearch.errors import OptionError
from hpsearch.oracles import make_oracle, oracle_names
from hpsearch.oracles.base import Outcome, PlannedOracle


def test_the_oracles_are_those_with_a_file():
    assert oracle_names() == ("grid", "random")


def test_an_unknown_oracle_is_refused_with_the_known_ones():
    from keras_tuner import HyperParameters

    with pytest.raises(OptionError, match=r"called 'genetic'. Use one of grid, random"):
        make_oracle("genetic", HyperParameters(), seed=0, max_trials=1)


@pytest.mark.parametrize(("option", "value"), [("seed", -1), ("max_trials", 0)])
def test_numbers_that_are_too_small_are_refused(option, value):
    from keras_tuner import HyperParameters

    with pytest.raises(OptionError, match=f"must be at least .*received {value}"):
        make_oracle("random", HyperParameters(), **{"seed": 0, "max_trials": 1, option: value})


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_completed_outcome_without_a_finite_score_is_a_failure(score):
    assert Outcome(0, score, "completed") == Outcome(0, None, "failed")


def test_a_failed_outcome_has_no_score():
    assert Outcome(0, 1.5, "failed").score is None


def test_a_stopped_outcome_keeps_its_score():
    assert Outcome(0, 1.5, "stopped").score == 1.5


def test_a_planned_oracle_skips_repeated_configurations():
    oracle = PlannedOracle([{"a": 1}, {"a": 1}, {"a": 2}], max_trials=9)
    assert [candidate.values for candidate in oracle.ask(9)] == [{"a": 1}, {"a": 2}]


def test_a_planned_oracle_asks_for_all_that_remains():
    assert PlannedOracle([{"a": 1}], max_trials=9).batch_size(7) == 7
