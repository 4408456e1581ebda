"""Figures of counts: what is observed beside what Poisson's distribution expects."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.report.counts import MOST_COUNTS, dispersion, frequencies
from hpsearch.report.predictions import Predicted


def counts(mean, n=20_000, seed=0, kind="count"):
    rng = np.random.default_rng(seed)
    expected = np.broadcast_to(mean, n).astype(float)
    truth = rng.poisson(expected)[:, np.newaxis].astype(float)
    return Predicted(
        kind, ("y",), truth, expected[:, np.newaxis], np.arange(n), np.zeros(n, np.int64)
    )


def test_counts_of_poissons_distribution_are_observed_as_often_as_expected():
    rates = np.random.default_rng(1).gamma(2.0, 1.0, 20_000)
    spec = frequencies(counts(rates))
    observed, expected = (line["shares"] for line in spec["series"])
    assert spec["edges"][:3] == [-0.5, 0.5, 1.5]
    assert_allclose(observed, expected, atol=0.01)
    assert sum(observed) == pytest.approx(1.0, abs=1e-3)
    assert dispersion(counts(rates)) == pytest.approx(1.0, abs=0.05)


def test_the_shares_of_one_rate_are_poissons():
    spec = frequencies(counts(1.0))
    _, expected = (line["shares"] for line in spec["series"])
    assert expected[:2] == pytest.approx([0.3679, 0.3679], abs=1e-4)


def test_large_counts_share_bars():
    spec = frequencies(counts(300.0))
    assert 10 < len(spec["edges"]) - 1 <= MOST_COUNTS


def test_other_numbers_have_no_such_figure():
    assert frequencies(counts(1.0, kind="regression")) is None
