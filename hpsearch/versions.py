"""Versions of everything that a number may depend on."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it takes longer than this whole file, which comes first of all
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

VERSION: Final = "0.1.0"
"""Of hpsearch."""

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
    import platform  # here, since `import hpsearch` reads the version above

    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in (*PACKAGES, *more)},
    }


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
