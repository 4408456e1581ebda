"""GP, over Optuna's sampler: a Gaussian process with one length scale for each hyperparameter.

Where the process of ``bayesian`` weighs all hyperparameters alike, this one finds out which of them
matter, and proposes where the expected improvement is greatest (log EI; for a batch, over what the
pending candidates may bring). That takes seconds a candidate, and PyTorch.

The process sees every hyperparameter; Optuna itself would draw those that are not always active.
An inactive one stands where the process put it when it proposed the candidate, at its default in
candidates that were drawn. Were it at its default throughout, the process would never see what it
proposed: expecting much of n = 4 in a branch without n, it would be told of n = 1, and propose that
branch again and again.

It learns scores by their ranks, with failed and stopped trials as ``normal_scores`` says; Optuna
itself would forget trials that were pruned or failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpsearch.oracles._learning import N_DRAWN, LearningOracle, Lesson, normal_scores
from hpsearch.oracles._optuna import StudyModel, sampler_seed, trial_of
from hpsearch.oracles._unit import UnitSpace
from hpsearch.oracles.base import Algorithm, OraclePlan

if TYPE_CHECKING:
    from keras_tuner import HyperParameters
    from optuna.samplers import BaseSampler

TRIES = 3
"""Proposals that Optuna is asked for until one is new; then a configuration is drawn."""


def make(hp: HyperParameters, plan: OraclePlan) -> LearningOracle:
    """The GP oracle of a space.

    Parameters
    ----------
    hp : the declared space. Its default configuration comes first, then draws, as in a random
        search with the same seed.
    plan : its seed, its trials and its direction matter.
    """
    space = UnitSpace(hp)

    def learn(lessons: Sequence[Lesson], seed: int) -> StudyModel:
        trials = [
            trial_of(space, lesson.proposal, whole=True, value=float(score))
            for lesson, score in zip(lessons, normal_scores(lessons), strict=True)
        ]
        return StudyModel(space, lambda: _sampler(seed), trials, whole=True, tries=TRIES)

    return LearningOracle(hp, plan, learn)


def _sampler(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(n_startup_trials=1, seed=sampler_seed(seed))


ALGORITHM = Algorithm(
    make, uses_scores=True, n_drawn=N_DRAWN, packages=("optuna", "torch"), extra="gp"
)
