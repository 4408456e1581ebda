"""A configuration under JAX: its network, built once, what varies, and replicas' initial states.

How they train belongs to ``training``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import FitData
from hpsearch.engines.frozen_base import whole_of
from hpsearch.engines.rates import is_schedule, rates_in
from hpsearch.preprocessing import Bags
from hpsearch.preprocessing.inputs import reads_words

if TYPE_CHECKING:
    from hpsearch.engines.fused.structure import Numbers
    from hpsearch.engines.initial import Draws, InitialValues
    from hpsearch.engines.network import OutputForm


class FusedConfiguration(Configuration):
    """A configuration under JAX: its network, built once, and its replicas' initial states."""

    def __init__(
        self,
        job: Job,
        data: FitData,
        values: Mapping[str, Any],
        *,
        n_train: int | None = None,
        phase: int = 0,
    ) -> None:
        super().__init__(job, data, values, n_train=n_train, phase=phase)
        self._numbers: dict[tuple[int, int | None], Numbers] = {}

    def numbers(self, n_steps: int, n_train: int | None = None) -> Numbers:
        """The configuration's numbers, its learning rates for so many steps.

        Parameters
        ----------
        n_train : training rows whose steps a schedule counts; by default as the network has it.
        """
        from hpsearch.engines.fused.structure import numbers_of

        other = None if n_train is None or self.has_steps_of(n_train) else n_train
        if (n_steps, other) not in self._numbers:
            rate = None if other is None else self._schedule_for(other)
            self._numbers[n_steps, other] = numbers_of(self.network, n_steps, rate)
        return self._numbers[n_steps, other]

    def _schedule_for(self, n_train: int) -> Any:
        """The schedule that counts the steps of so many rows; None where there is no schedule."""
        own = rates_in(self.network.optimizer)
        return self.rates_for(n_train, own)[0] if is_schedule(own[0]) else None

    @cached_property
    def network(self) -> Any:
        """The compiled network, under some seed; read it and don't change it."""
        return self._network_and_initial_values[0]

    @cached_property
    def n_params(self) -> int:
        """Parameters of the network."""
        return int(whole_of(self.network).count_params())

    @cached_property
    def n_weights_of_a_row(self) -> float:
        """Weights that a row is multiplied by: of layers that read bags, those of its words."""
        bags, network = self.bags, self.network
        if bags is None:
            return float(self.n_params)
        layout = self._data.layout
        n_words = sum(layout.word_slots)
        n_columns = n_words if self.input_form.names else layout.input_shape[0]
        shapes = [tuple(variable.shape) for variable in network.trainable_variables]
        n_units = sum(shape[1] for shape in shapes if len(shape) == 2 and shape[0] == n_columns)
        return float(self.n_params - n_units * max(0.0, n_words - bags.mean))

    @property
    def bags(self) -> Bags | None:
        """The rows' words, where the network reads any; None before it was built."""
        _ = self.network
        reads = reads_words(self._data.layout, self.input_form.names)
        return self._data.bags if reads else None

    @cached_property
    def form(self) -> OutputForm:
        """What the network's outputs mean."""
        from hpsearch.engines.network import OutputForm

        return OutputForm.of(self.network, self._data.target)

    def initial_state(self, seed: int) -> list[list[NDArray[Any]]]:
        """A replica's variables and those of its optimizer before the first step."""
        from hpsearch.engines.fused.packing import Held, begins_alike, initial_state
        from hpsearch.engines.initial import values_of

        network, initial_values = self._network_and_initial_values
        if initial_values is not None and begins_alike(network):
            return initial_state(network, initial_values.under(seed), self._slots)
        built = self.build(seed)
        slots = self._slots if begins_alike(built) else Held.of(built).slots()
        return initial_state(built, values_of(built), slots)

    def entered(
        self, before: FusedConfiguration, state: Sequence[Sequence[NDArray[Any]]]
    ) -> list[list[NDArray[Any]]]:
        """A replica's state as its phase begins with it, where another one ended.

        Parameters
        ----------
        before : the configuration in the phase before, in which the state is.
        """
        from hpsearch.engines.fused.packing import Held, begins_alike, initial_state, values_in

        network = self.network
        values = values_in(before.network, state)
        of_variable = dict(zip(map(id, whole_of(network).variables), values, strict=True))
        learning, others = (
            [of_variable[id(variable)] for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        )
        if begins_alike(network):
            return initial_state(network, (learning, others), self._slots)
        built = self.build(0)
        for variable, value in zip(whole_of(built).variables, values, strict=True):
            variable.assign(value)
        return initial_state(network, (learning, others), Held.of(built).slots())

    def build(self, seed: int) -> Any:
        """Another compiled network, with the initial weights of a seed."""
        return self._build(seed)[0]

    @cached_property
    def _network_and_initial_values(self) -> tuple[Any, InitialValues | None]:
        from hpsearch.engines.initial import InitialValues

        network, draws = self._build(0)
        return network, InitialValues.read(network, draws)

    @cached_property
    def _slots(self) -> list[NDArray[Any]]:
        """The initial variables of an optimizer that begins with the same under every seed."""
        from hpsearch.engines.fused.packing import Held

        return Held.of(self.network).slots()

    def _build(self, seed: int) -> tuple[Any, Draws]:
        from hpsearch.engines.initial import numpy_randomness

        with numpy_randomness(seed) as draws:
            network = self.construct()
        return network, draws
