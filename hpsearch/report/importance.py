"""Which hyperparameters the score depends on: permutation importance on a random forest.

A forest (Breiman 2001) learns the trials' ranks from their hyperparameters, and is asked about
trials that it was not fitted on. Where its answers are worth something, the loss of R² when the
values of one hyperparameter are shuffled among those trials says how much they rest on it. Ranks,
because diverged trials have scores of any size. The error is that of a mean over folds, corrected
for shared training trials (Nadeau & Bengio 2003), like any score here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.report.figures import Axis
from hpsearch.stats import corrected_se, t_interval
from hpsearch.task import loss_sign

LEAST_TRIALS: Final = 16
LEAST_R2: Final = 0.05
"""Below, the forest knows nothing of new trials, and shuffling can't take anything away."""
_FOLDS: Final = 5
_REPEATS: Final = 2
_SHUFFLES: Final = 4
_TREES: Final = 60

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """How much of the forest's R² on unseen trials rests on each hyperparameter.

    Attributes
    ----------
    names : hyperparameters, the most important first.
    drops, lows, highs : the loss of R² and its 95 % interval.
    r2 : of the forest on unseen trials.
    n_trials : trials that it rests on.
    """

    names: tuple[str, ...]
    drops: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    r2: float
    n_trials: int

    @property
    def is_telling(self) -> bool:
        """Whether the forest predicts trials that it has not seen at all."""
        return self.r2 >= LEAST_R2


def importance(shown: Sequence[Axis], scores: Floats, direction: str) -> Importance | None:
    """The importance of each hyperparameter, or None for fewer than ``LEAST_TRIALS`` trials.

    Parameters
    ----------
    shown : hyperparameters with one value per trial, ``figures.axes``.
    scores : one finite score per trial (n,).
    direction : ``min`` where a smaller score is better, else ``max``.
    """
    if len(scores) < LEAST_TRIALS or not shown:
        return None
    from scipy.stats import rankdata
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import RepeatedKFold

    X = np.array([[np.nan if v is None else v for v in axis.values] for axis in shown], float).T
    y = rankdata(loss_sign(direction) * scores) / len(scores)
    splitter = RepeatedKFold(n_splits=_FOLDS, n_repeats=_REPEATS, random_state=0)
    rng = np.random.default_rng(0)
    r2, drops = [], []
    for train, test in splitter.split(X):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.5, random_state=0)
        forest.fit(X[train], y[train])
        shuffled = [X[test], *_shuffled(X[test], rng)]
        guesses = forest.predict(np.concatenate(shuffled)).reshape(len(shuffled), len(test))
        losses = ((guesses - y[test]) ** 2).mean(axis=1) / y.var()
        r2.append(1 - losses[0])
        drops.append(losses[1:].reshape(X.shape[1], _SHUFFLES).mean(axis=1) - losses[0])
    by_name = np.array(drops).T
    means = by_name.mean(axis=1)
    errors = corrected_se(by_name, _FOLDS - 1, 1)
    lows, highs = t_interval(means, errors, by_name.shape[1] - 1)
    order = np.argsort(-means, kind="stable")
    return Importance(
        names=tuple(shown[i].name for i in order),
        drops=tuple(float(means[i]) for i in order),
        lows=tuple(float(lows[i]) for i in order),
        highs=tuple(float(highs[i]) for i in order),
        r2=float(np.mean(r2)),
        n_trials=len(scores),
    )


def _shuffled(X: Floats, rng: np.random.Generator) -> list[Floats]:
    """Copies of the rows, one column at a time shuffled among the rows where it is active."""
    copies = []
    for column in range(X.shape[1]):
        active = np.flatnonzero(~np.isnan(X[:, column]))
        for _ in range(_SHUFFLES):
            copy = X.copy()
            copy[active, column] = X[rng.permutation(active), column]
            copies.append(copy)
    return copies
