"""MLflow, in a SQLite file: it holds what the tables hold, in one run, whatever happened."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import hpsearch
from hpsearch.logs._mlflow_model import RunModel, signature_of
from hpsearch.logs._records import records_of
from hpsearch.logs.mlflow import _GROWS, MlflowLog
from hpsearch.options import Resumed
from hpsearch.search.options import OPTIONS

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, when it is asked by the tests


def kept():
    """The client, the searches' runs by name, and the trials' runs by the number of their run."""
    client = mlflow.MlflowClient()
    parents, children = {}, {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            above = run.data.tags.get("mlflow.parentRunId")
            if above is None:
                parents.setdefault(run.info.run_name, []).append(run)
            else:
                children.setdefault(above, {})[int(run.data.tags["hpsearch.trial"])] = run
    return client, parents, children


def only(name):
    """The one run of this name, and its trials."""
    client, parents, children = kept()
    [parent] = parents[name]
    return client, parent, children[parent.info.run_id]


def curve_of(client, run, name):
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]


def assert_holds(run, name):
    """Every number of the tables is there, under its name."""
    client, parent, children = only(name)
    records = records_of(run)
    assert set(children) == {record.trial for record in records}
    for record in records:
        child = children[record.trial]
        assert child.data.params == {k: str(v) for k, v in record.hyperparameters.items()}
        assert child.info.status == ("FAILED" if record.status == "failed" else "FINISHED")
        assert child.data.tags.get("hpsearch.rank", "") == str(record.rank or "")
        for metric, value in record.scores.items():
            assert child.data.metrics[metric] == value
        for metric in record.curves[0] if record.curves else ():
            if metric not in ("epoch", "n_folds"):
                expected = [(row["epoch"], row[metric]) for row in record.curves]
                assert curve_of(client, child, metric) == expected
        if record.folds:
            expected = [(i, row["val_log_loss"]) for i, row in enumerate(record.folds)]
            assert curve_of(client, child, "folds/val_log_loss") == expected
    assert parent.data.metrics["score"] == run.best["score"]
    tables = {item.path for item in client.list_artifacts(parent.info.run_id, "tables")}
    assert {f"tables/{name}" for name in ("trials.csv", "predictions.csv", "folds.csv")} <= tables
    there = client.download_artifacts(parent.info.run_id, "tables/predictions.csv")
    assert Path(there).read_text() == (run.path / "predictions.csv").read_text()


@pytest.fixture(scope="module")
def logged(search_in, tracking):
    return search_in(tracking / "logged", log="mlflow", trials=4)


def test_a_run_is_kept_with_its_trials_curves_folds_and_tables(logged):
    assert_holds(logged, "logged")


def test_what_was_asked_the_data_and_the_documents_are_kept(logged):
    client, parent, _ = only("logged")
    assert client.get_experiment(parent.info.experiment_id).name == "visits"
    assert parent.info.status == "FINISHED"
    assert parent.data.params["data.fingerprint"] == logged.settings["data"]["fingerprint"]
    assert parent.data.params["epochs"] == "3"
    assert parent.data.metrics["expected"] == logged.ledger.promise.value
    names = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "model_card.md", "run.json", "best.json"} <= names
    assert parent.inputs.dataset_inputs[0].dataset.name == "visits"


def test_the_model_is_kept_with_a_signature(logged):
    _, parent, _ = only("logged")
    [output] = parent.outputs.model_outputs
    info = mlflow.models.get_model_info(f"models:/{output.model_id}")
    types = {each.name: str(each.type) for each in info.signature.inputs}
    assert types == {
        "age": "DataType.double",
        "size": "DataType.double",
        "ward": "DataType.string",
        "beds": "Any",  # a table may hold them as integers or as floats
    }
    assert [each.name for each in info.signature.outputs] == [
        *("prediction", "probability.no", "probability.yes")
    ]
    assert info.flavors["python_function"]["loader_module"] == "hpsearch.logs._mlflow_model"
    assert parent.data.tags["hpsearch.model_sha256"] == logged.manifest["sha256"]


def test_the_model_predicts_what_predict_does(logged, monkeypatch):
    def predict(run, rows, *, trust):
        return run, rows, trust

    monkeypatch.setattr("hpsearch.export.prediction.predict", predict)
    assert RunModel(logged.path).predict("rows") == (logged.path, "rows", False)
    assert RunModel(logged.path).predict("rows", {"trust": True})[2]


def test_a_run_that_grows_goes_on_in_the_same_run(logged, resume_in, tracking):
    shutil.copytree(logged.path, tracking / "grown")
    _, before, trials = only("logged")
    grown = resume_in(tracking / "grown", trials=6)  # the log is as it was
    _, after, grown_trials = only("logged")
    assert after.info.run_id == before.info.run_id
    assert_holds(grown, "logged")
    for trial in trials:
        assert grown_trials[trial].info.run_id == trials[trial].info.run_id, "none twice"
    assert after.data.tags["hpsearch.trials"] == "6"


def test_more_repeats_take_the_place_of_what_a_trial_was(search_in, resume_in, tracking):
    search_in(tracking / "repeated", log="mlflow")
    repeated = resume_in(tracking / "repeated", repeats=3)
    assert_holds(repeated, "repeated")


class StopAfter(hpsearch.Observer):
    def __init__(self, n):
        self.n = n

    def folds_done(self, trial, n):
        self.n -= 1
        if self.n == 0:
            raise KeyboardInterrupt


def test_a_run_that_was_stopped_says_so_and_goes_on_in_the_same_run(search_in, resume_in, tracking):
    with pytest.raises(KeyboardInterrupt):
        search_in(tracking / "stopped", log="mlflow", observer=StopAfter(6))
    assert only("stopped")[1].info.status == "KILLED"
    whole = resume_in(tracking / "stopped")
    assert only("stopped")[1].info.status == "FINISHED"
    assert_holds(whole, "stopped")


def test_a_finished_run_is_kept_when_it_is_asked_for_later(search_in, resume_in, tracking):
    run = search_in(tracking / "later")
    resume_in(tracking / "later", log="mlflow")
    assert_holds(run, "later")


def test_a_server_that_goes_away_costs_one_warning(search_in, resume_in, tracking, monkeypatch):
    heard = []

    class Display(hpsearch.Observer):
        def warn(self, text):
            heard.append(text)

    keep, kept_trials = MlflowLog.keep, []

    def keep_one(self, record):
        if kept_trials:
            raise ConnectionError("the server is gone")
        kept_trials.append(record.trial)
        keep(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowLog, "keep", keep_one)
        search_in(tracking / "gone", log="mlflow", observer=Display())
    [warning] = [text for text in heard if "MLflow" in text]
    assert warning.startswith("MLflow failed and hears no more (ConnectionError: the server is")
    run = resume_in(tracking / "gone")  # it gets what it missed
    assert_holds(run, "gone")


def test_no_server_at_the_beginning_is_refused_before_any_work(search_in, tracking, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(hpsearch.OptionError, match="MLflow raised MlflowException"):
        search_in(tracking / "refused", log="mlflow")
    assert not (tracking / "refused").exists()


def test_a_run_goes_on_without_the_log_it_had_where_that_is_said(
    search_in, resume_in, tracking, monkeypatch, capfd
):
    search_in(tracking / "left", log="mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(hpsearch.OptionError, match="--log none"):
        resume_in(tracking / "left", trials=4)
    assert len(resume_in(tracking / "left", trials=4, log="none").trials) == 4
    assert resume_in(tracking / "left").settings["options"]["log"] is None
    assert "mlflow" not in capfd.readouterr().err.lower()


def test_the_options_that_may_change_are_no_parameters():
    may_change = {o.name for o in OPTIONS if o.resumed in (Resumed.GROWS, Resumed.CHANGES)}
    assert set(_GROWS) == may_change


def test_levels_that_look_like_numbers_may_come_as_numbers(logged):
    schema = logged.manifest["schema"]
    columns = [
        {**column, "levels": ["1", "2.5", "True"]} if column["name"] == "ward" else column
        for column in schema["columns"]
    ]
    made = SimpleNamespace(manifest={"schema": {**schema, "columns": columns}})
    assert str(signature_of(made).inputs.input_dict()["ward"].type) == "Any"
