"""Sessions on what a journal holds in part."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.scoring.session import Session
from hpsearch.scoring.stages import Stage
from hpsearch.space.space import Candidate
from tests.sessions import MemoryJournal, pretended_plan

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_epochs_whose_beginning_was_lost_are_trained_again(pretend_here, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 2)).round(2)
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] + rng.normal(0, 1, 24)})
    data = hpsearch.load(table, target="y")
    plan = pretended_plan(tmp_path)
    folds = make_folds(IteratedKFold(2, 1, random_state=0), data)
    first, last = Stage((0, 1), 0, 2, is_last=False), Stage((0, 1), 1, 2)
    candidate, journal = Candidate(0, {"rate": 0.1}), MemoryJournal()
    with pretend_here(), Session(plan, data, folds) as session:
        session.prepare()
        list(session.score([candidate], journal, stage=first))
        [whole] = session.score([candidate], journal, stage=last)
        journal.rows = {key: row for key, row in journal.rows.items() if key[2] > 0}
        assert journal.rows, "the later rung is still there"
        [again] = session.score([candidate], journal, stage=last)
    assert (again.row, again.curves, again.folds) == (whole.row, whole.curves, whole.folds)
