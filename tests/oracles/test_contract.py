"""What every oracle keeps to; a new oracle's file is picked up by its name."""

import pytest

from hpsearch.hyperparameters import active_values, values_key
from hpsearch.oracles import make_oracle, oracle_names
from hpsearch.oracles.base import Outcome

N = 12


def conditional():
    """Branches, nested branches, and every type; more than a hundred configurations."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam", "rmsprop"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Boolean("use_momentum", default=True)
        with hp.conditional_scope("use_momentum", [True]):
            hp.Choice("momentum", [0.5, 0.9])
    hp.Int("n_layers", 1, 3)
    for layer in (1, 2, 3):
        with hp.conditional_scope("n_layers", list(range(layer, 4))):
            hp.Int(f"units_{layer}", 8, 32, step=2, sampling="log")
            hp.Float(f"dropout_{layer}", 0.0, 0.3, step=0.1)
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    return hp


def finite():
    """Seven configurations: three without momentum, four with."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Choice("momentum", [0.5, 0.9])
        hp.Boolean("nesterov")
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Int("power", 1, 3)
    return hp


@pytest.fixture(params=oracle_names())
def make(request):
    def make(hp, *, seed=0, max_trials=N):
        return make_oracle(request.param, hp, seed=seed, max_trials=max_trials)

    return make


def outcome_of(candidate):
    """A made-up score; every third trial fails."""
    if candidate.trial % 3 == 2:
        return Outcome(candidate.trial, None, "failed")
    return Outcome(candidate.trial, float(candidate.trial % 5), "completed")


def planned_batches(oracle, n=N):
    """Ask and tell as the search does: in the batches that the oracle asks for."""
    candidates = []
    while len(candidates) < n:
        batch = oracle.ask(oracle.batch_size(n - len(candidates)))
        if not batch:
            break
        oracle.tell([outcome_of(candidate) for candidate in batch])
        candidates += batch
    return candidates


def test_trials_are_numbered_from_zero_in_the_order_of_asking(make):
    candidates = planned_batches(make(conditional()))
    assert [candidate.trial for candidate in candidates] == list(range(N))


def test_the_plan_never_asks_for_more_than_remains(make):
    oracle = make(conditional())
    assert all(1 <= oracle.batch_size(remaining) <= remaining for remaining in range(1, N + 1))


def test_batches_give_what_single_asks_before_any_tell_give(make):
    n = make(conditional()).batch_size(N)
    single, batch = make(conditional()), make(conditional())
    assert [single.ask(1)[0] for _ in range(n)] == batch.ask(n)


def test_the_same_seed_gives_the_same_candidates(make):
    assert planned_batches(make(conditional())) == planned_batches(make(conditional()))


def test_a_replayed_oracle_goes_on_where_the_first_one_stopped(make):
    whole = planned_batches(make(conditional(), max_trials=2 * N), n=2 * N)
    replayed = make(conditional(), max_trials=2 * N)
    done = replayed.ask(N)
    replayed.tell([outcome_of(candidate) for candidate in done])
    assert done + planned_rest(replayed, done) == whole


def planned_rest(oracle, done):
    rest = []
    while batch := oracle.ask(N):
        oracle.tell([outcome_of(candidate) for candidate in batch])
        rest += batch
    return rest


def test_only_active_hyperparameters_have_values(make):
    hp = conditional()
    for candidate in planned_batches(make(hp)):
        assert candidate.values == active_values(hp, candidate.values)


def test_values_are_plain_scalars_inside_their_ranges(make):
    candidates = planned_batches(make(conditional()))
    for values in (candidate.values for candidate in candidates):
        assert {type(value) for value in values.values()} <= {str, int, float, bool}
        assert 1e-4 <= values["rate"] <= 1e-1
        assert values["units_1"] in (8, 16, 32)
        assert type(values["units_1"]) is int
        assert values["dropout_1"] in (0.0, 0.1, 0.2, 0.3)


def test_no_configuration_comes_twice(make):
    keys = [values_key(c.values) for c in planned_batches(make(finite()), n=50)]
    assert len(keys) == len(set(keys))


def test_a_finite_space_is_proposed_to_the_last_configuration(make):
    oracle = make(finite(), max_trials=50)
    assert len(planned_batches(oracle, n=50)) == 7
    assert oracle.exhausted
    assert oracle.ask(1) == []


def test_a_space_with_one_configuration_left_is_not_exhausted(make):
    oracle = make(finite(), max_trials=50)
    planned_batches(oracle, n=6)
    assert not oracle.exhausted


def test_a_space_without_hyperparameters_has_one_configuration(make):
    from keras_tuner import HyperParameters

    oracle = make(HyperParameters())
    assert [candidate.values for candidate in oracle.ask(5)] == [{}]
    assert oracle.exhausted


def test_no_more_than_max_trials_are_proposed(make):
    oracle = make(conditional(), max_trials=3)
    assert len(planned_batches(oracle, n=50)) == 3
    assert not oracle.exhausted


def test_a_fixed_hyperparameter_is_proposed_with_its_value(make):
    from hpsearch.hyperparameters import narrow

    candidates = planned_batches(make(narrow(conditional(), {"optimizer": "adam"})))
    assert {candidate.values["optimizer"] for candidate in candidates} == {"adam"}


def test_failures_in_a_row_are_ordinary_outcomes(make):
    oracle = make(conditional())
    candidates = oracle.ask(5)
    oracle.tell([Outcome(candidate.trial, None, "failed") for candidate in candidates])
    assert len(oracle.ask(1)) == 1


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_ordinary_outcomes(make, score):
    oracle = make(conditional())
    (candidate,) = oracle.ask(1)
    oracle.tell([Outcome(candidate.trial, score, "completed")])
    assert len(oracle.ask(1)) == 1


def test_an_outcome_of_a_trial_that_was_not_asked_for_raises(make):
    with pytest.raises(ValueError, match="received an outcome of trial 0"):
        make(conditional()).tell([Outcome(0, 1.0, "completed")])


def test_an_outcome_told_twice_raises(make):
    oracle = make(conditional())
    oracle.ask(1)
    oracle.tell([Outcome(0, 1.0, "completed")])
    with pytest.raises(ValueError, match="is told once"):
        oracle.tell([Outcome(0, 1.0, "completed")])


def test_an_oracle_leaves_the_space_and_the_disk_as_they_were(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hp = conditional()
    before = hp.get_config()
    planned_batches(make(hp))
    assert hp.get_config() == before
    assert list(tmp_path.iterdir()) == []
