"""``load``: from any source to a ``Dataset``.

Owns the order of things: read raw columns, let options choose the parts they play, decide on kinds,
read the target, look for what deserves a warning. Each step's rules belong to its own module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from hpsearch.data.arrays import array_column, check_kinds, check_padding_has_use, settled
from hpsearch.data.arrow import is_arrow, series_of
from hpsearch.data.by_row import doubt_of_unit, groups_of, times_of, weights_of
from hpsearch.data.dataset import ArrayKind, Column, Dataset, Origin, Schema
from hpsearch.data.exposure import exposure_name, read_exposure
from hpsearch.data.fingerprint import fingerprint
from hpsearch.data.hints import target_leaks
from hpsearch.data.image_columns import with_images
from hpsearch.data.images import ImageForm
from hpsearch.data.kinds import read_feature
from hpsearch.data.long_tables import SEQUENCE, known_rows, read_long
from hpsearch.data.long_tables import Asked as AskedLong
from hpsearch.data.names import check_known, listed
from hpsearch.data.numerals import NumberForm
from hpsearch.data.offsets import with_offsets
from hpsearch.data.options import MAX_TOKENS, TABLE_OPTIONS, TableOptions, check_long
from hpsearch.data.positive import with_positive
from hpsearch.data.rows import Arrays, names_of, read_under, rows_of_table
from hpsearch.data.sequences import check_no_longer
from hpsearch.data.signs import Signs
from hpsearch.data.tables import Table, check_index, read_table
from hpsearch.data.target import TargetColumn, read_target
from hpsearch.data.tokens import (
    check_use,
    ordered_rows,
    tokens_asked,
    word_number_column,
)
from hpsearch.data.understood import quoted
from hpsearch.errors import DataError, OptionError
from hpsearch.options import check_options, recorded, taking
from hpsearch.progress import followed
from hpsearch.task import Target


@dataclass(frozen=True)
class _Roles:
    """Which column plays which part; ``kinds`` says what some arrays are."""

    target: tuple[str, ...]
    drop: tuple[str, ...]
    text: tuple[str, ...]
    groups: str | None
    time: str | None
    weights: str | None
    exposure: str | None = None
    images: tuple[str, ...] = ()
    series: str | None = None
    kinds: Mapping[str, ArrayKind] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()
    category: tuple[str, ...] = ()
    max_tokens: int = MAX_TOKENS

    @classmethod
    def of(cls, asked: TableOptions, table: Table) -> _Roles:
        """The parts that options give to a table's columns."""
        return cls(
            asked.target or table.target,
            asked.drop,
            asked.text,
            asked.groups if isinstance(asked.groups, str) else None,
            asked.time if isinstance(asked.time, str) else None,
            asked.sample_weight if isinstance(asked.sample_weight, str) else None,
            exposure_name(asked.exposure),
            asked.image,
            asked.series,
            asked.kinds,
            tokens_asked(asked.words_as, asked.text, table.arrays, table.word_lists),
            asked.category,
            asked.max_tokens or MAX_TOKENS,
        )

    def reading(self, name: str) -> dict[str, Any]:
        """How the cells of a column are read, as ``read_feature`` takes it."""
        return {
            "as_text": name in self.text,
            "as_category": name in self.category,
            "max_tokens": self.max_tokens if name in self.tokens else 0,
        }

    @property
    def apart(self) -> set[str]:
        """Columns that are no features."""
        named = (self.groups, self.time, self.weights, self.exposure)
        return {*self.target, *self.drop, *(name for name in named if name is not None)}


@taking(TABLE_OPTIONS)
def load(
    source: Any,
    y: Any = None,
    *,
    name: str | None = None,
    schema: Schema | None = None,
    **options: Any,
) -> Dataset:
    """Read a table, decide what its columns are, and check it before any training.

    Parameters
    ----------
    source : path of a CSV, TSV (also .gz), Parquet or NPZ file; of a folder that holds a folder of
        images for each class; ``"sklearn:NAME"`` or ``"keras:NAME"``; a DataFrame (of pandas,
        polars or any library that speaks Arrow); an array (n_rows, ...); a sparse 0/1 matrix; a
        list of sequences (steps, features) of different length, or of word numbers; a pair
        ``(X, y)`` of these; a ``Dataset``, which is returned as it is.
    y : the target of arrays and DataFrames: (n_rows,) or (n_rows, n), a Series or a DataFrame,
        whose index must be that of X.
    name : a short name; default: from the source.
    schema : read the rows as this schema says instead of deciding on kinds, with their target;
        ``sample_weight`` is the one option that goes with it.

    Returns
    -------
    Dataset
        With ``notes`` and ``warnings`` for people, and a fingerprint.

    Raises
    ------
    DataError
        The data cannot be used as they are; the message says where and what to do.
    OptionError
        An option has no meaning here.

    Examples
    --------
    >>> import hpsearch
    >>> data = hpsearch.load([[1.0, 2.0], [3.0, 1.0], [5.0, 9.0]], [0.1, 0.7, 1.9])
    >>> data.target.kind, data.n_rows
    ('regression', 3)
    """
    check_options("load", options, TABLE_OPTIONS)
    asked = TableOptions(**options)
    if isinstance(source, Dataset):
        if asked.given or any(value is not None for value in (y, name, schema)):
            raise OptionError(
                "A Dataset is used as it is; options belong to the call of load that made it."
            )
        return source
    table = _read_source(source, y, schema, asked)
    if name is not None:
        table = replace(table, name=name)
    if schema is not None:
        wrong = [name for name in asked.given if name not in ("path", "sample_weight")]
        if wrong:
            raise OptionError(
                "Rows that are read under a schema take their target and kinds from it; leave out "
                f"{listed(wrong)}."
            )
        return _under_schema(table, schema, asked.sample_weight)
    if asked.target:
        table = _without_other_targets(table, asked.target)
    roles = _Roles.of(asked, table)
    _check_roles(roles, table)
    check_use(asked.max_tokens, roles.tokens)
    if asked.series is None and asked.window is None and asked.horizon is None:
        data = _decide(table, roles, asked)
    else:
        data = _decide_long(table, roles, asked)
    by_row = (asked.groups, asked.time, asked.sample_weight)
    if y is None and all(values is None or isinstance(values, str) for values in by_row):
        data = replace(data, origin=_origin(source, data.name, roles, asked))
    if table.test is None:
        return data
    return replace(data, test=_test_rows(table.test, data))


def load_test(source: Any, data: Dataset) -> Dataset:
    """Test rows of a dataset, read under its schema, with weights where they have its column.

    Parameters
    ----------
    source : as ``load`` takes it.

    Raises
    ------
    DataError
        The rows don't fit the schema, or what they weigh can't be used.
    """
    return _test_rows(_read_source(source, None, data.schema, TableOptions()), data)


def _test_rows(table: Table, data: Dataset) -> Dataset:
    there = data.weights_name in table.names
    return _under_schema(table, data.schema, data.weights_name if there else None)


def _origin(source: Any, name: str, roles: _Roles, asked: TableOptions) -> Origin:
    """How to read the table again, from any working folder."""
    from hpsearch.data import named

    path = None if asked.path is None else str(Path(asked.path).expanduser().resolve())
    known = {**recorded(asked), "target": roles.target, "path": path, "name": name}
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in known.items()}
    if not isinstance(source, str | os.PathLike):
        return Origin(None, options)
    is_named = isinstance(source, str) and named.is_named(source)
    return Origin(str(source) if is_named else str(Path(source).expanduser().resolve()), options)


def _read_source(source: Any, y: Any, schema: Schema | None, asked: TableOptions) -> Table:
    from hpsearch.data import named

    path = asked.path

    if isinstance(source, str) and named.is_named(source):
        if y is not None:
            raise OptionError(f"The named set {source!r} knows its target; leave out y.")
        return named.read_named(source, path)
    if path is not None:
        raise OptionError(
            f"--path belongs to named sets of Keras, such as keras:mnist; received {source!r}. "
            "Give the file itself as the data."
        )
    if schema is None:
        tokens = [name for name, form in asked.words_as.items() if form == "tokens"]
        ordered = ["x" if not name and not asked.text else name for name in tokens]
        return read_table(source, y, sequences="sequence" in asked.kinds.values(), ordered=ordered)
    return read_under(source, y, schema)


def _without_other_targets(table: Table, chosen: tuple[str, ...]) -> Table:
    """The table without the target columns it knows of, where only some of them are chosen."""
    others = [name for name in table.target if name not in chosen]
    if not others or not set(chosen) <= set(table.target):
        return table
    note = f"Target columns that were not chosen were left out: {listed(others)}."
    return replace(table, frame=table.frame.drop(columns=others), notes=(*table.notes, note))


def _check_roles(roles: _Roles, table: Table) -> None:
    names = table.names
    if not names:
        raise DataError(f"A table needs columns; {quoted(table.name)} has none. Add some to it.")
    if not roles.target:
        raise DataError(
            f"--target must name the column to predict. Columns: {listed(names)}. "
            f"The last one, for instance: --target {names[-1]}."
        )
    single = {"--groups": roles.groups, "--time": roles.time, "--weights": roles.weights}
    single |= {"--exposure": roles.exposure, "--series": roles.series}
    named = {"--target": roles.target, "--drop": roles.drop, "--text": roles.text}
    named |= {"--image": roles.images, "--category": roles.category}
    named |= {option: (name,) for option, name in single.items() if name is not None}
    part: dict[str, str] = {}
    for option, columns in named.items():
        check_known(columns, names, option)
        for column in columns:
            if column in part:
                raise DataError(
                    f"A column plays one part; {column!r} is named by {part[column]} and {option}. "
                    "Leave it out of one of them."
                )
            part[column] = option
            if column in table.arrays and option != "--drop":
                raise DataError(
                    f"{option} must name a column with one cell per row; {column!r} holds an array "
                    "per row. Name another column."
                )


def _decide(table: Table, roles: _Roles, asked: TableOptions) -> Dataset:
    table, forms, doubts_of_images = with_images(table, roles.images, asked.size)
    places = table.places
    signs = Signs(table.frame, semicolons=table.semicolons)
    found = _target(table, roles, asked, signs)
    notes: list[str] = [*table.notes, *found.notes]
    warnings: list[str] = [*doubts_of_images, *found.warnings]
    columns: list[Column] = []
    values: dict[str, Any] = {}
    trimmed: list[str] = []
    for key, cells in followed(table.frame.items(), "columns", table.frame.shape[1]):
        name = str(key)
        if name in roles.apart:
            continue
        feature = read_feature(cells, name, places, signs=signs, **roles.reading(name))
        notes += feature.notes
        warnings += feature.warnings
        trimmed += [name] if feature.trimmed else []
        if feature.column is not None:
            columns.append(feature.column)
            values[name] = feature.series.array  # a series would be aligned, column by column
    notes += _format_notes(columns, found.target)
    if trimmed:
        notes.append(f"Spaces around cells were removed in {listed(trimmed)}.")
    arrays, of_arrays, said_of_arrays = _arrays(table, roles, asked, forms)
    columns += of_arrays
    notes += said_of_arrays
    _check_any_is_left(columns, table, [*notes, *warnings])
    frame = pd.DataFrame(values, index=range(table.n_rows))
    warnings += target_leaks(frame, found.target, found.y)
    for column, units in read_exposure(table.frame, roles.exposure, places, signs, found.target):
        columns.append(column)
        frame[column.name] = units
    schema, *said = with_offsets(Schema(tuple(columns), found.target), frame, arrays, found.y)
    notes += said[0]
    warnings += said[1]
    arrays = {c.name: settled(arrays[c.name], c) for c in schema.columns if c.name in arrays}
    weights, doubts = weights_of(_raw(table, asked.sample_weight, "sample_weight"), places, signs)
    warnings += [*doubts, *doubt_of_unit(weights, roles.weights or "sample_weight")]
    data = Dataset(
        name=table.name,
        schema=schema,
        frame=frame,
        arrays=arrays,
        y=found.y,
        groups=groups_of(_raw(table, asked.groups, "groups"), places),
        time=times_of(_raw(table, asked.time, "time"), places, signs),
        notes=tuple(notes),
        warnings=tuple(warnings),
        groups_name=roles.groups or "",
        time_name=roles.time or "",
        weights=weights,
        weights_name=roles.weights or "",
    )
    return replace(data, fingerprint=fingerprint(data))


def _decide_long(table: Table, roles: _Roles, asked: TableOptions) -> Dataset:
    """A dataset of a long table's sequences, or of windows of its series."""
    check_long(asked)
    beside = [name for name in (roles.groups, roles.weights) if name is not None]
    long = read_long(
        table,
        AskedLong(
            series=roles.series or "",
            time=roles.time or "",
            window=asked.window or 0,
            horizon=(asked.horizon or 1) if asked.window else 0,
            target=roles.target,
            apart=tuple(beside),
            drop=roles.drop,
        ),
    )
    of_rows = replace(roles, drop=(), series=None, time=None, kinds={SEQUENCE: "sequence"})
    times = None if long.times is None else pd.Series(long.times)
    data = _decide(long.table, of_rows, replace(asked, time=times))
    [column] = data.schema.of_kind("array")
    described = replace(
        column, reason=f"{column.reason.removesuffix(', as asked')}: {listed(long.form.names)}"
    )
    made = replace(
        data,
        schema=replace(data.schema, columns=(described,), long=long.form),
        begins=long.begins,
        time_name=roles.time or "" if asked.window else "",
        notes=(*long.notes, *data.notes),
        warnings=(*long.warnings, *data.warnings),
    )
    return replace(made, fingerprint=fingerprint(made))


def _arrays(
    table: Table, roles: _Roles, asked: TableOptions, forms: Mapping[str, ImageForm]
) -> tuple[Arrays, list[Column], list[str]]:
    """The arrays that are features, their columns, and what is said of them."""
    arrays: Arrays = {k: a for k, a in table.arrays.items() if k not in roles.drop}
    check_kinds(roles.kinds, arrays)
    columns: list[Column] = []
    notes: list[str] = []
    for name, array in arrays.items():
        kind, form = roles.kinds.get(name), forms.get(name)
        if name in roles.tokens:
            rows = ordered_rows(array, name, table.word_lists.get(name))
            found = word_number_column(rows, name, roles.max_tokens, asked.padding)
        else:
            found = array_column(array, name, kind, asked.padding, form)
        arrays[name] = found.array
        columns.append(found.column)
        notes += found.notes
    check_padding_has_use(asked.padding, columns)
    return arrays, columns, notes


def _check_any_is_left(columns: Sequence[Column], table: Table, said: Sequence[str]) -> None:
    if not columns:
        raise DataError(
            f"A table needs features besides its target; {quoted(table.name)} has none left. "
            + " ".join([note for note in said if "was left out" in note][:3])
        )


def _target(table: Table, roles: _Roles, asked: TableOptions, signs: Signs) -> TargetColumn:
    """The target as it was asked for, as is known of a set with a name, or as its cells look."""
    found = _target_of(table, roles, asked, signs)
    return found if asked.positive is None else with_positive(found, asked.positive)


def _target_of(table: Table, roles: _Roles, asked: TableOptions, signs: Signs) -> TargetColumn:
    frame, known, task = table.frame[list(roles.target)], table.task, asked.task
    if task is not None or known is None or roles.target != table.target or asked.levels:
        return read_target(frame, table.places, task, signs, asked.levels)
    found = read_target(frame, table.places, known, signs)
    return replace(found, target=replace(found.target, reason=table.task_reason))


def _format_notes(columns: Sequence[Column], target: Target) -> list[str]:
    """What was made of numbers that are not plain, a sentence for each form."""
    names: dict[str, list[str]] = {}
    for column in columns:
        names.setdefault(NumberForm.of(column.number_format).meaning, []).append(column.name)
    for name in target.names:
        names.setdefault(NumberForm.of(target.number_format(name)).meaning, []).append(name)
    return [f"{meaning} in {listed(known)}." for meaning, known in names.items() if meaning]


def _under_schema(table: Table, schema: Schema, weights: Any = None) -> Dataset:
    """Rows with their target, and what they weigh: a column, or values."""
    name = weights if isinstance(weights, str) else ""
    if name:
        check_known([name], table.names, "--weights")
        _check_apart(name, schema)
    if schema.long is not None:
        beside = [name] if name else []
        table = known_rows(table, schema, require_target=True, beside=beside).table
    signs = Signs(table.frame, semicolons=table.semicolons)
    raw = _raw(table, weights, "sample_weight")
    weighing, doubts = weights_of(raw, table.places, signs)
    if name:
        table = replace(table, frame=table.frame.drop(columns=name))
    rows = rows_of_table(table, schema, require_target=True)
    assert rows.y is not None
    check_no_longer(rows.arrays, schema)
    data = Dataset(
        name=table.name,
        schema=schema,
        frame=rows.frame,
        arrays=rows.arrays,
        y=rows.y,
        notes=(*rows.notes, *rows.unseen),
        warnings=tuple(doubts),
        weights=weighing,
        weights_name=name,
    )
    return replace(data, fingerprint=fingerprint(data))


def _check_apart(weights: str, schema: Schema) -> None:
    if weights in names_of(schema):
        raise DataError(
            f"A column plays one part; {weights!r} is a column of the model, and is named by "
            "--weights. Name another one."
        )


def _raw(table: Table, given: Any, option: str) -> tuple[str, pd.Series[Any]] | None:
    """The raw column that an option names, or the array that it gives."""
    if given is None:
        return None
    if isinstance(given, str):
        return given, table.frame[given]
    check_index(table, given, option)
    series = _one_column(given, option)
    if len(series) != table.n_rows:
        raise DataError(
            f"`{option}` needs a value for each row; received {len(series)} for {table.n_rows} "
            "rows. Give one for each row."
        )
    return option, series.reset_index(drop=True)


def _one_column(given: Any, option: str) -> pd.Series[Any]:
    if isinstance(given, pd.Series):
        return given
    try:
        if isinstance(given, pd.DataFrame) and given.shape[1] == 1:
            return given.iloc[:, 0]
        return series_of(given) if is_arrow(given) else pd.Series(given)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"`{option}` is a column's name or one value for each row; received "
            f"{type(given).__name__} ({error}). Give an array of the shape (n_rows,)."
        ) from error
