"""Learning rates of an optimizer and of those that it holds: which of them are schedules.

A schedule counts optimizer steps, and folds may take unequal numbers of these in an epoch. Which
schedule a fold takes belongs to ``configuration``, how it trains by it to each engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpsearch import keras_internals


def optimizers_in(optimizer: Any) -> Iterator[Any]:
    """An optimizer, and those that it wraps or shares the weights out to, each once."""
    yield optimizer
    wrapped = [getattr(optimizer, "inner_optimizer", None), *getattr(optimizer, "optimizers", ())]
    for inner in wrapped:
        if inner is not None:
            yield from optimizers_in(inner)


def rates_in(optimizer: Any) -> list[Any]:
    """The schedule of each of ``optimizers_in``, or the variable that holds its rate, or None."""
    return [keras_internals.rate_of(each) for each in optimizers_in(optimizer)]


def is_schedule(rate: Any) -> bool:
    """Whether a learning rate follows from the number of the step."""
    import keras

    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
