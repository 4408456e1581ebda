"""Counts with an exposure: a run that goes on, its report, new rows, plain Keras."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_poisson_deviance

import hpsearch
from hpsearch.errors import DataError

# numpy 2 warns inside Keras's conversion of TensorFlow variables
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

N = 60


def claims():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(N, 2)), columns=["age", "power"])
    years, weight = rng.uniform(0.1, 3.0, N), rng.uniform(0.5, 2.0, N)
    counts = rng.poisson(years * np.exp(0.5 * frame["age"]))
    return frame.assign(years=years, weight=weight, claims=counts)


@pytest.fixture(scope="module")
def run(tmp_path_factory, train_here):
    """A run with weights, given a second trial afterwards."""
    folder = tmp_path_factory.mktemp("counts")
    claims().to_csv(folder / "claims.csv", index=False)
    how = {"target": "claims", "task": "count", "exposure": "years", "sample_weight": "weight"}
    small = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 2, "jobs": 1, "out": folder / "run"}
    fixed = {"n_layers": 1, "units_1": 16}
    with train_here() as engine:
        data = hpsearch.load(folder / "claims.csv", **how)
        hpsearch.Search("mlp", fix=fixed, engine=engine, quiet=True, **small).run(data)
        return hpsearch.resume(folder / "run", trials=2, quiet=True)


def test_the_score_is_the_deviance_of_counts_and_not_of_rates(run):
    told = run.predictions
    assert run.best["metric"] == "poisson_deviance"
    weight = claims()["weight"].to_numpy()
    by_fold = [
        mean_poisson_deviance(f["y_true"], f["y_pred"], sample_weight=weight[f["row"]])
        for _, f in told.groupby("fold")
    ]
    folds = run.folds[run.folds["trial"] == run.best["trial"]]
    assert_allclose(by_fold, folds["val_poisson_deviance"], rtol=1e-5)


def test_every_baseline_is_scored(run):
    assert set(run.baselines["baseline"]) == {"constant", "linear", "trees", "small_trees"}
    names = {baseline.label for baseline in run.ledger.baselines}
    assert names == {"mean rate", "Poisson regression", "boosted trees", "small boosted trees"}


def test_predictions_are_in_proportion_to_exposure(run):
    rows = claims().drop(columns=["claims", "weight"])
    once, twice = (
        hpsearch.predict(run, rows.assign(years=rows["years"] * k))["claims"] for k in (1.0, 2.0)
    )
    assert (once > 0).all()
    assert_allclose(twice, 2.0 * once, rtol=1e-5)
    with pytest.raises(DataError, match="'years', which is missing"):
        hpsearch.predict(run, rows.drop(columns="years"))


def test_plain_keras_predicts_the_same_of_two_inputs(run):
    import keras

    rows = claims()
    given = {"numbers": rows[["age", "power"]], "exposure": rows[["years"]]}
    assert [each["name"] for each in run.manifest["inputs"]] == list(given)
    model = keras.models.load_model(run.path / "model.keras")
    told = model.predict({name: part.to_numpy("float32") for name, part in given.items()})
    assert_allclose(np.ravel(told), hpsearch.predict(run, rows)["claims"], rtol=1e-5)


def test_the_report_and_the_card_say_that_counts_are_predicted(run):
    page = (run.path / "report.html").read_text()
    assert "How often each count" in page
    assert "Poisson" in page
    card = (run.path / "model_card.md").read_text()
    assert "years" in card
