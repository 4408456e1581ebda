"""Where a space's code comes from: a shipped name, a file or a Python object.

Metrics of one's own come from files and objects in the same way.

Owns finding, running and calling that code in one convention, ``build(hp, problem)``. What becomes
of what it raises belongs to ``hpsearch.space.guards``, what the calls are for to
``hpsearch.space.space``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import pickle
import re
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import InputError, SpaceError
from hpsearch.keras_settings import (
    DEFAULT_SETTINGS,
    KerasSettings,
    check_keras_json,
    keras_settings,
)
from hpsearch.paths import expanded, found_at, shown
from hpsearch.space.guards import blame
from hpsearch.space.hyperparameters import nearest
from hpsearch.space.local_modules import LocalModule, importable, modules_beside
from hpsearch.space.registered import Registered, registered_in

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
    modules : those of its own that it imports, see ``hpsearch.space.local_modules``.
    """

    name: str
    path: str | None
    text: str
    payload: bytes | None = None
    settings: KerasSettings = DEFAULT_SETTINGS
    modules: tuple[LocalModule, ...] = ()

    @property
    def sha256(self) -> str:
        """Fingerprint of all that the networks follow from, in hex; of the text where that is all.

        Where Python cannot tell the text of an object, its payload stands for it.
        """
        content = self.text.encode() if self.text or self.payload is None else self.payload
        more = [self.settings.words, *(part for m in self.modules for part in (m.name, m.text))]
        whole = content + "\0".join(more).encode() if any(more) else content
        return hashlib.sha256(whole).hexdigest()

    def mentions(self, word: str) -> bool:
        """Whether the code names something, such as a package."""
        texts = (self.text, *(module.text for module in self.modules))
        in_payload = self.payload is not None and word.encode() in self.payload
        return in_payload or any(word in text for text in texts)

    @property
    def filenames(self) -> frozenset[str]:
        """The files that its code stands in."""
        return frozenset(filter(None, (self.path, *(module.path for module in self.modules))))

    def to_json(self) -> dict[str, Any]:
        """What of it a journal keeps; a Python object's payload it doesn't."""
        return {
            "name": self.name,
            "path": self.path,
            "text": self.text,
            "modules": [asdict(module) for module in self.modules],
            "settings": self.settings.words,
            "is_object": self.payload is not None,
        }


@dataclass(frozen=True)
class Definition:
    """A space's functions in one calling convention.

    Attributes
    ----------
    build, declare, phases, portfolio : the functions; None where there is none.
    filenames : the files that errors point into.
    settings : Keras's, as the space's code set them where it isn't called.
    registered : the objects that Keras knows once the code has run, by their names.
    """

    build: Callable[[HyperParameters, Problem], Any]
    declare: Callable[[HyperParameters, Problem], Any] | None
    filenames: frozenset[str]
    settings: KerasSettings = DEFAULT_SETTINGS
    registered: Registered = field(default_factory=dict)
    phases: Callable[[HyperParameters, Problem], Any] | None = None
    portfolio: Callable[[Problem], Any] | None = None


def read_text(spec: str | os.PathLike[str]) -> SpaceSource:
    """The source of a shipped space by its name, or of a file by its path.

    Raises
    ------
    SpaceError
        If there is no such name, or the file cannot be read.
    """
    given = os.fspath(spec)
    shipped = shipped_files()
    if given in shipped:
        return SpaceSource(given, str(shipped[given]), shipped[given].read_text(encoding="utf-8"))
    path = expanded(given, SpaceError)
    if path.suffix != ".py" and path.name == given:
        raise SpaceError(
            f"There is no space called '{given}'.{nearest(given, shipped)} Give one of "
            f"{', '.join(shipped)}, or the path of a .py file that defines build(hp, problem)."
        )
    found = found_at(path, SpaceError)
    if found not in ("a file", None):
        raise SpaceError(
            f"A space is a name or a .py file; {shown(path)} is {found}. "
            "Give the path of a .py file that defines build(hp, problem)."
        )
    try:
        return source_of_file(path)
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise SpaceError(
            f"The space file '{given}' cannot be read: {error}. "
            "Give the path of a .py file that defines build(hp, problem)."
        ) from error


def source_of_file(path: Path) -> SpaceSource:
    """A file's code, and that of the modules of its own that it imports.

    Raises
    ------
    OSError, UnicodeDecodeError, SyntaxError
        If it can't be read.
    """
    text, path = importlib.util.decode_source(path.read_bytes()), path.resolve()
    return SpaceSource(path.name, str(path), text, modules=modules_beside(path, text))


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
    with importable(source.modules, keep=source.payload is not None):
        if "keras" not in sys.modules:
            return _defined(source)
        with keras_settings(source.settings):
            found = _defined(source)
            modules = [_home_of(source), *(module.name for module in source.modules)]
            registered = registered_in(modules)
            return replace(found, settings=KerasSettings.present(), registered=registered)


_IMPORTS_KERAS = re.compile(r"^(import|from) +(keras|keras_tuner|tensorflow)\b", re.MULTILINE)


@lru_cache(maxsize=16)
def objects_of(source: SpaceSource) -> Registered:
    """The objects that Keras knows once a file's code has run; it runs once a process.

    Raises
    ------
    SpaceError
        If the code raises.
    """
    home = f"hpsearch_code_{source.sha256[:16]}"
    with importable(source.modules):
        run(source, home)
        return registered_in([home, *(module.name for module in source.modules)])


def _home_of(source: SpaceSource) -> str:
    """The module that a file's code runs in."""
    return f"hpsearch_space_{source.sha256[:16]}"


def _defined(source: SpaceSource) -> Definition:
    if source.payload is not None:
        return _define(source, pickle.loads(source.payload), {})
    name = _home_of(source)
    names = run(source, name)
    build = names.get("build")
    if build is None:
        build = _only_hypermodel(source, names, name)
    return _define(source, build, names)


def run(
    source: SpaceSource, name: str, *, of: str = "space", error_type: type[InputError] = SpaceError
) -> dict[str, Any]:
    """What a module of this name holds after the code ran in it.

    Parameters
    ----------
    of, error_type : as in ``blame``.
    """
    filename = source.path or source.name
    module = types.ModuleType(name)
    module.__file__ = filename
    sys.modules[name] = module  # where dataclasses and pickle look a class's module up
    filenames = {filename, *source.filenames}
    with blame(source.name, "import", filenames, of=of, error_type=error_type):
        exec(compile(source.text, filename, "exec", dont_inherit=True), module.__dict__)
    return vars(module)


def _only_hypermodel(source: SpaceSource, names: dict[str, Any], home: str) -> Any:
    """The HyperModel among a module's names; of classes, those that were not imported into it."""
    found = [value for value in names.values() if is_hypermodel(value)]
    instances = [value for value in found if not inspect.isclass(value)]
    classes = [value for value in found if inspect.isclass(value) and value.__module__ == home]
    chosen = instances or classes
    if len(chosen) != 1:
        raise SpaceError(
            f"'{source.name}' must define build(hp, problem) or exactly one HyperModel; "
            f"it defines no build and {len(chosen)} HyperModels. Add a function build."
        )
    return chosen[0]


def _define(source: SpaceSource, defined: Any, names: Mapping[str, Any]) -> Definition:
    """The functions; ``phases`` and ``portfolio`` may be a function's attribute, or methods, too.

    Parameters
    ----------
    defined : a function that builds networks, or a HyperModel.
    names : of the module that it stands in; empty where there is none.
    """
    is_own = is_hypermodel(defined)
    if is_own and inspect.isclass(defined):
        with blame(source.name, "creation", source.filenames):
            defined = defined()
    own = {name: getattr(defined, name, None) for name in ("phases", "portfolio")}
    beside = {name: names.get(name, own.get(name)) for name in _BESIDE}
    for name, function in beside.items():
        _check_function(source, name, function)
    if not is_own:
        filenames = source.filenames | _filenames(defined)
        return Definition(_with_problem(source, defined, defined), filenames=filenames, **beside)
    _refuse_own_fit(source, defined)
    hypermodel_build = _with_problem(source, defined.build, type(defined).build.__get__(defined))

    def build(hp: HyperParameters, problem: Problem) -> Any:
        defined.declare_hyperparameters(hp)
        return hypermodel_build(hp, problem)

    filenames = source.filenames | _filenames(type(defined).build)
    return Definition(build, filenames=filenames, **beside)


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


_BESIDE = {
    "declare": ("hp, problem", "have networks built instead"),
    "phases": ("hp, problem", "train in one"),
    "portfolio": ("problem", "begin with the defaults alone"),
}
"""Functions that may stand beside ``build``: what they take, and what happens without them."""


def _check_function(source: SpaceSource, name: str, function: Any) -> None:
    takes, without = _BESIDE[name]
    if function is not None and not _accepts(function, len(takes.split(", "))):
        raise SpaceError(
            f"{name} of '{source.name}' must be a function {name}({takes}). "
            f"Change its parameters, or remove it to {without}."
        )


def is_hypermodel(value: Any) -> bool:
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


def _filenames(function: Any) -> frozenset[str]:
    """The file that a function stands in, where it is one of Python's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return frozenset([code.co_filename] if code else [])


def _accepts(function: Any, n_arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except (TypeError, ValueError):
        return False
    return True


def _positional(function: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]
