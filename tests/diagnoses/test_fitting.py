"""What learning curves say: provoked by real trainings, and silent where nothing is the matter."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def codes(tables):
    return [found.code for found in diagnose(tables)]


def test_a_network_that_suits_its_data_gives_no_diagnosis(healthy):
    assert healthy.diagnoses == ()


# -- overfit


def test_a_wide_network_on_labels_without_a_pattern_overfits(search_here, space, found_in):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(48, 8)), columns=list("abcdefgh"))
    frame["y"] = np.array(["no", "yes"])[rng.permutation(48) % 2]
    wide = space(lambda keras: keras.layers.Dense(64, activation="relu"))
    found = found_in(search_here(frame, wide, epochs=30), "overfit")
    assert found.severity == "problem"
    assert found.chart == "curves"
    assert found.numbers["train_at_best"] < found.numbers["val_at_best"]
    assert found.numbers["guess"] == pytest.approx(np.log(2))
    assert found.numbers["share_lost"] > 0.5


GUESSES = [0.4, 0.6, 0.4, 0.6]
FALL = 0.2 + 0.8 * 0.7 ** np.arange(30)


def test_a_validation_curve_that_turns_while_training_falls_is_overfitting(tables):
    turned = FALL + np.maximum(0, np.arange(30) - 12) * 0.01
    [found] = diagnose(tables(turned, FALL - 0.05))
    assert (found.code, found.severity) == ("overfit", "hint")
    assert found.numbers["best_epoch"] == int(np.argmin(turned)) + 1
    assert found.numbers["val_at_end"] == pytest.approx(turned[-2])


def test_a_turn_by_less_than_a_tenth_of_the_gain_is_no_overfitting(tables):
    turned = FALL + np.maximum(0, np.arange(30) - 12) * 0.004
    assert codes(tables(turned, FALL - 0.05)) == []


def test_a_turn_within_the_noise_is_no_overfitting(tables):
    noise = 0.04 * np.random.default_rng(0).normal(size=30)
    assert "overfit" not in codes(tables(FALL + noise + 0.1 * (np.arange(30) > 20), FALL))


def test_a_gap_within_twice_the_error_is_no_overfitting(tables):
    assert codes(tables(0.5 + 0.5 * FALL, 0.6 * FALL, se=0.3)) == []
    assert codes(tables(0.5 + 0.5 * FALL, 0.6 * FALL, se=0.02)) == ["overfit"]


def test_rules_read_a_metric_that_is_to_be_large_the_other_way_round(tables):
    turned = FALL + np.maximum(0, np.arange(30) - 12) * 0.01
    predictions = pd.DataFrame(
        {"row": range(4), "repeat": 0, "fold": 0, "y_true": list("aabb"), "y_pred": GUESSES}
    )
    binary = {"task": "binary", "labels": ("a", "b"), "predictions": predictions}
    [found] = diagnose(tables(1 - turned, 1 - (FALL - 0.05), metric="accuracy", **binary))
    assert found.code == "overfit"
    assert found.numbers["val_at_best"] == pytest.approx(1 - turned.min())
    assert found.numbers["guess"] == 0.5
    assert f"from {1 - turned.min():.3g} to" in found.evidence


# -- underfit


def test_a_line_cannot_part_exclusive_or(search_here, space, found_in):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(64, 2))
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["y"] = np.where(x[:, 0] * x[:, 1] > 0, "same", "other")
    found = found_in(search_here(frame, space()), "underfit")
    assert found.severity == "problem"
    assert found.numbers["share_learnt"] < 0.05


def test_curves_that_learn_a_twentieth_of_what_there_is_to_learn_do_not_underfit(tables):
    assert codes(tables(1 - 0.03 * (1 - FALL))) == ["underfit"]
    assert codes(tables(1 - 0.08 * (1 - FALL))) == []


# -- still falling


def test_steps_that_are_too_small_are_still_falling(search_here, space, make_blobs, found_in):
    slow = space(optimizer=lambda keras: keras.optimizers.SGD(0.02))
    run = search_here(make_blobs(), slow, epochs=8)
    found = found_in(run, "still_falling")
    assert found.numbers["best_epoch"] == found.numbers["epochs"] == 8
    assert found.numbers["val_after"] < found.numbers["val_before"]
    assert "--epochs 16" in found.advice


def test_a_curve_that_has_come_to_rest_is_not_falling(tables):
    assert codes(tables(0.2 + 0.8 * 0.7 ** np.arange(20))) == []
    assert codes(tables(0.2 + 0.8 * 0.95 ** np.arange(20))) == ["still_falling"]


def test_a_last_epoch_that_is_the_best_by_chance_is_not_falling(tables):
    noise = 0.02 * np.random.default_rng(3).normal(size=40)
    noise[-1] = -0.06
    assert codes(tables(0.2 + 0.8 * 0.6 ** np.arange(40) + noise)) == []


# -- diverging


def test_a_learning_rate_that_grows_diverges(search_here, space, make_blobs, found_in):
    def growing(keras):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 6, 3.0)
        return keras.optimizers.SGD(schedule)

    hidden = space(lambda keras: keras.layers.Dense(8, activation="relu"), optimizer=growing)
    found = found_in(search_here(make_blobs(distance=2.0), hidden, epochs=14), "diverging")
    assert found.numbers["train_at_end"] > found.numbers["train_at_epoch"]
    assert found.numbers["train_loss_at_end"] > found.numbers["train_loss_least"]


def test_training_rows_that_get_worse_in_inference_mode_alone_do_not_diverge(tables):
    turned = FALL + np.maximum(0, np.arange(30) - 12) * 0.02
    assert codes(tables(turned, running=FALL)) == []
    assert codes(tables(turned, running=turned)) == ["diverging"]


# -- noisy


def test_huge_steps_on_few_rows_are_noisy(search_here, space, make_blobs, found_in):
    wild = space(
        lambda keras: keras.layers.Dense(8, activation="tanh"),
        optimizer=lambda keras: keras.optimizers.SGD(2.0),
    )
    run = search_here(make_blobs(n=36, distance=2.0), wild, epochs=14, batch_size=2, repeats=1)
    found = found_in(run, "noisy")
    assert found.numbers["noise"] > 0.05 * found.numbers["at_stake"]


def test_noise_below_half_the_scores_own_error_is_not_reported(tables):
    noise = 0.1 * np.random.default_rng(0).normal(size=40)
    assert codes(tables(0.5 + noise, 0.5 + noise / 9, se=0.01)) == ["noisy"]
    assert codes(tables(0.5 + noise, 0.5 + noise / 9, se=0.3)) == []


# -- curves that are too short, or of no known scale


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
def test_a_few_epochs_have_no_shape(n_epochs, tables):
    assert codes(tables(FALL[:n_epochs])) == []


def test_a_metric_that_is_undefined_on_the_training_rows_says_nothing(tables):
    assert codes(tables(0.99 + 0 * FALL, np.full(30, np.nan))) == []


def test_labels_that_cannot_be_read_leave_the_rules_that_need_them_silent(tables):
    predictions = pd.DataFrame(
        {"row": range(4), "repeat": 0, "fold": 0, "y_true": list("aabb"), "y_pred": GUESSES}
    )
    options = {"task": "binary", "metric": "log_loss", "predictions": predictions}
    assert codes(tables(0.9 - 0 * FALL, **options, labels=("a", "b"))) == ["underfit"]
    assert codes(tables(0.9 - 0 * FALL, **options, labels=("c", "d"))) == []
