"""Training mode and inference mode, at the refit of a real training."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.diagnoses import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def far_from_zero(keras):
    """A layer whose outputs are nowhere near mean 0 and variance 1."""
    return keras.layers.Dense(16, bias_initializer=keras.initializers.Constant(20.0))


def normalization(momentum):
    return lambda keras: keras.layers.BatchNormalization(momentum=momentum)


def adam(keras):
    return keras.optimizers.Adam(0.1)


def twelve_rows(make_blobs):
    """Three classes of four rows that anything can tell apart."""
    return make_blobs(n=12, n_classes=3, distance=9.0, noise=0.3)


LAGGING = """
def build(hp, problem):
    import keras

    far_from_zero = keras.initializers.Constant(20.0)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(16, bias_initializer=far_from_zero),
        keras.layers.BatchNormalization(momentum=0.999),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.1), problem.loss)
    return model
"""


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_averages_of_two_batches_make_inference_a_guess(
    engine, make_blobs, tmp_path, found_in, train_here
):
    """Twelve rows in one batch: all right in training mode, a third in inference mode."""
    (tmp_path / "lagging.py").write_text(LAGGING)
    search = hpsearch.Search(
        tmp_path / "lagging.py",
        trials=1,
        folds=2,
        repeats=1,
        epochs=8,
        batch_size=12,
        jobs=1,
        metric="accuracy",
        engine=engine,
        out=tmp_path / "run",
    )
    with train_here() if engine == "reference" else nullcontext():
        run = search.run(hpsearch.load(twelve_rows(make_blobs), target="y"))
    assert run.best["modes"]["training"]["accuracy"] == 1.0
    assert run.best["modes"]["inference"]["accuracy"] == pytest.approx(1 / 3)
    found = found_in(run, "batch_norm_lag")
    steps = run.best["refit"]["n_steps"]
    assert found.numbers["training_mode"] == 1.0
    assert found.numbers["steps"] == steps
    assert found.numbers["taken_in"] == pytest.approx(1 - 0.999**steps)
    assert (
        0.999 ** found.numbers["steps_needed"]
        <= 0.01
        < 0.999 ** (found.numbers["steps_needed"] - 1)
    )
    assert [one.code for one in run.diagnoses] == ["batch_norm_lag"]  # it explains the others


def test_averages_that_follow_at_once_do_not_lag(space, make_blobs, search_here, codes_of):
    following = space(far_from_zero, normalization(0.1), optimizer=adam)
    run = search_here(
        twelve_rows(make_blobs), following, epochs=8, batch_size=12, metric="accuracy"
    )
    assert run.best["modes"]["batch_normalization"] == {"n_layers": 1, "momentum": 0.1}
    assert "batch_norm_lag" not in codes_of(run)


def test_dropout_makes_training_rows_look_worse_than_validation_rows(
    space, make_blobs, search_here, found_in
):
    dropping = space(
        lambda keras: keras.layers.Dense(64, activation="relu"),
        lambda keras: keras.layers.Dropout(0.8),
    )
    run = search_here(make_blobs(n=96, distance=4.0), dropping, epochs=10)
    found = found_in(run, "mode_gap")
    assert found.severity == "note"
    numbers = found.numbers
    assert numbers["inference_mode"] <= numbers["validation"] < numbers["training_mode"]
    assert numbers["validation"] == pytest.approx(run.best["score"])


def modes(training, inference, momentum=0.99, steps=10):
    layers = {"n_layers": 1, "momentum": momentum} if momentum else None
    return {
        "modes": {
            "n_rows": 12,
            "training": {"mae": training},
            "inference": {"mae": inference},
            "n_steps": steps,
            "batch_normalization": layers,
        }
    }


FLAT = 0.3 * np.ones(6)


def codes(tables):
    return [found.code for found in diagnose(tables)]


def test_inference_that_loses_a_fifth_of_what_training_mode_gains_lags(tables):
    assert codes(tables(FLAT, best=modes(0.2, 0.35))) == []
    assert codes(tables(FLAT, best=modes(0.2, 0.37))) == ["batch_norm_lag"]


def test_without_batch_normalization_nothing_lags(tables):
    assert codes(tables(FLAT, best=modes(0.2, 0.5, momentum=None))) == []


def test_averages_that_had_steps_enough_get_other_advice(tables):
    [late] = diagnose(tables(FLAT, best=modes(0.2, 0.5, steps=10)))
    [settled] = diagnose(tables(FLAT, best=modes(0.2, 0.5, steps=1000)))
    assert "It takes 459 steps" in late.advice
    assert "0.63" in late.advice  # 0.63 ** 10 is 1 %
    assert "had steps enough" in settled.advice


def binary(training, inference):
    """Tables of a binary problem whose metric is the loss; a constant prediction has 0.69."""
    n, found = 8, modes(0, 0, momentum=None)
    found["modes"]["training"], found["modes"]["inference"] = (
        {"log_loss": value} for value in (training, inference)
    )
    chances = np.tile([0.1, 0.8], n // 2)
    predictions = pd.DataFrame(
        {"row": range(n), "repeat": 0, "fold": 0, "y_true": list("ab") * 4, "y_pred": chances}
    )
    options = {"task": "binary", "labels": ("a", "b"), "predictions": predictions}
    return {"metric": "log_loss", "best": found, **options}


def test_a_gap_of_modes_that_turns_nothing_round_is_not_worth_a_remark(tables):
    above = 0.4 * np.ones(6)
    assert codes(tables(FLAT, running=above, **binary(0.5, 0.2))) == ["mode_gap"]
    assert codes(tables(FLAT, running=above, **binary(0.29, 0.2))) == []
    assert codes(tables(FLAT, running=above, **binary(0.5, 0.4))) == []
    assert codes(tables(FLAT, running=FLAT - 0.1, **binary(0.5, 0.2))) == []


def test_what_keras_reports_is_held_against_no_metric_but_the_loss(tables):
    assert codes(tables(FLAT, running=2 * FLAT, best=modes(0.5, 0.2, momentum=None))) == []


def test_a_metric_that_one_mode_has_not_is_no_evidence(tables):
    assert codes(tables(FLAT, best=modes(None, 0.9))) == []
    assert codes(tables(FLAT, best={"modes": None})) == []
