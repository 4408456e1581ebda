"""An Optuna study of a run: read back by Optuna, it holds what the tables hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.export.formats import optuna as study_format

optuna = pytest.importorskip("optuna")

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACE = """
def declare(hp, problem):
    hp.Choice("units", [2, 3, 4, 5, 6])
    hp.Choice("scheme", ["a", "b"])
    with hp.conditional_scope("scheme", ["a"]):
        hp.Int("depth", 1, 9, step=3)
        hp.Float("decay", 0.1, 0.9)
    with hp.conditional_scope("scheme", ["b"]):
        hp.Float("decay", 0.001, 0.01)
        hp.Boolean("bias")
    hp.Float("rate", 0.01, 1.0, sampling="log", default=0.1)  # above 0.9 it fails
    hp.Float("share", 0.0, 0.5, step=0.1)
    hp.Fixed("kind", "linear")


def build(hp, problem):
    raise NotImplementedError
"""
STATES = {"COMPLETE": "completed", "PRUNED": "stopped", "FAIL": "failed"}


@pytest.fixture(scope="module")
def run(tmp_path_factory, pretend_here):
    """Trials of every ending: completed, stopped at a rung, failed."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "space.py").write_text(SPACE)
    table = pd.DataFrame({"x": np.arange(40.0), "z": np.arange(40) * 7 % 13})
    data = hpsearch.load(table.assign(y=table["x"] + 3.5 * table["z"]), target="y", name="lines")
    with pretend_here() as engine:
        return hpsearch.Search(
            folder / "space.py",
            trials=9,
            folds=2,
            repeats=1,
            epochs=9,
            rungs=2,
            batch_size=12,
            tried=[{"rate": 0.95}, {"scheme": "a", "depth": 5}, {"scheme": "b", "bias": True}],
            engine=engine,
            out=folder / "lines",
        ).run(data)


@pytest.fixture(scope="module")
def study(run, tmp_path_factory):
    path = run.export("optuna", tmp_path_factory.mktemp("out") / "lines.db")
    return optuna.load_study(study_name="lines", storage=f"sqlite:///{path}")


def test_every_trial_has_its_number_ending_and_score(run, study):
    table = run.trials.set_index("trial")
    assert set(table["status"]) == set(STATES.values())
    assert [trial.number for trial in study.trials] == list(range(len(table)))
    for trial in study.trials:
        row = table.loc[trial.number]
        assert STATES[trial.state.name] == row["status"]
        assert trial.value == (row["score"] if row["status"] == "completed" else None)
        assert trial.user_attrs.get("score_se") == pytest.approx(row["score_se"], nan_ok=True) or (
            "score_se" not in trial.user_attrs and np.isnan(row["score_se"])
        )


def test_the_best_trial_is_the_selected_one(run, study):
    assert study.best_trial.number == run.best["trial"]
    assert study.best_value == pytest.approx(run.best["score"], rel=1e-11)  # a table's digits
    assert study.direction.name == "MINIMIZE"
    assert study.metric_names == ["mae"]
    assert study.user_attrs["selected_trial"] == run.best["trial"]
    assert study.user_attrs["on_new_rows"][0] == run.ledger.promise.value


def test_hyperparameters_are_those_of_the_table_in_their_own_types(run, study):
    table = run.trials.set_index("trial").filter(like="hp.")
    for trial in study.trials:
        cells = table.loc[trial.number].dropna()
        assert {f"hp.{name}" for name in trial.params} == set(cells.index)
        for name, value in trial.params.items():
            assert str(cells[f"hp.{name}"]) == str(value) or cells[f"hp.{name}"] == value
    depths = [t.params["depth"] for t in study.trials if "depth" in t.params]
    assert {type(depth) for depth in depths} == {int}
    assert any(t.params.get("bias") is True for t in study.trials)


def test_distributions_are_what_the_space_declares(study):
    found = {n: d for trial in study.trials for n, d in trial.distributions.items()}
    known = optuna.distributions
    assert found["units"] == known.CategoricalDistribution([2, 3, 4, 5, 6])
    assert found["scheme"] == known.CategoricalDistribution(["a", "b"])
    assert found["kind"] == known.CategoricalDistribution(["linear"])
    assert found["rate"] == known.FloatDistribution(0.01, 1.0, log=True)
    assert found["share"] == known.FloatDistribution(0.0, 0.5, step=0.1)
    assert found["decay"] == known.FloatDistribution(0.001, 0.9)  # of both branches
    assert found["depth"] == known.IntDistribution(1, 9)  # 5, which was tried, is off its steps


def test_intermediate_values_are_the_mean_curve(run, study):
    curves = run.curves
    for trial in study.trials:
        curve = curves[curves["trial"] == trial.number]
        assert trial.intermediate_values == dict(zip(curve["epoch"], curve["val_mae"], strict=True))
    assert any(trial.intermediate_values for trial in study.trials if trial.state.name == "PRUNED")


def test_what_else_the_tables_hold_is_in_attributes(run, study):
    trial, table = study.best_trial, run.folds
    rows = table[table["trial"] == trial.number]
    assert [each["val_mae"] for each in trial.user_attrs["per_fold"]] == list(rows["val_mae"])
    assert trial.user_attrs["metric.r2"] == pytest.approx(run.best["metrics"]["r2"], rel=1e-11)
    [failed] = [trial for trial in study.trials if trial.state.name == "FAIL"]
    assert failed.user_attrs["error"] == "its rate is too high"
    seconds = run.timings.set_index("trial")["seconds"][trial.number]
    assert trial.duration.total_seconds() == pytest.approx(seconds, abs=1e-5)


def test_optunas_own_functions_read_it(study):
    assert optuna.importance.get_param_importances(study, params=["rate"]).keys() == {"rate"}
    assert len(study.trials_dataframe()) == 9


def test_of_a_run_that_does_not_say_what_was_declared_the_tried_values_stand():
    found = study_format._distributions([], [{"units": 3, "bias": True}, {"units": 1, "bias": 1}])
    assert found["units"] == optuna.distributions.CategoricalDistribution([3, 1])
    assert found["bias"].choices == (True, 1)


def test_the_command_says_where_it_is(run, tmp_path, capsys, monkeypatch):
    from hpsearch.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run.path), "--to", "optuna"]) == 0
    assert Path("lines.db").is_file()
    out, err = capsys.readouterr()
    assert out == "lines.db\n"
    assert "The study 'lines' holds 9 trials; optuna-dashboard shows it." in err
