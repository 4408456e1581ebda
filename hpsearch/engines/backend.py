"""Keras in a process of our own: imported quietly, and without the backends that aren't used."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hpsearch import keras_internals
from hpsearch.keras_settings import DEFAULT_SETTINGS, check_keras_json
from hpsearch.system import Display

CACHE_BYTES = 2**29
"""Compiled programs kept for later runs, the least recently used removed first."""


QUICK_TO_COMPILE = {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": False}
"""XLA's least effort on a processor."""


def import_keras(*, with_tuner: bool = True) -> None:
    """Import Keras with the backend that ``KERAS_BACKEND`` names, and nothing that it can spare.

    On another backend than TensorFlow, Keras imports TensorFlow for the first object it saves or
    describes, only to ask whether that is one of TensorFlow's: four seconds and 500 MB. It imports
    matplotlib, where that is installed, for its drawing functions, and scikit-learn for its
    wrappers, as keras-tuner does for a tuner: half a second each. So does TensorFlow JAX, for a
    converter; and on JAX Keras what it shows and reports in notebooks with.

    Its settings are the default ones, whatever ``keras.json`` says.

    Parameters
    ----------
    with_tuner : whether keras-tuner is imported as well, by which spaces are declared.
    """
    check_keras_json()
    spared = {"jax": ("IPython", "requests"), "tensorflow": ("jax",)}
    with silenced_stderr(), _unavailable("matplotlib", "sklearn"):
        with (
            _unavailable(*spared.get(os.environ.get("KERAS_BACKEND", ""), ())),
            keras_internals.attention_of_accelerators_when_it_is_used(),
        ):
            import keras
        if with_tuner:
            import keras_tuner  # noqa: F401
        if keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules:
            keras_internals.do_without_tensorflow()
    DEFAULT_SETTINGS.apply()


_spared: set[str] = set()


def spare(*packages: str) -> None:
    """Have Keras and keras-tuner do without packages in this process: it is the program's own."""
    _spared.update(packages)


def import_keras_tuner() -> None:
    """Import keras-tuner, and with it Keras, where they only plan."""
    with silenced_stderr(), _unavailable(*_spared), keras_internals.jax_when_it_is_used():
        import keras_tuner  # noqa: F401


def import_keras_quietly() -> None:
    """Import Keras as the user's process has it, without what TensorFlow says on being imported.

    That is written before ``TF_CPP_MIN_LOG_LEVEL`` is looked at, and past ``sys.stderr``.
    """
    with silenced_stderr():
        import keras  # noqa: F401


def keep_compiled_programs(*, least_seconds: float = 0.2) -> None:
    """Have JAX keep what it compiles in the user's cache folder, for the next run.

    The folder's name holds the versions that shape a program, beside JAX's own key, which covers
    the program, its options and the processor. ``JAX_COMPILATION_CACHE_DIR`` names another one.
    Where it can't be written, programs are compiled in each run, and nothing else is different.

    Parameters
    ----------
    least_seconds : what a program takes to compile that is kept.
    """
    import jax
    import keras

    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    folder = _folder_of_programs()
    if not _can_be_written(folder):
        return
    name = f"xla-jax{jax.__version__}-keras{keras.__version__}"
    options = {
        "jax_compilation_cache_dir": str(folder / name),
        "jax_compilation_cache_max_size": CACHE_BYTES,
        "jax_persistent_cache_min_compile_time_secs": least_seconds,
    }
    for option, value in options.items():
        if option.upper() not in os.environ:
            jax.config.update(option, value)  # type: ignore[no-untyped-call]


def unkept_programs() -> str | None:
    """A sentence where what JAX compiles can't be kept for the next run; None where it can."""
    folder = _folder_of_programs()
    if _can_be_written(folder):
        return None
    return (
        f"Compiled programs are not kept, since {folder} can't be written: each run compiles them "
        "anew. JAX_COMPILATION_CACHE_DIR names another folder."
    )


def _folder_of_programs() -> Path:
    import platformdirs

    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(named) if named else platformdirs.user_cache_path("hpsearch")


def _can_be_written(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.W_OK | os.X_OK)
    return False


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """On JAX the function as one program, which compiles faster than its operations one by one.

    For what runs a few times: on a processor, XLA spends no effort on its speed.
    """
    import keras

    if keras.backend.backend() != "jax":
        return function
    import jax

    if jax.default_backend() != "cpu":
        return jax.jit(function)
    return jax.jit(function, compiler_options=QUICK_TO_COMPILE)


@contextmanager
def _unavailable(*names: str) -> Iterator[None]:
    """Have imports of packages fail as if they were not installed, unless they are loaded."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Keep native libraries from writing to the terminal: TensorFlow greets on import."""
    if sys.stderr is not None:
        Display(sys.stderr).flush()
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
