"""Characters: those that can't be seen, and those that are written in several ways.

Owns the forms in which texts are compared (``visible``, ``lookalike``), and the one in which
numbers and dates are read (``straightened``). What a text then means belongs to ``cells``.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT_CONTROLS = "\t\n\r"
_INVISIBLE = frozenset(
    map(ord, "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u2060\ufeff")
) | frozenset((*range(0x202A, 0x202F), *range(0x2061, 0x2070)))
_JOINERS = re.compile("(?<![^\u0000-\u058f])[\u200c\u200d]|[\u200c\u200d](?![^\u0000-\u058f])")
"""Zero-width joiners beside letters that never join; they shape Arabic, Indic letters, emoji."""

_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“”", "‘": "’", "«": "»", "»": "«"}
_APOSTROPHES = "’‘ʼ′´`＇"
_DASHES = "−–‒‐‑﹣－"
_PUNCTUATION = str.maketrans("．，％＋（）＄：／٫٬٪", ".,%+()$:/.,%")


class _Visible(dict[int, int | str | None]):
    """Each character's visible form, found once."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        form: int | str | None = code
        if character in _KEPT_CONTROLS or character.isspace():
            form = " "
        elif code in _INVISIBLE or unicodedata.category(character) == "Cc":
            form = None
        self[code] = form
        return form


class _Straight(dict[int, int | str | None]):
    """Each character as numbers and dates have it: plain digits, dashes and apostrophes."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        form: int | str = code
        if character in _DASHES:
            form = "-"
        elif character in _APOSTROPHES:
            form = "'"
        elif character.isdecimal():
            form = str(unicodedata.decimal(character))
        self[code] = form
        return form


_visible, _straight = _Visible(), _Straight()


def visible(text: str) -> str:
    r"""The text as it is seen: composed characters, single spaces, nothing invisible.

    Examples
    --------
    >>> visible("New\u00a0York") == "New York", visible("cafe\u0301") == "caf\u00e9"
    (True, True)
    >>> visible("cat\u200b"), visible("a \t b")
    ('cat', 'a b')
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = unicodedata.normalize("NFC", text.translate(_visible))
    if "\u200c" in text or "\u200d" in text:
        text = _JOINERS.sub("", text)
    return " ".join(text.split())


def lookalike(text: str) -> str:
    """What is left where case, the kind of quotes and of dashes, and widths are taken for one.

    Examples
    --------
    >>> lookalike("Don’t") == lookalike("DON'T")
    True
    """
    text = unicodedata.normalize("NFKC", visible(text)).translate(_straight)
    return text.translate(str.maketrans("“”„«»", '"""""')).casefold()


def without_controls(text: str) -> str:
    r"""The text without control characters, which steer a terminal, but for tabs and line ends.

    Those that separate, such as a form feed, become spaces.

    Examples
    --------
    >>> without_controls("a\x1b[2J")
    'a[2J'
    """
    if text.isprintable():
        return text
    return "".join(map(_uncontrolled, text))


def _uncontrolled(character: str) -> str:
    if character in _KEPT_CONTROLS or unicodedata.category(character) != "Cc":
        return character
    return " " if character.isspace() else ""


def straightened(text: str) -> str:
    """A cell as numbers and dates are read: without quotes around it, in plain characters.

    Examples
    --------
    >>> straightened("“−5,5”"), straightened("1’234")
    ('-5,5', "1'234")
    """
    if not text.isascii():
        text = visible(text).translate(_PUNCTUATION)
    if len(text) > 2 and text[-1] in _QUOTES.get(text[0], ""):
        text = text[1:-1].strip()
    return text if text.isascii() else text.translate(_straight)
