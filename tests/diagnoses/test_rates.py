"""Learning rates that are too high, and schedules that end early."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def line(n=48):
    rng = np.random.default_rng(0)
    x = rng.normal(size=n)
    return pd.DataFrame({"a": x, "b": rng.normal(size=n), "y": 3 * x + 0.1 * rng.normal(size=n)})


def of_rates(*rates):
    def build(hp, problem):
        import keras

        rate = hp.Choice("learning_rate", list(rates))
        model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    return build


def test_trials_that_diverge_at_large_rates_only_bound_the_range(search_here, found_in):
    build = of_rates(0.01, 0.03, 0.1, 1e8, 2e8)
    run = search_here(line(), build, epochs=6, oracle="grid", trials=5)
    assert (run.trials["status"] == "failed").sum() == 2
    found = found_in(run, "learning_rate_too_high")
    assert (found.trial, found.chart) == (None, "trials")
    assert found.numbers["hyperparameter"] == "learning_rate"
    assert found.numbers["limit"] == 1e8
    assert found.numbers["best_rate"] <= 0.1
    failed = run.trials.loc[run.trials["status"] == "failed", "trial"]
    assert found.numbers["diverged"] == list(failed)


def searched(rates, scores, errors=None):
    """Ranked trials with these learning rates; without a score a trial failed."""
    errors = errors or [None if s is not None else "the training diverged: nan" for s in scores]
    table = pd.DataFrame({"trial": range(len(rates)), "score": scores, "error": errors})
    table["status"] = np.where(table["score"].isna(), "failed", "completed")
    table["rank"] = table["score"].rank()
    table["hp.learning_rate"] = rates
    return table


CALM = np.full(5, 0.3)
BAD = None


def codes(tables):
    return [found.code for found in diagnose(tables)]


def test_a_single_trial_that_diverges_among_stable_ones_of_its_rate_says_nothing(tables):
    rates = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]
    assert codes(tables(CALM, trials=searched(rates, [1, 2, BAD, 3, 4, 5]))) == []
    assert codes(tables(CALM, trials=searched(rates, [1, 2, 3, 4, BAD, BAD]))) == [
        "learning_rate_too_high"
    ]


def test_a_best_trial_near_the_limit_says_that_the_range_is_right(tables):
    rates = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]
    assert codes(tables(CALM, trials=searched(rates, [5, 4, 3, 2, 1, BAD]))) == []


def test_trials_that_failed_for_another_reason_did_not_diverge(tables):
    rates, scores = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06], [1, 2, 3, 4, BAD, BAD]
    errors = [None] * 4 + ["ValueError: no"] * 2
    assert codes(tables(CALM, trials=searched(rates, scores, errors))) == []


def test_fewer_than_five_trials_are_not_compared(tables):
    assert codes(tables(CALM, trials=searched([0.01, 0.02, 1.0, 2.0], [1, 2, BAD, BAD]))) == []


# -- schedules


def test_a_rate_that_is_gone_while_the_curve_falls_ended_early(
    search_here, space, make_blobs, found_in
):
    def ending(keras):
        steps = keras.optimizers.schedules.PiecewiseConstantDecay([18], [0.05, 1e-5])
        return keras.optimizers.Adam(steps)

    run = search_here(make_blobs(), space(optimizer=ending), epochs=12)
    assert run.best["learning_rate"] == {
        "first": 0.05,
        "peak": 0.05,
        "last": 1e-5,
        "tenth_epoch": 8,  # three steps an epoch, the 19th in the seventh
    }
    found = found_in(run, "schedule_ended_early")
    assert found.numbers["tenth_epoch"] == 8
    assert found.numbers["val_after"] < found.numbers["val_before"]
    assert "still_falling" not in [one.code for one in run.diagnoses]


FALLING = np.concatenate([np.linspace(0.9, 0.3, 12), np.full(18, 0.299)])
GONE = {"first": 0.1, "peak": 0.1, "last": 1e-4}


def test_a_rate_that_is_gone_after_the_curve_came_to_rest_did_not_end_early(tables):
    early = {"learning_rate": GONE | {"tenth_epoch": 13}}
    late = {"learning_rate": GONE | {"tenth_epoch": 25}}
    assert codes(tables(FALLING, best=early)) == ["schedule_ended_early"]
    assert codes(tables(FALLING, best=late)) == []


def test_a_constant_rate_never_ends_early(tables):
    constant = {"first": 0.1, "peak": 0.1, "last": 0.1, "tenth_epoch": None}
    assert codes(tables(FALLING, best={"learning_rate": constant})) == []


def test_a_best_epoch_before_the_rate_was_gone_needs_no_more_of_it(tables):
    turned = np.concatenate([FALLING[:12], np.full(18, 0.31)])
    best = {"learning_rate": GONE | {"tenth_epoch": 14}}
    assert codes(tables(turned, best=best)) == []
