"""What is looked at in the selected network once it is trained on all rows.

Two facts that no table holds: how the network does on its training rows in *training mode*, where
dropout drops and batch normalisation computes with the batch, beside the *inference mode* of every
score; and how its learning rate went. ``best.json`` keeps both; what they mean belongs to
``hpsearch.diagnoses``. Nothing here changes the network, and a network that will not be looked at
goes without: a search does not end for a figure that nothing is selected by.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.backend import compiled
from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import FitData, problem_of, read_fit_data, smallest_training_set
from hpsearch.engines.initial import numpy_draws
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.network import (
    OutputForm,
    numpy_links,
    side_by_side,
    single_precision,
    unwrapped,
)
from hpsearch.engines.plan import REFIT, batch_order, replica_seed
from hpsearch.export.base_moved import inspect_base
from hpsearch.preprocessing import Statistics
from hpsearch.space.network_checks import is_of_keras
from hpsearch.space.space import Candidate, FitSettings, Space, fit_settings

MAX_ROWS: Final = 1024
"""Training rows that are looked at in both modes at most, drawn at random, or one batch."""

MAX_RATES: Final = 200
"""Epochs whose learning rates are computed at most, evenly spread over the budget."""


def inspect_network(network: Any, job: Job, candidate: Candidate, n_steps: int) -> dict[str, Any]:
    """What ``best.json`` says of the trained network.

    Parameters
    ----------
    network : trained on all rows for ``n_steps`` optimizer steps; it stays as it is.

    Returns
    -------
    ``modes``
        ``n_rows``, the metrics on these rows in ``training`` and in ``inference`` mode,
        ``n_steps``, and of ``batch_normalization`` the number of layers and their largest
        momentum, or None. None where no layer knows a training mode.
    ``learning_rate``
        ``first``, ``peak`` and ``last`` over the epochs of a fold's training, and ``tenth_epoch``,
        from which on every epoch began with a tenth of the peak or less, or None. None where the
        optimizer tells no rate.
    ``base``
        What came trained, see ``base_moved``; left out where nothing did.
    """
    data = read_fit_data(job.data_path)
    settings = fit_settings(candidate.values, job.options.batch_size, job.options.epochs)
    try:
        modes = _modes(network, job, candidate, settings, n_steps)
    except Exception:  # whatever a user's own layers raise outside of their own training
        modes = None
    try:
        rates = _epoch_rates(network, job, candidate, settings, data)
    except Exception:  # whatever a user's own schedule or optimizer raises
        rates = None
    try:
        base = inspect_base(network, job, candidate)
    except Exception:  # whatever a user's own build raises outside of the training
        base = None
    return {"modes": modes, "learning_rate": rates, **({} if base is None else {"base": base})}


def _modes(
    network: Any, job: Job, candidate: Candidate, settings: FitSettings, n_steps: int
) -> dict[str, Any] | None:
    if not any(map(_knows_modes, keras_internals.layers_of(network, include_self=True))):
        return None
    data = read_fit_data(job.data_path)
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, 0)
    batches = _batches(batch_order(seed, 0, data.encoded.n_rows), settings.batch_size)
    rows = batches.ravel()
    metrics = {}
    for mode, is_training in (("training", True), ("inference", False)):
        predictions = _predictions(network, data, batches, training=is_training)
        metrics[mode] = {
            name: float(data.scores(name, rows, predictions)) for name in job.options.metrics
        }
    return {
        "n_rows": len(rows),
        **metrics,
        "n_steps": n_steps,
        "batch_normalization": _batch_normalization(network),
    }


def _knows_modes(layer: Any) -> bool:
    """Whether a layer may compute otherwise while it is trained.

    Keras's own do where they draw at random or compute with the batch. Most others take
    ``training`` too, and pass it on or leave it.
    """
    import keras

    if not is_of_keras(layer):
        return "training" in inspect.signature(layer.call).parameters
    of_batches = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)
    return isinstance(layer, of_batches) or hasattr(layer, "seed_generator")


def _batches(order: NDArray[np.int32], batch_size: int) -> NDArray[np.int32]:
    """Whole batches (n, B) of the first epoch's order, or all rows where they are fewer."""
    if len(order) < batch_size:
        return order[np.newaxis]
    n_batches = min(len(order), max(batch_size, MAX_ROWS)) // batch_size
    return order[: n_batches * batch_size].reshape(n_batches, batch_size)


def _predictions(
    network: Any, data: FitData, batches: NDArray[np.int32], *, training: bool
) -> NDArray[np.float32]:
    """Canonical predictions of the batches' rows, in their order."""
    statistics = data.statistics_of(None, InputForm.on(network, data.layout).names)
    form = OutputForm.of(network, data.target)
    outputs = _outputs(network, data, statistics, batches, training=training)
    raw = single_precision(np.concatenate(list(outputs)))
    centre, scale = statistics.target_centre, statistics.target_scale
    power = statistics.target_power
    exposure = (
        None if data.encoded.exposure is None else data.encoded.exposure[batches.ravel(), None]
    )
    values = form.canonical(numpy_links, data.target, raw, centre, scale, power, exposure)
    return data.target.without_column(np.asarray(values))


def _outputs(
    network: Any,
    data: FitData,
    statistics: Statistics,
    batches: NDArray[np.int32],
    *,
    training: bool,
) -> Iterator[NDArray[np.float32]]:
    """Each batch's outputs; seeds and averages move on from batch to batch, the network's don't."""
    import keras

    form = InputForm.on(network, data.layout)
    call = compiled(partial(network.stateless_call, training=training))
    weights = [variable.value for variable in network.trainable_variables]
    state = [variable.value for variable in network.non_trainable_variables]
    encoded = data.encoded_in(None)
    for rows in batches:
        inputs = form.rows(encoded.take(rows), data.layout, statistics)
        outputs, state = call(weights, state, inputs)
        yield keras.ops.convert_to_numpy(side_by_side(keras.ops, outputs))


def _batch_normalization(network: Any) -> dict[str, Any] | None:
    import keras

    kind = keras.layers.BatchNormalization
    momenta = [
        layer.momentum for layer in keras_internals.layers_of(network) if isinstance(layer, kind)
    ]
    return {"n_layers": len(momenta), "momentum": float(max(momenta))} if momenta else None


def _epoch_rates(
    network: Any, job: Job, candidate: Candidate, settings: FitSettings, data: FitData
) -> dict[str, Any] | None:
    import keras

    if Space.from_bytes(job.space).has_phases:
        return None  # each has rates of its own
    optimizer = unwrapped(network.optimizer)
    schedule = keras_internals.rate_of(optimizer)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        rate = _plain(optimizer.learning_rate)
        return {"first": rate, "peak": rate, "last": rate, "tenth_epoch": None}
    n_train = smallest_training_set(data.folds)
    schedule = compiled(_schedule_of_a_fold(job, candidate, settings, data, n_train))
    n_points = min(settings.epochs, MAX_RATES)
    epochs = np.unique(np.linspace(1, settings.epochs, n_points).round().astype(int))
    steps = (epochs - 1) * -(-n_train // settings.batch_size)
    rates = np.array([float(keras.ops.convert_to_numpy(schedule(int(step)))) for step in steps])
    peak = rates.max()
    low = epochs[int(np.flatnonzero(rates > peak / 10).max(initial=0)) + 1 :]  # restarts are high
    return {
        "first": _plain(rates[0]),
        "peak": _plain(peak),
        "last": _plain(rates[-1]),
        "tenth_epoch": int(low[0]) if len(low) else None,
    }


def _schedule_of_a_fold(
    job: Job, candidate: Candidate, settings: FitSettings, data: FitData, n_train: int
) -> Any:
    """The schedule that the folds were trained by: that of the refit may count other steps."""
    problem = problem_of(data.target, data.layout, n_train=n_train, epochs=settings.epochs)
    space = Space.from_bytes(job.space)
    with numpy_draws():
        built = space.construct(candidate.values, problem, dict(job.fixes))
    return keras_internals.rate_of(unwrapped(built.model.optimizer))


def _plain(rate: Any) -> float:
    """A float32 without the digits that it does not have."""
    return float(f"{float(rate):.6g}")
