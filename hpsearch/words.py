"""Single values as short text: scores, durations, configurations, errors.

Pure functions, so that what people read can be tested without a terminal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_SHORTER = (
    ("learning_rate", "lr"),
    ("normalization", "norm"),
    ("regularization", "reg"),
    ("activation", "act"),
    ("batch_size", "batch"),
    ("optimizer", "opt"),
)
_NUMBERED = re.compile(r"(.+)_(\d+)")
_A_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_FORMULA = re.compile(
    rf"\A(?=[=+@＝＋－＠\t\r\n-])(?!{_A_NUMBER}\Z)"
    rf"|(?<=[;\t|\n])(?=[=+@＝＋－＠-])(?!{_A_NUMBER}(?:[;\t|\n]|\Z))"
)
_GUARD = re.compile(r"([;\t|\n])'(?=[=+@＝＋－＠-])")
_SHOWN_FIRST = ("units", "opt", "lr", "dropout", "act", "batch")
_LONGEST_NAME = 20
_LONGEST_LINE = 200


def is_missing(value: Any) -> bool:
    """Whether a cell of a row or table is empty: None, NaN or pandas' missing value."""
    if value is None:
        return True
    try:
        return bool(math.isnan(value))
    except TypeError:
        return str(value) == "<NA>"


def number(value: Any, *, digits: int = 4) -> str:
    """A number in four significant digits or so, other values as they are, ``-`` where missing.

    Examples
    --------
    >>> number(0.123456), number(64), number(1e-5), number(None), number("relu")
    ('0.1235', '64', '1e-05', '-', 'relu')
    >>> number(17812.3, digits=3)
    '17812'
    """
    if is_missing(value):
        return "-"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return one_line(str(value))
    size = abs(float(value))
    is_whole = size < 1e6 and (not float(value) % 1 or size >= 10**digits)
    return f"{float(value):.0f}" if is_whole else f"{float(value):.{digits}g}"


def score(value: Any, se: Any = None) -> str:
    """A score with its standard error, both to the error's second digit.

    Examples
    --------
    >>> score(0.0712345, 0.01023), score(2345.6, 120.4), score(0.5), score(None)
    ('0.071 ± 0.010', '2346 ± 120', '0.5000', '-')
    """
    if is_missing(value):
        return "-"
    if is_missing(se) or not 0 < float(se) < math.inf:
        return _decimal(float(value), decimals=_decimals(float(value), digits=4))
    decimals = _decimals(float(se), digits=2)
    return f"{_decimal(float(value), decimals)} ± {_decimal(float(se), decimals)}"


def _decimals(value: float, *, digits: int) -> int:
    """Decimals that show so many significant digits of a value below 10, none for large ones."""
    if value == 0 or not math.isfinite(value):
        return digits
    return max(0, digits - 1 - math.floor(math.log10(abs(value)) + 1e-9))


def _decimal(value: float, decimals: int) -> str:
    if decimals > 7 or abs(value) >= 1e7:
        return f"{value:.3g}"
    return f"{value:.{decimals}f}"


def interval(low: Any, high: Any) -> str:
    """An interval's bounds to the second digit of its width, or nothing where one is missing.

    Examples
    --------
    >>> interval(0.05112, 0.09345), interval(None, 1)
    ('0.051 to 0.093', '')
    """
    if is_missing(low) or is_missing(high):
        return ""
    decimals = _decimals(float(high) - float(low), digits=2)
    return f"{_decimal(float(low), decimals)} to {_decimal(float(high), decimals)}"


def decimals_for(error: Any, value: Any) -> int:
    """Decimals that show an error's second digit, or four digits of a value without one.

    Examples
    --------
    >>> decimals_for(0.0174, 0.0889), decimals_for(None, 0.5), decimals_for(120.4, 2345.6)
    (3, 4, 0)
    """
    if is_missing(error) or not 0 < float(error) < math.inf:
        return _decimals(float(value), digits=4)
    return _decimals(float(error), digits=2)


def fixed(value: Any, decimals: int) -> str:
    """A number with so many decimals; nothing where it is missing.

    Examples
    --------
    >>> fixed(0.08891, 3), fixed(-0.0001, 2), fixed(None, 2)
    ('0.089', '0.00', '')
    """
    if is_missing(value):
        return ""
    return _decimal(round(float(value), decimals) + 0.0, decimals)


def within(value: Any, width: Any) -> str:
    """A value to the second digit of a width that it is known to, such as an interval's.

    Examples
    --------
    >>> within(0.0802345, 0.0609), within(2345.6, 120.4), within(0.5, None), within(None, 1)
    ('0.080', '2346', '0.5', '-')
    """
    if is_missing(value) or is_missing(width) or not 0 < float(width) < math.inf:
        return number(value)
    return _decimal(float(value), _decimals(float(width), digits=2))


def configuration(hyperparameters: Mapping[str, Any]) -> str:
    """Hyperparameters in one line, the telling ones first, common long names shortened.

    Those that differ by a number at the end stand together, as layers do.

    Examples
    --------
    >>> configuration({"units_1": 64, "units_2": 32, "learning_rate": 0.00123456, "l2": None})
    'units=64/32 lr=0.00123'
    """
    values: dict[str, list[str]] = {}
    for name, value in sorted(hyperparameters.items(), key=lambda item: _natural(item[0])):
        if not is_missing(value):
            numbered = _NUMBERED.fullmatch(name)
            stem = numbered.group(1) if numbered else name
            values.setdefault(_short(stem), []).append(number(value, digits=3))
    names = sorted(values, key=_prominence)
    return " ".join(f"{name}={'/'.join(values[name])}" for name in names)


def _natural(name: str) -> tuple[str, int]:
    numbered = _NUMBERED.fullmatch(name)
    return (numbered.group(1), int(numbered.group(2))) if numbered else (name, 0)


def _short(name: str) -> str:
    name = one_line(name)
    for long, short in _SHORTER:
        name = name.replace(long, short)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _prominence(name: str) -> tuple[int, str]:
    last = name.rsplit("_", 1)[-1]
    return (_SHOWN_FIRST.index(last) if last in _SHOWN_FIRST else len(_SHOWN_FIRST), name)


def hyperparameters(row: Mapping[str, Any]) -> dict[str, Any]:
    """The ``hp.`` cells of a trial's row that are there, without the prefix.

    Examples
    --------
    >>> hyperparameters({"trial": 3, "hp.units": 64, "hp.dropout": None})
    {'units': 64}
    """
    return {
        name.removeprefix("hp."): value
        for name, value in row.items()
        if name.startswith("hp.") and not is_missing(value)
    }


def error_line(error: Any) -> str:
    r"""The line of an error or a traceback that says what went wrong.

    Examples
    --------
    >>> error_line("Traceback (most recent call last):\n  File ...\nValueError: units\n")
    'ValueError: units'
    >>> error_line("ValueError: units\nmore text")
    'ValueError: units'
    """
    lines = [line for line in str(error or "").splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    line = one_line(lines[-1] if lines[0].startswith("Traceback") else lines[0])
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def one_line(text: str) -> str:
    r"""The text in one line without control characters, which could steer the terminal.

    Examples
    --------
    >>> one_line("a\n b\x1b[2J")
    'a b?[2J'
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def guarded(text: str) -> str:
    """The text as a spreadsheet shows it: a ``'`` before whatever it would run as a formula.

    Spreadsheets that separate cells by semicolons, tabs or bars see several cells in one of ours;
    commas are quoted in our files. Numbers stay as they are.

    Examples
    --------
    >>> guarded("=A1"), guarded("a;=A1"), guarded("＝A1"), guarded("-1.5"), guarded("a;-1")
    ("'=A1", "a;'=A1", "'＝A1", '-1.5', 'a;-1')
    """
    return _FORMULA.sub("'", text)


def unguarded(text: str) -> str:
    """The inverse of ``guarded``, also where the quote guards a word that means missing.

    Examples
    --------
    >>> unguarded("'=A1"), unguarded("a;'=A1"), unguarded("'NA"), unguarded("it's")
    ('=A1', 'a;=A1', 'NA', "it's")
    """
    return _GUARD.sub(r"\1", text.removeprefix("'"))


def duration(seconds: float) -> str:
    """Seconds, minutes and seconds, or hours and minutes.

    Examples
    --------
    >>> duration(7.4), duration(83), duration(7384)
    ('7 s', '1 min 23 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``; a series has no other plural.

    Examples
    --------
    >>> counted(1, "trial"), counted(2, "trial"), counted(2, "series")
    ('1 trial', '2 trials', '2 series')
    """
    return f"{count} {noun}" if count == 1 or noun.endswith("series") else f"{count} {noun}s"


def transformer(said: Mapping[str, Any] | None) -> str:
    """The preprocessing of one's own that a run has, in short; empty without any.

    Parameters
    ----------
    said : the entry ``preprocess`` of ``run.json``.

    Examples
    --------
    >>> transformer({"name": "prep.py", "shape": [58]})
    'prep.py, fitted fold by fold: 58 features'
    """
    if not said:
        return ""
    shape = list(said.get("shape") or ())
    size = f"{shape[0]:,} features" if len(shape) == 1 else f"rows of shape {tuple(shape)}"
    return f"{said.get('name')}, fitted fold by fold: {size}"


def weights(data: Mapping[str, Any]) -> str:
    """What a run's rows weigh by, and in what; empty where they have no weights.

    Parameters
    ----------
    data : the entry of ``run.json``.

    Examples
    --------
    >>> weights({"weights": "trust"})
    'trust, in the loss alone'
    """
    if not data.get("weights"):
        return ""
    where = "in the loss and in scores" if data.get("score_weights") else "in the loss alone"
    return f"{data['weights']}, {where}"
