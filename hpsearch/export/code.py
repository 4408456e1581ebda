"""The code that an exported model needs: files beside it that register what it is made of.

A network may hold layers, activations and the like of one's own. The space's file registers them,
so it goes with the model, and with it the modules of its own that it imports, into the folder
``code`` of the run; ``model.json`` has each file's SHA-256. Owns that form: what is written, and
reading it back, file by file as it was. Running it belongs to ``hpsearch.space.source``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from hpsearch.errors import ModelFileError
from hpsearch.paths import opened
from hpsearch.results.layout import CODE
from hpsearch.space.local_modules import LocalModule
from hpsearch.space.source import SpaceSource

_OF_AN_OBJECT: Final = "model_code.py"
"""What stands for a space that is a Python object: it imports the modules of its objects."""

_PACKAGE: Final = "__init__"


@dataclass(frozen=True)
class Code:
    """Code that registers what a model is made of.

    Attributes
    ----------
    source : the file to run, and the modules of its own that it imports.
    objects : registered names of what the model holds, in alphabetical order.
    """

    source: SpaceSource
    objects: tuple[str, ...]

    @classmethod
    def of(cls, source: SpaceSource, objects: Mapping[str, str]) -> Self | None:
        """What a model needs of a space's code; None where it needs nothing.

        Parameters
        ----------
        objects : registered name of each object to the module that it stands in.
        """
        if not objects:
            return None
        if source.payload is not None:
            imports = [f"import {module}" for module in sorted(set(objects.values()))]
            said = '"""What the model is made of, once this is imported."""'
            text = "\n".join([said, "", *imports, ""])
            source = SpaceSource(_OF_AN_OBJECT, None, text, modules=source.modules)
        return cls(source, tuple(sorted(objects)))

    @property
    def main(self) -> str:
        """The path of the file to import, in a run's folder."""
        name = self.source.name
        return f"{CODE}/{name if name.endswith('.py') else f'{name}.py'}"

    @property
    def files(self) -> dict[str, str]:
        """Path in a run's folder to text."""
        return {self.main: self.source.text} | {
            f"{CODE}/{_path_of(module)}": module.text for module in self.source.modules
        }

    def to_json(self) -> dict[str, Any]:
        """What ``model.json`` says of it."""
        digests = {path: _digest(text) for path, text in self.files.items()}
        return {"import": self.main, "objects": list(self.objects), "sha256": digests}

    @property
    def words(self) -> str:
        """That it is executed, a sentence."""
        return f"The file {self.main} is executed, which has {', '.join(self.objects)}."

    @classmethod
    def read(cls, folder: Path, said: Mapping[str, Any]) -> Self:
        """The code in a run's folder, each file as the run wrote it; nothing is executed.

        Parameters
        ----------
        said : ``code`` of ``model.json``.

        Raises
        ------
        ModelFileError
            A file is missing, or is not the one that the run wrote.
        """
        main = str(said["import"])
        texts = {path: _read(folder, path, digest) for path, digest in said["sha256"].items()}
        modules = [
            _module(path, text, folder / path) for path, text in texts.items() if path != main
        ]
        name = PurePosixPath(main).name
        source = SpaceSource(name, str(folder / main), texts[main], modules=tuple(modules))
        return cls(source, tuple(map(str, said["objects"])))


def objects_with_code(objects: Iterable[Any]) -> dict[str, str]:
    """Registered name to module of what networks hold of one's own (``own_objects``)."""
    return {one.registered: one.module for one in objects}


def _read(folder: Path, path: str, digest: str) -> str:
    parts = PurePosixPath(path).parts
    if parts[:1] != (CODE,) or ".." in parts:
        raise ModelFileError(
            f"The code of a model is in the folder {CODE!r} of its run; model.json of "
            f"{str(folder)!r} names {path!r}. Restore it, or run the search again."
        )
    place = folder.joinpath(*parts)
    if not place.is_file():
        raise ModelFileError(
            f"The model holds layers, or functions, of the space's own, so that it needs the "
            f"space's code; {str(place)!r} is not there. Restore it, or run the search again."
        )
    with opened(place, ModelFileError) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelFileError(
            f"The space's code runs with a model as the run kept it; the SHA-256 of {str(place)!r} "
            "differs from the one in model.json, so it is not executed. Restore the file, or run "
            "the search again."
        )
    return content.decode("utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _path_of(module: LocalModule) -> str:
    place = module.name.replace(".", "/")
    return f"{place}/{_PACKAGE}.py" if module.is_package else f"{place}.py"


def _module(path: str, text: str, place: Path) -> LocalModule:
    """A module from its path below the folder of the code."""
    parts = PurePosixPath(path).with_suffix("").parts[1:]
    is_package = parts[-1] == _PACKAGE
    name = ".".join(parts[:-1] if is_package else parts)
    return LocalModule(name, str(place), text, is_package)
