"""Versions of everything that a number may depend on."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

PACKAGES: Final = (
    *("hpsearch", "keras", "tensorflow", "jax", "jaxlib", "keras-tuner", "numpy", "pandas"),
)


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Python's version and each package's; ``"none"`` for what is not installed.

    Parameters
    ----------
    more : further packages, such as those of an oracle.

    Examples
    --------
    >>> sorted(versions())[:3]
    ['hpsearch', 'jax', 'jaxlib']
    """
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in (*PACKAGES, *more)},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
