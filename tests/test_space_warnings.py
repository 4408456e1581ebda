"""What a search says about a space whose hyperparameters are found by building its networks."""

import numpy as np
import pytest

import hpsearch
from hpsearch.engines.probe import Probe
from hpsearch.observer import SilentObserver

SPACE = """
import keras

def build(hp, problem):
    deep = hp.Choice("deep", ["no", "yes"])
    if deep == "yes":
        raise ValueError("too deep")
    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", problem.loss)
    return model
"""


class Listener(SilentObserver):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search in a space with a branch that raises: what it warned of, and its run."""
    folder = tmp_path_factory.mktemp("warnings")
    (folder / "space.py").write_text(SPACE, encoding="utf-8")
    listener = Listener()
    data = hpsearch.load("sklearn:breast_cancer").take(np.arange(40))
    search = hpsearch.Search(
        folder / "space.py",
        trials=2,
        folds=2,
        repeats=1,
        epochs=1,
        jobs=1,
        engine="keras",
        out=folder / "run",
        observer=listener,
    )
    return listener.warnings, search.run(data)


def test_a_branch_that_raises_is_warned_of(searched):
    warnings, _ = searched
    assert any("will be failed trials" in text and "too deep" in text for text in warnings)


def test_a_branch_that_raises_is_a_failed_trial(searched):
    _, run = searched
    assert sorted(run.trials["status"]) == ["completed", "failed"]


def test_warnings_are_kept_with_the_run(searched):
    warnings, run = searched
    assert run.settings["warnings"] == warnings


def test_a_space_with_untried_branches_is_warned_of():
    [warning] = Probe(None, (), scalable_target=False, complete=False).warnings
    assert "some of them may be missing" in warning


def test_a_declared_space_gives_no_warning():
    assert Probe(None, (), scalable_target=False).warnings == ()
