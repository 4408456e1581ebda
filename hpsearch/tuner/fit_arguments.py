"""What a script gives ``tuner.search`` for Keras's ``fit``: taken, done otherwise, or refused.

Owns that sorting. Each argument and callback does here what it does there, or is refused by its
name; what has no meaning, since folds validate, is left aside with a word.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hpsearch.errors import OptionError, OptionWarning
from hpsearch.scoring.observer import Observer, SilentObserver
from hpsearch.system import Display
from hpsearch.task import Label, Target

_OPTIONS: Final = ("epochs", "batch_size", "class_weight", "sample_weight")
"""Arguments that ``Search`` or ``load`` has by the same name."""

_BESIDE_VALIDATION: Final = ("validation_batch_size", "validation_freq", "validation_steps")

_REFUSED: Final = {
    "steps_per_epoch": "an epoch is one pass over a fold's training rows. Leave it out",
    "initial_epoch": "each training begins at the first epoch. Leave it out",
}

_DONE_ANYWAY: Final = ("TerminateOnNaN", "History", "ProgbarLogger", "BackupAndRestore")
"""Callbacks that ask for what a search does by itself."""

_CALLBACKS: Final = {
    "ModelCheckpoint": "the selected configuration's model is in the run's folder, model.keras",
    "CSVLogger": "each epoch of each trial is in the run's curves.csv",
    "ReduceLROnPlateau": "compile the network with a schedule of keras.optimizers.schedules",
    "LearningRateScheduler": "compile the network with a schedule of keras.optimizers.schedules",
}
"""Callbacks of Keras that do something else, and where to find what they are for."""

_STOPPING: Final = {"min_delta": 0, "baseline": None, "start_from_epoch": 0}
"""What ``EarlyStopping`` may be told beside its patience, where it does nothing."""


@dataclass(frozen=True)
class FitArguments:
    """What a search takes of them.

    Attributes
    ----------
    options : options of ``Search``.
    words : what is done otherwise than Keras would, a sentence each.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def say(self) -> None:
        """Say it as warnings, to whoever called the tuner."""
        for text in self.words:
            warnings.warn(text, OptionWarning, stacklevel=3)


def sorted_out(given: Mapping[str, Any]) -> FitArguments:
    """Sort the arguments of ``fit`` that came after x and y.

    Raises
    ------
    OptionError
        One asks for what no search does.

    Examples
    --------
    >>> sorted_out({"epochs": 20, "batch_size": 16, "shuffle": True}).options
    {'epochs': 20, 'batch_size': 16}
    """
    left = {name: value for name, value in given.items() if value is not None}
    options: dict[str, Any] = {}
    options |= {name: left.pop(name) for name in _OPTIONS if name in left}
    words = [*_validation(left)]
    if not left.pop("shuffle", True):
        raise OptionError(
            "search: rows are shuffled anew before each epoch; received shuffle=False. For rows in "
            "the order of time give the tuner time=, which validates on later ones."
        )
    of_callbacks, said = _callbacks(left.pop("callbacks", ()))
    options |= of_callbacks
    verbose = left.pop("verbose", "auto")
    if verbose != "auto":
        options["observer"] = _observer(bool(verbose))
    for name in left:
        reason = _REFUSED.get(name)
        if reason is not None:
            raise OptionError(f"search does not take {name}: {reason}.")
        raise OptionError(
            f"search takes x, y, epochs, batch_size, callbacks and verbose; received {name}. "
            "Options of the search itself belong to the tuner."
        )
    return FitArguments(options, (*words, *said))


def _observer(is_verbose: bool) -> Observer:
    """Lines on standard output, wherever that leads, or nothing."""
    if not is_verbose:
        return SilentObserver()
    from hpsearch.console.observers import PlainObserver

    return PlainObserver(Display(sys.stdout))


def _validation(left: dict[str, Any]) -> Iterable[str]:
    has_rows = left.pop("validation_data", None) is not None
    has_share = bool(left.pop("validation_split", None))
    for name in _BESIDE_VALIDATION:
        left.pop(name, None)
    if has_rows:
        yield (
            "validation_data is left aside: each configuration is validated on folds of x and y. "
            "KFoldTuner(test_data=(x, y)) scores the final model on such rows."
        )
    if has_share:
        yield "validation_split is left aside: each configuration is validated on folds of x and y."


def _callbacks(given: Any) -> tuple[dict[str, Any], list[str]]:
    """The options that callbacks become, and what is said of them."""
    options: dict[str, Any] = {}
    words: list[str] = []
    for each in given if isinstance(given, list | tuple) else [given]:
        name = type(each).__name__
        if name == "EarlyStopping":
            if "patience" in options:
                raise OptionError("search takes one EarlyStopping; received several. Leave one.")
            options["patience"], word = _stopped_by(each)
            words.append(word)
        elif name == "TensorBoard":
            options["log"] = ("tensorboard",)
            words.append(
                "TensorBoard becomes log='tensorboard': events are in the folder 'tensorboard' of "
                "the project, not in its log_dir."
            )
        elif name not in _DONE_ANYWAY:
            instead = _CALLBACKS.get(name, "what it does between epochs has no place there")
            raise OptionError(
                f"search trains all folds of a configuration at once, without the callback {name}: "
                f"{instead}. Leave it out."
            )
    return options, words


def _stopped_by(callback: Any) -> tuple[int, str]:
    monitor = str(callback.monitor)
    if not monitor.startswith("val_"):
        raise OptionError(
            f"EarlyStopping watches the validation rows; received monitor={monitor!r}, which is of "
            'the training rows. Write monitor="val_loss".'
        )
    for name, usual in _STOPPING.items():
        value = getattr(callback, name, usual)
        if value != usual:
            raise OptionError(
                f"EarlyStopping becomes patience on the mean curve of all folds; received "
                f"{name}={value!r}, which that has not. Leave it out."
            )
    patience = max(1, int(callback.patience))
    return patience, (
        f"EarlyStopping becomes patience={patience} on the mean validation curve of the objective "
        "over all folds, which stop together; its best epoch counts. No race with it."
    )


def with_labels(options: Mapping[str, Any], target: Target) -> Mapping[str, Any]:
    """The options with weights by the classes' labels, where Keras has their numbers.

    Examples
    --------
    >>> target = Target(("ill",), "binary", ("no", "yes"))
    >>> with_labels({"epochs": 3, "class_weight": {1: 4.0}}, target)
    {'epochs': 3, 'class_weight': {'yes': 4.0}}
    """
    given, labels = options.get("class_weight"), target.labels
    if not isinstance(given, Mapping):
        return options
    named = {
        label if label in labels or not _numbers_a_class(label, labels) else labels[label]: weight
        for label, weight in given.items()
    }
    return {**options, "class_weight": named}


def _numbers_a_class(number: Any, labels: tuple[Label, ...]) -> bool:
    is_number = isinstance(number, int) and not isinstance(number, bool)
    return is_number and 0 <= number < len(labels)
