"""The plan of a search: sizes that no memory holds are refused before anything is dealt."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import FoldError, OptionError
from hpsearch.search import plan
from hpsearch.search.options import Options
from hpsearch.search.usual_budget import with_budget


@pytest.fixture
def dataset():
    return hpsearch.load("sklearn:iris")


def test_folds_that_no_memory_holds_are_refused(dataset, monkeypatch):
    monkeypatch.setattr(plan, "MOST_ROW_NUMBERS", 4 * 3 * 150)
    plan.check_sizes(with_budget(Options(), 150), dataset)
    said = (
        r"4 folds, 4 times, of 150 rows are 2,400 numbers .* 1,800 are the most\. Lower --repeats"
    )
    with pytest.raises(FoldError, match=said):
        plan.check_sizes(with_budget(Options(repeats=4), 150), dataset)
    with pytest.raises(FoldError, match="Lower --max-repeats"):
        plan.check_sizes(with_budget(Options(until_decided=True), 150), dataset)


def test_epochs_whose_predictions_no_memory_holds_are_refused(dataset, monkeypatch):
    monkeypatch.setattr(plan, "MOST_PREDICTED_BYTES", 4 * 100 * 150 * 3)
    plan.check_sizes(with_budget(Options(), 150), dataset)
    with pytest.raises(OptionError, match=r"--epochs 101 on 150 rows make .* Lower --epochs"):
        plan.check_sizes(with_budget(Options(epochs=101), 150), dataset)


def test_a_session_is_told_how_many_candidates_there_may_be(dataset):
    planned = plan.plan_search(Options(trials=7), dataset)
    assert planned.for_the_session().n_candidates == 7


@pytest.mark.parametrize("where", ["data", "test_data"])
def test_a_metric_that_a_target_has_no_value_for_is_refused_before_anything_is_dealt(where):
    rows = pd.DataFrame({"x": np.arange(40.0), "y": np.arange(1.0, 41.0)})
    bad = rows.assign(y=rows["y"] - 1)
    data = hpsearch.load(bad if where == "data" else rows, target="y", task="regression")
    options = Options(metric="gamma_deviance", test_data=bad if where == "test_data" else None)
    with pytest.raises(OptionError, match="gamma_deviance needs target values above 0; received 1"):
        plan.plan_search(options, data)
