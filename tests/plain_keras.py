"""What Keras alone, in a fresh process without hpsearch, says of an exported model."""

import subprocess
import sys

import numpy as np

_SCRIPT = """
import sys
import keras, numpy as np

folder = sys.argv[1]
with np.load(f"{folder}/check.npz") as check:
    inputs = {name: check[name] for name in check.files}
expected = inputs.pop("outputs")
model = keras.models.load_model(f"{folder}/model.keras", safe_mode=True)
assert "hpsearch" not in sys.modules
print(np.array_equal(model.predict_on_batch(inputs), expected))
"""


def loads_the_same(folder, inputs, outputs):
    """Have it load ``model.keras`` of a folder; what it printed, and its errors.

    It prints True where it predicts the very outputs (n, ...) for the named inputs.
    """
    np.savez(folder / "check.npz", outputs=outputs, **inputs)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, folder],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr
