"""Folds of unequal size train at the same learning rates at the same epochs, and the refit does.

What a network of one bias gives is the sum of its learning rates: its gradient is always -1.
"""

import sys

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.engines.contract import WHOLE, Span, WorkUnit
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.scoring.trials import joined_folds
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces go to a worker

EPOCHS, BATCH, N_ROWS = 7, 4, 26
VALIDATION = {0: range(4), 1: range(4, 10), 2: range(10, 26)}  # of each fold
STEPS = {0: 6, 1: 5, 2: 3, None: 7}  # an epoch; of all rows last
FOLDS = (0, 1, 2)


class Unequal:
    """A splitter of folds that take six, five and three steps an epoch."""

    def split(self, X, y=None, groups=None):
        for rows in VALIDATION.values():
            yield np.setdiff1d(np.arange(N_ROWS), rows), np.array(rows)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(VALIDATION)


def restarts(steps_per_epoch):
    """A schedule that restarts after one epoch, and after three."""
    import keras

    return keras.optimizers.schedules.CosineDecayRestarts(0.5, steps_per_epoch)


def epochs_of_ones_own(steps_per_epoch):
    """A schedule that Keras does not ship: each epoch has a rate of its own."""
    import keras

    class Epochs(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, steps):
            self.steps = steps

        def __call__(self, step):
            return 0.1 + 0.2 * (keras.ops.cast(step // self.steps, "float32") % 3)

        def get_config(self):
            return {"steps": self.steps}

    return Epochs(steps_per_epoch)


SCHEDULES = {"restarts": restarts, "one's own": epochs_of_ones_own}


def expected_rates(name, n_steps, epochs=EPOCHS):
    """The learning rate of each step of each epoch (epochs, n_steps)."""
    step = np.arange(epochs * n_steps)
    if name == "one's own":
        rates = 0.1 + 0.2 * (step // n_steps % 3)
    else:
        begin = np.where(step < n_steps, 0, np.where(step < 3 * n_steps, n_steps, 3 * n_steps))
        length = np.where(step < n_steps, 1, np.where(step < 3 * n_steps, 2, 4)) * n_steps
        rates = 0.25 * (1 + np.cos(np.pi * (step - begin) / length))
    return rates.reshape(epochs, n_steps)


def sums_of(name, n_steps, epochs=EPOCHS):
    return expected_rates(name, n_steps, epochs).sum(axis=1).cumsum()


def bias_of(problem, *before):
    import keras

    first = [keras.Input(problem.input_shape), *before, keras.layers.Rescaling(0.0)]
    return keras.Sequential([*first, keras.layers.Dense(1, name="last")])


def build(hp, problem):
    """A network whose bias is the sum of the learning rates so far."""
    import keras

    base = keras.layers.Dense(2, trainable=False)
    before = [base] if hp.Choice("base", ["none", "frozen"]) == "frozen" else []
    model = bias_of(problem, *before)
    schedule = SCHEDULES[hp.Choice("schedule", list(SCHEDULES))](problem.steps_per_epoch(BATCH))
    optimizer = keras.optimizers.SGD(schedule)
    wrapper = hp.Choice("wrapper", ["none", "scaled", "several"])
    if wrapper == "scaled":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    if wrapper == "several":
        still, learning = keras.optimizers.SGD(0.0), optimizer
        optimizer = keras.optimizers.MultiOptimizer(
            lambda variable: learning if variable.name == "bias" else still
        )
    model.compile(optimizer, "mae", run_eagerly=hp.Boolean("eager"))
    return model


@pytest.fixture(scope="module")
def make_unequal(table, make_job):
    def make_unequal(build=build, **options):
        options = {"epochs": EPOCHS, "batch_size": BATCH, "scale_target": False} | options
        return make_job(table("regression"), build, splitter=Unequal(), **options)

    return make_unequal


@pytest.fixture(scope="module")
def job(make_unequal):
    return make_unequal()


@pytest.fixture(scope="module")
def trained(engine, job):
    """Train folds of a candidate of these values; gives the result."""

    def trained(folds=FOLDS, span=WHOLE, states=None, job=job, **values):
        result = engine.train(job, WorkUnit(Candidate(0, values), folds, span, states))
        assert result.error is None, result.traceback
        return result

    return trained


def biases(result):
    """Each fold's bias after every epoch, by position."""
    return {fold.position: fold.predictions[:, 0, 0] for fold in result.folds}


@pytest.mark.parametrize(
    ("name", "base"), [("restarts", "none"), ("restarts", "frozen"), ("one's own", "none")]
)
def test_each_fold_is_at_the_rate_of_its_own_epochs(trained, name, base):
    for position, bias in biases(trained(schedule=name, base=base)).items():
        assert_allclose(bias, sums_of(name, STEPS[position]), rtol=1e-5)


def test_all_folds_and_the_refit_are_at_one_rate_in_each_epoch(trained, engine, job):
    found = biases(trained(schedule="one's own"))
    rates = {p: np.diff(bias, prepend=0.0) / STEPS[p] for p, bias in found.items()}
    for position in FOLDS:
        assert_allclose(rates[position], rates[2], rtol=1e-5)
    candidate = Candidate(0, {"schedule": "one's own"})
    ends = [
        engine.call("refit", engine.name, job, candidate, epochs * STEPS[None])[-1][0]
        for epochs in (4, 5)
    ]
    assert (ends[1] - ends[0]) / STEPS[None] == pytest.approx(rates[2][4], rel=1e-5)


@pytest.mark.parametrize("how", ["scaled", "several", "eager"])
def test_so_are_wrapped_optimizers_several_and_those_of_networks_that_run_eagerly(
    trained, engine, how
):
    if engine.name != "reference":
        pytest.skip("they are the reference engine's alone")
    values = {"eager": True} if how == "eager" else {"wrapper": how}
    for position, bias in biases(trained(**values)).items():
        assert_allclose(bias, sums_of("restarts", STEPS[position]), rtol=1e-5)


def test_no_bit_of_a_fold_depends_on_the_folds_beside_it(trained):
    together = biases(trained())
    for others in ((0,), (2, 0)):
        for position, bias in biases(trained(others)).items():
            assert_array_equal(bias, together[position])


def test_going_on_from_a_rung_gives_the_same_bits(trained):
    whole = trained((0,), Span(0, None, 1))
    first = trained((0,), Span(0, 3, 1))
    rest = trained((0,), Span(3, None, 1), {0: first.folds[0].state})
    [fold] = joined_folds([first, rest])
    assert_array_equal(fold.predictions, whole.folds[0].predictions)


def build_in_phases(hp, problem):
    import keras

    model = bias_of(problem)
    model.compile(keras.optimizers.SGD(restarts(problem.steps_per_epoch(BATCH))), "mae")
    return model


def phases(hp, problem):
    import keras

    import hpsearch

    optimizer = keras.optimizers.SGD(epochs_of_ones_own(problem.steps_per_epoch(BATCH)))
    return [hpsearch.Phase(3 / 7, ["last"]), hpsearch.Phase(4 / 7, ["last"], optimizer)]


build_in_phases.phases = phases


def in_phases(n_steps):
    first = sums_of("restarts", n_steps, 3)
    return np.concatenate([first, first[-1] + sums_of("one's own", n_steps, 4)])


def test_each_phase_counts_the_steps_of_the_fold(trained, make_unequal, engine):
    job = make_unequal(build_in_phases)
    for position, bias in biases(trained(job=job)).items():
        assert_allclose(bias, in_phases(STEPS[position]), rtol=1e-5)
    for epochs in (3, 5):
        n_steps = epochs * STEPS[None]
        *_, bias = engine.call("refit", engine.name, job, Candidate(0, {}), n_steps)
        assert bias[0] == pytest.approx(in_phases(STEPS[None])[epochs - 1], rel=1e-5)


def build_by_rows(hp, problem):
    """A network that is as wide as there are training rows."""
    import keras

    model = bias_of(problem, keras.layers.Dense(problem.n_train))
    rate = restarts(problem.steps_per_epoch(BATCH))
    model.compile(keras.optimizers.SGD(rate), "mae")
    return model


def test_of_a_network_for_other_rows_the_learning_rates_count_alone(trained, make_unequal):
    result = trained(job=make_unequal(build_by_rows))
    n_train = N_ROWS - len(VALIDATION[2])
    assert result.n_params == 4 * n_train + n_train + 1
    for position, bias in biases(result).items():
        assert_allclose(bias, sums_of("restarts", STEPS[position]), rtol=1e-5)


def build_constant(hp, problem):
    import keras

    assert problem.n_train <= N_ROWS - len(VALIDATION[2])
    model = bias_of(problem)
    model.compile(keras.optimizers.SGD(0.5), "mae")
    return model


def test_where_there_is_no_schedule_no_network_is_built_for_other_rows(trained, make_unequal):
    for position, bias in biases(trained(job=make_unequal(build_constant))).items():
        assert_allclose(bias, 0.5 * STEPS[position] * np.arange(1, EPOCHS + 1), rtol=1e-5)


def build_of_many(hp, problem):
    """A network whose optimizers are as many as its rows say."""
    import keras

    model = bias_of(problem)
    optimizer = keras.optimizers.SGD(restarts(problem.steps_per_epoch(BATCH)))
    if problem.n_train > N_ROWS - len(VALIDATION[2]):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "mae")
    return model


def test_other_optimizers_for_other_rows_fail_the_trial_in_one_line(engine, make_unequal):
    result = engine.train(make_unequal(build_of_many), WorkUnit(Candidate(0, {}), (0,)))
    assert result.error == (
        "build of 'build_of_many' must make as many optimizers whatever `problem.n_train` is; it "
        "made 1, and 2 of 22 rows."
    )


def test_the_folds_are_unequal(job):
    folds = read_fit_data(job.data_path).folds
    assert [-(-len(fold.train) // BATCH) for fold in folds] == [STEPS[p] for p in FOLDS]
