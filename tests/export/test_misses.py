"""A training on all rows that ends far behind those of the folds is tried again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.export import refit
from hpsearch.export.members import OnAllRows
from hpsearch.export.misses import SEEDS_BETWEEN, TRAININGS, Usual
from hpsearch.space.space import Candidate

FOLDS = Usual((0.52, 0.53, 0.51, 0.52, 0.71))
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
    ],
)
def test_far_behind_the_folds_is_missed(scores, direction, score, is_missed):
    assert Usual(scores).is_missed_by(score, direction) is is_missed


def test_what_is_usual_is_read_from_the_rows_of_the_folds():
    rows = [{"train_mae": 0.5, "val_mae": 0.9}, {"train_mae": np.nan}, {"train_mae": 0.6}]
    assert Usual.of(rows, "mae").scores == (0.5, 0.6)


@pytest.fixture
def trainings(monkeypatch):
    """Makes a member of whose trainings the training scores are given; gives what was trained."""
    trained = []

    def made(scores, usual=FOLDS, number=0, metric="mae"):
        left = iter(scores)
        monkeypatch.setattr(refit, "_on_training_rows", lambda *_: next(left))
        monkeypatch.setattr(OnAllRows, "made", lambda self, *_: trained.append(self.number) or self)
        member = OnAllRows(Candidate(0, {}), 10, number, usual=usual)
        job = SimpleNamespace(options=SimpleNamespace(metrics=[metric]))
        return refit._made(member, None, job, None).number, trained

    return made


def test_a_training_that_did_not_miss_is_the_only_one(trainings):
    assert trainings([0.55]) == (0, [0])


def test_one_that_missed_is_tried_under_another_seed(trainings):
    assert trainings([0.8, 0.55], number=2) == (2 + SEEDS_BETWEEN, [2, 2 + SEEDS_BETWEEN])


def test_of_those_that_all_missed_the_best_is_kept(trainings):
    kept, trained = trainings([0.9, np.nan, 0.8])
    assert (kept, len(trained)) == (2 * SEEDS_BETWEEN, TRAININGS)


def test_large_is_good_where_the_metric_says_so(trainings):
    usual = Usual((0.9, 0.91, 0.92))
    assert trainings([0.3, 0.5, 0.4], usual, metric="r2")[0] == SEEDS_BETWEEN


def test_where_there_are_no_folds_nothing_is_looked_at(trainings):
    assert trainings([], usual=None) == (0, [0])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_what_is_exported_is_the_best_of_trainings_that_missed(train_here, monkeypatch, tmp_path):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(24, 3)), columns=[*"abc"])
    data, looked_at = hpsearch.load(frame, target="c"), []
    of_rows = refit._on_training_rows

    def remembered(*arguments):
        looked_at.append(of_rows(*arguments))
        return looked_at[-1]

    def exported(name):
        with train_here() as engine:
            search = hpsearch.Search("mlp", **SMALL, engine=engine, out=tmp_path / name)
            run = search.run(data)
            said = hpsearch.predict(run, frame)["c"]
        return float((said - frame["c"]).abs().mean())

    monkeypatch.setattr(refit, "_on_training_rows", remembered)
    usual = exported("usual")
    assert looked_at == [pytest.approx(usual)]
    monkeypatch.setattr(Usual, "of", lambda *_: Usual((1e-9,)))  # so that every training missed
    best = exported("missed")
    assert len(looked_at) == 1 + TRAININGS
    assert best == pytest.approx(min(looked_at[1:]))
    assert looked_at[1] == looked_at[0]
