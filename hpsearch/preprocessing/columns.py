"""Which parts of encoded rows come from which raw column, and rows whose columns come from others.

Rows are encoded one by one, so that taking a column's encoded parts from other rows is the same as
taking its raw cells from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.dataset import Column, ColumnKind, Schema
from hpsearch.preprocessing.encoding import Encoded, number_names, word_count


@dataclass(frozen=True)
class ColumnParts:
    """The parts of encoded rows that some raw columns became.

    Attributes
    ----------
    numbers, codes, arrays : positions in those parts of ``Encoded``.
    words : columns of its sparse matrix, each text or word column's first one and the one after its
        last.
    exposure : whether the exposure is one of them.
    tokens : columns of its numbers of words in their order, the first and the one after the last.
    """

    numbers: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()
    words: tuple[tuple[int, int], ...] = ()
    arrays: tuple[int, ...] = ()
    exposure: bool = False
    tokens: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, schema: Schema, names: Sequence[str]) -> Self:
        """The parts of the columns of these names."""
        wanted = set(names)
        numbers: list[int] = []
        position = 0
        for column in schema.of_kind("number", "date"):
            n = len(number_names(column))
            numbers += range(position, position + n) if column.name in wanted else ()
            position += n

        def spans(columns: Sequence[Column], widths: Sequence[int]) -> tuple[tuple[int, int], ...]:
            ends = np.cumsum([0, *widths]).tolist()
            found = zip(columns, pairwise(ends), strict=True)
            return tuple(span for column, span in found if column.name in wanted)

        def places(kind: ColumnKind) -> tuple[int, ...]:
            of_kind = enumerate(schema.of_kind(kind))
            return tuple(place for place, column in of_kind if column.name in wanted)

        exposure = bool(places("exposure"))
        return cls(
            tuple(numbers),
            places("category"),
            spans(schema.bags, [word_count(column) for column in schema.bags]),
            places("array"),
            exposure,
            spans(schema.tokens, [column.width for column in schema.tokens]),
        )

    def taken_from(self, rows: Encoded, order: NDArray[np.integer]) -> Encoded:
        """Rows whose parts here come from other ones among them.

        Parameters
        ----------
        order : (n_rows,) for each row the number of the one that it takes them from.
        """
        numbers, codes = rows.numbers, rows.codes
        if self.numbers:
            numbers, at = np.array(numbers), list(self.numbers)
            numbers[:, at] = numbers[order][:, at]
        if self.codes:
            codes, at = np.array(codes), list(self.codes)
            codes[:, at] = codes[order][:, at]
        arrays = tuple(
            array[order] if place in self.arrays else array
            for place, array in enumerate(rows.arrays)
        )
        exposure = rows.exposure
        if exposure is not None and self.exposure:
            exposure = exposure[order]
        words, tokens = self._words(rows.words, order), rows.tokens
        if tokens is not None and self.tokens:
            tokens = np.array(tokens)
            for first, end in self.tokens:
                tokens[:, first:end] = tokens[order][:, first:end]
        return Encoded(numbers, codes, words, arrays, exposure, rows.prepared, tokens)

    def _words(
        self, words: sparse.csr_array | None, order: NDArray[np.integer]
    ) -> sparse.csr_array | None:
        if words is None or not self.words:
            return words
        taken, parts, done = words[order], [], 0
        for first, end in self.words:
            parts += [words[:, done:first], taken[:, first:end]]
            done = end
        parts.append(words[:, done:])
        return sparse.csr_array(sparse.hstack([p for p in parts if p.shape[1]], format="csr"))
