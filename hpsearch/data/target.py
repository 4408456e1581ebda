"""The target: from its raw columns to a problem type, a label order and ``y``.

Owns the inference of the problem type and all refusals that concern the target. What the types ask
of a network belongs to ``hpsearch.task``; whether the folds can hold every class belongs to
``hpsearch.folds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.cells import as_levels, as_numbers, interpret
from hpsearch.data.durations import STYLES
from hpsearch.data.kinds import LARGEST_FLOAT32
from hpsearch.data.names import listed
from hpsearch.data.numerals import NumberForm
from hpsearch.data.positive import told
from hpsearch.data.quantile_levels import levels_of
from hpsearch.data.signs import Signs
from hpsearch.data.understood import MISSING_WORDS, Cells, Places, quoted
from hpsearch.data.variants import CORRECT_LEVELS
from hpsearch.errors import DataError, OptionError
from hpsearch.task import OF_VALUES, TASKS, Label, ProblemKind, Target

_MOST_INFERRED_CLASSES = 20
_MOST_INFERRED_SHARE = 0.05
_FEWEST_OF_A_CLASS = 5
_COUNTS = (
    "The target {!r} holds whole numbers from 0 or 1 on: if it counts something, use --task count."
)


@dataclass(frozen=True, eq=False)
class TargetColumn:
    """The target of a table: its description, ``y`` as in ``Dataset``, and what to say about it."""

    target: Target
    y: NDArray[Any]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_target(
    frame: pd.DataFrame,
    places: Places,
    task: str | None = None,
    signs: Signs | None = None,
    levels: tuple[float, ...] = (),
) -> TargetColumn:
    """Infer the problem type of the target's raw columns, and read them.

    Parameters
    ----------
    frame : the target's columns alone.
    places : names rows in messages.
    task : the problem type, a name of ``hpsearch.task.TASKS``; None to infer it.
    signs : what the table's other columns say where a decimal sign is unclear.
    levels : of quantiles, with ``task`` "quantile"; none for the usual ones.

    Raises
    ------
    DataError
        Cells are missing or infinite, the target is constant, or it does not fit ``task``.
    OptionError
        ``task`` is no problem type, or has no levels.

    Examples
    --------
    >>> import pandas as pd
    >>> from hpsearch.data.understood import Places
    >>> found = read_target(pd.DataFrame({"ok": ["yes", "no", "yes"]}), Places())
    >>> found.target.labels, found.y.tolist()
    (('no', 'yes'), [1, 0, 1])
    """
    if task is not None and (not isinstance(task, str) or task not in TASKS):
        raise OptionError(
            f"--task is one of {', '.join(TASKS)}; received {task!r}. Choose one of these, or "
            "leave it out to have it inferred."
        )
    levels = levels_of(task, levels)
    as_classes = task in ("binary", "multiclass") and frame.shape[1] == 1
    cells = {}
    warnings: tuple[str, ...] = ()
    for name in map(str, frame):
        cells[name] = interpret(frame[name], name, signs)
        _check_filled(cells[name], name, places)
        if cells[name].doubt is not None and not as_classes:
            warnings += _doubt(cells[name], name, places)
    if frame.shape[1] == 1 and task != "multilabel":
        name, column = next(iter(cells.items()))
        found = _one_column(column, name, places, task)
    else:
        found = _several_columns(cells, places, task)
    if levels:
        found = replace(found, target=replace(found.target, levels=levels))
    return replace(found, warnings=found.warnings + warnings)


def read_known_target(frame: pd.DataFrame, places: Places, target: Target) -> NDArray[Any]:
    """``y`` of new rows whose target is already described.

    Raises
    ------
    DataError
        Cells are missing, infinite, or labels that the target does not know.
    """
    for name in target.names:
        levels = as_levels(frame[name])
        _refuse_missing(levels.isna().to_numpy(), name, places)
    if target.is_classification and not target.one_hot:
        return _known_codes(frame[target.names[0]], places, target)
    values = np.column_stack(
        [as_numbers(frame[n], n, places, target.number_format(n)) for n in target.names]
    )
    for column, name in zip(values.T, target.names, strict=True):
        _refuse_missing(np.isnan(column), name, places)
        _check_finite(column, name, places)
    if target.one_hot:
        wrong = ~(np.isin(values, (0, 1)).all(axis=1) & (values.sum(axis=1) == 1))
        if wrong.any():
            raise DataError(
                f"The columns {listed(target.names)} name one class per row: one 1 and else 0; "
                f"{places(wrong)} do otherwise. Correct them."
            )
        codes: NDArray[np.int32] = values.argmax(axis=1).astype(np.int32)
        return codes
    if target.kind == "multilabel":
        _check_zero_one(values, target.names, places)
        return values.astype(np.float32)
    _check_range(values, target, places)
    return values


def _known_codes(series: pd.Series[Any], places: Places, target: Target) -> NDArray[np.int32]:
    name = target.names[0]
    label_type = type(target.labels[0])
    if label_type in (int, float):
        values = as_numbers(series, name, places, target.number_format(name))
        known = np.asarray(target.labels, dtype=np.float64)
        order = np.argsort(known)
        found = np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)
        codes = order[found]
        unknown = known[codes] != values
    else:
        text = as_levels(series, known=map(str, target.labels))
        codes = pd.Index([str(label) for label in target.labels]).get_indexer(pd.Index(text))
        unknown = codes < 0
    if unknown.any():
        raise DataError(
            f"Column {name!r} has the classes {_labels_text(target.labels)}; "
            f"{places.with_cells(unknown, list(as_levels(series)))} is none of them. Correct or "
            "drop these rows."
        )
    return np.asarray(codes, dtype=np.int32)


# --- checks -------------------------------------------------------------------------------------


def _doubt(cells: Cells, name: str, places: Places) -> tuple[str, ...]:
    """A warning of what is unclear in the target; a refusal where cells contradict others."""
    assert cells.doubt is not None
    told = f"The target {name!r} {cells.doubt.told(places, cells.text)}"
    if not cells.doubt.wrong:
        return (f"{told}. {cells.doubt.remedy}",)
    task = _task_of_classes(cells)
    classes = f", or take each value for a class with --task {task}" if task else ""
    raise DataError(f"{told}. Correct these cells or drop their rows{classes}.")


def _task_of_classes(cells: Cells) -> str:
    """The problem type that takes the values for classes; empty where these have too few rows."""
    counts = cells.series.value_counts()
    if len(counts) > _MOST_INFERRED_CLASSES or counts.min() < _FEWEST_OF_A_CLASS:
        return ""
    return "binary" if len(counts) == 2 else "multiclass"


def _check_filled(cells: Cells, name: str, places: Places) -> None:
    if cells.form == "date":
        raise DataError(
            f"The target {name!r} holds dates; a target holds classes or numbers. "
            "Turn it into a number, such as days since a start."
        )
    _refuse_missing(cells.is_missing, name, places, cells.missing_words)
    if cells.huge:
        raise DataError(
            f"The target {name!r} holds integers beyond 2**53, which floating-point numbers cannot "
            "tell apart. Scale it down, or write it as labels."
        )
    if cells.form == "number":
        _check_finite(cells.series.to_numpy(dtype=np.float64), name, places)


def _refuse_missing(
    missing: NDArray[np.bool_], name: str, places: Places, words: tuple[str, ...] = ()
) -> None:
    if missing.any():
        read = f" ({', '.join(map(repr, words))} among numbers mean missing)" if words else ""
        raise DataError(
            f"Every row needs a target; {name!r} has {missing.sum():,} missing cells of "
            f"{len(missing):,}, in {places(missing)}{read}. Fill them in or drop these rows."
        )


def _check_finite(values: NDArray[np.float64], name: str, places: Places) -> None:
    wrong = np.abs(values) > LARGEST_FLOAT32
    if wrong.any():
        raise DataError(
            f"A target is finite and within float32's range; {name!r} is not in "
            f"{places.with_cells(wrong, values.tolist())}. Correct or drop these rows."
        )


def _check_zero_one(values: NDArray[np.float64], names: Sequence[str], places: Places) -> None:
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        column = int(wrong.any(axis=0).argmax())
        at = places.with_cells(wrong[:, column], values[:, column].tolist())
        raise DataError(
            f"A multilabel target is 0 or 1 in each column; {names[column]!r} is not in {at}. "
            "Correct these cells."
        )


def _check_range(values: NDArray[np.float64], target: Target, places: Places) -> None:
    """Refuse values that are no shares, or no counts, where these are wanted."""
    if target.kind == "share":
        wrong, rule = (values < 0) | (values > 1), "A share lies between 0 and 1; {!r} does not"
        remedy = "Divide it by its largest possible value, or use --task regression."
    elif target.kind == "count":
        wrong, rule = (
            (values < 0) | (values != values.round()),
            "A count is 0, 1, 2 or more; {!r} is not",
        )
        remedy = (
            "Correct these cells, or use --task regression; counts that were divided by how long "
            "they took are to be counts again, with --exposure for the time."
        )
    else:
        return
    if wrong.any():
        column = int(wrong.any(axis=0).argmax())
        at = places.with_cells(wrong[:, column], values[:, column].tolist())
        raise DataError(f"{rule.format(target.names[column])} in {at}. {remedy}")


def _check_varies(values: pd.Series[Any], name: str) -> None:
    if values.nunique() < 2:
        shown = quoted(as_levels(values.head(1)).iloc[0])
        raise DataError(
            f"A target needs two different values; {name!r} is {shown} in all {len(values):,} "
            "rows. Choose another target with --target, or add rows with another value."
        )


# --- one column ---------------------------------------------------------------------------------


def _one_column(cells: Cells, name: str, places: Places, task: str | None) -> TargetColumn:
    _check_varies(cells.series, name)
    kind, reason = _inferred(cells)
    if task is not None:
        reason = f"as asked with --task {task}"
        kind = _asked_kind(task)
    if kind in OF_VALUES:
        return _numbers(cells, name, places, kind, reason)
    return _classes(cells, name, kind, reason)


def _asked_kind(task: str) -> ProblemKind:
    return next(kind for kind in get_args(ProblemKind) if kind == task)


def _inferred(cells: Cells) -> tuple[ProblemKind, str]:
    n_distinct, n_rows = cells.series.nunique(), len(cells.series)
    if n_distinct == 2:
        return "binary", "two different values"
    if cells.form != "number" or cells.declared:
        return "multiclass", f"{n_distinct} different labels"
    few = n_distinct <= min(_MOST_INFERRED_CLASSES, _MOST_INFERRED_SHARE * n_rows)
    if cells.whole and few:
        return "multiclass", f"whole numbers with {n_distinct} different values only"
    what = "whole numbers" if cells.whole else "numbers"
    written = f" written like {cells.number_format!r}" if cells.number_format else ""
    return "regression", f"{what}{written} with {n_distinct:,} different values"


def _numbers(
    cells: Cells, name: str, places: Places, kind: ProblemKind, reason: str
) -> TargetColumn:
    if cells.form not in ("number", "flag"):
        task = _task_of_classes(cells)
        remedy = f"Correct its cells, or use --task {task}" if task else "Correct its cells"
        raise DataError(
            f"--task {kind} needs numbers; the target {name!r} holds text, such as "
            f"{quoted(cells.series.iloc[0])}. {remedy}."
        )
    values = as_numbers(cells.series, name, places)[:, None]
    notes: tuple[str, ...] = ()
    formats = (cells.number_format,) if cells.number_format else ()
    target = Target((name,), kind, reason=reason, number_formats=formats)
    _check_range(values, target, places)
    if kind != "regression":
        return TargetColumn(target, values)
    if values.min() >= 0 and values.max() <= 1 and not cells.whole:
        notes = (f"The target {name!r} lies between 0 and 1: if it is a share, use --task share.",)
    elif cells.whole and len(np.unique(values)) <= _MOST_INFERRED_CLASSES:
        notes = (
            f"The target {name!r} has {len(np.unique(values))} different whole numbers: if they "
            "are classes, use --task multiclass.",
        )
    if cells.whole and values.min() in (0, 1):
        notes += (_COUNTS.format(name),)
    return TargetColumn(target, values, notes)


def _classes(cells: Cells, name: str, kind: ProblemKind, reason: str) -> TargetColumn:
    if NumberForm.of(cells.number_format).unit or cells.number_format in STYLES:
        assert cells.written is not None  # labels keep their units
        cells = replace(cells, form="string", series=cells.written, number_format="")
    labels = _labels(cells)
    n_rows = len(cells.series)
    if kind == "binary" and len(labels) != 2:
        raise DataError(
            f"--task binary needs two different values; the target {name!r} has {len(labels):,}. "
            f"{_other_task(cells)}."
        )
    if 2 * len(labels) > n_rows and len(labels) > 2:
        remedy = "Use --task regression" if cells.form == "number" else "Choose another target"
        raise DataError(
            f"Classes need rows to learn from; the target {name!r} has {len(labels):,} different "
            f"values in {n_rows:,} rows. {remedy}, or take rare classes together."
        )
    if cells.form == "number":
        known = np.asarray(labels, dtype=np.float64)
        codes = np.searchsorted(known, cells.series.to_numpy(dtype=np.float64))
    else:
        codes = pd.Index([str(label) for label in labels]).get_indexer(pd.Index(cells.series))
    formats = (cells.number_format,) if cells.number_format else ()
    target = Target((name,), kind, labels, reason=reason, number_formats=formats)
    notes: tuple[str, ...] = ()
    if kind == "binary":
        notes = (told(target),)
    elif cells.form == "number" and _look_like_counts(codes, labels):
        notes = (_COUNTS.format(name),)
    words = [label for label in labels if str(label).lower() in MISSING_WORDS]
    if words:
        notes += (
            f"The target {name!r}: {', '.join(map(repr, words))} is a label like any other; only "
            "an empty cell is missing.",
        )
    notes += tuple(f"The target {name!r} {said}." for said in cells.notes)
    warnings = tuple(f"The target {name!r} {said}. {CORRECT_LEVELS}" for said in cells.warnings)
    return TargetColumn(target, codes.astype(np.int32), notes, warnings)


def _look_like_counts(codes: NDArray[Any], labels: tuple[Label, ...]) -> bool:
    """Whether labels are 0, 1, 2, 3 and so on, each of fewer rows than the one before it."""
    falls = bool((np.diff(np.bincount(codes)) < 0).all())
    return len(labels) > 3 and labels == tuple(range(len(labels))) and falls


def _other_task(cells: Cells) -> str:
    """What to do with a target of more than two values, the beginning of a sentence."""
    task = _task_of_classes(cells)
    if task:
        return f"Use --task {task}"
    return "Use --task regression" if cells.form == "number" else "Choose another target"


def _labels(cells: Cells) -> tuple[Label, ...]:
    """Sorted labels in their own type; whole numbers are integers."""
    distinct = cells.series.unique()
    if cells.form == "flag":
        return (False, True) if len(distinct) == 2 else (distinct[0] == "True",)
    if cells.form == "number":
        numbers = sorted(float(value) for value in distinct)
        if all(number.is_integer() for number in numbers):
            return tuple(int(number) for number in numbers)
        return tuple(numbers)
    return tuple(sorted(str(value) for value in distinct))


def _labels_text(labels: tuple[Label, ...]) -> str:
    return listed([quoted(label) for label in labels], most=10)


# --- several columns ----------------------------------------------------------------------------


def _several_columns(cells: dict[str, Cells], places: Places, task: str | None) -> TargetColumn:
    names = tuple(cells)
    formats = tuple(column.number_format for column in cells.values())
    formats = formats if any(formats) else ()
    for name, column in cells.items():
        if column.form not in ("number", "flag"):
            raise DataError(
                f"Several target columns hold numbers, or 0 and 1; {name!r} holds text, such as "
                f"{quoted(column.series.iloc[0])}. Give one column of classes, or numbers."
            )
        _check_varies(column.series, name)
    values = np.column_stack([as_numbers(c.series, n, places) for n, c in cells.items()])
    zero_one = bool(np.isin(values, (0, 1)).all())
    one_each = zero_one and len(names) > 1 and bool((values.sum(axis=1) == 1).all())
    if task is None:
        if one_each:
            kind, reason = _asked_kind("multiclass"), "columns of 0 and 1, with one 1 in each row"
        elif zero_one:
            kind, reason = _asked_kind("multilabel"), "columns of 0 and 1"
        else:
            kind, reason = _asked_kind("regression"), f"{len(names)} columns of numbers"
    else:
        kind, reason = _asked_kind(task), f"as asked with --task {task}"
    if kind in ("binary", "quantile") or (kind == "multiclass" and not one_each):
        rule = "one column" if kind != "multiclass" else "columns of 0 and 1 with one 1 in each row"
        raise DataError(
            f"--task {kind} needs {rule}; received the target columns {listed(names)}. "
            "Give another --task or --target."
        )
    if kind == "multiclass":
        target = Target(names, kind, names, one_hot=True, reason=reason)
        return TargetColumn(target, values.argmax(axis=1).astype(np.int32))
    if kind == "multilabel":
        _check_zero_one(values, names, places)
        return TargetColumn(Target(names, kind, names, reason=reason), values.astype(np.float32))
    target = Target(names, kind, reason=reason, number_formats=formats)
    _check_range(values, target, places)
    return TargetColumn(target, values)
