"""What a script gives as x and y, as a table: the problem type and the shape of a row.

Owns the inference that a script's network settles: a loss says what the target is, a declared input
what a row looks like. Reading tables belongs to ``hpsearch.data``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from hpsearch.data import Dataset, load
from hpsearch.errors import DataError
from hpsearch.metrics import METRICS
from hpsearch.preprocessing import Layout

_CLASSES: Final = ("sparse_categorical_crossentropy", "categorical_crossentropy")
_DISTANCES: Final = (
    *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
    *("mean_squared_logarithmic_error", "huber", "log_cosh", "poisson"),
)


def dataset_of(
    x: Any,
    y: Any,
    *,
    loss: str | None,
    metric: Any,
    input_shape: tuple[int | None, ...] | None,
    limits: Mapping[str, int],
    options: Mapping[str, Any],
) -> Dataset:
    """The rows as a search takes them.

    Parameters
    ----------
    x, y : as Keras's ``fit`` takes them: arrays or frames; classes as whole numbers, texts or rows
        of 0 and 1.
    loss, input_shape : of the default network, where it says; metric : the selecting one.
    limits : ``max_levels`` and ``max_words``; options : of ``hpsearch.load``.

    Raises
    ------
    InputError
        They are none of these, or can't be used as they are.
    """
    _check_arrays(x, y)
    if isinstance(x, Dataset):
        return x
    x, y = _in_memory(x), _in_memory(y)
    options = {name: value for name, value in options.items() if value is not None}
    if "task" not in options:
        options["task"] = task_of(y, loss, metric)
    is_array = isinstance(x, np.ndarray) and input_shape == x.shape[1:]
    if is_array and x.ndim == 3:  # a grey image would get an axis for its one channel
        options = {"kinds": {"x": "sequence"}, **options}
    data = load(x, y, **options)
    if input_shape is None or Layout.of(data.schema, **limits).input_shape == input_shape:
        return data
    is_numbers = isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "fiub"
    if (
        is_numbers and input_shape == x.shape[1:] and np.isfinite(x).all()
    ):  # it has constant columns
        return load(x[..., np.newaxis], y, **{**options, "kinds": {"x": "numbers"}})
    return data


def task_of(y: Any, loss: str | None, metric: Any = None) -> str | None:
    """The problem type that a loss or a metric asks for where the target leaves it open, or None.

    Examples
    --------
    >>> task_of(np.arange(30), "mean_squared_error"), task_of(np.arange(30) % 3, None)
    ('regression', None)
    >>> task_of(np.arange(30) % 3, None, "accuracy")
    'multiclass'
    """
    values = np.asarray(y)
    n_columns = 1 if values.ndim < 2 else values.shape[1]
    kinds = METRICS[metric].kinds if isinstance(metric, str) and metric in METRICS else ()
    of_classes = "multiclass" in kinds and "regression" not in kinds
    if loss in _DISTANCES and values.dtype.kind in "fiu" and not of_classes:
        return "regression"
    if loss == "binary_crossentropy" and n_columns > 1:
        return "multilabel"
    if (loss in _CLASSES or (loss is None and of_classes)) and n_columns == 1:
        return "multiclass" if len(np.unique(values.astype(str))) > 2 else None
    return None


def _in_memory(values: Any) -> Any:
    """Tensors and lists of arrays as arrays; other things as they are."""
    if type(values).__module__.partition(".")[0] in ("tensorflow", "torch", "jax", "jaxlib"):
        return np.asarray(values)
    if isinstance(values, Mapping):
        return {name: _in_memory(array) for name, array in values.items()}
    is_list = isinstance(values, list | tuple)
    return np.asarray(values) if is_list and _is_regular(values) else values


def _is_regular(values: Any) -> bool:
    shapes = {np.shape(value) for value in values if not isinstance(value, str)}
    return len(shapes) <= 1


def _check_arrays(x: Any, y: Any) -> None:
    several = isinstance(x, list | tuple) and x and all(np.ndim(each) > 1 for each in x)
    if several and len(x) <= 8:
        raise DataError(
            "search takes several inputs by name; received a list of arrays. Give a dictionary of "
            "them, and the inputs of the network these names."
        )
    if isinstance(y, Mapping):
        raise DataError(
            "search takes the target of all outputs as one array, whose columns the outputs take "
            "in order; received a dictionary."
        )
    is_array = hasattr(x, "shape") or isinstance(x, list | tuple | str | Mapping | Dataset)
    if not is_array and not hasattr(x, "__dataframe__") and not hasattr(x, "columns"):
        raise DataError(
            "search deals rows to folds, so it takes arrays or a table; received "
            f"{type(x).__name__}. Gather its rows first: x = np.concatenate([x for x, _ in data])."
        )
    if y is None and not isinstance(x, Dataset):
        raise DataError("search(x, y) needs the target, one value for each row; received no y.")
