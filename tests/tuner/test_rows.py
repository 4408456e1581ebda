"""x and y as scripts give them, and what the default network settles about them."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.errors import DataError
from hpsearch.preprocessing import Layout
from hpsearch.tuner.rows import dataset_of, task_of

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
X = RNG.normal(size=(60, 4))


def read(x, y, loss=None, input_shape=None, metric=None, **options):
    network = {"loss": loss, "input_shape": input_shape, "metric": metric}
    return dataset_of(x, y, **network, limits={"max_levels": 9, "max_words": 9}, options=options)


def shape_of(data):
    return Layout.of(data.schema).input_shape


@pytest.mark.parametrize(
    "y",
    [
        CODES,
        CODES.reshape(-1, 1).astype("uint8"),
        np.array(["a", "b", "c"])[CODES],
        list(CODES),
        pd.Series(CODES),
    ],
    ids=["whole numbers", "a column", "texts", "a list", "a series"],
)
def test_classes_are_classes_however_they_are_written(y):
    target = read(X, y, "sparse_categorical_crossentropy").target
    assert (target.kind, len(target.labels)) == ("multiclass", 3)


def test_rows_of_0_and_1_are_classes_or_labels_as_the_loss_says():
    y = np.eye(3)[CODES]
    assert read(X, y, "categorical_crossentropy").target.kind == "multiclass"
    assert read(X, y, "binary_crossentropy").target.kind == "multilabel"


def test_the_loss_tells_many_classes_from_numbers():
    y = np.arange(60) % 25
    assert task_of(y, "sparse_categorical_crossentropy") == "multiclass"
    assert task_of(y, "mean_squared_error") == "regression"
    assert read(X, np.arange(60) % 3, "mean_absolute_error").target.kind == "regression"


def test_a_metric_of_classes_tells_them_from_numbers_where_no_loss_does():
    assert read(X, np.arange(60) % 25, metric="accuracy").target.kind == "multiclass"
    assert read(X, np.arange(60) % 25, metric="mae").target.kind == "regression"
    zero_one = np.arange(60) % 2
    assert read(X, zero_one, "mean_squared_error", metric="accuracy").target.kind == "binary"
    assert read(X, zero_one, "mean_squared_error", metric="mse").target.kind == "regression"


def test_what_is_asked_for_counts_before_the_loss():
    assert read(X, CODES, "mean_squared_error", task="multiclass").target.kind == "multiclass"


def test_two_classes_are_two_classes_with_either_loss():
    y = np.arange(60) % 2
    for loss in ("binary_crossentropy", "sparse_categorical_crossentropy"):
        assert read(X, y, loss).target.kind == "binary"


def test_grey_images_keep_the_shape_that_the_network_declares():
    x = RNG.random((60, 8, 8))
    assert shape_of(read(x, CODES)) == (8, 8, 1)
    assert shape_of(read(x, CODES, input_shape=(8, 8))) == (8, 8)
    assert shape_of(read(x[..., None], CODES, input_shape=(8, 8, 1))) == (8, 8, 1)


def test_columns_that_never_vary_stay_where_the_network_counts_on_them():
    x = X.copy()
    x[:, 2] = 0.0
    assert shape_of(read(x, CODES)) == (3,)
    assert shape_of(read(x, CODES, input_shape=(4,))) == (4,)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ([X, X], CODES, "several inputs by name; received a list"),
        (iter([1]), CODES, "arrays or a table; received list_iterator"),
        (X, None, "received no y"),
        (X, {"a": CODES}, "received a dictionary"),
        (X, CODES[:50], "must have the same number of rows"),
    ],
)
def test_what_folds_cannot_deal_is_one_line(x, y, said):
    with pytest.raises(DataError, match=said):
        read(x, y)
