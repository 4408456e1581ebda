"""Phases of a training: which of a network's layers learn, for how long, by which optimizer.

A space's ``phases(hp, problem)`` beside its ``build`` gives them. Owns what a phase is, which
epochs and steps it has, and putting a network into one. Training it belongs to the engines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from hpsearch import keras_internals
from hpsearch.errors import SpaceError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Phase:
    """A part of a network's training, in which some of its layers learn.

    Weights go on from one phase to the next; each begins with a fresh optimizer, whose schedule
    counts the phase's own steps.

    Attributes
    ----------
    share : of the epochs, above 0; those of all phases add up to 1. A phase has an epoch at least.
    trainable : names of the layers that learn, ``*`` standing for any characters. A name is that of
        a layer, wherever it is, or its path through the layers that hold it:
        ``base/block5_conv1``, ``base/block5*``. A layer that holds others takes all of them along.
        None leaves every layer as ``build`` made it.
    optimizer : a Keras optimizer, or its name; by default as ``compile`` has it.
    normalization : whether batch normalisation that was frozen in an earlier phase learns where
        ``trainable`` names it. By default it stays in inference mode, with the means and variances
        that it has: a few rows would give others.

    Raises
    ------
    SpaceError
        The share is not above 0, or ``trainable`` is no list of names.

    Examples
    --------
    >>> head = Phase(share=0.5, trainable=["head*"])
    >>> last_block = Phase(share=0.5, trainable=["head*", "base/block5*"], optimizer="sgd")
    >>> spans([head, last_block], epochs=25)
    [(0, 13), (13, 25)]
    """

    share: float
    trainable: Sequence[str] | None = None
    optimizer: Any = None
    normalization: bool = False

    def __post_init__(self) -> None:
        share, names = self.share, self.trainable
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        if not is_number or not 0 < share <= 1:
            raise SpaceError(
                f"The share of a phase is above 0 and at most 1; received {share!r}. Give the part "
                "of the epochs that it has."
            )
        if names is None:
            return
        if isinstance(names, str) or not all(isinstance(name, str) for name in names) or not names:
            raise SpaceError(
                f"`trainable` of a phase is a list of layers' names; received {names!r}. Give "
                'names, such as ["head*"], or leave it out.'
            )
        object.__setattr__(self, "trainable", tuple(names))


def checked(name: str, given: Any) -> tuple[Phase, ...]:
    """The phases that a space gives.

    Parameters
    ----------
    name : the space's, for the message.

    Raises
    ------
    SpaceError
        They are no phases, or their shares don't add up to 1.
    """
    is_listed = isinstance(given, list | tuple) and given
    if not is_listed or not all(isinstance(phase, Phase) for phase in given):
        shown = [type(one).__name__ for one in given] if is_listed else type(given).__name__
        raise SpaceError(
            f"phases of '{name}' must return a list of hpsearch.Phase, one at least; it returned "
            f"{shown}. Return such a list."
        )
    total = math.fsum(phase.share for phase in given)
    if abs(total - 1.0) > 1e-6:
        raise SpaceError(
            f"The shares of the phases of '{name}' must add up to 1; they add up to {total:.6g}. "
            "Change them."
        )
    return tuple(given)


def spans(phases: Sequence[Phase], epochs: int) -> list[tuple[int, int]]:
    """The epochs of each phase: those after the first number, up to the second.

    Raises
    ------
    SpaceError
        There are fewer epochs than phases.
    """
    n = len(phases)
    if epochs < n:
        raise SpaceError(
            f"Each of {n} phases needs an epoch; there are {epochs}. Ask for more epochs."
        )
    ends = [round(epochs * part + 1e-9) for part in accumulate(phase.share for phase in phases)]
    kept: list[int] = []
    for number, end in enumerate(ends):
        kept.append(min(max(end, (kept[-1] if kept else 0) + 1), epochs - (n - 1 - number)))
    kept[-1] = epochs
    return list(pairwise([0, *kept]))


def steps_of(
    phase_spans: Sequence[tuple[int, int]], n_steps: int, steps_per_epoch: int
) -> list[int]:
    """How many optimizer steps on all rows each phase has, of those that the steps come to.

    Parameters
    ----------
    n_steps : of them all; steps_per_epoch : of an epoch of all rows.

    Examples
    --------
    >>> steps_of([(0, 2), (2, 10)], n_steps=21, steps_per_epoch=7)
    [14, 7]
    >>> steps_of([(0, 2), (2, 10)], n_steps=14, steps_per_epoch=7)
    [14]
    """
    ends = [min(end * steps_per_epoch, n_steps) for _, end in phase_spans[:-1]]
    return [end - begin for begin, end in pairwise([0, *ends, n_steps]) if begin < end]


# -- a network in a phase


def enter(name: str, model: keras.Model, phases: Sequence[Phase], number: int) -> None:
    """Put a compiled network into a phase: which layers learn, and the optimizer.

    Parameters
    ----------
    name : the space's, for messages; number : of the phase, from 0.

    Raises
    ------
    SpaceError
        A name of a phase up to this one fits no layer, or nothing learns.
    """
    phase = phases[number]
    if phase.trainable is not None:
        held = set() if phase.normalization else _frozen_before(name, model, phases[:number])
        chosen = chosen_layers(name, model, phase, number) - held
        _let_learn(model, chosen)
    if not model.trainable_variables:
        raise SpaceError(
            f"Phase {number + 1} of '{name}' lets nothing learn. Name a layer with weights in "
            "its `trainable`."
        )
    if phase.optimizer is not None or number:
        model.optimizer = _fresh(model.optimizer, phase.optimizer)


def chosen_layers(name: str, model: keras.Model, phase: Phase, number: int) -> set[int]:
    """``id`` of each layer that a phase names, and of those within.

    Raises
    ------
    SpaceError
        A name fits no layer.
    """
    assert phase.trainable is not None
    placed = list(_placed(model))
    chosen: set[int] = set()
    for wanted in phase.trainable:
        found = [layer for path, layer in placed if _fits(wanted, path)]
        if not found:
            names = [path for path, layer in placed if layer.variables]
            shown = ", ".join(names[:12]) + ("..." if len(names) > 12 else "")
            raise SpaceError(
                f"Phase {number + 1} of '{name}' names {wanted!r}, and the network has no such "
                f"layer; it has {shown}. Name layers, or use * for any characters."
            )
        for layer in found:
            chosen |= {id(part) for part in keras_internals.layers_of(layer, include_self=True)}
    return chosen


def _fits(wanted: str, path: str) -> bool:
    return fnmatchcase(path, wanted) or fnmatchcase(path.rpartition("/")[2], wanted)


def _placed(layer: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each layer within another one, with its path."""
    for part in keras_internals.parts_of(layer):
        path = f"{above}{part.name}"
        yield path, part
        yield from _placed(part, f"{path}/")


def _frozen_before(name: str, model: keras.Model, earlier: Sequence[Phase]) -> set[int]:
    """Batch normalisation that an earlier phase froze."""
    import keras

    held: set[int] = set()
    normal = [
        layer
        for layer in keras_internals.layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for number, phase in enumerate(earlier):
        if phase.trainable is None:
            held |= {id(layer) for layer in normal if not layer.trainable}
            continue
        learning = chosen_layers(name, model, phase, number)
        held |= {id(layer) for layer in normal if id(layer) not in learning}
    return held


def _let_learn(model: keras.Model, chosen: set[int]) -> None:
    """Have these layers learn and no other; one that holds such a layer passes it on."""
    for layer in keras_internals.layers_of(model, include_self=True):
        # On TensorFlow an attribute that has the value already is not set, nor what follows from it
        layer.trainable = False
        layer.trainable = True
    for layer in keras_internals.layers_of(model):
        within = keras_internals.layers_of(layer, include_self=True)
        if not any(id(part) in chosen for part in within):
            layer.trainable = False
        elif id(layer) not in chosen:
            of_parts = {id(v) for part in within if part is not layer for v in part.variables}
            for variable in layer.trainable_variables:
                if id(variable) not in of_parts:
                    variable.trainable = False


def _fresh(compiled: Any, given: Any) -> Any:
    """The optimizer that a phase begins with: the given one, else another like the compiled one."""
    import keras

    if given is None:
        config = compiled.get_config()
        return type(compiled).from_config(config)
    optimizer = keras.optimizers.get(given)
    wraps = isinstance(compiled, keras.optimizers.LossScaleOptimizer)
    if wraps and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
