import pytest

from hpsearch.oracles import make_oracle
from hpsearch.oracles.base import OraclePlan
from hpsearch.space.hyperparameters import plain, values_key


def discrete():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("activation", ["relu", "tanh"], default="tanh")
    hp.Int("units", 4, 16, step=2, sampling="log")
    return hp


def conditional():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Boolean("use_momentum", default=True)
        with hp.conditional_scope("use_momentum", [True]):
            hp.Float("momentum", 0.5, 0.9, step=0.2)
    hp.Int("n_layers", 1, 2)
    with hp.conditional_scope("n_layers", [2]):
        hp.Choice("units_2", [8, 16], default=16)
    return hp


def continuous():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("activation", ["relu", "tanh"])
    hp.Float("rate", 1e-3, 1e-1, sampling="log", default=1e-2)
    return hp


def all_at_once(hp, *, seed=0, n=1000):
    plan = OraclePlan(seed=seed, max_trials=n, epochs=100, direction="min")
    return [candidate.values for candidate in make_oracle("grid", hp, plan).ask(n)]


def keras_tuner_one_at_a_time(hp, folder):
    """keras-tuner's own grid, each trial ended before the next is asked for."""
    from keras_tuner import Objective
    from keras_tuner.oracles import GridSearchOracle

    oracle = GridSearchOracle(Objective("score", "min"), hyperparameters=hp)
    oracle._set_project_dir(folder, "grid")
    oracle.verbose = 0
    parameters = {parameter.name: parameter for parameter in hp.space}
    found = []
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        values = trial.hyperparameters.values
        found.append({name: plain(parameters[name], values[name]) for name in values})
        oracle.update_trial(trial.trial_id, {"score": 0.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return found


@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
@pytest.mark.parametrize("make_space", [discrete, conditional])
def test_the_grid_is_keras_tuners_own_in_its_order(make_space, tmp_path):
    assert all_at_once(make_space()) == keras_tuner_one_at_a_time(make_space(), tmp_path)


@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
def test_the_grid_of_a_continuous_range_has_keras_tuners_values(tmp_path):
    grid = {values_key(values) for values in all_at_once(continuous())}
    own = keras_tuner_one_at_a_time(continuous(), tmp_path)
    assert len(grid) == 22
    assert grid == {values_key(values) for values in own}


def test_the_grid_begins_with_the_defaults():
    first = all_at_once(conditional())[0]
    assert first == {"optimizer": "sgd", "use_momentum": True, "momentum": 0.5, "n_layers": 1}


def test_the_grid_of_two_branches_is_complete():
    # sgd: (3 momenta + none) x (1 layer, or 2 layers of 2 widths); adam: the latter alone
    assert len(all_at_once(conditional())) == (3 + 1) * 3 + 3


def test_the_seed_does_not_change_the_grid():
    assert all_at_once(discrete(), seed=7) == all_at_once(discrete())


def test_a_vast_grid_is_not_listed_before_it_is_asked_for():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    for position in range(60):
        hp.Boolean(f"switch_{position}")
    assert [values["switch_59"] for values in all_at_once(hp, n=3)] == [False, True, False]
