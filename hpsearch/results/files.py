"""Files that are there whole or not at all.

Owns atomic writing, the temporary files that it takes, and the canonical JSON form. What stands in
the files belongs to ``tables`` and ``folder``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from hpsearch.paths import opened

MOST_JSON_BYTES: Final = 2**28
"""More than any document of a run has, less than fills the memory."""

_TEMPORARY: Final = re.compile(
    r"\.hpsearch-(?P<pid>\d+)-[0-9a-f]{16}\.tmp(-journal)?"
    r"|\.[\w.]+\.(?P<old_pid>\d+)\.tmp(-journal)?"  # as versions before 0.2 named them
)


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds the old bytes or the new ones, never a part.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and take the
    name ``path`` in one step. The temporary file is removed when anything fails. A link is
    followed nowhere: neither the temporary file's name, which must be free, nor ``path``.
    """
    temporary = temporary_path(path.parent)
    try:
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def temporary_path(folder: Path) -> Path:
    """Where this process writes a file before it takes its name; nobody can foresee it."""
    return folder / f".hpsearch-{os.getpid()}-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that ``temporary_path`` gives."""
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Remove the temporary files that processes left which are gone, as far as that is possible.

    Nobody in this process may be writing into the folder: its own are taken for those of an
    earlier process that had its number.
    """
    import psutil  # here, since a process that only reads has no use for it

    with suppress(OSError):
        for item in list(folder.iterdir()):
            found = _TEMPORARY.fullmatch(item.name)
            if found is None:
                continue
            pid = int(found["pid"] or found["old_pid"])
            if pid == os.getpid() or not psutil.pid_exists(pid):
                with suppress(OSError):
                    item.unlink()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """What a JSON document says.

    Raises
    ------
    ValueError
        It is no JSON, or too large or too deep for a document of a run; an ``InputError`` where
        it can't be read or is no plain file.
    """
    with opened(path) as file:
        content = file.read(MOST_JSON_BYTES + 1)
    if len(content) > MOST_JSON_BYTES:
        raise ValueError(f"it has more than {MOST_JSON_BYTES:,} bytes")
    try:
        value = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_whole_number
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half a character is no text
    except RecursionError:
        raise ValueError("its lists and objects are nested too deep") from None
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _whole_number(digits: str) -> int:
    number = int(digits)
    try:
        float(number)
    except OverflowError:
        raise ValueError(f"a whole number has {len(digits)} digits") from None
    return number


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
