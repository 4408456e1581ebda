"""Blocks: rows that must stay on one side, because they are copies or belong to one group.

Owns the search for exact copies of rows and their union with groups. Which block goes to which
fold belongs to ``deal``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from hpsearch.errors import FoldError

if TYPE_CHECKING:
    from hpsearch.data.dataset import Dataset

_CHUNK_BYTES = 1 << 20

_known: WeakKeyDictionary[Dataset, NDArray[np.int64]] = WeakKeyDictionary()
"""Found once for a dataset: its split is chosen, said and made."""


def duplicate_ids(X: Any) -> NDArray[np.int64]:
    """Number the distinct rows of a table: rows are copies where their numbers are equal.

    Missing cells equal missing cells of the same column, and -0.0 equals 0.0; nothing is rounded.
    Rows are told apart by 128-bit BLAKE2b digests.

    Parameters
    ----------
    X : array (n, ...), DataFrame, Series, list, or sparse array or matrix (n, m).

    Returns
    -------
    Numbers from 0 in the order of the first occurrence, int64 (n,).

    Raises
    ------
    FoldError : where a cell, such as a list, cannot be compared.

    Examples
    --------
    >>> import numpy as np
    >>> duplicate_ids(np.array([[1.0, np.nan], [2.0, 0.0], [1.0, np.nan], [2.0, -0.0]]))
    array([0, 1, 0, 1])
    """
    if sparse.issparse(X):
        return _number(_sparse_rows(X))
    if isinstance(X, pd.Series):
        X = X.to_frame()
    if isinstance(X, pd.DataFrame):
        return _frame_ids(X)
    array = np.asarray(X)
    if array.ndim == 0:
        raise FoldError("Folds need one row per sample; received a single value. Pass a table.")
    if array.dtype.kind in "biufcmMSUV":
        return _number(_array_rows(array.reshape(len(array), -1)))
    return _frame_ids(pd.DataFrame(array.reshape(len(array), -1)))


def dataset_duplicates(dataset: Dataset) -> NDArray[np.int64]:
    """Number the distinct rows of a dataset by all of its features, the target left out.

    Rows with one image, of those that come from files, are copies whatever stands beside it: it is
    what a network would know again.

    Returns
    -------
    Numbers from 0 in the order of the first occurrence, int64 (n_rows,).
    """
    if dataset not in _known:
        parts = {name: duplicate_ids(array) for name, array in dataset.arrays.items()}
        images = [parts[c.name] for c in dataset.schema.columns if c.image_form]
        each = list(parts.values())
        if dataset.frame.shape[1]:
            each.append(duplicate_ids(dataset.frame))
        together = np.stack(each, axis=1) if each else np.zeros((dataset.n_rows, 1))
        _known[dataset] = reduce(join_blocks, images, duplicate_ids(together))
    return _known[dataset]


def join_blocks(
    ids: NDArray[np.integer[Any]], groups: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Number the smallest blocks that split neither ids nor groups (connected components).

    Parameters
    ----------
    ids, groups : codes from 0, integers (n,).

    Examples
    --------
    >>> import numpy as np
    >>> join_blocks(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    array([0, 0, 0, 1])
    """
    n_ids, n_groups = int(ids.max()) + 1, int(groups.max()) + 1
    n_nodes = n_ids + n_groups
    links = sparse.coo_array(
        (np.ones(len(ids), dtype=np.int8), (ids, groups + n_ids)), shape=(n_nodes, n_nodes)
    )
    _, component = connected_components(links, directed=False)
    blocks: NDArray[np.int64] = pd.factorize(component[ids])[0].astype(np.int64)
    return blocks


def _frame_ids(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Number the rows of a table by its floats (as they are) and the codes of its other columns."""
    is_float = np.array([_is_float(dtype) for dtype in frame.dtypes], dtype=bool)
    codes = [_codes(frame.iloc[:, int(at)]) for at in np.flatnonzero(~is_float)]
    if is_float.any():
        floats = (frame if is_float.all() else frame.iloc[:, np.flatnonzero(is_float)]).to_numpy()
        codes.append(_number(_array_rows(floats)))
    if not codes:
        return np.zeros(len(frame), dtype=np.int64)
    return _number(_array_rows(np.stack(codes, axis=1)))


def _is_float(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "f"


def _codes(column: pd.Series[Any]) -> NDArray[np.int64]:
    try:
        return np.asarray(pd.factorize(column)[0], dtype=np.int64)
    except TypeError as error:
        raise FoldError(
            f"Copies of a row can only be found where cells can be compared; column "
            f'{column.name!r} holds others ({error}). Pass duplicates="ignore".'
        ) from error


def _array_rows(array: NDArray[Any]) -> Iterator[bytes | memoryview]:
    """The bytes of each row of a two-dimensional array, equal where the rows are equal."""
    row_bytes = max(1, array.shape[1] * array.dtype.itemsize)
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, len(array), step):
        chunk = _canonical(array[start : start + step])
        raw = memoryview(chunk.tobytes())
        width = len(raw) // len(chunk)
        for at in range(len(chunk)):
            yield raw[at * width : (at + 1) * width]


def _canonical(array: NDArray[Any]) -> NDArray[Any]:
    """The same values, with one bit pattern for NaN, for zero and for a missing date."""
    if array.dtype.kind not in "fc":
        return array
    if array.dtype.itemsize > 8 and array.dtype.kind == "f":
        array = array.astype(np.float64)
    array = array + 0.0
    array[np.isnan(array)] = np.nan
    return array


def _sparse_rows(X: Any) -> Iterator[bytes]:
    """The bytes of each row's non-zero columns and values."""
    csr = sparse.csr_array(X, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    csr.sort_indices()
    values, columns = _canonical(csr.data), csr.indices.astype(np.int64)
    for start, stop in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        yield columns[start:stop].tobytes() + values[start:stop].tobytes()


def _number(rows: Iterator[Any]) -> NDArray[np.int64]:
    seen: dict[bytes, int] = {}
    ids = [seen.setdefault(blake2b(row, digest_size=16).digest(), len(seen)) for row in rows]
    return np.array(ids, dtype=np.int64)
