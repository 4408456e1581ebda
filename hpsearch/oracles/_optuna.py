"""Optuna's samplers as models of an oracle that learns.

Owns the way into Optuna and back. A study in memory is made from all trials told, with a sampler
whose seed follows from the plan and their number; pending candidates are its running trials, from
which a sampler keeps the next one away. So a sampler has no state that a replay could miss.

The parameters of a study are the axes of the space (``_unit``): numbers of values, or a number
between 0 and 1 for a continuous range, on the scale that it is sampled on. An asked trial is not
told: it is given up, and what it proposed is added as a running trial, unless it was proposed
before. Optuna itself proposes a configuration of a small space again and again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.oracles._learning import Proposal, one_thread
from hpsearch.oracles._unit import Axis, UnitSpace
from hpsearch.space.hyperparameters import Values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class StudyModel:
    """What an Optuna study proposes.

    Parameters
    ----------
    space : the space as a unit box.
    sampler : makes the sampler.
    trials : what the study holds to begin with.
    whole : whether every axis is a parameter of every trial; otherwise the active ones alone are.
    tries : proposals that are asked for at most until one is new.
    """

    def __init__(
        self,
        space: UnitSpace,
        sampler: Callable[[], BaseSampler],
        trials: Iterable[FrozenTrial],
        *,
        whole: bool,
        tries: int,
    ) -> None:
        import optuna

        self._space, self._whole, self._tries = space, whole, tries
        self._n_pending = 0
        with quiet():
            self._study: Study = optuna.create_study(sampler=sampler(), direction="minimize")
            self._study.add_trials(trials)

    def propose(
        self, pending: Sequence[Proposal], is_new: Callable[[Values], bool]
    ) -> Proposal | None:
        """The first proposal that is new; see ``Model.propose``."""
        with quiet(), one_thread():
            for proposal in pending[self._n_pending :]:
                self._study.add_trial(self._running(proposal))
            self._n_pending = len(pending)
            found = (self._ask() for _ in range(self._tries))
            return next((proposal for proposal in found if is_new(proposal.values)), None)

    def _running(self, proposal: Proposal) -> FrozenTrial:
        from optuna.trial import TrialState

        return trial_of(self._space, proposal, whole=self._whole, state=TrialState.RUNNING)

    def _ask(self) -> Proposal:
        from optuna.trial import TrialState

        axes = self._space.axes
        trial = self._study.ask(_distributions(axes, range(len(axes))) if self._whole else None)

        def pick(number: int) -> float:
            axis, name = axes[number], name_of(axes, number)
            if axis.kind == "range":
                return float(trial.suggest_float(name, 0.0, 1.0))
            if axis.kind == "steps":
                return _middle(axis, trial.suggest_int(name, 0, axis.n - 1))
            return _middle(axis, trial.suggest_categorical(name, tuple(range(axis.n))))

        values = self._space.picked(pick)
        point = np.array([pick(number) for number in range(len(axes))]) if self._whole else None
        self._study.tell(trial, state=TrialState.FAIL)
        return Proposal(values, point)


def trial_of(space: UnitSpace, proposal: Proposal, *, whole: bool, **ending: Any) -> FrozenTrial:
    """A proposal as a trial of a study.

    Parameters
    ----------
    space : the space as a unit box.
    proposal : where it has no point, inactive axes stand at their defaults.
    whole : whether inactive axes are parameters as well.
    ending : its state, value and so on, as ``optuna.trial.create_trial`` takes them.
    """
    from optuna.trial import create_trial

    axes, point = space.axes, proposal.point
    if point is None:
        point = space.point(proposal.values)
    numbers = range(len(axes)) if whole else space.active(proposal.values)
    params = {
        name_of(axes, number): _param(axes[number], float(point[number])) for number in numbers
    }
    return create_trial(params=params, distributions=_distributions(axes, numbers), **ending)


def name_of(axes: Sequence[Axis], number: int) -> str:
    """A parameter's name: a name that is declared in two branches is two parameters."""
    return f"{number:04d} {axes[number].name}"


def _distributions(axes: Sequence[Axis], numbers: Iterable[int]) -> dict[str, BaseDistribution]:
    return {name_of(axes, number): _distribution(axes[number]) for number in numbers}


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if axis.kind == "range":
        return FloatDistribution(0.0, 1.0)
    if axis.kind == "steps":
        return IntDistribution(0, axis.n - 1)
    return CategoricalDistribution(tuple(range(axis.n)))


def _middle(axis: Axis, index: int) -> float:
    return (index + 0.5) / axis.n


def _param(axis: Axis, at: float) -> float | int:
    return at if axis.kind == "range" else min(int(at * axis.n), axis.n - 1)


def sampler_seed(seed: int) -> int:
    """A seed of 128 bits as Optuna's samplers take it, 32 bits."""
    return seed % 2**32


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its lines on each study, and without saying that an option may change."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
