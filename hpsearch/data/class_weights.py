"""Weights of classes, as Python and the command line give them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from hpsearch.errors import OptionError

ClassWeight = Literal["balanced"] | Mapping[str, float]
"""Weights of some labels, the others weigh 1; or such that every class weighs the same."""


def class_weight(name: str, value: Any) -> ClassWeight:
    """The rule of the option: ``balanced``, or labels with positive weights.

    Examples
    --------
    >>> class_weight("class_weight", {"bad": 5, 0: 1.5})
    {'bad': 5.0, '0': 1.5}
    """
    if value == "balanced":
        return "balanced"
    rule = f"`{name}` is 'balanced', or positive weights by label, such as bad=5,good=1"
    if not isinstance(value, Mapping) or not value:
        raise OptionError(f"{rule}; received {value!r}.")
    weights: dict[str, float] = {}
    for label, weight in value.items():
        is_number = isinstance(weight, int | float | np.number) and not isinstance(weight, bool)
        if not (is_number and math.isfinite(weight) and weight > 0):
            raise OptionError(
                f"{rule}; received {weight!r} for {str(label)!r}. To leave rows out of the "
                "training, leave them out of the table."
            )
        weights[str(label)] = float(weight)
    return weights


def read_class_weight(given: str | None) -> Any:
    """The option as a command line has it: ``balanced`` or ``LABEL=W,LABEL=W``.

    Examples
    --------
    >>> read_class_weight("bad=5,good=1")
    {'bad': 5.0, 'good': 1.0}
    """
    if given is None or given == "balanced":
        return given
    weights: dict[str, Any] = {}
    for part in given.split(","):
        label, _, weight = (text.strip() for text in part.rpartition("="))
        try:
            weights[label] = float(weight)
        except ValueError:
            raise OptionError(
                "--class-weight is balanced, or LABEL=W,LABEL=W with numbers for W; received "
                f"{given!r}. Write for instance --class-weight bad=5,good=1."
            ) from None
        if not label:
            raise OptionError(
                "--class-weight is balanced, or LABEL=W,LABEL=W; received no label before "
                f"={weight}. Write for instance --class-weight bad=5,good=1."
            )
    return weights


def write_class_weight(asked: ClassWeight) -> Iterator[str]:
    """The option as words of a command line."""
    yield "--class-weight"
    if isinstance(asked, str):
        yield asked
    else:
        yield ",".join(f"{label}={weight!r}" for label, weight in asked.items())
