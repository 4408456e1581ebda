"""Files that are there whole or not at all.

Owns atomic writing and the canonical JSON form. What stands in the files belongs to ``tables``
and ``folder``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds the old bytes or the new ones, never a part.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the
    name ``path`` in one step. The temporary file is removed when anything fails.
    """
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def temporary_path(path: Path) -> Path:
    """Where this process writes ``path`` before it takes its name: ``.NAME.PID.tmp``."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def to_json_text(value: Any) -> str:
    """Canonical JSON: sorted keys, two spaces of indent, floats in full, a final newline.

    NaN and infinities become ``null``, tuples, sets and arrays lists, NumPy scalars plain
    numbers, paths and other keys text. Equal values give equal text.

    Examples
    --------
    >>> print(to_json_text({"score": 0.1, "best": (1, float("nan"))}), end="")
    {
      "best": [
        1,
        null
      ],
      "score": 0.1
    }
    """
    plain = _plain(value)
    return json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise TypeError(f"JSON holds no {type(value).__name__}: {value!r}")


def sync_folder(folder: Path) -> None:
    """Flush the folder's own entry, where the system can open folders (not on Windows)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot flush folders
    finally:
        os.close(descriptor)
