"""Bags of words in pieces: every word once, in batches of one shape."""

import numpy as np
import pytest
from scipy import sparse

from hpsearch.preprocessing import Bags

N_ROWS, N_WORDS = 40, 50


@pytest.fixture(scope="module")
def words():
    rng = np.random.default_rng(0)
    share = rng.uniform(0.0, 0.8, (N_ROWS, 1))
    share[5] = 0.0
    return sparse.csr_array((rng.random((N_ROWS, N_WORDS)) < share).astype(np.float32))


def rows_of(batch, bags, n_rows):
    """A batch's multi-hot rows, from its pieces."""
    rows = np.zeros((n_rows, N_WORDS + 1))
    pieces, row_of = batch
    assert (np.diff(row_of) >= 0).all()
    np.add.at(rows, (row_of[:, None], bags.pieces[pieces]), 1.0)
    return rows[:, :-1]


def test_batches_hold_each_word_of_their_rows_once(words):
    bags, order = Bags.of(words), np.random.default_rng(1).permutation(N_ROWS)[:35]
    n_pieces = bags.most(8)
    batches = bags.batches(order, 8, 6, n_pieces)
    assert batches.shape == (6, 2, n_pieces)
    dense = words.toarray()
    for number in range(4):
        rows = order[8 * number : 8 * number + 8]
        np.testing.assert_array_equal(rows_of(batches[number], bags, 8), dense[rows])
    np.testing.assert_array_equal(rows_of(batches[4], bags, 8)[:3], dense[order[32:]])
    assert not rows_of(batches[4], bags, 8)[3:].any()
    assert not rows_of(batches[5], bags, 8).any()


def test_rows_without_any_word_have_no_piece():
    bags = Bags.of(sparse.csr_array((3, 4), dtype=np.float32))
    assert bags.sizes.tolist() == [0, 0, 0]
    assert bags.most(2) == 1
    batch = bags.batches(np.arange(3), 2, 2, 1)
    assert bags.pieces[batch[:, 0]].tolist() == [[[4] * 8]] * 2


def test_batches_are_padded_to_the_usual_size_unless_one_exceeds_it():
    counts = np.where(np.arange(400) < 20, 40, 8)  # a row has one piece, or a few have five
    ends = np.concatenate([[0], np.cumsum(counts)])
    columns = np.concatenate([np.arange(count) for count in counts])
    words = sparse.csr_array((np.ones(len(columns), np.float32), columns, ends), shape=(400, 50))
    bags = Bags.of(words)
    usual = bags.usual(20)
    assert 20 < usual < bags.most(20) == 100
    spread, together = np.random.default_rng(0).permutation(400), np.arange(400)
    assert bags.needed([spread, spread], 20) == usual
    assert bags.needed([spread, together], 20) == 100
