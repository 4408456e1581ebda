"""What a session scores with; made of a search's options by ``hpsearch.search.plan``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hpsearch.data.class_weights import ClassWeight
from hpsearch.engines.contract import FitOptions
from hpsearch.engines.workers import Cluster
from hpsearch.space.space import Space
from hpsearch.transformers import OwnTransformer

ScaleTarget = Literal["auto", True, False]


@dataclass(frozen=True)
class SessionPlan:
    """What a session scores with.

    Attributes
    ----------
    space, fixes : the networks, and the hyperparameters that are held.
    engine : ``"auto"``, or an engine's name.
    options : how candidates are trained.
    jobs : units that are trained at the same time; None for as many as the machines take.
    n_candidates : how many are scored at most.
    cluster : whose workers train; None for processes on this machine.
    trial_timeout : seconds that a work unit may take; None for any time.
    scale_target : standardise a regression target; ``"auto"`` does where the last layer is linear
        and the loss measures a distance, as a network with a positive output could not follow.
    max_levels, max_words : slots of a category or word column.
    class_weight : what rows of a class weigh in the loss.
    must_save : whether networks must be loadable without the space's code.
    transformer : what prepares rows in place of the preprocessing of every kind, or None.
    at_end : whether candidates are scored at their last epoch, and not at the best one.
    """

    space: Space
    fixes: Mapping[str, Any]
    engine: str
    options: FitOptions
    jobs: int | None
    scale_target: ScaleTarget
    max_levels: int
    max_words: int
    must_save: bool
    trial_timeout: float | None = None
    n_candidates: int = 1
    cluster: Cluster | None = None
    class_weight: ClassWeight | None = None
    at_end: bool = False
    transformer: OwnTransformer | None = None
