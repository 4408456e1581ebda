"""Metrics of quantiles: scikit-learn's pinball loss, coverage, and rows that count or weigh."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_pinball_loss

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, resolve_metric, score, weighted_score
from hpsearch.task import Quantiles, Target

LEVELS = (0.1, 0.5, 0.9)
KIND = Quantiles(LEVELS)
NAMES = ("mean_pinball", "pinball_0.5", "coverage", "coverage_error", "interval_width")
RNG = np.random.default_rng(0)
Y = RNG.normal(size=(40, 1))
P = np.sort(RNG.normal(size=(2, 40, 3)), axis=-1)


def test_pinball_losses_are_scikit_learns():
    each = [mean_pinball_loss(Y, P[0][:, i], alpha=level) for i, level in enumerate(LEVELS)]
    assert score("mean_pinball", Y, P[0], kind=KIND) == pytest.approx(np.mean(each), rel=1e-12)
    for level, expected in zip(LEVELS, each, strict=True):
        found = score(f"pinball_{level}", Y[:, 0], P[0], kind=KIND)
        assert found == pytest.approx(expected, rel=1e-12)


def test_coverage_and_width_are_those_of_the_outer_levels():
    y, p = np.array([0.0, 1.0, 2.0, 3.0]), np.tile([0.5, 1.5, 2.0], (4, 1))
    assert score("coverage", y, p, kind=KIND) == 0.5
    assert score("interval_width", y, p, kind=KIND) == 1.5
    off = np.mean([abs(0.25 - 0.1), abs(0.5 - 0.5), abs(0.75 - 0.9)])
    assert score("coverage_error", y, p, kind=KIND) == pytest.approx(off)


@pytest.mark.parametrize("name", NAMES)
def test_counted_and_weighted_rows_score_as_repeated_ones(name):
    counts = RNG.multinomial(40, np.full(40, 1 / 40), size=3)
    found = weighted_score(name, Y, P, counts, kind=KIND)
    for times, scores in zip(counts, found, strict=True):
        rows = np.repeat(np.arange(40), times)
        assert_allclose(scores, score(name, Y[rows], P[:, rows], kind=KIND), rtol=1e-9)
        weighed = score(name, Y, P, kind=KIND, weights=times)
        assert_allclose(weighed, scores, rtol=1e-9)


def test_the_usual_metrics_of_quantiles():
    assert resolve_metric(KIND) == ("mean_pinball", "coverage_error", "interval_width")
    assert [METRICS[name].direction for name in NAMES] == ["min", "min", "max", "min", "min"]
    with pytest.raises(OptionError, match="must suit a quantile problem: mean_pinball"):
        resolve_metric(KIND, "mae")


def test_a_level_that_is_not_predicted_has_no_pinball_loss():
    target = Target(("y",), "quantile", levels=LEVELS)
    METRICS["pinball_0.5"].check_target(target, Y)
    METRICS["pinball_0.3"].check_target(Target(("y",), "regression"), Y)
    with pytest.raises(OptionError, match=r"needs a level of 0\.3 .* the levels 0\.1, 0\.5, 0\.9"):
        METRICS["pinball_0.3"].check_target(target, Y)
    assert np.isnan(score("pinball_0.3", Y, P[0], kind=KIND))


def test_levels_must_be_known():
    with pytest.raises(ValueError, match="need their levels"):
        score("mean_pinball", Y, P[0], kind="quantile")
