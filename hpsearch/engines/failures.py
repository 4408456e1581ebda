"""What goes wrong in a training, and the one line that says so in a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from hpsearch.errors import HpsearchError

_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")

_RAISED = re.compile(r"\w*(Error|Exception): ")


class TrainingFailedError(ArithmeticError):
    """A replica's numbers went wrong, and its trial fails; the text is the whole reason."""


def raise_if_out_of_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` where memory ran out: the unit is tried again, not its trial failed."""
    text = f"{type(error).__name__}: {error}"
    native = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED")  # TensorFlow's, and XLA's
    if isinstance(error, MemoryError) or any(word in text for word in native):
        raise MemoryError(text.splitlines()[0]) from None


def reason_of(error: BaseException) -> str:
    r"""An error's type and the line of its text that tells most, for a table's cell.

    Keras and TensorFlow put other lines before it: frames, or the name of a layer.

    Examples
    --------
    >>> reason_of(ValueError("in user code:\n  File x, line 1\n  ValueError: too narrow\n"))
    'ValueError: too narrow'
    """
    text = _TERMINAL_CODE.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if isinstance(error, HpsearchError | TrainingFailedError):
        return lines[0]
    return f"{type(error).__name__}: {_telling_line(lines)}"


def _telling_line(lines: Sequence[str]) -> str:
    pairs = list(pairwise(lines))
    for line, following in pairs:
        if "Exception encountered when calling" in line:
            return f"{following} (in {line.split()[-1].rstrip('.')})"  # such as Dense.call()
    if lines[0] == "in user code:":
        raised = (line.partition(": ")[2] for line in reversed(lines) if _RAISED.match(line))
        return next(raised, lines[0])
    if lines[0].startswith("Graph execution error"):
        before_node = (line for line, following in pairs if following.startswith("[[{{node"))
        return next(before_node, lines[0])
    return lines[0]
