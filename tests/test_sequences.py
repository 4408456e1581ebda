"""Sequences from end to end: a file of uneven ones by the command line, a forecast in Python."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import hpsearch
from tests.command_line import succeeded

SMALL = {"layer": "gru", "n_layers": 1, "units": 16, "bidirectional": False, "schedule": "constant"}


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits as 5 to 8 rows of 8 pixels, each of which is five steps of a sequence."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(n_class=3, return_X_y=True)
    rng = np.random.default_rng(0)
    ends = rng.integers(5, 9, 130)
    images = images[:130].reshape(-1, 8, 8)
    rows = [np.repeat(image[:end], 5, axis=0) for image, end in zip(images, ends, strict=True)]
    return rows, labels[:130]


def save(path, rows, **others):
    np.savez(path, x=np.concatenate(rows), x_lengths=[len(row) for row in rows], **others)


@pytest.fixture(scope="module")
def searched(digits, tmp_path_factory):
    """A folder with a file of uneven sequences, new ones, and the run of a search on it."""
    folder = tmp_path_factory.mktemp("uneven")
    rows, labels = digits
    save(folder / "digits.npz", rows[:120], y=labels[:120])
    save(folder / "new.npz", rows[120:])
    budget = ("--trials", 1, "--folds", 2, "--repeats", 1, "--epochs", 12, "--jobs", 1, "--quiet")
    fixes = [part for name, value in SMALL.items() for part in ("--fix", f"{name}={value}")]
    succeeded("run", "digits.npz", "--space", "sequence", *fixes, *budget, folder=folder)
    return folder


def test_a_search_on_uneven_sequences_trains_as_one_program_and_learns(searched):
    shown = succeeded("show", "results/digits", folder=searched).stdout
    assert "digits, multiclass, 120 rows, 1 column" in shown
    documents = {}
    for name in ("run", "model"):
        text = (searched / f"results/digits/{name}.json").read_text(encoding="utf-8")
        documents[name] = json.loads(text)
    assert documents["run"]["engine"] == "fused"
    [column] = documents["model"]["schema"]["columns"]
    assert "sequences of 25 to 40 steps of 8 features" in column["reason"]
    run = hpsearch.open_run(searched / "results/digits")
    assert run.best["metrics"]["accuracy"] > 0.7


def test_a_fresh_process_predicts_new_sequences_as_python_does(searched, digits):
    rows, labels = digits
    succeeded("predict", "results/digits", "new.npz", "-o", "out.csv", folder=searched)
    told = pd.read_csv(searched / "out.csv")
    found = hpsearch.predict(searched / "results/digits", rows[120:])
    assert (found["prediction"] == labels[120:]).mean() > 0.7
    assert told["prediction"].tolist() == found["prediction"].tolist()
    assert_allclose(told.iloc[:, 1:], found.iloc[:, 1:].astype(float), rtol=1e-5)


def test_sequences_longer_than_those_trained_on_are_predicted(searched, digits):
    longer = [np.concatenate([row, row]) for row in digits[0][120:123]]
    run = searched / "results/digits"
    together = hpsearch.predict(run, [*longer, digits[0][123]])
    assert_allclose(together.iloc[:3, 1:], hpsearch.predict(run, longer).iloc[:, 1:], rtol=1e-5)


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    """The run of a forecast of two series, and the table that it is made of."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2021-03-01", periods=90, freq="h")
    wave = np.sin(np.arange(90) * 2 * np.pi / 12)
    parts = [
        pd.DataFrame({"site": site, "hour": hours, "load": 50 + 9 * size * wave, "sun": wave > 0})
        for site, size in (("north", 1.0), ("south", 2.0))
    ]
    table = pd.concat(parts).assign(load=lambda t: t["load"] + rng.normal(0, 0.5, len(t)))
    table.iloc[40, 2] = np.nan
    folder = tmp_path_factory.mktemp("forecast")
    data = hpsearch.load(
        table, target="load", series="site", time="hour", window=12, horizon=2, name="load"
    )
    options = {"trials": 1, "folds": 2, "epochs": 15, "jobs": 1, "quiet": True, "reports": False}
    search = hpsearch.Search("sequence", fix=SMALL, out=folder / "run", **options)
    return search.run(data), table


def test_a_forecast_is_better_than_the_mean(forecast):
    run, _ = forecast
    [constant] = [each for each in run.ledger.baselines if each.name == "constant"]
    assert run.best["score"] < 0.8 * constant.value


def test_the_last_window_of_each_series_is_forecast(forecast):
    run, table = forecast
    found = hpsearch.predict(run, table.drop(columns="sun").assign(sun=table["sun"].astype(int)))
    assert found["site"].tolist() == ["north", "south"]
    assert found["hour"].tolist() == [table["hour"].max()] * 2
    only = hpsearch.predict(run, table[table["site"] == "south"].tail(12))
    assert found["load"][1] == pytest.approx(only["load"][0], rel=1e-6)
