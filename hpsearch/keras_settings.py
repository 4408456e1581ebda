"""Keras's settings of a process: the default ones, but for what a space's own code sets.

``~/.keras/keras.json`` belongs to a person and a machine. It must not change what a run computes,
so it is set aside wherever networks are built, trained or loaded. Which backend a process has is
decided by its environment, before Keras is imported.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from hpsearch import keras_internals
from hpsearch.errors import OptionError


@dataclass(frozen=True)
class KerasSettings:
    """What Keras computes with, where nobody says otherwise.

    Attributes
    ----------
    floatx : dtype of numbers; epsilon : the small number in divisions and logarithms.
    image_data_format : where an image's channels are.
    dtype_policy : name of the policy that layers have; None for whatever ``floatx`` is by then.
    """

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    dtype_policy: str | None = None

    @classmethod
    def present(cls) -> KerasSettings:
        """Those of this process, which has imported Keras."""
        from keras import config

        return cls(
            config.floatx(),
            config.epsilon(),
            config.image_data_format(),
            keras_internals.global_policy(),
        )

    @classmethod
    def by_code(cls) -> KerasSettings:
        """What this process's own code has set; what ``keras.json`` says is left aside."""
        if "keras" not in sys.modules:
            return DEFAULT_SETTINGS
        read, present = {**asdict(DEFAULT_SETTINGS), **_keras_json()}, cls.present()
        if present.dtype_policy == present.floatx:  # as Keras notes it when it is asked
            present = replace(present, dtype_policy=None)
        changed = {
            field.name: getattr(present, field.name)
            for field in fields(cls)
            if getattr(present, field.name) != read[field.name]
        }
        return replace(DEFAULT_SETTINGS, **changed)

    def apply(self) -> None:
        """Give them to this process."""
        from keras import config

        config.set_floatx(self.floatx)
        config.set_epsilon(self.epsilon)
        config.set_image_data_format(self.image_data_format)
        keras_internals.set_global_policy(self.dtype_policy)

    @property
    def words(self) -> str:
        """What is not as Keras has it by default, such as ``floatx float64``; empty for nothing."""
        changed = (
            f"{field.name} {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return ", ".join(changed)


DEFAULT_SETTINGS = KerasSettings()


@contextmanager
def keras_settings(settings: KerasSettings = DEFAULT_SETTINGS) -> Iterator[None]:
    """Have Keras compute with some settings until the block ends; it must be imported."""
    before = KerasSettings.present()
    settings.apply()
    try:
        yield
    finally:
        before.apply()


def check_keras_json() -> None:
    """Refuse a ``keras.json`` with which Keras cannot be imported.

    Raises
    ------
    OptionError
        If it holds a value that Keras doesn't know.
    """
    allowed = {
        "floatx": lambda value: value in ("float16", "float32", "float64"),
        "epsilon": lambda value: isinstance(value, float),
        "image_data_format": lambda value: value in ("channels_last", "channels_first"),
    }
    for name, value in _keras_json().items():
        if not allowed[name](value):
            raise OptionError(
                f"Keras cannot be imported where {str(_path_of_keras_json())!r} says {name} "
                f"{value!r}. Correct that file, or remove it."
            )


def _keras_json() -> dict[str, Any]:
    """What Keras reads of the user's file when it is imported."""
    try:
        read = json.loads(_path_of_keras_json().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = {field.name for field in fields(KerasSettings)} - {"dtype_policy"}
    return {name: read[name] for name in names & read.keys()} if isinstance(read, dict) else {}


def _path_of_keras_json() -> Path:
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"
