"""Where a space's code comes from: a shipped name, a file or a Python object.

Owns finding, running and calling that code in one convention, ``build(hp, problem)``. What becomes
of what it raises belongs to ``hpsearch.space.guards``, what the calls are for to
``hpsearch.space.space``.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import os
import pickle
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import SpaceError
from hpsearch.keras_settings import (
    DEFAULT_SETTINGS,
    KerasSettings,
    check_keras_json,
    keras_settings,
)
from hpsearch.paths import expanded, found_at, shown
from hpsearch.space.guards import blame
from hpsearch.space.hyperparameters import nearest

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

    from hpsearch.task import Problem


@dataclass(frozen=True)
class SpaceSource:
    """The code of a space as it was when loaded; nothing in it runs until ``definition``.

    Attributes
    ----------
    name : the shipped space's name, the file's name, or the function's or class's name.
    path : the file it came from, or None for a Python object.
    text : the text of the file or of the function, empty where Python cannot tell.
    payload : the Python object as bytes of cloudpickle, or None for a file.
    settings : Keras's, as the process that gave a Python object had set them.
    """

    name: str
    path: str | None
    text: str
    payload: bytes | None = None
    settings: KerasSettings = DEFAULT_SETTINGS

    @property
    def sha256(self) -> str:
        """Fingerprint of the text (of the payload where there is none), in hex."""
        content = self.text.encode() if self.text or self.payload is None else self.payload
        return hashlib.sha256(content + self.settings.words.encode()).hexdigest()

    def mentions(self, word: str) -> bool:
        """Whether the code names something, such as a package."""
        return word in self.text or (self.payload is not None and word.encode() in self.payload)


@dataclass(frozen=True)
class Definition:
    """A space's functions in one calling convention.

    Attributes
    ----------
    build, declare : the functions; ``declare`` is None where there is none.
    filename : the file that errors point into.
    settings : Keras's, as the space's code set them where it isn't called.
    """

    build: Callable[[HyperParameters, Problem], Any]
    declare: Callable[[HyperParameters, Problem], Any] | None
    filename: str | None
    settings: KerasSettings = DEFAULT_SETTINGS


def read_text(spec: str | os.PathLike[str]) -> SpaceSource:
    """The source of a shipped space by its name, or of a file by its path.

    Raises
    ------
    SpaceError
        If there is no such name, or the file cannot be read.
    """
    text = os.fspath(spec)
    shipped = shipped_files()
    if text in shipped:
        return SpaceSource(text, str(shipped[text]), shipped[text].read_text(encoding="utf-8"))
    path = expanded(text, SpaceError)
    if path.suffix != ".py" and path.name == text:
        raise SpaceError(
            f"There is no space called '{text}'.{nearest(text, shipped)} Give one of "
            f"{', '.join(shipped)}, or the path of a .py file that defines build(hp, problem)."
        )
    found = found_at(path, SpaceError)
    if found not in ("a file", None):
        raise SpaceError(
            f"A space is a name or a .py file; {shown(path)} is {found}. "
            "Give the path of a .py file that defines build(hp, problem)."
        )
    try:
        return SpaceSource(path.name, str(path.resolve()), path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(
            f"The space file '{text}' cannot be read: {error}. "
            "Give the path of a .py file that defines build(hp, problem)."
        ) from error


def read_object(spec: Any) -> SpaceSource:
    """The source of a function or a HyperModel.

    Raises
    ------
    SpaceError
        If it is neither, or cannot be pickled.
    """
    if not callable(spec) and not _is_hypermodel(spec):
        raise SpaceError(
            "A space is a name, the path of a .py file, a function build(hp, problem) or a "
            f"keras_tuner.HyperModel; received {type(spec).__name__}. Pass one of these."
        )
    described = spec if inspect.isfunction(spec) or inspect.isclass(spec) else type(spec)
    try:
        text = inspect.getsource(described)
    except (OSError, TypeError):
        text = ""
    try:
        payload = _pickled(spec)
    except Exception as error:
        raise SpaceError(
            f"The space '{described.__name__}' cannot be sent to workers: {error}. "
            "Let it refer only to things that can be pickled, or put it into a .py file."
        ) from error
    return SpaceSource(described.__name__, None, text, payload, KerasSettings.by_code())


def _pickled(spec: Any) -> bytes:
    """A Python object as bytes of cloudpickle; its code remembers the files that it stands in.

    cloudpickle itself puts a word in place of a file's name, so that an error could not be placed.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if not isinstance(value, types.CodeType):
                return super().reducer_override(value)
            _, parts = self.dispatch_table[types.CodeType](value)
            return _code_of_file, (parts, value.co_filename)

    with io.BytesIO() as file:
        Pickler(file).dump(spec)
        return file.getvalue()


def _code_of_file(parts: tuple[Any, ...], filename: str) -> types.CodeType:
    return types.CodeType(*parts).replace(co_filename=filename)


def shipped_files() -> dict[str, Path]:
    """Shipped files by name: in the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "spaces", package.parent / "spaces"):
        files = {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}
        if files:
            return files
    return {}


@lru_cache(maxsize=64)
def definition(source: SpaceSource) -> Definition:
    """The functions of a space; its code runs once a process.

    Raises
    ------
    SpaceError
        If the code raises, or defines neither ``build`` nor exactly one HyperModel.
    """
    check_keras_json()
    if source.payload is None and _IMPORTS_KERAS.search(source.text):
        import keras  # noqa: F401  (else it reads keras.json after the settings are made)
    if "keras" not in sys.modules:
        return _defined(source)
    with keras_settings(source.settings):
        found = _defined(source)
        return replace(found, settings=KerasSettings.present())


_IMPORTS_KERAS = re.compile(r"^(import|from) +(keras|keras_tuner|tensorflow)\b", re.MULTILINE)


def _defined(source: SpaceSource) -> Definition:
    if source.payload is not None:
        return _define(source, pickle.loads(source.payload), None)
    module = _run(source)
    build = getattr(module, "build", None)
    if build is None:
        build = _only_hypermodel(source, module)
    return _define(source, build, getattr(module, "declare", None))


def _run(source: SpaceSource) -> types.ModuleType:
    name = f"hpsearch_space_{source.sha256[:16]}"
    filename = source.path or source.name
    module = types.ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module  # where dataclasses and pickle look a class's module up
    with blame(source.name, "import", filename):
        exec(compile(source.text, filename, "exec", dont_inherit=True), module.__dict__)
    return module


def _only_hypermodel(source: SpaceSource, module: types.ModuleType) -> Any:
    found = [value for value in vars(module).values() if _is_hypermodel(value)]
    instances = [value for value in found if not inspect.isclass(value)]
    classes = [
        value for value in found if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    chosen = instances or classes
    if len(chosen) != 1:
        raise SpaceError(
            f"'{source.name}' must define build(hp, problem) or exactly one HyperModel; "
            f"it defines no build and {len(chosen)} HyperModels. Add a function build."
        )
    return chosen[0]


def _define(source: SpaceSource, defined: Any, declare: Any) -> Definition:
    _check_declare(source, declare)
    if not _is_hypermodel(defined):
        filename = source.path or _filename(defined)
        return Definition(_with_problem(source, defined, defined), declare, filename)
    if inspect.isclass(defined):
        with blame(source.name, "creation", source.path):
            defined = defined()
    _refuse_own_fit(source, defined)
    hypermodel_build = _with_problem(source, defined.build, type(defined).build.__get__(defined))

    def build(hp: HyperParameters, problem: Problem) -> Any:
        defined.declare_hyperparameters(hp)
        return hypermodel_build(hp, problem)

    return Definition(build, declare, source.path or _filename(type(defined).build))


def _with_problem(
    source: SpaceSource, build: Any, described: Any
) -> Callable[[HyperParameters, Problem], Any]:
    """``build`` as a function of both; ``described`` is what its signature is read from.

    The second argument is the problem where it is required or called so.
    """
    if _accepts(described, 2) and (
        not _accepts(described, 1) or _positional(described)[1:2] == ["problem"]
    ):
        return lambda hp, problem: build(hp, problem)
    if _accepts(described, 1):
        return lambda hp, problem: build(hp)
    raise SpaceError(
        f"build of '{source.name}' must be a function build(hp, problem) or build(hp). "
        "Change its parameters."
    )


def _check_declare(source: SpaceSource, declare: Any) -> None:
    if declare is not None and not _accepts(declare, 2):
        raise SpaceError(
            f"declare of '{source.name}' must be a function declare(hp, problem). "
            "Change its parameters, or remove it to have networks built instead."
        )


def _is_hypermodel(value: Any) -> bool:
    """Whether this is a HyperModel, class or instance, without importing keras-tuner."""
    keras_tuner = sys.modules.get("keras_tuner")
    if keras_tuner is None:
        return False
    base = keras_tuner.HyperModel
    if inspect.isclass(value):
        return issubclass(value, base) and value is not base
    return isinstance(value, base)


def _refuse_own_fit(source: SpaceSource, hypermodel: Any) -> None:
    from keras_tuner import HyperModel

    if type(hypermodel).fit is not HyperModel.fit:
        raise SpaceError(
            f"The HyperModel of '{source.name}' overrides fit, which would have no effect: the "
            "search trains the network itself. Remove fit; hyperparameters called batch_size "
            "and epochs steer the training."
        )


def _filename(function: Any) -> str | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else None


def _accepts(function: Any, n_arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except (TypeError, ValueError):
        return False
    return True


def _positional(function: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]
