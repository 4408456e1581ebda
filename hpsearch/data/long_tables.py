"""Long tables: rows that are steps, of one sequence for each value of a column, or of windows.

Owns the way from such a table to one with a row for each sequence: which columns are features of
its steps, their order in time, the windows of a forecast and what they predict. What gaps in
sequences mean belongs to ``sequences``, whether steps are even to ``even_steps``; folds know from
``begins`` which windows overlap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.by_row import refuse_missing, times_of
from hpsearch.data.cells import as_dates, as_levels, as_numbers, interpret
from hpsearch.data.dataset import Column, LongForm, Schema
from hpsearch.data.even_steps import Pace, check_pace, pace_of
from hpsearch.data.kinds import check_range, read_feature
from hpsearch.data.memory import free_bytes
from hpsearch.data.names import checked_names, listed
from hpsearch.data.ragged import joined
from hpsearch.data.signs import Signs
from hpsearch.data.tables import Table
from hpsearch.data.understood import Places, quoted
from hpsearch.data.variants import merged
from hpsearch.errors import DataError
from hpsearch.words import counted

SEQUENCE: Final = "sequence"
"""The name of the column of sequences that a long table becomes."""

_FLAGS = "true or false"


@dataclass(frozen=True, eq=False)
class LongRows:
    """A long table with a row for each sequence.

    Attributes
    ----------
    table : the target and what else stands beside rows, and the sequences as an array.
    form : how new rows become sequences.
    labels : what names each sequence: its series, and of a window the time of its last row.
    times, begins : of windows, the time of what each predicts and that of its first row, (n_rows,)
        sortable; None where each series is a row.
    notes, warnings : what was made of the columns, a sentence each.
    """

    table: Table
    form: LongForm
    labels: pd.DataFrame
    times: NDArray[Any] | None = None
    begins: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Steps:
    """The rows of a table, series after series, each in the order of time.

    Attributes
    ----------
    order : row numbers; times : (n_rows,) of the table's rows, in its own order.
    starts : where each series begins in ``order``, and the end of the last one.
    ids : text that names each series.
    """

    order: NDArray[np.int64]
    times: NDArray[Any]
    starts: NDArray[np.int64]
    ids: Sequence[str]

    @classmethod
    def of(cls, table: Table, series: str, time: str, times: NDArray[Any]) -> _Steps:
        """Order the rows; two rows of a series may not have one time."""
        codes, ids = np.zeros(table.n_rows, np.int64), [""]
        if series:
            levels = merged(as_levels(table.frame[series])).levels
            refuse_missing(levels.isna().to_numpy(), series, "--series", table.places)
            codes, found = pd.factorize(levels)
            ids = list(map(str, found))
        order = np.lexsort((times, codes)).astype(np.int64)
        of_order, at = codes[order], times[order]
        twice = (np.diff(of_order) == 0) & (np.diff(at) == 0)
        if twice.any():
            first = int(np.flatnonzero(twice)[0])
            mask = np.isin(np.arange(table.n_rows), order[first : first + 2])
            whose = f" of the series {quoted(ids[of_order[first]])}" if series else ""
            remedy = "" if series else ", or name the column that tells series apart with --series"
            raise DataError(
                f"Rows{whose} follow each other in time; {table.places(mask)} have the same "
                f"{time!r}. Keep one of them{remedy}."
            )
        starts = np.flatnonzero(np.diff(of_order, prepend=-1))
        return cls(order, times, np.append(starts, len(order)), ids)

    def blocks(self) -> list[slice]:
        """Each series' places in ``order``."""
        ends = self.starts.tolist()
        return [slice(a, b) for a, b in pairwise(ends)]


@dataclass(frozen=True)
class Asked:
    """What a long table is to become; see ``load``.

    Attributes
    ----------
    series : the column that tells sequences apart, or empty.
    time : the column that their steps follow.
    window, horizon : rows of a window, and how many rows after its last one the target is; 0 where
        each series is a row.
    target : the columns to predict.
    apart : what else is no feature, one value a sequence; ``drop`` : what is left out.
    """

    series: str
    time: str
    window: int
    horizon: int
    target: tuple[str, ...]
    apart: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


# -- a table to search on


def read_long(table: Table, asked: Asked) -> LongRows:
    """A table of steps as a table of sequences.

    Raises
    ------
    DataError
        Times are missing, occur twice or, for windows, are uneven; no column is a feature; a value
        that belongs to a whole sequence differs within it; no series is long enough.
    """
    if table.arrays:
        raise DataError(
            f"Rows of a long table are steps, with one cell a column; {next(iter(table.arrays))!r} "
            "holds an array per row. Leave it out."
        )
    signs = Signs(table.frame, semicolons=table.semicolons)
    steps, written = _read_times(table, asked, signs)
    columns, values, notes, warnings = _read_features(table, asked, signs)
    pace = Pace()
    if asked.window:
        pace = pace_of(steps.times[steps.order], steps.blocks(), written.is_date, asked.time)
    form = LongForm(
        series=asked.series,
        time=asked.time,
        is_date=written.is_date,
        time_format=written.format,
        features=columns,
        window=asked.window,
        horizon=asked.horizon,
        every=pace.every,
        unit=pace.unit,
    )
    kept = [*asked.target, *asked.apart]
    if not asked.window:
        _check_constant(table, steps, kept, asked.series)
        rows = _whole(table, steps, values, form, kept)
    else:
        rows = _windows(table, steps, values, form, kept, asked.target)
    return replace(rows, notes=(*notes, *rows.notes), warnings=tuple(warnings))


@dataclass(frozen=True)
class _Written:
    """How times were written."""

    is_date: bool
    format: str


def _read_times(table: Table, asked: Asked, signs: Signs) -> tuple[_Steps, _Written]:
    raw = asked.time, table.frame[asked.time]
    times = times_of(raw, table.places, signs)
    assert times is not None
    cells = interpret(raw[1], asked.time, signs)
    is_date = cells.form == "date"
    written = _Written(is_date, cells.date_format if is_date else cells.number_format)
    return _Steps.of(table, asked.series, asked.time, times), written


def _read_features(
    table: Table, asked: Asked, signs: Signs
) -> tuple[tuple[Column, ...], NDArray[np.float64], list[str], list[str]]:
    """The columns whose numbers are features of a step, their values, and what is said."""
    apart = {asked.series, asked.time, *asked.apart, *asked.drop}
    apart |= set() if asked.window else set(asked.target)  # whose past a forecast may know
    columns: list[Column] = []
    values: list[NDArray[np.float64]] = []
    notes: list[str] = []
    warnings: list[str] = []
    for key, cells in table.frame.items():
        name = str(key)
        if name in apart:
            continue
        feature = read_feature(cells, name, table.places, signs=signs)
        column = feature.column
        is_flag = column is not None and column.reason.startswith(_FLAGS)
        if column is not None and (column.kind == "number" or is_flag):
            columns.append(Column(name, "number", number_format=column.number_format))
            values.append(as_numbers(cells, name, table.places, column.number_format))
            notes += feature.notes
        elif column is None:
            notes += feature.notes
            warnings += feature.warnings
        elif name not in asked.target:
            warnings.append(
                f"Column {name!r} was left out: a step of a sequence holds numbers, and it holds "
                f"{column.reason}. Write it as numbers, or leave it out with --drop {name}."
            )
    if not columns:
        raise DataError(
            f"A step of a sequence needs a column of numbers; {quoted(table.name)} has none "
            f"besides {listed([name for name in map(str, table.frame) if name in apart])}. "
            + " ".join(warnings[:3])
        )
    return tuple(columns), np.stack(values, axis=1), notes, warnings


def _check_constant(table: Table, steps: _Steps, names: Sequence[str], series: str) -> None:
    """Raise ``DataError`` where a column that belongs to a whole series differs within one."""
    for name in names:
        codes = pd.factorize(as_levels(table.frame[name]))[0][steps.order]
        for number, block in enumerate(steps.blocks()):
            differs = codes[block] != codes[block][0]
            if differs.any():
                rows = steps.order[block][[0, int(np.flatnonzero(differs)[0])]]
                mask = np.isin(np.arange(table.n_rows), rows)
                cells = as_levels(table.frame[name]).tolist()
                raise DataError(
                    f"{name!r} has one value for each sequence; within {quoted(steps.ids[number])} "
                    f"of {series!r} it differs: {table.places.with_cells(mask, cells)}. Correct "
                    "it; for a target that changes from step to step, forecast it with --window."
                )


# -- sequences and windows


def _whole(
    table: Table, steps: _Steps, values: NDArray[Any], form: LongForm, kept: Sequence[str]
) -> LongRows:
    """A row for each series, its steps in the order of time."""
    ordered = values[steps.order]
    array = joined([ordered[block] for block in steps.blocks()], SEQUENCE)
    rows = steps.order[steps.starts[:-1]]
    note = (
        f"The {table.n_rows:,} rows are steps of {counted(len(rows), 'sequence')}, one for each "
        f"value of {form.series!r}, in the order of {form.time!r}, with "
        f"{counted(len(form.features), 'feature')}: {listed(form.names)}."
    )
    labels = pd.DataFrame({form.series: steps.ids})
    return LongRows(_rows_with(table, rows, kept, array), form, labels, notes=(note,))


def _windows(
    table: Table,
    steps: _Steps,
    values: NDArray[Any],
    form: LongForm,
    kept: Sequence[str],
    target: Sequence[str],
) -> LongRows:
    """A row for each window whose target is known."""
    span = form.window + form.horizon
    firsts = [np.arange(b.start, b.stop - span + 1) for b in steps.blocks()]
    starts = np.concatenate(firsts)
    longest = max(b.stop - b.start for b in steps.blocks())
    if not len(starts):
        raise DataError(
            f"A window of {form.window} rows, whose target is {form.horizon} after its last, needs "
            f"a series of {span} rows; the longest has {longest}. Lower --window or --horizon."
        )
    known = ~table.frame[list(target)].isna().any(axis=1).to_numpy()
    for name in target:
        known &= ~as_levels(table.frame[name]).isna().to_numpy()
        if name in form.names:
            known &= ~np.isnan(values[:, form.names.index(name)])
    targets = steps.order[starts + span - 1]
    has_some = _some_value(values[steps.order], starts, form.window)
    usable = known[targets] & has_some
    notes = [_note_of_windows(form, int(usable.sum()), len(steps.ids))]
    short = sum(not len(first) for first in firsts)
    if short:
        notes.append(f"{counted(short, 'series')} of fewer than {span} rows were left out.")
    if not usable.all():
        notes.append(
            f"{counted(int((~usable).sum()), 'window')} without a target, or without any value, "
            "were left out."
        )
    starts, targets = starts[usable], targets[usable]
    if not len(starts):
        raise DataError(
            f"A window needs a target; that of none of them is known in {listed(target)}. Fill it "
            "in."
        )
    array = _cut(values[steps.order], starts, form.window)
    rows = _rows_with(table, targets, kept, array)
    labels = _labels(table, steps, form, starts)
    return LongRows(
        rows,
        form,
        labels,
        times=steps.times[targets],
        begins=steps.times[steps.order[starts]],
        notes=tuple(notes),
    )


def _note_of_windows(form: LongForm, n: int, n_series: int) -> str:
    of = f" of {counted(n_series, 'series')}" if form.series else ""
    return (
        f"{counted(n, 'window')} of {counted(form.window, 'row')}{of} in the order of "
        f"{form.time!r}, with {counted(len(form.features), 'feature')}: {listed(form.names)}; the "
        f"target is {counted(form.horizon, 'row')} after the last of each."
    )


def _cut(ordered: NDArray[Any], starts: NDArray[Any], window: int) -> NDArray[Any]:
    """The windows (n, window, features) that begin at some rows."""
    needed = 3 * len(starts) * window * ordered.shape[1] * 8
    if needed > free_bytes():
        raise DataError(
            f"Windows are held one beside the other; {len(starts):,} of {window} rows take "
            f"{needed / 1e9:,.1f} GB, more than is free. Shorten --window, or give fewer rows."
        )
    views = np.lib.stride_tricks.sliding_window_view(ordered, window, axis=0)
    return np.ascontiguousarray(views[starts].swapaxes(1, 2))


def _some_value(ordered: NDArray[Any], starts: NDArray[Any], window: int) -> NDArray[np.bool_]:
    """Which windows hold any value at all."""
    filled = np.concatenate([[0], np.cumsum(~np.isnan(ordered).all(axis=1))])
    some: NDArray[np.bool_] = filled[starts + window] > filled[starts]
    return some


def _labels(table: Table, steps: _Steps, form: LongForm, starts: NDArray[Any]) -> pd.DataFrame:
    """The series of each window, where there are several, and the time of its last row."""
    last = steps.order[starts + form.window - 1]
    number = np.searchsorted(steps.starts, starts, side="right") - 1
    series = {form.series: np.array(steps.ids, object)[number]} if form.series else {}
    times = table.frame[form.time].iloc[last].reset_index(drop=True)
    return pd.DataFrame({**series, form.time: times})


def _rows_with(
    table: Table, rows: NDArray[np.int64], kept: Sequence[str], array: NDArray[Any]
) -> Table:
    """The given rows' cells of some columns, beside sequences."""
    lines = table.places.lines
    return replace(
        table,
        frame=table.frame[list(dict.fromkeys(kept))].iloc[rows].reset_index(drop=True),
        arrays={SEQUENCE: array},
        places=Places() if lines is None else Places(lines[rows]),
        index=None,
    )


# -- new rows


def known_rows(
    table: Table, schema: Schema, *, require_target: bool, beside: Collection[str] = ()
) -> LongRows:
    """New steps under a schema: each series, or its windows.

    With ``require_target`` there is a row for each window whose target is known; else one for each
    series, its last window, whose target nobody knows yet.

    Parameters
    ----------
    beside : columns to keep for each sequence, besides the target's.

    Raises
    ------
    DataError
        A column is missing, a cell can't be read, times are not as those of the training data, or a
        series is shorter than a window.
    """
    form = schema.long
    assert form is not None
    target = schema.target.names if require_target else ()
    wanted = dict.fromkeys([*form.columns, *target])
    absent = [name for name in wanted if name not in checked_names(table.frame.columns)]
    if absent:
        raise DataError(
            f"The rows need the columns that the model was trained on; "
            f"{listed([repr(name) for name in absent])} {'is' if len(absent) == 1 else 'are'} "
            f"missing. Columns received: {listed(table.names)}."
        )
    steps = _Steps.of(table, form.series, form.time, _known_times(table, form))
    values = np.stack([_known_numbers(table, column) for column in form.features], axis=1)
    kept = [*target, *beside]
    extra = [n for n in table.names if n not in {*wanted, *schema.target.names, *beside}]
    notes = (
        (f"Columns that the model does not use were ignored: {listed(extra)}.",) if extra else ()
    )
    if not form.window:
        _check_constant(table, steps, kept, form.series)
        rows = _whole(table, steps, values, form, kept)
        return replace(rows, notes=notes)
    check_pace(steps.times[steps.order], steps.blocks(), form)
    if require_target:
        rows = _windows(table, steps, values, form, kept, target)
        return replace(rows, notes=(*notes, *rows.notes))
    return replace(_last_windows(table, steps, values, form), notes=notes)


def _last_windows(table: Table, steps: _Steps, values: NDArray[Any], form: LongForm) -> LongRows:
    sizes = np.diff(steps.starts)
    if (sizes < form.window).any():
        number = int(np.flatnonzero(sizes < form.window)[0])
        whose = f"the series {quoted(steps.ids[number])}" if form.series else "the table"
        raise DataError(
            f"A forecast needs the last {counted(form.window, 'row')} before it; {whose} has "
            f"{sizes[number]}. Give as many."
        )
    starts = steps.starts[1:] - form.window
    array = _cut(values[steps.order], starts, form.window)
    rows = _rows_with(table, steps.order[starts + form.window - 1], (), array)
    return LongRows(rows, form, _labels(table, steps, form, starts))


def _known_times(table: Table, form: LongForm) -> NDArray[Any]:
    cells = table.frame[form.time]
    if not form.is_date:
        numbers = as_numbers(cells, form.time, table.places, form.time_format)
        refuse_missing(np.isnan(numbers), form.time, "--time", table.places)
        return numbers
    dates = as_dates(cells, form.time, table.places, form.time_format)
    refuse_missing(dates.isna().to_numpy(), form.time, "--time", table.places)
    return dates.to_numpy().astype("datetime64[us]").astype(np.int64)


def _known_numbers(table: Table, column: Column) -> NDArray[np.float64]:
    cells = table.frame[column.name]
    values = as_numbers(cells, column.name, table.places, column.number_format)
    check_range(values, column.name, table.places, "Correct these cells or leave them empty.")
    return values
