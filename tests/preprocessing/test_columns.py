"""Taking a column's encoded parts from other rows is taking its raw cells from them."""

import numpy as np
import pytest
from scipy import sparse

from hpsearch.preprocessing import encode
from hpsearch.preprocessing.columns import ColumnParts


def dense(encoded):
    words = None if encoded.words is None else encoded.words.toarray()
    return [encoded.numbers, encoded.codes, words, *encoded.arrays]


@pytest.mark.parametrize("n", [1, 2, 8])
def test_shuffling_raw_cells_is_shuffling_encoded_parts(mixed_schema, mixed_rows, n):
    frame, arrays = mixed_rows
    order = np.random.default_rng(1).permutation(len(frame))
    rows = encode(mixed_schema, frame, arrays, len(frame))
    names = [column.name for column in mixed_schema.columns]
    for first in range(len(names)):
        chosen = {names[(first + 3 * i) % len(names)] for i in range(n)}
        raw = frame.copy()
        for name in chosen & set(frame.columns):
            raw[name] = frame[name].to_numpy()[order]
        moved = {name: array[order] if name in chosen else array for name, array in arrays.items()}
        expected = encode(mixed_schema, raw, moved, len(frame))
        found = ColumnParts.of(mixed_schema, sorted(chosen)).taken_from(rows, order)
        for mine, theirs in zip(dense(found), dense(expected), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_the_rows_themselves_stay_as_they_are(mixed_schema, mixed_rows):
    frame, arrays = mixed_rows
    rows = encode(mixed_schema, frame, arrays, len(frame))
    before = [np.array(part) for part in dense(rows)]
    everything = ColumnParts.of(mixed_schema, [column.name for column in mixed_schema.columns])
    everything.taken_from(rows, np.arange(len(frame))[::-1])
    for part, was in zip(dense(rows), before, strict=True):
        np.testing.assert_array_equal(part, was)
    assert sparse.issparse(rows.words)
