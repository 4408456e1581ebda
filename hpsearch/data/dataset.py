"""``Dataset``: one table, its columns' kinds, its target, and what identifies it.

Owns the types that every later part reads. Reading files belongs to ``tables``, deciding on
kinds to ``kinds`` and ``target``, named sets to ``named``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch import snippets
from hpsearch.task import Target

ColumnKind = Literal["number", "category", "text", "date", "words", "array", "exposure"]
ArrayKind = Literal["image", "video", "sequence", "numbers"]


@dataclass(frozen=True)
class Column:
    """One feature column: what it was taken for, and why.

    Attributes
    ----------
    name : the column's name.
    kind : ``number``, ``category``, ``text`` (free text), ``date``, ``words`` (a multi-hot matrix
        of word numbers) or ``array`` (an array per row); ``exposure`` is no feature, but what a
        predicted count is multiplied by.
    reason : why it was taken for that, for people.
    levels : for ``category`` the levels as text, sorted; for ``text`` the words found in it,
        sorted; for ``words`` the words' names where they are known. Names only: which of them a
        fold knows is learnt from its training rows (``hpsearch.preprocessing``).
    has_missing : whether a cell of this column is missing; of a sequence, whether a value is, or a
        step is padding.
    shape : for ``array`` the shape of one row; for ``words`` ``(n_words,)``; else empty.
    array_kind : for ``array``, ``image`` (rows, height, width[, channels]), ``video`` (rows,
        frames, height, width[, channels]), ``sequence`` (rows, steps, features) or ``numbers``,
        each of which is a feature of its own.
    has_clock : for ``date``, whether a time of day other than midnight occurs.
    date_format : for ``date``, the form in which text was written (``dates``); else empty.
    word_rule : for ``text``, the rule by which it was split into words (``words``).
    number_format : for ``number``, the form in which text was written, such as ``1.234,5 €``
        (``numerals``); empty for plain numbers.
    image_form : for an ``array`` of image files, how they are read, such as ``RGB, of 64 x 96``
        (``images``); empty for arrays.
    offset : what is taken off in float64 before numbers become float32 (``offsets``): one number
        for a ``number``, or for a date's days since 2000; one for each last index of an array as a
        network sees it. Empty where nothing is.
    padding : for ``sequence``, the value that all features of a padded step hold; None for none.
        For ``words`` that keep their order, the word number that was left out as padding.
    width : for ``text`` and ``words`` that keep the order of their words, how many of a row are
        kept (``tokens``); 0 where they say which words occur.
    """

    name: str
    kind: ColumnKind
    reason: str = ""
    levels: tuple[str, ...] = ()
    has_missing: bool = False
    shape: tuple[int, ...] = ()
    array_kind: ArrayKind = "image"
    has_clock: bool = False
    date_format: str = ""
    number_format: str = ""
    word_rule: str = ""
    image_form: str = ""
    offset: tuple[float, ...] = ()
    padding: float | None = None
    width: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary, without what few columns have and this one has not."""
        rare = {"padding": self.padding is not None, "width": self.width > 0}
        return {key: value for key, value in asdict(self).items() if rare.get(key, True)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Column:
        """The inverse of ``to_json``."""
        tuples = {"levels": tuple(value["levels"]), "shape": tuple(value["shape"])}
        offset = tuple(map(float, value.get("offset", ())))
        return cls(**{**value, **tuples, "offset": offset})


@dataclass(frozen=True)
class LongForm:
    """How the rows of a long table, each a step, become sequences (``long_tables``).

    Attributes
    ----------
    series : the column that tells sequences apart; empty where there is one series.
    time : the column that steps follow; ``is_date`` and ``time_format`` say how it is written.
    features : the columns of numbers that a step holds, in their order.
    window : rows of a window, and ``horizon`` how many rows after its last one the target is; 0
        where each series is one sequence.
    every, unit : how far rows lie apart in time, for windows (``even_steps``).
    """

    series: str
    time: str
    is_date: bool
    time_format: str
    features: tuple[Column, ...]
    window: int = 0
    horizon: int = 0
    every: float = 0.0
    unit: str = ""

    @property
    def names(self) -> list[str]:
        """The features' names."""
        return [column.name for column in self.features]

    @property
    def columns(self) -> list[str]:
        """All columns that new rows need, their target apart."""
        return [*([self.series] if self.series else []), self.time, *self.names]

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_json`` is its inverse."""
        return {**asdict(self), "features": [column.to_json() for column in self.features]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LongForm:
        """The inverse of ``to_json``."""
        return cls(**{**value, "features": tuple(map(Column.from_json, value["features"]))})


@dataclass(frozen=True)
class Schema:
    """The feature columns in order, and the target: all that encoding a raw row needs.

    ``long`` says how a long table's rows become sequences, where the rows come from one.
    """

    columns: tuple[Column, ...]
    target: Target
    long: LongForm | None = None

    def of_kind(self, *kinds: ColumnKind) -> tuple[Column, ...]:
        """The columns of the given kinds, in the schema's order."""
        return tuple(column for column in self.columns if column.kind in kinds)

    @property
    def bags(self) -> tuple[Column, ...]:
        """The columns of which networks see which words occur."""
        return tuple(c for c in self.of_kind("text", "words") if not c.width)

    @property
    def tokens(self) -> tuple[Column, ...]:
        """The columns of which networks see the words in their order."""
        return tuple(c for c in self.of_kind("text", "words") if c.width)

    @property
    def n_features(self) -> int:
        """Columns that networks see something of."""
        return len(self.columns) - len(self.of_kind("exposure"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_json`` is its inverse."""
        return {
            "columns": [column.to_json() for column in self.columns],
            "target": self.target.to_json(),
            **({"long": self.long.to_json()} if self.long else {}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Schema:
        """The inverse of ``to_json``."""
        columns = tuple(map(Column.from_json, value["columns"]))
        long = LongForm.from_json(value["long"]) if value.get("long") else None
        return cls(columns, Target.from_json(value["target"]), long)


@dataclass(frozen=True)
class Origin:
    """How a table was read.

    Attributes
    ----------
    source : the file's whole path, or the set's name; None for a table in memory.
    options : what else ``load`` was given, as JSON can hold it.
    """

    source: str | None
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table ready for folds: features, target, and optional groups and times.

    Attributes
    ----------
    name : a short name, for titles and folder names.
    schema : columns and target.
    frame : the ``number`` (float64, missing is NaN), ``category`` and ``text`` (``str`` dtype,
        missing is NaN) and ``date`` (datetime64, missing is NaT) columns, a row each, index
        ``0..n_rows-1``.
    arrays : the ``array`` columns (n_rows, ...) in their own dtype, and the ``words`` columns as
        ``scipy.sparse.csr_array`` (n_rows, n_words) of float32 ones, or, where they keep their
        order, int32 (n_rows, width) as ``tokens`` numbers words.
    y : ``binary`` and ``multiclass``: int32 codes (n_rows,); ``multilabel``: float32 0/1
        (n_rows, n_labels); else float64 (n_rows, n_values).
    groups : group of each row (n_rows,) as integer codes, or None.
    time : a sortable int64 or float64 for each row (n_rows,), or None.
    begins : of windows of a series, whose ``time`` is that of what they predict, the time of their
        first row (n_rows,); else None.
    notes : what was inferred, dropped or handled, a sentence each, for people.
    warnings : what deserves attention, a sentence each.
    fingerprint : SHA-256 (hex) of everything above that influences training.
    test : the set's own test rows, where it has some, with the same schema.
    groups_name, time_name : the columns that ``groups`` and ``time`` come from; else empty.
    weights : what each row weighs (n_rows,), or None where all weigh the same.
    weights_name : the column that they come from; else empty.
    weighs_scores : whether rows weigh in scores as well as in the loss.
    origin : how to read the same table again, where that can be written down.
    """

    name: str
    schema: Schema
    frame: pd.DataFrame
    arrays: dict[str, NDArray[Any] | sparse.csr_array]
    y: NDArray[Any]
    groups: NDArray[Any] | None = None
    time: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""
    test: Dataset | None = field(default=None, repr=False)
    groups_name: str = ""
    time_name: str = ""
    weights: NDArray[np.float64] | None = None
    weights_name: str = ""
    weighs_scores: bool = True
    origin: Origin | None = field(default=None, repr=False)
    begins: NDArray[Any] | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @property
    def target(self) -> Target:
        """The target's names, problem type and label order."""
        return self.schema.target

    @property
    def score_weights(self) -> NDArray[np.float64] | None:
        """What each row weighs in scores (n_rows,), or None where all weigh the same."""
        if self.weights is None or not self.weighs_scores:
            return None
        return None if (self.weights == self.weights[0]).all() else self.weights

    def describe(self) -> list[str]:
        """All that is to be known of the table before it is used: lines for people.

        What the columns and the target were taken for, then the notes, then the warnings, each of
        which begins with ``warning:``; the lines that the command line prints.

        Examples
        --------
        >>> import hpsearch
        >>> print(hpsearch.load("sklearn:iris").describe()[0])
        iris: 150 rows, 4 feature columns
        """
        warnings = (f"warning: {text}" for text in self.warnings)
        return [*self.taken_for(), *self.notes, *warnings]

    def taken_for(self) -> list[str]:
        """What the columns and the target were taken for, and why, without notes and warnings."""
        n_features = self.schema.n_features
        lines = [
            f"{self.name}: {self.n_rows:,} rows, {n_features:,} feature "
            f"column{'' if n_features == 1 else 's'}"
        ]
        for kind in get_args(ColumnKind):
            found = self.schema.of_kind(kind)
            if found:
                lines.append(f"{kind} ({len(found):,}): {_described(found)}")
        lines.append(f"target: {_target_described(self.target)}")
        return [*lines, *(f"{role}: {said}" for role, said in self._roles().items())]

    def __repr__(self) -> str:
        head, *rest = self.describe()
        return "\n".join([f"Dataset {head}", *(f"  {line}" for line in rest)])

    def _repr_html_(self) -> str:
        """What ``describe`` says, as a notebook shows it."""
        head, *_ = self.taken_for()
        columns = self.schema.columns[:_MOST_SHOWN]
        rows = [(c.name, c.kind, c.reason, "yes" if c.has_missing else "") for c in columns]
        hidden = len(self.schema.columns) - len(columns)
        return snippets.shown(
            head,
            snippets.facts({"target": _target_described(self.target), **self._roles()}),
            snippets.table("Columns", ("column", "kind", "why", "missing cells"), rows),
            snippets.listed("", [f"and {hidden:,} more columns"] if hidden else []),
            snippets.listed("notes", self.notes),
            snippets.listed("warnings", self.warnings),
        )

    def _roles(self) -> dict[str, str]:
        """Columns that are no features, in words."""
        said = {}
        if self.groups is not None:
            said["groups"] = _counted_values(self.groups_name, self.groups)
        if self.time is not None:
            said["time"] = _counted_values(self.time_name, self.time)
        if self.weights is not None:
            source = f"{self.weights_name}, " if self.weights_name else ""
            said["weights"] = f"{source}{self.weights.min():g} to {self.weights.max():g}"
        if self.test is not None:
            said["test rows"] = f"{self.test.n_rows:,}"
        return said

    def learnt_as(self, transform: str) -> Dataset:
        """The same rows, of whose target networks learn a transform; the test rows alike."""
        target = replace(self.target, transform=transform)
        test = None if self.test is None else self.test.learnt_as(transform)
        return replace(self, schema=replace(self.schema, target=target), test=test)

    def scored(self, *, by_weight: bool) -> Dataset:
        """The same rows, which weigh in scores or all count the same; the test rows alike."""
        test = None if self.test is None else self.test.scored(by_weight=by_weight)
        return replace(self, weighs_scores=by_weight, test=test)

    def take(self, rows: NDArray[np.integer[Any]]) -> Dataset:
        """The given rows under the same schema, without the test rows and the fingerprint."""
        return replace(
            self,
            frame=self.frame.iloc[rows].reset_index(drop=True),
            arrays={name: array[rows] for name, array in self.arrays.items()},
            y=self.y[rows],
            groups=None if self.groups is None else self.groups[rows],
            time=None if self.time is None else self.time[rows],
            begins=None if self.begins is None else self.begins[rows],
            weights=None if self.weights is None else self.weights[rows],
            fingerprint="",
            test=None,
            origin=None,
        )


_MOST_DESCRIBED = 12
_MOST_SHOWN = 30


def _described(columns: tuple[Column, ...]) -> str:
    """Names, each with its reason where it is a word of its own; the first few of many."""
    plain = columns[0].kind == "number"
    shown = [
        column.name if plain else f"{column.name} ({column.reason})"
        for column in columns[:_MOST_DESCRIBED]
    ]
    rest = len(columns) - len(shown)
    n_missing = sum(column.has_missing for column in columns)
    text = ", ".join(shown) + (f" and {rest:,} more" if rest else "")
    return text + (f"; {n_missing:,} with missing cells" if n_missing else "")


def _counted_values(name: str, values: NDArray[Any]) -> str:
    source = f"{name}, " if name else ""
    return f"{source}{len(np.unique(values)):,} different values"


def _target_described(target: Target) -> str:
    names = ", ".join(target.names[:_MOST_DESCRIBED])
    rest = len(target.names) - _MOST_DESCRIBED
    names += f" and {rest:,} more" if rest > 0 else ""
    classes = f" of {len(target.labels):,} classes" if target.kind == "multiclass" else ""
    return f"{names}, {target.kind}{classes}: {target.reason}"
