"""What is known of a format before anything is written in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.results.run import Run


@dataclass(frozen=True)
class Format:
    """A format that a run is exported to.

    Attributes
    ----------
    what : what is written, for messages: ``"an ONNX model"``.
    ending : of the file's or folder's name, with its first character: ``".onnx"``.
    write : writes a run to a path at which nothing is, in a folder that is there, and returns what
        there is to say about it, a sentence each. It raises an ``InputError`` where the format
        can't hold the run; what it left at the path is then removed.
    packages : modules that must be installed, and the ``extra`` of hpsearch that installs them.
    inside : for a format that is a folder a file that every such folder has; None for a file.
    """

    what: str
    ending: str
    write: Callable[[Run, Path], Sequence[str]]
    packages: tuple[str, ...] = ()
    extra: str = ""
    inside: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a file."""
        return self.inside is not None
