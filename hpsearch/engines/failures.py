"""What goes wrong in a training, and the one line that says so in a table."""

from __future__ import annotations

from hpsearch.errors import HpsearchError
from hpsearch.space.guards import lines_of, text_of, whole_text_of


class TrainingFailedError(ArithmeticError):
    """A replica's numbers went wrong, and its trial fails; the text is the whole reason."""


class UntraceableError(HpsearchError):
    """The engine that is chosen cannot train a network; the one that it falls back on can."""


def raise_if_out_of_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` where memory ran out: the unit is tried again, not its trial failed."""
    native = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED")  # TensorFlow's, and XLA's
    said = f"{type(error).__name__}: {whole_text_of(error)}"
    if isinstance(error, MemoryError) or any(word in said for word in native):
        raise MemoryError(said.splitlines()[0]) from None


def reason_of(error: BaseException) -> str:
    r"""An error's type and the line of its text that tells most, for a table's cell.

    Examples
    --------
    >>> reason_of(ValueError("in user code:\n  File x, line 1\n  ValueError: too narrow\n"))
    'ValueError: too narrow'
    """
    if isinstance(error, HpsearchError | TrainingFailedError):
        return lines_of(error)[0]
    return f"{type(error).__name__}: {text_of(error)}"
