"""Fitting a transformer on some rows, and the rows that it gives.

Owns what a transformer gets of a table, and what is held against what it gives: as many rows, of
one width, of finite numbers. Pure: which folds there are, and in which processes they are fitted,
belongs to ``hpsearch.scoring.prepared``.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data import Dataset
from hpsearch.data.dataset import Column, Schema
from hpsearch.data.memory import free_bytes, size_for_people
from hpsearch.data.names import listed
from hpsearch.errors import TransformerError
from hpsearch.space.guards import heard_warnings
from hpsearch.task import OF_VALUES
from hpsearch.transformers.own import LARGEST_SEED, OwnTransformer

KINDS: Final = ("number", "category", "text", "date")
"""Kinds of columns that a transformer gets."""

REMEDY: Final = "Correct the transformer."


@dataclass(frozen=True, eq=False)
class RawRows:
    """What a transformer gets of a table.

    Attributes
    ----------
    frame : the feature columns that hold one cell a row: numbers float64, missing NaN; categories
        and texts ``str``, missing NaN; dates datetime64, missing NaT.
    y : labels (n_rows,), 0 and 1 for each of several labels (n_rows, n_labels), or numbers
        (n_rows,), (n_rows, n_values) where there are several.
    """

    frame: pd.DataFrame
    y: NDArray[Any]

    @classmethod
    def of(cls, dataset: Dataset) -> RawRows:
        """The raw rows of a dataset."""
        target, y = dataset.target, dataset.y
        if target.is_classification:
            return cls(feature_frame(dataset.schema, dataset.frame), np.array(target.labels)[y])
        one = target.kind in OF_VALUES and y.shape[1] == 1
        return cls(feature_frame(dataset.schema, dataset.frame), y[:, 0] if one else y)


def columns_given(schema: Schema) -> tuple[Column, ...]:
    """The columns that a transformer gets; arrays and tokens stay beside what it gives.

    Raises
    ------
    TransformerError
        There is none, or one that can be neither.
    """
    if words := [column for column in schema.bags if column.kind == "words"]:
        raise TransformerError(
            "A transformer gets columns that hold one cell a row, and arrays stay beside them; "
            f"{words[0].name!r} is a sparse matrix of words. Leave --preprocess out, or give texts."
        )
    given = tuple(column for column in schema.of_kind(*KINDS) if not column.width)
    if not given:
        raise TransformerError(
            "A transformer gets columns that hold one cell a row; the table has none, but arrays "
            "or tokens alone. Leave --preprocess out."
        )
    return given


def feature_frame(schema: Schema, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that a transformer gets, in the schema's order."""
    return frame[[column.name for column in columns_given(schema)]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A transformer that was fitted on some rows, and what it gave.

    Attributes
    ----------
    transformer : the fitted object.
    rows : float32 (n_rows, ...), of all rows of the table: those that it was fitted on as
        ``fit_transform`` gave them, the others as ``transform`` did.
    names : of the features, where it tells them.
    warnings : what it warned of, a line each.
    """

    transformer: Any
    rows: NDArray[np.float32]
    names: tuple[str, ...]
    warnings: tuple[str, ...]


def fit_rows(
    own: OwnTransformer,
    raw: RawRows,
    training_rows: NDArray[np.integer[Any]],
    *,
    seed: int,
    where: str,
    n_copies: int = 1,
) -> Fitted:
    """Fit a transformer on training rows alone, and have it prepare every row.

    Parameters
    ----------
    seed : what its random numbers follow from.
    where : the fold, for messages.
    n_copies : how many folds' rows are held at the same time, which must fit into memory.

    Raises
    ------
    TransformerError
        It raises, or gives anything but finite numbers, as many rows as it got.
    """
    n_rows, made = len(raw.frame), own.made(seed)
    others = np.setdiff1d(np.arange(n_rows), training_rows)
    learnt = raw.frame.iloc[training_rows].reset_index(drop=True)
    limits = _Limits(own.name, where, n_rows * n_copies)
    with _alone(seed) as heard:
        with own.running(f"fit on {where}"):
            given = _fit_transform(made, learnt, raw.y[training_rows])
        of_training = limits.checked(given, len(training_rows), made)
        rows = np.empty((n_rows, *of_training.shape[1:]), np.float32)
        rows[training_rows] = of_training
        if len(others):
            of_others = transformed(own, made, raw.frame.iloc[others], where, limits)
            limits.check_same(of_training, of_others)
            rows[others] = of_others
    return Fitted(made, rows, _names(made, rows), tuple(heard))


def transformed(
    own: OwnTransformer, fitted: Any, frame: pd.DataFrame, where: str, limits: _Limits | None = None
) -> NDArray[np.float32]:
    """What a fitted transformer gives for other rows (n_rows, ...), float32.

    Raises
    ------
    TransformerError
        It raises, or gives anything but finite numbers, as many rows as it got.
    """
    limits = limits or _Limits(own.name, where, len(frame))
    with own.running(f"transform in {where}"), _one_thread():
        given = fitted.transform(frame.reset_index(drop=True))
    return limits.checked(given, len(frame), fitted)


def padded(rows: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows (n_rows, width) with columns of zeros up to a width; others as they are.

    Examples
    --------
    >>> padded(np.ones((1, 2), np.float32), (3,)).tolist()
    [[1.0, 1.0, 0.0]]
    """
    if rows.shape[1:] == shape:
        return rows
    held = np.zeros((len(rows), *shape), np.float32)
    held[:, : rows.shape[1]] = rows
    return held


@contextmanager
def _alone(seed: int) -> Iterator[list[str]]:
    """Hear warnings; one thread; and NumPy's and Python's own generators begin with a seed."""
    before, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(seed % LARGEST_SEED)  # noqa: NPY002 (what draws without a random_state reads it)
    random.seed(seed)
    try:
        with heard_warnings() as heard, _one_thread():
            yield heard
    finally:
        np.random.set_state(before)  # noqa: NPY002
        random.setstate(pythons)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: sums depend on how many there are."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def _fit_transform(made: Any, frame: pd.DataFrame, y: NDArray[Any]) -> Any:
    """What it gives for the rows that it is fitted on; by ``fit_transform``, where it has one.

    So transformers that encode each training row without its own target do that.
    """
    if callable(getattr(made, "fit_transform", None)):
        return (
            made.fit_transform(frame, y)
            if _takes_y(made.fit_transform)
            else made.fit_transform(frame)
        )
    (made.fit(frame, y) if _takes_y(made.fit) else made.fit(frame))
    return made.transform(frame)


def _takes_y(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # it does not tell
        return True
    return True


def _names(made: Any, rows: NDArray[np.float32]) -> tuple[str, ...]:
    """The features' names, where it tells as many as there are."""
    try:
        names = tuple(str(name) for name in made.get_feature_names_out())
    except Exception:  # of steps that have no names, however they say so
        return ()
    return names if rows.ndim == 2 and len(names) == rows.shape[1] else ()


@dataclass(frozen=True)
class _Limits:
    """What is held against rows that a transformer gives.

    Attributes
    ----------
    name : the transformer's; where : the fold, for messages.
    n_held : rows, of all folds, that are held at the same time.
    """

    name: str
    where: str
    n_held: int

    def checked(self, given: Any, n_rows: int, made: Any) -> NDArray[np.float32]:
        """Rows (n_rows, ...) in float32."""
        shape = self._shape(given)
        if not shape or shape[0] != n_rows:
            got = f"{shape[0]:,}" if shape else "none"
            raise self._error(
                f"gives a row for each row; for {n_rows:,} rows in {self.where} it gave {got}",
                "Leave the rows as they are; drop columns alone",
            )
        if len(shape) > 1 and 0 in shape[1:]:
            raise self._error(f"gives a column at least; in {self.where} it gave none")
        needed = 4 * self.n_held * int(np.prod(shape[1:]))
        if needed > free_bytes():
            raise self._error(
                f"gives rows that fit into memory, those of all folds together; of "
                f"{int(np.prod(shape[1:])):,} features each they take {size_for_people(needed)}, "
                f"and {size_for_people(free_bytes())} are free",
                "Let it give fewer features, or take fewer folds or repeats",
            )
        numbers = self._numbers(given).reshape(n_rows, *(shape[1:] or (1,)))
        with np.errstate(over="ignore"):
            rows = numbers.astype(np.float32)
        if not np.isfinite(rows).all():
            names = _names(made, rows) or tuple(map(str, getattr(given, "columns", ())))
            raise self._unusable(numbers, rows, names)
        return rows

    def _shape(self, given: Any) -> tuple[int, ...]:
        try:
            return tuple(getattr(given, "shape", None) or np.shape(given))
        except ValueError as error:  # lists of different length
            raise self._error(
                f"gives rows of one shape; in {self.where} some are longer than others"
            ) from error

    def check_same(self, learnt: NDArray[np.float32], others: NDArray[np.float32]) -> None:
        """Refuse other rows that have another shape than those that it was fitted on."""
        if learnt.shape[1:] != others.shape[1:]:
            raise self._error(
                f"gives rows of one shape; in {self.where} it gave {learnt.shape[1:]} for the rows "
                f"that it was fitted on, and {others.shape[1:]} for others"
            )

    def _numbers(self, given: Any) -> NDArray[Any]:
        """Whatever holds numbers as a plain array of them."""
        if hasattr(given, "toarray"):
            given = given.toarray()
        if isinstance(given, pd.DataFrame | pd.Series):
            frame = given.to_frame() if isinstance(given, pd.Series) else given
            wrong = [str(n) for n, kind in frame.dtypes.items() if not _is_numeric(kind)]
            if wrong:
                raise self._not_numbers(frame[wrong[0]].iloc[0], f"column {wrong[0]!r}")
            return frame.to_numpy(dtype=np.float64, na_value=np.nan)
        array = np.asarray(given)
        if array.dtype.kind in "biuf":
            return array
        if array.dtype.kind == "O":
            try:
                return array.astype(np.float64)
            except (TypeError, ValueError):
                pass
        raise self._not_numbers(_odd_one(array), "a cell")

    def _not_numbers(self, cell: Any, place: str) -> TransformerError:
        return self._error(
            f"gives numbers; in {self.where} it gave {cell!r} in {place}",
            "Encode categories, texts and dates in it, or drop them",
        )

    def _unusable(
        self, numbers: NDArray[Any], rows: NDArray[np.float32], names: Sequence[str]
    ) -> TransformerError:
        wrong = ~np.isfinite(rows)
        flat = wrong.reshape(len(rows), -1)
        at = np.flatnonzero(flat.any(axis=0)).tolist()
        named = listed([repr(names[i]) if names else str(i) for i in at], most=3)
        value = numbers.reshape(len(rows), -1)[:, at[0]][flat[:, at[0]]][0]
        is_large, n = np.isfinite(value), int(wrong.sum())
        return self._error(
            f"gives finite numbers{' of float32' if is_large else ''}; in {self.where}, {n:,} "
            f"{'is' if n == 1 else 'are'} not, such as {float(value):g}, in the features {named}",
            "Scale them in it" if is_large else "Fill missing cells in it, with SimpleImputer",
        )

    def _error(self, what: str, remedy: str = "Correct it") -> TransformerError:
        return TransformerError(f"The transformer '{self.name}' {what}. {remedy}.")


def _is_numeric(kind: Any) -> bool:
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    return (is_numeric_dtype(kind) or is_bool_dtype(kind)) and not is_complex_dtype(kind)


def _odd_one(array: NDArray[Any]) -> Any:
    """A cell that is no number."""
    for cell in array.ravel():
        try:
            float(cell)
        except (TypeError, ValueError):
            return cell
    return array.ravel()[0]


def features_told(names: Sequence[str], shape: tuple[int, ...]) -> list[str]:
    """A name for each feature of a flat row; numbers where there are none."""
    n = int(np.prod(shape))
    return [names[i] if i < len(names) else f"feature {i}" for i in range(n)]
