"""One run in the place of another: removal, and an exchange that no kill can spoil.

A search that is to overwrite a run fills ``.next``, a folder inside the run's own, while the older
run stays. When the new one has ended it is whole there, ``best.json`` included, and ``settle``
exchanges the two: what the older run leaves behind is removed, ``.next`` takes the name ``.done``,
and its files move to their places, ``best.json`` last. Whoever takes the folder after a kill
settles it first, so there is either the older run, whole, or the new one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from hpsearch.results import layout
from hpsearch.results.files import is_temporary, sync_folder
from hpsearch.results.lock import HOLDER, LOCK

_LEAVINGS: Final = (
    *(*layout.OUTCOME, *layout.TEXTS, *layout.TABLES, *layout.TABLES_ASKED_FOR),
    *layout.TRANSFORMERS,
    *layout.COMPANIONS,
    layout.LOGGED,
)
_OUTER_JOURNAL: Final = re.compile(r"outer-\d+-of-\d+\.sqlite(-journal|-wal|-shm)?")


def remove_run(folder: Path) -> None:
    """Remove what hpsearch wrote into a run's folder, and nothing else.

    What says that the run has ended goes first, what says that it is a run last, so that an
    interrupted removal leaves an unfinished run.
    """
    _remove_leavings(folder)
    _unlink(folder, (layout.JOURNAL, layout.SETTINGS))


def drop_next(folder: Path) -> None:
    """Remove the run, if any, that was to replace the one in the folder."""
    path = folder / layout.NEXT
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def settle(folder: Path) -> None:
    """Put the run that has ended in ``.next`` into its place; nothing where there is none."""
    after, done = folder / layout.NEXT, folder / layout.DONE
    if after.is_symlink() or done.is_symlink():
        return
    if not done.is_dir() and (after / layout.BEST).is_file():
        _remove_leavings(folder)
        sync_folder(folder)
        os.rename(after, done)
    if done.is_dir():
        _move_into(folder, done)


def other_file(folder: Path) -> str | None:
    """A file of a folder without a run that hpsearch did not write, or None."""
    ours = {LOCK, HOLDER, layout.NEXT, layout.DONE}
    for name in sorted(item.name for item in folder.iterdir()):
        is_ours = name in ours or is_temporary(name)
        if not is_ours and not (name == layout.NESTED and _has_outer_journals_alone(folder / name)):
            return name
    return None


def _remove_leavings(folder: Path) -> None:
    """Remove everything of a run but what says that it is one."""
    _unlink(folder, _LEAVINGS)
    _remove_events(folder / layout.TENSORBOARD)
    remove_code(folder)
    nested = folder / layout.NESTED
    if nested.is_symlink():
        nested.unlink()
    if not nested.is_dir():
        return
    for item in list(nested.iterdir()):
        if _is_ours_in_nested(item.name):
            item.unlink(missing_ok=True)
    with suppress(OSError):  # it holds what hpsearch did not write
        nested.rmdir()


def remove_code(folder: Path) -> None:
    """Remove the code that a run's model needs, and the folders that hold nothing else."""
    code = folder / layout.CODE
    if code.is_symlink():
        code.unlink()
    if not code.is_dir():
        return
    for file in code.rglob("*.py"):
        file.unlink(missing_ok=True)
    for each in sorted((path for path in code.rglob("*") if path.is_dir()), reverse=True):
        if each.name == "__pycache__":
            shutil.rmtree(each, ignore_errors=True)
            continue
        with suppress(OSError):  # it holds what hpsearch did not write
            each.rmdir()
    with suppress(OSError):
        code.rmdir()


def _remove_events(folder: Path) -> None:
    """Remove our events for TensorBoard, and the folders that hold nothing else."""
    if folder.is_symlink():
        folder.unlink()
    if not folder.is_dir():
        return
    for each in (*folder.glob("trial-*"), folder):
        if each.is_dir() and not each.is_symlink():
            _unlink(each, [path.name for path in each.glob(f"{layout.EVENTS}*")])
            with suppress(OSError):  # it holds what hpsearch did not write
                each.rmdir()


def _unlink(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _move_into(folder: Path, done: Path) -> None:
    items = sorted(done.iterdir())
    items.sort(key=lambda item: item.name == layout.BEST)  # it says that the run has ended
    for item in items:
        _move(item, folder / item.name)
    sync_folder(folder)
    done.rmdir()


def _move(item: Path, target: Path) -> None:
    """Move a file, or what is in a folder, to where something may be already."""
    if not item.is_dir():
        os.replace(item, target)
        return
    target.mkdir(exist_ok=True)
    for inner in list(item.iterdir()):
        _move(inner, target / inner.name)
    item.rmdir()


def _has_outer_journals_alone(folder: Path) -> bool:
    return folder.is_dir() and all(_is_ours_in_nested(item.name) for item in folder.iterdir())


def _is_ours_in_nested(name: str) -> bool:
    return _OUTER_JOURNAL.fullmatch(name) is not None or is_temporary(name)
