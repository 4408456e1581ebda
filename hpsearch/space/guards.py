"""Guards around a space's own code: what it raises becomes one line, what it warns of is heard.

Which code runs belongs to ``hpsearch.space.source``.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Collection, Iterator

from hpsearch.errors import SpaceError
from hpsearch.system import one_process

_FOR_DEVELOPERS = (
    DeprecationWarning,
    PendingDeprecationWarning,
    FutureWarning,
    ImportWarning,
    ResourceWarning,
)


@contextlib.contextmanager
def blame(name: str, step: str, filenames: Collection[str]) -> Iterator[None]:
    """Turn what a space's own code raises into a SpaceError with the file and the line.

    Parameters
    ----------
    name : the space's name.
    step : what it was doing, for instance ``build``.
    filenames : the space's own files, whose line is told.
    """
    try:
        with one_process():
            yield
    except SpaceError:
        raise
    except (Exception, SystemExit) as error:
        raise SpaceError(
            f"The space '{name}' raised {type(error).__name__} in its {step}"
            f"{_line_of(error, filenames)}: {error}. Correct the space."
        ) from error


def _line_of(error: BaseException, filenames: Collection[str]) -> str:
    if isinstance(error, SyntaxError) and error.filename in filenames:
        return f" ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in filenames]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


@contextlib.contextmanager
def heard_warnings() -> Iterator[list[str]]:
    """Keep warnings off the terminal; the list has them, a line each, when the block has ended.

    Warnings for those who develop a library are left out.
    """
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield heard
        finally:
            said = (w for w in caught if not issubclass(w.category, _FOR_DEVELOPERS))
            heard += dict.fromkeys(" ".join(str(w.message).split()) for w in said)
