"""What hears beside the display: names, observers, and one that fails."""

import math

import pandas as pd
import pytest

import hpsearch
from hpsearch import logs
from hpsearch.errors import OptionError
from hpsearch.logs._records import record_of, records_of
from hpsearch.scoring.observer import SilentObserver


class Listener(hpsearch.Observer):
    """Keeps what it hears, and may fail."""

    def __init__(self, fails_at=""):
        self.heard, self.fails_at = [], fails_at

    def __getattribute__(self, name):
        if name.startswith("_") or name in ("heard", "fails_at"):
            return super().__getattribute__(name)

        def method(*values, **named):
            self.heard.append((name, *values))
            if name == self.fails_at:
                raise RuntimeError("the server is gone")

        return method


def names(listener):
    return list(dict.fromkeys(event[0] for event in listener.heard))


def of(listener, name):
    return [event[1:] for event in listener.heard if event[0] == name]


@pytest.fixture(scope="module")
def heard(search_in, tmp_path_factory):
    """A run, its display, an observer beside it and one that fails in the midst of it."""
    display, beside, broken = Listener(), Listener(), Listener(fails_at="trial_done")
    folder = tmp_path_factory.mktemp("logs") / "run"
    run = search_in(folder, observer=display, log=[beside, broken])
    return run, display, beside, broken


def test_an_observer_beside_the_display_hears_all_that_the_display_hears(heard):
    _, display, beside, _ = heard
    wanted = {"note", "run_started", "search_started", "trial_scored", "trial_done", "search_ended"}
    assert wanted <= set(names(beside))
    for name in ("trial_done", "folds_done", "search_ended"):
        assert of(beside, name) == of(display, name)


def test_one_that_fails_is_told_of_once_and_hears_no_more(heard):
    run, display, _, broken = heard
    [warning] = [text for (text,) in of(display, "warn") if "hears no more" in text]
    assert warning.startswith("Listener failed and hears no more (RuntimeError: the server is gone")
    assert len(of(broken, "trial_done")) == 1
    assert "search_ended" not in names(broken)
    assert len(run.trials) == 3


def test_what_is_asked_and_where_is_told_before_any_trial(heard):
    run, _, beside, _ = heard
    [(path, settings)] = of(beside, "run_started")
    assert path == run.path
    assert settings["metric"] == run.settings["metric"]
    assert names(beside).index("run_started") < names(beside).index("trial_done")


def test_a_trial_is_told_with_the_rows_that_the_tables_hold(heard):
    run, _, beside, _ = heard
    told = {result.row["trial"]: record_of(result) for (result,) in of(beside, "trial_scored")}
    written = {record.trial: record for record in records_of(run)}
    assert told == written
    assert {t: r.digest for t, r in told.items()} == {t: r.digest for t, r in written.items()}


def test_a_record_holds_what_the_tables_hold(heard):
    run, _, _, _ = heard
    for record in records_of(run):
        row = run.trials.set_index("trial").loc[record.trial]
        assert record.status == row["status"]
        assert record.hyperparameters == {"units": row["hp.units"], "rate": row["hp.rate"]}
        if record.status == "failed":
            assert record.error == "its rate is too high"
            continue
        assert record.scores["score"] == row["score"]
        curves = run.curves[run.curves["trial"] == record.trial].drop(columns="trial")
        assert [*record.curves] == [
            {n: v for n, v in r.items() if not math.isnan(v)} for r in curves.to_dict("records")
        ]
        folds = run.folds[run.folds["trial"] == record.trial]
        assert [r["val_log_loss"] for r in record.folds] == folds["val_log_loss"].tolist()


def test_an_observer_that_fails_before_any_work_refuses_the_search(search_in, tmp_path):
    class Closed(hpsearch.Observer):
        def __enter__(self):
            raise OSError("no such host")

    closed = []

    class Open(hpsearch.Observer):
        def __exit__(self, *error):
            closed.append(error[0])

    with pytest.raises(OptionError, match=r"must work before .* Closed raised OSError: no such"):
        search_in(tmp_path / "run", log=[Open(), Closed()])
    assert closed == [OSError]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("wandb", r"`log` is mlflow or tensorboard, or none alone; received 'wandb'"),
        (["none", "mlflow"], "or none alone; received 'none'"),
        (
            ["mlflow", 3],
            r"`log` is mlflow or tensorboard, none alone, or in Python an hpsearch.Observer",
        ),
        (SilentObserver, "received <class"),
    ],
)
def test_what_cannot_hear_is_refused(value, message):
    with pytest.raises(OptionError, match=message.replace("`", ".")):
        hpsearch.Search(log=value)


def test_a_log_whose_package_is_missing_is_refused_with_its_extra(monkeypatch):
    monkeypatch.setattr(logs, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"needs mlflow and sqlalchemy .*pip install 'hpsearch"):
        hpsearch.Search(log="mlflow")


def test_names_and_observers_are_kept_once_and_only_names_are_recorded():
    listener = SilentObserver()
    kept = logs.checked("log", ["tensorboard", listener, "tensorboard"])
    assert kept == ("tensorboard", listener)
    assert logs.names_of(kept) == ["tensorboard"]
    assert [*logs.write(kept)] == ["--log", "tensorboard"]
    assert logs.checked("log", []) is None
    assert logs.checked("log", ["none"]) == ()
    assert logs.names_of(()) is None
    assert [*logs.write(())] == []


def test_a_resumed_run_keeps_its_log(heard, resume_in):
    run, *_ = heard
    listener = Listener()
    resume_in(run.path, log=listener)
    assert "search_ended" in names(listener)  # finished, so nothing is scored
    assert pd.isna(run.settings["options"]["log"])
