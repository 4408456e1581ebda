"""The engine contract: what goes in, what comes out, and the seeds and batch orders in between.

An engine takes work units, each some replicas of one candidate, and gives a ``UnitResult`` for
each. Units, seeds and batch orders follow from the plan alone, so that results don't depend on
how many workers there are or in which order they finish. Which engine runs belongs to
``engines``; what the scores mean to the search belongs to ``hpsearch.search``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.workers.files import here
from hpsearch.errors import HpsearchError
from hpsearch.folds import Fold
from hpsearch.preprocessing import Encoded, Layout, Statistics
from hpsearch.space import Candidate
from hpsearch.task import Problem, Target

REFIT = 2**31 - 1
"""The repeat that stands for training on all rows, in the seeds of a refit."""


@dataclass(frozen=True, eq=False)
class FitData:
    """All that training needs of a table, shared by every replica and memory-mapped by workers.

    Attributes
    ----------
    encoded, y : every row of the search; ``y`` as in ``Dataset``.
    target, layout : label order and input layout.
    folds : the folds, in the order of (repeat, fold).
    statistics : of each fold's training rows, stacked along the first axis.
    refit_statistics : of all rows, for the refit.
    """

    encoded: Encoded
    y: NDArray[Any]
    target: Target
    layout: Layout
    folds: tuple[Fold, ...]
    statistics: Statistics
    refit_statistics: Statistics

    def without_features(self) -> FitData:
        """What the plan and the tables need; ``encoded`` has as many rows and no column."""
        n_rows = self.encoded.n_rows
        numbers, codes = np.empty((n_rows, 0), np.float32), np.empty((n_rows, 0), np.int32)
        return replace(self, encoded=Encoded(numbers, codes, None, ()))


@dataclass(frozen=True)
class FitOptions:
    """How candidates are trained and scored.

    Attributes
    ----------
    seed : the run's seed.
    epochs, batch_size : budget and default; a space may declare both.
    patience : epochs without improvement of the mean validation curve after which all replicas
        of a trial stop together; None trains every epoch.
    metrics : names of the metrics; the first selects.
    """

    seed: int
    epochs: int
    batch_size: int
    patience: int | None
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Span:
    """Epochs of a training: those after ``since``, up to ``until``.

    Attributes
    ----------
    since : epochs trained before, whose curves are known.
    until : the last epoch; None for the candidate's budget.
    block : with rungs, the epochs of the first one, of which every rung is a multiple. A program
        trains so many at a time, or a divisor of them, so that stopping at a rung and going on
        changes no bit. None without rungs.
    """

    since: int = 0
    until: int | None = None
    block: int | None = None

    def end(self, epochs: int) -> int:
        """The last epoch, where the budget is ``epochs``."""
        return epochs if self.until is None else min(self.until, epochs)


WHOLE = Span()

ReplicaState = Sequence[Any]
"""A replica's variables between two epochs, as its engine orders them; arrays, nested or not."""


@dataclass(frozen=True)
class WorkUnit:
    """Replicas of one candidate that one worker trains.

    Attributes
    ----------
    folds : positions in ``FitData.folds``.
    span : the epochs whose curves and predictions are wanted.
    states : each fold's state after ``span.since`` epochs, by position. Without them those epochs
        are trained again, with the same numbers.
    """

    candidate: Candidate
    folds: tuple[int, ...]
    span: Span = WHOLE
    states: Mapping[int, ReplicaState] | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> tuple[int, int, int]:
        """Sorts units in the order of the plan."""
        return self.candidate.trial, self.folds[0], self.span.since

    @property
    def first_epoch(self) -> int:
        """Epochs that need not be trained."""
        return 0 if self.states is None else self.span.since

    def of(self, folds: Sequence[int]) -> WorkUnit:
        """The part of the unit on some of its folds."""
        positions = tuple(folds)
        states = self.states and {position: self.states[position] for position in positions}
        return WorkUnit(self.candidate, positions, self.span, states)

    def without_states(self) -> WorkUnit:
        """The unit as a result names it."""
        return replace(self, states=None)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One replica's curves and predictions.

    Attributes
    ----------
    position : the fold's position in ``FitData.folds``.
    seed : the replica's seed.
    epochs : epochs whose curves are here.
    train_loss : float64 (epochs,), as Keras reports it while fitting.
    validation, train : metric name to float64 (epochs,), in inference mode, in target units.
    predictions : canonical predictions of the validation rows after the epochs in ``predicted``,
        float32 (n_predicted, n_validation, ...).
    predicted : the epochs, from 1, that ``predictions`` holds; None where it holds each.
    since : epochs before those whose curves are here.
    state : where the training stood after them, if it may go on; the journal doesn't keep it.
    """

    position: int
    seed: int
    epochs: int
    train_loss: NDArray[np.float64]
    validation: Mapping[str, NDArray[np.float64]]
    train: Mapping[str, NDArray[np.float64]]
    predictions: NDArray[np.float32]
    predicted: tuple[int, ...] | None = None
    since: int = 0
    state: ReplicaState | None = field(default=None, repr=False)

    @property
    def until(self) -> int:
        """The last epoch whose curves are here."""
        return self.since + self.epochs

    @property
    def predicted_epochs(self) -> tuple[int, ...]:
        """The epochs, from 1, that ``predictions`` holds."""
        every = tuple(range(self.since + 1, self.until + 1))
        return every if self.predicted is None else self.predicted

    def predictions_after(self, epoch: int) -> NDArray[np.float32] | None:
        """Predictions of the validation rows after an epoch, or None where they are not kept."""
        epochs = self.predicted_epochs
        if epoch not in epochs:
            return None
        after: NDArray[np.float32] = self.predictions[epochs.index(epoch)]
        return after

    def between(self, since: int, until: int) -> FoldResult:
        """The part of the curves and predictions after one epoch, up to another."""
        first, last = since - self.since, until - self.since
        chosen = [i for i, e in enumerate(self.predicted_epochs) if since < e <= until]
        epochs = tuple(self.predicted_epochs[i] for i in chosen)
        return replace(
            self,
            epochs=last - first,
            train_loss=self.train_loss[first:last],
            validation={name: curve[first:last] for name, curve in self.validation.items()},
            train={name: curve[first:last] for name, curve in self.train.items()},
            predictions=self.predictions[chosen],
            predicted=None if self.predicted is None else epochs,
            since=since,
        )

    @staticmethod
    def joined(parts: Sequence[FoldResult]) -> FoldResult:
        """One replica's results, one span after the other, as one."""
        if len(parts) == 1:
            return parts[0]
        first, last = parts[0], parts[-1]
        every = all(part.predicted is None for part in parts)
        predicted = tuple(epoch for part in parts for epoch in part.predicted_epochs)
        return replace(
            first,
            epochs=last.until - first.since,
            train_loss=np.concatenate([part.train_loss for part in parts]),
            validation=joined_curves([part.validation for part in parts]),
            train=joined_curves([part.train for part in parts]),
            predictions=np.concatenate([part.predictions for part in parts]),
            predicted=None if every else predicted,
            state=last.state,
        )


def joined_curves(
    parts: Sequence[Mapping[str, NDArray[np.float64]]],
) -> dict[str, NDArray[np.float64]]:
    """Each metric's curve over spans of epochs that come one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, eq=False)
class UnitResult:
    """What a unit gave: fold results, or the reason why its trial failed.

    ``values`` are the hyperparameters that the build really used; ``traceback`` is for people.
    """

    unit: WorkUnit
    folds: tuple[FoldResult, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    n_params: int | None = None
    seconds: float = 0.0
    error: str | None = None
    traceback: str | None = None


@dataclass(frozen=True)
class Job:
    """Everything a worker needs beside the unit: small, and the same for the whole search.

    Attributes
    ----------
    data_path : ``FitData`` written by ``write_fit_data``; workers memory-map it.
    space : ``Space.to_bytes()``; fixes : hyperparameters that are held.
    options : how to train.
    """

    data_path: str
    space: bytes
    fixes: tuple[tuple[str, Any], ...]
    options: FitOptions


class Engine(Protocol):
    """Trains replicas; results come back in any order, cut into units as the engine likes.

    A replica's numbers don't depend on the unit or the call that it comes in, so that a search
    which is resumed, or given more trials or repeats, trains nothing twice.
    """

    name: str

    def score(self, work: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Train the given folds of each candidate; yield results as soon as they are there."""
        ...


MANY_UNITS = 8
"""Units that keep a few workers busy to the end; a batch is cut no finer than that needs."""


def plan_units(
    work: Sequence[WorkUnit], folds: Sequence[Fold], *, patience: int | None
) -> list[WorkUnit]:
    """The work of some candidates, cut by the plan alone, whatever the number of workers.

    A network is traced once a unit, so a unit is a whole trial where there are many, else a
    repeat, else a fold. With ``patience`` it is always a trial, whose folds stop together.
    """
    by_trial, by_repeat = [0] * len(folds), [fold.repeat for fold in folds]
    cuts = [by_trial, by_repeat, list(range(len(folds)))]
    cut = next((c for c in cuts if len(work) * len(set(c)) >= MANY_UNITS), cuts[-1])
    units = []
    for unit in work:
        parts: dict[int, list[int]] = {}
        for position in unit.folds:
            part = 0 if patience else cut[position]
            parts.setdefault(part, []).append(position)
        units += [unit.of(positions) for positions in parts.values()]
    return units


def replica_seed(run_seed: int, trial: int, repeat: int, fold: int) -> int:
    """The seed of one replica, below 2**31: initial weights, dropout and batch order follow it."""
    state = np.random.SeedSequence([run_seed, trial, repeat, fold]).generate_state(1)
    return int(state[0] >> 1)


def batch_order(seed: int, epoch: int, n_rows: int) -> NDArray[np.int32]:
    """The order in which an epoch visits its training rows, a permutation of ``n_rows``."""
    generator = np.random.default_rng([seed, epoch])
    return generator.permutation(n_rows).astype(np.int32)


def training_target(target: Target, y: NDArray[Any], statistics: Statistics) -> NDArray[Any]:
    """The target that the loss sees: standardised values, codes (n,), or 0/1 columns."""
    if target.kind in ("regression", "share"):
        scaled = (y - statistics.target_centre) / statistics.target_scale
        return scaled.astype(np.float32)
    if target.kind == "binary":
        return y.astype(np.float32).reshape(-1, 1)
    return y.astype(np.int32) if target.kind == "multiclass" else y.astype(np.float32)


def problem_of(target: Target, layout: Layout, *, n_train: int, epochs: int) -> Problem:
    """The problem as a space sees it."""
    task = target.task
    return Problem(
        kind=task.kind,
        input_shape=layout.input_shape,
        n_outputs=target.n_outputs,
        output_activation=task.output_activation,
        loss=task.loss,
        n_train=n_train,
        epochs=epochs,
    )


def write_fit_data(data: FitData, folder: Path) -> str:
    """Write the data once, so that every worker can map it into memory.

    The rows go into files of their own: NumPy's begin at a multiple of 64 bytes, which a device
    that is the processor itself can use as they are, so that all workers share one copy.
    """
    path, encoded = folder / "fit_data.joblib", data.encoded
    dense = (encoded.numbers, encoded.codes, *encoded.arrays)
    for file, array in zip(_row_files(path, len(dense)), dense, strict=True):
        np.save(file, array)
    joblib.dump((data.without_features(), encoded.words, len(dense)), path)
    return str(path)


@lru_cache(maxsize=1)
def read_fit_data(path: str) -> FitData:
    """The data, memory-mapped read-only."""
    data: FitData
    path = here(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # joblib: small arrays are not mapped
        data, words, n_dense = joblib.load(path, mmap_mode="r")
    numbers, codes, *arrays = (np.load(f, mmap_mode="r") for f in _row_files(Path(path), n_dense))
    return replace(data, encoded=Encoded(numbers, codes, words, tuple(arrays)))


def _row_files(path: Path, n: int) -> list[Path]:
    return [path.with_name(f"rows-{number}.npy") for number in range(n)]


def smallest_training_set(folds: Sequence[Fold]) -> int:
    """Rows of the smallest training set of the first repeat: all schedules count steps by it.

    Of the first repeat, which is the same however many there are, so that more repeats leave the
    networks of the others as they are.
    """
    return min(len(fold.train) for fold in folds if fold.repeat == folds[0].repeat)


_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")
_RAISED = re.compile(r"\w*(Error|Exception): ")


class DivergedError(ArithmeticError):
    """A replica's loss or predictions are no longer finite; the trial fails."""


def raise_if_out_of_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` where memory ran out: the unit is tried again, not its trial failed."""
    text = f"{type(error).__name__}: {error}"
    native = ("ResourceExhaustedError", "RESOURCE_EXHAUSTED")  # TensorFlow's, and XLA's
    if isinstance(error, MemoryError) or any(word in text for word in native):
        raise MemoryError(text.splitlines()[0]) from None


def reason_of(error: BaseException) -> str:
    r"""An error's type and the line of its text that tells most, for a table's cell.

    Keras and TensorFlow put other lines before it: frames, or the name of a layer.

    Examples
    --------
    >>> reason_of(ValueError("in user code:\n  File x, line 1\n  ValueError: too narrow\n"))
    'ValueError: too narrow'
    """
    text = _TERMINAL_CODE.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if isinstance(error, HpsearchError | DivergedError):
        return lines[0]
    return f"{type(error).__name__}: {_telling_line(lines)}"


def _telling_line(lines: Sequence[str]) -> str:
    pairs = list(pairwise(lines))
    for line, following in pairs:
        if "Exception encountered when calling" in line:
            return f"{following} (in {line.split()[-1].rstrip('.')})"  # such as Dense.call()
    if lines[0] == "in user code:":
        raised = (line.partition(": ")[2] for line in reversed(lines) if _RAISED.match(line))
        return next(raised, lines[0])
    if lines[0].startswith("Graph execution error"):
        before_node = (line for line, following in pairs if following.startswith("[[{{node"))
        return next(before_node, lines[0])
    return lines[0]
