"""The fused engine against plain ``model.fit`` of Keras on TensorFlow.

Each case trains one network of the space mlp twice from the same initial weights in the same
batch order, dropout 0: in the fused engine, with Keras on JAX in a worker process, and by Keras's
own ``fit`` in this process, which has Keras on TensorFlow. The two share Keras's Python alone: no
kernel, no compiler and no training loop. Compared are, after each of 20 epochs, the validation
loss and the loss that ``fit`` reports.

Float32 rounds differently on the two backends, and training can let such differences grow until
they are large, whatever the engine. So the networks are small and the training is short. Measured
over these cases, the validation losses differ by 5e-7 of themselves at most, and the reported
losses by 8e-6 in the first epochs of a network that begins with confident mistakes, 3e-7 elsewhere;
the tests allow 1e-4.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit

from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import problem_of, read_fit_data, training_target
from hpsearch.engines.fused.training import FusedUnit
from hpsearch.engines.plan import batch_order
from hpsearch.preprocessing import design_rows
from hpsearch.space.hyperparameters import active_values
from hpsearch.space.space import Candidate, Space
from hpsearch.task import Problem

EPOCHS, BATCH = 20, 8
VALIDATION_ROWS = [6, 10, 14]  # 24, 20 and 16 training rows: 3 steps, a partial last one, 2 steps
TOLERANCE = 1e-4

SPACE = Space.load("mlp")
DECLARED = SPACE.declared(
    Problem("binary", (3,), 1, "sigmoid", "binary_crossentropy", n_train=16, epochs=EPOCHS)
)
SMALL = {"units_1": 16, "units_2": 16, "batch_size": BATCH, "l1": 1e-3, "l2": 1e-2}


def choices(name):
    """All values of one of the space's choices."""
    [values] = [hp.values for hp in DECLARED.space if hp.name == name]
    return list(values)


OPTIMIZERS = [
    *({"optimizer": name} for name in choices("optimizer")),
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd", "momentum": 0.5, "nesterov": False},
]
OTHERS = ("schedule", "regularization", "batch_normalization", "activation")


def configuration(number):
    """One of 18 configurations, in which every value of the space's choices occurs.

    Each optimizer meets two schedules and each schedule three optimizers, all placements of batch
    normalisation, and several penalties; the numbers are small or the space's defaults.
    """
    turns = (number, number + number // 4, number // 6, number + number // 6)
    chosen = dict(zip(OTHERS, turns, strict=True))
    values = {name: choices(name)[turn % len(choices(name))] for name, turn in chosen.items()}
    return active_values(DECLARED, {**SMALL, **values, **OPTIMIZERS[number % len(OPTIMIZERS)]})


CONFIGURATIONS = [configuration(number) for number in range(18)]


@pytest.fixture(scope="module")
def job(table, make_job):
    splitter = PredefinedSplit(np.repeat(np.arange(3), VALIDATION_ROWS))
    dataset = table("binary", sum(VALIDATION_ROWS))
    return make_job(dataset, "mlp", splitter=splitter, epochs=EPOCHS, batch_size=BATCH)


@pytest.fixture(scope="module")
def fused(on_jax, job):
    """Each configuration's initial weights and results: futures, so that both sides work."""
    with ThreadPoolExecutor(1) as pool:
        yield [
            pool.submit(on_jax, "weights_and_results", job, unit(number))
            for number in range(len(CONFIGURATIONS))
        ]


def unit(number):
    """All folds of a configuration as one program."""
    part = WorkUnit(Candidate(number, CONFIGURATIONS[number]), (0, 1, 2))
    return FusedUnit((part,), 3, f"structure {number}")


def test_the_configurations_cover_the_choices_of_the_default_space():
    for name in ("optimizer", *OTHERS):
        assert {values[name] for values in CONFIGURATIONS} == set(choices(name))
    kinds = {(*OPTIMIZERS[n % 9].values(), CONFIGURATIONS[n]["schedule"]) for n in range(18)}
    assert len(kinds) == 18


@pytest.mark.parametrize(
    "number",
    range(len(CONFIGURATIONS)),
    ids=lambda n: "-".join(
        str(CONFIGURATIONS[n][name])
        for name in ("optimizer", "schedule", "regularization", "batch_normalization")
    ),
)
def test_every_epoch_is_that_of_fit_on_tensorflow(job, fused, number):
    position = number // 2 % 3
    weights, results = fused[number].result()
    result = results[number, position]
    train_loss, validation_loss = fit(job, number, weights[number, position], result)
    np.testing.assert_allclose(result.train_loss, train_loss, rtol=TOLERANCE)
    np.testing.assert_allclose(result.validation["log_loss"], validation_loss, rtol=TOLERANCE)


def fit(job, number, weights, result):
    """Keras's ``fit``: the loss it reports, and its ``val_loss`` without the penalty (20,)."""
    import keras

    assert keras.backend.backend() == "tensorflow"
    data = read_fit_data(job.data_path)
    fold, statistics = data.folds[result.position], data.statistics[result.position]
    x = design_rows(data.encoded, data.layout, statistics)
    y = training_target(data, statistics)
    problem = problem_of(data.target, data.layout, n_train=len(fold.train), epochs=EPOCHS)
    model = SPACE.build(CONFIGURATIONS[number], problem)
    model.set_weights(weights)
    penalties = []
    note_penalty = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: penalties.append(float(sum(model.losses)))
    )
    history = model.fit(
        batches(x, y, fold.train, result.seed),
        steps_per_epoch=-(-len(fold.train) // BATCH),
        epochs=EPOCHS,
        validation_data=(x[fold.validation], y[fold.validation]),
        shuffle=False,
        verbose=0,
        callbacks=[note_penalty],
    ).history
    return np.array(history["loss"]), np.array(history["val_loss"]) - penalties


def batches(x, y, train, seed):
    """Every epoch's batches in the engines' order, the last one of an epoch as small as it is."""
    for epoch in range(EPOCHS):
        rows = train[batch_order(seed, epoch, len(train))]
        for first in range(0, len(rows), BATCH):
            chosen = rows[first : first + BATCH]
            yield x[chosen], y[chosen]
