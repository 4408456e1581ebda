"""Diagnoses of a finished run: where they are asked for, their order, and what explains what."""

import io
import shutil

import numpy as np
import pytest
from rich.console import Console

from hpsearch.console.views import run_view
from hpsearch.diagnoses import Diagnosis, diagnose, diagnose_trial
from hpsearch.errors import InputError
from hpsearch.results import open_run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FALLING = 0.2 + 0.7 * 0.95 ** np.arange(20)
LOSING = 0.6 + 0.3 * 0.95 ** np.arange(20)
EVEN = [0.28, 0.30, 0.31, 0.29, 0.33, 0.27, 0.30]


def test_a_finished_run_is_shown_with_its_curves_and_diagnoses(healthy):
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(run_view(healthy))
    text = console.file.getvalue()
    assert f"best epoch {healthy.best['best_epoch']}" in text
    assert "diagnoses  nothing stands out" in text
    assert max(map(len, text.splitlines())) <= 80


def test_any_trial_with_curves_can_be_asked_for(healthy, tables):
    assert healthy.diagnoses_of(0) == ()
    assert healthy.diagnoses_of(99) == ()
    assert [found.code for found in diagnose_trial(tables(FALLING), 0)] == ["still_falling"]


def test_a_run_that_lacks_a_table_says_so(healthy, tmp_path):
    copy = shutil.copytree(healthy.path, tmp_path / "copy")
    (copy / "curves.csv").unlink()
    with pytest.raises(InputError, match=r"has a curves\.csv"):
        _ = open_run(copy).diagnoses


def test_problems_come_before_hints(tables):
    overfitting = tables(LOSING, 0.1 * LOSING, fold_scores=[*EVEN, 0.6])
    found = diagnose(overfitting)
    assert [one.code for one in found] == ["overfit", "still_falling", "outlier_folds"]
    assert [one.severity for one in found] == ["problem", "hint", "hint"]
    assert all(one.trial == 0 for one in found)


def test_every_diagnosis_survives_json(tables):
    for found in diagnose(tables(LOSING, 0.1 * LOSING, fold_scores=[*EVEN, 0.6])):
        assert Diagnosis.from_json(found.to_json()) == found


def test_a_curve_that_still_falls_explains_that_little_is_learnt(tables):
    slow = 1.0 - 0.008 * np.maximum(0, np.arange(20) - 14)
    assert [found.code for found in diagnose(tables(slow))] == ["still_falling"]
    assert [found.code for found in diagnose(tables(np.full(20, 0.99)))] == ["underfit"]
