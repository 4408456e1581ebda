"""The model of a run as MLflow's ``pyfunc``: raw rows in, what ``hpsearch.predict`` says out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hpsearch.data.dataset import Column, Schema
from hpsearch.task import Target

if TYPE_CHECKING:
    from hpsearch.results import Run


class RunModel:
    """What MLflow calls."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def predict(self, rows: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Predict raw rows, as ``hpsearch.predict`` does; ``trust`` may be among the parameters."""
        from hpsearch.export.prediction import predict

        return predict(self._run, rows, trust=bool((params or {}).get("trust")))


def _load_pyfunc(path: str) -> RunModel:
    """Open the model; MLflow calls it with the folder that it keeps."""
    return RunModel(Path(path))


def signature_of(run: Run) -> Any:
    """The model's signature: a type for each column, or ``any`` where cells come in several forms.

    A whole number and a level that looks like a number are such: a table that is read anew may hold
    either integers or floats, and MLflow takes neither for the other.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec
    from mlflow.types import Schema as MlflowSchema

    schema, ranges = Schema.from_json(run.manifest["schema"]), run.manifest.get("ranges") or {}
    inputs: list[Any] = [ColSpec(_type_of(c, ranges.get(c.name)), c.name) for c in schema.columns]
    outputs: list[Any] = [ColSpec(kind, name) for name, kind in _outputs(schema.target)]
    runs_code = (run.manifest.get("preprocess") or {}).get("form") == "joblib"
    signature = ModelSignature(MlflowSchema(inputs), MlflowSchema(outputs))
    if runs_code:
        signature.params = ParamSchema([ParamSpec("trust", DataType.boolean, False)])
    return signature


def _type_of(column: Column, seen: Any) -> Any:
    from mlflow.types.schema import AnyType, Array, DataType

    either = AnyType()  # type: ignore[no-untyped-call]
    if column.kind in ("number", "exposure") and not column.number_format:
        ends = [end for end in seen or () if end is not None]
        has_fractions = any(float(end) % 1 for end in ends)
        return DataType.double if has_fractions else either
    if column.kind == "category" and all(map(_looks_like_a_value, column.levels)):
        return either
    if column.kind == "date" and not column.date_format:
        return DataType.datetime
    if column.kind in ("array", "words"):
        made: Any = DataType.double
        for _ in column.shape:
            made = Array(made)
        return made
    return DataType.string


def _looks_like_a_value(level: str) -> bool:
    """Whether a cell of this level may come as a number or a truth value."""
    try:
        float(level)
    except ValueError:
        return level.lower() in ("true", "false")
    return True


def _outputs(target: Target) -> list[tuple[str, Any]]:
    """Name and type of each column of predictions."""
    from mlflow.types.schema import DataType

    from hpsearch.export.prediction import prediction_frame

    shape = (1,) if target.kind == "binary" else (1, max(1, target.n_outputs))
    frame = prediction_frame(target, np.zeros(shape))
    kinds = {"f": DataType.double, "i": DataType.long, "u": DataType.long, "b": DataType.boolean}
    return [
        (str(name), kinds.get(dtype.kind, DataType.string)) for name, dtype in frame.dtypes.items()
    ]
