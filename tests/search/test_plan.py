"""The plan of a search: sizes that no memory holds are refused before anything is dealt."""

import pytest

import hpsearch
from hpsearch.errors import FoldError, OptionError
from hpsearch.search import plan
from hpsearch.search.options import Options


@pytest.fixture
def dataset():
    return hpsearch.load("sklearn:iris")


def test_folds_that_no_memory_holds_are_refused(dataset, monkeypatch):
    monkeypatch.setattr(plan, "MOST_ROW_NUMBERS", 4 * 3 * 150)
    plan.check_sizes(Options(), dataset)
    said = (
        r"4 folds, 4 times, of 150 rows are 2,400 numbers .* 1,800 are the most\. Lower --repeats"
    )
    with pytest.raises(FoldError, match=said):
        plan.check_sizes(Options(repeats=4), dataset)
    with pytest.raises(FoldError, match="Lower --max-repeats"):
        plan.check_sizes(Options(until_decided=True), dataset)


def test_epochs_whose_predictions_no_memory_holds_are_refused(dataset, monkeypatch):
    monkeypatch.setattr(plan, "MOST_PREDICTED_BYTES", 4 * 100 * 150 * 3)
    plan.check_sizes(Options(), dataset)
    with pytest.raises(OptionError, match=r"--epochs 101 on 150 rows make .* Lower --epochs"):
        plan.check_sizes(Options(epochs=101), dataset)


def test_a_session_is_told_how_many_candidates_there_may_be(dataset):
    planned = plan.plan_search(Options(trials=7), dataset)
    assert planned.for_the_session().n_candidates == 7
