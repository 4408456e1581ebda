"""Diagnoses of the training: what the tables of a finished run say about it, and what to try.

Pure functions of tables. Each rule is a generator in the module of its subject that yields a
``Diagnosis`` or nothing: ``fitting`` (learning curves), ``modes`` (training and inference mode),
``rates`` (learning rates), ``predicted`` (out-of-fold predictions), ``single_rows`` (one of them)
and ``outliers`` (folds). This module says which rules there are and which finding explains another.
``docs/diagnoses.md`` says why each threshold is what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.diagnoses.base import Chart, Diagnosis, Severity
from hpsearch.diagnoses.fitting import diverging, noisy, overfit, still_falling, underfit
from hpsearch.diagnoses.modes import batch_norm_lag, mode_gap
from hpsearch.diagnoses.outliers import outlier_folds
from hpsearch.diagnoses.predicted import class_never_predicted, constant_predictions
from hpsearch.diagnoses.rates import learning_rate_too_high, schedule_ended_early
from hpsearch.diagnoses.single_rows import dominating_row
from hpsearch.diagnoses.tables import Tables

__all__ = ["Chart", "Diagnosis", "Severity", "Tables", "diagnose", "diagnose_trial"]

_OF_CURVES = (overfit, underfit, still_falling, diverging, noisy)
_OF_THE_SELECTED = (batch_norm_lag, mode_gap, schedule_ended_early)
_OF_TABLES = (
    constant_predictions,
    class_never_predicted,
    dominating_row,
    outlier_folds,
    learning_rate_too_high,
)

# A finding is left out where one of these was made, which is its reason.
_EXPLAINED_BY = {
    "underfit": {
        *("batch_norm_lag", "constant_predictions", "diverging"),
        *("schedule_ended_early", "still_falling"),
    },
    "overfit": {"diverging"},
    "noisy": {"batch_norm_lag", "diverging"},
    "still_falling": {"batch_norm_lag", "schedule_ended_early"},
    "diverging": {"batch_norm_lag"},
    "mode_gap": {"batch_norm_lag"},
    "class_never_predicted": {"batch_norm_lag", "constant_predictions"},
    "constant_predictions": {"batch_norm_lag"},
}
_ORDER = ("problem", "hint", "note")


def diagnose(tables: Tables) -> tuple[Diagnosis, ...]:
    """All that is found about a run's selected trial and about its search, what matters most first.

    Parameters
    ----------
    tables : of a finished run.
    """
    trial = tables.trial(tables.selected)
    found: list[Diagnosis] = []
    if trial is not None:
        for of_curves in _OF_CURVES:
            found += of_curves(trial)
        for of_selected in _OF_THE_SELECTED:
            found += of_selected(tables, trial)
    for of_tables in _OF_TABLES:
        found += of_tables(tables)
    return tuple(_in_order(found))


def diagnose_trial(tables: Tables, number: int) -> tuple[Diagnosis, ...]:
    """What the learning curves of any trial say; nothing where it has none."""
    trial = tables.trial(number)
    if trial is None:
        return ()
    return tuple(_in_order([one for rule in _OF_CURVES for one in rule(trial)]))


def _in_order(found: list[Diagnosis]) -> Iterator[Diagnosis]:
    codes = {one.code for one in found}
    for severity in _ORDER:
        for one in found:
            if one.severity == severity and not _EXPLAINED_BY.get(one.code, set()) & codes:
                yield one
