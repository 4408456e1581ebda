"""Weights that training ends with where these are not those of its last step.

With ``use_ema`` an optimizer keeps an average of the weights, and Keras's ``fit`` puts it in their
place when it ends (``finalize_variable_values``). So the averages are what is scored after an
epoch, and what is exported; training goes on from the weights.
"""

from __future__ import annotations

from typing import Any

from hpsearch.engines.rates import optimizers_in
from hpsearch.space.network_checks import is_of_keras


def ends_elsewhere(optimizer: Any) -> bool:
    """Whether an optimizer, or one that it wraps, ends with other weights than its last step's."""
    return any(map(_ends_elsewhere, optimizers_in(optimizer)))


def _ends_elsewhere(optimizer: Any) -> bool:
    import keras

    theirs = keras.optimizers.Optimizer.finalize_variable_values
    has_its_own = not is_of_keras(optimizer) and (
        type(optimizer).finalize_variable_values is not theirs
    )
    return has_its_own or bool(getattr(optimizer, "use_ema", False))


def finish(model: Any) -> None:
    """Give a trained network the weights that Keras's ``fit`` ends with."""
    model.optimizer.finalize_variable_values(model.trainable_weights)
