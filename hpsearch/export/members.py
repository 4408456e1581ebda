"""The networks of an exported model: one that is trained on all rows, or several whose mean it is.

Owns how a member is made in a worker, and what of it the exported graph takes. Making one graph
of them belongs to ``bundle``, which members there are to ``hpsearch.search``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.network import OutputForm
from hpsearch.export.misses import Usual
from hpsearch.preprocessing import Statistics
from hpsearch.space.space import Candidate

TrainOnAllRows = Callable[[Job, Candidate, int, int], Any]
"""Gives the trained ``keras.Model`` of a candidate after so many optimizer steps on all rows, under
the seed of a number."""


@dataclass(frozen=True, eq=False)
class Part:
    """A trained network with what stands before it and behind it.

    Attributes
    ----------
    network : a ``keras.Model`` of preprocessed rows.
    form : how its outputs become canonical predictions.
    statistics : of the rows that it was trained on.
    weight : its share of the mean.
    n_trainings : how often it was trained, until a training did not miss (``misses``).
    """

    network: Any
    form: OutputForm
    statistics: Statistics
    weight: float = 1.0
    n_trainings: int = 1


class Member(Protocol):
    """A network to be made in a worker."""

    @property
    def candidate(self) -> Candidate:
        """Its configuration."""

    @property
    def weight(self) -> float:
        """Its share of the mean; those of all members sum to 1."""

    def made(self, train: TrainOnAllRows, job: Job) -> Part:
        """The trained network."""


@dataclass(frozen=True)
class OnAllRows:
    """A configuration that is trained on all rows.

    Attributes
    ----------
    n_steps : optimizer steps, see ``refit.refit_steps``.
    number : of the seed; networks of one candidate differ by it.
    usual : what the folds' networks score on their training rows, which tells a training that
        missed; None where there are no folds.
    candidate, weight : as in ``Member``.
    """

    candidate: Candidate
    n_steps: int
    number: int = 0
    weight: float = 1.0
    usual: Usual | None = None

    def made(self, train: TrainOnAllRows, job: Job) -> Part:
        """The trained network."""
        data = read_fit_data(job.data_path)
        network = train(job, self.candidate, self.n_steps, self.number)
        statistics = data.statistics_of(None, InputForm.on(network, data.layout).names)
        return Part(network, OutputForm.of(network, data.target), statistics, self.weight)
