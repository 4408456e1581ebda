"""Words in their order: texts, and rows of word numbers, as the numbers of their words.

Owns how they are numbered: 0 is padding behind a row's last word, 1 a word that the schema does not
know, and word k of its list k + 2, which is how Keras's ``TextVectorization`` numbers words too. A
row without a word is one unknown word, so that a mask of padding leaves something of every row.
Which words a fold knows is learnt from its training rows (``hpsearch.preprocessing``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.arrays import ArrayColumn
from hpsearch.data.dataset import Column
from hpsearch.data.memory import free_bytes
from hpsearch.data.names import check_known
from hpsearch.data.words import split_words
from hpsearch.errors import DataError, OptionError
from hpsearch.words import counted

PADDING: Final = 0
UNKNOWN: Final = 1
FIRST_WORD: Final = 2

Numbers = Sequence[Sequence[int]]


def tokens_asked(
    asked: Mapping[str, str],
    texts: Collection[str],
    arrays: Mapping[str, NDArray[Any] | sparse.csr_array],
    lists: Collection[str],
) -> frozenset[str]:
    """The columns whose words keep their order.

    Parameters
    ----------
    asked : ``words`` or ``tokens`` by column, or under ``""`` for all that hold words.
    texts : the columns to read as text; lists : those of lists of word numbers.
    arrays : the array columns; sequences of one whole number a step are words where they are named.

    Raises
    ------
    OptionError
        There is no column of words.
    DataError
        A column is named that holds none.
    """
    words = [name for name, array in arrays.items() if sparse.issparse(array) or name in lists]
    there = [*texts, *words]
    steps = [name for name in asked if name in arrays and _rows_of_steps(arrays[name]) is not None]
    named = [name for name in asked if name]
    if named:
        check_known(named, [*there, *steps], "--as")
    if asked and not named and not there:
        raise OptionError(
            "--as says how a network gets the words of columns of text, and there is none. Name "
            "one with --text, or give rows of word numbers."
        )
    default = asked.get("", "words")
    return frozenset(n for n in (*there, *steps) if asked.get(n, default) == "tokens")


def with_tokens(column: Column, n_words_of_rows: Iterable[int], max_tokens: int) -> Column:
    """A column of words that keep their order.

    Parameters
    ----------
    n_words_of_rows : how many words each row has, of which the first ``max_tokens`` are kept.
    """
    lengths = np.fromiter(n_words_of_rows, np.int64)
    most = max(1, int(lengths.max(initial=0)))
    width = min(most, max_tokens)
    said = f"in their order, up to {counted(width, 'word')} a row"
    return replace(column, width=width, reason=f"{column.reason}, {said}")


def cut_note(name: str, n_words_of_rows: Iterable[int], width: int) -> tuple[str, ...]:
    """A sentence where rows have more words than are kept."""
    n_cut = sum(n > width for n in n_words_of_rows)
    if not n_cut:
        return ()
    has = "has" if n_cut == 1 else "have"
    return (
        f"Column {name!r}: {counted(n_cut, 'row')} {has} more than {counted(width, 'word')}, of "
        "which the first ones were kept.",
    )


def words_in(cells: pd.Series[Any], rule: str) -> list[int]:
    """How many words each text has; a missing one has none."""
    return [len(split_words(text, rule)) for text in cells.fillna("")]


def numbers_of_texts(column: Column, cells: pd.Series[Any]) -> NDArray[np.int32]:
    """The words of texts by number (n_rows, ``column.width``).

    Examples
    --------
    >>> column = Column("note", "text", levels=("bad", "good"), width=3)
    >>> numbers_of_texts(column, pd.Series(["Good, not bad!", "bad", None])).tolist()
    [[3, 1, 2], [2, 0, 0], [1, 0, 0]]
    """
    known = {word: number for number, word in enumerate(column.levels, FIRST_WORD)}
    texts = (split_words(text, column.word_rule) for text in cells.fillna(""))
    rows = ([known.get(word, UNKNOWN) for word in words] for words in texts)
    return _padded(rows, len(cells), column.width)


def numbers_of_rows(rows: Numbers, column: Column) -> NDArray[np.int32]:
    """Rows of word numbers from 0, as a network's numbers (n_rows, ``column.width``).

    Examples
    --------
    >>> column = Column("x", "words", shape=(10,), width=3)
    >>> numbers_of_rows([[4, 0], [11]], column).tolist()
    [[6, 2, 0], [1, 0, 0]]
    """
    n_words = column.shape[0]
    numbered = (
        [w + FIRST_WORD if w < n_words else UNKNOWN for w in _without_padding(row, column.padding)]
        for row in rows
    )
    return _padded(numbered, len(rows), column.width)


def word_number_column(
    rows: Numbers, name: str, max_tokens: int, padding: float | None = None
) -> ArrayColumn:
    """The column of rows of word numbers that keep their order.

    Parameters
    ----------
    padding : the word number that stands for no word.

    Raises
    ------
    DataError
        A number is negative, or there is no word.
    """
    kept = [_without_padding(row, padding) for row in rows]
    words = np.fromiter(chain.from_iterable(kept), np.int64)
    if (words < 0).any():
        raise DataError(
            f"Word numbers count from 0; received {int(words.min())}. Number the words from 0."
        )
    if not words.size:
        raise DataError("Sequences of word numbers need at least one word; received none.")
    lengths = [len(row) for row in kept]
    shape = (int(words.max()) + 1,)
    column = Column(name, "words", f"word numbers up to {shape[0] - 1:,}", shape=shape)
    column = with_tokens(replace(column, padding=padding), lengths, max_tokens)
    return ArrayColumn(column, numbers_of_rows(rows, column), cut_note(name, lengths, column.width))


def cut_texts(cells: pd.Series[Any], column: Column) -> tuple[str, ...]:
    """A sentence where texts have more words than are kept, of a column that keeps their order."""
    if not column.width:
        return ()
    return cut_note(column.name, words_in(cells, column.word_rule), column.width)


def unseen_numbers(rows: Numbers, column: Column) -> tuple[str, ...]:
    """Sentences where rows have more words than are kept, or numbers that nobody knows."""
    kept = [_without_padding(row, column.padding) for row in rows]
    n_unknown = sum(w >= column.shape[0] for w in chain.from_iterable(kept))
    said = cut_note(column.name, map(len, kept), column.width)
    if n_unknown:
        said += (
            f"Column {column.name!r}: {counted(n_unknown, 'word number')} beyond the "
            f"{column.shape[0]:,} known ones.",
        )
    return said


def check_use(max_tokens: Any, tokens: Collection[str]) -> None:
    """Raise ``OptionError`` where a limit is given, and no column keeps the order of its words."""
    if max_tokens is not None and not tokens:
        raise OptionError(
            "--max-tokens belongs to words that keep their order; give --as tokens too, or leave "
            "it out."
        )


def ordered_rows(
    array: NDArray[Any] | sparse.csr_array, name: str, lists: Numbers | None
) -> Numbers:
    """The word numbers of an array column, row by row, in their order.

    Parameters
    ----------
    lists : the source's own, where it has some.

    Raises
    ------
    DataError
        The column says which words occur, and not in which order.
    """
    found = lists if lists is not None or sparse.issparse(array) else _rows_of_steps(array)
    if found is None:
        raise DataError(
            f"Tokens are words in their order; column {name!r} says which words occur. Give lists "
            "of word numbers, a list for each row."
        )
    return found


def _rows_of_steps(array: NDArray[Any]) -> Numbers | None:
    """Sequences of one whole number a step (n_rows, steps, 1), NaN behind their end, as lists."""
    if sparse.issparse(array) or array.ndim != 3 or array.shape[2] != 1 or array.dtype == np.uint8:
        return None
    steps = array[..., 0]
    there = ~np.isnan(steps)
    if (steps[there] != np.floor(steps[there])).any():
        return None
    pairs = zip(steps, there, strict=True)
    return [row[is_there].astype(np.int64).tolist() for row, is_there in pairs]


def _without_padding(row: Sequence[int], padding: float | None) -> Sequence[int]:
    return row if padding is None else [word for word in row if word != padding]


def _padded(rows: Iterable[Sequence[int]], n_rows: int, width: int) -> NDArray[np.int32]:
    if 2 * 4 * n_rows * width > free_bytes():
        raise DataError(
            f"{n_rows:,} rows of {width:,} words take {4 * n_rows * width / 1e9:,.1f} GB, more "
            "than is free. Lower --max-tokens."
        )
    numbers = np.full((n_rows, width), PADDING, np.int32)
    for at, row in enumerate(rows):
        kept = row[:width]
        numbers[at, : len(kept)] = kept
        if not len(kept):
            numbers[at, 0] = UNKNOWN
    return numbers
