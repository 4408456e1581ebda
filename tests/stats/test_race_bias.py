"""The simulation of races: its candidates learn, and its race is the one that searches run."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def simulation():
    names = ("selection_bias", "race_bias")
    for name in names:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    yield sys.modules["race_bias"]
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def trained(simulation):
    world = simulation.make_world("signal", 0)
    return world, *simulation.train(world, 0)


def test_candidates_learn_with_the_epochs_and_predict_out_of_fold(trained):
    world, predictions, true, _ = trained
    assert np.isfinite(predictions).all()
    best = true.max(axis=0)
    assert best[0] < best[-1] > 0.55
    out_of_fold = ((predictions >= 0.5) == world.y).mean(axis=(2, 3))
    assert np.corrcoef(out_of_fold.ravel(), true.ravel())[0, 1] > 0.2


def test_a_third_of_a_bracket_goes_on_from_each_rung(simulation, trained):
    world, predictions, _, folds = trained
    ended, brackets = simulation.race(simulation.Scored(predictions, world.y, folds), 3)
    for bracket in brackets:
        of_bracket = [trial.stopped_after for trial in ended if trial.candidate.trial in bracket]
        assert (of_bracket.count(0), of_bracket.count(1)) == (13, 4)


def test_correcting_for_every_step_takes_more_off_than_for_the_last_choice(simulation):
    said = simulation.judge("noise", 0)
    _, race, last_choice = (said[name] for name in simulation.SEARCHES)
    assert race[0] == last_choice[0]
    assert race[1] < last_choice[1] < race[0]
