"""What a search says: about the table, and about a space that is found by building networks."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.engines.probe import Probe
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search
from hpsearch.search.telling import class_weights_told, images_told, tokens_told

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

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
        self.notes = []
        self.warnings = []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture(scope="module")
def searched(train_here, tmp_path_factory):
    """A search in a space with a branch that raises: what it said, and its run."""
    folder = tmp_path_factory.mktemp("warnings")
    (folder / "space.py").write_text(SPACE, encoding="utf-8")
    listener = Listener()
    rows = np.random.default_rng(0).normal(size=(40, 2))
    table = pd.DataFrame(rows, columns=["a", "b"]).assign(empty=np.nan, ill=rows[:, 0] > 0)
    search = hpsearch.Search(
        folder / "space.py",
        trials=2,
        folds=2,
        repeats=1,
        epochs=1,
        engine="reference",
        out=folder / "run",
        observer=listener,
    )
    with train_here():
        return listener, search.run(hpsearch.load(table, target="ill"))


def test_what_is_said_of_the_table_is_said_once(searched):
    notes = searched[0].notes
    assert len(set(notes)) == len(notes)


def test_one_process_is_one_process(searched):
    assert any("Engine: reference, 1 process of one thread: " in note for note in searched[0].notes)


def test_a_column_that_is_left_out_is_noted(searched):
    listener, _ = searched
    assert "Column 'empty' was left out: none of its cells is filled." in listener.notes


def test_the_results_folder_is_named_before_the_search(searched):
    listener, run = searched
    assert f"Results: {run.path}" in listener.notes


def test_a_branch_that_raises_is_warned_of(searched):
    listener, _ = searched
    assert any("will be failed trials" in text and "too deep" in text for text in listener.warnings)


def test_a_branch_that_raises_is_a_failed_trial(searched):
    _, run = searched
    assert sorted(run.trials["status"]) == ["completed", "failed"]


def test_warnings_are_kept_with_the_run(searched):
    listener, run = searched
    assert run.settings["warnings"] == listener.warnings


def test_a_space_with_untried_branches_is_warned_of():
    [warning] = Probe(None, (), scalable_target=False, complete=False).warnings
    assert "some of them may be missing" in warning


def test_a_declared_space_gives_no_warning():
    assert Probe(None, (), scalable_target=False).warnings == ()


@pytest.mark.parametrize(
    ("asked", "is_told"),
    [
        ({"class_weight": "balanced"}, True),
        ({"class_weight": "balanced", "metric": "brier"}, True),
        ({"class_weight": "balanced", "metric": "roc_auc"}, False),
        ({}, False),
    ],
)
def test_weights_of_classes_and_what_selects_may_be_at_odds(asked, is_told):
    table = pd.DataFrame({"x": np.arange(40.0), "ill": ["no", "no", "no", "yes"] * 10})
    plan = plan_search(Options(**asked), hpsearch.load(table, target="ill"))
    found = list(class_weights_told(plan))
    assert bool(found) == is_told
    assert not is_told or "or take --threshold" in found[0]


@pytest.mark.parametrize(
    ("shape", "space", "is_told"),
    [((8, 8), None, True), ((8, 8), "image", False), ((20, 3), None, False)],
)
def test_the_default_space_says_what_it_makes_of_images(shape, space, is_told):
    x = np.random.default_rng(0).random((40, *shape))
    plan = plan_search(Options(space), hpsearch.load(x, np.arange(40) % 2))
    found = list(images_told(plan))
    assert bool(found) == is_told
    assert not is_told or "--space image searches convolutional networks" in found[0]


@pytest.mark.parametrize(
    ("columns", "space", "said"),
    [
        (["note", "y"], "mlp", "takes their numbers for quantities"),
        (["note", "x", "y"], "tabular", "does not get them"),
        (["note", "x", "y"], "text", ""),
    ],
)
def test_a_space_that_reads_no_words_in_their_order_is_warned_of(columns, space, said):
    notes = [f"{word} film {number}" for number in range(20) for word in ("good", "bad")]
    table = pd.DataFrame({"note": notes, "x": np.arange(40.0), "y": [1, 0] * 20})[columns]
    data = hpsearch.load(table, target="y", text="note", words_as="tokens")
    found = list(tokens_told(plan_search(Options(space), data)))
    assert len(found) == bool(said)
    assert not said or f"the space '{space}' {said}. Take --space text" in found[0]


def test_a_space_of_ones_own_that_names_a_column_of_words_is_not_warned_of(tmp_path):
    (tmp_path / "own.py").write_text(SPACE + "\n# problem.inputs['note']\n")
    table = pd.DataFrame({"note": [f"film {n}" for n in range(40)], "y": [1, 0] * 20})
    data = hpsearch.load(table, target="y", text="note", words_as="tokens")
    assert not list(tokens_told(plan_search(Options(str(tmp_path / "own.py")), data)))
