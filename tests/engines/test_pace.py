"""The choice of an engine by rule, and by a short trial where a network is very large."""

import sys

import cloudpickle
import numpy as np
import pytest

from hpsearch.engines import pace
from hpsearch.engines.choose import Choice, first_choice, third_choice
from hpsearch.engines.contract import FitOptions, UnitResult, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.fused import engine as fused_engine
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.preprocessing import Layout
from hpsearch.scoring.session import Session
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.space.space import Candidate, Space

cloudpickle.register_pickle_by_value(sys.modules[__name__])


def dense(hp, problem):
    import keras

    layers = [keras.Input(problem.input_shape), keras.layers.Dense(8, "relu")]
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Sequential([*layers, last])
    model.compile("adam", problem.loss)
    return model


def convolving(hp, problem):
    import keras

    rows = keras.Input(problem.input_shape)
    signal = keras.layers.Reshape((-1, 1))(rows)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.SeparableConv1D(2, 2)(signal))
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)(pooled)
    model = keras.Model(rows, last)
    model.compile("adam", problem.loss)
    return model


@pytest.mark.parametrize(("option", "engine"), [("auto", "reference"), ("fused", "fused")])
def test_convolutions_go_to_the_reference_engine_before_a_process_starts(
    monkeypatch, table, option, engine
):
    monkeypatch.setattr(fused_engine, "_may_have_gpu", lambda: False)
    layout = Layout.of(table("binary").schema)
    choice = first_choice(option, layout, Space.load(convolving))
    assert choice.engine == engine
    if option == "auto":
        assert "convolutions" in choice.reason
    assert first_choice(option, layout, Space.load(dense)).engine == "fused"


def test_where_there_may_be_a_gpu_convolutions_are_looked_at_first(monkeypatch, table):
    monkeypatch.setattr(fused_engine, "_may_have_gpu", lambda: True)
    layout = Layout.of(table("binary").schema)
    assert first_choice("auto", layout, Space.load(convolving)).engine == "fused"


@pytest.mark.parametrize(
    ("fused", "reference", "engine"),
    [(1.0, 2.0, "fused"), (1.1, 1.0, "fused"), (1.3, 1.0, "reference"), (None, 1.0, "fused")],
)
def test_the_reference_engine_must_be_clearly_faster(fused, reference, engine):
    choice = third_choice(Choice("fused", "by rule"), fused, reference)
    assert choice.engine == engine
    assert "short trial" in choice.reason


def test_a_trial_of_both_pays_for_large_networks_and_much_work_alone(table, make_job):
    data = read_fit_data(make_job(table("binary"), dense).data_path)
    enough = int(pace.LARGE_WORK / (6 * pace.LARGE_PARAMS * sum(len(f.train) for f in data.folds)))
    assert pace.is_very_large(pace.LARGE_PARAMS, data, enough + 1)
    assert not pace.is_very_large(pace.LARGE_PARAMS, data, enough // 2)
    assert not pace.is_very_large(pace.LARGE_PARAMS - 1, data, 10 * enough)


def test_the_trial_has_a_few_batches_of_the_same_data(table, make_job, tmp_path):
    job = make_job(table("regression", 60), dense, batch_size=8)
    n_params = int(pace._WORK / (6 * 8 * 2 * 3))  # three batches of eight rows, two folds
    small = read_fit_data(
        pace.few_batches(job, Candidate(0, {}), n_params, tmp_path / "few").data_path
    )
    whole = read_fit_data(job.data_path)
    assert [len(fold.train) for fold in small.folds] == [24, 24]
    assert [len(fold.validation) for fold in small.folds] == [8, 8]
    np.testing.assert_array_equal(small.encoded.numbers, whole.encoded.numbers[:32])
    np.testing.assert_array_equal(small.statistics.centre[1], whole.statistics.centre[0])


class Timed:
    """An engine that takes a second for building and two for an epoch."""

    def __init__(self, job, error=None):
        self.epochs, self.error = job.options.epochs, error

    def score(self, work):
        for fold in work[0].folds:
            unit = WorkUnit(work[0].candidate, (fold,))
            yield UnitResult(unit, seconds=1.0 + 2.0 * self.epochs, error=self.error)


def test_building_and_compiling_are_left_out(table, make_job):
    job = make_job(table("binary"), dense)
    assert pace.seconds_per_epoch(Timed, job, Candidate(0, {})) == pytest.approx(4.0)
    failed = pace.seconds_per_epoch(lambda j: Timed(j, "diverged"), job, Candidate(0, {}))
    assert failed is None


def test_both_engines_are_tried_on_a_very_large_network(monkeypatch, table):
    monkeypatch.setattr(pace, "LARGE_PARAMS", 1)
    monkeypatch.setattr(pace, "LARGE_WORK", 1.0)
    monkeypatch.setattr(pace, "_WORK", 1e5)
    notes = []
    dataset = table("binary")
    plan = SessionPlan(
        space=Space.load(dense),
        fixes={},
        engine="auto",
        options=FitOptions(0, 2, 8, None, ("log_loss",)),
        jobs=1,
        scale_target="auto",
        max_levels=64,
        max_words=100,
        must_save=False,
    )
    folds = make_folds(IteratedKFold(2, 1, random_state=0), dataset)
    with Session(plan, dataset, folds, notes.append) as session:
        session.prepare()
        assert "short trial" in session.choice.reason
        [result] = session.score([Candidate(0, {})])
    assert result.score is not None
    assert len(result.folds) == 2
    assert notes == ["The network has 41 parameters: trying both engines on a few batches."]
