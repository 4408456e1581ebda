"""The choice of an engine: by rule, and with the reason in a sentence.

Two looks: at the data and the space before any process starts, and at the default network once
it is built. Only for a very large network both engines train a little (``pace``). What an engine
cannot train, and where it is slow, it says itself (``EngineKind``).
"""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.engines import AUTO, FIRST, engine_kind
from hpsearch.engines.kind import EngineKind
from hpsearch.engines.pace import verdict
from hpsearch.engines.probe import Probe
from hpsearch.errors import OptionError
from hpsearch.preprocessing import Layout
from hpsearch.space.space import Space


@dataclass(frozen=True)
class Choice:
    """An engine by name, and why it was chosen."""

    engine: str
    reason: str

    @property
    def kind(self) -> EngineKind:
        """What is known of the engine."""
        return engine_kind(self.engine)

    @property
    def backend(self) -> str:
        """The Keras backend that the engine's workers run."""
        return self.kind.keras_backend


def first_choice(option: str, layout: Layout, space: Space) -> Choice:
    """The engine that data and space call for.

    Parameters
    ----------
    option : ``"auto"``, or an engine's name.

    Raises
    ------
    OptionError
        If an engine is asked for that cannot take the data.
    """
    if option == AUTO:
        first = engine_kind(FIRST)
        obstacle = first.data_drawback(layout, space) or first.data_obstacle(layout, space)
        return _choice(first, obstacle)
    kind = engine_kind(option)
    obstacle = kind.data_obstacle(layout, space)
    if obstacle is not None:
        raise OptionError(f"`--engine {option}` cannot train this: {obstacle}. Leave --engine out.")
    return Choice(option, f"as asked; {kind.way}")


def second_choice(option: str, first: Choice, probe: Probe) -> Choice:
    """The engine after a look at the default network.

    Raises
    ------
    OptionError
        If an engine is asked for that cannot train the network.
    """
    kind = first.kind
    obstacle = kind.network_obstacle(probe)
    if obstacle is not None and option != AUTO:
        raise OptionError(
            f"`--engine {option}` cannot train this network: {obstacle}. Leave --engine out."
        )
    if obstacle is not None:
        return _choice(kind, f"the {kind.name} engine cannot train this: {obstacle}")
    drawback = kind.network_drawback(probe) if option == AUTO else None
    return first if drawback is None else _choice(kind, drawback)


def third_choice(second: Choice, chosen: float | None, fallback: float | None) -> Choice:
    """The engine for a very large network, by the seconds of it and of its fallback (``pace``)."""
    takes_fallback, reason = verdict(second.engine, chosen, fallback)
    name = second.kind.fallback if takes_fallback else None
    return Choice(name or second.engine, reason)


def _choice(kind: EngineKind, obstacle: str | None) -> Choice:
    """The engine, or its fallback for a reason."""
    if obstacle is None or kind.fallback is None:
        return Choice(kind.name, kind.way)
    return Choice(kind.fallback, obstacle)
