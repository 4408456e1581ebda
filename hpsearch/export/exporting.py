"""A run taken elsewhere: written in one of the formats, whole or not at all.

Owns where it is written to and the refusals before that. What stands there belongs to the formats,
a file each in ``formats``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import OptionError, StorageError
from hpsearch.export.formats import format_of
from hpsearch.export.formats.base import Format
from hpsearch.paths import expanded, found_at, shown
from hpsearch.results.files import sync_folder, temporary_path

if TYPE_CHECKING:
    from hpsearch.results.run import Run


@dataclass(frozen=True)
class Exported:
    """What was written: its path, and what there is to say about it, a sentence each."""

    path: Path
    notes: tuple[str, ...] = ()


def export_run(
    run: Run, to: str, out: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> Exported:
    """Write a run in a format; see ``Run.export``."""
    chosen = format_of(to)
    target = _target(run, to, chosen, out)
    _check_target(target, to, chosen, overwrite=overwrite)
    run.require_unchanged()
    with _beside(target) as path:
        notes = chosen.write(run, path)
        _put(path, target)
    return Exported(target, tuple(notes))


def _target(run: Run, to: str, chosen: Format, out: str | os.PathLike[str] | None) -> Path:
    if out is None:
        return Path(run.path.resolve().name + chosen.ending)
    path = expanded(out, OptionError)
    if not chosen.is_folder and path.suffix.lower() != chosen.ending:
        raise OptionError(
            f"--to {to} writes a file that ends in {chosen.ending}; received --out {shown(path)}. "
            "Change its ending."
        )
    return path


def _check_target(target: Path, to: str, chosen: Format, *, overwrite: bool) -> None:
    found = found_at(target, OptionError)
    if found_at(target.parent, OptionError) != "a folder":
        raise OptionError(
            f"--out is a path in a folder that is there; {shown(target.parent)} is not. "
            "Make the folder, or choose another path."
        )
    if found is None and not target.is_symlink():
        return
    if not overwrite:
        raise OptionError(
            f"An export never replaces anything by itself; {shown(target)} is there already. "
            "Choose another --out, or add --overwrite."
        )
    if target.is_symlink() or not _is_of(target, found, chosen):
        raise OptionError(
            f"--overwrite replaces what an export to {to} wrote, {chosen.what}; {shown(target)} is "
            "something else. Choose another --out."
        )


def _is_of(target: Path, found: str | None, chosen: Format) -> bool:
    """Whether what is at the target may be replaced: a file by a file, a folder by its like."""
    if chosen.inside is None:
        return found == "a file"
    return found == "a folder" and (target / chosen.inside).is_file()


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path beside the target at which nothing is, now or afterwards."""
    path = temporary_path(target.parent)
    try:
        path.touch()  # before the work, which takes seconds
        path.unlink()
        yield path
    except OSError as error:
        raise StorageError(
            f"--out must be writable; {shown(target)} is not ({error.strerror or error}). "
            "Choose another path."
        ) from error
    finally:
        _remove(path)


def _put(path: Path, target: Path) -> None:
    """Give what was written its name; a folder that has it already makes room first."""
    if not target.is_dir():
        os.replace(path, target)
    else:
        older = temporary_path(target.parent)
        os.rename(target, older)
        try:
            os.rename(path, target)
        except OSError:
            os.rename(older, target)
            raise
        _remove(older)
    sync_folder(target.parent)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
