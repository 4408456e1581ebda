"""Engines by name: each folder here with an ``engine.py`` that defines ``ENGINE``.

``ENGINE`` is an ``hpsearch.engines.kind.EngineKind``: what an engine trains on, how it is made and
what it cannot train. Adding an engine is adding one folder; the tests of the contract then run
through it as well. ``registered`` adds one that lives elsewhere, for as long as a block lasts.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch.errors import OptionError

if TYPE_CHECKING:
    from hpsearch.engines.kind import EngineKind

AUTO: Final = "auto"
"""The option that leaves the choice to ``hpsearch.engines.choose``."""

FIRST: Final = "fused"
"""The engine that ``auto`` takes unless something is in its way."""

_OLDER_NAMES: Final = {"keras": "reference"}

_registered: dict[str, EngineKind] = {}


def engine_names() -> tuple[str, ...]:
    """Names of the engines, in alphabetical order.

    Examples
    --------
    >>> engine_names()
    ('fused', 'reference')
    """
    return tuple(sorted(_folders() | set(_registered)))


def _folders() -> set[str]:
    folders = (Path(folder).glob("*/engine.py") for folder in __path__)
    return {path.parent.name for paths in folders for path in paths}


def engine_kind(name: str) -> EngineKind:
    """What is known of an engine, by one of ``engine_names()``."""
    if name in _registered:
        return _registered[name]
    kind: EngineKind = importlib.import_module(f"{__name__}.{name}.engine").ENGINE
    return kind


@contextmanager
def importing(option: str, cluster: str | None = None) -> Iterator[None]:
    """Have a process import what the likely engine's workers need while a block reads the data.

    Parameters
    ----------
    option, cluster : as in ``Search``.
    """
    name = FIRST if option == AUTO else option
    if name not in _folders() or cluster is not None:
        yield
        return
    home = importlib.import_module(f"{__name__}.{name}")
    warm_up, backend = getattr(home, "WARM_UP", None), getattr(home, "KERAS_BACKEND", None)
    if warm_up is None or backend is None or importlib.util.find_spec(backend) is None:
        yield
        return
    from hpsearch.engines.workers.environment import WORKER_ENVIRONMENTS
    from hpsearch.engines.workers.fork_server import expected

    with expected(WORKER_ENVIRONMENTS[backend], warm_up):
        yield


def with_present_names(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record, or what ``run.json`` holds, with its engine as it is spelt now.

    Older runs have older spellings. They are changed where a record is read, so that nothing else
    knows of them.

    Examples
    --------
    >>> with_present_names({"engine": "keras", "options": {"engine": "auto", "seed": 0}})
    {'engine': 'reference', 'options': {'engine': 'auto', 'seed': 0}}
    """
    found = dict(record)
    if "engine" in found:
        found["engine"] = _present_name(found["engine"])
    if isinstance(found.get("options"), Mapping) and "engine" in found["options"]:
        found["options"] = with_present_names(found["options"])
    return found


def _present_name(name: Any) -> Any:
    return _OLDER_NAMES.get(name, name) if isinstance(name, str) else name


def checked_option(option: Any) -> str:
    """The option ``engine`` as it is spelt now.

    Raises
    ------
    OptionError
        If there is no such engine.
    """
    name = _present_name(option)
    allowed = (AUTO, *engine_names())
    if not isinstance(name, str) or name not in allowed:
        raise OptionError(f"`engine` is one of {', '.join(allowed)}; received {option!r}.")
    return str(name)


@contextmanager
def registered(kind: EngineKind) -> Iterator[None]:
    """Have an engine that is in no folder here, within a block; it may not replace another one."""
    if kind.name in engine_names():
        raise ValueError(f"there is an engine called '{kind.name}' already")
    _registered[kind.name] = kind
    try:
        yield
    finally:
        del _registered[kind.name]
