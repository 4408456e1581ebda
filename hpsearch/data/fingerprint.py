"""Fingerprints: one SHA-256 for everything in a dataset that influences training.

Equal content gives an equal fingerprint, whatever file type or in-memory types it came from.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from hpsearch.data.dataset import Column, Dataset


def fingerprint(data: Dataset) -> str:
    """SHA-256 (hex) of the columns' names, kinds and cells, the target, groups and times.

    The name, the notes, the reasons for kinds and the test rows play no part. The order of rows
    and columns does: both influence training.
    """
    digest = hashlib.sha256()
    _add_json(digest, _description(data))
    cells = dict(data.frame.items())
    for column in data.schema.columns:
        if column.name in data.arrays:
            _add_block(digest, data.arrays[column.name])
        else:
            _add_cells(digest, cells[column.name])
    for values in (data.y, data.groups, data.time):
        _add_json(digest, None if values is None else values.shape)
        if values is not None:
            _add_array(digest, values)
    return digest.hexdigest()


def fingerprint_of_weights(data: Dataset) -> str | None:
    """SHA-256 (hex) of what the rows weigh; None where all weigh the same.

    It stands apart: a run with weights and one without are compared on the same rows.
    """
    if data.weights is None:
        return None
    digest = hashlib.sha256()
    _add_array(digest, data.weights)
    return digest.hexdigest()


def _description(data: Dataset) -> Any:
    target = data.target
    levels = {"levels": target.levels} if target.levels else {}
    long = data.schema.long
    form = {"long": (long.window, long.horizon, long.names)} if long else {}
    return {
        **levels,
        **form,
        "columns": [_column(column) for column in data.schema.columns],
        "target": (target.names, target.kind, target.labels, target.one_hot),
        "rows": data.n_rows,
    }


def _column(column: Column) -> tuple[Any, ...]:
    described = column.name, column.kind, column.shape, column.levels
    if column.width:
        return (*described, "tokens", column.width, column.padding)
    if column.array_kind == "image" or (column.array_kind, len(column.shape)) == ("video", 4):
        return described  # a network sees the same
    padding = () if column.padding is None else (column.padding,)
    return (*described, column.array_kind, *padding)


def _add_json(digest: Any, value: Any) -> None:
    digest.update(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode())
    digest.update(b"\n")


def _add_block(digest: Any, array: NDArray[Any] | sparse.csr_array) -> None:
    if not sparse.issparse(array):
        _add_array(digest, array)
        return
    words = sparse.csr_array(array, copy=True)
    words.sort_indices()
    _add_array(digest, words.indptr.astype(np.int64))
    _add_array(digest, words.indices.astype(np.int64))
    _add_array(digest, words.data)


def _add_cells(digest: Any, cells: pd.Series[Any]) -> None:
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        _add_array(digest, cells.astype("datetime64[us]").to_numpy().astype(np.int64))
    elif pd.api.types.is_numeric_dtype(cells.dtype):
        values = cells.to_numpy(dtype=np.float64)
        _add_array(digest, np.where(np.isnan(values), np.nan, values))
    else:
        codes, levels = pd.factorize(cells, sort=True)
        _add_json(digest, list(levels))
        _add_array(digest, codes.astype(np.int64))


def _add_array(digest: Any, array: NDArray[Any]) -> None:
    """Type, shape and bytes, least significant byte first."""
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    _add_json(digest, [plain.dtype.str, plain.shape])
    digest.update(plain.data if plain.size else b"")
