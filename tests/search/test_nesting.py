"""The nested search: what it sees, what it records, what it refuses, and that it goes on."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import FoldError, InputError, OptionError
from hpsearch.metrics import score
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.nesting import _outer_folds
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 2, "folds": 2, "repeats": 1, "epochs": 2, "batch_size": 12, "jobs": 1}
NESTED = {"nested": 2, "baselines": False, "engine": "pretended", **BUDGET}


SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.2, 0.4])


def build(hp, problem):
    raise NotImplementedError
"""


def flats(n=36):
    rng = np.random.default_rng(0)
    rooms, age = rng.normal(size=(2, n))
    return pd.DataFrame({"rooms": rooms, "age": age, "group": np.arange(n) // 3, "rent": rooms * 9})


def data_of(frame, **options):
    return hpsearch.load(frame, target="rent", name="flats", **{"drop": ["group"], **options})


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.py"
    path.write_text(SPACE)
    return path


@pytest.fixture
def search(pretend_here, space, tmp_path):
    def search(name, data=None, **options):
        with pretend_here():
            out = {"out": tmp_path / name}
            run = hpsearch.Search(space, **(NESTED | out | options))
            return run.run(data or data_of(flats()))

    return search


@pytest.fixture
def resume(pretend_here, tmp_path):
    def resume(name, **options):
        with pretend_here():
            return hpsearch.resume(tmp_path / name, data_of(flats()), **options)

    return resume


@pytest.fixture(scope="module")
def whole(pretend_here, space, tmp_path_factory):
    """A nested search that nothing stopped."""
    with pretend_here():
        out = tmp_path_factory.mktemp("whole") / "run"
        return hpsearch.Search(space, **NESTED, out=out).run(data_of(flats()))


EVERYTHING = 3 * 2 * 2
"""Replicas of a whole search: two trials on two folds, in the search and in two outer folds."""


@pytest.fixture
def trained(monkeypatch, pretended):
    """How many replicas are trained; counted as it goes."""
    done, train = [], pretended.train

    def counting(job, unit):
        done.extend(unit.folds)
        return train(job, unit)

    monkeypatch.setattr(pretended, "train", counting)
    return done


class StopAt(SilentObserver):
    """Presses Ctrl-C in the given outer fold, when so many units are trained."""

    def __init__(self, stage):
        self.left = stage

    def stage(self, name):
        if name == self.left:
            raise KeyboardInterrupt


def tables_of(run):
    names = ("trials.csv", "folds.csv", "predictions.csv", "nested.csv", "run.json", "best.json")
    return {name: (run.path / name).read_bytes() for name in names}


def test_each_outer_fold_has_its_row_and_the_ledger_its_mean(whole):
    run = whole
    table = run.nested
    assert list(table)[:8] == [
        *("fold", "n_train", "n_test", "trial", "epoch", "inner_score", "outer_score", "error")
    ]
    assert table[["fold", "n_train", "n_test"]].to_numpy().tolist() == [[0, 18, 18], [1, 18, 18]]
    assert table["error"].isna().all()
    nested = run.ledger.nested
    assert nested.value == pytest.approx(table["outer_score"].mean())
    assert [fold.hyperparameters["rate"] for fold in nested.folds] == table["hp.rate"].tolist()
    assert run.ledger.promise.source == "nested"


def test_rows_outside_change_nothing_inside_but_the_outer_score(whole, search, monkeypatch):
    outside = _outer_folds(plan_search(Options(nested=2), data_of(flats())), 2)[0].validation
    seen = []
    monkeypatch.setattr("hpsearch.search.nesting._outer_folds", remembering(seen))
    changed = flats()
    changed.loc[outside, ["rooms", "age"]] = 50 - 3 * changed.loc[outside, ["rooms", "age"]]
    changed.loc[outside, "rent"] = 1e4 + changed.loc[outside, "rent"] ** 2
    other = search("other", data_of(changed))
    assert np.array_equal(seen[0][0].validation, outside)
    inside = ["n_train", "n_test", "trial", "epoch", "inner_score", "hp.rate"]
    before, after = whole.nested.iloc[0], other.nested.iloc[0]
    assert before[inside].tolist() == after[inside].tolist()
    assert before["outer_score"] != after["outer_score"]
    assert (whole.nested.iloc[1][inside] != other.nested.iloc[1][inside]).any()


def remembering(seen):
    """Outer folds as ever, kept in a list as well."""

    def outer_folds(plan, n_folds):
        folds = _outer_folds(plan, n_folds)
        seen.append(folds)
        return folds

    return outer_folds


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.Choice("units", [2, 3, 4]), "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), problem.loss, run_eagerly=True)
    return model


@pytest.mark.filterwarnings("ignore::hpsearch.DataWarning")
def test_the_outer_score_is_that_of_the_same_search_on_the_outer_training_rows(
    train_here, tmp_path, monkeypatch
):
    """With real networks, since the winner must predict the outer rows."""
    seen, data = [], data_of(flats())
    monkeypatch.setattr("hpsearch.search.nesting._outer_folds", remembering(seen))
    options = {**NESTED, "engine": "reference"}
    with train_here():
        run = hpsearch.Search(build, **options, out=tmp_path / "nested").run(data)
        fold = seen[0][1]
        options["nested"] = None
        alone = hpsearch.Search(build, **options, out=tmp_path / "alone").run(data.take(fold.train))
    nested = run.nested.iloc[1]
    assert alone.best["score"] == pytest.approx(nested["inner_score"], rel=1e-11)
    assert alone.best["hyperparameters"]["units"] == nested["hp.units"]
    predicted = hpsearch.predict(alone, flats().drop(columns="rent").iloc[fold.validation])
    expected = score("mae", data.y[fold.validation], predicted.to_numpy())
    assert nested["outer_score"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("stage", ["nested search 1 of 2", "nested search 2 of 2", "refit"])
def test_a_nested_search_goes_on_where_it_was_stopped(whole, search, resume, trained, stage):
    with pytest.raises(KeyboardInterrupt):
        search("part", observer=StopAt(stage))
    run = resume("part")
    assert tables_of(run) == tables_of(whole)
    assert len(trained) == EVERYTHING  # nothing twice


def test_an_inner_search_goes_on_where_it_was_stopped(
    whole, search, resume, trained, pretended, monkeypatch
):
    train = pretended.train

    def stopping(job, unit):
        if len(trained) == EVERYTHING - 1:
            monkeypatch.setattr(pretended, "train", train)
            raise KeyboardInterrupt
        return train(job, unit)

    monkeypatch.setattr(pretended, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        search("part")
    run = resume("part")
    assert tables_of(run) == tables_of(whole)
    assert len(trained) == EVERYTHING


def test_more_trials_are_added_inside_too(search, resume, trained):
    whole = search("whole", trials=3)
    search("part", trials=2)
    trained.clear()
    run = resume("part", trials=3)
    assert tables_of(run) == tables_of(whole)
    assert len(trained) == 3 * 2  # one trial on two folds, in the search and in two outer folds


def test_a_fresh_run_removes_the_journals_of_an_older_one(search, tmp_path):
    search("run")
    assert len(list((tmp_path / "run/nested").iterdir())) == 2
    run = search("run", nested=None, overwrite=True)
    assert not (tmp_path / "run/nested").exists()
    assert run.nested is None


def test_a_journal_of_other_outer_folds_is_refused(search, resume, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search("run", observer=StopAt("refit"))
    (tmp_path / "run/nested/outer-0-of-2.sqlite").rename(
        tmp_path / "run/nested/outer-1-of-2.sqlite"
    )
    with pytest.raises(InputError, match="outer folds that it began with"):
        resume("run")


def test_damage_inside_is_trained_again(whole, search, resume, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        search("part", observer=StopAt("nested search 2 of 2"))
    path = tmp_path / "part/nested/outer-0-of-2.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE units SET arrays = zeroblob(length(arrays))")
    run = resume("part")
    assert tables_of(run) == tables_of(whole)


def test_groups_stay_on_one_side_of_outer_folds(search, monkeypatch):
    seen = []
    monkeypatch.setattr("hpsearch.search.nesting._outer_folds", remembering(seen))
    data = data_of(flats(), groups="group", drop=[])
    search("run", data, trials=1)
    for fold in seen[0]:
        assert not {*data.groups[fold.train]} & {*data.groups[fold.validation]}


def test_time_runs_forward_in_outer_folds(search, monkeypatch):
    seen = []
    monkeypatch.setattr("hpsearch.search.nesting._outer_folds", remembering(seen))
    data = data_of(flats().rename(columns={"group": "week"}), time="week", drop=[])
    search("run", data, trials=1)
    for fold in seen[0]:
        assert data.time[fold.train].max() < data.time[fold.validation].min()


def test_a_nested_search_that_cannot_be_dealt_is_refused_before_any_training(search, trained):
    data = data_of(flats(12).assign(group=[0] * 4 + [1] * 4 + [2] * 4), groups="group", drop=[])
    with pytest.raises(FoldError, match=r"`--nested 4` deals outer folds as --folds"):
        search("run", data, nested=4)
    with pytest.raises(FoldError, match=r"training rows of each outer fold.*outer fold 0"):
        search("run", data, nested=3, folds=3)
    with pytest.raises(OptionError, match="`nested` must be a whole number of at least 2"):
        search("run", nested=1)
    assert trained == []


def test_an_outer_fold_whose_search_fails_leaves_no_estimate_and_says_so(
    search, pretended, monkeypatch
):
    nothing = np.full((18, 1), np.nan, np.float32)
    monkeypatch.setattr(pretended, "refit_and_predict", lambda *_: nothing)
    run = search("run", trials=1)
    assert run.ledger.nested is None
    assert run.ledger.promise.source == "bias_corrected"
    assert "nested_failed" in [warning.code for warning in run.ledger.warnings]
    assert run.nested["outer_score"].isna().all()
    assert run.nested["error"].str.contains("its refit diverged").all()


def test_what_it_costs_is_said_before_it_starts(search):
    class Notes(SilentObserver):
        def __init__(self):
            self.texts = []

        def note(self, text):
            self.texts.append(text)

    notes = Notes()
    search("run", trials=1, observer=notes)
    said = "Nested: 2 more searches follow, one in each outer fold: 4 trainings beside the 2."
    assert said in notes.texts
