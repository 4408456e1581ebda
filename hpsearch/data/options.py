"""The options of reading a table, each declared once: those of ``load``.

What they do belongs to ``loading``, which checks them against the table.
"""

from __future__ import annotations

import csv
import io
import math
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpsearch import options as rules
from hpsearch.data.quantile_levels import levels, read_levels, write_levels
from hpsearch.errors import OptionError
from hpsearch.options import Panel, option

MAX_LEVELS: Final = 64
"""Levels kept of a category column, where nothing else is asked."""

MAX_WORDS: Final = 10_000
"""Words kept of a text column, where nothing else is asked."""

MAX_TOKENS: Final = 256
"""Words of a row that are kept in their order, where nothing else is asked."""

LARGEST_SIDE: Final = 16_384
"""Pixels of an image's side."""


def read_names(values: Sequence[str] | None) -> list[str]:
    """Names from a repeatable option whose values may hold several, separated by commas.

    A name that has a comma, a quote or a line end itself is put in double quotes.

    Raises
    ------
    OptionError
        A value is too long to be names.

    Examples
    --------
    >>> read_names(["a, b", '"c,d"'])
    ['a', 'b', 'c,d']
    """
    names: list[str] = []
    for value in values or ():
        try:
            for row in csv.reader(io.StringIO(value, newline=""), skipinitialspace=True):
                names += [name.strip() for name in row if name.strip()]
        except csv.Error as error:
            raise OptionError(
                f"Names of columns are separated by commas; received {value!r} ({error})."
            ) from error
    return names


def _write_names(flag: str) -> Callable[[Iterable[str]], Iterator[str]]:
    def write(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            yield from (flag, quoted if any(mark in name for mark in ',"\n\r') else name)

    return write


def read_kinds(values: Sequence[str] | None) -> dict[str, str]:
    """What arrays are, from texts ``KIND``, for the array ``x``, or ``NAME=KIND``.

    Examples
    --------
    >>> read_kinds(["sequence"]), read_kinds(["left=image", "right=image"])
    ({'x': 'sequence'}, {'left': 'image', 'right': 'image'})
    """
    named = (value.rpartition("=") for value in values or ())
    return {name.strip() if equals else "x": kind.strip() for name, equals, kind in named}


def _write_kinds(kinds: Mapping[str, str]) -> Iterator[str]:
    for name, kind in kinds.items():
        yield from ("--array", kind if name == "x" else f"{name}={kind}")


def read_word_forms(values: Sequence[str] | None) -> dict[str, str]:
    """How networks get words, from texts ``FORM``, for all columns of words, or ``NAME=FORM``.

    Examples
    --------
    >>> read_word_forms(["tokens"]), read_word_forms(["note=tokens"])
    ({'': 'tokens'}, {'note': 'tokens'})
    """
    named = (value.rpartition("=") for value in values or ())
    return {name.strip(): form.strip() for name, _, form in named}


def word_forms(name: str, value: Any) -> dict[str, str]:
    """The rule of ``words_as``: a form for all columns, under ``""``, or for each by name."""
    given = {"": value} if isinstance(value, str) else rules.plain_values(name, value)
    for form in given.values():
        if form not in _WORD_FORMS:
            raise OptionError(
                f"--as is words (which of them occur) or tokens (in their order); received "
                f"{form!r}."
            )
    return given


_WORD_FORMS: Final = ("words", "tokens")


def _write_word_forms(forms: Mapping[str, str]) -> Iterator[str]:
    for name, form in forms.items():
        yield from ("--as", f"{name}={form}" if name else form)


def image_size(name: str, value: Any) -> tuple[int, int] | None:
    """The rule of ``size``: height and width of images, or None.

    Examples
    --------
    >>> image_size("size", "96x64"), image_size("size", 32)
    ((96, 64), (32, 32))
    """
    if value is None:
        return None
    parts = re.split("[xX×]", value) if isinstance(value, str) else value
    sides = list(parts) if isinstance(parts, list | tuple) else [parts]
    try:
        whole = [int(side) for side in sides if not isinstance(side, bool)]
    except (TypeError, ValueError, OverflowError):
        whole = []
    same = [*whole, *whole] if len(whole) == len(sides) == 1 else whole
    exact = all(isinstance(side, str) or side == n for side, n in zip(sides, whole, strict=False))
    if len(same) != 2 or len(whole) != len(sides) or not exact or not _fit(same):
        raise OptionError(
            f"`{name}` is the height and width of images in pixels, from 1 to {LARGEST_SIDE:,}, "
            f"such as 96 or 96x64; received {value!r}."
        )
    return same[0], same[1]


def _fit(sides: Sequence[int]) -> bool:
    return all(1 <= side <= LARGEST_SIDE for side in sides)


def _write_size(size: tuple[int, int]) -> Iterator[str]:
    height, width = size
    yield from ("--size", str(height) if height == width else f"{height}x{width}")


def _names(name: str, value: Any) -> tuple[str, ...]:
    """Column names as text; a name may be a number, as in a DataFrame made from an array."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    try:
        return tuple(map(str, value))
    except TypeError:  # it can't be gone through
        return (str(value),)


def _padding(name: str, value: Any) -> float | None:
    """A number, or None."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if value is not None and not (is_number and math.isfinite(value)):
        raise OptionError(
            f"`{name}` is the number that padded steps hold in all their features; received "
            f"{value!r}. NaN always is a missing value, without this option."
        )
    return None if value is None else float(value)


@dataclass(frozen=True)
class TableOptions:
    """How a table is read; see ``hpsearch.load``."""

    target: Any = option(
        (),
        "What to predict, a column or several; tables need it. Repeatable, or separated by commas.",
        _names,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--target"),
    )
    task: Any = option(
        None,
        "The problem type: binary, multiclass, multilabel, regression, share, count or "
        "quantile. Default: inferred, which the last two never are.",
        rules.anything,
        panel=Panel.DATA,
        metavar="KIND",
    )
    positive: Any = option(
        None,
        "Of two labels the positive one, whose probability is predicted and which precision, "
        "recall, F1 and a threshold are about. Default: the second one in their order.",
        rules.anything,
        panel=Panel.DATA,
        metavar="LABEL",
    )
    drop: Any = option(
        (),
        "Columns to leave out. Repeatable, or separated by commas.",
        _names,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--drop"),
    )
    text: Any = option(
        (),
        "Columns to read as free text. Repeatable, or separated by commas.",
        _names,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--text"),
    )
    category: Any = option(
        (),
        "Columns to read as categories, such as codes that are written as numbers. Repeatable, or "
        "separated by commas.",
        _names,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--category"),
    )
    words_as: Any = option(
        None,
        "How networks get the words of text, or rows of word numbers: words (which of them occur), "
        "or tokens (their numbers in their order, for an Embedding, at an input of the column's "
        "name or 'tokens'). For one of several columns NAME=FORM. Default: words.",
        word_forms,
        in_python="A word for all, or a dictionary by the columns' names.",
        flag="--as",
        panel=Panel.DATA,
        metavar="FORM",
        repeats=True,
        read=read_word_forms,
        write=_write_word_forms,
    )
    max_tokens: Any = option(
        None,
        "Words of a row that are kept as tokens: the first ones, where a row has more. Default: "
        "256.",
        rules.or_none(rules.count(most=100_000)),
        panel=Panel.DATA,
        metavar="N",
        given=int,
    )
    kinds: Any = option(
        None,
        "What an array of an NPZ file is: image, video, sequence (of steps of features) or "
        "numbers, for one of several NAME=KIND. Default: by its shape and values, which is said.",
        rules.plain_values,
        in_python="By the array's name, ``x`` where it has none.",
        flag="--array",
        panel=Panel.DATA,
        metavar="KIND",
        repeats=True,
        read=read_kinds,
        write=_write_kinds,
    )
    padding: Any = option(
        None,
        "The number that padded steps of sequences hold in all their features: they are left out "
        "of all statistics, and reach a network as zeros, which Keras's Masking hides. NaN is a "
        "missing value, and a step of nothing else padding, without this option. Of rows of word "
        "numbers as tokens, the number that stands for no word.",
        _padding,
        panel=Panel.DATA,
        metavar="NUMBER",
        given=float,
    )
    image: Any = option(
        (),
        "Columns of paths of images, within the table's folder. Repeatable, or separated by "
        "commas.",
        _names,
        panel=Panel.DATA,
        metavar="COLUMN",
        repeats=True,
        read=read_names,
        write=_write_names("--image"),
    )
    size: Any = option(
        None,
        "Height and width in pixels that image files are resized to: 96, or 96x64 for 96 high and "
        "64 wide. Needed where they differ in size.",
        image_size,
        in_python="A number, such a text, or a pair (height, width).",
        panel=Panel.DATA,
        metavar="SIZE",
        write=_write_size,
    )
    series: Any = option(
        None,
        "The table is long: the rows of each value of this column are the steps of one sequence, "
        "in the order of {time}. All columns of numbers are features of a step; the target is the "
        "same in all rows of a sequence, unless {window} cuts it into windows.",
        rules.or_none(rules.word),
        panel=Panel.DATA,
        metavar="COLUMN",
    )
    window: Any = option(
        None,
        "Forecast: so many rows, in the order of {time}, predict the target {horizon} rows after "
        "the last of them, by all their numbers, the target's own among them. Folds go forward in "
        "time, and no window lies across their cuts. {series} names the column that tells several "
        "series apart.",
        rules.or_none(rules.count()),
        panel=Panel.DATA,
        metavar="N",
        given=int,
    )
    horizon: Any = option(
        None,
        "How many rows after the last one of a {window} the value to predict is. Default: 1.",
        rules.or_none(rules.count()),
        panel=Panel.DATA,
        metavar="N",
        given=int,
    )
    path: Any = option(
        None,
        "For keras:NAME, the set's file, where it cannot be downloaded.",
        rules.anything,
        panel=Panel.DATA,
        metavar="FILE",
    )
    levels: Any = option(
        (),
        "With --task quantile, the levels of the quantiles to predict, rising, such as "
        "0.1,0.5,0.9, which are the default.",
        levels,
        in_python="Numbers between 0 and 1.",
        panel=Panel.DATA,
        metavar="LEVELS",
        read=read_levels,
        write=write_levels,
    )
    exposure: Any = option(
        None,
        "With --task count, the column that says how long, or over how much, each row was counted: "
        "rates are learnt, and predictions are rates times it. It is no feature then.",
        rules.anything,
        panel=Panel.DATA,
        metavar="COLUMN",
    )
    groups: Any = option(
        None,
        "Rows with one value of this column stay on one side of each fold.",
        rules.anything,
        in_python="A column, or an array or Series (n_rows,).",
        panel=Panel.FOLDS,
        metavar="COLUMN",
    )
    time: Any = option(
        None,
        "Train on earlier rows and validate on later ones, by this column; of a long table, the "
        "order of the steps.",
        rules.anything,
        in_python="A column, or an array or Series (n_rows,), of dates or numbers.",
        panel=Panel.FOLDS,
        metavar="COLUMN",
    )
    sample_weight: Any = option(
        None,
        "What each row weighs, in the loss and in scores: a column of numbers of 0 or above, which "
        "is no feature then. A row of weight 2 counts as two.",
        rules.anything,
        in_python="A column, or an array or Series (n_rows,).",
        flag="--weights",
        panel=Panel.TRAINING,
        metavar="COLUMN",
    )

    def __post_init__(self) -> None:
        rules.check_each(self)

    @property
    def given(self) -> list[str]:
        """Names of the options that are not at their defaults."""
        values = {each.name: getattr(self, each.name) for each in TABLE_OPTIONS}
        return [
            name
            for name, value in values.items()
            if value is not None and not (isinstance(value, str | tuple | dict) and not value)
        ]


TABLE_OPTIONS: Final = rules.declared(TableOptions)


def check_long(asked: TableOptions) -> None:
    """Raise ``OptionError`` where options contradict each other that are about a long table."""
    named = "--window" if asked.window is not None else "--series"
    has_no_meaning = {
        "--horizon": asked.horizon is not None and asked.window is None,
        "--text": bool(asked.text),
        "--category": bool(asked.category),
        "--image": bool(asked.image),
        "--array": bool(asked.kinds),
        "--exposure": asked.exposure is not None,
        "--groups": asked.groups is not None and asked.window is not None,
    }
    wrong = next((flag for flag, is_wrong in has_no_meaning.items() if is_wrong), None)
    if wrong == "--horizon":
        raise OptionError("`horizon` says what a window predicts; give --window too.")
    if wrong is not None:
        raise OptionError(
            f"{wrong} has no meaning beside {named}, which makes rows steps of numbers. Leave it "
            "out."
        )
    if not isinstance(asked.time, str):
        raise OptionError(f"{named} needs the order of its rows; name their column with --time.")
    by_row = (asked.groups, asked.sample_weight)
    if any(values is not None and not isinstance(values, str) for values in by_row):
        raise OptionError(
            "Groups and weights of a long table are columns of it; received values. Put them in "
            "the table, and name the column."
        )
