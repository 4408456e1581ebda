"""Columns of text: numbers, flags, dates or strings, decided from their different cells.

Owns the order in which readings are tried, and what is said where none or several fit. The forms
themselves belong to ``numerals``, ``durations`` and ``dates``; columns of other types to ``cells``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hpsearch.data.characters import straightened
from hpsearch.data.dates import (
    has_short_year,
    has_zone,
    learn_dates,
    look_like_dates,
    parse_date,
)
from hpsearch.data.numerals import (
    PLAIN,
    PLAIN_NUMBER,
    Learnt,
    NumberForm,
    Unclear,
    either_by_point,
    is_either,
    learn,
    read_number,
)
from hpsearch.data.signs import Signs
from hpsearch.data.understood import MISSING_WORDS, Cells, Doubt, Mask

PLAIN_NUMBERS = "Write plain numbers, such as 1234.5."
ISO_DATES = "Write dates as YYYY-MM-DD."
_NO_DATES = "was not read as dates"
_ONE_SIGN = "Write decimals with a point, and nothing between thousands."
_BETWEEN = "\0"
_ALL_PLAIN = re.compile(rf"(?:(?:{PLAIN_NUMBER.pattern})?+(?:\0|\Z))*+")
_NOT_WHOLE = re.compile(r"[^0-9+\0-]")
_ZEROS_IN_FRONT = re.compile(r"\0[+-]?0[0-9]+\0")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_FLAGS = {"false": 0.0, "true": 1.0}
_MONTH = re.compile(r"(?:0?[1-9]|1[0-2])\.(?:19|20)[0-9]{2}")
_MONTH_WITH_ZERO = re.compile(r"0[1-9]\.(?:19|20)[0-9]{2}")
_MOST_EXACT_INTEGER = 2**53
_N_PROBED = 50


def trimmed_text(series: pd.Series[Any]) -> pa.Array:
    """The trimmed cells as an Arrow array; empty cells are null."""
    raw = _raw_text(series)
    trimmed = pc.utf8_trim_whitespace(raw)
    empty = pc.equal(trimmed, "")
    return pc.if_else(pc.fill_null(empty, False), pa.scalar(None, pa.large_string()), trimmed)


def _raw_text(series: pd.Series[Any]) -> pa.Array:
    raw = pa.array(series.array, type=pa.large_string(), from_pandas=True)
    return raw.combine_chunks() if isinstance(raw, pa.ChunkedArray) else raw


def _plain_numbers(cells: Sequence[str | None]) -> tuple[NDArray[np.float64], str] | None:
    """Cells that are all empty or plain numbers, and all of them in one text; else None.

    This is what most columns are, so it looks at all cells at once.
    """
    joined = _BETWEEN.join(["" if cell is None else cell for cell in cells])
    if not _ALL_PLAIN.fullmatch(joined):
        return None
    try:
        return np.array([float(cell or "nan") for cell in cells], dtype=np.float64), joined
    except ValueError:  # a cell holds what stands between cells here
        return None


def _ordinary_numbers(cells: Sequence[str | None]) -> Cells | None:
    """A column of numbers with decimal points, or commas alone, without a closer look.

    None where the column may be anything else.
    """
    form = PLAIN
    plain = _plain_numbers(cells)
    if plain is None and _have_commas_alone(cells):
        form, cells = NumberForm(","), [cell and cell.replace(",", ".") for cell in cells]
        plain = _plain_numbers(cells)
    if plain is None or np.isnan(plain[0]).all():
        return None
    values, joined = plain
    if _ZEROS_IN_FRONT.search(f"{_BETWEEN}{joined}{_BETWEEN}"):
        return None
    whole = not _NOT_WHOLE.search(joined)
    if whole and bool((np.abs(values) >= _MOST_EXACT_INTEGER).any()):
        return None
    if not whole and either_by_point(cell for cell in cells if cell):
        return None
    if not whole and _MONTH.fullmatch(next(filter(None, cells))):
        return None
    return Cells("number", pd.Series(values), whole, number_format=str(form))


def _have_commas_alone(cells: Sequence[str | None]) -> bool:
    """Whether commas, and no points, are in the cells."""
    some = any(cell and "," in cell for cell in cells[:_N_PROBED])
    return some and not any(cell and "." in cell for cell in cells)


@dataclass(frozen=True, eq=False)
class KnownNumbers:
    """Text read in a form that is known: a number for each row, and the rows that hold none."""

    values: NDArray[np.float64]
    cells: list[str | None]
    wrong: Mask


def known_numbers(series: pd.Series[Any], form: NumberForm) -> KnownNumbers:
    """Each cell's number in a form that is known; missing is NaN, and flags are 0 and 1."""
    raw = _raw_text(series).to_pylist()
    plain = _plain_numbers(raw) if form == PLAIN else None
    if plain is not None:
        return KnownNumbers(plain[0], raw, np.zeros(len(raw), dtype=bool))
    cells = trimmed_text(series).to_pylist()
    known = [cell for cell in dict.fromkeys(cells) if not _is_missing(cell)]
    read = {cell: _FLAGS.get(cell.lower(), read_number(straightened(cell), form)) for cell in known}
    values = [read.get(cell) for cell in cells]
    wrong = np.array([cell in read and read[cell] is None for cell in cells], dtype=bool)
    return KnownNumbers(np.array(values, dtype=np.float64), cells, wrong)


def _is_missing(cell: str | None) -> bool:
    return cell is None or cell.lower() in MISSING_WORDS


def read_text(series: pd.Series[Any], signs: Signs) -> Cells:
    """What a column of text holds, decided from its different cells."""
    raw = _raw_text(series)
    ordinary = _ordinary_numbers(raw.to_pylist())
    if ordinary is not None:
        return ordinary
    text = trimmed_text(series)
    cells = text.to_pylist()
    trimmed = bool(pc.any(pc.not_equal(text, raw)).as_py())
    counts = Counter(cell for cell in cells if cell is not None)
    known = [cell for cell in counts if not _is_missing(cell)]
    if not known:
        return Cells("missing", pd.Series(np.full(len(series), np.nan)), trimmed=trimmed)
    column = _Column(cells, known, {cell: straightened(cell) for cell in known})
    words = tuple(sorted(set(counts) - set(known)))
    as_text = Cells("string", pd.Series(pd.array(text, dtype="str")), trimmed=trimmed)
    with_words = replace(as_text, missing_words=words)
    numbers = {cell for cell in known if PLAIN_NUMBER.fullmatch(column.straight[cell])}
    if len(numbers) == len(known):
        if any(_LEADING_ZERO.fullmatch(column.straight[cell]) for cell in known):
            return replace(as_text, leading_zeros=True)
        dates = _date_cells(column, with_words) if _are_months(column) else None
        return dates or _number_cells(column, with_words, signs)
    learnt = learn(column.different)
    if isinstance(learnt, Learnt):
        return _formatted(column, learnt, with_words, signs)
    if 2 * sum(counts[cell] for cell in numbers) > sum(counts[cell] for cell in known):
        odd = column.mask(set(known) - numbers)
        doubt = Doubt("is mostly numbers", odd, PLAIN_NUMBERS, "is not", wrong=True)
        return replace(as_text, doubt=doubt, mixed=True)
    if {cell.lower() for cell in known} <= _FLAGS.keys():
        values = column.series({cell: cell.capitalize() for cell in known})
        return replace(with_words, form="flag", series=values.astype("str"))
    dates = _date_cells(column, with_words)
    if dates is not None:
        return dates
    mixed = replace(as_text, mixed=bool(numbers))
    return mixed if learnt is None else replace(mixed, doubt=column.doubt(learnt))


def _are_months(column: _Column) -> bool:
    """Whether what reads as numbers is months of years, such as ``03.2021``."""
    cells = column.straight.values()
    return all(_MONTH.fullmatch(c) for c in cells) and any(_MONTH_WITH_ZERO.match(c) for c in cells)


@dataclass(frozen=True)
class _Column:
    """A column's trimmed cells, the different ones that aren't missing, and these straightened."""

    cells: list[str | None]
    known: list[str]
    straight: dict[str, str]

    @property
    def different(self) -> list[str]:
        """The straightened cells, each once."""
        return list(dict.fromkeys(self.straight.values()))

    def mask(self, selected: set[str] | frozenset[str]) -> Mask:
        """Which rows hold one of the cells."""
        return np.array([cell in selected for cell in self.cells], dtype=bool)

    def series(self, values: Mapping[str, Any]) -> pd.Series[Any]:
        """A value for each row; missing rows are None."""
        return pd.Series([None if cell is None else values.get(cell) for cell in self.cells])

    def numbers(self, values: Mapping[str, float]) -> pd.Series[Any]:
        """A number for each row; missing rows are NaN."""
        nan = float("nan")
        known = [nan if cell is None else values.get(cell, nan) for cell in self.cells]
        return pd.Series(np.array(known, dtype=np.float64))

    def doubt(self, unclear: Unclear) -> Doubt:
        """What is unclear, with the rows to name."""
        named = {cell for cell, plain in self.straight.items() if plain in unclear.cells}
        made = "" if unclear.wrong else "was not read as numbers"
        return Doubt(unclear.why, self.mask(named), PLAIN_NUMBERS, made, unclear.wrong)


def _number_cells(column: _Column, base: Cells, signs: Signs) -> Cells:
    """Cells that are all plain numbers."""
    straight = column.different
    whole = all(_WHOLE.fullmatch(cell) for cell in straight)
    if not whole and either_by_point(straight):
        mixed_lengths = not all("." in cell for cell in straight)
        return _formatted(column, Learnt(PLAIN, ".", mixed_lengths), base, signs)
    huge = whole and any(_is_beyond(cell) for cell in straight)
    digits = column.series({cell: cell for cell in column.known}).astype("str") if huge else None
    values = {cell: float(plain) for cell, plain in column.straight.items()}
    return replace(
        base,
        form="number",
        series=column.numbers(values),
        whole=whole,
        huge=huge,
        digits=digits,
    )


def _is_beyond(digits: str) -> bool:
    """Whether an integer lies beyond 2**53; it may have more digits than ``int`` takes."""
    digits = digits.lstrip("+-").lstrip("0")
    return len(digits) > 16 or int(digits or "0") > _MOST_EXACT_INTEGER


def _formatted(column: _Column, learnt: Learnt, base: Cells, signs: Signs) -> Cells:
    """Numbers that are written in a form that was learnt from them."""
    form = learnt.resolved(signs.decimal_for(learnt.either))
    read = {cell: read_number(plain, form) for cell, plain in column.straight.items()}
    values = {cell: value for cell, value in read.items() if value is not None}
    assert len(values) == len(read), "a form reads the cells that it was learnt from"
    exact = all(abs(value) < _MOST_EXACT_INTEGER for value in values.values())
    return replace(
        base,
        form="number",
        series=column.numbers(values),
        whole=learnt.whole and form.decimal != learnt.either and exact,
        number_format=str(form),
        written=base.series,
        doubt=_which_sign(column, learnt, form, signs),
    )


def _which_sign(column: _Column, learnt: Learnt, form: NumberForm, signs: Signs) -> Doubt | None:
    """What is to say where the cells leave two readings of a comma or a point."""
    sign = learnt.either
    if not sign or not signs.leaves_doubt(sign, form.decimal, learnt.mixed_lengths):
        return None
    named = {cell for cell, plain in column.straight.items() if is_either(plain)}
    cell = next(cell for cell in column.known if cell in named)
    value = read_number(column.straight[cell], form)
    what = {",": "comma", ".": "point"}[sign]
    taken = "a decimal sign" if form.decimal == sign else "a separator of thousands"
    why = f"has a {what} that may be a decimal sign or stand between thousands"
    read_as = f"was taken for {taken}, so that {cell!r} is {value:.12g}"
    return Doubt(why, column.mask(named), _ONE_SIGN, read_as)


def _date_cells(column: _Column, base: Cells) -> Cells | None:
    """Dates where all cells are, None where they don't look like any."""
    straight = column.different
    found = learn_dates(straight)
    if found is None:
        if not look_like_dates(straight):
            return None
        why = "looks like dates in a form that is not read"
        doubt = Doubt(why, column.mask(set(column.known[:1])), ISO_DATES, _NO_DATES)
        return replace(base, doubt=doubt, missing_words=())
    if len(found.shapes) > 1:
        why = f"looks like dates, which may be {' or '.join(found.shapes)}"
        doubt = Doubt(why, column.mask(set(column.known[:1])), ISO_DATES, _NO_DATES)
        return replace(base, doubt=doubt, missing_words=())
    if not found.shapes:
        others = {cell for cell, plain in column.straight.items() if plain in found.others}
        why = f"is mostly dates written as {found.best}"
        doubt = Doubt(why, column.mask(others), ISO_DATES, "is none", wrong=True)
        return replace(base, doubt=doubt, missing_words=())
    shape = found.shapes[0]
    dates = {cell: parse_date(plain, shape) for cell, plain in column.straight.items()}
    values = [None if cell is None else dates.get(cell) for cell in column.cells]
    probed = straight[:_N_PROBED]
    return replace(
        base,
        form="date",
        series=pd.Series(np.array(values, dtype="datetime64[us]")),
        date_format=shape,
        with_zone=any(has_zone(cell, shape) for cell in probed),
        short_years=any(has_short_year(cell, shape) for cell in probed),
    )
