"""The networks of a trial's folds, out of a session and its journal."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.errors import HpsearchError
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.scoring.session import Session
from hpsearch.space.space import Candidate
from tests.sessions import MemoryJournal, pretended_plan

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def session(pretend_here, tmp_path):
    x = np.random.default_rng(0).normal(size=(24, 2)).round(2)
    data = hpsearch.load(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0]}), target="y")
    plan = pretended_plan(tmp_path)
    folds = make_folds(IteratedKFold(3, 1, random_state=0), data)
    with pretend_here(), Session(plan, data, folds) as session:
        session.prepare()
        yield session


def test_each_network_predicts_what_was_recorded_of_its_validation_rows(session, pretended):
    journal = MemoryJournal()
    [trial] = session.score([Candidate(0, {"rate": 0.4})], journal)
    recorded = dict(journal.rows)
    networks = session.networks_of_folds(trial, journal)
    assert (networks.engine, networks.epoch) == ("pretended", trial.row["best_epoch"])
    assert [fold.position for fold in networks.folds] == [0, 1, 2]
    assert journal.rows == recorded, "nothing is recorded again"
    data = read_fit_data(session.job.data_path)
    for fold, predictions in zip(networks.folds, trial.predictions, strict=True):
        assert fold.is_recorded
        model = pretended.FoldModel.of(session.job, networks.candidate, fold)
        found = model.predict(data.encoded.take(data.folds[fold.position].validation))
        np.testing.assert_array_equal(found, predictions)
    assert session.crew.workers_of("pretended") is session.workers


def test_networks_of_some_folds_are_those_folds_alone(session):
    [trial] = session.score([Candidate(0, {"rate": 0.1})], journal := MemoryJournal())
    [fold] = session.networks_of_folds(trial, journal, [1]).folds
    np.testing.assert_array_equal(fold.predictions, trial.predictions[1])


def test_a_network_that_predicts_otherwise_than_was_recorded_is_known(session):
    [trial] = session.score([Candidate(0, {"rate": 0.1})], journal := MemoryJournal())
    trial.predictions[1][0] += 1e-6
    folds = session.networks_of_folds(trial, journal).folds
    assert [fold.is_recorded for fold in folds] == [True, False, True]


def test_a_training_that_fails_this_time_says_so(session, monkeypatch):
    [trial] = session.score([Candidate(0, {"rate": 0.1})], journal := MemoryJournal())
    monkeypatch.setitem(trial.asked.values, "rate", 1.0)
    with pytest.raises(HpsearchError, match="could not be made again: its rate is too high"):
        session.networks_of_folds(trial, journal)
