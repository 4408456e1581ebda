"""Rows of words: sequences of word numbers, or a 0 or 1 for each known word.

Owns which of the two a source is, and the matrix that both become. Free text belongs to ``words``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.errors import DataError


@dataclass(frozen=True, eq=False)
class WordRows:
    """Which words occur in each row, and what there is to say about them.

    ``matrix`` is (n_rows, n_words) of float32 ones; ``lists`` are the word numbers in their order,
    or None where the source does not say it.
    """

    matrix: sparse.csr_array
    notes: tuple[str, ...] = ()
    lists: Sequence[Sequence[int]] | None = None


def words_of(x: Any, n_words: int | None = None, *, ordered: bool = False) -> WordRows | None:
    """A source's rows of words, or None where it holds none.

    Parameters
    ----------
    x : a sparse matrix of 0 and 1, or a list of lists of word numbers of different lengths.
    n_words : the number of words where it is known, and with it that rows are words: then lists may
        be of one length, and an array has a 0 or 1 for each word.
    ordered : whether rows are known to be words in their order: lists may be of one length, and a
        plain array (n_rows, n) of whole numbers has n words a row.

    Raises
    ------
    DataError
        Rows have other values than words have.

    Examples
    --------
    >>> words_of([[2], [0, 1]]).matrix.toarray().tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    >>> words_of([[2, 0], [0, 1]]) is None
    True
    """
    if sparse.issparse(x):
        return WordRows(_sparse_words(x))
    if ordered and isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "iu":
        x = x.tolist()
    sequences = _word_sequences(x, known=ordered or n_words is not None)
    if sequences is not None:
        if ordered:
            return WordRows(multi_hot(sequences, n_words), lists=sequences)
        _refuse_marks(sequences, n_words)
        said = _unknown_words(sequences, n_words)
        return WordRows(multi_hot(sequences, n_words), said, sequences)
    if n_words is not None and isinstance(x, np.ndarray) and x.ndim == 2:
        return WordRows(_marked_words(x, n_words))
    return None


def multi_hot(sequences: Sequence[Sequence[int]], n_words: int | None = None) -> sparse.csr_array:
    """Which words occur in each sequence, as a sparse matrix of float32 ones.

    Parameters
    ----------
    sequences : word numbers from 0, a sequence for each row.
    n_words : number of columns; larger word numbers are left out. Default: the largest plus one.

    Examples
    --------
    >>> multi_hot([[1, 1], [0, 2]]).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    lengths = [len(sequence) for sequence in sequences]
    words = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=sum(lengths))
    if (words < 0).any():
        raise DataError(
            f"Word numbers count from 0; received {int(words.min())}. Number the words from 0."
        )
    rows = np.repeat(np.arange(len(lengths)), lengths)
    width = n_words if n_words is not None else int(words.max(initial=-1)) + 1
    if width == 0:
        raise DataError("Sequences of word numbers need at least one word; received none.")
    kept = words < width
    cells = np.unique(rows[kept] * width + words[kept])
    ones = np.ones(len(cells), dtype=np.float32)
    return sparse.csr_array((ones, (cells // width, cells % width)), shape=(len(lengths), width))


def _refuse_marks(sequences: Sequence[Sequence[int]], n_words: int | None) -> None:
    """Refuse lists that may be word numbers or marks of which words occur."""
    if all(len(row) == n_words and set(row) <= {0, 1} for row in sequences):
        raise DataError(
            f"Lists are word numbers; those received have a 0 or 1 for each of the {n_words} known "
            "words, so that they may say which words occur. Give an array or a sparse matrix for "
            "that, and shorter lists for word numbers."
        )


def _unknown_words(sequences: Sequence[Sequence[int]], n_words: int | None) -> tuple[str, ...]:
    """What is said of word numbers beyond the known ones."""
    n_unknown = 0 if n_words is None else sum(w >= n_words for w in chain.from_iterable(sequences))
    if not n_unknown:
        return ()
    what = "1 word number" if n_unknown == 1 else f"{n_unknown:,} word numbers"
    was = "was" if n_unknown == 1 else "were"
    return (f"{what} beyond the {n_words:,} known ones {was} left out.",)


def _word_sequences(x: Any, *, known: bool = False) -> Sequence[Sequence[int]] | None:
    """``x`` where it is sequences of whole numbers, ragged or ``known`` to be such, else None."""
    if isinstance(x, np.ndarray):
        if x.dtype != object or x.ndim != 1:
            return None
        items: list[Any] = x.tolist()
    elif isinstance(x, list | tuple):
        items = list(x)
    else:
        return None
    if not items or not all(isinstance(item, list | tuple | np.ndarray) for item in items):
        return None
    if not (known or isinstance(x, np.ndarray)) and len({len(item) for item in items}) == 1:
        return None
    for item in items:
        if not all(isinstance(w, int | np.integer) and not isinstance(w, bool) for w in item):
            raise DataError(
                "Rows of different lengths must be sequences of word numbers (whole numbers), or "
                f"of steps of numbers; received {str(item)[:60]!r}. Give numbers alone."
            )
    return items


def _marked_words(array: NDArray[Any], n_words: int) -> sparse.csr_array:
    """Words of rows that have a 0 or a 1 for each known word."""
    if array.shape[1] != n_words or array.dtype.kind not in "biuf":
        raise DataError(
            f"Rows of words have a 0 or 1 for each of the {n_words:,} known words; received the "
            f"shape {array.shape} of {array.dtype}. Give a list of lists for word numbers."
        )
    return _sparse_words(array)


def _sparse_words(x: Any) -> sparse.csr_array:
    words = sparse.csr_array(x, dtype=np.float32)
    words.sum_duplicates()
    words.eliminate_zeros()
    if not (words.data == 1).all():
        raise DataError(
            "A sparse X says which words occur in each row: its values are 0 and 1; received "
            f"others, such as {float(words.data[words.data != 1][0])!r}. "
            "Give (X > 0), or a dense array for numbers."
        )
    return words
