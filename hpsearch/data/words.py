"""Free text as words: the one rule by which a text is split, used for reading and for encoding."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+", flags=re.UNICODE)


def split_words(text: str) -> list[str]:
    """The words of a text in their order: lower-cased runs of letters, digits and underscores.

    Examples
    --------
    >>> split_words("Don't panic: 42!")
    ['don', 't', 'panic', '42']
    """
    return _WORD.findall(text.lower())
