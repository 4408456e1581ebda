"""What a selection scores with predictions that are changed afterwards, by calibrating them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hpsearch.stats.base import Floats
from hpsearch.stats.bootstrap import BiasCorrected


def gained(said: BiasCorrected, gains: Floats, *, level: float = 0.95) -> BiasCorrected:
    """The score of a selection whose predictions are changed afterwards.

    Parameters
    ----------
    gains : (B,) by how much more each sample scores, on the rows left out, with what was decided on
        the rows drawn; a sample without one doesn't count.

    Examples
    --------
    >>> said = BiasCorrected(0.5, 0.4, 0.6, 0, None, 0.5, np.ones(1), 2, 0, np.array([0.4, 0.6]))
    >>> gained(said, np.array([0.1, np.nan])).estimate
    0.5
    """
    scores = said.scores + gains
    known = scores[np.isfinite(scores)]
    if not len(known):
        return said
    low, high = np.quantile(known, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return replace(
        said,
        estimate=float(known.mean()),
        low=float(low),
        high=float(high),
        n_bootstraps=len(known),
        n_skipped=len(scores) - len(known),
        scores=scores,
    )
