"""What the fused engine cannot train exactly goes to the reference engine, with the reason."""

import sys

import cloudpickle
import pytest

from hpsearch.engines.failures import UntraceableError
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the space goes to a worker


def build(hp, problem):
    """A network that is odd in one of its parts."""
    import keras
    from keras import layers as k

    part = hp.Choice("part", [*REASONS, "nothing"])
    optimizer = keras.optimizers.SGD()
    if part == "several optimizers":
        by_name = keras.optimizers.OptimizerMap(optimizer, {"dense/.*": keras.optimizers.Adam()})
        optimizer = keras.optimizers.MultiOptimizer(by_name)
    if part == "an optimizer without its config":
        optimizer = unlike_its_config(keras)
    if part == "an optimizer that forgets":
        optimizer = forgetful(keras)
    if part == "a schedule without its config":
        optimizer = keras.optimizers.SGD(unwritten(keras))
    rows = k.Input(problem.input_shape)
    steps = k.Reshape((3, 1))(rows)
    joined = keras.ops.reshape(steps, (-1, 1))
    penalty = keras.regularizers.OrthogonalRegularizer() if part == "angles" else "l2"
    hidden = {
        "a mask": lambda: k.Masking(0.0)(rows),
        "angles": lambda: k.Dense(4, activity_regularizer=penalty, name="angles")(rows),
        "averages of joined rows": lambda: keras.ops.reshape(
            k.BatchNormalization(name="joined")(joined), (-1, 3)
        ),
        "penalties of joined rows": lambda: keras.ops.reshape(
            k.Dense(1, activity_regularizer=penalty, name="joined")(joined), (-1, 3)
        ),
        "steps": lambda: k.Flatten()(k.TimeDistributed(k.BatchNormalization())(steps)),
    }.get(part, lambda: k.Dense(4, activity_regularizer=penalty)(rows))()
    last = k.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model(rows, last(hidden))
    model.compile(optimizer, problem.loss)
    return model


def unlike_its_config(keras):
    class Odd(keras.optimizers.SGD):
        def __init__(self, factor):
            super().__init__(learning_rate=0.1 * factor)

    return Odd(2.0)


def forgetful(keras):
    class Halving(keras.optimizers.SGD):
        def __init__(self, learning_rate, factor=1.0, **options):
            super().__init__(learning_rate, **options)
            self._factor = factor

        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient * self._factor, variable, learning_rate)

    return Halving(0.1, factor=0.5)


def unwritten(keras):
    class Falling(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 / (1.0 + keras.ops.cast(step, "float32"))

    return Falling()


REASONS = {
    "a mask": "its output has a mask, by which the loss leaves out rows",
    "angles": "layer 'angles' penalises what it gives by OrthogonalRegularizer, not by L1 or L2",
    "averages of joined rows": "layer 'joined' computes with rows that were joined or split",
    "penalties of joined rows": "layer 'joined' computes with rows that were joined or split",
    "several optimizers": "its optimizer is a MultiOptimizer",
    "an optimizer without its config": "its optimizer, a Odd, cannot be made again: TypeError: ",
    "an optimizer that forgets": "its optimizer, a Halving, is made again without its '_factor'",
    "a schedule without its config": "its optimizer, a SGD, cannot be made again: NotImplemented",
}


@pytest.mark.parametrize("part", [*REASONS, "steps", "nothing"])
def test_a_network_is_traced_or_goes_to_the_reference_engine_for_a_reason(
    on_jax, table, make_job, part
):
    job = make_job(table("regression"), build)
    [sketch] = on_jax("sketches", job, [Candidate(0, {"part": part})])
    assert sketch.error is None, sketch.traceback
    if part in REASONS:
        assert sketch.reason.startswith(REASONS[part])
    else:
        assert sketch.reason is None


def test_candidates_that_leave_other_variables_out_of_weight_decay_share_no_program(
    on_jax, table, make_job
):
    def decaying(hp, problem):
        import keras

        optimizer = keras.optimizers.AdamW()
        if left_out := hp.Choice("left_out", ["", "bias", "kernel"]):
            optimizer.exclude_from_weight_decay(var_names=[left_out])
        layers = [keras.Input(problem.input_shape), keras.layers.Dense(problem.n_outputs)]
        model = keras.Sequential(layers)
        model.compile(optimizer, problem.loss)
        return model

    job = make_job(table("regression"), decaying)
    candidates = [Candidate(i, {"left_out": n}) for i, n in enumerate(["", "bias", "kernel"])]
    sketches = on_jax("sketches", job, candidates)
    assert len({sketch.key for sketch in sketches}) == 3


def test_a_refit_of_what_cannot_be_traced_is_left_to_the_other_engine(on_jax, table, make_job):
    job = make_job(table("regression"), build)
    candidate = Candidate(0, {"part": "an optimizer that forgets"})
    with pytest.raises(UntraceableError, match="without its '_factor'"):
        on_jax("refit", "fused", job, candidate, 3)
