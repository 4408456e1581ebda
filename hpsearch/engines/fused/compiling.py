"""Compiling a program: how hard XLA tries, and that only one process of a session has to.

What is compiled belongs to ``program``. JAX's own cache on the disk, which later runs read, is
``hpsearch.engines.backend``'s; what is kept here is for the other workers of a session, which then
need not trace the network either.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from hpsearch.engines.workers import return_freed_memory

Effort = Literal["least", "low", "middle", "high"]

COMPILER_OPTIONS: dict[Effort, dict[str, str | bool]] = {
    "least": {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False},
    "low": {"xla_backend_optimization_level": "1", "xla_cpu_use_fusion_emitters": False},
    "middle": {"xla_backend_optimization_level": "1"},
    "high": {},
}
"""What less effort leaves out. The last tenth of speed takes longer to compile than a short
program runs; XLA's older loop emitter takes half as long to compile, and its loops twice as long
to run, which pays in the shortest."""

LOW_EFFORT_WORK, MIDDLE_EFFORT_WORK = 1e10, 5e12
"""Floating-point operations of about a fifth of a second, and of a minute, on one core: up to
these a program is compiled with low or middle effort."""

LEAST_EFFORT_WORK, LOW_EFFORT_WORK_OF_RUNGS = 5e9, 2e10
"""The same of a program that trains to the end of the rung before the last, where a third goes on
after each: less effort saves as much in compiling as it costs in running."""


def effort_of(n_weights: float, n_replicas: int, n_rows: int) -> Effort:
    """How hard to compile, by the multiplications to come.

    Parameters
    ----------
    n_weights : that a row is multiplied by; n_rows : that a replica trains on, as often as it does.
    """
    work = _work(n_weights, n_replicas, n_rows)
    if work < LOW_EFFORT_WORK:
        return "low"
    return "middle" if work < MIDDLE_EFFORT_WORK else "high"


def effort_of_rungs(n_weights: float, n_replicas: int, n_rows: int, otherwise: Effort) -> Effort:
    """How hard to compile what trains to the end of the rung before the last.

    Parameters
    ----------
    otherwise : how hard what trains from there on is compiled.

    Examples
    --------
    >>> [effort_of_rungs(n, 4, 427 * 36, "middle") for n in (10_000, 30_000, 100_000)]
    ['least', 'low', 'middle']
    """
    work = _work(n_weights, n_replicas, n_rows)
    if work < LEAST_EFFORT_WORK:
        return "least"
    return "low" if work < LOW_EFFORT_WORK_OF_RUNGS else otherwise


def _work(n_weights: float, n_replicas: int, n_rows: int) -> float:
    """Floating-point operations: three passes over a row's weights."""
    return 6.0 * n_weights * n_replicas * n_rows


def compiled(lower: Callable[[], Any], effort: Effort, kept: Path | None) -> Callable[..., Any]:
    """A compiled program, which is kept in a file, or was by another process.

    Parameters
    ----------
    lower : traces the program; what it gives is compiled.
    kept : the file; None for none.
    """
    import jax

    if kept is not None and kept.exists():
        with suppress(Exception):  # whatever a release of JAX can't load: it is compiled then
            return _read(kept)
    options = COMPILER_OPTIONS[effort] if jax.default_backend() == "cpu" else {}
    with _read_from_disk() as found:
        program: Callable[..., Any] = lower().compile(compiler_options=options)
    # Read from JAX's cache, it would lack its functions once written again; others find it there.
    if kept is not None and not found:
        with suppress(Exception):
            _write(program, kept)
    return_freed_memory()  # 60 MB and more of the compiler's
    return program


@contextmanager
def _read_from_disk() -> Iterator[list[str]]:
    """What JAX finds in its own cache meanwhile, instead of compiling."""
    from jax import monitoring

    found: list[str] = []

    def heard(event: str, **facts: Any) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    monitoring.register_event_listener(heard)
    try:
        yield found
    finally:
        monitoring.unregister_event_listener(heard)


def _read(path: Path) -> Callable[..., Any]:
    from jax.experimental.serialize_executable import deserialize_and_load

    program: Callable[..., Any] = deserialize_and_load(*pickle.loads(path.read_bytes()))
    return program


def _write(program: Any, path: Path) -> None:
    from jax.experimental.serialize_executable import serialize

    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(pickle.dumps(serialize(program)))
    unfinished.rename(path)  # at once: others look for it
