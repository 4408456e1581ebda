"""Kinds: what each feature column is taken for, and why; what is left out, and why.

Owns the decision for one feature column at a time, and the refusals and warnings that concern that
column alone. What its cells say belongs to ``cells``, what an array a row is to ``arrays``; how a
kind is encoded belongs to ``hpsearch.preprocessing``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data.cells import as_levels, interpret
from hpsearch.data.dataset import Column
from hpsearch.data.ragged import check_lists
from hpsearch.data.signs import Signs
from hpsearch.data.tokens import cut_note, with_tokens, words_in
from hpsearch.data.understood import MISSING_WORDS, Cells, Form, Places, quoted
from hpsearch.data.variants import CORRECT_LEVELS
from hpsearch.data.words import SCRIPTS, count_words, has_unspaced, split_words
from hpsearch.errors import DataError

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_N_IDENTIFIERS = 20
_N_WORDS_OF_FREE_TEXT = 4
_N_MANY_LEVELS = 1_000


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature column after the decision.

    Attributes
    ----------
    column : what it was taken for; None where it was left out.
    series : its cells in the form that ``Dataset.frame`` asks for.
    notes, warnings : what was handled and what deserves attention, a sentence each.
    trimmed : whether spaces around its cells were removed.
    """

    column: Column | None
    series: pd.Series[Any]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trimmed: bool = False


def read_feature(
    series: pd.Series[Any],
    name: str,
    places: Places,
    *,
    as_text: bool = False,
    as_category: bool = False,
    max_tokens: int = 0,
    signs: Signs | None = None,
) -> Feature:
    """Decide what a raw column is taken for.

    Parameters
    ----------
    series : the raw column.
    name : its name.
    places : names its rows in messages.
    as_text, as_category : whether it is to be read as free text, or as a category.
    max_tokens : how many of a text's words are kept in their order; 0 for which of them occur.
    signs : what the table's other columns say where a decimal sign is unclear.

    Raises
    ------
    DataError
        Its numbers are infinite or beyond float32's range, or its cells contradict each other or
        cannot be read.
    """
    if as_text:
        return _text_feature(series, name, max_tokens)
    check_lists(series, name)
    cells = interpret(series, name, signs)
    if cells.form == "missing":
        return _left_out(cells, f"Column {name!r} was left out: none of its cells is filled.")
    if _is_constant(cells):
        exact = cells.series if cells.digits is None else cells.digits
        return _left_out(
            cells,
            f"Column {name!r} was left out: its value is {_shown(exact, cells.form)} in every row.",
        )
    if as_category:
        return _category(cells, _levels(cells, series), name, "as asked")
    if cells.doubt is not None and cells.doubt.wrong:
        raise DataError(
            f"Column {name!r} {cells.doubt.told(places, cells.text)}. Correct or empty these "
            f"cells, read the column as a category with --category {name} or as text with "
            f"--text {name}, or leave it out with --drop {name}."
        )
    if cells.declared:
        levels = cells.series if cells.form == "string" else as_levels(series)
        return _category(cells, levels, name, "the table declares it a category")
    if cells.form == "number":
        return _huge(cells, name) if cells.huge else _number(cells, name, places)
    if cells.form == "date":
        return _date(cells, name)
    if cells.form == "flag":
        return _category(cells, cells.series, name, "true or false")
    return _string(cells, name, places)


def _levels(cells: Cells, series: pd.Series[Any]) -> pd.Series[Any]:
    """The cells as levels, of numbers each in one form."""
    if cells.digits is not None:
        return cells.digits
    if cells.form == "number" and cells.doubt is None and not cells.number_format:
        return as_levels(cells.series)
    return cells.series if cells.form == "string" else as_levels(series)


def _is_constant(cells: Cells) -> bool:
    """Whether every row has the same value."""
    if cells.is_missing.any():
        return False
    exact = cells.series if cells.digits is None else cells.digits
    values = exact.to_numpy()
    return bool((values == values[0]).all())


def check_range(
    values: NDArray[np.float64], name: str, places: Places, remedy: str | None = None
) -> None:
    """Raise ``DataError`` where numbers are infinite or too large for float32.

    ``remedy`` is the sentence that says what to do; default: for a feature to train on.
    """
    wrong = np.abs(values) > LARGEST_FLOAT32
    if wrong.any():
        rule = (
            "finite"
            if np.isinf(values[wrong]).any()
            else f"within float32's range (up to {LARGEST_FLOAT32:.3g})"
        )
        default = f"Correct or empty these cells, or leave the column out with --drop {name}."
        raise DataError(
            f"Numbers must be {rule}; column {name!r} is not in "
            f"{places.with_cells(wrong, values.tolist())}. {remedy or default}"
        )


def _left_out(cells: Cells, note: str, *, warn: bool = False) -> Feature:
    said = (note,)
    return Feature(
        None,
        cells.series,
        notes=() if warn else said,
        warnings=said if warn else (),
        trimmed=cells.trimmed,
    )


def _shown(values: pd.Series[Any], form: Form) -> str:
    value = as_levels(values.head(1)).iloc[0]
    return quoted(value, repr if form == "string" else str)


def _missing_note(cells: Cells, name: str) -> tuple[str, ...]:
    if not cells.missing_words:
        return ()
    words = ", ".join(repr(word) for word in cells.missing_words)
    return (f"Column {name!r}: {words} {_means(cells.missing_words)} missing.",)


def _means(words: tuple[str, ...]) -> str:
    return "was read as" if len(words) == 1 else "were read as"


def _number(cells: Cells, name: str, places: Places) -> Feature:
    values: NDArray[np.float64] = cells.series.to_numpy()
    check_range(values, name, places)
    column = Column(
        name,
        "number",
        "whole numbers" if cells.whole else "numbers",
        has_missing=bool(cells.is_missing.any()),
        number_format=cells.number_format,
    )
    warnings = _doubt_warning(cells, name, places)
    return Feature(
        column,
        cells.series,
        _missing_note(cells, name),
        warnings + _row_number_warning(values, name, cells.whole),
        cells.trimmed,
    )


def _doubt_warning(cells: Cells, name: str, places: Places) -> tuple[str, ...]:
    if cells.doubt is None:
        return ()
    return (f"Column {name!r} {cells.doubt.told(places, cells.text)}. {cells.doubt.remedy}",)


def _row_number_warning(values: NDArray[np.float64], name: str, whole: bool) -> tuple[str, ...]:
    if whole and len(values) >= _N_IDENTIFIERS and bool((np.diff(values) == 1).all()):
        return (
            f"Column {name!r} counts the rows, so it may be an identifier rather than a feature. "
            f"Leave it out with --drop {name} if it is.",
        )
    return ()


def _huge(cells: Cells, name: str) -> Feature:
    """Integers that float64 cannot tell apart: identifiers, or levels by their digits."""
    assert cells.digits is not None
    digits = cells.digits
    why = "holds integers beyond 2**53, which floating-point numbers cannot tell apart"
    if digits.dropna().is_unique:
        return _left_out(
            cells,
            f"Column {name!r} was left out: it {why}, and all of them differ, as identifiers do. "
            "Write it with decimals (1e17) if it is a quantity.",
        )
    note = (
        f"Column {name!r} {why}: it was taken as a category. Write it with decimals (1e17) if it "
        "is a quantity."
    )
    return _category(cells, digits, name, "integers beyond 2**53", (note,))


def _date(cells: Cells, name: str) -> Feature:
    dates = cells.series.astype("datetime64[us]")
    known = dates.dropna()
    written = f" written as {cells.date_format}" if cells.date_format else ""
    column = Column(
        name,
        "date",
        f"dates{written}",
        has_missing=len(known) < len(dates),
        has_clock=bool((known != known.dt.normalize()).any()),
        date_format=cells.date_format,
    )
    notes = _missing_note(cells, name)
    if cells.with_zone:
        notes += (f"Column {name!r}: times with a time zone were turned to UTC.",)
    if cells.short_years:
        years = f"{known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}"
        notes += (
            f"Column {name!r}: years of two digits were read as 1969 to 2068, which gives dates "
            f"from {years}.",
        )
    return Feature(column, dates, notes, trimmed=cells.trimmed)


def _string(cells: Cells, name: str, places: Places) -> Feature:
    known = cells.series.dropna()
    distinct = known.unique()
    n_words = np.median([count_words(value) for value in distinct])
    many = len(distinct) >= _N_IDENTIFIERS
    if many and n_words >= _N_WORDS_OF_FREE_TEXT and 2 * len(distinct) > len(known):
        return _left_out(
            cells,
            f"Column {name!r} was left out: it looks like free text ({len(distinct):,} different "
            f"texts of {n_words:.0f} words in {len(cells.series):,} rows). Read its words with "
            f"--text {name}.",
            warn=True,
        )
    warning = _doubt_warning(cells, name, places)
    if many and len(distinct) == len(known):
        left_out = _left_out(
            cells,
            f"Column {name!r} was left out: all its {len(known):,} values differ, as identifiers "
            f"do. To use it all the same, read its words with --text {name}.",
        )
        return Feature(None, left_out.series, left_out.notes, warning, cells.trimmed)
    if cells.leading_zeros:
        zeros = distinct[[len(v) > 1 and v.lstrip("+-").startswith("0") for v in distinct]][0]
        note = (
            f"Column {name!r} was taken as a category: its digits have leading zeros, such as "
            f"{quoted(zeros)}, as codes do.",
        )
        return _category(cells, cells.series, name, "digits with leading zeros", note, warning)
    if cells.mixed and not warning:
        note = (f"Column {name!r} was taken as a category: it is mostly text with some numbers.",)
        return _category(cells, cells.series, name, "text and numbers", note, warning)
    return _category(cells, cells.series, name, "text", (), warning)


def _category(
    cells: Cells,
    levels: pd.Series[Any],
    name: str,
    why: str,
    notes: tuple[str, ...] = (),
    warnings: tuple[str, ...] = (),
) -> Feature:
    known = tuple(sorted(levels.dropna().unique()))
    notes += tuple(f"Column {name!r} {said}." for said in cells.notes)
    warnings += tuple(f"Column {name!r} {said}. {CORRECT_LEVELS}" for said in cells.warnings)
    tokens = [level for level in known if level.lower() in MISSING_WORDS]
    if tokens:
        shown = ", ".join(repr(token) for token in tokens)
        notes += (
            f"Column {name!r}: {shown} {'is a level' if len(tokens) == 1 else 'are levels'} like "
            "any other; in a category only an empty cell is missing.",
        )
    if len(known) > _N_MANY_LEVELS:
        warnings += (
            f"Column {name!r} is a category of {len(known):,} levels: rare ones will be taken "
            f"together. Leave it out with --drop {name} if it is an identifier.",
        )
    column = Column(
        name,
        "category",
        f"{why}, {len(known):,} level{'s' if len(known) != 1 else ''}",
        levels=known,
        has_missing=bool(levels.isna().any()),
    )
    return Feature(column, levels, notes + _missing_note(cells, name), warnings, cells.trimmed)


def _text_feature(series: pd.Series[Any], name: str, max_tokens: int) -> Feature:
    values = as_levels(series)
    texts = values.dropna().unique()
    words = sorted({word for text in texts for word in split_words(text, SCRIPTS)})
    if not words:
        return Feature(None, values, (f"Column {name!r} was left out: it holds no words.",))
    column = Column(
        name,
        "text",
        f"free text as asked, {len(words):,} different word{'s' if len(words) != 1 else ''}",
        levels=tuple(words),
        has_missing=bool(values.isna().any()),
        word_rule=SCRIPTS,
    )
    notes: tuple[str, ...] = ()
    if max_tokens:
        lengths = words_in(values, SCRIPTS)
        column = with_tokens(column, lengths, max_tokens)
        notes = cut_note(name, lengths, column.width)
    warnings: tuple[str, ...] = ()
    if any(map(has_unspaced, texts)):
        warnings = (
            f"Column {name!r} has text in a script without spaces between words, such as Chinese, "
            "Japanese or Thai: its characters and pairs of neighbours were taken for words.",
        )
    return Feature(column, values, notes, warnings)
