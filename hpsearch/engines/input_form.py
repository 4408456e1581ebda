"""What a network's inputs take: the flat vector of a row, or inputs by the names that they bear.

Reads a built ``keras.Model`` of any backend. What stands behind a name belongs to
``hpsearch.preprocessing.inputs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.data.names import listed
from hpsearch.errors import SpaceError
from hpsearch.preprocessing import Encoded, Inputs, Layout, Statistics
from hpsearch.preprocessing.inputs import input_rows
from hpsearch.task import Input, Problem


@dataclass(frozen=True)
class InputForm:
    """How a network takes preprocessed rows.

    Attributes
    ----------
    names : of its inputs, in the order of ``model.inputs``; empty where it takes the flat vector.
    keys : where it takes a dictionary, the keys in that order; else empty.
    """

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Any, input_shape: tuple[int, ...], inputs: Mapping[str, Input]) -> InputForm:
        """Read the form off a built model.

        Parameters
        ----------
        input_shape : of the flat vector, or of the one array.
        inputs : by the names that are known.

        Raises
        ------
        SpaceError
            If an input bears no name that is known, or cannot take what the name stands for.
        """
        tensors = list(model.inputs)
        keys = keras_internals.input_keys(model)
        names = _names(tensors, keys, input_shape, inputs)
        only = getattr(inputs, "only", None)
        if names is None and only is not None and _fits(tensors[0], input_shape):
            names = (only,)
        if names is None:
            _check_words(inputs)
            _check_flat(tensors[0], input_shape, inputs)
            return cls((), keys)
        for name, tensor in zip(names, tensors, strict=True):
            _check_named(name, tensor, inputs[name])
        return cls(names, keys)

    @classmethod
    def on(cls, model: Any, layout: Layout) -> InputForm:
        """The form of a network that reads rows of a layout."""
        return cls.of(model, layout.input_shape, Inputs(layout))

    def given(self, arrays: Sequence[Any]) -> Any:
        """An array for each input, as the network is called with them."""
        if self.keys:
            return dict(zip(self.keys, arrays, strict=True))
        return arrays[0] if len(arrays) == 1 else list(arrays)

    def rows(self, encoded: Encoded, layout: Layout, statistics: Statistics) -> Any:
        """Encoded rows as the network is called with them, in NumPy."""
        return self.given(input_rows(encoded, layout, statistics, self.names))

    def described(self, problem: Problem) -> tuple[Input, ...]:
        """The shape and dtype of each array that the network is called with."""
        if not self.names:
            return (Input(problem.input_shape),)
        return tuple(problem.inputs[name] for name in self.names)


def _names(
    tensors: Sequence[Any],
    keys: Sequence[str],
    input_shape: tuple[int, ...],
    inputs: Mapping[str, Input],
) -> tuple[str, ...] | None:
    """The known name of each input; None where a single one takes the flat vector.

    A single input whose name is known takes the flat vector all the same where only that fits.
    """
    found = []
    for number, tensor in enumerate(tensors):
        candidates = (tensor.name, keys[number] if keys else None)
        found.append(next((n for n in candidates if n is not None and n in inputs), None))
    if len(tensors) == 1:
        [name], [tensor] = found, tensors
        fits_flat = _fits(tensor, input_shape)
        if name is None or (fits_flat and not _fits(tensor, inputs[name].shape)):
            return None
        return (name,)
    unknown = [tensor.name for tensor, name in zip(tensors, found, strict=True) if name is None]
    if unknown:
        raise SpaceError(
            f"a network with several inputs gets each by its name; this one's "
            f"{listed([repr(name) for name in unknown], most=5)} is none that is known. "
            f"{_known(inputs)}"
        )
    twice = {name for name in found if found.count(name) > 1}
    if twice:
        raise SpaceError(
            f"each input of a network needs a name of its own; {twice.pop()!r} is two."
        )
    return tuple(name for name in found if name is not None)


def _check_words(inputs: Mapping[str, Input]) -> None:
    tokens = getattr(inputs, "tokens", ())
    if tokens:
        raise SpaceError(
            f"words in their order reach a network at an input of their name, and this one takes "
            f"the flat vector, which has none of {listed([repr(n) for n in tokens], most=5)}. Name "
            f"its inputs, such as {tokens[0]!r} and 'numbers', take the space 'text', or read the "
            "text without --as tokens."
        )


def _check_flat(tensor: Any, input_shape: tuple[int, ...], inputs: Mapping[str, Input]) -> None:
    if not _fits(tensor, input_shape):
        raise SpaceError(
            f"the preprocessed rows have the shape {input_shape}; the network's input takes "
            f"{tuple(tensor.shape[1:])}. Use problem.input_shape in the space's build function, or "
            f"name its inputs. {_known(inputs)}"
        )


def _check_named(name: str, tensor: Any, found: Input) -> None:
    if not _fits(tensor, found.shape):
        raise SpaceError(
            f"the input {name!r} has rows of the shape {found.shape}; the network's takes "
            f"{tuple(tensor.shape[1:])}. Use problem.inputs[{name!r}].shape in the space's build "
            "function."
        )


def _fits(tensor: Any, shape: tuple[int, ...]) -> bool:
    expected = tuple(tensor.shape[1:])
    return len(expected) == len(shape) and all(
        wanted in (None, given) for wanted, given in zip(expected, shape, strict=True)
    )


def _known(inputs: Iterable[str]) -> str:
    names = list(map(repr, inputs))
    return f"Names: {listed(names, most=12)}." if names else ""


def made_up(
    found: Input, generator: np.random.Generator, n_rows: int
) -> NDArray[np.float32] | NDArray[np.int32]:
    """Rows that an input may hold: codes that it has, or standardised quantities."""
    if found.n_codes:
        return generator.integers(found.n_codes, size=(n_rows, *found.shape), dtype=np.int32)
    return generator.normal(size=(n_rows, *found.shape)).astype(np.float32)
