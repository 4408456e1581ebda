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
    gains : by how much more each of the first samples scores, on the rows left out, with what was
        decided on the rows drawn. One whose gain is unknown, as those are for which there was no
        time, gains what the others do on average.

    Examples
    --------
    >>> said = BiasCorrected(0.5, 0.4, 0.6, 0, None, 0.5, np.ones(1), 2, 0, np.array([0.4, 0.6]))
    >>> round(gained(said, np.array([0.1])).estimate, 3)
    0.6
    """
    is_known = np.isfinite(gains)
    if not is_known.any():
        return said
    by = np.full(len(said.scores), gains[is_known].mean())
    by[np.flatnonzero(is_known)] = gains[is_known]
    scores = said.scores + by
    known = scores[np.isfinite(scores)]
    low, high = np.quantile(known, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    estimate = float(known.mean())
    return replace(said, estimate=estimate, low=float(low), high=float(high), scores=scores)
