"""What a threshold may be chosen by: how it is written, what it is about, what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.decisions.rules import Confusion, ThresholdRule, check_suits
from hpsearch.errors import OptionError
from hpsearch.metrics import score
from hpsearch.task import Target

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 80)
SAID = np.where(RNG.random(80) < 0.7, Y, 1 - Y).astype(float)
ROWS = Confusion(
    *(
        np.array([float(((true == Y) & (said == SAID)).sum())])
        for true, said in ((1, 1), (0, 1), (1, 0), (0, 0))
    )
)


@pytest.mark.parametrize(
    ("asked", "metric"),
    [
        ("f1", "f1"),
        ("f_beta_2", "f_beta_2"),
        ("f0.5", "f_beta_0.5"),
        ("balanced", "balanced_accuracy"),
        ("mcc", "matthews"),
        ("kappa", "cohen_kappa"),
        ("accuracy", "accuracy"),
        ("recall>=0.9", "recall"),
        ("precision>=0.9", "precision"),
    ],
)
def test_a_rules_figure_is_the_metric_of_that_name(asked, metric):
    rule = ThresholdRule.of(asked)
    assert rule.name == metric
    assert_allclose(rule.figure(ROWS)[0], score(metric, Y, SAID), rtol=1e-12)


def test_youdens_index_is_recall_and_specificity_less_1():
    recall, specificity = SAID[Y == 1].mean(), 1 - SAID[Y == 0].mean()
    assert_allclose(ThresholdRule.of("youden").figure(ROWS)[0], recall + specificity - 1)


def test_a_cost_is_that_of_a_row():
    missed, alarms = ((Y == 1) & (SAID == 0)).sum(), ((Y == 0) & (SAID == 1)).sum()
    rule = ThresholdRule.of("cost:FN=5,FP=2")
    assert rule.direction == "min"
    assert_allclose(rule.figure(ROWS)[0], (5 * missed + 2 * alarms) / len(Y))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("best", "received 'best'"),
        ("", "received ''"),
        ("profit.py:profit", "would be called for every threshold"),
        (True, "received True"),
        (["f1"], "received"),
        (1.5, "from 0 to 1; received 1.5"),
        ("nan", "from 0 to 1; received nan"),
        ("-0.1", "from 0 to 1"),
        ("recall", "with the quotes"),
        ("recall>=1.1", "a share above 0, up to 1; received '1.1'"),
        ("recall>=0", "a share above 0"),
        ("precision>=most", "received 'most'"),
        ("f1>=0.5", "holds one of recall, precision, specificity"),
        ("cost", "Write for instance cost:FN=5,FP=1"),
        ("cost:FP=1", "both numbers above 0; received 'cost:fp=1'"),
        ("cost:FN=0,FP=1", "both numbers above 0"),
        ("cost:FN=inf,FP=1", "both numbers above 0"),
        ("cost:FN=5,FP=1,TP=2", "both numbers above 0"),
        ("cost:FN=5,FP=1,FN=50", "both numbers above 0"),
        ("f_beta_0", "a number above 0, up to 1,000"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_line(asked, said):
    with pytest.raises(OptionError) as caught:
        ThresholdRule.of(asked)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "labels", "remedy"),
    [
        ("multiclass", ("a", "b", "c"), "the most probable one is predicted"),
        ("regression", (), "Leave --threshold out"),
    ],
)
def test_a_threshold_is_of_labels(kind, labels, remedy):
    with pytest.raises(OptionError, match=remedy):
        check_suits(ThresholdRule.of("f1"), Target(("y",), kind, labels))


@pytest.mark.parametrize("asked", ["f1", "cost:FN=5,FP=0.5", "recall>=0.9", "f_beta_0.5", "0.25"])
def test_a_rules_text_is_the_rule(asked):
    rule = ThresholdRule.of(asked)
    assert ThresholdRule.of(rule.text).text == rule.text
