"""Formats that a run is exported to, by name: each module here that does not begin with ``_``.

Such a module, ``base`` aside, defines ``FORMAT``, an ``hpsearch.export.formats.base.Format``. Its
name is the format's, with ``-`` for ``_``. Adding a format is adding one file; libraries are
imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from hpsearch.errors import OptionError

if TYPE_CHECKING:
    from hpsearch.export.formats.base import Format


def format_names() -> tuple[str, ...]:
    """Names of the formats, in alphabetical order, whether what they need is installed or not."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    found = (name for name in names if name != "base" and not name.startswith("_"))
    return tuple(sorted(name.replace("_", "-") for name in found))


def format_of(name: str) -> Format:
    """What is known of a format, which can be written here.

    Raises
    ------
    OptionError
        There is no such format, or what it needs is not installed.
    """
    if not isinstance(name, str) or name not in format_names():
        raise OptionError(
            f"There is no format called {name!r}. Use one of {', '.join(format_names())}."
        )
    found: Format = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").FORMAT
    missing = [package for package in found.packages if find_spec(package) is None]
    if missing:
        raise OptionError(
            f"The format '{name}' needs {' and '.join(missing)}, not installed here. "
            f"Run pip install 'hpsearch[{found.extra}]', or choose another --to."
        )
    return found
