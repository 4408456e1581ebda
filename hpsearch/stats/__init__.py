"""Statistics of scores, curves and predictions: pure functions on arrays.

``intervals`` has standard errors and t intervals of mean fold scores; ``curves`` the rules that
read an epoch off a curve; ``selection`` those that select a trial by its fold scores;
``bootstrap`` what bootstraps of predictions say of a selection and of a test score; ``raced`` the
same where trials ended early;
``comparison`` two trials on the same folds; ``variance`` where the variance of scores comes from.
Every function names its paper. Where scores come from belongs to ``hpsearch.engines``, what is done
with a selected trial to ``hpsearch.search.execution``.
"""

from hpsearch.stats.base import Floats
from hpsearch.stats.bootstrap import (
    BiasCorrected,
    ScoreInterval,
    bias_corrected_cv,
    bias_corrected_cv_of_epochs,
    bootstrap_interval,
)
from hpsearch.stats.comparison import (
    Comparison,
    Decision,
    PairedTest,
    check_rope,
    corrected_t_test,
    correlated_bayes_test,
    repeats_until_decided,
)
from hpsearch.stats.curves import best_epoch, patience_stop
from hpsearch.stats.intervals import corrected_se, naive_se, t_interval
from hpsearch.stats.raced import RaceStep, bias_corrected_race
from hpsearch.stats.selection import (
    FoldwiseCorrection,
    one_standard_error,
    tibshirani_correction,
)
from hpsearch.stats.variance import Gain, VarianceComponents, variance_components
from hpsearch.task import Direction

__all__ = [
    "BiasCorrected",
    "Comparison",
    "Decision",
    "Direction",
    "Floats",
    "FoldwiseCorrection",
    "Gain",
    "PairedTest",
    "RaceStep",
    "ScoreInterval",
    "VarianceComponents",
    "best_epoch",
    "bias_corrected_cv",
    "bias_corrected_cv_of_epochs",
    "bias_corrected_race",
    "bootstrap_interval",
    "check_rope",
    "corrected_se",
    "corrected_t_test",
    "correlated_bayes_test",
    "naive_se",
    "one_standard_error",
    "patience_stop",
    "repeats_until_decided",
    "t_interval",
    "tibshirani_correction",
    "variance_components",
]
