"""Which of two labels is the positive one: the second in the order, or the one that is named.

The positive label is the one whose probability a network gives, that precision, recall and F1 are
about, and that is predicted from a threshold on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpsearch.data.names import listed
from hpsearch.data.understood import quoted
from hpsearch.errors import OptionError
from hpsearch.task import Label, Target

if TYPE_CHECKING:
    from hpsearch.data.target import TargetColumn


def told(target: Target) -> str:
    """Which label is the positive one, a sentence."""
    other, positive = target.labels
    return f"The positive class of {target.names[0]!r} is {positive!r}, the other {other!r}."


def with_positive(found: TargetColumn, positive: Any) -> TargetColumn:
    """A target of two labels whose positive one is the label that is named.

    Raises
    ------
    OptionError
        The target has not two labels, or none of them is that one.
    """
    target = found.target
    if target.kind != "binary":
        raise OptionError(
            f"--positive names one of two labels; the target {listed(target.names)} is "
            f"{target.kind}. Leave it out."
        )
    other, second = target.labels
    if _is(second, positive):
        return found
    if not _is(other, positive):
        raise OptionError(
            f"--positive is a label of the target {target.names[0]!r}, {quoted(other)} or "
            f"{quoted(second)}; received {positive!r}."
        )
    swapped = replace(target, labels=(second, other))
    notes = tuple(told(swapped) if note == told(target) else note for note in found.notes)
    return replace(found, target=swapped, y=1 - found.y, notes=notes)


def _is(label: Label, named: Any) -> bool:
    """Whether a label is meant, given as it is or as text."""
    return label == named or str(label) == str(named)
