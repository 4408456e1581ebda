"""The form of a journal's row: a finished work unit as a key, a head in JSON, and arrays.

Owns that form and the digest of a row. Arrays are stored as ``.npy`` bytes without pickling: the
curves of a unit's folds as float64 (n_folds, 1 + 2 n_metrics, n_epochs), training loss first, then
validation and training metrics; its predictions (n_predicted, rows of all folds, ...) as float32,
or as float64 where the target lies far from zero.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.contract import FoldResult, Span, UnitResult, WorkUnit
from hpsearch.space.space import Candidate

_MAX_FOLDS: Final = 2**20
_MAX_EPOCHS: Final = 2**20
_PREDICTED: Final = (np.float32, np.float64)

LARGEST: Final = 2**53
"""Whole numbers below are exact in every table."""

Row = tuple[int, str, bytes, bytes]
"""Key, head, arrays and digest."""


def keys_of(trial: int) -> tuple[int, int]:
    """The smallest and the largest key that a unit of a trial may have."""
    n_keys = _MAX_FOLDS * _MAX_EPOCHS
    return trial * n_keys, (trial + 1) * n_keys - 1


def digest(*parts: Any) -> bytes:
    """SHA-256 of the parts, each with its type and length."""
    found = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else repr(part).encode("utf-8", "replace")
        found.update(f"{type(part).__name__} {len(content)}\n".encode())
        found.update(content)
    return found.digest()


def compact_json(value: Any) -> str:
    """The one text that stands for a value in a journal."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def encoded(result: UnitResult) -> Row:
    """The row of a unit."""
    folds = result.folds
    head = {
        "trial": result.unit.candidate.trial,
        "folds": result.unit.folds,
        "since": result.unit.span.since,
        "until": result.unit.span.until,
        "block": result.unit.span.block,
        "asked": dict(result.unit.candidate.values),
        "values": dict(result.values),
        "n_params": result.n_params,
        "seconds": result.seconds,
        "error": result.error,
        "traceback": result.traceback,
        "positions": [fold.position for fold in folds],
        "seeds": [fold.seed for fold in folds],
        "metrics": list(folds[0].validation) if folds else [],
        "rows": [fold.predictions.shape[1] for fold in folds],
        "predicted": folds[0].predicted if folds else None,
        **({"phases": result.phases} if result.phases else {}),
    }
    key, text, arrays = _key(result.unit), compact_json(head), _array_bytes(folds)
    return key, text, arrays, digest(key, text, arrays)


def _key(unit: WorkUnit) -> int:
    trial, first_fold, since = unit.key
    return (trial * _MAX_FOLDS + first_fold) * _MAX_EPOCHS + since


def _array_bytes(folds: Sequence[FoldResult]) -> bytes:
    if not folds:
        return b""
    curves = np.stack(
        [np.stack([f.train_loss, *f.validation.values(), *f.train.values()]) for f in folds]
    )
    stream = io.BytesIO()
    predictions = np.concatenate([fold.predictions for fold in folds], axis=1)
    for array in (curves.astype(np.float64, copy=False), predictions):
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def decoded(text: str, arrays: bytes) -> UnitResult:
    """The unit of a row.

    Raises
    ------
    ValueError
        It is not in the form that ``encoded`` gives; no unit that hpsearch wrote is.
    """
    try:
        head = json.loads(text)
        _check(head)
        return _built(head, arrays)
    except Exception as error:  # a header of NumPy's that is none raises many kinds
        raise ValueError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _check(head: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless every entry has its type."""
    optional_text = (str, NoneType)
    for name in ("trial", "since"):
        _require(_is_count(head[name]), name)
    for name in ("until", "block", "n_params"):
        _require(head[name] is None or _is_count(head[name]), name)
    for name, kinds in (
        *(("error", optional_text), ("traceback", optional_text), ("seconds", (int, float))),
        *(("asked", (dict,)), ("values", (dict,)), ("metrics", (list,))),
    ):
        _require(type(head[name]) in kinds, name)
    for name in ("folds", "positions", "seeds", "rows"):
        _require(type(head[name]) is list and all(map(_is_count, head[name])), name)
    phases = head.get("phases", [])
    _require(type(phases) is list and all(map(_is_count, phases)), "phases")
    _require(bool(head["folds"]) and set(head["positions"]) <= set(head["folds"]), "folds")
    _require(0 <= head["seconds"] < math.inf, "seconds")
    _require(all(type(name) is str for name in head["metrics"]), "metrics")
    values = [*head["asked"].values(), *head["values"].values()]
    _require(all(_is_scalar(value) for value in values), "values")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST


def _is_scalar(value: Any) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
    return value is None or isinstance(value, str | bool)


def _require(is_right: bool, name: str) -> None:
    if not is_right:
        raise ValueError(f"its {name} are none that were written")


def _built(head: Mapping[str, Any], arrays: bytes) -> UnitResult:
    candidate = Candidate(head["trial"], head["asked"])
    return UnitResult(
        WorkUnit(
            candidate, tuple(head["folds"]), Span(head["since"], head["until"], head["block"])
        ),
        folds=tuple(_built_folds(head, arrays)),
        values=head["values"],
        n_params=head["n_params"],
        seconds=head["seconds"],
        error=head["error"],
        traceback=head["traceback"],
        phases=tuple(head.get("phases", ())),
    )


def _built_folds(head: Mapping[str, Any], arrays: bytes) -> Iterator[FoldResult]:
    if not head["positions"]:
        return
    stream = io.BytesIO(arrays)
    curves, predictions = (np.lib.format.read_array(stream, allow_pickle=False) for _ in range(2))
    metrics, predicted = head["metrics"], head["predicted"]
    n_predicted = curves.shape[2] if predicted is None else len(predicted)
    _require(curves.shape[:2] == (len(head["positions"]), 1 + 2 * len(metrics)), "curves")
    _require(predictions.shape[:2] == (n_predicted, sum(head["rows"])), "predictions")
    _require(curves.dtype == np.float64 and predictions.dtype in _PREDICTED, "arrays")
    ends = np.cumsum(head["rows"])
    for number, (position, seed) in enumerate(zip(head["positions"], head["seeds"], strict=True)):
        loss, *sides = curves[number]
        first, last = ends[number] - head["rows"][number], ends[number]
        yield FoldResult(
            position=position,
            seed=seed,
            epochs=len(loss),
            train_loss=loss,
            validation=_named(metrics, sides[: len(metrics)]),
            train=_named(metrics, sides[len(metrics) :]),
            predictions=predictions[:, first:last],
            predicted=None if predicted is None else tuple(predicted),
            since=head["since"],
        )


def _named(
    names: Sequence[str], curves: Sequence[NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    return dict(zip(names, curves, strict=True))
