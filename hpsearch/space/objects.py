"""Spaces that are Python objects: a function or a HyperModel as bytes, text and modules.

Owns how such an object travels to other processes and what stands for it in a fingerprint. Running
it belongs to ``hpsearch.space.source``.
"""

from __future__ import annotations

import inspect
import io
import pickle
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpsearch.errors import InputError, SpaceError
from hpsearch.keras_settings import KerasSettings
from hpsearch.space.local_modules import imported_names, modules_named
from hpsearch.space.source import SpaceSource, is_hypermodel


def read_object(spec: Any) -> SpaceSource:
    """The source of a function or a HyperModel; see ``source_of_object``.

    Raises
    ------
    SpaceError
        If it is neither, or cannot be pickled.
    """
    if not callable(spec) and not is_hypermodel(spec):
        raise SpaceError(
            "A space is a name, the path of a .py file, a function build(hp, problem) or a "
            f"keras_tuner.HyperModel; received {type(spec).__name__}. Pass one of these."
        )
    return source_of_object(spec)


def source_of_object(
    spec: Any,
    described: Any = None,
    *,
    of: str = "space",
    error_type: type[InputError] = SpaceError,
) -> SpaceSource:
    """The source of an object that is called.

    Its text is that of the object and of all functions and classes that go with it by value, such
    as those of a script or a notebook, with the plain values that they name. Modules that it
    imports or refers to, and that nobody has installed, go with it as texts.

    Parameters
    ----------
    described : the function or class whose text it has; by default itself, or its class.
    of, error_type : what it is in place of a space, and the error that is raised then.

    Raises
    ------
    SpaceError
        If it cannot be pickled.
    """
    if described is None:
        described = spec if inspect.isfunction(spec) or inspect.isclass(spec) else type(spec)
    name = getattr(described, "__name__", type(described).__name__)
    try:
        payload, taken_along = _pickled(spec)
        referred = _modules_referred_to(payload)
    except Exception as error:
        raise error_type(
            f"The {of} '{name}' cannot be sent to workers: {error}. "
            "Let it refer only to things that can be pickled, or put it into a .py file."
        ) from error
    texts = [_text_of(value) for value in dict.fromkeys([described, *taken_along])]
    text = "\n".join(filter(None, [*texts, *_plain_values(spec, taken_along)])) if texts[0] else ""
    names = [*referred, *(name for part in texts for name in imported_names(part))]
    modules = modules_named(names)
    return SpaceSource(name, None, text, payload, KerasSettings.by_code(), modules)


def _text_of(value: Any) -> str:
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return ""


def _plain_values(spec: Any, taken_along: Iterable[Any]) -> Iterator[str]:
    """Numbers, words and the like that an object holds or its functions name, a line each."""
    if is_hypermodel(spec) and not inspect.isclass(spec):
        yield from _lines("self.", vars(spec))
    for function in filter(inspect.isfunction, taken_along):
        named = inspect.getclosurevars(function)
        yield from _lines("", {**named.globals, **named.nonlocals})


def _lines(prefix: str, values: Mapping[str, Any]) -> Iterator[str]:
    plain = (bool, int, float, str, tuple, type(None))
    for name, value in sorted(values.items()):
        if isinstance(value, plain):
            yield f"# {prefix}{name} = {value!r}"


def _pickled(spec: Any) -> tuple[bytes, list[Any]]:
    """A Python object as bytes of cloudpickle, and the functions and classes that they hold.

    Its code remembers the files that it stands in: cloudpickle itself puts a word in place of a
    file's name, so that an error could not be placed.
    """
    import cloudpickle

    taken_along: list[Any] = []

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, types.CodeType):
                _, parts = self.dispatch_table[types.CodeType](value)
                return _code_of_file, (parts, value.co_filename)
            reduced = super().reducer_override(value)
            if reduced is not NotImplemented and isinstance(value, types.FunctionType | type):
                taken_along.append(value)
            return reduced

    with io.BytesIO() as file:
        Pickler(file).dump(spec)
        return file.getvalue(), taken_along


def _code_of_file(parts: tuple[Any, ...], filename: str) -> types.CodeType:
    return types.CodeType(*parts).replace(co_filename=filename)


def _modules_referred_to(payload: bytes) -> list[str]:
    """Names of the modules that bytes of cloudpickle need where they are read."""
    names: list[str] = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            names.append(module)
            found = super().find_class(module, name)
            if name != "subimport":  # what cloudpickle writes for a module itself
                return found

            def import_named(module: str) -> Any:
                names.append(module)
                return found(module)

            return import_named

    Unpickler(io.BytesIO(payload)).load()
    return names
