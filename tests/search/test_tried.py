"""Configurations that are scored first: read from everywhere, refused in one line, kept in runs."""

import json

import pandas as pd
import pytest
from keras_tuner import HyperParameters

import hpsearch
from hpsearch.errors import InputError, OptionError
from hpsearch.oracles import oracle_names
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.options import Options
from hpsearch.search.tried import read_tried, told
from tests.search.lines import configurations, searching

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TWO = [{"units": 5, "rate": 0.2}, {"units": 3}]


def read(value):
    return read_tried("tried", value)


@pytest.fixture
def written(tmp_path):
    """Writes a file, and gives its path."""

    def written(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


# -- reading


def test_json_holds_one_configuration_or_several(written):
    assert read(written("a.json", json.dumps(TWO))) == tuple(TWO)
    assert read(written("b.json", json.dumps(TWO[0]))) == (TWO[0],)
    assert read(json.dumps(TWO)) == tuple(TWO)


def test_the_document_of_a_winner_holds_its_configuration(written):
    assert read(written("best.json", json.dumps({"trial": 3, "hyperparameters": TWO[0]}))) == (
        TWO[0],
    )


def test_a_table_has_a_line_for_each_and_empty_cells_count_as_left_out(written):
    path = written("a.csv", "units,rate,kind\n5,0.2,'=a\n3,,\n")
    assert read(path) == ({"units": "5", "rate": "0.2", "kind": "=a"}, {"units": "3"})


def test_of_a_runs_table_trials_that_failed_are_left_out(written):
    text = "trial,status,score,hp.units,hp.rate\n1,completed,0.2,5,0.2\n0,failed,,3,0.8\n"
    assert read(written("trials.csv", text)) == ({"units": "5", "rate": "0.2"},)
    assert read(pd.read_csv(written("trials.csv", text))) == ({"units": 5, "rate": 0.2},)


def test_keras_tuners_own_hyperparameters_are_taken_without_its_books():
    hp = HyperParameters()
    hp.values = {"units": 4, "tuner/epochs": 3, "tuner/trial_id": "0001"}
    assert read(hp) == read([hp]) == ({"units": 4},)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "a list of dictionaries, one for each configuration; received int"),
        ([], "from 1 to 10,000 configurations; received 0"),
        ([{"units": 1}] * 10_001, "from 1 to 10,000 configurations; received 10,001"),
        ([{}], "which has none"),
        ([5], "names and values for each configuration, such as .*; received 5"),
        ([{"units": [1, 2]}], r"'units' has \[1, 2\]"),
        ([{"rate": float("inf")}], "'rate' has inf"),
        ("[1, ", "its text cannot be read"),
        ("[" * 100_000, "its text cannot be read"),
        ("runs.txt", r"ends in .json or .csv; received 'runs.txt'"),
        ("~nobody-here/a.csv", "needs a user's home folder"),
        ("~nobody\0.csv", "needs a user's home folder"),
        ("a\0.csv", "the system can follow"),
        ("x" * 5000 + ".csv", "the system can follow"),
        ("no-such.csv", "a file that is there; 'no-such.csv' is not"),
    ],
)
def test_what_holds_no_configurations_is_refused(value, said):
    with pytest.raises(OptionError, match=said):
        Options(tried=value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"units,rate\n1,2,3\n", "cells without one"),
        ("a.csv", b'units\n"1\n', "cannot be read"),
        ("a.csv", b"units\n", "received 0"),
        ("a.csv", b"", "received 0"),
        ("a.csv", b"\xff\xfe\x00", "a text in UTF-8"),
        ("a.json", b"{", "cannot be read"),
        ("a.json", b"3", "names and values"),
    ],
)
def test_a_file_that_holds_none_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=said):
        read(tmp_path / name)


def test_what_is_said_names_defaults_what_is_idle_and_what_is_too_many():
    hp = HyperParameters()
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.9)
    lines = list(told(hp, [{"momentum": 0.5}, {"optimizer": "sgd"}], n_trials=1))
    assert lines == [
        "Tried first: 1 configuration of --try of 2, and --trials is no more; then come the "
        "space's defaults.",
        "--try leaves out optimizer, momentum at times, which then have the space's defaults.",
        "--try gives momentum where that is not active, so it counts for nothing there.",
    ]


# -- searching


@pytest.fixture
def search(tmp_path, pretend_here):
    return searching(tmp_path, pretend_here)


@pytest.mark.parametrize(
    "oracle", [name for name in oracle_names() if name not in ("gp", "hyperband")]
)
def test_they_are_scored_first_whoever_proposes(search, oracle):
    run = search("run", tried=TWO, oracle=oracle)
    assert configurations(run)[:3] == [(5, 0.2), (3, 0.1), (2, 0.1)]


def test_hyperband_has_them_in_its_first_bracket(search):
    run = search("run", tried=TWO, oracle="hyperband", epochs=9, trials=6)
    assert configurations(run)[:3] == [(5, 0.2), (3, 0.1), (2, 0.1)]


def test_the_trials_of_another_run_are_scored_again_the_best_first(search):
    first = search("first", baselines=False)
    again = search("again", tried=first.path / "trials.csv", seed=7, baselines=False)
    ranked = list(zip(first.trials["hp.units"], first.trials["hp.rate"], strict=True))
    assert configurations(again) == ranked


@pytest.mark.parametrize(
    ("tried", "said"),
    [
        ([{"units": 4}, {"unit": 5}], "--try, configuration 2 of 2: The space declares no"),
        ([{"units": 7}], "--try, configuration 1 of 1: Hyperparameter 'units' allows"),
    ],
)
def test_what_the_space_does_not_have_is_one_line_before_any_training(
    search, tried, said, tmp_path
):
    with pytest.raises(InputError, match=said):
        search("run", tried=tried)
    assert not (tmp_path / "run" / "journal.sqlite").exists()


def test_a_run_that_grows_or_goes_on_keeps_them(search):
    whole = search("whole", tried=TWO)
    search("grown", tried=TWO, trials=1)
    grown = search("grown", go_on={"trials": 4})
    for name in ("trials.csv", "folds.csv", "run.json"):
        assert (grown.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert whole.settings["tried"] == TWO
    assert '--try \'[{"rate": 0.2, "units": 5}, {"units": 3}]\'' in whole.settings["command"]
    with pytest.raises(InputError, match="option tried"):
        search("whole", go_on={"tried": TWO[:1]})


def test_searches_in_outer_folds_try_them_too(search, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "hpsearch.search.nesting.make_oracle",
        lambda *asked: seen.append(asked[2].first) or hpsearch.oracles.make_oracle(*asked),
    )
    search("run", tried=TWO, nested=2, trials=2, baselines=False)
    assert seen == [(*TWO, {})] * 2


def test_what_became_of_them_is_said(search):
    notes = []

    class Listener(SilentObserver):
        def note(self, text):
            notes.append(text)

    search("run", tried=TWO, observer=Listener())
    assert "Tried first: 2 configurations of --try; then come the space's defaults." in notes
