"""The networks of a trial's folds at its best epoch, and what they predict of any encoded rows.

``Session.networks_of_folds`` trains them again and gives ``FoldNetworks``; these travel to workers
with the session's ``Job``. In a worker of ``session.crew.workers_of(networks.engine)``, which has
the right Keras backend, ``FoldModel`` makes one of them again::

    networks = session.networks_of_folds(best, journal)
    workers = session.crew.workers_of(networks.engine)
    workers.map_unordered(task, [(session.job, networks.candidate, one) for one in networks.folds])

    def task(given):  # of a module that workers can import
        model = FoldModel.of(*given)
        encoded = model.data.encoded_in(given[2].position)
        return model.predict(encoded)  # canonical predictions

``FoldModel.network`` is the ``keras.Model`` of preprocessed rows, ``FoldModel.statistics`` what
that fold's training rows taught; ``export.bundle.bundle_model`` takes both. Training belongs to the
engines (``WorkUnit.keeps_networks``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import FoldResult, Job, NetworkWeights
from hpsearch.engines.fit_data import FitData, read_fit_data
from hpsearch.engines.initial import numpy_draws
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.network import OutputForm, numpy_links, side_by_side
from hpsearch.export.bundle import rows_at_once
from hpsearch.export.lengths import by_length, open_in_network
from hpsearch.preprocessing import Encoded, Statistics
from hpsearch.scoring.trials import TrialResult
from hpsearch.space.space import Candidate


@dataclass(frozen=True, eq=False)
class FoldNetwork:
    """The network of one fold.

    Attributes
    ----------
    position : the fold's position in ``FitData.folds``.
    trained : its weights, and the engine that they come from.
    predictions : canonical predictions of the fold's validation rows (n_validation, ...) as the
        training program made them.
    is_recorded : whether these are the trial's recorded ones, to the bit; another processor may
        give other last digits.
    """

    position: int
    trained: NetworkWeights
    predictions: NDArray[np.floating[Any]] = field(repr=False)
    is_recorded: bool = True


@dataclass(frozen=True, eq=False)
class FoldNetworks:
    """The networks of a trial's folds.

    Attributes
    ----------
    candidate : the configuration as it was trained; epoch : after which they stand, from 1.
    folds : in the order of the trial's positions.
    """

    candidate: Candidate
    epoch: int
    folds: tuple[FoldNetwork, ...]

    @property
    def engine(self) -> str:
        """The name of the engine that trained them."""
        return self.folds[0].trained.engine


def fold_networks(
    trial: TrialResult, epoch: int, trained: Mapping[int, FoldResult]
) -> FoldNetworks:
    """The networks of some of a trial's folds, of what was trained up to its best epoch."""
    recorded = dict(zip(trial.positions, trial.predictions, strict=True))
    folds = []
    for position in (p for p in trial.positions if p in trained):
        fold = trained[position]
        predictions, was = fold.predictions_after(epoch), recorded[position]
        assert fold.network is not None
        assert predictions is not None
        is_recorded = was is None or np.array_equal(was, predictions)
        folds.append(FoldNetwork(position, fold.network, predictions, is_recorded))
    return FoldNetworks(trial.asked, epoch, tuple(folds))


@dataclass(frozen=True, eq=False)
class FoldModel:
    """A fold's network made again, in a worker.

    Attributes
    ----------
    network : the ``keras.Model`` of preprocessed rows; form : what its outputs mean.
    data : the job's; statistics : of the fold's training rows.
    """

    network: Any
    form: OutputForm
    data: FitData
    statistics: Statistics

    @classmethod
    def of(cls, job: Job, candidate: Candidate, fold: FoldNetwork) -> Self:
        """Build the candidate's network, and give it the fold's weights."""
        data = read_fit_data(job.data_path)
        with numpy_draws():  # which needs no compiled program; the weights are replaced
            network = Configuration(job, data, candidate.values).construct()
        network.set_weights(fold.trained.weights)
        form = OutputForm.of(network, data.target)
        names = InputForm.on(network, data.layout).names
        return cls(network, form, data, data.statistics_of(fold.position, names))

    def predict(self, rows: Encoded) -> NDArray[np.floating[Any]]:
        """Canonical predictions (n_rows, ...) of encoded rows, in inference mode.

        Those of the validation rows are the recorded ones but for float32's last digits: a network
        alone computes in another order than a program of many.
        """
        taken = open_in_network(self.network, self.data.layout)
        raw = by_length(taken, rows, self.data.layout, self._outputs)
        return self.form.predictions(self.data.target, self.statistics, raw, rows.exposure)

    def _outputs(self, rows: Encoded) -> NDArray[np.float32]:
        """Raw outputs of rows whose sequences have as many steps each."""
        parts, size = [], rows_at_once(self.data.layout)
        form = InputForm.on(self.network, self.data.layout)
        for first in range(0, rows.n_rows, size):
            numbers = np.arange(first, min(first + size, rows.n_rows))
            filled = np.minimum(first + np.arange(min(size, _filled(len(numbers)))), numbers[-1])
            batch = form.rows(rows.take(filled), self.data.layout, self.statistics)
            raw = side_by_side(numpy_links, self.network.predict_on_batch(batch))
            parts.append(np.asarray(raw)[: len(numbers)])
        return np.concatenate(parts)


def _filled(n_rows: int) -> int:
    """Rows of a batch filled up to a power of two: Keras compiles a program for every new size."""
    return 1 << (n_rows - 1).bit_length()
