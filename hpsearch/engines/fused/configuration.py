"""A candidate under JAX: its network, built once, what varies, and its replicas' initial states.

Also says which networks the fused engine can trace. How they train belongs to ``training``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import Job
from hpsearch.engines.failures import reason_of
from hpsearch.engines.fit_data import FitData

if TYPE_CHECKING:
    from hpsearch.engines.fused.structure import Numbers
    from hpsearch.engines.initial import Draws, InitialValues
    from hpsearch.engines.network import OutputForm

_ODD_SIZE = 1009
"""Rows of a batch that is never computed; no layer is as wide, so shapes tell rows from units."""


def untraceable_reason(model: Any, input_shape: tuple[int, ...]) -> str | None:
    """Why a network cannot train under ``jax.vmap``, or None where it can."""
    import jax
    import keras

    from hpsearch.engines.fused.losses import unweighable_loss

    for layer in keras_internals.layers_of(model, include_self=True):
        module = type(layer).__module__
        if not module.startswith("keras."):
            return f"layer '{layer.name}' is of class {type(layer).__name__}, defined outside Keras"
    precision = _other_precision(model)
    if precision is not None:
        return f"its layers compute in {precision}, not in float32"
    if hasattr(model.optimizer, "inner_optimizer"):
        return f"its optimizer is a {type(model.optimizer).__name__}"
    if type(model).train_step is not keras.Model.train_step:
        return f"{type(model).__name__} has a train_step of its own"
    rows: Any = jax.ShapeDtypeStruct((_ODD_SIZE, *input_shape), "float32")  # type: ignore[no-untyped-call]

    def forward(trainable: Any, frozen: Any, x: Any) -> Any:
        return model.stateless_call(trainable, frozen, x, training=True)[0]

    try:
        outputs = jax.eval_shape(
            forward,
            [v.value for v in model.trainable_variables],
            [v.value for v in model.non_trainable_variables],
            rows,
        )
    except BaseException as error:
        return reason_of(error)
    return unweighable_loss(model, outputs)


_OTHER_PRECISION = re.compile(r"float(?!32)\d")


def _other_precision(model: Any) -> str | None:
    """The dtype policy of a layer, or the dtype of a weight, of another precision than float32."""
    policies = (layer.dtype_policy.name for layer in keras_internals.layers_of(model))
    weights = (str(weight.dtype) for weight in model.weights)
    return next(filter(_OTHER_PRECISION.search, (*policies, *weights)), None)


class FusedConfiguration(Configuration):
    """A configuration under JAX: its network, built once, and its replicas' initial states."""

    def __init__(
        self, job: Job, data: FitData, values: Mapping[str, Any], *, n_train: int | None = None
    ) -> None:
        super().__init__(job, data, values, n_train=n_train)
        self._target = data.target
        self._numbers: dict[int, Numbers] = {}

    def numbers(self, n_steps: int) -> Numbers:
        """The configuration's numbers, its learning rates for so many steps."""
        from hpsearch.engines.fused.structure import numbers_of

        if n_steps not in self._numbers:
            self._numbers[n_steps] = numbers_of(self.network, n_steps)
        return self._numbers[n_steps]

    @cached_property
    def network(self) -> Any:
        """The compiled network, under some seed; read it and don't change it."""
        return self._network_and_initial_values[0]

    @cached_property
    def n_params(self) -> int:
        """Parameters of the network."""
        return int(self.network.count_params())

    @cached_property
    def form(self) -> OutputForm:
        """What the network's outputs mean."""
        from hpsearch.engines.network import OutputForm

        return OutputForm.of(self.network, self._target)

    def initial_state(self, seed: int) -> list[list[NDArray[Any]]]:
        """A replica's variables and those of its optimizer before the first step."""
        from hpsearch.engines.fused.packing import initial_state
        from hpsearch.engines.initial import values_of

        network, initial_values = self._network_and_initial_values
        if initial_values is None:
            values = values_of(self.build(seed))
        else:
            values = initial_values.under(seed)
        return initial_state(network, values, self._slots)

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
        """The initial variables of the optimizer; no seed enters them."""
        from hpsearch.engines.fused.packing import initial_slots

        return initial_slots(self.network)

    def _build(self, seed: int) -> tuple[Any, Draws]:
        from hpsearch.engines.initial import numpy_randomness

        with numpy_randomness(seed) as draws:
            network = self.construct()
        return network, draws
