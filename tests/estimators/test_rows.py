"""X and y as scikit-learn hands them over."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

import hpsearch
from hpsearch.errors import DataError
from hpsearch.estimators import rows

X = np.random.default_rng(0).normal(size=(24, 3))
CLASSES = np.arange(24) % 2


@pytest.fixture
def fitted(network):
    def fitted(X, y, kind="KerasClassifier", **parameters):
        return getattr(hpsearch, kind)(**network, **parameters).fit(X, y)

    return fitted


@pytest.mark.parametrize(
    "y",
    [
        np.array(["b", "a"])[CLASSES],
        np.array(["no", "yes"], dtype=object)[CLASSES],
        np.array([" a", "a"])[CLASSES],  # which a table would take for one
        np.array(["1", "01"])[CLASSES],
        np.array([0.5, 2.5]).round()[CLASSES],
        np.array([True, False])[CLASSES],
        np.array([7, -3])[CLASSES],
        pd.Series(["u", "v"]).iloc[CLASSES],
        pd.Series(["u", "v"], dtype="category").iloc[CLASSES],
        pa.array(np.array(["u", "v"])[CLASSES]),
        [["x", "y"][code] for code in CLASSES],
    ],
    ids=lambda y: type(y).__name__,
)
def test_classes_come_back_as_they_were_given(fitted, y):
    model = fitted(np.column_stack([CLASSES * 3.0, X]), y)
    expected = np.asarray(y.to_pylist() if isinstance(y, pa.Array) else y)
    assert_array_equal(model.predict(np.column_stack([CLASSES * 3.0, X])), expected)
    assert_array_equal(model.classes_, np.unique(expected))


def test_classes_in_words_have_their_names_in_the_model(fitted):
    target = fitted(X, np.array(["ill", "well"])[CLASSES]).exported_.bundle.schema.target
    assert target.labels == ("ill", "well")


def test_a_target_that_is_called_as_a_feature_is_renamed(fitted):
    frame = pd.DataFrame(X, columns=["y", "a", "b"])
    model = fitted(frame, pd.Series(CLASSES, name="y"))
    assert model.exported_.bundle.schema.target.names == ("target y",)
    assert model.predict(frame).shape == (24,)


def test_rows_of_another_index_are_refused(fitted):
    frame = pd.DataFrame(X)
    with pytest.raises(DataError, match="belong together by their index"):
        fitted(frame, pd.Series(CLASSES, index=range(1, 25)))


def test_a_frame_keeps_its_text_and_gaps(fitted):
    words = np.array(["red", "blue", None], dtype=object)[[0, 1, 0, 1, 0, 2] * 4]
    frame = pd.DataFrame({"colour": words, "size": np.where(X[:, 0] > 1, np.nan, X[:, 1])})
    model = fitted(frame, (words == "red").astype(int))
    assert {c.name: c.kind for c in model.exported_.bundle.schema.columns} == {
        "colour": "category",
        "size": "number",
    }
    assert model.score(frame, (words == "red").astype(int)) == 1.0
    assert list(model.feature_names_in_) == ["colour", "size"]


def test_frames_of_other_libraries_are_read(fitted):
    table = pa.table({"a": X[:, 0], "b": ["u", "v"] * 12})
    model = fitted(table, pa.chunked_array([CLASSES]))
    assert model.n_features_in_ == 2
    assert_array_equal(model.predict(table), CLASSES)


def test_features_in_another_order_are_refused(fitted):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted(frame, CLASSES).predict(frame[["b", "a", "c"]])


def test_an_array_of_objects_may_hold_text_and_gaps(fitted):
    cells = np.array([["u", 1.0], ["v", None]], dtype=object)[CLASSES]
    assert fitted(cells, CLASSES).score(cells, CLASSES) == 1.0


def test_a_sparse_matrix_of_marks_stays_sparse_and_one_of_numbers_does_not(fitted):
    marks = sparse.csr_array(np.column_stack([CLASSES, 1 - CLASSES, CLASSES]))
    model = fitted(marks, CLASSES)
    assert [c.kind for c in model.exported_.bundle.schema.columns] == ["words"]
    assert_array_equal(model.predict(marks.tocoo()), CLASSES)
    assert_array_equal(model.predict(marks.toarray()), CLASSES)
    model = fitted(sparse.csr_array(X), CLASSES)
    assert {c.kind for c in model.exported_.bundle.schema.columns} == {"number"}
    assert_array_equal(model.predict(sparse.csr_array(X)), model.predict(X))


def test_a_sparse_matrix_that_would_fill_the_memory_is_refused(fitted, monkeypatch):
    monkeypatch.setattr(rows, "free_bytes", lambda: 100)
    with pytest.raises(DataError, match=r"Give \(X > 0\)"):
        fitted(sparse.csr_array(X), CLASSES)


def test_images_are_arrays_of_more_axes(fitted):
    images = np.random.default_rng(0).integers(0, 255, (24, 4, 4), dtype=np.uint8)
    model = fitted(images, CLASSES)
    assert [c.array_kind for c in model.exported_.bundle.schema.columns] == ["image"]
    assert model.predict_proba(images).shape == (24, 2)


def test_several_labels_and_several_outputs(fitted):
    labels = (X > 0).astype(int)
    model = fitted(X, pd.DataFrame(labels, columns=["u", "v", "w"]))
    assert model.predict(X).shape == model.predict_proba(X).shape == (24, 3)
    assert model.exported_.bundle.schema.target.names == ("u", "v", "w")
    assert fitted(X, X[:, :2], "KerasRegressor").predict(X).shape == (24, 2)
    assert fitted(X, X[:, :1], "KerasRegressor").predict(X).shape == (24, 1)
    assert fitted(X, X[:, 0], "KerasRegressor").predict(X).shape == (24,)


def test_several_columns_of_classes_are_refused(fitted):
    with pytest.raises(DataError, match="MultiOutputClassifier"):
        fitted(X, np.arange(48).reshape(24, 2) % 3)


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (24, 0)])
def test_a_frame_without_rows_or_columns_is_refused(fitted, shape):
    frame = pd.DataFrame(np.zeros(shape), columns=list("abc")[: shape[1]])
    with pytest.raises(DataError, match=r"sample\(s\)|feature\(s\)"):
        fitted(frame, CLASSES[: shape[0]])
