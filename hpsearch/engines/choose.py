"""The choice of an engine: by rule, and with the reason in a sentence.

Two looks: at the data and the space before any process starts, and at the default network once
it is built. Neither trains anything.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from hpsearch.engines.probe import Probe
from hpsearch.errors import OptionError
from hpsearch.preprocessing import Layout
from hpsearch.space import Space

EngineName = Literal["fused", "keras"]
EngineOption = Literal["auto", "fused", "keras"]
ENGINE_OPTIONS: tuple[EngineOption, ...] = ("auto", "fused", "keras")

BACKENDS: dict[EngineName, str] = {"fused": "jax", "keras": "tensorflow"}


@dataclass(frozen=True)
class Choice:
    """An engine, and why it was chosen."""

    engine: EngineName
    reason: str

    @property
    def backend(self) -> str:
        """The Keras backend that the engine's workers run."""
        return BACKENDS[self.engine]


def first_choice(option: EngineOption, layout: Layout, space: Space) -> Choice:
    """The engine that data and space call for.

    Raises
    ------
    OptionError
        If the fused engine is asked for and cannot take the data.
    """
    if option == "keras":
        return Choice("keras", "as asked; it trains one network after the other")
    obstacle = _obstacle(layout, space)
    if obstacle is None:
        return Choice("fused", "all folds and candidates of one structure train as one program")
    if option == "fused":
        raise OptionError(f"`--engine fused` cannot train this: {obstacle}. Leave --engine out.")
    return Choice("keras", obstacle)


def second_choice(option: EngineOption, first: Choice, probe: Probe) -> Choice:
    """The engine after a look at the default network.

    Raises
    ------
    OptionError
        If the fused engine is asked for and cannot train the network.
    """
    if first.engine == "keras":
        return first
    if probe.untraceable is not None:
        if option == "fused":
            raise OptionError(
                f"`--engine fused` cannot train this network: {probe.untraceable}. "
                "Leave --engine out."
            )
        return Choice("keras", f"the fused engine cannot train this: {probe.untraceable}")
    if probe.convolves and option == "auto" and not probe.on_gpu:
        return Choice("keras", "convolutions are slower in a fused program on a processor")
    return first


def _obstacle(layout: Layout, space: Space) -> str | None:
    if layout.words:
        return "bags of words stay sparse until a batch is made, which only this engine does"
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed"
    if space.mentions("tensorflow"):
        return "the space uses TensorFlow itself"
    return None
