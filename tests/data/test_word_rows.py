"""Word numbers, and marks of which words occur."""

import numpy as np
import pytest
from scipy import sparse

from hpsearch.data.tables import read_table
from hpsearch.data.word_rows import multi_hot
from hpsearch.errors import DataError


def test_ragged_sequences_are_words():
    words = read_table([[1, 1, 3], [0]]).arrays["x"]
    assert words.toarray().tolist() == [[0, 1, 0, 1], [1, 0, 0, 0]]
    assert words.dtype == np.float32


def test_an_object_array_of_lists_is_words():
    sequences = np.empty(2, dtype=object)
    sequences[:] = [[1, 0], [2, 2]]
    assert read_table(sequences).arrays["x"].toarray().tolist() == [[1, 1, 0], [0, 0, 1]]


def test_words_beyond_the_number_of_words_are_left_out():
    assert multi_hot([[0, 5], [9]], 2).toarray().tolist() == [[1, 0], [0, 0]]


def test_negative_word_numbers_are_refused():
    with pytest.raises(DataError, match="received -1"):
        multi_hot([[0], [-1, 2]])


def test_ragged_rows_of_other_values_are_refused():
    with pytest.raises(DataError, match="word numbers"):
        read_table([["u"], ["v", "w"]])


def test_sparse_matrices_are_words():
    words = read_table(sparse.csr_matrix(np.eye(3))).arrays["x"]
    assert words.toarray().tolist() == np.eye(3).tolist()


def test_sparse_matrices_of_other_values_are_refused():
    with pytest.raises(DataError, match=r"such as 0\.5"):
        read_table(sparse.csr_array([[0.5, 1.0]]))
