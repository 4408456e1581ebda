"""Keras in a process of our own: imported quietly, and without the backends that aren't used."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_keras() -> None:
    """Import Keras with the backend that ``KERAS_BACKEND`` names, and nothing that it can spare.

    On another backend than TensorFlow, Keras imports TensorFlow for the first object it saves or
    describes, only to ask whether that is one of TensorFlow's: four seconds and 500 MB.
    """
    with silenced_stderr():
        import keras

        if keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules:
            from keras.src.utils import module_utils

            module_utils.tensorflow._available = False


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep native libraries from writing to the terminal: TensorFlow greets on import."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
