"""What every oracle keeps to; a new oracle's file is picked up by its name."""

import importlib
from dataclasses import replace
from importlib.util import find_spec

import pytest

from hpsearch.oracles import make_oracle, oracle_names
from hpsearch.oracles.base import OraclePlan, Outcome
from hpsearch.space.configurations import configured
from hpsearch.space.hyperparameters import active_values, values_key
from hpsearch.space.space import Space, shipped_spaces
from hpsearch.task import Input, Problem

N = 20
LEARNING = [name for name in oracle_names() if name not in ("grid", "hyperband", "random")]
DRAWING = [name for name in oracle_names() if name != "grid"]


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
    hp.Fixed("loss", "mse")
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


def finite_and_larger():
    """Forty-two configurations, so that models choose among what is left of them."""
    from keras_tuner import HyperParameters

    hp = finite()
    larger = HyperParameters()
    larger.merge(hp.space)
    larger.Int("units", 4, 128, step=2, sampling="log")
    return larger


def plan_of(seed=0, max_trials=N, epochs=100, direction="min", first=()):
    return OraclePlan(
        seed=seed, max_trials=max_trials, epochs=epochs, direction=direction, first=first
    )


def maker(name):
    algorithm = importlib.import_module(f"hpsearch.oracles.{name}").ALGORITHM
    if algorithm.extra and not all(find_spec(package) for package in algorithm.packages):
        pytest.skip(f"needs hpsearch[{algorithm.extra}]")

    def make(hp, **options):
        return make_oracle(name, hp, plan_of(**options))

    return make


@pytest.fixture(autouse=True)
def quick_gp(monkeypatch):
    """GP with little effort for each proposal; what is held here must not depend on it."""
    from hpsearch.oracles import gp

    sampler_of = gp._sampler

    def quick(seed):
        sampler = sampler_of(seed)
        effort = {"n_preliminary_samples": 32, "n_local_search": 2, "n_qmc_samples_qei": 4}
        for name, value in {**effort, "tol": 0.1}.items():
            assert hasattr(sampler, f"_{name}")
            setattr(sampler, f"_{name}", value)
        return sampler

    monkeypatch.setattr(gp, "_sampler", quick)


@pytest.fixture(params=oracle_names())
def make(request):
    return maker(request.param)


@pytest.fixture(params=LEARNING)
def make_learning(request):
    return maker(request.param)


def outcome_of(candidate):
    """A made-up score; of seven trials one fails, and one is stopped."""
    score = float(len(candidate.values) + candidate.trial % 5)
    if candidate.trial % 7 == 2:
        return Outcome(candidate.trial, None, "failed")
    return Outcome(candidate.trial, score, "stopped" if candidate.trial % 7 == 5 else "completed")


def planned_batches(oracle, n=N, *, outcome_of=outcome_of):
    """Ask and tell as the search does: in the batches that the oracle asks for."""
    batches = []
    while remaining := n - sum(map(len, batches)):
        batch = oracle.ask(oracle.batch_size(remaining))
        if not batch:
            break
        oracle.tell([outcome_of(candidate) for candidate in batch])
        batches.append(batch)
    return batches


def planned(oracle, n=N, **options):
    return [candidate for batch in planned_batches(oracle, n, **options) for candidate in batch]


# -- asks


def test_trials_are_numbered_from_zero_in_the_order_of_asking(make):
    candidates = planned(make(conditional()))
    assert [candidate.trial for candidate in candidates] == list(range(N))


def test_the_plan_never_asks_for_more_than_remains(make):
    oracle = make(conditional())
    assert all(1 <= oracle.batch_size(remaining) <= remaining for remaining in range(1, N + 1))


def test_eight_are_given_before_any_is_told(make):
    oracle = make(conditional())
    assert oracle.batch_size(N) >= 8
    assert len(oracle.ask(8)) == 8


def test_a_batch_is_given_whole_whatever_was_told(make):
    oracle = make(conditional(), max_trials=30)
    asked = 0
    while asked < 30:
        n = oracle.batch_size(30 - asked)
        batch = oracle.ask(n)
        assert len(batch) == n
        oracle.tell([outcome_of(candidate) for candidate in batch])
        asked += n


def test_batches_give_what_single_asks_before_any_tell_give(make):
    n = make(conditional()).batch_size(N)
    single, batch = make(conditional()), make(conditional())
    assert [single.ask(1)[0] for _ in range(n)] == batch.ask(n)


def test_a_models_batch_begins_as_a_shorter_one(make_learning):
    single, batch = make_learning(conditional()), make_learning(conditional())
    planned(single, 16)
    planned(batch, 16)
    assert [single.ask(1)[0] for _ in range(4)] == batch.ask(8)[:4]


def test_the_candidates_of_an_ask_go_through_at_least_one_rung(make):
    oracle = make(conditional())
    oracle.ask(oracle.batch_size(N))
    assert oracle.n_rungs >= 1


def test_no_more_than_max_trials_are_proposed(make):
    oracle = make(conditional(), max_trials=3)
    assert len(planned(oracle, n=50)) == 3


def test_the_first_candidate_is_the_spaces_default(make):
    [first] = make(conditional()).ask(1)
    assert first.values == active_values(conditional(), {})


# -- what comes first

GIVEN = ({"optimizer": "adam", "n_layers": "2"}, {"rate": 0.0123}, {"optimizer": "adam"})


def first_of(hp):
    """The configurations that stand first, and the defaults behind them."""
    return [configured(hp, each).values for each in (*GIVEN, {})]


def test_what_is_given_is_proposed_first_then_the_defaults(make):
    candidates = planned(make(conditional(), first=GIVEN))
    assert [each.values for each in candidates[:4]] == first_of(conditional())
    assert [each.trial for each in candidates] == list(range(N))


def test_what_is_given_is_not_proposed_again(make):
    candidates = planned(make(conditional(), first=(*GIVEN, *GIVEN)))
    assert len({values_key(each.values) for each in candidates}) == N


def test_more_than_a_batch_of_what_is_given_comes_before_any_model(make):
    first = tuple({"n_layers": 3, "rate": 0.001 * n} for n in range(1, 12))
    candidates = planned(make(conditional(), first=first))
    expected = [configured(conditional(), each).values for each in first]
    assert [each.values for each in candidates[:11]] == expected


def test_the_defaults_have_the_place_among_what_comes_first_that_they_were_given(make):
    first = (GIVEN[0], {}, {"rate": 0.0123}, GIVEN[0])
    candidates = planned(make(conditional(), first=first))
    expected = [configured(conditional(), each).values for each in first[:3]]
    assert [each.values for each in candidates[:3]] == expected
    assert len({values_key(each.values) for each in candidates}) == len(candidates) == N


def test_what_comes_first_beyond_the_trials_is_left_out(make):
    candidates = planned(make(conditional(), first=({}, *GIVEN), max_trials=2))
    assert [each.values for each in candidates] == [
        configured(conditional(), each).values for each in ({}, GIVEN[0])
    ]


def test_the_first_of_a_larger_search_are_those_of_a_smaller_one(make):
    first = ({}, *GIVEN)
    few, many = (make(conditional(), first=first, max_trials=n).ask(3) for n in (3, N))
    assert few == many


def test_an_oracle_learns_from_what_comes_first_before_it_proposes(make_learning):
    first = ({}, *({"n_layers": 3, "rate": 0.001 * n} for n in range(1, 12)))
    plain = planned(maker("random")(conditional(), first=first))
    learning = planned(make_learning(conditional(), first=first))
    assert learning[:12] == plain[:12]
    assert learning[12:] != plain[12:]


def test_a_finite_space_loses_nothing_to_what_is_given(make):
    candidates = planned(make(finite(), first=({"optimizer": "sgd"}, {"power": 3})))
    assert len({values_key(each.values) for each in candidates}) == len(candidates) == 7


def test_a_replay_with_what_is_given_is_the_same(make):
    assert planned(make(conditional(), first=GIVEN)) == planned(make(conditional(), first=GIVEN))


# -- the same again


def test_the_same_seed_gives_the_same_candidates(make):
    assert planned(make(conditional())) == planned(make(conditional()))


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("other", [1, 2, 8, 2**40])
def test_seeds_share_nothing_but_the_default(name, other):
    """keras-tuner takes 0 for any seed, and shares proposals of seeds close to each other."""
    hp, make = conditional(), maker(name)
    one = [values_key(c.values) for c in planned(make(hp, seed=0), 16)]
    two = [values_key(c.values) for c in planned(make(hp, seed=other), 16)]
    assert set(one) & set(two) == {one[0]}


def test_a_replayed_oracle_goes_on_where_the_first_one_stopped(make):
    whole = planned_batches(make(conditional()))
    for k in range(1, len(whole)):
        replayed = make(conditional())
        for batch in whole[:k]:
            assert replayed.ask(len(batch)) == batch
            replayed.tell([outcome_of(candidate) for candidate in batch])
        assert replayed.ask(len(whole[k])) == whole[k]


def test_a_run_that_grows_goes_on_with_the_candidates_of_a_larger_one(make):
    larger = planned(make(conditional(), max_trials=28), 28)
    for n in (11, 20):
        assert planned(make(conditional(), max_trials=n), n) == larger[:n]


def test_the_order_of_the_outcomes_does_not_matter(make):
    def backwards(oracle, n):
        while remaining := n - backwards.asked:
            batch = oracle.ask(oracle.batch_size(remaining))
            oracle.tell([outcome_of(candidate) for candidate in reversed(batch)])
            backwards.asked += len(batch)
            backwards.found += batch
        return backwards.found

    backwards.asked, backwards.found = 0, []
    assert backwards(make(conditional()), N) == planned(make(conditional()))


def test_minus_the_score_in_the_other_direction_is_the_same(make_learning):
    def negated(candidate):
        told = outcome_of(candidate)
        return Outcome(told.trial, None if told.score is None else -told.score, told.status)

    low = planned(make_learning(conditional(), direction="min"))
    high = planned(make_learning(conditional(), direction="max"), outcome_of=negated)
    assert low == high


# -- values


def test_only_active_hyperparameters_have_values(make):
    hp = conditional()
    for candidate in planned(make(hp)):
        assert candidate.values == active_values(hp, candidate.values)


def test_values_are_plain_scalars_inside_their_ranges(make):
    for values in (candidate.values for candidate in planned(make(conditional()))):
        assert {type(value) for value in values.values()} <= {str, int, float, bool}
        assert 1e-4 <= values["rate"] <= 1e-1
        assert values["units_1"] in (8, 16, 32)
        assert type(values["units_1"]) is int
        assert values["dropout_1"] in (0.0, 0.1, 0.2, 0.3)
        assert type(values.get("use_momentum", True)) is bool
        assert values["loss"] == "mse"


def test_a_name_of_two_branches_has_the_range_of_its_branch(make):
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 0.1, 0.2)
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("rate", 0.001, 0.002, sampling="log")
    candidates = planned(make(hp), 20)
    assert {candidate.values["optimizer"] for candidate in candidates} == {"sgd", "adam"}
    for values in (candidate.values for candidate in candidates):
        low, high = {"sgd": (0.1, 0.2), "adam": (0.001, 0.002)}[values["optimizer"]]
        assert low <= values["rate"] <= high


def test_a_fixed_hyperparameter_is_proposed_with_its_value(make):
    from hpsearch.space.hyperparameters import narrow

    candidates = planned(make(narrow(conditional(), {"optimizer": "adam", "units_1": 20})))
    assert {candidate.values["optimizer"] for candidate in candidates} == {"adam"}
    assert {candidate.values["units_1"] for candidate in candidates} == {20}


@pytest.mark.parametrize("space", shipped_spaces())
def test_the_shipped_spaces_are_searched(make, space):
    shape = {"image": (8, 8, 1)}.get(space, (10,))
    problem = Problem("binary", shape, 1, "sigmoid", "binary_crossentropy", 1000, 100)
    if space == "text":
        problem = replace(problem, inputs={"tokens": Input((6,), "int32", 9, is_tokens=True)})
    hp = Space.load(space).declared(problem, {})
    candidates = planned(make(hp), 20)
    assert len({values_key(candidate.values) for candidate in candidates}) == 20
    assert all(c.values == active_values(hp, c.values) for c in candidates)


# -- to the last configuration, and none twice


@pytest.mark.parametrize(("space", "size"), [(finite, 7), (finite_and_larger, 42)])
def test_a_finite_space_is_proposed_to_the_last_configuration_and_none_twice(make, space, size):
    oracle = make(space(), max_trials=99)
    candidates = planned(oracle, size - 1)
    candidates += planned(oracle, 99)
    assert len(candidates) == size
    assert len({values_key(candidate.values) for candidate in candidates}) == size
    assert oracle.ask(1) == []


def test_a_space_without_hyperparameters_has_one_configuration(make):
    from keras_tuner import HyperParameters

    oracle = make(HyperParameters())
    assert [candidate.values for candidate in oracle.ask(5)] == [{}]
    assert oracle.ask(1) == []


# -- outcomes


def told_as(status, score):
    return lambda candidate: Outcome(candidate.trial, score, status)


def test_failures_alone_are_ordinary_outcomes(make):
    oracle = make(conditional())
    assert len(planned(oracle, outcome_of=told_as("failed", None))) == N


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), None])
@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_scores_that_are_not_finite_are_ordinary_outcomes(make, status, score):
    def sometimes(candidate):
        return told_as(status, score if candidate.trial % 2 else 1.0)(candidate)

    assert len(planned(make(conditional()), 17, outcome_of=sometimes)) == 17


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_equal_scores_are_ordinary_outcomes(make, status):
    assert len(planned(make(conditional()), outcome_of=told_as(status, 0.5))) == N


@pytest.mark.parametrize("score", [1e-300, 1e300, -1e300])
def test_a_score_of_any_size_is_an_ordinary_outcome(make, score):
    def with_one_outlier(candidate):
        return told_as("completed", score if candidate.trial == 3 else 1.0)(candidate)

    assert len(planned(make(conditional()), 17, outcome_of=with_one_outlier)) == 17


def test_an_outcome_of_a_trial_that_was_not_asked_for_raises(make):
    with pytest.raises(ValueError, match="received an outcome of trial 0"):
        make(conditional()).tell([Outcome(0, 1.0, "completed")])


def test_an_outcome_told_twice_raises(make):
    oracle = make(conditional())
    oracle.ask(1)
    oracle.tell([Outcome(0, 1.0, "completed")])
    with pytest.raises(ValueError, match="is told once"):
        oracle.tell([Outcome(0, 1.0, "completed")])


# -- the world outside


def test_an_oracle_leaves_the_space_and_the_disk_as_they_were(make, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hp = conditional()
    before = hp.get_config()
    planned(make(hp))
    assert hp.get_config() == before
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")
