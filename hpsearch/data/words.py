"""Free text as words: the rules by which a text is split, used for reading and for encoding.

Owns the rules. Which one a column was read by stands in its schema, since a model knows the words
that its own rule found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

SCRIPTS = "scripts"
"""The rule of today: whole words in scripts that have spaces, characters and pairs in others."""

LETTERS = ""
"""The rule of models that were made before: runs of letters, digits and underscores alone."""

_RUN_OF_LETTERS = re.compile(r"\w+")
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff"
    "\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Chinese and Japanese: no spaces stand between words."""

_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_ONE_UNSPACED = re.compile(f"[{_UNSPACED}]")
_JOINERS = "\u00ad\u200c\u200d\u2060\ufeff"
_OTHER_MARKS = re.compile("[\ufe00-\ufe0f\u20dd-\u20ef\U000e0100-\U000e01ef]")
_DOTTED_I = "i\u0307"  # which the Turkish capital becomes
_CHARACTERS_OF_A_WORD = 2


class _Parts(dict[int, int | str | None]):
    """Each character as a part of a word, a space between words, or nothing; found once."""

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        part: int | str | None = " "
        if character in _JOINERS:
            part = None
        elif character.isalnum() or character == "_" or _is_mark(character):
            part = code
        self[code] = part
        return part


_parts = _Parts()


def split_words(text: str, rule: str = SCRIPTS) -> list[str]:
    """The words of a text in their order, in lower case.

    A word is a run of letters, digits and underscores, with the marks on them. In scripts that
    have no spaces between words, each character and each pair of neighbours is one.

    Examples
    --------
    >>> split_words("Don't panic: 42!")
    ['don', 't', 'panic', '42']
    >>> split_words("हिन्दी भाषा")
    ['हिन्दी', 'भाषा']
    >>> split_words("好电影 OK")
    ['好', '电', '影', '好电', '电影', 'ok']
    """
    if rule == LETTERS or text.isascii():
        return _RUN_OF_LETTERS.findall(text.lower())
    lower = unicodedata.normalize("NFC", text).lower().replace(_DOTTED_I, "i")
    parts = lower.translate(_parts).split()
    return [word for part in parts for run in _RUN.findall(part) for word in _words(run)]


def has_unspaced(text: str) -> bool:
    """Whether some of a text is in a script that has no spaces between words."""
    return not text.isascii() and _ONE_UNSPACED.search(text) is not None


def count_words(text: str) -> int:
    """About how many words a text has, two characters a word where no spaces stand between them.

    Examples
    --------
    >>> count_words("a long day"), count_words("我觉得这个电影好")
    (3, 4)
    """
    n_unspaced = 0 if text.isascii() else len(_ONE_UNSPACED.findall(text))
    return max(len(text.split()), n_unspaced // _CHARACTERS_OF_A_WORD)


def _is_mark(character: str) -> bool:
    is_mark = unicodedata.category(character) in ("Mn", "Mc")
    return is_mark and _OTHER_MARKS.match(character) is None


def _words(run: str) -> Iterator[str]:
    """The words of a run of one kind of script."""
    characters: list[str] = []
    for character in run:
        if not _is_mark(character):
            characters.append(character)
        elif characters:
            characters[-1] += character
    if not characters:
        return
    if not _ONE_UNSPACED.match(run):
        yield "".join(characters)
        return
    yield from characters
    yield from map("".join, pairwise(characters))
