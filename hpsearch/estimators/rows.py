"""X and y as scikit-learn hands them over, and as ``hpsearch.load`` takes them.

Owns scikit-learn's rules for both (shapes, names of features, finite targets) and the order of the
classes. What a column is, is decided by ``hpsearch.data``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from hpsearch.data import Dataset, load
from hpsearch.data.arrow import frame_of, is_arrow, series_of
from hpsearch.data.memory import free_bytes
from hpsearch.data.understood import MISSING_WORDS
from hpsearch.errors import DataError

_BYTES_PER_CELL: Final = 16
"""Of a sparse matrix that becomes columns of numbers, which are encoded once more."""

_PLAIN_NAME: Final = re.compile(r"[^\W\d_][\w -]*[^\W_]|[^\W\d_]")
_WORDS_WITH_A_MEANING: Final = frozenset({*MISSING_WORDS, "true", "false"})


def checked_rows(estimator: Any, X: Any, *, fits: bool) -> Any:
    """X as ``hpsearch.load`` takes it, held against what the estimator was fitted on.

    Frames stay as they are, columns of text included. Arrays may have more than two axes. Missing
    cells are nan; infinite ones are refused. A sparse matrix of zeros and ones stays one; any other
    becomes an array.

    Parameters
    ----------
    fits : whether the estimator is fitted on it; else it must be as the rows that it was fitted on.
    """
    fewest = 2 if fits else 1
    if isinstance(X, pd.DataFrame) or (is_arrow(X) and hasattr(X, "columns")):
        frame = X if isinstance(X, pd.DataFrame) else frame_of(X)
        _check_size(frame, fewest)
        validate_data(estimator, X, reset=fits, skip_check_array=True)
        return frame
    X = _with_readable_cells(X)
    array = validate_data(
        estimator,
        X,
        reset=fits,
        dtype=None if _is_text(X) else "numeric",
        accept_sparse="csr",
        allow_nd=True,
        ensure_all_finite="allow-nan",
        ensure_min_samples=fewest,
    )
    return _dense_unless_words(array) if sparse.issparse(array) else array


def _check_size(frame: pd.DataFrame, fewest: int) -> None:
    """What ``check_array`` says of arrays."""
    n_rows, n_columns = frame.shape
    if n_rows < fewest:
        raise DataError(f"Found a frame with {n_rows} sample(s), and {fewest} are the fewest.")
    if n_columns == 0:
        raise DataError(f"Found a frame with 0 feature(s) (shape={frame.shape}); give it columns.")


def _is_text(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.dtype.kind in "OUST"


def _with_readable_cells(X: Any) -> Any:
    """An array of objects as numbers where all are, None for nan; with text it stays as it is.

    Raises
    ------
    TypeError
        A cell is neither.
    """
    if sparse.issparse(X):
        return X
    array = np.asarray(X)
    if array.dtype != object:
        return X if array.ndim == 0 else array
    cells = array.copy()
    missing = pd.isna(cells) if cells.ndim else np.zeros((), bool)
    cells[missing] = np.nan
    try:
        return cells.astype(np.float64)
    except ValueError:  # text
        for cell in cells.flat:
            if not isinstance(cell, str | bytes | np.datetime64) and not hasattr(cell, "isoformat"):
                float(cell)
        return cells
    except TypeError:
        if any(hasattr(cell, "isoformat") for cell in cells.flat):  # dates
            return cells
        raise


def _dense_unless_words(matrix: Any) -> Any:
    """A matrix of zeros and ones as it is, any other as an array, where there is memory for it."""
    if matrix.nnz == 0 or not (matrix.data[matrix.data != 0] == 1).all():
        needed, free = _BYTES_PER_CELL * matrix.shape[0] * matrix.shape[1], free_bytes()
        if needed > free:
            raise DataError(
                f"A sparse X that holds other values than 0 and 1 becomes an array; that of the "
                f"shape {matrix.shape} takes {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are "
                "free. Give (X > 0), or fewer columns, for instance by TruncatedSVD."
            )
        return matrix.toarray()
    return matrix


@dataclass(frozen=True, eq=False)
class Target:
    """A target as it is fitted on.

    Attributes
    ----------
    frame : its columns, as ``hpsearch.load`` takes them.
    values : itself, as scikit-learn's scorers take it: (n_rows,) or (n_rows, n).
    task : ``binary``, ``multiclass``, ``multilabel``, or one of numbers, such as ``regression``.
    classes : the different values of classes, sorted; of several labels their numbers; else None.
    labels : what stands for each class in the dataset; codes : the number of each row's class
        (n_rows,); else None.
    """

    frame: pd.DataFrame
    values: NDArray[Any]
    task: str
    classes: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    codes: NDArray[np.int64] | None = None

    def by_label(self, class_weight: Any) -> Any:
        """Weights of classes as weights of the dataset's labels; what names no class stays."""
        if not isinstance(class_weight, Mapping) or self.classes is None or self.labels is None:
            return class_weight
        label_of = dict(zip(self.classes.tolist(), self.labels.tolist(), strict=True))
        return {label_of.get(name, name): weight for name, weight in class_weight.items()}


def classes_target(y: Any) -> Target:
    """The target of a classifier: a class for each row, or a 0 or 1 for each of several labels.

    Raises
    ------
    ValueError
        Numbers are no classes, as scikit-learn says it; or ``DataError``: a row has several
        classes of several kinds.
    """
    y, names = _plain(y)
    if getattr(y, "dtype", None) is not None and y.dtype.kind in "fc":
        check_array(y, ensure_2d=False, accept_sparse=True, input_name="y")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind.endswith("multioutput"):
        raise DataError(
            "A classifier predicts one class a row, or a 0 or 1 for each of several labels; y has "
            "several columns of classes. Fit an estimator for each column, for instance by "
            "MultiOutputClassifier."
        )
    if kind == "multilabel-indicator":
        marks = check_array(y.toarray() if sparse.issparse(y) else y, input_name="y").astype(int)
        frame = pd.DataFrame(marks, columns=_as_many(names, marks.shape[1]))
        return Target(frame, marks, "multilabel", np.arange(marks.shape[1]))
    values = column_or_1d(y, warn=True)
    classes, codes = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            f"A classifier needs two classes; y has one class, {classes[0].item()!r}, in all "
            f"{len(values):,} rows. Add rows of another class."
        )
    labels = _labels(classes)
    frame = pd.DataFrame({_as_many(names, 1)[0]: labels[codes]})
    task = "binary" if len(classes) == 2 else "multiclass"
    return Target(frame, values, task, classes, labels, codes)


def _labels(classes: NDArray[Any]) -> NDArray[Any]:
    """What stands for each class in reports: itself where it can be read as nothing else."""
    if classes.dtype.kind in "iu":
        return classes
    texts = [str(value) for value in classes]
    folded = {text.casefold() for text in texts}
    is_plain = all(isinstance(v, str) and _PLAIN_NAME.fullmatch(v) for v in classes.tolist())
    if is_plain and len(folded) == len(texts) and not folded & _WORDS_WITH_A_MEANING:
        return np.array(texts, dtype=object)
    return np.arange(len(classes))


def numbers_target(y: Any, task: str = "regression") -> Target:
    """The target of a regressor: (n_rows,) or (n_rows, n_outputs) finite numbers."""
    y, names = _plain(y)
    values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if values.ndim > 2:
        raise DataError(
            f"A regressor predicts a number or several a row; y has the shape {values.shape}. "
            "Reshape it to (n_rows, n_outputs)."
        )
    columns = values.reshape(len(values), -1)
    frame = pd.DataFrame(columns, columns=_as_many(names, columns.shape[1]))
    return Target(frame, values, task)


def _plain(y: Any) -> tuple[Any, list[str]]:
    """A target as scikit-learn reads it, and the names that its columns bring along."""
    if is_arrow(y) and not isinstance(y, pd.DataFrame | pd.Series):
        y = frame_of(y) if hasattr(y, "columns") else series_of(y)
    if isinstance(y, pd.DataFrame):
        return y.to_numpy(), [str(name) for name in y.columns]
    if isinstance(y, pd.Series):
        return y.to_numpy(), [] if y.name is None else [str(y.name)]
    return y, []


def _as_many(names: Sequence[str], n: int) -> list[str]:
    if len(names) == n and all(name.strip() for name in names):
        return list(names)
    return ["y"] if n == 1 else [f"y{i}" for i in range(n)]


def read(X: Any, target: Target, y: Any, **options: Any) -> Dataset:
    """The rows as a dataset.

    Parameters
    ----------
    X : checked; y : as it was given, whose index is compared with that of a frame X.
    options : of ``hpsearch.load``.
    """
    check_consistent_length(X, target.frame)
    names = (
        X.columns if isinstance(X, pd.DataFrame) else ["x", *map("x{}".format, range(X.shape[1]))]
    )
    taken = {str(name).strip() for name in names}
    frame = target.frame.set_axis(list(_free_names(target.frame.columns, taken)), axis=1)
    options = {name: _by_row(value) for name, value in options.items()}
    if isinstance(y, pd.Series | pd.DataFrame):
        frame.index = y.index
    elif isinstance(X, pd.DataFrame):
        frame.index = X.index
    return load(X, frame, task=target.task, **options)


def _by_row(value: Any) -> Any:
    """An option of ``hpsearch.load``; what only turns into an array, as one."""
    turns = hasattr(value, "__array__") or hasattr(value, "__array_interface__")
    is_read = isinstance(value, pd.Series | pd.DataFrame) or is_arrow(value)
    return np.asarray(value) if turns and not is_read else value


def _free_names(names: Iterable[str], taken: set[str]) -> Iterable[str]:
    """Names that no feature has: ``y`` becomes ``target y`` where one is called so."""
    for name in names:
        free = name.strip() or "y"
        while free in taken:
            free = f"target {free}"
        yield free


def class_order(dataset: Dataset, target: Target) -> NDArray[np.int64] | None:
    """For each class its number in the dataset's order of labels; None where there are none."""
    if target.codes is None or target.classes is None:
        return None
    order = np.full(len(target.classes), -1)
    order[target.codes] = dataset.y
    if len(set(order.tolist())) < len(order):
        raise DataError(
            f"The classes of y are read as {len(dataset.target.labels)} different ones; received "
            f"{len(order)}: {target.classes.tolist()[:20]!r}. Give them names that differ by more."
        )
    return order
