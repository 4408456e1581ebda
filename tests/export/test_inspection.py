"""What is looked at in the network that was trained on all rows."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.export import inspection, refit
from hpsearch.metrics import score
from hpsearch.space.space import Candidate

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EPOCHS = 12


def build(hp, problem):
    """A network of two modes, under a schedule that lasts for the whole budget."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(4, activation="tanh"),
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.Dropout(0.4),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    rate = keras.optimizers.schedules.CosineDecay(0.1, problem.total_steps(24))
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(rate), problem.loss)
    return model


def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x[:, 0] > 0, "up", "down")})


@pytest.fixture(scope="module")
def inspected(train_here, tmp_path_factory):
    """A run, and the network's variables before and after it was looked at."""
    seen = {}

    def spy(network, *arguments):
        seen["before"] = [variable.numpy() for variable in network.variables]
        found = inspection.inspect_network(network, *arguments)
        seen["after"] = [variable.numpy() for variable in network.variables]
        return found

    options = {"trials": 1, "folds": 2, "repeats": 1, "epochs": EPOCHS, "batch_size": 24}
    out = tmp_path_factory.mktemp("inspected") / "run"
    with train_here(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(refit, "inspect_network", spy)
        search = hpsearch.Search(build, **options, engine="reference", jobs=1, out=out)
        return search.run(hpsearch.load(table(), target="y")), seen


def test_the_network_stays_as_it_is(inspected):
    _, seen = inspected
    assert len(seen["before"]) > 7  # weights, averages and the seed of the dropout
    for before, after in zip(seen["before"], seen["after"], strict=True):
        np.testing.assert_array_equal(before, after)


def test_inference_mode_is_what_the_exported_model_predicts(inspected):
    run, _ = inspected
    modes = run.best["modes"]
    assert modes["n_rows"] == 48
    predicted = hpsearch.predict(run, table().drop(columns="y"))["probability.up"].to_numpy()
    truth = (table()["y"] == "up").to_numpy().astype(int)
    for name, value in modes["inference"].items():
        expected = score(name, truth, predicted, kind="binary")
        assert value == pytest.approx(float(expected), rel=1e-5)


def test_training_mode_drops_and_normalises_with_the_batch(inspected):
    run, _ = inspected
    modes = run.best["modes"]
    assert modes["training"]["log_loss"] != pytest.approx(modes["inference"]["log_loss"], rel=1e-3)
    assert modes["batch_normalization"] == {"n_layers": 1, "momentum": 0.5}
    assert modes["n_steps"] == run.best["refit"]["n_steps"]


def test_the_schedule_is_that_of_a_folds_training(inspected):
    """The cosine is at a tenth after 0.795 of its 12 steps, one an epoch: in the 11th."""
    run, _ = inspected
    rates = run.best["learning_rate"]
    assert rates["tenth_epoch"] == 11
    assert rates["first"] == rates["peak"] == 0.1
    assert rates["last"] == pytest.approx(0.05 * (1 + np.cos(np.pi * 11 / 12)), rel=1e-4)


def build_restarting(hp, problem):
    """A network whose rate begins anew after one of seven parts of the budget, and after three."""
    import keras

    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1, "sigmoid")])
    steps = problem.total_steps(24) // 7
    rate = keras.optimizers.schedules.CosineDecayRestarts(0.1, steps)
    model.compile(keras.optimizers.SGD(rate), problem.loss)
    return model


def test_a_rate_that_restarts_ran_out_in_its_last_cycle(train_here, tmp_path):
    """Of 70 epochs the cycles begin at the 1st, 11th and 31st; the last is at a tenth at 0.795."""
    options = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 70, "batch_size": 24}
    with train_here():
        search = hpsearch.Search(
            build_restarting, **options, engine="reference", jobs=1, out=tmp_path / "run"
        )
        run = search.run(hpsearch.load(table(), target="y"))
    assert run.best["learning_rate"]["tenth_epoch"] == 63
    assert "schedule_ended_early" not in [one.code for one in run.diagnoses]


def test_a_network_that_will_not_be_looked_at_goes_without(monkeypatch):
    def refuses(*arguments, **options):
        raise RuntimeError("no")

    monkeypatch.setattr(inspection, "_modes", refuses)
    monkeypatch.setattr(inspection, "_epoch_rates", refuses)
    monkeypatch.setattr(inspection, "read_fit_data", lambda path: None)
    job = SimpleNamespace(options=SimpleNamespace(batch_size=8, epochs=2), data_path="")
    found = inspection.inspect_network(None, job, Candidate(0, {}), 3)
    assert found == {"modes": None, "learning_rate": None}


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "shape"),
    [(10, 32, (1, 10)), (100, 32, (3, 32)), (5000, 32, (32, 32)), (5000, 2048, (1, 2048))],
)
def test_whole_batches_are_looked_at_up_to_a_thousand_rows(n_rows, batch_size, shape):
    batches = inspection._batches(np.arange(n_rows, dtype=np.int32), batch_size)
    assert batches.shape == shape
    assert len(np.unique(batches)) == batches.size
