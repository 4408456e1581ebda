import itertools

import pytest

from hpsearch.oracles import make_oracle, sample
from hpsearch.oracles.base import OraclePlan
from hpsearch.space.hyperparameters import values_key


def two_floats():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 0.0, 1.0)
    return hp


def proposals(seed, hp=None, n=20):
    plan = OraclePlan(seed=seed, max_trials=n, epochs=100, direction="min")
    oracle = make_oracle("random", hp or two_floats(), plan)
    return [candidate.values for candidate in oracle.ask(n)]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_first_proposal_is_the_spaces_own_default(seed):
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"], default="adam")
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.9)
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    first, *others = proposals(seed, hp)
    assert first == {"optimizer": "adam", "rate": 1e-3}
    assert first not in others


@pytest.mark.parametrize(("seed", "other"), list(itertools.combinations([0, 1, 2, 4], 2)))
def test_seeds_share_no_draw_however_close_they_are(seed, other):
    # Seeds two apart share all but one proposal in keras-tuner, for two hyperparameters.
    keys = {values_key(values) for values in proposals(seed)[1:]}
    assert keys.isdisjoint(values_key(values) for values in proposals(other)[1:])


def test_seed_zero_is_a_seed():
    assert proposals(0) == proposals(0)


def test_draws_cover_the_range():
    drawn = [values["a"] for values in proposals(0, n=200)]
    assert min(drawn) < 0.05
    assert max(drawn) > 0.95
    assert 0.4 < sum(drawn) / 200 < 0.6


def test_a_logarithmic_range_is_drawn_in_its_logarithm():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    drawn = [values["rate"] for values in proposals(0, hp, n=200)]
    assert 70 < sum(rate < 1e-2 for rate in drawn) < 130


def test_a_rare_configuration_of_a_finite_space_is_found():
    """A draw hits each of these with a chance of 1 in 2,048 or less."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("deep", [True, False])
    with hp.conditional_scope("deep", [True]):
        for name in "abcdefghij":
            hp.Boolean(name)
    assert len(proposals(0, hp, n=2000)) == 2**10 + 1


def test_a_name_declared_in_two_branches_is_proposed_in_both():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 0.1, 0.2)
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("rate", 0.001, 0.002)
    for values in proposals(0, hp):
        low, high = {"sgd": (0.1, 0.2), "adam": (0.001, 0.002)}[values["optimizer"]]
        assert low <= values["rate"] <= high


def test_a_sample_is_what_a_random_search_scores_first():
    assert [candidate.values for candidate in sample(two_floats(), 5, seed=3)] == proposals(3)[:5]
