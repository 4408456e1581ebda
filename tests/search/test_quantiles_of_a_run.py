"""Quantiles, from the table to new rows: a run that goes on, its report, a metric of one's own."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_pinball_loss

import hpsearch

# numpy 2 warns inside Keras's conversion of TensorFlow variables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

N = 60
LEVELS = (0.1, 0.5, 0.9)
COLUMNS = ["q0.1", "q0.5", "q0.9"]


def widest(y_true, y_pred, sample_weight=None):
    assert y_true.ndim == 1
    return float((y_pred[:, -1] - y_pred[:, 0]).max())


widest.greater_is_better = False


def prices():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(N, 2)), columns=["size", "age"])
    noise = rng.normal(size=N) * np.exp(frame["age"])
    return frame.assign(weight=rng.uniform(0.5, 2.0, N), price=np.exp(frame["size"] + 0.1 * noise))


@pytest.fixture(scope="module")
def run(tmp_path_factory, train_here):
    """A run with weights and a transform, given a second trial afterwards."""
    folder = tmp_path_factory.mktemp("quantiles")
    prices().to_csv(folder / "prices.csv", index=False)
    how = {"task": "quantile", "levels": LEVELS, "sample_weight": "weight"}
    small = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 2, "jobs": 1, "out": folder / "run"}
    more = {"fix": {"n_layers": 1, "units_1": 16}, "transform": "log", "also": [widest]}
    with train_here() as engine:
        data = hpsearch.load(folder / "prices.csv", target="price", **how)
        hpsearch.Search("mlp", engine=engine, quiet=True, **more, **small).run(data)
        return hpsearch.resume(folder / "run", trials=2, also=[widest], quiet=True)


def test_the_score_is_the_mean_pinball_loss_of_rows_that_weigh(run):
    weight = prices()["weight"].to_numpy()
    told = run.predictions
    by_fold = [
        np.mean(
            [
                mean_pinball_loss(
                    f["y_true"], f[f"y_pred.q{q}"], alpha=q, sample_weight=weight[f["row"]]
                )
                for q in LEVELS
            ]
        )
        for _, f in told.groupby("fold")
    ]
    folds = run.folds[run.folds["trial"] == run.best["trial"]]
    assert_allclose(by_fold, folds["val_mean_pinball"], rtol=1e-5)
    assert (folds["val_widest"] > 0).all()


def test_every_baseline_is_scored(run):
    labels = {baseline.label for baseline in run.ledger.baselines}
    trees = {"boosted trees", "small boosted trees"}
    assert labels == {"quantiles of the target", "linear quantile regression", *trees}
    assert set(run.baselines["baseline"]) == {"constant", "linear", "trees", "small_trees"}


def test_new_rows_have_a_column_for_each_level_and_none_crosses(run):
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(rng.uniform(-1.5, 1.5, (300, 2)), columns=["size", "age"])
    said = hpsearch.predict(run, rows)
    assert list(said) == COLUMNS
    assert (np.diff(said.to_numpy(), axis=1) >= 0).all()
    assert (said > 0).all(axis=None)


def test_plain_keras_predicts_the_same(run):
    import keras

    rows = prices()[["size", "age"]]
    model = keras.models.load_model(run.path / "model.keras")
    told = model.predict({"numbers": rows.to_numpy("float32")}, verbose=0)
    assert_allclose(told, hpsearch.predict(run, rows), rtol=1e-5)
    assert run.manifest["output"]["columns"] == [f"quantile {q} of price" for q in LEVELS]


def test_report_card_and_diagnoses_are_of_quantiles(run):
    page = (run.path / "report.html").read_text()
    assert "share of rows at or below it" in page
    assert "Networks learnt the target's log" not in (run.path / "model_card.md").read_text()
    assert isinstance(run.diagnoses, tuple | list)
