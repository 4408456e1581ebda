"""Trainings on all rows that end somewhere far worse than those of the folds did.

Some networks find a poor optimum now and then: of twelve folds eleven end alike, and one far
behind. The mean over the folds has such trainings in it; what is exported is one training, and the
user of it has no mean. So its score on its own training rows is held against those that the folds
have on theirs. Where it is far worse, ``refit`` trains the network under another seed, and keeps
the best of a few. No validation row is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.stats import median_abs_deviation

from hpsearch.task import loss_sign

TRAININGS: Final = 3
"""How often a network is trained at most, until one did not miss."""

SEEDS_BETWEEN: Final = 1_000
"""Between the numbers of the seeds of a network's trainings; an ensemble's networks count by 1."""

N_SAMPLED: Final = 10_000
"""Training rows that are looked at first; all of them where these say that the training missed."""

FEWEST_FOLDS: Final = 3
"""Of two scores nobody can say which is the usual one."""

LEAST_SHARE, SPREADS = 0.25, 6.0
"""A miss is behind the folds' median by six times their robust deviation, and by a quarter of what
they score, on training or validation rows, whichever is more: networks that know their training
rows by heart differ by large shares of nearly nothing."""


@dataclass(frozen=True)
class Usual:
    """What the networks of a configuration's folds score on their own training rows.

    Attributes
    ----------
    scores : one a fold, at the best epoch, of the selecting metric.
    validation : its mean on the folds' validation rows.
    """

    scores: tuple[float, ...]
    validation: float

    @classmethod
    def of(cls, folds: Iterable[Mapping[Any, Any]], metric: str) -> Usual:
        """From rows of ``folds.csv``; folds without a score don't count."""
        sides = [(float(row[f"train_{metric}"]), float(row[f"val_{metric}"])) for row in folds]
        known = [each for each in sides if np.isfinite(each).all()]
        validation = float(np.mean([score for _, score in known])) if known else np.nan
        return cls(tuple(score for score, _ in known), validation)

    def is_missed_by(self, score: float, direction: str) -> bool:
        """Whether a training that scores so on its rows ended far behind them, or nowhere.

        Examples
        --------
        >>> usual = Usual((0.52, 0.53, 0.51, 0.52), validation=0.56)
        >>> usual.is_missed_by(0.6, "min"), usual.is_missed_by(0.7, "min")
        (False, True)
        """
        if len(self.scores) < FEWEST_FOLDS:
            return False
        middle = float(np.median(self.scores))
        spread = float(median_abs_deviation(self.scores, scale="normal"))
        behind = loss_sign(direction) * (score - middle)
        least = LEAST_SHARE * max(abs(middle), abs(self.validation))
        return not behind <= max(least, SPREADS * spread)
