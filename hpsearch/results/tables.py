"""The result tables: their columns, their row order, and CSV files that read back exactly.

Owns the canonical form of a cell and the layout of ``trials.csv``, ``folds.csv``,
``curves.csv``, ``predictions.csv``, ``timings.csv``, ``baselines.csv``, ``nested.csv`` and
``importance.csv``. How scores are computed belongs to ``hpsearch.metrics`` and ``hpsearch.stats``;
which folder the files go to belongs to ``folder``.

Canonical cells, so that ``pandas.read_csv(path)`` without options gives what was in memory:

- A float is rounded to 12 significant digits and at most 22 decimals. Then its digits are an
  integer below 2**53 times or divided by a power of ten that is exact in binary, so one rounded
  operation, which is what the parser of pandas 3.0 does, finds the same float. This holds up to
  a magnitude of 1e23; from pandas 3.1 on, whose parser rounds correctly, for every float.
- An integer stays an integer, with an empty cell where it is missing. The file says ``3``, never
  ``3.0``; a column with missing cells is read back as float with NaN, as pandas does.
- A text that pandas would read as missing gets a ``'`` in front, and what a spreadsheet would run
  as a formula gets one before it (``words.guarded``). Numbers never do. Every line end becomes a
  line feed, every control character U+FFFD. A column in which every text looks like a number or a
  truth value is read back as that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.results.files import write_atomically
from hpsearch.task import Direction, Target, loss_sign
from hpsearch.words import guarded

TRIAL_COLUMNS: Final = (
    "trial",
    "status",
    "rank",
    "score",
    "score_std",
    "score_se",
    "ci_low",
    "ci_high",
    "n_folds",
    "best_epoch",
    "epochs",
    "n_params",
    "error",
)
FOLD_COLUMNS: Final = ("trial", "repeat", "fold", "seed", "n_train", "n_val", "epochs")
CURVE_COLUMNS: Final = ("trial", "epoch", "n_folds")
TIMING_COLUMNS: Final = ("trial", "seconds")
BASELINE_COLUMNS: Final = ("baseline", "repeat", "fold", "n_train", "n_val")
NESTED_COLUMNS: Final = (
    *("fold", "n_train", "n_test", "trial", "epoch", "inner_score", "outer_score", "error"),
)
DECIDED_COLUMNS: Final = ("threshold", "threshold_score")
"""Of an outer fold, where its search chose a threshold."""
PREDICTING_COLUMNS: Final = ("model", "n_rows", "seconds")
IMPORTANCE_COLUMNS: Final = (
    *("column", "group", "importance", "importance_se", "ci_low", "ci_high", "n_folds"),
    "told_apart",
)

SIGNIFICANT_DIGITS: Final = 12
DECIMALS: Final = 22

_INTEGER_COLUMNS: Final = frozenset(
    {"trial", "rank", "n_folds", "best_epoch", "epochs", "n_params", "repeat", "fold"}
    | {"seed", "n_train", "n_val", "n_test", "epoch", "phase", "row", "group"}
)
_STATUS_ORDER: Final = {"completed": 0, "stopped": 1, "failed": 2}
_READ_AS_MISSING: Final = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"}
    | {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
)
_CONTROLS: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")

Rows = Iterable[Mapping[str, Any]]


def trials_table(rows: Rows, *, metrics: Sequence[str], direction: Direction) -> pd.DataFrame:
    """``trials.csv``: one row per trial, the best first, failed trials at the bottom.

    Parameters
    ----------
    rows : one mapping per trial with keys of ``TRIAL_COLUMNS`` (``rank`` is computed here),
        ``metric.<name>`` and ``hp.<name>``; an inactive hyperparameter is left out.
    metrics : the metrics' names, in the order of their columns.
    direction : ``"min"`` where a smaller score is better, else ``"max"``.

    Returns
    -------
    A canonical frame. ``rank`` counts from 1 over completed trials with a finite score, those
    scored on more folds first, ties by trial number; it is empty for the others. ``hp.`` columns
    are the sorted union over trials.

    Examples
    --------
    >>> rows = [
    ...     {"trial": 0, "status": "failed", "error": "ValueError: no", "hp.units": 8},
    ...     {"trial": 1, "status": "completed", "score": 0.25, "hp.units": 16},
    ... ]
    >>> table = trials_table(rows, metrics=(), direction="min")
    >>> table[["trial", "rank", "score", "hp.units"]].to_csv(index=False).split()
    ['trial,rank,score,hp.units', '1,1,0.25,16', '0,,,8']
    """
    ranked = _with_ranks([dict(row) for row in rows], direction)
    hyperparameters = sorted({key for row in ranked for key in row if key.startswith("hp.")})
    columns = (*TRIAL_COLUMNS, *(f"metric.{name}" for name in metrics), *hyperparameters)
    for row in ranked:
        row["error"] = row.get("error") or None
    return _frame(ranked, columns)


def folds_table(rows: Rows, *, metrics: Sequence[str]) -> pd.DataFrame:
    """``folds.csv``: one row per trial, repeat and fold, in that order.

    ``rows`` hold keys of ``FOLD_COLUMNS``, ``val_<metric>`` and ``train_<metric>``.
    """
    scores = [f"{side}_{name}" for side in ("val", "train") for name in metrics]
    ordered = sorted(rows, key=lambda row: (row["trial"], row["repeat"], row["fold"]))
    return _frame(ordered, (*FOLD_COLUMNS, *scores))


def curves_table(rows: Rows, *, metrics: Sequence[str]) -> pd.DataFrame:
    """``curves.csv``: one row per trial and epoch, in that order.

    ``rows`` hold keys of ``CURVE_COLUMNS``, and ``val_<metric>``, ``val_<metric>_se``,
    ``train_<metric>`` and ``train_loss``; where networks train in phases ``phase``, from 1.
    """
    validation = [f"val_{name}{end}" for name in metrics for end in ("", "_se")]
    training = [f"train_{name}" for name in metrics]
    ordered = sorted(rows, key=lambda row: (row["trial"], row["epoch"]))
    phase = ["phase"] if any("phase" in row for row in ordered) else []
    return _frame(ordered, (*CURVE_COLUMNS, *phase, *validation, *training, "train_loss"))


def timings_table(rows: Rows) -> pd.DataFrame:
    """``timings.csv``: one row per trial; ``rows`` hold ``trial`` and ``seconds``.

    Further keys that end in ``_seconds`` are kept, in sorted order.
    """
    ordered = sorted(rows, key=lambda row: row["trial"])
    parts = sorted({key for row in ordered for key in row if key.endswith("_seconds")})
    return _frame(ordered, (*TIMING_COLUMNS, *parts))


def baselines_table(rows: Rows, *, metrics: Sequence[str]) -> pd.DataFrame:
    """``baselines.csv``: one row per baseline, repeat and fold; baselines in the order given.

    ``rows`` hold keys of ``BASELINE_COLUMNS``, where ``n_train`` counts the rows that the model
    was fitted on, and ``val_<metric>``.
    """
    return _frame(list(rows), (*BASELINE_COLUMNS, *(f"val_{name}" for name in metrics)))


def nested_table(rows: Rows) -> pd.DataFrame:
    """``nested.csv``: one row per outer fold.

    ``rows`` hold keys of ``NESTED_COLUMNS`` and ``DECIDED_COLUMNS``, and ``hp.<name>`` of the
    inner search's winner.
    """
    ordered = sorted(rows, key=lambda row: row["fold"])
    hyperparameters = sorted({key for row in ordered for key in row if key.startswith("hp.")})
    decided = [name for name in DECIDED_COLUMNS if any(name in row for row in ordered)]
    return _frame(ordered, (*NESTED_COLUMNS, *decided, *hyperparameters))


def importance_table(rows: Rows) -> pd.DataFrame:
    """``importance.csv``: one row per column, in the order given."""
    return _frame(list(rows), IMPORTANCE_COLUMNS)


def predicting_table(rows: Rows) -> pd.DataFrame:
    """``predicting.csv``: one row per model that was timed, ``n_rows`` at once."""
    return _frame(list(rows), PREDICTING_COLUMNS)


def fold_predictions(
    target: Target,
    *,
    repeat: int,
    fold: int,
    rows: NDArray[np.integer[Any]],
    y_true: NDArray[Any],
    y_pred: NDArray[Any],
    weights: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    """One fold's part of ``predictions.csv``.

    Parameters
    ----------
    rows : row numbers of the validation rows (n,).
    y_true : their targets as ``Dataset.y`` holds them.
    y_pred : their canonical predictions: ``binary`` (n,) probabilities of ``labels[1]``,
        ``multiclass`` and ``multilabel`` (n, n_labels), else (n, n_values) in the target's units.

    weights : what the rows weigh in scores (n,), or None where all weigh the same.

    Returns
    -------
    A frame with ``row``, ``repeat``, ``fold``, and ``weight`` where rows weigh; ``y_true`` as
    decoded labels, or in its own units; and ``y_pred``. Where there are several predictions a row,
    ``y_pred.<label>`` for each, or ``y_pred.q<level>``; where there are several targets,
    ``y_true.<name>`` too.
    """
    columns: dict[str, Any] = {"row": rows, "repeat": repeat, "fold": fold}
    if weights is not None:
        columns["weight"] = weights
    truth = np.asarray(y_true).reshape(len(rows), -1)
    predicted = np.asarray(y_pred).reshape(len(rows), -1)
    names = [str(name) for name in (target.labels or target.quantiles or target.names)]
    if target.is_classification:
        columns["y_true"] = [target.labels[code] for code in truth[:, 0]]
        names = names if target.kind == "multiclass" else names[:1]
    else:
        for column, values in _named("y_true", names, truth):
            columns[column] = values.astype(int) if target.kind == "multilabel" else values
    columns |= _named("y_pred", names, predicted)
    return pd.DataFrame(columns)  # at once: column by column, more than 100 make pandas warn


def predictions_table(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """``predictions.csv``: the parts of ``fold_predictions``, by repeat, fold and row."""
    whole = pd.concat(list(parts), ignore_index=True)
    return canonical(whole.sort_values(["repeat", "fold", "row"], ignore_index=True))


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as its CSV file says it: see the module's docstring for the rules.

    Doing it twice changes nothing, and ``pandas.read_csv`` of ``table_text(frame)`` equals
    ``canonical(frame)``, but for the type of integer columns with missing cells.
    """
    columns = [_canonical_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    result = pd.concat(columns, axis=1) if columns else frame.copy()
    result.columns = pd.Index([_safe_header(str(name)) for name in frame.columns])
    return result.reset_index(drop=True)


def table_text(frame: pd.DataFrame) -> str:
    """The canonical frame as CSV: a header, commas, line feeds, no index."""
    return canonical(frame).to_csv(index=False, lineterminator="\n")


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write the canonical frame to ``path`` as UTF-8 CSV, whole or not at all."""
    write_atomically(path, table_text(frame).encode("utf-8"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table back; plain ``pandas.read_csv(path)`` gives the same."""
    return pd.read_csv(path, low_memory=False)


def _with_ranks(rows: list[dict[str, Any]], direction: str) -> list[dict[str, Any]]:
    """The rows in table order, each with its rank or None."""
    sign = loss_sign(direction)

    def position(row: dict[str, Any]) -> tuple[int, int, float, int]:
        score = _number(row.get("score"))
        if row["status"] == "completed" and math.isfinite(score):
            return (0, -(row.get("n_folds") or 0), sign * score, row["trial"])
        return (1 + _STATUS_ORDER[row["status"]], 0, 0.0, row["trial"])

    ordered = sorted(rows, key=position)
    for number, row in enumerate(ordered, start=1):
        row["rank"] = number if position(row)[0] == 0 else None
    return ordered


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A canonical frame of the rows with exactly these columns."""
    unknown = sorted({key for row in rows for key in row} - set(columns))
    if unknown:
        raise ValueError(f"The table has no columns {unknown}; it has {list(columns)}.")
    cells = {
        name: pd.Series([row.get(name) for row in rows], dtype=object, name=name)
        for name in columns
    }
    for name in _INTEGER_COLUMNS.intersection(columns):
        cells[name] = pd.Series(_integers(cells[name]), name=name)
    return canonical(pd.DataFrame(cells, columns=list(columns)))


def _integers(values: pd.Series) -> pd.api.extensions.ExtensionArray | NDArray[np.int64]:
    """Whole numbers as int64, or as ``Int64`` where some are missing."""
    missing = values.isna()
    whole = [None if gone else int(value) for value, gone in zip(values, missing, strict=True)]
    if missing.any():
        return pd.array(whole, dtype="Int64")
    return np.array(whole, dtype=np.int64)


def _named(
    prefix: str, names: Sequence[str], values: NDArray[Any]
) -> Iterable[tuple[str, NDArray[Any]]]:
    """``prefix`` alone for one column of values, ``prefix.<name>`` for several."""
    if values.shape[1] == 1:
        return [(prefix, values[:, 0])]
    return [(f"{prefix}.{name}", values[:, i]) for i, name in enumerate(names)]


def _canonical_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype):
        return column
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(_canonical_floats(values), index=column.index, name=column.name)
    return _canonical_objects(column)


def _canonical_objects(column: pd.Series) -> pd.Series:
    """A column of Python objects, in the narrowest type that holds all that are there."""
    present = [value for value in column if not _is_missing(value)]
    complete = len(present) == len(column)

    def typed(dtype: str) -> pd.Series:
        cells = [None if _is_missing(value) else value for value in column]
        return pd.Series(cells, index=column.index, name=column.name, dtype=dtype)

    if not present:
        return pd.Series(np.nan, index=column.index, name=column.name, dtype=np.float64)
    if all(isinstance(value, bool | np.bool_) for value in present):
        return typed("bool" if complete else "boolean")
    if all(_is_integer(value) for value in present):
        return typed("int64" if complete else "Int64")
    if all(_is_integer(value) or isinstance(value, float | np.floating) for value in present):
        return _canonical_column(typed("float64"))
    cells = [np.nan if _is_missing(value) else _canonical_cell(value) for value in column]
    text = all(isinstance(_canonical_cell(value), str) for value in present)
    return pd.Series(cells, index=column.index, name=column.name, dtype="str" if text else object)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _canonical_cell(value: Any) -> Any:
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return value
    if isinstance(value, float | np.floating):
        return _canonical_float(float(value))
    return _safe_text(str(value))


def _canonical_floats(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.fromiter(
        (_canonical_float(value) for value in values.tolist()), np.float64, len(values)
    )


def _canonical_float(value: float) -> float:
    if not math.isfinite(value):
        return value
    return round(float(f"{value:.{SIGNIFICANT_DIGITS}g}"), DECIMALS) + 0.0  # -0.0 becomes 0.0


def _safe_text(text: str) -> str:
    """The text as it may stand in a cell: no formula, not missing, line feeds only."""
    text = _plain_characters(text)
    return f"'{text}" if text in _READ_AS_MISSING else guarded(text)


def _safe_header(name: str) -> str:
    return guarded(_plain_characters(name))


def _plain_characters(text: str) -> str:
    """Line feeds only, since a carriage return ends a row; no half characters, no control codes.

    A table may be printed, and a terminal obeys the codes in it.
    """
    text = _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text.encode("utf-8", "replace").decode("utf-8")
