"""The choice of an engine: by rule, and with the reason in a sentence.

Two looks: at the data and the space before any process starts, and at the default network once
it is built. Only for a very large network both engines train a little (``pace``).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpsearch.engines.pace import verdict
from hpsearch.engines.probe import Probe
from hpsearch.errors import OptionError
from hpsearch.preprocessing import Layout
from hpsearch.space.space import Space

EngineName = Literal["fused", "keras"]
EngineOption = Literal["auto", "fused", "keras"]
ENGINE_OPTIONS: tuple[EngineOption, ...] = ("auto", "fused", "keras")

CONVOLUTIONS = "convolutions are slower in a fused program on a processor"

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
    if option == "auto" and _mentions_convolutions(space) and not _may_have_gpu():
        return Choice("keras", CONVOLUTIONS)
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
        return Choice("keras", CONVOLUTIONS)
    return first


def third_choice(second: Choice, fused: float | None, reference: float | None) -> Choice:
    """The engine for a very large network, by the seconds of both; see ``pace``."""
    takes_reference, reason = verdict(fused, reference)
    return Choice("keras", reason) if takes_reference else Choice(second.engine, reason)


def _mentions_convolutions(space: Space) -> bool:
    """Whether the code names a layer such as ``Conv2D`` or ``SeparableConv1D``."""
    return any(space.mentions(f"Conv{n}D") for n in (1, 2, 3))


def _may_have_gpu() -> bool:
    """Whether a look with JAX could find a GPU: there is a device file of a driver."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _obstacle(layout: Layout, space: Space) -> str | None:
    if layout.words:
        return "bags of words stay sparse until a batch is made, which only this engine does"
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed"
    if space.mentions("tensorflow"):
        return "the space uses TensorFlow itself"
    return None
