"""A base that came trained: what the phases, few rows or its own layers did to it."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose, diagnose_trial

LEARNT = np.linspace(1.0, 0.4, 12)


def found_in(tables, code):
    return [one for one in diagnose(tables) if one.code == code]


def in_phases(tables, before, after):
    made = tables(np.concatenate([before, after]))
    made.curves["phase"] = [1] * len(before) + [2] * len(after)
    return made


@pytest.mark.parametrize(
    ("after", "severity"),
    [(np.full(8, 0.9), "problem"), ([0.9, 0.8, 0.7, 0.5, 0.3, 0.3], "hint")],
)
def test_a_phase_that_undoes_what_was_learnt_is_told(tables, after, severity):
    [found] = found_in(in_phases(tables, LEARNT, after), "phase_wrecks")
    assert found.severity == severity
    assert found.numbers["phase"] == 2
    assert found.numbers["epoch"] == 12
    assert "Phase 2 begins after epoch 12: validation mae goes from 0.455 to" in found.evidence


@pytest.mark.parametrize("after", [np.linspace(0.4, 0.2, 8), [0.43, 0.42, 0.41, 0.4, 0.3, 0.3]])
def test_a_phase_that_goes_on_well_is_no_finding(tables, after):
    assert not found_in(in_phases(tables, LEARNT, after), "phase_wrecks")


def test_without_phases_nothing_is_said_of_them(tables):
    assert not [f for f in diagnose_trial(tables(LEARNT), 0) if f.code == "phase_wrecks"]


def test_a_frozen_base_that_moved_is_told_with_its_layers(tables):
    base = {"frozen_moved": 0.02, "moved_layers": ["own_normal"], "normalization": 0, "n_rows": 60}
    [found] = found_in(tables(LEARNT, best={"base": base}), "base_moved")
    assert "Weights of 'own_normal', frozen in every phase, changed by up to 2 %" in found.evidence
    still = {**base, "frozen_moved": 0.0, "moved_layers": []}
    assert not found_in(tables(LEARNT, best={"base": still}), "base_moved")


def with_normalization(tables, n_rows=12, validation=0.98):
    modes = {"n_rows": n_rows, "training": {"mae": 0.02}, "inference": {"mae": 0.97}}
    modes |= {"n_steps": 20, "batch_normalization": {"n_layers": 2, "momentum": 0.99}}
    base = {"frozen_moved": 0.0, "moved_layers": [], "normalization": 2, "n_rows": n_rows}
    return tables(np.full(8, validation), best={"modes": modes, "base": base})


def test_normalisation_of_a_base_that_follows_twelve_rows_is_told_and_explains_its_lag(tables):
    made = with_normalization(tables)
    [found] = found_in(made, "base_normalization")
    assert "2 layers of batch normalisation in the base that came trained learn from 12" in (
        found.evidence
    )
    assert not found_in(made, "batch_norm_lag")


def test_it_is_told_by_the_loss_while_fitting_where_the_refit_is_that_of_the_first_epoch(tables):
    truth = ["no", "yes"] * 6
    predictions = pd.DataFrame({"row": range(12), "repeat": 0, "fold": 0, "y_true": truth})
    options = {"task": "binary", "metric": "log_loss", "labels": ("no", "yes")}
    base = {"frozen_moved": 0.0, "moved_layers": [], "normalization": 2, "n_rows": 12}
    made = tables(
        np.full(8, 0.7),
        running=np.linspace(0.7, 0.05, 8),
        best={"base": base},
        predictions=predictions.assign(y_pred=0.5),
        **options,
    )
    [found] = found_in(made, "base_normalization")
    assert found.numbers["training_mode"] == pytest.approx(0.05)


@pytest.mark.parametrize("more", [{"n_rows": 5000}, {"validation": 0.1}])
def test_normalisation_of_a_base_may_follow_many_rows_or_do_well(tables, more):
    assert not found_in(with_normalization(tables, **more), "base_normalization")
