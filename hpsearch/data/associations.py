"""Which columns of a table say nearly the same: measures of association, and groups by them.

As in scikit-learn's example on permutation importance with multicollinear features, columns are
clustered by how much they go together. Numbers and dates go together by Spearman's rank
correlation, categories by Cramér's V, corrected for chance, and a category with a number by the
correlation ratio of its ranks. Texts, words and arrays are columns of their own.

References
----------
Bergsma, W.: A bias-correction for Cramér's V and Tschuprow's T. Journal of the Korean Statistical
Society 42 (2013) 323-328.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.dataset import Column, Dataset

TOGETHER: Final = 0.7
"""Columns of a group are associated at least so much, each with each."""

MOST_ROWS: Final = 5_000
"""Rows that associations are measured on; of more, so many, spread evenly over the table."""

MOST_COLUMNS: Final = 1_000
"""Of more columns, each is a group of its own: all pairs would take minutes."""

Floats = NDArray[np.float64]


def column_groups(dataset: Dataset, least: float = TOGETHER) -> tuple[tuple[str, ...], ...]:
    """Columns that go together, each column in one group, in the order of the table.

    Complete linkage: any two columns of a group are associated by ``least`` or more.

    Examples
    --------
    >>> import hpsearch
    >>> x = pd.DataFrame({"a": range(20), "b": [i * i for i in range(20)], "c": [0, 1, 2, 1] * 5})
    >>> column_groups(hpsearch.load(x, range(0, 100, 5)))
    (('a', 'b'), ('c',))
    """
    names = [column.name for column in dataset.schema.columns]
    compared = [c for c in dataset.schema.columns if c.kind in ("number", "date", "category")]
    clusters: dict[str, int] = {}
    if 1 < len(compared) <= MOST_COLUMNS:
        numbers = _clusters(associations(dataset, compared), least)
        clusters = {c.name: int(n) for c, n in zip(compared, numbers, strict=True)}
    groups: dict[tuple[str, int | str], list[str]] = {}
    for name in names:
        key = ("cluster", clusters[name]) if name in clusters else ("alone", name)
        groups.setdefault(key, []).append(name)
    return tuple(tuple(group) for group in groups.values())


def associations(dataset: Dataset, columns: list[Column]) -> Floats:
    """How much columns go together, each with each: 0 for not at all, 1 for the same."""
    rows = np.unique(np.linspace(0, dataset.n_rows - 1, MOST_ROWS).astype(np.int64))
    frame = dataset.frame.iloc[rows]
    is_number = np.array([column.kind != "category" for column in columns])
    ranks = [_ranks(frame[c.name]) for c in columns if c.kind != "category"]
    codes = [_codes(frame[c.name]) for c in columns if c.kind == "category"]
    found = np.eye(len(columns))
    numbers, categories = np.flatnonzero(is_number), np.flatnonzero(~is_number)
    if ranks:
        standard = np.stack(ranks)
        found[np.ix_(numbers, numbers)] = np.abs(standard @ standard.T)
    for place, i in enumerate(categories):
        for number, j in enumerate(numbers):
            found[i, j] = found[j, i] = _correlation_ratio(codes[place], ranks[number])
        for other, j in enumerate(categories[:place]):
            found[i, j] = found[j, i] = _cramers_v(codes[place], codes[other])
    return np.clip(found, 0.0, 1.0)


def _clusters(association: Floats, least: float) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distances = squareform(1.0 - association, checks=False)
    found: NDArray[np.int64] = fcluster(linkage(distances, "complete"), 1.0 - least, "distance")
    return found


def _ranks(cells: pd.Series) -> Floats:
    """Mean ranks, of mean 0 and length 1; missing cells stand in the middle."""
    ranks = cells.rank().to_numpy(dtype=np.float64)
    away = np.nan_to_num(ranks - np.nanmean(ranks)) if np.isfinite(ranks).any() else 0.0 * ranks
    length = math.sqrt(float(away @ away))
    return np.nan_to_num(away / length) if length > 0 else np.zeros(len(ranks))


def _codes(cells: pd.Series) -> NDArray[np.int64]:
    """Whole numbers of the levels that are there; missing cells are a level."""
    codes, _ = pd.factorize(cells, use_na_sentinel=False)
    return np.asarray(codes, np.int64)


def _correlation_ratio(codes: NDArray[np.int64], ranks: Floats) -> float:
    """The square root of the share of ranks' variance that lies between levels."""
    counts = np.bincount(codes)
    between = float((np.bincount(codes, weights=ranks) ** 2 / np.maximum(counts, 1)).sum())
    n, k = len(codes), len(counts)
    if n <= k or not ranks.any():  # each row a level of its own says nothing
        return 0.0
    # Less what chance alone gives k levels (epsilon squared, Kelley 1935).
    return math.sqrt(max(0.0, 1.0 - (1.0 - between) * (n - 1) / (n - k)))


def _cramers_v(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    r, k, n = one.max() + 1, other.max() + 1, len(one)
    if min(r, k) < 2 or n < 2:
        return 0.0
    table = np.bincount(one * k + other, minlength=r * k).reshape(r, k)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi2 = float(((table - expected) ** 2 / np.maximum(expected, 1e-300)).sum()) / n
    corrected = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    levels = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1.0
    return math.sqrt(min(1.0, corrected / levels)) if levels > 0 else 0.0
