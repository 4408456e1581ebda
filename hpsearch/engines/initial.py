"""Initial values of a network's variables under any seed, drawn by NumPy, and cheaply.

Keras draws initial weights with the backend's generator, and JAX compiles a program for every
new shape. Within ``numpy_randomness`` Keras's initializers draw from NumPy instead, from the seeds
that Keras gives them, with the same distributions. A network built there once shows which variable
came from which initializer and from which seed (``InitialValues``), so that the values under
another seed need no other network: only the initializers run again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals

Values = tuple[list[NDArray[Any]], list[NDArray[Any]]]
"""Trainable and non-trainable variables of a network, in its own order."""

_LARGEST_SEED = 10**9
"""What Keras draws the seeds of its initializers up to (``make_default_seed``)."""


@dataclass
class Draws:
    """What a network drew while it was built.

    Attributes
    ----------
    seed : what the drawing began with.
    seeds : the seeds that Keras drew for its initializers and generators, in order.
    initializers : by ``id``, each variable that was initialized and its initializer.
    """

    seed: int
    seeds: list[int] = field(default_factory=list)
    initializers: dict[int, tuple[Any, Any]] = field(default_factory=dict)


@contextmanager
def numpy_randomness(seed: int) -> Iterator[Draws]:
    """Seed Keras, draw eager random numbers with NumPy, and record what is drawn."""
    import keras

    draws = Draws(seed)
    keras.utils.set_random_seed(seed)
    with numpy_draws(), keras_internals.recorded_draws(draws.seeds, draws.initializers):
        yield draws


class InitialValues:
    """A network's initial values under any seed, without another build.

    Built by ``read``, from a network that was built within ``numpy_randomness``.
    """

    def __init__(
        self,
        trainable: Sequence[_Source],
        frozen: Sequence[_Source],
        n_seeds: int,
    ) -> None:
        self._trainable = trainable
        self._frozen = frozen
        self._n_seeds = n_seeds

    @classmethod
    def read(cls, model: Any, draws: Draws) -> InitialValues | None:
        """What the values come from, or None where that can't be told and proved.

        It can be told where every variable comes from one of Keras's own initializers; it is
        proved by drawing the network's own values once more.
        """
        trainable = _sources(model.trainable_variables, draws)
        frozen = _sources(model.non_trainable_variables, draws)
        n_seeds = len(draws.seeds)
        if trainable is None or frozen is None or default_seeds(draws.seed, n_seeds) != draws.seeds:
            return None
        found = cls(trainable, frozen, n_seeds)
        return found if _same(found.under(draws.seed), values_of(model)) else None

    def under(self, seed: int) -> Values:
        """The values that the network has when it is built under a seed."""
        seeds = default_seeds(seed, self._n_seeds)
        with numpy_draws():
            trainable = [source(seeds) for source in self._trainable]
            frozen = [source(seeds) for source in self._frozen]
        return trainable, frozen


def values_of(model: Any) -> Values:
    """The present values of a built network's variables."""
    trainable = [np.asarray(variable.value) for variable in model.trainable_variables]
    frozen = [np.asarray(variable.value) for variable in model.non_trainable_variables]
    return trainable, frozen


def default_seeds(seed: int, n: int) -> list[int]:
    """The first seeds that Keras draws after ``keras.utils.set_random_seed(seed)``."""
    generator = random.Random(seed)
    return [generator.randint(1, _LARGEST_SEED) for _ in range(n)]


_Source = Callable[[Sequence[int]], NDArray[Any]]
"""A variable's value, given the seeds that Keras draws."""


def _sources(variables: Sequence[Any], draws: Draws) -> list[_Source] | None:
    """The source of each variable; None where one can't be told."""
    found = [_source(variable, draws) for variable in variables]
    known = [source for source in found if source is not None]
    return known if len(known) == len(found) else None


def _source(variable: Any, draws: Draws) -> _Source | None:
    """Where a variable's initial value comes from; None where it can't be told."""
    _, initializer = draws.initializers.get(id(variable), (None, None))
    value = np.asarray(variable.value)
    if keras_internals.is_seed_state(initializer):
        position = _position(int(value[0]), draws)
        return None if position is None else _seed_state(position, value.dtype)
    if not keras_internals.is_initializer(initializer):
        return None
    if not hasattr(initializer, "seed"):
        given = getattr(initializer, "value", 0.0)  # of a Constant
        return (lambda seeds: value) if np.ndim(given) == 0 else None
    given_seed = keras_internals.seed_given_to(initializer)
    if given_seed is not None:
        return (lambda seeds: value) if isinstance(given_seed, int) else None
    position = _position(initializer.seed, draws)
    if position is None:
        return None
    return _drawn(initializer, position, value)


def _position(seed: Any, draws: Draws) -> int | None:
    """The one draw that gave a seed."""
    found = [i for i, drawn in enumerate(draws.seeds) if drawn == seed]
    return found[0] if len(found) == 1 else None


def _seed_state(position: int, dtype: Any) -> _Source:
    return lambda seeds: np.array([seeds[position], 0], dtype)


def _drawn(initializer: Any, position: int, like: NDArray[Any]) -> _Source:
    def draw(seeds: Sequence[int]) -> NDArray[Any]:
        with keras_internals.replaced(initializer, seed=seeds[position]):
            return np.asarray(initializer(like.shape, dtype=str(like.dtype)))

    return draw


def _same(one: Values, other: Values) -> bool:
    return all(
        np.array_equal(a, b)
        for mine, theirs in zip(one, other, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    )


@contextmanager
def numpy_draws() -> Iterator[None]:
    """Have the JAX backend draw eager random numbers with NumPy; other backends draw their own."""
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    with keras_internals.drawing_by(_where_seeded):
        yield


@contextmanager
def zeros_drawn() -> Iterator[None]:
    """Have the JAX backend draw zeros, for weights that a file gives; other backends draw."""
    import keras

    if keras.backend.backend() != "jax":
        yield
        return
    with keras_internals.drawing_by(_zeros):
        yield


def _zeros(name: str, theirs: Callable[..., Any]) -> Callable[..., Any]:
    def draw(shape: Any, *arguments: Any, dtype: Any = None, **options: Any) -> Any:
        if keras_internals.is_tracing():
            return theirs(shape, *arguments, dtype=dtype, **options)
        return np.zeros(tuple(shape), dtype or "float32")

    return draw


def _where_seeded(name: str, theirs: Callable[..., Any]) -> Callable[..., Any]:
    """Our draw where there is a seed to draw from; Keras's without one, and while it traces."""
    draws: dict[str, Callable[..., Any]] = {
        "uniform": _uniform,
        "normal": _normal,
        "truncated_normal": _truncated_normal,
    }
    ours = draws[name]

    def either(*arguments: Any, seed: Any = None, **options: Any) -> Any:
        draw = theirs if seed is None or keras_internals.is_tracing() else ours
        return draw(*arguments, seed=seed, **options)

    return either


def _uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> NDArray[Any]:
    return _generator(seed).uniform(minval, maxval, tuple(shape)).astype(dtype or "float32")


def _normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> NDArray[Any]:
    return _generator(seed).normal(mean, stddev, tuple(shape)).astype(dtype or "float32")


def _truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> NDArray[Any]:
    """Normal numbers within two standard deviations, by inversion."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr(-2.0), ndtr(2.0)
    quantiles = _generator(seed).uniform(low, high, tuple(shape))
    return np.asarray(mean + stddev * ndtri(quantiles)).astype(dtype or "float32")


def _generator(seed: Any) -> np.random.Generator:
    """A generator from what Keras passes: a whole number, or a seed generator with a state."""
    if isinstance(seed, int | np.integer):
        return np.random.default_rng(int(seed))
    return np.random.default_rng(np.asarray(seed.next()).astype(np.uint32))
