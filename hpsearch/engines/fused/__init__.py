"""The fused engine: all replicas of one structure train as one program, on JAX.

Light on purpose: what its workers import is named here, so that it can begin before anything else.
"""

from typing import Final

NAME: Final = "fused"
KERAS_BACKEND: Final = "jax"

WARM_UP: Final = "hpsearch.engines.fused.engine:import_jax"
"""What a process runs whose copies the workers are."""
