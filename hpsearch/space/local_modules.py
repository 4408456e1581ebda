"""Modules of a space's own: those that its code imports and that nobody has installed.

A space file may import what stands beside it. Such modules are read when the space is, they travel
with it to every process, and they are part of its fingerprint, since a network follows from them as
much as from the space's own text. Owns which modules these are and how a process imports them.
What Python or an installed package offers is no such module: its version is recorded.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from hpsearch.errors import SpaceError
from hpsearch.paths import shown

_OURS = "hpsearch"


@dataclass(frozen=True)
class LocalModule:
    """A module of a space's own, as it was when the space was loaded.

    Attributes
    ----------
    name : as it is imported, such as ``parts`` or ``parts.blocks``.
    path : its file, or the folder of a package that has no ``__init__.py``.
    text : its source.
    is_package : whether other modules may be inside it.
    """

    name: str
    path: str
    text: str
    is_package: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LocalModule:
        """A module as a journal keeps it; what it doesn't know is left alone."""
        known = [each.name for each in fields(cls)]
        return cls(**{name: value[name] for name in known if name in value})

    @property
    def sha256(self) -> str:
        """Fingerprint of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def words(self) -> str:
        """Its file, for a message: ``parts.py`` or ``parts/__init__.py``."""
        parts = self.name.split(".")
        file = Path(self.path).name if Path(self.path).suffix else ""
        return "/".join([*(parts if self.is_package else parts[:-1]), file]).rstrip("/")


def modules_beside(file: Path, text: str) -> tuple[LocalModule, ...]:
    """The local modules that a space file imports, and those that these import, by name.

    They stand beside it, or where this process finds modules that nobody has installed. What is
    imported inside a function counts; a name that is made while the code runs doesn't.

    Raises
    ------
    SpaceError
        If a module beside the file has the name of one that Python or an installed package has, or
        can't be read.
    """
    return _closure(imported_names(text), file.parent)


def modules_named(names: Iterable[str]) -> tuple[LocalModule, ...]:
    """The local modules of some names that this process finds, and those that they import.

    Raises
    ------
    SpaceError
        If one can't be read.
    """
    return _closure((part for name in names for part in _with_parents(name)), None)


def _closure(names: Iterable[str], beside: Path | None) -> tuple[LocalModule, ...]:
    found: dict[str, LocalModule | None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        module = found[name] = _located(name, beside)
        if module is not None:
            package = name if module.is_package else name.rpartition(".")[0]
            waiting += imported_names(module.text, package)
    return tuple(module for _, module in sorted(found.items()) if module is not None)


def imported_names(text: str, package: str = "") -> list[str]:
    r"""Every name that a source imports or may import, those inside functions too.

    Parameters
    ----------
    package : the package that the source is in, for imports that begin with a dot.

    Examples
    --------
    >>> imported_names("import a.b, c\nfrom d import e")
    ['a', 'a.b', 'c', 'd', 'd.e']
    >>> imported_names("from . import parts", package="blocks")
    ['blocks', 'blocks.parts']
    """
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []  # which running it will tell of
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return list(dict.fromkeys(part for name in names if name for part in _with_parents(name)))


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _located(name: str, beside: Path | None) -> LocalModule | None:
    """A module beside a file, or among those that nobody has installed."""
    top = name.partition(".")[0]
    if top == _OURS or not all(part.isidentifier() for part in name.split(".")):
        return None
    if beside is not None:
        module = _module_in(beside, name)
        if module is not None:
            _refuse_two_meanings(top, module)
            return module
    folder = _folder_of_ones_own(top)
    return None if folder is None else _module_in(folder, name)


def _module_in(folder: Path, name: str) -> LocalModule | None:
    place = folder.joinpath(*name.split("."))
    for path, is_package in ((place / "__init__.py", True), (place.with_suffix(".py"), False)):
        if path.is_file():
            return LocalModule(name, str(path), _text_of(path), is_package)
    if place.is_dir() and any(place.glob("*.py")):
        return LocalModule(name, str(place), "", is_package=True)
    return None


def _text_of(path: Path) -> str:
    try:
        return importlib.util.decode_source(path.read_bytes())
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise SpaceError(
            f"The module {shown(path)}, which the code imports, cannot be read: {error}. "
            "Check the file."
        ) from error


def _refuse_two_meanings(top: str, module: LocalModule) -> None:
    """Refuse a module that Python or an installed package has, too: which is meant is not clear."""
    owner = _other_owner(top)
    if owner is not None:
        raise SpaceError(
            f"The code imports {top!r}, which is {shown(module.path)} and a module of {owner} as "
            "well. Rename the file, or import what is meant under another name."
        )


@lru_cache(maxsize=256)
def _other_owner(top: str) -> str | None:
    if top in sys.stdlib_module_names:
        return "Python"
    spec = importlib.machinery.PathFinder.find_spec(top, _installed_folders())
    return "an installed package" if spec is not None and spec.origin is not None else None


def _folder_of_ones_own(top: str) -> Path | None:
    """Where this process finds a module, unless Python or an installed package has it."""
    if top in sys.stdlib_module_names:
        return None
    spec = importlib.machinery.PathFinder.find_spec(top)
    if spec is None:
        return None
    if spec.origin is not None and not spec.submodule_search_locations:
        folder = Path(spec.origin).parent
    else:
        folder = Path(next(iter(spec.submodule_search_locations or [""]))).parent
    installed = any(folder.is_relative_to(other) for other in _installed_folders())
    return None if installed or not folder.is_dir() else folder.resolve()


def _installed_folders() -> list[str]:
    """Where packages are installed; ``.pth`` files add other folders, which are people's own."""
    places = sysconfig.get_paths()
    found = [places["purelib"], places["platlib"], *site.getsitepackages()]
    return [*found, site.getusersitepackages()] if site.ENABLE_USER_SITE else found


# -- importing them


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules in what a space carries, whatever the disk holds by now."""

    def __init__(self, modules: Iterable[LocalModule]) -> None:
        self.modules = {module.name: module for module in modules}

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        module = self.modules.get(fullname)
        if module is None:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, _Loader(module), origin=module.path, is_package=module.is_package
        )
        spec.has_location = True
        if module.is_package:
            place = Path(module.path)
            folder = place.parent if place.suffix else place
            spec.submodule_search_locations = [str(folder)]
        return spec


class _Loader(importlib.abc.Loader):
    """Runs a module's text as it was read."""

    def __init__(self, module: LocalModule) -> None:
        self._module = module

    def exec_module(self, module: types.ModuleType) -> None:
        code = compile(self._module.text, self._module.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)


_loaded: dict[tuple[LocalModule, ...], dict[str, types.ModuleType]] = {}


class _Imports:
    """Imports of one space's modules, from ``begin`` to ``end``.

    What was imported once is the same module the next time. ``keep`` leaves alone what the process
    has imported by itself under these names.
    """

    def __init__(self, modules: tuple[LocalModule, ...], *, keep: bool) -> None:
        self.modules = modules
        self._finder = _Finder(modules)
        self._names = {module.name for module in modules} - (sys.modules.keys() if keep else set())
        self._others: dict[str, types.ModuleType] = {}

    def begin(self) -> None:
        self._others = _taken_out(self._names)
        ours = _loaded.get(self.modules, {})
        sys.modules.update({name: ours[name] for name in self._names & ours.keys()})
        sys.meta_path.insert(0, self._finder)

    def end(self) -> None:
        sys.meta_path.remove(self._finder)
        _loaded[self.modules] = _taken_out(self._names)
        sys.modules.update(self._others)


def _taken_out(names: Iterable[str]) -> dict[str, types.ModuleType]:
    return {name: sys.modules.pop(name) for name in names if name in sys.modules}


_lasting: _Imports | None = None


@contextmanager
def importable(modules: tuple[LocalModule, ...], *, keep: bool = False) -> Iterator[None]:
    """Have imports find these modules until the block ends, and not another space's of their names.

    Parameters
    ----------
    keep : leave alone what the process has imported by itself under these names.
    """
    if not modules or (_lasting is not None and modules == _lasting.modules):
        yield
        return
    imports = _Imports(modules, keep=keep)
    imports.begin()
    try:
        yield
    finally:
        imports.end()


def make_importable(modules: tuple[LocalModule, ...], *, keep: bool = False) -> None:
    """The same for good, or until other modules are made so: where networks are trained."""
    global _lasting
    if _lasting is not None:
        if modules == _lasting.modules:
            return
        _lasting.end()
    _lasting = _Imports(modules, keep=keep) if modules else None
    if _lasting is not None:
        _lasting.begin()
