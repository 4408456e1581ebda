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
