"""Folders of images: which files there are, and the class that each one's folder stands for.

Owns the layouts of folders: one folder a class, with or without ``train`` and ``test`` above them;
or, of new images, any. Reading the files belongs to ``images``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpsearch.data.images import ENDINGS
from hpsearch.data.names import listed
from hpsearch.errors import DataError
from hpsearch.paths import shown

_TRAIN: Final = ("train", "training")
_VALIDATION: Final = ("val", "valid", "validation")
_TEST: Final = ("test", "testing")
_BY_HAND: Final = "Give a folder with a folder for each class, or a CSV file with --image COLUMN."


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, in the order of their paths.

    Attributes
    ----------
    files : paths within the folder, with ``/`` between their parts.
    classes : of each file the class, or None where none is known.
    test : those of the folder's own test images, with paths within the same folder.
    notes : what was left out or joined, a sentence each.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...] | None
    test: ImageFolder | None = None
    notes: tuple[str, ...] = ()


def classes_in(folder: Path) -> ImageFolder:
    """The images of a folder that holds a folder for each class.

    The folders of classes may stand in ``train`` and ``test``; images of ``validation`` are joined
    to those of ``train``. Folders within a class belong to it. Names that begin with a point are
    passed over.

    Raises
    ------
    DataError
        There are no folders with images, or one alone.
    """
    parts = {name: _part(name) for name in _folders(folder)}
    if "train" in parts.values() and all(parts.values()) and len(parts) > 1:
        return _with_parts(folder, parts)
    return _classes(folder, [""])


def images_in(folder: Path) -> ImageFolder:
    """All images of a folder and of those within it, whatever stands for a class.

    A file's class is the folder that it lies in, below ``test`` or ``train`` where these are there;
    None where some file lies in none.

    Raises
    ------
    DataError
        There is no image.
    """
    files, others = _walk(folder, "")
    if not files:
        raise DataError(f"{_no_images(folder, others)} Give a folder of images.")
    paths = [file.split("/")[:-1] for file in files]
    parted = all(parts and _part(parts[0]) for parts in paths)
    below = [parts[1:] if parted else parts for parts in paths]
    classes = tuple(parts[0] for parts in below) if all(below) else None
    return ImageFolder(files, classes, notes=tuple(_left_out(others)))


def _part(name: str) -> str:
    """Whether a folder's name says that it holds the images for training, validation or test."""
    known = {"train": _TRAIN, "validation": _VALIDATION, "test": _TEST}
    return next((part for part, names in known.items() if name.lower() in names), "")


def _with_parts(folder: Path, parts: dict[str, str]) -> ImageFolder:
    held_back = [name for name, part in parts.items() if part == "test"]
    trained = [name for name, part in parts.items() if part != "test"]
    train = _classes(folder, trained)
    notes = list(train.notes)
    if any(parts[name] == "validation" for name in trained):
        notes.append(
            f"The images of {listed(trained)} were joined: folds make their own validation rows."
        )
    test = _classes(folder, held_back) if held_back else None
    return ImageFolder(train.files, train.classes, test, tuple(notes))


def _classes(folder: Path, within: Sequence[str]) -> ImageFolder:
    """The images of class folders that lie in some folders of a folder."""
    files: list[str] = []
    classes: list[str] = []
    notes: list[str] = []
    others: list[str] = []
    for base in within:
        root = folder / base
        found, beside = _walk(folder, base)
        depth = 1 if base else 0
        of_class = [file for file in found if file.count("/") > depth]
        loose = [file for file in found if file.count("/") == depth]
        if not of_class:
            raise DataError(_no_classes(root, loose, beside))
        files += of_class
        classes += [file.split("/")[depth] for file in of_class]
        others += beside
        empty = sorted(set(_folders(root)) - set(classes))
        if empty:
            notes.append(f"Folders without an image were left out: {listed(empty, most=5)}.")
        if loose:
            notes.append(
                f"{len(loose):,} image{'s' * (len(loose) > 1)} beside the folders of classes "
                f"{'have no class and were' if len(loose) > 1 else 'has no class and was'} left "
                f"out: {listed(loose, most=3)}."
            )
    if len(set(classes)) == 1:
        raise DataError(
            f"A folder of images holds a folder for each of two classes or more; {shown(folder)} "
            f"has images in {classes[0]!r} alone. Add the images of another class."
        )
    return ImageFolder(tuple(files), tuple(classes), notes=(*notes, *_left_out(others)))


def _no_classes(root: Path, loose: Sequence[str], others: Sequence[str]) -> str:
    if not loose:
        return f"{_no_images(root, others)} {_BY_HAND}"
    return (
        f"A folder of images holds a folder for each class; the {len(loose):,} images of "
        f"{shown(root)} lie in it themselves, such as {loose[0]!r}. Move those of each class into "
        "a folder of its name, or give a CSV file with --image COLUMN."
    )


def _no_images(folder: Path, others: Sequence[str]) -> str:
    if not others:
        return f"A folder of images must hold some; {shown(folder)} is empty."
    return (
        f"A folder of images must hold some ({', '.join(ENDINGS)}); {shown(folder)} holds "
        f"{len(others):,} other file{'s' * (len(others) > 1)}, such as {others[0]!r}."
    )


def _left_out(others: Sequence[str]) -> Iterator[str]:
    """What is said of files that are no images by their names."""
    if others:
        are = "is no image by its name and was" if len(others) == 1 else "are no images by their "
        are += "" if len(others) == 1 else "names and were"
        files = "file" if len(others) == 1 else "files"
        yield f"{len(others):,} {files} {are} left out: {listed(others, most=3)}."


def _folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(e.name for e in os.scandir(folder) if not _is_hidden(e.name) and e.is_dir())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _walk(folder: Path, base: str) -> tuple[tuple[str, ...], list[str]]:
    """The images below a part of a folder, and the other files, by their paths in the folder.

    Raises
    ------
    DataError
        A link leads out of the folder, or a folder cannot be read.
    """
    images: list[str] = []
    others: list[str] = []

    def fail(error: OSError) -> None:
        raise DataError(
            f"{shown(error.filename or folder)} cannot be read ({error.strerror or error}). Check "
            "the folder and its permissions."
        ) from error

    for place, folders, names in os.walk(folder / base, onerror=fail):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        here = Path(place)
        for name in folders:
            if (here / name).is_symlink():
                raise DataError(
                    f"Images lie within the folder that is given; {shown(here / name)} is a link "
                    "to another one. Copy the images, or give a CSV file of their paths."
                )
        for name in sorted(names):
            path = (here / name).relative_to(folder).as_posix()
            if not _is_hidden(name):
                (images if name.lower().endswith(ENDINGS) else others).append(path)
    return tuple(sorted(images, key=lambda path: path.split("/"))), sorted(others)
