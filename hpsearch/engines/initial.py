"""Initial weights drawn by NumPy: the same for a replica whatever shares its program, and cheap.

Keras draws initial weights with the backend's generator, and JAX compiles a program for every
new shape. Within ``numpy_randomness`` Keras's initializers draw from NumPy instead, from the seeds
that Keras gives them, with the same distributions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def numpy_randomness(seed: int) -> Iterator[None]:
    """Seed Keras and have the JAX backend draw eager random numbers with NumPy."""
    import keras
    from keras.src.backend.jax import random as backend_random

    ours = {"uniform": _uniform, "normal": _normal, "truncated_normal": _truncated_normal}
    theirs = {name: getattr(backend_random, name) for name in ours}
    keras.utils.set_random_seed(seed)
    try:
        for name, function in ours.items():
            setattr(backend_random, name, function)
        yield
    finally:
        for name, function in theirs.items():
            setattr(backend_random, name, function)


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
