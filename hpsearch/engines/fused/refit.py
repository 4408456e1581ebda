"""Training on all rows in a fused program: the refit, for as many steps as the folds ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines import phases
from hpsearch.engines.base_outputs import shortened
from hpsearch.engines.buckets import Batching
from hpsearch.engines.contract import Job
from hpsearch.engines.failures import UntraceableError
from hpsearch.engines.fit_data import FitData, read_fit_data, training_target
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.fused.compiling import effort_of
from hpsearch.engines.fused.configuration import FusedConfiguration
from hpsearch.engines.fused.inputs import (
    design_statistics,
    fold_numbers,
    loss_weights,
    padded_bags,
    padded_order,
    padded_size,
    shared_target,
    slotted_steps,
)
from hpsearch.engines.fused.obstacles import untraceable_reason
from hpsearch.engines.fused.on_device import places_on_device, table_on_device
from hpsearch.engines.fused.training import cells_of_bags, epochs_of_a_call
from hpsearch.engines.plan import REFIT, batch_order, replica_seed
from hpsearch.space.space import Candidate

if TYPE_CHECKING:
    from hpsearch.engines.fused.packing import State
    from hpsearch.engines.fused.program import Shapes


def train_on_all_rows(job: Job, candidate: Candidate, n_steps: int, number: int = 0) -> Any:
    """The network of a candidate after ``n_steps`` optimizer steps on all rows.

    Parameters
    ----------
    number : of the seed, where several networks of one candidate are trained.

    Raises
    ------
    UntraceableError
        If another engine trained its folds, since this one cannot.
    """
    from hpsearch.engines.fused.packing import assign, stack_states

    data = read_fit_data(job.data_path)
    whole = FusedConfiguration(job, data, candidate.values, n_train=data.encoded.n_rows)
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, number)
    ours, configuration = shortened(job, whole)
    _check(configuration, ours)
    state, first_epoch = stack_states([configuration.initial_state(seed)]), 0
    for phase, steps in enumerate(phases.steps_on_all_rows(configuration, data, n_steps)):
        if phase:
            before = configuration
            ours, configuration = job, whole.in_phase(phase)
            _check(configuration, ours)
            of_replica = [[np.asarray(values[0]) for values in part] for part in state]
            state = stack_states([configuration.entered(before, of_replica)])
        state, n_epochs = _trained(ours, configuration, state, steps, seed, first_epoch)
        first_epoch += n_epochs
    model = configuration.network
    assign(model, state, 0)
    return whole_of(model)


def _check(configuration: FusedConfiguration, job: Job) -> None:
    """Refuse what another engine trained."""
    has_words = bool(read_fit_data(job.data_path).layout.words)
    network = configuration.network
    form, problem = configuration.input_form, configuration.problem
    reason = untraceable_reason(network, form, problem, has_words=has_words)
    if reason is not None:
        raise UntraceableError(reason)


def _trained(
    job: Job,
    configuration: FusedConfiguration,
    state: State,
    n_steps: int,
    seed: int,
    first_epoch: int,
) -> tuple[State, int]:
    """The state after so many steps of a phase, or of the whole training, and its epochs.

    Parameters
    ----------
    first_epoch : epochs on all rows before it, which have orders of their own.
    """
    from hpsearch.engines.fused.program import FusedProgram, Shapes, block_inputs

    data = read_fit_data(job.data_path)
    n_rows = data.encoded.n_rows
    batch_size, bags = padded_size(configuration.settings.batch_size, n_rows), configuration.bags
    form = configuration.input_form
    steps_per_epoch = -(-n_rows // batch_size)
    n_epochs = -(-n_steps // steps_per_epoch)
    batching = configuration.batching
    orders = [batch_order(seed, first_epoch + epoch, n_rows) for epoch in range(n_epochs)]
    cells = n_rows + cells_of_bags(bags, n_rows, batch_size)
    block = min(n_epochs, epochs_of_a_call(cells))
    shapes = Shapes(
        batch_size=batch_size,
        n_steps=steps_per_epoch,
        n_epochs=block,
        pads=bool(n_rows % batch_size),
        idles=True,
        predicts=False,
        n_pieces=0 if bags is None else bags.needed(orders, batch_size),
        effort=effort_of(configuration.n_weights_of_a_row, 1, n_rows * n_epochs),
        lengths=batching.buckets.steps if batching else (),
    )
    fixed = _inputs_of_all_rows(configuration, data, n_steps)
    table = table_on_device(job.data_path, configuration.form.target_form, len(data.target.labels))
    buckets = None if batching is None else batching.buckets
    program = FusedProgram(
        configuration.build(0), table, data.layout, form, shapes, bags, buckets=buckets
    )
    rates = np.zeros((-(-n_epochs // block) * block, steps_per_epoch), np.float32)
    rates[:n_epochs] = configuration.numbers(rates[:n_epochs].size).learning_rates.reshape(
        n_epochs, steps_per_epoch
    )
    for first in range(0, n_epochs, block):
        epochs = range(first, first + block)
        of_block = [orders[min(epoch, n_epochs - 1)] for epoch in epochs]  # whose steps
        varying = block_inputs(
            order=np.stack([padded_order(order, shapes) for order in of_block])[:, :, None],
            learning_rates=rates[first : first + block, :, None],
            first_step=np.int32(first * steps_per_epoch),
        )
        if batching is not None:
            since = range(first_epoch + first, first_epoch + first + block)
            varying |= _by_length(batching, shapes, since, seed, rates[:n_epochs], first_epoch)
        if bags is not None:
            parts = [padded_bags(bags, order, shapes) for order in of_block]
            varying["bags"] = np.stack(parts)[:, :, None]
            varying["places"] = places_on_device(job.data_path, None, form)
        state, _, _ = program.run(state, fixed | varying)
    return state, n_epochs


def _by_length(
    batching: Batching,
    shapes: Shapes,
    epochs: range,
    seed: int,
    learning_rates: NDArray[np.float32],
    begin: int,
) -> dict[str, Any]:
    """The batches of like length of a block of epochs on all rows; see ``slotted_steps``."""
    rows = np.arange(len(batching.buckets.of_row))
    slots = batching.slots([rows])  # in which nothing idles
    steps = slotted_steps(slots, shapes, epochs, seed, rows, learning_rates, begin)
    buckets = np.stack([slots.buckets(epoch) for epoch in epochs])
    return {"bucket": buckets, **{name: part[:, :, None] for name, part in steps.items()}}


def _inputs_of_all_rows(
    configuration: FusedConfiguration, data: FitData, n_steps: int
) -> dict[str, Any]:
    """What a program that trains on all rows takes beside its steps."""
    from hpsearch.engines.fused.program import block_inputs

    numbers, statistics = configuration.numbers(1), data.refit_statistics
    y = None if shared_target(data) else training_target(data, statistics)[None]
    return block_inputs(
        **loss_weights(data, [None]),
        **fold_numbers(data, [None]),
        n_train=np.array([data.encoded.n_rows], np.int32),
        last_step=np.array([n_steps], np.int32),
        rates=numbers.rates[None],
        penalties=numbers.penalties[None],
        activity_penalties=numbers.activity_penalties[None],
        weight_decay=np.array([numbers.weight_decay], np.float32),
        statistics=design_statistics(data, [None], configuration.input_form.names),
        y=y,
    )
