"""A replica of a fused program: its share of what a program takes beside the others'.

Which rows it visits when belongs to ``Replica`` and ``buckets``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.buckets import Slots
from hpsearch.engines.contract import Job, WorkUnit
from hpsearch.engines.fit_data import FitData, training_target
from hpsearch.engines.fused.configuration import FusedConfiguration
from hpsearch.engines.fused.inputs import padded_bags, padded_order, slotted_steps
from hpsearch.engines.replica import Replica
from hpsearch.preprocessing import Bags

if TYPE_CHECKING:
    from hpsearch.engines.fused.program import Shapes


class FusedReplica(Replica):
    """A replica, and its share of a program's inputs."""

    def __init__(
        self,
        job: Job,
        data: FitData,
        configuration: FusedConfiguration,
        part: WorkUnit,
        position: int,
        phase: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(data, job.options, part, position)
        self.n_train = len(self.fold.train)
        self._steps_per_epoch = -(-self.n_train // configuration.settings.batch_size)
        self._begin, end = phase or (0, configuration.settings.epochs)
        n_steps = (end - self._begin) * self._steps_per_epoch
        self.numbers = configuration.numbers(n_steps, self.n_train)
        self.batching = configuration.batching

    @cached_property
    def scaled_target(self) -> NDArray[np.float32]:
        """The target of every row, numbers, as this fold's training rows scale it."""
        return training_target(self._data, self.statistics)

    def orders(self, shapes: Shapes, first_epoch: int) -> NDArray[np.int32]:
        """Row numbers of each step of a block (E, S, B); padding repeats row numbers."""
        epochs = range(first_epoch, first_epoch + shapes.n_epochs)
        return np.stack([padded_order(self.order(epoch), shapes) for epoch in epochs])

    def slotted(self, slots: Slots, shapes: Shapes, epochs: range) -> dict[str, NDArray[Any]]:
        """Its batches of like length; see ``slotted_steps``."""
        rates = self.numbers.learning_rates.reshape(-1, self._steps_per_epoch)
        return slotted_steps(slots, shapes, epochs, self.seed, self.fold.train, rates, self._begin)

    def bags(self, bags: Bags, shapes: Shapes, first_epoch: int) -> NDArray[np.int32]:
        """The bags of words of each step of a block (E, S, 2, n_pieces)."""
        epochs = range(first_epoch, first_epoch + shapes.n_epochs)
        return np.stack([padded_bags(bags, self.order(epoch), shapes) for epoch in epochs])

    def learning_rates(self, shapes: Shapes, first_epoch: int) -> NDArray[np.float32]:
        """Learning rate of each step of a block (E, S)."""
        rates = np.zeros((shapes.n_epochs, shapes.n_steps), np.float32)
        table = self.numbers.learning_rates.reshape(-1, self._steps_per_epoch)
        first = first_epoch - self._begin
        block = table[first : first + shapes.n_epochs]
        rates[: len(block), : self._steps_per_epoch] = block
        return rates
