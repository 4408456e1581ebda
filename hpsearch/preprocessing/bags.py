"""Bags: rows of words as programs of fixed shapes take them, cut into pieces of a few words.

Owns the table of pieces and which of them a batch needs. A batch of rows has any number of words;
of pieces, padded to the most that a batch may need, it has a fixed one. Which words there are
belongs to ``encoding``, which of them a fold knows to ``statistics``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

WORDS_OF_A_PIECE = 8
"""Few enough that a row's last piece, half empty on average, costs little beside its others."""

_DEVIATIONS = 6.0
"""Standard deviations above the mean that hardly any batch's number of pieces exceeds."""


@dataclass(frozen=True, eq=False)
class Bags:
    """The words of all rows, in pieces.

    Attributes
    ----------
    pieces : int32 (n_pieces + 1, ``WORDS_OF_A_PIECE``): word numbers as columns of
        ``Encoded.words``, and their count where a piece has no more words. The last piece has
        none, and pads batches.
    first : int64 (n_rows + 1,): each row's first piece; the row after has the next ones.
    """

    pieces: NDArray[np.int32]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, words: sparse.csr_array) -> Bags:
        """The bags of rows of words.

        Examples
        --------
        >>> bags = Bags.of(sparse.csr_array(np.array([[0, 1, 0, 1], [0, 0, 0, 0]], np.float32)))
        >>> bags.pieces[:, :3].tolist(), bags.first.tolist()
        ([[1, 3, 4], [4, 4, 4]], [0, 1, 1])
        """
        counts = np.diff(words.indptr).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(-(-counts // WORDS_OF_A_PIECE))])
        pieces = np.full((first[-1] + 1, WORDS_OF_A_PIECE), words.shape[1], np.int32)
        shift = first[:-1] * WORDS_OF_A_PIECE - words.indptr[:-1]  # of each row's cells
        cells = np.arange(len(words.indices)) + np.repeat(shift, counts)
        pieces.ravel()[cells] = words.indices
        return cls(pieces, first)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """How many pieces each row has."""
        return np.diff(self.first)

    @property
    def mean(self) -> float:
        """Words of a row, on average, rounded up to whole pieces."""
        return WORDS_OF_A_PIECE * float(self.sizes.mean())

    def most(self, batch_size: int) -> int:
        """Pieces of the batch whose rows have the most words."""
        largest = np.sort(self.sizes)[::-1][:batch_size]
        return max(1, int(largest.sum()))

    def usual(self, batch_size: int) -> int:
        """Pieces that hardly any batch of rows drawn at random exceeds."""
        spread = _DEVIATIONS * float(self.sizes.std()) * batch_size**0.5
        usual = int(np.ceil(batch_size * float(self.sizes.mean()) + spread))
        return min(max(1, usual), self.most(batch_size))

    def needed(self, orders: Iterable[NDArray[np.integer[Any]]], batch_size: int) -> int:
        """Pieces to pad to, where rows come in these orders: of the usual batch, or of any.

        One of two sizes, so that nearly all trainings of one table take the same program.
        """
        usual, sizes = self.usual(batch_size), self.sizes
        for order in orders:
            batches = np.add.reduceat(sizes[order], np.arange(0, len(order), batch_size))
            if int(batches.max()) > usual:
                return self.most(batch_size)
        return usual

    def batches(
        self, order: NDArray[np.integer[Any]], batch_size: int, n_batches: int, n_pieces: int
    ) -> NDArray[np.int32]:
        """The pieces of each batch of rows, and the row of each within its batch.

        Parameters
        ----------
        order : row numbers; a batch takes the next ``batch_size`` of them, the last one the rest.
        n_pieces : pieces to pad each batch to.

        Returns
        -------
        int32 (n_batches, 2, n_pieces): numbers of pieces, and of rows, which never fall.

        Examples
        --------
        >>> bags = Bags.of(sparse.csr_array(np.eye(3, dtype=np.float32)))
        >>> bags.batches(np.array([2, 0, 1]), 2, 2, 3).tolist()
        [[[2, 0, 3], [0, 1, 1]], [[1, 3, 3], [0, 1, 1]]]
        """
        sizes, row_of = self.sizes[order], np.arange(batch_size, dtype=np.int32)
        ends = np.cumsum(sizes)
        firsts = (self.first[order] - ends + sizes).astype(np.int32)
        pieces = np.repeat(firsts, sizes) + np.arange(ends[-1], dtype=np.int32)
        made = np.empty((n_batches, 2, n_pieces), np.int32)
        made[:, 0], made[:, 1] = len(self.pieces) - 1, batch_size - 1
        begin = 0
        for batch, first in zip(made, range(0, len(order), batch_size), strict=False):
            of_rows = sizes[first : first + batch_size]
            end = int(ends[first + len(of_rows) - 1])
            batch[0, : end - begin] = pieces[begin:end]
            batch[1, : end - begin] = np.repeat(row_of[: len(of_rows)], of_rows)
            begin = end
        return made
