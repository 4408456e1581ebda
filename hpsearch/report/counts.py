"""Figures of predicted counts: how often each one occurs, beside what Poisson's distribution says.

Every prediction is the mean of a Poisson distribution; summed over the rows these say how many rows
to expect with 0, 1, 2 and so on (Kleiber & Zeileis: Visualizing count data regressions using
rootograms. The American Statistician 70 (2016) 296-303).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from hpsearch.report.figures import Spec
from hpsearch.report.material import short
from hpsearch.report.predictions import Predicted

MOST_COUNTS: Final = 20
"""Counts that have a bar of their own; of more, as many bars share them."""

_COVERED: Final = 0.995


def frequencies(predicted: Predicted, column: int = 0) -> Spec | None:
    """Rows with each count, observed and expected.

    ``shares`` are of all rows; ``edges`` lie between the counts of neighbouring bars, and the last
    bar has all larger counts too.
    """
    if predicted.kind != "count":
        return None
    truth = predicted.truth[:, column]
    expected = np.maximum(predicted.predicted[:, column], 0.0)
    highest = int(max(np.quantile(truth, _COVERED), np.quantile(expected, _COVERED), 1.0))
    step = -(-(highest + 1) // MOST_COUNTS)
    lows = np.arange(0, highest + 1, step)
    observed = np.diff([*(predicted.mean(truth < low) for low in lows), 1.0])
    chances = (predicted.mean(poisson.cdf(low - 1, expected)) for low in lows[1:])
    below = [0.0, *chances, 1.0]
    series = [("observed", observed), ("expected", np.diff(below))]
    edges = [*lows, lows[-1] + step]
    return {
        "kind": "shares",
        "of": predicted.names[column],
        "x": "count",
        "what": "counts",
        "edges": [float(edge) - 0.5 for edge in edges],
        "series": [{"name": name, "shares": [short(s, 4) for s in v]} for name, v in series],
    }


def dispersion(predicted: Predicted, column: int = 0) -> float:
    """Pearson's: how many times as much counts vary as Poisson's distribution has it; or nan."""
    truth: NDArray[np.float64] = predicted.truth[:, column]
    mean = predicted.predicted[:, column]
    known = np.flatnonzero(mean > 0)
    if not len(known):
        return float("nan")
    return predicted.mean((truth - mean) ** 2 / np.where(mean > 0, mean, 1.0), known)
