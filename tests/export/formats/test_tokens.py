"""Words in their order in a SavedModel: its graph numbers texts as hpsearch does."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.testing import assert_array_equal

from hpsearch.data import Column
from hpsearch.data.tokens import numbers_of_texts
from hpsearch.export.formats import saved_model
from hpsearch.export.formats._cells import Cells

COLUMN = Column("note", "text", levels=("a", "bad", "été"), width=3, word_rule="scripts")
TEXTS = ["A bad été", "bad, bad; a: b c", "", "unknown", "ÉTÉ?"]


def test_texts_are_numbered_in_the_graph_as_they_are_encoded():
    import tensorflow as tf

    each = Cells(COLUMN, "text", "note", "string")
    table = saved_model._table(SimpleNamespace(), each)
    words = saved_model._words(tf.constant(TEXTS))
    found = np.asarray(saved_model._in_order(SimpleNamespace(), table, each, words))
    assert_array_equal(found, numbers_of_texts(COLUMN, pd.Series(TEXTS, dtype="str")))
    assert found.dtype == np.int32
