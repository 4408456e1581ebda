"""Data: from a file, a table, arrays or a named set to a ``Dataset``.

The public names are imported when they are first used: the command line reads the options' words
before it needs pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpsearch.data.dataset import Column, Dataset, Schema
    from hpsearch.data.loading import load
    from hpsearch.data.rows import read_rows

__all__ = ["Column", "Dataset", "Schema", "load", "read_rows"]

_HOMES = {
    "Column": "hpsearch.data.dataset",
    "Dataset": "hpsearch.data.dataset",
    "Schema": "hpsearch.data.dataset",
    "load": "hpsearch.data.loading",
    "read_rows": "hpsearch.data.rows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
