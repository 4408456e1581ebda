"""A replica, whichever engine trains it: its place and seed, its curves, its failure, its result.

An engine trains epochs and hands over losses and raw outputs; what they score, whether the
training went wrong, and when patience ends belongs here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.buckets import Batching
from hpsearch.engines.contract import FitOptions, FoldResult, ReplicaState, WorkUnit
from hpsearch.engines.fit_data import FitData
from hpsearch.engines.network import OutputForm
from hpsearch.engines.plan import batch_order, replica_seed
from hpsearch.errors import MetricError
from hpsearch.metrics import metric_named
from hpsearch.stats import patience_stop

STOP_CHECK_EPOCHS: Final = 10
"""With patience, all replicas of a trial train this many epochs between two looks at the curve."""

Side = Literal["train", "validation"]
SIDES: Final[tuple[Side, ...]] = ("train", "validation")


@dataclass(frozen=True)
class Failure:
    """Why a replica failed, and in which epoch, from 1."""

    epoch: int
    text: str


class Replica:
    """One training: a candidate on one fold, with its own seed and its curves so far.

    Attributes
    ----------
    position : the fold's position in ``FitData.folds``; fold : its rows.
    seed : what initial weights, dropout and batch orders follow.
    statistics : of the fold's training rows.
    first_epoch : epochs that were trained before, elsewhere.
    failure : why it failed, or None; nothing is recorded after it.
    batching : how rows of like length come together, or None where length is no matter.
    """

    def __init__(self, data: FitData, options: FitOptions, unit: WorkUnit, position: int) -> None:
        self.position = position
        self.fold = data.folds[position]
        trial = unit.candidate.trial
        self.seed = replica_seed(options.seed, trial, self.fold.repeat, self.fold.fold)
        self.statistics = data.statistics[position]
        self.first_epoch = unit.first_epoch
        self.failure: Failure | None = None
        self.batching: Batching | None = None
        self._data = data
        self._metrics = options.metrics
        self._losses: list[NDArray[np.float64]] = []
        self._predictions: list[NDArray[np.floating[Any]]] = []
        self._scores: dict[Side, dict[str, list[NDArray[np.float64]]]] = {
            side: {str(name): [] for name in options.metrics} for side in SIDES
        }

    @property
    def rows(self) -> Mapping[Side, NDArray[Any]]:
        """The row numbers of both sides of the fold."""
        return {"train": self.fold.train, "validation": self.fold.validation}

    @property
    def epochs_done(self) -> int:
        """Epochs that are trained, those of earlier work units included."""
        return self.first_epoch + sum(map(len, self._losses))

    def order(self, epoch: int) -> NDArray[Any]:
        """The training rows in the order in which an epoch, from 0, visits them."""
        rows: NDArray[Any] = self.fold.train
        if self.batching is not None:
            return self.batching.epoch(self.seed, epoch, rows).order
        return rows[batch_order(self.seed, epoch, len(rows))]

    def record(
        self, form: OutputForm, losses: NDArray[Any], outputs: Mapping[Side, NDArray[Any]]
    ) -> None:
        """Score the next epochs, or note why the replica failed in them.

        Parameters
        ----------
        losses : (E,) as Keras reports them while fitting.
        outputs : raw outputs (E, n, n_units) in inference mode of the rows of each side.
        """
        if self.failure is not None:
            return
        target = self._data.target
        exposure = self._data.encoded.exposure
        predictions = {
            side: form.predictions(
                target,
                self.statistics,
                outputs[side],
                None if exposure is None else exposure[self.rows[side]],
            )
            for side in SIDES
        }
        self.failure = self._divergence(losses, predictions) or self._fault(form, outputs)
        if self.failure is not None:
            return
        try:
            scored = {side: self._scored(side, predictions[side]) for side in SIDES}
        except MetricError as error:
            epoch = self.epochs_done + error.number + 1
            self.failure = Failure(epoch, f"{error}, in epoch {epoch} of {self._place}")
            return
        self._losses.append(losses.astype(np.float64))
        for side, scores in scored.items():
            for name, values in scores.items():
                self._scores[side][name].append(values)
        self._predictions.append(predictions["validation"])

    def _scored(
        self, side: Side, predictions: NDArray[np.floating[Any]]
    ) -> dict[str, NDArray[np.float64]]:
        """Scores (E,) of each metric; where another than the selecting one raises, NaN."""
        rows = self.rows[side]
        return {
            str(metric): self._data.scores(metric, rows, predictions, strict=place == 0)
            for place, metric in enumerate(self._metrics)
        }

    @property
    def _place(self) -> str:
        return f"repeat {self.fold.repeat}, fold {self.fold.fold}"

    def validation_curve(self, metric: str) -> NDArray[np.float64]:
        """The metric on the validation rows after each epoch so far."""
        return np.concatenate(self._scores["validation"][metric])

    def result(self, since: int, until: int, state: ReplicaState | None = None) -> FoldResult:
        """Curves and predictions of the epochs after ``since``, up to ``until``.

        Parameters
        ----------
        state : where the training stands then, if it may go on.
        """
        curves = {
            side: {name: np.concatenate(parts) for name, parts in scores.items()}
            for side, scores in self._scores.items()
        }
        losses = np.concatenate(self._losses)
        trained = FoldResult(
            position=self.position,
            seed=self.seed,
            epochs=len(losses),
            train_loss=losses,
            validation=curves["validation"],
            train=curves["train"],
            predictions=np.concatenate(self._predictions),
            since=self.first_epoch,
            state=state,
        )
        return trained.between(since, until)

    def _divergence(
        self, losses: NDArray[Any], predictions: Mapping[Side, NDArray[np.floating[Any]]]
    ) -> Failure | None:
        """The failure in the first epoch whose loss or predictions aren't finite, or None."""
        with np.errstate(invalid="ignore"):  # infinities of both signs, which are noticed here
            sums = [
                predictions[side].reshape(len(losses), -1).sum(axis=1, dtype=np.float64)
                for side in SIDES
            ]
        values = np.stack([losses.astype(np.float64), *sums])
        lost = ~np.isfinite(values)
        if not lost.any():
            return None
        number = int(np.argmax(lost.any(axis=0)))
        value, epoch = values[np.argmax(lost[:, number]), number], self.epochs_done + number + 1
        return Failure(
            epoch,
            f"the training diverged: its loss or predictions became {value} in epoch {epoch} "
            f"of {self._place}",
        )

    def _fault(self, form: OutputForm, outputs: Mapping[Side, NDArray[Any]]) -> Failure | None:
        """The failure where outputs must be probabilities and are none, or None."""
        if all(form.fault(outputs[side]) is None for side in SIDES):
            return None
        faults = (
            (number, form.fault(rows))
            for side in SIDES
            for number, rows in enumerate(outputs[side])
        )
        number, fault = min(
            (found for found in faults if found[1] is not None), key=lambda found: found[0]
        )
        epoch = self.epochs_done + number + 1
        return Failure(epoch, f"{fault}, in epoch {epoch}")


def first_failure(replicas: Sequence[Replica]) -> Failure | None:
    """The failure among replicas that came in the earliest epoch, or None."""
    failures = [replica.failure for replica in replicas if replica.failure is not None]
    return min(failures, key=lambda failure: failure.epoch, default=None)


def epochs_kept(replicas: Sequence[Replica], options: FitOptions) -> int:
    """Epochs before patience ends, by the mean curve of a trial's replicas; it begins with theirs.

    Those that came before them, in earlier phases, are among the epochs.
    """
    metric = metric_named(options.metrics[0])
    curve = np.mean([replica.validation_curve(metric.name) for replica in replicas], axis=0)
    kept = patience_stop(curve, metric.direction, options.patience)
    return replicas[0].first_epoch + kept
