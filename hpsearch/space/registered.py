"""Objects of one's own that Keras knows by a name, and the code that tells it.

What stands under ``keras.saving.register_keras_serializable``, a layer or an activation, is written
into a saved network by its registered name; whoever loads it must have run the code that registers
it. Owns which objects a space's code registers, and that Keras means those of one space
where several have used a name. Which of them a network holds belongs to ``network_checks``, where
the code is kept to ``hpsearch.export.code``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Registered = Mapping[str, Any]
"""Registered name to class or function."""


def registered_in(modules: Iterable[str]) -> dict[str, Any]:
    """What Keras knows by now, those at the top level of some imported modules first.

    Another space's module of the same name may have registered its own since these ran.
    """
    if "keras" not in sys.modules:
        return {}
    import keras

    found = dict(keras.saving.get_custom_objects())
    for module in filter(None, map(sys.modules.get, modules)):
        for value in list(vars(module).values()):
            if inspect.isclass(value) or inspect.isfunction(value):
                name = keras.saving.get_registered_name(value)
                if ">" in name:  # as all registered names have it
                    found[name] = value
    return found


def make_known(objects: Registered) -> None:
    """Have Keras mean these objects by their names, for good: where networks are built."""
    if objects:
        import keras

        keras.saving.get_custom_objects().update(objects)


@contextmanager
def known(objects: Registered) -> Iterator[None]:
    """The same until a block ends."""
    if not objects:
        yield
        return
    import keras

    names = keras.saving.get_custom_objects()
    before = dict(names)
    names.update(objects)
    try:
        yield
    finally:
        names.clear()
        names.update(before)
