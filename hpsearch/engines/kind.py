"""What is known of an engine before one is made: the door through which an engine comes in.

Each engine's ``engine.py`` fills in one ``EngineKind``; ``hpsearch.engines`` finds it by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.engines.contract import Engine, Job, UnitResult, WorkUnit
from hpsearch.engines.fit_data import FitData
from hpsearch.engines.probe import Probe, probe_space
from hpsearch.engines.workers import Workers
from hpsearch.preprocessing import Layout
from hpsearch.space.space import Candidate, Space

FallBack = Callable[[Sequence[WorkUnit], str], Iterator[UnitResult]]
"""Has another engine score what one cannot train; takes that work and the reason."""


def no_obstacle(*arguments: Any) -> str | None:
    """Nothing is in the way of an engine that trains whatever Keras does."""
    return None


@dataclass(frozen=True)
class EngineKind:
    """An engine: its name, its worker processes, how it is made, and what it cannot train.

    Attributes
    ----------
    name : as ``--engine`` takes it and ``run.json`` records it.
    way : how it trains, for the line that says which engine runs and why.
    environment : what fixes the bytes of its worker processes, Keras's backend among it.
    warm_up : what a worker loads while the parent still reads the data.
    forks : whether that leaves a process that can be copied: one thread, and nothing computed. Such
        an engine's folder has ``KERAS_BACKEND`` and ``WARM_UP`` as well, to begin with early.
    make : an engine of its workers, a job, the parent's copy of the data, and what scores the
        candidates that it cannot train.
    train_on_all_rows : the trained ``keras.Model`` of a candidate after so many optimizer steps on
        all rows of a job, under the seed of a number; runs in a worker, and so do the functions
        named next.
    probe : tries a space's default network before any training; as ``probe.probe_space``.
    pins : whether each worker keeps to a core of its own.
    data_obstacle : why it cannot train on such rows with such a space, or None.
    data_drawback : why it would be slow there, or None; counts where nobody asked for it.
    network_obstacle, network_drawback : the same once the default network was tried.
    caution : what to say when its workers start, or None.
    fallback : the engine that trains what this one cannot, and that ``auto`` takes in its place;
        None for one that trains any Keras model.
    """

    name: str
    way: str
    environment: Mapping[str, str]
    warm_up: Callable[[], None] | None
    make: Callable[[Workers, Job, FitData, FallBack], Engine]
    train_on_all_rows: Callable[[Job, Candidate, int, int], Any]
    probe: Callable[..., Probe] = probe_space
    forks: bool = False
    pins: bool = False
    data_obstacle: Callable[[Layout, Space], str | None] = no_obstacle
    data_drawback: Callable[[Layout, Space], str | None] = no_obstacle
    network_obstacle: Callable[[Probe], str | None] = no_obstacle
    network_drawback: Callable[[Probe], str | None] = no_obstacle
    caution: Callable[[], str | None] = no_obstacle
    fallback: str | None = None

    @property
    def keras_backend(self) -> str:
        """The Keras backend of its workers."""
        return self.environment["KERAS_BACKEND"]
