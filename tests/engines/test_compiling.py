"""Programs that one worker compiles and the others read."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("jax")
PROGRAM = """
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from hpsearch.engines.fused.compiling import compiled

cache, kept = sys.argv[1:]
for name, value in {
    "jax_compilation_cache_dir": cache,
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}.items():
    jax.config.update(name, value)


def train(x, epochs):
    def step(x, epoch):
        return jnp.tanh(x @ x.T) + epoch, x.sum()

    return jax.lax.scan(step, x, epochs)


arguments = jnp.ones((9, 9)), jnp.arange(3.0)
lowered = []


def lower():
    lowered.append(True)
    return jax.jit(train).lower(*arguments)


program = compiled(lower, "low", Path(kept))
print(len(lowered), float(program(*arguments)[1].sum()))
"""


def run(cache, kept):
    """How often a new process traced the program, and what it gave."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, str(cache), str(kept)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_traced, total = done.stdout.split()
    return int(n_traced), float(total)


def test_a_worker_runs_what_another_one_compiled_or_found_in_the_cache_of_an_earlier_run(tmp_path):
    cache = tmp_path / "cache"
    traced, total = run(cache, tmp_path / "first run" / "program")
    assert traced == 1
    assert run(cache, tmp_path / "first run" / "program") == (0, total)
    for _ in range(2):  # all workers of a later run find it in JAX's cache
        assert run(cache, tmp_path / "second run" / "program") == (1, total)


BUILDING = """
import os

os.environ["KERAS_BACKEND"] = "jax"
import keras
from jax import monitoring

from hpsearch import keras_internals
from hpsearch.engines.fused.packing import Held
from hpsearch.engines.initial import numpy_randomness, values_of


def built(units):
    layers = [
        keras.Input((5,)),
        keras.layers.Dense(units, bias_initializer=keras.initializers.Constant(0.5)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(units, kernel_initializer=keras.initializers.HeUniform()),
        keras.layers.Dense(1),
    ]
    with numpy_randomness(0):
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.Adagrad(), "mse")
    return values_of(model), Held.of(model).slots()


built(7)  # what has one shape in every network is compiled
compiled = []
monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **facts: compiled.append(event) if "backend_compile" in event else None
)
(trainable, frozen), slots = built(11)
print(len(compiled))
print([float(values.flat[0]) for values in (trainable[1], trainable[2], trainable[3])])
print([float(values.sum()) for values in frozen[:2]], float(slots[-1].flat[0]))
"""


def test_a_network_of_new_shapes_is_built_without_compiling_anything():
    done = subprocess.run(
        [sys.executable, "-c", BUILDING], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n_compiled, values, others = done.stdout.splitlines()
    assert n_compiled == "0"
    assert values == "[0.5, 1.0, 0.0]"  # a bias, batch normalisation's scale and its offset
    assert others.startswith("[0.0, 11.0] 0.1")
