"""Figures of predicted quantiles: how many rows lie below each, and the fan that they make."""

from __future__ import annotations

from typing import Final

import numpy as np

from hpsearch.report.figures import Spec, thinned
from hpsearch.report.material import short
from hpsearch.report.predictions import Predicted, digits_of_offset, jeffreys

MOST_ROWS: Final = 200
"""Rows of the fan; of more, every so many are drawn."""


def coverage(predicted: Predicted) -> Spec | None:
    """For each level the share of rows at or below its quantile, as calibration is drawn.

    ``points`` are level, share, and its 95 % interval by Jeffreys, with a row counted once.
    """
    if predicted.kind != "quantile":
        return None
    n, points = predicted.n_rows(), []
    for column, level in enumerate(predicted.levels):
        share = predicted.mean(predicted.truth[:, 0] <= predicted.predicted[:, column])
        points.append([*map(short, (level, share, *jeffreys(share * n, n), n))])
    return {
        "kind": "calibration",
        "x": "level of the quantile",
        "y": "share of rows at or below it",
        "of": "Level",
        "came": "rows at or below",
        "points": points,
        "range": [0, 1],
    }


def fan(predicted: Predicted) -> Spec | None:
    """The quantiles of rows in the order of the middle one, and what was true of them.

    ``series`` have a line for each level; ``points`` are place, truth and row, of one repeat.
    """
    if predicted.kind != "quantile":
        return None
    first = np.flatnonzero(predicted.repeats == predicted.repeats.min())
    middle = predicted.predicted[first, len(predicted.levels) // 2]
    ordered = first[np.argsort(middle, kind="stable")]
    kept = ordered[thinned(len(ordered), MOST_ROWS)]
    digits = 5 + digits_of_offset(predicted.truth[:, 0])
    places = range(1, len(kept) + 1)
    series = [
        {
            "name": name,
            "points": [
                [place, short(value, digits)]
                for place, value in zip(places, predicted.predicted[kept, column], strict=True)
            ],
        }
        for column, name in enumerate(predicted.names)
    ]
    truth = predicted.truth[kept, 0]
    return {
        "kind": "fan",
        "x": "rows, by their middle quantile",
        "y": "value",
        "series": series,
        "points": [
            [place, short(value, digits), int(row)]
            for place, value, row in zip(places, truth, predicted.rows[kept], strict=True)
        ],
        "n_left_out": len(ordered) - len(kept),
    }
