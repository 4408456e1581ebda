"""What a process imports and compiles that only predicts."""

import os
import subprocess
import sys

PREDICTING = """
import sys

from hpsearch.engines.backend import import_keras

import_keras(with_tuner=False)
spared = {"keras_tuner", "IPython", "requests", "sklearn", "matplotlib", "tensorflow"}
print("imported", sorted(spared & set(sys.modules)))
print("kernels", any("splash" in name for name in sys.modules))

import keras
import numpy as np
from jax import monitoring
from pathlib import Path

from hpsearch.export.bundle import load_keras_file, save_keras_file

drawn = ["glorot_uniform", "he_normal", "random_normal"]
layers = [keras.layers.Dense(7, kernel_initializer=name) for name in drawn]
model = keras.Sequential([keras.Input((5,)), *layers, keras.layers.BatchNormalization()])
rows = np.ones((3, 5), np.float32)
before = model.predict_on_batch(rows)
save_keras_file(model, Path("model.keras"))
compiled = []
event = "/jax/core/compile/backend_compile_duration"
monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **more: compiled.append(name) if name == event else None
)
loaded = load_keras_file(Path("model.keras"))
print("compiled", len(compiled))
print("same", np.array_equal(loaded.predict_on_batch(rows), before))

from keras.src.backend.jax import nn
print("there", nn.splash_attention_mask.CausalMask.__name__)
"""


def test_loading_a_model_imports_little_and_compiles_nothing(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PREDICTING],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "imported []",
        "kernels False",
        "compiled 0",
        "same True",
        "there CausalMask",
    ]
