"""Numerals: the forms in which text writes numbers, learnt from a column once and kept.

Owns decimal signs, separators of thousands, units, negatives in parentheses and durations.
What a column's cells teach is a ``NumberForm``; it stands in the schema as text, so that a new cell
is read by it alone, whatever stands beside the cell. Where the cells leave two readings, the other
columns of the table decide, and whoever reads the column says so. What a column is then taken for
belongs to ``cells``; the list of units to ``units``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hpsearch.data.durations import CLOCK, SECONDS, SMALLER, STYLES, are_mixed, duration, style_of
from hpsearch.data.units import unit_after, unit_before
from hpsearch.errors import DataError

PLAIN_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
)
"""What needs no form: digits with a decimal point, an exponent, infinity."""

_FORM = re.compile(r"(?P<open>\()?1(?P<thousands>[,. ']?)234(?P<decimal>[.,])5\)?( (?P<unit>.+))?")
_SPLIT = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<before>[^\d\s.,'()+-][^\d\s,'()+-]{0,8})?(?P<gap>\s?)(?P<inner>[+-]?)"
    r"(?P<body>(?:[0-9]+(?:[., '][0-9]+)*[.,]?|[.,][0-9]+))(?P<exponent>[eE][+-]?[0-9]+)?"
    r"(?P<space>\s?)(?P<after>[^\d\s()][^()]{0,15})?"
)
_PARENTHESES = re.compile(r"([^\d()+-]{0,6})\(([^()]+)\)([^\d()]{0,16})")
_GROUPED = {
    mark: re.compile(rf"[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{3}})+") for mark in ",. '"
}
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
_EITHER = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_UP_TO_999 = re.compile(r"[+-]?[0-9]{1,3}")
_EITHER_BY_POINT = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
_WITH_A_WORD = re.compile(r"[+-]?[0-9][0-9.,]*\s?([^\W\d_]{1,12})\.?")
_FEWEST_WITH_A_WORD = 3
_MOST_NAMED = 4
_N_PROBED = 50
_LONGEST = 60


@dataclass(frozen=True)
class NumberForm:
    """How a column writes its numbers; ``str`` gives the text that a schema keeps.

    Attributes
    ----------
    decimal : the decimal sign.
    thousands : what separates thousands: a comma, a point, a space, an apostrophe or nothing.
    unit : what stands beside each number, in the spelling of ``units``.
    parentheses : whether a number in parentheses is negative.
    time : for durations, one of ``durations.STYLES``; else empty.

    Examples
    --------
    >>> str(NumberForm(",", ".", "€")), str(NumberForm()), NumberForm.of("1 234,5 kr").unit
    ('1.234,5 €', '', 'kr')
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    parentheses: bool = False
    time: str = ""

    def __str__(self) -> str:
        if self.time or self == PLAIN:
            return self.time
        number = f"1{self.thousands}234{self.decimal}5"
        number = f"({number})" if self.parentheses else number
        return f"{number} {self.unit}".rstrip()

    @property
    def meaning(self) -> str:
        """What was made of such cells, the beginning of a sentence; empty for plain numbers."""
        if self == PLAIN:
            return ""
        if self.time:
            return _TIMES[self.time]
        if self == NumberForm(","):
            return "Decimal commas were read"
        negative = ", in parentheses as negative," if self.parentheses else ""
        return f"Numbers written like {str(self)!r} were read{negative} as plain numbers"

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, text: str) -> NumberForm:
        """The inverse of ``str``; raises ``DataError`` for a text that names no form."""
        if not text:
            return PLAIN
        if text in STYLES:
            return cls(time=text)
        found = _FORM.fullmatch(text)
        if found is None or found["thousands"] == found["decimal"]:
            raise DataError(
                f"A form of numbers is written like '1.234,5 kg'; the schema has {text[:40]!r}. "
                "Restore the file that it came from."
            )
        return cls(found["decimal"], found["thousands"], found["unit"] or "", bool(found["open"]))


PLAIN = NumberForm()

_TIMES = {
    SECONDS: "Durations and times were read as seconds",
    SMALLER: "Times of two parts, such as 1:30, were read as 90 of the smaller unit",
    CLOCK: "Times of day were read as seconds since midnight",
}


@dataclass(frozen=True)
class Numeral:
    """One cell, taken apart.

    Attributes
    ----------
    sign : ``-`` or nothing.
    digits : the digits, with a point before the decimals.
    decimal, thousands : the signs that certainly are these; empty where there is none.
    either : a comma or a point that may be a decimal sign as well as between thousands.
    unit : in the spelling of ``units``.
    parentheses : whether the number stands in parentheses.
    """

    sign: str
    digits: str
    decimal: str = ""
    thousands: str = ""
    either: str = ""
    unit: str = ""
    parentheses: bool = False

    def value(self, decimal: str) -> float:
        """The number, where ``decimal`` says what ``either`` is."""
        digits = self.digits
        if self.either and self.either != decimal:
            digits = digits.replace(".", "", 1)
        return float((self.sign or ("-" if self.parentheses else "")) + digits)


@dataclass(frozen=True)
class Learnt:
    """A column's form.

    ``either`` is the sign that its cells leave two readings of, else empty: ``form`` then takes it
    for a decimal sign. ``mixed_lengths`` says that some of these cells have no such sign, and
    ``whole`` that no number has decimals or a unit where ``either`` stands between thousands.
    """

    form: NumberForm
    either: str = ""
    mixed_lengths: bool = False
    whole: bool = False

    def resolved(self, decimal: str) -> NumberForm:
        """The form where ``either`` is known to be a decimal sign or not."""
        if not self.either or decimal == self.either:
            return self.form
        return NumberForm(decimal, self.either, self.form.unit, self.form.parentheses)


@dataclass(frozen=True)
class Unclear:
    """Cells that look like numbers and were not taken for such.

    ``why`` is a sentence's predicate, ``cells`` are those to name, and ``wrong`` says that all
    cells are numbers, of which these contradict the others.
    """

    why: str
    cells: frozenset[str]
    wrong: bool = False


def learn(cells: Sequence[str]) -> Learnt | Unclear | None:
    """The form of a column's different cells; None where they don't look like numbers.

    Examples
    --------
    >>> str(learn(["900,50", "1.270,50"]).form), learn(["2.213", "900"]).either
    ('1.234,5', '.')
    >>> learn(["1,5", "2.5"]).why
    'writes decimals with a comma and with a point'
    """
    parts = {cell: numeral(cell) for cell in cells[:_N_PROBED]}
    found = sum(part is not None for part in parts.values())
    if 2 * found < len(parts) and style_of(list(parts)) is None and not are_mixed(list(parts)):
        return _with_unknown_unit(cells)
    parts |= {cell: numeral(cell) for cell in cells[_N_PROBED:]}
    numerals = {cell: part for cell, part in parts.items() if part is not None}
    units = {n.unit for n in numerals.values() if n.unit or n.value(".")}
    if len(numerals) == len(cells) and len(units) <= 1:
        return _by_signs(numerals, next(iter(units), ""))
    style = style_of(cells)
    if style is not None:
        return Learnt(NumberForm(time=style))
    if are_mixed(cells):
        return Unclear(
            "mixes times of three parts with times of two, which may be minutes or hours",
            frozenset(cell for cell in cells if duration(cell, SMALLER) is not None),
        )
    if len(numerals) < len(cells):
        return _with_others(cells, numerals)
    return Unclear("holds numbers with different units", _one_of_each_unit(numerals))


def _by_signs(numerals: Mapping[str, Numeral], unit: str) -> Learnt | Unclear:
    """The form of cells that are all numerals with one unit."""
    decimals = {n.decimal for n in numerals.values()} - {""}
    thousands = {n.thousands for n in numerals.values()} - {""}
    either = {n.either for n in numerals.values()} - {""}
    if len(decimals) > 1:
        why = "writes decimals with a comma and with a point"
        return Unclear(why, _rarer(numerals, lambda n: n.decimal), wrong=True)
    if decimals & thousands:
        why = "separates thousands by what are decimal signs in other cells"
        return Unclear(why, _rarer(numerals, lambda n: "T" if n.thousands else n.decimal), True)
    if len(numerals) > 1 and all(n.parentheses for n in numerals.values()):
        why = "holds numbers in parentheses alone, which may be negative or not"
        return Unclear(why, frozenset(list(numerals)[:1]))
    parentheses = any(n.parentheses for n in numerals.values())
    decimal = _decimal_sign(decimals, thousands, either)
    if decimal is None:
        if len(either) > 1:
            why = "has commas and points that may be decimal signs or stand between thousands"
            return Unclear(why, _rarer(numerals, lambda n: n.either), wrong=True)
        sign = next(iter(either))
        plain = any(not n.either for n in numerals.values())
        return Learnt(NumberForm(sign, "", unit, parentheses), sign, plain, not unit)
    groups = thousands | (either - {decimal})
    if len(groups) > 1:
        why = "separates thousands in several ways"
        return Unclear(why, _rarer(numerals, lambda n: n.thousands or n.either), wrong=True)
    whole = not unit and not decimals and decimal not in either
    form = NumberForm(decimal, next(iter(groups), ""), unit, parentheses)
    return Learnt(form, whole=whole)


def _decimal_sign(decimals: set[str], thousands: set[str], either: set[str]) -> str | None:
    """The decimal sign that a column's cells leave possible, or None where two are left."""
    if decimals:
        return next(iter(decimals))
    if thousands & {",", "."}:
        return "." if "," in thousands else ","
    if thousands and len(either) == 1:
        return next(iter(either))
    return None if either else "."


def _with_others(cells: Sequence[str], numerals: Mapping[str, Numeral]) -> Unclear | None:
    """What is to say where some cells are numerals and others none."""
    others = [cell for cell in cells if cell not in numerals]
    telling = any(n.unit or n.thousands or n.decimal == "," for n in numerals.values())
    if telling and len(numerals) > len(others):
        return Unclear("looks like numbers, but some cells are none", frozenset(others))
    return None


def _with_unknown_unit(cells: Sequence[str]) -> Unclear | None:
    """What is to say where a number and one and the same word stand in all cells."""
    if len(cells) < _FEWEST_WITH_A_WORD:
        return None
    words = {found[1] if (found := _WITH_A_WORD.fullmatch(cell)) else "" for cell in cells}
    if len(words) > 1 or "" in words:
        return None
    why = f"looks like numbers with the unit {next(iter(words))!r}, which is not known"
    return Unclear(why, frozenset(cells[:1]))


def _rarer(numerals: Mapping[str, Numeral], sign: Callable[[Numeral], str]) -> frozenset[str]:
    """The cells with the sign that fewer cells have."""
    counts = Counter(sign(n) for n in numerals.values() if sign(n))
    rare = min(counts, key=lambda s: (counts[s], s))
    return frozenset(cell for cell, n in numerals.items() if sign(n) == rare)


def _one_of_each_unit(numerals: Mapping[str, Numeral]) -> frozenset[str]:
    first: dict[str, str] = {}
    for cell, found in numerals.items():
        first.setdefault(found.unit, cell)
    return frozenset(list(first.values())[:_MOST_NAMED])


# --- one cell -----------------------------------------------------------------------------------


def read_number(cell: str, form: NumberForm) -> float | None:
    """The number that a cell says in a column of this form, or None.

    A cell that can be read in one way only is read so, and may lack the unit. One whose comma or
    point leaves two readings needs a form that decides. ``cell`` is ``straightened``.

    Examples
    --------
    >>> comma = NumberForm.of("1.234,5 €")
    >>> read_number("2.213", comma), read_number("5,5 €", comma), read_number("2.5", comma)
    (2213.0, 5.5, 2.5)
    >>> read_number("2.213", NumberForm(",")) is None
    True
    """
    if PLAIN_NUMBER.fullmatch(cell) and not (_EITHER.fullmatch(cell.lstrip("+-"))):
        return float(cell)
    if form.time:
        return duration(cell, form.time)
    found = numeral(cell)
    if found is None or found.unit not in ("", form.unit):
        return None
    if found.parentheses and not form.parentheses:
        return None
    if found.either and found.either not in (form.decimal, form.thousands):
        return None
    return found.value(form.decimal)


def is_either(cell: str, unit: str | None = None) -> bool:
    """Whether a cell's comma or point may be a decimal sign and may stand between thousands.

    Where a ``unit`` is given, cells with another one are none.
    """
    found = numeral(cell)
    if found is None or (unit is not None and found.unit not in ("", unit)):
        return False
    return bool(found.either)


def either_by_point(cells: Iterable[str]) -> bool:
    """Whether plain numbers may have points between thousands: ``900`` and ``2.213``, all such."""
    some = False
    for cell in cells:
        if _EITHER_BY_POINT.fullmatch(cell):
            some = True
        elif not _UP_TO_999.fullmatch(cell):
            return False
    return some


def numeral(cell: str) -> Numeral | None:
    """A cell taken apart, or None where it is no number with a known unit.

    Examples
    --------
    >>> found = numeral("($1,234.50)")
    >>> found.digits, found.unit, found.value(".")
    ('1234.50', '$', -1234.5)
    >>> numeral("3D") is None
    True
    """
    if len(cell) > _LONGEST:
        return None
    parentheses = "(" in cell
    if parentheses:
        inside = _PARENTHESES.fullmatch(cell)
        if inside is None:
            return None
        cell = f"{inside[1]}{inside[2].strip()}{inside[3]}"
    found = _SPLIT.fullmatch(cell)
    if found is None:
        return None
    unit = _unit(found)
    sign = found["sign"] + found["inner"]
    if unit is None or len(sign) > 1 or (parentheses and sign):
        return None
    exponent = found["exponent"] or ""
    signs = _signs(found["body"])
    if signs is None:
        return None
    digits, decimal, thousands, either = signs
    if either and exponent:
        decimal, either = either, ""
    return Numeral(
        sign.strip("+"), digits + exponent, decimal, thousands, either, unit, parentheses
    )


def _unit(found: re.Match[str]) -> str | None:
    """The unit of a cell, empty where it has none, None where it is unknown or there are two."""
    before, after = found["before"], found["after"]
    if before and after:
        return None
    if before:
        return unit_before(before, touching=not found["gap"])
    if after:
        return unit_after(after.strip(), touching=not found["space"])
    return ""


def _signs(number: str) -> tuple[str, str, str, str] | None:
    """Digits with a decimal point, the decimal sign, the thousands' separator, and ``either``."""
    marks = [c for c in number if c in ",."]
    blanks = {c for c in number if c in " '"}
    if len(blanks) > 1:
        return None
    if blanks:
        blank = blanks.pop()
        mark = marks[0] if marks else ""
        whole, _, rest = number.partition(mark) if mark else (number, "", "")
        if len(marks) > 1 or not _GROUPED[blank].fullmatch(whole):
            return None
        return whole.replace(blank, "") + ("." + rest if mark else ""), mark, blank, ""
    if not marks:
        return number, "", "", ""
    last = marks[-1]
    if len(marks) == 1:
        either = last if _EITHER.fullmatch(number) else ""
        return number.replace(",", "."), "" if either else last, "", either
    if len(set(marks)) == 1:
        return (number.replace(last, ""), "", last, "") if _grouped(number, last) else None
    whole, _, rest = number.rpartition(last)
    other = "." if last == "," else ","
    if last in whole or not _grouped(whole, other):
        return None
    return f"{whole.replace(other, '')}.{rest}", last, other, ""


def _grouped(number: str, mark: str) -> bool:
    """Whether the marks stand between groups of three digits, or as in India."""
    if _GROUPED[mark].fullmatch(number):
        return True
    return mark == "," and _INDIAN.fullmatch(number) is not None
