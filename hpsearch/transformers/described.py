"""What a Python object of scikit-learn's kind is, as text that stands for it in a fingerprint.

Two objects of the same types and parameters have the same text, in whichever process.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_DEEPEST: Final = 40


def described(value: Any) -> str:
    """The type and the parameters of an object, a line each, nested ones indented.

    Examples
    --------
    >>> from sklearn.preprocessing import Binarizer
    >>> print(described([Binarizer(threshold=2.0)]))
    list of 1
      0: sklearn.preprocessing._data.Binarizer
        copy: True
        threshold: 2.0
    """
    return "\n".join(_lines("", value, 0))


def _lines(label: str, value: Any, depth: int) -> Iterator[str]:
    head, parts = _of(value)
    pad = "  " * depth
    yield f"{pad}{label}{head}"
    if depth < _DEEPEST:
        for name, part in parts:
            yield from _lines(f"{name}: ", part, depth + 1)


def _of(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    """What stands for a value, and its parts by name."""
    if hasattr(value, "get_params") and not inspect.isclass(value):
        return _named(type(value)), sorted(value.get_params(deep=False).items())
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)}", [
            (str(at), part) for at, part in enumerate(value)
        ]
    if isinstance(value, Mapping):
        return f"{type(value).__name__} of {len(value)}", sorted(
            ((repr(key), part) for key, part in value.items()), key=lambda item: item[0]
        )
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} {sorted(map(repr, value))}", []
    if isinstance(value, functools.partial):
        return "partial", [
            ("function", value.func),
            ("args", value.args),
            ("keywords", value.keywords),
        ]
    if inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, np.ufunc):
        return _named(value), []
    if hasattr(value, "__array__") or hasattr(value, "tocsr"):
        return f"{type(value).__name__} {_digest(value)}", []
    return _ADDRESS.sub("", repr(value)), []


def _named(value: Any) -> str:
    module = getattr(value, "__module__", None) or type(value).__module__
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", type(value).__name__)
    return f"{module}.{name}"


def _digest(value: Any) -> str:
    return hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()
