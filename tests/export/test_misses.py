"""A training on all rows that ends far behind those of the folds is tried again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.export import refit
from hpsearch.export.members import OnAllRows, Part
from hpsearch.export.misses import N_SAMPLED, SEEDS_BETWEEN, TRAININGS, Usual
from hpsearch.metrics import metric_named, score
from hpsearch.space.space import Candidate

FOLDS = Usual((0.52, 0.53, 0.51, 0.52, 0.71), 0.56)
"""One of them missed itself, which moves neither the median nor its deviation."""

SMALL = {
    "trials": 1,
    "folds": 2,
    "repeats": 1,
    "epochs": 2,
    "jobs": 1,
    "baselines": False,
    "reports": False,
    "quiet": True,
}


@pytest.mark.parametrize(
    ("scores", "direction", "score", "is_missed"),
    [
        (FOLDS.scores, "min", 0.60, False),
        (FOLDS.scores, "min", 0.72, True),
        (FOLDS.scores, "min", 0.01, False),
        (FOLDS.scores, "min", np.nan, True),
        ((0.2, 0.4, 0.6), "min", 1.5, False),  # where folds differ much, so may it
        ((0.2, 0.4, 0.6), "min", 2.3, True),
        ((0.90, 0.92, 0.91), "max", 0.70, False),
        ((0.90, 0.92, 0.91), "max", 0.60, True),
        ((0.90, 0.92, 0.91), "max", 0.99, False),
        ((), "min", 99.0, False),
        ((0.5, 0.5), "min", 99.0, False),
    ],
)
def test_far_behind_the_folds_is_missed(scores, direction, score, is_missed):
    assert Usual(scores, 0.5).is_missed_by(score, direction) is is_missed


def test_networks_that_know_their_rows_by_heart_are_not_held_to_next_to_nothing():
    assert not Usual((0.01, 0.01, 0.01), 0.3).is_missed_by(0.05, "min")
    assert Usual((0.01, 0.01, 0.01), 0.3).is_missed_by(0.2, "min")
    assert not Usual((0.0, 0.0, 0.0), 0.1).is_missed_by(0.01, "min")


def test_what_is_usual_is_read_from_the_rows_of_the_folds():
    scores = [(0.5, 0.9), (np.nan, 0.8), (0.6, 0.7)]
    usual = Usual.of([{"train_mae": one, "val_mae": other} for one, other in scores], "mae")
    assert usual == Usual((0.5, 0.6), 0.8)


@pytest.fixture
def trainings(monkeypatch):
    """What is kept of a member whose trainings give losses, where they missed, or errors."""

    def kept(losses, usual=FOLDS, number=0):
        left = iter(losses)

        def made(member, *_):
            ended_with = next(left)
            if isinstance(ended_with, Exception):
                raise ended_with
            return Part(network=(member.number, ended_with), form=None, statistics=None)

        monkeypatch.setattr(refit, "_loss_if_missed", lambda part, *_: part.network[1])
        monkeypatch.setattr(OnAllRows, "made", made)
        job = SimpleNamespace(options=SimpleNamespace(metrics=["mae"]))
        member = OnAllRows(Candidate(0, {}), 10, number, usual=usual)
        part = refit._made(member, None, job, None)
        return part.network[0], part.n_trainings

    return kept


def test_a_training_that_did_not_miss_is_the_only_one(trainings):
    assert trainings([None]) == (0, 1)


def test_one_that_missed_is_tried_under_another_seed(trainings):
    assert trainings([0.8, None], number=2) == (2 + SEEDS_BETWEEN, 2)


def test_of_those_that_all_missed_the_best_is_kept(trainings):
    assert trainings([0.9, 0.7, 0.8]) == (SEEDS_BETWEEN, TRAININGS)
    assert trainings([np.inf, np.inf, 0.8]) == (2 * SEEDS_BETWEEN, TRAININGS)


def test_what_goes_wrong_later_costs_nothing_that_is_there(trainings):
    assert trainings([0.9, ValueError("no memory")]) == (0, 1)
    with pytest.raises(ValueError, match="no memory"):
        trainings([ValueError("no memory")])


def test_where_there_are_no_folds_nothing_is_looked_at(trainings):
    assert trainings([0.9], usual=None) == (0, 1)


class Rows:
    """Training data of many rows, on which a network is off by what is asked."""

    def __init__(self, monkeypatch, off, n_rows=N_SAMPLED + 100):
        self.asked, self.y = [], np.zeros((n_rows, 1))
        self.encoded = SimpleNamespace(n_rows=n_rows)

        def predicted(part, data, rows):
            self.asked.append(len(rows))
            return off(rows)[:, np.newaxis]

        monkeypatch.setattr(refit, "_on_training_rows", predicted)

    def scores(self, metric, rows, predictions):
        return score(metric, self.y[rows], predictions, kind="regression")

    def loss(self):
        return refit._loss_if_missed(None, FOLDS, metric_named("mae"), self)


def test_a_sample_is_enough_where_it_does_not_look_missed(monkeypatch):
    rows = Rows(monkeypatch, lambda rows: np.full(len(rows), 0.5))
    assert (rows.loss(), rows.asked) == (None, [N_SAMPLED])


def test_all_rows_decide_where_a_sample_looks_missed(monkeypatch):
    def off(rows):
        return np.full(len(rows), 0.8 if len(rows) == N_SAMPLED else 0.5)

    rows = Rows(monkeypatch, off)
    assert (rows.loss(), rows.asked) == (None, [N_SAMPLED, N_SAMPLED + 100])
    assert Rows(monkeypatch, lambda rows: np.full(len(rows), 0.8)).loss() == pytest.approx(0.8)
    few = Rows(monkeypatch, lambda rows: np.full(len(rows), 0.8), n_rows=50)
    assert (few.loss(), few.asked) == (pytest.approx(0.8), [50])


def test_what_diverged_is_missed_and_a_metric_without_a_value_is_not(monkeypatch):
    assert Rows(monkeypatch, lambda rows: np.full(len(rows), np.nan)).loss() == np.inf
    rows = Rows(monkeypatch, lambda rows: np.full(len(rows), 0.5))
    rows.scores = lambda *_: np.nan
    assert rows.loss() is None


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_is_exported_is_the_best_of_trainings_that_missed(train_here, monkeypatch, tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(24, 3)), columns=[*"abc"])
    data, looked_at = hpsearch.load(frame, target="c"), []
    loss_if_missed = refit._loss_if_missed

    def remembered(*arguments):
        looked_at.append(loss_if_missed(*arguments))
        return looked_at[-1]

    def exported(name):
        with train_here() as engine:
            search = hpsearch.Search("mlp", **SMALL, engine=engine, out=tmp_path / name)
            run = search.run(data)
            said = hpsearch.predict(run, frame)["c"]
        return float((said - frame["c"]).abs().mean()), run.best["refit"]["n_trainings"]

    monkeypatch.setattr(refit, "_loss_if_missed", remembered)
    usual, n_trainings = exported("usual")
    assert (looked_at, n_trainings) == ([None], 1)
    every = Usual((1e-9, 1e-9, 1e-9), 1e-9)  # so that every training missed
    monkeypatch.setattr(Usual, "of", lambda *_: every)
    best, n_trainings = exported("missed")
    assert best == pytest.approx(min(looked_at[1:]))
    assert usual == pytest.approx(looked_at[1])
    assert len(looked_at) - 1 == n_trainings == TRAININGS
