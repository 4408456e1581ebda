import math

import pytest

from hpsearch.errors import OptionError
from hpsearch.oracles import check_oracle, make_oracle, sample
from hpsearch.oracles.base import OraclePlan
from hpsearch.oracles.hyperband import brackets


def two_floats():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 0.0, 1.0)
    return hp


def hyperband(trials, epochs):
    plan = OraclePlan(seed=0, max_trials=trials, epochs=epochs, direction="min")
    return make_oracle("hyperband", two_floats(), plan)


def keras_tuners(epochs):
    from keras_tuner import Objective
    from keras_tuner.oracles import HyperbandOracle

    objective = Objective("score", "min")
    return HyperbandOracle(objective, max_epochs=epochs, hyperparameters=two_floats())


def rungs_of(bracket, epochs):
    """Candidates and epochs of each rung, by the rules of ``Oracle.n_rungs``."""
    size, found = bracket.size, []
    for rung in range(bracket.n_rungs):
        found.append((size, math.ceil(epochs / 3 ** (bracket.n_rungs - 1 - rung))))
        size = math.ceil(size / 3)
    return found


def keras_tuners_rungs(oracle, bracket):
    return [
        (oracle._get_size(bracket, rung), oracle._get_epochs(bracket, rung))
        for rung in range(oracle._get_num_rounds(bracket))
    ]


def test_the_brackets_are_those_of_the_papers_example():
    """Table 1 of the paper: R = 81, eta = 3, and a smallest resource of 1."""
    found = [rungs_of(bracket, 81) for bracket in brackets(81, least_epochs=1)]
    assert [rungs[0] for rungs in found] == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]
    assert found[0] == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]


@pytest.mark.parametrize("epochs", [9, 27, 81])
def test_the_brackets_are_keras_tuners_where_the_budget_is_a_power_of_three(epochs):
    own = keras_tuners(epochs)
    ours = [rungs_of(bracket, epochs) for bracket in brackets(epochs, least_epochs=1)]
    assert ours == [keras_tuners_rungs(own, b) for b in reversed(range(own._get_num_brackets()))]


@pytest.mark.parametrize("epochs", [10, 50, 100, 200])
def test_other_budgets_have_keras_tuners_epochs_and_a_bracket_counted_less(epochs):
    own = keras_tuners(epochs)
    ours = [rungs_of(bracket, epochs) for bracket in brackets(epochs, least_epochs=1)]
    theirs = [keras_tuners_rungs(own, b) for b in reversed(range(own._get_num_brackets()))]
    assert [[e for _, e in rungs] for rungs in ours] == [[e for _, e in rungs] for rungs in theirs]
    n = len(ours)
    for halvings, (our, their) in enumerate(zip(reversed(ours), reversed(theirs), strict=True)):
        assert our[0][0] == math.ceil(n * 3**halvings / (halvings + 1))
        assert their[0][0] == math.ceil((n + 1) * 3**halvings / (halvings + 1))


@pytest.mark.parametrize("epochs", [9, 10, 26, 27, 100, 1000])
def test_no_rung_is_shorter_than_three_epochs_though_it_could_be_no_more_often(epochs):
    cycle = brackets(epochs)
    assert [bracket.n_rungs for bracket in cycle] == list(range(len(cycle), 0, -1))
    assert rungs_of(cycle[0], epochs)[0][1] >= 3
    assert epochs / 3 ** len(cycle) < 3


def test_a_batch_is_a_bracket_and_brackets_cycle():
    oracle, sizes = hyperband(80, 100), []
    while remaining := 80 - sum(n for n, _ in sizes):
        sizes.append((len(oracle.ask(oracle.batch_size(remaining))), oracle.n_rungs))
    assert sizes == [(27, 4), (12, 3), (6, 2), (4, 1), (27, 4), (4, 3)]


def test_an_ask_never_crosses_a_bracket():
    oracle = hyperband(80, 100)
    assert [len(oracle.ask(20)) for _ in range(4)] == [20, 7, 12, 6]
    assert oracle.n_rungs == 2


def test_the_candidates_are_those_of_a_random_search():
    oracle = hyperband(20, 100)
    assert oracle.ask(oracle.batch_size(20)) == sample(two_floats(), 20, seed=0)


def test_a_budget_without_a_rung_is_refused():
    check_oracle("hyperband", epochs=9)
    with pytest.raises(OptionError, match="at least 9 epochs; received --epochs 8"):
        check_oracle("hyperband", epochs=8)
