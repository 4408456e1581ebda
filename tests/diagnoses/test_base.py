"""A diagnosis and its form in JSON."""

import json

import pytest

from hpsearch.diagnoses import Diagnosis

FOUND = Diagnosis(
    code="outlier_folds",
    title="Some folds stand out",
    evidence="Repeat 1, fold 2 scored 0.9; the median is 0.1.",
    advice="Look at row 7.",
    severity="hint",
    chart="folds",
    trial=2,
    numbers={"folds": [[1, 2, 0.9]], "median": 0.1},
)


def test_a_diagnosis_survives_json_as_text():
    assert Diagnosis.from_json(json.loads(json.dumps(FOUND.to_json()))) == FOUND


def test_equal_diagnoses_are_one_in_a_set():
    assert len({FOUND, Diagnosis.from_json(FOUND.to_json())}) == 1


@pytest.mark.parametrize("wrong", [{"chart": "pie"}, {"severity": "fatal"}])
def test_a_chart_or_severity_that_is_not_there_is_a_mistake(wrong):
    with pytest.raises(ValueError, match="There is no"):
        Diagnosis.from_json(FOUND.to_json() | wrong)
