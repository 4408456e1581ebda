"""keras-tuner's objectives as metrics: ``val_accuracy``, ``val_loss``, ``kt.Objective``.

Owns which metric of hpsearch stands for which of Keras's names, and what can't be one. The metrics
themselves belong to ``hpsearch.metrics``.
"""

from __future__ import annotations

from typing import Any, Final

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, Metric

_OF_KERAS: Final = {
    **dict.fromkeys(("acc", "binary_accuracy", "categorical_accuracy"), "accuracy"),
    "sparse_categorical_accuracy": "accuracy",
    **dict.fromkeys(("top_k_categorical_accuracy", "top_k_accuracy"), "top_k_accuracy_5"),
    "sparse_top_k_categorical_accuracy": "top_k_accuracy_5",
    "auc": "roc_auc",
    "f1_score": "f1",
    **dict.fromkeys(("crossentropy", "ce", "binary_crossentropy"), "log_loss"),
    **dict.fromkeys(("categorical_crossentropy", "sparse_categorical_crossentropy"), "log_loss"),
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
    "r2_score": "r2",
    "poisson": "poisson_deviance",
}
"""Names of Keras's metrics and losses that rank as metrics of hpsearch do."""

_EXAMPLE: Final = 'objective="val_accuracy", or metric= with a function of your own'


def metric_of(objective: Any, loss: str | None) -> Any:
    """What an objective is in hpsearch: a metric's name, or a function of one's own as it is.

    Parameters
    ----------
    objective : a name, a ``kt.Objective``, None for the loss, or a function or scorer that
        ``Search`` takes as its ``metric``.
    loss : the network's loss by its name in Keras, or None where that is not known.

    Raises
    ------
    OptionError
        No metric stands for it, it is of training rows, or the wrong way round.

    Examples
    --------
    >>> metric_of("val_accuracy", None), metric_of("val_loss", "mean_squared_error")
    ('accuracy', 'mse')
    """
    if isinstance(objective, list | tuple):
        if len(objective) != 1:
            raise OptionError(
                "`objective` is one metric, which selects; received several. Name one, and the "
                "others with also=[...], which records them."
            )
        return metric_of(objective[0], loss)
    direction = None
    if type(objective).__name__ == "Objective":
        objective, direction = objective.name, objective.direction
    if objective is None:
        objective = "val_loss"
    if not isinstance(objective, str):
        return objective
    if objective == "loss" or objective in _OF_KERAS:
        raise OptionError(
            f"`objective` is scored on validation rows; {objective!r} is Keras's name for the "
            f'training rows. Write "val_{objective}".'
        )
    name = objective.removeprefix("val_").lower()
    return _checked(objective, _of_loss(loss) if name == "loss" else _named(name), direction)


def _of_loss(loss: str | None) -> str:
    found = _OF_KERAS.get(loss or "")
    if found is None:
        which = "of several outputs" if loss is None else f"{loss!r}"
        raise OptionError(
            f'`objective="val_loss"` is the network\'s loss, and no metric stands for the loss '
            f"{which}. Name what is to be minimised, such as {_EXAMPLE}."
        )
    return found


def _named(name: str) -> str:
    return _OF_KERAS.get(name, name)


def _checked(objective: str, name: str, direction: str | None) -> str:
    try:
        known: Metric = METRICS[name]
    except (KeyError, OptionError):
        raise OptionError(
            f"`objective` names a metric; {objective!r} is none that hpsearch knows. Use "
            f"{_EXAMPLE}; docs/metrics.md has the names."
        ) from None
    if direction not in (None, known.direction):
        raise OptionError(
            f"`objective` {objective!r} is better where it is "
            f"{'small' if known.direction == 'min' else 'large'}; received the direction "
            f"{direction!r}. Leave it out."
        )
    return name
