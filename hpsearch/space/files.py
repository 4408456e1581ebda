"""Files that hyperparameters name, such as a trained base: what a run remembers of them.

Owns which values are files, and their digests. A space that reads others in its code says so to
nobody.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.space.declarations import declarations

if TYPE_CHECKING:
    from keras_tuner import HyperParameters


def named_files(hp: HyperParameters) -> dict[str, str]:
    """SHA-256 of each file whose path is a value of a hyperparameter, by that path.

    A path has an ending (``base.keras``); other values are words.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Fixed("base", "not_there.keras")
    >>> named_files(hp)
    {}
    """
    values = [value for each in declarations(hp) for value in each.get("values", ())]
    paths = sorted({value for value in values if isinstance(value, str) and _is_file(value)})
    return {path: _digest(Path(path)) for path in paths}


def _is_file(value: Any) -> bool:
    try:
        return bool(Path(value).suffix) and Path(value).is_file()
    except (OSError, ValueError):  # a text that is no path
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
