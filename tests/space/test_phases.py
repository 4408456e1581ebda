"""Phases of a training: their epochs, their steps, and which layers learn in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch import Phase
from hpsearch.errors import SpaceError
from hpsearch.space.phases import checked, enter, spans, steps_of
from hpsearch.space.space import Space
from hpsearch.task import Problem

PROBLEM = Problem("regression", (3,), 1, "linear", "mse", n_train=30, epochs=8)


def network(frozen=()):
    import keras

    layers = [
        keras.Input((3,)),
        keras.layers.Dense(3, name="low"),
        keras.layers.BatchNormalization(name="normal"),
        keras.layers.Dense(2, name="high"),
    ]
    base = keras.Sequential(layers, name="base")
    for name in frozen:
        base.get_layer(name).trainable = False
    rows = keras.Input((3,))
    model = keras.Model(rows, keras.layers.Dense(1, name="head")(base(rows)))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    return model


def learning(phases, number, model=None):
    model = network() if model is None else model
    enter("mine", model, phases, number)
    return {variable.path for variable in model.trainable_variables}


HIGH = {"base/high/kernel", "base/high/bias"}
HEAD = {"head/kernel", "head/bias"}
NORMAL = {"base/normal/gamma", "base/normal/beta"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["head"], HEAD),
        (["high"], HIGH),
        (["base/high", "head"], HIGH | HEAD),
        (["h*"], HIGH | HEAD),
        (["base/*"], HIGH | NORMAL | {"base/low/kernel", "base/low/bias"}),
        (["base"], HIGH | NORMAL | {"base/low/kernel", "base/low/bias"}),
    ],
)
def test_names_and_paths_say_what_learns(names, expected):
    found = learning([Phase(1.0, names)], 0)
    assert {path.removeprefix("sequential/") for path in found} == expected


def test_a_phase_has_its_own_word_on_what_build_froze():
    assert learning([Phase(1.0, ["high"])], 0, network(frozen=["low", "high"])) == HIGH
    assert learning([Phase(1.0)], 0, network(frozen=["low", "normal", "high"])) == HEAD


def test_batch_normalisation_that_was_frozen_stays_in_inference_mode_unless_asked_for():
    first = Phase(0.5, ["head"])
    assert not learning([first, Phase(0.5, ["base", "head"])], 1) & NORMAL
    trained = [first, Phase(0.5, ["base", "head"], normalization=True)]
    assert learning(trained, 1) >= NORMAL
    assert learning([Phase(0.5, ["base"]), Phase(0.5, ["base", "head"])], 1) >= NORMAL


def test_each_phase_begins_with_a_fresh_optimizer():
    import keras

    phases = [Phase(0.5, ["head"]), Phase(0.5, ["*"], keras.optimizers.SGD(0.3))]
    model = network()
    compiled = model.optimizer
    enter("mine", model, phases, 0)
    assert model.optimizer is compiled
    enter("mine", model, [Phase(0.5), Phase(0.5)], 1)
    assert model.optimizer is not compiled
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    enter("mine", model, phases, 1)
    assert isinstance(model.optimizer, keras.optimizers.SGD)


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([Phase(1.0, ["blok*"])], r"Phase 1 of 'mine' names 'blok\*'.*it has base, base/low, bas"),
        ([Phase(0.5), Phase(0.5, ["dropout"])], "Phase 2 of 'mine' names 'dropout'"),
    ],
)
def test_a_name_that_fits_no_layer_is_refused_with_those_that_there_are(phases, message):
    with pytest.raises(SpaceError, match=message):
        learning(phases, len(phases) - 1)


def test_a_phase_in_which_nothing_learns_is_refused():
    with pytest.raises(SpaceError, match="Phase 1 of 'mine' lets nothing learn"):
        learning([Phase(1.0)], 0, network(frozen=["low", "normal", "high"]).get_layer("base"))


@pytest.mark.parametrize("share", [0, -0.5, 1.5, "half", True, None])
def test_a_share_is_a_part_of_the_epochs(share):
    with pytest.raises(SpaceError, match="share of a phase is above 0 and at most 1; received"):
        Phase(share)


@pytest.mark.parametrize("names", ["head*", [], [1]])
def test_names_come_in_a_list(names):
    with pytest.raises(SpaceError, match=r"`trainable` of a phase is a list of layers' names"):
        Phase(1.0, names)


@pytest.mark.parametrize(
    ("given_phases", "message"),
    [
        (None, "it returned NoneType"),
        ([], "it returned list"),
        ([{"share": 1.0}], r"it returned \['dict'\]"),
        ([Phase(0.5), Phase(0.4)], "they add up to 0.9"),
    ],
)
def test_what_are_no_phases_is_refused(given_phases, message):
    with pytest.raises(SpaceError, match=message):
        checked("mine", given_phases)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(5, 300))
def test_every_phase_has_an_epoch_and_all_epochs_have_a_phase(parts, epochs):
    phases = [Phase(part / sum(parts)) for part in parts]
    found = spans(phases, epochs)
    assert found[0][0] == 0
    assert found[-1][1] == epochs
    assert all(first < last for first, last in found)
    assert [last for _, last in found[:-1]] == [first for first, _ in found[1:]]


@given(st.integers(1, 30), st.integers(1, 9))
def test_whole_epochs_on_all_rows_are_in_the_phases_that_they_were_in_in_the_folds(best, per_epoch):
    of_phases = [(0, 4), (4, 10), (10, 30)]
    epochs = [min(best, last) - first for first, last in of_phases if first < best]
    assert steps_of(of_phases, best * per_epoch, per_epoch) == [n * per_epoch for n in epochs]


@pytest.mark.parametrize(
    ("best_epoch", "steps"), [(1, [7]), (30, [210]), (31, [210, 7]), (100, [210, 490])]
)
def test_a_refit_changes_phase_after_the_epoch_that_the_folds_did(best_epoch, steps):
    per_epoch = 7  # a hundred rows in batches of sixteen
    assert steps_of([(0, 30), (30, 100)], best_epoch * per_epoch, per_epoch) == steps


def test_hyperparameters_that_phases_ask_for_are_found(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def build(hp, problem):\n"
        "    from tests.space.test_phases import network\n"
        "    hp.Choice('units', [1, 2])\n"
        "    return network()\n\n\n"
        "def phases(hp, problem):\n"
        "    from hpsearch import Phase\n"
        "    share = hp.Choice('share', [0.25, 0.5])\n"
        "    return [Phase(share, ['head']), Phase(1 - share, ['*'])]\n"
    )
    space = Space.load(tmp_path / "mine.py")
    assert {p.name for p in space.declared(PROBLEM).space} == {"units", "share"}
    built = space.construct({"units": 1, "share": 0.5}, PROBLEM)
    assert [phase.share for phase in built.phases] == [0.5, 0.5]
    assert built.values == {"units": 1, "share": 0.5}


def test_phases_must_take_hyperparameters_and_problem(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def build(hp, problem):\n    pass\n\n\ndef phases(hp):\n    pass\n"
    )
    with pytest.raises(SpaceError, match=r"phases of 'mine.py' must be a function phases\(hp, pro"):
        Space.load(tmp_path / "mine.py").declared(PROBLEM)
