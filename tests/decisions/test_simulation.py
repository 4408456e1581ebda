"""The simulation of ensembles: its networks are those that it exports, and its summary is right."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = ("selection_bias", "race_bias", "ensembles")


@pytest.fixture(scope="module")
def simulation():
    """The modules, of which searches have few trials and epochs."""
    for name in NAMES:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    for name in NAMES[1:]:
        vars(sys.modules[name]).update(TRIALS=9, EPOCHS=9, RUNGS=2)
    sys.modules["selection_bias"].N_TEST = 500
    sys.modules["ensembles"].N_BOOTSTRAPS = 20
    yield sys.modules["ensembles"]
    for name in NAMES:
        del sys.modules[name]


@pytest.fixture(scope="module")
def outcomes(simulation):
    return [o for world in simulation.WORLDS for o in simulation.judge(world, 0)]


def test_every_ensemble_of_every_search_is_judged(simulation, outcomes):
    found = {(o.world, o.search, o.ensemble) for o in outcomes}
    assert len(found) == len(outcomes) == 2 * 2 * 5
    single = [o for o in outcomes if o.ensemble == "single"]
    assert all(o.gain == o.true_gain == 0.0 for o in single)
    assert {o.true for o in outcomes if o.world == "noise"} == {0.5}


def test_a_network_is_the_same_whenever_it_is_asked(simulation):
    trained = simulation.Trained.of("signal", 1)
    fold = trained.folds[2]
    said = trained._curves(4, 2, fold.train, trained.world.x[fold.validation])
    assert_array_equal(trained.predictions[4, :, fold.repeat, fold.validation], said.T)
    first, second = (trained.on_all_rows(4, 3, number) for number in (0, 1))
    assert np.abs(first - second).max() > 0


def test_a_promise_that_is_broken_is_said(simulation, outcomes):
    right = [replace(o, naive=o.true + 0.1, corrected=o.true + 0.03) for o in outcomes]
    assert all(met for _, met in simulation.promises(right))
    wrong = [replace(o, corrected=o.true + 0.04) for o in right]
    assert not any(met for _, met in simulation.promises(wrong))
    assert simulation.summary(wrong).count("FAILS") == 16
