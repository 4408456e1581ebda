"""What all replicas of a search share."""

import os
import resource

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.engines.fit_data import read_fit_data, smallest_training_set
from hpsearch.folds import Fold, IteratedKFold, make_folds


def test_the_smallest_training_set_does_not_depend_on_the_number_of_repeats():
    folds = [Fold(r, f, range(10 - r - f), [20]) for r in range(3) for f in range(2)]
    assert smallest_training_set(folds) == smallest_training_set(folds[:2]) == 9


@pytest.fixture
def few_files():
    """A process that may open few more files than it has open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_folds_are_read_as_they_were_written_however_many_there_are(table, make_job, few_files):
    dataset = table("regression")
    job = make_job(dataset, lambda hp: None, n_folds=3, repeats=200)
    data = read_fit_data(job.data_path)
    written = make_folds(IteratedKFold(3, 200, random_state=0), dataset)
    assert len(data.folds) == 600
    for read, fold in zip(data.folds, written, strict=True):
        assert (read.repeat, read.fold) == (fold.repeat, fold.fold)
        for name in ("train", "validation"):
            np.testing.assert_array_equal(getattr(read, name), getattr(fold, name))
            assert not getattr(read, name).flags.writeable
            assert not getattr(read, name).flags.owndata  # mapped
    read_fit_data.cache_clear()


def test_levels_are_encoded_by_what_is_counted_for_one_unit_of_exposure(make_job):
    years = np.tile([1.0, 10.0], 30)
    town = np.repeat(["a", "b", "c"], 20)
    frame = pd.DataFrame({"town": town, "years": years, "hits": years * (1 + (town == "b"))})
    data = hpsearch.load(frame, target="hits", task="count", exposure="years")
    found = read_fit_data(make_job(data, lambda hp: None).data_path)
    means = found.statistics_of(None, ["town.target"]).views["level_means"][1:, 0]
    np.testing.assert_allclose(means, [-(0.5**0.5), 2**0.5, -(0.5**0.5)], rtol=1e-5)
