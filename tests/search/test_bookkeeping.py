"""Whose predictions the bias correction compares."""

import numpy as np
import pytest

from hpsearch.scoring.trials import TrialResult
from hpsearch.search.bookkeeping import Books
from hpsearch.space.space import Candidate


def trial(number, score, status="completed"):
    row = {"trial": number, "status": status, "score": score}
    candidate = Candidate(number, {})
    return TrialResult(candidate, row, asked=candidate, predictions=(np.zeros(2, np.float32),))


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_every_completed_trial_takes_part_once_the_selected_one_first(winner):
    scores = [0.3, 0.2, 0.1]
    results = tuple(trial(number, score) for number, score in enumerate(scores))
    books = Books(
        results=(*results, trial(3, 0.05, "stopped")),
        best=trial(winner, scores[winner]),  # as it is read again from the journal
        dataset=None,
        folds=(),
        metrics=("log_loss",),
        rule="best",
        keeps_copies_together=True,
        seed=0,
    )
    numbers = [result.candidate.trial for result in books.best_first]
    assert numbers[0] == winner
    assert sorted(numbers) == [0, 1, 2]
