"""Problem types: what a target's kind implies for the network, the loss and the metrics.

Owns the table of problem types, the order of the labels and the decoding of predictions.
How a target's kind is inferred from a table belongs to ``hpsearch.data``; how a metric is
computed belongs to ``hpsearch.metrics``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.task.inputs import Input
from hpsearch.task.links import Link, PinballOfSteps, PoissonOfLogs

ProblemKind = Literal[
    "binary", "multiclass", "multilabel", "regression", "share", "count", "quantile"
]

OF_NUMBERS: Final[tuple[ProblemKind, ...]] = ("regression", "share", "count")
"""Problem types whose predictions are numbers in the target's units, one for each column."""

OF_VALUES: Final[tuple[ProblemKind, ...]] = (*OF_NUMBERS, "quantile")
"""Problem types whose predictions are in the target's units, perhaps several for a column."""


class Quantiles(str):
    """The problem type ``quantile``, which knows its levels, as whoever scores predictions needs.

    Examples
    --------
    >>> kind = Quantiles((0.1, 0.9))
    >>> kind == "quantile", kind.levels
    (True, (0.1, 0.9))
    """

    levels: tuple[float, ...]

    def __new__(cls, levels: Iterable[float]) -> Quantiles:
        """The text with the attribute."""
        made = super().__new__(cls, "quantile")
        made.levels = tuple(map(float, levels))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Quantiles, (self.levels,)

    @classmethod
    def of(cls, levels: Iterable[float]) -> ProblemKind:
        """The same for those who check types."""
        kind: Any = cls(levels)
        found: ProblemKind = kind
        return found


Direction = Literal["min", "max"]
"""Whether small or large scores are good."""
Label = str | int | float | bool


def loss_sign(direction: str) -> float:
    """What turns scores into losses, of which small ones are good, and losses into scores.

    Examples
    --------
    >>> loss_sign("min"), loss_sign("max")
    (1.0, -1.0)
    """
    return 1.0 if direction == "min" else -1.0


@dataclass(frozen=True)
class Task:
    """What one problem type asks of a network; the first metric selects."""

    kind: ProblemKind
    output_activation: str
    loss: str | Link
    metrics: tuple[str, ...]


TASKS: dict[ProblemKind, Task] = {
    task.kind: task
    for task in (
        Task("binary", "sigmoid", "binary_crossentropy", ("log_loss", "accuracy", "roc_auc")),
        Task("multiclass", "softmax", "sparse_categorical_crossentropy", ("log_loss", "accuracy")),
        Task("multilabel", "sigmoid", "binary_crossentropy", ("log_loss", "micro_f1")),
        Task("regression", "linear", "mse", ("mae", "rmse", "r2")),
        Task("share", "sigmoid", "mse", ("mae", "rmse")),
        Task(
            "quantile",
            "linear",
            PinballOfSteps(),
            ("mean_pinball", "coverage_error", "interval_width"),
        ),
        Task("count", "linear", PoissonOfLogs(), ("poisson_deviance", "mae", "rmse")),
    )
}


@dataclass(frozen=True)
class Target:
    """The target's columns, problem type and label order, stored once and used everywhere.

    Attributes
    ----------
    names : the target's column names.
    kind : the problem type, a key of ``TASKS``.
    labels : for ``binary`` and ``multiclass`` the classes in the order of their codes (code 1 of
        a binary problem is the positive class); for ``multilabel`` the column names; else empty.
    one_hot : whether a multiclass target came as one 0/1 column per class (``names``).
    reason : why the problem type was inferred, for people.
    number_formats : for each column of numbers, the form in which text was written, such as
        ``1.234,5 €`` (``hpsearch.data.numerals``); empty where all were plain numbers.
    offset : for ``regression`` and ``quantile``, what networks learn each value less of, so that
        float32 keeps its digits: round numbers near the means of values far from zero; empty where
        none is.
    transform : for ``regression`` and ``quantile``, what networks learn in place of the values
        (``hpsearch.preprocessing.transforms``); empty for the values themselves.
    levels : for ``quantile``, of the quantiles, rising; else empty. ``kind`` knows them then.
    """

    names: tuple[str, ...]
    kind: ProblemKind
    labels: tuple[Label, ...] = ()
    one_hot: bool = False
    reason: str = ""
    number_formats: tuple[str, ...] = ()
    offset: tuple[float, ...] = ()
    transform: str = ""
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "quantile":
            object.__setattr__(self, "kind", Quantiles(self.levels))

    @property
    def task(self) -> Task:
        """Last layer, loss and metrics of this problem type."""
        return TASKS[self.kind]

    @property
    def loss(self) -> str | Link:
        """The loss of this problem type, for ``compile``."""
        return PinballOfSteps(self.levels) if self.levels else self.task.loss

    @property
    def quantiles(self) -> tuple[str, ...]:
        """What the predicted quantiles are called, such as ``q0.1``; empty where there are none."""
        return tuple(f"q{level:.12g}" for level in self.levels)

    @property
    def n_means(self) -> int:
        """Numbers that a mean of the target has: 1 of a binary one, else one a class or value."""
        if self.kind in ("multiclass", "multilabel"):
            return len(self.labels)
        return 1 if self.kind == "binary" else len(self.names)

    @property
    def n_outputs(self) -> int:
        """Units of the last layer: 1 for a binary problem, one per class, label, value or level."""
        if self.kind == "binary":
            return 1
        if self.levels:
            return len(self.levels)
        return len(self.labels) if self.kind in ("multiclass", "multilabel") else len(self.names)

    @property
    def is_classification(self) -> bool:
        """Whether rows carry exactly one class, so that folds can be stratified."""
        return self.kind in ("binary", "multiclass")

    @property
    def prediction_dtype(self) -> type[np.floating[Any]]:
        """Of canonical predictions: float64 where float32 would take digits off them."""
        return np.float64 if self.offset else np.float32

    def less_offset(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (..., n_values) of the target, float64, less its offset."""
        return values - np.array(self.offset) if self.offset else values

    def plus_offset(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The inverse of ``less_offset``; float64 where there is an offset."""
        return outputs.astype(np.float64) + np.array(self.offset) if self.offset else outputs

    def without_column(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Canonical predictions of a model's columns (..., n): the last alone in a binary problem.

        Examples
        --------
        >>> Target(("ill",), "binary", ("no", "yes")).without_column(np.array([[0.2], [0.7]]))
        array([0.2, 0.7])
        """
        return columns[..., -1] if self.kind == "binary" else columns

    def decode(self, predictions: NDArray[Any], thresholds: Sequence[float] = ()) -> NDArray[Any]:
        """Labels or values for canonical predictions (see ``hpsearch.metrics``).

        ``binary`` (n,) probabilities of ``labels[1]`` and ``multiclass`` (n, C) give labels (n,);
        ``multilabel`` gives 0/1 (n, L); numbers come back unchanged.

        Parameters
        ----------
        thresholds : from which probability on a row has the label, ``labels[1]`` or each of
            several; by default 0.5.
        """
        if self.kind == "binary":
            return self._labels(from_thresholds(predictions, thresholds))
        if self.kind == "multiclass":
            return self._labels(np.asarray(predictions).argmax(axis=-1))
        if self.kind == "multilabel":
            return from_thresholds(predictions, thresholds)
        return np.asarray(predictions)

    def _labels(self, codes: NDArray[Any]) -> NDArray[Any]:
        labels = np.empty(len(self.labels), dtype=object)
        labels[:] = self.labels
        decoded: NDArray[Any] = labels[codes]
        return decoded

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_json`` is its inverse."""
        found = asdict(self)
        return {k: v for k, v in found.items() if v or k not in ("transform", "levels")}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Target:
        """The inverse of ``to_json``."""
        tuples: dict[str, Any] = {
            key: tuple(value.get(key, ()))
            for key in ("names", "labels", "number_formats", "offset", "levels")
        }
        return cls(**{**value, **tuples})

    def number_format(self, name: str) -> str:
        """The form in which a column's numbers were written; empty for plain ones."""
        return dict(zip(self.names, self.number_formats, strict=False)).get(name, "")


def from_thresholds(probabilities: NDArray[Any], thresholds: Sequence[float]) -> NDArray[np.int64]:
    """Which rows have a label: 1 where its probability is at least its threshold, else 0.

    Parameters
    ----------
    probabilities : (n,), or (n, L) of several labels.
    thresholds : one, or one a label; by default 0.5. In float64, whatever the probabilities are:
        a threshold between two of float32 stays between them.
    """
    least = np.asarray(thresholds or (0.5,), dtype=np.float64)
    return (np.asarray(probabilities, dtype=np.float64) >= least).astype(np.int64)


@dataclass(frozen=True)
class Problem:
    """What a space needs to know to build a network: ``build(hp, problem)``.

    Attributes
    ----------
    kind : the problem type.
    input_shape : shape of one preprocessed row, without the batch axis: ``(n_features,)`` for a
        table, ``(height, width, channels)`` for images, ``(steps, features)`` for sequences.
    n_outputs, output_activation, loss : the last layer and the loss of the problem type, for
        ``compile``: a name of Keras's, or an object where Keras has no such loss.
    n_train : training rows: those of the smallest training set of the first repeat. For the
        learning rates of a fold that takes other numbers of steps an epoch the network is built
        with the rows of this fold, and for the refit with all, so that a schedule which counts by
        ``steps_per_epoch`` or ``total_steps`` is at one rate at one epoch in all of them. Of a
        network for another fold nothing but its schedule counts.
    epochs : passes over the training rows that the search's budget allows.
    n_numbers : how many features of a flat row are numbers; they come first, standardised.
    n_words : how many are words of a bag, 1 where a row has the word; they come after categories.
    inputs : what a network gets whose inputs bear names, by these: a column's or a kind's.
    """

    kind: ProblemKind
    input_shape: tuple[int, ...]
    n_outputs: int
    output_activation: str
    loss: str | Link
    n_train: int
    epochs: int
    n_numbers: int = 0
    n_words: int = 0
    inputs: Mapping[str, Input] = field(default_factory=dict, hash=False)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Optimizer steps of one epoch, the partial last batch included."""
        return math.ceil(self.n_train / batch_size)

    def total_steps(self, batch_size: int) -> int:
        """Optimizer steps of the whole budget of epochs."""
        return self.steps_per_epoch(batch_size) * self.epochs
